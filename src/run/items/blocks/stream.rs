//! Blocks of bytes that come through a pipe. They are collected in memory. Where a task is ready to take a block while
//! it still comes, all of it but its end goes from pipe to pipe within the kernel.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

use nix::errno::Errno;

use crate::flow::blocks::Cutter;
use crate::os;
use crate::os::input::{Read, SharedInput};
use crate::os::io::BIG_PIPE;
use crate::run::block::Block;
use crate::run::items::blocks::NextBlock;

/// A pipe, or another stream, that is cut into blocks.
pub struct StreamBlocks {
    input: SharedInput,
    /// Bytes that were read: the next block, and what follows it. Only the first `filled` bytes count.
    buffer: Vec<u8>,
    filled: usize,
    /// Bytes of the next block that were handed on before all of it had come.
    passed: usize,
    /// Buffers of blocks, which are used again when nobody else has them.
    lent: Vec<Rc<Vec<u8>>>,
    /// True if bytes can be spliced from the input into another pipe.
    is_pipe: bool,
}

/// Bytes that are read by one call.
const PIECE: usize = 256 << 10;
/// Bytes that are read by one call where the end of a block is near: those behind the end have to be copied.
const NEAR: usize = 32 << 10;
/// The fewest bytes that are worth a splice.
const FAR: usize = 64 << 10;
/// Bytes that are read in one turn of the loop, at most.
const TURN: usize = 4 << 20;

impl StreamBlocks {
    pub fn new(file: File) -> io::Result<StreamBlocks> {
        let input = SharedInput::new(file.into())?;
        let is_pipe = os::io::set_pipe_size(input.fd(), BIG_PIPE) > 0;
        Ok(StreamBlocks { input, buffer: Vec::new(), filled: 0, passed: 0, lent: Vec::new(), is_pipe })
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.input.fd()
    }

    /// True if a part of the next block was handed on.
    pub fn is_within_block(&self) -> bool {
        self.passed > 0
    }

    /// Reads until the next block, or the rest of it, has come.
    pub fn collect(&mut self, cutter: &mut Cutter) -> io::Result<NextBlock> {
        let mut read = 0;
        loop {
            if let Some(length) = cutter.find_end(self.passed, &self.buffer[..self.filled]) {
                return Ok(NextBlock::Block(self.finish(length - self.passed)));
            }
            if read >= TURN && self.input.may_wait() {
                return Ok(NextBlock::Wait);
            }
            let wanted = self.far(cutter).clamp(NEAR, PIECE);
            let end = self.filled + wanted;
            if self.buffer.len() < end {
                self.buffer.resize(end.max(self.filled * 3 / 2), 0);
            }
            match self.input.read_nowait(&mut self.buffer[self.filled..end])? {
                Read::Empty => return Ok(NextBlock::Wait),
                Read::End if self.filled == 0 => return Ok(NextBlock::End),
                Read::End => return Ok(NextBlock::Block(self.finish(self.filled))),
                Read::Bytes(count) => {
                    self.filled += count;
                    read += count;
                }
            }
        }
    }

    /// Hands on the bytes of the next block that have come, as far as its end can't be among them. Returns `None` if
    /// the block has to be collected.
    pub fn splice(&mut self, cutter: &Cutter, to: BorrowedFd) -> Option<NextBlock> {
        let far = self.far(cutter);
        if !self.is_pipe || far < FAR || self.input.awaits_writer() {
            return None;
        }
        if self.filled > 0 {
            self.passed += self.filled;
            return Some(NextBlock::Piece(self.take(self.filled)));
        }
        match os::io::splice_pipe(self.input.fd(), far, to) {
            Ok(0) => Some(NextBlock::End),
            Ok(count) => {
                self.passed += count;
                Some(NextBlock::Spliced)
            }
            Err(Errno::EAGAIN | Errno::EINTR) if os::io::unread(self.input.fd()) == 0 => {
                Some(NextBlock::Wait)
            }
            // The other pipe is full, or nobody reads it.
            Err(Errno::EAGAIN | Errno::EINTR | Errno::EPIPE) => None,
            Err(_) => {
                self.is_pipe = false;
                None
            }
        }
    }

    /// Returns the number of bytes to come that can't hold the end of the next block.
    fn far(&self, cutter: &Cutter) -> usize {
        cutter.seen().saturating_sub(self.passed + self.filled)
    }

    /// Takes the first bytes of the buffer as the end of a block.
    fn finish(&mut self, length: usize) -> Block {
        self.passed = 0;
        self.take(length)
    }

    /// Takes the first bytes of the buffer.
    fn take(&mut self, length: usize) -> Block {
        let free = self.lent.iter_mut().position(|bytes| Rc::get_mut(bytes).is_some());
        let free = free.and_then(|at| Rc::into_inner(self.lent.swap_remove(at)));
        let mut next = free.unwrap_or_default();
        let rest = &self.buffer[length..self.filled];
        if next.len() < rest.len() {
            next.resize(self.buffer.len(), 0);
        }
        next[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
        let bytes = Rc::new(std::mem::replace(&mut self.buffer, next));
        self.lent.push(Rc::clone(&bytes));
        Block::Bytes(bytes, length)
    }
}
