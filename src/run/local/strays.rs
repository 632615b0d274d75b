//! Pipes that leftovers of ended attempts hold open: what is written to them is read and discarded.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;

use crate::os::poller::{Interest, Poller};
use crate::run::token::Token;

/// The pipes, by a number that is never used again.
#[derive(Default)]
pub struct Strays {
    pipes: HashMap<u32, OwnedFd>,
    next: u32,
}

impl Strays {
    /// Keeps a pipe until its last writer is gone. One that can't be watched is closed at once.
    pub fn keep(&mut self, pipe: OwnedFd, poller: &Poller) {
        self.next += 1;
        if poller.add(pipe.as_fd(), Token::Stray(self.next).pack(), Interest::Read).is_ok() {
            self.pipes.insert(self.next, pipe);
        }
    }

    /// Reads what is there, once. At its end the pipe is closed.
    pub fn discard(&mut self, stray: u32, buffer: &mut [u8], poller: &Poller) {
        if let Some(pipe) = self.pipes.get(&stray)
            && !matches!(nix::unistd::read(pipe.as_fd(), buffer), Ok(1..) | Err(Errno::EAGAIN | Errno::EINTR))
        {
            // A child that has not executed yet holds a copy, of which the poller would tell.
            let _ = poller.remove(pipe.as_fd());
            self.pipes.remove(&stray);
        }
    }
}
