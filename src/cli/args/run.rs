//! The options of `prun FILE`.

use std::ffi::OsString;

use clap::Parser;

use super::Both;

/// Run a job file, or these jobs of it and what they need
#[derive(Parser, Debug)]
#[command(name = "prun", version, args_override_self = true, max_term_width = 100)]
#[command(override_usage = USAGE, after_help = EXAMPLES, after_long_help = LONG_EXAMPLES)]
pub struct Run {
    #[command(flatten)]
    pub both: Both,

    /// Set a variable of the job file
    ///
    /// May be given more than once. The job file lists its variables in `[vars]`.
    #[arg(short = 'D', long, value_name = "NAME=VALUE")]
    pub define: Vec<OsString>,

    /// List the jobs and the comment above each
    #[arg(long)]
    pub list: bool,

    /// Leave out what the JOBs need: run them as if it had been done
    ///
    /// Jobs that are joined by a pipe or a queue still run together.
    #[arg(long, hide_short_help = true)]
    pub no_deps: bool,

    /// FILE is the job file if it holds a `/`, ends in `.toml` or is `-` (stdin), else a job of ./prun.toml
    ///
    /// JOB may be one task of it, by number or item: 'test[4]', 'deploy[x]'.
    #[arg(value_name = "FILE|JOB", hide_short_help = true)]
    pub operands: Vec<OsString>,

    /// Arguments for `{args}` in the job file
    #[arg(last = true, value_name = "ARG", hide_short_help = true)]
    pub args: Vec<OsString>,
}

const USAGE: &str = "prun [OPTIONS] [FILE] [JOB...] [-- ARG...]
       prun exec [OPTIONS] COMMAND [ARG...] [::: ITEM...]...
       prun check [OPTIONS] [FILE]...
       prun graph [OPTIONS] [FILE] [JOB]...
       prun report [OPTIONS] JOURNAL
       prun completions SHELL";

const EXAMPLES: &str = "\
Examples:
  prun build.toml                 run it; prun alone runs ./prun.toml
  prun -j4 build.toml test lint   these jobs, and what they need
  seq 9 | prun exec echo {}       one command over items: prun exec -h";

const LONG_EXAMPLES: &str = "\
Examples:
  prun build.toml                 run it; prun alone runs ./prun.toml
  prun -j4 build.toml test lint   these jobs, and what they need
  prun --list                     the jobs of ./prun.toml
  seq 9 | prun exec echo {}       one command over items: prun exec --help

The job file is described in prun.toml(5).";
