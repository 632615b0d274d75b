//! Jobs that wait until others are up (`after` with `ready`). Pure.
//!
//! A task is up from the time that its sign is seen until its attempt exits or is stopped. A job is ready when it
//! has no more items and each of its tasks is up; if it is no daemon, a task that was up and ended ok counts as up
//! for good. A job that ends before it was ready has failed, also with status 0; if its sign is a time
//! (`ready.after`), ending well counts as the sign.
//!
//! A job that waits for another to be ready begins only while that one is: during a restart it waits, and when
//! the other has failed, or is a daemon and has ended, for good, it is skipped. What has begun goes on, whatever
//! becomes of the others.

use std::sync::Arc;

use super::job::{End, Lost, Phase, SkipCause, Source};
use super::stop::{Reason, Running};
use super::task::{Role, State, Up};
use super::{Action, JobId, Mode, Supervisor, TaskId};
use crate::event::{Outcome, RunEvent, TaskName, Time};
use crate::plan::ReadyCheck;
use crate::plan::template::Scope;

impl Supervisor {
    /// The sign of the task was seen. It may stand in output that is read after the exit.
    pub(super) fn up(&mut self, now: Time, id: TaskId, actions: &mut Vec<Action>) {
        let task = self.tasks.get(id);
        let counts = matches!(task.role, Role::Attempt | Role::Dismissed)
            && matches!(self.tasks.state(id), State::Running { .. } | State::Draining { reason: None, .. });
        if !counts || task.up.in_this_attempt() {
            return;
        }
        let (job, seq, elapsed) = (task.job, task.seq, now.saturating_sub(task.started));
        let runs = matches!(self.tasks.state(id), State::Running { .. }) && !self.is_killing_leftovers(id);
        self.tasks.get_mut(id).up = if runs { Up::Now } else { Up::Over };
        if self.plan.jobs[job].ready.is_some() {
            actions.push(Action::Tell(RunEvent::Ready { task: TaskName { job, seq }, elapsed }));
        }
        if let State::Running { live, drained, .. } = *self.tasks.state(id)
            && matches!(self.tasks.get(id).role, Role::Attempt)
        {
            let deadline = self.deadline(id);
            self.tasks.set(id, State::Running { live, drained, deadline });
        }
        if runs {
            self.jobs.get_mut(job).readiness.up += 1;
            self.update_ready(job, actions);
        }
    }

    /// The attempt has exited, or is about to be stopped: it is not up any more.
    pub(super) fn down(&mut self, id: TaskId, actions: &mut Vec<Action>) {
        let task = self.tasks.get_mut(id);
        if task.up == Up::Now {
            task.up = Up::Over;
            let job = task.job;
            self.jobs.get_mut(job).readiness.up -= 1;
            self.update_ready(job, actions);
        }
    }

    /// Returns when the task counts as up by time alone (`ready.after`).
    pub(super) fn up_at(&self, id: TaskId) -> Option<Time> {
        let task = self.tasks.get(id);
        let ready = self.plan.jobs[task.job].ready.as_ref().filter(|_| !task.up.in_this_attempt())?;
        match ready.check {
            ReadyCheck::After(time) if matches!(task.role, Role::Attempt) => Some(task.started + time),
            _ => None,
        }
    }

    /// Returns when the task has to be up at the latest.
    pub(super) fn up_until(&self, id: TaskId) -> Option<Time> {
        let task = self.tasks.get(id);
        let ready = self.plan.jobs[task.job].ready.as_ref().filter(|_| !task.up.in_this_attempt())?;
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

    /// Returns why an attempt that has ended well has failed all the same: it was never up.
    pub(super) fn never_ready(&self, id: TaskId) -> Option<Arc<str>> {
        let task = self.tasks.get(id);
        let ready = self.plan.jobs[task.job].ready.as_ref().filter(|_| !task.up.in_this_attempt())?;
        let sign = match &ready.check {
            ReadyCheck::After(_) => return None,
            ReadyCheck::Line(regex) => format!("no line matched `{regex}`"),
            ReadyCheck::Port(port) if port.uses_task() => "nobody listened at its port".into(),
            ReadyCheck::Port(port) => {
                let number = port.rendered(&Scope::default());
                format!("nobody listened at port {}", String::from_utf8_lossy(&number))
            }
            ReadyCheck::Command(_) => "its `ready` command did not succeed".into(),
        };
        Some(format!("ended before it was ready: {sign}").into())
    }

    // ---- jobs ----------------------------------------------------------------------------------------------

    /// Tells the jobs that wait for this one whether it is ready, if that has changed.
    pub(super) fn update_ready(&mut self, job: JobId, actions: &mut Vec<Action>) {
        let is_ready = self.is_ready(job);
        let readiness = &mut self.jobs.get_mut(job).readiness;
        if readiness.dependents.is_empty() || readiness.told == is_ready {
            return;
        }
        readiness.told = is_ready;
        for at in 0..readiness.dependents.len() {
            let dependent = self.jobs.get(job).readiness.dependents[at];
            if is_ready {
                self.satisfy_condition(dependent, actions);
            } else {
                self.revoke_condition(dependent);
            }
        }
    }

    fn is_ready(&self, job: JobId) -> bool {
        let state = self.jobs.get(job);
        match state.phase {
            Phase::Blocked(_) => false,
            Phase::Open => {
                state.source == Source::Ended
                    && !state.closing
                    && state.readiness.up == state.tasks
                    && state.tally.failed == 0
                    && state.missed.is_none()
            }
            // A daemon without items was never there, and is not missed.
            Phase::Ended(end) => end == End::Ok && (!self.plan.jobs[job].is_daemon() || state.tasks == 0),
        }
    }

    /// True if a job that has not begun waits for this one to be ready.
    pub(super) fn is_ready_awaited(&self, job: JobId) -> bool {
        self.jobs.get(job).readiness.dependents.iter().any(|dependent| self.may_be_lost(*dependent))
    }

    /// True if the job has started nothing, and may still do so.
    fn may_be_lost(&self, job: JobId) -> bool {
        let state = self.jobs.get(job);
        match state.phase {
            Phase::Blocked(_) => true,
            Phase::Open => !state.begun,
            Phase::Ended(_) => false,
        }
    }

    /// A task has ended for good. It counts as up from now on, or the job is never ready again: then those that
    /// wait for it are skipped.
    pub(super) fn settle_ready(&mut self, job: JobId, up: Up, outcome: &Outcome, actions: &mut Vec<Action>) {
        let is_daemon = self.plan.jobs[job].is_daemon();
        let state = self.jobs.get_mut(job);
        if *outcome == Outcome::Ok && !is_daemon {
            state.readiness.up += 1;
            return self.update_ready(job, actions);
        }
        // The end of the job decides if it is ok by its own halt, or has not run for all its items.
        let is_open = state.halted_by == Some(Outcome::Ok) || *outcome == Outcome::Skipped;
        if state.readiness.dependents.is_empty() || is_open {
            return;
        }
        let name = &self.plan.jobs[job].name;
        let is_timed = self.plan.jobs[job].ready.as_ref().is_none_or(|ready| ready.is_timed());
        let why = match outcome {
            Outcome::Timeout if up == Up::Never => format!("`{name}` was not ready in time"),
            Outcome::NotStarted(_) => format!("`{name}` could not be started"),
            Outcome::Cancelled => format!("`{name}` was cancelled"),
            Outcome::Ok if up != Up::Never || is_timed => format!("`{name}` has ended"),
            _ if up == Up::Never => format!("`{name}` ended before it was ready"),
            _ => format!("`{name}` failed"),
        };
        let mut ended = Vec::new();
        self.lose(job, outcome.is_failure(), &why, &mut ended, actions);
        self.resolve_dependents(ended, actions);
    }

    /// A job has ended. Those that still wait for it to be ready begin, or are skipped.
    pub(super) fn resolve_ready_at_end(
        &mut self,
        job: JobId,
        ended: &mut Vec<JobId>,
        actions: &mut Vec<Action>,
    ) {
        self.update_ready(job, actions);
        let state = self.jobs.get(job);
        if state.readiness.told {
            return;
        }
        let Phase::Ended(end) = state.phase else { return };
        let name = &self.plan.jobs[job].name;
        let how = match end {
            End::Failed => "failed before it was ready",
            End::Skipped(_) => "was skipped",
            End::Cancelled => "was cancelled",
            End::Ok => "has ended",
        };
        let why = format!("`{name}` {how}");
        match end {
            End::Skipped(cause) => {
                for dependent in std::mem::take(&mut self.jobs.get_mut(job).readiness.dependents) {
                    let lost = Lost { cause, why: why.clone(), fails: false };
                    self.lose_one(dependent, lost, ended, actions);
                }
            }
            end => self.lose(job, end == End::Failed, &why, ended, actions),
        }
    }

    /// Skips the jobs that wait for this one to be ready, and have started nothing. Appends those that have ended
    /// by it to `ended`.
    fn lose(
        &mut self,
        job: JobId,
        failed: bool,
        why: &str,
        ended: &mut Vec<JobId>,
        actions: &mut Vec<Action>,
    ) {
        // When the run stops, or nobody needs services any more, nothing is missed.
        let is_missed = self.mode == Mode::Going && !self.services.are_unneeded();
        let fails = !failed && is_missed && self.plan.jobs[job].is_daemon();
        let cause = if failed || fails { SkipCause::Failure } else { SkipCause::Other };
        for dependent in std::mem::take(&mut self.jobs.get_mut(job).readiness.dependents) {
            self.lose_one(dependent, Lost { cause, why: why.to_owned(), fails }, ended, actions);
        }
    }

    fn lose_one(&mut self, job: JobId, lost: Lost, ended: &mut Vec<JobId>, actions: &mut Vec<Action>) {
        match self.jobs.get(job).phase {
            Phase::Blocked(_) => {
                self.skip_lost(job, lost, actions);
                ended.push(job);
            }
            Phase::Open if self.may_be_lost(job) => self.services.lost.push((job, lost)),
            Phase::Open | Phase::Ended(_) => {}
        }
    }

    /// Skips open jobs that have started nothing, and whose service is gone; and halts, if the run fails by that.
    pub(super) fn skip_lost_jobs(&mut self, now: Time, actions: &mut Vec<Action>) {
        while let Some((job, lost)) = self.services.lost.pop() {
            if self.jobs.get(job).phase == Phase::Open && self.mode == Mode::Going {
                let state = self.jobs.get_mut(job);
                state.missed = Some(lost.cause);
                state.lost = Some(lost);
                self.close_job(now, job, Running::MayEnd, actions);
                self.end_job_if_done(job, actions);
            }
        }
        if let Some(job) = self.services.missed_by.take() {
            let outcome = Outcome::Fault("what it waits for has gone".into());
            self.check_halt(now, job, &outcome, actions);
        }
    }
}
