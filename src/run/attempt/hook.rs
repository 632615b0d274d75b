//! A hook while it runs: a command after the last attempt of a task, in the place of the task, as its process. How the
//! task itself ended is kept here for the report.

use std::fs::File;

use crate::event::{Detail, Exit, Outcome, Time};
use crate::plan::HookOn;
use crate::run::task::Work;
use crate::sched::TaskId;

/// A task whose last attempt is over, and whose first hook follows.
pub struct FinishedTask {
    pub task: TaskId,
    pub work: Work,
    pub slot: usize,
    /// The number of attempts; 0 if no worker ever had the task.
    pub attempts: u32,
    /// The last process of the task, or that of its worker; `None` if there was none.
    pub pid: Option<i32>,
    /// How that process ended.
    pub exit: Option<Exit>,
    pub elapsed: Time,
    /// Details for the report, in case the task has failed, or its hook does.
    pub detail: Box<Detail>,
}

/// A hook that runs or waits for its input, and the task that it belongs to.
#[derive(Debug)]
pub struct HookRun {
    pub at: HookOn,
    /// The outcome of the task itself.
    pub outcome: Outcome,
    /// The number of attempts of the task.
    pub attempts: u32,
    /// When the task's last attempt began.
    pub started: Time,
    /// The details of the task itself.
    pub detail: Box<Detail>,
    /// Variables of the hook beside those of the task.
    pub facts: Vec<(&'static str, String)>,
    /// The lane of the hook's stdout; its stderr has the next.
    pub first_lane: usize,
    /// The input. It is read again if the start falls short, and by the hook that follows.
    pub input: Option<HookInput>,
}

/// The standard input of a hook: what its task wrote to stdout.
#[derive(Debug)]
pub enum HookInput {
    Bytes(Vec<u8>),
    File(File),
}

impl HookRun {
    /// Returns the first hook of a task.
    pub fn first(over: FinishedTask, at: HookOn, outcome: Outcome, first_lane: usize, now: Time) -> HookRun {
        let facts = facts(&over, &outcome);
        let started = now.saturating_sub(over.elapsed);
        let (attempts, detail) = (over.attempts, over.detail);
        HookRun { at, outcome, attempts, started, detail, facts, first_lane, input: None }
    }

    /// Returns the details of the failure for the report: the task's own, or its hook's.
    pub fn into_detail(self, stderr_of_hook: &[u8], attempts: u32) -> Box<Detail> {
        let mut detail = self.detail;
        detail.attempts = attempts;
        if self.outcome == Outcome::Ok {
            detail.stderr_tail = stderr_of_hook.to_vec();
        }
        detail
    }
}

/// Returns the `PRUN_…` variables of a hook. What does not apply is empty, so that `set -u` in a script is no trap.
fn facts(over: &FinishedTask, outcome: &Outcome) -> Vec<(&'static str, String)> {
    let (mut code, mut signal) = match over.exit {
        Some(Exit::Code(code)) => (code.to_string(), String::new()),
        Some(Exit::Signal(signal)) => (String::new(), signal.to_string()),
        None => (String::new(), String::new()),
    };
    let word = match outcome {
        Outcome::Ok => "ok",
        // The outcome of a pipeline is that of the stage that decided.
        Outcome::Failed(failed) => {
            (code, signal) = (failed.to_string(), String::new());
            "failed"
        }
        Outcome::Killed(killed) => {
            (code, signal) = (String::new(), killed.to_string());
            "killed"
        }
        Outcome::Timeout => "timeout",
        Outcome::Fault(_) => "failed",
        Outcome::NotStarted(_) => "not started",
        Outcome::Cancelled => "cancelled",
        Outcome::Skipped => "skipped",
    };
    vec![
        ("PRUN_OUTCOME", word.to_owned()),
        ("PRUN_EXIT", code),
        ("PRUN_SIGNAL", signal),
        ("PRUN_TASK_PID", over.pid.map(|pid| pid.to_string()).unwrap_or_default()),
        ("PRUN_DURATION", format!("{:.3}", over.elapsed.as_secs_f64())),
    ]
}
