//! Queues between jobs: who writes, who reads, and what is wrong with it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::circles::circles;
use super::pipes::Place;
use super::{Index, unknown_job};
use crate::jobfile::{
    self, BodySpec, EachSpec, JobFile, JobSpec, Mistake, Mistakes, OutputSpec, StdinSpec, Text, nearest,
};
use crate::plan::{Block, JobId, Queue, QueueId, Records, Unit};

/// Without `capacity`.
const CAPACITY: usize = 1000;

/// One queue that jobs use, or that is listed.
pub(super) struct Use<'a> {
    name: &'a str,
    listed: Option<&'a jobfile::QueueSpec>,
    writers: Vec<End<'a>>,
    readers: Vec<End<'a>>,
    /// A reader has `ahead = 1`.
    ahead: bool,
}

/// Where a job of the file names it.
struct End<'a> {
    job: usize,
    place: &'a Text,
}

/// All queues, by name, in the order of the file.
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
    // What is missing may be a part of a job that could not be read.
    if file.mistakes.is_empty() {
        uses.iter().for_each(|queue| check_ends(file, queue, &uses, mistakes));
    }
    uses
}

enum Side {
    Writes,
    Reads { ahead: bool },
}

/// The queues that a job names.
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
    // The other end may just be misspelt.
    let others = uses.iter().filter(|other| other.name != name).map(|other| other.name);
    let help = match nearest(name, others) {
        Some(near) => format!("did you mean `{near}`? {help}"),
        None => help,
    };
    mistakes.push(Mistake::at(place, message).help(help));
}

/// Chains that queues join, directly or through others, have the same number.
pub(super) fn groups(uses: &[Use], places: &[Place], chains: usize) -> Vec<usize> {
    let mut group: Vec<usize> = (0..chains).collect();
    for queue in uses {
        let mut members = queue.writers.iter().chain(&queue.readers).map(|end| places[end.job].chain);
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
pub(super) fn find_circles(
    file: &JobFile,
    uses: &[Use],
    places: &[Place],
    chains: usize,
    mistakes: &mut Mistakes,
) {
    let mut flows: Vec<Vec<Flow>> = Vec::new();
    flows.resize_with(chains + uses.len(), Vec::new);
    // What is in a circle of pipes is in no chain.
    let chain = |end: &End| Some(places[end.job].chain).filter(|chain| *chain < chains);
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
    circles(&flows, |flow| flow.to, |circle| mistakes.push(circle_of(file, uses, chains, circle)));
}

/// No more of a circle is named.
const SHOWN: usize = 20;

fn circle_of(file: &JobFile, uses: &[Use], chains: usize, mut circle: Vec<&Flow>) -> Mistake {
    // From a job, which writes, to that job, which reads.
    if circle[0].to < chains {
        circle.rotate_left(1);
    }
    let job = |flow: &Flow| file.jobs[flow.end.job].name.value.as_str();
    let mut shown = job(circle[circle.len() - 1]).to_owned();
    for (number, flow) in circle.iter().enumerate() {
        // Of a long circle its beginning and its end are shown.
        if number >= SHOWN && number + 1 < circle.len() {
            shown += if number == SHOWN { " → …" } else { "" };
            continue;
        }
        if flow.to < chains {
            shown += &format!(" → {}", job(flow));
            continue;
        }
        // What comes in through one job may go out through another one of the same pipe.
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

/// The queues of the wanted jobs as the plan has them; and their numbers, by name.
pub(super) fn plan<'a>(
    uses: &[Use<'a>],
    places: &[Place],
    wanted: &[bool],
    numbers: &[JobId],
) -> (Vec<Queue>, BTreeMap<&'a str, QueueId>) {
    let (mut queues, mut ids) = (Vec::new(), BTreeMap::new());
    let jobs = |ends: &[End]| {
        let mut jobs: Vec<JobId> = ends
            .iter()
            .map(|end| places[end.job].chain)
            .filter(|chain| wanted.get(*chain).copied().unwrap_or(false))
            .map(|chain| numbers[chain])
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
            name: Arc::from(queue.name),
            capacity: capacity.unwrap_or(CAPACITY),
            exact: capacity.is_some() || queue.ahead,
            records: records(queue.listed.map(|listed| &listed.records)),
            to_all: queue.listed.is_some_and(|listed| listed.to_all),
            input: None,
            writers,
            readers,
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

/// For each job of the file that takes another one's items: that one.
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

/// Of jobs that take another one's items: the `each` that these come from in the end. None for a circle.
pub(super) fn origins<'a>(file: &'a JobFile, sources: &[Option<usize>]) -> HashMap<&'a str, &'a EachSpec> {
    // Each way is followed once; a circle leads nowhere.
    let mut found: Vec<Option<Option<&EachSpec>>> = vec![None; sources.len()];
    for start in 0..sources.len() {
        let (mut at, mut way) = (start, Vec::new());
        let end = loop {
            if let Some(known) = found[at] {
                break known;
            }
            found[at] = Some(None);
            way.push(at);
            match sources[at] {
                Some(from) => at = from,
                None => break file.jobs[at].each.as_ref(),
            }
        };
        way.into_iter().for_each(|job| found[job] = Some(end));
    }
    let takes = found.iter().enumerate().filter(|(job, _)| sources[*job].is_some());
    takes.filter_map(|(job, end)| Some((file.jobs[job].name.value.as_str(), (*end)??))).collect()
}
