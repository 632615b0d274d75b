//! Workers end, and their tasks are tried again, given to others, or over. Pure.

use std::sync::Arc;

use super::stop::Reason;
use super::task::{Crew, Role, State, TaskId};
use super::{Action, JobId, Mode, Supervisor, hooks};
use crate::event::{Exit, Outcome, RunEvent, Time};
use crate::plan::status;

/// So many workers in a row that ended without an answer, when none ever answered, are enough.
const FRUITLESS: u32 = 10;

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
        let Role::Worker(crew) = entity.role else { unreachable!("{worker:?} is a worker") };
        self.jobs.get_mut(job).crew.ids.retain(|id| *id != worker);
        if let (Some(Reason::Short), Some(since)) = (&reason, entity.short_since) {
            self.brakes.squeeze.workers.insert(job, since);
        }
        let outcome = self.worker_outcome(job, exit, &crew, reason.as_ref());
        // In order: those at the back are put in front first.
        for &task in crew.given.iter().skip(1).rev() {
            self.take_back(task);
        }
        // While the worker is still known, for what it wrote to stderr.
        if let Some(&task) = crew.given.front() {
            self.oldest_lost(now, task, reason.as_ref(), &outcome, actions);
        }
        self.jobs.get_mut(job).active -= 1;
        actions.push(Action::WorkerEnded { worker, outcome: outcome.clone() });
        if self.mode != Mode::Going || self.jobs.get(job).closing {
            for &task in &crew.given {
                self.end_lost(now, task, reason.as_ref(), actions);
            }
        } else {
            self.look_for_fruitless(now, job, &crew, exit, reason, outcome, actions);
        }
        self.jobs.stir(job);
        self.end_job_if_done(job, actions);
    }

    fn worker_outcome(
        &self,
        job: JobId,
        exit: Option<Exit>,
        crew: &Crew,
        reason: Option<&Reason>,
    ) -> Outcome {
        let ok = &self.plan.jobs[job].stages[0].ok;
        match reason {
            _ if crew.retired && !matches!(reason, Some(Reason::NotStarted(_))) => Outcome::Ok,
            Some(Reason::Timeout) if ok.timeout => Outcome::Ok,
            Some(reason) => reason.clone().outcome(),
            None => status::judge(exit, ok),
        }
    }

    /// The task that a worker was at when it ended counts the attempt, unless that was about the worker alone.
    fn oldest_lost(
        &mut self,
        now: Time,
        task: TaskId,
        reason: Option<&Reason>,
        outcome: &Outcome,
        actions: &mut Vec<Action>,
    ) {
        let outcome = match (reason, outcome) {
            (Some(Reason::Cancelled), _) => return self.conclude(now, task, Outcome::Cancelled, actions),
            (Some(Reason::NotStarted(_) | Reason::Short | Reason::Fault(_) | Reason::Finished), _) => {
                return self.take_back(task);
            }
            (None, Outcome::Ok) => Outcome::Fault("its worker ended without an answer".into()),
            (_, outcome) => outcome.clone(),
        };
        self.attempt_ended(now, task, outcome, actions);
    }

    /// A task that its worker did not come to; no attempt is counted.
    fn take_back(&mut self, task: TaskId) {
        let State::With { before, .. } = self.tasks.state(task) else { return };
        let before = before.clone();
        let taken = self.tasks.get_mut(task);
        taken.attempt -= 1;
        let job = taken.job;
        self.tasks.set(task, State::Ready(before));
        self.jobs.get_mut(job).ready.push_front(task);
        self.note_startable(job);
    }

    /// A task that went back when nothing is given out any more.
    fn end_lost(&mut self, now: Time, task: TaskId, reason: Option<&Reason>, actions: &mut Vec<Action>) {
        // Its hook may run meanwhile.
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

    /// A worker that could not be started, or ten in a row that never answered: the job has failed.
    #[expect(clippy::too_many_arguments, reason = "all of one end")]
    fn look_for_fruitless(
        &mut self,
        now: Time,
        job: JobId,
        crew: &Crew,
        exit: Option<Exit>,
        reason: Option<Reason>,
        outcome: Outcome,
        actions: &mut Vec<Action>,
    ) {
        match reason {
            Some(Reason::NotStarted(_)) => return self.fail_job(now, job, outcome, actions),
            Some(Reason::Short) => return,
            _ => {}
        }
        let workers = &mut self.jobs.get_mut(job).crew;
        if crew.retired || crew.answers > 0 || workers.answered {
            return;
        }
        workers.fruitless += 1;
        if workers.fruitless == FRUITLESS {
            let last = match (reason, exit) {
                (Some(Reason::Timeout), _) => "timed out".to_owned(),
                (Some(Reason::Mute), _) => "closed its output".to_owned(),
                (_, Some(exit)) => hooks::ended(exit),
                (_, None) => "was stopped".to_owned(),
            };
            let why = format!("{FRUITLESS} workers in a row ended without any answer; the last one {last}");
            self.fail_job(now, job, Outcome::Fault(why.into()), actions);
        }
    }

    /// A failure of the job itself: it gets no more items, and gives none out.
    fn fail_job(&mut self, now: Time, job: JobId, outcome: Outcome, actions: &mut Vec<Action>) {
        self.count_job_failure(now, job, outcome, actions);
        self.close_job(now, job, false, actions);
    }

    fn count_job_failure(&mut self, now: Time, job: JobId, outcome: Outcome, actions: &mut Vec<Action>) {
        actions.push(Action::Tell(RunEvent::JobFailed { job, outcome: outcome.clone() }));
        // Before those of tasks, which may follow from it.
        self.count(job, 0, &outcome);
        self.check_halt(now, job, &outcome, actions);
    }

    /// The worker can't be trusted any more.
    pub(super) fn worker_fault(
        &mut self,
        now: Time,
        worker: TaskId,
        why: Arc<str>,
        actions: &mut Vec<Action>,
    ) {
        // What one that is being stopped writes was asked for, before.
        if !matches!(self.tasks.state(worker), State::Running { .. } | State::Draining { reason: None, .. }) {
            return;
        }
        let job = self.tasks.get(worker).job;
        let signal = self.stop_signal(worker);
        if let State::Draining { until, .. } = *self.tasks.state(worker) {
            self.tasks.set(worker, State::Draining { until, reason: Some(Reason::Fault(Arc::clone(&why))) });
        }
        self.stop_task(now, worker, Reason::Fault(Arc::clone(&why)), signal, actions);
        self.count_job_failure(now, job, Outcome::Fault(why), actions);
    }

    /// A task that its worker was not given after all.
    pub(super) fn not_given(&mut self, now: Time, task: TaskId, reason: Reason, actions: &mut Vec<Action>) {
        let State::With { worker, .. } = *self.tasks.state(task) else { return };
        if let Some(crew) = self.tasks.crew_mut(worker)
            && let Some(at) = crew.given.iter().position(|given| *given == task)
        {
            crew.given.remove(at);
            crew.taken -= 1;
            if at == 0 {
                crew.since = now;
            }
        }
        let job = self.tasks.get(task).job;
        self.jobs.stir(job);
        self.attempt_ended(now, task, reason.outcome(), actions);
    }
}
