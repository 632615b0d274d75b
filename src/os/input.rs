//! Reads from a descriptor that prun shares with other processes, such as its standard input, without
//! blocking.
//!
//! Setting O_NONBLOCK would change the descriptor for everybody who shares it. Asking `poll` first does not
//! help: another process may read what was there before prun does.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// A shared descriptor that is read without blocking.
pub struct SharedInput {
    file: File,
    mode: Mode,
    /// True for a FIFO while nobody has opened it for writing: what looks like its end is its beginning.
    awaits_writer: bool,
}

/// The result of one read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// This many bytes were read, at least one.
    Bytes(usize),
    /// Nothing can be read now.
    Empty,
    /// The input has ended.
    End,
}

/// How the descriptor is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Pipes and sockets: each read says that it must not block (RWF_NOWAIT, preadv2(2)).
    NoWait,
    /// Descriptors whose reads never block: regular files and the like, and terminals. A terminal is opened a
    /// second time, so that only prun's description of it is non-blocking.
    Plain,
    /// Descriptors that support neither. A read may block if another process reads as well.
    Polled,
}

impl SharedInput {
    pub fn new(fd: OwnedFd) -> io::Result<SharedInput> {
        let file = File::from(fd);
        let kind = file.metadata()?.file_type();
        if kind.is_fifo() || kind.is_socket() {
            let awaits_writer = kind.is_fifo() && !super::io::has_had_writer(file.as_fd());
            return Ok(SharedInput { file, mode: Mode::NoWait, awaits_writer });
        }
        if !kind.is_char_device() {
            return Ok(SharedInput { file, mode: Mode::Plain, awaits_writer: false });
        }
        Ok(match reopened(&file) {
            Ok(file) => SharedInput { file, mode: Mode::Plain, awaits_writer: false },
            // A terminal that another user has handed over can't be opened again.
            Err(_) => SharedInput { file, mode: Mode::Polled, awaits_writer: false },
        })
    }

    /// Returns the descriptor to poll before the next read.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// True if a read may find nothing yet, so that the descriptor has to be polled.
    pub fn may_wait(&self) -> bool {
        self.mode != Mode::Plain
    }

    /// True for a FIFO that nobody has opened for writing yet. The descriptor becomes readable when somebody writes, or
    /// has come and gone.
    pub fn awaits_writer(&mut self) -> bool {
        self.awaits_writer = self.awaits_writer && !super::io::has_had_writer(self.file.as_fd());
        self.awaits_writer
    }

    /// Reads what is there into `buffer`, which must not be empty.
    pub fn read_nowait(&mut self, buffer: &mut [u8]) -> io::Result<Read> {
        // SAFETY: the buffer is live and writable, and has this length.
        unsafe { self.read_to(buffer.as_mut_ptr(), buffer.len()) }
    }

    /// Reads what is there, up to `most` bytes, to the end of `buffer`. Memory that is not needed stays untouched: a
    /// page costs more than a read of a few bytes.
    pub fn append_nowait(&mut self, buffer: &mut Vec<u8>, most: usize) -> io::Result<Read> {
        buffer.reserve(most);
        let room = &mut buffer.spare_capacity_mut()[..most];
        // SAFETY: the room is live and writable, and has this length; nothing reads it before it is written.
        let read = unsafe { self.read_to(room.as_mut_ptr().cast(), most) }?;
        if let Read::Bytes(count) = read {
            // SAFETY: the kernel has written this many bytes behind the old ones, within the capacity.
            unsafe { buffer.set_len(buffer.len() + count) };
        }
        Ok(read)
    }

    /// # Safety
    /// `start` points to `room` writable bytes. They need not be initialised.
    unsafe fn read_to(&mut self, start: *mut u8, room: usize) -> io::Result<Read> {
        if self.awaits_writer() {
            return Ok(Read::Empty);
        }
        let part = libc::iovec { iov_base: start.cast(), iov_len: room };
        let fd = self.file.as_raw_fd();
        let result = match self.mode {
            // SAFETY: the caller promises the one part. Offset -1 is the current position.
            Mode::NoWait => unsafe { libc::preadv2(fd, &part, 1, -1, libc::RWF_NOWAIT) },
            Mode::Polled if !is_ready(self.fd())? => return Ok(Read::Empty),
            // SAFETY: the caller promises the one part.
            Mode::Plain | Mode::Polled => unsafe { libc::readv(fd, &part, 1) },
        };
        match Errno::result(result) {
            Err(Errno::EOPNOTSUPP) if self.mode == Mode::NoWait => {
                // An older kernel, or a kind of socket without RWF_NOWAIT.
                self.mode = Mode::Polled;
                // SAFETY: the same promise.
                unsafe { self.read_to(start, room) }
            }
            Err(Errno::EAGAIN) => Ok(Read::Empty),
            // Not treated as `Empty`: nothing would report that a regular file can be read again. SAFETY: the same promise.
            Err(Errno::EINTR) => unsafe { self.read_to(start, room) },
            Err(errno) => Err(errno.into()),
            Ok(0) => Ok(Read::End),
            Ok(count) => Ok(Read::Bytes(count as usize)),
        }
    }
}

/// Opens the same terminal again, non-blocking for prun alone.
fn reopened(file: &File) -> io::Result<File> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)
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

    /// Reads nothing, then what is written, then nothing. Checks that the shared flags stay as they were.
    fn reads_what_is_there(fd: OwnedFd, mut writer: File) -> SharedInput {
        let shared = fd.try_clone().unwrap();
        let mut input = SharedInput::new(fd).unwrap();
        let mut buffer = [0; 100];
        assert_eq!(input.read_nowait(&mut buffer).unwrap(), Read::Empty);
        writer.write_all(b"line\n").unwrap();
        assert_eq!(input.read_nowait(&mut buffer).unwrap(), Read::Bytes(5));
        assert_eq!(&buffer[..5], b"line\n");
        assert_eq!(input.read_nowait(&mut buffer).unwrap(), Read::Empty);
        let flags = OFlag::from_bits_retain(fcntl(&shared, FcntlArg::F_GETFL).unwrap());
        assert!(!flags.contains(OFlag::O_NONBLOCK));
        input
    }

    #[test]
    fn pipes_and_sockets_are_read_without_waiting() {
        let (reader, writer) = io::pipe().unwrap();
        let mut input = reads_what_is_there(reader.into(), OwnedFd::from(writer).into());
        assert_eq!(input.read_nowait(&mut [0; 9]).unwrap(), Read::End, "the writer has gone");
        let (reader, writer) = UnixStream::pair().unwrap();
        let mut input = reads_what_is_there(reader.into(), OwnedFd::from(writer).into());
        assert_eq!(input.read_nowait(&mut [0; 9]).unwrap(), Read::End, "the writer has gone");
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
        let mut input =
            SharedInput { file: OwnedFd::from(reader).into(), mode: Mode::Polled, awaits_writer: false };
        assert_eq!(input.read_nowait(&mut [0; 9]).unwrap(), Read::Empty);
        writer.write_all(b"ab").unwrap();
        assert_eq!(input.read_nowait(&mut [0; 9]).unwrap(), Read::Bytes(2));
    }

    #[test]
    fn bytes_are_appended_up_to_a_bound() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut input = SharedInput::new(OwnedFd::from(reader)).unwrap();
        let mut buffer = b"old ".to_vec();
        assert_eq!(input.append_nowait(&mut buffer, 3).unwrap(), Read::Empty);
        writer.write_all(b"abcde").unwrap();
        assert_eq!(input.append_nowait(&mut buffer, 3).unwrap(), Read::Bytes(3));
        assert_eq!(input.append_nowait(&mut buffer, 1000).unwrap(), Read::Bytes(2));
        drop(writer);
        assert_eq!(input.append_nowait(&mut buffer, 1000).unwrap(), Read::End);
        assert_eq!(buffer, b"old abcde");
    }

    #[test]
    fn files_end_and_folders_are_errors() {
        let mut input = SharedInput::new(File::open("/dev/null").unwrap().into()).unwrap();
        assert_eq!(input.read_nowait(&mut [0; 9]).unwrap(), Read::End);
        let mut input = SharedInput::new(File::open("/proc/self/comm").unwrap().into()).unwrap();
        assert!(matches!(input.read_nowait(&mut [0; 9]).unwrap(), Read::Bytes(_)));
        let mut input = SharedInput::new(File::open("/").unwrap().into()).unwrap();
        assert!(input.read_nowait(&mut [0; 9]).is_err());
    }
}
