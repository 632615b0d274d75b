//! Reads a journal without its lock, also while a run writes it.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use super::contents::Contents;
use super::entry::{self, Entry, Verdict};
use super::scan;
use crate::event::Known;
use crate::os::errors::reason;
use crate::os::files::open_input;

/// The contents of a journal when it was opened. The lines are read again at each use: there may be millions.
#[derive(Debug)]
pub struct History {
    file: File,
    len: u64,
    /// True for each line that is the last one of a task.
    last: Vec<bool>,
    /// The number of tasks that failed and ended ok later.
    pub repaired: u64,
    /// Descriptions of the ignored lines, for people.
    pub damaged_lines: Vec<String>,
}

impl History {
    pub fn open(path: &Path) -> Result<History, String> {
        let failed = |error: io::Error| format!("could not read `{}`: {}", path.display(), reason(&error));
        let file = open_input(path).and_then(seekable).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        let mut history = History { file, len, last: Vec::new(), repaired: 0, damaged_lines: Vec::new() };
        let contents = history.bytes().and_then(Contents::read).map_err(failed)?;
        if !contents.is_journal {
            return Err(format!("`{}` is no journal", path.display()));
        }
        history.damaged_lines = contents.damaged_lines();
        history.find_last_lines().map_err(failed)?;
        Ok(history)
    }

    /// Calls `each` with every entry in turn, and with true if it is the last one of a task.
    pub fn entries(&self, mut each: impl FnMut(Entry, bool)) -> io::Result<()> {
        let line = |number: u64, line: &[u8]| {
            if let Ok(entry) = Entry::parse(line) {
                each(entry, self.last.get(number as usize - 1).is_some_and(|last| *last));
            }
        };
        scan::lines(self.bytes()?, line).map(drop)
    }

    fn bytes(&self) -> io::Result<impl io::BufRead> {
        (&self.file).rewind()?;
        // Lines that are appended from now on do not belong to this history.
        Ok(BufReader::with_capacity(1 << 20, (&self.file).take(self.len)))
    }

    fn find_last_lines(&mut self) -> io::Result<()> {
        let (mut verdicts, mut seen) = (Vec::new(), Vec::new());
        scan::lines(self.bytes()?, |number, line| {
            let mut of_line = Verdict::Neither;
            // Damaged lines were reported when the file was opened.
            let _ = entry::verdict(line, |known, verdict| {
                seen.push(Seen::new(known, number as u32 - 1));
                of_line = verdict;
            });
            verdicts.push(of_line);
        })?;
        seen.sort_unstable();
        self.last = vec![false; verdicts.len()];
        for lines in seen.chunk_by(|a, b| a.task == b.task) {
            let Some((last, earlier)) = lines.split_last() else { continue };
            self.last[last.line as usize] = true;
            let verdict = |seen: &Seen| verdicts[seen.line as usize];
            let failed_before = earlier.iter().any(|seen| verdict(seen) == Verdict::Failure);
            self.repaired += u64::from(failed_before && verdict(last) == Verdict::Ok);
        }
        Ok(())
    }
}

/// A task and the number from 0 of a line about it, in a compact form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    task: ([u64; 2], u32),
    line: u32,
}

impl Seen {
    fn new(known: Known, line: u32) -> Seen {
        Seen { task: ([(known.key.0 >> 64) as u64, known.key.0 as u64], known.nth), line }
    }
}

/// Returns the file, or a copy of what comes through a pipe, which could be read only once.
fn seekable(mut file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    let mut copy = crate::os::files::temporary()?;
    io::copy(&mut file, &mut copy)?;
    Ok(copy)
}
