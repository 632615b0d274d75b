//! Lists of C strings in one allocation that is reused from start to start.

use std::ffi::c_char;

/// Strings for `execve` in an arena. Pointers to them are made only when they are needed.
#[derive(Debug, Clone, Default)]
pub struct CStrings {
    /// All strings, each with its NUL.
    bytes: Vec<u8>,
    /// The offset at which each string begins.
    starts: Vec<usize>,
    /// Scratch for [`CStrings::pointers`].
    pointers: Vec<*const c_char>,
}

/// The string holds a NUL, which neither an argument nor a variable can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NulError {
    /// The offset of the NUL within the string.
    pub position: usize,
}

impl CStrings {
    pub fn new() -> CStrings {
        CStrings::default()
    }

    /// Adds a string.
    pub fn push(&mut self, string: &[u8]) -> Result<(), NulError> {
        self.push_parts(&[string])
    }

    /// Adds one string that is the concatenation of `parts`. If a part holds a NUL, nothing is added.
    pub fn push_parts(&mut self, parts: &[&[u8]]) -> Result<(), NulError> {
        let start = self.bytes.len();
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        if let Some(position) = memchr::memchr(0, &self.bytes[start..]) {
            self.bytes.truncate(start);
            return Err(NulError { position });
        }
        self.bytes.push(0);
        self.starts.push(start);
        Ok(())
    }

    /// Removes all strings and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.starts.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Returns the bytes that the strings take of the kernel's argument limit: their text, a NUL and a
    /// pointer each.
    pub fn room(&self) -> usize {
        self.bytes.len() + self.starts.len() * size_of::<*const c_char>()
    }

    /// Iterates over the strings, without their NUL.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let ends = self.starts.iter().skip(1).copied().chain([self.bytes.len()]);
        self.starts.iter().zip(ends).map(|(&start, end)| &self.bytes[start..end - 1])
    }

    /// Returns a spare slot, the pointers to the strings, and NULL. They are valid until the next change.
    ///
    /// The slot in front is for the shell: a text file without `#!` is started as `/bin/sh FILE …`, which is
    /// one word longer than the command, and a child can't allocate.
    pub(super) fn pointers(&mut self) -> &mut [*const c_char] {
        self.pointers.clear();
        self.pointers.push(std::ptr::null());
        let strings = self.starts.iter().map(|&start| self.bytes[start..].as_ptr().cast());
        self.pointers.extend(strings);
        self.pointers.push(std::ptr::null());
        &mut self.pointers
    }

    /// Appends the pointers to the strings to `list`.
    pub(super) fn point(&self, list: &mut Vec<*const c_char>) {
        list.extend(self.starts.iter().map(|&start| self.bytes[start..].as_ptr().cast::<c_char>()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(strings: &CStrings) -> Vec<&[u8]> {
        strings.iter().collect()
    }

    #[test]
    fn strings_come_back_as_they_were_pushed() {
        let mut strings = CStrings::new();
        for s in [&b"one"[..], b"", b"\xff\n"] {
            strings.push(s).unwrap();
        }
        strings.push_parts(&[b"A", b"=", b"b=c"]).unwrap();
        assert_eq!(list(&strings), [&b"one"[..], b"", b"\xff\n", b"A=b=c"]);
        assert_eq!(strings.room(), 4 + 1 + 3 + 6 + 4 * 8);
    }

    #[test]
    fn a_nul_is_refused_and_leaves_no_trace() {
        let mut strings = CStrings::new();
        strings.push(b"one").unwrap();
        assert_eq!(strings.push_parts(&[b"ab", b"c\0d"]), Err(NulError { position: 3 }));
        strings.push(b"two").unwrap();
        assert_eq!(list(&strings), [b"one", b"two"]);
    }

    #[test]
    fn pointers_have_a_spare_slot_and_an_end() {
        let mut strings = CStrings::new();
        strings.push(b"gone").unwrap();
        strings.clear();
        strings.push(b"one").unwrap();
        strings.push(b"two").unwrap();
        let pointers = strings.pointers();
        assert_eq!(pointers.len(), 4);
        assert!(pointers[0].is_null() && pointers[3].is_null());
        // SAFETY: the pointer is one of the arena's, whose strings end with a NUL.
        assert_eq!(unsafe { std::ffi::CStr::from_ptr(pointers[2]) }, c"two");
    }
}
