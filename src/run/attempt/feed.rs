//! Standard input of a child that prun writes: all at once (`text`, `item`), or as it comes (a dialogue, the tasks of a
//! worker, blocks).

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use nix::errno::Errno;

use crate::os;
use crate::run::block::{BegunBlock, Block, BlockWrite};

/// A buffer that is mostly empty gives back what it has beyond this.
const KEPT: usize = 256 << 10;

/// Input on its way to a child: bytes, and blocks behind them.
pub struct Feed {
    to: OwnedFd,
    bytes: Vec<u8>,
    /// The number of `bytes` that were written.
    written: usize,
    /// Blocks that follow the bytes.
    blocks: VecDeque<BlockWrite>,
    /// The block whose parts are pushed while they come.
    begun: Option<Rc<BegunBlock>>,
    /// The error that ended the feed early, unless the child stopped reading.
    failure: Option<FeedFailure>,
    /// True for a terminal, which fails with EIO if no process has it open.
    is_terminal: bool,
    /// True if nothing more will be pushed.
    ended: bool,
    /// True while the poller reports when it can be written.
    pub watched: bool,
}

/// Why a feed has ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedFailure {
    /// A block could not be read.
    Input(Errno),
    /// The pipe could not be written.
    Write(Errno),
}

impl fmt::Display for FeedFailure {
    /// The text continues the name of a task.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (verb, errno) = match self {
            FeedFailure::Input(errno) => ("read", errno),
            FeedFailure::Write(errno) => ("written", errno),
        };
        write!(f, "its input could not be {verb}: {}", os::errors::reason(&(*errno).into()))
    }
}

/// The state of a feed after a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedState {
    /// The pipe is full; the rest is to be written when it has room.
    Blocked,
    /// Everything was written, and more may come.
    Idle,
    /// Everything was written and nothing more will come; or the child reads no more; or [`Feed::failure`] says why the
    /// rest could not be written.
    Finished,
}

impl Feed {
    /// Makes a pipe. Returns the child's end, and a feed into prun's.
    pub fn new() -> io::Result<(OwnedFd, Feed)> {
        let (reader, writer) = os_pipe::pipe()?;
        os::io::set_nonblocking(writer.as_fd())?;
        Ok((reader.into(), Feed::into(writer.into())))
    }

    /// Returns a feed into a descriptor that does not block.
    pub fn into(to: OwnedFd) -> Feed {
        let (blocks, failure) = (VecDeque::new(), None);
        let (bytes, begun, is_terminal) = (Vec::new(), None, false);
        Feed { to, bytes, written: 0, blocks, begun, failure, is_terminal, ended: false, watched: false }
    }

    /// Returns a feed into a terminal, through its master.
    pub fn of_terminal(master: OwnedFd) -> Feed {
        Feed { is_terminal: true, ..Feed::into(master) }
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.to.as_fd()
    }

    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the buffer that bytes can be appended to.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Appends a block. `whole` is `false` for a piece of a block whose other pieces go to the same child.
    pub fn push_block(&mut self, block: Block, whole: bool) {
        self.blocks.push_back(BlockWrite::new(block, whole));
    }

    /// Notes the block whose parts will be pushed while they come.
    pub fn follow(&mut self, block: Rc<BegunBlock>) {
        self.begun = Some(block);
    }

    /// Returns true if this is the block whose parts are pushed.
    pub fn follows(&self, block: &Rc<BegunBlock>) -> bool {
        self.begun.as_ref().is_some_and(|begun| Rc::ptr_eq(begun, block))
    }

    /// True if parts of a block are pushed while they come.
    pub fn has_begun(&self) -> bool {
        self.begun.is_some()
    }

    /// True if everything that was pushed has been written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.blocks.is_empty()
    }

    /// Takes back the last block, if nothing of it was written and other tasks may have it.
    pub fn take_unsent(&mut self) -> Option<Block> {
        if self.ended { None } else { self.blocks.pop_back()?.into_unsent() }
    }

    /// Returns why the feed has ended early, unless the child stopped reading.
    pub fn failure(&self) -> Option<FeedFailure> {
        self.failure
    }

    /// Ends the feed: nothing more will be pushed.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Writes as much as the pipe has room for, once: a child that reads as fast as prun writes must not keep the loop
    /// from all else. A child that stops reading is no error.
    pub fn write(&mut self) -> FeedState {
        if self.failure.is_some() {
            return FeedState::Finished;
        }
        if self.written < self.bytes.len() {
            match nix::unistd::write(&self.to, &self.bytes[self.written..]) {
                Ok(count) => self.written += count,
                Err(Errno::EAGAIN | Errno::EINTR) => return FeedState::Blocked,
                Err(errno) => return self.fail(FeedFailure::Write(errno)),
            }
        }
        if self.bytes.is_empty()
            && let Some(block) = self.blocks.front_mut()
        {
            match block.send(self.to.as_fd()) {
                Ok(()) if block.is_done() => drop(self.blocks.pop_front()),
                Ok(()) => {}
                Err(Errno::EAGAIN | Errno::EINTR) => return FeedState::Blocked,
                Err(errno) if block.is_in_memory() => return self.fail(FeedFailure::Write(errno)),
                Err(errno) => return self.fail(FeedFailure::Input(errno)),
            }
        }
        // Fewer bytes are moved than were written, so that the cost stays linear.
        if self.written >= self.bytes.len() - self.written {
            self.bytes.drain(..self.written);
            self.written = 0;
            if self.bytes.capacity() > KEPT && self.bytes.capacity() / 4 > self.bytes.len() {
                self.bytes.shrink_to(KEPT);
            }
        }
        match (self.is_empty(), self.ended) {
            (false, _) => FeedState::Blocked,
            (true, false) => FeedState::Idle,
            (true, true) => FeedState::Finished,
        }
    }

    /// Ends the feed early. Whoever has closed the pipe or the terminal reads no more, which is no failure.
    fn fail(&mut self, failure: FeedFailure) -> FeedState {
        let (FeedFailure::Input(errno) | FeedFailure::Write(errno)) = failure;
        let closed = errno == Errno::EPIPE || self.is_terminal && errno == Errno::EIO;
        self.failure = (!closed).then_some(failure);
        FeedState::Finished
    }
}
