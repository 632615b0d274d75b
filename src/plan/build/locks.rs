//! `[locks]`, and what jobs take of them.

use std::collections::{BTreeMap, HashMap};

use super::pipes::Chain;
use crate::jobfile::{self, EachSpec, JobFile, Mistake, Mistakes, StdinSpec};
use crate::plan::{Lock, LockId, Want};

/// The locks of a file, listed or not.
pub(super) struct Locks<'a> {
    listed: HashMap<&'a str, &'a jobfile::LockSpec>,
    /// Those that jobs of the plan take.
    pub planned: Vec<Lock>,
    ids: BTreeMap<&'a str, LockId>,
}

impl<'a> Locks<'a> {
    /// `wanted`: the chains that are in the plan.
    pub fn new(file: &'a JobFile, chains: &[Chain], wanted: &[bool], mistakes: &mut Mistakes) -> Locks<'a> {
        check_variables(file, mistakes);
        let listed = file.locks.iter().map(|lock| (lock.name.value.as_str(), lock)).collect();
        let mut locks = Locks { listed, planned: Vec::new(), ids: BTreeMap::new() };
        for (chain, wanted) in chains.iter().zip(wanted) {
            let job = &file.jobs[chain.last()];
            for want in &job.locks {
                locks.check(job, want, mistakes);
                if *wanted {
                    locks.plan(&want.lock.value);
                }
            }
        }
        locks
    }

    fn plan(&mut self, name: &'a str) {
        let next = LockId(self.planned.len());
        if *self.ids.entry(name).or_insert(next) == next {
            let listed = self.listed.get(name);
            self.planned.push(Lock {
                name: name.into(),
                permits: listed.map_or(1, |lock| lock.permits),
                values: listed.map(|lock| lock.values.clone()).unwrap_or_default(),
            });
        }
    }

    fn check(&self, job: &jobfile::JobSpec, want: &jobfile::LockRequestSpec, mistakes: &mut Mistakes) {
        let name = &want.lock.value;
        let listed = self.listed.get(name.as_str());
        let permits = listed.map_or(1, |lock| lock.permits);
        if want.permits <= permits {
            return;
        }
        let message = format!(
            "job `{}` takes {} permits of lock `{name}`, which has {permits}",
            job.name.value, want.permits
        );
        let mistake = Mistake::at(want.span.clone(), message).label("it could never start");
        mistakes.push(match listed {
            Some(lock) => mistake.other(lock.span.clone(), "all that there are"),
            None => mistake.help(format!(
                "one that is not listed has one: `[locks]` and below it `{name} = {}`",
                want.permits
            )),
        });
    }

    /// What the job takes; of one that is not in the plan, nothing.
    pub fn wants(&self, job: &jobfile::JobSpec) -> Vec<Want> {
        let id = |want: &jobfile::LockRequestSpec| self.ids.get(want.lock.value.as_str()).copied();
        job.locks.iter().filter_map(|want| Some(Want { lock: id(want)?, permits: want.permits })).collect()
    }
}

/// For each job, by name: the locks whose permits have names and that its tasks hold, those of the whole chain. Jobs
/// without any are left out.
pub(super) fn named<'a>(file: &'a JobFile, chains: &[Chain]) -> HashMap<&'a str, Vec<String>> {
    let named = |want: &&jobfile::LockRequestSpec| {
        file.locks.iter().any(|lock| lock.name.value == want.lock.value && !lock.values.is_empty())
    };
    let mut of_jobs = HashMap::new();
    if file.locks.iter().all(|lock| lock.values.is_empty()) {
        return of_jobs;
    }
    for chain in chains {
        let wants = file.jobs[chain.last()].locks.iter().filter(named);
        let names: Vec<String> = wants.map(|want| want.lock.value.clone()).collect();
        if !names.is_empty() {
            let jobs = chain.jobs.iter().map(|job| file.jobs[*job].name.value.as_str());
            of_jobs.extend(jobs.map(|job| (job, names.clone())));
        }
    }
    of_jobs
}

/// All locks whose permits have names.
pub(super) fn all_named(file: &JobFile) -> Vec<String> {
    let named = file.locks.iter().filter(|lock| !lock.values.is_empty());
    named.map(|lock| lock.name.value.clone()).collect()
}

/// `{gpu}` can't be both a lock and a variable.
fn check_variables(file: &JobFile, mistakes: &mut Mistakes) {
    for lock in file.locks.iter().filter(|lock| !lock.values.is_empty()) {
        let name = &lock.name.value;
        if let Some((var, _)) = file.vars.iter().find(|(var, _)| var.value == *name) {
            let message = format!("`{name}` is both a lock whose permits have names and a variable");
            let mistake =
                Mistake::at(lock.name.span.clone(), message).other(var.span.clone(), "the variable");
            mistakes.push(mistake.help(format!("what is `{{{name}}}`? Call one of them something else")));
        }
    }
}

/// `{gpu}` can't be both a lock and a column.
pub(super) fn check_columns(
    job: &jobfile::JobSpec,
    columns: &[String],
    named: &[String],
    mistakes: &mut Mistakes,
) {
    for want in job.locks.iter().filter(|want| named.contains(&want.lock.value)) {
        let name = &want.lock.value;
        if columns.contains(name) {
            let message =
                format!("`{{{name}}}` of job `{}` is both a column of its items and a lock", job.name.value);
            let mistake = Mistake::at(want.lock.span.clone(), message);
            let mistake = match job.own_key("each") {
                Some(each) => mistake.other(each, "its items"),
                None => mistake,
            };
            mistakes.push(mistake.help("give one of them another name"));
        }
    }
}

/// What takes no slot can't take several. `first`: the first job of its chain.
pub(super) fn check_slots(job: &jobfile::JobSpec, first: &jobfile::JobSpec, mistakes: &mut Mistakes) {
    let Some(span) = job.own_key("slots") else { return };
    let (why, place) = if job.daemon {
        ("is a daemon", job.own_key("daemon"))
    } else if matches!(first.stdin.value, StdinSpec::Queue { .. }) {
        ("reads a queue", Some(first.stdin.span.clone()))
    } else if matches!(job.each, Some(EachSpec::Queue { .. })) {
        ("reads a queue", job.own_key("each"))
    } else {
        return;
    };
    let message = format!("`slots` of job `{}`, which {why} and takes none", job.name.value);
    let mistake =
        Mistake::at(span, message).help("it never waits for a place in the run's pool; take `slots` away");
    mistakes.push(match place {
        Some(place) => mistake.other(place, "its tasks are not counted in the run's pool"),
        None => mistake,
    });
}
