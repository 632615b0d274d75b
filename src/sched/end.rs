//! Processes exit, output reaches its end, and so attempts and tasks end. Pure.

use std::sync::Arc;

use super::job::Subject;
use super::stop::{self, Reason, Running, Stop};
use super::task::{Role, State, TaskId};
use super::{Action, DRAIN, JobId, Mode, Supervisor, halt, run_hooks};
use crate::event::{Exit, Outcome, RunEvent, SIGPIPE, StageId, StartFailure, Time};
use crate::plan::{Leftovers, Output, Restart, status};

/// A daemon whose attempt lasted this long has come up well: delays that grow begin anew.
const STEADY: Time = Time::from_secs(10);

impl Supervisor {
    pub(super) fn exited(
        &mut self,
        now: Time,
        id: TaskId,
        stage: StageId,
        exit: Exit,
        actions: &mut Vec<Action>,
    ) {
        let told = self.tasks.get_mut(id).exits.get_mut(stage.index());
        if told.is_none_or(|told| told.replace(exit).is_some()) {
            return;
        }
        match self.tasks.state(id).clone() {
            State::Running { live: 1, drained, deadline } => {
                self.ended_by_itself(now, id, drained, deadline, actions);
            }
            State::Running { live, drained, deadline } => {
                self.tasks.set(id, State::Running { live: live - 1, drained, deadline });
                self.dismiss_if_dry(now, id);
            }
            State::Stopping(mut stopping) => {
                stopping.live -= 1;
                self.tasks.set(id, State::Stopping(stopping));
            }
            // The process belongs to an attempt that is over.
            State::Ready(_)
            | State::Given { .. }
            | State::Draining { .. }
            | State::Clearing(_)
            | State::Backoff { .. } => {}
        }
    }

    /// The last process of the task itself has exited. Decides what becomes of processes that it left
    /// running.
    fn ended_by_itself(
        &mut self,
        now: Time,
        id: TaskId,
        drained: bool,
        deadline: Option<Time>,
        actions: &mut Vec<Action>,
    ) {
        let kill = match self.leftovers(id) {
            Leftovers::Leave | Leftovers::LeaveLast => {
                return self.all_exited(now, id, drained, self.is_excused(id), actions);
            }
            Leftovers::Kill => {
                self.down(id, actions);
                true
            }
            Leftovers::Wait => false,
        };
        let deadline = match self.tasks.get(id).role {
            _ if kill => None,
            // A worker that has exited answers nothing more, so only its time limit counts.
            Role::Worker(_) => self.deadline(id),
            _ => deadline,
        };
        self.tasks.set(id, State::Running { live: 0, drained, deadline });
        actions.push(Action::Leftovers { task: id, kill });
    }

    /// Returns what becomes of processes that the task leaves running. Those of a hook are left alone.
    fn leftovers(&self, id: TaskId) -> Leftovers {
        let task = self.tasks.get(id);
        match task.role {
            Role::Hook(_) => Leftovers::Leave,
            Role::Attempt | Role::Dismissed | Role::Worker(_) => self.plan.jobs[task.job].leftovers,
        }
    }

    /// True if the task itself has ended and its leftovers were sent SIGKILL. Its outcome is settled then:
    /// neither a stop nor a deadline changes it.
    pub(super) fn is_killing_leftovers(&self, id: TaskId) -> bool {
        matches!(self.tasks.state(id), State::Running { live: 0, .. })
            && self.leftovers(id) == Leftovers::Kill
    }

    /// The task has read its queue to the end. In a pipeline this is not enough: the last stage reads what
    /// the others write.
    pub(super) fn input_ended(&mut self, now: Time, id: TaskId) {
        if self.tasks.get(id).exits.len() == 1 {
            self.dismiss_reader(now, id);
        }
    }

    /// Dismisses a daemon that reads a pipe when all stages before the last have exited: then its input is at
    /// its end.
    fn dismiss_if_dry(&mut self, now: Time, id: TaskId) {
        if let [before @ .., None] = &self.tasks.get(id).exits[..]
            && before.iter().all(Option::is_some)
        {
            self.dismiss_reader(now, id);
        }
    }

    fn dismiss_reader(&mut self, now: Time, id: TaskId) {
        let task = self.tasks.get(id);
        let plan = &self.plan.jobs[task.job];
        let reads = plan.is_daemon() && !plan.is_service() && matches!(task.role, Role::Attempt);
        // Its leftovers are being killed: it cannot be stopped again.
        if !reads || self.is_killing_leftovers(id) {
            return;
        }
        let deadline = Some(now + plan.grace);
        if let State::Running { live, drained, .. } = *self.tasks.state(id) {
            self.tasks.get_mut(id).role = Role::Dismissed;
            self.tasks.set(id, State::Running { live, drained, deadline });
        }
    }

    /// The task can't end well any more, for this reason.
    pub(super) fn fault(&mut self, now: Time, id: TaskId, why: Arc<str>, actions: &mut Vec<Action>) {
        let reason = Reason::Fault(Arc::clone(&why));
        match *self.tasks.state(id) {
            _ if self.tasks.worker(id).is_some() => self.worker_fault(now, id, why, actions),
            State::Given { .. } => self.not_given(now, id, reason, actions),
            State::Running { .. } => self.stop_task(now, id, reason, self.stop_signal(id), actions),
            // If the task has failed by itself, that says more.
            State::Draining { until, reason: None }
                if matches!(self.tasks.get(id).role, Role::Attempt) && !self.judge(id).1.is_failure() =>
            {
                self.tasks.set(id, State::Draining { until, reason: Some(reason) });
            }
            _ => {}
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
        self.down(id, actions);
        if drained {
            self.finish_attempt(now, id, reason, actions);
        } else {
            self.tasks.set(id, State::Draining { until: now + DRAIN, reason });
        }
    }

    pub(super) fn drained(&mut self, now: Time, id: TaskId, actions: &mut Vec<Action>) {
        match self.tasks.state(id).clone() {
            State::Running { .. } if self.tasks.worker(id).is_some() => self.worker_drained(now, id),
            State::Running { live, deadline, .. } => {
                self.tasks.set(id, State::Running { live, drained: true, deadline })
            }
            State::Stopping(mut stopping) => {
                stopping.drained = true;
                self.tasks.set(id, State::Stopping(stopping));
            }
            State::Draining { reason, .. } => self.finish_attempt(now, id, reason, actions),
            State::Ready(_) | State::Given { .. } | State::Clearing(_) | State::Backoff { .. } => {}
        }
    }

    pub(super) fn group_gone(&mut self, now: Time, id: TaskId, actions: &mut Vec<Action>) {
        match self.tasks.state(id).clone() {
            State::Stopping(stopping) => {
                self.all_exited(now, id, stopping.drained, Some(stopping.reason), actions);
            }
            State::Running { live: 0, drained, .. } => {
                self.all_exited(now, id, drained, self.is_excused(id), actions)
            }
            State::Clearing(clearing) => self.cleared(now, id, clearing.next, actions),
            // The attempt is over already.
            _ => {}
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
        if let State::Given { .. } = self.tasks.state(id) {
            self.not_given(now, id, reason, actions);
        } else if started == 0 {
            self.finish_attempt(now, id, Some(reason), actions);
        } else {
            if let State::Running { drained, deadline, .. } = *self.tasks.state(id) {
                self.tasks.set(id, State::Running { live: started, drained, deadline });
            }
            self.stop_task(now, id, reason, self.stop_signal(id), actions);
        }
    }

    /// The processes of an attempt, a hook or a worker are over. `reason` says why they were stopped, if they
    /// were.
    pub(super) fn finish_attempt(
        &mut self,
        now: Time,
        id: TaskId,
        reason: Option<Reason>,
        actions: &mut Vec<Action>,
    ) {
        self.blocked.remove(&id);
        self.down(id, actions);
        if reason != Some(Reason::Shortage) {
            self.tasks.get_mut(id).short_since = None;
            self.brakes.congestion.one_ended();
            if !matches!(reason, Some(Reason::NotStarted(_))) {
                self.brakes.congestion.one_ran();
            }
        }
        match &self.tasks.get(id).role {
            Role::Worker(_) => {
                if !self.clear_worker(now, id, reason.as_ref(), actions) {
                    self.worker_ended(now, id, reason, actions);
                }
            }
            Role::Hook(over) => {
                let over = over.clone();
                if reason == Some(Reason::Shortage) && self.begins_hooks() {
                    return self.delay_hook(now, id, over.by_itself);
                }
                self.hook_ended(now, id, over, reason, actions);
            }
            Role::Attempt if reason == Some(Reason::PutBack) && self.may_start_again(id) => {
                self.put_back(id, actions)
            }
            Role::Attempt | Role::Dismissed
                if reason == Some(Reason::Shortage) && self.may_start_again(id) =>
            {
                self.requeue_short(id, actions);
            }
            Role::Attempt | Role::Dismissed => {
                let by_itself = reason.is_none();
                let outcome = self.outcome(id, reason, actions);
                if by_itself && outcome == Outcome::Ok {
                    let task = self.tasks.get(id);
                    self.note_time(task.job, now.saturating_sub(task.started));
                }
                self.attempt_ended(now, id, outcome, actions);
            }
        }
    }

    /// An attempt is over with this outcome. Another one follows, or the task ends.
    pub(super) fn attempt_ended(
        &mut self,
        now: Time,
        id: TaskId,
        outcome: Outcome,
        actions: &mut Vec<Action>,
    ) {
        let task = self.tasks.get(id);
        let retries = &self.plan.jobs[task.job].retries;
        let restart = self.plan.jobs[task.job].restart;
        // A daemon that was dismissed is not wanted any more, so it is not restarted.
        let ended_well =
            restart == Restart::Always && outcome == Outcome::Ok && matches!(task.role, Role::Attempt);
        let again = self.may_start_again(id)
            && task.attempts <= retries.count
            && (ended_well || stop::may_retry(&outcome, retries.on.as_ref()));
        if !again {
            self.conclude(now, id, outcome, actions);
        } else if !self.clear_attempt(now, id, &outcome, actions) {
            self.try_again(now, id, outcome, now, actions);
        }
    }

    /// Another attempt follows, after a delay that counts from `ended`, unless the job has been closed meanwhile.
    pub(super) fn try_again(
        &mut self,
        now: Time,
        id: TaskId,
        outcome: Outcome,
        ended: Time,
        actions: &mut Vec<Action>,
    ) {
        if !self.may_start_again(id) {
            return self.conclude(now, id, outcome, actions);
        }
        let task = self.tasks.get(id);
        let plan = &self.plan.jobs[task.job];
        let in_a_row = match plan.restart {
            Restart::Never => task.attempts,
            _ if task.started + STEADY <= ended => 1,
            _ => task.streak + 1,
        };
        let until = (ended + stop::delay(&plan.retries.delay, in_a_row, task.seq)).max(now);
        self.tasks.get_mut(id).streak = in_a_row;
        self.give_back_slot(id);
        self.forget_live(id);
        actions.push(Action::Retry { task: id, outcome: outcome.clone(), delay: until - now });
        self.tasks.set(id, State::Backoff { until, outcome });
    }

    /// True if the task's job still starts attempts.
    fn may_start_again(&self, id: TaskId) -> bool {
        self.mode == Mode::Going && !self.jobs.get(self.tasks.get(id).job).closing
    }

    pub(super) fn forget_live(&mut self, id: TaskId) {
        if self.live == Some(id) {
            self.live = None;
        }
    }

    fn outcome(&mut self, id: TaskId, reason: Option<Reason>, actions: &mut Vec<Action>) -> Outcome {
        let task = self.tasks.get(id);
        let (job, dry) = (task.job, matches!(task.role, Role::Dismissed));
        let never_ready = self.never_ready(id).filter(|_| !dry);
        let plan = &self.plan.jobs[job];
        let last_ok = &plan.stages[plan.stages.len() - 1].ok;
        match reason {
            Some(Reason::Timeout) if last_ok.timeout && never_ready.is_none() => Outcome::Ok,
            Some(reason) if !dry => reason.outcome(),
            _ => {
                let (verdicts, outcome) = self.judge(id);
                self.jobs.get_mut(job).stage_outcomes = (verdicts.len() > 1).then_some(verdicts);
                match never_ready {
                    Some(why) if outcome == Outcome::Ok => {
                        actions.push(Action::NotReady { task: id });
                        Outcome::Fault(why)
                    }
                    _ => outcome,
                }
            }
        }
    }

    /// Returns how each stage ended by itself, and how the pipeline did.
    fn judge(&self, id: TaskId) -> (Vec<Outcome>, Outcome) {
        let task = self.tasks.get(id);
        let stages = &self.plan.jobs[task.job].stages;
        let mut exits: Vec<_> =
            task.exits.iter().zip(stages).map(|(exit, stage)| (*exit, &stage.ok)).collect();
        if !matches!(task.role, Role::Dismissed) {
            return status::pipeline(&exits, self.sigpipe_is_ok(id));
        }
        // The last stage was dismissed: it is ok however it ended.
        exits.pop();
        let (mut verdicts, whole) = status::pipeline(&exits, true);
        verdicts.push(Outcome::Ok);
        (verdicts, whole)
    }

    /// True if SIGPIPE is no failure of the last stage, because the reader of what it writes has ended
    /// without failure.
    fn sigpipe_is_ok(&self, id: TaskId) -> bool {
        let task = self.tasks.get(id);
        let plan = &self.plan.jobs[task.job];
        if task.exits.last() != Some(&Some(Exit::Signal(SIGPIPE))) {
            return false;
        }
        if plan.duplex {
            return !status::judge(task.exits[0], &plan.stages[0].ok).is_failure();
        }
        let last = &plan.stages[plan.stages.len() - 1];
        let mut queues = [&last.stdout, &last.stderr].into_iter().filter_map(|output| match output {
            Output::Queue { queue, .. } => Some(&self.plan.queues[*queue]),
            _ => None,
        });
        queues.any(|queue| queue.readers.iter().all(|reader| self.jobs.get(*reader).ended_without_failure()))
    }

    pub(super) fn end_task(&mut self, now: Time, id: TaskId, outcome: Outcome, actions: &mut Vec<Action>) {
        self.give_back_slot(id);
        self.forget_live(id);
        if run_hooks::hook_of_run(&self.plan, self.tasks.get(id).job).is_some() {
            return self.end_run_hook(id, outcome, actions);
        }
        let task = self.tasks.remove(id);
        actions.push(Action::End { task: id, outcome: outcome.clone(), attempts: task.attempts });
        self.jobs.get_mut(task.job).active -= 1;
        self.count(task.job, Subject::Task(task.seq), &outcome);
        if outcome.is_failure() {
            self.skip_hopeless(task.job, actions);
        }
        self.jobs.expect_item_of(task.job);
        self.check_halt(now, task.job, &outcome, actions);
        self.settle_ready(task.job, task.up, &outcome, actions);
        self.end_job_if_done(task.job, actions);
    }

    /// Counts an outcome for the exit status and for `halt`.
    pub(super) fn count(&mut self, job: JobId, subject: Subject, outcome: &Outcome) {
        if *outcome == Outcome::Ok && self.plan.jobs[job].is_lister() {
            return; // It is no task of anybody's.
        }
        self.tally.add(outcome);
        let state = self.jobs.get_mut(job);
        state.tally.add(outcome);
        if outcome.is_failure() && state.first_failure.as_ref().is_none_or(|(first, _)| subject < *first) {
            state.first_failure = Some((subject, outcome.clone()));
        }
    }

    pub(super) fn check_halt(&mut self, now: Time, job: JobId, outcome: &Outcome, actions: &mut Vec<Action>) {
        if self.services.are_unneeded() {
            return; // All else has ended, and nothing is left to decide.
        }
        if *outcome == Outcome::Ok && self.plan.jobs[job].is_lister() {
            return;
        }
        if self.mode == Mode::Going && halt::xargs_stops(self.plan.status, outcome) {
            self.trigger = Some(outcome.clone());
            self.close_all(now, actions);
        }
        if let Some(halt) = self.plan.halt
            && self.mode == Mode::Going
            && self.tally.reached(&halt, outcome, || self.total())
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
            && self.jobs.get(job).tally.reached(&halt, outcome, || self.total_of(job))
        {
            self.jobs.get_mut(job).halted_by = halt::trigger(&halt, outcome);
            let running = if halt.now { Running::Cancel } else { Running::MayEnd };
            self.close_job(now, job, running, actions);
        }
    }
}
