//! Commands as lines: for people, who may not see values of the environment, and for a shell, in which they do what the
//! task would have done.
//!
//! [`shell_line::line`] is the whole task with its directory, its input and where its output goes; [`command`] is what
//! messages and logs show.

use super::task::Work;
use crate::plan::Job;

pub mod shell_line;
mod wrapped;

/// Returns the task's command as people may see it: without its environment, whose values are nobody's business.
pub fn command(job: &Job, work: &Work, slot: usize) -> String {
    let scope = work.scope(slot);
    let stages: Vec<_> =
        job.stages.iter().map(|stage| stage.command.for_message(&job.name, &scope)).collect();
    stages.join(" | ")
}
