//! Workers end, and their tasks are tried again, given to others, or end. Pure.

use std::sync::Arc;

use super::job::Subject;
use super::stop::{Reason, Running};
use super::task::{Role, State, TaskId, WorkerState};
use super::{Action, JobId, Mode, Supervisor, hooks};
use crate::event::{Exit, Outcome, RunEvent, Time};
use crate::plan::status;

/// If this many workers in a row end without an answer, and none ever answered, the job fails.
const FRUITLESS: u32 = 10;

/// How a worker ended.
struct WorkerEnd {
    job: JobId,
    state: WorkerState,
    exit: Option<Exit>,
    /// Why it was stopped, if it was.
    reason: Option<Reason>,
    outcome: Outcome,
}

impl Supervisor {
    /// The worker's processes and output are at their end.
    pub(super) fn worker_ended(
        &mut self,
        now: Time,
        worker: TaskId,
        reason: Option<Reason>,
        actions: &mut Vec<Action>,
    ) {
        self.give_back_slot(worker);
        let entity = self.tasks.remove(worker);
        let (job, exit) = (entity.job, entity.exits[0]);
        let Role::Worker(state) = entity.role else { unreachable!("{worker:?} is a worker") };
        self.jobs.get_mut(job).workers.ids.retain(|id| *id != worker);
        if let (Some(Reason::Shortage), Some(since)) = (&reason, entity.short_since) {
            self.brakes.congestion.workers.insert(job, since);
        }
        let outcome = self.worker_outcome(job, exit, &state, reason.as_ref());
        // From the back, so that they stand in their order at the front.
        for &task in state.given.iter().skip(1).rev() {
            self.unassign(task);
        }
        // Before the worker is forgotten: the task's failure shows what the worker wrote to stderr.
        if let Some(&task) = state.given.front() {
            // Each worker of this kind has brought the job on by an answer, so there is an end to them.
            let has_left = reason.is_none() && outcome == Outcome::Ok && state.answers > 0;
            if has_left {
                self.unassign(task);
            } else {
                self.end_current_task(now, task, reason.as_ref(), &outcome, actions);
            }
        }
        self.jobs.get_mut(job).active -= 1;
        actions.push(Action::WorkerEnded { worker, outcome: outcome.clone() });
        if self.mode != Mode::Going || self.jobs.get(job).closing {
            for &task in &state.given {
                self.end_unassigned(now, task, reason.as_ref(), actions);
            }
        } else {
            self.judge_worker_end(now, WorkerEnd { job, state, exit, reason, outcome }, actions);
        }
        self.jobs.touch(job);
        self.end_job_if_done(job, actions);
    }

    fn worker_outcome(
        &self,
        job: JobId,
        exit: Option<Exit>,
        state: &WorkerState,
        reason: Option<&Reason>,
    ) -> Outcome {
        let ok = &self.plan.jobs[job].stages[0].ok;
        match reason {
            _ if state.retired && !matches!(reason, Some(Reason::NotStarted(_))) => Outcome::Ok,
            Some(Reason::Timeout) if ok.timeout => Outcome::Ok,
            Some(reason) => reason.clone().outcome(),
            None => status::judge(exit, ok),
        }
    }

    /// The worker ended while it was at this task, not of its own accord after an answer. The task counts the
    /// attempt, unless the end concerns the worker alone.
    fn end_current_task(
        &mut self,
        now: Time,
        task: TaskId,
        reason: Option<&Reason>,
        outcome: &Outcome,
        actions: &mut Vec<Action>,
    ) {
        let outcome = match (reason, outcome) {
            (Some(Reason::Cancelled), _) => return self.conclude(now, task, Outcome::Cancelled, actions),
            (Some(Reason::NotStarted(_) | Reason::Shortage | Reason::Fault(_) | Reason::Finished), _) => {
                return self.unassign(task);
            }
            (None, Outcome::Ok) => Outcome::Fault("its worker ended without an answer".into()),
            (_, outcome) => outcome.clone(),
        };
        self.attempt_ended(now, task, outcome, actions);
    }

    /// Puts a task back that its worker did not come to. The attempt is not counted.
    fn unassign(&mut self, task: TaskId) {
        let State::Given { previous, .. } = self.tasks.state(task) else { return };
        let previous = previous.clone();
        let taken = self.tasks.get_mut(task);
        taken.attempts -= 1;
        let job = taken.job;
        self.tasks.set(task, State::Ready(previous));
        self.jobs.get_mut(job).ready.push_front(task);
        self.update_startable(job);
    }

    /// Ends a task that was put back, if nothing is given out any more.
    fn end_unassigned(
        &mut self,
        now: Time,
        task: TaskId,
        reason: Option<&Reason>,
        actions: &mut Vec<Action>,
    ) {
        // It may be gone, or its hook may run.
        if !self.tasks.contains(task) || matches!(self.tasks.get(task).role, Role::Hook(_)) {
            return;
        }
        if reason == Some(&Reason::Cancelled) {
            let job = self.tasks.get(task).job;
            self.jobs.get_mut(job).ready.retain(|ready| *ready != task);
            self.end_task(now, task, Outcome::Cancelled, actions);
        } else {
            self.drop_if_waiting(now, task, actions);
        }
    }

    /// Fails the job if the worker could not be started, or if too many in a row never answered.
    fn judge_worker_end(&mut self, now: Time, end: WorkerEnd, actions: &mut Vec<Action>) {
        let job = end.job;
        match end.reason {
            Some(Reason::NotStarted(_)) => return self.fail_job(now, job, end.outcome, actions),
            Some(Reason::Shortage) => return,
            _ => {}
        }
        let workers = &mut self.jobs.get_mut(job).workers;
        if end.state.retired || end.state.answers > 0 || workers.answered {
            return;
        }
        workers.fruitless += 1;
        if workers.fruitless == FRUITLESS {
            let last = match (end.reason, end.exit) {
                (Some(Reason::Timeout), _) => "timed out".to_owned(),
                (Some(Reason::ClosedOutput), _) => "closed its output".to_owned(),
                (_, Some(exit)) => hooks::ended(exit),
                (_, None) => "was stopped".to_owned(),
            };
            let why = format!("{FRUITLESS} workers in a row ended without any answer; the last one {last}");
            self.fail_job(now, job, Outcome::Fault(why.into()), actions);
        }
    }

    /// Counts a failure of the job itself, and closes the job.
    fn fail_job(&mut self, now: Time, job: JobId, outcome: Outcome, actions: &mut Vec<Action>) {
        self.count_job_failure(now, job, outcome, actions);
        self.close_job(now, job, Running::MayEnd, actions);
    }

    fn count_job_failure(&mut self, now: Time, job: JobId, outcome: Outcome, actions: &mut Vec<Action>) {
        actions.push(Action::Tell(RunEvent::JobFailed { job, outcome: outcome.clone() }));
        // Its place is before failures of tasks, which may follow from it.
        self.count(job, Subject::Job, &outcome);
        self.check_halt(now, job, &outcome, actions);
    }

    /// The worker can't be trusted any more, for this reason, and its job fails.
    pub(super) fn worker_fault(
        &mut self,
        now: Time,
        worker: TaskId,
        why: Arc<str>,
        actions: &mut Vec<Action>,
    ) {
        if self.distrust(now, worker, &why, actions) {
            let job = self.tasks.get(worker).job;
            self.count_job_failure(now, job, Outcome::Fault(why), actions);
        }
    }

    /// Stops a worker that can't be trusted any more. Returns `false` if it is being stopped already.
    pub(super) fn distrust(
        &mut self,
        now: Time,
        worker: TaskId,
        why: &Arc<str>,
        actions: &mut Vec<Action>,
    ) -> bool {
        // A worker that is being stopped may write what it was asked for before.
        if !matches!(self.tasks.state(worker), State::Running { .. } | State::Draining { reason: None, .. }) {
            return false;
        }
        let signal = self.stop_signal(worker);
        if let State::Draining { until, .. } = *self.tasks.state(worker) {
            self.tasks.set(worker, State::Draining { until, reason: Some(Reason::Fault(Arc::clone(why))) });
        }
        self.stop_task(now, worker, Reason::Fault(Arc::clone(why)), signal, actions);
        true
    }

    /// The task did not reach its worker after all.
    pub(super) fn not_given(&mut self, now: Time, task: TaskId, reason: Reason, actions: &mut Vec<Action>) {
        let State::Given { worker, .. } = *self.tasks.state(task) else { return };
        if let Some(state) = self.tasks.worker_mut(worker)
            && let Some(at) = state.given.iter().position(|given| *given == task)
        {
            state.given.remove(at);
            state.given_in_all -= 1;
            if at == 0 {
                state.oldest_since = now;
            }
        }
        let job = self.tasks.get(task).job;
        self.jobs.touch(job);
        self.attempt_ended(now, task, reason.outcome(), actions);
    }
}
