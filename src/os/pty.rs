//! Pseudoterminals for children (pty(7)). Bytes written to the master arrive as typed input, and what the
//! child writes is read from the master.

use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, OutputFlags, SetArg, tcgetattr, tcsetattr};

use super::{io::terminal_size, std_streams};

/// Both ends of a pseudoterminal.
pub struct Pty {
    /// prun's end, non-blocking. A read fails with EIO when no process has the terminal open.
    pub master: OwnedFd,
    /// The child's end.
    pub terminal: OwnedFd,
}

/// At the beginning of a line this byte ends the input (VEOF, termios(3)).
pub const END_OF_INPUT: u8 = 4;

/// Columns and lines of a new terminal if prun itself has no terminal.
const SIZE: (u16, u16) = (80, 24);

/// Opens a terminal that passes bytes on unchanged: it does not echo, and a newline stays a newline.
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

/// Opens the child's end, independently of what is mounted at `/dev/pts` (Linux 4.13).
fn peer(master: BorrowedFd) -> io::Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: the request takes flags as a number and gives a new descriptor.
    let fd = Errno::result(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) })?;
    // SAFETY: the descriptor is new, so nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Settings of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Modes {
    /// A number that differs if any setting differs.
    pub fingerprint: u64,
    /// True if lines are read (canonical mode, termios(3)).
    pub reads_lines: bool,
    /// The byte that ends the input, unless that is disabled.
    pub end_of_input: Option<u8>,
}

/// Returns the settings of the child's end. `None` if it was hung up.
pub fn modes(master: BorrowedFd) -> Option<Modes> {
    // The kernel answers for the child's end, also if the master is asked.
    let modes = tcgetattr(master).ok()?;
    let mut hasher = DefaultHasher::new();
    let flags = (modes.input_flags.bits(), modes.output_flags.bits(), modes.control_flags.bits());
    (flags, modes.local_flags.bits(), modes.control_chars).hash(&mut hasher);
    let end = modes.control_chars[libc::VEOF];
    Some(Modes {
        fingerprint: hasher.finish(),
        reads_lines: modes.local_flags.contains(LocalFlags::ICANON),
        end_of_input: (end != libc::_POSIX_VDISABLE).then_some(end),
    })
}

/// True if the child's end has a line, or an end of input, that was not read yet; in raw mode any byte.
pub fn has_unread(master: BorrowedFd) -> bool {
    // Only the child's end tells. It is not kept open, because then its hang-up would not be noticed.
    let Ok(terminal) = peer(master) else { return false };
    let mut ends = [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)];
    poll(&mut ends, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// Returns the columns and lines of prun's own terminal, wherever prun has it.
pub fn size_of_own() -> (u16, u16) {
    let own = [std_streams::stderr(), std_streams::stdout(), std_streams::stdin()]
        .into_iter()
        .find_map(terminal_size);
    let controlling = || terminal_size(File::open("/dev/tty").ok()?.as_fd());
    own.or_else(controlling).unwrap_or(SIZE)
}

/// Sets the columns and lines of a terminal. Its foreground group gets SIGWINCH if they have changed.
pub fn resize(master: BorrowedFd, (columns, lines): (u16, u16)) {
    let size = libc::winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the struct is live and is what this request reads. A failure leaves a terminal without a size.
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
    fn the_master_tells_settings_and_what_was_not_read() {
        let Pty { master, terminal } = open().unwrap();
        let before = modes(master.as_fd()).unwrap();
        assert!(before.reads_lines && before.end_of_input == Some(END_OF_INPUT));
        let mut buffer = [0; 64];
        for typed in [&b"line\n"[..], b"\x04"] {
            assert!(!has_unread(master.as_fd()));
            write(&master, typed).unwrap();
            assert!(has_unread(master.as_fd()));
            read(&terminal, &mut buffer).unwrap();
        }
        write(&master, b"no line").unwrap();
        assert!(!has_unread(master.as_fd()));
        let mut raw = tcgetattr(&terminal).unwrap();
        raw.local_flags.remove(LocalFlags::ICANON);
        raw.control_chars[libc::VEOF] = 0;
        tcsetattr(&terminal, SetArg::TCSANOW, &raw).unwrap();
        let after = modes(master.as_fd()).unwrap();
        assert!(
            after.fingerprint != before.fingerprint && !after.reads_lines && after.end_of_input.is_none()
        );
        assert!(has_unread(master.as_fd()));
        tcsetattr(&terminal, SetArg::TCSAFLUSH, &raw).unwrap();
        assert!(!has_unread(master.as_fd()), "the flush has discarded it");
        drop(terminal);
        assert!(!has_unread(master.as_fd()));
        assert_eq!(read(&master, &mut buffer), Err(Errno::EIO), "the hang-up is still noticed");
    }

    #[test]
    fn a_terminal_has_a_size_and_takes_another() {
        let pty = open().unwrap();
        assert_eq!(terminal_size(pty.terminal.as_fd()), Some(size_of_own()));
        resize(pty.master.as_fd(), (132, 50));
        assert_eq!(terminal_size(pty.terminal.as_fd()), Some((132, 50)));
    }
}
