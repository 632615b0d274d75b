//! Where tasks run: the interface between the event loop and what starts, signals and watches attempts.
//!
//! The loop knows an attempt by its [`TaskId`] alone. It hands a [`Start`] down, and learns what comes of it from the
//! events that the backend pushes into [`Context::events`]: `Exited`, `Drained`, `GroupGone`, `Fault` and so on. A call
//! never waits; a backend that has to wait asks the poller or says in [`Backend::due`] when it wants to be polled.
//!
//! Three backends exist: [`LocalProcesses`](super::local::LocalProcesses) runs tasks as processes of this machine,
//! [`DryRun`](super::dry_run::DryRun) prints what would run, and a fake one in the tests of the loop makes attempts end
//! as the test says. The first group of methods is required: it is all that a task needs. The others have a default
//! that does nothing, because only processes of this machine read queues, answer as workers, or own a terminal.
//!
//! The order that matters: [`Backend::forget`] is called once for each attempt that was started, before anything else
//! is started under the same id. Events of the attempt that are still queued by then are dropped by the loop.

use std::collections::{BTreeSet, VecDeque};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use super::attempt::hook::HookInput;
use super::attempt::{Attempt, EndedAttempt, Role};
use super::items::Sources;
use super::output::sinks::Sinks;
use super::output::terminal_lease::TerminalLease;
use super::queues::{Inlet, Queues};
use super::task::Work;
use super::token::Token;
use crate::event::{JobId, Time};
use crate::flow::output::{LaneSpec, Outputs};
use crate::os::poller::{Interest, Poller, Ready};
use crate::plan::HookOn;
use crate::plan::template::Scope;
use crate::sched::{Event, TaskId};

/// An attempt, or a worker, that is to start.
pub struct Start {
    pub task: TaskId,
    pub work: Work,
    pub slot: usize,
    pub role: Role,
    /// No further attempt follows a failure, so that output may be shown as it comes.
    pub last_attempt: bool,
}

/// The immediate result of a start. Everything else comes as events.
pub enum Started {
    /// At least one process runs.
    Running {
        /// The process ID of the first process.
        pid: i32,
        /// The task writes to stdout or stderr through prun.
        captured: bool,
    },
    /// The attempt waits for somebody to open the other end of a FIFO. It counts as running, and [`Context::launched`]
    /// tells what comes of it.
    Waiting,
    /// No process could be started: an event says why.
    Failed,
    /// Nothing began, and there is nothing to tell: the system is short of something, which an event says, and the
    /// scheduler tries again later; or it is a worker of a dry run.
    NotBegun,
    /// Nothing runs, and the work goes back to the loop: a dry run.
    Printed(Work),
}

impl Started {
    /// Returns the process ID of the first process.
    pub fn pid(&self) -> Option<i32> {
        match self {
            Started::Running { pid, .. } => Some(*pid),
            Started::Waiting | Started::Failed | Started::NotBegun | Started::Printed(_) => None,
        }
    }
}

/// The answer to the scheduler's wish for a hook of a task.
pub enum HookTurn {
    /// The last attempt, or the hook before, is over: the loop prepares the input of the hook.
    Ended(Box<EndedAttempt>),
    /// An earlier start of this hook failed for a shortage: its input is still here.
    Again(HookInput),
    /// No process of the task is known: a worker had it.
    Unknown,
    /// Nothing runs: a dry run.
    Skipped,
}

/// A task's way to its worker.
pub enum Given<'a> {
    /// The worker, which takes the task into its feed.
    To(&'a mut Attempt),
    /// The worker is gone; an event of its end is on the way.
    Lost,
    /// Nothing runs, and the task counts as answered: a dry run.
    Answered,
}

/// The parts of the loop that a backend works with during a call.
pub struct Context<'a> {
    pub now: Time,
    pub poller: &'a Poller,
    pub outputs: &'a mut Outputs,
    pub sinks: &'a mut Sinks,
    pub events: &'a mut VecDeque<Event>,
    pub sources: &'a mut Sources,
    pub queues: &'a mut Queues,
    pub terminal: &'a mut TerminalLease,
    /// Workers that wrote something that the loop has not looked at.
    pub answered: &'a mut Vec<TaskId>,
    /// Told to people after the call.
    pub warnings: &'a mut Vec<String>,
    /// Attempts that were waiting ([`Started::Waiting`]), and what has come of them.
    pub launched: &'a mut Vec<(TaskId, Started)>,
}

impl Context<'_> {
    /// Asks the poller to tell when a pipe of a task is ready. A child whose pipe nobody empties would never end, so if
    /// the system refuses, the run as a whole is broken.
    pub fn watch(&mut self, fd: BorrowedFd, token: Token, interest: Interest) {
        if let Err(errno) = self.poller.add(fd, token.pack(), interest) {
            self.events.push_back(token.unwatched(errno));
        }
    }
}

/// Starts attempts, signals them, watches them, forgets them. See the [module documentation](self).
pub trait Backend {
    // ---- what every task needs -----------------------------------------------------------------------------

    /// Starts an attempt or a worker.
    fn start(&mut self, start: Start, cx: &mut Context) -> Started;

    /// Sends `signal` to everything that the task started. The task has ended when nothing of it is left: then
    /// `Event::GroupGone` follows.
    fn signal(&mut self, task: TaskId, signal: i32, cx: &mut Context);

    /// The task's own processes have ended by themselves: pushes `Event::GroupGone` when nothing that they started is
    /// left. With `kill`, sends SIGKILL to that first.
    fn await_leftovers(&mut self, task: TaskId, kill: bool, cx: &mut Context);

    /// The task's own processes have ended: sends `signal` to what they left in their process group, and pushes
    /// `Event::GroupGone` when nothing is left there.
    fn clear_group(&mut self, task: TaskId, _signal: i32, cx: &mut Context) {
        cx.events.push_back(Event::GroupGone(task));
    }

    /// Forgets an attempt that is over, and returns what is known of it. `None` if the id names none.
    fn forget(&mut self, task: TaskId, cx: &mut Context) -> Option<EndedAttempt>;

    /// Returns when [`Backend::poll`] has something to do by itself.
    fn due(&self) -> Option<Time>;

    /// True while so many starts are under way that further ones are to wait.
    fn is_crowded(&self) -> bool {
        false
    }

    /// Does what is due: called once in each turn of the loop.
    fn poll(&mut self, cx: &mut Context);

    /// A descriptor that the backend gave the poller is ready.
    fn ready(&mut self, token: Token, ready: &Ready, cx: &mut Context);

    // ---- the life of jobs and of the run -------------------------------------------------------------------

    /// Answers the scheduler's pull for items in place of their source; `false` if it does not.
    fn answers_pull(&mut self, _job: JobId, _cx: &mut Context) -> bool {
        false
    }

    /// The job has ended: what was prepared for it is dropped.
    fn job_ended(&mut self, _job: JobId, _cx: &mut Context) {}

    /// All jobs have ended, and the hooks of the run follow. `report` is what they read.
    fn run_ended(&mut self, _report: String, _cx: &mut Context) {}

    /// The variables that hooks of the run find in their environment.
    fn set_run_facts(&mut self, _facts: Vec<(&'static str, String)>) {}

    /// Kills processes that no task owns any more after a run that was stopped; `true` while some are left.
    fn clear_away(&mut self, _cx: &mut Context) -> bool {
        false
    }

    /// Returns what people should know of the backend before anything starts; more of it with `verbose`.
    fn remarks(&self, _verbose: bool) -> Vec<String> {
        Vec::new()
    }

    // ---- attempts that run ---------------------------------------------------------------------------------

    /// Returns an attempt or a worker that runs here as processes.
    fn attempt(&self, _task: TaskId) -> Option<&Attempt> {
        None
    }

    /// The task was not ready in time and is about to be stopped: notes what it was waited for.
    fn not_ready(&mut self, _task: TaskId) {}

    /// Reads on where a full queue or a crowded writer had stopped it.
    fn resume_readers(&mut self, _cx: &mut Context) {}

    /// Closes pipes into queues that nobody reads any more.
    fn close_inlets(&mut self, _inlets: Vec<Inlet>, _cx: &mut Context) {}

    /// More of a job's input can be read, for the task that has the beginning of a block.
    fn pass_on_block(&mut self, _job: JobId, _cx: &mut Context) {}

    /// More of a job's input can be read, for tasks that take it block by block.
    fn feed_blocks(&mut self, _job: JobId, _cx: &mut Context) {}

    /// Returns the jobs of which a process still runs although it was given all of its queue.
    fn endless_readers(&self, _queues: &Queues) -> BTreeSet<JobId> {
        BTreeSet::new()
    }

    // ---- hooks and workers ---------------------------------------------------------------------------------

    /// The scheduler wants this hook of the task.
    fn hook_turn(&mut self, _task: TaskId, _at: HookOn, _cx: &mut Context) -> HookTurn {
        HookTurn::Unknown
    }

    /// Takes an attempt whose process is the hook that [`Backend::start_hook`] starts.
    fn place_hook(&mut self, _attempt: Attempt) {}

    /// Starts a hook that was placed, or fails it for the reason why it has no input.
    fn start_hook(&mut self, _task: TaskId, _input: Result<HookInput, String>, _cx: &mut Context) {}

    /// Finds the worker that a task of the job is given to.
    fn worker(&mut self, _worker: TaskId, _job: JobId) -> Given<'_> {
        Given::Lost
    }

    /// Writes the tasks that a worker was given.
    fn write_tasks(&mut self, _worker: TaskId, _cx: &mut Context) {}

    /// Returns where the answer of a worker goes, but for queues.
    fn answer_lanes(
        &mut self,
        _job: JobId,
        _scope: &Scope,
        _tag: Option<Arc<[u8]>>,
        _sinks: &mut Sinks,
        _warnings: &mut Vec<String>,
    ) -> Vec<LaneSpec> {
        Vec::new()
    }

    /// The worker gets no more tasks: `true` if its input is to be ended by the loop, once all is written.
    fn end_input(&mut self, _worker: TaskId, _cx: &mut Context) -> bool {
        false
    }

    // ---- signals and the terminal --------------------------------------------------------------------------

    /// Reaps children that have ended. Returns the signal, if one that keys send has ended the task which had the
    /// terminal to itself: it was meant for prun as well.
    fn reap(&mut self, _cx: &mut Context) -> Option<i32> {
        None
    }

    /// Stops every process, because prun is about to be suspended.
    fn suspend(&mut self, _cx: &mut Context) {}

    /// Continues every process. `suspended` tells whether prun itself was stopped meanwhile.
    fn go_on(&mut self, _suspended: bool, _cx: &mut Context) {}

    /// prun's terminal has another size, and so have those of its tasks.
    fn resize_terminals(&self) {}
}
