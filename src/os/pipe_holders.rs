//! Finds the processes that have the other end of a pipe or pseudoterminal open. For messages to people.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::unistd::Pid;

/// Returns the target that links in `/proc/PID/fd` have in processes with the other end open.
pub fn other_end(fd: BorrowedFd) -> Option<PathBuf> {
    if let Some(terminal) = terminal_behind(fd) {
        return Some(terminal);
    }
    std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()
}

/// True if the process has one of these files open. False for other users' processes, which can't be
/// inspected.
pub fn has_open(pid: Pid, ends: &[PathBuf]) -> bool {
    let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    fds.filter_map(|fd| std::fs::read_link(fd.path()).ok()).any(|link| ends.contains(&link))
}

/// True if the open files of the process can be read.
pub fn can_inspect(pid: Pid) -> bool {
    std::fs::read_dir(format!("/proc/{pid}/fd")).is_ok()
}

/// Returns the terminal whose master `fd` is.
fn terminal_behind(fd: BorrowedFd) -> Option<PathBuf> {
    let mut name = [0u8; 64];
    // SAFETY: the buffer is live and writable, and has the length that is passed; a descriptor of another
    // kind is an error and does no harm.
    let error = unsafe { nix::libc::ptsname_r(fd.as_raw_fd(), name.as_mut_ptr().cast(), name.len()) };
    let name = std::ffi::CStr::from_bytes_until_nul(&name).ok().filter(|_| error == 0)?;
    Some(Path::new(name.to_str().ok()?).to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn ends_of_pipes_are_seen() {
        let (reader, writer) = os_pipe::pipe().expect("a pipe");
        let end = other_end(reader.as_fd()).expect("it has a name");
        assert_eq!(Some(&end), other_end(writer.as_fd()).as_ref());
        let me = nix::unistd::getpid();
        assert!(has_open(me, &[PathBuf::from("/nothing"), end.clone()]));
        drop((reader, writer));
        assert!(!has_open(me, &[end]));
    }

    #[test]
    fn the_terminal_behind_its_other_side_is_seen() {
        let pty = nix::pty::openpty(None, None).expect("a terminal");
        let end = other_end(pty.master.as_fd()).expect("it has a name");
        assert!(end.starts_with("/dev/pts"), "{end:?}");
        assert!(has_open(nix::unistd::getpid(), &[end]));
    }
}
