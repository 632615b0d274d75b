//! The journal as a file: open, lock, read, repair, append.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, BufReader, Write};
use std::ops::Deref;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::libc;
use nix::unistd::geteuid;

use super::contents::Contents;
use super::past::Past;
use super::scan::Scanned;
use crate::os::errors::reason;

/// How often, and at what interval, the lock is asked for. A child that was being started when its prun was
/// killed holds the lock until it executes.
const TRIES: u32 = 30;
const PAUSE: Duration = Duration::from_millis(10);

/// The journal of this run, locked against other runs.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Locked,
    /// The length up to the end of the last whole line.
    len: u64,
    sync: bool,
}

/// A file with its lock. Unlocks it at the end of its life; if that fails, the end of the process does, and nothing is
/// lost. [`Flock`] alone panics then.
#[derive(Debug)]
struct Locked(Option<Flock<File>>);

impl Deref for Locked {
    type Target = File;

    fn deref(&self) -> &File {
        match &self.0 {
            Some(file) => file,
            None => unreachable!("a file is taken out when it is dropped"),
        }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        if let Some(Err((locked, _))) = self.0.take().map(Flock::unlock) {
            std::mem::forget(locked);
        }
    }
}

/// Opens a journal, or creates it. Returns it with the outcomes of earlier runs and with warnings about its
/// state. With `sync` each append also survives a loss of power.
pub fn open(path: &Path, sync: bool) -> Result<(Journal, Past, Vec<String>), String> {
    let file = lock(open_regular(path, true)?, path)?;
    let mut journal = Journal { path: path.to_owned(), file, len: 0, sync };
    let contents = read_all(&journal.file, path)?;
    journal.repair(&contents.scanned).map_err(|error| failed("repair", path, &error))?;
    let warnings = warnings(&contents, path);
    Ok((journal, contents.past, warnings))
}

/// Reads a journal and changes nothing. A journal that does not exist is empty.
pub fn read(path: &Path) -> Result<(Past, Vec<String>), String> {
    if fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok((Past::default(), Vec::new()));
    }
    let contents = read_all(&open_regular(path, false)?, path)?;
    let warnings = warnings(&contents, path);
    Ok((contents.past, warnings))
}

/// Reads the contents. A file of other data is refused and left as it is.
fn read_all(file: &File, path: &Path) -> Result<Contents, String> {
    let contents = Contents::read(BufReader::with_capacity(1 << 20, file));
    let contents = contents.map_err(|error| failed("read", path, &error))?;
    if !contents.is_journal {
        return Err(format!("`{}` is no journal, and stays as it is: name another file", path.display()));
    }
    Ok(contents)
}

fn warnings(contents: &Contents, path: &Path) -> Vec<String> {
    let tell = |what: String| format!("the journal `{}`: {what}, and counts as not there", path.display());
    contents.ignored().into_iter().map(tell).collect()
}

fn failed(what: &str, path: &Path, error: &io::Error) -> String {
    format!("could not {what} the journal `{}`: {}", path.display(), reason(error))
}

impl Journal {
    /// Appends whole lines, in as few calls as possible. After an error the file still ends with a whole
    /// line.
    pub fn append(&mut self, lines: &[u8]) -> Result<(), String> {
        self.put(lines).map_err(|error| failed("write", &self.path, &error))
    }

    fn put(&mut self, lines: &[u8]) -> io::Result<()> {
        (&*self.file).write_all(lines).inspect_err(|_| self.cut_back(lines))?;
        self.len += lines.len() as u64;
        if self.sync { self.file.sync_data() } else { Ok(()) }
    }

    /// Removes the line that could be written only in part.
    fn cut_back(&mut self, lines: &[u8]) {
        let written = self.file.metadata().map_or(0, |data| data.len().saturating_sub(self.len)) as usize;
        let written = &lines[..written.min(lines.len())];
        self.len += memchr::memrchr(b'\n', written).map_or(0, |at| at + 1) as u64;
        // If this fails too, the next run finds the partial line and drops it.
        let _ = self.file.set_len(self.len);
    }

    fn repair(&mut self, scanned: &Scanned) -> io::Result<()> {
        self.len = scanned.whole;
        if scanned.torn > 0 {
            self.file.set_len(scanned.whole)?;
        }
        if self.sync && scanned.whole == 0 {
            // The file may be new, and its name is only durable once its directory is.
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(())
    }
}

/// Opens a regular file. It follows no symbolic link, does not wait for the other end of a FIFO and opens no
/// device.
fn open_regular(path: &Path, write: bool) -> Result<File, String> {
    if let Ok(data) = fs::symlink_metadata(path) {
        regular(path, data.file_type())?;
    }
    let failed = |error: io::Error| failed("open", path, &error);
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    let mut options = OpenOptions::new();
    options.read(true).append(write).create(write).mode(0o600).custom_flags(flags);
    let file = options.open(path).map_err(failed)?;
    let data = file.metadata().map_err(failed)?;
    // The file may have been replaced since.
    regular(path, data.file_type())?;
    trusted(path, data.uid(), data.mode())?;
    Ok(file)
}

/// Refuses a journal that somebody else can write, because its lines decide which tasks do not run: one of another
/// user, or one that everybody may write. The members of a group may share one. Root is told as well, because root
/// runs what a line of another user lets through.
fn trusted(path: &Path, owner: u32, mode: u32) -> Result<(), String> {
    let shown = path.display();
    let own = geteuid().as_raw();
    if owner != own {
        return Err(format!(
            "the journal `{shown}` belongs to another user (uid {owner}, and prun runs as {own}), who could keep tasks \
             from running: name another file, or take it over with `chown`"
        ));
    }
    if mode & libc::S_IWOTH != 0 {
        return Err(format!(
            "everybody may write the journal `{shown}`, and so keep tasks from running: `chmod o-w` it, if what it \
             holds can be trusted"
        ));
    }
    Ok(())
}

fn regular(path: &Path, kind: FileType) -> Result<(), String> {
    let (what, advice) = match kind {
        kind if kind.is_file() => return Ok(()),
        kind if kind.is_symlink() => ("a symbolic link", "name the file itself"),
        kind if kind.is_dir() => ("a directory", "name a file in it"),
        kind if kind.is_fifo() => ("a FIFO, which can't be read again", "name a file"),
        _ => ("a device or socket, which can't be read again", "name a file"),
    };
    Err(format!("the journal `{}` is {what}: {advice}", path.display()))
}

fn lock(mut file: File, path: &Path) -> Result<Locked, String> {
    for _ in 0..TRIES {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => return Ok(Locked(Some(locked))),
            Err((unlocked, Errno::EWOULDBLOCK | Errno::EINTR)) => file = unlocked,
            Err((_, errno)) => {
                return Err(format!(
                    "could not lock the journal `{}`: {}",
                    path.display(),
                    reason(&errno.into())
                ));
            }
        }
        thread::sleep(PAUSE);
    }
    Err(format!(
        "the journal `{}` is in use by another run: wait for its end, or name another file",
        path.display()
    ))
}
