//! What stands in a journal, whatever its bytes: the past, and the lines that count as not there.

use std::io::{self, BufRead};

use super::entry::{Damage, MAGIC};
use super::past::Past;
use super::scan::{self, Scanned};

/// Numbers of damaged lines that are told; of more only how many.
const NUMBERS: usize = 5;

#[derive(Debug, Default)]
pub struct Found {
    pub past: Past,
    pub scanned: Scanned,
    /// It is empty, or at least one thing in it was written by prun. Somebody's data is none, and stays as it is.
    pub is_journal: bool,
    damaged: Numbers,
    /// Whole, but in words that this version does not know.
    foreign: Numbers,
}

impl Found {
    pub fn read(from: impl BufRead) -> io::Result<Found> {
        let mut found = Found::default();
        let scanned = scan::lines(from, |number, line| found.line(number, line))?;
        found.is_journal |= scanned.whole == 0 && begins_a_line(&scanned.tail);
        found.scanned = scanned;
        found.past.settle();
        Ok(found)
    }

    fn line(&mut self, number: u64, line: &[u8]) {
        let added = self.past.add(line);
        self.is_journal |= added.is_ok() || number == 1 && line.starts_with(MAGIC);
        match added {
            Ok(()) => {}
            Err(Damage::Sum) => self.damaged.add(number),
            Err(Damage::Words) => self.foreign.add(number),
        }
    }

    /// What counts as not there, for people.
    pub fn wounds(&self) -> Vec<String> {
        let torn = self.scanned.torn;
        let torn = (torn > 0).then(|| format!("its last line was cut short after {torn} bytes"));
        self.damaged_lines().into_iter().chain(torn).collect()
    }

    /// The same, but for a last line that may be about to be written.
    pub fn damaged_lines(&self) -> Vec<String> {
        let damaged = self.damaged.told("damaged");
        let foreign = self.foreign.told("of another version of prun");
        damaged.into_iter().chain(foreign).collect()
    }
}

/// What a first line leaves that was cut short; zeros are what a loss of power can leave of it.
fn begins_a_line(tail: &[u8]) -> bool {
    tail.starts_with(MAGIC) || MAGIC.starts_with(tail) || tail.iter().all(|&byte| byte == 0)
}

/// The first numbers of lines, and how many more there were.
#[derive(Debug, Default)]
struct Numbers {
    first: Vec<u64>,
    more: u64,
}

impl Numbers {
    fn add(&mut self, number: u64) {
        if self.first.len() < NUMBERS {
            self.first.push(number);
        } else {
            self.more += 1;
        }
    }

    /// `line 3 is damaged`, `lines 3, 7 are damaged`, `lines 1, 2, 3, 4, 5 and 12 more are damaged`.
    fn told(&self, what: &str) -> Option<String> {
        let numbers: Vec<String> = self.first.iter().map(u64::to_string).collect();
        let more = if self.more > 0 { format!(" and {} more", self.more) } else { String::new() };
        let (lines, are) = if self.first.len() == 1 { ("line", "is") } else { ("lines", "are") };
        (!numbers.is_empty()).then(|| format!("{lines} {}{more} {are} {what}", numbers.join(", ")))
    }
}
