//! `env_file`: files of `NAME=VALUE` lines. A message names the line that is wrong and never shows a value.

use std::cell::Cell;
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::rc::Rc;

use nix::libc;

use crate::os;

/// The largest file that is read, in bytes. No environment can be larger: Linux takes 6 MiB with the arguments.
const LARGEST: u64 = 8 << 20;

/// Returns the variables of a file, in its order.
///
/// # Errors
/// When the file can't be read or is wrong. The text continues "env_file `x.env` …".
pub fn read(path: &Path) -> Result<Vec<(String, String)>, String> {
    let unreadable = |why: &io::Error| format!("can't be read: {}", os::errors::reason(why));
    // Without O_NONBLOCK, opening a named pipe would wait for a writer.
    let open = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = open.map_err(|why| unreadable(&why))?;
    let data = file.metadata().map_err(|why| unreadable(&why))?;
    match data.is_file() {
        true if data.len() > LARGEST => Err("is too large for an environment".to_owned()),
        true => parse(file),
        false => Err("is no plain file".to_owned()),
    }
}

fn parse(file: impl Read) -> Result<Vec<(String, String)>, String> {
    let line = Rc::new(Cell::new(0));
    let lines = CountedLines { file: BufReader::new(file), line: Rc::clone(&line), text: Vec::new(), at: 0 };
    let variables: Result<_, _> = dotenvy::Iter::new(lines).collect();
    variables.map_err(|why| message(why, line.get()))
}

/// Returns the text for an error. `line` is the last line that was read.
fn message(why: dotenvy::Error, line: usize) -> String {
    match why {
        // The error holds the text that is wrong. If a quote is not closed, that goes on to the last line read.
        dotenvy::Error::LineParse(text, _) => {
            let lines = text.lines().count().clamp(1, line.max(1));
            let place = match lines {
                1 => format!("line {line}"),
                _ => format!("the lines from {} to {line}", line + 1 - lines),
            };
            format!(
                "is wrong in {place}: expected NAME=VALUE; a value with blanks is quoted, and its quotes are closed"
            )
        }
        dotenvy::Error::Io(why) if why.kind() == io::ErrorKind::InvalidData => {
            format!("is wrong in line {line}: it is not UTF-8")
        }
        dotenvy::Error::Io(why) => format!("can't be read: {}", os::errors::reason(&why)),
        // The other errors are of looking up variables, which is not done here.
        _ => "can't be read".to_owned(),
    }
}

/// Hands out a file line by line, so that the number of the line that is being parsed is known. Each line ends with a
/// newline, also the last one. The byte order mark with which some editors begin a file is left out.
struct CountedLines<R> {
    file: BufReader<R>,
    /// Lines that were handed out, at least in part.
    line: Rc<Cell<usize>>,
    text: Vec<u8>,
    /// Bytes of `text` that were handed out.
    at: usize,
}

impl<R: Read> Read for CountedLines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.text.len() {
            self.text.clear();
            self.at = 0;
            if self.file.by_ref().take(LARGEST).read_until(b'\n', &mut self.text)? == 0 {
                return Ok(0);
            }
            if self.text.last() != Some(&b'\n') {
                self.text.push(b'\n');
            }
            if self.line.get() == 0 && self.text.starts_with(b"\xef\xbb\xbf") {
                self.at = 3;
            }
            self.line.set(self.line.get() + 1);
        }
        let left = &self.text[self.at..];
        let count = left.len().min(buffer.len());
        buffer[..count].copy_from_slice(&left[..count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<String> {
        parse(text.as_bytes()).unwrap().into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    fn wrong(text: &str) -> String {
        let why = parse(text.as_bytes()).unwrap_err();
        assert!(!why.contains("secret"), "{why}");
        why
    }

    #[test]
    fn lines_are_names_and_values() {
        assert_eq!(
            values("A=1\n\n# no\nexport B = two # comment\nC=x#y\nD=\n"),
            ["A=1", "B=two", "C=x#y", "D="]
        );
        assert_eq!(values("\u{feff}A=1\r\nB='2' \r\nC=3"), ["A=1", "B=2", "C=3"]);
        assert_eq!(values("C=3 "), ["C=3"]);
    }

    #[test]
    fn quotes_and_escapes() {
        assert_eq!(values(r#"A='a $B \n "x"'"#), [r#"A=a $B \n "x""#]);
        assert_eq!(values(r#"A="a\nb \"x\" \$B""#), ["A=a\nb \"x\" $B"]);
        assert_eq!(values(r"A=a\ b\\"), [r"A=a b\"]);
        assert_eq!(values("A='two\nlines'\nB=1"), ["A=two\nlines", "B=1"]);
    }

    #[test]
    fn variables_are_put_in() {
        assert_eq!(
            values("A=1\nB=${A}-${A}2\nC=\"${A}\"\nD='${A}'\nE=<${NO_SUCH_VARIABLE}>")[1..],
            ["B=1-12", "C=1", "D=${A}", "E=<>"]
        );
    }

    #[test]
    fn what_is_wrong_is_told_by_its_line_and_without_values() {
        assert!(wrong("A=1\n\n# x\nsecret\nB=2\n").starts_with("is wrong in line 4: expected NAME=VALUE"));
        assert!(wrong("A=1\nB=secret secret\n").starts_with("is wrong in line 2: "));
        assert!(wrong("1A=secret\n").starts_with("is wrong in line 1: "));
        assert!(wrong("A=1\nB=\"secret\nC=1\n").starts_with("is wrong in the lines from 2 to 3: "));
        assert!(wrong("A=1\nB='a\nb'\nsecret\n").starts_with("is wrong in line 4: "));
        assert!(wrong(r"A=\xsecret").starts_with("is wrong in line 1: "));
        let why = parse(&b"A=1\nB=\xff\n"[..]).unwrap_err();
        assert_eq!(why, "is wrong in line 2: it is not UTF-8");
    }
}
