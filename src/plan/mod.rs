//! What is to be done: a job file, or the arguments of `prun exec`, resolved into a [`Plan`]. Pure.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use crate::jobfile::When;
pub use crate::jobfile::values::{
    Halt, HaltLimit, HaltOn, Outcomes, OutputMode, RetryDelay, StartMode, StatusMode,
};

pub mod argv;
pub mod build;
mod context;
pub mod exec;
pub mod items;
mod place;
pub mod script;
pub mod status;
pub mod template;
pub mod words;

use template::{ScriptText, Template, Word};

/// No limit, for pools.
pub const UNLIMITED: usize = usize::MAX;

#[derive(Debug, Clone)]
pub struct Plan {
    /// In the order of the file. Jobs joined by `stdin = { pipe = … }` are one job with several stages here.
    pub jobs: Vec<Job>,
    /// Tasks at once, over all jobs.
    pub pool: usize,
    pub halt: Option<Halt>,
    pub status: StatusMode,
    /// What `{args}`-free reruns begin with: `prun FILE`; `None` for exec.
    pub rerun: Option<String>,
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
    pub timeout: Option<Duration>,
    pub retries: Retries,
    pub after: Vec<After>,
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
    pub job: usize,
    /// Index into that job's stages (its last one, unless `after` names a job in the middle of a pipe).
    pub stage: usize,
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

/// Where the items come from. What needs a file is read by `run`, when the job's `after` holds.
#[derive(Debug, Clone)]
pub enum Items {
    /// A job without items: one task.
    None,
    Repeat(u64),
    List(Arc<ItemList>),
    Seq(Seq),
    /// Records of a file, without their separator.
    Lines {
        from: Input,
        separator: u8,
        skip_empty: bool,
    },
    Glob {
        pattern: String,
        base: PathBuf,
    },
    Csv {
        from: Input,
        separator: u8,
        header: bool,
    },
    /// All combinations of the sources, the last one changing fastest (`::: a b ::: c d`).
    Product(Vec<Items>),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ItemList {
    pub items: Vec<Item>,
    /// Names of the columns; empty if they have none.
    pub names: Vec<String>,
}

/// `{ seq = [first, last] }` or `[first, step, last]`: decimal numbers, as seq(1) prints them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seq {
    /// All three as integers in units of 10^-scale.
    pub first: i128,
    pub step: i128,
    pub last: i128,
    /// Digits after the point.
    pub scale: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// prun's own stdin.
    Stdin,
    File(PathBuf),
}

/// The value or values that one task works on: one column, or a row of several.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Item {
    pub columns: Vec<Vec<u8>>,
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
    /// Set in addition to what prun was given.
    pub env: Vec<(String, Template)>,
    /// Absolute when rendered, or relative to `base`.
    pub cwd: Option<Template>,
    /// The folder that relative paths start from.
    pub base: PathBuf,
    pub start: StartMode,
    pub ok: Outcomes,
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
    /// The next stage, through a kernel pipe. On the stdout of every stage but the last.
    Pipe,
    /// stderr only: where stdout goes.
    Stdout,
}
