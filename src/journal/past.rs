//! What a journal says: how each task ended last.

use super::entry::{self, Damage, Verdict};
use crate::event::{Key, Known};

/// Sorted, because that takes a third of the memory of a hash map.
#[derive(Debug, Default)]
pub struct Past {
    tasks: Vec<Mark>,
}

/// One task, in 24 bytes: a `u128` would make it 48.
#[derive(Debug, Clone, Copy)]
struct Mark {
    key: [u64; 2],
    nth: u32,
    verdict: Verdict,
}

impl Mark {
    fn new(known: Known, verdict: Verdict) -> Mark {
        let Known { key: Key(key), nth } = known;
        Mark { key: [(key >> 64) as u64, key as u64], nth, verdict }
    }

    fn known(&self) -> ([u64; 2], u32) {
        (self.key, self.nth)
    }
}

impl Past {
    /// It ended ok, last time.
    pub fn finished(&self, known: Known) -> bool {
        self.verdict(known) == Some(Verdict::Ok)
    }

    /// It ended with a failure, last time.
    pub fn failed(&self, known: Known) -> bool {
        self.verdict(known) == Some(Verdict::Failure)
    }

    fn verdict(&self, known: Known) -> Option<Verdict> {
        let wanted = Mark::new(known, Verdict::Neither).known();
        let at = self.tasks.binary_search_by_key(&wanted, Mark::known).ok()?;
        Some(self.tasks[at].verdict)
    }

    /// One more line, as it stands in the file.
    pub(super) fn add(&mut self, line: &[u8]) -> Result<(), Damage> {
        entry::verdict(line, |known, verdict| self.tasks.push(Mark::new(known, verdict)))
    }

    /// All lines were added: of each task only the last one counts.
    pub(super) fn settle(&mut self) {
        // Stable, so that of equal ones the last line's stays the last.
        self.tasks.sort_by_key(Mark::known);
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
