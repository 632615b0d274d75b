//! The one pump: wait, dispatch, do what follows; until the run has ended, until the last children are gone, until
//! all output is written.

use std::time::Duration;

use super::{BURST, EventLoop};
use crate::os;
use crate::os::poller::Ready;
use crate::run::output::sinks::HandOver;
use crate::run::output::thread_start;
use crate::run::token::Token;
use crate::sched::Event;

/// How often the loop looks whether processes that were killed are gone. Their end is told, but not that they had
/// children of their own, which become prun's.
const LOOK_FOR_CHILDREN: Duration = Duration::from_millis(20);

/// How often the loop looks whether starts are over that hold back others. Their end is not told.
const CROWD: Duration = Duration::from_millis(1);

/// The goal of a pump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The scheduler has nothing more to do.
    RunEnded,
    /// The run was stopped, and no child is left but those that were let go.
    ChildrenGone,
    /// Everything that waited to be written is written, or a signal to stop arrived.
    OutputWritten,
}

impl EventLoop {
    /// Waits and dispatches until the goal is reached.
    pub(in crate::run) fn pump(&mut self, until: Until) {
        self.inbox.stop_signal = None;
        let mut ready = Vec::new();
        while !self.has_reached(until) {
            let patience = self.patience(until);
            if let Err(errno) = self.kernel.wait(&mut ready, patience) {
                self.inbox
                    .push(Event::Broken(format!("could not wait for events: {}", os::poller::reason(errno))));
            }
            self.inbox.answered = false;
            for event in &ready {
                self.dispatch(event);
                // A worker that answered gets its next task while the descriptors behind it are still looked at.
                if self.take_answers() {
                    self.inbox.answered = true;
                    self.handle_events();
                }
            }
            match until {
                Until::RunEnded => self.turn(!ready.is_empty()),
                Until::ChildrenGone => self.tell_warnings(),
                Until::OutputWritten => self.output.sinks.retry_threads(),
            }
        }
    }

    fn has_reached(&mut self, until: Until) -> bool {
        match until {
            Until::RunEnded => self.shutdown.finished,
            Until::ChildrenGone => {
                let (backend, mut cx) = self.backend();
                let left = backend.clear_away(&mut cx);
                self.tell_warnings();
                !left
            }
            Until::OutputWritten => self.inbox.stop_signal.is_some() || self.output.sinks.is_done(),
        }
    }

    /// Returns how long the poller may block before the next timer is due.
    fn patience(&self, until: Until) -> Option<Duration> {
        let thread = self.output.sinks.awaits_thread().then_some(thread_start::PAUSE);
        match until {
            Until::RunEnded => {}
            Until::ChildrenGone => return Some(LOOK_FOR_CHILDREN),
            Until::OutputWritten => {
                return thread.into_iter().chain(self.output.sinks.fifo_patience()).min();
            }
        }
        if !self.inbox.events.is_empty() || self.intake.is_asking() {
            return Some(Duration::ZERO);
        }
        let due = [
            self.scheduler.due(),
            self.scheduler.reading_due(),
            self.throttle.gauges.due(),
            self.output.screen.due(),
            self.output.hand_over_due(self.is_quiet()),
            self.workers.due(),
            self.backend.due(),
            self.record.out_of_memory.due(),
        ];
        let due = due.into_iter().flatten().min();
        let timer = due.map(|at| at.saturating_sub(self.kernel.now));
        let crowd = self.backend.is_crowded().then_some(CROWD);
        [timer, thread, crowd, self.queues.due_in()].into_iter().flatten().min()
    }

    /// True if staged output has nothing to wait for: none is about to come from attempts that just started, nor from
    /// workers that just got more; or somebody may watch what flows.
    fn is_quiet(&self) -> bool {
        self.output.outputs.flowed || (self.inbox.starts == 0 && !self.inbox.answered)
    }

    /// Hands a ready descriptor to the room that owns it.
    fn dispatch(&mut self, ready: &Ready) {
        match Token::unpack(ready.token) {
            Token::Signals => self.take_signals(),
            Token::Sinks => self.output.sinks.waker().drain(),
            Token::Stdout => {
                let _ = self.kernel.poller.remove(os::std_streams::stdout());
                self.inbox.push(Event::OutputClosed);
            }
            Token::Tokens => self.take_tokens(),
            Token::Items(job) => {
                self.intake.sources.pause(job, &self.kernel.poller);
                let (backend, mut cx) = self.backend();
                backend.pass_on_block(job, &mut cx);
                if self.intake.sources.is_awaited(job) {
                    self.pull(job);
                }
                let (backend, mut cx) = self.backend();
                backend.feed_blocks(job, &mut cx);
            }
            token => {
                let (backend, mut cx) = self.backend();
                backend.ready(token, ready, &mut cx);
            }
        }
    }

    /// Does what follows from what was dispatched. `woken`: at least one descriptor was ready.
    fn turn(&mut self, woken: bool) {
        self.advance();
        if self.shutdown.finished {
            return;
        }
        self.output.end_lease();
        self.maintain_output();
        self.output.draw(self.kernel.now);
        self.hand_over(if woken || !self.is_quiet() { HandOver::WhenDue } else { HandOver::WhenQuiet });
    }

    /// Lets everything that moves by itself move, then handles all events.
    pub(super) fn advance(&mut self) {
        self.record.out_of_memory.read_first(self.kernel.now);
        let (backend, mut cx) = self.backend();
        backend.poll(&mut cx);
        self.tell_launched();
        let news = self.queues.round(&self.kernel.poller, &mut self.inbox.events);
        if !news.closed.is_empty() {
            let (backend, mut cx) = self.backend();
            backend.close_inlets(news.closed, &mut cx);
        }
        for job in news.pull.into_iter().chain(self.intake.take_asking()) {
            self.pull(job);
        }
        self.tell_warnings();
        if self.scheduler.due().is_some_and(|due| due <= self.kernel.now) {
            self.inbox.push(Event::Tick(self.kernel.now));
        }
        self.point_out_silent_workers();
        self.read_gauges();
        self.inbox.starts = 0;
        self.handle_events();
        self.output.write_out();
    }

    /// Handles events until none is left, or enough attempts have started.
    pub(in crate::run) fn handle_events(&mut self) {
        self.answer_followers();
        while self.inbox.starts < BURST
            && let Some(event) = self.inbox.events.pop_front()
        {
            self.handle(event);
            self.answer_followers();
        }
        self.feed_workers();
    }

    /// Does what must be done after each turn about output: threads, failures, files that are complete, and whether
    /// tasks may start and readers go on.
    fn maintain_output(&mut self) {
        self.output.sinks.retry_threads();
        self.start_awaited_hooks();
        self.report_failure();
        self.report_flushed_files();
        self.report_flushed_output();
        if let Some(hold) = self.output.change_of_hold(self.backend.is_crowded()) {
            self.handle(Event::Backpressure(hold));
        }
        let (backend, mut cx) = self.backend();
        backend.resume_readers(&mut cx);
    }

    /// Tells what the backend had to say.
    pub(in crate::run) fn tell_warnings(&mut self) {
        for why in std::mem::take(&mut self.inbox.warnings) {
            self.warn(why);
        }
    }
}
