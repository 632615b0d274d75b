//! The options of `prun exec`.

use std::ffi::OsString;

use clap::Parser;

use super::Both;
use super::headings::{JOURNAL, STOPPING};
use super::values::{Shell, start_parser, stop_parser};
use crate::jobfile::values::{
    Outcomes, RetryDelay, StartMode, StopScope, Timeout, parse_outcomes, parse_retry_rule, parse_signal,
    parse_timeout,
};
use crate::plan::Worker;
use crate::plan::exec::parse_worker;

mod items;
mod pipe;
mod results;

use items::ItemOptions;
use pipe::Pipe;
use results::Results;

/// Headings of `--help`.
const COMMAND: &str = "Command";
const ATTEMPTS: &str = "Attempts";

/// Run COMMAND for each item: a line of stdin or of FILE, or a word after `:::`
//
// Its fields are the options of `prun exec`, as clap reads them; groups of them are structs of their own.
#[derive(Parser, Debug)]
#[command(name = "exec", bin_name = "prun exec", args_override_self = true, max_term_width = 100)]
#[command(override_usage = "prun exec [OPTIONS] COMMAND [ARG...] [::: ITEM...]... [:::: FILE...]...")]
#[command(after_help = EXAMPLES, after_long_help = LONG_EXAMPLES)]
pub struct Exec {
    #[command(flatten)]
    pub both: Both,

    #[command(flatten)]
    pub items: ItemOptions,

    #[command(flatten)]
    pub pipe: Pipe,

    /// Send the items, a line each, to long-lived processes that answer each with a line
    ///
    /// One process is started for each slot. Keys, separated by commas: `reply=line`, `reply=nul` or
    /// `reply=until:REGEX` (what an answer ends with), `fail=REGEX` (an answer that matches is a failure),
    /// `ahead=N` (items sent to a process before its answers arrive), `max_tasks=N` (answers after which a
    /// process is replaced), `init=TEXT` (sent to each process first, such as `good day\n`). A comma is part
    /// of the value unless a key and `=` follow it. COMMAND must flush its output after each answer. Here the
    /// default of `--retries` is 2.
    #[arg(long, value_name = "KEY=VALUE,...", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "", value_parser = parse_worker)]
    #[arg(conflicts_with_all = ["fit", "max_args", "replace", "repeat", "once", "stdin"])]
    #[arg(help_heading = COMMAND, hide_short_help = true)]
    pub worker: Option<Worker>,

    /// COMMAND is a script for the shell
    ///
    /// Its words are joined by blanks. Without COMMAND each item is a script of its own.
    #[arg(short = 'c', long)]
    pub script: bool,

    /// The shell of scripts [default: /bin/sh]; implies -c
    #[arg(long, value_name = "SHELL", value_parser = Shell::parse, help_heading = COMMAND, hide_short_help = true)]
    pub shell: Option<Shell>,

    /// Set the working directory
    #[arg(short = 'C', long, alias = "wd", value_name = "DIR", help_heading = COMMAND, hide_short_help = true)]
    pub cwd: Option<OsString>,

    /// Set an environment variable
    ///
    /// May be given more than once. VALUE may hold placeholders.
    #[arg(long, value_name = "NAME=VALUE", help_heading = COMMAND, hide_short_help = true)]
    pub env: Vec<OsString>,

    /// Read each task's standard input from FILE (with placeholders)
    #[arg(long, value_name = "FILE", help_heading = COMMAND, hide_short_help = true)]
    pub stdin: Option<OsString>,

    /// Write each task's standard output to FILE: --stdout {%.gz}.txt
    ///
    /// FILE is emptied once in a run, whatever names it, and everything else is added behind. Without a placeholder
    /// all tasks write to it, as `--output` says. FILE can't be what the run reads.
    #[arg(long, value_name = "FILE", help_heading = COMMAND, hide_short_help = true)]
    pub stdout: Option<OsString>,

    /// Write each task's standard error to FILE (with placeholders)
    #[arg(long, value_name = "FILE", help_heading = COMMAND, hide_short_help = true)]
    pub stderr: Option<OsString>,

    #[command(flatten)]
    pub results: Results,

    /// Write a line for each ended task to FILE, in GNU parallel's format
    ///
    /// FILE is overwritten; with `+FILE` lines are appended. To go on after an interruption, see `--journal`.
    #[arg(long, value_name = "FILE", help_heading = JOURNAL, hide_short_help = true)]
    pub joblog: Option<OsString>,

    /// Start processes by spawn or fork [default: spawn]
    ///
    /// With `spawn` a child shares prun's memory until it executes the command, as with posix_spawn(3) and
    /// vfork(2); with `fork` it is a copy-on-write copy.
    #[arg(long, value_name = "HOW", value_parser = start_parser(), hide_possible_values = true)]
    #[arg(help_heading = COMMAND, hide_short_help = true)]
    pub start: Option<StartMode>,

    /// Stop an attempt that takes longer: 30s, 1h30m
    ///
    /// A percentage, such as `300%`, is of the median time of the tasks that ended ok, once three have.
    #[arg(long, value_name = "DURATION", value_parser = parse_timeout)]
    pub timeout: Option<Timeout>,

    /// Try again up to N times after a failure
    #[arg(long, value_name = "N")]
    pub retries: Option<u32>,

    /// Wait this long before each further attempt [default: 0]
    ///
    /// A growing delay has keys, separated by commas: `1s,factor=2,max=1m,jitter` doubles after each attempt,
    /// up to a minute (both are the defaults), and `jitter` subtracts a random part.
    #[arg(long, value_name = "DURATION", value_parser = parse_retry_rule)]
    #[arg(help_heading = ATTEMPTS, hide_short_help = true)]
    pub retry_delay: Option<RetryDelay>,

    /// Try again only after these: exit statuses, timeout, signal
    #[arg(long, value_name = "OUTCOMES", value_parser = parse_outcomes)]
    #[arg(help_heading = ATTEMPTS, hide_short_help = true)]
    pub retry_on: Option<Outcomes>,

    /// Count these as success: exit statuses, timeout, signal, separated by commas: 0,1 [default: 0]
    #[arg(long, value_name = "OUTCOMES", value_parser = parse_outcomes)]
    #[arg(help_heading = ATTEMPTS, hide_short_help = true)]
    pub ok: Option<Outcomes>,

    /// Send this signal to stop a task [default: TERM, or the one that prun got]
    ///
    /// Whoever stops it: a timeout, a halt, or a signal to prun.
    #[arg(long, value_name = "SIGNAL", value_parser = parse_signal)]
    #[arg(help_heading = STOPPING, hide_short_help = true)]
    pub stop_signal: Option<i32>,

    /// Send the stop signal to the tree, the group or the process [default: tree]
    ///
    /// `tree` is the process group of the task, and then everything else that it started: once its first process has
    /// ended, but after one second at the latest. `group` is the process group alone, and `process` the first process
    /// alone, for commands that stop their own children. After the grace period SIGKILL reaches all in any case.
    #[arg(long, value_name = "WHO", value_parser = stop_parser(), hide_possible_values = true)]
    #[arg(help_heading = STOPPING, hide_short_help = true)]
    pub stop: Option<StopScope>,

    /// The command and its arguments, up to `:::`
    #[arg(value_name = "COMMAND", trailing_var_arg = true, hide = true)]
    pub command: Vec<OsString>,
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
