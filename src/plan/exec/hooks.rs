//! `--on-success`, `--on-failure`, `--on-exit`: the hooks of a run of `prun exec`. Pure.

use std::collections::BTreeMap;

use super::{ExecArgs, ExecError, GRACE, shell};
use crate::jobfile::CommandSpec;
use crate::jobfile::values::Outcomes;
use crate::plan::hooks::{HookFlag, of_run};
use crate::plan::script::{ScriptText, is_posix};
use crate::plan::template::{Names, TextError};
use crate::plan::{AtEnd, Job, Output, Setup, Stage, Stdin, What, words};

/// A command at the end of the run.
#[derive(Debug, Clone)]
pub enum ExecHook {
    Flag(HookFlag),
    /// Of the configuration file.
    Config(CommandSpec),
}

/// The jobs that they are. They run where prun was started, with what its environment holds.
pub(super) fn plan(args: &ExecArgs) -> Result<Vec<Job>, ExecError> {
    let job = |(at, hook): (AtEnd, &Option<ExecHook>)| {
        let hook = hook.as_ref()?;
        let what = what(hook, args).map_err(|error| told(hook, at, error));
        let job = |what| of_run(at, stage(at, what, args), args.output, args.grace.unwrap_or(GRACE));
        Some(what.map(job))
    };
    AtEnd::ALL.into_iter().zip(&args.hooks).filter_map(job).collect()
}

fn what(hook: &ExecHook, args: &ExecArgs) -> Result<What, TextError> {
    let vars = BTreeMap::new();
    let names = Names {
        items: false,
        columns: &[],
        vars: &vars,
        args: None,
        open: false,
        locks: &[],
        untaken: &[],
        width: None,
    };
    let words = match hook {
        ExecHook::Flag(flag) => flag.words(&names)?,
        ExecHook::Config(CommandSpec::Line(text)) => words::line(&text.value, &names)?,
        ExecHook::Config(CommandSpec::Words(texts)) => {
            let plain: Vec<&str> = texts.iter().map(|text| text.value.as_str()).collect();
            words::words(&plain, &names).map_err(|(_, error)| error)?
        }
        ExecHook::Config(CommandSpec::Script(text)) => return script_of(text.value.as_bytes(), &names, args),
    };
    Ok(What::Command { words, append_item: false })
}

fn script_of(text: &[u8], names: &Names, args: &ExecArgs) -> Result<What, TextError> {
    let shell = shell(args);
    let posix = is_posix(&shell[0]);
    let text = if posix { ScriptText::parse(text, names)? } else { ScriptText::literal(text) };
    Ok(What::Script { shell, text, posix })
}

fn stage(at: AtEnd, what: What, args: &ExecArgs) -> Stage {
    Stage {
        name: at.name_in_run(),
        what,
        stdin: Stdin::Report,
        stdout: Output::Show,
        stderr: Output::Show,
        seq_file: None,
        env: Vec::new(),
        cwd: None,
        base: args.base.clone(),
        start: args.start,
        setup: Setup::default(),
        ok: Outcomes::success(),
        pty: false,
    }
}

fn told(hook: &ExecHook, at: AtEnd, error: TextError) -> ExecError {
    let message = match hook {
        ExecHook::Config(_) => format!("`{}` of the configuration file: {}", at.key(), error.message),
        ExecHook::Flag(_) => error.message,
    };
    ExecError { message, help: error.help }
}
