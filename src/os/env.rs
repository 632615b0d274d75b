//! A child's environment: variables that all tasks of a job share, and variables of a single task.

use std::ffi::c_char;
use std::os::unix::ffi::OsStrExt;

use super::cstrings::{CStrings, NulError};

/// Variables for `execve`. Only the task's own part is written again for each start.
#[derive(Debug, Clone, Default)]
pub struct Env {
    base: CStrings,
    own: CStrings,
    /// Names that were a task's own at least once. They are never taken from the base again; otherwise a task
    /// that does not set such a variable would get the value that prun itself has.
    own_names: Vec<Vec<u8>>,
    /// Scratch for [`Env::pointers`].
    pointers: Vec<*const c_char>,
}

impl Env {
    /// Returns an environment without variables.
    pub fn empty() -> Env {
        Env::default()
    }

    /// Returns the variables of prun's own environment.
    pub fn inherited() -> Env {
        let mut env = Env::empty();
        for (name, value) in std::env::vars_os() {
            // A variable from the environment holds no NUL.
            let _ = env.base.push_parts(&[name.as_bytes(), b"=", value.as_bytes()]);
        }
        env
    }

    /// Sets a variable for all tasks.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), NulError> {
        self.remove(name);
        self.base.push_parts(&[name, b"=", value])
    }

    /// Removes a variable for all tasks.
    pub fn remove(&mut self, name: &[u8]) {
        let mut kept = CStrings::new();
        for string in self.base.iter().filter(|string| !is_named(string, name)) {
            // It came from the arena, so it holds no NUL.
            let _ = kept.push(string);
        }
        self.base = kept;
    }

    /// Sets a variable for the next task only.
    pub fn set_own(&mut self, name: &[u8], value: &[u8]) -> Result<(), NulError> {
        if !self.own_names.iter().any(|known| known == name) {
            self.remove(name);
            self.own_names.push(name.to_vec());
        }
        self.own.push_parts(&[name, b"=", value])
    }

    /// Removes the variables that were set for the last task only.
    pub fn clear_own(&mut self) {
        self.own.clear();
    }

    /// Returns the bytes that the variables take of the kernel's argument limit.
    pub fn room(&self) -> usize {
        self.base.room() + self.own.room()
    }

    /// Iterates over all variables, each as `NAME=VALUE`.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.base.iter().chain(self.own.iter())
    }

    /// Returns the pointers to all variables, and NULL. They are valid until the next change.
    pub(super) fn pointers(&mut self) -> &[*const c_char] {
        self.pointers.clear();
        self.base.point(&mut self.pointers);
        self.own.point(&mut self.pointers);
        self.pointers.push(std::ptr::null());
        &self.pointers
    }
}

fn is_named(string: &[u8], name: &[u8]) -> bool {
    string.strip_prefix(name).is_some_and(|rest| rest.first() == Some(&b'='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_variables_hide_the_base_and_last_for_one_task() {
        let mut env = Env::empty();
        env.set(b"A", b"1").unwrap();
        env.set(b"AB", b"2").unwrap();
        env.set(b"A", b"3").unwrap();
        env.set_own(b"AB", b"own").unwrap();
        assert_eq!(env.iter().collect::<Vec<_>>(), [b"A=3".as_slice(), b"AB=own"]);
        assert_eq!(env.pointers().len(), 3);
        env.clear_own();
        assert_eq!(env.iter().collect::<Vec<_>>(), [b"A=3"]);
    }

    #[test]
    fn a_nul_is_refused() {
        let mut env = Env::empty();
        assert_eq!(env.set_own(b"A", b"x\0"), Err(NulError { position: 3 }));
        assert_eq!(env.iter().count(), 0);
    }
}
