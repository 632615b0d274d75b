//! Files that output goes to. Within a run each is opened once, whatever names it: a stream, a stage, an attempt, a
//! task or a job; by another spelling, or by a link.
//!
//! A file is emptied at its first opening, unless it is to be appended to. Whoever names it while it is open shares the
//! open file, and so its offset. Whoever names it later appends. For that, [`Remembered`] keeps eight bytes for each
//! file that was opened, and up to an eighth more as room to grow: nine megabytes for a million tasks with a file each.
//!
//! Only regular files are remembered. A FIFO is shared while it is open, and a device is opened each time.

use std::collections::HashMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use crate::event::JobId;
use crate::os;
use crate::os::files::{Identity, OpenedOutput, OutputFile};

/// A file that output goes to, open for whoever writes to it.
#[derive(Debug, Clone)]
pub struct SharedFile {
    pub file: Arc<File>,
    pub identity: Identity,
    pub is_fifo: bool,
    pub before: Before,
}

/// The history of a file in this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// The run had not opened it.
    Untouched,
    /// This job, or another one, wrote to it.
    Written { by_this_job: bool },
}

/// The result of opening a file for output.
#[derive(Debug)]
pub enum Opening {
    Done(SharedFile),
    /// A FIFO that nobody has open for reading: try again.
    NoReader,
}

/// The reason why a file can't be opened for output.
#[derive(Debug)]
pub enum OpenError {
    Io(io::Error),
    /// The run uses the file for something else, which this names.
    Used(Arc<str>),
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> OpenError {
        OpenError::Io(error)
    }
}

/// A file that the run uses for something else than output of tasks.
#[derive(Debug)]
pub struct Reserved {
    pub identity: Identity,
    /// Its use, as a clause: "which is the journal of this run".
    pub usage: Arc<str>,
    /// Jobs that may write to it, because they have ended before it is read.
    pub writers: Vec<JobId>,
}

/// The files that were opened in this run.
pub struct Files {
    began: SystemTime,
    remembered: Remembered,
    open: HashMap<Identity, Weak<File>>,
    /// [`Files::open`] has room for so many before those that were closed are taken out.
    sweep_at: usize,
    reserved: Vec<Reserved>,
    /// prun's own stdout and stderr, if they are regular files; `None` until a file is opened.
    own: Option<Vec<Arc<File>>>,
    /// True once people were told that tasks meet in a file.
    warned: bool,
}

impl Default for Files {
    fn default() -> Files {
        Files {
            began: SystemTime::now(),
            remembered: Remembered::default(),
            open: HashMap::new(),
            sweep_at: 64,
            reserved: Vec::new(),
            own: None,
            warned: false,
        }
    }
}

impl Files {
    /// Keeps output from a file that the run uses otherwise.
    pub fn reserve(&mut self, reserved: Reserved) {
        self.reserved.push(reserved);
    }

    /// True for the first call: people are told once that tasks meet in a file.
    pub fn warns(&mut self) -> bool {
        !std::mem::replace(&mut self.warned, true)
    }

    /// Empties a file that an earlier attempt of a task wrote, unless tasks of this run have met in a file.
    ///
    /// # Errors
    /// When the file can't be emptied.
    pub fn empty(&self, file: &SharedFile) -> io::Result<()> {
        let is_written = matches!(file.before, Before::Written { by_this_job: true });
        if is_written && !self.warned { file.file.set_len(0) } else { Ok(()) }
    }

    /// Opens a file, makes its folders, and empties it if this is its first opening in the run and `append` is false.
    ///
    /// # Errors
    /// When the file or a folder can't be opened, or output may not go there.
    pub fn open(&mut self, path: &Path, append: bool, job: JobId) -> Result<Opening, OpenError> {
        self.adopt_own();
        let OutputFile { file, identity, is_regular, is_fifo, is_fresh } =
            match open_or_make(path, |path| os::files::open_output(path, self.began))? {
                OpenedOutput::File(file) => file,
                OpenedOutput::NoReader => return Ok(self.open_fifo(path)),
            };
        let done = |file, before| Ok(Opening::Done(SharedFile { file, identity, is_fifo, before }));
        if is_fifo {
            return done(self.share(identity, file), Before::Untouched);
        }
        if !is_regular {
            return done(Arc::new(file), Before::Untouched);
        }
        let mut reserved = self.reserved.iter();
        if let Some(used) = reserved.find(|used| used.identity == identity && !used.writers.contains(&job)) {
            return Err(OpenError::Used(Arc::clone(&used.usage)));
        }
        if let Some(writer) = self.remembered.replace(identity, job) {
            if self.live(identity).is_none() {
                os::files::set_append(&file);
            }
            let by_this_job = writer == Writer::of(job);
            return done(self.share(identity, file), Before::Written { by_this_job });
        }
        if append {
            os::files::set_append(&file);
        } else if !is_fresh {
            file.set_len(0)?;
        }
        done(self.share(identity, file), Before::Untouched)
    }

    /// Returns a FIFO whose reader has gone, if the run has it open.
    fn open_fifo(&self, path: &Path) -> Opening {
        let identity = Identity::at(path);
        match identity.and_then(|identity| Some((identity, self.live(identity)?))) {
            Some((identity, file)) => {
                Opening::Done(SharedFile { file, identity, is_fifo: true, before: Before::Untouched })
            }
            None => Opening::NoReader,
        }
    }

    fn live(&self, identity: Identity) -> Option<Arc<File>> {
        self.open.get(&identity).and_then(Weak::upgrade)
    }

    /// Returns the file that is open already, or notes that this one is.
    fn share(&mut self, identity: Identity, file: File) -> Arc<File> {
        if let Some(open) = self.live(identity) {
            return open;
        }
        if self.open.len() >= self.sweep_at {
            self.open.retain(|_, file| file.strong_count() > 0);
            self.sweep_at = (2 * self.open.len()).max(64);
        }
        let file = Arc::new(file);
        self.open.insert(identity, Arc::downgrade(&file));
        file
    }

    /// Lets prun's own stdout and stderr count as opened, where they are regular files.
    fn adopt_own(&mut self) {
        if self.own.is_some() {
            return;
        }
        let own = [os::std_streams::stdout(), os::std_streams::stderr()];
        let own: Vec<_> = own.into_iter().filter_map(duplicate).collect();
        let mut kept = Vec::new();
        for (identity, file) in own {
            self.remembered.replace(identity, JobId(usize::from(u16::MAX)));
            kept.push(self.share(identity, file));
        }
        self.own = Some(kept);
    }
}

/// The identity of a path before the run has opened anything: equal for all paths to one file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PathKey {
    File(Identity),
    /// A file that does not exist, by the last folder on the way that does, and the rest of the way.
    New(Option<Identity>, PathBuf),
}

/// Links that lead to links are followed so far, as the kernel does.
const LINKS: usize = 40;

impl PathKey {
    pub fn of(path: &Path) -> PathKey {
        if let Some(identity) = Identity::at(path) {
            return PathKey::File(identity);
        }
        // A link to a file that does not exist names that file.
        let mut path = path.to_owned();
        for _ in 0..LINKS {
            let Ok(target) = fs::read_link(&path) else { break };
            path = path.parent().unwrap_or(Path::new("")).join(target);
        }
        let (mut folder, mut rest) = (PathBuf::new(), PathBuf::new());
        for part in path.components() {
            match part {
                // Folders that do not exist are no links, so that the way back is known.
                Component::ParentDir if rest.pop() => {}
                _ if rest.as_os_str().is_empty() && folder.join(part).exists() => folder.push(part),
                _ => rest.push(part),
            }
        }
        PathKey::New(Identity::at(&folder), rest)
    }
}

/// Opens a file for writing by `open`, and makes its folders where they are missing.
///
/// # Errors
/// When the file can't be opened, or a folder can't be made.
pub fn open_or_make<T>(path: &Path, open: impl Fn(&Path) -> io::Result<T>) -> io::Result<T> {
    match open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            open(path)
        }
        result => result,
    }
}

/// Returns another descriptor of a regular file.
fn duplicate(fd: BorrowedFd) -> Option<(Identity, File)> {
    let file = File::from(fd.try_clone_to_owned().ok()?);
    let data = file.metadata().ok().filter(|data| data.is_file())?;
    Some((Identity::of(&data), file))
}

/// The job that wrote to a file last, as far as two bytes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Writer(u16);

impl Writer {
    fn of(job: JobId) -> Writer {
        Writer(job.index() as u16)
    }
}

/// The bits of an entry that hold the writer.
const WRITER_BITS: u32 = 16;
/// The bits of a hash by which its shard is chosen.
const SHARD_BITS: u32 = 10;

/// Files that were opened, and the job that opened each last.
///
/// An entry is 48 bits of a hash of the file's identity, and 16 bits of the job's number. Ten other bits of the hash
/// choose the shard, whose entries are sorted. For a million files the chance that two of them are taken for one is
/// two in a million. A table of hashes would need about twenty bytes a file.
#[derive(Debug, Default)]
struct Remembered {
    shards: Vec<Vec<u64>>,
}

impl Remembered {
    /// Notes that the job opens the file. Returns who opened it before.
    fn replace(&mut self, identity: Identity, job: JobId) -> Option<Writer> {
        let mut hasher = DefaultHasher::new();
        identity.hash(&mut hasher);
        self.replace_hash(hasher.finish(), Writer::of(job))
    }

    fn replace_hash(&mut self, hash: u64, writer: Writer) -> Option<Writer> {
        if self.shards.is_empty() {
            self.shards.resize_with(1 << SHARD_BITS, Vec::new);
        }
        let shard = &mut self.shards[(hash >> (u64::BITS - SHARD_BITS)) as usize];
        let key = hash << WRITER_BITS;
        let entry = key | u64::from(writer.0);
        let at = shard.partition_point(|entry| *entry < key);
        match shard.get_mut(at).filter(|known| **known >> WRITER_BITS == key >> WRITER_BITS) {
            Some(known) => Some(Writer(std::mem::replace(known, entry) as u16)),
            None => {
                if shard.len() == shard.capacity() {
                    shard.reserve_exact((shard.len() / 8).max(4));
                }
                shard.insert(at, entry);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    struct Folder {
        folder: tempfile::TempDir,
        files: Files,
    }

    impl Folder {
        fn new() -> Folder {
            Folder { folder: tempfile::tempdir().unwrap(), files: Files::default() }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn open(&mut self, name: &str, append: bool, job: usize) -> SharedFile {
            match self.files.open(&self.path(name), append, JobId(job)) {
                Ok(Opening::Done(file)) => file,
                other => panic!("{other:?}"),
            }
        }

        fn read(&self, name: &str) -> String {
            fs::read_to_string(self.path(name)).unwrap()
        }
    }

    fn put(file: &SharedFile, text: &str) {
        (&*file.file).write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn a_file_is_emptied_at_its_first_opening_alone() {
        let mut folder = Folder::new();
        fs::write(folder.path("old"), "much that was there before").unwrap();
        let first = folder.open("old", false, 1);
        assert_eq!(first.before, Before::Untouched);
        put(&first, "one ");
        let second = folder.open("old", false, 1);
        assert_eq!(second.before, Before::Written { by_this_job: true });
        put(&second, "two ");
        put(&first, "three ");
        drop((first, second));
        let later = folder.open("old", false, 2);
        assert_eq!(later.before, Before::Written { by_this_job: false });
        put(&later, "four");
        assert_eq!(folder.read("old"), "one two three four");
    }

    #[test]
    fn other_spellings_and_links_are_the_same_file() {
        let mut folder = Folder::new();
        fs::create_dir(folder.path("d")).unwrap();
        put(&folder.open("f", false, 0), "a");
        fs::hard_link(folder.path("f"), folder.path("hard")).unwrap();
        std::os::unix::fs::symlink("f", folder.path("soft")).unwrap();
        for name in ["d/../f", "hard", "soft"] {
            put(&folder.open(name, false, 0), name);
        }
        assert_eq!(folder.read("f"), "ad/../fhardsoft");
    }

    #[test]
    fn paths_to_one_file_have_one_key_before_it_exists() {
        let folder = Folder::new();
        fs::create_dir(folder.path("d")).unwrap();
        std::os::unix::fs::symlink("new/f", folder.path("link")).unwrap();
        let key = |name: &str| PathKey::of(&folder.path(name));
        for name in ["d/../new/f", "new/./f", "new/x/../f", "link", "new/x/../../new/f"] {
            assert_eq!(key(name), key("new/f"), "{name}");
        }
        assert_ne!(key("new/f"), key("d/new/f"));
        assert_ne!(key("new/f"), key("new/g"));
    }

    #[test]
    fn files_that_are_appended_to_keep_what_they_hold() {
        let mut folder = Folder::new();
        fs::write(folder.path("log"), "before ").unwrap();
        put(&folder.open("log", true, 0), "now ");
        put(&folder.open("log", false, 0), "later");
        assert_eq!(folder.read("log"), "before now later");
    }

    #[test]
    fn another_file_with_a_known_inode_is_not_known() {
        let mut folder = Folder::new();
        for round in 0..50 {
            let name = format!("f{round}");
            fs::write(folder.path(&name), "another's").unwrap();
            put(&folder.open(&name, false, 0), "x");
            assert_eq!(folder.read(&name), "x", "round {round}");
            fs::remove_file(folder.path(&name)).unwrap();
            // The clock by which files are born moves in steps.
            let born = |path: PathBuf| fs::metadata(path).unwrap().created().unwrap();
            fs::write(folder.path("clock"), "").unwrap();
            let before = born(folder.path("clock"));
            loop {
                fs::remove_file(folder.path("clock")).unwrap();
                fs::write(folder.path("clock"), "").unwrap();
                if born(folder.path("clock")) != before {
                    break;
                }
            }
            fs::remove_file(folder.path("clock")).unwrap();
        }
    }

    #[test]
    fn reserved_files_are_refused_and_left_as_they_are() {
        let mut folder = Folder::new();
        fs::write(folder.path("list"), "a\nb\n").unwrap();
        let identity = Identity::at(&folder.path("list")).unwrap();
        let usage = "items are read from it".into();
        folder.files.reserve(Reserved { identity, usage, writers: vec![JobId(1)] });
        let refused = folder.files.open(&folder.path("list"), false, JobId(0));
        assert!(matches!(refused, Err(OpenError::Used(usage)) if &*usage == "items are read from it"));
        assert_eq!(folder.read("list"), "a\nb\n");
        put(&folder.open("list", false, 1), "c\n");
        assert_eq!(folder.read("list"), "c\n", "the job has ended before it is read");
    }

    #[test]
    fn a_fifo_without_a_reader_is_tried_again() {
        let mut folder = Folder::new();
        let path = folder.path("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(matches!(folder.files.open(&path, false, JobId(0)), Ok(Opening::NoReader)));
        let mut reader = os::files::open_input(&path).unwrap();
        let one = folder.open("fifo", false, 0);
        let two = folder.open("fifo", false, 1);
        assert!(one.is_fifo && Arc::ptr_eq(&one.file, &two.file));
        put(&one, "through");
        drop((one, two));
        let mut text = String::new();
        io::Read::read_to_string(&mut reader, &mut text).unwrap();
        assert_eq!(text, "through", "the reader sees the end");
    }

    #[test]
    fn many_files_are_remembered_in_nine_bytes_each() {
        let mut remembered = Remembered::default();
        let hashes = || (1..=300_000u64).map(|number| number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        assert!(hashes().all(|hash| remembered.replace_hash(hash, Writer(3)).is_none()));
        assert!(hashes().all(|hash| remembered.replace_hash(hash, Writer(4)) == Some(Writer(3))));
        assert!(hashes().all(|hash| remembered.replace_hash(hash, Writer(5)) == Some(Writer(4))));
        let room: usize = remembered.shards.iter().map(|shard| 8 * shard.capacity()).sum();
        assert!(room <= 9 * 300_000 + 1024 * 8, "{room}");
    }
}
