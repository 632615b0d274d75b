//! Events: everything that the scheduler is told. Pure.

use std::sync::Arc;

use super::{Reading, TaskId};
use crate::event::{Exit, JobId, Shortage, StageId, StartFailure};

/// Something that happened. [`Supervisor::handle`](super::Supervisor::handle) takes it.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The run begins.
    Begin,
    /// Answers [`Action::Pull`](super::Action::Pull): tasks were added by
    /// [`Supervisor::add_item`](super::Supervisor::add_item), at least one.
    Items(JobId),
    /// Answers [`Action::Pull`](super::Action::Pull): nothing can be read now. One of the other answers
    /// follows later, unasked.
    ItemsLater(JobId),
    /// Answers [`Action::Pull`](super::Action::Pull): the job has no more items.
    NoMoreItems(JobId),
    /// Answers [`Action::Pull`](super::Action::Pull): the job's items could not be read, for this reason,
    /// whose code is the job's exit status.
    ItemsFailed(JobId, StartFailure),
    /// The first `started` stages of the task run, and the next one could not be executed. For a task that
    /// was given to a worker: the worker did not get it.
    NotStarted { task: TaskId, started: usize, failure: Arc<StartFailure> },
    /// Like [`Event::NotStarted`], but for lack of a resource, which may come back. The caller has already
    /// forgotten what it had prepared for the task, hook or worker, except for the processes that run.
    Shortage { task: TaskId, started: usize, shortage: Shortage, failure: Arc<StartFailure> },
    /// A process of the task exited.
    Exited { task: TaskId, stage: StageId, exit: Exit },
    /// The task's output is at its end.
    Drained(TaskId),
    /// The task counts as up: its sign was seen, or it is a daemon without a sign and runs. Not sent for
    /// [`ReadyCheck::After`](crate::plan::ReadyCheck::After), which depends on time alone.
    Up(TaskId),
    /// Nothing is left of what a stopped task started, or of the leftovers that
    /// [`Action::Leftovers`](super::Action::Leftovers) asked about.
    GroupGone(TaskId),
    /// The task cannot end well any more, although its processes may still run; `why` says what was found.
    /// For a task that was given to a worker: the worker did not get it after all. For a worker: it cannot be
    /// trusted any more, so its tasks are given to others and the job fails.
    Fault { task: TaskId, why: Arc<str> },
    /// The worker wrote an answer that is too long, for which its task has failed
    /// ([`Supervisor::answered`](super::Supervisor::answered)). The worker is stopped, and tasks behind that one are given
    /// to others.
    AnswerTooLong(TaskId),
    /// The task has read all that its queue will ever hold, and the end of input.
    InputEnded(TaskId),
    /// The task waits for room in a full queue that it writes to; or, with `blocked: false`, no longer does.
    Blocked { task: TaskId, blocked: bool },
    /// Workers of the job have answered tasks ([`Supervisor::answered`](super::Supervisor::answered)), so
    /// they can be given more, be replaced, or be sent the end of their input.
    Answered(JobId),
    /// Output comes faster than it can be handed on, or enough starts are under way (`true`); or neither any longer
    /// (`false`). Until then no new task starts: that bounds what is buffered. Tasks that run are not touched.
    Backpressure(bool),
    /// From now on this many slots may be taken at once. Tasks that run go on.
    Pool(usize),
    /// This many of the tokens that [`Action::AskTokens`](super::Action::AskTokens) asked for have come.
    Tokens(usize),
    /// The machine's gauges were read, as [`Supervisor::reading_due`](super::Supervisor::reading_due) asked.
    Reading(Reading),
    /// This signal told prun to stop.
    Signal(i32),
    /// The reader of prun's stdout has gone.
    OutputClosed,
    /// prun itself failed, for this reason: output could not be written, or prun has no descriptor left for
    /// itself.
    Broken(String),
    /// Answers [`Action::FlushOutput`](super::Action::FlushOutput).
    OutputFlushed,
    /// Answers [`Action::FlushFiles`](super::Action::FlushFiles).
    FilesFlushed(JobId),
    /// Deadlines up to this time have passed. The time lies before the one at which the event is handled if
    /// other events were queued first: an exit just before a deadline is handled before the deadline.
    Tick(crate::event::Time),
}

impl Event {
    /// Returns the task, hook or worker that the event is about.
    pub(super) fn task(&self) -> Option<TaskId> {
        match *self {
            Event::NotStarted { task, .. }
            | Event::Shortage { task, .. }
            | Event::Exited { task, .. }
            | Event::Drained(task)
            | Event::Up(task)
            | Event::GroupGone(task)
            | Event::Fault { task, .. }
            | Event::AnswerTooLong(task)
            | Event::InputEnded(task)
            | Event::Blocked { task, .. } => Some(task),
            _ => None,
        }
    }
}
