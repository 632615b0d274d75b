//! prun's own descriptors 0, 1 and 2, and small things about descriptors.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;

pub fn stdin() -> BorrowedFd<'static> {
    // SAFETY: Rust's runtime opens 0, 1 and 2 where they were closed, and prun never closes them.
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

/// Only for descriptors that prun made: the flag is that of everybody who shares one.
pub fn set_nonblocking(fd: BorrowedFd) -> nix::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).map(drop)
}

pub fn set_blocking(fd: BorrowedFd) -> nix::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK)).map(drop)
}

/// Opens a file for reading without ever waiting for it: a FIFO without a writer is open at once (open(2)).
/// What is read from it later waits as usual.
pub fn open_input(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    set_blocking(file.as_fd())?;
    Ok(file)
}

/// The system's words for an error, without its number, in lower case as all of prun's messages are.
pub fn reason(error: &io::Error) -> String {
    let text = match error.raw_os_error() {
        Some(errno) => Errno::from_raw(errno).desc().to_owned(),
        None => error.to_string(),
    };
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_in_lower_case_and_without_numbers() {
        assert_eq!(reason(&io::Error::from_raw_os_error(13)), "permission denied");
        assert_eq!(reason(&io::Error::other("Odd")), "odd");
    }
}
