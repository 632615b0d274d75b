//! `daemon` and `pty`: where they can stand in this version.

use super::pipes::Chain;
use crate::jobfile::{Each, Job, Mistake, Mistakes, Stdin, What};

/// `first`: the first job of its chain.
pub(super) fn check(job: &Job, first: &Job, chain: &Chain, mistakes: &mut Mistakes) {
    let reads = chain.jobs.len() > 1
        || matches!(first.stdin.value, Stdin::Queue { .. })
        || matches!(job.each, Some(Each::Queue { .. }));
    if job.daemon && !reads && !job.broken {
        let message = "a daemon that reads no pipe and no queue is not supported by this version of prun";
        let span = job.given("daemon").unwrap_or_else(|| job.name.span.clone());
        let help = "one that reads is stopped when that has run dry: `stdin = { queue = \"…\" }`";
        mistakes.push(Mistake::at(span, message).help(help));
    }
    if let (true, Some(What::Pipeline(_))) = (job.pty, &job.what) {
        let span = job.given("pty").unwrap_or_else(|| job.name.span.clone());
        let mistake =
            Mistake::at(span, format!("the pipeline of job `{}` can't have a terminal", job.name.value));
        mistakes.push(
            mistake.help(
                "the stages of a pipeline write to each other; jobs that a pipe joins can have one each",
            ),
        );
    }
}
