//! `prun exec`: one command over many items.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::jobfile::values::{
    Outcomes, RetryDelay, StartMode, parse_duration, parse_outcomes, parse_retry_delay, parse_signal,
    parse_start,
};

use super::args::{Both, STOPPING};

const ITEMS: &str = "Items";
const COMMAND: &str = "Command";
const ATTEMPTS: &str = "Attempts";

/// Run COMMAND for each item: a line of stdin or of FILE, or a word after `:::`
#[derive(Parser, Debug)]
#[command(name = "exec", bin_name = "prun exec", args_override_self = true, max_term_width = 100)]
#[command(override_usage = "prun exec [OPTIONS] COMMAND [ARG...] [::: ITEM...]...")]
#[command(after_help = EXAMPLES, after_long_help = LONG_EXAMPLES)]
pub struct Exec {
    #[command(flatten)]
    pub both: Both,

    /// Read items from FILE instead of stdin (-: stdin)
    #[arg(short, long, value_name = "FILE")]
    pub arg_file: Option<PathBuf>,

    /// Items end with NUL, not newline: for find -print0
    #[arg(short = '0', long)]
    pub null: bool,

    /// Items end with this character: one byte, or \n, \t, \0, \xHH
    #[arg(short, long, value_name = "CHAR", conflicts_with = "null", value_parser = parse_delimiter)]
    #[arg(help_heading = ITEMS, hide_short_help = true)]
    pub delimiter: Option<u8>,

    /// Give up to N items to one task, also as {1} to {N}
    #[arg(short = 'n', long, short_alias = 'N', value_name = "N", value_parser = parse_count)]
    pub max_args: Option<usize>,

    /// Give as many items to one task as fit; a word with {} is repeated
    #[arg(short = 'X', conflicts_with = "max_args")]
    #[arg(help_heading = ITEMS, hide_short_help = true)]
    pub fit: bool,

    /// Put items in place of STR instead of {}
    ///
    /// All other placeholders are off then, and nothing is added at the end.
    #[arg(short = 'I', long, value_name = "STR")]
    pub replace: Option<OsString>,

    /// Skip empty items; without any item nothing ever runs
    #[arg(short = 'r', long, help_heading = ITEMS, hide_short_help = true)]
    pub no_run_if_empty: bool,

    /// Run COMMAND N times, without items
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64))]
    #[arg(conflicts_with_all = ["arg_file", "null", "delimiter", "max_args", "fit", "replace"])]
    #[arg(help_heading = ITEMS, hide_short_help = true)]
    pub repeat: Option<u64>,

    /// Run COMMAND once, without items, with prun's own stdin
    #[arg(long, conflicts_with_all = ["arg_file", "null", "delimiter", "max_args", "fit", "replace", "repeat"])]
    #[arg(conflicts_with = "stdin", help_heading = ITEMS, hide_short_help = true)]
    pub once: bool,

    /// COMMAND is a script for the shell
    ///
    /// Its words are joined by blanks. Without COMMAND each item is a script of its own.
    #[arg(short = 'c', long)]
    pub script: bool,

    /// The shell of scripts [default: /bin/sh]; implies -c
    #[arg(long, value_name = "SHELL", help_heading = COMMAND, hide_short_help = true)]
    pub shell: Option<String>,

    /// Run in this folder
    #[arg(short = 'C', long, alias = "wd", value_name = "DIR", help_heading = COMMAND, hide_short_help = true)]
    pub cwd: Option<OsString>,

    /// Set a variable of the environment
    ///
    /// May be given more than once. VALUE may hold placeholders.
    #[arg(long, value_name = "NAME=VALUE", help_heading = COMMAND, hide_short_help = true)]
    pub env: Vec<OsString>,

    /// Read each task's input from FILE (with placeholders)
    #[arg(long, value_name = "FILE", help_heading = COMMAND, hide_short_help = true)]
    pub stdin: Option<OsString>,

    /// Write each task's output to FILE: --stdout {%.gz}.txt
    #[arg(long, value_name = "FILE", help_heading = COMMAND, hide_short_help = true)]
    pub stdout: Option<OsString>,

    /// Write each task's error output to FILE (with placeholders)
    #[arg(long, value_name = "FILE", help_heading = COMMAND, hide_short_help = true)]
    pub stderr: Option<OsString>,

    /// Make processes by spawn or fork [default: spawn]
    ///
    /// With `spawn` a child shares prun's memory until it executes, as posix_spawn(3) and vfork(2) do; with
    /// `fork` it is a copy-on-write copy.
    #[arg(long, value_name = "HOW", value_parser = start_parser(), hide_possible_values = true)]
    #[arg(help_heading = COMMAND, hide_short_help = true)]
    pub start: Option<StartMode>,

    /// Stop an attempt that takes longer: 30s, 1h30m
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub timeout: Option<Duration>,

    /// Try again up to N times after a failure
    #[arg(long, value_name = "N")]
    pub retries: Option<u32>,

    /// Wait this long before each further attempt [default: 0]
    #[arg(long, value_name = "DURATION", value_parser = parse_retry_delay)]
    #[arg(help_heading = ATTEMPTS, hide_short_help = true)]
    pub retry_delay: Option<RetryDelay>,

    /// Try again only after these: exit codes, timeout, signal
    #[arg(long, value_name = "OUTCOMES", value_parser = parse_outcomes)]
    #[arg(help_heading = ATTEMPTS, hide_short_help = true)]
    pub retry_on: Option<Outcomes>,

    /// What counts as success: exit codes, timeout, signal [default: 0]
    #[arg(long, value_name = "OUTCOMES", value_parser = parse_outcomes)]
    #[arg(help_heading = ATTEMPTS, hide_short_help = true)]
    pub ok: Option<Outcomes>,

    /// How a task is stopped [default: TERM]
    #[arg(long, value_name = "SIGNAL", value_parser = parse_signal)]
    #[arg(help_heading = STOPPING, hide_short_help = true)]
    pub stop_signal: Option<i32>,

    /// The command and its arguments, up to `:::`
    #[arg(value_name = "COMMAND", trailing_var_arg = true, hide = true)]
    pub words: Vec<OsString>,
}

const EXAMPLES: &str = "\
Examples:
  find . -name '*.gz' | prun exec gzip -t {}
  prun exec -j 8 --retries 2 -- curl -fsSO {} ::: $(cat urls)
  prun exec -c 'grep -c x {} >{/.}.count' ::: *.log        (--help: all options)";

const LONG_EXAMPLES: &str = "\
Placeholders:
  {}      the item, added at the end if there is no placeholder
  {.}     without its last extension; {..} without two
  {/}     base name; {//} folder; {/.} base name without extension
  {%END}  without that ending, such as {%.tar.gz}
  {#}     number of the task, from 1; {%} slot in which it runs
  {1}     first column or item of several; {2}, {-1}, {1/.} likewise

Examples:
  find . -name '*.gz' | prun exec gzip -t {}
  prun exec -j 8 --retries 2 -- curl -fsSO {} ::: $(cat urls)
  prun exec -c 'grep -c x {} >{/.}.count' ::: *.log";

fn start_parser() -> impl TypedValueParser<Value = StartMode> {
    PossibleValuesParser::new(["spawn", "fork"]).try_map(|word| parse_start(&word))
}

fn parse_count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&count| count > 0).ok_or_else(|| "expected a number from 1".into())
}

/// One byte, as xargs takes it: itself, or an escape as in C.
fn parse_delimiter(text: &str) -> Result<u8, String> {
    let number = |digits: &str, radix| {
        let bad = || "expected one byte, such as `\\0`, `\\012` or `\\x0a`".to_string();
        u8::from_str_radix(digits, radix).map_err(|_| bad())
    };
    match text.as_bytes() {
        [byte] => Ok(*byte),
        [b'\\', b'x', ..] => number(&text[2..], 16),
        [b'\\', b'0'..=b'7', ..] => number(&text[1..], 8),
        [b'\\', escape] => match escape {
            b'n' => Ok(b'\n'),
            b't' => Ok(b'\t'),
            b'r' => Ok(b'\r'),
            b'a' => Ok(0x07),
            b'b' => Ok(0x08),
            b'f' => Ok(0x0c),
            b'v' => Ok(0x0b),
            b'\\' => Ok(b'\\'),
            _ => Err("expected `\\n`, `\\t`, `\\r`, `\\0`, `\\xHH` or `\\\\`".into()),
        },
        _ => Err("expected one byte, or an escape such as `\\n`, `\\t`, `\\0`".into()),
    }
}
