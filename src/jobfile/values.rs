//! The values that job files and flags share, and how they are spelt. Pure.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::near::{alternatives, near_word};

mod brakes;
mod delay;
mod limits;

pub use brakes::{Load, Rate, parse_load, parse_rate};
pub use delay::{parse_factor, parse_restart, parse_retry_delay, parse_retry_rule};
pub use limits::{
    Limit, UMASK, parse_cpu_limit, parse_files_limit, parse_nice, parse_processes_limit, parse_size_from_0,
    parse_umask,
};

/// How many tasks at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolSize {
    /// `4`; 0 is no limit.
    Count(usize),
    /// `"50%"` of the CPUs.
    Percent(u32),
    /// `"+2"`: as many more than CPUs.
    Plus(usize),
    /// `"-2"`: as many fewer, at least 1.
    Minus(usize),
}

/// `output` (DESIGN.md, 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputMode {
    Group,
    Line,
    Raw,
}

/// `start` (DESIGN.md, 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartMode {
    #[default]
    Spawn,
    Fork,
}

/// `leftovers` (DESIGN.md, 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Leftovers {
    /// They are no longer prun's.
    #[default]
    Leave,
    Kill,
    /// The task ends when they have.
    Wait,
}

/// `halt`, in GNU parallel's grammar; "never" is the absence of one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Halt {
    /// `now` stops what runs; `soon` starts nothing new.
    pub now: bool,
    pub on: HaltOn,
    pub limit: HaltLimit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HaltOn {
    Fail,
    Success,
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum HaltLimit {
    Count(u64),
    /// Of the tasks that ended, with `done` of all that there are; from 3 on.
    Percent(f64),
}

/// Which outcomes are meant: the words of `ok` and `retry_on`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcomes {
    /// Exit codes, sorted.
    pub codes: Vec<u8>,
    pub timeout: bool,
    pub signal: bool,
}

/// After which ends a daemon is started again.
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
    /// What the delay is multiplied with after each attempt.
    pub factor: f64,
    pub max: Duration,
    /// A random part of up to the whole delay is taken off.
    pub jitter: bool,
}

/// `jobserver`: how what tasks start finds the run's slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JobserverStyle {
    /// Not at all.
    #[default]
    Off,
    /// By descriptors, which every make knows.
    Pipe,
    /// By the path of a FIFO, which make knows from 4.4 on.
    Fifo,
}

/// `true`, `false`, `pipe` or `fifo`.
pub fn parse_jobserver(word: &str) -> Result<JobserverStyle, String> {
    match word {
        "true" | "1" | "pipe" => Ok(JobserverStyle::Pipe),
        "false" | "0" => Ok(JobserverStyle::Off),
        "fifo" => Ok(JobserverStyle::Fifo),
        _ => Err("expected `pipe`, `fifo`, `true` or `false`".to_owned()),
    }
}

/// `resume`: what the journal knows and is not run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resume {
    /// Everything runs.
    #[default]
    No,
    /// Tasks that ended ok.
    Finished,
    /// All but those whose last line is a failure.
    AllButFailed,
}

/// `timeout`, of one attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Timeout {
    After(Duration),
    /// So many per cent of the median of the tasks that ended ok; none before three of them have.
    OfMedian(f64),
}

/// `--status` (DESIGN.md, 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StatusMode {
    #[default]
    First,
    Any,
    Count,
    Xargs,
}

impl PoolSize {
    /// How many that is on this many CPUs; [`usize::MAX`] is no limit.
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
    /// The same delay before each attempt.
    pub fn constant(delay: Duration) -> RetryDelay {
        RetryDelay { first: delay, factor: 1.0, max: delay, jitter: false }
    }
}

impl Default for RetryDelay {
    fn default() -> Self {
        RetryDelay::constant(Duration::ZERO)
    }
}

impl Outcomes {
    /// Exit code 0 alone: what is `ok` unless a job says otherwise.
    pub fn success() -> Outcomes {
        Outcomes { codes: vec![0], timeout: false, signal: false }
    }

    /// Takes in one word of `ok`: an exit code, `timeout` or `signal`.
    pub fn add(&mut self, word: &str) -> Result<(), String> {
        match word {
            "timeout" => self.timeout = true,
            "signal" => self.signal = true,
            _ => {
                let code = word.parse::<u8>().map_err(|_| {
                    "expected exit codes from 0 to 255, `timeout` or `signal`".to_owned()
                        + &near_word(word, &["timeout", "signal"])
                })?;
                if let Err(at) = self.codes.binary_search(&code) {
                    self.codes.insert(at, code);
                }
            }
        }
        Ok(())
    }
}

/// Longer times are refused, so that adding some of them up can't overflow.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// `10MB`, `64KiB`; a bare number is bytes, and a bare letter a power of 1024, as for GNU parallel. At least 1.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let bad = || "expected a size from 1 byte, such as `64KiB` or `10MB`".to_owned();
    let binary = text.ends_with(['K', 'M', 'G', 'T', 'k', 'm', 'g', 't']).then(|| format!("{text}iB"));
    let size: bytesize::ByteSize = binary.as_deref().unwrap_or(text).parse().map_err(|_| bad())?;
    usize::try_from(size.as_u64()).ok().filter(|size| *size > 0).ok_or_else(bad)
}

/// `timeout`: a duration, or a percentage of the median.
pub fn parse_timeout(text: &str) -> Result<Timeout, String> {
    let Some(percent) = text.trim().strip_suffix('%') else {
        return parse_duration(text).map(Timeout::After).map_err(|why| why + ", or `200%` of the median");
    };
    let percent = percent.parse().ok().filter(|percent: &f64| percent.is_finite() && *percent > 100.0);
    percent.map(Timeout::OfMedian).ok_or_else(|| {
        "expected more than `100%` of the median, which half of the tasks need, such as `300%`".to_owned()
    })
}

/// `"250ms"`, `"30s"`, `"1h30m"`; a bare number, also a decimal one, is seconds.
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

/// The number of a port.
pub fn parse_port(text: &str) -> Result<u16, String> {
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| format!("expected a port from 1 to {}", u16::MAX))
}

/// `4`, `0` (no limit), `50%` of the CPUs, `+2` and `-2` of them.
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

/// GNU parallel's grammar: `never`, `soon,fail=1`, `now,fail=20%`, `now,success=1`, `now,done=10`; `now` and
/// `soon` alone mean `fail=1`. Its older forms: `0`, `1`, `2` are `never`, `soon,fail=1`, `now,fail=1`; `-1` and
/// `-2` the same of successes; `20%` is `soon,fail=20%`. `None` is `never`.
pub fn parse_halt(text: &str) -> Result<Option<Halt>, String> {
    let bad = || {
        "expected `never`, or `now` or `soon` with a limit, such as `now,fail=1`, `soon,fail=20%`, `now,success=1`, `now,done=10`"
            .to_owned()
    };
    let text = match text.trim() {
        "never" | "0" => return Ok(None),
        "1" => "soon,fail=1",
        "2" => "now,fail=1",
        "-1" => "soon,success=1",
        "-2" => "now,success=1",
        text if text.ends_with('%') && !text.contains(',') => &format!("soon,fail={text}"),
        text => text,
    };
    let (when, limit) = text.split_once(',').unwrap_or((text, "fail=1"));
    let now = match when.trim() {
        "now" => true,
        "soon" => false,
        other => return Err(bad() + &near_word(other, &["never", "now", "soon"])),
    };
    let (on, limit) = limit.split_once('=').ok_or_else(bad)?;
    let on = match on.trim() {
        "fail" => HaltOn::Fail,
        "success" => HaltOn::Success,
        "done" => HaltOn::Done,
        other => return Err(bad() + &near_word(other, &["fail", "success", "done"])),
    };
    let limit = halt_limit(limit.trim()).ok_or_else(|| {
        format!(
            "expected a number from 1, or a percentage above 0 and up to 100, in place of `{}`",
            limit.trim()
        )
    })?;
    Ok(Some(Halt { now, on, limit }))
}

fn halt_limit(text: &str) -> Option<HaltLimit> {
    match text.strip_suffix('%') {
        Some(percent) => {
            let percent: f64 = percent.parse().ok()?;
            (percent > 0.0 && percent <= 100.0).then_some(HaltLimit::Percent(percent))
        }
        None => text.parse().ok().filter(|&n: &u64| n > 0).map(HaltLimit::Count),
    }
}

/// A comma-separated list of exit codes, `timeout` and `signal`: `0,1,timeout`.
pub fn parse_outcomes(text: &str) -> Result<Outcomes, String> {
    let mut outcomes = Outcomes::default();
    text.split(',').try_for_each(|word| outcomes.add(word.trim()))?;
    Ok(outcomes)
}

/// A signal's number: `TERM`, `SIGTERM`, `sigterm`, `15`.
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

/// `group`, `line` or `raw`.
pub fn parse_output(text: &str) -> Result<OutputMode, String> {
    one_of(text, &[("group", OutputMode::Group), ("line", OutputMode::Line), ("raw", OutputMode::Raw)])
}

/// `spawn` or `fork`.
pub fn parse_start(text: &str) -> Result<StartMode, String> {
    one_of(text, &[("spawn", StartMode::Spawn), ("fork", StartMode::Fork)])
}

/// `leave`, `kill` or `wait`.
pub fn parse_leftovers(text: &str) -> Result<Leftovers, String> {
    one_of(text, &[("leave", Leftovers::Leave), ("kill", Leftovers::Kill), ("wait", Leftovers::Wait)])
}

/// `first`, `any`, `count` or `xargs`.
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

/// The value of the word that `text` is, or an error that lists the words.
pub(super) fn one_of<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text.trim()) {
        return Ok(*value);
    }
    let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
    Err(format!("expected {}", alternatives(&words)) + &near_word(text, &words))
}

#[cfg(test)]
mod tests;
