//! `pty` and `dialogue`: where they can stand.

use crate::jobfile::{Job, Mistake, Mistakes, Stdin, What};

/// A terminal, and what prun talks to, must be alone: what runs in one pipeline is one process group, and a terminal
/// has its own; and prun doesn't see what one stage writes to the next.
pub(super) fn check_alone(jobs: &[&Job], mistakes: &mut Mistakes) {
    for job in jobs {
        let has_stages = matches!(job.what, Some(What::Pipeline(_)));
        if jobs.len() == 1 && !has_stages {
            continue;
        }
        let name = &job.name.value;
        let what = match has_stages {
            true => format!("the pipeline of job `{name}`"),
            false => format!("job `{name}`, which is joined by a pipe,"),
        };
        let span = |key| job.given(key).unwrap_or_else(|| job.name.span.clone());
        let help = "what one stage writes, another reads: let one job write to a file or a queue, and another read that";
        if job.pty {
            let message = format!("{what} can't have a terminal");
            mistakes.push(Mistake::at(span("pty"), message).help(help));
        }
        if matches!(job.stdin.value, Stdin::Dialogue { .. }) {
            let message = format!("{what} can't have a dialogue");
            mistakes.push(Mistake::at(job.stdin.span.clone(), message).help(help));
        }
    }
}
