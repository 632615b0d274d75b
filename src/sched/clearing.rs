//! An attempt is over and another follows, or a worker is replaced: what it left in its process group is stopped first,
//! so that it does not keep a port, a lock or a file from the next one. Pure.
//!
//! This holds unless the job says what becomes of leftovers. Processes that have left the group are meant to stay: a
//! master connection of ssh, a compiler server.

use super::job::Source;
use super::stop::Reason;
use super::task::{Clearing, Next, Role, State};
use super::{Action, Mode, Supervisor, TaskId};
use crate::event::{Outcome, SIGKILL, Time};
use crate::plan::Leftovers;

impl Supervisor {
    /// Stops what an attempt left that will be tried again, before its retry delay ends. Returns false if nothing has to
    /// be stopped.
    pub(super) fn clear_attempt(
        &mut self,
        now: Time,
        id: TaskId,
        outcome: &Outcome,
        actions: &mut Vec<Action>,
    ) -> bool {
        let had_process = !matches!(self.tasks.state(id), State::Given { .. });
        had_process && self.clear(now, id, Next::Attempt { outcome: outcome.clone(), ended: now }, actions)
    }

    /// Stops what a worker left that ended by itself and will be replaced. Returns false if nothing has to be stopped.
    pub(super) fn clear_worker(
        &mut self,
        now: Time,
        id: TaskId,
        reason: Option<&Reason>,
        actions: &mut Vec<Action>,
    ) -> bool {
        let job = self.jobs.get(self.tasks.get(id).job);
        let has_given = self.tasks.worker(id).is_some_and(|worker| !worker.given.is_empty());
        let is_replaced = self.mode == Mode::Going
            && !job.closing
            && (job.source != Source::Ended || !job.ready.is_empty() || has_given);
        reason.is_none() && is_replaced && self.clear(now, id, Next::Worker, actions)
    }

    fn clear(&mut self, now: Time, id: TaskId, next: Next, actions: &mut Vec<Action>) -> bool {
        let plan = &self.plan.jobs[self.tasks.get(id).job];
        if plan.leftovers != Leftovers::LeaveLast {
            return false;
        }
        let kill_at = Some(now + plan.grace);
        actions.push(Action::ClearGroup { task: id, signal: self.stop_signal(id) });
        self.tasks.set(id, State::Clearing(Clearing { next, kill_at }));
        true
    }

    /// Kills what did not end within the grace period, or is not given any.
    pub(super) fn kill_cleared(&mut self, id: TaskId, clearing: Clearing, actions: &mut Vec<Action>) {
        self.tasks.set(id, State::Clearing(Clearing { kill_at: None, ..clearing }));
        actions.push(Action::ClearGroup { task: id, signal: SIGKILL });
    }

    /// Nothing is left in the process group: the next attempt may follow.
    pub(super) fn cleared(&mut self, now: Time, id: TaskId, next: Next, actions: &mut Vec<Action>) {
        match next {
            Next::Attempt { outcome, ended } => self.try_again(now, id, outcome, ended, actions),
            Next::Worker => {
                debug_assert!(matches!(self.tasks.get(id).role, Role::Worker(_)));
                self.worker_ended(now, id, None, actions);
            }
        }
    }
}
