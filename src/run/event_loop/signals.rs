//! Signals that prun gets: to stop, that a child changed, that the terminal changed, to be suspended.

use super::EventLoop;
use crate::os;
use crate::os::signals::{Arrivals, Signals};
use crate::sched::Event;

impl EventLoop {
    pub(super) fn take_signals(&mut self) {
        let Some(signals) = &mut self.kernel.signals else { return };
        let arrivals = signals.take();
        if let Some(&first) = arrivals.stop.first() {
            self.inbox.stop_signal.get_or_insert(first);
            self.point_out_endless_readers();
        }
        // Ctrl-C ends the writer of prun's input as well: the run was stopped, although its input ended in the same turn.
        for &signal in arrivals.stop.iter().rev() {
            self.inbox.events.push_front(Event::Signal(signal));
        }
        self.take_other_signals(&arrivals);
    }

    /// A person who stops prun may have waited for a reader that never ends by itself.
    fn point_out_endless_readers(&mut self) {
        for job in self.backend.endless_readers(&self.queues) {
            let name = &self.plan.jobs[job].name;
            self.warn(format!(
                "`{name}` was given all of its queue and still runs; if it never ends by itself, it needs `daemon = true`"
            ));
        }
    }

    fn take_other_signals(&mut self, arrivals: &Arrivals) {
        if arrivals.child {
            let before = self.inbox.events.len();
            let (backend, mut cx) = self.backend();
            if let Some(signal) = backend.reap(&mut cx) {
                os::signals::raise_in_group(signal);
                // The signal stands before the exit that it caused: the task was stopped by it, as all others are now.
                let stops = self.kernel.signals.as_mut().map(Signals::stops).unwrap_or_default();
                for signal in stops.into_iter().rev() {
                    self.inbox.events.insert(before, Event::Signal(signal));
                }
            }
            self.tell_warnings();
        }
        if arrivals.resized {
            self.backend.resize_terminals();
        }
        if arrivals.continued {
            self.output.lease.reconcile();
        }
        // A stop that arrives together with Ctrl-Z comes first.
        let by_key = arrivals.suspend && arrivals.stop.is_empty();
        let by_task = self.output.lease.is_stopped();
        if by_key || by_task {
            self.suspend(by_task && !by_key);
        }
    }
}
