//! Pipes that nobody empties, seen without holding an end of them: one is opened through `/proc` for a moment.

use std::fs::OpenOptions;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::fstat;
use nix::unistd::Pid;

/// Which pipe it is.
pub type PipeId = (u64, u64);

/// Which pipe, or other file, a descriptor refers to.
pub fn id(fd: BorrowedFd) -> Option<PipeId> {
    fstat(fd).ok().map(|stat| (stat.st_dev, stat.st_ino))
}

/// How many bytes are held by the pipe that this child writes its stdout to, if it is this pipe and full.
/// The child must not have been reaped.
pub fn held_by_full_stdout(child: Pid, pipe: PipeId) -> Option<usize> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    // Without a reader there is nothing to open, and nothing that is full for long.
    let stdout =
        OpenOptions::new().write(true).custom_flags(flags).open(format!("/proc/{child}/fd/1")).ok()?;
    if id(stdout.as_fd())? != pipe || has_room(stdout.as_fd())? {
        return None;
    }
    let mut held: libc::c_int = 0;
    // SAFETY: the number is live and what this request fills.
    Errno::result(unsafe { libc::ioctl(stdout.as_raw_fd(), libc::FIONREAD, &mut held) }).ok()?;
    usize::try_from(held).ok()
}

fn has_room(pipe: BorrowedFd) -> Option<bool> {
    let mut wanted = [PollFd::new(pipe, PollFlags::POLLOUT)];
    poll(&mut wanted, PollTimeout::ZERO).ok()?;
    Some(wanted[0].any().unwrap_or(true))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_full_pipe_is_told_from_one_with_room() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let pipe = id(writer.as_fd()).unwrap();
        let mut child = Command::new("yes").stdout(Stdio::from(writer)).spawn().unwrap();
        let pid = Pid::from_raw(child.id() as i32);
        let start = std::time::Instant::now();
        while held_by_full_stdout(pid, pipe).is_none() {
            assert!(start.elapsed().as_secs() < 30, "it never was full");
            std::thread::yield_now();
        }
        assert_eq!(held_by_full_stdout(pid, (pipe.0, pipe.1 + 1)), None, "another pipe");
        child.kill().unwrap();
        assert!(child.wait().is_ok() && reader.read_to_end(&mut Vec::new()).is_ok());
    }

    #[test]
    fn what_is_no_pipe_is_never_full() {
        let null = std::fs::File::create("/dev/null").unwrap();
        let id = id(null.as_fd()).unwrap();
        let mut child = Command::new("sleep").arg("60").stdout(Stdio::from(null)).spawn().unwrap();
        assert_eq!(held_by_full_stdout(Pid::from_raw(child.id() as i32), id), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
