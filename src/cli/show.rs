//! How a run is shown: the options, the terminal and the plan → the options of `ui`.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::time::Duration;

use nix::unistd::{getpgrp, tcgetpgrp};

use crate::jobfile::values::OutputMode;
use crate::os;
use crate::plan::{Input, Items, Job, Output, Plan, Stdin};
use crate::ui::{Options, Progress, Voice};

use super::args::{self, Both};

/// Runs shorter than this show no bar with `--progress=auto`.
const PATIENCE: Duration = Duration::from_millis(500);

/// Columns and lines of a terminal that does not tell its size.
const USUAL_SIZE: (u16, u16) = (80, 24);

/// Returns the options of `ui`. `color`: stderr may have colours. `exec`: the command is `prun exec`.
pub fn options(both: &Both, color: bool, plan: &Plan, exec: bool) -> Options {
    let watched = io::stderr().is_terminal();
    Options {
        voice: voice(both),
        progress: progress(both, watched, || suits_a_bar(plan)),
        color,
        terminal: watched.then(|| Box::new(size) as _),
        exec,
        report: plan.jobs.iter().any(|job| job.run_hook().is_some()),
    }
}

fn voice(both: &Both) -> Voice {
    match both.verbose {
        _ if both.quiet => Voice::Quiet,
        0 => Voice::Normal,
        1 => Voice::Verbose,
        _ => Voice::Debug,
    }
}

/// Returns the progress to show. If stderr is not a terminal, a bar becomes lines, so that no escape
/// sequences are written to files.
fn progress(both: &Both, watched: bool, suits_a_bar: impl FnOnce() -> bool) -> Progress {
    match both.progress() {
        args::Progress::None => Progress::None,
        args::Progress::Bar if watched => Progress::Bar { after: Duration::ZERO },
        args::Progress::Bar | args::Progress::Plain => Progress::Plain,
        args::Progress::Auto => {
            let wanted = watched && !both.quiet && !both.dry_run && suits_a_bar();
            if wanted { Progress::Bar { after: PATIENCE } } else { Progress::None }
        }
    }
}

/// True if nothing else uses the terminal: prun is in the foreground, stdout is not a pipe whose reader may
/// write there, children do not write there, and nobody types items.
fn suits_a_bar(plan: &Plan) -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    let foreground = tcgetpgrp(io::stderr()).map_or(true, |group| group == getpgrp());
    let busy = stdout_is_pipe() || items_are_typed(plan) || plan.jobs.iter().any(has_the_terminal);
    foreground && !dumb && !busy
}

/// True if items, or the input of `--pipe`, are read from a terminal.
pub fn items_are_typed(plan: &Plan) -> bool {
    let from_stdin = plan.jobs.iter().any(|job| are_on_stdin(&job.items))
        || plan.queues.iter().any(|queue| queue.input == Some(Input::Stdin));
    from_stdin && io::stdin().is_terminal()
}

fn are_on_stdin(items: &Items) -> bool {
    match items {
        Items::Read(reading) => reading.from == Input::Stdin,
        Items::Join { sources, .. } => sources.iter().any(are_on_stdin),
        _ => false,
    }
}

/// True if children of this job read from the terminal, or write to it, directly.
fn has_the_terminal(job: &Job) -> bool {
    job.output == OutputMode::Raw
        || job.stages.iter().any(|stage| {
            matches!(stage.stdin, Stdin::Inherit)
                || [&stage.stdout, &stage.stderr].iter().any(|output| matches!(output, Output::Inherit))
        })
}

fn stdout_is_pipe() -> bool {
    let kind = std::fs::metadata("/proc/self/fd/1").map(|metadata| metadata.file_type());
    kind.is_ok_and(|kind| kind.is_fifo() || kind.is_socket())
}

fn size() -> (u16, u16) {
    let size = os::io::terminal_size(io::stderr().as_fd());
    size.filter(|(columns, lines)| *columns > 0 && *lines > 0).unwrap_or(USUAL_SIZE)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::run::Run;

    fn both(line: &str) -> Both {
        Run::try_parse_from(std::iter::once("prun").chain(line.split_whitespace())).unwrap().both
    }

    fn shown(line: &str, watched: bool, suits: bool) -> Progress {
        progress(&both(line), watched, || suits)
    }

    #[test]
    fn a_bar_only_where_it_can_be_seen() {
        let auto = Progress::Bar { after: PATIENCE };
        let at_once = Progress::Bar { after: Duration::ZERO };
        assert_eq!(shown("", true, true), auto);
        assert_eq!(shown("", true, false), Progress::None);
        assert_eq!(shown("", false, true), Progress::None);
        assert_eq!(shown("-q", true, true), Progress::None);
        assert_eq!(shown("--progress", true, false), at_once);
        assert_eq!(shown("--bar", true, false), at_once);
        assert_eq!(shown("--progress=bar", false, true), Progress::Plain);
        assert_eq!(shown("--progress=plain", true, true), Progress::Plain);
        assert_eq!(shown("--bar --progress=none", true, true), Progress::None);
    }

    #[test]
    fn how_much_is_told() {
        assert_eq!(voice(&both("-q")), Voice::Quiet);
        assert_eq!(voice(&both("")), Voice::Normal);
        assert_eq!(voice(&both("-v")), Voice::Verbose);
        assert_eq!(voice(&both("-tv")), Voice::Debug);
    }
}
