//! Whole records for the stdin of one task: bytes in memory, or a part of a file that only the kernel touches.

use std::fs::File;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::rc::Rc;

use nix::errno::Errno;

use crate::os;

/// Cheap to clone: a retried task is given the same again.
#[derive(Debug, Clone)]
pub enum Block {
    /// The first so many bytes.
    Bytes(Rc<Vec<u8>>, usize),
    Part {
        of: Rc<Origin>,
        start: u64,
        length: u64,
    },
}

/// A regular file that is cut into blocks.
#[derive(Debug)]
pub struct Origin {
    pub file: File,
    /// `None`: stdin.
    pub path: Option<PathBuf>,
}

impl Block {
    pub fn length(&self) -> u64 {
        match self {
            Block::Bytes(_, length) => *length as u64,
            Block::Part { length, .. } => *length,
        }
    }
}

/// A block on its way into a pipe.
#[derive(Debug)]
pub struct Sending {
    block: Block,
    sent: u64,
    whole: bool,
}

/// Moved at once: more than a pipe holds.
const MOST: u64 = 1 << 20;

impl Sending {
    /// `whole`: it is no piece of a block.
    pub fn new(block: Block, whole: bool) -> Sending {
        Sending { block, sent: 0, whole }
    }

    /// The block, if it is one and nothing of it was sent.
    pub fn untouched(self) -> Option<Block> {
        (self.sent == 0 && self.whole).then_some(self.block)
    }

    pub fn is_over(&self) -> bool {
        self.sent >= self.block.length()
    }

    /// Sends as much as there is room for.
    pub fn send(&mut self, to: BorrowedFd) -> nix::Result<()> {
        let left = (self.block.length() - self.sent).min(MOST) as usize;
        let count = match &self.block {
            Block::Bytes(bytes, length) => nix::unistd::write(to, &bytes[self.sent as usize..*length])?,
            Block::Part { of, start, .. } => {
                match os::io::splice_file(&of.file, start + self.sent, left, to)? {
                    // It became shorter after it was cut.
                    0 => return Err(Errno::ENODATA),
                    count => count,
                }
            }
        };
        self.sent += count as u64;
        Ok(())
    }
}
