//! Items become tasks. Pure.
//!
//! [`Action::Pull`] asks for items. Before it is answered by an event, each item that was read is reported by
//! one of three calls: a task is added for it, or it is known from an earlier run, or it is skipped. The
//! calls change counts and queues only; tasks start when the event is handled.

use std::sync::Arc;

use super::job::{End, Phase, SkipCause, Source, Subject};
use super::task::{Role, TaskId};
use super::{Action, JobId, Supervisor};
use crate::event::{Outcome, RunEvent, StartFailure};

/// The number that an item's task gets within its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seq {
    /// The next one of the job.
    Next,
    /// The number of the task, in another job, that the item comes from:
    /// [`Items::Of`](crate::plan::Items::Of).
    Of(u64),
}

impl Supervisor {
    /// Adds a task for an item that was read. Returns `None` if the job takes no more items.
    ///
    /// [`Event::Items`](super::Event::Items) must follow, once for all items that were read.
    pub fn add_item(&mut self, job: JobId, seq: Seq) -> Option<TaskId> {
        let seq = self.count_item(job, seq)?;
        self.jobs.get_mut(job).active += 1;
        let id = self.tasks.add(job, seq, Role::Attempt);
        self.jobs.get_mut(job).ready.push_back(id);
        self.update_startable(job);
        Some(id)
    }

    /// Counts an item whose task ended ok in an earlier run, and is not run again. It counts as a task that
    /// ended ok, but triggers no halt. Returns its number; `None` if the job takes no more items.
    ///
    /// This is no answer to [`Action::Pull`]. The caller goes on reading, and passes the item on to jobs that
    /// take it from this one.
    pub fn known_item(&mut self, job: JobId, seq: Seq) -> Option<u64> {
        let seq = self.count_item(job, seq)?;
        self.jobs.get_mut(job).readiness.up += 1;
        self.count(job, Subject::Task(seq), &Outcome::Ok);
        self.jobs.expect_item_of(job);
        Some(seq)
    }

    /// Counts an item that is skipped, because the task of this number, in the job that it comes from, was
    /// not ok.
    ///
    /// This is no answer to [`Action::Pull`]. The caller goes on reading.
    pub fn skip_item(&mut self, job: JobId, seq: u64) {
        if self.count_item(job, Seq::Of(seq)).is_none() {
            return;
        }
        let cause = self.cause_in_source(job);
        let missed = &mut self.jobs.get_mut(job).missed;
        *missed = Some(missed.map_or(cause, |before| before.max(cause)));
        self.count(job, Subject::Task(seq), &Outcome::Skipped);
    }

    /// Counts a task of the job. Returns its number; `None` if the job takes no more items.
    fn count_item(&mut self, job: JobId, seq: Seq) -> Option<u64> {
        let state = self.jobs.get_mut(job);
        if state.source == Source::Ended {
            return None;
        }
        let seq = match seq {
            Seq::Next => state.last_seq + 1,
            Seq::Of(seq) => seq,
        };
        state.last_seq = state.last_seq.max(seq);
        state.tasks += 1;
        Some(seq)
    }

    /// Handles [`Event::Items`](super::Event::Items). Tasks that were added may have started already, when
    /// another event was handled; then the next item is asked for here.
    pub(super) fn items_came(&mut self, job: JobId, actions: &mut Vec<Action>) {
        if self.jobs.get(job).is_asking() {
            self.jobs.set_source(job, Source::Idle);
            self.update_startable(job);
            if self.plan.jobs[job].worker.is_none() {
                self.pull(job, actions);
            }
        }
    }

    /// Handles [`Event::ItemsLater`](super::Event::ItemsLater).
    pub(super) fn items_come_later(&mut self, job: JobId) {
        if self.jobs.get(job).is_asking() {
            self.jobs.set_source(job, Source::Waiting);
        }
    }

    /// The job has no more items; `why` says why they could not be read, if they could not.
    pub(super) fn source_ended(
        &mut self,
        job: JobId,
        failure: Option<StartFailure>,
        actions: &mut Vec<Action>,
    ) {
        let state = self.jobs.get(job);
        if !state.is_asking() {
            return;
        }
        let (last_seq, total) = (state.last_seq, state.tasks);
        self.jobs.set_source(job, Source::Ended);
        if let Some(before) = self.source_of(job) {
            let missing = match self.jobs.get(before).phase {
                Phase::Ended(End::Skipped(cause)) => Some(cause),
                // Perhaps without a task that failed: its own items could not be read.
                Phase::Ended(End::Failed) => Some(SkipCause::Failure),
                Phase::Ended(End::Cancelled) if self.plan.jobs[before].is_lister() => Some(SkipCause::Other),
                _ => None,
            };
            let missed = &mut self.jobs.get_mut(job).missed;
            *missed = missed.or(missing);
        }
        if let Some(failure) = failure {
            // The items are a part of the job: a job that can't read them has failed, without a task to show.
            // The end of the job tells it.
            let outcome = Outcome::NotStarted(Arc::new(failure));
            self.count(job, Subject::Task(last_seq + 1), &outcome);
        } else {
            actions.push(Action::Tell(RunEvent::JobTotal { job, total }));
        }
        self.update_ready(job, actions);
        self.end_job_if_done(job, actions);
    }

    /// Asks for the next item, unless a task of the job is ready already.
    pub(super) fn pull(&mut self, job: JobId, actions: &mut Vec<Action>) {
        if self.jobs.get(job).ready.is_empty() {
            self.pull_most(job, 1, actions);
        }
    }

    /// Asks for up to `most` items, unless items were asked for already.
    pub(super) fn pull_most(&mut self, job: JobId, most: usize, actions: &mut Vec<Action>) {
        if self.jobs.get(job).source == Source::Idle && most > 0 {
            self.jobs.set_source(job, Source::Pulling);
            actions.push(Action::Pull { job, most });
        }
    }
}
