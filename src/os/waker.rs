//! Ends the loop's wait from another thread.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Shared by the loop and the threads that report to it.
pub struct Waker(EventFd);

impl Waker {
    pub fn new() -> nix::Result<Waker> {
        EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).map(Waker)
    }

    /// Makes [`Waker::fd`] readable. If that fails, the loop is woken by its other descriptor, which SIGCHLD makes
    /// readable: a wake that is lost would leave it waiting for ever.
    pub fn wake(&self) {
        if self.0.write(1).is_err() {
            let _ = kill(Pid::this(), Signal::SIGCHLD);
        }
    }

    /// Makes [`Waker::fd`] unreadable again. Call it before reading what was reported, so that nothing is
    /// missed.
    pub fn drain(&self) {
        // It fails only if nobody has woken it.
        let _ = self.0.read();
    }

    /// Blocks until it is woken, at most `limit`, and makes it unreadable again. Returns true if it was
    /// woken.
    pub fn wait(&self, limit: Duration) -> bool {
        let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
        let woken =
            poll(&mut [PollFd::new(self.fd(), PollFlags::POLLIN)], limit).is_ok_and(|count| count > 0);
        self.drain();
        woken
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::super::poller::{Interest, Poller};
    use super::*;

    #[test]
    fn wakes_from_another_thread_until_drained() {
        let (waker, poller) = (Waker::new().unwrap(), Poller::new().unwrap());
        poller.add(waker.fd(), 3, Interest::Read).unwrap();
        let mut ready = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| waker.wake());
            poller.wait(&mut ready, None).unwrap();
        });
        assert_eq!((ready.len(), ready[0].token, ready[0].read), (1, 3, true));
        waker.drain();
        waker.drain();
        poller.wait(&mut ready, Some(std::time::Duration::ZERO)).unwrap();
        assert_eq!(ready, []);
    }
}
