//! When the run, or a job, stops by itself (`halt`). Pure.

use super::job::{Phase, Source};
use super::{JobId, Supervisor};
use crate::event::Outcome;
use crate::plan::{Halt, HaltLimit, HaltOn, StatusMode, items};

/// How many tasks ended, by outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    pub ok: u64,
    pub failed: u64,
    pub cancelled: u64,
    pub skipped: u64,
    /// Jobs that were skipped because a daemon that they need has ended without a failure. They are among the
    /// skipped, and fail the run.
    pub lost: u64,
}

impl Tally {
    pub fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Ok => self.ok += 1,
            Outcome::Cancelled => self.cancelled += 1,
            Outcome::Skipped => self.skipped += 1,
            _ => self.failed += 1,
        }
    }

    /// Returns how many tasks ended by themselves.
    pub fn done(&self) -> u64 {
        self.ok + self.failed
    }

    /// Returns how many failures the run has had.
    pub fn failures(&self) -> u64 {
        self.failed + self.lost
    }

    fn count(&self, on: HaltOn) -> u64 {
        match on {
            HaltOn::Fail => self.failures(),
            HaltOn::Success => self.ok,
            HaltOn::Done => self.done(),
        }
    }

    /// True if the end of a task with this outcome, which is counted already, makes the halt come true.
    /// `total` returns of how many tasks, if that is known.
    pub fn reached(&self, halt: &Halt, outcome: &Outcome, total: impl FnOnce() -> Option<u64>) -> bool {
        let concerns = match halt.on {
            HaltOn::Fail => outcome.is_failure(),
            HaltOn::Success => *outcome == Outcome::Ok,
            HaltOn::Done => outcome.is_failure() || *outcome == Outcome::Ok,
        };
        let count = self.count(halt.on);
        concerns
            && match halt.limit {
                HaltLimit::Count(limit) => count >= limit,
                HaltLimit::Percent(percent) => {
                    // Every task that ended has ended, so a share of those would always be all.
                    let of = if halt.on == HaltOn::Done { total() } else { Some(self.done()) };
                    let reached = |of| count as f64 * 100.0 >= percent * of as f64;
                    self.done() >= 3 && of.is_some_and(reached)
                }
            }
    }
}

/// Returns the outcome that the exit status follows from when the halt comes true: the failure that did it,
/// or success. A halt on `done` leaves the exit status as it would be without.
pub fn trigger(halt: &Halt, outcome: &Outcome) -> Option<Outcome> {
    match halt.on {
        HaltOn::Fail | HaltOn::Success => Some(outcome.clone()),
        HaltOn::Done => None,
    }
}

/// Returns why the run stops, for people.
pub fn phrase(halt: &Halt, tally: &Tally) -> String {
    let count = tally.count(halt.on);
    let what = match halt.on {
        HaltOn::Fail => "failed",
        HaltOn::Success => "succeeded",
        HaltOn::Done => "ended",
    };
    let tasks = if count == 1 { "task" } else { "tasks" };
    let end = if halt.now { "stopping the others" } else { "starting no more" };
    format!("{count} {tasks} {what}: {end}")
}

/// True if xargs would start nothing more: it stops after an exit status of 255 or a death by signal. prun
/// does the same when it is asked for xargs' exit status.
pub fn xargs_stops(mode: StatusMode, outcome: &Outcome) -> bool {
    mode == StatusMode::Xargs && matches!(outcome, Outcome::Failed(255) | Outcome::Killed(_))
}

impl Supervisor {
    /// Returns how many tasks the run has, if that is known by now.
    pub(super) fn total(&self) -> Option<u64> {
        let jobs = self.plan.job_ids().filter(|job| !self.plan.jobs[*job].is_lister());
        jobs.map(|job| self.total_of(job)).sum()
    }

    pub(super) fn total_of(&self, job: JobId) -> Option<u64> {
        let state = self.jobs.get(job);
        if state.source == Source::Ended || matches!(state.phase, Phase::Ended(_)) {
            return Some(state.tasks);
        }
        items::known_tasks(&self.plan, &self.plan.jobs[job])
    }
}
