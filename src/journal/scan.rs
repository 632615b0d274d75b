//! The lines of a journal, whatever its bytes.

use std::io::{self, BufRead, Read};

/// No journal has a longer line; another file may, and is not to fill the memory.
const LONGEST: u64 = 64 << 20;

/// What there was beside lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Bytes of all lines that end with a newline.
    pub whole: u64,
    /// Bytes that follow.
    pub torn: u64,
    /// How those begin.
    pub tail: Vec<u8>,
}

/// Calls `each` with every line that ends with a newline, without it, and its number from 1. Of a line that is
/// too long to be one only the beginning is given.
pub fn lines(mut from: impl BufRead, mut each: impl FnMut(u64, &[u8])) -> io::Result<Scanned> {
    let mut scanned = Scanned::default();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let mut read = from.by_ref().take(LONGEST).read_until(b'\n', &mut line)? as u64;
        let mut ended = line.last() == Some(&b'\n');
        if read == LONGEST && !ended {
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

/// Passes over the rest of a line that is too long.
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
