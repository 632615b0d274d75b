//! The contents of a journal, whatever its bytes: the outcomes, and the lines that are ignored.

use std::io::{self, BufRead};

use super::entry::{Damage, MAGIC};
use super::past::Past;
use super::scan::{self, Scanned};

/// The number of damaged lines whose numbers are reported. Further ones are only counted.
const MAX_NUMBERS: usize = 5;

#[derive(Debug, Default)]
pub struct Contents {
    pub past: Past,
    pub scanned: Scanned,
    /// True if the file is empty, or if at least one thing in it was written by prun. A file of other data is
    /// left as it is.
    pub is_journal: bool,
    damaged: Numbers,
    /// Lines with a right checksum that this version does not understand.
    foreign: Numbers,
}

impl Contents {
    pub fn read(from: impl BufRead) -> io::Result<Contents> {
        let mut contents = Contents::default();
        let scanned = scan::lines(from, |number, line| contents.line(number, line))?;
        contents.is_journal |= scanned.whole == 0 && begins_a_line(&scanned.tail);
        contents.scanned = scanned;
        contents.past.build();
        Ok(contents)
    }

    fn line(&mut self, number: u64, line: &[u8]) {
        let added = self.past.add(line);
        self.is_journal |= added.is_ok() || number == 1 && line.starts_with(MAGIC);
        match added {
            Ok(()) => {}
            Err(Damage::Checksum) => self.damaged.add(number),
            Err(Damage::Content) => self.foreign.add(number),
        }
    }

    /// Describes everything that is ignored, for people.
    pub fn ignored(&self) -> Vec<String> {
        let torn = self.scanned.torn;
        let torn = (torn > 0).then(|| format!("its last line was cut short after {torn} bytes"));
        self.damaged_lines().into_iter().chain(torn).collect()
    }

    /// Describes the ignored lines, without a partial last line, which another run may be writing just now.
    pub fn damaged_lines(&self) -> Vec<String> {
        let damaged = self.damaged.describe("damaged");
        let foreign = self.foreign.describe("of another version of prun");
        damaged.into_iter().chain(foreign).collect()
    }
}

/// True if this is the rest of a first line that was cut short. After a loss of power it may consist of
/// zeros.
fn begins_a_line(tail: &[u8]) -> bool {
    tail.starts_with(MAGIC) || MAGIC.starts_with(tail) || tail.iter().all(|&byte| byte == 0)
}

/// The numbers of the first lines, and how many more there were.
#[derive(Debug, Default)]
struct Numbers {
    first: Vec<u64>,
    more: u64,
}

impl Numbers {
    fn add(&mut self, number: u64) {
        if self.first.len() < MAX_NUMBERS {
            self.first.push(number);
        } else {
            self.more += 1;
        }
    }

    /// Describes them: `line 3 is damaged`, `lines 3, 7 are damaged`, `lines 1, 2, 3, 4, 5 and 12 more are
    /// damaged`.
    fn describe(&self, what: &str) -> Option<String> {
        let numbers: Vec<String> = self.first.iter().map(u64::to_string).collect();
        let more = if self.more > 0 { format!(" and {} more", self.more) } else { String::new() };
        let (lines, are) = if self.first.len() == 1 { ("line", "is") } else { ("lines", "are") };
        (!numbers.is_empty()).then(|| format!("{lines} {}{more} {are} {what}", numbers.join(", ")))
    }
}
