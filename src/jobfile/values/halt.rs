//! `halt`. Pure.

use crate::jobfile::near::near_word;

/// A value of `halt`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum HaltSetting {
    Never,
    At(Halt),
}

/// When to stop before everything is done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Halt {
    /// True for `now`, which stops running tasks; false for `soon`, which only starts nothing new.
    pub now: bool,
    pub on: HaltOn,
    pub limit: HaltLimit,
}

/// The ends of tasks that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HaltOn {
    Fail,
    Success,
    Done,
}

/// The number of such ends that stops the run or the job.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum HaltLimit {
    Count(u64),
    /// A percentage of the tasks that have ended, from the third on; for `done`, of all tasks.
    Percent(f64),
}

impl HaltSetting {
    /// Returns the limit; `None` for `never`.
    pub fn limit(self) -> Option<Halt> {
        match self {
            HaltSetting::Never => None,
            HaltSetting::At(halt) => Some(halt),
        }
    }
}

/// Parses `halt` in GNU parallel's grammar: `never`, `soon,fail=1`, `now,fail=20%`, `now,success=1`, `now,done=10`.
/// `now` and `soon` alone mean `fail=1`. The older forms of parallel are understood: `0`, `1`, `2` are `never`,
/// `soon,fail=1`, `now,fail=1`; `-1` and `-2` the same for successes; `20%` is `soon,fail=20%`.
pub fn parse_halt(text: &str) -> Result<HaltSetting, String> {
    let bad = || {
        "expected `never`, or `now` or `soon` with a limit, such as `now,fail=1`, `soon,fail=20%`, `now,success=1`, `now,done=10`"
            .to_owned()
    };
    let text = match text.trim() {
        "never" | "0" => return Ok(HaltSetting::Never),
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
    Ok(HaltSetting::At(Halt { now, on, limit }))
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
