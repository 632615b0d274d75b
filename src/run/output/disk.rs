//! The thread for what may sleep on a disk: spilled output and files that jobs write to.
//!
//! Command in, completion out. The loop never waits for it; it only stops reading while too much is queued.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::flow::output::{Log, SpillId};
use crate::os;
use crate::run::output::thread_start::Awaited;
use crate::run::output::writer::Line;

/// What the thread is told.
pub enum Command {
    Spill(SpillId, Vec<u8>),
    /// Hands the spilled file to a writer, or to the loop.
    Take(SpillId, Sender<io::Result<File>>),
    /// Copies the spilled file to an output file.
    Copy(SpillId, u32, u64),
    Drop(SpillId),
    Open {
        file: u32,
        path: PathBuf,
        append: bool,
    },
    Write(u32, Vec<u8>),
    Close(u32),
    /// Lines of this log go there.
    Keep(Log, Box<dyn Keeper>),
    /// What they tell of was written.
    Lines(Vec<Line>),
    /// Says when all before it is done.
    Settle(Sender<()>),
    Finish,
}

/// A log of ended tasks.
pub trait Keeper: Send {
    /// Appends whole lines.
    ///
    /// # Errors
    /// Says for people what could not be done, with the file.
    fn append(&mut self, lines: &[u8]) -> Result<(), String>;
}

#[derive(Default)]
struct Progress {
    queued: AtomicUsize,
    failure: Mutex<Option<String>>,
}

type Work = Mutex<Option<(Worker, Receiver<Command>)>>;

pub struct Disk {
    progress: Arc<Progress>,
    /// Once there was something to do.
    sender: Option<Sender<Command>>,
    thread: Option<JoinHandle<()>>,
    /// What the thread takes when it has started.
    work: Arc<Work>,
    awaited: Awaited,
    waker: Arc<os::waker::Waker>,
}

impl Disk {
    pub fn new(waker: Arc<os::waker::Waker>) -> Disk {
        Disk {
            progress: Arc::default(),
            sender: None,
            thread: None,
            work: Arc::default(),
            awaited: Awaited::default(),
            waker,
        }
    }

    pub fn spill(&mut self, spill: SpillId, bytes: Vec<u8>) {
        self.send(Command::Spill(spill, bytes));
    }

    pub fn take(&mut self, spill: SpillId) -> Receiver<io::Result<File>> {
        let (sender, receiver) = channel();
        self.send(Command::Take(spill, sender));
        receiver
    }

    pub fn copy(&mut self, spill: SpillId, file: u32, len: u64) {
        self.send(Command::Copy(spill, file, len));
    }

    pub fn drop_spill(&mut self, spill: SpillId) {
        self.send(Command::Drop(spill));
    }

    pub fn open(&mut self, file: u32, path: PathBuf, append: bool) {
        self.send(Command::Open { file, path, append });
    }

    pub fn write(&mut self, file: u32, bytes: Vec<u8>) {
        self.send(Command::Write(file, bytes));
    }

    pub fn close(&mut self, file: u32) {
        self.send(Command::Close(file));
    }

    /// Bytes that are not on disk yet.
    pub fn queued(&self) -> usize {
        self.progress.queued.load(Ordering::Relaxed)
    }

    /// What went wrong, told once.
    pub fn take_failure(&self) -> Option<String> {
        self.progress.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Tells when all that was sent so far has been written, and wakes the loop then. `None`: that is so already.
    pub fn settle(&mut self) -> Option<Receiver<()>> {
        self.sender.as_ref()?;
        let (sender, receiver) = channel();
        self.send(Command::Settle(sender));
        Some(receiver)
    }

    /// Waits until everything is on disk.
    pub fn finish(&mut self) {
        let Some(sender) = self.sender.take() else { return };
        // A writer whose output failed holds a sender to the end.
        let _ = sender.send(Command::Finish);
        match self.thread.take() {
            // A panic there has ended the process already.
            Some(thread) => drop(thread.join()),
            None => work(&self.work),
        }
    }

    /// Lines of this log go there from now on.
    pub fn keep(&mut self, log: Log, keeper: Box<dyn Keeper>) {
        self.send(Command::Keep(log, keeper));
    }

    /// For lines that come by way of the writers; `None` if no log is kept.
    pub fn lines(&self) -> Option<&Sender<Command>> {
        self.sender.as_ref()
    }

    /// The thread could not be started yet.
    pub fn awaits_thread(&self) -> bool {
        self.awaited.is_awaited()
    }

    /// Tries that again.
    pub fn retry_thread(&mut self) {
        if self.awaits_thread() {
            self.start_thread();
        }
    }

    fn start_thread(&mut self) {
        let builder = thread::Builder::new().name("prun-disk".to_owned()).stack_size(128 << 10);
        let its = Arc::clone(&self.work);
        match self.awaited.note(builder.spawn(move || work(&its))) {
            Ok(thread) => self.thread = thread,
            Err(error) => fail(&self.progress, &self.waker, format!("could not start a thread: {error}")),
        }
    }

    fn send(&mut self, command: Command) {
        if let Command::Spill(_, bytes) | Command::Write(_, bytes) = &command {
            self.progress.queued.fetch_add(bytes.len(), Ordering::Relaxed);
        }
        if self.sender.is_none() {
            let (sender, commands) = channel();
            let worker = Worker::new(Arc::clone(&self.progress), Arc::clone(&self.waker));
            *self.work.lock().unwrap_or_else(PoisonError::into_inner) = Some((worker, commands));
            self.sender = Some(sender);
            self.start_thread();
        }
        if let Some(sender) = &self.sender {
            // The thread ends only when it is told to.
            let _ = sender.send(command);
        }
    }
}

/// What the thread does.
fn work(work: &Work) {
    let taken = work.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some((mut worker, commands)) = taken {
        worker.run(&commands);
    }
}

fn fail(progress: &Progress, waker: &os::waker::Waker, why: String) {
    progress.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
    waker.wake();
}

/// Half of what the loop stops reading at: it is woken when so little is left.
pub const RELAXED: usize = 4 << 20;

struct Worker {
    progress: Arc<Progress>,
    waker: Arc<os::waker::Waker>,
    spills: HashMap<SpillId, File>,
    files: HashMap<u32, (PathBuf, File)>,
    logs: HashMap<Log, (Box<dyn Keeper>, Vec<u8>)>,
    /// Something could not be written: whatever was to follow it must not claim that it was.
    failed: bool,
}

impl Worker {
    fn new(progress: Arc<Progress>, waker: Arc<os::waker::Waker>) -> Worker {
        Worker {
            progress,
            waker,
            spills: HashMap::new(),
            files: HashMap::new(),
            logs: HashMap::new(),
            failed: false,
        }
    }

    fn run(&mut self, commands: &Receiver<Command>) {
        while let Ok(command) = commands.recv() {
            let mut next = Some(command);
            while let Some(command) = next {
                if let Command::Finish = command {
                    return self.flush();
                }
                let len = match &command {
                    Command::Spill(_, bytes) | Command::Write(_, bytes) => bytes.len(),
                    _ => 0,
                };
                let result = self.obey(command);
                self.note(result);
                let before = self.progress.queued.fetch_sub(len, Ordering::Relaxed);
                if before > RELAXED && before - len <= RELAXED {
                    self.waker.wake();
                }
                next = commands.try_recv().ok();
            }
            self.flush();
        }
    }

    fn note(&mut self, result: Result<(), String>) {
        if let Err(why) = result {
            self.failed = true;
            fail(&self.progress, &self.waker, why);
        }
    }

    /// Lines that came together are written together.
    fn flush(&mut self) {
        let mut result = Ok(());
        for (keeper, lines) in self.logs.values_mut().filter(|(_, lines)| !lines.is_empty()) {
            if !self.failed && result.is_ok() {
                result = keeper.append(lines);
            }
            lines.clear();
        }
        self.note(result);
    }

    fn obey(&mut self, command: Command) -> Result<(), String> {
        let spilling = |error: io::Error| {
            format!("could not keep output in a temporary file: {}", os::errors::reason(&error))
        };
        match command {
            Command::Spill(spill, bytes) => {
                let file = match self.spills.entry(spill) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => new.insert(os::files::temporary().map_err(spilling)?),
                };
                file.write_all(&bytes).map_err(spilling)
            }
            Command::Take(spill, to) => {
                // A writer that has failed takes nothing more.
                let _ = to.send(self.taken(spill));
                self.waker.wake();
                Ok(())
            }
            Command::Copy(spill, file, len) => {
                let from = self.taken(spill).map_err(spilling)?;
                let Some((path, to)) = self.files.get(&file) else { return Ok(()) };
                let failed = |error: io::Error| {
                    format!("could not write `{}`: {}", path.display(), os::errors::reason(&error))
                };
                os::io::copy_file(&from, 0, len, to.as_fd()).map_err(failed)
            }
            Command::Drop(spill) => {
                self.spills.remove(&spill);
                Ok(())
            }
            Command::Open { file, path, append } => {
                let failed = |error: io::Error| {
                    format!("could not open `{}`: {}", path.display(), os::errors::reason(&error))
                };
                let opened = create(&path, append).map_err(failed)?;
                self.files.insert(file, (path, opened));
                Ok(())
            }
            Command::Write(file, bytes) => {
                // One that could not be opened was reported then.
                let Some((path, to)) = self.files.get_mut(&file) else { return Ok(()) };
                let failed = |error: io::Error| {
                    format!("could not write `{}`: {}", path.display(), os::errors::reason(&error))
                };
                to.write_all(&bytes).map_err(failed)
            }
            Command::Close(file) => {
                self.files.remove(&file);
                Ok(())
            }
            Command::Keep(log, keeper) => {
                self.logs.insert(log, (keeper, Vec::new()));
                Ok(())
            }
            Command::Lines(lines) => {
                for (log, bytes) in lines {
                    if let Some((_, waiting)) = self.logs.get_mut(&log) {
                        waiting.extend_from_slice(&bytes);
                    }
                }
                Ok(())
            }
            Command::Settle(to) => {
                self.flush();
                // A run that ends in a hurry does not wait for it.
                let _ = to.send(());
                self.waker.wake();
                Ok(())
            }
            Command::Finish => Ok(()),
        }
    }

    fn taken(&mut self, spill: SpillId) -> io::Result<File> {
        Ok(self.spills.remove(&spill).ok_or(io::ErrorKind::NotFound)?)
    }
}

/// Opens an output file; its folders are made.
pub fn create(path: &std::path::Path, append: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).write(true).append(append).truncate(!append);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            options.open(path)
        }
        result => result,
    }
}
