//! Jobs that wait until others are up (`after` with `ready`). Pure.
//!
//! A task counts as up from the first time that its sign is seen: what waited for it has begun then, whatever
//! becomes of the task. A job is up when it has no more items and each of its tasks has been up.

use super::job::{Phase, SkipCause, Source};
use super::stop::Reason;
use super::task::{Role, State, Up};
use super::{Action, JobId, Supervisor, TaskId};
use crate::event::{Outcome, RunEvent, TaskName, Time};
use crate::plan::ReadyCheck;

impl Supervisor {
    /// The sign of the task was seen. It may stand in output that is read after the exit.
    pub(super) fn up(&mut self, now: Time, id: TaskId, actions: &mut Vec<Action>) {
        let task = self.tasks.get(id);
        let counts = matches!(task.role, Role::Attempt | Role::Dismissed)
            && matches!(self.tasks.state(id), State::Running { .. } | State::Draining { reason: None, .. });
        if !counts || task.up == Up::Now {
            return;
        }
        let (job, seq, elapsed) = (task.job, task.seq, now.saturating_sub(task.started));
        let before = std::mem::replace(&mut self.tasks.get_mut(id).up, Up::Now);
        if self.plan.jobs[job].ready.is_some() {
            actions.push(Action::Tell(RunEvent::Ready { task: TaskName { job, seq }, elapsed }));
        }
        if let State::Running { live, drained, .. } = *self.tasks.state(id)
            && matches!(self.tasks.get(id).role, Role::Attempt)
        {
            let deadline = self.deadline(id);
            self.tasks.set(id, State::Running { live, drained, deadline });
        }
        if before == Up::Never {
            self.jobs.get_mut(job).up_count += 1;
            self.resolve_up(job, actions);
        }
    }

    /// Returns when the task counts as up by time alone (`ready.after`).
    pub(super) fn up_at(&self, id: TaskId) -> Option<Time> {
        let task = self.tasks.get(id);
        let ready = self.plan.jobs[task.job].ready.as_ref().filter(|_| task.up != Up::Now)?;
        match ready.check {
            ReadyCheck::After(time) if matches!(task.role, Role::Attempt) => Some(task.started + time),
            _ => None,
        }
    }

    /// Returns when the task has to be up at the latest.
    pub(super) fn up_until(&self, id: TaskId) -> Option<Time> {
        let task = self.tasks.get(id);
        let ready = self.plan.jobs[task.job].ready.as_ref().filter(|_| task.up != Up::Now)?;
        match ready.check {
            // Time is the sign: it can't be late.
            ReadyCheck::After(_) => None,
            _ if matches!(task.role, Role::Attempt) => Some(task.started + ready.timeout),
            _ => None,
        }
    }

    /// Called when something is due: the task may count as up by now, or may have had to be up by now.
    /// Returns why to stop it, in the second case.
    pub(super) fn not_up_reason(
        &mut self,
        now: Time,
        until: Time,
        id: TaskId,
        actions: &mut Vec<Action>,
    ) -> Option<Reason> {
        let is_over = |due: Option<Time>| due.is_some_and(|due| due <= until.min(now));
        if is_over(self.up_at(id)) {
            self.up(now, id, actions);
        }
        is_over(self.up_until(id)).then_some(Reason::NotReady)
    }

    /// Opens the jobs that wait for this one to be up, if it is.
    pub(super) fn resolve_up(&mut self, job: JobId, actions: &mut Vec<Action>) {
        let state = self.jobs.get(job);
        let is_up = state.phase == Phase::Open
            && state.source == Source::Ended
            && !state.closing
            && state.up_count == state.tasks
            && state.tally.failed == 0
            && state.missed.is_none();
        if state.up_dependents.is_empty() || !is_up {
            return;
        }
        for dependent in std::mem::take(&mut self.jobs.get_mut(job).up_dependents) {
            self.satisfy_condition(dependent, actions);
        }
    }

    /// A task has ended. If it was never up, or failed before the whole job was up, the job will never be up:
    /// skips those that wait for that.
    pub(super) fn resolve_never_up(
        &mut self,
        job: JobId,
        up: Up,
        outcome: &Outcome,
        actions: &mut Vec<Action>,
    ) {
        if self.jobs.get(job).up_dependents.is_empty() || (up != Up::Never && !outcome.is_failure()) {
            return;
        }
        let name = &self.plan.jobs[job].name;
        let why = match outcome {
            _ if up != Up::Never => format!("`{name}` failed before all of it was ready"),
            Outcome::Timeout => format!("`{name}` was not ready in time"),
            Outcome::NotStarted(_) => format!("`{name}` could not be started"),
            Outcome::Cancelled => format!("`{name}` was cancelled"),
            Outcome::Skipped => format!("`{name}` was skipped"),
            _ => format!("`{name}` ended before it was ready"),
        };
        if *outcome == Outcome::Ok && !self.plan.jobs[job].is_daemon() {
            // The task is ok, so nothing else would tell why jobs are skipped.
            let told = format!("{why}: jobs that wait for that are skipped");
            actions.push(Action::Tell(RunEvent::Warning(told)));
        }
        let mut ended = Vec::new();
        let cause = if outcome.is_failure() { SkipCause::Failure } else { SkipCause::Other };
        self.skip_up_dependents(job, cause, &why, &mut ended, actions);
        self.resolve_dependents(ended, actions);
    }

    /// Skips the jobs that wait for this one to be up, and appends them to `ended`.
    pub(super) fn skip_up_dependents(
        &mut self,
        job: JobId,
        cause: SkipCause,
        why: &str,
        ended: &mut Vec<JobId>,
        actions: &mut Vec<Action>,
    ) {
        for dependent in std::mem::take(&mut self.jobs.get_mut(job).up_dependents) {
            if matches!(self.jobs.get(dependent).phase, Phase::Blocked(_)) {
                self.skip(dependent, cause, why.to_owned(), actions);
                ended.push(dependent);
            }
        }
    }
}
