//! Splits a file into the lines of a journal, whatever its bytes.

use std::io::{self, BufRead, Read};

/// No line of a journal is longer, in bytes. A line of some other file may be, and must not fill the memory.
const MAX_LINE: u64 = 64 << 20;

/// The parts of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Bytes of all lines that end with a newline.
    pub whole: u64,
    /// Bytes after the last newline.
    pub torn: u64,
    /// The beginning of those bytes.
    pub tail: Vec<u8>,
}

/// Calls `each` with the number, from 1, and the text of every line that ends with a newline. Of a line that
/// is longer than any line of a journal only the beginning is passed.
pub fn lines(mut from: impl BufRead, mut each: impl FnMut(u64, &[u8])) -> io::Result<Scanned> {
    let mut scanned = Scanned::default();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let mut read = from.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? as u64;
        let mut ended = line.last() == Some(&b'\n');
        if read == MAX_LINE && !ended {
            read += rest_of_line(&mut from, &mut ended)?;
        } else if ended {
            line.pop();
        }
        if !ended {
            line.truncate(super::entry::MAGIC.len());
            (scanned.torn, scanned.tail) = (read, line);
            break;
        }
        scanned.whole += read;
        each(number, &line);
    }
    Ok(scanned)
}

/// Skips the rest of a line that is too long. Returns the number of bytes.
fn rest_of_line(from: &mut impl BufRead, ended: &mut bool) -> io::Result<u64> {
    let mut passed = 0;
    loop {
        let buffer = from.fill_buf()?;
        let end = memchr::memchr(b'\n', buffer);
        let used = end.map_or(buffer.len(), |at| at + 1);
        let over = buffer.is_empty() || end.is_some();
        from.consume(used);
        passed += used as u64;
        if over {
            *ended = end.is_some();
            return Ok(passed);
        }
    }
}
