//! What happened, for people and programs. Pure.
//!
//! [`RunEvent`] is the display vocabulary (the scheduler's own is `sched::Event`). Everything prun tells comes
//! from this one stream: the bar, the plain log and the report.

use std::sync::Arc;
use std::time::Duration;

mod ids;

pub use ids::{JobId, LockId, Place, PlaceMap, QueueId, StageId};

/// Time since the run began, on a monotonic clock that stands still while prun is suspended.
pub type Time = Duration;

/// How a process ended, as the kernel told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Code(u8),
    Signal(i32),
}

/// What an attempt's processes used, and with them all descendants that they waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Of the processors, in user mode and in the system.
    pub user: Duration,
    pub system: Duration,
    /// The most memory that was resident at once in one of them, in bytes.
    pub memory: u64,
}

impl Usage {
    /// What several used that ran side by side, or one after another.
    pub fn and(self, other: Usage) -> Usage {
        Usage {
            user: self.user + other.user,
            system: self.system + other.system,
            memory: self.memory.max(other.memory),
        }
    }

    /// Of the processors.
    pub fn time(self) -> Duration {
        self.user + self.system
    }
}

/// How a task ended (DESIGN.md, section 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    /// It exited with a code that is not `ok`.
    Failed(u8),
    /// A signal that prun did not send ended it.
    Killed(i32),
    /// It ran longer than its `timeout`.
    Timeout,
    /// It failed without an exit code that says so: a dialogue, a hook, a worker's answer. What happened.
    Fault(Arc<str>),
    /// It could not be executed.
    NotStarted(Arc<StartFailure>),
    /// prun stopped it.
    Cancelled,
    /// It never started because of another outcome.
    Skipped,
}

impl Outcome {
    /// Failed on its own account; what prun cancelled or skipped did not.
    pub fn is_failure(&self) -> bool {
        !matches!(self, Outcome::Ok | Outcome::Cancelled | Outcome::Skipped)
    }
}

/// What a task is, as far as that can be told from what it does: a hash. Equal tasks have equal keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub u128);

/// A task, as the journal knows it over several runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Known {
    pub key: Key,
    /// Which of the equal ones, in the order of the items, from 1.
    pub nth: u32,
}

/// Why a command could not be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartFailure {
    /// 127: not found; 126: found but not executable, or anything else (as env(1) and timeout(1) do).
    pub code: u8,
    /// What happened, to what, why: "`/no/such`: no such file or directory".
    pub why: String,
}

/// What there was no more of when something was to be started. That passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// That the user, or the cgroup, may have at once.
    Processes,
    /// Descriptors that prun may have open.
    Files,
    /// Files that the whole system may have open.
    SystemFiles,
    Terminals,
    Memory,
}

/// One task, as events name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskName {
    /// Index into the jobs of [`RunEvent::RunStarted`].
    pub job: JobId,
    /// Number within the job, from 1.
    pub seq: u64,
}

/// One job, as it is known when the run begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobInfo {
    pub name: Arc<str>,
    /// Has items or `repeat`: its tasks are called `name[seq]`.
    pub many: bool,
    /// Number of tasks, when that is known before any item is read.
    pub total: Option<u64>,
    /// It is there for others and its tasks are not counted: a service, or what lists the items of a job.
    pub background: bool,
}

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
        /// The pid of the (first) process.
        pid: i32,
        /// The item as people may see it, cut short; empty for a job without items.
        item: Arc<str>,
        /// What was started, as a line that a shell can run; only filled under `--verbose`.
        command: Option<String>,
    },
    /// The attempt that runs counts as up.
    Ready {
        task: TaskName,
        /// Since its start.
        elapsed: Duration,
    },
    /// An attempt failed and another will follow.
    Retrying {
        task: TaskName,
        attempt: u32,
        outcome: Outcome,
        delay: Duration,
        /// It is a daemon, which may also have ended well.
        restart: bool,
    },
    /// An attempt was stopped because memory is short; it counts for nothing, and another will follow.
    PutBack {
        task: TaskName,
    },
    TaskEnded {
        task: TaskName,
        outcome: Outcome,
        /// Of the last attempt.
        elapsed: Duration,
        /// Of the last attempt; absent of what had no process of its own.
        usage: Option<Usage>,
        /// Filled for failures only.
        detail: Option<Box<Detail>>,
    },
    /// Tasks that workers answered, all ok; of these nothing else is told.
    TasksOk {
        job: JobId,
        count: u64,
    },
    /// Tasks that need not run, because the journal knows them; they count as ok. Of these nothing else is told.
    TasksBefore {
        job: JobId,
        count: u64,
    },
    /// A process that takes tasks one after another.
    WorkerStarted {
        job: JobId,
        slot: usize,
        pid: i32,
        /// As for [`RunEvent::TaskStarted`].
        command: Option<String>,
    },
    /// A task never started, because its item comes from one that was not ok. Nothing else is told of it.
    TaskSkipped {
        task: TaskName,
        why: Arc<str>,
    },
    /// So many tasks may run at once from now on, over all jobs; [`usize::MAX`]: any number.
    Pool(usize),
    /// The job has failed without a task to show: none of its workers can be used.
    JobFailed {
        job: JobId,
        outcome: Outcome,
    },
    /// Every task of the job has ended.
    JobEnded {
        job: JobId,
        /// `Ok`, or the outcome of its first failure; `Cancelled` if it was stopped.
        outcome: Outcome,
        /// How many tasks it had.
        tasks: u64,
    },
    /// The job will not run: its `after` can no longer hold, or prun stopped.
    JobSkipped {
        job: JobId,
        why: String,
    },
    /// Something that people should know and that is no failure of a task.
    Warning(String),
    /// prun itself failed, such as output that could not be written; the run ends with status 125.
    Broken(String),
    /// prun was told to stop, or a halt condition came true. `kill`: without grace from now on.
    Stopping {
        why: String,
        kill: bool,
    },
    /// Every job has ended. Only hooks of the run may follow.
    RunEnded(Summary),
    /// A hook of the run began.
    LastStarted {
        /// `run.on_exit`
        name: Arc<str>,
        pid: i32,
        /// As for [`RunEvent::TaskStarted`].
        command: Option<String>,
    },
    /// A hook of the run failed: which, and how.
    LastFailed(String),
}

/// What people need to understand a failure.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Detail {
    /// The command, its words quoted as for a shell.
    pub command: String,
    /// How to run just this task again; `None` if that is too long to be of use.
    pub rerun: Option<String>,
    pub attempts: u32,
    /// What it died of, as far as that can be told: a limit of its own, or of the machine.
    pub hint: Option<String>,
    /// Of the last attempt.
    pub elapsed: Duration,
    /// Likewise; absent of what had no process of its own.
    pub usage: Option<Usage>,
    /// For pipelines: each stage's name and how it ended, first to last.
    pub stages: Vec<(String, Option<Exit>)>,
    /// The last lines that it wrote to stderr, as bytes of unknown origin: escape before showing.
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

/// Listens to the run and says what to write to stderr. `ui` implements it; `run` calls it and owns the
/// descriptor, so that a slow terminal never blocks the loop.
pub trait Listener {
    /// Something happened. Text for stderr is appended to `out`, whole lines only.
    fn tell(&mut self, now: Time, event: &RunEvent, out: &mut Vec<u8>);
    /// When [`Listener::draw`] should next be called; `None` if nothing is to be drawn.
    fn due(&self) -> Option<Time>;
    /// Draws the bars (over what it drew before). Only called while the cursor is at the start of a line.
    fn draw(&mut self, now: Time, out: &mut Vec<u8>);
    /// Takes the bars off the terminal, because other bytes will be written there next.
    fn erase(&mut self, out: &mut Vec<u8>);
    /// How the run went, as text without colours and with all that there is to say, for whoever reads it after the
    /// end of the run.
    fn report(&self, summary: &Summary) -> String;
}
