//! `on_success`, `on_failure` and `on_exit` of `[run]` → jobs of the plan.

use super::context::Context;
use super::stage;
use crate::jobfile::{CommandSpec, Mistake, Mistakes, RunHookSpec, RunSpec};
use crate::plan::hooks::job_of_run_hook;
use crate::plan::{Command, DEFAULT_GRACE, HookOn, Job};

/// Plans the hooks of the run. A flag replaces the setting of `[run]`.
pub(super) fn plan(context: &Context, mistakes: &mut Mistakes) -> Vec<Job> {
    HookOn::ALL.into_iter().filter_map(|on| job(context, on, mistakes)).collect()
}

fn job(context: &Context, on: HookOn, mistakes: &mut Mistakes) -> Option<Job> {
    let Context { file, options, texts, .. } = context;
    let stage = match &options.run.hooks[on as usize] {
        Some(flag) if flag.is_none() => return None,
        Some(flag) => {
            let words = flag.words(&texts.of_task(&file.defaults)).unwrap_or_else(|error| {
                mistakes.push(Mistake { help: error.help, ..Mistake::new(error.message) });
                Vec::new()
            });
            stage::run_hook(context, on, mistakes, |_| Command::Words { words, append_item: false })
        }
        None => {
            let command = in_file(&file.run, on)?;
            stage::run_hook(context, on, mistakes, |planner| planner.command(command, false))
        }
    };
    let output = file.run.output;
    let grace = file.run.grace.unwrap_or(DEFAULT_GRACE);
    Some(job_of_run_hook(on, stage, output, grace))
}

/// Returns the hook that `[run]` sets.
pub fn in_file(run: &RunSpec, on: HookOn) -> Option<&CommandSpec> {
    let hook = match on {
        HookOn::Success => &run.on_success,
        HookOn::Failure => &run.on_failure,
        HookOn::Exit => &run.on_exit,
    };
    match hook {
        Some(RunHookSpec::Command(command)) => Some(command),
        Some(RunHookSpec::None) | None => None,
    }
}
