//! Options as they are typed. This file has those that `prun FILE` and `prun exec` share, [`exec`] and
//! [`run`] the others. [`settings`](super::settings) adds the values of lower layers.

use std::ffi::OsString;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args};

use super::instead::Instead;
use crate::jobfile::values::{
    Halt, HaltLimit, HaltOn, HaltSetting, OutputMode, StatusMode, parse_duration, parse_halt, parse_output,
    parse_status,
};

pub mod exec;
pub mod headings;
mod hooks;
mod journal;
pub mod run;
mod throttle;
pub mod values;

use headings::{OUTPUT, STOPPING};
use hooks::Hooks;
use journal::JournalArgs;
pub use throttle::{Jobs, Throttle, parse_jobs};

/// Options that say how output is printed; the last one counts. The groups below work likewise.
const OUTPUTS: [&str; 4] = ["output", "ungroup", "line_buffer", "group"];
const HALTS: [&str; 2] = ["halt", "fail_fast"];
const TAGS: [&str; 2] = ["tag", "tagstring"];
const PROGRESSES: [&str; 2] = ["progress", "bar"];

/// Options of both commands.
//
// Its fields are the options that both commands share, as clap reads them; groups of them are structs of their own.
#[derive(Args, Debug, Default)]
pub struct Both {
    /// Run N tasks at once [default: CPUs]
    ///
    /// N is a number, or relative to the CPUs that prun may use: `50%`, `+2`, `-2`; 0 is no limit. N may also
    /// name a file that holds one of these. The file is read again when it changes; if the number is lower
    /// then, running tasks go on.
    #[arg(short, long, aliases = ["pool", "max-procs"], short_alias = 'P', value_name = "N")]
    #[arg(allow_hyphen_values = true, value_parser = throttle::jobs_parser())]
    pub jobs: Option<Jobs>,

    #[command(flatten)]
    pub throttle: Throttle,

    /// Print output in the order of the items
    #[arg(short, long)]
    pub keep_order: bool,

    /// Let children write straight to prun's own stdout and stderr (--output raw)
    #[arg(short, long, overrides_with_all = OUTPUTS, hide_short_help = true)]
    #[arg(help_heading = OUTPUT)]
    ungroup: bool,

    /// Print a task's output in one piece (group), by whole lines (line) or untouched (raw)
    #[arg(long, value_name = "HOW", overrides_with_all = OUTPUTS, value_parser = output_parser())]
    #[arg(hide_short_help = true, hide_possible_values = true, help_heading = OUTPUT)]
    output: Option<OutputMode>,

    #[arg(long, aliases = ["lb", "linebuffer"], hide = true, overrides_with_all = OUTPUTS)]
    line_buffer: bool,

    #[arg(long, hide = true, overrides_with_all = OUTPUTS)]
    group: bool,

    /// Prefix each line of output with the item, or with a text that may have placeholders
    ///
    /// Without TEMPLATE the prefix is the job's name (not in `prun exec`) and the item. A tab follows the
    /// prefix.
    #[arg(long, value_name = "TEMPLATE", num_args = 0..=1, require_equals = true)]
    #[arg(overrides_with_all = TAGS, help_heading = OUTPUT, hide_short_help = true)]
    tag: Option<Option<OsString>>,

    #[arg(long, hide = true, overrides_with_all = TAGS)]
    tagstring: Option<OsString>,

    /// Stop the run early: never, or now or soon with a limit, such as now,fail=1 or soon,fail=20%
    ///
    /// `now` stops the running tasks, `soon` lets them end and starts nothing new. The limit is `fail=N`,
    /// `success=N` or `done=N`, or, once three tasks have ended, a percentage: of the tasks that have ended,
    /// or with `done` of all tasks, once their number is known. A task counts when it has ended, after its
    /// last attempt.
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true, overrides_with_all = HALTS, value_parser = parse_halt)]
    #[arg(help_heading = STOPPING, hide_short_help = true)]
    halt: Option<HaltSetting>,

    /// Stop everything at the first failure
    ///
    /// The same as `--halt now,fail=1`.
    #[arg(long, overrides_with_all = HALTS)]
    fail_fast: bool,

    /// Set the grace period: the time from the stop signal to SIGKILL [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    #[arg(help_heading = STOPPING, hide_short_help = true)]
    pub grace: Option<Duration>,

    /// Choose the exit status: first, any, count or xargs [default: first]
    ///
    /// `first` is the exit status of the first failed task, in the order of the items; `any` is 1 if any task
    /// failed; `count` is the number of failures, up to 101; `xargs` is that of xargs(1).
    #[arg(long, value_name = "HOW", value_parser = status_parser(), hide_possible_values = true)]
    #[arg(help_heading = STOPPING, hide_short_help = true)]
    pub status: Option<StatusMode>,

    #[command(flatten)]
    pub hooks: Hooks,

    #[command(flatten)]
    pub journal: JournalArgs,

    /// Print the commands instead of running them
    ///
    /// They go to stdout, as lines that a shell can run.
    #[arg(long, alias = "dryrun")]
    pub dry_run: bool,

    /// Print each command as it starts, and the resources it used; twice: also process IDs
    ///
    /// Given twice, it also prints how the processes of a task are kept track of: by the subreaper, marks,
    /// the guardian, a control group.
    #[arg(short, long, short_alias = 't', action = ArgAction::Count)]
    #[arg(help_heading = OUTPUT, hide_short_help = true)]
    pub verbose: u8,

    /// Print failures only
    #[arg(short, long, conflicts_with = "verbose", help_heading = OUTPUT, hide_short_help = true)]
    pub quiet: bool,

    /// Show progress: auto, bar, plain or none [default: auto; without WHEN: bar]
    ///
    /// `auto` shows a bar after half a second if prun is in the foreground, stderr is a terminal and stdout
    /// is not a pipe. `plain` prints a line every few seconds.
    #[arg(long, value_name = "WHEN", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "bar", overrides_with_all = PROGRESSES, hide_possible_values = true)]
    #[arg(help_heading = OUTPUT, hide_short_help = true)]
    progress: Option<Progress>,

    #[arg(long, alias = "eta", hide = true, overrides_with_all = PROGRESSES)]
    bar: bool,

    /// Use colours: auto, always or never [default: auto]
    #[arg(long, value_name = "WHEN", hide_possible_values = true)]
    #[arg(help_heading = OUTPUT, hide_short_help = true)]
    pub color: Option<When>,

    /// Ignore the configuration file
    #[arg(long, hide_short_help = true)]
    pub no_config: bool,
}

/// `--progress`.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Progress {
    #[default]
    Auto,
    Bar,
    Plain,
    None,
}

/// `--color`.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum When {
    #[default]
    Auto,
    Always,
    Never,
}

/// `--tag`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tag {
    /// No tag. Only a variable can say so.
    Off,
    /// The job's name (not in `prun exec`) and the item.
    Item,
    Template(OsString),
}

impl Both {
    /// Returns how output is printed.
    pub fn output(&self) -> Option<OutputMode> {
        match self {
            Both { ungroup: true, .. } => Some(OutputMode::Raw),
            Both { line_buffer: true, .. } => Some(OutputMode::Line),
            Both { group: true, .. } => Some(OutputMode::Group),
            Both { output, .. } => *output,
        }
    }

    /// True if an option asks for a tag.
    pub fn tags(&self) -> bool {
        self.tag().is_some_and(|tag| tag != Tag::Off)
    }

    /// Refuses options that need prun to see the output, if children write to prun's stdout themselves.
    pub fn check_output(&self) -> Result<(), Instead> {
        let asked = [("--tag", self.tags()), ("--keep-order", self.keep_order)];
        match asked.into_iter().find(|(_, asked)| *asked && self.output() == Some(OutputMode::Raw)) {
            Some((flag, _)) => Err(Instead::fail(format_args!(
                "`{flag}` cannot be combined with `-u` (`--output raw`): children write straight to prun's own stdout; with `--output line` prun \
                 prints their output line by line"
            ))),
            None => Ok(()),
        }
    }

    /// Returns the halt condition.
    pub fn halt(&self) -> Option<HaltSetting> {
        let at_once = Halt { now: true, on: HaltOn::Fail, limit: HaltLimit::Count(1) };
        if self.fail_fast { Some(HaltSetting::At(at_once)) } else { self.halt }
    }

    /// Returns the tag.
    pub fn tag(&self) -> Option<Tag> {
        match (&self.tagstring, &self.tag) {
            (Some(template), _) | (None, Some(Some(template))) => Some(Tag::Template(template.clone())),
            (None, Some(None)) => Some(Tag::Item),
            (None, None) => None,
        }
    }

    /// Returns how progress is shown.
    pub fn progress(&self) -> Progress {
        if self.bar { Progress::Bar } else { self.progress.unwrap_or_default() }
    }
}

fn output_parser() -> impl TypedValueParser<Value = OutputMode> {
    PossibleValuesParser::new(["group", "line", "raw"]).try_map(|word| parse_output(&word))
}

fn status_parser() -> impl TypedValueParser<Value = StatusMode> {
    PossibleValuesParser::new(["first", "any", "count", "xargs"]).try_map(|word| parse_status(&word))
}
