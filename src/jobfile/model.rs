//! The job file as values, each with its place in the text. Pure.
//!
//! A type that `plan` has as well is called `…Spec` here: the text of a [`JobSpec`] becomes a `plan::Job`.

use std::ops::Range;
use std::time::Duration;

use regex::bytes::Regex;

use super::mistakes::Mistakes;
use super::values::{HaltSetting, JobserverStyle, Load, OutputMode, PoolSize, Rate, Resume};

mod job;

pub use job::*;

/// A range of bytes of the file.
pub type Span = Range<usize>;

/// A value and its place in the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spanned<T> {
    pub value: T,
    pub span: Span,
}

/// A string of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    pub value: String,
    /// The string with its quotes.
    pub span: Span,
    /// Place of the first byte of the value; `None` if the string is written with escapes, so that bytes of the
    /// value have no place of their own.
    pub inner: Option<usize>,
}

impl Text {
    /// Returns the place of these bytes of the value, or of the whole string if it is written with escapes.
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
    /// `[vars]`, in the order of the file.
    pub vars: Vec<(Spanned<String>, Text)>,
    /// The queues that `[queues]` lists, in the order of the file. Jobs may name others, which have the defaults.
    pub queues: Vec<QueueSpec>,
    /// The locks that `[locks]` lists, in the order of the file. Jobs may name others, which have one permit.
    pub locks: Vec<LockSpec>,
    /// In the order of the file.
    pub jobs: Vec<JobSpec>,
    /// `[defaults]` as a job without keys of its own. Hooks of the run are started with its settings.
    pub defaults: JobSpec,
    /// Wrong values. The fields above hold the file without them.
    pub mistakes: Mistakes,
}

/// `[run]`. `None`: the key is not set.
///
/// Its fields are the keys of `[run]`.
#[derive(Debug, Clone, Default)]
pub struct RunSpec {
    pub pool: Option<PoolSize>,
    pub halt: Option<HaltSetting>,
    pub output: Option<OutputMode>,
    pub keep_order: Option<bool>,
    pub tag: Option<TagSpec>,
    pub grace: Option<Duration>,
    pub rate: Option<Rate>,
    pub load: Option<Load>,
    /// In bytes.
    pub memory_free: Option<usize>,
    /// In bytes.
    pub max_record: Option<usize>,
    pub jobserver: Option<JobserverStyle>,
    pub journal: Option<Text>,
    pub resume: Option<Spanned<Resume>>,
    pub on_success: Option<RunHookSpec>,
    pub on_failure: Option<RunHookSpec>,
    pub on_exit: Option<RunHookSpec>,
}

/// `on_success`, `on_failure` or `on_exit` of `[run]`.
#[derive(Debug, Clone)]
pub enum RunHookSpec {
    /// `"none"`: no command, whatever the configuration file sets.
    None,
    Command(CommandSpec),
}

/// `tag`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagSpec {
    Off,
    /// The job's name and the item.
    On,
    Template(Text),
}

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
    /// In records.
    pub capacity: Option<usize>,
    pub records: RecordsSpec,
    /// True for `deliver = "all"`: each record goes to every reading job.
    pub to_all: bool,
}

/// `records`: how a queue cuts bytes into records.
#[derive(Debug, Clone)]
pub enum RecordsSpec {
    /// Each record ends with this separator (a newline, a NUL byte, or any other; never empty), which is not a
    /// part of it.
    Ends(Vec<u8>),
    /// Each record begins at a match.
    Starts(Pattern),
    /// Records of this many bytes.
    Bytes(usize),
    /// Records of whole lines, of about this many bytes together.
    Block(usize),
}

/// One line of `[locks]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockSpec {
    pub name: Spanned<String>,
    /// At least 1.
    pub permits: usize,
    /// Place of the number of permits, or of the array of their names.
    pub span: Span,
    /// Names of the permits; empty if they have none.
    pub values: Vec<String>,
}

/// Returns the environment variable that tells a task the names of the permits that it holds of `lock`.
pub fn lock_variable(lock: &str) -> String {
    format!("PRUN_LOCK_{}", lock.to_uppercase().replace('-', "_"))
}

/// The permits of one lock that each task of a job takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockRequestSpec {
    pub lock: Spanned<String>,
    /// At least 1.
    pub permits: usize,
    /// Place of the number of permits, or of the lock's name if no number is written.
    pub span: Span,
}
