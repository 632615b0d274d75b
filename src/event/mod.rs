//! Events of a run, for people and programs. Pure.
//!
//! [`RunEvent`] is the display vocabulary; the scheduler's own is `sched::Event`. The bar, the plain log and
//! the report are all made from this one stream.

use std::sync::Arc;
use std::time::Duration;

mod ids;
mod signals;

pub use ids::{JobId, LockId, Place, PlaceMap, QueueId, StageId};
pub use signals::{SIGKILL, SIGPIPE, SIGTERM};

/// Time since the run began, on a monotonic clock that stands still while prun is suspended.
pub type Time = Duration;

/// How a process ended, as waitid(2) reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Code(u8),
    Signal(i32),
}

/// Resources that an attempt's processes used, with all descendants that they waited for (getrusage(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// CPU time in user mode.
    pub user: Duration,
    /// CPU time in the kernel.
    pub system: Duration,
    /// The largest resident set size of any one process, in bytes.
    pub memory: u64,
}

impl Usage {
    /// Returns the sum of both; of memory the larger, because the peaks need not coincide.
    pub fn and(self, other: Usage) -> Usage {
        Usage {
            user: self.user + other.user,
            system: self.system + other.system,
            memory: self.memory.max(other.memory),
        }
    }

    /// Returns the CPU time.
    pub fn time(self) -> Duration {
        self.user + self.system
    }
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    /// It exited with a status that is not `ok`.
    Failed(u8),
    /// It was killed by a signal that prun did not send.
    Killed(i32),
    /// It ran longer than its `timeout`.
    Timeout,
    /// It failed without an exit status that says so: a dialogue, a hook, a worker's answer. The text says
    /// what happened.
    Fault(Arc<str>),
    /// It could not be executed.
    NotStarted(Arc<StartFailure>),
    /// prun stopped it.
    Cancelled,
    /// It never started because of another outcome.
    Skipped,
}

impl Outcome {
    /// True if the task failed by itself. A task that prun cancelled or skipped did not.
    pub fn is_failure(&self) -> bool {
        !matches!(self, Outcome::Ok | Outcome::Cancelled | Outcome::Skipped)
    }
}

/// The identity of a task: a hash of what it does. Tasks that do the same have equal keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub u128);

/// The identity by which the journal recognises a task over several runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Known {
    pub key: Key,
    /// The number among the tasks with this key, in the order of the items, from 1.
    pub nth: u32,
}

/// The reason why a command could not be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartFailure {
    /// 127: not found; 126: found but not executable, or anything else (as env(1) and timeout(1) do).
    pub code: u8,
    /// The message: "`/no/such`: no such file or directory".
    pub why: String,
}

/// A resource that ran out when something was to be started. A shortage passes, so the start is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// Processes that the user, or the control group, may have at once.
    Processes,
    /// Descriptors that prun may have open.
    Files,
    /// Files that the whole system may have open.
    SystemFiles,
    Terminals,
    Memory,
}

/// A task, as events name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskName {
    /// Index into the jobs of [`RunEvent::RunStarted`].
    pub job: JobId,
    /// Number within the job, from 1.
    pub seq: u64,
}

/// A job, as it is known when the run begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobInfo {
    pub name: Arc<str>,
    /// True if it has items or `repeat`: its tasks are called `name[seq]`.
    pub many: bool,
    /// The number of tasks, if it is known before any item is read.
    pub total: Option<u64>,
    /// True if its tasks are not counted, because it only serves other jobs: a service, or the lister of a
    /// job's items.
    pub background: bool,
}

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEvent {
    RunStarted {
        jobs: Vec<JobInfo>,
    },
    /// The number of tasks of a job became known (its items were read to the end).
    JobTotal {
        job: JobId,
        total: u64,
    },
    TaskStarted {
        task: TaskName,
        attempt: u32,
        /// The process ID of the (first) process; `None` if there is none yet, or none could be started.
        pid: Option<i32>,
        /// The item, cut short for people; empty for a job without items.
        item: Arc<str>,
        /// The command as a line that a shell can run; only filled under `--verbose`.
        command: Option<String>,
    },
    /// The running attempt became ready.
    Ready {
        task: TaskName,
        /// The time since its start.
        elapsed: Duration,
    },
    /// An attempt failed and another will follow.
    Retrying {
        task: TaskName,
        attempt: u32,
        outcome: Outcome,
        delay: Duration,
        /// True if the job is a daemon, whose attempt may also have ended well.
        restart: bool,
    },
    /// An attempt was stopped because memory is short. It does not count as an attempt, and another will
    /// follow.
    PutBack {
        task: TaskName,
    },
    TaskEnded {
        task: TaskName,
        outcome: Outcome,
        /// The duration of the last attempt.
        elapsed: Duration,
        /// Resources that the last attempt used; `None` if it had no process of its own.
        usage: Option<Usage>,
        /// Filled for failures only.
        detail: Option<Box<Detail>>,
    },
    /// Tasks that workers answered, all ok. There is no other event for them.
    TasksOk {
        job: JobId,
        count: u64,
    },
    /// Tasks that need not run, because they ended ok by the journal; they count as ok. There is no other
    /// event for them.
    TasksBefore {
        job: JobId,
        count: u64,
    },
    /// A worker started: a process that takes tasks one after another.
    WorkerStarted {
        job: JobId,
        slot: usize,
        pid: Option<i32>,
        /// As for [`RunEvent::TaskStarted`].
        command: Option<String>,
    },
    /// A task never started, because its item comes from a task that was not ok. There is no other event for
    /// it.
    TaskSkipped {
        task: TaskName,
        why: Arc<str>,
    },
    /// The size of the pool changed: how many tasks of all jobs may run at once; [`usize::MAX`]: any number.
    Pool(usize),
    /// The job failed without a failed task: none of its workers can be used.
    JobFailed {
        job: JobId,
        outcome: Outcome,
    },
    /// Every task of the job has ended.
    JobEnded {
        job: JobId,
        /// `Ok`, or the outcome of its first failure; `Cancelled` if it was stopped.
        outcome: Outcome,
        /// The number of tasks that it had.
        tasks: u64,
    },
    /// The job will not run: its `after` can no longer hold, or prun stopped.
    JobSkipped {
        job: JobId,
        why: String,
        /// True if the run fails by it, because a daemon that the job needs has gone without a failure.
        fails: bool,
    },
    /// Something that people should know and that is not the failure of a task.
    Warning(String),
    /// prun itself failed, such as output that could not be written; the run ends with status 125.
    Broken(String),
    /// prun was told to stop, or a halt condition came true. `kill` is true if there is no grace period any
    /// more.
    Stopping {
        why: String,
        kill: bool,
    },
    /// Tasks, workers or hooks did not end within their grace period, and are killed. `who` names them.
    Killed {
        who: String,
        /// The signal that they were told to stop by.
        signal: i32,
        grace: Duration,
    },
    /// Every job has ended. Only hooks of the run may follow.
    RunEnded(Summary),
    /// A hook of the run started.
    LastStarted {
        /// The name of the hook: `run.on_exit`.
        name: Arc<str>,
        pid: Option<i32>,
        /// As for [`RunEvent::TaskStarted`].
        command: Option<String>,
    },
    /// A hook of the run failed. The text says which, and how.
    LastFailed(String),
}

/// Facts that explain a failure.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Detail {
    /// The command, its words quoted as for a shell.
    pub command: String,
    /// The command line that runs just this task again; `None` if it is too long to be of use.
    pub rerun: Option<String>,
    /// The names of the variables that [`Detail::rerun`] leaves out.
    pub rerun_without: Vec<String>,
    pub attempts: u32,
    /// The cause of death if it is known: a resource limit of the task, or of the machine.
    pub hint: Option<String>,
    /// The duration of the last attempt.
    pub elapsed: Duration,
    /// Resources that the last attempt used; `None` if it had no process of its own.
    pub usage: Option<Usage>,
    /// For pipelines: the name of each stage and how it ended, first to last.
    pub stages: Vec<(String, Option<Exit>)>,
    /// The last lines that the task wrote to stderr. They are of unknown origin: escape them before showing
    /// them.
    pub stderr_tail: Vec<u8>,
}

/// Counts at the end of the run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    pub ok: u64,
    pub failed: u64,
    pub cancelled: u64,
    pub skipped: u64,
    pub elapsed: Duration,
    /// The signal that stopped the run.
    pub signal: Option<i32>,
}

/// Receives the events of a run and returns text for stderr. `ui` implements it; `run` calls it and owns the
/// descriptor, so that a slow terminal never blocks the loop.
pub trait Listener {
    /// Takes an event and appends text for stderr to `out`, whole lines only.
    fn tell(&mut self, now: Time, event: &RunEvent, out: &mut Vec<u8>);
    /// Returns when [`Listener::draw`] should be called next; `None` if nothing is to be drawn.
    fn due(&self) -> Option<Time>;
    /// Draws the bar over what it drew before. Called only while the cursor is at the start of a line.
    fn draw(&mut self, now: Time, out: &mut Vec<u8>);
    /// Erases the bar, because other bytes will be written to the terminal next.
    fn erase(&mut self, out: &mut Vec<u8>);
    /// Returns the whole report on the run, without colours, for hooks that read it after the end of the run.
    fn report(&self, summary: &Summary) -> String;
}
