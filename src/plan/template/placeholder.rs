//! Placeholders: the value that each stands for, the part of it that is meant, and its quoting. Pure.

use std::io::Write as _;
use std::ops::Range;

use memchr::{memrchr, memrchr2};

/// The value that a placeholder stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `{}`
    Item,
    /// `{1}`, `{-1}`
    Column(i32),
    /// `{name}`: a named column. (Variables are put in when the plan is made.)
    Named(String),
    /// `{#}`
    Seq,
    /// `{%}`
    Slot,
    /// `{gpu}`: the names of the permits of this lock that the task holds.
    Lock(String),
    /// All columns of the item as a path, `1/a/2/b`, for `--results`. It has no spelling.
    Tree,
}

/// The part of a value that is meant, as for GNU parallel's replacement strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Modifier {
    None,
    /// `{.}`: without a last dot and what follows it in the base name: `.bashrc` becomes empty.
    NoExt,
    /// `{..}`: without two of these; a value that has fewer stays as it is.
    NoTwoExts,
    /// `{/}`: what follows the last slash; `dir/` becomes empty.
    Base,
    /// `{//}`: the directory, as dirname(1) gives it; `.` for a value without a slash.
    Dir,
    /// `{/.}`
    BaseNoExt,
    /// `{%END}`: without that ending, if it has it.
    Without(Vec<u8>),
}

/// How a value is quoted where it is put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quote {
    /// Not at all: outside scripts.
    Plain,
    /// For a place in a shell script outside all quotes.
    Bare,
    /// Within `'…'`.
    Single,
    /// Within `"…"`.
    Double,
}

impl Source {
    /// True if the value is the item's, or a part of it.
    pub(super) fn is_item(&self) -> bool {
        matches!(self, Source::Item | Source::Column(_) | Source::Named(_) | Source::Tree)
    }
}

impl Source {
    /// True if the value tells tasks apart, and says nothing of what they do.
    pub(super) fn is_number(&self) -> bool {
        matches!(self, Source::Seq | Source::Slot | Source::Lock(_))
    }
}

impl Modifier {
    /// Returns the part of the value that is meant.
    pub(super) fn apply<'a>(&self, value: &'a [u8]) -> &'a [u8] {
        let part = self.part(value);
        if *self == Modifier::Dir && part.is_empty() { b"." } else { &value[part] }
    }

    /// Returns the range of the part that is meant. It is empty for the directory of a value without one, which is `.`.
    pub(super) fn part(&self, value: &[u8]) -> Range<usize> {
        let all = value.len();
        let base = || memrchr(b'/', value).map_or(0, |slash| slash + 1);
        match self {
            Modifier::None => 0..all,
            Modifier::NoExt => 0..ext(value).unwrap_or(all),
            Modifier::NoTwoExts => 0..ext(value).and_then(|dot| ext(&value[..dot])).unwrap_or(all),
            Modifier::Base => base()..all,
            Modifier::Dir => 0..dir_len(value),
            Modifier::BaseNoExt => base()..ext(value).unwrap_or(all),
            Modifier::Without(end) => 0..value.strip_suffix(end.as_slice()).map_or(all, <[u8]>::len),
        }
    }
}

/// Returns where the last extension begins.
fn ext(value: &[u8]) -> Option<usize> {
    memrchr2(b'.', b'/', value).filter(|last| value[*last] == b'.')
}

/// Returns the length of the directory: all before the last name, without the slashes around that.
fn dir_len(value: &[u8]) -> usize {
    let unslashed = |value: &[u8]| value.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let name_end = unslashed(value);
    match memrchr(b'/', &value[..name_end]) {
        Some(slash) => unslashed(&value[..slash]).max(1),
        None => usize::from(name_end == 0 && !value.is_empty()),
    }
}

impl Quote {
    /// Appends a value. In place of `Bare` it always gets quotes, even if it looks harmless: a `2` before `>file`, or
    /// a `done` where a command may stand, would mean something to the shell.
    pub(super) fn put(self, value: &[u8], out: &mut Vec<u8>) {
        self.open(out);
        match self {
            Quote::Plain => out.extend_from_slice(value),
            _ => value.iter().for_each(|byte| self.put_byte(*byte, out)),
        }
        self.close(out);
    }

    pub(super) fn open(self, out: &mut Vec<u8>) {
        if self == Quote::Bare {
            out.push(b'\'');
        }
    }

    pub(super) fn close(self, out: &mut Vec<u8>) {
        self.open(out);
    }

    pub(super) fn put_byte(self, byte: u8, out: &mut Vec<u8>) {
        match (self, byte) {
            (Quote::Bare | Quote::Single, b'\'') => out.extend_from_slice(br"'\''"),
            (Quote::Double, b'\\' | b'"' | b'$' | b'`') => out.extend_from_slice(&[b'\\', byte]),
            _ => out.push(byte),
        }
    }
}

/// Appends a number.
pub(super) fn put_number(n: u64, out: &mut Vec<u8>) {
    write!(out, "{n}").expect("writing to a vector does not fail");
}

/// Appends values joined by blanks, each quoted.
pub(super) fn put_joined(values: &[Vec<u8>], quote: Quote, out: &mut Vec<u8>) {
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        quote.put(value, out);
    }
}
