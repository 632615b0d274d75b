//! Checks of `restart`, `pty` and `dialogue`.

use super::pipes::Chain;
use crate::jobfile::values::Restart;
use crate::jobfile::{BodySpec, JobSpec, Mistake, Mistakes, StdinSpec};

/// Plans `restart`, which only a daemon that reads no pipe can have.
pub(super) fn restart(job: &JobSpec, chain: &Chain, mistakes: &mut Mistakes) -> Restart {
    let what = match chain.jobs.len() {
        1 if job.daemon => return job.restart,
        1 => "is no daemon",
        _ => "reads a pipe, and ends with what feeds it",
    };
    // Where only `[defaults]` sets it, it is for other jobs.
    if let Some(span) = job.own_key("restart").filter(|_| job.restart != Restart::Never) {
        let name = &job.name.value;
        let message = format!("job `{name}` can't be started again: it {what}");
        let help = "further attempts after a failure are `retries`; a service is a job with `daemon = true`";
        mistakes.push(Mistake::at(span, message).help(help));
    }
    Restart::Never
}

/// Reports `pty` and `dialogue` in a pipeline. A pipeline is one process group, and a process with a terminal of its own
/// has another; and prun does not see what one stage writes to the next, so that it can't have a dialogue with one.
pub(super) fn check_alone(jobs: &[&JobSpec], mistakes: &mut Mistakes) {
    for job in jobs {
        let has_stages = matches!(job.body, Some(BodySpec::Pipeline(_)));
        if jobs.len() == 1 && !has_stages {
            continue;
        }
        let name = &job.name.value;
        let what = match has_stages {
            true => format!("the pipeline of job `{name}`"),
            false => format!("job `{name}`, which is joined by a pipe,"),
        };
        let span = |key| job.own_key(key).unwrap_or_else(|| job.name.span.clone());
        let help = "what one stage writes, another reads: let one job write to a file or a queue, and another read that";
        if job.pty {
            let message = format!("{what} can't have a terminal");
            mistakes.push(Mistake::at(span("pty"), message).help(help));
        }
        if matches!(job.stdin.value, StdinSpec::Dialogue { .. }) {
            let message = format!("{what} can't have a dialogue");
            mistakes.push(Mistake::at(job.stdin.span.clone(), message).help(help));
        }
    }
}
