//! A stage of a job: one command of a pipeline, its standard streams, environment and process attributes. Pure.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use regex::bytes::Regex;

use super::script::ScriptText;
use super::template::{Template, Word};
use super::{Limit, Outcomes, QueueId, StartMode};

/// One command of a pipeline. It has a field for each key of a job file that holds for one process.
#[derive(Debug, Clone)]
pub struct Stage {
    /// The name that messages use: the job's name, with `:N` for the stages of `pipeline`.
    pub name: String,
    pub command: Command,
    pub stdin: Stdin,
    pub stdout: Output,
    pub stderr: Output,
    /// A file into which each attempt writes its task's number.
    pub seq_file: Option<Template>,
    /// Variables that are set in addition to prun's own.
    pub env: Vec<(String, Template)>,
    /// The working directory: absolute when rendered, or relative to `base`.
    pub cwd: Option<Template>,
    /// The directory from which relative paths start.
    pub base: PathBuf,
    pub start: StartMode,
    pub attributes: Attributes,
    pub ok: Outcomes,
    /// True if the process has a terminal of its own: for stdout, for stdin unless that comes from somewhere, for
    /// stderr unless that goes elsewhere.
    pub pty: bool,
}

impl Stage {
    /// Returns a stage with the defaults of a job file: an empty stdin, output that is shown, and exit code 0 as `ok`.
    pub fn new(name: impl Into<String>, command: Command, base: PathBuf) -> Stage {
        Stage {
            name: name.into(),
            command,
            stdin: Stdin::Null,
            stdout: Output::Show,
            stderr: Output::Show,
            seq_file: None,
            env: Vec::new(),
            cwd: None,
            base,
            start: StartMode::default(),
            attributes: Attributes::default(),
            ok: Outcomes::success(),
            pty: false,
        }
    }
}

/// Process attributes that differ from prun's own.
#[derive(Debug, Clone, Default)]
pub struct Attributes {
    /// Resource limits, in the limit's own unit: bytes, seconds, or a count.
    pub limits: Vec<(Limit, u64)>,
    /// Added to prun's own nice value.
    pub nice: i32,
    pub umask: Option<u32>,
    /// True if the process gets none of prun's own variables.
    pub clear_env: bool,
    /// Files of variables, read when the job first starts something. Later ones beat earlier ones, and `env` beats
    /// them all. Absolute, or relative to the stage's `base`.
    pub env_files: Vec<PathBuf>,
}

/// The command of a stage, with placeholders.
#[derive(Debug, Clone)]
pub enum Command {
    /// A program and its arguments.
    Words {
        words: Vec<Word>,
        /// True if the item (each of its columns) is added at the end, unless a word turns out to have a placeholder of
        /// it when a header has named the columns.
        append_item: bool,
    },
    /// A text for a shell.
    Script {
        /// The shell and its flags: `["/bin/sh", "-c"]`.
        shell: Vec<String>,
        text: ScriptText,
        /// True for a POSIX shell, which gets the job's name as `$0`; others get the items only.
        posix: bool,
        /// True if the items follow as parameters. False if the text is the item itself.
        parameters: bool,
    },
}

impl Command {
    /// Returns the templates of the command: each word, or the text of a script.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        let (words, text) = match self {
            Command::Words { words, .. } => (words.as_slice(), None),
            Command::Script { text, .. } => (&[][..], Some(&text.0)),
        };
        words.iter().map(|word| &word.0).chain(text)
    }

    /// Returns [`Command::templates`], to be changed.
    pub(super) fn templates_mut(&mut self) -> impl Iterator<Item = &mut Template> {
        let (words, text) = match self {
            Command::Words { words, .. } => (words.as_mut_slice(), None),
            Command::Script { text, .. } => (&mut [][..], Some(&mut text.0)),
        };
        words.iter_mut().map(|word| &mut word.0).chain(text)
    }
}

/// Where a stage's stdin comes from.
#[derive(Debug, Clone)]
pub enum Stdin {
    /// At its end from the start.
    Null,
    /// Never data, and never an end.
    Open,
    /// prun's own stdin.
    Inherit,
    /// The item and a newline; the columns of a row are joined by tabs.
    Item,
    Text(Template),
    File(Template),
    /// The stage before, through a kernel pipe. Never on a first stage (unless the job is duplex), always on the others.
    Pipe,
    /// The records of a queue, as a stream.
    Queue {
        queue: QueueId,
        /// True if a record is given only when all before it were read.
        ahead: bool,
    },
    Dialogue(Arc<Dialogue>),
    /// The report of the run, when it has ended.
    Report,
}

/// `dialogue`: the input of a child that speaks first.
#[derive(Debug, Clone)]
pub struct Dialogue {
    /// Never empty.
    pub steps: Vec<Step>,
    /// The time for each step.
    pub timeout: Duration,
}

/// One step of a dialogue.
#[derive(Debug, Clone)]
pub struct Step {
    /// Searched for in the child's output since the last match.
    pub expect: Regex,
    /// Written to the child after the match.
    pub send: Template,
}

/// Where a stage's stdout or stderr goes.
#[derive(Debug, Clone)]
pub enum Output {
    /// To prun's output, as the job's `output` says.
    Show,
    /// To prun's own stdout or stderr.
    Inherit,
    Null,
    File {
        path: Template,
        append: bool,
        show: bool,
        /// True if the path has a placeholder, so that each attempt opens its own file. Else it is opened once for the
        /// job.
        per_task: bool,
    },
    /// Into a queue, as records.
    Queue {
        queue: QueueId,
        show: bool,
    },
    /// Into a column of the task's row in [`Logs::table`](super::Logs::table).
    Table,
    /// To the next stage, through a kernel pipe. On the stdout of every stage but the last (of a duplex job, of all).
    Pipe,
    /// For stderr only: the same as stdout.
    Stdout,
}
