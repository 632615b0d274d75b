//! Attempts start.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::event::RunEvent;
use crate::run::attempt::Role;
use crate::run::backend::{Start, Started};
use crate::run::event_loop::EventLoop;
use crate::run::task::short_item;
use crate::run::words;
use crate::sched::{Event, TaskId};

impl EventLoop {
    /// Starts an attempt of a task, or a hook of the run.
    pub(super) fn start(&mut self, task: TaskId, attempt: NonZeroU32, slot: usize, last_attempt: bool) {
        self.inbox.starts += 1;
        let work = self.intake.waiting.take(task.place);
        let Some(mut work) = work.or_else(|| self.work_of_run_hook(task)) else { return };
        if self.plan.jobs[work.job].run_hook().is_some() {
            return self.start_run_hook(task, work, attempt, slot);
        }
        if let Some(failure) = work.refusal() {
            self.intake.waiting.insert(task.place, work);
            return self.inbox.push(Event::NotStarted { task, started: 0, failure: Arc::new(failure) });
        }
        work.held = self.scheduler.permits_of(task);
        let name = work.task_name();
        let job = &self.plan.jobs[work.job];
        let item = short_item(&work.items);
        let command = self.options.verbose.then(|| words::command(job, &work, slot));
        let (interactive, up_at_once) = (job.interactive, job.is_daemon() && job.ready.is_none());
        if interactive {
            self.output.begin_lease(self.kernel.now);
        }
        let start = Start { task, work, slot, role: Role::Attempt(attempt), last_attempt };
        let Some(started) = self.begin(start) else { return };
        let up_at_once = up_at_once && started.pid().is_some();
        let told =
            RunEvent::TaskStarted { task: name, attempt: attempt.get(), pid: started.pid(), item, command };
        self.note_started(task, &started, interactive, up_at_once, &told);
    }

    /// Does what follows when an attempt has started, or could not be.
    fn note_started(
        &mut self,
        task: TaskId,
        started: &Started,
        interactive: bool,
        up_at_once: bool,
        told: &RunEvent,
    ) {
        if let (true, Started::Running { captured: true, .. }) = (interactive, started) {
            // The task writes through prun, and has to be seen.
            self.output.sinks.unpause_terminal();
        }
        // Nothing else tells of a service that counts as up as soon as it runs.
        if up_at_once {
            self.inbox.push(Event::Up(task));
        }
        if started.pid().is_some() || self.options.verbose && !matches!(started, Started::Waiting) {
            self.tell(told);
        }
    }

    /// Tells of attempts that had to wait until their files were open.
    pub(in crate::run) fn tell_launched(&mut self) {
        for (task, started) in std::mem::take(&mut self.inbox.launched) {
            let Some(attempt) = self.backend.attempt(task) else { continue };
            if self.inbox.live == Some(task) {
                self.output.outputs.let_flow(task.place);
            }
            let job = &self.plan.jobs[attempt.work.job];
            let command = self.options.verbose.then(|| words::command(job, &attempt.work, attempt.slot));
            let pid = started.pid();
            let told = match job.run_hook() {
                Some(_) => RunEvent::LastStarted { name: Arc::clone(&job.name), pid, command },
                None => RunEvent::TaskStarted {
                    task: attempt.work.task_name(),
                    attempt: attempt.role.attempts(),
                    pid,
                    item: short_item(&attempt.work.items),
                    command,
                },
            };
            let up_at_once = pid.is_some() && job.is_daemon() && job.ready.is_none();
            if !matches!(started, Started::NotBegun) {
                self.note_started(task, &started, job.interactive, up_at_once, &told);
            }
        }
    }

    /// Hands a start to the backend. `None` if nothing began: it will be tried again, or it was only printed.
    pub(super) fn begin(&mut self, start: Start) -> Option<Started> {
        let task = start.task;
        let (backend, mut cx) = self.backend();
        match backend.start(start, &mut cx) {
            Started::NotBegun => None,
            Started::Printed(work) => {
                self.intake.waiting.insert(task.place, work);
                None
            }
            started => Some(started),
        }
    }
}
