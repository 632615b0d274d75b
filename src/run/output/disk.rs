//! The thread for everything that may sleep on a disk: spilled output, files that jobs write to, and logs.
//!
//! Commands go in, and are done in their order; results come out by channels and wake the loop. The loop never waits
//! for the thread, except at the very end. It only stops reading from tasks while too much is queued.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::flow::output::{Log, SpillId};
use crate::os;
use crate::run::output::thread_start::PendingStart;
use crate::run::output::transfers::{Commands, Order, Report, TransferDesk, Transfers};

/// Whole lines for a log, on their way to the disk thread.
pub struct LogLines {
    pub log: Log,
    pub bytes: Vec<u8>,
}

/// The number of an output file.
type FileId = u32;

/// A command for the thread.
pub enum Command {
    /// Appends to a temporary file, which is made by the first such command.
    Spill(SpillId, Vec<u8>),
    /// Hands the temporary file to a writer, or to the loop.
    Take(SpillId, Sender<io::Result<File>>),
    /// Copies so many bytes of the temporary file to an output file, and drops it.
    Copy(SpillId, FileId, u64),
    Drop(SpillId),
    /// Bytes of a pipe that are moved to a temporary file.
    Transfer(Order),
    /// Copies so many bytes of a temporary file that another thread gives to an output file.
    CopyFrom(Receiver<io::Result<File>>, FileId, u64),
    /// Gives an output file its number. Without a file, opens the FIFO at this path, which may block.
    Open {
        number: FileId,
        path: PathBuf,
        file: Option<Arc<File>>,
    },
    Write(FileId, Vec<u8>),
    Close(FileId),
    /// Sets the file of a log.
    OpenLog(Log, Box<dyn LogFile>),
    /// Lines for logs, whose tasks' output has been written.
    Lines(Vec<LogLines>),
    /// Drops the sender when everything before it is done.
    Flush(Sender<()>),
    /// Ends the thread.
    Finish,
}

impl Command {
    /// Returns the number of bytes that the command writes, as far as it brings them, or they wait for a reader.
    fn queued(&self) -> usize {
        match self {
            Command::Spill(_, bytes) | Command::Write(_, bytes) => bytes.len(),
            Command::CopyFrom(.., len) => *len as usize,
            // Until it is open, the FIFO is not idle.
            Command::Open { file: None, .. } => 1,
            _ => 0,
        }
    }
}

/// The file of a log of ended tasks.
pub trait LogFile: Send {
    /// Appends whole lines.
    ///
    /// # Errors
    /// When the file can't be written. The text is for people and names the file.
    fn append(&mut self, lines: &[u8]) -> Result<(), String>;
}

#[derive(Default)]
struct Progress {
    /// Bytes that are not on disk yet.
    queued: AtomicUsize,
    /// The first failure that was not reported yet.
    failure: Mutex<Option<String>>,
}

/// The worker, until a thread takes it.
type UnstartedWorker = Mutex<Option<(Worker, Receiver<Command>)>>;

/// The loop's side of the thread.
pub struct Disk {
    progress: Arc<Progress>,
    /// `None` until the first command: many runs have nothing for the disk.
    sender: Option<Commands>,
    thread: Option<JoinHandle<()>>,
    unstarted: Arc<UnstartedWorker>,
    pending_start: PendingStart,
    waker: Arc<os::waker::Waker>,
    transfers: TransferDesk,
    /// True if the loop is woken when nothing is queued any more.
    is_awaited: bool,
}

impl Disk {
    /// With `is_awaited`, the loop is woken when nothing is queued any more.
    pub fn new(waker: Arc<os::waker::Waker>, is_awaited: bool) -> Disk {
        Disk {
            is_awaited,
            progress: Arc::default(),
            sender: None,
            thread: None,
            unstarted: Arc::default(),
            pending_start: PendingStart::default(),
            waker,
            transfers: TransferDesk::default(),
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

    /// True if another transfer can begin. If not, the loop reads by itself.
    pub fn has_room(&mut self) -> bool {
        // A thread that does not run yet empties no pipe.
        self.thread.is_some() && self.transfers.has_room(&self.waker)
    }

    /// Prepares the beginning or the end of a transfer; see [`Disk::send_prepared`].
    pub fn prepare(&mut self, order: Order) {
        self.transfers.prepare(order);
    }

    /// Sends the order that was prepared first of those that were not sent.
    pub fn send_prepared(&mut self) {
        self.transfers.take_prepared().into_iter().for_each(|order| self.transfer(order));
    }

    /// Sends an order about a transfer.
    pub fn transfer(&mut self, order: Order) {
        self.send(Command::Transfer(order));
    }

    /// Returns the next transfer that has ended. The loop is woken for it.
    pub fn take_report(&mut self) -> Option<Report> {
        self.transfers.take_report()
    }

    /// Copies a temporary file that another thread gives.
    pub fn copy_from(&mut self, spilled: Receiver<io::Result<File>>, file: u32, len: u64) {
        self.send(Command::CopyFrom(spilled, file, len));
    }

    pub fn open(&mut self, number: u32, path: PathBuf, file: Option<Arc<File>>) {
        self.send(Command::Open { number, path, file });
    }

    pub fn write(&mut self, file: u32, bytes: Vec<u8>) {
        self.send(Command::Write(file, bytes));
    }

    pub fn close(&mut self, file: u32) {
        self.send(Command::Close(file));
    }

    /// Returns the number of bytes that are not on disk yet.
    pub fn queued(&self) -> usize {
        self.progress.queued.load(Ordering::Relaxed)
    }

    /// Returns a failure, once.
    pub fn take_failure(&self) -> Option<String> {
        self.progress.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Asks that the sender be dropped when everything that was sent so far has been written; the loop is woken then.
    pub fn flush(&mut self, sender: Sender<()>) {
        if self.sender.is_some() {
            self.send(Command::Flush(sender));
        }
    }

    /// Ends the thread once everything that was sent has been written, and does not wait for it.
    pub fn close_down(&mut self) {
        self.send(Command::Finish);
    }

    /// Waits until everything is on disk. Does the work itself if the thread could never be started.
    pub fn finish(&mut self) {
        let Some(sender) = self.sender.take() else { return };
        // The command is needed, because a writer whose output failed holds a sender to the end.
        sender.send(Command::Finish);
        match self.thread.take() {
            // A panic there has ended the process already.
            Some(thread) => drop(thread.join()),
            None => run(&self.unstarted),
        }
    }

    /// Sets the file that lines of this log are appended to.
    pub fn open_log(&mut self, log: Log, file: Box<dyn LogFile>) {
        self.send(Command::OpenLog(log, file));
    }

    /// Returns the way for lines of logs, which reach the thread through the writers. `None` if nothing was sent yet,
    /// and so no log is open.
    pub fn sender(&self) -> Option<&Commands> {
        self.sender.as_ref()
    }

    /// True if the thread could not be started yet.
    pub fn awaits_thread(&self) -> bool {
        self.pending_start.is_pending()
    }

    /// Tries to start the thread again, if it could not be started yet.
    pub fn retry_thread(&mut self) {
        if self.awaits_thread() {
            self.start_thread();
        }
    }

    fn start_thread(&mut self) {
        let builder = thread::Builder::new().name("prun-disk".to_owned()).stack_size(128 << 10);
        let unstarted = Arc::clone(&self.unstarted);
        match self.pending_start.record(builder.spawn(move || run(&unstarted))) {
            Ok(thread) => self.thread = thread,
            Err(error) => {
                let why = os::errors::start_reason(&error);
                fail(&self.progress, &self.waker, format!("could not start a thread for files: {why}"));
            }
        }
    }

    fn send(&mut self, command: Command) {
        self.progress.queued.fetch_add(command.queued(), Ordering::Relaxed);
        if self.sender.is_none() {
            let (sender, commands) = channel();
            let worker = Worker::new(Arc::clone(&self.progress), Arc::clone(&self.waker), self.is_awaited);
            *self.unstarted.lock().unwrap_or_else(PoisonError::into_inner) = Some((worker, commands));
            self.sender = Some(Commands { sender, bell: Arc::clone(self.transfers.bell()) });
            self.start_thread();
        }
        if let Some(sender) = &self.sender {
            sender.send(command);
        }
    }
}

/// The body of the thread.
fn run(unstarted: &UnstartedWorker) {
    let taken = unstarted.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some((mut worker, commands)) = taken {
        worker.run(&commands);
    }
}

fn fail(progress: &Progress, waker: &os::waker::Waker, why: String) {
    progress.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
    waker.wake();
}

/// The thread wakes the loop when at most this many bytes are queued: half of what the loop stops reading at.
pub const WAKE_BELOW: usize = 4 << 20;

/// The thread's side.
struct Worker {
    progress: Arc<Progress>,
    waker: Arc<os::waker::Waker>,
    spills: HashMap<SpillId, File>,
    /// `None` before the first transfer.
    transfers: Option<Box<Transfers>>,
    files: HashMap<FileId, OutputFile>,
    /// The logs, each with lines that wait to be written together.
    logs: HashMap<Log, (Box<dyn LogFile>, Vec<u8>)>,
    /// True after a failure: no log may claim what could not be written.
    failed: bool,
    /// True if the loop is woken when nothing is queued any more.
    is_awaited: bool,
}

struct OutputFile {
    path: PathBuf,
    file: Arc<File>,
}

impl OutputFile {
    fn write_error(&self, error: &io::Error) -> String {
        format!("could not write `{}`: {}", self.path.display(), os::errors::reason(error))
    }
}

impl Worker {
    fn new(progress: Arc<Progress>, waker: Arc<os::waker::Waker>, is_awaited: bool) -> Worker {
        Worker {
            is_awaited,
            progress,
            waker,
            spills: HashMap::new(),
            transfers: None,
            files: HashMap::new(),
            logs: HashMap::new(),
            failed: false,
        }
    }

    fn run(&mut self, commands: &Receiver<Command>) {
        loop {
            let mut next = match self.transfers.as_ref().is_some_and(|transfers| !transfers.is_idle()) {
                true => commands.try_recv().ok(),
                false => match commands.recv() {
                    Ok(command) => Some(command),
                    Err(_) => return,
                },
            };
            while let Some(command) = next {
                if let Command::Finish = command {
                    return self.flush_logs();
                }
                self.carry_out(command);
                next = commands.try_recv().ok();
            }
            self.flush_logs();
            self.move_bytes();
        }
    }

    fn carry_out(&mut self, command: Command) {
        let len = command.queued();
        let result = self.execute(command);
        self.note_failure(result);
        let before = self.progress.queued.fetch_sub(len, Ordering::Relaxed);
        let is_idle = len > 0 && before == len && self.is_awaited;
        if is_idle || before > WAKE_BELOW && before - len <= WAKE_BELOW {
            self.waker.wake();
        }
    }

    /// Waits for a pipe that is to be moved, or for a command, and moves what is there.
    fn move_bytes(&mut self) {
        let Some(transfers) = self.transfers.as_mut().filter(|transfers| !transfers.is_idle()) else {
            return;
        };
        let mut result = Ok(());
        for spill in transfers.wait() {
            result = result.and(transfers.turn(spill, self.spills.get(&spill)));
        }
        self.note_failure(result.map_err(|errno| spill_error(errno.into())));
    }

    fn note_failure(&mut self, result: Result<(), String>) {
        if let Err(why) = result {
            self.failed = true;
            fail(&self.progress, &self.waker, why);
        }
    }

    /// Writes the lines that wait, together for each log.
    fn flush_logs(&mut self) {
        let mut result = Ok(());
        for (log, lines) in self.logs.values_mut().filter(|(_, lines)| !lines.is_empty()) {
            if !self.failed && result.is_ok() {
                result = log.append(lines);
            }
            lines.clear();
        }
        self.note_failure(result);
    }

    fn execute(&mut self, command: Command) -> Result<(), String> {
        match command {
            Command::Spill(spill, bytes) => {
                let file = match self.spills.entry(spill) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => new.insert(os::files::temporary().map_err(spill_error)?),
                };
                file.write_all(&bytes).map_err(spill_error)
            }
            Command::Take(spill, to) => {
                // A writer that has failed takes nothing more.
                let _ = to.send(self.take_spill(spill));
                self.waker.wake();
                Ok(())
            }
            Command::Copy(spill, file, len) => {
                let from = self.take_spill(spill).map_err(spill_error)?;
                let Some(to) = self.files.get(&file) else { return Ok(()) };
                let copied = copy_spilled(&from, len, to.file.as_fd());
                copied.map_err(|error| to.write_error(&error))
            }
            Command::CopyFrom(spilled, file, len) => {
                let gone = |_| io::Error::from(io::ErrorKind::NotFound);
                let from = spilled.recv().map_err(gone).and_then(|file| file).map_err(spill_error)?;
                let Some(to) = self.files.get(&file) else { return Ok(()) };
                let copied = copy_spilled(&from, len, to.file.as_fd());
                copied.map_err(|error| to.write_error(&error))
            }
            Command::Drop(spill) => {
                // Nobody wants it: an error is none.
                let _ = self.take_spill(spill);
                Ok(())
            }
            Command::Transfer(order) => {
                let result = order.carry_out(&mut self.transfers, &self.spills);
                result.map_err(|errno| spill_error(errno.into()))
            }
            Command::Open { number, path, file } => {
                let file = match file {
                    Some(file) => file,
                    None => Arc::new(open_fifo(&path)?),
                };
                self.files.insert(number, OutputFile { path, file });
                Ok(())
            }
            Command::Write(file, bytes) => {
                // A file that could not be opened was reported then.
                let Some(to) = self.files.get_mut(&file) else { return Ok(()) };
                (&*to.file).write_all(&bytes).map_err(|error| to.write_error(&error))
            }
            Command::Close(file) => {
                self.files.remove(&file);
                Ok(())
            }
            Command::OpenLog(log, file) => {
                self.logs.insert(log, (file, Vec::new()));
                Ok(())
            }
            Command::Lines(lines) => {
                for LogLines { log, bytes } in lines {
                    if let Some((_, waiting)) = self.logs.get_mut(&log) {
                        waiting.extend_from_slice(&bytes);
                    }
                }
                Ok(())
            }
            Command::Flush(to) => {
                self.flush_logs();
                drop(to);
                self.waker.wake();
                Ok(())
            }
            Command::Finish => Ok(()),
        }
    }

    fn take_spill(&mut self, spill: SpillId) -> io::Result<File> {
        self.transfers.as_mut().into_iter().for_each(|transfers| transfers.recall(spill));
        Ok(self.spills.remove(&spill).ok_or(io::ErrorKind::NotFound)?)
    }
}

/// Copies all of a temporary file: `len` bytes that were sent, and what transfers have moved unseen.
pub fn copy_spilled(from: &File, len: u64, to: BorrowedFd) -> io::Result<()> {
    os::io::copy_file(from, 0, len.max(from.metadata()?.len()), to)
}

fn spill_error(error: io::Error) -> String {
    let (folder, why) = (std::env::temp_dir(), os::errors::reason(&error));
    format!(
        "could not keep output in a temporary file in `{}`: {why}; `TMPDIR` names another folder",
        folder.display()
    )
}

/// Opens a FIFO that nobody has read yet.
fn open_fifo(path: &Path) -> Result<File, String> {
    match os::files::open_own_output(path) {
        Ok(output) => Ok(output.file),
        Err(error) => Err(format!("could not open `{}`: {}", path.display(), os::errors::reason(&error))),
    }
}
