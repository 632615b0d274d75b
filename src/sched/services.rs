//! Services: daemons that serve other jobs. When all other jobs have ended they are stopped one after
//! another, the last to start first. Pure.
//!
//! Other daemons read a pipe or a queue, and end when they have read all of it. The run waits for them,
//! unless they read, in the end, what a service writes: their input ends only when that service has been
//! stopped.

use std::collections::BTreeMap;

use super::job::{Lost, Phase, SkipCause, Source};
use super::stop::Reason;
use super::task::{Role, State, TaskId};
use super::{Action, JobId, Mode, Supervisor};
use crate::event::Time;
use crate::plan::Plan;

#[derive(Debug, Default)]
pub(super) struct Services {
    /// For each job: whether the services are there for it. Empty if there are no services, or nothing else.
    served: Vec<bool>,
    /// How many of those jobs have not ended.
    served_left: usize,
    /// In which order services first started, from 0.
    started: BTreeMap<JobId, usize>,
    stopping: Option<Stopping>,
    /// Open jobs that have started nothing, and whose service is gone. They are skipped when everything else
    /// that follows from an event is done.
    pub lost: Vec<(JobId, Lost)>,
    /// A job that was skipped because its service is gone, and that may halt the run.
    pub missed_by: Option<JobId>,
}

/// Services that are being stopped.
#[derive(Debug, Default)]
struct Stopping {
    /// Services that are not being stopped yet, with their tasks; the next one last.
    pending: Vec<(JobId, Vec<TaskId>)>,
    /// The service that is being stopped.
    current: Option<JobId>,
}

impl Services {
    pub fn new(plan: &Plan) -> Services {
        if !plan.jobs.iter().any(|job| job.is_service()) {
            return Services::default();
        }
        let fed = fed(plan);
        let served: Vec<bool> = plan
            .jobs
            .iter()
            .zip(fed)
            .map(|(job, fed)| !job.is_service() && !fed && job.run_hook().is_none())
            .collect();
        let served_left = served.iter().filter(|served| **served).count();
        // If all jobs are services, they are what the run is for.
        let served = if served_left > 0 { served } else { Vec::new() };
        Services { served, served_left, ..Services::default() }
    }

    /// Notes that a service starts, perhaps not for the first time.
    pub fn started(&mut self, job: JobId) {
        let next = self.started.len();
        self.started.entry(job).or_insert(next);
    }

    pub fn ended(&mut self, job: JobId) {
        if self.served.get(job.index()) == Some(&true) {
            self.served_left -= 1;
        }
    }

    /// True if nobody needs the services any more: they are being stopped.
    pub fn are_unneeded(&self) -> bool {
        self.stopping.is_some()
    }
}

/// Returns for each job whether it is a daemon that reads, in the end, what a service writes.
fn fed(plan: &Plan) -> Vec<bool> {
    let mut fed = vec![false; plan.jobs.len()];
    let mut reads_of: Vec<Vec<JobId>> = vec![Vec::new(); plan.jobs.len()];
    for queue in &plan.queues {
        for writer in &queue.writers {
            reads_of[*writer].extend(&queue.readers);
        }
    }
    let mut open: Vec<JobId> = plan.job_ids().filter(|job| plan.jobs[*job].is_service()).collect();
    while let Some(job) = open.pop() {
        for reader in std::mem::take(&mut reads_of[job]) {
            if plan.jobs[reader].is_daemon() && !std::mem::replace(&mut fed[reader], true) {
                open.push(reader);
            }
        }
    }
    fed
}

impl Supervisor {
    /// Stops the services when their time has come, each when the one before has ended. Call it when
    /// everything else that follows from an event is done.
    pub(super) fn stop_services(&mut self, now: Time, actions: &mut Vec<Action>) {
        let over = !self.services.served.is_empty() && self.services.served_left == 0;
        if !over || !matches!(self.mode, Mode::Going | Mode::Closing) {
            return;
        }
        if self.services.stopping.is_none() {
            self.begin_stopping_services(now, actions);
            // Conditions and locks have changed: jobs that waited may start now.
            self.fill(now, actions);
        }
        while let Some(stopping) = &mut self.services.stopping {
            if stopping.current.is_some_and(|job| !matches!(self.jobs.get(job).phase, Phase::Ended(_))) {
                return;
            }
            let Some((job, tasks)) = stopping.pending.pop() else { return };
            stopping.current = Some(job);
            for id in tasks {
                // A task that has ended already may have a hook that runs.
                let runs = self.tasks.contains(id) && matches!(self.tasks.get(id).role, Role::Attempt);
                if runs && matches!(self.tasks.state(id), State::Running { .. }) {
                    self.stop_task(now, id, Reason::Finished, self.stop_signal(id), actions);
                }
            }
        }
    }

    /// From now on no service starts, neither anew nor again, and whatever they do is no failure.
    fn begin_stopping_services(&mut self, now: Time, actions: &mut Vec<Action>) {
        self.services.stopping = Some(Stopping::default());
        let plan = std::sync::Arc::clone(&self.plan);
        let serves = |job: JobId| plan.jobs[job].is_service();
        for (job, plan) in plan.numbered_jobs() {
            if plan.is_daemon() && matches!(self.jobs.get(job).phase, Phase::Blocked(_)) {
                self.skip(job, SkipCause::Other, "all other jobs had ended".into(), actions);
            }
        }
        let open = |job: &JobId| self.jobs.get(*job).phase == Phase::Open;
        let services: Vec<JobId> = plan.job_ids().filter(|job| serves(*job)).filter(open).collect();
        for &job in &services {
            self.jobs.get_mut(job).closing = true;
            self.jobs.set_source(job, Source::Ended);
            self.update_startable(job);
        }
        let mut tasks: BTreeMap<JobId, Vec<TaskId>> = BTreeMap::new();
        for id in self.tasks.ids() {
            let job = self.tasks.get(id).job;
            if !serves(job) || self.drop_if_waiting(now, id, actions) {
                continue;
            }
            if let State::Running { live, drained, .. } = *self.tasks.state(id) {
                self.tasks.set(id, State::Running { live, drained, deadline: None });
            }
            tasks.entry(job).or_default().push(id);
        }
        for job in services {
            self.end_job_if_done(job, actions);
        }
        let mut pending: Vec<_> = tasks.into_iter().collect();
        pending.sort_by_key(|(job, _)| self.services.started.get(job).copied());
        self.services.stopping = Some(Stopping { pending, current: None });
    }

    /// Returns the reason with which a process that ended by itself is excused: it belongs to a service that
    /// nobody needed any more.
    pub(super) fn is_excused(&self, id: TaskId) -> Option<Reason> {
        let task = self.tasks.get(id);
        let serves = self.plan.jobs[task.job].is_service() && matches!(task.role, Role::Attempt);
        (self.services.are_unneeded() && serves).then_some(Reason::Finished)
    }
}
