//! Doubts about keys that have no effect, or hardly the one that was meant.

use std::collections::HashSet;

use super::Search;
use crate::jobfile::{EachSpec, JobSpec, Mistake, StdinSpec, When, nearest};
use crate::plan::{Restart, UNLIMITED};

/// Checks the file as a whole.
pub(super) fn of_the_file(search: &mut Search) {
    unused_variables(search);
    locks(search);
}

/// Checks the keys of a job.
pub(super) fn of(search: &mut Search, job: &JobSpec) {
    unused_retry_keys(search, job);
    one_task(search, job);
    large_pool(search, job);
    daemon(search, job);
    after_twice(search, job);
    after_daemon(search, job);
    shared_stdin(search, job);
}

/// Doubts variables that are not used. The text is searched as a whole: `{name}` counts as a use wherever it is.
fn unused_variables(search: &mut Search) {
    if search.file.vars.is_empty() {
        return;
    }
    let source = search.found.source().to_owned();
    let mut used = HashSet::new();
    for part in source.split('{').skip(1) {
        let end =
            part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').unwrap_or(part.len());
        if part[end..].starts_with(['}', '.', '/', '%']) {
            used.insert(&part[..end]);
        }
    }
    for (name, _) in &search.file.vars {
        if !used.contains(name.value.as_str()) {
            let message = format!("the variable `{}` is never used", name.value);
            let help = format!("a string of a job takes it with `{{{}}}`", name.value);
            search.found.push(Mistake::at(name.span.clone(), message).help(help));
        }
    }
}

/// Doubts `retry_delay` and `retry_on` without `retries`.
fn unused_retry_keys(search: &mut Search, job: &JobSpec) {
    if job.retries.unwrap_or(0) > 0 || job.worker.is_some() || job.own_key("restart").is_some() {
        return;
    }
    for key in ["retry_delay", "retry_on"] {
        if let Some(span) = job.own_key(key) {
            let message =
                format!("`{key}` of job `{}` has no effect: there are no `retries`", job.name.value);
            search.doubt(Mistake::at(span, message).help("`retries = 3` tries up to three more times"));
        }
    }
}

/// Doubts settings for several tasks of a job that has one.
fn one_task(search: &mut Search, job: &JobSpec) {
    if job.each.is_some() || job.repeat.is_some_and(|count| count > 1) {
        return;
    }
    for (key, set) in [("pool", job.pool.is_some()), ("keep_order", job.keep_order == Some(true))] {
        if let Some(span) = job.own_key(key).filter(|_| set) {
            let message = format!("`{key}` of job `{}` has no effect: it has one task", job.name.value);
            search.doubt(
                Mistake::at(span, message).help("`each` gives it items, `repeat` several tasks without"),
            );
        }
    }
}

/// Doubts a `pool` that is larger than the one of `[run]`. A flag or the configuration file may change that, but the file
/// is read alone.
fn large_pool(search: &mut Search, job: &JobSpec) {
    let cpus = search.options.cpus;
    let (Some(own), Some(whole), Some(span)) = (job.pool, search.file.run.pool, job.own_key("pool")) else {
        return;
    };
    let (own, whole) = (own.resolve(cpus), whole.resolve(cpus));
    let reads = matches!(job.each, Some(EachSpec::Queue { .. }));
    if own > whole
        && own != UNLIMITED
        && !reads
        && !job.daemon
        && (job.each.is_some() || job.repeat.is_some())
    {
        let message =
            format!("job `{}` may run {own} tasks at once, but the whole run {whole}", job.name.value);
        search.doubt(
            Mistake::at(span, message)
                .help("the smaller one counts: raise `pool` in `[run]`, or lower this one"),
        );
    }
}

/// Doubts a daemon with a `timeout`.
fn daemon(search: &mut Search, job: &JobSpec) {
    let (true, Some(_), Some(span)) = (job.daemon, job.timeout, job.own_key("timeout")) else { return };
    let message =
        format!("the daemon `{}` is stopped after its `timeout`, which is a failure", job.name.value);
    let help = "a daemon is stopped by itself when it is needed no more; how long it may take to come up is said by \
                `ready = { timeout = … }`";
    search.doubt(Mistake::at(span, message).help(help));
}

/// Doubts a job that waits for another one twice.
fn after_twice(search: &mut Search, job: &JobSpec) {
    let mut seen = HashSet::new();
    for after in &job.after {
        if !seen.insert(&after.job.value) {
            let message = format!("job `{}` waits for `{}` twice", job.name.value, after.job.value);
            search.doubt(Mistake::at(after.job.span.clone(), message).help("take one away"));
        }
    }
}

/// Doubts a job that waits for the end of a daemon that is always restarted: the daemon ends only when it is stopped,
/// and that is when this job has ended as well. A daemon that may end by itself can be waited for as any other job.
fn after_daemon(search: &mut Search, job: &JobSpec) {
    for after in &job.after {
        let other = search.index.get(after.job.value.as_str()).map(|job| &search.file.jobs[*job]);
        let Some(other) = other.filter(|other| other.restart == Restart::Always) else { continue };
        if other.daemon && matches!(after.when, Some(When::Success | When::Exit)) {
            let name = &after.job.value;
            let message =
                format!("job `{}` waits for the end of `{name}`, which is always restarted", job.name.value);
            let help = format!("write `{name} = \"ready\"` to wait until it is up");
            let doubt =
                Mistake::at(after.job.span.clone(), message).other(other.name.span.clone(), "this one");
            search.doubt(doubt.help(help));
        }
    }
}

/// Doubts locks that no job takes, and names that are probably misspelt locks.
fn locks(search: &mut Search) {
    let file = search.file;
    let listed: HashSet<&str> = file.locks.iter().map(|lock| lock.name.value.as_str()).collect();
    let mut taken = HashSet::new();
    for want in file.jobs.iter().flat_map(|job| &job.locks) {
        let name = want.lock.value.as_str();
        if !taken.insert(name) || listed.contains(name) {
            continue;
        }
        if let Some(near) = nearest(name, listed.iter().copied()) {
            let message = format!("`[locks]` lists no `{name}`, but `{near}`");
            let help =
                format!("did you mean `{near}`? As it is, `{name}` is a lock of its own, with one permit");
            search.doubt(Mistake::at(want.lock.span.clone(), message).help(help));
        }
    }
    for lock in file.locks.iter().filter(|lock| !taken.contains(lock.name.value.as_str())) {
        let message = format!("no job takes the lock `{}`", lock.name.value);
        let help = format!("a job takes it with `locks = [\"{}\"]`", lock.name.value);
        search.doubt(Mistake::at(lock.name.span.clone(), message).help(help));
    }
}

/// Doubts tasks that read prun's stdin at the same time: which task gets which part of it is not determined.
fn shared_stdin(search: &mut Search, job: &JobSpec) {
    let many = job.each.is_some() || job.repeat.is_some_and(|count| count > 1);
    let one_at_a_time =
        job.pool.is_some_and(|pool| pool.resolve(search.options.cpus) == 1) || job.interactive;
    if matches!(job.stdin.value, StdinSpec::Inherit) && many && !one_at_a_time {
        let message = format!("the tasks of job `{}` read prun's stdin side by side", job.name.value);
        let help = "each gets some part of it; `pool = 1` runs one after another";
        search.doubt(Mistake::at(job.stdin.span.clone(), message).help(help));
    }
}
