//! Blocks that tasks are given while they come: so the bytes of a block, all but its end, can go from pipe to pipe within
//! the kernel, and none has to be kept.
//!
//! A task is started when much of its block is there. As soon as it runs, it is given what has come; before, the rest is
//! collected as that of other blocks. If it takes less than comes, the rest is collected as well, so that a slow task
//! keeps no other from its block.

use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::sync::Arc;

use super::stream::{PIECE, TURN};
use super::{BlockSource, Blocks, NextBlock};
use crate::plan::{Items, Job, MAX_RECORD, Plan};
use crate::run::block::{BegunBlock, Block, TaskBlock};
use crate::run::items::Pulled;

/// The next part of a block that a task has the beginning of.
pub enum Part {
    More(Block),
    /// It went straight into the given pipe.
    Spliced,
    /// The end of the block.
    Last(Option<Block>),
    /// Nothing more is there now.
    Wait,
    /// The task fails for this reason, and gets nothing more.
    Fault(Arc<str>),
}

/// True if tasks of the job may have a block before its end has come: no other attempt needs the same bytes, the time that a
/// task has does not pass while it waits for them, and nobody has asked that blocks with long records start no task.
pub(super) fn is_possible(plan: &Plan, job: &Job) -> bool {
    matches!(job.items, Items::Queue { .. })
        && job.retries.count == 0
        && job.timeout.is_none()
        && plan.throttle.memory_free.is_none()
        && plan.max_record >= MAX_RECORD
}

impl Blocks {
    /// Lets no task have a block before its end has come.
    pub fn collect(&mut self) {
        self.begins = false;
    }

    /// Returns the block that a running task is given while it comes.
    pub fn begun(&self) -> Option<&Rc<BegunBlock>> {
        self.begun.as_ref().filter(|begun| begun.taker().is_some())
    }

    /// Returns a block whose end has not come, for another task; or the answer to wait for the end of such a block.
    pub(super) fn pull_begun(&mut self) -> Option<Pulled> {
        if let Some(begun) = self.begun.clone() {
            if begun.taker().is_some() {
                return Some(Pulled::Wait);
            }
            match self.next_part(None, TURN) {
                Part::More(part) => {
                    begun.push(part);
                    return Some(Pulled::Again);
                }
                Part::Last(part) => part.into_iter().for_each(|part| begun.push(part)),
                Part::Fault(why) => begun.fail(why),
                Part::Spliced => {}
                Part::Wait => return Some(Pulled::Wait),
            }
        }
        if let Some(failure) = self.failure.take() {
            return Some(Pulled::Failed(failure));
        }
        if !self.begins || self.ended || !self.returned.is_empty() {
            return None;
        }
        let BlockSource::Stream(stream) = &mut self.source else { return None };
        let begun = Rc::<BegunBlock>::default();
        begun.push(stream.begin(&self.cutter)?);
        self.begun = Some(Rc::clone(&begun));
        self.tasks_left -= 1;
        Some(Pulled::Block(TaskBlock::Begun(begun)))
    }

    /// Returns more of the block that was begun, of about `most` bytes; or splices a part into the pipe `to`, which is
    /// `None` while bytes that were returned before are on their way. Then only big parts are returned, because each has a
    /// buffer of its own.
    pub fn next_part(&mut self, to: Option<BorrowedFd>, most: usize) -> Part {
        let BlockSource::Stream(stream) = &mut self.source else { return Part::Wait };
        let next = match to.and_then(|to| stream.splice(&self.cutter, to)) {
            Some(NextBlock::End) => {
                self.ended = true;
                Ok(NextBlock::End)
            }
            Some(next) => Ok(next),
            None => self.next_within(most),
        };
        let part = match next {
            Ok(NextBlock::Piece(block)) => return Part::More(block),
            Ok(NextBlock::Spliced) => return Part::Spliced,
            Ok(NextBlock::Wait | NextBlock::Again) => {
                let least = if to.is_some() { 1 } else { PIECE };
                return self.collected(least).map_or(Part::Wait, Part::More);
            }
            Ok(NextBlock::Block(block)) => Part::Last((block.length() > 0).then_some(block)),
            Ok(NextBlock::End) => Part::Last(None),
            Ok(NextBlock::TooLong(size)) => Part::Fault(self.oversize(size).to_string().into()),
            Err(failure) => {
                let why = failure.why.as_str().into();
                self.failure = Some(failure);
                Part::Fault(why)
            }
        };
        if let (Some(begun), Part::Last(_)) = (self.begun.take(), &part) {
            begun.complete();
        }
        part
    }

    /// Reads on in a block that nobody reads any more.
    pub fn skip_part(&mut self, most: usize) {
        if matches!(self.next_part(None, most), Part::Wait) {
            drop(self.collected(1));
        }
    }

    fn collected(&mut self, least: usize) -> Option<Block> {
        match &mut self.source {
            BlockSource::Stream(stream) => stream.collected(&self.cutter, least),
            BlockSource::File(_) => None,
        }
    }
}
