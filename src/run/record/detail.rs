//! The details of a failure, for the report.

use crate::event::{Detail, Time};
use crate::plan::{Items, Plan};
use crate::run::attempt::EndedAttempt;
use crate::run::block::Block;
use crate::run::record::cause_of_death::{self, OutOfMemory};
use crate::run::task::Work;
use crate::run::words::command;
use crate::run::words::shell_line::{Values, line};

/// Bytes of the line that runs a task again; nobody copies a longer one from a terminal.
const LONGEST_RERUN: usize = 2000;

/// Returns what people need to understand a failure. `ended` is missing when the task never ran again after it was told
/// to wait.
pub fn of(
    plan: &Plan,
    work: &Work,
    ended: Option<&EndedAttempt>,
    memory: &OutOfMemory,
    attempts: u32,
    now: Time,
) -> Detail {
    let job = &plan.jobs[work.job];
    let stages = match ended {
        Some(ended) if job.stages.len() > 1 => {
            let exits = ended.processes.iter().map(|process| process.exit).chain(std::iter::repeat(None));
            job.stages.iter().map(|stage| stage.name.clone()).zip(exits).collect()
        }
        _ => Vec::new(),
    };
    let slot = ended.map_or(0, |ended| ended.slot);
    let rerun = match (&plan.rerun, &job.items) {
        (Some(prun), Items::None) if !plan.jobs[work.job].is_lister() => format!("{prun} {}", job.name),
        _ => line(job, work, slot, Values::Hidden),
    };
    // What was read is gone, or was not all that the task read.
    let again = match &work.block {
        Some(Block::Part { of, .. }) => of.path.is_some() && matches!(job.items, Items::Queue { .. }),
        Some(Block::Bytes(..)) => false,
        None => true,
    };
    Detail {
        rerun: (again && rerun.len() <= LONGEST_RERUN).then_some(rerun),
        command: command(job, work, slot),
        attempts,
        hint: ended.and_then(|ended| cause_of_death::of(job, ended, memory)),
        elapsed: ended.map_or(Time::ZERO, |ended| now.saturating_sub(ended.started)),
        usage: ended.and_then(EndedAttempt::usage),
        stages,
        stderr_tail: ended.map(|ended| ended.stderr_tail.clone()).unwrap_or_default(),
    }
}
