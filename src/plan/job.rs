//! A job of the plan: one pipeline, run for each item. Pure.

use std::sync::Arc;
use std::time::Duration;

use regex::bytes::Regex;

use super::hooks::{HookOn, Hooks};
use super::selection::Selection;
use super::template::Template;
use super::{
    Halt, Items, JobId, Leftovers, LockRequest, Outcomes, Output, OutputMode, Rate, Restart, RetryDelay,
    Stage, StageId, Stdin, StopScope, Timeout, UNLIMITED, When,
};

/// Time from the stop signal to SIGKILL, without `grace`.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// A job as the scheduler sees it: one pipeline, run for each item.
///
/// It has a field for each key of a job file that holds for the whole job. They are not grouped further, because
/// each is used by another part of the scheduler or of `run`, alone. [`Job::new`] gives each its default, so that a
/// new key is one edit here.
#[derive(Debug, Clone)]
pub struct Job {
    /// The name of its last stage's job.
    pub name: Arc<str>,
    pub kind: Kind,
    /// First to last, joined by kernel pipes; most jobs have one.
    pub stages: Vec<Stage>,
    /// True if the first stage reads what the last one writes.
    pub duplex: bool,
    pub items: Items,
    /// The job whose output are the items of this one (`each.command`); a failure of it is a failure of this job.
    pub lister: Option<JobId>,
    pub batch: Batch,
    /// The tasks that were named on the command line, if not all are to run.
    pub only: Option<Arc<Selection>>,

    /// Jobs that queues join have the same conditions: they start together, or not at all.
    pub after: Vec<After>,
    /// Tasks of this job at once, within the run's pool.
    pub pool: usize,
    /// Slots of the run's pool that one task takes; at least 1, and never more than there are.
    pub slots: usize,
    /// Taken all or none before a task starts, and given back when it ends. Each lock at most once.
    pub locks: Vec<LockRequest>,
    /// Starts of this job, within the run's rate.
    pub rate: Option<Rate>,

    /// Processes that take the job's tasks one after another, in place of a process for each. Such a job has one
    /// stage, whose `stdin` is what each task is given.
    pub worker: Option<Worker>,
    /// When a task counts as up; `None`: as soon as it runs.
    pub ready: Option<Ready>,
    /// True if the job has the terminal to itself while it runs, if prun has one.
    pub interactive: bool,

    pub timeout: Option<Timeout>,
    /// The signal that stops a task, whoever stops it. `None`: the one that prun got, otherwise SIGTERM.
    pub stop_signal: Option<i32>,
    pub stop: StopScope,
    pub grace: Duration,
    pub retries: Retries,
    pub restart: Restart,
    pub halt: Option<Halt>,
    pub leftovers: Leftovers,
    pub hooks: Hooks,

    pub output: OutputMode,
    pub keep_order: bool,
    /// The prefix of each line, with the tab that follows it.
    pub tag: Option<Template>,
}

impl Job {
    /// Returns a job with the defaults of a job file: one task, without conditions, limits, retries or hooks.
    pub fn new(name: &str, stages: Vec<Stage>) -> Job {
        Job {
            name: name.into(),
            kind: Kind::Task,
            stages,
            duplex: false,
            items: Items::None,
            lister: None,
            batch: Batch::One,
            only: None,
            after: Vec::new(),
            pool: UNLIMITED,
            slots: 1,
            locks: Vec::new(),
            rate: None,
            worker: None,
            ready: None,
            interactive: false,
            timeout: None,
            stop_signal: None,
            stop: StopScope::default(),
            grace: DEFAULT_GRACE,
            retries: Retries::default(),
            restart: Restart::Never,
            halt: None,
            leftovers: Leftovers::Leave,
            hooks: Hooks::default(),
            output: OutputMode::Line,
            keep_order: false,
            tag: None,
        }
    }

    /// True if the job's tasks take slots of the run's pool.
    pub fn takes_slots(&self) -> bool {
        self.kind == Kind::Task
    }

    /// True if the job does not keep the run alive. A failure after it was asked to stop is none.
    pub fn is_daemon(&self) -> bool {
        matches!(self.kind, Kind::Daemon(_) | Kind::Lister(Some(_)))
    }

    /// True if the job is a daemon that serves others: it is stopped when all other jobs have ended.
    pub fn is_service(&self) -> bool {
        matches!(self.kind, Kind::Daemon(Daemon::Service) | Kind::Lister(Some(Daemon::Service)))
    }

    /// True if the job is a daemon that reads a pipe or a queue: it is stopped when its input has ended.
    pub fn is_reading_daemon(&self) -> bool {
        self.is_daemon() && !self.is_service()
    }

    /// True if the job's output are the items of the next job.
    pub fn is_lister(&self) -> bool {
        matches!(self.kind, Kind::Lister(_))
    }

    /// Returns the outcome of the run on which the job begins, if it is a hook of the run.
    pub fn run_hook(&self) -> Option<HookOn> {
        match self.kind {
            Kind::RunHook(on) => Some(on),
            _ => None,
        }
    }

    /// Returns the stage that ends the pipeline, and stands for it where only one is asked for.
    pub fn last_stage(&self) -> StageId {
        StageId(self.stages.len() - 1)
    }

    /// True if the standard streams of the job's processes name files.
    pub fn names_files(&self) -> bool {
        let reads = |stage: &Stage| matches!(stage.stdin, Stdin::File(_)) || stage.seq_file.is_some();
        self.has_files() || self.stages.iter().any(reads)
    }

    /// True if tasks of the job write into files.
    pub fn has_files(&self) -> bool {
        let mut outputs = self.stages.iter().flat_map(|stage| [&stage.stdout, &stage.stderr]);
        outputs.any(|output| matches!(output, Output::File { .. }))
    }
}

/// The part that a job plays in the run: whether its tasks take slots of the run's pool, and what its end means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Its tasks take slots. The run ends when all such jobs have ended.
    Task,
    /// It reads a queue, and takes no slot, because its writers might wait for it in vain.
    Reader,
    /// It takes no slot, and does not keep the run alive.
    Daemon(Daemon),
    /// Its command lists the items of the next job (`each.command`). It takes no slot: slots are for what it lists.
    /// It is as much of a daemon as that job.
    Lister(Option<Daemon>),
    /// It begins when all other jobs have ended, if they ended so, and takes no slot.
    RunHook(HookOn),
}

/// The way in which a daemon ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Daemon {
    /// It reads no pipe and no queue: it serves others, and is stopped when all other jobs have ended. From then on
    /// nothing is a failure.
    Service,
    /// It reads a pipe or a queue, and is stopped when that has run dry and `grace` is over.
    Reader,
}

/// When a task counts as up.
#[derive(Debug, Clone)]
pub struct Ready {
    pub check: ReadyCheck,
    /// Time from the start of an attempt after which it is stopped, unless it is up.
    pub timeout: Duration,
    /// Time between two checks.
    pub every: Duration,
}

impl Ready {
    /// True if time alone shows that a task is up: then ending well shows it too.
    pub fn is_timed(&self) -> bool {
        matches!(self.check, ReadyCheck::After(_))
    }
}

/// How prun finds out that a task is up.
#[derive(Debug, Clone)]
pub enum ReadyCheck {
    /// A line of its stdout or stderr matches.
    Line(Regex),
    /// This port of localhost accepts a connection.
    Port(Template),
    /// A command ends ok. Its output is discarded.
    Command(Box<Stage>),
    /// The task has run for this long.
    After(Duration),
}

/// Processes that take tasks one after another.
#[derive(Debug, Clone)]
pub struct Worker {
    pub reply: Reply,
    /// An answer that matches is a failure, and final.
    pub fail: Option<Regex>,
    /// Tasks given to one process before its answers come; at least 1.
    pub ahead: usize,
    /// Answers after which a process is replaced.
    pub max_tasks: Option<u64>,
    /// The first input of each new process; may be empty.
    pub init: Vec<u8>,
}

impl Worker {
    /// Further attempts of a task whose worker died, without `retries`.
    pub const DEFAULT_RETRIES: u32 = 2;

    /// Ends `init` with a newline. Where items are given as lines, the input before them has to be lines as well.
    pub(crate) fn end_init_line(&mut self) {
        if self.init.last().is_some_and(|last| *last != b'\n') {
            self.init.push(b'\n');
        }
    }
}

/// Where a worker's answer ends.
#[derive(Debug, Clone)]
pub enum Reply {
    /// The answer is one line.
    Line,
    /// The answer ends with a NUL byte.
    Nul,
    /// The answer is all lines before one that matches, which is dropped.
    Until(Regex),
}

/// Further attempts after a failure.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Retries {
    /// The number of further attempts.
    pub count: u32,
    pub delay: RetryDelay,
    /// The failures that are tried again; `None`: all but `not started`.
    pub on: Option<Outcomes>,
}

/// One condition of `after`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct After {
    pub job: JobId,
    /// The stage of that job: its last one, unless `after` names a job in the middle of a pipe.
    pub stage: StageId,
    pub when: When,
}

/// How many items make one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch {
    One,
    UpTo(usize),
    /// As many as the system's argument limit takes.
    Fit,
}
