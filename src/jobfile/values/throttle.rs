//! Limits on starts: `rate`, `load`. Pure.

use std::time::Duration;

use super::{LONGEST, parse_duration};

/// `rate`: starts per time, without bursts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Time from one start to the next.
    pub interval: Duration,
}

/// `load`: nothing new starts unless the load average is below it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Load {
    Average(f64),
    /// `"80%"`: this percentage of the CPUs.
    Percent(f64),
}

impl Load {
    /// Returns the load average on a machine with this many CPUs.
    pub fn resolve(self, cpus: usize) -> f64 {
        match self {
            Load::Average(load) => load,
            Load::Percent(percent) => cpus as f64 * percent / 100.0,
        }
    }
}

/// Parses a rate: `10/s`, `100/m`, `5/h`, `1/2s`.
pub fn parse_rate(text: &str) -> Result<Rate, String> {
    let bad = || "expected starts per time, such as `10/s`, `100/m`, `5/h` or `1/2s`".to_owned();
    let (count, time) = text.split_once('/').ok_or_else(bad)?;
    let (count, time) = (count.trim(), time.trim());
    let count = positive(count).filter(|count| *count > 0.0).ok_or_else(bad)?;
    let unit = time.starts_with(|first: char| first.is_ascii_alphabetic());
    let time = if unit { format!("1{time}") } else { time.to_owned() };
    let time = parse_duration(&time).map_err(|_| bad())?;
    let interval = Duration::try_from_secs_f64(time.as_secs_f64() / count).map_err(|_| bad())?;
    if interval.is_zero() || interval > LONGEST { Err(bad()) } else { Ok(Rate { interval }) }
}

/// Parses a load: `4`, `2.5`, or `80%` of the CPUs.
pub fn parse_load(text: &str) -> Result<Load, String> {
    let bad = || "expected a load average such as `4` or `2.5`, or `80%` of the CPUs".to_owned();
    match text.trim().strip_suffix('%') {
        Some(percent) => positive(percent).map(Load::Percent),
        None => positive(text.trim()).map(Load::Average),
    }
    .ok_or_else(bad)
}

/// Parses a decimal number from 0, without a sign or an exponent.
fn positive(text: &str) -> Option<f64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|number: &f64| digits && number.is_finite())
}
