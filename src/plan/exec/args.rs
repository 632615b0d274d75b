//! The arguments of `prun exec`. Pure.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::jobfile::CommandSpec;
use crate::jobfile::values::{
    Halt, Outcomes, OutputMode, RetryDelay, StartMode, StatusMode, StopScope, Timeout,
};
use crate::plan::hooks::HookFlag;
use crate::plan::{ColumnSeparator, Cut, Jobserver, Logs, Throttle, Worker};

/// The command line of `prun exec`, with its settings resolved.
///
/// Its fields are the options of `prun exec`, resolved.
#[derive(Debug, Clone)]
pub struct ExecArgs {
    /// COMMAND and its arguments, up to the first source.
    pub command: Vec<Vec<u8>>,
    /// True if COMMAND is a function that bash finds in its environment.
    pub function: bool,
    pub items: ItemArgs,
    pub max_args: Option<usize>,
    /// True for `-X`: as many items to one task as fit.
    pub fit: bool,
    /// `-I`
    pub replace: Option<Vec<u8>>,
    pub once: bool,
    /// True if the command has prun's terminal to itself.
    pub interactive: bool,
    pub repeat: Option<u64>,
    pub pipe: Option<PipeArgs>,
    pub worker: Option<Worker>,
    /// True for `-c`: COMMAND is a script.
    pub script: bool,
    /// The shell of scripts, and the flag that makes it take a text; `None`: /bin/sh.
    pub shell: Option<Vec<String>>,
    pub cwd: Option<Vec<u8>>,
    /// `NAME=VALUE`
    pub env: Vec<Vec<u8>>,
    /// Files, with placeholders.
    pub stdin: Option<Vec<u8>>,
    pub stdout: Option<Vec<u8>>,
    pub stderr: Option<Vec<u8>>,
    /// `--results`: a folder, a file with placeholders, or a table.
    pub results: Option<Vec<u8>>,
    pub start: StartMode,
    pub timeout: Option<Timeout>,
    /// `None`: 0, or for a worker [`Worker::DEFAULT_RETRIES`].
    pub retries: Option<u32>,
    pub retry_delay: Option<RetryDelay>,
    pub retry_on: Option<Outcomes>,
    pub ok: Option<Outcomes>,
    pub stop_signal: Option<i32>,
    pub stop: StopScope,
    /// Tasks at once.
    pub pool: usize,
    pub jobserver: Jobserver,
    pub throttle: Throttle,
    pub logs: Logs,
    pub halt: Option<Halt>,
    pub output: Option<OutputMode>,
    pub keep_order: bool,
    pub tag: Option<Tag>,
    pub grace: Option<Duration>,
    /// The most bytes of a record that goes to a standard input.
    pub max_record: Option<usize>,
    pub status: StatusMode,
    /// The hooks of the run, one for each [`HookOn`](crate::plan::HookOn), in their order.
    pub hooks: [Option<ExecHook>; 3],
    /// The directory in which prun was started, absolute.
    pub base: PathBuf,
}

/// The arguments that select the items.
#[derive(Debug, Clone)]
pub struct ItemArgs {
    /// `-a`; without these and `sources`, items come from stdin.
    pub files: Vec<PathBuf>,
    /// The sources after COMMAND.
    pub sources: Vec<Source>,
    /// True for `--link`: all sources in step, shorter ones again and again.
    pub link: bool,
    /// How files are cut into items. Of words only `Cut::Csv` means anything: each is a row.
    pub cut: Cut,
    pub columns: Option<ColumnSeparator>,
    /// True if the first item of each source names its columns.
    pub header: bool,
    pub skip_empty: bool,
}

/// The words after one `:::`, or one of the files after `::::`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub from: From,
    /// True if the source is in step with the one before: `:::+`, `::::+`.
    pub plus: bool,
}

/// The items of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    Words(Vec<Vec<u8>>),
    /// `-` is stdin.
    File(PathBuf),
}

/// The arguments that go with `--pipe`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PipeArgs {
    /// The size of a block, in bytes.
    pub block: Option<usize>,
    /// The number of lines that are a record: `-L`.
    pub lines: Option<usize>,
    pub record_start: Option<Vec<u8>>,
    pub record_end: Option<Vec<u8>>,
    /// True for `--round-robin`: all blocks go to a fixed number of tasks.
    pub round_robin: bool,
}

/// A hook of the run.
#[derive(Debug, Clone)]
pub enum ExecHook {
    Flag(HookFlag),
    /// A hook of the configuration file.
    Config(CommandSpec),
}

/// The prefix of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tag {
    /// The item; the task's number if there are no items.
    Item,
    Template(Vec<u8>),
}

/// A mistake in the arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecError {
    pub message: String,
    pub help: Option<String>,
}

impl fmt::Display for ExecError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.message)?;
        self.help.iter().try_for_each(|help| write!(f, "; {help}"))
    }
}

impl std::error::Error for ExecError {}

/// Returns an error with a help.
pub(super) fn error<T>(message: &str, help: &str) -> Result<T, ExecError> {
    Err(ExecError { message: message.to_owned(), help: Some(help.to_owned()) })
}

impl ExecArgs {
    /// True if tasks have items.
    pub(super) fn has_items(&self) -> bool {
        !self.once && self.repeat.is_none() && self.pipe.is_none()
    }

    /// Returns the mode without `--output`: for one task its lines, for many small ones the output of each.
    pub(super) fn default_output(&self) -> OutputMode {
        if self.once { OutputMode::Line } else { OutputMode::Group }
    }
}
