//! The command line: clap's definitions, one file a subcommand, and the way from what was typed to a plan.
//!
//! # The way of a command line
//!
//! | step | module | result |
//! |---|---|---|
//! | what was typed | `parse`, `args` (mistakes: `usage`) | `args::run::Run`, `args::exec::Exec` |
//! | what the environment says | `variables` | `Variables` |
//! | which job file, and its bytes | `job_file` | |
//! | what the configuration file says | `config` | `jobfile::Config` |
//! | which value holds | `settings` | `Settings`, `JobSettings` |
//! | what all that means | `run::meaning`, `exec::meaning` | arguments of [`plan`](crate::plan) |
//! | how it is shown | `show` | options of [`ui`](crate::ui) |
//! | running it | `execute` | an exit status or a signal |
//!
//! # Order of the modules
//!
//! A module uses only those above it; a test below checks that.
//!
//! ```text
//! instead
//! stdout
//! args
//! variables
//! colors
//! foreign_flags
//! usage
//! parse
//! job_file
//! config
//! settings
//! show
//! execute
//! run  exec  check  graph  report
//! completions
//! docs
//! ```

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::os;
use crate::run::Verdict;

pub mod args;
pub mod check;
mod colors;
pub mod completions;
mod config;
pub mod docs;
pub mod exec;
mod execute;
mod foreign_flags;
pub mod graph;
pub mod instead;
mod job_file;
mod parse;
pub mod report;
pub mod run;
mod settings;
mod show;
mod stdout;
mod usage;
mod variables;

use instead::Instead;
use parse::parse;

/// Runs prun with the arguments of the process.
pub fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if runs_tasks(&words) {
        os::memory::use_one_arena();
        post_guardian();
    }
    let verdict = go(&words).unwrap_or_else(|instead| match instead {
        Instead::Say(text) => stdout::print(&text),
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

/// Runs the command that `words` name. The subcommand is found by hand: clap would build all of them at every
/// start, and one is enough.
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

/// True if the command that `words` name runs tasks.
fn runs_tasks(words: &[OsString]) -> bool {
    let first = words.first().and_then(|word| word.to_str());
    let others = ["check", "completions", "graph", "report", "-h", "--help", "-V", "--version"];
    !first.is_some_and(|word| others.contains(&word))
}

/// Starts the guardian. It is forked before anything else happens, also before the arguments are read: after
/// the fork, every page that prun has used already is copied when it is written to again, and the guardian
/// prepares itself while prun reads its arguments.
fn post_guardian() {
    if let Err(errno) = os::guardian::start() {
        // The run goes on without a guardian, which matters only if prun is killed.
        let why = os::errors::start_reason(&errno.into());
        let lines = format!(
            "prun: no guardian could be started: {why}; processes of tasks will survive a SIGKILL of prun\n"
        );
        _ = io::stderr().write_all(lines.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

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
        for command in [args::run::Run::command(), args::exec::Exec::command()] {
            let text = command.term_width(80).render_help().to_string();
            assert!(text.lines().count() <= 24, "{} lines:\n{text}", text.lines().count());
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
            let examples = text.split("Examples:\n").nth(1).unwrap();
            assert_eq!(examples.trim_end().lines().count(), 3, "{text}");
        }
    }

    #[test]
    fn long_help_has_every_option() {
        for command in [args::run::Run::command(), args::exec::Exec::command()] {
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

    /// The modules of `cli` as the documentation above orders them, each with the number of its line.
    fn order() -> Vec<(&'static str, usize)> {
        let diagram = include_str!("mod.rs").split("//! ```text\n").nth(1).unwrap();
        let lines =
            diagram.lines().map(|line| line.trim_start_matches("//! ")).take_while(|line| *line != "```");
        lines.enumerate().flat_map(|(at, line)| line.split_whitespace().map(move |name| (name, at))).collect()
    }

    fn files(path: &Path, found: &mut Vec<PathBuf>) {
        if path.is_dir() {
            std::fs::read_dir(path).unwrap().for_each(|entry| files(&entry.unwrap().path(), found));
        } else {
            found.push(path.to_owned());
        }
    }

    /// The modules of `cli` that `code` uses, which stands `depth` folders below `cli`.
    fn used(code: &str, depth: usize) -> Vec<String> {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let first = |path: &str| path.trim().chars().take_while(|c| is_name(*c)).collect::<String>();
        let from = |prefix: &str| -> Vec<String> {
            let names = |rest: &str| match rest.strip_prefix('{') {
                Some(group) => group[..group.find('}').unwrap()].split(',').map(first).collect::<Vec<_>>(),
                None => vec![first(rest)],
            };
            code.split(prefix).skip(1).flat_map(names).collect()
        };
        [from(&format!(" {}", "super::".repeat(depth + 1))), from("crate::cli::")].concat()
    }

    #[test]
    fn modules_use_only_those_above_them() {
        let order = order();
        let line_of = |name: &str| order.iter().find(|known| known.0 == name).map(|known| known.1);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli");
        let mut found = Vec::new();
        files(&folder, &mut found);
        let mut wrong = Vec::new();
        for path in found.iter().filter(|path| !path.ends_with("mod.rs") && !path.ends_with("tests.rs")) {
            let inner = path.strip_prefix(&folder).unwrap();
            let module = first_part(inner);
            let own = line_of(&module).unwrap_or_else(|| panic!("`{module}` is missing in the order"));
            let code = std::fs::read_to_string(path).unwrap();
            let code = code.split("#[cfg(test)]").next().unwrap();
            let used = used(code, inner.components().count() - 1);
            let climbs = |name: &String| *name != module && line_of(name).is_some_and(|line| line >= own);
            wrong.extend(used.into_iter().filter(climbs).map(|name| format!("{}: {name}", inner.display())));
        }
        assert!(order.len() > 15 && found.len() > 30, "{order:?}");
        assert_eq!(wrong, Vec::<String>::new());
        assert_eq!(used("use super::args::Both;\nuse super::{config, run};", 0), ["args", "config", "run"]);
        assert_eq!(used("use super::super::args;\nuse crate::cli::show;", 1), ["args", "show"]);
    }

    /// `exec` of `exec.rs` and of `exec/hints.rs`.
    fn first_part(path: &Path) -> String {
        let part = path.components().next().unwrap().as_os_str();
        part.to_str().unwrap().trim_end_matches(".rs").to_owned()
    }
}
