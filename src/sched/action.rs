//! Actions: the scheduler's answer to an event. Pure.

use std::num::NonZeroU32;

use super::TaskId;
use crate::event::{JobId, Outcome, RunEvent, Time};
use crate::plan::HookOn;

/// Something to do. Actions are done in the order in which they were appended.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Read the next items of the job that are there without waiting, at most `most`, and add a task for
    /// each. Opens the job's source the first time.
    Pull { job: JobId, most: usize },
    /// Start an attempt of the task, with the item that was read for it. If `is_last`, no attempt follows a
    /// failure.
    Start { task: TaskId, attempt: NonZeroU32, is_last: bool, slot: usize },
    /// Start a worker of the job. It is signalled, drained and told of like a task.
    StartWorker { worker: TaskId, job: JobId, slot: usize },
    /// Write the task to the worker.
    Give { worker: TaskId, task: TaskId, attempt: NonZeroU32 },
    /// Close the worker's input: it gets no more tasks.
    EndInput { worker: TaskId },
    /// Forget the worker, whose process and output are at their end. Tasks that it did not answer were taken
    /// back: the action for the task that it was working on comes before this one, and those behind it are
    /// given out again.
    WorkerEnded { worker: TaskId, outcome: Outcome },
    /// Start this hook of the job for a task that ended with `outcome`, the task's output on its standard
    /// input. The hook is the task's process from now on, and its exit is told as that of stage 0.
    Hook { task: TaskId, at: HookOn, outcome: Outcome },
    /// Tell when everything that the task left running has gone, by
    /// [`Event::GroupGone`](super::Event::GroupGone). If `kill`, send SIGKILL to it first. The task's own
    /// processes have exited.
    Leftovers { task: TaskId, kill: bool },
    /// Send this signal, and SIGCONT after it, to what the task left in its process group. Tell when nothing is left
    /// there, by [`Event::GroupGone`](super::Event::GroupGone). The task's own processes have exited.
    ClearGroup { task: TaskId, signal: i32 },
    /// Send a signal to the task's process group, and SIGCONT after it. What the task started beyond the group gets it
    /// a little later, as the job's `stop` says.
    Signal { task: TaskId, signal: i32 },
    /// Send SIGKILL to everything that the task started.
    Kill { task: TaskId },
    /// Note what the task still waits for, so that its failure can tell: it was not up in time, and is
    /// stopped for that; or it has ended, and was never up.
    NotReady { task: TaskId },
    /// Forget the attempt's processes and pipes: it failed, and another attempt follows after `delay`.
    Retry { task: TaskId, outcome: Outcome, delay: Time },
    /// Forget the attempt, which was stopped because memory is short. It is not counted, and another follows.
    PutBack { task: TaskId },
    /// Forget the attempt, which could not be started for now. It is not counted, nobody is told, and another
    /// follows.
    TakeBack { task: TaskId },
    /// Hand on the task's output and forget the task. It had `attempts` attempts.
    End { task: TaskId, outcome: Outcome, attempts: u32 },
    /// Let the task's output flow as it comes: nothing else can start or print before this task ends.
    Live(TaskId),
    /// Ask the jobserver for this many more tokens. Replaces what was asked for before.
    AskTokens(usize),
    /// Give this many tokens back to the jobserver.
    GiveTokens(usize),
    /// Tell people and logs.
    Tell(RunEvent),
    /// Tell by [`Event::OutputFlushed`](super::Event::OutputFlushed) when everything that tasks wrote has
    /// reached its destination. Hooks of the run follow.
    FlushOutput,
    /// Tell by [`Event::FilesFlushed`](super::Event::FilesFlushed) when everything that the job's tasks wrote
    /// into files is there.
    FlushFiles(JobId),
    /// End the run: all jobs have ended, and so have the hooks of the run.
    Finish,
}
