//! Blocks: whole records for the standard input of one task, in memory or as a range of a file that only the kernel
//! touches; or begun, and handed on while they come.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use nix::errno::Errno;

use crate::os;
use crate::sched::TaskId;

/// A block. It is cheap to clone: a task that is tried again is given the same block.
#[derive(Debug, Clone)]
pub enum Block {
    /// The first bytes of a buffer, as many as the number says.
    Bytes(Rc<Vec<u8>>, usize),
    /// A range of a file.
    Range { source: Rc<BlockFile>, start: u64, length: u64 },
}

/// The block of a task.
#[derive(Debug, Clone)]
pub enum TaskBlock {
    /// A block that is there. Each attempt of the task is given the same.
    Whole(Block),
    /// A block whose end has not come when its task starts. Only one attempt gets it, which is fed while it comes.
    Begun(Rc<BegunBlock>),
}

/// A block whose end has not come.
#[derive(Debug, Default)]
pub struct BegunBlock {
    /// The parts that have come before an attempt has started.
    parts: RefCell<Vec<Block>>,
    /// The task, once its attempt has started: further parts go straight to that.
    taker: Cell<Option<TaskId>>,
    /// Why its task fails.
    fault: RefCell<Option<Arc<str>>>,
    /// True once the end has come.
    complete: Cell<bool>,
}

impl BegunBlock {
    /// Appends a part, until an attempt has started.
    pub fn push(&self, part: Block) {
        self.parts.borrow_mut().push(part);
    }

    /// Returns the parts that an attempt begins with.
    pub fn parts(&self) -> Vec<Block> {
        self.parts.borrow().clone()
    }

    /// Notes that an attempt has started, which has the parts.
    pub fn set_taker(&self, task: TaskId) {
        self.taker.set(Some(task));
        self.parts.take();
    }

    pub fn taker(&self) -> Option<TaskId> {
        self.taker.get()
    }

    /// Notes why the task fails, which has not started.
    pub fn fail(&self, why: Arc<str>) {
        self.fault.replace(Some(why));
    }

    pub fn fault(&self) -> Option<Arc<str>> {
        self.fault.borrow().clone()
    }

    /// Notes that the end has come.
    pub fn complete(&self) {
        self.complete.set(true);
    }

    pub fn is_complete(&self) -> bool {
        self.complete.get()
    }
}

/// A regular file that is cut into blocks.
#[derive(Debug)]
pub struct BlockFile {
    pub file: File,
    /// `None` for prun's stdin.
    pub path: Option<PathBuf>,
}

impl Block {
    /// Returns the length in bytes.
    pub fn length(&self) -> u64 {
        match self {
            Block::Bytes(_, length) => *length as u64,
            Block::Range { length, .. } => *length,
        }
    }
}

/// A block on its way into a pipe.
#[derive(Debug)]
pub struct BlockWrite {
    block: Block,
    /// Bytes that were written.
    sent: u64,
    /// False for a piece of a block whose other pieces go to the same task.
    whole: bool,
}

/// Bytes that are moved by one call, at most: more than a pipe holds.
const MOST: u64 = 1 << 20;

impl BlockWrite {
    /// `whole` is `false` for a piece of a block whose other pieces go to the same task.
    pub fn new(block: Block, whole: bool) -> BlockWrite {
        BlockWrite { block, sent: 0, whole }
    }

    /// Returns the block, if it is a whole one and nothing of it was written.
    pub fn into_unsent(self) -> Option<Block> {
        (self.sent == 0 && self.whole).then_some(self.block)
    }

    /// True if nothing has to be read any more.
    pub fn is_in_memory(&self) -> bool {
        matches!(self.block, Block::Bytes(..))
    }

    /// True if everything was written.
    pub fn is_done(&self) -> bool {
        self.sent >= self.block.length()
    }

    /// Writes as much as the pipe has room for, by one call.
    ///
    /// # Errors
    /// `EAGAIN` if the pipe is full, `EPIPE` if nobody reads it, `ENODATA` if the file has become shorter since it was
    /// cut, or the error of reading the file.
    pub fn send(&mut self, to: BorrowedFd) -> nix::Result<()> {
        let left = (self.block.length() - self.sent).min(MOST) as usize;
        let count = match &self.block {
            Block::Bytes(bytes, length) => nix::unistd::write(to, &bytes[self.sent as usize..*length])?,
            Block::Range { source, start, .. } => {
                match os::io::splice_file(&source.file, start + self.sent, left, to)? {
                    0 => return Err(Errno::ENODATA),
                    count => count,
                }
            }
        };
        self.sent += count as u64;
        Ok(())
    }
}
