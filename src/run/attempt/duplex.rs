//! Attempts whose stages write to each other in a circle. prun keeps no end of their pipes, so it finds out from outside
//! whether all processes have been blocked by full pipes for a second.

use std::time::Duration;

use crate::event::Time;
use crate::os::deadlock::{self, PipeId};
use crate::run::attempt::Process;

/// The interval of checks.
const EVERY: Duration = Duration::from_millis(250);
/// After this many checks that found the same as the one before, the processes are deadlocked.
const ENOUGH: u32 = 4;

/// The reason of the failure, for people.
pub const DEADLOCKED: &str = "both ways are full: each waits for the other to read";

/// The search for a deadlock of one attempt.
#[derive(Debug)]
pub struct Duplex {
    /// The pipe that each stage writes to.
    pipes: Vec<PipeId>,
    pub due: Time,
    /// Bytes in each pipe at the last check; empty if not all were full.
    held: Vec<usize>,
    /// The number of checks in a row that found the same as the one before.
    same: u32,
}

impl Duplex {
    pub fn new(pipes: Vec<PipeId>, now: Time) -> Duplex {
        Duplex { pipes, due: now + EVERY, held: Vec::new(), same: 0 }
    }

    /// Checks the pipes. True if the processes are deadlocked: all pipes were full for a second, and nothing was read.
    pub fn is_deadlocked(&mut self, processes: &[Process], now: Time) -> bool {
        self.due = now + EVERY;
        let live = processes.iter().zip(&self.pipes).map(|(process, pipe)| match process.exit {
            None => deadlock::bytes_in_full_stdout(process.pid, *pipe),
            Some(_) => None,
        });
        let held: Option<Vec<usize>> = live.collect();
        self.note(held.unwrap_or_default())
    }

    /// Notes how many bytes each pipe holds; `held` is empty if one of them has room.
    fn note(&mut self, held: Vec<usize>) -> bool {
        self.same = if !held.is_empty() && held == self.held { self.same + 1 } else { 0 };
        self.held = held;
        self.same >= ENOUGH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_pipes_that_stay_the_same_for_a_second_are_a_deadlock() {
        let mut duplex = Duplex::new(vec![(1, 1), (1, 2)], Time::ZERO);
        let full = || vec![65536, 65536];
        assert!((0..4).all(|_| !duplex.note(full())), "full since less than a second");
        assert!(duplex.note(full()));
        assert!(!duplex.note(vec![]), "one of them can write");
        assert!((0..4).all(|_| !duplex.note(full())));
        assert!(!duplex.note(vec![65536, 61440]), "something was read");
        assert!(!duplex.note(full()), "something was written");
    }
}
