//! Attempts start.

use std::num::NonZeroU32;

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
        if let (true, Started::Running { captured: true, .. }) = (interactive, &started) {
            // The task writes through prun, and has to be seen.
            self.output.sinks.unpause_terminal();
        }
        let pid = started.pid();
        // Nothing else tells of a service that counts as up as soon as it runs.
        if pid.is_some() && up_at_once {
            self.inbox.push(Event::Up(task));
        }
        if pid.is_some() || self.options.verbose {
            let attempt = attempt.get();
            self.tell(&RunEvent::TaskStarted { task: name, attempt, pid, item, command });
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
