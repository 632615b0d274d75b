//! Workers: processes that take tasks one after another; what they are given, and what they answer. Pure.
//!
//! A worker is an entry beside the tasks, with the same life. Tasks that it was given are [`State::Given`]
//! until they are answered or the worker has ended. In the end its oldest task counts the attempt, and those
//! behind it go back to the front of the ready queue in their order ([`worker_ends`](super::worker_ends)). If
//! the worker has answered and then ended well, as with a `max_tasks` of its own, no task counts an attempt.
//!
//! An answer costs no allocation and no look-up in a tree; deadlines are not moved for each answer, but
//! checked when they fire.

use std::sync::Arc;

use super::job::Source;
use super::stop::Reason;
use super::task::{Role, State, TaskId, WorkerState};
use super::{Action, DRAIN, JobId, Mode, Supervisor};
use crate::event::{Outcome, Time};
use crate::plan::Worker;

/// Tasks that a worker can be given next.
#[derive(Debug, Clone, Copy)]
struct Offer {
    worker: TaskId,
    most: usize,
}

impl Supervisor {
    /// Returns the task that the worker must answer next; `None` if it has none, or is being stopped.
    pub fn next_to_answer(&self, worker: TaskId) -> Option<TaskId> {
        if !self.tasks.contains(worker) {
            return None;
        }
        match self.tasks.state(worker) {
            State::Running { .. } | State::Draining { reason: None, .. } => {
                self.tasks.worker(worker)?.given.front().copied()
            }
            _ => None,
        }
    }

    /// Counts an answer of the worker, to its oldest task. `failure` says what is wrong with the answer.
    /// Returns the task; `None` if the worker has none, so nobody asked.
    ///
    /// [`Event::Answered`](super::Event::Answered) must follow, once for all answers that were read.
    pub fn answered(
        &mut self,
        now: Time,
        worker: TaskId,
        failure: Option<Arc<str>>,
        actions: &mut Vec<Action>,
    ) -> Option<TaskId> {
        let task = self.next_to_answer(worker)?;
        let state = self.tasks.worker_mut(worker)?;
        state.given.pop_front();
        state.answers += 1;
        let took = now.saturating_sub(std::mem::replace(&mut state.oldest_since, now));
        let job = self.tasks.get(worker).job;
        if failure.is_none() {
            self.note_time(job, took);
        }
        self.jobs.get_mut(job).workers.answered = true;
        let outcome = failure.map_or(Outcome::Ok, Outcome::Fault);
        self.conclude(now, task, outcome, actions);
        Some(task)
    }

    fn worker_plan(&self, job: JobId) -> &Worker {
        match &self.plan.jobs[job].worker {
            Some(worker) => worker,
            None => unreachable!("{job:?} has no workers"),
        }
    }

    // ---- giving out --------------------------------------------------------------------------------------

    /// Returns how many more tasks the worker can be given.
    fn room(&self, worker: TaskId) -> usize {
        let State::Running { drained: false, live: 1, .. } = self.tasks.state(worker) else { return 0 };
        let Some(state) = self.tasks.worker(worker).filter(|state| !state.retired && !state.surplus) else {
            return 0;
        };
        let plan = self.worker_plan(self.tasks.get(worker).job);
        let left = plan.max_tasks.map_or(u64::MAX, |most| most.saturating_sub(state.given_in_all));
        plan.ahead.saturating_sub(state.given.len()).min(usize::try_from(left).unwrap_or(usize::MAX))
    }

    /// True if tasks may be given to workers of the job. Tasks whose hooks are slower than the workers must
    /// not pile up.
    fn may_give(&self, job: JobId) -> bool {
        let workers = &self.jobs.get(job).workers;
        workers.hooks <= workers.ids.len().max(1)
    }

    /// Gives one task to each idle worker. After that it is known whether a new worker is wanted.
    pub(super) fn offer_to_idle(&mut self, now: Time, actions: &mut Vec<Action>) {
        for at in 0..self.jobs.touched.len() {
            let job = self.jobs.touched[at];
            for at in 0..self.jobs.get(job).workers.ids.len() {
                let worker = self.jobs.get(job).workers.ids[at];
                let idle = self.tasks.worker(worker).is_some_and(|state| state.given.is_empty());
                if idle && self.may_give(job) && self.room(worker) > 0 && self.is_allowed(now, job) {
                    self.give(now, worker, actions);
                }
            }
            self.update_worker_wanted(job);
        }
    }

    /// True if the job has a task ready, and brakes let it be given out now.
    fn is_allowed(&mut self, now: Time, job: JobId) -> bool {
        !self.jobs.get(job).ready.is_empty() && self.brakes.allow(now, job)
    }

    fn update_worker_wanted(&mut self, job: JobId) {
        let state = self.jobs.get(job);
        let plan = &self.plan.jobs[job];
        let wanted = !state.ready.is_empty() && state.running < plan.pool && self.may_give(job);
        self.set_startable(job, wanted);
    }

    /// Gives the oldest ready task of the job to the worker, if there is one.
    fn give(&mut self, now: Time, worker: TaskId, actions: &mut Vec<Action>) {
        let job = self.tasks.get(worker).job;
        let Some(task) = self.jobs.get_mut(job).ready.pop_front() else { return };
        let previous = match self.tasks.state(task) {
            State::Ready(previous) => previous.clone(),
            state => unreachable!("{task:?} is ready, not {state:?}"),
        };
        self.tasks.set(task, State::Given { worker, previous });
        let attempt = self.tasks.get_mut(task).count_attempt();
        if let Some(state) = self.tasks.worker_mut(worker) {
            if state.given.is_empty() {
                state.oldest_since = now;
            }
            state.given.push_back(task);
            state.given_in_all += 1;
        }
        self.brakes.started(now, job, false);
        actions.push(Action::Give { worker, task, attempt });
        if let State::Running { live, drained, deadline: None } = *self.tasks.state(worker) {
            let deadline = self.deadline(worker);
            self.tasks.set(worker, State::Running { live, drained, deadline });
        }
    }

    /// Changes the size of the run's pool. If more workers run than fit, those that started last, of the last
    /// jobs, get no more than they have.
    pub(super) fn resize_pool(&mut self, size: usize) {
        self.slots.resize(size);
        let mut left = self.slots.surplus();
        for job in self.plan.job_ids().rev() {
            for at in (0..self.jobs.get(job).workers.ids.len()).rev() {
                let worker = self.jobs.get(job).workers.ids[at];
                let width = self.tasks.get(worker).slot.map_or(0, |slot| slot.width);
                if let Some(state) = self.tasks.worker_mut(worker) {
                    state.surplus = left > 0 && width > 0;
                    left = left.saturating_sub(width);
                }
            }
            if !self.jobs.get(job).workers.ids.is_empty() {
                self.jobs.touch(job);
            }
        }
    }

    pub(super) fn start_worker(&mut self, now: Time, job: JobId, actions: &mut Vec<Action>) {
        self.jobs.get_mut(job).begun = true;
        let workers = &mut self.jobs.get_mut(job).workers;
        workers.started += 1;
        let number = workers.started;
        let short_since = self.brakes.congestion.workers.remove(&job);
        let slot = self.take_slot(job);
        let worker = self.tasks.add(job, number, Role::Worker(WorkerState::default()));
        self.take_locks(worker, job);
        let state = self.jobs.get_mut(job);
        state.active += 1;
        state.workers.ids.push(worker);
        let process = self.tasks.get_mut(worker);
        process.slot = Some(slot);
        process.short_since = short_since;
        process.exits.push(None);
        self.tasks.set(worker, State::Running { live: 1, drained: false, deadline: None });
        actions.push(Action::StartWorker { worker, job, slot: slot.number() });
        self.give(now, worker, actions);
        self.jobs.touch(job);
        self.update_worker_wanted(job);
    }

    /// Gives what is still ready to the workers that have least, and then asks for more items.
    pub(super) fn offer_ahead(&mut self, now: Time, actions: &mut Vec<Action>) {
        for at in 0..self.jobs.touched.len() {
            let job = self.jobs.touched[at];
            while self.may_give(job)
                && let Some(Offer { worker, most }) = self.least_busy(job)
                && self.is_allowed(now, job)
            {
                for _ in 0..most {
                    if self.is_allowed(now, job) {
                        self.give(now, worker, actions);
                    }
                }
            }
            let state = self.jobs.get(job);
            if self.may_give(job) {
                let ahead = self.worker_plan(job).ahead;
                let room: usize = state.workers.ids.iter().map(|worker| self.room(*worker)).sum();
                let most = room.saturating_add(ahead).saturating_sub(state.ready.len());
                self.pull_most(job, most, actions);
            }
        }
    }

    /// Returns the worker with the fewest tasks that has room, and how many it can be given until it has more
    /// than another.
    fn least_busy(&self, job: JobId) -> Option<Offer> {
        let mut least: Option<(usize, Offer)> = None;
        let mut next = usize::MAX;
        for &worker in &self.jobs.get(job).workers.ids {
            let most = self.room(worker);
            if most == 0 {
                continue;
            }
            let busy = self.tasks.worker(worker).map_or(0, |state| state.given.len());
            if least.is_none_or(|(least, _)| busy < least) {
                next = least.map_or(next, |(least, _)| least);
                least = Some((busy, Offer { worker, most }));
            } else {
                next = next.min(busy);
            }
        }
        let (busy, Offer { worker, most }) = least?;
        Some(Offer { worker, most: most.min(next.saturating_sub(busy).saturating_add(1)) })
    }

    // ---- ends --------------------------------------------------------------------------------------------

    /// Ends the input of workers that have nothing left to do, or that have had their share (`max_tasks`).
    pub(super) fn retire_done(&mut self, now: Time, actions: &mut Vec<Action>) {
        for at in 0..self.jobs.touched.len() {
            let job = self.jobs.touched[at];
            let state = self.jobs.get(job);
            let left = state.active - state.workers.ids.len() - state.workers.hooks;
            let all = state.source == Source::Ended && left == 0;
            let most = self.worker_plan(job).max_tasks.unwrap_or(u64::MAX);
            for at in 0..state.workers.ids.len() {
                let worker = self.jobs.get(job).workers.ids[at];
                let Some(state) = self.tasks.worker(worker) else { continue };
                if state.given.is_empty() && (all || state.surplus || state.given_in_all >= most) {
                    self.retire(now, worker, actions);
                }
            }
        }
        if (self.backpressure || self.brakes.holds_back()) && self.mode == Mode::Going {
            return; // Their tasks are given out later.
        }
        while let Some(job) = self.jobs.touched.pop() {
            self.jobs.get_mut(job).workers.touched = false;
        }
    }

    /// Ends the input of one idle worker, if other jobs want its slots or locks. It waits for items that may
    /// be long in coming, and that may even depend on those jobs.
    pub(super) fn retire_idle(&mut self, now: Time, actions: &mut Vec<Action>) {
        let short_of_slots = self.is_short_of_slots();
        if !short_of_slots && !self.locks.are_in_use() {
            return;
        }
        let mut idle = None;
        for &job in self.jobs.with_workers() {
            let state = self.jobs.get(job);
            let plan = &self.plan.jobs[job];
            if !(short_of_slots && plan.takes_slots() || self.locks.are_wanted(&plan.locks)) {
                continue;
            }
            let waits = state.source == Source::Waiting && state.ready.is_empty();
            for &worker in &state.workers.ids {
                let Some(state) = self.tasks.worker(worker) else { continue };
                if state.retired {
                    return; // What it has will be free.
                }
                if waits && state.given.is_empty() {
                    idle = idle.or(Some(worker));
                }
            }
        }
        if let Some(worker) = idle {
            self.retire(now, worker, actions);
        }
    }

    fn retire(&mut self, now: Time, worker: TaskId, actions: &mut Vec<Action>) {
        let grace = self.plan.jobs[self.tasks.get(worker).job].grace;
        // A worker that has exited, and whose leftovers are waited for, ends when they have gone.
        let State::Running { live: live @ 1, drained, .. } = *self.tasks.state(worker) else { return };
        let Some(state) = self.tasks.worker_mut(worker) else { return };
        if !std::mem::replace(&mut state.retired, true) {
            self.tasks.set(worker, State::Running { live, drained, deadline: Some(now + grace) });
            actions.push(Action::EndInput { worker });
        }
    }

    /// Returns why a worker whose deadline has passed is to be stopped; `None` if it goes on.
    pub(super) fn worker_stop_reason(&mut self, now: Time, until: Time, worker: TaskId) -> Option<Reason> {
        let State::Running { live, drained, .. } = *self.tasks.state(worker) else { return None };
        if live == 0 {
            return self.timeout_reason(now, until, worker);
        }
        let state = self.tasks.worker(worker)?;
        if state.retired {
            return Some(Reason::Finished);
        }
        if drained {
            return Some(Reason::ClosedOutput);
        }
        self.timeout_reason(now, until, worker)
    }

    /// The worker's output is at its end, so it can't answer any more. Its exit should follow at once.
    pub(super) fn worker_drained(&mut self, now: Time, worker: TaskId) {
        let State::Running { live, deadline, .. } = *self.tasks.state(worker) else { return };
        let retired = self.tasks.worker(worker).is_some_and(|state| state.retired);
        let deadline = if retired || live == 0 { deadline } else { Some(now + DRAIN) };
        self.tasks.set(worker, State::Running { live, drained: true, deadline });
    }
}
