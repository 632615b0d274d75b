//! Hooks: commands that begin when a task or the run has ended. Pure.

use std::time::Duration;

use super::template::{Names, TextError, Word};
use super::{Job, Kind, Outcomes, Output, OutputMode, Stage, Stdin, words};

/// The outcome of a task or of the run on which a hook begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookOn {
    Success,
    Failure,
    /// Any outcome; after the hook of success or failure.
    Exit,
}

impl HookOn {
    pub const ALL: [HookOn; 3] = [HookOn::Success, HookOn::Failure, HookOn::Exit];

    /// Returns the key in a job file.
    pub fn key(self) -> &'static str {
        match self {
            HookOn::Success => "on_success",
            HookOn::Failure => "on_failure",
            HookOn::Exit => "on_exit",
        }
    }

    /// Returns the name of the job that is this hook of the run. No job of a file can have such a name.
    pub fn name_in_run(self) -> String {
        format!("run.{}", self.key())
    }
}

/// A command that runs after the last attempt of a task, with the task's output on its stdin.
#[derive(Debug, Clone)]
pub struct Hook {
    /// The stage's own `stdin` is not used.
    pub stage: Stage,
}

/// The hooks of a job's tasks.
#[derive(Debug, Clone, Default)]
pub struct Hooks {
    pub on_success: Option<Box<Hook>>,
    pub on_failure: Option<Box<Hook>>,
    pub on_exit: Option<Box<Hook>>,
}

impl Job {
    /// Returns the hook that begins on such an outcome of a task.
    pub fn hook(&self, on: HookOn) -> Option<&Hook> {
        match on {
            HookOn::Success => self.hooks.on_success.as_deref(),
            HookOn::Failure => self.hooks.on_failure.as_deref(),
            HookOn::Exit => self.hooks.on_exit.as_deref(),
        }
    }

    /// True if the job has hooks, for which the output or answer of each task is kept until it has ended.
    pub fn has_hooks(&self) -> bool {
        HookOn::ALL.into_iter().any(|on| self.hook(on).is_some())
    }
}

/// A hook of the run that was typed, or that a variable of the environment holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookFlag {
    /// The option or variable, for messages: `--on-exit=`.
    pub flag: &'static str,
    pub text: String,
}

/// A hook for each [`HookOn`], in their order.
pub type HookFlags = [Option<HookFlag>; 3];

impl HookFlag {
    /// True for `none`, which removes the hook that a file sets.
    pub fn is_none(&self) -> bool {
        self.text == "none"
    }

    /// Splits the text into words, as a command of a job file.
    ///
    /// # Errors
    /// A mistake in the text. Its message names the flag.
    pub fn words(&self, names: &Names) -> Result<Vec<Word>, TextError> {
        let words = words::line(&self.text, names).and_then(|words| match words.is_empty() {
            true => Err(TextError { range: 0..0, message: "it names no program".into(), help: None }),
            false => Ok(words),
        });
        words.map_err(|error| TextError {
            message: format!("`{}{}`: {}", self.flag, self.text, error.message),
            // A flag has no keys.
            help: error.help.map(|help| help.replace("`script = \"…\"`", "`sh -c '…'`")),
            ..error
        })
    }
}

/// Makes the job that is a hook of the run.
pub fn job_of_run_hook(on: HookOn, stage: Stage, output: Option<OutputMode>, grace: Duration) -> Job {
    let stage = Stage {
        stdin: Stdin::Report,
        stdout: Output::Show,
        stderr: Output::Show,
        ok: Outcomes::success(),
        pty: false,
        ..stage
    };
    let name = stage.name.clone();
    Job {
        kind: Kind::RunHook(on),
        output: output.filter(|output| *output == OutputMode::Raw).unwrap_or(OutputMode::Line),
        grace,
        ..Job::new(&name, vec![stage])
    }
}
