//! Chains: jobs that `stdin = { pipe = … }` joins.

use super::cycles::SHOWN;
use super::{Index, unknown_job};
use crate::jobfile::{BodySpec, JobFile, JobSpec, Mistake, Mistakes, StdinSpec, Text};

/// Jobs joined by pipes, first to last; most stand alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    /// Never empty.
    pub jobs: Vec<usize>,
    /// True if the first job reads the output of the last one.
    pub duplex: bool,
}

impl Chain {
    /// Returns the last job, whose settings hold for the whole chain.
    pub fn last(&self) -> usize {
        self.jobs[self.jobs.len() - 1]
    }
}

/// The position of a job of the file in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Position {
    pub chain: usize,
    /// The job's last stage in the chain.
    pub stage: usize,
}

/// Keys that hold for a whole chain, and which only its last job can have.
const OF_LAST_JOB: [&str; 23] = [
    "slots",
    "locks",
    "daemon",
    "ready",
    "restart",
    "on_success",
    "on_failure",
    "on_exit",
    "leftovers",
    "interactive",
    "timeout",
    "retries",
    "retry_delay",
    "retry_on",
    "stop_signal",
    "stop",
    "grace",
    "halt",
    "output",
    "keep_order",
    "tag",
    "pool",
    "stdout",
];

/// Follows the pipes, and returns the chains. Jobs in a cycle of pipes, which is a mistake, are in none.
pub(super) fn chains(file: &JobFile, index: &Index, mistakes: &mut Mistakes) -> Vec<Chain> {
    let mut feeder: Vec<Option<usize>> = vec![None; file.jobs.len()];
    let mut reader: Vec<Option<usize>> = vec![None; file.jobs.len()];
    for (number, job) in file.jobs.iter().enumerate() {
        let StdinSpec::Pipe(name) = &job.stdin.value else { continue };
        let Some(&from) = index.get(name.value.as_str()) else {
            let mistake = Mistake::at(name.span.clone(), format!("no job is called `{}`", name.value))
                .label("a pipe from nowhere");
            mistakes.push(unknown_job(&name.value, index, mistakes, mistake));
            continue;
        };
        if let Some(first) = reader[from] {
            let mistake =
                Mistake::at(name.span.clone(), format!("two jobs read the output of `{}`", name.value));
            let first = &file.jobs[first].name;
            let mistake = mistake
                .label("a pipe has one reader")
                .other(first.span.clone(), format!("`{}` reads it", first.value));
            mistakes.push(mistake.help(format!(
                "a queue can have many: `stdout = {{ queue = \"q\" }}` for `{}`, `stdin = {{ queue = \"q\" }}` for both, \
                 and `deliver = \"all\"` in `[queues.q]`",
                name.value
            )));
            continue;
        }
        feeder[number] = Some(from);
        reader[from] = Some(number);
        // In a duplex chain the later job in the file counts as the last.
        let back = reads(file, index, from) == Some(number) && from != number;
        check_feeder(&file.jobs[from], job, name, back && from > number, mistakes);
        check_one_task(&file.jobs[from], name, mistakes);
        if feeder[from].is_none() || reader[number].is_none() {
            check_one_task(job, name, mistakes);
        }
    }
    let ends = (0..file.jobs.len()).filter(|&number| reader[number].is_none());
    let chains: Vec<Chain> = ends
        .map(|last| {
            let mut jobs: Vec<usize> = std::iter::successors(Some(last), |&job| feeder[job]).collect();
            jobs.reverse();
            Chain { jobs, duplex: false }
        })
        .chain(pairs(&feeder))
        .collect();
    find_cycles(file, &chains, &feeder, mistakes);
    chains
}

/// Returns the job whose output the job reads.
fn reads(file: &JobFile, index: &Index, job: usize) -> Option<usize> {
    match &file.jobs[job].stdin.value {
        StdinSpec::Pipe(name) => index.get(name.value.as_str()).copied(),
        _ => None,
    }
}

/// Returns the duplex chains: two jobs that read each other's output.
fn pairs(feeder: &[Option<usize>]) -> impl Iterator<Item = Chain> {
    let later =
        |(first, last): (usize, &Option<usize>)| last.filter(|last| *last > first).map(|last| (first, last));
    feeder
        .iter()
        .enumerate()
        .filter_map(later)
        .filter(|(first, last)| feeder[*last] == Some(*first))
        .map(|(first, last)| Chain { jobs: vec![first, last], duplex: true })
        .collect::<Vec<_>>()
        .into_iter()
}

/// Reports keys of a feeding job that hold for the whole chain. `last`: it is the last job as well (of a duplex chain),
/// so that only its `stdout` is wrong.
fn check_feeder(feeder: &JobSpec, reader: &JobSpec, pipe: &Text, last: bool, mistakes: &mut Mistakes) {
    for key in OF_LAST_JOB.into_iter().filter(|key| !last || *key == "stdout") {
        let Some(span) = feeder.own_key(key) else { continue };
        let (message, help) = if key == "stdout" {
            let message = format!("two ways for the output of job `{}`", feeder.name.value);
            (message, "take `stdout` away, or the pipe")
        } else {
            let message = format!("`{key}` of job `{}`, which is read through a pipe", feeder.name.value);
            (message, "what is joined by pipes runs as one: give it to the last job, it holds for all")
        };
        let label = format!("`{}` reads it", reader.name.value);
        mistakes.push(Mistake::at(span, message).other(pipe.span.clone(), label).help(help));
    }
}

/// Reports `each` and `repeat` of a job in a chain.
fn check_one_task(job: &JobSpec, pipe: &Text, mistakes: &mut Mistakes) {
    for key in ["each", "repeat"] {
        if let Some(span) = job.own_key(key) {
            let message = format!("`{key}` of job `{}`, which is joined by a pipe", job.name.value);
            let mistake = Mistake::at(span, message).other(pipe.span.clone(), "the pipe");
            mistakes.push(mistake.help("jobs that are joined by a pipe have one task"));
        }
    }
}

/// Reports the jobs in no chain: they feed themselves.
fn find_cycles(file: &JobFile, chains: &[Chain], feeder: &[Option<usize>], mistakes: &mut Mistakes) {
    let mut seen = vec![false; file.jobs.len()];
    chains.iter().flat_map(|chain| &chain.jobs).for_each(|&job| seen[job] = true);
    for start in 0..file.jobs.len() {
        let mut circle = Vec::new();
        let mut at = start;
        while !seen[at] {
            seen[at] = true;
            circle.push(at);
            let Some(from) = feeder[at] else { break };
            at = from;
        }
        let StdinSpec::Pipe(pipe) = &file.jobs[start].stdin.value else { continue };
        if circle.is_empty() {
            continue;
        }
        // Found against the direction of the pipes, shown in it.
        circle.push(start);
        circle.reverse();
        let names: Vec<&str> = circle.iter().map(|&job| file.jobs[job].name.value.as_str()).collect();
        let message = match names.as_slice() {
            [name, _] => format!("job `{name}` reads its own output"),
            [first, rest @ .., last] if rest.len() > SHOWN => {
                format!("a circle of pipes: {first} → {} → … → {last}", rest[..SHOWN].join(" → "))
            }
            names => format!("a circle of pipes: {}", names.join(" → ")),
        };
        mistakes.push(
            Mistake::at(pipe.span.clone(), message)
                .help("a pipe needs a first job, which reads something else"),
        );
    }
}

/// Returns the position of each job of the file.
pub(super) fn positions(file: &JobFile, chains: &[Chain]) -> Vec<Position> {
    let mut positions = vec![Position::default(); file.jobs.len()];
    for (number, chain) in chains.iter().enumerate() {
        let mut stages = 0;
        for &job in &chain.jobs {
            stages += match &file.jobs[job].body {
                Some(BodySpec::Pipeline(stages)) => stages.len(),
                _ => 1,
            };
            positions[job] = Position { chain: number, stage: stages - 1 };
        }
    }
    positions
}
