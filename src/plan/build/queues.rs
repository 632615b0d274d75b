//! Queues between jobs: their writers and readers, and the mistakes in how they are used.

use std::collections::{BTreeMap, HashMap};

use super::cycles::cycles;
use super::pipes::Position;
use super::{Index, unknown_job};
use crate::jobfile::{
    self, BodySpec, EachSpec, JobFile, JobSpec, Mistake, Mistakes, OutputSpec, StdinSpec, Text, nearest,
};
use crate::plan::{Block, JobId, Queue, QueueId, Records, Unit};

/// A queue that jobs use, or that is listed.
pub(super) struct Use<'a> {
    name: &'a str,
    listed: Option<&'a jobfile::QueueSpec>,
    writers: Vec<End<'a>>,
    readers: Vec<End<'a>>,
    /// True if a reader has `ahead = 1`.
    ahead: bool,
}

/// A place where a job of the file names the queue.
struct End<'a> {
    job: usize,
    place: &'a Text,
}

/// Returns all queues, in the order of the file.
pub(super) fn collect<'a>(file: &'a JobFile, mistakes: &mut Mistakes) -> Vec<Use<'a>> {
    let mut uses: Vec<Use> = Vec::new();
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    for queue in &file.queues {
        known.insert(&queue.name.value, uses.len());
        let name = queue.name.value.as_str();
        uses.push(Use { name, listed: Some(queue), writers: vec![], readers: vec![], ahead: false });
    }
    for (number, job) in file.jobs.iter().enumerate() {
        for (place, side) in ends(job) {
            let at = *known.entry(&place.value).or_insert_with(|| {
                uses.push(Use {
                    name: &place.value,
                    listed: None,
                    writers: vec![],
                    readers: vec![],
                    ahead: false,
                });
                uses.len() - 1
            });
            let end = End { job: number, place };
            match side {
                Side::Writes => uses[at].writers.push(end),
                Side::Reads { ahead } => {
                    uses[at].readers.push(end);
                    uses[at].ahead |= ahead;
                }
            }
        }
    }
    // A missing writer or reader may be a part of a job that has a mistake.
    if file.mistakes.is_empty() {
        uses.iter().for_each(|queue| check_ends(file, queue, &uses, mistakes));
    }
    uses
}

enum Side {
    Writes,
    Reads { ahead: bool },
}

/// Returns the queues that a job names.
fn ends(job: &JobSpec) -> Vec<(&Text, Side)> {
    let mut ends = Vec::new();
    if let Some(EachSpec::Queue { name, .. }) = &job.each {
        ends.push((name, Side::Reads { ahead: false }));
    }
    if let StdinSpec::Queue { name, ahead } = &job.stdin.value {
        ends.push((name, Side::Reads { ahead: *ahead }));
    }
    let stages = match &job.body {
        Some(BodySpec::Pipeline(stages)) => stages.as_slice(),
        _ => &[],
    };
    let outputs = [&job.stdout, &job.stderr];
    for output in outputs.into_iter().chain(stages.iter().filter_map(|stage| stage.stderr.as_ref())) {
        if let OutputSpec::Queue { name, .. } = output {
            ends.push((name, Side::Writes));
        }
    }
    ends
}

/// Reports a queue without writers or readers.
fn check_ends(file: &JobFile, queue: &Use, uses: &[Use], mistakes: &mut Mistakes) {
    let job = |end: &End| file.jobs[end.job].name.value.as_str();
    let name = queue.name;
    let (place, message, help) = match (queue.writers.first(), queue.readers.first()) {
        (Some(_), Some(_)) => return,
        (None, Some(reader)) => (
            reader.place.span.clone(),
            format!("job `{}` reads the queue `{name}`, which nobody writes to", job(reader)),
            format!("a job writes to it with `stdout = {{ queue = \"{name}\" }}`"),
        ),
        (Some(writer), None) => (
            writer.place.span.clone(),
            format!("job `{}` writes to the queue `{name}`, which nobody reads", job(writer)),
            format!(
                "a job reads it with `stdin = {{ queue = \"{name}\" }}` or `each = {{ queue = \"{name}\" }}`"
            ),
        ),
        (None, None) => {
            let Some(listed) = queue.listed else { return };
            let message = format!("nobody uses the queue `{name}`");
            let help = "jobs write to it with `stdout.queue` and read it with `stdin.queue` or `each.queue`";
            (listed.name.span.clone(), message, help.to_owned())
        }
    };
    // The name may just be misspelt at the other end.
    let others = uses.iter().filter(|other| other.name != name).map(|other| other.name);
    let help = match nearest(name, others) {
        Some(near) => format!("did you mean `{near}`? {help}"),
        None => help,
    };
    mistakes.push(Mistake::at(place, message).help(help));
}

/// Returns a number for each chain. Chains that queues join, directly or through others, have the same.
pub(super) fn groups(uses: &[Use], positions: &[Position], chains: usize) -> Vec<usize> {
    let mut group: Vec<usize> = (0..chains).collect();
    for queue in uses {
        let mut members = queue.writers.iter().chain(&queue.readers).map(|end| positions[end.job].chain);
        let Some(first) = members.next().filter(|first| *first < chains) else { continue };
        for member in members.filter(|member| *member < chains) {
            let (from, to) = (root(&mut group, member), root(&mut group, first));
            group[from] = to;
        }
    }
    (0..chains).map(|chain| root(&mut group, chain)).collect()
}

fn root(group: &mut [usize], mut chain: usize) -> usize {
    while group[chain] != chain {
        // The next time the way is shorter.
        group[chain] = group[group[chain]];
        chain = group[chain];
    }
    chain
}

/// Records go from one node to another: nodes are the chains, and behind them the queues.
struct Flow<'a> {
    to: usize,
    /// The job that writes them or reads them, and where it says so.
    end: &'a End<'a>,
}

/// A job that in the end reads what it writes itself never comes to the end of its input.
pub(super) fn find_cycles(
    file: &JobFile,
    uses: &[Use],
    positions: &[Position],
    chains: usize,
    mistakes: &mut Mistakes,
) {
    let mut flows: Vec<Vec<Flow>> = Vec::new();
    flows.resize_with(chains + uses.len(), Vec::new);
    // A job in a cycle of pipes is in no chain.
    let chain = |end: &End| Some(positions[end.job].chain).filter(|chain| *chain < chains);
    for (number, queue) in uses.iter().enumerate() {
        let node = chains + number;
        for end in &queue.writers {
            let Some(from) = chain(end) else { continue };
            flows[from].push(Flow { to: node, end });
        }
        for end in &queue.readers {
            let Some(to) = chain(end) else { continue };
            flows[node].push(Flow { to, end });
        }
    }
    cycles(&flows, |flow| flow.to, |circle| mistakes.push(cycle_mistake(file, uses, chains, circle)));
}

/// The most jobs and queues that a message about a cycle names.
const SHOWN: usize = 20;

/// Returns the mistake of a cycle.
fn cycle_mistake(file: &JobFile, uses: &[Use], chains: usize, mut circle: Vec<&Flow>) -> Mistake {
    // Begin with a job that writes, so that the cycle is shown from that job to itself.
    if circle[0].to < chains {
        circle.rotate_left(1);
    }
    let job = |flow: &Flow| file.jobs[flow.end.job].name.value.as_str();
    let mut shown = job(circle[circle.len() - 1]).to_owned();
    for (number, flow) in circle.iter().enumerate() {
        // Only the beginning and the end of a long cycle are shown.
        if number >= SHOWN && number + 1 < circle.len() {
            shown += if number == SHOWN { " → …" } else { "" };
            continue;
        }
        if flow.to < chains {
            shown += &format!(" → {}", job(flow));
            continue;
        }
        // One job of a pipe may read, and another one write.
        let reader = circle[(number + circle.len() - 1) % circle.len()];
        if reader.end.job != flow.end.job {
            shown += &format!(" | {}", job(flow));
        }
        shown += &format!(" → {}", uses[flow.to - chains].name);
    }
    let message = format!("a circle of queues, which never runs dry: {shown}");
    Mistake::at(circle[0].end.place.span.clone(), message)
        .help("a queue ends when all its writers have ended, and these wait for their own input to end")
}

/// Returns the queues of the selected jobs, and their ids by name.
pub(super) fn plan<'a>(
    uses: &[Use<'a>],
    positions: &[Position],
    selected: &[bool],
    job_ids: &[JobId],
) -> (Vec<Queue>, BTreeMap<&'a str, QueueId>) {
    let (mut queues, mut ids) = (Vec::new(), BTreeMap::new());
    let jobs = |ends: &[End]| {
        let mut jobs: Vec<JobId> = ends
            .iter()
            .map(|end| positions[end.job].chain)
            .filter(|chain| selected.get(*chain).copied().unwrap_or(false))
            .map(|chain| job_ids[chain])
            .collect();
        jobs.sort_unstable();
        jobs.dedup();
        jobs
    };
    for queue in uses {
        let (writers, readers) = (jobs(&queue.writers), jobs(&queue.readers));
        if writers.is_empty() || readers.is_empty() {
            continue;
        }
        let capacity = queue.listed.and_then(|listed| listed.capacity);
        ids.insert(queue.name, QueueId(queues.len()));
        queues.push(Queue {
            capacity: capacity.unwrap_or(Queue::DEFAULT_CAPACITY),
            exact: capacity.is_some() || queue.ahead,
            records: records(queue.listed.map(|listed| &listed.records)),
            to_all: queue.listed.is_some_and(|listed| listed.to_all),
            ..Queue::new(queue.name, writers, readers)
        });
    }
    (queues, ids)
}

fn records(records: Option<&jobfile::RecordsSpec>) -> Records {
    let lines = || Unit::Ends(b"\n".to_vec());
    let (unit, block) = match records {
        None => (lines(), None),
        Some(jobfile::RecordsSpec::Ends(bytes)) => (Unit::Ends(bytes.clone()), None),
        Some(jobfile::RecordsSpec::Starts(pattern)) => (Unit::Starts(pattern.regex.clone()), None),
        Some(jobfile::RecordsSpec::Bytes(bytes)) => (Unit::Bytes(*bytes), None),
        Some(jobfile::RecordsSpec::Block(bytes)) => {
            (lines(), Some(Block { bytes: *bytes, records: usize::MAX }))
        }
    };
    Records { unit, per_record: 1, block }
}

/// Returns, for each job of the file that takes another job's items, that job.
pub(super) fn sources(file: &JobFile, index: &Index, mistakes: &mut Mistakes) -> Vec<Option<usize>> {
    let mut sources = vec![None; file.jobs.len()];
    for (number, job) in file.jobs.iter().enumerate() {
        let Some(EachSpec::Job(name)) = &job.each else { continue };
        let Some(&from) = index.get(name.value.as_str()) else {
            let mistake = Mistake::at(name.span.clone(), format!("no job is called `{}`", name.value));
            mistakes.push(unknown_job(&name.value, index, mistakes, mistake.label("items from nowhere")));
            continue;
        };
        let other = &file.jobs[from];
        if from == number {
            let message = format!("job `{}` takes its own items", name.value);
            mistakes.push(Mistake::at(name.span.clone(), message).help("name the job that has them"));
            continue;
        }
        if other.each.is_none() && !other.has_mistakes {
            let message = format!("job `{}` has no items to hand on", other.name.value);
            let mistake = Mistake::at(name.span.clone(), message)
                .other(other.name.span.clone(), "has no `each`")
                .help(format!("to run after it, write `after = [\"{}\"]`", other.name.value));
            mistakes.push(mistake);
            continue;
        }
        sources[number] = Some(from);
    }
    sources
}

/// The source from which the items of a job come in the end.
#[derive(Clone, Copy)]
enum Origin<'a> {
    Unknown,
    /// `None`: the job has no items, or is in a cycle.
    Known(Option<&'a EachSpec>),
}

/// Returns, for jobs that take another job's items, by name, the `each` from which these come in the end. A job in a
/// cycle has none.
pub(super) fn origins<'a>(file: &'a JobFile, sources: &[Option<usize>]) -> HashMap<&'a str, &'a EachSpec> {
    // Each path is followed once. A job on the path that is being followed has no origin, and so a cycle has none.
    let mut found = vec![Origin::Unknown; sources.len()];
    for start in 0..sources.len() {
        let (mut at, mut path) = (start, Vec::new());
        let end = loop {
            if let Origin::Known(each) = found[at] {
                break each;
            }
            found[at] = Origin::Known(None);
            path.push(at);
            match sources[at] {
                Some(from) => at = from,
                None => break file.jobs[at].each.as_ref(),
            }
        };
        path.into_iter().for_each(|job| found[job] = Origin::Known(end));
    }
    let takers = found.iter().enumerate().filter(|(job, _)| sources[*job].is_some());
    let named = |(job, origin): (usize, &Origin<'a>)| match origin {
        Origin::Known(Some(each)) => Some((file.jobs[job].name.value.as_str(), *each)),
        Origin::Known(None) | Origin::Unknown => None,
    };
    takers.filter_map(named).collect()
}
