//! The mark by which prun recognises the processes of a task: a number that the kernel keeps for each
//! process.
//!
//! A process can leave its group and its session, be adopted by another one, change its name and clear its
//! environment. It inherits its resource limits through fork, exec, setsid and setuid, and has no reason to
//! change this one: a child's first call sets its soft RLIMIT_RTTIME (getrlimit(2)) to a huge number that
//! names the run and the start. The limit has no effect without a real-time schedule, and everybody can read
//! it in `/proc/PID/limits`.
//!
//! | bits | content |
//! |---|---|
//! | 62 | set in every mark |
//! | 61 | set for a guardian, which ends by itself (see [`super::guardian`]) |
//! | 27 to 60 | the run, a random number |
//! | 0 to 26 | the start, counted within the run |
//!
//! The tasks of an inner prun, which is itself a task, carry the inner run's marks; the inner prun carries
//! the outer run's.

use std::fmt;

/// The mark of one start of one run.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark(u64);

/// The part of a mark that tells runs apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunMark(u64);

const MARK: u64 = 1 << 62;
const GUARDIAN: u64 = 1 << 61;
const RUN_BITS: u32 = 34;
const NUMBER_BITS: u32 = 27;

impl RunMark {
    /// Makes the mark of a run from the lower 34 bits of a random number.
    pub fn new(random: u64) -> RunMark {
        RunMark(random & ((1 << RUN_BITS) - 1))
    }

    pub fn number(self) -> u64 {
        self.0
    }
}

impl Mark {
    /// Makes the mark of a start. Starts are numbered from 1; after 2^27 of them the numbers begin again.
    pub fn new(run: RunMark, number: u32) -> Mark {
        Mark(MARK | run.0 << NUMBER_BITS | u64::from(number) & ((1 << NUMBER_BITS) - 1))
    }

    /// Returns the mark in a soft RLIMIT_RTTIME, or `None` if it is an ordinary limit.
    pub fn from_limit(soft: u64) -> Option<Mark> {
        (soft >> 62 == 1).then_some(Mark(soft))
    }

    /// Returns the value to set the soft RLIMIT_RTTIME to.
    pub fn limit(self) -> u64 {
        self.0
    }

    pub fn run(self) -> RunMark {
        RunMark::new(self.0 >> NUMBER_BITS)
    }

    pub fn number(self) -> u32 {
        (self.0 & ((1 << NUMBER_BITS) - 1)) as u32
    }

    /// Returns the mark for the guardian of a prun that carries this mark.
    pub fn for_guardian(self) -> Mark {
        Mark(self.0 | GUARDIAN)
    }

    /// True for the mark of a guardian, which ends by itself once everything that it guards has gone.
    pub fn is_guardian(self) -> bool {
        self.0 & GUARDIAN != 0
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Mark({:x}, {}, {})", self.run().0, self.number(), self.is_guardian())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_holds_its_parts() {
        let run = RunMark::new(u64::MAX - 5);
        let mark = Mark::new(run, 77);
        assert_eq!(Mark::from_limit(mark.limit()), Some(mark));
        assert_eq!((mark.run(), mark.number(), mark.is_guardian()), (run, 77, false));
        let guardian = mark.for_guardian();
        assert_eq!((guardian.run(), guardian.number(), guardian.is_guardian()), (run, 77, true));
        assert_ne!(guardian, mark);
        assert_eq!(Mark::from_limit(u64::MAX), None, "no limit");
        assert_eq!(Mark::from_limit(1_000_000), None, "a limit of one second");
    }
}
