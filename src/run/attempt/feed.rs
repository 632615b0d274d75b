//! Input for a child that prun writes: all at once (`text`, `item`), or as it comes (a dialogue, a worker's tasks).

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use crate::os;
use crate::run::block::{Block, Sending};

/// What was written is taken off the buffer when it is this much, or all.
const TAKE_OFF: usize = 64 << 10;

pub struct Feed {
    to: OwnedFd,
    bytes: Vec<u8>,
    /// So many of them were written.
    written: usize,
    /// What follows them.
    blocks: VecDeque<Sending>,
    /// Why it ended early, if that was not the child's doing.
    failure: Option<Errno>,
    ended: bool,
    /// The poller tells when it can be written.
    pub watched: bool,
}

/// How far a feed is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fed {
    /// The pipe is full: the rest when it can be written.
    Waits,
    /// Everything was written, and more may come.
    Dry,
    /// Everything was written and nothing more will come, or the child reads no more.
    Over,
}

impl Feed {
    /// A new pipe: the child's end, and a feed into ours.
    pub fn new() -> io::Result<(OwnedFd, Feed)> {
        let (reader, writer) = os_pipe::pipe()?;
        os::io::set_nonblocking(writer.as_fd())?;
        Ok((reader.into(), Feed::into(writer.into())))
    }

    /// Into a descriptor that doesn't block.
    pub fn into(to: OwnedFd) -> Feed {
        let (blocks, failure) = (VecDeque::new(), None);
        Feed { to, bytes: Vec::new(), written: 0, blocks, failure, ended: false, watched: false }
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.to.as_fd()
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// What is to be written, for more to be appended.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// `whole`: not a piece of a block of which others were pushed.
    pub fn push_block(&mut self, block: Block, whole: bool) {
        self.blocks.push_back(Sending::new(block, whole));
    }

    /// Everything was written, as far as it is known.
    pub fn is_dry(&self) -> bool {
        self.bytes.is_empty() && self.blocks.is_empty()
    }

    /// The block of which nothing was written, where others may take it.
    pub fn unsent(&mut self) -> Option<Block> {
        if self.ended { None } else { self.blocks.pop_back()?.untouched() }
    }

    /// Why a block could not be read that had to be written.
    pub fn failure(&self) -> Option<Errno> {
        self.failure
    }

    /// Nothing more will be pushed.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Writes as much as there is room for, once: a child that reads as fast as prun writes must not keep the
    /// loop from all else. A child that stops reading is no error.
    pub fn write(&mut self) -> Fed {
        if self.written < self.bytes.len() {
            match nix::unistd::write(&self.to, &self.bytes[self.written..]) {
                Ok(count) => self.written += count,
                Err(Errno::EAGAIN | Errno::EINTR) => return Fed::Waits,
                Err(_) => return Fed::Over,
            }
        }
        if self.bytes.is_empty()
            && let Some(sending) = self.blocks.front_mut()
        {
            match sending.send(self.to.as_fd()) {
                Ok(()) if sending.is_over() => drop(self.blocks.pop_front()),
                Ok(()) => {}
                Err(Errno::EAGAIN | Errno::EINTR) => return Fed::Waits,
                Err(errno) => {
                    self.failure = (errno != Errno::EPIPE).then_some(errno);
                    return Fed::Over;
                }
            }
        }
        if self.written == self.bytes.len() || self.written >= TAKE_OFF {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
        match (self.is_dry(), self.ended) {
            (false, _) => Fed::Waits,
            (true, false) => Fed::Dry,
            (true, true) => Fed::Over,
        }
    }
}
