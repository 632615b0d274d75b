//! The details of a failure, for the report.

use crate::event::{Detail, Time};
use crate::plan::{Items, Plan};
use crate::run::attempt::EndedAttempt;
use crate::run::block::Block;
use crate::run::record::cause_of_death::{self, OutOfMemory};
use crate::run::task::Work;
use crate::run::words::command;
use crate::run::words::shell_line::{Values, line};

/// The longest line, in bytes, that is offered to run a task again: nobody copies a longer one from a terminal.
const LONGEST_RERUN: usize = 2000;

/// Returns the details that people need to understand a failure. `ended` is `None` if the task waited for another
/// attempt, which never came.
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
    // Bytes in memory, and those of stdin, are gone; and a task that reads a queue has read more than this block.
    let again = match &work.block {
        Some(Block::Range { source, .. }) => {
            source.path.is_some() && matches!(job.items, Items::Queue { .. })
        }
        Some(Block::Bytes(..)) => false,
        None => true,
    };
    Detail {
        rerun: (again && work.refusal().is_none() && rerun.len() <= LONGEST_RERUN).then_some(rerun),
        command: command(job, work, slot),
        attempts,
        hint: ended.and_then(|ended| cause_of_death::explain(job, ended, memory)),
        elapsed: ended.map_or(Time::ZERO, |ended| now.saturating_sub(ended.started)),
        usage: ended.and_then(EndedAttempt::usage),
        stages,
        stderr_tail: ended.map(|ended| ended.stderr_tail.clone()).unwrap_or_default(),
    }
}
