//! A task that runs here: its processes, the pipes that prun holds of it, and what has to be known when it ends.

pub mod dialogue;
pub mod duplex;
pub mod feed;
pub mod readiness;

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use nix::unistd::Pid;

use crate::event::{Exit, JobId, Known, Place, StageId, Time, Usage};
use crate::flow::answers::Answers;
use crate::flow::output::Outputs;
use crate::os::group::GroupHandle;
use crate::os::mark::Mark;
use crate::os::process;
use crate::plan::template::{Held, Scope};
use crate::plan::{Item, QueueId};
use crate::run::actions::hooks::Hooked;
use crate::run::attempt::dialogue::Talk;
use crate::run::attempt::duplex::Duplex;
use crate::run::attempt::feed::Feed;
use crate::run::attempt::readiness::Looking;
use crate::run::block::Block;
use crate::run::queues::{Inlet, Queues};
use crate::sched::TaskId;

/// What stays the same over all attempts of a task, and what this one holds.
#[derive(Debug, Clone)]
pub struct Work {
    pub job: JobId,
    pub seq: u64,
    pub items: Vec<Item>,
    pub names: Arc<[String]>,
    /// What it reads, in place of an item.
    pub block: Option<Block>,
    /// What the journal knows it by; empty without one.
    pub known: Vec<Known>,
    /// What its attempt, or its worker, was given of locks whose permits have names.
    pub held: Option<Arc<[Held]>>,
}

impl Work {
    /// What its templates are filled from.
    pub fn scope(&self, slot: usize) -> Scope<'_> {
        let held = self.held.as_deref().unwrap_or_default();
        Scope { items: &self.items, names: &self.names, seq: self.seq, slot, held }
    }
}

/// One process of the task.
#[derive(Debug)]
pub struct Process {
    pub pid: Pid,
    pub exit: Option<Exit>,
    /// Known once it was reaped.
    pub usage: Usage,
}

impl Process {
    /// No signal ended it, but the one that comes of nobody's reading what it writes.
    pub fn ended_by_itself(&self) -> bool {
        matches!(self.exit, Some(Exit::Code(_) | Exit::Signal(nix::libc::SIGPIPE)))
    }
}

/// A pipe that the task's processes write to.
#[derive(Debug)]
pub struct Reader {
    pub fd: OwnedFd,
    /// The task's lanes that get what is read.
    pub lanes: Vec<usize>,
    /// Who else wants it.
    pub tap: Option<Tap>,
    /// Its last lines are kept for the report.
    pub is_stderr: bool,
    /// How often as much was there as a new pipe holds.
    pub full: u32,
    /// It is the terminal of the task's own, which has no end that can be told by a hang-up alone.
    pub is_terminal: bool,
}

/// What a task writes, wanted by others than the lanes of its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tap {
    /// Records for this queue.
    Queue(QueueId),
    /// A worker's answers.
    Answers,
}

/// A new pipe holds this much.
pub const PIPE: usize = 64 << 10;
/// A pipe that is found full this often carries much, and gets more room.
pub const OFTEN: u32 = 4;

pub struct Active {
    pub id: TaskId,
    pub work: Work,
    pub slot: usize,
    /// From 1; 0 of a worker, which is no task.
    pub attempt: u32,
    pub started: Time,
    pub processes: Vec<Process>,
    /// What they, and all that they start, are known by.
    pub mark: Option<Mark>,
    /// Leaders and members can be told apart from other processes only while one of them is not reaped.
    pub group: Group,
    /// `None`: at its end.
    pub readers: Vec<Option<Reader>>,
    pub feed: Option<Feed>,
    /// prun talks to it.
    pub talk: Option<Box<Talk>>,
    /// It is not known to be up.
    pub looking: Option<Box<Looking>>,
    /// Its stages write to each other in a circle.
    pub duplex: Option<Box<Duplex>>,
    /// Its terminal, once nobody has that open: closing it would hang up on a task that runs on without.
    pub terminal: Option<OwnedFd>,
    /// The last of what it wrote to stderr, for the report.
    pub stderr_tail: Vec<u8>,
    /// Bytes that it wrote to stdout, as far as they came through prun.
    pub received: u64,
    /// A signal was sent to it by prun.
    pub stopping: bool,
    /// It was not up in time: what was waited for.
    pub unready: Option<String>,
    /// The task itself is over: this is its hook.
    pub hook: Option<Box<Hooked>>,
    /// It is a worker whose answers are believed.
    pub taker: Option<Box<Taker>>,
}

/// A worker, as one that takes tasks and answers them.
#[derive(Debug)]
pub struct Taker {
    /// What it wrote and was not taken out.
    pub answers: Answers,
    /// It was given a task.
    pub asked: bool,
}

/// How the task's processes are reached.
pub enum Group {
    /// By the number of the group, which is the pid of its first process.
    Leader(Pid),
    /// The first process was reaped: by a handle that can't mean another group.
    Handle(GroupHandle),
    /// There is no process yet; or the first one was reaped, and what it left is no longer prun's (or no handle could
    /// be had): only its other processes are reached.
    Gone,
}

/// Bytes of stderr that are kept for the report.
const TAIL: usize = 2048;

impl Active {
    pub fn is_worker(&self) -> bool {
        self.attempt == 0
    }

    pub fn first_pid(&self) -> Option<i32> {
        self.processes.first().map(|process| process.pid.as_raw())
    }

    /// An attempt that has no process yet.
    pub fn new(id: TaskId, work: Work, slot: usize, attempt: u32, started: Time) -> Active {
        Active {
            id,
            work,
            slot,
            attempt,
            started,
            processes: Vec::new(),
            mark: None,
            group: Group::Gone,
            readers: Vec::new(),
            feed: None,
            talk: None,
            looking: None,
            duplex: None,
            terminal: None,
            stderr_tail: Vec::new(),
            received: 0,
            stopping: false,
            unready: None,
            hook: None,
            taker: None,
        }
    }

    /// When it has to be looked after.
    pub fn due(&self) -> Option<Time> {
        let talk = self.talk.as_ref().and_then(|talk| talk.due);
        let looking = self.looking.as_ref().and_then(|looking| looking.due);
        [talk, looking, self.duplex.as_ref().map(|duplex| duplex.due)].into_iter().flatten().min()
    }

    pub fn live(&self) -> usize {
        self.processes.iter().filter(|process| process.exit.is_none()).count()
    }

    /// What its processes used, those that have ended. Nothing is known of one task of a worker's many.
    pub fn usage(&self) -> Option<Usage> {
        let ended = self.processes.iter().filter(|process| process.exit.is_some() && !self.is_worker());
        ended.map(|process| process.usage).reduce(Usage::and)
    }

    /// All that it can write was read. Of a worker these are its answers: without them it is of no use, whatever
    /// it still has to say.
    pub fn is_drained(&self) -> bool {
        let counts = |reader: &Reader| !self.is_worker() || reader.tap == Some(Tap::Answers);
        !self.readers.iter().flatten().any(counts)
    }

    /// Sends a signal to everything in the task's group.
    pub fn signal(&self, signal: i32) {
        // A group that has gone meanwhile needs no signal.
        let _ = match &self.group {
            Group::Leader(leader) => process::kill_group(*leader, signal),
            Group::Handle(handle) => handle.signal(signal),
            Group::Gone => self.signal_processes(signal),
        };
    }

    /// Its own processes that were not reaped, and so are still what their pids say.
    fn signal_processes(&self, signal: i32) -> nix::Result<()> {
        let left = self.processes.iter().filter(|process| process.exit.is_none());
        left.map(|process| process::kill(process.pid, signal)).fold(Ok(()), nix::Result::and)
    }

    /// One of its processes ended and is about to be reaped. `waits`: what the others leave is prun's too.
    pub fn exited(&mut self, stage: StageId, exit: Exit, waits: bool) {
        let others = waits || self.live() > 1;
        // From the reap on, the number may be another group's. Only these may have to be reached later.
        if stage == StageId(0)
            && let Group::Leader(leader) = self.group
        {
            let handle = (self.stopping || others).then(|| GroupHandle::open(leader).ok()).flatten();
            self.group = handle.map_or(Group::Gone, Group::Handle);
        }
        self.processes[stage].exit = Some(exit);
    }
}

/// Who in prun listens to what a task writes.
#[derive(Default)]
pub struct Ears<'a> {
    pub talk: Option<&'a mut Talk>,
    pub looking: Option<&'a mut Looking>,
}

impl Ears<'_> {
    /// `at`: which of the task's readers brought it.
    fn hear(self, at: usize, bytes: &[u8]) {
        self.talk.into_iter().for_each(|talk| talk.hear(bytes));
        self.looking.into_iter().for_each(|looking| looking.hear(at, bytes));
    }
}

impl Reader {
    /// Reads what is there, once, and hands it on. `None`: nothing is there now; else how much was read, and
    /// whether more may be there.
    pub fn take_in(
        &self,
        inlet: Inlet,
        buffer: &mut Vec<u8>,
        tail: &mut Vec<u8>,
        ears: Ears,
        queues: &mut Queues,
        outputs: &mut Outputs,
    ) -> Option<(usize, bool)> {
        let place = inlet.task.place;
        if let Some(Tap::Queue(queue)) = self.tap
            && let Some(space) = queues.space(queue, inlet)
        {
            let count = self.read(space)?;
            let more = count == space.len();
            ears.hear(inlet.at, &space[..count]);
            self.lanes.iter().for_each(|&lane| outputs.push(place, lane, &space[..count]));
            self.keep_tail(&space[..count], tail);
            queues.filled(queue, inlet, count);
            return Some((count, more));
        }
        let count = self.read(buffer)?;
        let more = count == buffer.len();
        ears.hear(inlet.at, &buffer[..count]);
        self.hand_on(place, buffer, count, tail, outputs);
        Some((count, more))
    }

    /// Keeps the last of what is written to stderr.
    fn keep_tail(&self, bytes: &[u8], tail: &mut Vec<u8>) {
        if self.is_stderr {
            tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
            let excess = tail.len().saturating_sub(TAIL);
            tail.drain(..excess);
        }
    }

    /// Hands on what was read, the first `count` bytes. A big buffer may be exchanged for another one.
    fn hand_on(
        &self,
        place: Place,
        buffer: &mut Vec<u8>,
        count: usize,
        tail: &mut Vec<u8>,
        outputs: &mut Outputs,
    ) {
        let bytes = &buffer[..count];
        self.keep_tail(bytes, tail);
        match self.lanes[..] {
            [lane] => outputs.push_buffer(place, lane, buffer, count),
            _ => self.lanes.iter().for_each(|&lane| outputs.push(place, lane, bytes)),
        }
    }

    /// Reads what is there, once. `None`: nothing is there now.
    pub fn read(&self, buffer: &mut [u8]) -> Option<usize> {
        loop {
            match nix::unistd::read(self.fd.as_fd(), buffer) {
                Ok(count) => return Some(count),
                Err(nix::errno::Errno::EINTR) => {}
                Err(nix::errno::Errno::EAGAIN) => return None,
                // A terminal that nobody has open fails. A pipe has no other errors than a caller's mistake; an end
                // is the safe reading of one.
                Err(_) => return Some(0),
            }
        }
    }
}
