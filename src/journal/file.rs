//! The file itself: opened, locked, read, repaired, appended to.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, BufReader, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::libc;

use super::entry::{Damage, MAGIC};
use super::past::Past;
use super::scan::{self, Scanned};
use crate::os::own::reason;

/// Numbers of damaged lines that are told; of more only how many.
const NUMBERS: usize = 5;

/// A child that a killed prun was just starting holds the lock until it executes. So often it is asked for again,
/// after this time.
const TRIES: u32 = 30;
const PAUSE: Duration = Duration::from_millis(10);

/// A journal that this run writes, and no other.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Flock<File>,
    /// Where its last whole line ends.
    len: u64,
    sync: bool,
}

/// Opens a journal, or makes it; with what it says of earlier runs, and what people should know of its state.
/// With `sync` what is appended also survives a loss of power.
pub fn open(path: &Path, sync: bool) -> Result<(Journal, Past, Vec<String>), String> {
    let file = open_regular(path, true)?;
    let file = lock(file, path)?;
    let mut journal = Journal { path: path.to_owned(), file, len: 0, sync };
    let mut past = Past::default();
    let mut wounds = Wounds::default();
    let scanned = read_lines(&journal.file, path, &mut past, &mut wounds)?;
    let warnings = wounds.told(path, &scanned);
    past.settle();
    journal.repair(&scanned).map_err(|error| journal.failed("repair", &error))?;
    Ok((journal, past, warnings))
}

/// Reads what a journal says, and changes nothing. One that does not exist says nothing.
pub fn read(path: &Path) -> Result<(Past, Vec<String>), String> {
    let (mut past, mut wounds) = (Past::default(), Wounds::default());
    if fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok((past, Vec::new()));
    }
    let file = open_regular(path, false)?;
    let scanned = read_lines(&file, path, &mut past, &mut wounds)?;
    past.settle();
    Ok((past, wounds.told(path, &scanned)))
}

impl Journal {
    /// Appends whole lines, as few calls as possible. After an error the file ends with a whole line.
    pub fn append(&mut self, lines: &[u8]) -> Result<(), String> {
        let written = (&*self.file).write_all(lines);
        let written = written.map(|()| lines.len()).or_else(|error| {
            self.cut_back(lines);
            Err(error)
        });
        let synced = written.and_then(|count| {
            self.len += count as u64;
            if self.sync { self.file.sync_data() } else { Ok(()) }
        });
        synced.map_err(|error| self.failed("write", &error))
    }

    /// Not all of these lines could be written: takes away a beginning of one.
    fn cut_back(&mut self, lines: &[u8]) {
        let written = self.file.metadata().map_or(0, |data| data.len().saturating_sub(self.len)) as usize;
        let written = &lines[..written.min(lines.len())];
        self.len += memchr::memrchr(b'\n', written).map_or(0, |at| at + 1) as u64;
        // If even that fails, the next run finds half a line, and drops it.
        let _ = self.file.set_len(self.len);
    }

    fn repair(&mut self, scanned: &Scanned) -> io::Result<()> {
        self.len = scanned.whole;
        if scanned.torn > 0 {
            self.file.set_len(scanned.whole)?;
        }
        if self.sync && scanned.whole == 0 {
            // It may be new, and its name is only safe with its folder.
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(())
    }

    fn failed(&self, what: &str, error: &io::Error) -> String {
        failed(what, &self.path, error)
    }
}

/// Somebody's data is no journal, and stays as it is.
fn read_lines(file: &File, path: &Path, past: &mut Past, wounds: &mut Wounds) -> Result<Scanned, String> {
    let mut is_journal = false;
    let scanned = scan::lines(BufReader::with_capacity(1 << 20, file), |number, line| {
        let added = past.add(line);
        is_journal |= added.is_ok() || number == 1 && line.starts_with(MAGIC);
        if let Err(damage) = added {
            wounds.add(number, damage);
        }
    });
    let scanned = scanned.map_err(|error| failed("read", path, &error))?;
    if is_journal || scanned.whole == 0 && begins_a_line(&scanned.tail) {
        return Ok(scanned);
    }
    let path = path.display();
    Err(format!("`{path}` is no journal, and stays as it is: name another file"))
}

fn failed(what: &str, path: &Path, error: &io::Error) -> String {
    format!("could not {what} the journal `{}`: {}", path.display(), reason(error))
}

/// What a first line leaves that was cut short; zeros are what a loss of power can leave of it.
fn begins_a_line(tail: &[u8]) -> bool {
    tail.starts_with(MAGIC) || MAGIC.starts_with(tail) || tail.iter().all(|&byte| byte == 0)
}

/// Never follows a link, never waits for the other end of a FIFO, and never opens a device.
fn open_regular(path: &Path, write: bool) -> Result<File, String> {
    if let Ok(data) = fs::symlink_metadata(path) {
        regular(path, data.file_type())?;
    }
    let failed =
        |error: io::Error| format!("could not open the journal `{}`: {}", path.display(), reason(&error));
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    let mut options = OpenOptions::new();
    options.read(true).append(write).create(write).mode(0o600).custom_flags(flags);
    let file = options.open(path).map_err(failed)?;
    // It may have been exchanged since.
    regular(path, file.metadata().map_err(failed)?.file_type())?;
    Ok(file)
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

fn lock(mut file: File, path: &Path) -> Result<Flock<File>, String> {
    for _ in 0..TRIES {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => return Ok(locked),
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

/// Lines that count as not there.
#[derive(Debug, Default)]
struct Wounds {
    damaged: Numbers,
    unknown: Numbers,
}

/// The first numbers, and how many more there were.
#[derive(Debug, Default)]
struct Numbers {
    first: Vec<u64>,
    more: u64,
}

impl Numbers {
    fn add(&mut self, number: u64) {
        if self.first.len() < NUMBERS {
            self.first.push(number);
        } else {
            self.more += 1;
        }
    }

    /// `line 3 is damaged`, `lines 3, 7 are damaged`, `lines 1, 2, 3, 4, 5 and 12 more are damaged`.
    fn told(&self, what: &str) -> String {
        let numbers: Vec<String> = self.first.iter().map(u64::to_string).collect();
        let more = if self.more > 0 { format!(" and {} more", self.more) } else { String::new() };
        let (lines, are) = if self.first.len() == 1 { ("line", "is") } else { ("lines", "are") };
        format!("{lines} {}{more} {are} {what}", numbers.join(", "))
    }
}

impl Wounds {
    fn add(&mut self, number: u64, damage: Damage) {
        match damage {
            Damage::Sum => self.damaged.add(number),
            Damage::Words => self.unknown.add(number),
        }
    }

    fn told(&self, path: &Path, scanned: &Scanned) -> Vec<String> {
        let mut told = Vec::new();
        let mut tell = |what: String| {
            told.push(format!("the journal `{}`: {what}, and counts as not there", path.display()));
        };
        for (numbers, what) in [(&self.damaged, "damaged"), (&self.unknown, "of another version of prun")] {
            if !numbers.first.is_empty() {
                tell(numbers.told(what));
            }
        }
        if scanned.torn > 0 {
            tell(format!("its last line was cut short after {} bytes", scanned.torn));
        }
        told
    }
}
