//! Cuts stdin or a file into blocks (`prun exec --pipe`), one when one is wanted.
//!
//! What comes through a pipe is collected in memory, block by block ([`stream`]). Of a regular file only the ends
//! of blocks are looked for; its bytes go from the file to the tasks within the kernel ([`file`]).

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

use file::Parts;
use stream::Stream;

/// The answer to the wish for a block.
pub enum Next {
    /// A block, or the rest of one.
    Block(Block),
    /// The beginning of a block.
    Piece(Block),
    /// A part of a block went into the pipe that was named.
    Passed,
    /// Nothing is there now.
    Wait,
    End,
}

/// The queue that the job reads, and what is read into it, if anything is.
pub fn input_of<'a>(plan: &'a Plan, job: &Job) -> Option<(&'a Queue, &'a Input)> {
    let queue = match (&job.items, &job.stages[0].stdin) {
        (Items::Queue { queue, .. }, _) | (_, Stdin::Queue { queue, .. }) => &plan.queues[*queue],
        _ => return None,
    };
    Some((queue, queue.input.as_ref()?))
}

pub struct Blocks {
    /// So many more tasks may be given their first block.
    tasks: u64,
    cutter: Cutter,
    from: From,
    /// For messages.
    name: String,
    /// Who takes the next block while it comes.
    taker: Option<TaskId>,
    /// Blocks that nobody took.
    returned: Vec<Block>,
    ended: bool,
}

enum From {
    File(Parts),
    Stream(Stream),
}

impl Blocks {
    /// What the job reads must be an input ([`input_of`]).
    pub fn open(plan: &Plan, job: &Job) -> Result<Blocks, String> {
        let Some((queue, input)) = input_of(plan, job) else { return Err("there is no input".into()) };
        let (name, opened) = items::open(input);
        let from = opened.and_then(|fd| From::new(fd, input));
        let from = from.map_err(|error| unreadable(&name, &error))?;
        let tasks = plan_items::known_total(&job.items, &Batch::One).unwrap_or(u64::MAX);
        Ok(Blocks {
            tasks,
            cutter: Cutter::new(shape(queue)),
            from,
            name,
            taker: None,
            returned: Vec::new(),
            ended: false,
        })
    }

    /// What to wait for after [`Next::Wait`].
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.from {
            From::File(_) => None,
            From::Stream(stream) => Some(stream.fd()),
        }
    }

    /// The first block of another task.
    pub fn pull(&mut self) -> Pulled {
        if self.tasks == 0 {
            return Pulled::End;
        }
        match self.next_block() {
            Ok(Next::Block(block)) => {
                self.tasks -= 1;
                Pulled::Block(block)
            }
            Ok(Next::Wait) => Pulled::Wait,
            Ok(_) => Pulled::End,
            Err(why) => Pulled::Failed(why),
        }
    }

    /// # Errors
    /// Once, if reading fails; then it has ended.
    pub fn next_block(&mut self) -> Result<Next, String> {
        if let Some(block) = self.returned.pop() {
            return Ok(Next::Block(block));
        }
        if self.ended {
            return Ok(Next::End);
        }
        let next = match &mut self.from {
            From::File(parts) => parts.next(&mut self.cutter),
            From::Stream(stream) => stream.collect(&mut self.cutter),
        };
        self.ended = !matches!(next, Ok(Next::Block(_) | Next::Piece(_) | Next::Passed | Next::Wait));
        next.map_err(|error| unreadable(&self.name, &error))
    }
}

impl Blocks {
    /// As [`Blocks::next_block`]; but a block may be passed on to this pipe while it comes.
    pub fn next_or_pass(&mut self, to: BorrowedFd) -> Result<Next, String> {
        if let From::Stream(stream) = &mut self.from
            && self.tasks == 0
            && self.returned.is_empty()
            && !self.ended
            && let Some(next) = stream.pass(&self.cutter, to)
        {
            self.ended = matches!(next, Next::End);
            return Ok(next);
        }
        self.next_block()
    }

    /// Who was passed a part of the next block, and must be given its rest.
    pub fn taker(&self) -> Option<TaskId> {
        match &self.from {
            From::Stream(stream) if stream.is_within_block() => self.taker,
            _ => None,
        }
    }

    pub fn set_taker(&mut self, taker: TaskId) {
        self.taker = Some(taker);
    }

    pub fn give_back(&mut self, block: Block) {
        self.returned.push(block);
    }

    /// Nobody is going to read the rest.
    pub fn abandon(&mut self) {
        self.ended = true;
        self.returned.clear();
    }

    /// True if a part of the input is left, although no other task will be started for it.
    pub fn has_left_over(&self) -> bool {
        self.tasks == 0 && !(self.ended && self.returned.is_empty())
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

impl From {
    fn new(fd: OwnedFd, input: &Input) -> std::io::Result<From> {
        let file = File::from(fd);
        let data = file.metadata()?;
        // Files of /proc have bytes, but no size.
        if data.is_file() && data.len() > 0 {
            let path = match input {
                Input::Stdin => None,
                Input::File(path) => Some(path.clone()),
            };
            return Parts::new(file, path, data.len()).map(From::File);
        }
        Stream::new(file).map(From::Stream)
    }
}
