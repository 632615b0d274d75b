//! The end: everything that waits to be written is written, and the verdict is given.

use super::EventLoop;
use super::pump::Until;
use crate::event::RunEvent;
use crate::os;
use crate::run::Verdict;
use crate::run::output::sinks::HandOver;
use crate::run::shutdown::event_of;
use crate::sched::Event;

/// prun itself failed: an option, the job file, output that could not be written.
const OWN_FAILURE: u8 = 125;

impl EventLoop {
    /// Writes what is left, and returns how the run ended. A signal ends the wait for a slow reader.
    pub(super) fn flush(mut self) -> Verdict {
        // Nothing is left to guard, and the guardian ends while the rest is written.
        os::guardian::release();
        self.output.end_lease();
        self.output.erase_bar();
        if let Verdict::Signal(_) = self.scheduler.verdict() {
            self.output.sinks.hurry_fifos();
        }
        if let Some(signal) = self.write_rest() {
            return Verdict::Signal(signal);
        }
        self.output.sinks.finish_files();
        let failure = self.output.take_failure().map(event_of);
        match (self.scheduler.verdict(), failure) {
            (verdict @ Verdict::Code(_), None) => self.late_stop().map_or(verdict, Verdict::Signal),
            (verdict, None) | (verdict @ Verdict::Signal(_), _) => verdict,
            (_, Some(Event::Broken(why))) => {
                self.tell(&RunEvent::Broken(why));
                self.write_rest().map_or(Verdict::Code(OWN_FAILURE), Verdict::Signal)
            }
            (_, Some(_)) => Verdict::Signal(nix::libc::SIGPIPE),
        }
    }

    /// Waits until everything is written. Returns the signal to stop that arrived before.
    fn write_rest(&mut self) -> Option<i32> {
        self.hand_over(HandOver::Now);
        self.pump(Until::OutputWritten);
        self.inbox.stop_signal
    }

    /// Returns the signal if prun was told to stop while it ended by itself: its caller stops, too.
    fn late_stop(&mut self) -> Option<i32> {
        // Nothing takes time after this.
        os::guardian::dismiss();
        let queued = self.inbox.events.iter().find_map(|event| match event {
            Event::Signal(signal) => Some(*signal),
            _ => None,
        });
        queued.or_else(|| self.kernel.signals.as_mut()?.take().stop.first().copied())
    }
}
