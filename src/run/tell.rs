//! What happened, put together for the listener: names, commands as lines for a shell, details of failures.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::active::{Active, Work};
use crate::event::{Detail, Time};
use crate::plan::template::{Scope, Template};
use crate::plan::words::quote;
use crate::plan::{Items, Job, Output, Plan, Stage, Stdin};

/// An item is shown up to so many bytes.
const ITEM_SHOWN: usize = 60;
/// Nobody copies a longer line from a terminal.
const LONGEST_RERUN: usize = 2000;

/// Names the run for those who look at the environment of its tasks.
pub fn run_id() -> String {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:x}", since_1970.as_micros(), std::process::id())
}

/// `build`, or `fetch[3]` for one of many.
pub fn task_name(job: &Job, seq: u64) -> String {
    match job.items {
        Items::None => job.name.to_string(),
        _ => format!("{}[{seq}]", job.name),
    }
}

/// What a task works on, cut short; bytes of unknown origin, made text.
pub fn short_item(items: &[crate::plan::Item]) -> Arc<str> {
    let Some(first) = items.first() else { return "".into() };
    let mut bytes = first.columns.join(&b' ');
    bytes.truncate(ITEM_SHOWN);
    String::from_utf8_lossy(&bytes).into()
}

/// The task's command as people may see it. Without its environment, whose values are nobody's business.
pub fn command(job: &Job, work: &Work, slot: usize) -> String {
    let scope = scope(work, slot);
    let stages: Vec<_> = job.stages.iter().map(|stage| stage.what.show(&job.name, &scope)).collect();
    stages.join(" | ")
}

/// Which parts of a line for a shell are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// All of it: it does what the task would have done.
    Told,
    /// Without what `env` sets: it stands in messages.
    Hidden,
}

/// The task as a line that a shell can run: its directory, what it reads and where its output goes as well.
pub fn line(job: &Job, work: &Work, slot: usize, values: Values) -> String {
    let scope = scope(work, slot);
    let stages: Vec<_> =
        job.stages.iter().map(|stage| stage_line(&job.name, stage, &scope, values)).collect();
    stages.join(" | ")
}

fn scope(work: &Work, slot: usize) -> Scope<'_> {
    Scope { items: &work.items, names: &work.names, seq: work.seq, slot }
}

fn stage_line(job: &str, stage: &Stage, scope: &Scope, values: Values) -> String {
    let mut line = String::new();
    if values == Values::Told {
        for (name, value) in &stage.env {
            line += &format!("{name}={} ", quoted(value, scope));
        }
    }
    line += &stage.what.show(job, scope);
    redirect(&mut line, stage, scope);
    if let Stdin::Item | Stdin::Text(_) = stage.stdin {
        line = format!("printf %s {} | {line}", quote(&fed(stage, scope)));
    }
    let folder = stage.cwd.as_ref().map(|cwd| super::wiring::path_of(cwd, &stage.base, scope));
    match folder {
        Some(folder) if std::env::current_dir().is_ok_and(|here| here != folder) => {
            format!("(cd {} && {line})", shown(&folder))
        }
        _ => line,
    }
}

fn fed(stage: &Stage, scope: &Scope) -> Vec<u8> {
    match &stage.stdin {
        Stdin::Text(text) => rendered(text, scope),
        _ => scope.items.iter().flat_map(|item| [item.columns.join(&b'\t'), vec![b'\n']].concat()).collect(),
    }
}

fn redirect(line: &mut String, stage: &Stage, scope: &Scope) {
    if let Stdin::File(path) = &stage.stdin {
        *line += &format!(" <{}", quoted(path, scope));
    }
    for (output, fd) in [(&stage.stdout, ""), (&stage.stderr, "2")] {
        match output {
            Output::Null => *line += &format!(" {fd}>/dev/null"),
            Output::Stdout => *line += " 2>&1",
            Output::File { path, append, .. } => {
                let arrow = if *append { ">>" } else { ">" };
                *line += &format!(" {fd}{arrow}{}", quoted(path, scope));
            }
            Output::Show | Output::Inherit | Output::Pipe => {}
        }
    }
}

fn quoted(template: &Template, scope: &Scope) -> String {
    quote(&rendered(template, scope))
}

fn rendered(template: &Template, scope: &Scope) -> Vec<u8> {
    let mut bytes = Vec::new();
    template.render(scope, &mut bytes);
    bytes
}

/// What people need to understand a failure. `active` is missing when the task never ran again after it was
/// told to wait.
pub fn detail(plan: &Plan, work: &Work, active: Option<&Active>, attempts: u32, now: Time) -> Detail {
    let job = &plan.jobs[work.job];
    let stages = match active {
        Some(active) if job.stages.len() > 1 => {
            let exits = active.processes.iter().map(|process| process.exit).chain(std::iter::repeat(None));
            job.stages.iter().map(|stage| stage.name.clone()).zip(exits).collect()
        }
        _ => Vec::new(),
    };
    let slot = active.map_or(0, |active| active.slot);
    let rerun = match (&plan.rerun, &job.items) {
        (Some(prun), Items::None) => format!("{prun} {}", job.name),
        _ => line(job, work, slot, Values::Hidden),
    };
    Detail {
        rerun: (rerun.len() <= LONGEST_RERUN).then_some(rerun),
        command: command(job, work, slot),
        attempts,
        elapsed: active.map_or(Time::ZERO, |active| now.saturating_sub(active.started)),
        stages,
        stderr_tail: active.map(|active| active.stderr_tail.clone()).unwrap_or_default(),
    }
}

fn shown(path: &Path) -> String {
    quote(path.as_os_str().as_bytes())
}
