//! The command line: clap's definitions, one file a subcommand, and the way from what was typed to a plan.
//!
//! Arguments pass two stages: what was typed ([`args`], [`run::Run`], [`exec::Exec`]) and what it means
//! ([`run::meaning`], [`exec::meaning`]).

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use nix::libc::SIGPIPE;

use crate::jobfile::values::StatusMode;
use crate::os;
use crate::os::errors::reason;
use crate::run::Verdict;
use crate::ui::phrases::escape;

pub mod args;
pub mod check;
pub mod completions;
pub mod config;
pub mod docs;
pub mod exec;
pub mod foreign_flags;
pub mod graph;
pub mod logs;
pub mod report;
pub mod run;
pub mod show;
pub mod usage;
pub mod variables;

/// prun itself failed, as timeout(1) and env(1) say it.
const OWN_FAILURE: u8 = 125;

/// What happens in place of a run.
#[derive(Debug, PartialEq, Eq)]
pub enum Instead {
    /// It was asked for: text for stdout.
    Say(Vec<u8>),
    /// A mistake, or something that prun needs and can't get: lines for stderr.
    Fail { lines: String, status: u8 },
}

impl Instead {
    /// What happened, to what, why, what to do.
    pub fn fail(message: impl std::fmt::Display) -> Instead {
        // What was typed may stand in it. What was escaped before stays as it is.
        let message = escape(message.to_string().as_bytes());
        Instead::Fail { lines: format!("prun: {message}\n"), status: OWN_FAILURE }
    }

    /// `--status xargs` has its own number for what is xargs' own mistake.
    pub fn under(self, mode: Option<StatusMode>) -> Instead {
        match self {
            Instead::Fail { lines, .. } if mode == Some(StatusMode::Xargs) => {
                Instead::Fail { lines, status: 1 }
            }
            other => other,
        }
    }
}

pub fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if runs_tasks(&words) {
        post_guardian();
    }
    let verdict = go(&words).unwrap_or_else(|instead| match instead {
        Instead::Say(text) => print(&text),
        Instead::Fail { lines, status } => {
            // Without stderr there is nobody to tell; the status still says it.
            _ = io::stderr().write_all(lines.as_bytes());
            Verdict::Code(status)
        }
    });
    os::guardian::dismiss();
    match verdict {
        Verdict::Code(code) => ExitCode::from(code),
        Verdict::Signal(signal) => os::signals::die(signal),
    }
}

/// The subcommand is found by hand: clap would build all of them at every start, and one is enough.
fn go(words: &[OsString]) -> Result<Verdict, Instead> {
    match words.first().and_then(|word| word.to_str()) {
        Some("exec") => exec::start(exec::typed(&words[1..])?),
        Some("completions") => {
            let asked: completions::Completions = parse("prun completions", &words[1..])?;
            Err(Instead::Say(completions::script(asked.shell)))
        }
        Some("check") => check::start(parse("prun check", &words[1..])?),
        Some("graph") => graph::start(parse("prun graph", &words[1..])?),
        Some("report") => report::start(parse("prun report", &words[1..])?),
        Some("run") => run::start(parse("prun run", &words[1..])?),
        _ => run::start(parse("prun", words)?),
    }
}

fn runs_tasks(words: &[OsString]) -> bool {
    let first = words.first().and_then(|word| word.to_str());
    let others = ["check", "completions", "graph", "report", "-h", "--help", "-V", "--version"];
    !first.is_some_and(|word| others.contains(&word))
}

/// Before anything else, also before it is known what is asked for: every page that prun has used before is copied
/// when it is written to again, and what the guardian has to do it does while prun reads its arguments.
fn post_guardian() {
    if let Err(errno) = os::guardian::start() {
        // The run goes on without; what is at stake is rare.
        let why = errno.desc().to_lowercase();
        let lines = format!(
            "prun: no guardian could be started: {why}; what tasks started survives a SIGKILL of prun\n"
        );
        _ = io::stderr().write_all(lines.as_bytes());
    }
}

fn parse<T: Parser>(command: &str, words: &[OsString]) -> Result<T, Instead> {
    let line = std::iter::once(OsString::from(command)).chain(words.iter().cloned());
    T::try_parse_from(line).map_err(|asked| {
        if asked.use_stderr() {
            return Instead::fail(usage::explain(&asked, command));
        }
        let text = asked.render();
        let text = if show::stdout_has_colors() { text.ansi().to_string() } else { text.to_string() };
        Instead::Say(text.into_bytes())
    })
}

fn print(text: &[u8]) -> Verdict {
    let mut stdout = io::stdout().lock();
    printed(stdout.write_all(text).and_then(|()| stdout.flush()))
}

/// What became of writing to stdout; a reader that has seen enough ends prun as it would end any filter.
fn printed(written: io::Result<()>) -> Verdict {
    match written {
        Ok(()) => Verdict::Code(0),
        Err(why) if why.kind() == io::ErrorKind::BrokenPipe => Verdict::Signal(SIGPIPE),
        Err(why) => {
            _ = writeln!(io::stderr(), "prun: cannot write to stdout: {}", reason(&why));
            Verdict::Code(OWN_FAILURE)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    /// What prun says to a mistake.
    fn complaint(line: &str) -> String {
        match go(&words(line)) {
            Err(Instead::Fail { lines, status: 125 }) => lines,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn short_help_fits_one_screen() {
        completions::tree().debug_assert();
        for command in [run::Run::command(), exec::Exec::command()] {
            let text = command.term_width(80).render_help().to_string();
            assert!(text.lines().count() <= 24, "{} lines:\n{text}", text.lines().count());
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
            let examples = text.split("Examples:\n").nth(1).unwrap();
            assert_eq!(examples.trim_end().lines().count(), 3, "{text}");
        }
    }

    #[test]
    fn long_help_has_every_option() {
        for command in [run::Run::command(), exec::Exec::command()] {
            let text = command.clone().render_long_help().to_string();
            for option in command.get_opts().filter(|option| !option.is_hide_set()) {
                let short = option.get_short().map(|short| format!("-{short}"));
                let name = option.get_long().map(|long| format!("--{long}")).or(short).unwrap();
                assert!(text.contains(&name), "{name}");
            }
        }
    }

    #[test]
    fn mistakes_say_what_why_and_what_to_do() {
        let cases = [
            ("--jbos 3", "prun: unknown option `--jbos`; did you mean `--jobs`?\n"),
            ("exec --nonsense", "prun: unknown option `--nonsense`; `prun exec --help` lists all options\n"),
            (
                "exec -i echo",
                "prun: `-i` is not an option of prun: use `-I STR`; `{}` is the placeholder without it; with it all others are off\n",
            ),
            ("exec --shuf echo", "prun: `--shuf` is not an option of prun: put `shuf` before prun\n"),
            (
                "exec -j 4x true",
                "prun: `--jobs 4x`: expected a number, `0` for no limit, `50%` of the CPUs, `+2` more than CPUs, or a file that says one of these (there is no such file)\n",
            ),
            (
                "exec --output gruop true",
                "prun: `--output gruop`: expected `group`, `line` or `raw`; did you mean `group`?\n",
            ),
            ("exec --timeout", "prun: `--timeout` needs a value; `prun exec --help` lists all options\n"),
            (
                "exec --pipe --block -1 true",
                "prun: `--block -1`: expected a size such as 10MB; `--round-robin` gives each task its share\n",
            ),
            (
                "exec -n 0 true",
                "prun: `--max-args 0`: expected a number from 1; `--repeat N` runs the command N times, without items\n",
            ),
            (
                "exec -q -v true",
                "prun: `--quiet` and `--verbose` exclude each other; `prun exec --help` lists all options\n",
            ),
            (
                "exec -0 -d x true",
                "prun: `--null` and `--delimiter` exclude each other; `prun exec --help` lists all options\n",
            ),
            (
                "completions tcsh",
                "prun: `tcsh`: expected `bash`, `elvish`, `fish`, `powershell` or `zsh`; did you mean `zsh`?\n",
            ),
            (
                "exec --tmux true",
                "prun: `--tmux` is not an option of prun: `--lb --tag` shows what all tasks write\n",
            ),
            (
                "exec --once=3 true",
                "prun: `--once` takes no value, but was given `3`; `prun exec --help` lists all options\n",
            ),
            ("completions", "prun: `SHELL` is missing; `prun completions --help` lists all options\n"),
        ];
        for (line, expected) in cases {
            assert_eq!(complaint(line), expected, "{line}");
        }
    }
}
