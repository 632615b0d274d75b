//! The writers and the disk thread as one thing to write to: prun's own stdout and stderr, files of jobs, logs,
//! temporary files.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::event::{JobId, Time};
use crate::flow::output::{Dest, Log, Op, SpillId};
use crate::journal::Journal;
use crate::journal::joblog::Joblog;
use crate::os;
use crate::run::output::disk::{self, Disk, LogFile, LogLines};
use crate::run::output::fifos::Fifos;
use crate::run::output::files::{Files, OpenError, Opening, SharedFile};
use crate::run::output::transfers::Order;
use crate::run::output::writer::{StdStream, StreamError, Writer};

/// Backpressure: the loop stops reading from tasks while more bytes than this wait for a writer, and goes on at half.
const CROWDED: usize = 8 << 20;
/// While the loop is busy, output is staged up to this many bytes, or for this long, before the writers get it.
const STAGED: usize = 128 << 10;
const STAGED_FOR: Time = Time::from_millis(4);
/// Lines of logs are staged for less: a task whose line is not in the journal when prun is killed runs again.
const LINES_STAGED_FOR: Time = Time::from_millis(1);

/// The time for which a run that was told to stop waits for readers of FIFOs to take what tasks had written.
const FIFO_LIMIT: Duration = Duration::from_secs(1);

/// All destinations of a run's output.
pub struct Sinks {
    stdout: Writer,
    /// `None` if stderr is the same file as stdout, and so has the same thread.
    stderr: Option<Writer>,
    disk: Disk,
    fifos: Fifos,
    /// The files that the run has opened.
    pub files: Files,
    /// The number of destinations that are files so far, and so the number of the last.
    numbers: u32,
    /// A file that could not be opened, while that was not reported.
    unopened: Option<String>,
    waker: Arc<os::waker::Waker>,
    /// When readers of FIFOs are not waited for any more: the run was told to stop.
    fifos_until: Option<Instant>,
    /// When the oldest staged piece was staged.
    staged_at: Option<Time>,
    /// When the writers may get something again without being asked too often.
    rested_at: Time,
}

/// How soon the writers get what is staged. Waking one up costs about as much as making a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandOver {
    Now,
    /// Nothing more is about to come: at once, unless they got something a moment ago.
    WhenQuiet,
    /// More is about to come: a moment after the first was staged.
    WhenDue,
}

/// A failure to write.
#[derive(Debug)]
pub enum Failure {
    /// stdout or stderr is a pipe that nobody reads any more.
    Closed,
    /// Any other failure, as text for people.
    Other(String),
}

impl Sinks {
    /// # Errors
    /// When no descriptor can be had to wake the loop with.
    pub fn new() -> io::Result<Sinks> {
        let waker = Arc::new(os::waker::Waker::new()?);
        let same = os::io::same_file(os::std_streams::stdout(), os::std_streams::stderr());
        let stderr = (!same).then(|| Writer::new(Arc::clone(&waker), None));
        Ok(Sinks {
            stdout: Writer::new(Arc::clone(&waker), stderr.as_ref()),
            stderr,
            disk: Disk::new(Arc::clone(&waker), false),
            fifos: Fifos::default(),
            files: Files::default(),
            numbers: 0,
            unopened: None,
            waker,
            fifos_until: None,
            staged_at: None,
            rested_at: Time::ZERO,
        })
    }

    /// Returns the waker, which is readable when one of the threads has something to report.
    pub fn waker(&self) -> &os::waker::Waker {
        &self.waker
    }

    /// True if stdout and stderr are one file: a bar on stderr then has to make way for output.
    pub fn share_one_file(&self) -> bool {
        self.stderr.is_none()
    }

    /// Stages bytes for one of prun's own descriptors.
    pub fn write(&mut self, stream: StdStream, bytes: Vec<u8>) {
        self.writer(stream).stage_bytes(stream, bytes);
    }

    /// Does one operation of the output, in the order of the calls for each destination.
    pub fn apply(&mut self, op: Op) {
        match op {
            Op::Write { dest: Dest::File(file), bytes } => self.thread_of(file).write(file, bytes),
            Op::Write { dest, bytes } => self.write(std_stream(dest), bytes),
            Op::Spill { spill, bytes } => self.disk.spill(spill, bytes),
            Op::Replay { dest: Dest::File(file), spill, len } => match self.fifos.of(file) {
                Some(fifo) => fifo.copy_from(self.disk.take(spill), file, len),
                None => self.disk.copy(spill, file, len),
            },
            Op::Replay { dest, spill, len } => {
                let (stream, file) = (std_stream(dest), self.disk.take(spill));
                self.writer(stream).stage_file(stream, file, len);
            }
            Op::Transfer { .. } => self.disk.send_prepared(),
            Op::Recall { spill } => self.disk.transfer(Order::Recall(spill)),
            Op::Drop { spill } => self.disk.drop_spill(spill),
            Op::Close { dest: Dest::File(file) } if !self.fifos.close(file) => self.disk.close(file),
            Op::Close { .. } => {}
            Op::Log { log, bytes } => {
                if let Some(disk) = self.disk.sender() {
                    self.stdout.stage_lines(LogLines { log, bytes }, disk);
                }
            }
        }
    }

    /// Returns the thread that writes to a file.
    fn thread_of(&mut self, file: u32) -> &mut Disk {
        self.fifos.of(file).unwrap_or(&mut self.disk)
    }

    fn writer(&mut self, stream: StdStream) -> &mut Writer {
        match (stream, &mut self.stderr) {
            (StdStream::Stderr, Some(stderr)) => stderr,
            _ => &mut self.stdout,
        }
    }

    /// Returns a spilled file, for another use than output. The loop is woken when it arrives.
    pub fn take_spilled(&mut self, spill: SpillId) -> Receiver<io::Result<File>> {
        self.disk.take(spill)
    }

    /// Returns the thread that moves bytes of tasks to temporary files.
    pub fn transfers(&mut self) -> &mut Disk {
        &mut self.disk
    }

    /// Sets the file that lines of this log are appended to.
    pub fn open_log(&mut self, log: Log, file: Box<dyn LogFile>) {
        self.disk.open_log(log, file);
    }

    /// Opens a file that output of the job goes to.
    ///
    /// # Errors
    /// When it can't be opened, or the run uses it for something else.
    pub fn open_file(&mut self, path: &Path, append: bool, job: JobId) -> Result<Opening, OpenError> {
        self.files.open(path, append, job)
    }

    /// Returns a destination for output of the job that goes to an open file through prun. Without a file, the path is that
    /// of a FIFO that nobody reads yet.
    pub fn add_file(&mut self, path: &Path, file: Option<SharedFile>, job: Option<JobId>) -> Dest {
        self.numbers += 1;
        let path = path.to_owned();
        match file {
            Some(file) if !file.is_fifo => self.disk.open(self.numbers, path, Some(file.file)),
            file => self.fifos.add(self.numbers, path, file.map(|file| file.file), job, &self.waker),
        }
        Dest::File(self.numbers)
    }

    /// Returns a destination for output whose file could not be opened, for this reason, which fails the run.
    pub fn add_unopened(&mut self, why: String) -> Dest {
        self.numbers += 1;
        self.unopened.get_or_insert(why);
        Dest::File(self.numbers)
    }

    /// Gives the writers what was staged, if it is time. Large buffers that were written are appended to `spare`.
    pub fn hand_over(&mut self, now: Time, when: HandOver, spare: &mut Vec<Vec<u8>>) {
        let limit = self.staging_limit();
        // stderr's thread comes first, so that a log line forwarded to it by stdout's finds there what stood before it.
        let writers = [self.stderr.as_mut(), Some(&mut self.stdout)];
        if writers.iter().flatten().all(|writer| writer.staged().is_none()) {
            return;
        }
        let staged: usize = writers.iter().flatten().filter_map(|writer| writer.staged()).sum();
        let since = *self.staged_at.get_or_insert(now);
        let due = match when {
            HandOver::Now => now,
            HandOver::WhenQuiet => self.rested_at,
            HandOver::WhenDue => since + limit,
        };
        if staged < STAGED && now < due {
            return;
        }
        (self.staged_at, self.rested_at) = (None, now + limit);
        for writer in writers.into_iter().flatten() {
            writer.hand_over(spare);
        }
    }

    /// Waits until everything that was handed over has been written to the terminal, at most for `limit`.
    pub fn await_terminal(&mut self, limit: Duration) {
        let until = Instant::now() + limit;
        let remaining = || until.saturating_duration_since(Instant::now());
        while !self.on_terminal().all(|writer| writer.is_done()) && self.waker.wait(remaining()) {}
    }

    /// Writes nothing to the terminal until [`Sinks::unpause_terminal`]. Output that comes meanwhile is queued, with the
    /// usual bound.
    pub fn pause_terminal(&mut self) {
        self.on_terminal().for_each(Writer::pause);
    }

    /// Writes to the terminal again.
    pub fn unpause_terminal(&mut self) {
        // All writers, because a terminal that has hung up meanwhile no longer is one.
        let writers = [Some(&self.stdout), self.stderr.as_ref()];
        writers.into_iter().flatten().for_each(Writer::unpause);
    }

    /// Returns the writers whose file is a terminal.
    fn on_terminal(&self) -> impl Iterator<Item = &Writer> {
        let stdout = os::std_streams::is_terminal(os::std_streams::stdout()).then_some(&self.stdout);
        let stderr = self.stderr.as_ref().filter(|_| os::std_streams::is_terminal(os::std_streams::stderr()));
        stdout.into_iter().chain(stderr)
    }

    /// Returns when staged output has to be handed over. `quiet`: nothing more is about to come.
    pub fn due(&self, quiet: bool) -> Option<Time> {
        self.staged_at.map(|at| if quiet { self.rested_at } else { at + self.staging_limit() })
    }

    fn staging_limit(&self) -> Time {
        if self.stdout.has_staged_lines() { LINES_STAGED_FOR } else { STAGED_FOR }
    }

    /// True if so much waits to be written that the loop must stop reading from tasks. The loop is woken when it may go
    /// on.
    pub fn crowded(&self) -> bool {
        if self.disk.queued().max(self.fifos.queued()) > 2 * disk::WAKE_BELOW {
            return true;
        }
        let mut crowded = false;
        for writer in [Some(&self.stdout), self.stderr.as_ref()].into_iter().flatten() {
            if writer.queued() > CROWDED {
                writer.wake_below(CROWDED / 2);
                crowded = true;
            }
        }
        crowded
    }

    /// Returns a failure to write, once.
    pub fn take_failure(&mut self) -> Option<Failure> {
        if let Some(why) =
            self.unopened.take().or_else(|| self.disk.take_failure()).or_else(|| self.fifos.take_failure())
        {
            return Some(Failure::Other(why));
        }
        let failure = self.stdout.take_failure().or_else(|| self.stderr.as_ref()?.take_failure());
        let StreamError { stream, error } = failure?;
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Some(Failure::Closed);
        }
        let (name, why) = match stream {
            StdStream::Stdout => ("stdout", os::stdout::failure(&error)),
            StdStream::Stderr => ("stderr", os::errors::reason(&error)),
        };
        Some(Failure::Other(format!("could not write to {name}: {why}")))
    }

    /// True if a thread could not be started yet.
    pub fn awaits_thread(&self) -> bool {
        let writers = [Some(&self.stdout), self.stderr.as_ref()];
        let files = self.disk.awaits_thread() || self.fifos.awaits_thread();
        files || writers.into_iter().flatten().any(Writer::awaits_thread)
    }

    /// Tries to start the threads again that could not be started yet.
    pub fn retry_threads(&mut self) {
        if self.awaits_thread() {
            self.disk.retry_thread();
            self.fifos.retry_threads();
            let writers = [Some(&mut self.stdout), self.stderr.as_mut()];
            writers.into_iter().flatten().for_each(Writer::retry_thread);
        }
    }

    /// True if stdout, stderr and FIFOs were written, or never will be. If not, the loop is woken when they are.
    pub fn is_done(&self) -> bool {
        let fifos = self.fifos.queued() == 0 || self.fifo_patience().is_some_and(|left| left.is_zero());
        fifos && self.stdout.is_done() && self.stderr.as_ref().is_none_or(Writer::is_done)
    }

    /// Waits for readers of FIFOs only a little longer, because the run was told to stop.
    pub fn hurry_fifos(&mut self) {
        self.fifos_until.get_or_insert_with(|| Instant::now() + FIFO_LIMIT);
    }

    /// Returns how much longer readers of FIFOs are waited for, if that has a limit.
    pub fn fifo_patience(&self) -> Option<Duration> {
        Some(self.fifos_until?.saturating_duration_since(Instant::now()))
    }

    /// Returns a channel that is disconnected when files and logs hold everything that was sent so far; the loop is woken
    /// then. With `job`, FIFOs that others write to do not count.
    pub fn flush_files(&mut self, job: Option<JobId>) -> Receiver<()> {
        let (sender, receiver) = channel();
        self.fifos.flush(job, &sender);
        self.disk.flush(sender);
        receiver
    }

    /// Waits until all files of jobs and all logs are written.
    pub fn finish_files(&mut self) {
        self.disk.finish();
        self.fifos.finish();
    }
}

impl LogFile for Journal {
    fn append(&mut self, lines: &[u8]) -> Result<(), String> {
        Journal::append(self, lines)
    }
}

impl LogFile for Joblog {
    fn append(&mut self, lines: &[u8]) -> Result<(), String> {
        Joblog::append(self, lines)
    }
}

fn std_stream(dest: Dest) -> StdStream {
    match dest {
        Dest::Stderr => StdStream::Stderr,
        Dest::Stdout | Dest::File(_) | Dest::Hook => StdStream::Stdout,
    }
}
