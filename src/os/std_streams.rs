//! prun's own standard input, output and error.

use std::io::IsTerminal;
use std::os::fd::BorrowedFd;

use nix::libc;

pub fn stdin() -> BorrowedFd<'static> {
    // SAFETY: 0, 1 and 2 are opened before `main` where they were closed, and prun never closes them.
    unsafe { BorrowedFd::borrow_raw(libc::STDIN_FILENO) }
}

pub fn stdout() -> BorrowedFd<'static> {
    // SAFETY: as above.
    unsafe { BorrowedFd::borrow_raw(libc::STDOUT_FILENO) }
}

pub fn stderr() -> BorrowedFd<'static> {
    // SAFETY: as above.
    unsafe { BorrowedFd::borrow_raw(libc::STDERR_FILENO) }
}

pub fn is_terminal(fd: BorrowedFd) -> bool {
    fd.is_terminal()
}
