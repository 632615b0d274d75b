//! Decides what happens next. Pure: no process, no file, no clock.
//!
//! [`Supervisor::handle`] takes what happened and appends what to do. `run` does it and reports back; a test
//! does the same with made-up events.
//!
//! A task's life, one enum with its data inside ([`task::State`]):
//!
//! ```text
//!            item                slot                    last exit             end of output
//! (source) ────────► Ready ───────────────► Running ───────────────► Draining ───────────────► ended
//!                    ▲ ▲ │                     │ timeout, halt, signal    ▲  │ 200 ms
//!         delay over │ │ │ given to a worker   ▼                          │  ▼
//!                    │ │ └───► With         Stopping ──── group gone ─────┘ ended
//!                    │ └──────── │ worker ended, and was not at it
//!                 Backoff ◄──────┴─ failed; or its worker ended while at it
//! ```
//!
//! A task that was stopped because memory is short is Ready again.
//!
//! Exited is not drained: a task has ended when its processes have exited *and* its output is at its end, or
//! 200 ms later if something that it left behind holds the output open. A stopped task has ended only when
//! everything that it started is gone. What a task leaves that ends by itself is left, unless its job waits for it
//! or has it killed: then the task is `Running` without a process of its own until that is gone.
//! Tasks exist here only while they are active; a million items cost nothing.
//!
//! Where there is a hook, the last attempt does not end the task: it goes through `Running` once more, as its
//! hook, or twice, and keeps its slot. A worker is no task, but has the same life from `Running` on; a task that is `With`
//! it ends when it is answered ([`task::Role`] tells them apart).
//!
//! - [`task`]: tasks, their states, and the one function that changes them
//! - [`start`]: items become tasks, and tasks start
//! - [`end`]: processes exit, output reaches its end, and so attempts and tasks end
//! - [`workers`]: what workers are given, and what they answer
//! - [`lost`]: workers end, and what becomes of their tasks
//! - [`hooks`]: the commands after a task's last attempt
//! - [`last`]: the end of the run, and its own hooks
//! - [`job`]: jobs, how a job ended
//! - `settle`: what that means for those that wait for it
//! - [`order`]: which job comes first
//! - [`stop`]: the ladder signal → grace → SIGKILL, and why a task is stopped
//! - [`halt`]: when the run stops by itself
//! - [`stall`]: when nothing can go on
//! - [`slots`]: the lowest free number
//! - [`locks`]: named semaphores that tasks take
//! - [`brakes`]: what holds starts back beside the pools: rates, the load, free memory
//! - [`shortage`]: what could not be started because too little of something was there
//! - `services`: daemons that serve others, and how they are stopped
//! - `ready`: what has to be up before others begin
//! - [`tokens`]: slots that are shared with make and others
//! - [`listers`]: jobs that list the items of others
//! - [`limits`]: how long an attempt may take, also by the [`median`] of those before

use std::collections::BTreeSet;
use std::sync::Arc;

pub use crate::event::JobId;
use crate::event::{Exit, Outcome, RunEvent, Shortage, StageId, StartFailure, Time};
use crate::plan::{AtEnd, Jobserver, Plan, status};

pub mod brakes;
mod end;
pub mod halt;
mod hooks;
pub mod job;
mod last;
mod limits;
mod listers;
mod locks;
mod lost;
pub mod median;
pub mod order;
mod ready;
mod services;
mod settle;
mod shortage;
pub mod slots;
mod stall;
mod start;
pub mod stop;
pub mod task;
#[cfg(test)]
mod tests;
mod tokens;
mod workers;

use brakes::Brakes;
pub use brakes::Reading;
use halt::Tally;
use job::{Jobs, Source};
use last::Last;
use locks::Locks;
use order::Startable;
use services::Services;
use slots::Slots;
use stop::Stop;
pub use task::TaskId;
use task::Tasks;
use tokens::Tokens;

/// How long output that a leftover holds open is waited for after the last exit.
pub const DRAIN: Time = Time::from_millis(200);

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The run begins.
    Begin,
    /// The task of a new item can be started ([`Supervisor::add_item`]).
    Item,
    /// The other answers to [`Action::Pull`]. Nothing can be read now: one of the others comes later.
    ItemsLater(JobId),
    /// The job has no more items.
    NoMoreItems(JobId),
    /// The job's items could not be read.
    ItemsFailed(JobId, String),
    /// `started` of the task's stages run, the next one could not be executed. Of a task that was given to a
    /// worker: it did not get it.
    NotStarted { task: TaskId, started: usize, failure: Arc<StartFailure> },
    /// The same, because too little of something was there just then. What was begun of the task, hook or worker is
    /// forgotten, but for the processes that run.
    Short { task: TaskId, started: usize, shortage: Shortage, failure: Arc<StartFailure> },
    /// A process of the task ended.
    Exited { task: TaskId, stage: StageId, exit: Exit },
    /// The task's output is at its end.
    Drained(TaskId),
    /// The task counts as up: its sign was seen; or it is a daemon without one, and runs. Not told for
    /// [`Sign::After`](crate::plan::Sign::After), which is a matter of time alone.
    Ready(TaskId),
    /// Nothing is left of what a stopped task started; or of what one left that the answer to
    /// [`Action::Leftovers`] is for.
    GroupGone(TaskId),
    /// The task can't come to a good end, although its processes may run on: what was found. Of a task that was
    /// given to a worker: it did not get it after all. Of a worker: it can't be trusted any more; its tasks are
    /// given to others, and the job fails.
    Fault { task: TaskId, why: Arc<str> },
    /// What the task reads from its queue has run dry: everything was read, and the end of input given.
    InputEnded(TaskId),
    /// The task waits, or waits no longer, because the queue that it writes to is full.
    Blocked { task: TaskId, blocked: bool },
    /// Answers were counted ([`Supervisor::answered`]): more can be given out.
    Answers,
    /// So many tasks may run at once from now on. What runs goes on.
    Pool(usize),
    /// So many of the tokens that were asked for have come.
    Tokens(usize),
    /// What was asked for by [`Supervisor::reading_due`].
    Reading(Reading),
    /// prun was told to stop.
    Signal(i32),
    /// Nobody reads prun's stdout any more.
    OutputClosed,
    /// prun itself failed: output could not be written, no descriptor left for its own needs.
    Broken(String),
    /// The answer to [`Action::Settle`].
    Settled,
    /// What [`Action::SettleFiles`] was about is so.
    FilesSettled(JobId),
    /// What was due at this time is over. Not at the time when this is handled: of what happened in between,
    /// such as an exit just before a deadline, the news stands behind it.
    Tick(Time),
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Get the job's next items, opening its source if this is the first time: as many as are there at once, but
    /// no more than `most`.
    Pull {
        job: JobId,
        most: usize,
    },
    /// Start the task with the item that was pulled for it (or again with it).
    Start {
        task: TaskId,
        attempt: u32,
        slot: usize,
        last_attempt: bool,
    },
    /// Start a process that takes tasks of the job. It is stopped, signalled and drained as a task is.
    StartWorker {
        worker: TaskId,
        job: JobId,
        slot: usize,
    },
    /// Give the task to the worker.
    Give {
        worker: TaskId,
        task: TaskId,
        attempt: u32,
    },
    /// The worker gets no more tasks: the end of its input.
    EndInput {
        worker: TaskId,
    },
    /// The worker's process and output are at their end. What it was given and did not answer was taken back:
    /// the action for the task that it was at came before this, those behind it will be given out again.
    WorkerEnded {
        worker: TaskId,
        outcome: Outcome,
    },
    /// Start this hook of the job for a task that ended so, with the task's output on its stdin. It is the task's
    /// process from now on; its exit is told as that of stage 0.
    Hook {
        task: TaskId,
        at: AtEnd,
        outcome: Outcome,
    },
    /// The task's own processes have ended by themselves. It ends when what they left has gone: is that to be
    /// killed?
    Leftovers {
        task: TaskId,
        kill: bool,
    },
    /// Send a signal to the task's process group, and SIGCONT after it.
    Signal {
        task: TaskId,
        signal: i32,
    },
    /// SIGKILL to everything that the task started.
    Kill {
        task: TaskId,
    },
    /// The task was not up in time, and is stopped for that. What it was waited for is to be a part of its failure.
    NotReady {
        task: TaskId,
    },
    /// The attempt is over and another will follow: its processes and pipes are forgotten.
    Retry {
        task: TaskId,
        outcome: Outcome,
        delay: Time,
    },
    /// The attempt was stopped because memory is short. It counts for nothing, and another will follow.
    PutBack {
        task: TaskId,
    },
    /// The attempt could not be started now. It counts for nothing, nobody hears of it, and another will follow.
    TakeBack {
        task: TaskId,
    },
    /// The task is over: hand on its output and forget it.
    End {
        task: TaskId,
        outcome: Outcome,
        attempts: u32,
    },
    /// Nothing else can start or print before this task ends: its output may flow live.
    Live(TaskId),
    /// So many more tokens of the jobserver are wanted, in place of what was asked for before.
    AskTokens(usize),
    /// So many tokens are needed no longer.
    GiveTokens(usize),
    Tell(RunEvent),
    /// Hooks of the run follow: tell when all that tasks wrote is where it was to go.
    Settle,
    /// Tell when all that the job's tasks wrote into files is there; [`Event::FilesSettled`].
    SettleFiles(JobId),
    /// All jobs have ended, and the hooks of the run.
    Finish,
}

/// How the run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Code(u8),
    /// prun was told to stop by this signal, and dies by it.
    Signal(i32),
}

/// What the run as a whole is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mode {
    Going,
    /// Starts nothing new; what runs may end.
    Closing,
    /// Everything was told to stop.
    Stopping(Stop),
    Finished,
}

pub struct Supervisor {
    plan: Arc<Plan>,
    jobs: Jobs,
    services: Services,
    tasks: Tasks,
    slots: Slots,
    locks: Locks,
    brakes: Brakes,
    /// If the slots are shared with others.
    tokens: Option<Tokens>,
    mode: Mode,
    tally: Tally,
    /// The outcome that triggered a halt.
    trigger: Option<Outcome>,
    /// The signal that prun was told to stop by, and dies by.
    stopped_by: Option<i32>,
    /// Something was stopped in the middle of its work.
    stopped: bool,
    /// prun's own failure.
    broken: bool,
    /// The end of the run, and its hooks.
    last: Last,
    /// Jobs that have a task ready and room in their pool.
    startable: Startable,
    /// Only one task can run at any time, and it has a process of its own.
    one_at_a_time: bool,
    /// Tasks and workers that wait because a queue is full.
    blocked: BTreeSet<TaskId>,
    /// When it is certain that nothing can go on, if it seems so.
    stall_at: Option<Time>,
    live: Option<TaskId>,
    /// The task that has prun's terminal to itself.
    interactive: Option<TaskId>,
    /// Nobody takes the output at the moment: nothing new starts.
    held: bool,
}

impl Supervisor {
    pub fn new(plan: Arc<Plan>) -> Supervisor {
        Supervisor {
            jobs: Jobs::new(&plan),
            services: Services::new(&plan),
            tasks: Tasks::default(),
            slots: Slots::new(plan.pool),
            locks: Locks::new(&plan),
            brakes: Brakes::new(&plan),
            tokens: (plan.jobserver != Jobserver::None).then(Tokens::new),
            mode: Mode::Going,
            tally: Tally::default(),
            trigger: None,
            stopped_by: None,
            stopped: false,
            broken: false,
            last: Last::default(),
            startable: Startable::default(),
            one_at_a_time: plan.brakes.pool_file.is_none()
                && plan.jobs.iter().all(|job| {
                    let alone = job.slots.min(plan.pool) > plan.pool / 2;
                    job.at_end.is_some() || alone && !job.slotless && job.worker.is_none()
                }),
            blocked: BTreeSet::new(),
            stall_at: None,
            live: None,
            interactive: None,
            held: false,
            plan,
        }
    }

    /// When [`Event::Tick`] is due.
    pub fn due(&self) -> Option<Time> {
        [self.tasks.due(), self.stall_at, self.brakes.due()].into_iter().flatten().min()
    }

    /// The job and the number of an active task; of a worker its own number, from 1.
    pub fn task(&self, id: TaskId) -> (JobId, u64) {
        let task = self.tasks.get(id);
        (task.job, task.seq)
    }

    /// While output can't be handed on, nothing new starts. Bounds what is buffered; never what is controlled.
    pub fn hold(&mut self, now: Time, held: bool, actions: &mut Vec<Action>) {
        self.held = held;
        self.fill(now, actions);
    }

    pub fn is_stopping(&self) -> bool {
        matches!(self.mode, Mode::Stopping(_))
    }

    /// Whether anything was stopped in the middle of its work.
    pub fn was_stopped(&self) -> bool {
        self.stopped
    }

    /// Takes what happened, appends what to do.
    pub fn handle(&mut self, now: Time, event: Event, actions: &mut Vec<Action>) {
        match event {
            // A task may have ended while the event waited in the queue.
            Event::NotStarted { task, .. }
            | Event::Short { task, .. }
            | Event::Exited { task, .. }
            | Event::Drained(task)
            | Event::Ready(task)
            | Event::GroupGone(task)
            | Event::Fault { task, .. }
            | Event::InputEnded(task)
            | Event::Blocked { task, .. }
                if !self.tasks.contains(task) => {}
            Event::Begin => self.open_unblocked(actions),
            Event::Item => {}
            Event::ItemsLater(job) => {
                if self.jobs.get(job).is_asking() {
                    self.jobs.set_source(job, Source::Waiting);
                }
            }
            Event::NoMoreItems(job) => self.source_ended(job, None, actions),
            Event::ItemsFailed(job, why) => self.source_ended(job, Some(why), actions),
            Event::NotStarted { task, started, failure } => {
                self.not_started(now, task, started, failure, actions)
            }
            Event::Short { task, started, shortage, failure } => {
                self.short(now, task, started, shortage, failure, actions)
            }
            Event::Exited { task, stage, exit } => self.exited(now, task, stage, exit, actions),
            Event::Drained(task) => self.drained(now, task, actions),
            Event::Ready(task) => self.ready(now, task, actions),
            Event::GroupGone(task) => self.group_gone(now, task, actions),
            Event::Fault { task, why } => self.fault(now, task, why, actions),
            Event::InputEnded(task) => self.input_ended(now, task),
            Event::Blocked { task, blocked } => self.blocked(task, blocked),
            Event::Answers => {}
            Event::FilesSettled(job) => self.files_settled(job, actions),
            Event::Settled => self.last.settled(),
            Event::Pool(size) => self.resize_pool(size),
            Event::Tokens(count) => self.tokens_came(count),
            Event::Reading(reading) => self.read_gauges(now, &reading, actions),
            Event::Signal(signal) => self.stop_all(now, Stop::signal(signal), actions),
            Event::OutputClosed => self.stop_all(now, Stop::output_closed(), actions),
            Event::Broken(why) => {
                self.broken = true;
                actions.push(Action::Tell(RunEvent::Broken(why)));
                self.stop_all(now, Stop::broken(), actions);
            }
            Event::Tick(until) => self.tick(now, until, actions),
        }
        self.fill(now, actions);
        self.look_after_services(now, actions);
        self.look_for_live(actions);
        self.look_for_stall(now);
        if self.jobs.all_ended() && self.mode != Mode::Finished {
            self.wind_up(now, actions);
        }
    }

    /// How the run ended; meaningful after [`Action::Finish`].
    pub fn verdict(&self) -> Verdict {
        if let Some(signal) = self.stopped_by {
            return Verdict::Signal(signal);
        }
        if self.broken {
            return Verdict::Code(125);
        }
        if self.trigger == Some(Outcome::Ok) {
            return Verdict::Code(self.last.failed.into());
        }
        let first = self.trigger.as_ref().or(self.jobs.first_failure());
        match status::exit_code(self.plan.status, first, self.tally.failed) {
            0 => Verdict::Code(self.last.failed.into()),
            code => Verdict::Code(code),
        }
    }
}
