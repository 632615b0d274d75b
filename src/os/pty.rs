//! Terminals of children's own (pty(7)). What is written to the master is typed at the terminal, and what the
//! child writes is read from it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::libc;
use nix::sys::termios::{LocalFlags, OutputFlags, SetArg, tcgetattr, tcsetattr};

use super::{io::terminal_size, std_streams};

/// Both ends of a terminal.
pub struct Pty {
    /// Does not block. A read fails with EIO when nobody has the terminal open.
    pub master: OwnedFd,
    /// The child's end.
    pub terminal: OwnedFd,
}

/// Typed at the beginning of a line, it is the end of the input.
pub const END_OF_INPUT: u8 = 4;

/// Columns and lines where prun itself has no terminal.
const SIZE: (u16, u16) = (80, 24);

/// A new terminal, which passes bytes on as they are: it does not echo, and a newline stays one.
pub fn open() -> io::Result<Pty> {
    let flags = libc::O_NOCTTY | libc::O_NONBLOCK;
    let master: OwnedFd =
        OpenOptions::new().read(true).write(true).custom_flags(flags).open("/dev/ptmx")?.into();
    let unlocked: libc::c_int = 0;
    // SAFETY: the request reads a number that is live; the descriptor is open.
    Errno::result(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &unlocked) })?;
    let terminal = peer(master.as_fd())?;
    let mut modes = tcgetattr(&terminal)?;
    modes.output_flags.remove(OutputFlags::OPOST);
    modes.local_flags.remove(LocalFlags::ECHO);
    modes.control_chars[libc::VEOF] = END_OF_INPUT;
    tcsetattr(&terminal, SetArg::TCSANOW, &modes)?;
    resize(master.as_fd(), size_of_own());
    Ok(Pty { master, terminal })
}

/// The other end, whatever is mounted where (Linux 4.13).
fn peer(master: BorrowedFd) -> io::Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: the request takes flags as a number and gives a new descriptor.
    let fd = Errno::result(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) })?;
    // SAFETY: the descriptor is open, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The size of prun's terminal, wherever it is.
pub fn size_of_own() -> (u16, u16) {
    let own = [std_streams::stderr(), std_streams::stdout(), std_streams::stdin()]
        .into_iter()
        .find_map(terminal_size);
    let controlling = || terminal_size(File::open("/dev/tty").ok()?.as_fd());
    own.or_else(controlling).unwrap_or(SIZE)
}

/// Gives a terminal this many columns and lines; its foreground group gets SIGWINCH if that is new.
pub fn resize(master: BorrowedFd, (columns, lines): (u16, u16)) {
    let size = libc::winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the struct is live and what this request reads. A terminal without a size is still one.
    unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSWINSZ, &size) };
}

#[cfg(test)]
mod tests {
    use nix::unistd::{read, write};

    use super::*;

    #[test]
    fn bytes_pass_as_they_are_and_nothing_is_echoed() {
        let Pty { master, terminal } = open().unwrap();
        let mut buffer = [0; 64];
        write(&master, b"typed\n\x04").unwrap();
        assert_eq!(read(&terminal, &mut buffer), Ok(6));
        assert_eq!(read(&terminal, &mut buffer), Ok(0), "the end of the input");
        assert_eq!(read(&master, &mut buffer), Err(Errno::EAGAIN));
        write(&terminal, b"a\nb\tc\x1b").unwrap();
        assert_eq!(read(&master, &mut buffer), Ok(6));
        assert_eq!(&buffer[..6], b"a\nb\tc\x1b");
        drop(terminal);
        assert_eq!(read(&master, &mut buffer), Err(Errno::EIO));
    }

    #[test]
    fn a_terminal_has_a_size_and_takes_another() {
        let pty = open().unwrap();
        assert_eq!(terminal_size(pty.terminal.as_fd()), Some(size_of_own()));
        resize(pty.master.as_fd(), (132, 50));
        assert_eq!(terminal_size(pty.terminal.as_fd()), Some((132, 50)));
    }
}
