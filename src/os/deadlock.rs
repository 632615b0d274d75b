//! Detects pipes that nobody reads. prun holds no end of such a pipe; it opens one through `/proc` for a
//! moment.

use std::fs::OpenOptions;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;

use super::io::unread;
pub use super::io::{FileId as PipeId, file_id as pipe_id};

/// Returns the number of bytes in the pipe that `child` writes its standard output to, if it is `pipe` and
/// full. The child must not have been reaped.
pub fn bytes_in_full_stdout(child: Pid, pipe: PipeId) -> Option<usize> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    // Without a reader the open fails. Such a pipe does not stay full: its writer dies of SIGPIPE.
    let stdout =
        OpenOptions::new().write(true).custom_flags(flags).open(format!("/proc/{child}/fd/1")).ok()?;
    if pipe_id(stdout.as_fd())? != pipe || has_room(stdout.as_fd())? {
        return None;
    }
    Some(unread(stdout.as_fd()))
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
        let pipe = pipe_id(writer.as_fd()).unwrap();
        let mut child = Command::new("yes").stdout(Stdio::from(writer)).spawn().unwrap();
        let pid = Pid::from_raw(child.id() as i32);
        let start = std::time::Instant::now();
        while bytes_in_full_stdout(pid, pipe).is_none() {
            assert!(start.elapsed().as_secs() < 30, "it never was full");
            std::thread::yield_now();
        }
        assert_eq!(bytes_in_full_stdout(pid, (pipe.0, pipe.1 + 1)), None, "another pipe");
        child.kill().unwrap();
        assert!(child.wait().is_ok() && reader.read_to_end(&mut Vec::new()).is_ok());
    }

    #[test]
    fn what_is_no_pipe_is_never_full() {
        let null = std::fs::File::create("/dev/null").unwrap();
        let id = pipe_id(null.as_fd()).unwrap();
        let mut child = Command::new("sleep").arg("60").stdout(Stdio::from(null)).spawn().unwrap();
        assert_eq!(bytes_in_full_stdout(Pid::from_raw(child.id() as i32), id), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
