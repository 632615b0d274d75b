//! The thread that writes to prun's own stdout and stderr, so that a slow reader never blocks the loop.
//!
//! One for each distinct file behind the two descriptors: on a terminal there is one thread for both, which
//! keeps what prun says and what its tasks say in order.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use crate::flow::output::{BIG_BUFFER, Log};
use crate::os;
use crate::run::output::disk::Command;
use crate::run::output::thread_start::Awaited;

/// Which of prun's own descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    Stdout,
    Stderr,
}

/// So many big buffers are kept.
const SPARE: usize = 16;

enum Job {
    Bytes(Own, Vec<u8>),
    /// What was spilled: the file comes when the I/O thread has written all of it.
    File(Own, Receiver<io::Result<File>>, u64),
    /// What was written up to here may be told.
    Lines(Vec<Line>),
}

/// A piece of a log, on its way to the I/O thread.
pub type Line = (Log, Vec<u8>);

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Bytes in `jobs` and in the hands of the thread. Files do not count: they are on disk.
    queued: usize,
    /// Jobs in the hands of the thread.
    busy: bool,
    /// The thread takes nothing.
    held: bool,
    /// Big buffers that were written.
    spare: Vec<Vec<u8>>,
    /// The first failure; nothing is written after it.
    failure: Option<(Own, io::Error)>,
    /// The loop wants to be woken when no more than this is queued.
    wake_below: Option<usize>,
}

impl State {
    fn is_idle(&self) -> bool {
        self.jobs.is_empty() && !self.busy
    }
}

struct Shared {
    state: Mutex<State>,
    work: Condvar,
    waker: Arc<os::waker::Waker>,
    /// Where lines of logs go from here: through the other writer, if there is one, so that they come after what
    /// stands before them in both.
    next: Option<Arc<Shared>>,
    /// And then.
    disk: OnceLock<Sender<Command>>,
}

impl Shared {
    /// A panic in the thread ends the process (`panic = "abort"`), so the lock is never left poisoned there.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that stood before these lines in this writer was written.
    fn pass_on(&self, lines: Vec<Line>) {
        if let Some(next) = &self.next {
            next.pass(lines);
        } else if let Some(disk) = self.disk.get() {
            // It ends only after the last line.
            let _ = disk.send(Command::Lines(lines));
        }
    }

    /// Lines come behind what the thread has in hand.
    fn pass(&self, lines: Vec<Line>) {
        let mut state = self.lock();
        if state.failure.is_some() {
            return;
        }
        if state.is_idle() {
            drop(state);
            self.pass_on(lines);
        } else {
            state.jobs.push_back(Job::Lines(lines));
        }
    }
}

pub struct Writer {
    shared: Arc<Shared>,
    /// What the thread does not know of yet, and its bytes. Waking a thread for each of many short tasks costs
    /// more than writing what it wrote.
    staged: VecDeque<Job>,
    staged_bytes: usize,
    lines_staged: bool,
    /// The thread is started by the first write: many runs have nothing to say.
    started: bool,
    awaited: Awaited,
}

impl Writer {
    /// `next`: the other writer, which lines of logs pass as well.
    pub fn new(waker: Arc<os::waker::Waker>, next: Option<&Writer>) -> Writer {
        let next = next.map(|next| Arc::clone(&next.shared));
        let (state, work, disk) = (Mutex::default(), Condvar::new(), OnceLock::new());
        let shared = Shared { state, work, waker, next, disk };
        Writer {
            shared: Arc::new(shared),
            staged: VecDeque::new(),
            staged_bytes: 0,
            lines_staged: false,
            started: false,
            awaited: Awaited::default(),
        }
    }

    /// Stages bytes; see [`Writer::hand_over`].
    pub fn bytes(&mut self, own: Own, bytes: Vec<u8>) {
        self.staged_bytes += bytes.len();
        self.staged.push_back(Job::Bytes(own, bytes));
    }

    /// Stages a file.
    pub fn file(&mut self, own: Own, file: Receiver<io::Result<File>>, len: u64) {
        self.staged.push_back(Job::File(own, file, len));
    }

    /// Stages a piece of a log, which waits for what stands before it and is then sent to `disk`.
    pub fn line(&mut self, line: Line, disk: &Sender<Command>) {
        self.shared.disk.get_or_init(|| disk.clone());
        if let Some(next) = &self.shared.next {
            next.disk.get_or_init(|| disk.clone());
        }
        self.lines_staged = true;
        match self.staged.back_mut() {
            Some(Job::Lines(lines)) => lines.push(line),
            _ => self.staged.push_back(Job::Lines(vec![line])),
        }
    }

    /// Lines of logs are staged.
    pub fn has_lines(&self) -> bool {
        self.lines_staged
    }

    /// Bytes that the thread does not know of yet; files count as none.
    pub fn staged(&self) -> Option<usize> {
        (!self.staged.is_empty()).then_some(self.staged_bytes)
    }

    /// Gives the thread what was staged, and takes back big buffers that were written.
    pub fn hand_over(&mut self, spare: &mut Vec<Vec<u8>>) {
        if self.staged.is_empty() {
            return;
        }
        let mut jobs = std::mem::take(&mut self.staged);
        let len = std::mem::take(&mut self.staged_bytes);
        self.lines_staged = false;
        let mut state = self.shared.lock();
        if state.failure.is_some() {
            return;
        }
        // Lines with nothing before them need not wait for the thread.
        while state.is_idle()
            && let Some(Job::Lines(lines)) = jobs.front_mut()
        {
            let lines = std::mem::take(lines);
            jobs.pop_front();
            drop(state);
            self.shared.pass_on(lines);
            state = self.shared.lock();
        }
        if jobs.is_empty() {
            return;
        }
        if !self.started {
            self.started = true;
            drop(state);
            self.start_thread();
            state = self.shared.lock();
        }
        state.queued += len;
        state.jobs.append(&mut jobs);
        spare.append(&mut state.spare);
        spare.truncate(SPARE);
        let idle = !state.busy;
        drop(state);
        if idle {
            self.shared.work.notify_one();
        }
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
        let shared = Arc::clone(&self.shared);
        let name = "prun-writer".to_owned();
        let spawned = thread::Builder::new().name(name).stack_size(128 << 10).spawn(move || work(&shared));
        if let Err(error) = self.awaited.note(spawned) {
            self.shared.lock().failure = Some((Own::Stdout, error));
        }
    }

    /// Writes nothing for a while; what is in the thread's hands goes on.
    pub fn hold(&self, held: bool) {
        self.shared.lock().held = held;
        if !held {
            self.shared.work.notify_one();
        }
    }

    /// Bytes that are not written yet.
    pub fn queued(&self) -> usize {
        self.shared.lock().queued + self.staged_bytes
    }

    /// Everything was written, or never will be. If not, the loop is woken when it is.
    pub fn is_done(&self) -> bool {
        let mut state = self.shared.lock();
        let done = state.failure.is_some() || state.is_idle();
        if !done {
            state.wake_below = Some(0);
        }
        done
    }

    /// Wakes the loop when no more than this is queued.
    pub fn wake_below(&self, bytes: usize) {
        let mut state = self.shared.lock();
        if state.queued <= bytes {
            self.shared.waker.wake();
        } else {
            state.wake_below = Some(bytes);
        }
    }

    /// What went wrong, told once.
    pub fn take_failure(&self) -> Option<(Own, io::Error)> {
        let mut state = self.shared.lock();
        let failure = state.failure.as_mut()?;
        let told = io::Error::from(io::ErrorKind::Other);
        let (own, error) = (failure.0, std::mem::replace(&mut failure.1, told));
        (error.kind() != io::ErrorKind::Other).then_some((own, error))
    }
}

fn work(shared: &Shared) {
    let mut state = shared.lock();
    loop {
        if state.jobs.is_empty() || state.held {
            state.busy = false;
            report(&mut state, shared);
            state = shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        state.busy = true;
        let jobs = std::mem::take(&mut state.jobs);
        let taken = state.queued;
        drop(state);
        let mut written = Vec::new();
        let result = write(jobs, &mut written, shared);
        state = shared.lock();
        let room = SPARE.saturating_sub(state.spare.len());
        state.spare.extend(written.into_iter().take(room));
        state.queued -= taken;
        if let Err(failure) = result {
            *state = State { failure: Some(failure), ..State::default() };
            shared.waker.wake();
            return;
        }
        report(&mut state, shared);
    }
}

fn report(state: &mut State, shared: &Shared) {
    let idle = state.is_idle();
    if state.wake_below.is_some_and(|below| state.queued <= below && (below > 0 || idle)) {
        state.wake_below = None;
        shared.waker.wake();
    }
}

/// Writes pieces for the same descriptor together: tasks that end at the same time cost one call.
fn write(
    mut jobs: VecDeque<Job>,
    written: &mut Vec<Vec<u8>>,
    shared: &Shared,
) -> Result<(), (Own, io::Error)> {
    while let Some(job) = jobs.pop_front() {
        match job {
            Job::Bytes(own, bytes) => {
                let (mut together, mut lines) = (vec![bytes], Vec::new());
                loop {
                    match jobs.front_mut() {
                        Some(Job::Bytes(next, more)) if *next == own => together.push(std::mem::take(more)),
                        Some(Job::Lines(more)) => lines.append(more),
                        _ => break,
                    }
                    jobs.pop_front();
                }
                check_open(own).map_err(|error| (own, error))?;
                let mut parts: Vec<_> = together.iter().map(|bytes| IoSlice::new(bytes)).collect();
                os::io::write_all(fd(own), &mut parts).map_err(|error| (own, error))?;
                written.extend(together.into_iter().filter(|bytes| bytes.capacity() >= BIG_BUFFER));
                if !lines.is_empty() {
                    shared.pass_on(lines);
                }
            }
            Job::File(own, file, len) => {
                let file = file.recv().unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()));
                file.and_then(|file| os::io::copy_file(&file, 0, len, fd(own)))
                    .map_err(|error| (own, error))?;
            }
            Job::Lines(lines) => shared.pass_on(lines),
        }
    }
    Ok(())
}

/// Rust's runtime opened `/dev/null` in place of a descriptor that was closed. What is meant for stdout must not
/// be lost there; whoever closes stderr wants to hear nothing.
fn check_open(own: Own) -> io::Result<()> {
    match own {
        Own::Stdout if !os::inherited::inherited().open[1] => Err(nix::errno::Errno::EBADF.into()),
        Own::Stdout | Own::Stderr => Ok(()),
    }
}

fn fd(own: Own) -> BorrowedFd<'static> {
    match own {
        Own::Stdout => os::std_streams::stdout(),
        Own::Stderr => os::std_streams::stderr(),
    }
}
