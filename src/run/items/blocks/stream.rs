//! Blocks of what comes through a pipe. They are collected in memory; where a task is ready to take one as it
//! comes, all but its end goes from pipe to pipe within the kernel.

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
use crate::run::items::blocks::Next;

pub struct Stream {
    input: SharedInput,
    /// Of the next block, and what was read behind it: its first `filled` bytes.
    buffer: Vec<u8>,
    filled: usize,
    /// So many bytes of the next block were passed on before it was all there.
    passed: usize,
    /// Buffers that were given away, to be used again when nobody else has them.
    given: Vec<Rc<Vec<u8>>>,
    /// Bytes can go from it to another pipe.
    is_pipe: bool,
}

/// Read at once.
const PIECE: usize = 256 << 10;
/// Read at once where the end of a block is near: what was read too much is copied.
const NEAR: usize = 32 << 10;
/// For less it is not worth the while to pass it on.
const FAR: usize = 64 << 10;
/// So much is read before the loop looks for other news.
const TURN: usize = 4 << 20;

impl Stream {
    pub fn new(file: File) -> io::Result<Stream> {
        let input = SharedInput::new(file.into())?;
        let is_pipe = os::io::set_pipe_size(input.fd(), BIG_PIPE) > 0;
        Ok(Stream { input, buffer: Vec::new(), filled: 0, passed: 0, given: Vec::new(), is_pipe })
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.input.fd()
    }

    /// A part of the next block was passed on.
    pub fn is_within_block(&self) -> bool {
        self.passed > 0
    }

    /// Reads until a block, or what is left of it, is there.
    pub fn collect(&mut self, cutter: &mut Cutter) -> io::Result<Next> {
        let mut read = 0;
        loop {
            if let Some(length) = cutter.find_end(self.passed, &self.buffer[..self.filled]) {
                return Ok(Next::Block(self.finish(length - self.passed)));
            }
            if read >= TURN && self.input.may_wait() {
                return Ok(Next::Wait);
            }
            let wanted = self.far(cutter).clamp(NEAR, PIECE);
            let end = self.filled + wanted;
            if self.buffer.len() < end {
                self.buffer.resize(end.max(self.filled * 3 / 2), 0);
            }
            match self.input.read_nowait(&mut self.buffer[self.filled..end])? {
                Read::Empty => return Ok(Next::Wait),
                Read::End if self.filled == 0 => return Ok(Next::End),
                Read::End => return Ok(Next::Block(self.finish(self.filled))),
                Read::Bytes(count) => {
                    self.filled += count;
                    read += count;
                }
            }
        }
    }

    /// Passes on what is there of the next block, as far as its end can't be in it. `None`: it has to be
    /// collected.
    pub fn pass(&mut self, cutter: &Cutter, to: BorrowedFd) -> Option<Next> {
        let far = self.far(cutter);
        if !self.is_pipe || far < FAR {
            return None;
        }
        if self.filled > 0 {
            self.passed += self.filled;
            return Some(Next::Piece(self.give(self.filled)));
        }
        match os::io::splice_pipe(self.input.fd(), far, to) {
            Ok(0) => Some(Next::End),
            Ok(count) => {
                self.passed += count;
                Some(Next::Passed)
            }
            Err(Errno::EAGAIN | Errno::EINTR) if os::io::unread(self.input.fd()) == 0 => Some(Next::Wait),
            // There is no room in the other pipe, or nobody reads it.
            Err(Errno::EAGAIN | Errno::EINTR | Errno::EPIPE) => None,
            Err(_) => {
                self.is_pipe = false;
                None
            }
        }
    }

    /// Bytes still to come that the end of the next block can't be in.
    fn far(&self, cutter: &Cutter) -> usize {
        cutter.seen().saturating_sub(self.passed + self.filled)
    }

    /// Gives away the end of a block.
    fn finish(&mut self, length: usize) -> Block {
        self.passed = 0;
        self.give(length)
    }

    /// Gives away the first bytes of the buffer.
    fn give(&mut self, length: usize) -> Block {
        let free = self.given.iter_mut().position(|bytes| Rc::get_mut(bytes).is_some());
        let free = free.and_then(|at| Rc::into_inner(self.given.swap_remove(at)));
        let mut next = free.unwrap_or_default();
        let rest = &self.buffer[length..self.filled];
        if next.len() < rest.len() {
            next.resize(self.buffer.len(), 0);
        }
        next[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
        let bytes = Rc::new(std::mem::replace(&mut self.buffer, next));
        self.given.push(Rc::clone(&bytes));
        Block::Bytes(bytes, length)
    }
}
