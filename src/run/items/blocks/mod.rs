//! Blocks: stdin or a file, cut for the standard input of tasks (`prun exec --pipe`). Each is cut when it is wanted.
//!
//! Bytes that come through a pipe are collected in memory, block by block ([`stream`]). In a regular file only the ends
//! of blocks are searched; its bytes go from the file to the tasks within the kernel ([`mod@file`]).

use std::fs::File;
use std::os::fd::{BorrowedFd, OwnedFd};

use crate::flow::blocks::{Cutter, Shape};
use crate::os;
use crate::plan::{Batch, Input, Items, Job, Plan, Queue, Stdin, Unit, items as plan_items};
use crate::run::block::Block;
use crate::run::items::{self, Pulled};
use crate::sched::TaskId;

pub mod file;
pub mod stream;

use file::FileBlocks;
use stream::StreamBlocks;

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
    source: BlockSource,
    /// The input's name in messages.
    name: String,
    /// The task that has a part of the next block, and gets its rest.
    taker: Option<TaskId>,
    /// Blocks that their task did not take.
    returned: Vec<Block>,
    /// True once the end was read, reading has failed, or nobody wants more.
    ended: bool,
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
    pub fn open(plan: &Plan, job: &Job) -> Result<Blocks, String> {
        let Some((queue, input)) = input_of(plan, job) else { return Err("there is no input".into()) };
        let (name, opened) = items::open(input);
        let source = opened.and_then(|fd| BlockSource::new(fd, input));
        let source = source.map_err(|error| unreadable(&name, &error))?;
        let tasks_left = plan_items::known_total(&job.items, &Batch::One).unwrap_or(u64::MAX);
        Ok(Blocks {
            tasks_left,
            cutter: Cutter::new(shape(queue)),
            source,
            name,
            taker: None,
            returned: Vec::new(),
            ended: false,
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
        match self.next_block() {
            Ok(NextBlock::Block(block)) => {
                self.tasks_left -= 1;
                Pulled::Block(block)
            }
            Ok(NextBlock::Wait) => Pulled::Wait,
            Ok(_) => Pulled::End,
            Err(why) => Pulled::Failed(why),
        }
    }

    /// Returns the next block, or the rest of one.
    ///
    /// # Errors
    /// When reading fails, once: the input counts as ended afterwards. For people.
    pub fn next_block(&mut self) -> Result<NextBlock, String> {
        if let Some(block) = self.returned.pop() {
            return Ok(NextBlock::Block(block));
        }
        if self.ended {
            return Ok(NextBlock::End);
        }
        let next = match &mut self.source {
            BlockSource::File(file) => file.next(&mut self.cutter),
            BlockSource::Stream(stream) => stream.collect(&mut self.cutter),
        };
        self.ended = !matches!(
            next,
            Ok(NextBlock::Block(_) | NextBlock::Piece(_) | NextBlock::Spliced | NextBlock::Wait)
        );
        next.map_err(|error| unreadable(&self.name, &error))
    }

    /// Returns the next block as [`Blocks::next_block`] does, or splices a part of it into the pipe `to` while it
    /// still comes.
    pub fn next_or_splice(&mut self, to: BorrowedFd) -> Result<NextBlock, String> {
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

fn unreadable(name: &str, error: &std::io::Error) -> String {
    format!("could not read {name}: {}", os::errors::reason(error))
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
