//! Blocks of bytes that come through a pipe. They are collected in memory. Where a task is ready to take a block while
//! it still comes, all of it but its end goes from pipe to pipe within the kernel.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

use nix::errno::Errno;

use crate::flow::blocks::{Cutter, Found};
use crate::flow::long;
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
    /// Bytes of the next block that were dropped, because one of its records is too long.
    dropped: usize,
    /// Why reading failed; reported after the block that was read before.
    failure: Option<io::Error>,
    /// Buffers of blocks, which are used again when nobody else has them.
    lent: Vec<Rc<Vec<u8>>>,
    /// True if bytes can be spliced from the input into another pipe.
    is_pipe: bool,
}

/// Bytes that are read by one call.
pub const PIECE: usize = 256 << 10;
/// Bytes that are read by one call where the end of a block is near: those behind the end have to be copied.
const NEAR: usize = 32 << 10;
/// The fewest bytes that are worth a splice.
const FAR: usize = 64 << 10;
/// Bytes that are read in one turn of the loop, at most.
pub const TURN: usize = 4 << 20;

impl StreamBlocks {
    pub fn new(file: File) -> io::Result<StreamBlocks> {
        let input = SharedInput::new(file.into())?;
        let is_pipe = os::io::set_pipe_size(input.fd(), BIG_PIPE) > 0;
        Ok(StreamBlocks {
            input,
            buffer: Vec::new(),
            filled: 0,
            passed: 0,
            dropped: 0,
            failure: None,
            lent: Vec::new(),
            is_pipe,
        })
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.input.fd()
    }

    /// True if a part of the next block was handed on.
    pub fn is_within_block(&self) -> bool {
        self.passed > 0
    }

    /// Returns the first bytes of the next block, if its end is far and much of it is there.
    pub fn begin(&mut self, cutter: &Cutter) -> Option<Block> {
        let is_between = self.passed + self.dropped == 0 && self.failure.is_none();
        if !self.is_pipe || !is_between || self.far(cutter) < FAR || self.input.awaits_writer() {
            return None;
        }
        if self.filled + os::io::unread(self.input.fd()) < FAR {
            return None;
        }
        if self.filled == 0 {
            // A task is started for bytes that are there, whoever else reads this input.
            match self.read(NEAR) {
                Ok(Read::Bytes(_)) => {}
                Ok(Read::Empty | Read::End) => return None,
                Err(error) => {
                    self.failure = Some(error);
                    return None;
                }
            }
        }
        Some(self.take_piece(cutter))
    }

    /// Returns the bytes of the next block that were read, if they are `least` at least, and its end can't be among them.
    pub fn collected(&mut self, cutter: &Cutter, least: usize) -> Option<Block> {
        (self.filled >= least && self.far(cutter) >= FAR).then(|| self.take_piece(cutter))
    }

    fn take_piece(&mut self, cutter: &Cutter) -> Block {
        self.passed += self.filled;
        self.take(self.filled, cutter)
    }

    /// Reads up to `wanted` bytes into the buffer.
    fn read(&mut self, wanted: usize) -> io::Result<Read> {
        let end = self.filled + wanted;
        if self.buffer.len() < end {
            let count = end - self.buffer.len();
            long::reserve(&mut self.buffer, count).map_err(|why| io::Error::other(why.to_string()))?;
            self.buffer.resize(end, 0);
        }
        let read = self.input.read_nowait(&mut self.buffer[self.filled..end])?;
        if let Read::Bytes(count) = read {
            self.filled += count;
        }
        Ok(read)
    }

    /// Reads until the next block, or the rest of it, has come, but not more than about `most` bytes.
    pub fn collect(&mut self, cutter: &mut Cutter, most: usize) -> io::Result<NextBlock> {
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        let mut read = 0;
        loop {
            let at = self.at();
            if let Some(found) = cutter.find_end(at, &self.buffer[..self.filled]) {
                return Ok(self.finish(found, cutter));
            }
            if let Some(size) = cutter.too_long() {
                self.drop_seen(cutter, size)?;
            }
            if read >= most {
                return Ok(if self.input.may_wait() { NextBlock::Wait } else { NextBlock::Again });
            }
            match self.read(self.far(cutter).clamp(NEAR, PIECE)) {
                Err(error) => return self.break_off(cutter, error),
                Ok(Read::Empty) => return Ok(NextBlock::Wait),
                Ok(Read::End) if self.filled == 0 && self.dropped == 0 => return Ok(NextBlock::End),
                Ok(Read::End) => {
                    let found = cutter.end(self.at() + self.filled);
                    return Ok(self.finish(found, cutter));
                }
                Ok(Read::Bytes(count)) => read += count,
            }
        }
    }

    /// Returns the offset in the next block at which the buffer begins.
    fn at(&self) -> usize {
        self.passed + self.dropped
    }

    /// Drops bytes that were examined: they belong to a block whose record is too long, with so many bytes so far.
    fn drop_seen(&mut self, cutter: &Cutter, size: u64) -> io::Result<()> {
        let count = cutter.seen() - self.at();
        self.buffer.copy_within(count..self.filled, 0);
        self.filled -= count;
        self.dropped += count;
        if self.buffer.len() > self.filled + 2 * PIECE {
            self.buffer.truncate(self.filled);
            self.buffer.shrink_to_fit();
        }
        match size >= cutter.endless() {
            true => {
                let why = format!("a record has no end within {size} bytes: is `--recend` right?");
                Err(io::Error::new(io::ErrorKind::InvalidData, why))
            }
            false => Ok(()),
        }
    }

    /// Ends with this error. The whole records that have come are a block before it.
    fn break_off(&mut self, cutter: &mut Cutter, error: io::Error) -> io::Result<NextBlock> {
        let at = self.at();
        let end = cutter.break_off(at, &self.buffer[..self.filled]).filter(|_| self.dropped == 0);
        let length = end.map_or(0, |end| end - at);
        let error = match self.filled + self.dropped > length {
            true => {
                let why = os::errors::reason(&error);
                io::Error::other(format!("{why}; the record that had not ended is dropped"))
            }
            false => error,
        };
        if length == 0 {
            return Err(error);
        }
        self.failure = Some(error);
        self.filled = length;
        self.passed = 0;
        Ok(NextBlock::Block(self.take(length, cutter)))
    }

    /// Hands on the bytes of the next block that have come, as far as its end can't be among them. Returns `None` if
    /// the block has to be collected.
    pub fn splice(&mut self, cutter: &Cutter, to: BorrowedFd) -> Option<NextBlock> {
        let far = self.far(cutter);
        if !self.is_pipe || far < FAR || self.input.awaits_writer() {
            return None;
        }
        if self.filled > 0 {
            return Some(NextBlock::Piece(self.take_piece(cutter)));
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
        cutter.seen().saturating_sub(self.at() + self.filled)
    }

    /// Takes the first bytes of the buffer as the end of a block.
    fn finish(&mut self, Found { length, too_long }: Found, cutter: &Cutter) -> NextBlock {
        let block = self.take(length - self.at(), cutter);
        (self.passed, self.dropped) = (0, 0);
        match too_long {
            Some(size) => NextBlock::TooLong(size),
            None => NextBlock::Block(block),
        }
    }

    /// Takes the first bytes of the buffer.
    fn take(&mut self, length: usize, cutter: &Cutter) -> Block {
        let free = self.lent.iter_mut().position(|bytes| Rc::get_mut(bytes).is_some());
        let free = free.and_then(|at| Rc::into_inner(self.lent.swap_remove(at)));
        let mut next = free.unwrap_or_default();
        let rest = &self.buffer[length..self.filled];
        // What is passed on while it comes needs no room for a whole block.
        let block = if self.passed > 0 { 0 } else { cutter.skipped() };
        let usual = self.buffer.len().min(block.saturating_add(2 * PIECE));
        if next.len() < rest.len().max(usual) {
            next.resize(rest.len().max(usual), 0);
        }
        next[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
        let bytes = Rc::new(std::mem::replace(&mut self.buffer, next));
        // One record was long; memory for such is not kept.
        if bytes.len() <= 2 * usual {
            self.lent.push(Rc::clone(&bytes));
        }
        Block::Bytes(bytes, length)
    }
}
