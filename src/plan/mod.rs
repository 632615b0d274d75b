//! What is to be done: a job file, or the arguments of `prun exec`, resolved into a [`Plan`]. Pure.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use regex::bytes::Regex;

pub use crate::event::{JobId, LockId, QueueId, StageId};
pub use crate::jobfile::When;
pub use crate::jobfile::values::{
    Halt, HaltLimit, HaltOn, JobserverStyle, Leftovers, Limit, Outcomes, OutputMode, PoolSize, Rate, Restart,
    Resume, RetryDelay, StartMode, StatusMode, Timeout, parse_pool,
};

pub mod argv;
pub mod build;
mod context;
pub mod exec;
pub mod hooks;
pub mod identity;
pub mod items;
mod locks;
mod logs;
mod place;
pub mod script;
mod sources;
pub mod status;
pub mod template;
pub mod words;

pub use hooks::{AtEnd, Hook};
pub use locks::{Lock, Want, first_held, lock_variable, room_for_held};
pub use logs::{Form, Joblog, Journal, Logs, Table};
pub use sources::{Between, Cut, Header, Input, Item, ItemList, Items, Join, Reading, Seq};
use template::{ScriptText, Template, Word};

/// No limit, for pools.
pub const UNLIMITED: usize = usize::MAX;

#[derive(Debug, Clone)]
pub struct Plan {
    /// In the order of the file. Jobs joined by `stdin = { pipe = … }` are one job with several stages here.
    pub jobs: Vec<Job>,
    pub queues: Vec<Queue>,
    /// Those that jobs take.
    pub locks: Vec<Lock>,
    /// Tasks at once, over all jobs.
    pub pool: usize,
    pub brakes: Brakes,
    /// Whether the slots are shared with what speaks make's jobserver protocol.
    pub jobserver: Jobserver,
    pub halt: Option<Halt>,
    pub status: StatusMode,
    pub logs: Logs,
    /// What `{args}`-free reruns begin with: `prun FILE`; `None` for exec.
    pub rerun: Option<String>,
}

impl Plan {
    /// Returns the ids of all jobs, in the order of [`Plan::jobs`].
    pub fn job_ids(&self) -> impl DoubleEndedIterator<Item = JobId> + ExactSizeIterator + Clone + use<> {
        JobId::all(self.jobs.len())
    }

    /// Returns all jobs with their ids, in the order of [`Plan::jobs`].
    pub fn numbered_jobs(&self) -> impl Iterator<Item = (JobId, &Job)> + Clone {
        self.job_ids().zip(&self.jobs)
    }
}

/// Whose slots they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Jobserver {
    /// prun's alone.
    #[default]
    None,
    /// They are shared with make or another, which started prun: each but the first is asked for.
    Client,
    /// They are shared with what tasks start.
    Server {
        /// Found by the path of a FIFO, else by descriptors.
        fifo: bool,
    },
}

impl Jobserver {
    /// `offered`: prun was given one. Then it needs none of its own.
    pub fn new(style: JobserverStyle, offered: bool) -> Jobserver {
        match style {
            _ if offered => Jobserver::Client,
            JobserverStyle::Off => Jobserver::None,
            JobserverStyle::Pipe => Jobserver::Server { fifo: false },
            JobserverStyle::Fifo => Jobserver::Server { fifo: true },
        }
    }
}

/// What holds starts back, beside the pool.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Brakes {
    /// The pool's size was read from this file (absolute), and is read again when it changes.
    pub pool_file: Option<PathBuf>,
    /// Starts of the whole run; every attempt counts.
    pub rate: Option<Rate>,
    /// Nothing new starts unless the load average is below this.
    pub load: Option<f64>,
    /// Nothing new starts while fewer bytes are free; below half of it the youngest task is stopped and put back.
    pub memory_free: Option<u64>,
}

/// What the scheduler sees as one job: one pipeline, run for each item.
#[derive(Debug, Clone)]
pub struct Job {
    /// The name of its last stage's job.
    pub name: Arc<str>,
    /// First to last, joined by kernel pipes; most jobs have one.
    pub stages: Vec<Stage>,
    pub items: Items,
    pub batch: Batch,
    /// Tasks of this job at once, within the run's pool.
    pub pool: usize,
    pub output: OutputMode,
    pub keep_order: bool,
    /// What each line is prefixed with (the tab is part of it).
    pub tag: Option<Template>,
    pub halt: Option<Halt>,
    pub grace: Duration,
    pub stop_signal: i32,
    pub timeout: Option<Timeout>,
    /// Starts of this job, within the run's rate.
    pub rate: Option<Rate>,
    pub retries: Retries,
    /// Jobs that queues join have the same conditions: they start together, or not at all.
    pub after: Vec<After>,
    /// Its tasks take no slot of the run's pool: it is a daemon, or reads a queue.
    pub slotless: bool,
    /// Does not keep the run alive. One that reads a pipe or a queue is stopped when that has run dry and `grace` is
    /// over, the others when all other jobs have ended; from then on nothing is a failure.
    pub daemon: bool,
    /// A daemon that reads no pipe and no queue: it serves others, and is stopped when all other jobs have ended.
    pub serves: bool,
    /// When it counts as up; `None`: as soon as it runs.
    pub ready: Option<Ready>,
    pub restart: Restart,
    /// Slots of the run's pool that one task takes; at least 1, and never more than there are.
    pub slots: usize,
    /// Taken all or none before a task starts, and given back when it ends. Each lock once.
    pub locks: Vec<Want>,
    /// Its tasks are run by processes that live on. It has one stage, whose `stdin` is what each task is given.
    pub worker: Option<Worker>,
    /// The first stage reads what the last one writes.
    pub duplex: bool,
    /// What becomes of processes that an attempt leaves when it ends by itself.
    pub leftovers: Leftovers,
    /// It has the terminal to itself while it runs, if prun has one.
    pub interactive: bool,
    pub on_success: Option<Box<Hook>>,
    pub on_failure: Option<Box<Hook>>,
    /// After the other, whatever the outcome.
    pub on_exit: Option<Box<Hook>>,
    /// It begins when all others have ended, if they ended so: a hook of the run.
    pub at_end: Option<AtEnd>,
    /// The job (index into [`Plan::jobs`]) whose output are its items, and with which it fails: `each.command`.
    pub lister: Option<JobId>,
}

impl Job {
    /// Returns the stage that ends the pipeline, and stands for it where only one is asked for.
    pub fn last_stage(&self) -> StageId {
        StageId(self.stages.len() - 1)
    }

    /// Tasks write into files.
    pub fn has_files(&self) -> bool {
        let mut outputs = self.stages.iter().flat_map(|stage| [&stage.stdout, &stage.stderr]);
        outputs.any(|output| matches!(output, Output::File { .. }))
    }
}

/// When a task counts as up.
#[derive(Debug, Clone)]
pub struct Ready {
    pub sign: Sign,
    /// From the start of an attempt; then it is stopped.
    pub timeout: Duration,
    /// From one look to the next.
    pub every: Duration,
}

/// What shows that a task is up.
#[derive(Debug, Clone)]
pub enum Sign {
    /// A line of its stdout or stderr that this matches.
    Line(Regex),
    /// A connection to this port of localhost.
    Port(Template),
    /// A command that ends ok. Its output goes nowhere.
    Command(Box<Stage>),
    /// It has run so long.
    After(Duration),
}

/// Processes that live on and take tasks one after another.
#[derive(Debug, Clone)]
pub struct Worker {
    pub reply: Reply,
    /// An answer that it matches is a failure, and final.
    pub fail: Option<Regex>,
    /// Tasks given to one process before its answers come; at least 1.
    pub ahead: usize,
    /// Answers after which a process is replaced.
    pub max_tasks: Option<u64>,
    /// What each new process gets first; empty: nothing.
    pub init: Vec<u8>,
}

impl Worker {
    /// Where items are given as lines, what comes before them is lines, too.
    pub(crate) fn end_init_line(&mut self) {
        if self.init.last().is_some_and(|last| *last != b'\n') {
            self.init.push(b'\n');
        }
    }
}

/// What an answer is.
#[derive(Debug, Clone)]
pub enum Reply {
    Line,
    Nul,
    /// Lines up to one that matches, which is dropped.
    Until(Regex),
}

/// A bounded buffer of records between jobs.
#[derive(Debug, Clone)]
pub struct Queue {
    pub name: Arc<str>,
    /// Records held.
    pub capacity: usize,
    /// The capacity is what counts: the pipes of writers and readers are one page small.
    pub exact: bool,
    pub records: Records,
    /// Each record goes to every reading job, not to one reader.
    pub to_all: bool,
    /// What is read into it beside what jobs write: `prun exec --pipe`.
    pub input: Option<Input>,
    /// Jobs that write to it; empty only with an `input`.
    pub writers: Vec<JobId>,
    /// Jobs that read it, as a stream or as their items; never empty.
    pub readers: Vec<JobId>,
}

/// Where records begin and end.
#[derive(Debug, Clone)]
pub struct Records {
    pub unit: Unit,
    /// So many units belong together (`-L`); at least 1.
    pub per_record: usize,
    /// Several records are handed on as one.
    pub block: Option<Block>,
}

#[derive(Debug, Clone)]
pub enum Unit {
    /// It ends with these bytes. They are no part of an item, and are put after each record of a stream; a
    /// block keeps them as they are.
    Ends(Vec<u8>),
    /// It begins where this matches; nothing is taken away or added.
    Starts(Regex),
    /// It ends with the first, where the second follows; nothing is taken away or added.
    Between { end: Vec<u8>, start: Vec<u8> },
    /// So many bytes.
    Bytes(usize),
}

/// Whole records, all their bytes: as many as are there when one of the limits is reached, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    pub bytes: usize,
    pub records: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Retries {
    /// Further attempts.
    pub count: u32,
    pub delay: RetryDelay,
    /// `None`: any failure but `not started`.
    pub on: Option<Outcomes>,
}

/// One condition of `after`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct After {
    /// Index into [`Plan::jobs`].
    pub job: JobId,
    /// Index into that job's stages (its last one, unless `after` names a job in the middle of a pipe).
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

/// One command of a pipeline.
#[derive(Debug, Clone)]
pub struct Stage {
    /// What people call it: the job's name, with `:N` for the stages of `pipeline`.
    pub name: String,
    pub what: What,
    pub stdin: Stdin,
    pub stdout: Output,
    pub stderr: Output,
    /// A file that each attempt writes its task's number to.
    pub seq_file: Option<Template>,
    /// Set in addition to what prun was given.
    pub env: Vec<(String, Template)>,
    /// Absolute when rendered, or relative to `base`.
    pub cwd: Option<Template>,
    /// The folder that relative paths start from.
    pub base: PathBuf,
    pub start: StartMode,
    pub setup: Setup,
    pub ok: Outcomes,
    /// It has a terminal of its own: for stdout, for stdin unless that comes from somewhere, for stderr unless
    /// that goes elsewhere.
    pub pty: bool,
}

/// What its processes start with that is not as prun has it.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// In the limit's own unit: bytes, seconds, or how many.
    pub limits: Vec<(Limit, u64)>,
    /// Added to prun's own.
    pub nice: i32,
    pub umask: Option<u32>,
    /// It gets none of the variables that prun was given.
    pub clear_env: bool,
    /// Read when the job first starts something, later ones above earlier ones, and `env` above them all. Absolute, or
    /// relative to the stage's `base`.
    pub env_files: Vec<PathBuf>,
}

#[derive(Debug, Clone)]
pub enum What {
    Command {
        words: Vec<Word>,
        /// The item (each of its columns) is added at the end.
        append_item: bool,
    },
    Script {
        /// The shell and its flags: `["/bin/sh", "-c"]`.
        shell: Vec<String>,
        text: ScriptText,
        /// A POSIX shell gets the job's name as `$0`; others get the items only.
        posix: bool,
    },
}

#[derive(Debug, Clone)]
pub enum Stdin {
    Null,
    /// Never data, never an end.
    Open,
    Inherit,
    /// The item and a newline; a row's columns joined by tabs.
    Item,
    Text(Template),
    File(Template),
    /// The stage before, through a kernel pipe. Never on a first stage, always on the others.
    Pipe,
    /// Records, streamed. `ahead`: the next only when all before were read.
    Queue {
        queue: QueueId,
        ahead: bool,
    },
    Dialogue(Arc<Dialogue>),
    /// How the run went, when it has ended.
    Report,
}

/// What is said to a child that speaks first.
#[derive(Debug, Clone)]
pub struct Dialogue {
    /// Never empty.
    pub steps: Vec<Step>,
    /// For each step.
    pub timeout: Duration,
}

#[derive(Debug, Clone)]
pub struct Step {
    /// Looked for in what the child wrote since the last match.
    pub expect: Regex,
    pub send: Template,
}

/// Where a stage's stdout or stderr goes.
#[derive(Debug, Clone)]
pub enum Output {
    Show,
    Inherit,
    Null,
    /// `per_task`: the path has a placeholder; each attempt opens its own. Else opened once for the job.
    File {
        path: Template,
        append: bool,
        show: bool,
        per_task: bool,
    },
    /// Records for a queue.
    Queue {
        queue: QueueId,
        show: bool,
    },
    /// A column of the task's row in [`Logs::table`].
    Table,
    /// The next stage, through a kernel pipe. On the stdout of every stage but the last.
    Pipe,
    /// stderr only: where stdout goes.
    Stdout,
}
