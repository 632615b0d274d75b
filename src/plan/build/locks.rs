//! `[locks]`, and `locks` of jobs.

use std::collections::{BTreeMap, HashMap};

use super::pipes::Chain;
use crate::jobfile::{self, EachSpec, JobFile, Mistake, Mistakes, StdinSpec};
use crate::plan::{Lock, LockId, LockRequest};

/// The locks of a file, listed or not.
pub(super) struct Locks<'a> {
    listed: HashMap<&'a str, &'a jobfile::LockSpec>,
    /// The locks that jobs of the plan take.
    pub planned: Vec<Lock>,
    ids: BTreeMap<&'a str, LockId>,
}

impl<'a> Locks<'a> {
    /// `selected`: for each chain, whether it is in the plan.
    pub fn new(file: &'a JobFile, chains: &[Chain], selected: &[bool], mistakes: &mut Mistakes) -> Locks<'a> {
        check_variables(file, mistakes);
        let listed = file.locks.iter().map(|lock| (lock.name.value.as_str(), lock)).collect();
        let mut locks = Locks { listed, planned: Vec::new(), ids: BTreeMap::new() };
        for (chain, selected) in chains.iter().zip(selected) {
            let job = &file.jobs[chain.last()];
            for request in &job.locks {
                locks.check(job, request, mistakes);
                if *selected {
                    locks.plan(&request.lock.value);
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

    fn check(&self, job: &jobfile::JobSpec, request: &jobfile::LockRequestSpec, mistakes: &mut Mistakes) {
        let name = &request.lock.value;
        let listed = self.listed.get(name.as_str());
        let permits = listed.map_or(1, |lock| lock.permits);
        if request.permits <= permits {
            return;
        }
        let message = format!(
            "job `{}` takes {} permits of lock `{name}`, which has {permits}",
            job.name.value, request.permits
        );
        let mistake = Mistake::at(request.span.clone(), message).label("it could never start");
        mistakes.push(match listed {
            Some(lock) => mistake.other(lock.span.clone(), "all that there are"),
            None => mistake.help(format!(
                "one that is not listed has one: `[locks]` and below it `{name} = {}`",
                request.permits
            )),
        });
    }

    /// Returns the requests of the job; none for a job that is not in the plan.
    pub fn requests(&self, job: &jobfile::JobSpec) -> Vec<LockRequest> {
        let id = |request: &jobfile::LockRequestSpec| self.ids.get(request.lock.value.as_str()).copied();
        job.locks
            .iter()
            .filter_map(|request| Some(LockRequest { lock: id(request)?, permits: request.permits }))
            .collect()
    }
}

/// Returns, for each job by name, the locks of its chain whose permits have names. Jobs without any are left out.
pub(super) fn named<'a>(file: &'a JobFile, chains: &[Chain]) -> HashMap<&'a str, Vec<String>> {
    let named = |request: &&jobfile::LockRequestSpec| {
        file.locks.iter().any(|lock| lock.name.value == request.lock.value && !lock.values.is_empty())
    };
    let mut of_jobs = HashMap::new();
    if file.locks.iter().all(|lock| lock.values.is_empty()) {
        return of_jobs;
    }
    for chain in chains {
        let requests = file.jobs[chain.last()].locks.iter().filter(named);
        let names: Vec<String> = requests.map(|request| request.lock.value.clone()).collect();
        if !names.is_empty() {
            let jobs = chain.jobs.iter().map(|job| file.jobs[*job].name.value.as_str());
            of_jobs.extend(jobs.map(|job| (job, names.clone())));
        }
    }
    of_jobs
}

/// Returns all locks whose permits have names.
pub(super) fn all_named(file: &JobFile) -> Vec<String> {
    let named = file.locks.iter().filter(|lock| !lock.values.is_empty());
    named.map(|lock| lock.name.value.clone()).collect()
}

/// Reports a name that is both a lock with named permits and a variable, so that `{gpu}` could be either.
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

/// Reports a name that is both a lock with named permits and a column, so that `{gpu}` could be either.
pub(super) fn check_columns(
    job: &jobfile::JobSpec,
    columns: &[String],
    named: &[String],
    mistakes: &mut Mistakes,
) {
    for request in job.locks.iter().filter(|request| named.contains(&request.lock.value)) {
        let name = &request.lock.value;
        if columns.contains(name) {
            let message =
                format!("`{{{name}}}` of job `{}` is both a column of its items and a lock", job.name.value);
            let mistake = Mistake::at(request.lock.span.clone(), message);
            let mistake = match job.own_key("each") {
                Some(each) => mistake.other(each, "its items"),
                None => mistake,
            };
            mistakes.push(mistake.help("give one of them another name"));
        }
    }
}

/// Reports `slots` of a job whose tasks take none. `first`: the first job of its chain.
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
