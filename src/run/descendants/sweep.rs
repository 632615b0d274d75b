//! Sweeps: the stop signal for processes that have left the process group of their task.
//!
//! They are found by their mark, among all processes of the system. That takes 16 µs for each of them, so it is done by
//! a thread beside the loop, one sweep at a time, which ends with one pass over `/proc`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use nix::errno::Errno;
use nix::libc::SIGKILL;

use super::{Descendants, POLL, Waiting};
use crate::event::Time;
use crate::os::descendants::{self, Reached, Target};
use crate::os::marked::Marked;
use crate::run::attempt::table::Attempts;
use crate::sched::TaskId;

/// The stack of the thread, which calls a few functions and holds paths.
const STACK: usize = 256 << 10;

/// The sweep that runs, if one does.
#[derive(Default)]
pub(super) struct Sweep {
    answer: Option<Receiver<Vec<Reached>>>,
    /// When the answer is looked for next.
    check_at: Time,
}

impl Sweep {
    pub fn is_running(&self) -> bool {
        self.answer.is_some()
    }

    /// Returns when to look for the answer of the sweep that runs.
    pub fn due(&self) -> Option<Time> {
        self.is_running().then_some(self.check_at)
    }

    /// Begins a sweep. Where no thread can be started, it is done at once.
    pub fn begin(&mut self, targets: Vec<Target>, now: Time) {
        let (sender, answer) = channel();
        let targets = Arc::new(targets);
        let (of_thread, by_thread) = (Arc::clone(&targets), sender.clone());
        let thread = std::thread::Builder::new().name("sweep".into()).stack_size(STACK);
        // Nobody waits for the thread; a receiver that is gone has no use for the answer.
        let started = thread.spawn(move || _ = by_thread.send(descendants::sweep(&of_thread)));
        if started.is_err() {
            _ = sender.send(descendants::sweep(&targets));
        }
        (self.answer, self.check_at) = (Some(answer), now + POLL);
    }

    /// Returns the result of the sweep once it has ended.
    pub fn take(&mut self, now: Time) -> Option<Vec<Reached>> {
        match self.answer.as_ref()?.try_recv() {
            Ok(reached) => {
                self.answer = None;
                Some(reached)
            }
            Err(TryRecvError::Empty) => {
                self.check_at = now + POLL;
                None
            }
            Err(TryRecvError::Disconnected) => {
                self.answer = None;
                None
            }
        }
    }
}

impl Descendants {
    /// Notes what the last sweep has reached, and begins the next one if it is due.
    pub(super) fn sweep_if_due(&mut self, attempts: &Attempts, now: Time) {
        if let Some(reached) = self.sweep.take(now) {
            self.note_reached(attempts, reached);
        }
        if self.sweep.is_running() || self.sweep_at.is_none_or(|at| at > now) {
            return;
        }
        let is_due = |waiting: &Waiting| waiting.sweep_at.is_some_and(|at| at <= now);
        let mut targets = Vec::new();
        for (id, waiting) in self.waiting.iter_mut().filter(|(_, waiting)| is_due(waiting)) {
            waiting.sweep_at = None;
            targets.extend(target(attempts, *id, waiting));
        }
        self.sweep_at = self.waiting.values().filter_map(|waiting| waiting.sweep_at).min();
        if !targets.is_empty() {
            self.sweep.begin(targets, now);
        }
    }

    fn note_reached(&mut self, attempts: &Attempts, reached: Vec<Reached>) {
        let tasks: HashMap<u32, TaskId> =
            self.waiting.keys().filter_map(|id| Some((attempts.get(*id)?.mark?.number(), *id))).collect();
        for Reached { found, result } in reached {
            let waiting = tasks.get(&found.mark.number()).and_then(|id| self.waiting.get_mut(id));
            waiting.into_iter().for_each(|waiting| _ = waiting.signalled.insert(found.pid));
            if result == Err(Errno::EPERM) {
                self.warn_of_untouchable(found.pid);
            }
        }
        // Processes that were started meanwhile were not looked at.
        if !self.ended.is_empty() {
            self.search_at(Time::ZERO);
        }
    }

    /// Wants another sweep for a process that the last one has not reached: it was started since.
    pub(super) fn sweep_for(&mut self, attempts: &Attempts, id: TaskId, found: &Marked, now: Time) {
        if self.sweep.is_running() || found.mark.is_guardian() || !self.ended.contains(&id) {
            return;
        }
        let Some(waiting) = self.waiting.get_mut(&id) else { return };
        let is_stopped = waiting.signal.is_some_and(|signal| signal != SIGKILL);
        let Some(first) = attempts.get(id).and_then(|attempt| attempt.processes.first()) else { return };
        // A process of the group is looked at once: it has got the signal.
        if is_stopped
            && waiting.sweep_at.is_none()
            && waiting.signalled.insert(found.pid)
            && descendants::is_outside(found.pid, first.pid)
        {
            waiting.signalled.remove(&found.pid);
            self.want_sweep(id, now + POLL);
        }
    }
}

/// Returns what a sweep needs to know of a task.
fn target(attempts: &Attempts, id: TaskId, waiting: &Waiting) -> Option<Target> {
    let attempt = attempts.get(id)?;
    let own = attempt.processes.iter().filter(|process| process.exit.is_none()).map(|process| process.pid);
    Some(Target {
        mark: attempt.mark?,
        group: attempt.processes.first()?.pid,
        signal: waiting.signal?,
        told: waiting.signalled.iter().copied().chain(own).collect(),
    })
}
