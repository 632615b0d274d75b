//! Why and how tasks are stopped (the ladder signal → grace → SIGKILL), and whether they are tried again.
//! Pure.

use std::sync::Arc;

use super::job::Source;
use super::overdue::Overdue;
use super::task::{Role, State};
use super::{Action, JobId, Mode, Supervisor, TaskId};
use crate::event::{Outcome, RunEvent, SIGKILL, SIGPIPE, SIGTERM, StartFailure, Time};
use crate::plan::{Outcomes, Restart, RetryDelay};

/// Why a task is stopped. The first reason stays: a task that timed out and is hit by Ctrl-C afterwards timed
/// out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    Timeout,
    /// The task was not up in time.
    NotReady,
    /// The task, or its hook, could not end well.
    Fault(Arc<str>),
    /// The worker closed its output, so it can't answer any more.
    ClosedOutput,
    /// The work was done: the task is a daemon that has read all its input or that nobody needs any more, or
    /// a worker without tasks.
    Finished,
    /// A stage of the pipeline could not be executed.
    NotStarted(Arc<StartFailure>),
    /// The run was halted, a signal came, or the reader of stdout has gone.
    Cancelled,
    /// Memory is short. The task is started again, unless prun stops.
    PutBack,
    /// A resource was lacking to start all stages. The task is started again, unless prun stops.
    Shortage,
}

impl Reason {
    pub fn outcome(self) -> Outcome {
        match self {
            Reason::Timeout | Reason::NotReady => Outcome::Timeout,
            Reason::Fault(why) => Outcome::Fault(why),
            Reason::ClosedOutput => Outcome::Fault("its worker closed its output without an answer".into()),
            Reason::Finished => Outcome::Ok,
            Reason::NotStarted(failure) => Outcome::NotStarted(failure),
            Reason::Cancelled | Reason::PutBack | Reason::Shortage => Outcome::Cancelled,
        }
    }
}

/// A task that is being stopped.
#[derive(Debug, Clone, PartialEq)]
pub struct Stopping {
    pub reason: Reason,
    /// The signal that it was told to stop by.
    pub signal: i32,
    /// When SIGKILL follows; `None` if it was sent.
    pub kill_at: Option<Time>,
    /// The task's own processes that have not exited. Its process group may hold others.
    pub live: usize,
    pub drained: bool,
}

/// Why the whole run stops, from weak to strong: a stronger cause replaces a weaker one, never the other way
/// round.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    Halt,
    OutputClosed,
    Broken,
    Signal(i32),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    pub cause: Cause,
    why: String,
    /// True if SIGKILL was sent to everything.
    pub killed: bool,
}

impl Stop {
    pub fn signal(signal: i32) -> Stop {
        Stop::of(Cause::Signal(signal), String::new())
    }

    pub fn output_closed() -> Stop {
        Stop::of(Cause::OutputClosed, String::new())
    }

    pub fn broken() -> Stop {
        Stop::of(Cause::Broken, String::new())
    }

    pub fn halt(why: String) -> Stop {
        Stop::of(Cause::Halt, why)
    }

    fn of(cause: Cause, why: String) -> Stop {
        Stop { cause, why, killed: false }
    }
}

/// The fate of running tasks when their job is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Running {
    MayEnd,
    Cancel,
}

/// True if an attempt with this outcome may be followed by another. `on` is the job's `retry_on`.
pub fn may_retry(outcome: &Outcome, on: Option<&Outcomes>) -> bool {
    match (outcome, on) {
        (Outcome::Failed(code), Some(on)) => on.codes.contains(code),
        (Outcome::Killed(_), Some(on)) => on.signal,
        (Outcome::Timeout, Some(on)) => on.timeout,
        (Outcome::Failed(_) | Outcome::Killed(_) | Outcome::Timeout | Outcome::Fault(_), None) => true,
        _ => false,
    }
}

/// Returns the delay after the given attempt (from 1). Jitter shortens it by up to all of it, and depends on
/// the task's number: tasks that failed together do not come back together, and a run can be repeated
/// exactly.
pub fn delay(rule: &RetryDelay, attempt: u32, seq: u64) -> Time {
    let steps = i32::try_from(attempt).unwrap_or(i32::MAX).saturating_sub(1);
    let grown = rule.first.as_secs_f64() * rule.factor.powi(steps);
    if grown.is_nan() {
        return Time::ZERO; // However often nothing grows beyond all bounds, it is nothing.
    }
    let capped = grown.min(rule.max.as_secs_f64());
    let share = if rule.jitter {
        let hash = (seq ^ (u64::from(attempt) << 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (hash >> 40) as f64 / (1u64 << 24) as f64
    } else {
        0.0
    };
    Time::try_from_secs_f64(capped * (1.0 - share)).unwrap_or(rule.max)
}

impl Supervisor {
    /// Stops everything. A second signal kills everything at once.
    pub(super) fn stop_all(&mut self, now: Time, stop: Stop, actions: &mut Vec<Action>) {
        match &mut self.mode {
            Mode::Finished => return,
            // A signal after a halt or a closed stdout is the first that a person says, so grace counts from
            // it.
            Mode::Stopping(before) if !matches!(before.cause, Cause::Signal(_)) => {
                if stop.cause > before.cause {
                    *before = stop.clone();
                }
            }
            Mode::Stopping(before) => {
                if matches!(stop.cause, Cause::Signal(_)) && !before.killed {
                    before.killed = true;
                    self.kill_everything(actions);
                }
                return;
            }
            mode => *mode = Mode::Stopping(stop.clone()),
        }
        self.interrupted = true;
        match stop.cause {
            Cause::Signal(signal) => self.stopped_by = Some(signal),
            Cause::OutputClosed => self.stopped_by = self.stopped_by.or(Some(SIGPIPE)),
            Cause::Halt | Cause::Broken => {}
        }
        let signal = match stop.cause {
            Cause::Signal(signal) => Some(signal),
            _ => None,
        };
        if matches!(stop.cause, Cause::Signal(_) | Cause::Halt) {
            actions.push(Action::Tell(RunEvent::Stopping { why: stop.why, kill: false }));
        }
        self.skip_blocked(actions);
        for id in self.tasks.ids() {
            self.cancel(now, id, signal, actions);
        }
        self.close_open(actions);
    }

    fn kill_everything(&mut self, actions: &mut Vec<Action>) {
        actions.push(Action::Tell(RunEvent::Stopping { why: String::new(), kill: true }));
        for id in self.tasks.ids() {
            self.kill(id, actions);
        }
    }

    /// Starts nothing new; what runs may end.
    pub(super) fn close_all(&mut self, now: Time, actions: &mut Vec<Action>) {
        self.mode = Mode::Closing;
        self.skip_blocked(actions);
        for id in self.tasks.ids() {
            self.drop_if_waiting(now, id, actions);
        }
        self.close_open(actions);
    }

    /// Closes one job: it starts nothing new.
    pub(super) fn close_job(&mut self, now: Time, job: JobId, running: Running, actions: &mut Vec<Action>) {
        self.jobs.get_mut(job).closing = true;
        self.jobs.set_source(job, Source::Ended);
        self.update_startable(job);
        for id in self.tasks.ids() {
            // The end of one may have made the whole run halt, which ended others.
            if !self.tasks.contains(id) || self.tasks.get(id).job != job {
                continue;
            }
            match running {
                Running::Cancel => self.cancel(now, id, None, actions),
                Running::MayEnd => _ = self.drop_if_waiting(now, id, actions),
            }
        }
    }

    fn cancel(&mut self, now: Time, id: TaskId, signal: Option<i32>, actions: &mut Vec<Action>) {
        if self.drop_if_waiting(now, id, actions) {
            return;
        }
        let own = self.stop_signal(id);
        let signal = self.plan.jobs[self.tasks.get(id).job].stop_signal.or(signal).unwrap_or(own);
        // It was told already. Many programs take the same signal again as the wish to abort.
        if signal == own && matches!(self.tasks.state(id), State::Stopping(_)) {
            return;
        }
        self.stop_task(now, id, Reason::Cancelled, signal, actions);
    }

    /// Ends a task that has no process: one that waits for its slot is skipped, and one that waits for its
    /// next attempt ends as the last attempt did (one that was put back is cancelled). Returns false if the
    /// task has a process or waits for an answer.
    pub(super) fn drop_if_waiting(&mut self, now: Time, id: TaskId, actions: &mut Vec<Action>) -> bool {
        let outcome = match self.tasks.state(id) {
            State::Backoff { .. } if self.is_waiting_hook(id) => return false,
            State::Ready(previous) => previous.clone().unwrap_or(Outcome::Skipped),
            State::Backoff { outcome, .. } => self.outcome_between_attempts(id, outcome),
            _ => return false,
        };
        let job = self.tasks.get(id).job;
        let ready = &mut self.jobs.get_mut(job).ready;
        if let Some(at) = ready.iter().position(|ready| *ready == id) {
            ready.remove(at);
        }
        self.update_startable(job);
        self.end_task(now, id, outcome, actions);
        true
    }

    /// Returns how a task ends that is not tried again after all: as its last attempt did. A service that
    /// would have been restarted is cancelled, as if it ran, unless nobody needs it any more: then it is down
    /// at the end of the run.
    fn outcome_between_attempts(&self, id: TaskId, outcome: &Outcome) -> Outcome {
        let restarts = self.plan.jobs[self.tasks.get(id).job].restart != Restart::Never;
        if restarts && !self.services.are_unneeded() { Outcome::Cancelled } else { outcome.clone() }
    }

    /// Sends the first signal of the ladder; or, if the task is being stopped already, a new one.
    pub(super) fn stop_task(
        &mut self,
        now: Time,
        id: TaskId,
        reason: Reason,
        signal: i32,
        actions: &mut Vec<Action>,
    ) {
        if self.is_killing_leftovers(id) {
            return;
        }
        if self.is_waiting_hook(id) {
            return self.finish_attempt(now, id, Some(reason), actions);
        }
        self.interrupted |= !matches!(reason, Reason::Finished | Reason::PutBack);
        let kill_at = now + self.plan.jobs[self.tasks.get(id).job].grace;
        let stopping = match self.tasks.state(id).clone() {
            State::Running { live, drained, .. } => {
                Stopping { reason, signal, kill_at: Some(kill_at), live, drained }
            }
            // The first signal is the one that it has had its grace period for.
            State::Stopping(stopping @ Stopping { kill_at: Some(before), .. }) => {
                Stopping { kill_at: Some(before.min(kill_at)), ..stopping }
            }
            // It has exited, or SIGKILL was sent.
            _ => return,
        };
        self.down(id, actions);
        self.tasks.set(id, State::Stopping(stopping));
        actions.push(Action::Signal { task: id, signal });
    }

    pub(super) fn kill(&mut self, id: TaskId, actions: &mut Vec<Action>) {
        if self.is_killing_leftovers(id) {
            return;
        }
        let stopping = match self.tasks.state(id).clone() {
            State::Clearing(clearing) => return self.kill_cleared(id, clearing, actions),
            State::Stopping(stopping) => Stopping { kill_at: None, ..stopping },
            State::Running { live, drained, .. } => {
                Stopping { reason: Reason::Cancelled, signal: SIGKILL, kill_at: None, live, drained }
            }
            _ => return,
        };
        self.down(id, actions);
        self.tasks.set(id, State::Stopping(stopping));
        actions.push(Action::Kill { task: id });
    }

    /// Does whatever was due up to `until`.
    pub(super) fn tick(&mut self, now: Time, until: Time, actions: &mut Vec<Action>) {
        let mut overdue = Overdue::default();
        while let Some(id) = self.tasks.overdue(until) {
            match self.tasks.state(id).clone() {
                State::Running { .. } if self.kill_late_run_hook(id, actions) => {}
                // It has ended, and SIGKILL to its leftovers is on its way.
                State::Running { live, drained, .. } if self.is_killing_leftovers(id) => {
                    self.tasks.set(id, State::Running { live, drained, deadline: None });
                }
                State::Running { .. } => {
                    if let Some(reason) = self.stop_reason(now, until, id, actions) {
                        if reason == Reason::NotReady {
                            actions.push(Action::NotReady { task: id });
                        }
                        self.stop_task(now, id, reason, self.stop_signal(id), actions);
                    }
                }
                State::Stopping(_) | State::Clearing(_) => {
                    overdue.note(self, id);
                    self.kill(id, actions);
                }
                State::Draining { reason, .. } => {
                    self.finish_attempt(now, id, reason, actions);
                }
                State::Backoff { outcome, .. } if self.is_waiting_hook(id) => {
                    self.retry_hook(id, outcome, actions);
                }
                State::Backoff { outcome, .. } => self.requeue(id, outcome),
                State::Ready(_) | State::Given { .. } => {
                    unreachable!("nothing is due for a task that waits for its slot or its answer")
                }
            }
        }
        overdue.tell(actions);
        self.tick_stall(now, until, actions);
    }

    /// Returns why a task for which something is due has to be stopped; `None` if it goes on.
    fn stop_reason(
        &mut self,
        now: Time,
        until: Time,
        id: TaskId,
        actions: &mut Vec<Action>,
    ) -> Option<Reason> {
        match self.tasks.get(id).role {
            Role::Attempt => {
                let not_up = self.not_up_reason(now, until, id, actions);
                not_up.or_else(|| self.timeout_reason(now, until, id))
            }
            Role::Hook(_) => self.timeout_reason(now, until, id),
            Role::Dismissed => Some(Reason::Finished),
            Role::Worker(_) => self.worker_stop_reason(now, until, id),
        }
    }

    /// Returns the signal that stops a task, unless it is stopped because a signal told prun to stop.
    pub(super) fn stop_signal(&self, id: TaskId) -> i32 {
        self.plan.jobs[self.tasks.get(id).job].stop_signal.unwrap_or(SIGTERM)
    }

    pub(super) fn requeue(&mut self, id: TaskId, outcome: Outcome) {
        self.tasks.set(id, State::Ready(Some(outcome)));
        let job = self.tasks.get(id).job;
        self.jobs.get_mut(job).ready.push_front(id);
        self.update_startable(job);
    }
}
