//! Who has a pipe open, or the terminal behind one that prun reads: for people.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::unistd::Pid;

/// What the links in `/proc/PID/fd` of those say who have the other end open.
pub fn other_end(fd: BorrowedFd) -> Option<PathBuf> {
    if let Some(terminal) = terminal_behind(fd) {
        return Some(terminal);
    }
    std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()
}

/// Whether the process has one of them open. That of another user is not known.
pub fn holds(pid: Pid, ends: &[PathBuf]) -> bool {
    let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    fds.filter_map(|fd| std::fs::read_link(fd.path()).ok()).any(|link| ends.contains(&link))
}

/// Whether it can be known what the process has open.
pub fn can_look(pid: Pid) -> bool {
    std::fs::read_dir(format!("/proc/{pid}/fd")).is_ok()
}

/// The one whose other side this is.
fn terminal_behind(fd: BorrowedFd) -> Option<PathBuf> {
    let mut name = [0u8; 64];
    // SAFETY: the buffer is live and writable, and as long as is said; other descriptors are an error and no harm.
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
        assert!(holds(me, &[PathBuf::from("/nothing"), end.clone()]));
        drop((reader, writer));
        assert!(!holds(me, &[end]));
    }

    #[test]
    fn the_terminal_behind_its_other_side_is_seen() {
        let pty = nix::pty::openpty(None, None).expect("a terminal");
        let end = other_end(pty.master.as_fd()).expect("it has a name");
        assert!(end.starts_with("/dev/pts"), "{end:?}");
        assert!(holds(nix::unistd::getpid(), &[end]));
    }
}
