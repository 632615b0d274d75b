//! Commands as text: for people, and for a shell.
//!
//! The room owns no state. In come a job, the work of a task, and its slot; out goes text. [`command`] returns what
//! messages and logs show: the arguments of all stages. [`shell_line::line`] returns a line with which any POSIX shell
//! does what the task would have done: with its working directory, its environment, limits, umask and nice value, its
//! input, and the files that its output goes to. A dry run prints such lines, and the report of a failure offers one to
//! run the task again.
//!
//! Values of the environment are nobody's business: they appear only where they were asked for
//! ([`Values::Shown`](shell_line::Values::Shown), a dry run), and never in messages, logs or reports.

use super::task::Work;
use crate::plan::Job;

pub mod refusal;
pub mod shell_line;
mod wrapped;

/// Returns the task's command as people may see it: without its environment.
pub fn command(job: &Job, work: &Work, slot: usize) -> String {
    let scope = work.scope(slot);
    let stages: Vec<_> =
        job.stages.iter().map(|stage| stage.command.for_message(&job.name, &scope)).collect();
    stages.join(" | ")
}
