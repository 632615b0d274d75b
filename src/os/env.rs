//! A child's environment: variables that all starts of a command share, and variables of a single start.

use std::ffi::c_char;
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

use super::cstrings::{CStrings, NulError};

/// Variables that all starts of a command share.
#[derive(Debug, Clone, Default)]
pub struct Env {
    /// Shared with the children that have not executed yet.
    base: Rc<CStrings>,
    /// Names that were a task's own at least once. They are never taken from the base again; otherwise a task
    /// that does not set such a variable would get the value that prun itself has.
    own_names: Vec<Vec<u8>>,
}

/// The environment of one start: the variables of its command, and its own. The memory of the own ones is used again for
/// another start, of whichever command.
#[derive(Debug, Default)]
pub struct Variables {
    base: Rc<CStrings>,
    own: CStrings,
    /// Scratch for [`Variables::pointers`].
    pointers: Vec<*const c_char>,
}

impl Env {
    /// Returns an environment without variables.
    pub fn empty() -> Env {
        Env::default()
    }

    /// Returns the variables of prun's own environment.
    pub fn inherited() -> Env {
        let mut base = CStrings::new();
        for (name, value) in std::env::vars_os() {
            // A variable from the environment holds no NUL.
            let _ = base.push_parts(&[name.as_bytes(), b"=", value.as_bytes()]);
        }
        Env { base: Rc::new(base), own_names: Vec::new() }
    }

    /// Sets a variable for all starts.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), NulError> {
        self.remove(name);
        Rc::make_mut(&mut self.base).push_parts(&[name, b"=", value])
    }

    /// Removes a variable for all starts.
    pub fn remove(&mut self, name: &[u8]) {
        if !self.base.iter().any(|string| is_named(string, name)) {
            return;
        }
        let mut kept = CStrings::new();
        for string in self.base.iter().filter(|string| !is_named(string, name)) {
            // It came from the arena, so it holds no NUL.
            let _ = kept.push(string);
        }
        self.base = Rc::new(kept);
    }

    /// Returns the bytes that the variables take of the kernel's argument limit.
    pub fn room(&self) -> usize {
        self.base.room()
    }

    /// Iterates over all variables, each as `NAME=VALUE`.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.base.iter()
    }
}

impl Variables {
    /// Sets a variable for this start only. Those of `env` are taken by [`Variables::complete`].
    pub fn set_own(&mut self, env: &mut Env, name: &[u8], value: &[u8]) -> Result<(), NulError> {
        if !env.own_names.iter().any(|known| known == name) {
            env.remove(name);
            env.own_names.push(name.to_vec());
        }
        self.own.push_parts(&[name, b"=", value])
    }

    /// Removes the variables that the last start had for itself.
    pub fn clear_own(&mut self) {
        self.own.clear();
    }

    /// Adds the variables of the command.
    pub fn complete(&mut self, env: &Env) {
        self.base = Rc::clone(&env.base);
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
    fn own_variables_hide_the_base_and_last_for_one_start() {
        let mut env = Env::empty();
        env.set(b"A", b"1").unwrap();
        env.set(b"AB", b"2").unwrap();
        env.set(b"A", b"3").unwrap();
        let mut first = Variables::default();
        first.set_own(&mut env, b"AB", b"own").unwrap();
        first.complete(&env);
        assert_eq!(first.iter().collect::<Vec<_>>(), [b"A=3".as_slice(), b"AB=own"]);
        assert_eq!(first.pointers().len(), 3);
        let mut second = Variables::default();
        second.complete(&env);
        assert_eq!(second.iter().collect::<Vec<_>>(), [b"A=3"]);
        first.clear_own();
        first.complete(&env);
        assert_eq!(first.iter().collect::<Vec<_>>(), [b"A=3"]);
    }

    #[test]
    fn a_start_keeps_its_variables_while_those_of_the_command_change() {
        let mut env = Env::empty();
        env.set(b"A", b"1").unwrap();
        let mut start = Variables::default();
        start.complete(&env);
        let before = start.pointers().to_vec();
        env.set(b"A", b"2").unwrap();
        env.set(b"B", b"3").unwrap();
        assert_eq!(start.iter().collect::<Vec<_>>(), [b"A=1"]);
        assert_eq!(start.pointers(), before);
    }

    #[test]
    fn a_nul_is_refused() {
        let (mut env, mut start) = (Env::empty(), Variables::default());
        assert_eq!(start.set_own(&mut env, b"A", b"x\0"), Err(NulError { position: 3 }));
        assert_eq!(start.iter().count(), 0);
    }
}
