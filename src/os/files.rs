//! Files that prun itself opens.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;

use super::errors;

/// Opens `/dev/null` for reading and writing.
pub fn dev_null() -> io::Result<File> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null");
    null.map_err(|error| errors::with_context("could not open `/dev/null`", &error))
}

/// The identity of a file: it tells the file from all others, also from one that gets its inode later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    device: u64,
    inode: u64,
    /// Nanoseconds since 1970; 0 where the file system knows no time of birth.
    born: u128,
}

impl Identity {
    pub fn of(data: &Metadata) -> Identity {
        let born = data.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        Identity { device: data.dev(), inode: data.ino(), born: born.map_or(0, |born| born.as_nanos()) }
    }

    /// Returns the identity of a file, with symbolic links followed; `None` if there is none, or it can't be looked at.
    pub fn at(path: &Path) -> Option<Identity> {
        fs::metadata(path).ok().map(|data| Identity::of(&data))
    }
}

/// A file that was opened for writing, as it was found.
#[derive(Debug)]
pub struct OutputFile {
    pub file: File,
    pub identity: Identity,
    /// True for a file with contents, which has a length and may be emptied. A FIFO or a device is none.
    pub is_regular: bool,
    pub is_fifo: bool,
    /// False if the file holds bytes, or did exist before the given time, so that its times have to change.
    pub is_fresh: bool,
}

/// The result of opening a file for writing.
#[derive(Debug)]
pub enum OpenedOutput {
    File(OutputFile),
    /// A FIFO that nobody has open for reading. Opening it would block.
    NoReader,
}

/// Opens a file for writing, or creates it, and changes nothing that it holds. Never blocks on a FIFO. Files that were
/// born after `since` and are empty count as fresh.
pub fn open_output(path: &Path, since: SystemTime) -> io::Result<OpenedOutput> {
    let mut options = OpenOptions::new();
    options.write(true);
    // A file that is made here is a regular one, which most are: no flag has to be taken away again.
    let file = match options.clone().create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            options.create(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
            match options.open(path) {
                Err(error) if error.raw_os_error() == Some(libc::ENXIO) && is_fifo(path) => {
                    return Ok(OpenedOutput::NoReader);
                }
                file => file?,
            }
        }
        file => {
            let file = file?;
            let identity = Identity::of(&file.metadata()?);
            let output = OutputFile { file, identity, is_regular: true, is_fifo: false, is_fresh: true };
            return Ok(OpenedOutput::File(output));
        }
    };
    // The flag was for the open alone, and the file has no other that could be lost.
    fcntl(&file, FcntlArg::F_SETFL(OFlag::empty()))?;
    let data = file.metadata()?;
    let kind = data.file_type();
    Ok(OpenedOutput::File(OutputFile {
        identity: Identity::of(&data),
        is_regular: kind.is_file(),
        is_fifo: kind.is_fifo(),
        is_fresh: data.len() == 0 && data.created().is_ok_and(|born| born >= since),
        file,
    }))
}

/// The time for which a FIFO that prun itself writes to may be without a reader. No timeout of a task ends that wait.
const READER_LIMIT: Duration = Duration::from_secs(1);
/// The interval at which such a FIFO is tried again.
const READER_PAUSE: Duration = Duration::from_millis(5);

/// Opens a file that prun itself writes to, as [`open_output`] does, and waits a second for the reader of a FIFO.
///
/// # Errors
/// When the file can't be opened, or nobody has opened the FIFO for reading by then.
pub fn open_own_output(path: &Path) -> io::Result<OutputFile> {
    let until = Instant::now() + READER_LIMIT;
    loop {
        match open_output(path, SystemTime::now())? {
            OpenedOutput::File(file) => return Ok(file),
            OpenedOutput::NoReader if Instant::now() < until => thread::sleep(READER_PAUSE),
            OpenedOutput::NoReader => {
                return Err(io::Error::other("nobody has opened the FIFO for reading within a second"));
            }
        }
    }
}

/// True if the path leads to a FIFO.
pub fn is_fifo(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|data| data.file_type().is_fifo())
}

/// Makes each write to the open file go to its end, whoever shares it. Only for regular files that prun opened for
/// writing alone, of which it knows the other flags.
pub fn set_append(file: &File) {
    // Every file system takes the flag. One that does not would leave the file as it is without it.
    let _ = fcntl(file, FcntlArg::F_SETFL(OFlag::O_APPEND));
}

/// Opens a file for reading without blocking: the open of a FIFO without a writer returns at once (open(2)).
/// Reads from the file block as usual.
pub fn open_input(path: &Path) -> io::Result<File> {
    let (file, _) = open_nonblocking(path)?;
    super::io::set_blocking(file.as_fd())?;
    Ok(file)
}

/// A file that was opened for reading, as it was found.
#[derive(Debug)]
pub struct InputFile {
    pub file: File,
    /// `None` for anything but a regular file.
    pub identity: Option<Identity>,
    /// True for a FIFO: it may have no writer yet, see [`has_had_writer`](super::io::has_had_writer).
    pub is_fifo: bool,
}

/// Opens a file for reading, as [`open_input`]. Reads from a FIFO do not block until [`InputFile::unblock`].
pub fn open_input_of_child(path: &Path) -> io::Result<InputFile> {
    let (file, data) = open_nonblocking(path)?;
    let is_fifo = data.file_type().is_fifo();
    let input = InputFile { file, identity: data.is_file().then(|| Identity::of(&data)), is_fifo };
    if is_fifo { Ok(input) } else { input.unblock() }
}

impl InputFile {
    /// Lets reads block, as they do for whoever opened the file in the usual way.
    pub fn unblock(self) -> io::Result<InputFile> {
        super::io::set_blocking(self.file.as_fd())?;
        Ok(self)
    }
}

fn open_nonblocking(path: &Path) -> io::Result<(File, Metadata)> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let data = file.metadata()?;
    if data.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    Ok((file, data))
}

/// Creates a file without a name in `$TMPDIR`. Nobody else can read it, and it is gone with its last
/// descriptor.
pub fn temporary() -> io::Result<File> {
    let folder = std::env::temp_dir();
    nameless(&folder).or_else(|_| unlinked(&folder))
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

fn nameless(folder: &Path) -> io::Result<File> {
    private().custom_flags(libc::O_TMPFILE).open(folder)
}

/// For file systems without O_TMPFILE: creates a file under a unique name, then removes the name.
fn unlinked(folder: &Path) -> io::Result<File> {
    for number in 0.. {
        let path = folder.join(format!("prun-{}-{number}", std::process::id()));
        match private().create_new(true).open(&path) {
            Ok(file) => return std::fs::remove_file(&path).map(|()| file),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 1000 => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};
    use std::os::unix::fs::MetadataExt;

    use super::super::io::has_had_writer;
    use super::*;

    #[test]
    fn a_writer_of_a_fifo_is_noticed_before_it_writes_and_after_it_has_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let input = open_input_of_child(&path).unwrap();
        assert!(input.is_fifo && !has_had_writer(input.file.as_fd()));
        let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
        assert!(has_had_writer(input.file.as_fd()), "it has written nothing");
        writer.write_all(b"data").unwrap();
        assert!(has_had_writer(input.file.as_fd()));
        drop(writer);
        let mut text = String::new();
        let mut input = input.unblock().unwrap();
        input.file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "data", "nothing of it was taken");
        let again = open_input_of_child(&path).unwrap();
        drop(OpenOptions::new().write(true).open(&path).unwrap());
        assert!(has_had_writer(again.file.as_fd()), "it has gone, and the reader sees the end");
    }

    #[test]
    fn outputs_are_found_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let since = SystemTime::now() - std::time::Duration::from_secs(1);
        let open = |name: &str, since| match open_output(&path(name), since) {
            Ok(OpenedOutput::File(file)) => file,
            other => panic!("{other:?}"),
        };
        let new = open("new", since);
        assert!(new.is_regular && new.is_fresh && new.identity == Identity::at(&path("new")).unwrap());
        assert!(open("new", since).is_fresh, "empty, and born in this run");
        assert!(!open("new", SystemTime::now()).is_fresh, "its times have to change");
        std::fs::write(path("new"), "x").unwrap();
        assert!(!open("new", since).is_fresh);
        std::os::unix::fs::symlink("target", path("link")).unwrap();
        assert_eq!(open("link", since).identity, Identity::at(&path("target")).unwrap());
        nix::unistd::mkfifo(&path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(matches!(open_output(&path("fifo"), since), Ok(OpenedOutput::NoReader)));
        let _reader = open_input(&path("fifo")).unwrap();
        assert!(open("fifo", since).is_fifo);
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        assert_eq!(open_output(&path("socket"), since).unwrap_err().raw_os_error(), Some(libc::ENXIO));
        assert!(open_output(&path("no/such"), since).is_err() && open_output(folder.path(), since).is_err());
        assert!(
            !open_output(Path::new("/dev/null"), since)
                .map(|opened| match opened {
                    OpenedOutput::File(file) => file.is_regular || file.is_fifo,
                    OpenedOutput::NoReader => true,
                })
                .unwrap()
        );
    }

    #[test]
    fn temporary_files_are_private_and_have_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join(format!("prun-{}-0", std::process::id()));
        std::fs::write(&taken, "another's").unwrap();
        for file in [nameless(folder.path()), unlinked(folder.path()), temporary()] {
            let mut file = file.unwrap();
            let data = file.metadata().unwrap();
            assert_eq!((data.nlink(), data.mode() & 0o777, data.len()), (0, 0o600, 0));
            file.write_all(b"kept").unwrap();
            file.rewind().unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            assert_eq!(text, "kept");
        }
        assert_eq!(std::fs::read_to_string(&taken).unwrap(), "another's");
        assert!(unlinked(Path::new("/no/such")).is_err());
    }
}
