//! `on_success`, `on_failure` and `on_exit` of `[run]` → jobs of the plan.

use super::job::{Context, GRACE};
use super::stage;
use crate::jobfile::{CommandSpec, Mistake, Mistakes, RunHookSpec};
use crate::plan::{AtEnd, Job, What, hooks};

/// What the command line says replaces what `[run]` says.
pub(super) fn plan(context: &Context, mistakes: &mut Mistakes) -> Vec<Job> {
    AtEnd::ALL.into_iter().filter_map(|at| job(context, at, mistakes)).collect()
}

fn job(context: &Context, at: AtEnd, mistakes: &mut Mistakes) -> Option<Job> {
    let Context { file, how, texts, .. } = context;
    let stage = match &how.run.hooks[at as usize] {
        Some(flag) if flag.is_none() => return None,
        Some(flag) => {
            let words = flag.words(&texts.of_task(&file.defaults)).unwrap_or_else(|error| {
                mistakes.push(Mistake { help: error.help, ..Mistake::new(error.message) });
                Vec::new()
            });
            stage::of_run(context, at, mistakes, |_| What::Command { words, append_item: false })
        }
        None => {
            let command = written(&file.run, at)?;
            stage::of_run(context, at, mistakes, |writer| writer.what(command, false))
        }
    };
    let output = file.run.output;
    let grace = file.run.grace.unwrap_or(GRACE);
    Some(hooks::of_run(at, stage, output, grace))
}

/// What a file says.
pub fn written(run: &crate::jobfile::RunSpec, at: AtEnd) -> Option<&CommandSpec> {
    let hook = match at {
        AtEnd::Success => &run.on_success,
        AtEnd::Failure => &run.on_failure,
        AtEnd::Exit => &run.on_exit,
    };
    match hook {
        Some(RunHookSpec::Command(command)) => Some(command),
        Some(RunHookSpec::None) | None => None,
    }
}
