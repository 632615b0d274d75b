//! prun and its tasks are suspended and go on (Ctrl-Z, `fg`, `bg`).
//!
//! All of prun's times count from the start of the run. That start moves by as long as prun was suspended, so that no
//! timeout, delay or grace period runs meanwhile.

use std::time::Instant;

use super::EventLoop;
use crate::os;
use crate::plan::{Job, Plan, Stdin};

/// Refuses a plan in which a task without `interactive` would read prun's terminal: the terminal would stop it at its
/// first read.
///
/// # Errors
/// Names the job and the key that it needs.
pub fn check_terminal(plan: &Plan) -> Result<(), String> {
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

impl EventLoop {
    /// Suspends everything, and returns when it goes on. With `whole_group`, also suspends the other processes of prun's
    /// process group, because only a task got the signal.
    pub(super) fn suspend(&mut self, whole_group: bool) {
        let since = Instant::now();
        let (backend, mut cx) = self.backend();
        backend.suspend(&mut cx);
        self.output.clear_terminal(self.kernel.now);
        let suspended = os::signals::suspend(whole_group);
        self.kernel.skip(since.elapsed());
        let (backend, mut cx) = self.backend();
        backend.go_on(suspended, &mut cx);
    }
}
