//! Cuts stdin or a file into blocks (`prun exec --pipe`), one when one is wanted.
//!
//! What comes through a pipe is collected in memory, block by block. Of a regular file only the ends of blocks
//! are looked for; its bytes go from the file to the tasks within the kernel.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use super::block::{Block, Origin};
use super::source::{self, Pulled};
use super::wiring::BIG_PIPE;
use crate::flow::blocks::{Cutter, Shape};
use crate::os;
use crate::os::input::SharedInput;
use crate::plan::{Batch, Input, Items, Job, Plan, Queue, Stdin, Unit, items};

/// The answer to the wish for a block.
pub enum Next {
    Block(Block),
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
    /// Blocks that nobody took.
    returned: Vec<Block>,
    ended: bool,
}

enum From {
    File {
        of: Rc<Origin>,
        at: u64,
        end: u64,
        window: Vec<u8>,
    },
    Stream {
        input: SharedInput,
        /// The next block, and what was read behind it: its first `filled` bytes.
        buffer: Vec<u8>,
        filled: usize,
        /// Buffers that were given away, to be used again when nobody else has them.
        given: Vec<Rc<Vec<u8>>>,
    },
}

/// Read at once, of a stream.
const PIECE: usize = 256 << 10;
/// Read at once where the end of a block is near: what was read too much is copied.
const NEAR: usize = 32 << 10;
/// Looked at at once, of a file.
const WINDOW: usize = 64 << 10;
/// So much of a stream is read before the loop looks for other news.
const TURN: usize = 4 << 20;
/// So much of a block is read from a disk before it is wanted.
const AHEAD: u64 = 4 << 20;

impl Blocks {
    /// What the job reads must be an input ([`input_of`]).
    pub fn open(plan: &Plan, job: &Job) -> Result<Blocks, String> {
        let Some((queue, input)) = input_of(plan, job) else { return Err("there is no input".into()) };
        let (name, opened) = source::open(input);
        let from = opened.and_then(|fd| From::new(fd, input));
        let from = from.map_err(|error| unreadable(&name, &error))?;
        let tasks = items::known_total(&job.items, &Batch::One).unwrap_or(u64::MAX);
        Ok(Blocks {
            tasks,
            cutter: Cutter::new(shape(queue)),
            from,
            name,
            returned: Vec::new(),
            ended: false,
        })
    }

    /// What to wait for after [`Next::Wait`].
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.from {
            From::File { .. } => None,
            From::Stream { input, .. } => Some(input.fd()),
        }
    }

    /// The first block of another task.
    pub fn pull(&mut self) -> Pulled {
        if self.tasks == 0 {
            return Pulled::End;
        }
        match self.next() {
            Ok(Next::Block(block)) => {
                self.tasks -= 1;
                Pulled::Block(block)
            }
            Ok(Next::Wait) => Pulled::Wait,
            Ok(Next::End) => Pulled::End,
            Err(why) => Pulled::Failed(why),
        }
    }

    /// # Errors
    /// Once, if reading fails; then it has ended.
    pub fn next(&mut self) -> Result<Next, String> {
        if let Some(block) = self.returned.pop() {
            return Ok(Next::Block(block));
        }
        if self.ended {
            return Ok(Next::End);
        }
        let next = match &mut self.from {
            From::File { of, at, end, window } => part(of, at, *end, window, &mut self.cutter),
            From::Stream { input, buffer, filled, given } => {
                collect(input, buffer, filled, given, &mut self.cutter)
            }
        };
        self.ended = !matches!(next, Ok(Next::Block(_) | Next::Wait));
        next.map_err(|error| unreadable(&self.name, &error))
    }
}

impl Blocks {
    pub fn give_back(&mut self, block: Block) {
        self.returned.push(block);
    }

    /// No other task will be started for it.
    pub fn has_left_over(&self) -> bool {
        self.tasks == 0 && !(self.ended && self.returned.is_empty())
    }
}

fn unreadable(name: &str, error: &std::io::Error) -> String {
    format!("could not read {name}: {}", os::own::reason(error))
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
        let mut file = File::from(fd);
        let data = file.metadata()?;
        // Files of /proc have bytes, but no size.
        if data.is_file() && data.len() > 0 {
            let path = match input {
                Input::Stdin => None,
                Input::File(path) => Some(path.clone()),
            };
            let at = file.stream_position()?;
            let of = Rc::new(Origin { file, path });
            return Ok(From::File { of, at, end: data.len(), window: vec![0; WINDOW] });
        }
        let input = SharedInput::new(file.into())?;
        os::io::set_pipe_size(input.fd().as_fd(), BIG_PIPE);
        Ok(From::Stream { input, buffer: Vec::new(), filled: 0, given: Vec::new() })
    }
}

/// The next part of a file.
fn part(
    of: &Rc<Origin>,
    at: &mut u64,
    end: u64,
    window: &mut Vec<u8>,
    cutter: &mut Cutter,
) -> std::io::Result<Next> {
    let start = *at;
    if start >= end {
        return Ok(Next::End);
    }
    let length = loop {
        let seen = cutter.seen();
        let left = (end - start).saturating_sub(seen as u64);
        if left == 0 {
            break end - start;
        }
        let wanted = left.min(window.len() as u64) as usize;
        let count = of.file.read_at(&mut window[..wanted], start + seen as u64)?;
        if count == 0 {
            // It became shorter; whoever is given this will tell.
            break end - start;
        }
        if let Some(length) = cutter.look(seen, &window[..count]) {
            break length as u64;
        }
        if cutter.seen() == seen {
            // Only the beginning of a mark, at the very end.
            if wanted as u64 == left {
                break end - start;
            }
            window.resize(window.len() * 2, 0);
        }
    };
    *at += length;
    os::io::read_ahead(&of.file, start, length.min(AHEAD));
    // Whoever shares stdin goes on behind what was taken.
    (&of.file).seek(SeekFrom::Start(*at))?;
    Ok(Next::Block(Block::Part { of: Rc::clone(of), start, length }))
}

/// Reads until a block is there.
fn collect(
    input: &mut SharedInput,
    buffer: &mut Vec<u8>,
    filled: &mut usize,
    given: &mut Vec<Rc<Vec<u8>>>,
    cutter: &mut Cutter,
) -> std::io::Result<Next> {
    let mut read = 0;
    loop {
        if let Some(length) = cutter.look(0, &buffer[..*filled]) {
            return Ok(Next::Block(give(buffer, filled, length, given)));
        }
        if read >= TURN && input.may_wait() {
            return Ok(Next::Wait);
        }
        let wanted = cutter.seen().saturating_sub(*filled).max(NEAR).min(PIECE);
        if buffer.len() < *filled + wanted {
            buffer.resize(*filled + wanted.max(*filled / 2), 0);
        }
        match input.read_nowait(&mut buffer[*filled..*filled + wanted])? {
            None => return Ok(Next::Wait),
            Some(0) if *filled == 0 => return Ok(Next::End),
            Some(0) => return Ok(Next::Block(give(buffer, filled, *filled, given))),
            Some(count) => {
                *filled += count;
                read += count;
            }
        }
    }
}

/// Gives away the first bytes of the buffer.
fn give(buffer: &mut Vec<u8>, filled: &mut usize, length: usize, given: &mut Vec<Rc<Vec<u8>>>) -> Block {
    let free = given.iter_mut().position(|bytes| Rc::get_mut(bytes).is_some());
    let free = free.and_then(|at| Rc::into_inner(given.swap_remove(at)));
    let mut next = free.unwrap_or_default();
    let rest = &buffer[length..*filled];
    if next.len() < rest.len() {
        next.resize(buffer.len(), 0);
    }
    next[..rest.len()].copy_from_slice(rest);
    *filled = rest.len();
    let bytes = Rc::new(std::mem::replace(buffer, next));
    given.push(Rc::clone(&bytes));
    Block::Bytes(bytes, length)
}
