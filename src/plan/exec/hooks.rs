//! `--on-success`, `--on-failure`, `--on-exit`: the hooks of a run of `prun exec`. Pure.

use super::args::{ExecArgs, ExecError, ExecHook};
use super::planner::shell;
use crate::jobfile::CommandSpec;
use crate::plan::hooks::job_of_run_hook;
use crate::plan::script::{ScriptText, is_posix};
use crate::plan::template::{Names, TextError};
use crate::plan::{Command, DEFAULT_GRACE, HookOn, Job, Stage, words};

/// Returns the hooks of the run as jobs. They run in the directory in which prun was started, with its environment.
pub(super) fn plan(args: &ExecArgs) -> Result<Vec<Job>, ExecError> {
    let job = |(on, hook): (HookOn, &Option<ExecHook>)| {
        let hook = hook.as_ref()?;
        let command = command(hook, args).map_err(|error| in_hook(hook, on, error));
        let grace = args.grace.unwrap_or(DEFAULT_GRACE);
        Some(command.map(|command| {
            let stage =
                Stage { start: args.start, ..Stage::new(on.name_in_run(), command, args.base.clone()) };
            job_of_run_hook(on, stage, args.output, grace)
        }))
    };
    HookOn::ALL.into_iter().zip(&args.hooks).filter_map(job).collect()
}

fn command(hook: &ExecHook, args: &ExecArgs) -> Result<Command, TextError> {
    let names = Names::default();
    let words = match hook {
        ExecHook::Flag(flag) => flag.words(&names)?,
        ExecHook::Config(CommandSpec::Line(text)) => words::line(&text.value, &names)?,
        ExecHook::Config(CommandSpec::Words(texts)) => {
            let plain: Vec<&str> = texts.iter().map(|text| text.value.as_str()).collect();
            words::words(&plain, &names).map_err(|(_, error)| error)?
        }
        ExecHook::Config(CommandSpec::Script(text)) => return script(text.value.as_bytes(), &names, args),
    };
    Ok(Command::Words { words, append_item: false })
}

fn script(text: &[u8], names: &Names, args: &ExecArgs) -> Result<Command, TextError> {
    let shell = shell(args);
    let posix = is_posix(&shell[0]);
    let text = if posix { ScriptText::parse(text, names)? } else { ScriptText::literal(text) };
    Ok(Command::Script { shell, text, posix, parameters: true })
}

/// Adds to a mistake which hook it is in.
fn in_hook(hook: &ExecHook, on: HookOn, error: TextError) -> ExecError {
    let message = match hook {
        ExecHook::Config(_) => format!("`{}` of the configuration file: {}", on.key(), error.message),
        ExecHook::Flag(_) => error.message,
    };
    ExecError { message, help: error.help }
}
