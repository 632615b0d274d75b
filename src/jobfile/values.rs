//! The values that job files and flags share, and how they are spelt. Pure.

use std::time::Duration;

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
    /// Of the tasks that ended, from 3 on.
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

/// `--status` (DESIGN.md, 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StatusMode {
    #[default]
    First,
    Any,
    Count,
    Xargs,
}
