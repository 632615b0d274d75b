//! `each = { command = … }`: a job of its own lists the items, into a queue that only the job with the items reads.
//!
//! The lister is right before that job in the plan, and is called `NAME.each`, which no job of a file can be. It takes
//! no slot: slots are for the tasks whose items it lists.

use super::context::Context;
use super::pipes::Chain;
use super::stage;
use crate::jobfile::{CommandSpec, EachSpec, JobFile, Mistakes};
use crate::plan::template::Template;
use crate::plan::{Job, JobId, Kind, OutputMode, Queue, QueueId, Records, Retries, Unit};

/// Items that are listed ahead of the tasks.
const ITEMS_AHEAD: usize = 1000;

/// Returns the command that lists the items of the chain, and true if they end with NUL.
fn command<'a>(file: &'a JobFile, chain: &Chain) -> Option<(&'a CommandSpec, bool)> {
    match &file.jobs[chain.last()].each {
        Some(EachSpec::Command { command, nul, .. }) => Some((command, *nul)),
        _ => None,
    }
}

/// Returns the id in the plan of each selected chain. The id before it is that of its lister, if it has one.
pub(super) fn job_ids(file: &JobFile, chains: &[Chain], selected: &[bool]) -> Vec<JobId> {
    let mut next = 0;
    let id = |(chain, selected): (&Chain, &bool)| {
        let id = next + usize::from(*selected && command(file, chain).is_some());
        next = id + usize::from(*selected);
        JobId(id)
    };
    chains.iter().zip(selected).map(id).collect()
}

/// Appends a queue for each lister in the plan. Returns the queue of each job of the file.
pub(super) fn queues(
    file: &JobFile,
    chains: &[Chain],
    selected: &[bool],
    job_ids: &[JobId],
    queues: &mut Vec<Queue>,
) -> Vec<Option<QueueId>> {
    let mut lists = vec![None; file.jobs.len()];
    for ((chain, _), id) in chains.iter().zip(selected).zip(job_ids).filter(|((_, selected), _)| **selected) {
        let Some((_, nul)) = command(file, chain) else { continue };
        lists[chain.last()] = Some(QueueId(queues.len()));
        let end = if nul { 0 } else { b'\n' };
        queues.push(Queue {
            capacity: ITEMS_AHEAD,
            records: Records::new(Unit::Ends(vec![end])),
            ..Queue::new(&name(file, chain), vec![JobId(id.0 - 1)], vec![*id])
        });
    }
    lists
}

fn name(file: &JobFile, chain: &Chain) -> String {
    format!("{}.each", file.jobs[chain.last()].name.value)
}

/// Plans the job that lists the items of `job`, which is the job of the chain; all but `after`.
pub(super) fn plan(context: &Context, chain: &Chain, job: &Job, mistakes: &mut Mistakes) -> Option<Box<Job>> {
    let Context { file, .. } = context;
    let (command, _) = command(file, chain)?;
    let name = name(file, chain);
    let queue = context.list_queues[chain.last()].unwrap_or(QueueId(0));
    let stage = stage::lister(context, &file.jobs[chain.last()], name.clone(), command, queue, mistakes);
    let daemon = match job.kind {
        Kind::Daemon(daemon) => Some(daemon),
        _ => None,
    };
    Some(Box::new(Job {
        kind: Kind::Lister(daemon),
        output: file.run.output.unwrap_or(OutputMode::Line),
        tag: job.tag.is_some().then(|| Template::literal(format!("{name}\t").as_bytes())),
        grace: job.grace,
        stop_signal: job.stop_signal,
        stop: job.stop,
        // Items that were listed can't be taken back, so there is no further attempt.
        retries: Retries { count: 0, ..job.retries.clone() },
        leftovers: job.leftovers,
        ..Job::new(&name, vec![stage])
    }))
}
