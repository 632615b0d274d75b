//! Checks of `interactive`.

use crate::jobfile::{JobSpec, Mistake, Mistakes, StdinSpec};

/// Reports an interactive job that can't have the terminal to itself. `job`: the last of its chain, whose setting holds
/// for all.
pub(super) fn check(job: &JobSpec, mistakes: &mut Mistakes) {
    if !job.interactive {
        return;
    }
    let given = |key| job.own_key(key).unwrap_or_else(|| job.name.span.clone());
    let (place, what, help) = if let Some(worker) = &job.worker {
        (worker.span.clone(), "has workers", "a worker reads its tasks, and lives beside others")
    } else if job.daemon {
        (
            given("daemon"),
            "is a daemon",
            "a daemon runs beside other jobs, which may need the terminal as well",
        )
    } else if job.pty {
        (given("pty"), "has a terminal of its own", "keep one of `interactive` and `pty`")
    } else {
        let help =
            "what is wired together runs at once; commands of one `pipeline` have the terminal together";
        match &job.stdin.value {
            StdinSpec::Queue { .. } => (job.stdin.span.clone(), "reads a queue", help),
            StdinSpec::Pipe(_) => (job.stdin.span.clone(), "reads a pipe", help),
            _ => return,
        }
    };
    let span = given("interactive");
    let message = format!("job `{}` {what}, and can't be interactive", job.name.value);
    let mistake = Mistake::at(span.clone(), message).help(help);
    mistakes.push(if span == place { mistake } else { mistake.other(place, "it can't have the terminal") });
}
