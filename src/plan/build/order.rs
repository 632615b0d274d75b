//! `after`: which jobs wait for which, and the jobs that a selection needs.

use std::collections::HashSet;

use super::cycles::{SHOWN, cycles};
use super::pipes::{Chain, Position};
use super::{BuildOptions, Index, Joined, unknown_job};
use crate::jobfile::values::PoolSize;
use crate::jobfile::{self, EachSpec, JobFile, Mistake, Mistakes, Span, When};
use crate::plan::selection::{Selection, split_operand};
use crate::plan::{After, JobId, StageId};

/// One condition: `from` waits for `to`. Both are indices of jobs of the file.
#[derive(Debug, Clone)]
pub(super) struct Wait {
    from: usize,
    to: usize,
    to_chain: usize,
    when: When,
    /// True if the condition stands for taking that job's items, one by one.
    takes_items: bool,
    span: Span,
}

impl Wait {
    /// Returns the condition of the plan. `job_ids`: for each chain its id in the plan.
    pub fn condition(&self, job_ids: &[JobId], positions: &[Position]) -> After {
        After { job: job_ids[self.to_chain], stage: StageId(positions[self.to].stage), when: self.when }
    }
}

/// Returns the conditions of each chain. Chains that queues join have the same conditions, because they start together.
pub(super) fn waits(
    file: &JobFile,
    index: &Index,
    chains: &[Chain],
    positions: &[Position],
    joined: &Joined,
    mistakes: &mut Mistakes,
) -> Vec<Vec<Wait>> {
    let mut waits = vec![Vec::new(); chains.len()];
    for (number, chain) in chains.iter().enumerate() {
        for &from in &chain.jobs {
            for after in &file.jobs[from].after {
                let name = &after.job.value;
                let span = after.job.span.clone();
                let Some(&to) = index.get(name.as_str()) else {
                    let mistake = Mistake::at(span, format!("no job is called `{name}`"));
                    mistakes.push(unknown_job(name, index, mistakes, mistake));
                    continue;
                };
                let to_chain = positions[to].chain;
                if to == from {
                    mistakes.push(Mistake::at(span, format!("job `{name}` waits for itself")));
                } else if to_chain == number && chain.jobs.contains(&to) {
                    let this = &file.jobs[from].name.value;
                    let mistake = Mistake::at(
                        span,
                        format!("job `{this}` waits for `{name}`, with which it is joined by a pipe"),
                    );
                    let help = format!("they start together: leave `{name}` out of `after`");
                    mistakes.push(mistake.help(help));
                } else if joined.groups.get(to_chain) == Some(&joined.groups[number]) {
                    let this = &file.jobs[from].name.value;
                    let message =
                        format!("job `{this}` waits for `{name}`, with which it is joined by a queue");
                    let help = format!("they start together: leave `{name}` out of `after`");
                    mistakes.push(Mistake::at(span, message).help(help));
                } else {
                    let Some(when) = condition(file, chains, after, to, to_chain, mistakes) else { continue };
                    waits[number].push(Wait { from, to, to_chain, when, takes_items: false, span });
                }
            }
        }
    }
    share(waits, &joined.groups)
}

/// Returns the state that a condition waits for. Reports one that waits for a job to be ready that never is.
fn condition(
    file: &JobFile,
    chains: &[Chain],
    after: &jobfile::AfterSpec,
    to: usize,
    to_chain: usize,
    mistakes: &mut Mistakes,
) -> Option<When> {
    // A job in a cycle of pipes is in no chain.
    let other = &file.jobs[chains.get(to_chain).map_or(to, Chain::last)];
    let when = after.when.unwrap_or(if other.daemon { When::Ready } else { When::Success });
    let gets_ready = other.daemon || other.ready.is_some() || other.has_mistakes;
    if when != When::Ready || gets_ready {
        if when == When::Ready && other.daemon {
            check_all_run(other, after, mistakes);
        }
        return Some(when);
    }
    let name = &after.job.value;
    let message = format!("job `{name}` never counts as ready: it is no daemon, and has no `ready`");
    let help = format!(
        "say when it is up: `ready = {{ line = \"…\" }}`; to run after its end, write `{name} = \"success\"`"
    );
    let mistake = Mistake::at(after.job.span.clone(), message).help(help);
    mistakes.push(mistake.other(other.name.span.clone(), "this one"));
    None
}

/// Reports a daemon whose pool is smaller than its number of tasks: it is ready when all are up, and none of them ends
/// to make room for another.
fn check_all_run(service: &jobfile::JobSpec, after: &jobfile::AfterSpec, mistakes: &mut Mistakes) {
    let tasks = match &service.each {
        Some(EachSpec::Rows { rows, .. }) => Some(rows.len() as u64),
        _ => service.repeat,
    };
    let Some(PoolSize::Count(pool)) = service.pool.filter(|pool| *pool != PoolSize::Count(0)) else { return };
    if tasks.is_some_and(|tasks| tasks > pool as u64) {
        let name = &service.name.value;
        let message = format!("daemon `{name}` is never ready: its pool has no room for all of its tasks");
        let help = "each of them has to be up, and none ends before; leave `pool` out";
        let place = service.own_key("pool").unwrap_or_else(|| service.name.span.clone());
        let mistake = Mistake::at(after.job.span.clone(), message).other(place, "its pool");
        mistakes.push(mistake.help(help));
    }
}

/// Gives the chains that queues join the conditions of all of them.
fn share(waits: Vec<Vec<Wait>>, groups: &[usize]) -> Vec<Vec<Wait>> {
    let mut of_group: Vec<Vec<Wait>> = vec![Vec::new(); waits.len()];
    for (wait, &group) in waits.into_iter().zip(groups) {
        of_group[group].extend(wait);
    }
    // A condition that several chains have is kept once.
    for waits in of_group.iter_mut().filter(|waits| waits.len() > 1) {
        let mut seen = HashSet::new();
        waits.retain(|wait| seen.insert((wait.to, wait.when as u8)));
    }
    groups.iter().map(|&group| of_group[group].clone()).collect()
}

/// Returns the conditions, and one for each job that takes another job's items, because it ends only after that job.
pub(super) fn with_sources(
    file: &JobFile,
    waits: &[Vec<Wait>],
    positions: &[Position],
    joined: &Joined,
) -> Vec<Vec<Wait>> {
    let mut waits = waits.to_vec();
    for (from, to) in joined.sources.iter().enumerate() {
        let (Some(to), Some(EachSpec::Job(name))) = (*to, &file.jobs[from].each) else { continue };
        let (chain, to_chain) = (positions[from].chain, positions[to].chain);
        if let (Some(own), true) = (waits.get_mut(chain), to_chain < joined.groups.len()) {
            let span = name.span.clone();
            own.push(Wait { from, to, to_chain, when: When::Success, takes_items: true, span });
        }
    }
    waits
}

/// Reports jobs that wait for each other.
pub(super) fn find_cycles(
    file: &JobFile,
    waits: &[Vec<Wait>],
    positions: &[Position],
    mistakes: &mut Mistakes,
) {
    cycles(waits, |wait| wait.to_chain, |steps| mistakes.push(cycle_mistake(file, positions, &steps)));
}

/// Returns the mistake of a cycle. The last step leads back to the first.
fn cycle_mistake(file: &JobFile, positions: &[Position], steps: &[&Wait]) -> Mistake {
    let name = |job: usize| file.jobs[job].name.value.as_str();
    let mut shown = name(steps[0].from).to_owned();
    let mut help = None;
    for (number, step) in steps.iter().enumerate() {
        // Only the beginning and the end of a long cycle are shown.
        if number >= SHOWN && number + 1 < steps.len() {
            shown += if number == SHOWN { " → …" } else { "" };
            continue;
        }
        shown += " → ";
        shown += name(step.to);
        // The next one to wait may be another job of the same pipe, or on the other side of a queue.
        let next = steps[(number + 1) % steps.len()].from;
        if next == step.to {
            continue;
        }
        let piped = positions[next].chain == positions[step.to].chain;
        shown += if piped { " | " } else { " & " };
        shown += name(next);
        if !piped {
            let both = format!(
                "`{}` and `{}` start together: they are joined by a queue",
                name(step.to),
                name(next)
            );
            help.get_or_insert(both);
        }
    }
    let last = steps[steps.len() - 1];
    let what = if last.takes_items { "takes the items of" } else { "waits for" };
    let label = format!("`{}` {what} `{}`", name(last.from), name(last.to));
    let mistake = Mistake::at(last.span.clone(), format!("jobs wait for each other: {shown}")).label(label);
    Mistake { help, ..mistake }
}

/// The part of a chain that is in the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    None,
    /// These tasks were named, or are what named tasks take their items from.
    Tasks(Selection),
    All,
}

impl Choice {
    /// Adds to what is chosen. Returns whether that was more.
    fn add(&mut self, other: &Choice) -> bool {
        match (&mut *self, other) {
            (_, Choice::None) | (Choice::All, _) => false,
            (Choice::Tasks(tasks), Choice::Tasks(more)) => tasks.add(more),
            (Choice::None | Choice::Tasks(_), other) => {
                *self = other.clone();
                true
            }
        }
    }
}

/// Returns for each chain whether it is in the plan: selected on the command line, or needed by one that is.
pub(super) fn selected(
    file: &JobFile,
    options: &BuildOptions,
    index: &Index,
    waits: &[Vec<Wait>],
    positions: &[Position],
    joined: &Joined,
    mistakes: &mut Mistakes,
) -> Vec<Choice> {
    if options.jobs.is_empty() {
        return vec![Choice::All; waits.len()];
    }
    let mut chosen = vec![Choice::None; waits.len()];
    let mut open = Vec::new();
    for operand in &options.jobs {
        let (name, task) = split_operand(operand);
        match index.get(name) {
            Some(&job) => {
                let choice = task.map_or(Choice::All, |task| Choice::Tasks(Selection::of(task)));
                add(&mut chosen, &mut open, positions[job].chain, &choice);
            }
            None => mistakes.push(no_job(file, options, name, index, mistakes)),
        }
    }
    while let Some((chain, choice)) = open.pop() {
        for wait in &waits[chain] {
            add(&mut chosen, &mut open, wait.to_chain, &Choice::All);
        }
        for &partner in &joined.members[joined.groups[chain]] {
            // Tasks of it may have been named themselves.
            if chosen[partner] == Choice::None {
                add(&mut chosen, &mut open, partner, &Choice::All);
            }
        }
        // A task that takes its item from another one needs that one only.
        for &before in &joined.takes[chain] {
            add(&mut chosen, &mut open, before, &choice);
        }
    }
    chosen
}

/// Adds to what is chosen of a chain. If that was more, the chain is `open`: what it needs is still to be chosen.
fn add(chosen: &mut [Choice], open: &mut Vec<(usize, Choice)>, chain: usize, choice: &Choice) {
    // A job in a cycle of pipes is in no chain, and its number may be too large.
    if chain < chosen.len() && chosen[chain].add(choice) {
        open.push((chain, choice.clone()));
    }
}

/// Returns the mistake of naming a job that does not exist.
fn no_job(file: &JobFile, options: &BuildOptions, name: &str, index: &Index, mistakes: &Mistakes) -> Mistake {
    let mistake = Mistake::new(format!("`{}` has no job `{name}`", options.file_name));
    let mut mistake = unknown_job(name, index, mistakes, mistake);
    if mistake.help.is_none() && file.jobs.len() <= 10 {
        let names: Vec<_> = file.jobs.iter().map(|job| format!("`{}`", job.name.value)).collect();
        mistake.help = Some(format!("its jobs are {}", names.join(", ")));
    }
    mistake
}
