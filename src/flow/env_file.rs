//! Reads the text of an `env_file`: `NAME=VALUE` lines. Pure.
//!
//! Values are bytes, and pass through unchanged but for what the syntax says. Only `${NAME}` is a variable, because
//! passwords and hashes hold dollar signs: any other `$` is text, as is everything within single quotes. A mistake names
//! the line and the variable, and never shows a value.

use std::collections::HashMap;
use std::fmt;

/// The most bytes that the variables of one file may have. No environment can be larger: Linux takes 6 MiB with the
/// arguments. A value may hold others many times, so that the size of the file alone is no bound.
pub const LARGEST: usize = 8 << 20;

/// A variable and its value.
pub type Variable = (String, Vec<u8>);

/// The reason why a text is no file of variables, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The line in which the wrong assignment begins, from 1.
    line: usize,
    /// The last line that was read for it.
    until: usize,
    kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// Neither `NAME=VALUE` nor a name. Nothing of the line is shown, because it may be a part of a value.
    NoName,
    /// Text behind a blank in the value of this variable.
    Blank(String),
    /// A backslash before a byte that has no other meaning, in the value of this variable.
    Escape(String),
    /// A quote that is not closed, in the value of this variable.
    Open(String),
    /// More than [`LARGEST`] bytes.
    TooLarge,
}

impl fmt::Display for Mistake {
    /// The text continues "env_file `x.env` …".
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if self.kind == Kind::TooLarge {
            return write!(f, "is too large for an environment");
        }
        match self.line == self.until {
            true => write!(f, "is wrong in line {}: ", self.line)?,
            false => write!(f, "is wrong in the lines from {} to {}: ", self.line, self.until)?,
        }
        match &self.kind {
            Kind::NoName => write!(f, "expected NAME=VALUE, or a NAME alone"),
            Kind::Blank(name) => {
                write!(f, "the value of `{name}` goes on behind a blank; a value with blanks is quoted")
            }
            Kind::Escape(name) => write!(
                f,
                "the value of `{name}` has a backslash that means nothing there; `\\\\`, or single quotes, make it text"
            ),
            Kind::Open(name) => write!(f, "the value of `{name}` begins a quote that is not closed"),
            Kind::TooLarge => Ok(()),
        }
    }
}

/// Returns the variables of a file, in its order. `outside` looks up a variable that prun was given.
pub fn parse(text: &[u8], outside: impl Fn(&str) -> Option<Vec<u8>>) -> Result<Vec<Variable>, Mistake> {
    // Some editors begin a file with a byte order mark.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut parser = Parser { text, at: 0, line: 1, outside, above: HashMap::new(), size: 0 };
    let mut variables = Vec::new();
    while parser.at < text.len() {
        let line = parser.line;
        let found = parser.line().map_err(|kind| Mistake { line, until: parser.line, kind })?;
        variables.extend(found);
    }
    Ok(variables)
}

/// A text that is being read.
struct Parser<'a, F> {
    text: &'a [u8],
    at: usize,
    /// The number of the line that `at` is in.
    line: usize,
    outside: F,
    /// The last value of each variable so far.
    above: HashMap<String, Vec<u8>>,
    /// Bytes of all names and values so far.
    size: usize,
}

impl<F: Fn(&str) -> Option<Vec<u8>>> Parser<'_, F> {
    /// Reads one line, or several if a quote spans them. Returns its variable; `None` if it sets nothing.
    fn line(&mut self) -> Result<Option<Variable>, Kind> {
        self.skip_blanks();
        if self.is_at_end_of_line() || self.peek() == Some(b'#') {
            self.skip_line();
            return Ok(None);
        }
        let mut name = self.name()?;
        let mut after_name = self.at;
        self.skip_blanks();
        if name == "export" && self.at > after_name && self.peek() != Some(b'=') {
            name = self.name()?;
            after_name = self.at;
            self.skip_blanks();
        }
        let value = if self.peek() == Some(b'=') {
            self.at += 1;
            Some(self.value(&name)?)
        } else if name != "export" && (self.is_at_end_of_line() || self.is_at_comment(after_name)) {
            (self.outside)(&name)
        } else {
            return Err(Kind::NoName);
        };
        self.skip_line();
        let Some(value) = value else { return Ok(None) };
        self.size += name.len() + value.len();
        if self.size > LARGEST {
            return Err(Kind::TooLarge);
        }
        self.above.insert(name.clone(), value.clone());
        Ok(Some((name, value)))
    }

    /// Reads a name.
    fn name(&mut self) -> Result<String, Kind> {
        let length = name_length(&self.text[self.at..]);
        let name = &self.text[self.at..self.at + length];
        self.at += length;
        match str::from_utf8(name) {
            Ok(name) if length > 0 => Ok(name.to_owned()),
            _ => Err(Kind::NoName),
        }
    }

    /// Reads a value up to the end of its line, or to a comment.
    fn value(&mut self, name: &str) -> Result<Vec<u8>, Kind> {
        let begin = self.at;
        self.skip_blanks();
        let mut value = Vec::new();
        if self.is_at_comment(begin) {
            return Ok(value);
        }
        while let Some(byte) = self.next_in_line() {
            match byte {
                b' ' | b'\t' => {
                    self.skip_blanks();
                    match self.is_at_end_of_line() || self.peek() == Some(b'#') {
                        true => break,
                        false => return Err(Kind::Blank(name.to_owned())),
                    }
                }
                b'\'' => self.single_quoted(name, &mut value)?,
                b'"' => self.double_quoted(name, &mut value)?,
                _ => self.byte(byte, name, &mut value)?,
            }
            self.bound(&value)?;
        }
        Ok(value)
    }

    /// Reads on to the closing single quote. Nothing is special before it.
    fn single_quoted(&mut self, name: &str, value: &mut Vec<u8>) -> Result<(), Kind> {
        loop {
            match self.next() {
                Some(b'\'') => return Ok(()),
                Some(byte) => value.push(byte),
                None => return Err(Kind::Open(name.to_owned())),
            }
        }
    }

    /// Reads on to the closing double quote.
    fn double_quoted(&mut self, name: &str, value: &mut Vec<u8>) -> Result<(), Kind> {
        loop {
            match self.next() {
                Some(b'"') => return Ok(()),
                Some(byte) => self.byte(byte, name, value)?,
                None => return Err(Kind::Open(name.to_owned())),
            }
            self.bound(value)?;
        }
    }

    /// Takes a byte outside single quotes, with what belongs to it if it is a backslash or a dollar sign.
    fn byte(&mut self, byte: u8, name: &str, value: &mut Vec<u8>) -> Result<(), Kind> {
        match byte {
            b'\\' => {
                value.push(self.escaped().ok_or_else(|| Kind::Escape(name.to_owned()))?);
                self.at += 1;
            }
            b'$' => match variable(&self.text[self.at..]) {
                Some(used) => {
                    self.at += used.len() + 2;
                    self.put_in(used, value);
                }
                None => value.push(b'$'),
            },
            _ => value.push(byte),
        }
        Ok(())
    }

    /// Returns the meaning of the byte behind a backslash, if it has one.
    fn escaped(&self) -> Option<u8> {
        match self.peek()? {
            b'n' => Some(b'\n'),
            byte @ (b'\\' | b'\'' | b'"' | b'$' | b' ' | b'\t') => Some(byte),
            _ => None,
        }
    }

    /// Appends the value of a variable: the one that prun was given, else the one from above.
    fn put_in(&self, name: &str, value: &mut Vec<u8>) {
        match (self.outside)(name) {
            Some(given) => value.extend_from_slice(&given),
            None => value.extend_from_slice(self.above.get(name).map_or(&[], Vec::as_slice)),
        }
    }

    /// Fails as soon as a value is too large.
    fn bound(&self, value: &[u8]) -> Result<(), Kind> {
        if value.len() > LARGEST { Err(Kind::TooLarge) } else { Ok(()) }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        self.line += usize::from(byte == b'\n' && self.at < self.text.len());
        Some(byte)
    }

    /// Returns the next byte, unless the line ends here.
    fn next_in_line(&mut self) -> Option<u8> {
        if self.is_at_end_of_line() { None } else { self.next() }
    }

    /// True at a newline, also one behind a carriage return, and at the end of the text.
    fn is_at_end_of_line(&self) -> bool {
        matches!(self.text[self.at..], [] | [b'\n', ..] | [b'\r'] | [b'\r', b'\n', ..])
    }

    /// True at the beginning of a comment, which stands behind a blank: `COLOR=#fff` has none. `before` is where the
    /// blanks, if any, began.
    fn is_at_comment(&self, before: usize) -> bool {
        self.at > before && self.peek() == Some(b'#')
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// Skips the rest of the line and its end.
    fn skip_line(&mut self) {
        while self.next().is_some_and(|byte| byte != b'\n') {}
    }
}

/// Returns the name in `{NAME}`, if the text begins with that.
fn variable(text: &[u8]) -> Option<&str> {
    let inside = text.strip_prefix(b"{")?;
    let (name, rest) = inside.split_at(name_length(inside));
    (!name.is_empty() && rest.first() == Some(&b'}')).then(|| str::from_utf8(name).ok())?
}

/// Returns the length of the name that the text begins with: letters, digits, `_` and `.`, and no digit or `.` first.
fn name_length(text: &[u8]) -> usize {
    match text.first() {
        Some(byte) if byte.is_ascii_alphabetic() || *byte == b'_' => {
            let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
            text.iter().position(|byte| !is_part(byte)).unwrap_or(text.len())
        }
        _ => 0,
    }
}
