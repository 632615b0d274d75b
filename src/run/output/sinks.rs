//! Everything that prun writes to: its own stdout and stderr, files of jobs, temporary files.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use crate::event::Time;
use crate::flow::output::{Dest, Log, Op, SpillId};
use crate::journal::Journal;
use crate::journal::joblog::Joblog;
use crate::os;
use crate::run::output::disk::{self, Disk, Keeper};
use crate::run::output::writer::{Own, Writer};

/// The loop stops reading what tasks write while more than this waits to be written, and goes on below half.
const CROWDED: usize = 8 << 20;
/// While tasks come and go quickly, or write much, their output is handed to the writers when there is so much
/// of it, or when so much time has passed.
const STAGED: usize = 128 << 10;
const STAGED_FOR: Time = Time::from_millis(4);
/// Lines of logs wait less: a task whose line is not in the journal when prun is killed runs again.
const LINES_STAGED_FOR: Time = Time::from_millis(1);

pub struct Sinks {
    stdout: Writer,
    /// `None`: the same file as stdout, and so the same thread.
    stderr: Option<Writer>,
    disk: Disk,
    files: u32,
    waker: Arc<os::waker::Waker>,
    /// Since when something is staged.
    staged_at: Option<Time>,
}

/// What went wrong while writing.
#[derive(Debug)]
pub enum Failure {
    /// Nobody reads stdout any more.
    Closed,
    /// Anything else, for people.
    Other(String),
}

impl Sinks {
    pub fn new() -> io::Result<Sinks> {
        let waker = Arc::new(os::waker::Waker::new()?);
        let same = os::io::same_file(os::std_streams::stdout(), os::std_streams::stderr());
        let stderr = (!same).then(|| Writer::new(Arc::clone(&waker), None));
        Ok(Sinks {
            stdout: Writer::new(Arc::clone(&waker), stderr.as_ref()),
            stderr,
            disk: Disk::new(Arc::clone(&waker)),
            files: 0,
            waker,
            staged_at: None,
        })
    }

    /// Readable when one of the threads has something to tell.
    pub fn waker(&self) -> &os::waker::Waker {
        &self.waker
    }

    /// Whether stdout and stderr are one file: a bar on stderr then has to make way for output.
    pub fn are_one(&self) -> bool {
        self.stderr.is_none()
    }

    pub fn write(&mut self, own: Own, bytes: Vec<u8>) {
        match (own, &mut self.stderr) {
            (Own::Stderr, Some(stderr)) => stderr.bytes(own, bytes),
            _ => self.stdout.bytes(own, bytes),
        }
    }

    pub fn apply(&mut self, op: Op) {
        match op {
            Op::Write { dest: Dest::File(file), bytes } => self.disk.write(file, bytes),
            Op::Write { dest, bytes } => self.write(own(dest), bytes),
            Op::Spill { spill, bytes } => self.disk.spill(spill, bytes),
            Op::Replay { dest: Dest::File(file), spill, len } => self.disk.copy(spill, file, len),
            Op::Replay { dest, spill, len } => {
                let file = self.disk.take(spill);
                match (own(dest), &mut self.stderr) {
                    (Own::Stderr, Some(stderr)) => stderr.file(Own::Stderr, file, len),
                    (own, _) => self.stdout.file(own, file, len),
                }
            }
            Op::Drop { spill } => self.disk.drop_spill(spill),
            Op::Close { dest: Dest::File(file) } => self.disk.close(file),
            Op::Close { .. } => {}
            Op::Log { log, bytes } => {
                if let Some(disk) = self.disk.lines() {
                    self.stdout.line((log, bytes), disk);
                }
            }
        }
    }

    /// What was spilled, for another use than output. The loop is woken when it is there.
    pub fn take_spilled(&mut self, spill: SpillId) -> Receiver<io::Result<File>> {
        self.disk.take(spill)
    }

    /// Lines of this log go there from now on.
    pub fn keep(&mut self, log: Log, keeper: Box<dyn Keeper>) {
        self.disk.keep(log, keeper);
    }

    /// A file that output goes to through prun.
    pub fn open_file(&mut self, path: PathBuf, append: bool) -> Dest {
        self.files += 1;
        self.disk.open(self.files, path, append);
        Dest::File(self.files)
    }

    /// Gives the writers what was staged. `busy`: more comes just now, and it may wait a little for it. Big
    /// buffers that were written come back.
    pub fn hand_over(&mut self, now: Time, busy: bool, spare: &mut Vec<Vec<u8>>) {
        let patience = self.patience();
        // A line that passes from stdout's thread to stderr's finds there what stood before it.
        let writers = [self.stderr.as_mut(), Some(&mut self.stdout)];
        if writers.iter().flatten().all(|writer| writer.staged().is_none()) {
            return;
        }
        let staged: usize = writers.iter().flatten().filter_map(|writer| writer.staged()).sum();
        let since = *self.staged_at.get_or_insert(now);
        if busy && staged < STAGED && now < since + patience {
            return;
        }
        self.staged_at = None;
        for writer in writers.into_iter().flatten() {
            writer.hand_over(spare);
        }
    }

    /// Waits until everything that was handed over stands on the terminal, but no longer than this.
    pub fn settle(&mut self, limit: Duration) {
        let until = Instant::now() + limit;
        while !self.on_terminal().all(|writer| writer.is_done()) && self.waker.wait(left(until)) {}
    }

    /// Nothing is written to the terminal until it is no longer held. What comes meanwhile waits, and is bounded as
    /// any other.
    pub fn hold_terminal(&mut self, held: bool) {
        if held {
            return self.on_terminal().for_each(|writer| writer.hold(true));
        }
        // A terminal that has hung up is none any more.
        let writers = [Some(&self.stdout), self.stderr.as_ref()];
        writers.into_iter().flatten().for_each(|writer| writer.hold(false));
    }

    fn on_terminal(&self) -> impl Iterator<Item = &Writer> {
        let stdout = os::std_streams::is_terminal(os::std_streams::stdout()).then_some(&self.stdout);
        let stderr = self.stderr.as_ref().filter(|_| os::std_streams::is_terminal(os::std_streams::stderr()));
        stdout.into_iter().chain(stderr)
    }

    /// When what is staged has to be handed over.
    pub fn due(&self) -> Option<Time> {
        self.staged_at.map(|at| at + self.patience())
    }

    fn patience(&self) -> Time {
        if self.stdout.has_lines() { LINES_STAGED_FOR } else { STAGED_FOR }
    }

    /// Whether so much waits to be written that reading must stop. The loop is woken when it may go on.
    pub fn crowded(&self) -> bool {
        if self.disk.queued() > 2 * disk::RELAXED {
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

    /// What went wrong since the last call.
    pub fn take_failure(&self) -> Option<Failure> {
        if let Some(why) = self.disk.take_failure() {
            return Some(Failure::Other(why));
        }
        let failure = self.stdout.take_failure().or_else(|| self.stderr.as_ref()?.take_failure());
        match failure? {
            (_, error) if error.kind() == io::ErrorKind::BrokenPipe => Some(Failure::Closed),
            (Own::Stdout, error) => {
                Some(Failure::Other(format!("could not write to stdout: {}", os::errors::reason(&error))))
            }
            // Nobody can be told that nobody listens.
            (Own::Stderr, error) => {
                Some(Failure::Other(format!("could not write to stderr: {}", os::errors::reason(&error))))
            }
        }
    }

    /// A thread could not be started yet.
    pub fn await_thread(&self) -> bool {
        let writers = [Some(&self.stdout), self.stderr.as_ref()];
        self.disk.awaits_thread() || writers.into_iter().flatten().any(Writer::awaits_thread)
    }

    /// Tries that again.
    pub fn retry_threads(&mut self) {
        if self.await_thread() {
            self.disk.retry_thread();
            let writers = [Some(&mut self.stdout), self.stderr.as_mut()];
            writers.into_iter().flatten().for_each(Writer::retry_thread);
        }
    }

    /// Everything was written, or never will be. If not, the loop is woken when it is.
    pub fn is_done(&self) -> bool {
        self.stdout.is_done() && self.stderr.as_ref().is_none_or(Writer::is_done)
    }

    /// Tells when files and logs hold all that came so far, and wakes the loop then; `None`: they do.
    pub fn settle_files(&mut self) -> Option<Receiver<()>> {
        self.disk.settle()
    }

    /// Waits until all files of jobs are written.
    pub fn finish_files(&mut self) {
        self.disk.finish();
    }
}

impl Keeper for Journal {
    fn append(&mut self, lines: &[u8]) -> Result<(), String> {
        Journal::append(self, lines)
    }
}

impl Keeper for Joblog {
    fn append(&mut self, lines: &[u8]) -> Result<(), String> {
        Joblog::append(self, lines)
    }
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

fn own(dest: Dest) -> Own {
    match dest {
        Dest::Stderr => Own::Stderr,
        Dest::Stdout | Dest::File(_) | Dest::Hook => Own::Stdout,
    }
}
