//! Options that limit how many tasks run at once, and when they may start.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};

use super::headings::STARTING;
use crate::cli::instead::Instead;
use crate::jobfile::values::{
    JobserverStyle, Load, PoolSize, Rate, parse_duration, parse_jobserver, parse_load, parse_pool,
    parse_rate, parse_size,
};
use crate::os::errors::reason;
use crate::run::throttle::gauges;
use crate::ui::phrases::escape;

/// `--jobs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Jobs {
    Size(PoolSize),
    /// The size is read from this file.
    In(PathBuf),
}

#[derive(Args, Debug, Default)]
pub struct Throttle {
    /// Start at most this many attempts per time: 10/s, 100/m, 5/h, 1/2s
    ///
    /// Starts are evenly spaced, without bursts, also after a pause. Every attempt counts, and every item
    /// that is given to a worker.
    #[arg(long, value_name = "N/TIME", value_parser = parse_rate, overrides_with = "delay")]
    #[arg(help_heading = STARTING, hide_short_help = true)]
    rate: Option<Rate>,

    /// The time from one start to the next, an option of GNU parallel.
    #[arg(long, hide = true, value_parser = parse_duration, overrides_with = "rate")]
    delay: Option<Duration>,

    /// Start nothing new unless the load average is below this: 4, or 80% of the CPUs
    ///
    /// This is the load average of the last minute, read once a second while something could start.
    #[arg(long, value_name = "N", value_parser = parse_load)]
    #[arg(help_heading = STARTING, hide_short_help = true)]
    pub load: Option<Load>,

    /// Start nothing new while less memory than this is free: 2GB
    ///
    /// Below half of it, the task that started last is stopped, and started again when there is more memory;
    /// this does not count as an attempt. At least one task keeps running, and workers are never stopped.
    #[arg(long, alias = "memfree", value_name = "SIZE", value_parser = parse_size)]
    #[arg(help_heading = STARTING, hide_short_help = true)]
    pub memory_free: Option<usize>,

    /// Let a record that goes to a standard input, or a worker's answer, have up to this many bytes [default:
    /// 64MiB]
    ///
    /// The task that has a longer one fails, and the others go on. A record is an item for `--worker`, a line
    /// or other record of `--pipe`, or one of a queue. An item that becomes an argument has 131,071 bytes at
    /// most, whatever this says: Linux takes no longer one.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    #[arg(help_heading = STARTING, hide_short_help = true)]
    pub max_record: Option<usize>,

    /// Share the slots with programs that tasks start, such as make and cargo: pipe or fifo [without HOW:
    /// pipe]
    ///
    /// By make's jobserver protocol, all of them together run no more jobs at once than `-j` allows. Every
    /// make knows `pipe`; `fifo` needs make 4.4. A `make` without `-j` then runs jobs in parallel. If prun
    /// itself was given a jobserver by `make -j`, that one is shared; `false` is the same as leaving the
    /// option out.
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "pipe")]
    #[arg(value_parser = parse_jobserver, help_heading = STARTING, hide_short_help = true)]
    pub jobserver: Option<JobserverStyle>,
}

impl Throttle {
    /// Returns the limit on starts, of `--rate` or `--delay`.
    pub fn rate(&self) -> Option<Rate> {
        let delay = self.delay.filter(|delay| !delay.is_zero());
        self.rate.or(delay.map(|interval| Rate { interval }))
    }
}

impl Jobs {
    /// Returns the size, and the file that it was read from. `typed` stands before the file's name in
    /// messages.
    pub fn size(&self, typed: &str) -> Result<(PoolSize, Option<PathBuf>), Instead> {
        let file = match self {
            Jobs::Size(size) => return Ok((*size, None)),
            Jobs::In(file) => file,
        };
        let wrong = |why: &str| {
            let (shown, why) = (escape(file.as_os_str().as_bytes()), escape(why.as_bytes()));
            Instead::fail(format_args!("`{typed}{shown}`: the file {why}"))
        };
        let path = std::path::absolute(file).map_err(|why| wrong(&reason(&why)))?;
        let size = gauges::read_pool_file(&path).map_err(|why| wrong(&why))?;
        Ok((size, Some(path)))
    }
}

/// Parses a size; any other word is the name of a file.
pub fn parse_jobs(word: OsString) -> Result<Jobs, String> {
    match parse_pool(&word.to_string_lossy()) {
        Ok(size) => Ok(Jobs::Size(size)),
        Err(_) if Path::new(&word).is_file() => Ok(Jobs::In(word.into())),
        Err(_) => {
            let found = if Path::new(&word).exists() {
                "this is not a regular file"
            } else {
                "there is no such file"
            };
            Err(format!(
                "expected a number, `0` for no limit, `50%` of the CPUs, `+2` more than CPUs, or a file that says one \
                 of these ({found})"
            ))
        }
    }
}

pub fn jobs_parser() -> impl TypedValueParser<Value = Jobs> {
    OsStringValueParser::new().try_map(parse_jobs)
}
