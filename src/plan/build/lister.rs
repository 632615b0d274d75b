//! `each = { command = … }`: a job of its own lists the items, into a queue that nobody else knows.
//!
//! It stands in the plan right before the job that takes the items, and is called `NAME.each`, as no job of a file
//! can be. It takes no slot: what it lists is what slots are wanted for.

use super::job::Context;
use super::pipes::Chain;
use super::stage;
use crate::jobfile::{CommandSpec, EachSpec, JobFile, Mistakes};
use crate::plan::template::{Piece, Template};
use crate::plan::{
    Batch, Items, Job, JobId, OutputMode, Queue, QueueId, Records, Restart, Retries, UNLIMITED, Unit,
};

/// Lines that are listed ahead of the tasks.
const AHEAD: usize = 1000;

/// The command that lists the items of the chain, and whether they end with NUL.
fn command<'a>(file: &'a JobFile, chain: &Chain) -> Option<(&'a CommandSpec, bool)> {
    match &file.jobs[chain.last()].each {
        Some(EachSpec::Command { command, nul, .. }) => Some((command, *nul)),
        _ => None,
    }
}

/// The number in the plan of each chain that is wanted. Where items are listed, there is a number for that before it.
pub(super) fn numbers(file: &JobFile, chains: &[Chain], wanted: &[bool]) -> Vec<JobId> {
    let mut next = 0;
    let number = |(chain, wanted): (&Chain, &bool)| {
        let number = next + usize::from(*wanted && command(file, chain).is_some());
        next = number + usize::from(*wanted);
        JobId(number)
    };
    chains.iter().zip(wanted).map(number).collect()
}

/// Appends a queue for each list that is wanted. Says which, by the number of the job of the file.
pub(super) fn queues(
    file: &JobFile,
    chains: &[Chain],
    wanted: &[bool],
    numbers: &[JobId],
    queues: &mut Vec<Queue>,
) -> Vec<Option<QueueId>> {
    let mut lists = vec![None; file.jobs.len()];
    for ((chain, _), number) in chains.iter().zip(wanted).zip(numbers).filter(|((_, wanted), _)| **wanted) {
        let Some((_, nul)) = command(file, chain) else { continue };
        lists[chain.last()] = Some(QueueId(queues.len()));
        let end = if nul { 0 } else { b'\n' };
        queues.push(Queue {
            name: name(file, chain).into(),
            capacity: AHEAD,
            exact: false,
            records: Records { unit: Unit::Ends(vec![end]), per_record: 1, block: None },
            to_all: false,
            input: None,
            writers: vec![JobId(number.0 - 1)],
            readers: vec![*number],
        });
    }
    lists
}

fn name(file: &JobFile, chain: &Chain) -> String {
    format!("{}.each", file.jobs[chain.last()].name.value)
}

/// The job that lists the items of `job`, which is what the chain comes to; all but `after`.
pub(super) fn plan(context: &Context, chain: &Chain, job: &Job, mistakes: &mut Mistakes) -> Option<Box<Job>> {
    let Context { file, .. } = context;
    let (command, _) = command(file, chain)?;
    let name = name(file, chain);
    let queue = context.lists[chain.last()].unwrap_or(QueueId(0));
    let stage = stage::lister(context, &file.jobs[chain.last()], name.clone(), command, queue, mistakes);
    Some(Box::new(Job {
        stages: vec![stage],
        items: Items::None,
        batch: Batch::One,
        pool: UNLIMITED,
        output: file.run.output.unwrap_or(OutputMode::Line),
        keep_order: false,
        tag: job.tag.is_some().then(|| Template { pieces: vec![Piece::Text(format!("{name}\t").into())] }),
        name: name.into(),
        halt: None,
        grace: job.grace,
        stop_signal: job.stop_signal,
        timeout: None,
        rate: None,
        // What was listed can't be taken back.
        retries: Retries { count: 0, ..job.retries.clone() },
        after: Vec::new(),
        slotless: true,
        daemon: job.daemon,
        serves: job.serves,
        ready: None,
        restart: Restart::Never,
        slots: 1,
        locks: Vec::new(),
        worker: None,
        duplex: false,
        leftovers: job.leftovers,
        interactive: false,
        on_success: None,
        on_failure: None,
        on_exit: None,
        at_end: None,
        lister: None,
    }))
}
