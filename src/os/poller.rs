//! Waits for descriptors, with level-triggered epoll(7).
//!
//! A level-triggered descriptor reports a hang-up even without any interest, so one that is paused would make
//! the loop spin. It is removed, not modified.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::errors;

pub struct Poller(Epoll);

/// The condition to wait for. Hang-ups and errors are always reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    Read,
    Write,
    /// Only the hang-up of the other end. A pipe whose reader has gone reports an error at the writing end.
    Hangup,
}

/// A descriptor that is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// The token that was passed to [`Poller::add`].
    pub token: u64,
    pub read: bool,
    pub write: bool,
    pub hup: bool,
    pub err: bool,
}

impl Poller {
    pub fn new() -> nix::Result<Poller> {
        Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map(Poller)
    }

    /// Adds a descriptor. Returns `false` if it can't be polled because it is always ready (a regular file, a
    /// directory, `/dev/null`). If others share its open file description, remove it before it is closed.
    pub fn add(&self, fd: BorrowedFd, token: u64, interest: Interest) -> nix::Result<bool> {
        match self.0.add(fd, EpollEvent::new(interest.flags(), token)) {
            Ok(()) => Ok(true),
            Err(Errno::EPERM) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes a descriptor.
    pub fn remove(&self, fd: BorrowedFd) -> nix::Result<()> {
        self.0.delete(fd)
    }

    /// Blocks until a descriptor is ready or the timeout expires, and fills `out` with the ready ones. `out`
    /// is empty after a timeout or a signal. The timeout is rounded up to milliseconds, so that a deadline
    /// has passed when the wait for it ends.
    pub fn wait(&self, out: &mut Vec<Ready>, timeout: Option<Duration>) -> nix::Result<()> {
        let mut events = [EpollEvent::empty(); 256];
        out.clear();
        let count = match self.0.wait(&mut events, timeout.map_or(EpollTimeout::NONE, rounded_up)) {
            Err(Errno::EINTR) => 0,
            result => result?,
        };
        out.extend(events[..count].iter().map(Ready::from));
        Ok(())
    }
}

/// Returns what is ready of these descriptors, in their order, without waiting (poll(2)). The tokens are their places. It
/// is one call, where watching them is two for each.
///
/// # Errors
/// When the system lacks memory.
pub fn look<'a>(fds: impl Iterator<Item = BorrowedFd<'a>>) -> nix::Result<Vec<Ready>> {
    let mut fds: Vec<_> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    while let Err(errno) = poll(&mut fds, PollTimeout::ZERO) {
        if errno != Errno::EINTR {
            return Err(errno);
        }
    }
    let ready = fds.iter().zip(0..).map(|(fd, token)| {
        let flags = fd.revents().unwrap_or(PollFlags::empty());
        Ready {
            token,
            read: flags.contains(PollFlags::POLLIN),
            write: false,
            hup: flags.contains(PollFlags::POLLHUP),
            err: flags.contains(PollFlags::POLLERR),
        }
    });
    Ok(ready.collect())
}

/// Returns why a descriptor can't be watched, for people: the words of [`errors::reason`] are those of a disk.
pub fn reason(errno: Errno) -> String {
    match errno {
        Errno::ENOSPC => "no more descriptors may be watched (/proc/sys/fs/epoll/max_user_watches)".into(),
        Errno::ENOMEM => "there is too little memory to watch it".into(),
        errno => errors::reason(&errno.into()),
    }
}

fn rounded_up(timeout: Duration) -> EpollTimeout {
    let millis = timeout.as_nanos().div_ceil(1_000_000);
    // A timeout over 24 days ends early; the loop checks the clock and waits again.
    EpollTimeout::try_from(millis.min(i32::MAX as u128) as i32).unwrap_or(EpollTimeout::MAX)
}

impl Interest {
    fn flags(self) -> EpollFlags {
        match self {
            Interest::Read => EpollFlags::EPOLLIN,
            Interest::Write => EpollFlags::EPOLLOUT,
            Interest::Hangup => EpollFlags::empty(),
        }
    }
}

impl From<&EpollEvent> for Ready {
    fn from(event: &EpollEvent) -> Ready {
        let has = |flag| event.events().contains(flag);
        Ready {
            token: event.data(),
            read: has(EpollFlags::EPOLLIN),
            write: has(EpollFlags::EPOLLOUT),
            hup: has(EpollFlags::EPOLLHUP),
            err: has(EpollFlags::EPOLLERR),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::time::Instant;

    use super::*;

    fn wait(poller: &Poller) -> Vec<Ready> {
        let mut out = Vec::new();
        poller.wait(&mut out, Some(Duration::ZERO)).unwrap();
        out
    }

    #[test]
    fn a_look_tells_of_bytes_and_of_the_end_in_order() {
        let pipe = || std::io::pipe().unwrap();
        let ((quiet, _writer), (ended, writer), (full, mut last)) = (pipe(), pipe(), pipe());
        drop(writer);
        last.write_all(b"x").unwrap();
        drop(last);
        let looked = look([quiet.as_fd(), ended.as_fd(), full.as_fd()].into_iter()).unwrap();
        let told: Vec<_> = looked.iter().map(|ready| (ready.token, ready.read, ready.hup)).collect();
        assert_eq!(told, [(0, false, false), (1, false, true), (2, true, true)]);
    }

    #[test]
    fn pipes_tell_data_room_and_hangup() {
        let poller = Poller::new().unwrap();
        let (reader, mut writer) = std::io::pipe().unwrap();
        assert!(poller.add(reader.as_fd(), 1, Interest::Read).unwrap());
        assert!(poller.add(writer.as_fd(), 2, Interest::Hangup).unwrap());
        assert_eq!(wait(&poller), []);
        writer.write_all(b"x").unwrap();
        let ready = wait(&poller);
        assert_eq!((ready.len(), ready[0].token, ready[0].read, ready[0].hup), (1, 1, true, false));
        poller.remove(writer.as_fd()).unwrap();
        assert!(poller.add(writer.as_fd(), 2, Interest::Write).unwrap());
        assert!(wait(&poller).iter().any(|r| r.token == 2 && r.write && !r.err));
        poller.remove(reader.as_fd()).unwrap();
        drop(reader);
        let ready = wait(&poller);
        assert_eq!((ready.len(), ready[0].token, ready[0].err), (1, 2, true));
    }

    #[test]
    fn a_writer_that_goes_is_a_hangup() {
        let poller = Poller::new().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        poller.add(reader.as_fd(), 7, Interest::Read).unwrap();
        drop(writer);
        let ready = wait(&poller);
        assert_eq!((ready.len(), ready[0].token, ready[0].hup), (1, 7, true));
    }

    #[test]
    fn files_are_always_ready() {
        let poller = Poller::new().unwrap();
        for path in ["/dev/null", "/proc/self/exe", "/"] {
            let file = std::fs::File::open(path).unwrap();
            assert!(!poller.add(file.as_fd(), 1, Interest::Read).unwrap(), "{path}");
        }
    }

    #[test]
    fn what_can_not_be_watched_is_told_in_words_of_its_own() {
        for errno in [Errno::ENOSPC, Errno::ENOMEM] {
            let why = reason(errno);
            assert!(why.contains("watch"), "{why}");
            assert!(!why.contains("disk") && !why.contains("space"), "{why}");
        }
        let poller = Poller::new().unwrap();
        let (reader, _writer) = std::io::pipe().unwrap();
        poller.add(reader.as_fd(), 1, Interest::Read).unwrap();
        let errno = poller.add(reader.as_fd(), 1, Interest::Read).unwrap_err();
        assert_eq!(reason(errno), errors::reason(&errno.into()));
    }

    #[test]
    fn a_deadline_has_passed_when_the_wait_ends() {
        let poller = Poller::new().unwrap();
        let start = Instant::now();
        poller.wait(&mut Vec::new(), Some(Duration::from_micros(1_500))).unwrap();
        assert!(start.elapsed() >= Duration::from_micros(1_500));
        assert_eq!(i32::from(rounded_up(Duration::MAX)), i32::MAX);
    }
}
