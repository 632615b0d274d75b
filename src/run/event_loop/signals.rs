//! What prun is told by signals: to stop, that something happened to a child, that the terminal changed, to be suspended.

use crate::event::RunEvent;
use crate::os;
use crate::run::Run;
use crate::sched::Event;

const GUARDIAN_LOST: &str =
    "prun's guardian was killed; should prun be killed by SIGKILL, what tasks started survives";

impl Run {
    pub(in crate::run) fn take_signals(&mut self) {
        let arrivals = self.signals.take();
        if !arrivals.stop.is_empty() {
            self.point_out_endless_readers();
        }
        self.events.extend(arrivals.stop.iter().copied().map(Event::Signal));
        self.take_other_signals(&arrivals);
    }

    /// Whoever stops prun may have waited in vain.
    fn point_out_endless_readers(&mut self) {
        for job in self.local.readers_at_the_end() {
            let name = &self.plan.jobs[job].name;
            let why = format!(
                "`{name}` was given all of its queue and still runs; if it never ends by itself, it needs `daemon = true`"
            );
            self.tell(&RunEvent::Warning(why));
        }
    }

    /// Signals, as far as they are not to stop prun.
    fn take_other_signals(&mut self, arrivals: &os::signals::Arrivals) {
        if arrivals.child {
            let before = self.events.len();
            let (local, mut shared) = self.local();
            if let Some(signal) = local.reap(&mut shared) {
                os::signals::feel(signal);
                // The task that it ended was stopped by it as all others are now.
                for signal in self.signals.stops().into_iter().rev() {
                    self.events.insert(before, Event::Signal(signal));
                }
            }
            if self.local.lost_guardian() {
                self.tell(&RunEvent::Warning(GUARDIAN_LOST.into()));
            }
        }
        if arrivals.resized {
            self.local.resize_terminals();
        }
        if arrivals.continued {
            self.local.lender.look();
        }
        // Whoever wants it to end does not want it to wait for that.
        let key = arrivals.suspend && arrivals.stop.is_empty();
        let by_task = self.local.lender.is_stopped();
        if key || by_task {
            self.suspend(by_task && !key);
        }
    }
}
