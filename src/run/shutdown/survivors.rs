//! What is told of processes that tasks leave, and what is still there at the end of a run that was stopped.

use std::time::Duration;

use crate::event::RunEvent;
use crate::os;
use crate::os::poller::Ready;
use crate::run::Run;
use crate::run::attempt::Work;
use crate::run::local::Holders;
use crate::run::token::Token;
use crate::run::words;

/// How often is looked whether what was killed has gone: its end is told, but not that it left others.
const AGAIN: Duration = Duration::from_millis(20);

impl Run {
    pub(in crate::run) fn warn_of_leftover(&mut self, work: &Work, holders: &Holders) {
        let what = words::task_name(&self.plan.jobs[work.job], work.seq);
        // What the task wrote comes before what is said of it.
        self.write_out();
        self.tell_of_holders(&what, holders);
    }

    /// A command line has no such key.
    pub(in crate::run) fn tell_of_holders(&mut self, what: &str, holders: &Holders) {
        let cure = if self.plan.rerun.is_some() { "; see `leftovers` in prun.toml(5)" } else { "" };
        self.tell(&RunEvent::Warning(format!("{what} ended, but {holders} its output open{cure}")));
    }

    pub(in crate::run) fn warn_of_untouchable(&mut self) {
        for why in std::mem::take(&mut self.local.remnants.warnings) {
            self.tell(&RunEvent::Warning(why));
        }
    }

    /// What prun can't do here.
    pub(in crate::run) fn warn_of_blindness(&mut self) {
        if !os::tree::can_look() && !self.options.dry_run {
            let why = "/proc does not show prun's own processes (it is not mounted, or of another PID namespace): a stop \
                       reaches process groups, but not what has left them";
            self.tell(&RunEvent::Warning(why.into()));
        }
    }

    /// After a stop prun has no children but those that were let go. Others have hidden so well that they belong to
    /// no task any more.
    pub(in crate::run) fn clear_away(&mut self, ready: &mut Vec<Ready>) {
        if !self.supervisor.was_stopped() || self.options.dry_run {
            return;
        }
        while self.local.clear_away() {
            self.warn_of_untouchable();
            // What can't be waited for is looked at again all the same.
            let _ = self.poller.wait(ready, Some(AGAIN));
            for event in ready.iter() {
                match Token::unpack(event.token) {
                    Token::Sinks => self.sinks.waker().drain(),
                    Token::Signals => self.take_signals(),
                    Token::Stdout => drop(self.poller.remove(os::std_streams::stdout())),
                    token => {
                        let (local, mut shared) = self.local();
                        local.ready(token, event, &mut shared);
                    }
                }
            }
        }
        self.warn_of_untouchable();
    }
}
