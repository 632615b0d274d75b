//! The end of a run: what waits to be written is written, and how it went is told.

use crate::event::RunEvent;
use crate::os;
use crate::os::poller::Ready;
use crate::run::Run;
use crate::run::Verdict;
use crate::run::output::Failure;
use crate::run::output::thread_start;
use crate::run::token::Token;
use crate::sched::Event;

const SIGPIPE: i32 = 13;

impl Run {
    /// Everything has ended but what waits to be written. A signal ends that wait.
    pub(in crate::run) fn flush(mut self, ready: &mut Vec<Ready>) -> Verdict {
        // Nothing is left to guard, and it ends while the rest is written.
        os::guardian::release();
        self.look_at_terminal();
        self.screen.erase(&mut self.sinks);
        if let Some(signal) = self.wait_for_sinks(ready) {
            return Verdict::Signal(signal);
        }
        self.sinks.finish_files();
        let failure = if self.failed_to_write { None } else { self.sinks.take_failure() };
        match (self.supervisor.verdict(), failure.map(event_of)) {
            (verdict @ Verdict::Code(_), None) => self.late_stop().map_or(verdict, Verdict::Signal),
            (verdict, None) | (verdict @ Verdict::Signal(_), _) => verdict,
            (_, Some(Event::Broken(why))) => {
                self.tell(&RunEvent::Broken(why));
                self.wait_for_sinks(ready).map_or(Verdict::Code(125), Verdict::Signal)
            }
            (_, Some(_)) => Verdict::Signal(SIGPIPE),
        }
    }

    /// prun was told to stop while it ended by itself: whoever called it stops, too.
    fn late_stop(&mut self) -> Option<i32> {
        // Nothing takes time after this.
        os::guardian::dismiss();
        let queued = self.events.iter().find_map(|event| match event {
            Event::Signal(signal) => Some(*signal),
            _ => None,
        });
        queued.or_else(|| self.signals.take().stop.first().copied())
    }

    /// Waits until everything was written, or until a signal comes.
    fn wait_for_sinks(&mut self, ready: &mut Vec<Ready>) -> Option<i32> {
        self.sinks.hand_over(self.now, false, &mut self.outputs.spare);
        while !self.sinks.is_done() {
            let patience = self.sinks.await_thread().then_some(thread_start::PAUSE);
            let _ = self.poller.wait(ready, patience);
            self.sinks.look_after_threads();
            for event in ready.iter() {
                match Token::unpack(event.token) {
                    Token::Sinks => self.sinks.waker().drain(),
                    Token::Signals => {
                        let arrivals = self.signals.take();
                        if let Some(&signal) = arrivals.stop.first() {
                            return Some(signal);
                        }
                        if arrivals.suspend {
                            os::signals::suspend(false);
                        }
                    }
                    Token::Stdout => drop(self.poller.remove(os::std_streams::stdout())),
                    token => {
                        let (local, mut shared) = self.local();
                        local.ready(token, event, &mut shared);
                    }
                }
            }
        }
        None
    }
}

/// A closed stdout ends prun as it ends any filter, unless it was started with SIGPIPE ignored.
pub(in crate::run) fn event_of(failure: Failure) -> Event {
    match failure {
        Failure::Closed if os::inherited::inherited().ignored.contains(SIGPIPE) => {
            Event::Broken("could not write to stdout: broken pipe".into())
        }
        Failure::Closed => Event::OutputClosed,
        Failure::Other(why) => Event::Broken(why),
    }
}
