//! What the poller's tokens mean.

use crate::event::{JobId, Place};
use crate::sched::TaskId;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    Signals,
    /// A writer or the disk thread has something to tell.
    Sinks,
    /// The reader of prun's stdout has gone.
    Stdout,
    /// The jobserver may have tokens.
    Tokens,
    /// Items may be read for this job.
    Items(JobId),
    /// What a leftover writes.
    Stray(u32),
    Reader(TaskId, usize),
    Feed(TaskId),
    /// What a task's probe writes.
    Probe(TaskId),
}

// A task's generation is never 0 and never the largest number, so the upper half tells tasks from the rest.
const OTHERS: u64 = 0;
const STRAYS: u64 = u32::MAX as u64;
/// The lower half of a task's token: its place, and which of its pipes.
const KIND_BITS: u32 = 8;
const FEED: u64 = (1 << KIND_BITS) - 1;
const PROBE: u64 = FEED - 1;
const FIRST_ITEMS: u64 = 16;

impl Token {
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
