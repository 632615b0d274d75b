//! The options of `prun exec` → [`ExecArgs`], which the planner takes.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use crate::cli::args::exec::Exec;
use crate::cli::instead::Instead;
use crate::cli::settings;
use crate::cli::variables::Variables;
use crate::jobfile::Config;
use crate::jobfile::values::OutputMode;
use crate::os::find::resolve;
use crate::os::jobserver::Offer;
use crate::os::{self, limits};
use crate::plan::build::throttle;
use crate::plan::exec::{ExecArgs, ExecError, split_sources};
use crate::plan::{Joblog, Jobserver, Logs, UNLIMITED};
use crate::ui::phrases::escape;

/// Returns what the planner needs: the options, and the settings where no option says anything.
pub fn meaning(asked: &Exec, variables: &Variables, config: &Config) -> Result<ExecArgs, Instead> {
    let both = &asked.both;
    let bytes = |word: &Option<OsString>| word.clone().map(OsString::into_vec);
    let words = asked.command.iter().cloned().map(OsString::into_vec).collect();
    let (command, sources) = split_sources(words).map_err(refused)?;
    let script = asked.script || asked.shell.is_some();
    let base = std::env::current_dir();
    let cpus = limits::cpus();
    let settings = settings::resolve(both, variables, settings::exec::run_of_config(config))?;
    let (run, flags) = (settings.run, settings.overrides);
    let job = settings::exec::job(asked, variables, config);
    let offered = os::jobserver::offer() == Offer::There;
    let results = asked.results.text();
    let output = output(asked, run.output, results.is_some());
    let raw = output == Some(OutputMode::Raw);
    Ok(ExecArgs {
        function: !script && command.first().is_some_and(|name| is_function(name)),
        command,
        items: asked.items.meaning(sources)?,
        max_args: asked.items.max_args,
        fit: asked.items.fit,
        replace: bytes(&asked.items.replace),
        once: asked.items.once,
        interactive: interactive(asked),
        repeat: asked.items.repeat,
        pipe: asked.pipe.meaning()?,
        worker: asked.worker.clone(),
        script,
        shell: job.shell,
        cwd: job.cwd,
        env: job.env,
        stdin: bytes(&asked.stdin),
        stdout: bytes(&asked.stdout),
        stderr: bytes(&asked.stderr),
        tag: settings::exec::tag(both, variables, &run, raw || results.is_some()),
        results,
        start: job.start,
        timeout: job.timeout,
        retries: job.retries,
        retry_delay: job.retry_delay,
        retry_on: job.retry_on,
        ok: job.ok,
        stop_signal: job.stop_signal,
        stop: job.stop,
        throttle: throttle(&run, flags.pool_file.clone(), cpus),
        logs: Logs {
            journal: settings::exec::journal(&flags, &run)?,
            joblog: asked.joblog.as_deref().map(joblog).transpose()?,
            // `--results` may have placeholders, so the planner decides whether it is a table.
            table: None,
        },
        pool: match run.pool {
            Some(size) => size.resolve(cpus),
            // The tokens of the jobserver limit how many tasks run at once. Not with `--pipe`: its blocks are
            // held in memory, one for each task of the pool.
            None if offered && !asked.pipe.pipe => UNLIMITED,
            None => cpus,
        },
        jobserver: Jobserver::new(run.jobserver.unwrap_or_default(), offered),
        halt: run.halt.and_then(|halt| halt.limit()),
        output,
        // Under `raw` output cannot be put in order: the planner refuses the option, other layers do not
        // count.
        keep_order: both.keep_order || !raw && run.keep_order.unwrap_or(false),
        grace: run.grace,
        max_record: run.max_record,
        status: both.status.unwrap_or_default(),
        hooks: settings::exec::hooks(&flags, &run),
        base: base.map_err(|why| Instead::no_working_directory(&why))?,
    })
}

/// Turns a mistake that the planner found into a message.
pub fn refused(why: ExecError) -> Instead {
    Instead::fail(escape(why.to_string().as_bytes()))
}

/// Returns how output is printed. The option comes first; then a program that talks with a person, which
/// needs the terminal on both sides; then the setting. With `--results`, a setting of `raw` is ignored: what
/// children write to prun's stdout themselves would never reach the files.
fn output(asked: &Exec, setting: Option<OutputMode>, results: bool) -> Option<OutputMode> {
    let talks = interactive(asked) && asked.both.tag().is_none();
    let setting = setting.filter(|mode| !results || *mode != OutputMode::Raw);
    asked.both.output().or(talks.then_some(OutputMode::Raw)).or(setting)
}

/// True if the command has the terminal to itself, as in `prun exec --once vi`.
fn interactive(asked: &Exec) -> bool {
    asked.items.once && os::terminal::is_available()
}

/// Returns the log that `--joblog FILE` names. `+FILE` is appended to, as with GNU parallel.
fn joblog(typed: &OsStr) -> Result<Joblog, Instead> {
    let (file, append) = match typed.as_bytes().strip_prefix(b"+") {
        Some(file) => (OsStr::from_bytes(file), true),
        None => (typed, false),
    };
    if file.is_empty() {
        return Err(Instead::fail("`--joblog` names no file; write `--joblog FILE`"));
    }
    Ok(Joblog { path: settings::paths::absolute(Path::new(file))?, append })
}

/// True if `name` is not a program but a function that bash exported, which only bash can run.
fn is_function(name: &[u8]) -> bool {
    let variable = [b"BASH_FUNC_", name, b"%%"].concat();
    let path = || std::env::var_os("PATH");
    !name.contains(&b'/')
        && std::env::var_os(OsStr::from_bytes(&variable)).is_some()
        && resolve(name, path().as_ref().map(|path| path.as_bytes()), None).is_err()
}
