//! Process descriptors (pidfd_open(2)). A signal sent through one never reaches another process that got the
//! same pid later.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;

pub(super) fn open(pid: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: a plain system call on numbers; the descriptor is close-on-exec.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    // SAFETY: the descriptor is new, so nothing else owns it.
    Errno::result(fd).map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

pub(super) fn send(pidfd: &OwnedFd, signal: i32, flags: u32) -> nix::Result<()> {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open; without an info the call reads no memory.
    let result =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, info, flags) };
    Errno::result(result).map(drop)
}
