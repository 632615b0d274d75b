//! The end of the run: the hooks of the run, and what they and dependent jobs wait for.
//!
//! A hook of the run is the only task of a job of the plan's own, which neither logs nor people are told of as of
//! others. It begins when all other jobs have ended and everything they wrote is where it was to go.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::event::{JobId, RunEvent, Summary};
use crate::run::attempt::{Holders, Role};
use crate::run::backend::{Start, Started};
use crate::run::event_loop::EventLoop;
use crate::run::shutdown::{event_of, run_hooks};
use crate::run::task::Work;
use crate::run::words;
use crate::sched::{Event, TaskId};

impl EventLoop {
    /// Asks for the files of a job to be complete.
    pub(super) fn flush_files(&mut self, job: JobId) {
        self.output.write_out();
        let flushed = self.output.sinks.flush_files(Some(job));
        if run_hooks::is_flushed(&flushed) {
            return self.inbox.push(Event::FilesFlushed(job));
        }
        self.shutdown.run_hooks.await_files(job, flushed);
    }

    /// Tells the scheduler which jobs' files are complete now. The disk thread wakes the loop each time.
    pub(in crate::run) fn report_flushed_files(&mut self) {
        let flushed = self.shutdown.run_hooks.take_flushed();
        self.inbox.events.extend(flushed.into_iter().map(Event::FilesFlushed));
    }

    /// Tells the scheduler when everything that tasks wrote is where it was to go.
    pub(in crate::run) fn report_flushed_output(&mut self) {
        if self.shutdown.run_hooks.is_flushed(self.kernel.now, &mut self.output) {
            // A failure to write goes first, because it decides which hooks run.
            self.report_failure();
            self.inbox.push(Event::OutputFlushed);
        }
    }

    /// Tells the scheduler of the first failure to write.
    pub(in crate::run) fn report_failure(&mut self) {
        if let Some(failure) = self.output.take_failure() {
            self.inbox.push(event_of(failure));
        }
    }

    /// All jobs have ended: hands the report to the backend, for the hooks of the run to read.
    pub(super) fn prepare_run_hooks(&mut self, summary: &Summary) {
        if self.plan.jobs.iter().all(|job| job.run_hook().is_none()) {
            return;
        }
        // The bar has nothing more to show.
        self.output.erase_bar();
        self.shutdown.run_hooks.elapsed = summary.elapsed;
        let report = self.output.report(summary);
        let (backend, mut cx) = self.backend();
        backend.run_ended(report, &mut cx);
    }

    /// Returns the work of a hook of the run; `None` for any other task.
    pub(super) fn work_of_run_hook(&self, task: TaskId) -> Option<Work> {
        let (job, seq) = self.scheduler.task(task);
        self.plan.jobs[job].run_hook().map(|_| Work::of(job, seq))
    }

    pub(super) fn start_run_hook(&mut self, task: TaskId, work: Work, attempt: NonZeroU32, slot: usize) {
        let (verdict, failed) = (self.scheduler.verdict(), self.scheduler.has_failed());
        self.backend.set_run_facts(run_hooks::facts(&verdict, failed, self.shutdown.run_hooks.elapsed));
        let job = &self.plan.jobs[work.job];
        let name = Arc::clone(&job.name);
        let command = self.options.verbose.then(|| words::command(job, &work, slot));
        let start = Start { task, work, slot, role: Role::Attempt(attempt), last_attempt: true };
        if let Some(started) = self.begin(start).filter(|started| !matches!(started, Started::Waiting)) {
            self.tell(&RunEvent::LastStarted { name, pid: started.pid(), command });
        }
    }

    pub(super) fn end_run_hook(&mut self, task: TaskId, work: &Work, holders: Option<Holders>) {
        if self.output.outputs.is_open(task.place) {
            self.output.outputs.close(task.place, Vec::new());
        }
        self.output.write_out();
        if let Some(holders) = holders {
            self.warn_of_holders(work, &holders);
        }
    }
}
