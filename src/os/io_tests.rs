//! Copies between each two kinds of descriptors.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;

use nix::errno::Errno;

use super::files::temporary;
use super::io::{copy_file, is_hung_up, set_nonblocking, splice_to_file, unread};
use super::pty;

/// Bytes that show each loss and each exchange.
fn bytes(count: u32) -> Vec<u8> {
    (0..count).flat_map(|number| number.to_le_bytes()).collect()
}

fn file_of(bytes: &[u8]) -> File {
    let mut file = temporary().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// Copies all but the first and the last three bytes of a file, and returns them with what arrived at the reader.
fn through(count: u32, to: OwnedFd, mut from: impl Read + Send) -> (Vec<u8>, Vec<u8>) {
    let bytes = bytes(count);
    let file = file_of(&bytes);
    let length = bytes.len() - 6;
    let read = std::thread::scope(|scope| {
        let read = scope.spawn(move || {
            let mut read = vec![0; length];
            from.read_exact(&mut read).map(|()| read)
        });
        copy_file(&file, 3, length as u64, to.as_fd()).unwrap();
        read.join().unwrap().unwrap()
    });
    (bytes[3..3 + length].to_vec(), read)
}

#[test]
fn a_file_is_copied_to_a_pipe_a_socket_and_a_terminal() {
    for is_nonblocking in [false, true] {
        let (reader, writer) = io::pipe().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        for (kind, to, from) in [
            ("a pipe", OwnedFd::from(writer), File::from(OwnedFd::from(reader))),
            ("a socket", theirs.into(), File::from(OwnedFd::from(ours))),
        ] {
            if is_nonblocking {
                set_nonblocking(to.as_fd()).unwrap();
            }
            let (sent, read) = through(500_000, to, from);
            assert!(sent == read, "{kind}, non-blocking: {is_nonblocking}");
        }
    }
    let pty = pty::open().unwrap();
    super::io::set_blocking(pty.master.as_fd()).unwrap();
    let (sent, read) = through(50_000, pty.terminal, File::from(pty.master));
    assert!(sent == read, "a terminal");
}

#[test]
fn a_file_is_copied_to_files_behind_what_stands_there() {
    let bytes = bytes(500_000);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("to");
    // The last one is on another file system, where there is one.
    let elsewhere = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    for (path, is_appended) in [(&path, false), (&path, true), (&elsewhere.path().join("to"), false)] {
        std::fs::write(path, "before").unwrap();
        let mut to = File::options().write(true).append(is_appended).open(path).unwrap();
        to.seek(io::SeekFrom::End(0)).unwrap();
        copy_file(&file_of(&bytes), 4, bytes.len() as u64 - 8, to.as_fd()).unwrap();
        // The position moves on, so that the next output stands behind.
        to.write_all(b"behind").unwrap();
        let expected = [b"before", &bytes[4..bytes.len() - 4], b"behind"].concat();
        assert!(std::fs::read(path).unwrap() == expected, "{}, appended: {is_appended}", path.display());
    }
}

#[test]
fn a_file_is_copied_to_devices() {
    let bytes = bytes(500_000);
    let device = |path| File::options().write(true).open(path).unwrap();
    copy_file(&file_of(&bytes), 0, bytes.len() as u64, device("/dev/null").as_fd()).unwrap();
    let error = copy_file(&file_of(&bytes), 0, bytes.len() as u64, device("/dev/full").as_fd()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
}

#[test]
fn a_copy_tells_that_its_source_is_too_short_and_that_its_reader_has_gone() {
    let (folder, from) = (tempfile::tempdir().unwrap(), file_of(b"12345"));
    let to = File::create(folder.path().join("to")).unwrap();
    let error = copy_file(&from, 0, 6, to.as_fd()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(std::fs::read(folder.path().join("to")).unwrap(), b"12345", "all that there is, once");
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    // Rust's runtime ignores SIGPIPE, in tests as in prun.
    let error = copy_file(&from, 0, 5, writer.as_fd()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

#[test]
fn a_pipe_is_spliced_behind_what_stands_in_a_file() {
    let (reader, mut writer) = io::pipe().unwrap();
    let mut file = file_of(b"before");
    assert_eq!(
        splice_to_file(reader.as_fd(), 1 << 20, &file),
        Err(Errno::EAGAIN),
        "it does not wait for bytes"
    );
    writer.write_all(b"12345").unwrap();
    assert_eq!(splice_to_file(reader.as_fd(), 3, &file), Ok(3));
    assert_eq!(splice_to_file(reader.as_fd(), 1 << 20, &file), Ok(2));
    file.write_all(b"behind").unwrap();
    assert!(!is_hung_up(reader.as_fd()));
    writer.write_all(b"6").unwrap();
    drop(writer);
    assert!(is_hung_up(reader.as_fd()), "also while bytes are left");
    assert_eq!(splice_to_file(reader.as_fd(), 1 << 20, &file), Ok(1));
    assert_eq!(splice_to_file(reader.as_fd(), 1 << 20, &file), Ok(0), "the end");
    let mut all = vec![0; 18];
    file.read_exact_at(&mut all, 0).unwrap();
    assert_eq!(all, b"before12345behind6");
}

#[test]
fn a_pipe_keeps_what_a_file_does_not_take() {
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(b"12345").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let appended = File::options().append(true).create(true).open(folder.path().join("appended")).unwrap();
    assert_eq!(splice_to_file(reader.as_fd(), 1 << 20, &appended), Err(Errno::EINVAL), "append mode");
    let full = File::options().write(true).open("/dev/full").unwrap();
    assert!(splice_to_file(reader.as_fd(), 1 << 20, &full).is_err());
    assert_eq!(unread(reader.as_fd()), 5);
}
