//! The thread that writes to prun's own stdout and stderr, so that a slow reader never blocks the loop.
//!
//! One thread serves each distinct file behind the two descriptors. On a terminal one thread serves both, which keeps
//! prun's messages and the output of tasks in order.
//!
//! The thread starts when it is needed. The first few writes are tried on the loop, in a way that never waits; a run
//! with little to say needs no thread, whose start takes as long as the start of a process.
//!
//! Lines of logs pass through the writers on their way to the disk thread, and are forwarded only when everything
//! before them has been written: no log calls a task finished whose output is lost.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use crate::flow::output::BIG_BUFFER;
use crate::os;
use crate::run::output::disk::{self, Command, LogLines};
use crate::run::output::thread_start::PendingStart;
use crate::run::output::transfers::Commands;

/// One of prun's own output descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StdStream {
    Stdout,
    Stderr,
}

/// A failure to write to one of prun's own descriptors.
#[derive(Debug)]
pub struct StreamError {
    pub stream: StdStream,
    pub error: io::Error,
}

/// Large buffers that are kept for reuse, at most.
const SPARE: usize = 16;

/// Writes that are tried on the loop before there is a thread.
const ON_LOOP: usize = 8;

/// A unit of work for the thread.
enum Piece {
    Bytes(StdStream, Vec<u8>),
    /// Spilled output of this length. The file arrives when the disk thread has written all of it.
    File(StdStream, Receiver<io::Result<File>>, u64),
    /// Lines of logs, to be forwarded once everything before them has been written.
    Lines(Vec<LogLines>),
}

#[derive(Default)]
struct State {
    pieces: VecDeque<Piece>,
    /// Bytes in `pieces` and in the hands of the thread. Files do not count: they are on disk.
    queued: usize,
    /// True while the thread writes pieces that it took.
    busy: bool,
    /// True while the thread takes no pieces.
    paused: bool,
    /// Large buffers that were written, for reuse.
    spare: Vec<Vec<u8>>,
    /// True after the first failure; nothing is written any more.
    failed: bool,
    /// The first failure, until it is reported.
    failure: Option<StreamError>,
    /// The loop is woken when at most this many bytes are queued; with 0, when the thread is idle.
    wake_below: Option<usize>,
}

impl State {
    fn is_idle(&self) -> bool {
        self.pieces.is_empty() && !self.busy
    }
}

/// The state that the loop and the thread share.
struct Shared {
    state: Mutex<State>,
    /// Signalled when pieces were added, or the writer is no longer paused.
    has_work: Condvar,
    waker: Arc<os::waker::Waker>,
    /// The other writer, if there is one. Lines of logs pass it next, so that they come after what stands before them
    /// in both.
    next: Option<Arc<Shared>>,
    /// The disk thread, which lines of logs reach last.
    disk: OnceLock<Commands>,
}

impl Shared {
    /// A panic in the thread ends the process (`panic = "abort"`), so the lock is never left poisoned there.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forwards lines whose predecessors in this writer have been written.
    fn forward_lines(&self, lines: Vec<LogLines>) {
        if let Some(next) = &self.next {
            next.accept_lines(lines);
        } else if let Some(disk) = self.disk.get() {
            // The disk thread ends only after the last line.
            disk.send(Command::Lines(lines));
        }
    }

    /// Queues lines behind what the thread has to write, or forwards them at once if there is nothing.
    fn accept_lines(&self, lines: Vec<LogLines>) {
        let mut state = self.lock();
        if state.failed {
            return;
        }
        if state.is_idle() {
            drop(state);
            self.forward_lines(lines);
        } else {
            state.pieces.push_back(Piece::Lines(lines));
        }
    }

    /// Wakes the loop, if it asked for that and little enough is queued.
    fn wake_loop_if_drained(&self, state: &mut State) {
        let idle = state.is_idle();
        if state.wake_below.is_some_and(|below| state.queued <= below && (below > 0 || idle)) {
            state.wake_below = None;
            self.waker.wake();
        }
    }
}

/// The loop's side of a writer.
pub struct Writer {
    shared: Arc<Shared>,
    /// Pieces that the thread does not know of yet. Waking a thread for each of many short tasks costs more than
    /// writing their output.
    staged: VecDeque<Piece>,
    staged_bytes: usize,
    lines_staged: bool,
    /// The thread is started by the first write: many runs have nothing to say.
    started: bool,
    /// Writes that were tried on the loop.
    on_loop: usize,
    pending_start: PendingStart,
}

impl Writer {
    /// `next` is the other writer, which lines of logs pass as well.
    pub fn new(waker: Arc<os::waker::Waker>, next: Option<&Writer>) -> Writer {
        let next = next.map(|next| Arc::clone(&next.shared));
        let (state, has_work, disk) = (Mutex::default(), Condvar::new(), OnceLock::new());
        let shared = Shared { state, has_work, waker, next, disk };
        Writer {
            shared: Arc::new(shared),
            staged: VecDeque::new(),
            staged_bytes: 0,
            lines_staged: false,
            started: false,
            on_loop: 0,
            pending_start: PendingStart::default(),
        }
    }

    /// Stages bytes; see [`Writer::hand_over`].
    pub fn stage_bytes(&mut self, stream: StdStream, bytes: Vec<u8>) {
        self.staged_bytes += bytes.len();
        self.staged.push_back(Piece::Bytes(stream, bytes));
    }

    /// Stages `len` bytes of a file that the disk thread is still to deliver.
    pub fn stage_file(&mut self, stream: StdStream, file: Receiver<io::Result<File>>, len: u64) {
        self.staged.push_back(Piece::File(stream, file, len));
    }

    /// Stages lines of a log, which wait for everything before them and are then sent to `disk`.
    pub fn stage_lines(&mut self, new: LogLines, disk: &Commands) {
        self.shared.disk.get_or_init(|| disk.clone());
        if let Some(next) = &self.shared.next {
            next.disk.get_or_init(|| disk.clone());
        }
        self.lines_staged = true;
        match self.staged.back_mut() {
            Some(Piece::Lines(lines)) => lines.push(new),
            _ => self.staged.push_back(Piece::Lines(vec![new])),
        }
    }

    /// True if lines of logs are staged.
    pub fn has_staged_lines(&self) -> bool {
        self.lines_staged
    }

    /// Returns the number of staged bytes, of which files count none. `None` if nothing is staged.
    pub fn staged(&self) -> Option<usize> {
        (!self.staged.is_empty()).then_some(self.staged_bytes)
    }

    /// Gives the thread what was staged, and takes back large buffers that were written.
    pub fn hand_over(&mut self, spare: &mut Vec<Vec<u8>>) {
        if self.staged.is_empty() {
            return;
        }
        let mut pieces = std::mem::take(&mut self.staged);
        let mut len = std::mem::take(&mut self.staged_bytes);
        self.lines_staged = false;
        if !self.started && self.on_loop < ON_LOOP {
            self.on_loop += 1;
            len -= write_at_once(&mut pieces, &self.shared);
        }
        let mut state = self.shared.lock();
        if state.failed {
            return;
        }
        // Lines with nothing before them need not wait for the thread.
        while state.is_idle()
            && let Some(Piece::Lines(lines)) = pieces.front_mut()
        {
            let lines = std::mem::take(lines);
            pieces.pop_front();
            drop(state);
            self.shared.forward_lines(lines);
            state = self.shared.lock();
        }
        if pieces.is_empty() {
            return;
        }
        if !self.started {
            self.started = true;
            drop(state);
            self.start_thread();
            state = self.shared.lock();
        }
        state.queued += len;
        state.pieces.append(&mut pieces);
        spare.append(&mut state.spare);
        spare.truncate(SPARE);
        let idle = !state.busy;
        drop(state);
        if idle {
            self.shared.has_work.notify_one();
        }
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
        let shared = Arc::clone(&self.shared);
        let name = "prun-writer".to_owned();
        let spawned = thread::Builder::new().name(name).stack_size(128 << 10).spawn(move || run(&shared));
        if let Err(error) = self.pending_start.record(spawned) {
            let why = os::errors::start_reason(&error);
            let error =
                std::io::Error::new(error.kind(), format!("no thread could be started for it: {why}"));
            let mut state = self.shared.lock();
            (state.failed, state.failure) = (true, Some(StreamError { stream: StdStream::Stdout, error }));
        }
    }

    /// Lets the thread take no more pieces. It goes on with those that it has taken.
    pub fn pause(&self) {
        self.shared.lock().paused = true;
    }

    /// Lets the thread take pieces again.
    pub fn unpause(&self) {
        self.shared.lock().paused = false;
        self.shared.has_work.notify_one();
    }

    /// Returns the number of bytes that are not written yet.
    pub fn queued(&self) -> usize {
        self.shared.lock().queued + self.staged_bytes
    }

    /// True if everything was written, or never will be. If not, the loop is woken when it is.
    pub fn is_done(&self) -> bool {
        let mut state = self.shared.lock();
        let done = state.failed || state.is_idle();
        if !done {
            state.wake_below = Some(0);
        }
        done
    }

    /// Asks for the loop to be woken when at most this many bytes are queued.
    pub fn wake_below(&self, bytes: usize) {
        let mut state = self.shared.lock();
        if state.queued <= bytes {
            self.shared.waker.wake();
        } else {
            state.wake_below = Some(bytes);
        }
    }

    /// Returns the failure that ended the writer, once.
    pub fn take_failure(&self) -> Option<StreamError> {
        self.shared.lock().failure.take()
    }
}

/// The body of the thread. It ends with the process, or with the first failure.
fn run(shared: &Shared) {
    // Somebody may watch what is written.
    os::schedule::shorten_turns();
    let mut state = shared.lock();
    loop {
        if state.pieces.is_empty() || state.paused {
            state.busy = false;
            shared.wake_loop_if_drained(&mut state);
            state = shared.has_work.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        state.busy = true;
        let pieces = std::mem::take(&mut state.pieces);
        let taken = state.queued;
        drop(state);
        let mut written = Vec::new();
        let result = write(pieces, &mut written, shared);
        state = shared.lock();
        let room = SPARE.saturating_sub(state.spare.len());
        state.spare.extend(written.into_iter().take(room));
        state.queued -= taken;
        if let Err(failure) = result {
            *state = State { failed: true, failure: Some(failure), ..State::default() };
            shared.waker.wake();
            return;
        }
        shared.wake_loop_if_drained(&mut state);
    }
}

/// Writes the first pieces as far as that needs no wait, and forwards lines whose predecessors are written. Returns the
/// number of bytes that were written. An error is left to the thread, which meets it again.
fn write_at_once(pieces: &mut VecDeque<Piece>, shared: &Shared) -> usize {
    let mut written = 0;
    while let Some(piece) = pieces.front_mut() {
        match piece {
            Piece::Bytes(stream, bytes) if is_wanted(*stream) && !bytes.is_empty() => {
                let Ok(count) = os::io::write_nowait(fd(*stream), bytes) else { break };
                written += count;
                bytes.drain(..count);
                if !bytes.is_empty() {
                    break;
                }
            }
            Piece::Bytes(_, bytes) => written += bytes.len(),
            Piece::Lines(lines) => shared.forward_lines(std::mem::take(lines)),
            Piece::File(..) => break,
        }
        pieces.pop_front();
    }
    written
}

/// Writes all pieces. Bytes for the same descriptor go out together: tasks that end at the same time cost one call.
/// Large buffers are appended to `written`.
fn write(
    mut pieces: VecDeque<Piece>,
    written: &mut Vec<Vec<u8>>,
    shared: &Shared,
) -> Result<(), StreamError> {
    while let Some(piece) = pieces.pop_front() {
        match piece {
            Piece::Bytes(stream, bytes) => {
                let (mut together, mut lines) = (vec![bytes], Vec::new());
                loop {
                    match pieces.front_mut() {
                        Some(Piece::Bytes(next, more)) if *next == stream => {
                            together.push(std::mem::take(more));
                        }
                        Some(Piece::Lines(more)) => lines.append(more),
                        _ => break,
                    }
                    pieces.pop_front();
                }
                if is_wanted(stream) {
                    let mut parts: Vec<_> = together.iter().map(|bytes| IoSlice::new(bytes)).collect();
                    os::io::write_all(fd(stream), &mut parts)
                        .map_err(|error| StreamError { stream, error })?;
                }
                written.extend(together.into_iter().filter(|bytes| bytes.capacity() >= BIG_BUFFER));
                if !lines.is_empty() {
                    shared.forward_lines(lines);
                }
            }
            Piece::File(stream, file, len) => {
                let file = file.recv().unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()));
                if is_wanted(stream) {
                    file.and_then(|file| disk::copy_spilled(&file, len, fd(stream)))
                        .map_err(|error| StreamError { stream, error })?;
                }
            }
            Piece::Lines(lines) => shared.forward_lines(lines),
        }
    }
    Ok(())
}

/// True unless this is stderr and was closed when prun started: whoever closes it wants to hear nothing. A write to a
/// closed stdout fails.
fn is_wanted(stream: StdStream) -> bool {
    stream == StdStream::Stdout || os::inherited::inherited().open[2]
}

fn fd(stream: StdStream) -> BorrowedFd<'static> {
    match stream {
        StdStream::Stdout => os::std_streams::stdout(),
        StdStream::Stderr => os::std_streams::stderr(),
    }
}
