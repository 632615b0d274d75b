//! Values that job files and flags share, and their spelling. Pure.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::near::{alternatives, near_word};

mod delay;
mod halt;
mod limits;
mod outcomes;
mod throttle;

pub use delay::{parse_factor, parse_restart, parse_retry_delay, parse_retry_rule};
pub use halt::{Halt, HaltLimit, HaltOn, HaltSetting, parse_halt};
pub use limits::{
    Limit, UMASK, parse_cpu_limit, parse_files_limit, parse_nice, parse_processes_limit, parse_size_from_0,
    parse_umask,
};
pub use outcomes::{Outcomes, parse_outcomes};
pub use throttle::{Load, Rate, parse_load, parse_rate};

/// `pool`: how many tasks run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolSize {
    /// `4`; `0` is no limit.
    Count(usize),
    /// `"50%"`: this share of the CPUs.
    Percent(u32),
    /// `"+2"`: the number of CPUs and this many more.
    Plus(usize),
    /// `"-2"`: the number of CPUs less this many, but at least 1.
    Minus(usize),
}

/// `output`: how the output of tasks is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputMode {
    /// A task's output in one piece, when it has ended.
    Group,
    /// Whole lines as they come.
    Line,
    /// Tasks write to prun's own stdout and stderr.
    Raw,
}

/// `start`: how a process is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartMode {
    #[default]
    /// Without copying prun's address space (CLONE_VM and CLONE_VFORK of clone(2)).
    Spawn,
    /// As fork(2) does it.
    Fork,
}

/// `stop`: who gets the signal that stops an attempt. SIGKILL reaches everything, whatever this says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StopScope {
    /// The process group of the attempt, and then everything else that it started.
    #[default]
    Tree,
    /// The process group alone.
    Group,
    /// The first process alone; in a pipeline that of each stage.
    Process,
}

/// `leftovers`: what becomes of processes that an attempt leaves when it ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Leftovers {
    /// Nothing is said. The last attempt leaves them; before another attempt, those in the process group are stopped. Those
    /// of daemons are killed.
    #[default]
    LeaveLast,
    /// They live on, and prun is no longer concerned with them.
    Leave,
    Kill,
    /// The task ends when they have ended.
    Wait,
}

/// `restart`: after which ends a daemon is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Restart {
    #[default]
    Never,
    OnFailure,
    Always,
}

/// `retry_delay`: a duration, or a growing one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryDelay {
    pub first: Duration,
    /// The delay is multiplied by this after each attempt.
    pub factor: f64,
    pub max: Duration,
    /// True if a random part, of up to the whole delay, is taken off.
    pub jitter: bool,
}

/// `jobserver`: how programs that tasks start find the run's slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JobserverStyle {
    /// There is no jobserver.
    #[default]
    Off,
    /// By descriptors, which every make knows.
    Pipe,
    /// By the path of a FIFO, which make knows from 4.4 on.
    Fifo,
}

/// Parses `true`, `false`, `pipe` or `fifo`.
pub fn parse_jobserver(word: &str) -> Result<JobserverStyle, String> {
    match word {
        "true" | "1" | "pipe" => Ok(JobserverStyle::Pipe),
        "false" | "0" => Ok(JobserverStyle::Off),
        "fifo" => Ok(JobserverStyle::Fifo),
        _ => Err("expected `pipe`, `fifo`, `true` or `false`".to_owned()),
    }
}

/// `resume`: which tasks of the journal are not run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resume {
    /// Runs everything, whatever the journal holds.
    #[default]
    No,
    /// Tasks that ended ok.
    Finished,
    /// All but those whose last line in the journal is a failure.
    AllButFailed,
}

/// `timeout`, of one attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Timeout {
    After(Duration),
    /// This percentage of the median duration of the tasks that ended ok. There is no limit before three of them have.
    OfMedian(f64),
}

/// `--status`: how prun's exit status is made of the outcomes of its tasks. See `plan::status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StatusMode {
    #[default]
    First,
    Any,
    Count,
    Xargs,
}

impl PoolSize {
    /// Returns the number of tasks on a machine with this many CPUs; [`usize::MAX`] is no limit.
    pub fn resolve(self, cpus: usize) -> usize {
        match self {
            PoolSize::Count(0) => usize::MAX,
            PoolSize::Count(n) => n,
            PoolSize::Percent(percent) => {
                (cpus.saturating_mul(percent as usize).saturating_add(50) / 100).max(1)
            }
            PoolSize::Plus(n) => cpus.saturating_add(n),
            PoolSize::Minus(n) => cpus.saturating_sub(n).max(1),
        }
    }
}

impl RetryDelay {
    /// Returns the rule with the same delay before each further attempt.
    pub fn constant(delay: Duration) -> RetryDelay {
        RetryDelay { first: delay, factor: 1.0, max: delay, jitter: false }
    }
}

impl Default for RetryDelay {
    fn default() -> Self {
        RetryDelay::constant(Duration::ZERO)
    }
}

/// The longest duration. Longer ones are refused, so that a sum of some of them can't overflow.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Parses a size of at least 1 byte: `10MB`, `64KiB`. A number alone is bytes, and a letter alone a power of 1024, as
/// for GNU parallel.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let bad = || "expected a size from 1 byte, such as `64KiB` or `10MB`".to_owned();
    let binary = text.ends_with(['K', 'M', 'G', 'T', 'k', 'm', 'g', 't']).then(|| format!("{text}iB"));
    let size: bytesize::ByteSize = binary.as_deref().unwrap_or(text).parse().map_err(|_| bad())?;
    usize::try_from(size.as_u64()).ok().filter(|size| *size > 0).ok_or_else(bad)
}

/// Parses `timeout`: a duration, or a percentage of the median.
pub fn parse_timeout(text: &str) -> Result<Timeout, String> {
    let Some(percent) = text.trim().strip_suffix('%') else {
        return parse_duration(text).map(Timeout::After).map_err(|why| why + ", or `200%` of the median");
    };
    let percent = percent.parse().ok().filter(|percent: &f64| percent.is_finite() && *percent > 100.0);
    percent.map(Timeout::OfMedian).ok_or_else(|| {
        "expected more than `100%` of the median, which half of the tasks need, such as `300%`".to_owned()
    })
}

/// Parses a duration: `250ms`, `30s`, `1h30m`. A number alone, also a decimal one, is seconds.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let form = "expected a duration such as `250ms`, `30s`, `5m`, `1h30m`, or a number of seconds";
    let plain =
        text.bytes().all(|b| b.is_ascii_digit() || b == b'.') && text.bytes().any(|b| b.is_ascii_digit());
    let duration = if plain {
        let seconds: f64 = text.parse().map_err(|_| form.to_owned())?;
        Duration::try_from_secs_f64(seconds).map_err(|_| TOO_LONG.to_owned())?
    } else {
        humantime::parse_duration(text).map_err(|why| match why {
            humantime::DurationError::UnknownUnit { unit, .. } if !unit.is_empty() => {
                format!("no unit of time is called `{unit}`: {form}")
            }
            humantime::DurationError::NumberOverflow => TOO_LONG.to_owned(),
            _ => form.to_owned(),
        })?
    };
    if duration > LONGEST { Err(TOO_LONG.to_owned()) } else { Ok(duration) }
}

const TOO_LONG: &str = "expected a duration of at most 100 years and at least a nanosecond";

/// Parses the number of a port.
pub fn parse_port(text: &str) -> Result<u16, String> {
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| format!("expected a port from 1 to {}", u16::MAX))
}

/// Parses the size of a pool: `4`, `0` (no limit), `50%` of the CPUs, or `+2` and `-2` relative to them.
pub fn parse_pool(text: &str) -> Result<PoolSize, String> {
    let text = text.trim();
    let bad = || "expected a number, `0` for no limit, `50%` of the CPUs, or `+2` more than CPUs".to_owned();
    let number = |digits: &str| {
        // `parse` would take a sign, as in "+-2".
        if digits.bytes().all(|b| b.is_ascii_digit()) {
            digits.parse::<u32>().map_err(|_| bad())
        } else {
            Err(bad())
        }
    };
    if let Some(percent) = text.strip_suffix('%') {
        return match number(percent)? {
            0 => Err("expected more than `0%` of the CPUs".to_owned()),
            percent => Ok(PoolSize::Percent(percent)),
        };
    }
    if let Some(more) = text.strip_prefix('+') {
        return Ok(PoolSize::Plus(number(more)? as usize));
    }
    if let Some(fewer) = text.strip_prefix('-') {
        return Ok(PoolSize::Minus(number(fewer)? as usize));
    }
    Ok(PoolSize::Count(number(text)? as usize))
}

/// Parses a signal, and returns its number: `TERM`, `SIGTERM`, `sigterm`, `15`.
pub fn parse_signal(text: &str) -> Result<i32, String> {
    let text = text.trim();
    if text.bytes().all(|b| b.is_ascii_digit()) {
        // Linux numbers its signals from 1 to 64, the real-time ones included.
        return text
            .parse()
            .ok()
            .filter(|number| (1..=64).contains(number))
            .ok_or_else(|| "expected the number of a signal, from 1 to 64".to_owned());
    }
    let name = text.to_ascii_uppercase();
    let name = if name.starts_with("SIG") { name } else { format!("SIG{name}") };
    name.parse::<Signal>().map(|signal| signal as i32).map_err(|_| {
        let names: Vec<&str> = Signal::iterator().map(|signal| &signal.as_str()[3..]).collect();
        "expected the name or number of a signal, such as `TERM`, `INT`, `HUP`, `9`".to_owned()
            + &near_word(&name[3..], &names)
    })
}

/// Parses `group`, `line` or `raw`.
pub fn parse_output(text: &str) -> Result<OutputMode, String> {
    one_of(text, &[("group", OutputMode::Group), ("line", OutputMode::Line), ("raw", OutputMode::Raw)])
}

/// Parses `spawn` or `fork`.
pub fn parse_start(text: &str) -> Result<StartMode, String> {
    one_of(text, &[("spawn", StartMode::Spawn), ("fork", StartMode::Fork)])
}

/// Parses `tree`, `group` or `process`.
pub fn parse_stop(text: &str) -> Result<StopScope, String> {
    one_of(text, &[("tree", StopScope::Tree), ("group", StopScope::Group), ("process", StopScope::Process)])
}

/// Parses `leave`, `kill` or `wait`.
pub fn parse_leftovers(text: &str) -> Result<Leftovers, String> {
    one_of(text, &[("leave", Leftovers::Leave), ("kill", Leftovers::Kill), ("wait", Leftovers::Wait)])
}

/// Parses `first`, `any`, `count` or `xargs`.
pub fn parse_status(text: &str) -> Result<StatusMode, String> {
    one_of(
        text,
        &[
            ("first", StatusMode::First),
            ("any", StatusMode::Any),
            ("count", StatusMode::Count),
            ("xargs", StatusMode::Xargs),
        ],
    )
}

/// Returns the value of the word `text`, or an error that lists the words.
pub(super) fn one_of<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text.trim()) {
        return Ok(*value);
    }
    let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
    Err(format!("expected {}", alternatives(&words)) + &near_word(text, &words))
}

#[cfg(test)]
mod tests;
