//! Reads, writes and copies that the standard library does not offer.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::fcntl::{
    FcntlArg, OFlag, PosixFadviseAdvice, SpliceFFlags, copy_file_range, fcntl, posix_fadvise, splice, tee,
};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::sendfile::sendfile64;
use nix::sys::stat::fstat;
use nix::sys::uio::{pread, writev};
use nix::unistd::{SysconfVar, pipe2, sysconf, write};

use super::poller;

/// The capacity of a new pipe in bytes (pipe(7)).
pub const PIPE: usize = 64 << 10;
/// The capacity in bytes of a pipe with much traffic, which takes fewer turns of the loop for the same bytes. All
/// pipes of a user may have 16,384 pages (pipe(7)).
pub const BIG_PIPE: usize = 256 << 10;

/// True if both descriptors refer to the same file, pipe or terminal.
pub fn same_file(a: BorrowedFd, b: BorrowedFd) -> bool {
    file_id(a).is_some_and(|id| Some(id) == file_id(b))
}

/// The device and inode number of a file.
pub type FileId = (u64, u64);

/// Returns the identity of the file, pipe or terminal that a descriptor refers to.
pub fn file_id(fd: BorrowedFd) -> Option<FileId> {
    fstat(fd).ok().map(|stat| (stat.st_dev, stat.st_ino))
}

/// Sets the capacity of a pipe to `wanted` bytes, or leaves it if the system refuses. Returns the capacity in
/// bytes.
pub fn set_pipe_size(pipe: BorrowedFd, wanted: usize) -> usize {
    let size = fcntl(pipe, FcntlArg::F_SETPIPE_SZ(wanted.min(i32::MAX as usize) as i32));
    // The user has reached the limit for big pipes (pipe(7)); the capacity stays as it is.
    let size = size.or_else(|_| fcntl(pipe, FcntlArg::F_GETPIPE_SZ));
    size.map_or(0, |size| size as usize)
}

/// Makes a pipe of one page in packet mode (O_DIRECT, pipe(2)): each write is a packet of its own, and a read takes one
/// packet. Returns the reading and the writing end. A read into less than [`largest_packet`] bytes may lose some.
///
/// Such a pipe must not be spliced from: the packets would stay packets in the other pipe, and a reader there that takes
/// a byte at a time loses all but the first of each.
pub fn packet_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = match pipe2(OFlag::O_CLOEXEC | OFlag::O_DIRECT) {
        // The system has no packet mode.
        Err(Errno::EINVAL) => pipe2(OFlag::O_CLOEXEC)?,
        result => result?,
    };
    set_pipe_size(reader.as_fd(), 1);
    Ok((reader, writer))
}

/// Returns the length of the longest packet in bytes: a page.
pub fn largest_packet() -> usize {
    static PAGE: OnceLock<usize> = OnceLock::new();
    *PAGE.get_or_init(|| {
        let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
        page.map_or(PIPE, |page| page as usize)
    })
}

/// Returns the number of bytes in a pipe that were not read yet. Either end can be asked.
pub fn unread(pipe: BorrowedFd) -> usize {
    let mut count: libc::c_int = 0;
    // SAFETY: the number is live, and is what this request fills.
    let result = unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &mut count) };
    if result == 0 { count as usize } else { 0 }
}

/// Returns the columns and lines of a terminal.
pub fn terminal_size(terminal: BorrowedFd) -> Option<(u16, u16)> {
    // SAFETY: winsize is a plain C struct, for which zeroes are valid.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: the struct is live and is what this request fills.
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &mut size) };
    (result == 0 && size.ws_col > 0).then_some((size.ws_col, size.ws_row))
}

/// Writes everything. Waits if somebody who shares the descriptor has made it non-blocking.
pub fn write_all(fd: BorrowedFd, mut parts: &mut [IoSlice]) -> io::Result<()> {
    // Without this, empty parts would look like a write that accepts nothing.
    IoSlice::advance_slices(&mut parts, 0);
    while !parts.is_empty() {
        match writev(fd, &parts[..parts.len().min(IOV_MAX)]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => IoSlice::advance_slices(&mut parts, count),
            Err(error) => wait_for_room(fd, error)?,
        }
    }
    Ok(())
}

/// Writes what the descriptor takes at once, whoever shares it. Returns the number of bytes.
///
/// # Errors
/// It takes nothing now (EAGAIN), it can't tell (EOPNOTSUPP: terminals, some file systems), or the write has failed.
pub fn write_nowait(fd: BorrowedFd, bytes: &[u8]) -> nix::Result<usize> {
    let part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: the one part is a live buffer of that length, which is only read. Offset -1 is the current position.
    let count = unsafe { libc::pwritev2(fd.as_raw_fd(), &part, 1, -1, libc::RWF_NOWAIT) };
    Errno::result(count).map(|count| count as usize)
}

/// The bytes of one read and write where the kernel can't copy. Larger pieces were measured to be slower.
const BY_HAND: usize = 64 << 10;

/// The most parts that one `writev` accepts.
const IOV_MAX: usize = 1024;

/// Copies a part of a file, within the kernel where possible.
pub fn copy_file(from: &File, start: u64, length: u64, to: BorrowedFd) -> io::Result<()> {
    let (mut at, end) = (start as i64, (start + length) as i64);
    if is_regular(to) {
        copy_to_regular(from, &mut at, end, to)?;
    }
    while at < end {
        let count = (end - at).min(1 << 30) as usize;
        match sendfile64(to, from, Some(&mut at), count) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            // Not possible between these two: the target is in append mode, or the file system has no
            // support.
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => return copy_by_hand(from, at, end, to),
            Err(error) => wait_for_room(to, error)?,
        }
    }
    Ok(())
}

/// Moves at most `most` bytes of a file into a non-blocking pipe, within the kernel, as far as the pipe has
/// room. Returns 0 at the end of the file. Bytes that are not in the page cache yet are waited for.
pub fn splice_file(from: &File, start: u64, most: usize, to: BorrowedFd) -> nix::Result<usize> {
    let flags = SpliceFFlags::SPLICE_F_NONBLOCK | SpliceFFlags::SPLICE_F_MOVE;
    let mut at = start as i64;
    match splice(from, Some(&mut at), to, None, most, flags) {
        // The file system does not support it.
        Err(Errno::EINVAL) => {
            let mut buffer = vec![0; most.min(64 << 10)];
            let count = pread(from, &mut buffer, start as i64)?;
            if count == 0 { Ok(0) } else { write(to, &buffer[..count]) }
        }
        result => result,
    }
}

/// Moves at most `most` bytes from pipe to pipe, within the kernel and without blocking on either. Returns 0
/// at the end of the first pipe.
pub fn splice_pipe(from: BorrowedFd, most: usize, to: BorrowedFd) -> nix::Result<usize> {
    let flags = SpliceFFlags::SPLICE_F_NONBLOCK | SpliceFFlags::SPLICE_F_MOVE;
    splice(from, None, to, None, most, flags)
}

/// Appends at most `most` bytes of a pipe to a file at the file's own position, within the kernel, and without waiting
/// for bytes. The file may be waited for. Returns 0 at the end of the pipe. Fails with `EINVAL` if the file can't be
/// spliced to: its file system does not support it, or the file is in append mode. Nothing of the pipe is lost then.
pub fn splice_to_file(from: BorrowedFd, most: usize, to: &File) -> nix::Result<usize> {
    let flags = SpliceFFlags::SPLICE_F_NONBLOCK | SpliceFFlags::SPLICE_F_MOVE;
    splice(from, None, to, None, most, flags)
}

/// True if somebody has, or has had, a FIFO open for writing since it was opened here: then a blocking open would have
/// returned. True for a pipe as well. Reads nothing.
///
/// poll(2) tells of data and of a writer that has gone. Of one that has written nothing it tells nothing, but tee(2)
/// does: it finds the end of the file without a writer, and would block with one.
pub fn has_had_writer(fifo: BorrowedFd) -> bool {
    let mut polled = [PollFd::new(fifo, PollFlags::POLLIN)];
    if poll(&mut polled, PollTimeout::ZERO).is_ok_and(|count| count > 0) {
        return true;
    }
    let Ok((_reader, writer)) = io::pipe() else { return false };
    // A byte that came meanwhile is copied, and stays where it is.
    tee(fifo, writer, 1, SpliceFFlags::SPLICE_F_NONBLOCK) != Ok(0)
}

/// True if nobody has the writing end of a pipe open any more. Bytes may still be in it.
pub fn is_hung_up(pipe: BorrowedFd) -> bool {
    poller::look(std::iter::once(pipe)).is_ok_and(|looked| looked.iter().all(|pipe| pipe.hup))
}

/// Reads from a place of a file, and again if a signal interrupts that (some file systems let it).
pub fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, at) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Starts reading a part of a file into the page cache, without waiting for it.
pub fn read_ahead(file: &File, start: u64, length: u64) {
    // Only a hint; nothing depends on it.
    let _ = posix_fadvise(file, start as i64, length as i64, PosixFadviseAdvice::POSIX_FADV_WILLNEED);
}

fn is_regular(fd: BorrowedFd) -> bool {
    fstat(fd).is_ok_and(|stat| stat.st_mode & libc::S_IFMT == libc::S_IFREG)
}

/// Copies from file to file with copy_file_range(2), by which some file systems share blocks instead of copying them.
/// `at` is moved behind the bytes that were copied. If the two files don't allow it, or the kernel copies nothing, the
/// rest is left to others; so is the end of the file.
fn copy_to_regular(from: &File, at: &mut i64, end: i64, to: BorrowedFd) -> io::Result<()> {
    while *at < end {
        let count = (end - *at).min(1 << 30) as usize;
        match copy_file_range(from, Some(at), to, None, count) {
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error @ (Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG | Errno::EIO)) => {
                return Err(error.into());
            }
            // Across file systems, a target in append mode or opened for reading as well, a seal, an old kernel: a write
            // works, or says what is wrong.
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}

fn copy_by_hand(from: &File, mut at: i64, end: i64, to: BorrowedFd) -> io::Result<()> {
    let mut buffer = vec![0; BY_HAND.min((end - at) as usize)];
    while at < end {
        let wanted = buffer.len().min((end - at) as usize);
        from.read_exact_at(&mut buffer[..wanted], at as u64)?;
        write_all(to, &mut [IoSlice::new(&buffer[..wanted])])?;
        at += wanted as i64;
    }
    Ok(())
}

/// Waits until a write can continue that failed only because it would have blocked. Returns any other error.
fn wait_for_room(fd: BorrowedFd, error: Errno) -> io::Result<()> {
    match error {
        Errno::EINTR => Ok(()),
        Errno::EAGAIN => match poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)], PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        },
        error => Err(error.into()),
    }
}

/// Makes a descriptor non-blocking. Only for descriptors that prun has made: everybody who shares one shares
/// the flag.
pub fn set_nonblocking(fd: BorrowedFd) -> nix::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).map(drop)
}

pub fn set_blocking(fd: BorrowedFd) -> nix::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK)).map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use nix::fcntl::OFlag;

    use super::super::files::temporary;
    use super::*;

    #[test]
    fn the_same_file_is_known_by_any_descriptor() {
        let (a, b) = (temporary().unwrap(), temporary().unwrap());
        let (reader, writer) = io::pipe().unwrap();
        assert!(same_file(a.as_fd(), a.try_clone().unwrap().as_fd()));
        assert!(!same_file(a.as_fd(), b.as_fd()));
        assert!(same_file(reader.as_fd(), writer.as_fd()));
    }

    #[test]
    fn pipes_become_bigger_and_smaller() {
        let (_reader, writer) = io::pipe().unwrap();
        assert_eq!(set_pipe_size(writer.as_fd(), 4096), 4096);
        assert_eq!(set_pipe_size(writer.as_fd(), 4097), 8192);
        let refused = set_pipe_size(writer.as_fd(), usize::MAX);
        assert_eq!(refused, 8192);
        assert_eq!(set_pipe_size(File::open("/dev/null").unwrap().as_fd(), 4096), 0);
    }

    #[test]
    fn a_pipe_in_packet_mode_holds_one_write() {
        let (reader, writer) = packet_pipe().unwrap();
        set_nonblocking(writer.as_fd()).unwrap();
        assert_eq!(write(&writer, b"one\n"), Ok(4));
        assert_eq!(write(&writer, b"two\n"), Err(Errno::EAGAIN));
        let mut buffer = vec![0; largest_packet()];
        assert_eq!(nix::unistd::read(&reader, &mut buffer), Ok(4));
        // A longer write is cut into packets that a read takes whole.
        let long = vec![b'x'; 3 * largest_packet()];
        assert_eq!(write(&writer, &long), Ok(largest_packet()));
        assert_eq!(nix::unistd::read(&reader, &mut buffer), Ok(largest_packet()));
    }

    #[test]
    fn what_was_not_read_is_known_also_after_the_reader_has_gone() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"abcdef").unwrap();
        reader.read_exact(&mut [0; 2]).unwrap();
        assert_eq!((unread(reader.as_fd()), unread(writer.as_fd())), (4, 4));
        drop(reader);
        assert_eq!(unread(writer.as_fd()), 4);
    }

    #[test]
    fn everything_is_written_to_a_full_nonblocking_pipe() {
        let (mut reader, writer) = io::pipe().unwrap();
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let parts: Vec<Vec<u8>> = (0..3000).map(|i| vec![i as u8; i]).collect();
        let read = std::thread::scope(|scope| {
            let read = scope.spawn(|| {
                let mut all = Vec::new();
                reader.read_to_end(&mut all).map(|_| all).unwrap()
            });
            let mut slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
            write_all(writer.as_fd(), &mut slices).unwrap();
            drop(writer);
            read.join().unwrap()
        });
        assert!(read == parts.concat());
    }

    #[test]
    fn nothing_is_written_at_once_and_errors_come_back() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        write_all(full.as_fd(), &mut [IoSlice::new(b""), IoSlice::new(b"")]).unwrap();
        let error = write_all(full.as_fd(), &mut [IoSlice::new(b"x")]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn a_part_of_a_file_is_copied_to_pipes_and_to_appended_files() {
        let mut from = temporary().unwrap();
        let bytes: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
        from.write_all(&bytes).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("appended");
        let appended = File::options().append(true).create(true).open(&path).unwrap();
        copy_file(&from, 1000, 200_000, appended.as_fd()).unwrap();
        assert!(std::fs::read(&path).unwrap() == bytes[1000..201_000]);

        let (mut reader, writer) = io::pipe().unwrap();
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let copy = std::thread::spawn(move || copy_file(&from, 5, 299_996, writer.as_fd()));
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert!(read == bytes[5..]);
        let error = copy.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "one byte more was asked for than there is");
    }

    #[test]
    fn a_file_goes_into_a_pipe_as_far_as_there_is_room() {
        let mut from = temporary().unwrap();
        let bytes: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
        from.write_all(&bytes).unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let moved = splice_file(&from, 10, 1 << 20, writer.as_fd()).unwrap();
        assert!((1..=65536).contains(&moved), "{moved}");
        assert_eq!(unread(writer.as_fd()), moved);
        assert_eq!(splice_file(&from, 10 + moved as u64, 1 << 20, writer.as_fd()), Err(Errno::EAGAIN));
        let mut read = vec![0; moved];
        reader.read_exact(&mut read).unwrap();
        assert!(read == bytes[10..10 + moved]);
        assert_eq!(splice_file(&from, 100_000, 1 << 20, writer.as_fd()), Ok(0));
        assert_eq!(splice_file(&from, 99_000, 10, writer.as_fd()), Ok(10));
    }

    #[test]
    fn what_is_no_terminal_has_no_size() {
        assert_eq!(terminal_size(File::open("/dev/null").unwrap().as_fd()), None);
    }
}
