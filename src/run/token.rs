//! The tokens of the poller: which descriptor of the run is ready, packed into 64 bits.

use nix::errno::Errno;

use crate::event::{JobId, Place};
use crate::os::poller;
use crate::sched::{Event, TaskId};

/// A descriptor that the poller watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// The pipe of the signal handlers.
    Signals,
    /// The waker of the writers and the disk thread.
    Sinks,
    /// prun's stdout, which reports only that its reader has gone.
    Stdout,
    /// The jobserver.
    Tokens,
    /// The input of a job's items.
    Items(JobId),
    /// A pipe that a leftover writes to.
    Stray(u32),
    /// A pipe that a task writes to, by the index of its reader.
    Reader(TaskId, usize),
    /// A pipe that a task reads.
    Feed(TaskId),
    /// The stderr of a task's probe.
    Probe(TaskId),
}

// The upper half is the generation of a task. That is never 0 and never the largest number, so these two values are free
// for other descriptors.
const OTHERS: u64 = 0;
const STRAYS: u64 = u32::MAX as u64;
/// The lower half of a task's token is its place, and in the lowest bits the kind of its pipe.
const KIND_BITS: u32 = 8;
const FEED: u64 = (1 << KIND_BITS) - 1;
const PROBE: u64 = FEED - 1;
const FIRST_ITEMS: u64 = 16;

impl Token {
    /// Returns the number that the poller keeps.
    pub fn pack(self) -> u64 {
        let of_task = |id: TaskId, kind: u64| {
            u64::from(id.generation) << 32 | (u64::from(id.place.0) << KIND_BITS | kind) & 0xFFFF_FFFF
        };
        match self {
            Token::Signals => 0,
            Token::Sinks => 1,
            Token::Stdout => 2,
            Token::Tokens => 3,
            Token::Items(job) => FIRST_ITEMS + job.index() as u64,
            Token::Stray(stray) => STRAYS << 32 | u64::from(stray),
            Token::Reader(id, at) => of_task(id, at as u64),
            Token::Feed(id) => of_task(id, FEED),
            Token::Probe(id) => of_task(id, PROBE),
        }
    }

    /// Returns what follows if the descriptor can't be watched: the failure of its task, or, if it is prun's own, of the
    /// run.
    pub fn unwatched(self, errno: Errno) -> Event {
        let why = poller::reason(errno);
        match self {
            Token::Reader(task, _) => {
                Event::Fault { task, why: format!("prun could not wait for its output: {why}").into() }
            }
            Token::Feed(task) => {
                Event::Fault { task, why: format!("prun could not wait to write its input: {why}").into() }
            }
            Token::Probe(task) => Event::Fault {
                task,
                why: format!("prun could not wait for its `ready` command: {why}").into(),
            },
            _ => Event::Broken(format!("prun could not wait for one of its own descriptors: {why}")),
        }
    }

    /// Returns the token of a number that [`Token::pack`] has returned.
    pub fn unpack(token: u64) -> Token {
        let (upper, lower) = (token >> 32, token & 0xFFFF_FFFF);
        match (upper, lower) {
            (OTHERS, 0) => Token::Signals,
            (OTHERS, 1) => Token::Sinks,
            (OTHERS, 2) => Token::Stdout,
            (OTHERS, 3) => Token::Tokens,
            (OTHERS, job) => Token::Items(JobId((job - FIRST_ITEMS) as usize)),
            (STRAYS, stray) => Token::Stray(stray as u32),
            (generation, rest) => {
                let id = TaskId { place: Place((rest >> KIND_BITS) as u32), generation: generation as u32 };
                match rest & FEED {
                    FEED => Token::Feed(id),
                    PROBE => Token::Probe(id),
                    at => Token::Reader(id, at as usize),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_they_were() {
        let id = TaskId { place: Place(70_000), generation: 9 };
        let all = [
            Token::Signals,
            Token::Sinks,
            Token::Stdout,
            Token::Tokens,
            Token::Items(JobId(3)),
            Token::Stray(7),
            Token::Reader(id, 2),
            Token::Feed(id),
            Token::Probe(id),
        ];
        for token in all {
            assert_eq!(Token::unpack(token.pack()), token);
        }
    }
}
