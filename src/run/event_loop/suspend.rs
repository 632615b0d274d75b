//! prun and its tasks are suspended and go on (Ctrl-Z, `fg`, `bg`); the terminal is left to a task that has it to
//! itself.
//!
//! All of prun's times count from `start`: that is moved by as long as prun was suspended, and so no clock has run.

use std::time::{Duration, Instant};

use crate::os;
use crate::plan::{Job, Plan, Stdin};
use crate::run::Run;

/// A terminal that takes no bytes (Ctrl-S) does not keep prun from being suspended, nor a task from its start.
const PATIENCE: Duration = Duration::from_millis(250);

/// A task that reads prun's terminal has to have it, or the terminal would stop it at its first read.
pub(in crate::run) fn check_terminal(plan: &Plan) -> Result<(), String> {
    let reads =
        |job: &&Job| !job.interactive && job.stages.iter().any(|stage| matches!(stage.stdin, Stdin::Inherit));
    match plan.jobs.iter().find(reads) {
        Some(job) if os::terminal::is_controlling(os::std_streams::stdin()) => Err(format!(
            "the job `{}` has `stdin = \"inherit\"`, and stdin is the terminal: give it `interactive = true`",
            job.name
        )),
        _ => Ok(()),
    }
}

impl Run {
    /// Suspends everything, and returns when it goes on. `all`: also what is beside prun in its process group, because
    /// only a task heard of it.
    pub(in crate::run) fn suspend(&mut self, all: bool) {
        let since = Instant::now();
        self.local.suspend();
        self.clear_terminal();
        let suspended = os::signals::suspend(all);
        self.start += since.elapsed();
        let (local, mut shared) = self.local();
        local.go_on(suspended, &mut shared);
    }

    /// What was written so far stands on the terminal, and the bar does not.
    fn clear_terminal(&mut self) {
        self.write_out();
        self.screen.erase(&mut self.sinks);
        self.sinks.hand_over(self.now, false, &mut self.outputs.spare);
        self.sinks.settle(PATIENCE);
    }

    /// A task that wants the terminal to itself is about to start: prun writes nothing to it from now on.
    pub(in crate::run) fn leave_terminal(&mut self) {
        self.clear_terminal();
        self.screen.leave(true);
        self.sinks.hold_terminal(true);
    }

    /// Once that task has ended, prun writes again. It never stops if the task writes through prun.
    pub(in crate::run) fn look_at_terminal(&mut self) {
        if !self.screen.is_left() {
            return;
        }
        if !self.local.lender.is_lent() {
            self.screen.leave(false);
            self.sinks.hold_terminal(false);
        }
    }
}
