//! Items become tasks, and tasks start. Pure.

use std::sync::Arc;

use super::job::Source;
use super::slots::Slots;
use super::task::{State, TaskId};
use super::{Action, JobId, Mode, Supervisor};
use crate::event::{Outcome, RunEvent, StartFailure, Time};

impl Supervisor {
    /// The answer to [`Action::Pull`]: an item is there, and becomes a task. `None`: the job was closed
    /// meanwhile. [`Event::Item`] follows.
    pub fn add_item(&mut self, job: JobId) -> Option<TaskId> {
        if !self.jobs.get(job).is_asking() {
            return None;
        }
        self.jobs.set_source(job, Source::Idle);
        let state = self.jobs.get_mut(job);
        state.seq += 1;
        state.active += 1;
        let stages = self.plan.jobs[job].stages.len();
        let id = self.tasks.add(job, state.seq, stages);
        state.ready.push_back(id);
        self.note_startable(job);
        Some(id)
    }

    /// The task that the worker must answer next.
    pub fn oldest(&self, _worker: TaskId) -> Option<TaskId> {
        None // SCHED
    }

    /// The worker answered its oldest task; `failure`: what is wrong with the answer. `None`: it has no task, so
    /// nobody asked. [`Event::Answers`] follows when all that was read has been counted.
    pub fn answered(
        &mut self,
        _now: Time,
        _worker: TaskId,
        _failure: Option<Arc<str>>,
        _actions: &mut Vec<Action>,
    ) -> Option<TaskId> {
        None // SCHED
    }

    /// For [`Items::Of`](crate::plan::Items::Of), where a task has the number of the task that its item comes
    /// from: as [`Supervisor::add_item`].
    pub fn add_item_as(&mut self, job: JobId, _seq: u64) -> Option<TaskId> {
        self.add_item(job) // SCHED
    }

    /// The same where the task there was not ok: its item is skipped here. [`Event::Item`] follows.
    pub fn skip_item(&mut self, _now: Time, _job: JobId, _seq: u64, _actions: &mut Vec<Action>) {
        // SCHED
    }

    pub(super) fn source_ended(&mut self, job: JobId, why: Option<String>, actions: &mut Vec<Action>) {
        if !self.jobs.get(job).is_asking() {
            return;
        }
        let tasks = self.jobs.get(job).seq;
        self.jobs.set_source(job, Source::Ended);
        if let Some(why) = why {
            // The items are a part of the job: a job that can't read them has failed, without a task to show.
            // The end of the job tells it.
            let outcome = Outcome::NotStarted(Arc::new(StartFailure { code: 126, why }));
            self.count(job, tasks + 1, &outcome);
        } else {
            actions.push(Action::Tell(RunEvent::JobTotal { job, total: tasks }));
        }
        self.end_job_if_done(job, actions);
    }

    pub(super) fn note_startable(&mut self, job: JobId) {
        let state = self.jobs.get(job);
        if !state.ready.is_empty() && state.running < self.plan.jobs[job].pool {
            self.startable.insert(job);
        } else {
            self.startable.remove(&job);
        }
    }

    /// Starts what may start, in the order of the file, and keeps one item of each open job at hand.
    pub(super) fn fill(&mut self, now: Time, actions: &mut Vec<Action>) {
        if self.mode != Mode::Going || self.held {
            return;
        }
        while self.slots.free() {
            let Some(&job) = self.startable.first() else { return };
            if self.jobs.earlier_is_pulling(job, &self.plan) {
                return; // Its item comes first.
            }
            self.start_next(now, job, actions);
        }
    }

    fn start_next(&mut self, now: Time, job: JobId, actions: &mut Vec<Action>) {
        let plan = &self.plan.jobs[job];
        let state = self.jobs.get_mut(job);
        let Some(id) = state.ready.pop_front() else { return };
        state.running += 1;
        let run_slot = self.slots.take();
        let own_slot = state.slots.as_mut().map(Slots::take);
        let task = self.tasks.get_mut(id);
        task.slot = (run_slot, own_slot);
        task.attempt += 1;
        task.exits.fill(None);
        let attempt = task.attempt;
        let deadline = plan.timeout.map(|timeout| now + timeout);
        let live = plan.stages.len();
        self.tasks.set(id, State::Running { live, drained: false, deadline });
        let slot = own_slot.unwrap_or(run_slot);
        let last_attempt = attempt > plan.retries.count;
        actions.push(Action::Start { task: id, attempt, slot, last_attempt });
        self.pull(job, actions);
        self.note_startable(job);
    }

    /// Asks for the next item unless one waits already.
    fn pull(&mut self, job: JobId, actions: &mut Vec<Action>) {
        let state = self.jobs.get(job);
        if state.source == Source::Idle && state.ready.is_empty() {
            self.jobs.set_source(job, Source::Pulling);
            actions.push(Action::Pull { job, most: 1 });
        }
    }

    pub(super) fn give_back_slot(&mut self, id: TaskId) {
        let task = self.tasks.get(id);
        let (job, (run_slot, own_slot)) = (task.job, task.slot);
        self.slots.give_back(run_slot);
        let state = self.jobs.get_mut(job);
        if let (Some(slots), Some(slot)) = (state.slots.as_mut(), own_slot) {
            slots.give_back(slot);
        }
        state.running -= 1;
        self.note_startable(job);
    }

    /// Nothing else can start or print before the only task ends.
    pub(super) fn look_for_live(&mut self, actions: &mut Vec<Action>) {
        if self.live.is_some() || self.slots.taken() != 1 {
            return;
        }
        let Some(id) = self.tasks.only_running() else { return };
        let alone = self.plan.pool == 1 || (self.tasks.len() == 1 && self.jobs.all_sources_ended());
        let task = self.tasks.get(id);
        let last_attempt = task.attempt > self.plan.jobs[task.job].retries.count;
        if alone && last_attempt {
            self.live = Some(id);
            actions.push(Action::Live(id));
        }
    }
}
