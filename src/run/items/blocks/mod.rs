//! Blocks: stdin or a file, cut for the standard input of tasks (`prun exec --pipe`). Each is cut when it is wanted.
//!
//! Bytes that come through a pipe are collected in memory, block by block ([`stream`]); or a task starts with the first
//! bytes of its block and is given the others while they come ([`begun`]). In a regular file only the ends
//! of blocks are searched; its bytes go from the file to the tasks within the kernel ([`mod@file`]).

use std::fs::File;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use crate::event::StartFailure;
use crate::flow::blocks::{Cutter, Shape};
use crate::os;
use crate::plan::{
    Batch, Bound, Input, Item, Items, Job, Oversize, Plan, Queue, Stdin, Unit, items as plan_items,
};
use crate::run::block::{BegunBlock, Block, TaskBlock};
use crate::run::items::{self, Pulled};
use crate::sched::TaskId;

pub mod begun;
#[cfg(test)]
mod begun_tests;
pub mod file;
pub mod stream;

use file::FileBlocks;
use stream::{StreamBlocks, TURN};

/// The answer to a request for a block.
pub enum NextBlock {
    /// A block, or the rest of one.
    Block(Block),
    /// The beginning of a block; the rest is for the same task.
    Piece(Block),
    /// A part of a block went straight into the given pipe; the rest is for the same task.
    Spliced,
    /// Nothing is there now.
    Wait,
    /// There is more to be searched in the next turn of the loop.
    Again,
    /// A block was skipped, because one of its records is too long: it has this many bytes.
    TooLong(u64),
    End,
}

/// Returns the queue that the job reads, and the input that is read into it, if there is one.
pub fn input_of<'a>(plan: &'a Plan, job: &Job) -> Option<(&'a Queue, &'a Input)> {
    let queue = match (&job.items, &job.stages[0].stdin) {
        (Items::Queue { queue, .. }, _) | (_, Stdin::Queue { queue, .. }) => &plan.queues[*queue],
        _ => return None,
    };
    Some((queue, queue.input.as_ref()?))
}

/// The input of a job, cut into blocks.
pub struct Blocks {
    /// The number of tasks that may still be given a first block.
    tasks_left: u64,
    cutter: Cutter,
    /// The most bytes of a record.
    most: usize,
    /// The number of blocks so far.
    blocks: u64,
    source: BlockSource,
    /// The input's name in messages.
    name: String,
    /// The task that has a part of the next block, and gets its rest.
    taker: Option<TaskId>,
    /// Blocks that their task did not take.
    returned: Vec<Block>,
    /// True once the end was read, reading has failed, or nobody wants more.
    ended: bool,
    /// The block of which a task has the beginning, or will have.
    begun: Option<Rc<BegunBlock>>,
    /// True if a task may have a block before its end has come.
    begins: bool,
    /// Why reading failed within that block; for the next pull.
    failure: Option<StartFailure>,
}

enum BlockSource {
    File(FileBlocks),
    Stream(StreamBlocks),
}

impl Blocks {
    /// Opens the input of a job that has one ([`input_of`]).
    ///
    /// # Errors
    /// When the input can't be opened. For people.
    pub fn open(plan: &Plan, job: &Job) -> Result<Blocks, StartFailure> {
        let Some((queue, input)) = input_of(plan, job) else { unreachable!("the job reads blocks") };
        let (name, opened) = items::open(input);
        let source = opened.and_then(|fd| BlockSource::new(fd, input));
        let source = source.map_err(|error| unreadable(&name, &error))?;
        let tasks_left = plan_items::known_total(&job.items, &Batch::One).unwrap_or(u64::MAX);
        Ok(Blocks {
            tasks_left,
            cutter: Cutter::new(shape(queue), plan.max_record),
            most: plan.max_record,
            blocks: 0,
            source,
            name,
            taker: None,
            returned: Vec::new(),
            ended: false,
            begun: None,
            begins: begun::is_possible(plan, job),
            failure: None,
        })
    }

    /// Returns the descriptor that is readable when [`NextBlock::Wait`] is over.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.source {
            BlockSource::File(_) => None,
            BlockSource::Stream(stream) => Some(stream.fd()),
        }
    }

    /// Returns the first block of another task.
    pub fn pull(&mut self) -> Pulled {
        if self.tasks_left == 0 {
            return Pulled::End;
        }
        if let Some(pulled) = self.pull_begun() {
            return pulled;
        }
        match self.next_block() {
            Ok(NextBlock::Block(block)) => {
                self.tasks_left -= 1;
                Pulled::Block(TaskBlock::Whole(block))
            }
            Ok(NextBlock::TooLong(size)) => {
                self.tasks_left -= 1;
                let item = Item { columns: Vec::new(), oversize: Some(Box::new(self.oversize(size))) };
                Pulled::Items { items: Rc::new(vec![item]), names: Arc::default(), known: Vec::new() }
            }
            Ok(NextBlock::Wait) => Pulled::Wait,
            Ok(NextBlock::Again) => Pulled::Again,
            Ok(_) => Pulled::End,
            Err(failure) => Pulled::Failed(failure),
        }
    }

    /// Describes the record of the last block, of this many bytes.
    pub fn oversize(&self, size: u64) -> Oversize {
        Oversize { number: self.blocks, size, most: self.most, bound: Bound::RecordOfBlock }
    }

    /// Returns the next block, or the rest of one.
    ///
    /// # Errors
    /// When reading fails, once: the input counts as ended afterwards. For people.
    pub fn next_block(&mut self) -> Result<NextBlock, StartFailure> {
        self.next_within(TURN)
    }

    /// Returns the next block, or the rest of one, and reads up to `most` bytes for it.
    fn next_within(&mut self, most: usize) -> Result<NextBlock, StartFailure> {
        if let Some(block) = self.returned.pop() {
            return Ok(NextBlock::Block(block));
        }
        if self.ended {
            return Ok(NextBlock::End);
        }
        let next = match &mut self.source {
            BlockSource::File(file) => file.next(&mut self.cutter),
            BlockSource::Stream(stream) => stream.collect(&mut self.cutter, most),
        };
        self.ended = !matches!(
            next,
            Ok(NextBlock::Block(_)
                | NextBlock::Piece(_)
                | NextBlock::Spliced
                | NextBlock::Wait
                | NextBlock::Again
                | NextBlock::TooLong(_))
        );
        self.blocks += u64::from(matches!(next, Ok(NextBlock::Block(_) | NextBlock::TooLong(_))));
        next.map_err(|error| unreadable(&self.name, &error))
    }

    /// Returns the next block as [`Blocks::next_block`] does, or splices a part of it into the pipe `to` while it
    /// still comes.
    pub fn next_or_splice(&mut self, to: BorrowedFd) -> Result<NextBlock, StartFailure> {
        if let BlockSource::Stream(stream) = &mut self.source
            && self.tasks_left == 0
            && self.returned.is_empty()
            && !self.ended
            && let Some(next) = stream.splice(&self.cutter, to)
        {
            self.ended = matches!(next, NextBlock::End);
            return Ok(next);
        }
        self.next_block()
    }

    /// Returns the task that has a part of the next block, and must be given its rest.
    pub fn taker(&self) -> Option<TaskId> {
        match &self.source {
            BlockSource::Stream(stream) if stream.is_within_block() => self.taker,
            _ => None,
        }
    }

    /// Sets the task that has a part of the next block.
    pub fn set_taker(&mut self, taker: TaskId) {
        self.taker = Some(taker);
    }

    /// Takes back a block of which its task read nothing: another may have it.
    pub fn give_back(&mut self, block: Block) {
        self.returned.push(block);
    }

    /// Gives up the rest, because nobody is going to read it.
    pub fn abandon(&mut self) {
        self.ended = true;
        self.returned.clear();
    }

    /// True if a part of the input is left, although no other task will be started for it.
    pub fn has_left_over(&self) -> bool {
        self.tasks_left == 0 && !(self.ended && self.returned.is_empty())
    }
}

fn unreadable(name: &str, error: &std::io::Error) -> StartFailure {
    // Blocks are the input of tasks, which then can't start. Only a record without an end is a mistake of the caller.
    let code = if error.kind() == std::io::ErrorKind::InvalidData { 125 } else { 126 };
    StartFailure { code, why: format!("could not read {name}: {}", os::errors::reason(error)) }
}

fn shape(queue: &Queue) -> Shape {
    let records = &queue.records;
    let (bytes, count) = records.block.map_or((1, 1), |block| (block.bytes, block.records));
    match &records.unit {
        Unit::Ends(end) => Shape::new(end, b"", records.per_record, bytes, count),
        Unit::Between { end, start } => Shape::new(end, start, records.per_record, bytes, count),
        Unit::Starts(_) | Unit::Bytes(_) => {
            unreachable!("only `prun exec --pipe` has an input, and no such units")
        }
    }
}

impl BlockSource {
    fn new(fd: OwnedFd, input: &Input) -> std::io::Result<BlockSource> {
        let file = File::from(fd);
        let data = file.metadata()?;
        // Files of /proc have bytes, but their size is 0.
        if data.is_file() && data.len() > 0 {
            let path = match input {
                Input::Stdin => None,
                Input::File(path) => Some(path.clone()),
            };
            return FileBlocks::new(file, path, data.len()).map(BlockSource::File);
        }
        StreamBlocks::new(file).map(BlockSource::Stream)
    }
}
