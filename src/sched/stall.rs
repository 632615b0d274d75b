//! Stalls: nothing can go on any more. Everything that runs waits to write to a full queue whose readers
//! can't go on, or what is left waits for a lock that only daemons hold. Pure.

use std::sync::Arc;

use super::job::{Phase, Source};
use super::locks::LockWaiter;
use super::stop::Stop;
use super::task::{Role, State, TaskId, Up};
use super::{Action, JobId, Mode, Supervisor};
use crate::event::{Outcome, Time};
use crate::plan::{Items, Output, QueueId};

/// How long nothing must change. News of bytes that were moved may still be on its way.
const STALL: Time = Time::from_secs(1);

impl Supervisor {
    pub(super) fn blocked(&mut self, task: TaskId, blocked: bool) {
        if blocked {
            self.blocked.insert(task);
        } else {
            self.blocked.remove(&task);
        }
    }

    /// Starts or clears the timer of a stall. Call it when everything that follows from an event is done.
    pub(super) fn update_stall_timer(&mut self, now: Time) {
        if !self.is_stalled() {
            self.stall_at = None;
        } else if self.stall_at.is_none() {
            self.stall_at = Some(now + STALL);
        }
    }

    pub(super) fn tick_stall(&mut self, now: Time, until: Time, actions: &mut Vec<Action>) {
        if self.stall_at.is_none_or(|at| at > until) {
            return;
        }
        self.stall_at = None;
        if !self.is_stalled() || self.let_overtake() {
            return;
        }
        let mut why = self.fail_lock_waiter(now, actions);
        // Listers wait because of others, if there are any: those are to blame.
        let lists =
            |id: &TaskId| self.tasks.contains(*id) && self.plan.jobs[self.tasks.get(*id).job].is_lister();
        let (listers, mut others): (Vec<_>, Vec<_>) = self.blocked.iter().copied().partition(lists);
        if others.is_empty() && why.is_none() {
            others = listers;
        }
        for id in others {
            let Some(queue) = self.queues_written(id).next() else { continue };
            let name = &self.plan.queues[queue].name;
            let text: Arc<str> =
                format!("waits to write to the full queue `{name}`, and nothing that reads it can go on")
                    .into();
            let job = &self.plan.jobs[self.tasks.get(id).job].name;
            why.get_or_insert_with(|| format!("nothing can go on: `{job}` {text}"));
            self.fault(now, id, text, actions);
        }
        if let Some(why) = why {
            self.stop_all(now, Stop::halt(why), actions);
        }
    }

    /// Fails the next task of the first job that waits for a lock and will not get it. Returns why, for
    /// people.
    fn fail_lock_waiter(&mut self, now: Time, actions: &mut Vec<Action>) -> Option<String> {
        let LockWaiter { job, what } = self.first_lock_waiter()?;
        let id = self.jobs.get_mut(job).ready.pop_front()?;
        self.update_startable(job);
        let why = format!("nothing can go on: `{}` {what}", self.plan.jobs[job].name);
        self.end_task(now, id, Outcome::Fault(what.into()), actions);
        Some(why)
    }

    /// True if tasks hold slots, besides workers, which may be idle. This is cheap to know, so that the rest
    /// need not be checked after each event.
    fn runs_by_itself(&self) -> bool {
        let workers = |job: &JobId| self.jobs.get(*job).workers.ids.len() * self.width(*job);
        self.slots.in_use() > self.jobs.with_workers().iter().map(workers).sum()
    }

    /// Returns the queues that a task, or a worker, writes to.
    fn queues_written(&self, id: TaskId) -> impl Iterator<Item = QueueId> {
        let job = self.tasks.contains(id).then(|| &self.plan.jobs[self.tasks.get(id).job]);
        let outputs =
            job.into_iter().flat_map(|job| &job.stages).flat_map(|stage| [&stage.stdout, &stage.stderr]);
        outputs.filter_map(|output| match output {
            Output::Queue { queue, .. } => Some(*queue),
            _ => None,
        })
    }

    fn is_stalled(&self) -> bool {
        if self.blocked.is_empty() && (!self.locks.keep_waiting() || self.runs_by_itself())
            || self.backpressure
            || !matches!(self.mode, Mode::Going | Mode::Closing)
            || (self.mode == Mode::Going && (self.could_start() || self.jobs.is_pulling()))
        {
            return false;
        }
        // If only daemons are left, they may wait for each other.
        let counts = |id: JobId| {
            !self.plan.jobs[id].is_daemon() && !matches!(self.jobs.get(id).phase, Phase::Ended(_))
        };
        let full: Vec<QueueId> = self.blocked.iter().flat_map(|id| self.queues_written(*id)).collect();
        let reads = |job: JobId| full.iter().any(|queue| self.plan.queues[*queue].readers.contains(&job));
        self.tasks.iter().all(|(id, task, state)| match state {
            State::Ready(_) | State::Given { .. } => true,
            State::Backoff { .. } | State::Stopping(_) | State::Draining { .. } | State::Clearing(_) => false,
            State::Running { .. } if self.blocked.contains(&id) => true,
            State::Running { .. } => match &task.role {
                Role::Worker(worker) => worker.given.is_empty() && !worker.retired,
                Role::Attempt => {
                    // Other jobs may begin when it is up, or are meant to begin when it ends.
                    let of = self.jobs.get(task.job);
                    let is_awaited = task.up != Up::Now && self.is_ready_awaited(task.job);
                    let is_awaited = is_awaited || self.blocked.is_empty() && !of.dependents.is_empty();
                    self.plan.jobs[task.job].is_daemon() && !reads(task.job) && !is_awaited
                }
                Role::Dismissed | Role::Hook(_) => false,
            },
        }) && (!self.blocked.is_empty() || self.plan.job_ids().any(counts))
            && self.plan.numbered_jobs().all(|(id, job)| {
                let state = self.jobs.get(id);
                let waits = state.phase == Phase::Open && state.is_asking();
                match job.items {
                    _ if !waits => true,
                    Items::Queue { queue, .. } => state.source == Source::Waiting && !full.contains(&queue),
                    Items::Of(_) => state.source == Source::Waiting,
                    _ => false,
                }
            })
    }
}
