//! What a task's processes are known by, whatever they do to hide: a mark that the kernel carries.
//!
//! A process can leave its group and its session, be adopted by another, change its name and wipe its environment.
//! What it inherits through fork, exec, setsid and setuid, and has no reason to touch, are its resource limits. So
//! a child's first call sets its soft RLIMIT_RTTIME (getrlimit(2)), which without a real-time schedule means
//! nothing, to a huge number that names the run and the start; everybody can read it in `/proc/PID/limits`.
//!
//! | bits | what |
//! |---|---|
//! | 62 | set: this is a mark |
//! | 61 | a guardian's, which ends by itself (see [`super::guardian`]) |
//! | 27 to 60 | the run, a random number |
//! | 0 to 26 | the start, counted within the run |
//!
//! The tasks of a prun that is itself a task carry the inner run's marks; the inner prun carries the outer run's.

use std::fmt;

/// Of one start of one run.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark(u64);

/// Tells runs apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunMark(u64);

const MARK: u64 = 1 << 62;
const GUARDIAN: u64 = 1 << 61;
const RUN_BITS: u32 = 34;
const NUMBER_BITS: u32 = 27;

impl RunMark {
    /// Of any number; only some of its bits count.
    pub fn new(random: u64) -> RunMark {
        RunMark(random & ((1 << RUN_BITS) - 1))
    }

    pub fn number(self) -> u64 {
        self.0
    }
}

impl Mark {
    /// `number`: of the start, from 1. After 2^27 of them they begin again.
    pub fn new(run: RunMark, number: u32) -> Mark {
        Mark(MARK | run.0 << NUMBER_BITS | u64::from(number) & ((1 << NUMBER_BITS) - 1))
    }

    /// The mark that a soft RLIMIT_RTTIME is, if it is one.
    pub fn of_limit(soft: u64) -> Option<Mark> {
        (soft >> 62 == 1).then_some(Mark(soft))
    }

    /// What the soft RLIMIT_RTTIME is set to.
    pub fn limit(self) -> u64 {
        self.0
    }

    pub fn run(self) -> RunMark {
        RunMark::new(self.0 >> NUMBER_BITS)
    }

    pub fn number(self) -> u32 {
        (self.0 & ((1 << NUMBER_BITS) - 1)) as u32
    }

    /// The same, for the guardian of a prun that has this mark.
    pub fn of_guardian(self) -> Mark {
        Mark(self.0 | GUARDIAN)
    }

    /// It ends by itself, once all that it guards has gone.
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
        assert_eq!(Mark::of_limit(mark.limit()), Some(mark));
        assert_eq!((mark.run(), mark.number(), mark.is_guardian()), (run, 77, false));
        let guardian = mark.of_guardian();
        assert_eq!((guardian.run(), guardian.number(), guardian.is_guardian()), (run, 77, true));
        assert_ne!(guardian, mark);
        assert_eq!(Mark::of_limit(u64::MAX), None, "no limit");
        assert_eq!(Mark::of_limit(1_000_000), None, "a limit of one second");
    }
}
