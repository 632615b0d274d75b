//! Commands that begin when something has ended: a task, or the run. Pure.

use std::time::Duration;

use super::place::{Names, TextError};
use super::template::Word;
use super::{
    Batch, Items, Job, Leftovers, Outcomes, Output, OutputMode, Restart, Retries, RetryDelay, Stage, Stdin,
    UNLIMITED, words,
};

/// SIGTERM has this number on every Linux.
const TERM: i32 = 15;

/// How a task or a run ended, for what begins then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AtEnd {
    Success,
    Failure,
    /// After the other, however it ended.
    Exit,
}

impl AtEnd {
    pub const ALL: [AtEnd; 3] = [AtEnd::Success, AtEnd::Failure, AtEnd::Exit];

    /// Its key in a job file.
    pub fn key(self) -> &'static str {
        match self {
            AtEnd::Success => "on_success",
            AtEnd::Failure => "on_failure",
            AtEnd::Exit => "on_exit",
        }
    }

    /// Of the run: what it is called. No job of a file can have such a name.
    pub fn name_in_run(self) -> String {
        format!("run.{}", self.key())
    }
}

/// A command that runs after the last attempt of a task, with the task's output on its stdin.
#[derive(Debug, Clone)]
pub struct Hook {
    /// Its stdin is not used; its output goes where it says.
    pub stage: Stage,
}

impl Job {
    pub fn hook(&self, at: AtEnd) -> Option<&Hook> {
        match at {
            AtEnd::Success => self.on_success.as_deref(),
            AtEnd::Failure => self.on_failure.as_deref(),
            AtEnd::Exit => self.on_exit.as_deref(),
        }
    }

    /// Whether what its tasks write, or answer, is kept until they have ended.
    pub fn has_hooks(&self) -> bool {
        AtEnd::ALL.into_iter().any(|at| self.hook(at).is_some())
    }
}

/// A command for the end of the run that was typed, or stands in a variable of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookFlag {
    /// What it was given to: `--on-exit=`.
    pub to: &'static str,
    pub text: String,
}

/// For each [`AtEnd`], in their order.
pub type HookFlags = [Option<HookFlag>; 3];

impl HookFlag {
    /// `none` undoes what a file says.
    pub fn is_none(&self) -> bool {
        self.text == "none"
    }

    /// Its words, split as those of a command in a job file. A mistake names the flag.
    pub fn words(&self, names: &Names) -> Result<Vec<Word>, TextError> {
        let made = words::line(&self.text, names).and_then(|words| match words.is_empty() {
            true => Err(TextError { range: 0..0, message: "it names no program".into(), help: None }),
            false => Ok(words),
        });
        made.map_err(|error| TextError {
            message: format!("`{}{}`: {}", self.to, self.text, error.message),
            // In a flag there are no keys.
            help: error.help.map(|help| help.replace("`script = \"…\"`", "`sh -c '…'`")),
            ..error
        })
    }
}

/// The job that is a hook of the run.
pub fn of_run(at: AtEnd, stage: Stage, output: Option<OutputMode>, grace: Duration) -> Job {
    Job {
        name: stage.name.as_str().into(),
        stages: vec![Stage {
            stdin: Stdin::Report,
            stdout: Output::Show,
            stderr: Output::Show,
            ok: Outcomes::success(),
            pty: false,
            ..stage
        }],
        items: Items::None,
        batch: Batch::One,
        pool: UNLIMITED,
        output: output.filter(|output| *output == OutputMode::Raw).unwrap_or(OutputMode::Line),
        keep_order: false,
        tag: None,
        halt: None,
        grace,
        stop_signal: TERM,
        timeout: None,
        rate: None,
        retries: Retries { count: 0, delay: RetryDelay::default(), on: None },
        after: Vec::new(),
        slotless: true,
        daemon: false,
        serves: false,
        ready: None,
        restart: Restart::Never,
        slots: 1,
        locks: Vec::new(),
        worker: None,
        duplex: false,
        leftovers: Leftovers::default(),
        interactive: false,
        on_success: None,
        on_failure: None,
        on_exit: None,
        at_end: Some(at),
        lister: None,
    }
}
