//! How long an attempt may take. Pure.

use super::job::JobState;
use super::median::Median;
use super::stop::Reason;
use super::task::{Role, State};
use super::{JobId, Supervisor, TaskId};
use crate::event::Time;
use crate::plan::Timeout;

/// How many times are needed before their median is used.
const ENOUGH: u64 = 3;

impl Supervisor {
    /// Returns how long one attempt of the job may take, as far as that is known now.
    pub(super) fn time_limit(&self, job: JobId) -> Option<Time> {
        match self.plan.jobs[job].timeout? {
            Timeout::After(limit) => Some(limit),
            Timeout::OfMedian(percent) => {
                let times = self.jobs.get(job).times.as_ref().filter(|times| times.count() >= ENOUGH)?;
                Some(times.get().mul_f64(percent / 100.0))
            }
        }
    }

    /// Notes how long a task of the job took that ended ok. Does nothing unless the time limit is a share of
    /// the median.
    pub(super) fn note_time(&mut self, job: JobId, took: Time) {
        let JobState { times: Some(times), .. } = self.jobs.get_mut(job) else { return };
        times.add(took);
        if times.count() == ENOUGH {
            self.limit_running(job);
        }
    }

    /// Sets the limit, which has just become known, for attempts that run already.
    fn limit_running(&mut self, job: JobId) {
        for id in self.tasks.ids() {
            let task = self.tasks.get(id);
            if task.job == job
                && let State::Running { live, drained, deadline: None } = *self.tasks.state(id)
            {
                let deadline = self.deadline(id);
                self.tasks.set(id, State::Running { live, drained, deadline });
            }
        }
    }

    /// The deadline of the attempt has passed. If it was set for another task of the worker, or by another
    /// median, sets it anew and returns `None`.
    pub(super) fn timeout_reason(&mut self, now: Time, until: Time, id: TaskId) -> Option<Reason> {
        let State::Running { live, drained, .. } = *self.tasks.state(id) else { return None };
        let deadline = self.deadline(id);
        if deadline.is_some_and(|deadline| deadline <= until.min(now)) {
            return Some(Reason::Timeout);
        }
        self.tasks.set(id, State::Running { live, drained, deadline });
        None
    }

    /// Returns when something is due for a running attempt: it has taken too long, has to be up, or counts as
    /// up.
    pub(super) fn deadline(&self, id: TaskId) -> Option<Time> {
        if self.is_killing_leftovers(id) {
            return None;
        }
        let task = self.tasks.get(id);
        if self.services.are_unneeded() && self.plan.jobs[task.job].is_service() {
            return None; // Whatever it does is no failure any more.
        }
        let since = match &task.role {
            Role::Attempt => {
                let limit = self.time_limit(task.job).map(|limit| task.started + limit);
                return [limit, self.up_at(id), self.up_until(id)].into_iter().flatten().min();
            }
            Role::Worker(worker) if !worker.given.is_empty() => worker.oldest_since,
            Role::Worker(_) | Role::Dismissed | Role::Hook(_) => return None,
        };
        Some(since + self.time_limit(task.job)?)
    }
}

/// Returns where the job's times are kept, if its time limit is a share of their median.
pub(super) fn times(timeout: Option<Timeout>) -> Option<Median> {
    matches!(timeout, Some(Timeout::OfMedian(_))).then(Median::default)
}
