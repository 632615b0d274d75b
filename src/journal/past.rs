//! The last outcome of each task in a journal.

use super::entry::{self, Damage, Verdict};
use crate::event::{Key, Known};

/// Tasks in a sorted list, which takes a third of the memory of a hash map.
#[derive(Debug, Default)]
pub struct Past {
    tasks: Vec<Task>,
}

/// One task in 24 bytes; with a `u128` it would take 48.
#[derive(Debug, Clone, Copy)]
struct Task {
    key: [u64; 2],
    nth: u32,
    verdict: Verdict,
}

impl Task {
    fn new(known: Known, verdict: Verdict) -> Task {
        let Known { key: Key(key), nth } = known;
        Task { key: [(key >> 64) as u64, key as u64], nth, verdict }
    }

    fn known(&self) -> ([u64; 2], u32) {
        (self.key, self.nth)
    }
}

impl Past {
    /// True if the task ended ok the last time.
    pub fn finished(&self, known: Known) -> bool {
        self.verdict(known) == Some(Verdict::Ok)
    }

    /// True if the task failed the last time.
    pub fn failed(&self, known: Known) -> bool {
        self.verdict(known) == Some(Verdict::Failure)
    }

    fn verdict(&self, known: Known) -> Option<Verdict> {
        let wanted = Task::new(known, Verdict::Neither).known();
        let at = self.tasks.binary_search_by_key(&wanted, Task::known).ok()?;
        Some(self.tasks[at].verdict)
    }

    /// Adds a line of the file. Call [`Past::build`] after the last one.
    pub(super) fn add(&mut self, line: &[u8]) -> Result<(), Damage> {
        entry::verdict(line, |known, verdict| self.tasks.push(Task::new(known, verdict)))
    }

    /// Sorts the tasks, and keeps the last outcome of each.
    pub(super) fn build(&mut self) {
        // The sort is stable, so of equal tasks that of the last line stays last.
        self.tasks.sort_by_key(Task::known);
        self.tasks.dedup_by(|later, kept| {
            let same = later.known() == kept.known();
            if same {
                *kept = *later;
            }
            same
        });
        self.tasks.shrink_to_fit();
    }
}
