//! `prun exec`: one command over many items.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use clap::Parser;

use crate::jobfile::values::{
    Outcomes, OutputMode, RetryDelay, StartMode, parse_outcomes, parse_retry_rule, parse_signal,
    parse_timeout,
};

use super::args::{Both, STOPPING};
use super::logs::{JOURNAL, absolute};
use super::run::run_plan;
use super::variables::variables;
use super::{Instead, config, reason, show};
use crate::jobfile::{self, Config};
use crate::os::find::resolve;
use crate::os::jobserver::Offer;
use crate::os::{self, limits};
use crate::plan::build::brakes;
use crate::plan::exec::{ExecArgs, ExecError, parse_worker, plan, split_sources};
use crate::plan::{Joblog, Jobserver, Logs, Timeout, UNLIMITED, Worker};
use crate::run::Verdict;
use crate::ui::phrases::escape;

mod hints;
mod items;
mod pipe;
mod precedence;
mod results;
mod values;

use items::ItemOptions;
use pipe::Pipe;
use results::Results;
pub use values::Shell;
use values::start_parser;

const COMMAND: &str = "Command";
const ATTEMPTS: &str = "Attempts";

/// Run COMMAND for each item: a line of stdin or of FILE, or a word after `:::`
#[derive(Parser, Debug)]
#[command(name = "exec", bin_name = "prun exec", args_override_self = true, max_term_width = 100)]
#[command(override_usage = "prun exec [OPTIONS] COMMAND [ARG...] [::: ITEM...]... [:::: FILE...]...")]
#[command(after_help = EXAMPLES, after_long_help = LONG_EXAMPLES)]
pub struct Exec {
    #[command(flatten)]
    pub both: Both,

    #[command(flatten)]
    items: ItemOptions,

    #[command(flatten)]
    pipe: Pipe,

    /// Let processes that live on take the items, a line each, and answer each with a line
    ///
    /// As many as run at once are started. Keys, joined by commas: `reply=line`, `reply=nul` or
    /// `reply=until:REGEX` (what an answer ends with), `fail=REGEX` (an answer that matches is a failure),
    /// `ahead=N` (items given to one before its answers come), `max_tasks=N` (answers after which it is
    /// replaced), `init=TEXT` (what each gets first, such as `good day\n`). A comma belongs to a value unless a key and `=` follow
    /// it. COMMAND must flush its output after each answer; `--retries` is 2 here.
    #[arg(long, value_name = "KEY=VALUE,...", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "", value_parser = parse_worker)]
    #[arg(conflicts_with_all = ["fit", "max_args", "replace", "repeat", "once", "stdin"])]
    #[arg(help_heading = COMMAND, hide_short_help = true)]
    worker: Option<Worker>,

    /// COMMAND is a script for the shell
    ///
    /// Its words are joined by blanks. Without COMMAND each item is a script of its own.
    #[arg(short = 'c', long)]
    script: bool,

    /// The shell of scripts [default: /bin/sh]; implies -c
    #[arg(long, value_name = "SHELL", value_parser = Shell::parse, help_heading = COMMAND, hide_short_help = true)]
    shell: Option<Shell>,

    /// Run in this folder
    #[arg(short = 'C', long, alias = "wd", value_name = "DIR", help_heading = COMMAND, hide_short_help = true)]
    cwd: Option<OsString>,

    /// Set a variable of the environment
    ///
    /// May be given more than once. VALUE may hold placeholders.
    #[arg(long, value_name = "NAME=VALUE", help_heading = COMMAND, hide_short_help = true)]
    env: Vec<OsString>,

    /// Read each task's input from FILE (with placeholders)
    #[arg(long, value_name = "FILE", help_heading = COMMAND, hide_short_help = true)]
    stdin: Option<OsString>,

    /// Write each task's output to FILE: --stdout {%.gz}.txt
    #[arg(long, value_name = "FILE", help_heading = COMMAND, hide_short_help = true)]
    stdout: Option<OsString>,

    /// Write each task's error output to FILE (with placeholders)
    #[arg(long, value_name = "FILE", help_heading = COMMAND, hide_short_help = true)]
    stderr: Option<OsString>,

    #[command(flatten)]
    results: Results,

    /// Write a line for each ended task to FILE, in GNU parallel's format
    ///
    /// What FILE held is gone, unless it is written as `+FILE`. For going on after an interruption see `--journal`.
    #[arg(long, value_name = "FILE", help_heading = JOURNAL, hide_short_help = true)]
    joblog: Option<OsString>,

    /// Make processes by spawn or fork [default: spawn]
    ///
    /// With `spawn` a child shares prun's memory until it executes, as posix_spawn(3) and vfork(2) do; with
    /// `fork` it is a copy-on-write copy.
    #[arg(long, value_name = "HOW", value_parser = start_parser(), hide_possible_values = true)]
    #[arg(help_heading = COMMAND, hide_short_help = true)]
    start: Option<StartMode>,

    /// Stop an attempt that takes longer: 30s, 1h30m
    ///
    /// Or, from the third task that ended ok on, longer than so much of the median of what these took: `300%`.
    #[arg(long, value_name = "DURATION", value_parser = parse_timeout)]
    timeout: Option<Timeout>,

    /// Try again up to N times after a failure
    #[arg(long, value_name = "N")]
    retries: Option<u32>,

    /// Wait this long before each further attempt [default: 0]
    ///
    /// A delay that grows has keys, joined by commas: `1s,factor=2,max=1m,jitter` is multiplied by 2 after each
    /// attempt, up to a minute (these two hold unless they are given), and with `jitter` a random part is taken off.
    #[arg(long, value_name = "DURATION", value_parser = parse_retry_rule)]
    #[arg(help_heading = ATTEMPTS, hide_short_help = true)]
    retry_delay: Option<RetryDelay>,

    /// Try again only after these: exit codes, timeout, signal
    #[arg(long, value_name = "OUTCOMES", value_parser = parse_outcomes)]
    #[arg(help_heading = ATTEMPTS, hide_short_help = true)]
    retry_on: Option<Outcomes>,

    /// What counts as success: exit codes, timeout, signal, joined by commas: 0,1 [default: 0]
    #[arg(long, value_name = "OUTCOMES", value_parser = parse_outcomes)]
    #[arg(help_heading = ATTEMPTS, hide_short_help = true)]
    ok: Option<Outcomes>,

    /// How a task is stopped [default: TERM]
    #[arg(long, value_name = "SIGNAL", value_parser = parse_signal)]
    #[arg(help_heading = STOPPING, hide_short_help = true)]
    stop_signal: Option<i32>,

    /// The command and its arguments, up to `:::`
    #[arg(value_name = "COMMAND", trailing_var_arg = true, hide = true)]
    command: Vec<OsString>,
}

/// What was typed. GNU parallel's `--header` takes a `:`, which hands write: behind `--header` it is no command.
pub fn typed(words: &[OsString]) -> Result<Exec, Instead> {
    let asked: Exec = super::parse("prun exec", words)?;
    let (options, command) = words.split_at(words.len() - asked.command.len());
    match command {
        [colon, rest @ ..] if colon == ":" && options.last().is_some_and(|option| option == "--header") => {
            super::parse("prun exec", &[options, rest].concat())
        }
        _ => Ok(asked),
    }
}

/// Runs the command over its items.
pub fn start(asked: Exec) -> Result<Verdict, Instead> {
    let status = asked.both.status;
    go(asked).map_err(|instead| instead.under(status))
}

fn go(mut asked: Exec) -> Result<Verdict, Instead> {
    asked.both.variables = variables()?;
    let both = &asked.both;
    let config = config::read(both)?;
    let args = meaning(&asked, &config)?;
    // Before what else is missing: `--retry-failed` without a command is how others spell it.
    both.journal.check(args.logs.journal.as_ref())?;
    hints::check_one_word(&args)?;
    let plan = plan(args).map_err(refused)?;
    asked.results.check(both, &plan)?;
    // That may be meant; somebody who watches sees it in time.
    if !both.quiet && io::stderr().is_terminal() && hints::leaves_items_out(&plan) {
        _ = writeln!(io::stderr(), "{}", hints::LEFT_OUT);
    }
    // Somebody who forgot the items would wait for prun, which waits for them.
    if !both.quiet && show::items_are_typed(&plan) {
        _ = writeln!(io::stderr(), "{}", if plan.queues.is_empty() { TYPED } else { TYPED_INPUT });
    }
    run_plan(plan, both, true)
}

const TYPED: &str = "prun: reading items from the terminal, one a line; Ctrl-D ends them (or give them with `:::` or \
                     `-a FILE`; `--once` takes none)";

const TYPED_INPUT: &str =
    "prun: reading from the terminal; Ctrl-D ends the input (or name it with `-a FILE`)";

fn refused(why: ExecError) -> Instead {
    Instead::fail(escape(why.to_string().as_bytes()))
}

/// What was typed, and what holds without it, as the planner wants it.
pub(super) fn meaning(asked: &Exec, config: &Config) -> Result<ExecArgs, Instead> {
    let both = &asked.both;
    let bytes = |word: &Option<OsString>| word.clone().map(OsString::into_vec);
    let words = asked.command.iter().cloned().map(OsString::into_vec).collect();
    let (command, sources) = split_sources(words).map_err(refused)?;
    let scripted = asked.script || asked.shell.is_some();
    let function = !scripted && command.first().is_some_and(|name| is_function(name));
    let base = std::env::current_dir();
    let cpus = limits::cpus();
    let flags = both.overrides()?;
    let offered = os::jobserver::offer() == Offer::There;
    let given = &config.defaults;
    // There is one job, so that what holds for each holds for all.
    let run = jobfile::Run {
        rate: given.rate.or(config.run.rate),
        halt: given.halt.or(config.run.halt),
        ..config.run.clone()
    };
    let output = both.output().or_else(|| uses_terminal(asked).then_some(OutputMode::Raw));
    let results = asked.results.text();
    // What children write themselves never comes to files of prun's.
    let lower = flags.output.or(run.output).filter(|mode| results.is_none() || *mode != OutputMode::Raw);
    let output = output.or(lower);
    let raw = output == Some(OutputMode::Raw);
    Ok(ExecArgs {
        command,
        function,
        items: asked.items.meaning(sources)?,
        max_args: asked.items.max_args,
        fit: asked.items.fit,
        replace: bytes(&asked.items.replace),
        once: asked.items.once,
        interactive: interactive(asked),
        repeat: asked.items.repeat,
        pipe: asked.pipe.meaning()?,
        worker: asked.worker.clone(),
        script: scripted,
        shell: precedence::shell(asked, config),
        cwd: bytes(&asked.cwd).or_else(|| given.cwd.as_ref().map(|cwd| cwd.value.clone().into_bytes())),
        env: precedence::env(asked, config),
        stdin: bytes(&asked.stdin),
        stdout: bytes(&asked.stdout),
        stderr: bytes(&asked.stderr),
        tag: precedence::tag(asked, config, raw || results.is_some()),
        results,
        start: asked.start.unwrap_or(given.start),
        timeout: asked.timeout.or(given.timeout),
        retries: asked.retries.or(given.retries),
        retry_delay: asked.retry_delay.or(given.retry_delay),
        retry_on: asked.retry_on.clone().or_else(|| given.retry_on.clone()),
        ok: asked.ok.clone().or_else(|| given.ok.clone()),
        stop_signal: asked.stop_signal.or(given.stop_signal),
        brakes: brakes(&run, &flags, cpus),
        logs: Logs {
            journal: precedence::journal(&flags, config)?,
            joblog: asked.joblog.as_deref().map(joblog).transpose()?,
            // What was typed depends on placeholders.
            table: None,
        },
        pool: match flags.pool.or(run.pool) {
            Some(size) => size.resolve(cpus),
            // Its tokens say how many run at once. (What an input is cut into is held in memory.)
            None if offered && !asked.pipe.pipe => UNLIMITED,
            None => cpus,
        },
        jobserver: Jobserver::new(flags.jobserver.or(run.jobserver).unwrap_or_default(), offered),
        halt: flags.halt.or(run.halt).flatten(),
        output,
        // What children write themselves can't be put in order; only the option insists on it.
        keep_order: both.keep_order || !raw && flags.keep_order.or(run.keep_order).unwrap_or(false),
        grace: flags.grace.or(run.grace),
        status: both.status.unwrap_or_default(),
        hooks: precedence::hooks(&flags, config),
        base: base.map_err(|why| {
            Instead::fail(format_args!("the working directory can't be found: {}", reason(&why)))
        })?,
    })
}

/// `+FILE` is added to, as with GNU parallel.
fn joblog(typed: &OsStr) -> Result<Joblog, Instead> {
    let (file, append) = match typed.as_bytes().strip_prefix(b"+") {
        Some(file) => (OsStr::from_bytes(file), true),
        None => (typed, false),
    };
    if file.is_empty() {
        return Err(Instead::fail("`--joblog` names no file; write `--joblog FILE`"));
    }
    Ok(Joblog { path: absolute(Path::new(file))?, append })
}

/// It is no program, but a function that bash exported: only bash can run it.
fn is_function(name: &[u8]) -> bool {
    let variable = [b"BASH_FUNC_", name, b"%%"].concat();
    let path = || std::env::var_os("PATH");
    !name.contains(&b'/')
        && std::env::var_os(OsStr::from_bytes(&variable)).is_some()
        && resolve(name, path().as_ref().map(|path| path.as_bytes()), None).is_err()
}

/// `prun exec --once vi`: it has the terminal to itself, if prun has one.
fn interactive(asked: &Exec) -> bool {
    asked.items.once && os::terminal::is_available()
}

/// A program that talks with a person needs the terminal on both sides.
fn uses_terminal(asked: &Exec) -> bool {
    interactive(asked) && asked.both.tag().is_none()
}

const EXAMPLES: &str = "\
Examples:
  find . -name '*.gz' | prun exec gzip -t {}
  prun exec -j 8 --retries 2 -- curl -fsSO {} ::: $(cat urls)
  prun exec -c 'grep -c x {} >{/.}.count' ::: *.log        (--help: all options)";

const LONG_EXAMPLES: &str = "\
Placeholders:
  {}      the item, added at the end if there is no placeholder (not to a script: $1)
  {.}     without its last extension; {..} without two
  {/}     base name; {//} folder; {/.} base name without extension
  {%END}  without that ending, such as {%.tar.gz}
  {#}     number of the task, from 1; {%} slot in which it runs
  {1}     first column or item of several; {2}, {-1}, {1/.} likewise

Examples:
  find . -name '*.gz' | prun exec gzip -t {}
  prun exec -j 8 --retries 2 -- curl -fsSO {} ::: $(cat urls)
  prun exec -c 'grep -c x {} >{/.}.count' ::: *.log";

#[cfg(test)]
mod tests;
