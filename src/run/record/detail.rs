//! The details of a failure, for the report.

use crate::event::{Detail, Time};
use crate::plan::selection::operand;
use crate::plan::{Batch, Input, Items, Plan, Resume};
use crate::run::attempt::EndedAttempt;
use crate::run::block::{Block, TaskBlock};
use crate::run::record::cause_of_death::{self, OutOfMemory};
use crate::run::task::Work;
use crate::run::words::command;
use crate::run::words::refusal::refusal;
use crate::run::words::shell_line::{Values, left_out, line};

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
    let of_file = rerun_of_file(plan, work);
    let rerun_without = if of_file.is_some() { Vec::new() } else { left_out(job) };
    // A task that can't be started has no line: a shell would read it in another way.
    // A long item would be a longer line than is offered.
    let length: usize = work.items.iter().flat_map(|item| &item.columns).map(Vec::len).sum();
    let has_line = || length <= LONGEST_RERUN && refusal(job, work, slot).is_none();
    let rerun = of_file.or_else(|| has_line().then(|| line(job, work, slot, Values::Hidden)));
    // Bytes in memory, and those of stdin, are gone; and a task that reads a queue has read more than this block.
    let again = match &work.block {
        Some(TaskBlock::Whole(Block::Range { source, .. })) => {
            source.path.is_some() && matches!(job.items, Items::Queue { .. })
        }
        Some(TaskBlock::Whole(Block::Bytes(..)) | TaskBlock::Begun(_)) => false,
        None => true,
    };
    Detail {
        rerun: rerun.filter(|rerun| again && rerun.len() <= LONGEST_RERUN),
        rerun_without,
        command: command(job, work, slot),
        attempts,
        hint: ended.and_then(|ended| cause_of_death::explain(job, ended, memory)),
        elapsed: ended.map_or(Time::ZERO, |ended| now.saturating_sub(ended.started)),
        usage: ended.and_then(EndedAttempt::usage),
        stages,
        stderr_tail: ended.map(|ended| ended.stderr_tail.clone()).unwrap_or_default(),
    }
}

/// Returns the command line that runs the task of a job file again; `None` if no command line names it.
fn rerun_of_file(plan: &Plan, work: &Work) -> Option<String> {
    let (rerun, job) = (plan.rerun.as_ref()?, &plan.jobs[work.job]);
    let mut origin = job;
    while let Items::Of(before) = origin.items {
        origin = &plan.jobs[before];
    }
    // Batches are filled with what is left to do, so that they are others than in a run of all.
    let resumes = plan.logs.journal.as_ref().is_some_and(|journal| journal.resume != Resume::No);
    let is_known = match &origin.items {
        Items::None => return (!job.is_lister()).then(|| rerun.line(&job.name)),
        // Records of a queue come in any order.
        Items::Queue { .. } => origin.lister.is_some(),
        // stdin is gone.
        items => !reads_stdin(items),
    };
    let is_other_batch = resumes && origin.batch != Batch::One;
    (is_known && !is_other_batch).then(|| rerun.line(&operand(&job.name, &work.seq.to_string())))
}

fn reads_stdin(items: &Items) -> bool {
    match items {
        Items::Read(reading) => reading.from == Input::Stdin,
        Items::Join { sources, .. } => sources.iter().any(reads_stdin),
        _ => false,
    }
}
