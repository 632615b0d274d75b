//! Processes exit, output reaches its end, and so attempts and tasks end. Pure.

use std::sync::Arc;

use super::stop::{self, Reason, Stop};
use super::task::{State, TaskId};
use super::{Action, DRAIN, JobId, Mode, Supervisor, halt};
use crate::event::{Exit, Outcome, RunEvent, StartFailure, Time};
use crate::plan::status;

impl Supervisor {
    pub(super) fn exited(
        &mut self,
        now: Time,
        id: TaskId,
        stage: usize,
        exit: Exit,
        actions: &mut Vec<Action>,
    ) {
        let told = &mut self.tasks.get_mut(id).exits[stage];
        if told.replace(exit).is_some() {
            return;
        }
        match self.tasks.state(id).clone() {
            State::Running { live: 1, drained, .. } => self.all_exited(now, id, drained, None, actions),
            State::Running { live, drained, deadline } => {
                self.tasks.set(id, State::Running { live: live - 1, drained, deadline })
            }
            State::Stopping(mut stopping) => {
                stopping.live -= 1;
                self.tasks.set(id, State::Stopping(stopping));
            }
            // Of an attempt that is over.
            State::Ready(_) | State::Draining { .. } | State::Backoff { .. } => {}
        }
    }

    fn all_exited(
        &mut self,
        now: Time,
        id: TaskId,
        drained: bool,
        reason: Option<Reason>,
        actions: &mut Vec<Action>,
    ) {
        if drained {
            self.finish_attempt(now, id, reason, actions);
        } else {
            self.tasks.set(id, State::Draining { until: now + DRAIN, reason });
        }
    }

    pub(super) fn drained(&mut self, now: Time, id: TaskId, actions: &mut Vec<Action>) {
        match self.tasks.state(id).clone() {
            State::Running { live, deadline, .. } => {
                self.tasks.set(id, State::Running { live, drained: true, deadline })
            }
            State::Stopping(mut stopping) => {
                stopping.drained = true;
                self.tasks.set(id, State::Stopping(stopping));
            }
            State::Draining { reason, .. } => self.finish_attempt(now, id, reason, actions),
            State::Ready(_) | State::Backoff { .. } => {}
        }
    }

    pub(super) fn group_gone(&mut self, now: Time, id: TaskId, actions: &mut Vec<Action>) {
        if let State::Stopping(stopping) = self.tasks.state(id).clone() {
            self.all_exited(now, id, stopping.drained, Some(stopping.reason), actions);
        }
    }

    pub(super) fn not_started(
        &mut self,
        now: Time,
        id: TaskId,
        started: usize,
        failure: Arc<StartFailure>,
        actions: &mut Vec<Action>,
    ) {
        let reason = Reason::NotStarted(failure);
        if started == 0 {
            self.finish_attempt(now, id, Some(reason), actions);
        } else {
            if let State::Running { drained, deadline, .. } = *self.tasks.state(id) {
                self.tasks.set(id, State::Running { live: started, drained, deadline });
            }
            let signal = self.plan.jobs[self.tasks.get(id).job].stop_signal;
            self.stop_task(now, id, reason, signal, actions);
        }
    }

    /// The attempt is over: another one, or the end of the task.
    pub(super) fn finish_attempt(
        &mut self,
        now: Time,
        id: TaskId,
        reason: Option<Reason>,
        actions: &mut Vec<Action>,
    ) {
        let outcome = self.outcome(id, reason);
        self.give_back_slot(id);
        if self.live == Some(id) {
            self.live = None;
        }
        let task = self.tasks.get(id);
        let retries = &self.plan.jobs[task.job].retries;
        let again = self.mode == Mode::Going
            && !self.jobs.get(task.job).closing
            && task.attempt <= retries.count
            && stop::may_retry(&outcome, retries.on.as_ref());
        if again {
            let delay = stop::delay(&retries.delay, task.attempt, task.seq);
            actions.push(Action::Retry { task: id, outcome: outcome.clone(), delay });
            self.tasks.set(id, State::Backoff { until: now + delay, outcome });
        } else {
            self.end_task(now, id, outcome, actions);
        }
    }

    fn outcome(&mut self, id: TaskId, reason: Option<Reason>) -> Outcome {
        let task = self.tasks.get(id);
        let job = &self.plan.jobs[task.job];
        let last_ok = &job.stages[job.stages.len() - 1].ok;
        match reason {
            Some(Reason::Timeout) if last_ok.timeout => Outcome::Ok,
            Some(reason) => reason.outcome(),
            None => {
                let stages: Vec<_> =
                    task.exits.iter().zip(&job.stages).map(|(exit, stage)| (*exit, &stage.ok)).collect();
                let (verdicts, outcome) = status::pipeline(&stages);
                self.jobs.get_mut(task.job).stages = (verdicts.len() > 1).then_some(verdicts);
                outcome
            }
        }
    }

    pub(super) fn end_task(&mut self, now: Time, id: TaskId, outcome: Outcome, actions: &mut Vec<Action>) {
        let task = self.tasks.remove(id);
        actions.push(Action::End { task: id, outcome: outcome.clone(), attempts: task.attempt });
        self.jobs.get_mut(task.job).active -= 1;
        self.count(task.job, task.seq, &outcome);
        self.check_halt(now, task.job, &outcome, actions);
        self.end_job_if_done(task.job, actions);
    }

    /// Keeps the counts that the exit status and `halt` are made of.
    pub(super) fn count(&mut self, job: JobId, seq: u64, outcome: &Outcome) {
        self.tally.add(outcome);
        let state = self.jobs.get_mut(job);
        state.tally.add(outcome);
        if outcome.is_failure() && state.first_failure.as_ref().is_none_or(|(first, _)| seq < *first) {
            state.first_failure = Some((seq, outcome.clone()));
        }
    }

    fn check_halt(&mut self, now: Time, job: JobId, outcome: &Outcome, actions: &mut Vec<Action>) {
        if self.mode == Mode::Going && halt::xargs_stops(self.plan.status, outcome) {
            self.trigger = Some(outcome.clone());
            self.close_all(now, actions);
        }
        if let Some(halt) = self.plan.halt
            && self.mode == Mode::Going
            && self.tally.reached(&halt, outcome)
        {
            self.trigger = halt::trigger(&halt, outcome);
            let why = halt::phrase(&halt, &self.tally);
            if halt.now {
                self.stop_all(now, Stop::halt(why), actions);
            } else {
                actions.push(Action::Tell(RunEvent::Stopping { why, kill: false }));
                self.close_all(now, actions);
            }
        }
        let own = self.plan.jobs[job].halt;
        if let Some(halt) = own
            && self.mode == Mode::Going
            && !self.jobs.get(job).closing
            && self.jobs.get(job).tally.reached(&halt, outcome)
        {
            self.jobs.get_mut(job).verdict = halt::trigger(&halt, outcome);
            self.close_job(now, job, halt.now, actions);
        }
    }
}
