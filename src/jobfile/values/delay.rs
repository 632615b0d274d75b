//! `retry_delay` and `restart`. Pure.

use std::time::Duration;

use super::{Restart, RetryDelay, parse_duration};
use crate::jobfile::near::near_word;

impl RetryDelay {
    /// The defaults of a growing delay.
    pub const GROWING: RetryDelay = RetryDelay {
        first: Duration::from_secs(1),
        factor: 2.0,
        max: Duration::from_secs(60),
        jitter: false,
    };
}

/// Parses `never`, `on-failure` or `always`.
pub fn parse_restart(text: &str) -> Result<Restart, String> {
    match text {
        "never" => Ok(Restart::Never),
        "on-failure" => Ok(Restart::OnFailure),
        "always" => Ok(Restart::Always),
        other => Err("expected `never`, `on-failure` or `always`".to_owned()
            + &near_word(other, &["never", "on-failure", "always"])),
    }
}

/// Parses one duration: the same delay before each further attempt.
pub fn parse_retry_delay(text: &str) -> Result<RetryDelay, String> {
    parse_duration(text).map(RetryDelay::constant)
}

/// Parses a delay of the command line: `1s`, or a growing one with the keys of job files,
/// `1s,factor=2,max=1m,jitter`.
pub fn parse_retry_rule(text: &str) -> Result<RetryDelay, String> {
    let Some((first, keys)) = text.split_once(',') else { return parse_retry_delay(text) };
    let mut rule = RetryDelay { first: parse_duration(first)?, ..RetryDelay::GROWING };
    for word in keys.split(',') {
        match word.trim().split_once('=') {
            Some(("factor", value)) => rule.factor = parse_factor(value)?,
            Some(("max", value)) => rule.max = parse_duration(value)?,
            None if word.trim() == "jitter" => rule.jitter = true,
            other => {
                let key = other.map_or(word.trim(), |(key, _)| key);
                return Err(
                    "expected a duration, then `factor=N`, `max=DURATION` or `jitter`, joined by commas"
                        .to_owned()
                        + &near_word(key, &["factor", "max", "jitter"]),
                );
            }
        }
    }
    Ok(RetryDelay { first: rule.first.min(rule.max), ..rule })
}

/// Parses the number that a delay is multiplied by.
pub fn parse_factor(text: &str) -> Result<f64, String> {
    let factor = text.parse::<f64>().ok().filter(|factor| factor.is_finite() && *factor >= 1.0);
    factor.ok_or_else(|| "expected a factor from 1".to_owned())
}
