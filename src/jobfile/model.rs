//! What a job file says, value by value, each with its place. Pure.

use std::ops::Range;
use std::time::Duration;

use regex::bytes::Regex;

use super::mistakes::Mistakes;
use super::values::{
    Halt, JobserverStyle, Leftovers, Limit, Load, Outcomes, OutputMode, PoolSize, Rate, Restart, Resume,
    RetryDelay, StartMode, Timeout,
};

/// Bytes of the file.
pub type Span = Range<usize>;

/// A value, and where it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spanned<T> {
    pub value: T,
    pub span: Span,
}

/// A string of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    pub value: String,
    /// With its quotes.
    pub span: Span,
    /// Where its first byte stands; `None` if it is spelt with escapes.
    pub inner: Option<usize>,
}

impl Text {
    /// The place of some of its bytes, or of all of it where they can't be told apart.
    pub fn place(&self, range: Range<usize>) -> Span {
        match self.inner {
            Some(start) => start + range.start..start + range.end,
            None => self.span.clone(),
        }
    }
}

/// A job file.
#[derive(Debug, Clone)]
pub struct JobFile {
    pub run: RunSpec,
    /// In the order of the file.
    pub vars: Vec<(Spanned<String>, Text)>,
    /// Those that `[queues]` lists, in the order of the file. Jobs may name others, which have the defaults.
    pub queues: Vec<QueueSpec>,
    /// Those that `[locks]` lists, in the order of the file. Jobs may name others, which have one permit.
    pub locks: Vec<LockSpec>,
    /// In the order of the file.
    pub jobs: Vec<JobSpec>,
    /// `[defaults]`, as a job that says nothing itself: so the hooks of the run are started.
    pub bare: JobSpec,
    /// What was wrong with single values; they are left out here.
    pub mistakes: Mistakes,
}

/// `[run]`.
#[derive(Debug, Clone, Default)]
pub struct RunSpec {
    pub pool: Option<PoolSize>,
    /// `Some(None)` is "never".
    pub halt: Option<Option<Halt>>,
    pub output: Option<OutputMode>,
    pub keep_order: Option<bool>,
    pub tag: Option<TagSpec>,
    pub grace: Option<Duration>,
    pub rate: Option<Rate>,
    pub load: Option<Load>,
    /// Bytes.
    pub memory_free: Option<usize>,
    pub jobserver: Option<JobserverStyle>,
    pub journal: Option<Text>,
    pub resume: Option<Spanned<Resume>>,
    pub on_success: RunHookSpec,
    pub on_failure: RunHookSpec,
    pub on_exit: RunHookSpec,
}

/// A command at the end of the run; `Some(None)` is "none", which undoes what is said elsewhere.
pub type RunHookSpec = Option<Option<CommandSpec>>;

/// A regular expression that compiles.
#[derive(Debug, Clone)]
pub struct Pattern {
    pub text: Text,
    pub regex: Regex,
}

/// `[queues.NAME]`.
#[derive(Debug, Clone)]
pub struct QueueSpec {
    pub name: Spanned<String>,
    /// Records.
    pub capacity: Option<usize>,
    pub records: RecordsSpec,
    /// `deliver = "all"`.
    pub to_all: bool,
}

/// One line of `[locks]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockSpec {
    pub name: Spanned<String>,
    /// At least 1.
    pub permits: usize,
    /// Where they are counted, or listed.
    pub span: Span,
    /// What the permits are called, if they have names.
    pub values: Vec<String>,
}

/// The variable in which a task finds what the permits that it holds are called.
pub fn lock_variable(lock: &str) -> String {
    format!("PRUN_LOCK_{}", lock.to_uppercase().replace('-', "_"))
}

/// So many permits of a lock, for each task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockRequestSpec {
    pub lock: Spanned<String>,
    /// At least 1.
    pub permits: usize,
    /// Where they are counted; the name, where one is meant.
    pub span: Span,
}

/// What a queue holds.
#[derive(Debug, Clone)]
pub enum RecordsSpec {
    /// Each ends with these bytes, which are not a part of it: lines, NUL, or any other; never empty.
    Ends(Vec<u8>),
    /// Each begins where this matches.
    Starts(Pattern),
    /// So many bytes each.
    Bytes(usize),
    /// Whole lines, about so many bytes together.
    Block(usize),
}

/// `worker`.
#[derive(Debug, Clone)]
pub struct WorkerSpec {
    /// Where it stands.
    pub span: Span,
    pub reply: ReplySpec,
    /// An answer that it matches is a failure.
    pub fail: Option<Pattern>,
    pub ahead: usize,
    pub max_tasks: Option<u64>,
    pub init: Option<Text>,
}

/// What an answer is.
#[derive(Debug, Clone)]
pub enum ReplySpec {
    Line,
    Nul,
    /// Lines up to one that matches, which is dropped.
    Until(Pattern),
}

/// One step of `dialogue`.
#[derive(Debug, Clone)]
pub struct StepSpec {
    pub expect: Pattern,
    pub send: Text,
}

/// `tag`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagSpec {
    Off,
    /// The job's name and the item.
    On,
    Template(Text),
}

/// `[jobs.NAME]`, with what it takes from `[defaults]`.
#[derive(Debug, Clone, Default)]
pub struct JobSpec {
    pub name: Spanned<String>,
    /// The comment above it, without the signs.
    pub comment: String,
    /// The keys that the job itself has, in the order of [`keys::JOB`](super::keys::JOB), and where.
    pub given: Vec<(&'static str, Span)>,
    /// Some of it is wrong, and left out: what seems to be missing may not be.
    pub broken: bool,
    /// `None` only if it is broken.
    pub what: Option<BodySpec>,
    pub shell: Option<Vec<Text>>,
    pub each: Option<EachSpec>,
    pub repeat: Option<u64>,
    pub batch: Option<Spanned<BatchSpec>>,
    pub pool: Option<PoolSize>,
    /// Of the run's pool, for each task.
    pub slots: Option<usize>,
    /// Each lock once.
    pub locks: Vec<LockRequestSpec>,
    pub after: Vec<AfterSpec>,
    pub worker: Option<WorkerSpec>,
    pub daemon: bool,
    pub ready: Option<ReadySpec>,
    pub restart: Restart,
    /// Its terminal is its own.
    pub pty: bool,
    pub on_success: Option<CommandSpec>,
    pub on_failure: Option<CommandSpec>,
    pub on_exit: Option<CommandSpec>,
    pub stdin: Spanned<StdinSpec>,
    pub stdout: OutputSpec,
    pub stderr: OutputSpec,
    pub start: StartMode,
    pub leftovers: Leftovers,
    /// prun's terminal is its own while it runs.
    pub interactive: bool,
    pub env: Vec<(String, Text)>,
    pub setup: AttributesSpec,
    pub cwd: Option<Text>,
    pub timeout: Option<Timeout>,
    pub rate: Option<Rate>,
    pub stop_signal: Option<i32>,
    pub grace: Option<Duration>,
    pub ok: Option<Outcomes>,
    pub retries: Option<u32>,
    /// `None`: what is usual for what it is.
    pub retry_delay: Option<RetryDelay>,
    pub retry_on: Option<Outcomes>,
    pub halt: Option<Option<Halt>>,
    pub output: Option<OutputMode>,
    pub keep_order: Option<bool>,
    pub tag: Option<TagSpec>,
}

impl JobSpec {
    /// Where the job itself says `key`; `None` if it doesn't.
    pub fn given(&self, key: &str) -> Option<Span> {
        self.given.iter().find(|(name, _)| *name == key).map(|(_, span)| span.clone())
    }
}

/// `ready`.
#[derive(Debug, Clone)]
pub struct ReadySpec {
    pub sign: ReadyCheckSpec,
    /// Of what the sign is.
    pub span: Span,
    pub timeout: Option<Duration>,
    pub every: Option<Duration>,
}

/// What shows that a task is up.
#[derive(Debug, Clone)]
pub enum ReadyCheckSpec {
    Line(Pattern),
    /// A number, or with placeholders.
    Port(Text),
    Command(CommandSpec),
    After(Duration),
}

/// What its processes start with that is not as prun has it.
#[derive(Debug, Clone, Default)]
pub struct AttributesSpec {
    /// In the limit's own unit: bytes, seconds, or how many.
    pub limits: Vec<(Limit, u64)>,
    /// Added to prun's own.
    pub nice: i32,
    pub umask: Option<u32>,
    pub clear_env: bool,
    pub env_files: Vec<Text>,
}

/// How many items make one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchSpec {
    /// At least 1.
    UpTo(usize),
    /// As many as the system's argument limit takes.
    Fit,
}

/// What runs.
#[derive(Debug, Clone)]
pub enum BodySpec {
    Command(CommandSpec),
    Pipeline(Vec<StageSpec>),
}

/// One command, wherever one is written.
#[derive(Debug, Clone)]
pub enum CommandSpec {
    /// To be split into words.
    Line(Text),
    /// Never empty.
    Words(Vec<Text>),
    /// For the job's `shell`.
    Script(Text),
}

/// One element of `pipeline`.
#[derive(Debug, Clone)]
pub struct StageSpec {
    pub command: CommandSpec,
    pub ok: Option<Outcomes>,
    pub stderr: Option<OutputSpec>,
}

/// `each`.
#[derive(Debug, Clone)]
pub enum EachSpec {
    /// Rows; most have one column.
    Rows {
        rows: Vec<Vec<String>>,
        names: Vec<String>,
        /// Where each name stands.
        places: Vec<Span>,
    },
    /// As they are spelt.
    Seq {
        first: Spanned<String>,
        step: Option<Spanned<String>>,
        last: Spanned<String>,
        span: Span,
    },
    /// With `separator` a line is a row.
    Lines {
        file: Text,
        nul: bool,
        separator: Option<u8>,
    },
    Glob(Text),
    Csv {
        file: Text,
        separator: u8,
        header: bool,
    },
    /// A task for each record of the queue; with `separator` a record is a row.
    Queue {
        name: Text,
        separator: Option<u8>,
    },
    /// What this command writes, as with `Lines`.
    Command {
        command: CommandSpec,
        nul: bool,
        separator: Option<u8>,
    },
    /// The items of that job whose tasks were ok.
    Job(Text),
    /// Rows of several sources, each of which is a column. `in_step`: the first of each, the second of each; else all
    /// combinations, the last source changing fastest.
    Join {
        in_step: bool,
        names: Vec<String>,
        /// Where each name stands.
        places: Vec<Span>,
        sources: Vec<Spanned<EachSpec>>,
    },
}

/// One condition of `after`.
#[derive(Debug, Clone)]
pub struct AfterSpec {
    pub job: Spanned<String>,
    /// `None`: a plain name, which means success, of a daemon that it is ready.
    pub when: Option<When>,
}

/// What the other job must come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Success,
    Failure,
    Exit,
    /// It is up; it may go on.
    Ready,
}

/// `stdin`.
#[derive(Debug, Clone, Default)]
pub enum StdinSpec {
    #[default]
    Null,
    Open,
    Inherit,
    Item,
    Text(Text),
    File(Text),
    /// The name of a job.
    Pipe(Text),
    /// Records of this queue. `ahead`: the next only when all before were read.
    Queue {
        name: Text,
        ahead: bool,
    },
    /// Never empty. `timeout`: for each step.
    Dialogue {
        steps: Vec<StepSpec>,
        timeout: Option<Duration>,
    },
}

/// `stdout` and `stderr`.
#[derive(Debug, Clone, Default)]
pub enum OutputSpec {
    #[default]
    Show,
    Inherit,
    Null,
    /// stderr only: where stdout goes.
    Stdout,
    File {
        path: Text,
        append: bool,
        show: bool,
    },
    Queue {
        name: Text,
        show: bool,
    },
}
