//! One attempt while it lives: its processes, the pipes that prun holds of it, and what has to be known when it ends.
//!
//! [`Attempt`] is the state of one start of a task; of a worker; or of a hook, which runs in the place of its task
//! ([`Role`] tells them apart). [`Attempts`](table::Attempts) is the table of all that live. What goes out, when an
//! attempt is over, is an [`EndedAttempt`], which has no process and no descriptor any more.
//!
//! - [`reader`]: pipes that its processes write to; [`feed`]: input that prun writes; [`files`]: files that were opened
//!   for it
//! - [`dialogue`], [`duplex`], [`readiness`]: what is watched while it runs; [`terminal`]: when to type
//! - [`hook`]: what is kept of a task while its hook runs
//! - [`table`]: attempts by place, processes by pid
//!
//! The order that matters: the leader of a process group is reaped only after a handle of the group was opened, if
//! somebody may have to be reached later ([`Attempt::exited`]). From the reap on, the number of the group may be
//! another's.

use std::fmt;
use std::num::NonZeroU32;
use std::os::fd::OwnedFd;

use nix::unistd::Pid;

use super::task::Work;
use crate::event::{Exit, StageId, Time, Usage};
use crate::flow::answers::Answers;
use crate::os::group::GroupHandle;
use crate::os::live_starts;
use crate::os::mark::Mark;
use crate::os::process;
use crate::sched::TaskId;

pub mod dialogue;
pub mod duplex;
pub mod feed;
pub mod files;
pub mod hook;
pub mod reader;
pub mod readiness;
pub mod table;
pub mod terminal;

use dialogue::Talk;
use duplex::Duplex;
use feed::Feed;
use files::{AttemptFiles, Opening};
use hook::HookRun;
use reader::{Reader, Tap};
use readiness::Readiness;

/// Holders of an output that are named, at most.
const NAMED: usize = 3;

/// The role of an attempt's processes.
#[derive(Debug)]
pub enum Role {
    /// An attempt of a task, counted from 1.
    Attempt(NonZeroU32),
    /// A hook of a task that is over.
    Hook(Box<HookRun>),
    /// A process that lives on and takes tasks.
    Worker,
}

impl Role {
    pub fn is_worker(&self) -> bool {
        matches!(self, Role::Worker)
    }

    pub fn hook(&self) -> Option<&HookRun> {
        match self {
            Role::Hook(hook) => Some(hook),
            Role::Attempt(_) | Role::Worker => None,
        }
    }

    /// Returns the number of attempts of the task so far; 0 for a worker, which is no task.
    pub fn attempts(&self) -> u32 {
        match self {
            Role::Attempt(number) => number.get(),
            Role::Hook(hook) => hook.attempts,
            Role::Worker => 0,
        }
    }
}

/// One process of an attempt.
#[derive(Debug, Clone)]
pub struct Process {
    pub pid: Pid,
    pub exit: Option<Exit>,
    /// Known once the process was reaped.
    pub usage: Usage,
}

impl Process {
    pub fn new(pid: Pid) -> Process {
        Process { pid, exit: None, usage: Usage::default() }
    }

    /// True if the process exited, or died of SIGPIPE because its reader had closed the pipe.
    pub fn ended_by_itself(&self) -> bool {
        matches!(self.exit, Some(Exit::Code(_) | Exit::Signal(nix::libc::SIGPIPE)))
    }
}

/// One attempt, worker or hook.
///
/// It has many fields because an attempt has many companions, each of which may be absent. They are read and written
/// together while bytes flow, so that parts of their own would only lengthen the way to them.
pub struct Attempt {
    pub id: TaskId,
    pub work: Work,
    pub slot: usize,
    pub role: Role,
    pub started: Time,
    pub processes: Vec<Process>,
    /// The mark that its processes, and all that they start, carry.
    pub mark: Option<Mark>,
    pub group: Group,
    /// The readers of its output; `None` for one that is at its end.
    pub readers: Vec<Option<Reader>>,
    /// True once the poller watches its pipes.
    pub watched: bool,
    pub feed: Option<Feed>,
    pub files: AttemptFiles,
    /// Set while its files are being opened. It has no process then.
    pub opening: Option<Box<Opening>>,
    /// The dialogue that prun has with it.
    pub talk: Option<Box<Talk>>,
    /// The checks whether it is ready, while that is not known.
    pub readiness: Option<Box<Readiness>>,
    /// The search for a deadlock, if its stages write to each other in a circle.
    pub duplex: Option<Box<Duplex>>,
    /// Its terminal, once no process has that open: closing it would hang up on a task that runs on without.
    pub terminal: Option<OwnedFd>,
    /// The last of what it wrote to stderr, for the report.
    pub stderr_tail: Vec<u8>,
    /// Bytes that it wrote to stdout, as far as they came through prun.
    pub received: u64,
    /// True once prun has sent a signal to it.
    pub stopping: bool,
    /// True once prun has stopped what it left in its process group, because another attempt follows.
    pub cleared: bool,
    /// Why it counts as not ready in time, for the report.
    pub unready: Option<String>,
    /// The worker's side of its tasks, while its answers count.
    pub taker: Option<Box<Taker>>,
}

/// A worker as one that takes tasks and answers them.
#[derive(Debug)]
pub struct Taker {
    /// Bytes that it wrote and that were not taken out as answers.
    pub answers: Answers,
    /// True once it was given a task.
    pub asked: bool,
}

/// How the processes of an attempt are reached. Its leader and the members of its group can be told apart from other
/// processes only while one of them is not reaped.
pub enum Group {
    /// By the number of the group, which is the pid of its first process.
    Leader(Pid),
    /// By a handle that can't mean another group: the first process was reaped.
    Handle(GroupHandle),
    /// There is no process yet; or the first one was reaped, and what it left is no longer prun's (or no handle could
    /// be had): only its other processes are reached.
    Gone,
}

impl Attempt {
    /// Returns an attempt that has no process yet.
    pub fn new(id: TaskId, work: Work, slot: usize, role: Role, started: Time) -> Attempt {
        Attempt {
            id,
            work,
            slot,
            role,
            started,
            processes: Vec::new(),
            mark: None,
            group: Group::Gone,
            readers: Vec::new(),
            watched: false,
            feed: None,
            files: AttemptFiles::default(),
            opening: None,
            talk: None,
            readiness: None,
            duplex: None,
            terminal: None,
            stderr_tail: Vec::new(),
            received: 0,
            stopping: false,
            cleared: false,
            unready: None,
            taker: None,
        }
    }

    /// Notes its first process, which leads its process group.
    pub fn lead(&mut self, leader: Pid) {
        self.group = Group::Leader(leader);
        self.mark.into_iter().for_each(|mark| live_starts::set_group(mark, leader.as_raw()));
    }

    pub fn first_pid(&self) -> Option<i32> {
        self.processes.first().map(|process| process.pid.as_raw())
    }

    /// Returns when it has to be watched again.
    pub fn due(&self) -> Option<Time> {
        let talk = self.talk.as_ref().and_then(|talk| talk.due());
        let readiness = self.readiness.as_ref().and_then(|readiness| readiness.due);
        let opening = self.opening.as_ref().map(|opening| opening.due);
        let duplex = self.duplex.as_ref().map(|duplex| duplex.due);
        [talk, readiness, duplex, opening].into_iter().flatten().min()
    }

    /// Returns the number of processes that have not exited.
    pub fn live(&self) -> usize {
        self.processes.iter().filter(|process| process.exit.is_none()).count()
    }

    /// True if everything that it can write was read. A worker's output is its answers: without them it is of no use,
    /// whatever it still writes to stderr.
    pub fn is_drained(&self) -> bool {
        let counts = |reader: &Reader| !self.role.is_worker() || reader.tap == Some(Tap::Answers);
        !self.readers.iter().flatten().any(counts)
    }

    /// Sends a signal to everything in the attempt's process group, and to stages that have left it.
    pub fn signal(&self, signal: i32) {
        // A group that has gone meanwhile needs no signal.
        let _ = match &self.group {
            Group::Leader(leader) => process::kill_group_of(*leader, signal),
            Group::Handle(handle) => handle.signal(signal),
            Group::Gone => return self.signal_processes(signal),
        };
        // `setsid` in a stage that does not lead the group leaves it.
        let group = self.processes.first().map(|first| first.pid);
        self.signal_own(signal, |pid| nix::unistd::getpgid(Some(pid)).ok() != group);
    }

    /// Sends a signal to its own processes alone, one for each stage.
    pub fn signal_processes(&self, signal: i32) {
        self.signal_own(signal, |_| true);
    }

    /// Sends a signal to those of its own processes that were not reaped, and so are still what their pids say.
    fn signal_own(&self, signal: i32, is_meant: impl Fn(Pid) -> bool) {
        let left = self.processes.iter().filter(|process| process.exit.is_none() && is_meant(process.pid));
        // One that has ended meanwhile needs no signal.
        left.for_each(|process| _ = process::kill(process.pid, signal));
    }

    /// Notes that one of its processes has exited and is about to be reaped. With `waits`, prun will wait for leftovers
    /// or kill them, and so has to reach the group.
    pub fn exited(&mut self, stage: StageId, exit: Exit, waits: bool) {
        let others = waits || self.live() > 1;
        if stage.index() == 0
            && let Group::Leader(leader) = self.group
        {
            let handle = (self.stopping || others).then(|| GroupHandle::open(leader).ok()).flatten();
            self.group = handle.map_or(Group::Gone, Group::Handle);
        }
        self.processes[stage].exit = Some(exit);
        // From the reap on the number of an empty group may be another's.
        if self.live() == 0 && !self.stopping {
            self.mark.into_iter().for_each(|mark| live_starts::set_group(mark, 0));
        }
    }

    /// Returns a description of it so far, while it runs on.
    pub fn describe(&self) -> EndedAttempt {
        EndedAttempt {
            work: self.work.clone(),
            slot: self.slot,
            role: match &self.role {
                Role::Attempt(number) => Role::Attempt(*number),
                Role::Hook(_) | Role::Worker => Role::Worker,
            },
            started: self.started,
            processes: self.processes.clone(),
            stderr_tail: self.stderr_tail.clone(),
            received: self.received,
            stopping: self.stopping,
            unready: self.unready.clone(),
            holders: None,
        }
    }

    /// Ends it, and closes its descriptors.
    pub fn into_ended(self, holders: Option<Holders>) -> EndedAttempt {
        EndedAttempt {
            work: self.work,
            slot: self.slot,
            role: self.role,
            started: self.started,
            processes: self.processes,
            stderr_tail: self.stderr_tail,
            received: self.received,
            stopping: self.stopping,
            unready: self.unready,
            holders,
        }
    }
}

/// An attempt that is over, or the description of one that runs.
pub struct EndedAttempt {
    pub work: Work,
    pub slot: usize,
    pub role: Role,
    pub started: Time,
    pub processes: Vec<Process>,
    /// The last of what it wrote to stderr.
    pub stderr_tail: Vec<u8>,
    /// Bytes that it wrote to stdout, as far as they came through prun.
    pub received: u64,
    /// True if prun had sent a signal to it.
    pub stopping: bool,
    /// Why it counts as not ready in time, for the report.
    pub unready: Option<String>,
    /// Processes that it left and that hold its output open.
    pub holders: Option<Holders>,
}

impl EndedAttempt {
    /// Returns the resource usage of its processes that have exited. The usage of one task among the many of a worker is
    /// not known.
    pub fn usage(&self) -> Option<Usage> {
        let is_worker = self.role.is_worker();
        let ended = self.processes.iter().filter(|process| process.exit.is_some() && !is_worker);
        ended.map(|process| process.usage).reduce(Usage::and)
    }
}

/// Processes that go on after the end of their task, as far as they are known. Shown, it is the end of a sentence.
#[derive(Debug, Clone, Default)]
pub struct Holders {
    pub processes: Vec<(Pid, String)>,
    /// True if they run beside the next attempt; otherwise they hold the output open.
    runs_on: bool,
}

impl Holders {
    /// Processes that hold the output open.
    pub fn of_output(processes: Vec<(Pid, String)>) -> Holders {
        Holders { processes, runs_on: false }
    }

    /// Processes that run on beside the next attempt.
    pub fn running(processes: Vec<(Pid, String)>) -> Holders {
        Holders { processes, runs_on: true }
    }
}

impl fmt::Display for Holders {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (one, several) = match self.runs_on {
            true => ("still runs", "still run"),
            false => ("still holds its output open", "still hold its output open"),
        };
        let Some((last, before)) = self.processes[..self.processes.len().min(NAMED)].split_last() else {
            return write!(f, "something that it started {one}");
        };
        for (pid, name) in before {
            write!(f, "{name} ({pid}), ")?;
        }
        write!(f, "{} ({})", last.1, last.0)?;
        match self.processes.len() - before.len() - 1 {
            0 if before.is_empty() => write!(f, " {one}"),
            0 => write!(f, " {several}"),
            others => write!(f, " and {others} more {several}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_are_named_as_far_as_that_helps() {
        let all = |count: i32| (1..=count).map(|n| (Pid::from_raw(n), "a".to_owned())).collect();
        let of = |count| Holders::of_output(all(count)).to_string();
        assert_eq!(of(0), "something that it started still holds its output open");
        assert_eq!(of(1), "a (1) still holds its output open");
        assert_eq!(of(2), "a (1), a (2) still hold its output open");
        assert_eq!(of(5), "a (1), a (2), a (3) and 2 more still hold its output open");
        assert_eq!(Holders::running(all(1)).to_string(), "a (1) still runs");
        assert_eq!(Holders::running(all(2)).to_string(), "a (1), a (2) still run");
    }
}
