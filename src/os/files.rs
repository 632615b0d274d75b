//! Files that prun itself opens.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc;

use super::errors;

/// Opens `/dev/null` for reading and writing.
pub fn dev_null() -> io::Result<File> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null");
    null.map_err(|error| errors::with_context("could not open `/dev/null`", &error))
}

/// Opens a file for reading without blocking: the open of a FIFO without a writer returns at once (open(2)).
/// Reads from the file block as usual.
pub fn open_input(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    super::io::set_blocking(file.as_fd())?;
    Ok(file)
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

    use super::*;

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
