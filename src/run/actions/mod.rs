//! Does each action of the scheduler, one file a group. Together with [`event_loop`](super::event_loop) this is
//! the only place that knows all rooms of `run`.
//!
//! - [`items`]: pulls, and items that go from job to job
//! - [`start`]: attempts start; [`end`]: they are over, and another follows or the task ends
//! - [`workers`]: processes that live on get tasks, and their answers are taken
//! - [`hooks`]: commands after the last attempt of a task
//! - [`run_end`]: the hooks of the run, and what they wait for
//!
//! Each action is done at once and never waits. What comes of it is an event for the next turn of the loop. A dry run
//! is no case here: it is a [`Backend`](super::backend::Backend) of its own behind the same actions.

use super::event_loop::EventLoop;
use crate::event::{JobId, RunEvent};
use crate::sched::{Action, Event};

mod end;
mod hooks;
mod items;
mod run_end;
mod start;
mod workers;

impl EventLoop {
    /// Gives one event to the scheduler, and does what it answers.
    pub(in crate::run) fn handle(&mut self, event: Event) {
        let actions = self.scheduler.handle(self.kernel.now, event);
        self.apply_all(actions);
    }

    fn apply_all(&mut self, mut actions: Vec<Action>) {
        for action in actions.drain(..) {
            self.apply(action);
        }
        self.scheduler.give_back(actions);
    }

    fn apply(&mut self, action: Action) {
        match action {
            Action::Pull { job, most } => {
                // Workers begin while the next items are read.
                self.feed_workers();
                self.intake.want(job, most);
                self.pull(job);
            }
            Action::Start { task, attempt, is_last, slot } => {
                self.start(task, attempt, slot, is_last);
            }
            Action::StartWorker { worker, job, slot } => self.start_worker(worker, job, slot),
            Action::Give { worker, task, attempt } => self.give(worker, task, attempt.get()),
            Action::EndInput { worker } => self.end_input(worker),
            Action::WorkerEnded { worker, .. } => self.worker_ended(worker),
            Action::Hook { task, at, outcome } => self.hook(task, at, outcome),
            Action::Signal { task, signal } => {
                let (backend, mut cx) = self.backend();
                backend.signal(task, signal, &mut cx);
            }
            Action::Kill { task } => {
                let (backend, mut cx) = self.backend();
                backend.signal(task, nix::libc::SIGKILL, &mut cx);
            }
            Action::Leftovers { task, kill } => {
                let (backend, mut cx) = self.backend();
                backend.await_leftovers(task, kill, &mut cx);
            }
            Action::ClearGroup { task, signal } => {
                let (backend, mut cx) = self.backend();
                backend.clear_group(task, signal, &mut cx);
            }
            Action::NotReady { task } => self.backend.not_ready(task),
            Action::Retry { task, outcome, delay } => self.retry(task, outcome, delay),
            Action::PutBack { task } => self.put_back(task),
            Action::TakeBack { task } => _ = self.take_back(task),
            Action::End { task, outcome, attempts } => self.end(task, outcome, attempts),
            Action::AskTokens(wanted) => self.ask_tokens(wanted),
            Action::GiveTokens(count) => self.give_tokens(count),
            Action::Live(task) => {
                self.inbox.live = Some(task);
                self.output.outputs.let_flow(task.place);
            }
            Action::Tell(event) => self.tell_and_follow(&event),
            Action::FlushOutput => self.shutdown.run_hooks.await_output(),
            Action::FlushFiles(job) => self.flush_files(job),
            Action::Finish => self.shutdown.finished = true,
        }
    }

    /// Tells people what the scheduler says, and does what belongs to it: before it, what still has to be said of a job
    /// or of the run; behind it, what begins with its end.
    fn tell_and_follow(&mut self, event: &RunEvent) {
        match event {
            RunEvent::RunEnded(summary) => {
                if let Some(why) = self.record.left_out() {
                    self.warn(why);
                }
                self.tell(event);
                self.prepare_run_hooks(summary);
            }
            RunEvent::JobEnded { job, .. } | RunEvent::JobSkipped { job, .. } => {
                self.close_job(*job);
                self.tell(event);
                self.intake.chains.end(*job);
            }
            _ => self.tell(event),
        }
    }

    /// No task of the job will start any more: each room forgets it.
    fn close_job(&mut self, job: JobId) {
        self.warn_of_unread_input(job);
        self.output.outputs.job_ended(job);
        // Behind the output that waited for its turn, because files are closed.
        let (backend, mut cx) = self.backend();
        backend.job_ended(job, &mut cx);
        self.intake.sources.close(job, &self.kernel.poller);
        self.intake.stop_asking(job);
        self.queues.job_ended(job);
    }

    /// Tasks that live on for all of an input may have ended before it did.
    fn warn_of_unread_input(&mut self, job: JobId) {
        let unread = self.intake.sources.blocks(job).is_some_and(|blocks| blocks.has_left_over());
        if unread && !self.scheduler.is_stopping() {
            let name = &self.plan.jobs[job].name;
            self.warn(format!("the rest of the input was not read, because every `{name}` had ended"));
        }
    }

    // ---- what holds starts back ----------------------------------------------------------------------------

    fn ask_tokens(&mut self, wanted: usize) {
        let warning = self.throttle.ask_tokens(wanted, &self.kernel.poller, &mut self.inbox.events);
        self.inbox.warnings.extend(warning);
        self.tell_warnings();
    }

    fn give_tokens(&mut self, count: usize) {
        let warning = self.throttle.give_tokens(count, &self.kernel.poller);
        self.inbox.warnings.extend(warning);
        self.tell_warnings();
    }

    /// The jobserver may have tokens.
    pub(in crate::run) fn take_tokens(&mut self) {
        let warning = self.throttle.take_tokens(&self.kernel.poller, &mut self.inbox.events);
        self.inbox.warnings.extend(warning);
        self.tell_warnings();
    }

    /// Looks at the gauges that are due: the file that holds the size of the pool, the load, free memory.
    pub(in crate::run) fn read_gauges(&mut self) {
        use crate::run::throttle::gauges::GaugeChange;
        match self.throttle.gauges.poll_pool_file(self.kernel.now) {
            Some(GaugeChange::Pool(size)) => {
                self.tell(&RunEvent::Pool(size));
                let warning = self.throttle.resize(size, &self.kernel.poller);
                self.inbox.warnings.extend(warning);
                self.tell_warnings();
                self.inbox.push(Event::Pool(size));
            }
            Some(GaugeChange::Warning(why)) => self.warn(why),
            None => {}
        }
        if self.scheduler.reading_due().is_some_and(|due| due <= self.kernel.now) {
            let reading = self.throttle.gauges.read().map_or_else(Event::Broken, Event::Reading);
            self.inbox.push(reading);
        }
    }
}
