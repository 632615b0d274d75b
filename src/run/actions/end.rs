//! Attempts are over: another follows, or the task ends.

use std::sync::Arc;
use std::time::Duration;

use crate::event::{Detail, Outcome, RunEvent, TaskName, Time};
use crate::plan::Restart;
use crate::run::attempt::{EndedAttempt, Holders, Role};
use crate::run::event_loop::EventLoop;
use crate::run::record::{EndedTask, detail};
use crate::run::task::{Work, task_name};
use crate::sched::TaskId;

impl EventLoop {
    pub(super) fn retry(&mut self, task: TaskId, outcome: Outcome, delay: Duration) {
        match self.take_back(task) {
            Some((task, attempt)) => {
                let restart = self.plan.jobs[task.job].restart != Restart::Never;
                self.tell(&RunEvent::Retrying { task, attempt, outcome, delay, restart });
            }
            None => self.retry_given(task, outcome, delay),
        }
    }

    pub(super) fn put_back(&mut self, task: TaskId) {
        if let Some((task, _)) = self.take_back(task) {
            self.tell(&RunEvent::PutBack { task });
        }
    }

    /// Forgets an attempt that is over, because another will follow. Returns the task and the number of the attempt;
    /// `None` if a worker had the task.
    pub(super) fn take_back(&mut self, task: TaskId) -> Option<(TaskName, u32)> {
        let (backend, mut cx) = self.backend();
        let ended = backend.forget(task, &mut cx)?;
        self.output.outputs.retry(task.place);
        // The next attempt opens its files anew.
        self.output.write_out();
        self.inbox.forget_attempt(task);
        let name = ended.work.task_name();
        let number = ended.role.attempts();
        if let Some(holders) = &ended.holders {
            let of = task_name(&self.plan.jobs[ended.work.job], ended.work.seq);
            self.warn_of_holders_of(&format!("attempt {number} of {of}"), holders);
        }
        self.intake.waiting.insert(task.place, ended.work);
        Some((name, number))
    }

    /// The task is over: its output is closed, logs and people are told, and those that follow it get its item.
    pub(super) fn end(&mut self, task: TaskId, outcome: Outcome, attempts: u32) {
        let (backend, mut cx) = self.backend();
        let ended = backend.forget(task, &mut cx);
        let waiting = self.intake.waiting.take(task.place);
        let Some(work) = ended.as_ref().map(|ended| ended.work.clone()).or(waiting) else { return };
        let plan = Arc::clone(&self.plan);
        let job = &plan.jobs[work.job];
        if ended.is_none() && outcome == Outcome::Ok && job.worker.is_some() {
            return self.end_answered(task, work);
        }
        let holders = ended.as_ref().and_then(|ended| ended.holders.clone());
        if job.run_hook().is_some() {
            return self.end_run_hook(task, &work, holders);
        }
        let told = self.ended_task(task, &work, ended.as_ref(), &outcome, attempts);
        let (elapsed, usage) = (told.elapsed, told.usage);
        let lines = self.record.lines(&told);
        self.record.add_row(&plan, task, &told, &mut self.output.outputs);
        if ended.is_some() || self.output.outputs.is_open(task.place) {
            self.output.outputs.close(task.place, lines);
        } else if job.keep_order {
            self.output.outputs.ended((work.job, work.seq), lines);
        } else {
            self.output.outputs.ops.extend(lines);
        }
        let detail = outcome.is_failure().then(|| match (ended, &job.worker) {
            (None, Some(_)) => self.detail_of_given(task, &work, attempts),
            (ended, _) => self.detail(&work, ended, attempts),
        });
        // The output of the task comes before what is said of it.
        self.output.write_out();
        if let Some(holders) = holders {
            self.warn_of_holders(&work, &holders);
        }
        let task = work.task_name();
        self.tell(&RunEvent::TaskEnded { task, outcome: outcome.clone(), elapsed, usage, detail });
        self.pass_on(&work, &outcome);
    }

    /// Puts together what logs and tables need of an ended task. `ended`: its last attempt or hook, if that ran here.
    fn ended_task<'a>(
        &self,
        task: TaskId,
        work: &'a Work,
        ended: Option<&EndedAttempt>,
        outcome: &'a Outcome,
        attempts: u32,
    ) -> EndedTask<'a> {
        let with_worker = self.plan.jobs[work.job].worker.is_some();
        let given = self.workers.given(task).filter(|_| with_worker);
        // The hook of a task is not the task.
        let hook = ended.and_then(|ended| ended.role.hook());
        let started = match (ended, given) {
            (Some(ended), _) => hook.map_or(ended.started, |hook| hook.started),
            (None, Some(given)) => given.at,
            (None, None) => self.kernel.now,
        };
        let elapsed = self.kernel.now.saturating_sub(started);
        EndedTask {
            work,
            outcome,
            attempts: attempts.max(1),
            slot: ended.map(|ended| ended.slot).or(given.map(|given| given.slot)).unwrap_or(0),
            started,
            elapsed: hook.map_or(elapsed, |hook| hook.detail.elapsed),
            usage: hook.map_or(ended.and_then(EndedAttempt::usage), |hook| hook.detail.usage),
            received: ended.map_or(0, |ended| ended.received),
        }
    }

    /// The same for a task that a worker has answered well.
    pub(super) fn answered_task<'a>(&self, task: TaskId, work: &'a Work) -> EndedTask<'a> {
        self.ended_task(task, work, None, &Outcome::Ok, 0)
    }

    /// Returns what people need to understand a failure of a task that ran here, or that never ran.
    fn detail(&self, work: &Work, ended: Option<EndedAttempt>, attempts: u32) -> Box<Detail> {
        match ended {
            Some(EndedAttempt { role: Role::Hook(hook), stderr_tail, .. }) => {
                hook.into_detail(&stderr_tail, attempts)
            }
            ended => Box::new(self.detail_of(work, ended.as_ref(), attempts)),
        }
    }

    pub(super) fn detail_of(&self, work: &Work, ended: Option<&EndedAttempt>, attempts: u32) -> Detail {
        detail::of(&self.plan, work, ended, &self.record.out_of_memory, attempts, self.kernel.now)
    }

    // ---- processes that a task left ------------------------------------------------------------------------

    /// Tells who still holds the output of an ended task open, behind what the task wrote.
    pub(super) fn warn_of_holders(&mut self, work: &Work, holders: &Holders) {
        let name = task_name(&self.plan.jobs[work.job], work.seq);
        self.output.write_out();
        self.warn_of_holders_of(&name, holders);
    }

    pub(super) fn warn_of_holders_of(&mut self, name: &str, holders: &Holders) {
        // A command line has no such key.
        let cure = if self.plan.rerun.is_some() { "; see `leftovers` in prun.toml(5)" } else { "" };
        self.warn(format!("{name} ended, but {holders}{cure}"));
    }

    /// Returns how long ago `since` was.
    pub(super) fn elapsed_since(&self, since: Time) -> Time {
        self.kernel.now.saturating_sub(since)
    }
}
