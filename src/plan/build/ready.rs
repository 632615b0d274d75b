//! `ready`: how prun finds out that a task is up.

use std::time::Duration;

use super::context::Context;
use super::{stage, text};
use crate::jobfile::{self, JobSpec, Mistake, Mistakes, Text, values};
use crate::plan::template::{Scope, Template};
use crate::plan::{Output, Ready, ReadyCheck};

/// Without `timeout`.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
/// Without `every`.
const DEFAULT_EVERY: Duration = Duration::from_millis(250);

pub(super) fn plan(context: &Context, job: &JobSpec, mistakes: &mut Mistakes) -> Option<Ready> {
    let ready = job.ready.as_ref()?;
    check(job, ready, mistakes);
    let timeout = ready.timeout.unwrap_or(DEFAULT_TIMEOUT);
    let every = ready.every.unwrap_or(DEFAULT_EVERY);
    Some(match &ready.check {
        jobfile::ReadyCheckSpec::Line(pattern) => {
            Ready { check: ReadyCheck::Line(pattern.regex.clone()), timeout, every }
        }
        jobfile::ReadyCheckSpec::Port(text) => {
            Ready { check: ReadyCheck::Port(port(context, job, text, mistakes)), timeout, every }
        }
        jobfile::ReadyCheckSpec::Command(command) => {
            let mut stage = stage::hook(context, job, command, mistakes).stage;
            (stage.stdout, stage.stderr) = (Output::Null, Output::Null);
            Ready { check: ReadyCheck::Command(Box::new(stage)), timeout, every }
        }
        // The time can't come too late.
        jobfile::ReadyCheckSpec::After(after) => {
            Ready { check: ReadyCheck::After(*after), timeout: DEFAULT_TIMEOUT + *after, every }
        }
    })
}

fn check(job: &JobSpec, ready: &jobfile::ReadySpec, mistakes: &mut Mistakes) {
    let span = job.own_key("ready").unwrap_or_else(|| job.name.span.clone());
    let name = &job.name.value;
    if let Some(worker) = &job.worker {
        let mistake = Mistake::at(span, format!("the workers of job `{name}` can't have `ready`"));
        let mistake = mistake.other(worker.span.clone(), "its workers");
        mistakes.push(
            mistake
                .help("a worker is given its first task as soon as it runs, and reads it when it is ready"),
        );
    } else if job.interactive && matches!(ready.check, jobfile::ReadyCheckSpec::Line(_)) {
        let message = format!("job `{name}` is interactive, and its lines can't be looked at");
        let mistake = Mistake::at(ready.span.clone(), message);
        let mistake = match job.own_key("interactive") {
            Some(other) => mistake.other(other, "it writes to the terminal itself"),
            None => mistake,
        };
        mistakes.push(mistake.help("`port`, `command` and `after` can be had"));
    }
}

fn port(context: &Context, job: &JobSpec, text: &Text, mistakes: &mut Mistakes) -> Template {
    let before = mistakes.len();
    let template = text::template(text, &context.texts.of_task(job), mistakes);
    if !template.uses_task() && mistakes.len() == before {
        let port = template.rendered(&Scope::default());
        let port = String::from_utf8_lossy(&port);
        if let Err(why) = values::parse_port(&port) {
            let mistake = Mistake::at(text.span.clone(), format!("wrong value of `port`: `{port}`"));
            mistakes.push(mistake.label(why));
        }
    }
    template
}
