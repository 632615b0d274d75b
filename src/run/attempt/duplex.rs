//! Tasks whose stages write to each other in a circle. prun keeps no end of their pipes; whether all are full for
//! a second is looked for from outside.

use std::time::Duration;

use crate::event::Time;
use crate::os::deadlock::{self, PipeId};
use crate::run::attempt::Process;

/// How often is looked.
const EVERY: Duration = Duration::from_millis(250);
/// After so many looks that found the same as the one before, nobody will ever read.
const ENOUGH: u32 = 4;

/// What fails a task whose pipes are jammed.
pub const DEADLOCKED: &str = "both ways are full: each waits for the other to read";

#[derive(Debug)]
pub struct Duplex {
    /// What each stage writes to.
    pipes: Vec<PipeId>,
    pub due: Time,
    /// What the pipes held when all were full.
    held: Vec<usize>,
    /// How many looks have found the same as the one before.
    same: u32,
}

impl Duplex {
    pub fn new(pipes: Vec<PipeId>, now: Time) -> Duplex {
        Duplex { pipes, due: now + EVERY, held: Vec::new(), same: 0 }
    }

    /// Whether the task's processes are jammed: all pipes were full for a second, and nothing was read.
    pub fn look(&mut self, processes: &[Process], now: Time) -> bool {
        self.due = now + EVERY;
        let live = processes.iter().zip(&self.pipes).map(|(process, pipe)| match process.exit {
            None => deadlock::bytes_in_full_stdout(process.pid, *pipe),
            Some(_) => None,
        });
        let held: Option<Vec<usize>> = live.collect();
        self.found(held.unwrap_or_default())
    }

    /// `held`: by each pipe; empty if one of them has room.
    fn found(&mut self, held: Vec<usize>) -> bool {
        self.same = if !held.is_empty() && held == self.held { self.same + 1 } else { 0 };
        self.held = held;
        self.same >= ENOUGH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jam_is_what_stays_the_same_for_a_second() {
        let mut duplex = Duplex::new(vec![(1, 1), (1, 2)], Time::ZERO);
        let full = || vec![65536, 65536];
        assert!((0..4).all(|_| !duplex.found(full())), "full since less than a second");
        assert!(duplex.found(full()));
        assert!(!duplex.found(vec![]), "one of them can write");
        assert!((0..4).all(|_| !duplex.found(full())));
        assert!(!duplex.found(vec![65536, 61440]), "something was read");
        assert!(!duplex.found(full()), "something was written");
    }
}
