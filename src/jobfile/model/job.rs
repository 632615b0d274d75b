//! `[jobs.NAME]` and the tables within it.

use std::time::Duration;

use super::{LockRequestSpec, Pattern, Span, Spanned, TagSpec, Text};
use crate::jobfile::values::{
    HaltSetting, Leftovers, Limit, Outcomes, OutputMode, PoolSize, Rate, Restart, RetryDelay, StartMode,
    StopScope, Timeout,
};

/// `[jobs.NAME]`, laid over `[defaults]`. It has a field for each key, because each key is read, checked and
/// planned by itself.
///
/// Its fields are the keys of `[jobs.NAME]`, in the order of the manual.
#[derive(Debug, Clone, Default)]
pub struct JobSpec {
    pub name: Spanned<String>,
    /// The comment above the job's header, without the `#` signs.
    pub comment: String,
    /// Keys that the job itself sets, in the order of [`keys::JOB`](crate::jobfile::keys::JOB), and their places.
    pub own_keys: Vec<(&'static str, Span)>,
    /// True if a value of the job was wrong and is left out: a key that seems to be missing may not be.
    pub has_mistakes: bool,
    /// `None` only if the job has mistakes.
    pub body: Option<BodySpec>,
    pub shell: Option<Vec<Text>>,
    pub each: Option<EachSpec>,
    pub repeat: Option<u64>,
    pub batch: Option<Spanned<BatchSpec>>,
    pub pool: Option<PoolSize>,
    /// Slots of the run's pool that each task takes.
    pub slots: Option<usize>,
    /// Each lock at most once.
    pub locks: Vec<LockRequestSpec>,
    pub after: Vec<AfterSpec>,
    pub worker: Option<WorkerSpec>,
    pub daemon: bool,
    pub ready: Option<ReadySpec>,
    pub restart: Restart,
    pub pty: bool,
    pub on_success: Option<CommandSpec>,
    pub on_failure: Option<CommandSpec>,
    pub on_exit: Option<CommandSpec>,
    pub stdin: Spanned<StdinSpec>,
    pub stdout: OutputSpec,
    pub stderr: OutputSpec,
    pub start: StartMode,
    pub leftovers: Leftovers,
    pub interactive: bool,
    pub env: Vec<(String, Text)>,
    pub attributes: AttributesSpec,
    pub cwd: Option<Text>,
    pub timeout: Option<Timeout>,
    pub rate: Option<Rate>,
    pub stop_signal: Option<i32>,
    pub stop: Option<StopScope>,
    pub grace: Option<Duration>,
    pub ok: Option<Outcomes>,
    pub retries: Option<u32>,
    pub retry_delay: Option<RetryDelay>,
    pub retry_on: Option<Outcomes>,
    pub halt: Option<HaltSetting>,
    pub output: Option<OutputMode>,
    pub keep_order: Option<bool>,
    pub tag: Option<TagSpec>,
}

impl JobSpec {
    /// Returns the place of `key` if the job itself sets it, and not only `[defaults]`.
    pub fn own_key(&self, key: &str) -> Option<Span> {
        self.own_keys.iter().find(|(name, _)| *name == key).map(|(_, span)| span.clone())
    }
}

/// The command or the pipeline that a job runs.
#[derive(Debug, Clone)]
pub enum BodySpec {
    Command(CommandSpec),
    Pipeline(Vec<StageSpec>),
}

/// One command, wherever the file has one.
#[derive(Debug, Clone)]
pub enum CommandSpec {
    /// A string that is split into words.
    Line(Text),
    /// Never empty.
    Words(Vec<Text>),
    /// A text for the job's `shell`.
    Script(Text),
}

/// One element of `pipeline`.
#[derive(Debug, Clone)]
pub struct StageSpec {
    pub command: CommandSpec,
    pub ok: Option<Outcomes>,
    pub stderr: Option<OutputSpec>,
}

/// `batch`: how many items make one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchSpec {
    /// At least 1.
    UpTo(usize),
    /// As many as the system's argument limit takes.
    Fit,
}

/// `worker`.
#[derive(Debug, Clone)]
pub struct WorkerSpec {
    /// Place of the key.
    pub span: Span,
    pub reply: ReplySpec,
    /// An answer that matches is a failure.
    pub fail: Option<Pattern>,
    pub ahead: usize,
    pub max_tasks: Option<u64>,
    pub init: Option<Text>,
}

/// `reply`: where a worker's answer ends.
#[derive(Debug, Clone)]
pub enum ReplySpec {
    /// The answer is one line.
    Line,
    /// The answer ends with a NUL byte.
    Nul,
    /// The answer is all lines before one that matches, which is dropped.
    Until(Pattern),
}

/// `ready`.
#[derive(Debug, Clone)]
pub struct ReadySpec {
    pub check: ReadyCheckSpec,
    /// Place of the check's value.
    pub span: Span,
    pub timeout: Option<Duration>,
    pub every: Option<Duration>,
}

/// How prun finds out that a task is up.
#[derive(Debug, Clone)]
pub enum ReadyCheckSpec {
    /// A line of output matches.
    Line(Pattern),
    /// A port of localhost accepts a connection: its number, or a text with placeholders.
    Port(Text),
    /// A command exits with 0.
    Command(CommandSpec),
    /// The task has run for this long.
    After(Duration),
}

/// Process attributes that differ from prun's own.
#[derive(Debug, Clone, Default)]
pub struct AttributesSpec {
    /// Resource limits, in the limit's own unit: bytes, seconds, or a count.
    pub limits: Vec<(Limit, u64)>,
    /// Added to prun's own nice value.
    pub nice: i32,
    pub umask: Option<u32>,
    pub clear_env: bool,
    pub env_files: Vec<Text>,
}

/// One condition of `after`.
#[derive(Debug, Clone)]
pub struct AfterSpec {
    pub job: Spanned<String>,
    /// `None` for a plain name: success is meant, or, if the other job is a daemon, that it is ready.
    pub when: Option<When>,
}

/// State of another job for which a job waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Success,
    Failure,
    /// It has ended, whatever its outcome.
    Exit,
    /// It is up, and may go on.
    Ready,
}

/// `each`: where a job's items come from.
#[derive(Debug, Clone)]
pub enum EachSpec {
    /// Rows that stand in the file; most have one column.
    Rows {
        rows: Vec<Vec<String>>,
        names: Vec<String>,
        /// The place of each name.
        places: Vec<Span>,
    },
    /// Numbers as they are spelt.
    Seq {
        first: Spanned<String>,
        step: Option<Spanned<String>>,
        last: Spanned<String>,
        span: Span,
    },
    /// The lines of a file; with `separator` each line is a row.
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
    /// The records of a queue, a task for each; with `separator` each record is a row.
    Queue {
        name: Text,
        separator: Option<u8>,
    },
    /// The lines that a command writes, as with `Lines`.
    Command {
        command: CommandSpec,
        nul: bool,
        separator: Option<u8>,
    },
    /// The items of another job whose tasks ended ok.
    Job(Text),
    /// Rows of several sources, each of which is a column.
    Join {
        /// True for `zip` (the first value of each column, the second of each, …); false for `matrix` (all
        /// combinations, the last column changing fastest).
        in_step: bool,
        names: Vec<String>,
        /// The place of each name.
        places: Vec<Span>,
        sources: Vec<Spanned<EachSpec>>,
    },
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
    /// The output of the job of this name.
    Pipe(Text),
    /// The records of the queue of this name.
    Queue {
        name: Text,
        /// True for `ahead = 1`: a record is given only when all before it were read.
        ahead: bool,
    },
    Dialogue {
        /// Never empty.
        steps: Vec<StepSpec>,
        /// The time for each step.
        timeout: Option<Duration>,
    },
}

/// One step of `dialogue`.
#[derive(Debug, Clone)]
pub struct StepSpec {
    pub expect: Pattern,
    pub send: Text,
}

/// `stdout` or `stderr`.
#[derive(Debug, Clone, Default)]
pub enum OutputSpec {
    #[default]
    Show,
    Inherit,
    Null,
    /// For stderr only: the same as stdout.
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
