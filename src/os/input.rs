//! Reading a descriptor that prun shares with others, such as its stdin, without ever waiting for it.
//!
//! Setting O_NONBLOCK would change it for everybody who has it, and asking `poll` first is no help: another
//! process may have read what was there before prun does.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// A shared descriptor that is read without waiting.
pub struct SharedInput {
    file: File,
    way: Way,
}

/// How it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Pipes and sockets: each read says that it must not wait.
    NoWait,
    /// What never waits: regular files and the like, and terminals, which were opened once more, so that
    /// being non-blocking is prun's alone.
    Plain,
    /// What knows neither and may have to wait after all, if somebody else reads it too.
    Polled,
}

impl SharedInput {
    pub fn new(fd: OwnedFd) -> io::Result<SharedInput> {
        let file = File::from(fd);
        let kind = file.metadata()?.file_type();
        if kind.is_fifo() || kind.is_socket() {
            return Ok(SharedInput { file, way: Way::NoWait });
        }
        if !kind.is_char_device() {
            return Ok(SharedInput { file, way: Way::Plain });
        }
        Ok(match reopened(&file) {
            Ok(file) => SharedInput { file, way: Way::Plain },
            // A terminal that was handed over by another user.
            Err(_) => SharedInput { file, way: Way::Polled },
        })
    }

    /// What to wait for before the next read.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Reading may find nothing now; what can be waited for.
    pub fn may_wait(&self) -> bool {
        self.way != Way::Plain
    }

    /// Reads what is there. `None`: nothing now; `Some(0)`: the end.
    pub fn read_nowait(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let result = match self.way {
            Way::NoWait => read_without_waiting(&self.file, buffer),
            Way::Plain => self.file.read(buffer),
            Way::Polled if !is_ready(self.fd())? => return Ok(None),
            Way::Polled => self.file.read(buffer),
        };
        match result {
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) && self.way == Way::NoWait => {
                // An older kernel, or a kind of socket that does not know how.
                self.way = Way::Polled;
                self.read_nowait(buffer)
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => Ok(None),
                // Not the same: of a regular file nothing would tell that it can be read again.
                io::ErrorKind::Interrupted => self.read_nowait(buffer),
                _ => Err(error),
            },
            Ok(count) => Ok(Some(count)),
        }
    }
}

/// The same terminal, non-blocking for prun alone.
fn reopened(file: &File) -> io::Result<File> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)
}

fn read_without_waiting(file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    let part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: the one part is a live and writable buffer of that length. -1: where the descriptor stands.
    let count = unsafe { libc::preadv2(file.as_raw_fd(), &part, 1, -1, libc::RWF_NOWAIT) };
    Ok(Errno::result(count)? as usize)
}

fn is_ready(fd: BorrowedFd) -> io::Result<bool> {
    match poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::ZERO) {
        Err(Errno::EINTR) => Ok(false),
        result => Ok(result? > 0),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    use nix::pty::openpty;

    use super::*;

    /// Nothing, then what is written, then nothing; and the writer's and reader's own flags stay.
    fn reads_what_is_there(fd: OwnedFd, mut writer: File) -> SharedInput {
        let shared = fd.try_clone().unwrap();
        let mut input = SharedInput::new(fd).unwrap();
        let mut buffer = [0; 100];
        assert_eq!(input.read_nowait(&mut buffer).unwrap(), None);
        writer.write_all(b"line\n").unwrap();
        assert_eq!(input.read_nowait(&mut buffer).unwrap(), Some(5));
        assert_eq!(&buffer[..5], b"line\n");
        assert_eq!(input.read_nowait(&mut buffer).unwrap(), None);
        let flags = OFlag::from_bits_retain(fcntl(&shared, FcntlArg::F_GETFL).unwrap());
        assert!(!flags.contains(OFlag::O_NONBLOCK));
        input
    }

    #[test]
    fn pipes_and_sockets_are_read_without_waiting() {
        let (reader, writer) = io::pipe().unwrap();
        let mut input = reads_what_is_there(reader.into(), OwnedFd::from(writer).into());
        assert_eq!(input.read_nowait(&mut [0; 9]).unwrap(), Some(0), "the writer has gone");
        let (reader, writer) = UnixStream::pair().unwrap();
        let mut input = reads_what_is_there(reader.into(), OwnedFd::from(writer).into());
        assert_eq!(input.read_nowait(&mut [0; 9]).unwrap(), Some(0), "the writer has gone");
    }

    #[test]
    fn named_pipes_are_read_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let open = || File::options().read(true).write(true).open(&path).unwrap();
        reads_what_is_there(open().into(), open());
    }

    #[test]
    fn terminals_are_read_without_waiting() {
        let terminal = openpty(None, None).unwrap();
        reads_what_is_there(terminal.slave, terminal.master.into());
    }

    #[test]
    fn what_knows_no_way_is_asked_first() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut input = SharedInput { file: OwnedFd::from(reader).into(), way: Way::Polled };
        assert_eq!(input.read_nowait(&mut [0; 9]).unwrap(), None);
        writer.write_all(b"ab").unwrap();
        assert_eq!(input.read_nowait(&mut [0; 9]).unwrap(), Some(2));
    }

    #[test]
    fn files_end_and_folders_are_errors() {
        let mut input = SharedInput::new(File::open("/dev/null").unwrap().into()).unwrap();
        assert_eq!(input.read_nowait(&mut [0; 9]).unwrap(), Some(0));
        let mut input = SharedInput::new(File::open("/proc/self/comm").unwrap().into()).unwrap();
        assert!(input.read_nowait(&mut [0; 9]).unwrap() > Some(0));
        let mut input = SharedInput::new(File::open("/").unwrap().into()).unwrap();
        assert!(input.read_nowait(&mut [0; 9]).is_err());
    }
}
