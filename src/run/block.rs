//! Blocks: whole records for the standard input of one task, in memory or as a range of a file that only the kernel
//! touches.

use std::fs::File;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::rc::Rc;

use nix::errno::Errno;

use crate::os;

/// A block. It is cheap to clone: a task that is tried again is given the same block.
#[derive(Debug, Clone)]
pub enum Block {
    /// The first bytes of a buffer, as many as the number says.
    Bytes(Rc<Vec<u8>>, usize),
    /// A range of a file.
    Range { source: Rc<BlockFile>, start: u64, length: u64 },
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
