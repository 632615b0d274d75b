//! Decides what happens next. Pure: no process, no file, no clock.
//!
//! [`Supervisor::handle`] takes an [`Event`] and appends [`Action`]s. `run` carries them out and reports
//! back; a test does the same with made-up events and a made-up clock.
//!
//! # The life of a task
//!
//! It is one enum with its data inside (`task::State`):
//!
//! ```text
//!            item                slot                    last exit             end of output
//! (source) ────────► Ready ───────────────► Running ───────────────► Draining ───────────────► ended
//!                    ▲ ▲ │                     │ timeout, halt, signal    ▲  │ 200 ms
//!         delay over │ │ │ given to a worker   ▼                          │  ▼
//!                    │ │ └───► Given        Stopping ──── group gone ─────┘ ended
//!                    │ └──────── │ worker ended, and was not at it
//!                 Backoff ◄──────┴─ failed; or its worker ended while at it
//! ```
//!
//! A task that was stopped because memory is short is Ready again.
//!
//! Exited is not drained: a task has ended when its processes have exited *and* its output is at its end. If
//! a process that it left behind holds the output open, the task ends 200 ms later. A stopped task has ended
//! only when everything that it started is gone. A task that ends by itself may leave processes behind,
//! unless its job waits for them or has them killed: then the task stays `Running` without a process of its
//! own until they are gone. If another attempt follows, the task is `Clearing` until what the attempt left in its
//! process group is gone. Tasks exist here only while they are active, so a million items cost no memory.
//!
//! A hook goes on in the task's place: after the last attempt the task is `Running` once more for each hook,
//! and keeps its slot. A worker is no task, but has the same life from `Running` on; a task that is `Given`
//! to it ends when it is answered. `task::Role` tells them apart.
//!
//! # One door
//!
//! Everything that changes a supervisor is an event that [`Supervisor::handle`] takes, and everything that
//! follows from it is done before `handle` returns. Two kinds of report are calls instead, because they come
//! by the million and the caller needs the answer at once:
//!
//! - Items ([`Supervisor::add_item`], [`Supervisor::known_item`], [`Supervisor::skip_item`]): the caller puts
//!   each item where the new task's id says.
//! - Answers of workers ([`Supervisor::answered`]): the caller has to know whose answer it holds before it
//!   reads the next one.
//!
//! An answer ends its task at once, with the hooks or the halt that follow. But neither call starts another
//! task: that is decided once for all of them, by the event that concludes them, [`Event::Items`] or
//! [`Event::Answered`]. The alternative was an action for each item that names its task, and an event for each
//! answer; it copies each item twice, and looks for something to start after each answer.
//!
//! # Modules
//!
//! - `event`, `action`: what comes in, what goes out
//! - `task`: tasks, their states, and the one function that changes them
//! - `items`: items become tasks
//! - `start`: tasks start
//! - `end`: processes exit, output reaches its end, and so attempts and tasks end
//! - `stop`: the ladder signal → grace → SIGKILL, and why a task is stopped
//! - `clearing`: what an attempt left is stopped before another follows
//! - `overdue`: those that did not end within their grace period
//! - `workers`: what workers are given, and what they answer
//! - `worker_ends`: workers end, and what becomes of their tasks
//! - `hooks`: the commands after a task's last attempt
//! - `run_hooks`: the end of the run, and the commands after it
//! - `job`: what jobs are doing, and how they ended
//! - `dependents`: jobs that wait for others by `after`
//! - `ready`: jobs that wait until others are up, and what becomes of them when those are gone
//! - `order`: which job comes first
//! - `halt`: when the run stops by itself
//! - `stall`: when nothing can go on
//! - `slots`: the lowest free number of a pool
//! - `locks`: named semaphores that tasks take
//! - `tokens`: slots that are shared with make and others
//! - `brakes`: what holds starts back beside the pools: rates, the load, free memory
//! - `shortage`: starts that failed for lack of a resource, and congestion control
//! - `limits`: how long an attempt may take, also by the `median` of those before
//! - `services`: daemons that serve others, and how they are stopped
//! - `listers`: jobs that list the items of others

use std::collections::BTreeSet;
use std::sync::Arc;

pub use crate::event::JobId;
use crate::event::{Outcome, RunEvent, Time};
use crate::plan::{Jobserver, Plan, status};

mod action;
mod brakes;
mod clearing;
mod dependents;
mod end;
mod event;
mod halt;
mod hooks;
mod items;
mod job;
mod limits;
mod listers;
mod locks;
mod median;
mod order;
mod overdue;
mod ready;
mod run_hooks;
mod services;
mod shortage;
mod slots;
mod stall;
mod start;
mod stop;
mod task;
#[cfg(test)]
mod tests;
mod tokens;
mod worker_ends;
mod workers;

pub use action::Action;
use brakes::Brakes;
pub use brakes::Reading;
pub use event::Event;
use halt::Tally;
pub use items::Seq;
use job::Jobs;
use locks::Locks;
use order::Startable;
use run_hooks::RunHooks;
use services::Services;
use slots::Slots;
use stop::Stop;
pub use task::TaskId;
use task::Tasks;
use tokens::Tokens;

/// How long the supervisor waits, after the last exit, for output that a leftover process holds open.
pub const DRAIN: Time = Time::from_millis(200);

/// How the run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// prun exits with this code.
    Code(u8),
    /// This signal told prun to stop, and prun dies by it.
    Signal(i32),
}

/// State of the run as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mode {
    Going,
    /// Nothing new starts; what runs may end.
    Closing,
    /// Everything was told to stop.
    Stopping(Stop),
    Finished,
}

/// The scheduler. It has more than twelve fields because it is the one owner of what the modules keep: each
/// struct below belongs to the module of its type, and what is here by itself is shared by several.
pub struct Supervisor {
    plan: Arc<Plan>,
    jobs: Jobs,
    services: Services,
    tasks: Tasks,
    slots: Slots,
    locks: Locks,
    brakes: Brakes,
    /// Tokens of the jobserver, if the slots are shared with other programs.
    tokens: Option<Tokens>,
    run_hooks: RunHooks,
    /// Jobs that have a task ready and room in their pool.
    startable: Startable,
    mode: Mode,
    tally: Tally,
    /// The outcome that triggered a halt.
    trigger: Option<Outcome>,
    /// The signal that told prun to stop, and that prun dies by.
    stopped_by: Option<i32>,
    /// True if something was stopped in the middle of its work.
    interrupted: bool,
    /// True if prun itself failed.
    broken: bool,
    /// True if only one task can run at any time, and it has a process of its own.
    one_at_a_time: bool,
    /// Tasks and workers that wait because a queue is full.
    blocked: BTreeSet<TaskId>,
    /// When the supervisor concludes that nothing can go on, if it seems so now.
    stall_at: Option<Time>,
    /// The task whose output may flow as it comes ([`Action::Live`]).
    live: Option<TaskId>,
    /// The task that has prun's terminal to itself.
    interactive: Option<TaskId>,
    /// True while output comes faster than it can be handed on ([`Event::Backpressure`]).
    backpressure: bool,
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
            run_hooks: RunHooks::default(),
            startable: Startable::default(),
            mode: Mode::Going,
            tally: Tally::default(),
            trigger: None,
            stopped_by: None,
            interrupted: false,
            broken: false,
            one_at_a_time: runs_one_at_a_time(&plan),
            blocked: BTreeSet::new(),
            stall_at: None,
            live: None,
            interactive: None,
            backpressure: false,
            plan,
        }
    }

    /// Returns when [`Event::Tick`] is due; `None` if nothing is.
    pub fn due(&self) -> Option<Time> {
        [self.tasks.due(), self.stall_at, self.brakes.due()].into_iter().flatten().min()
    }

    /// Returns the job and the number of an active task; for a worker, its number among the workers of the
    /// job, from 1.
    pub fn task(&self, id: TaskId) -> (JobId, u64) {
        let task = self.tasks.get(id);
        (task.job, task.seq)
    }

    pub fn is_stopping(&self) -> bool {
        matches!(self.mode, Mode::Stopping(_))
    }

    /// True if anything was stopped in the middle of its work.
    pub fn was_stopped(&self) -> bool {
        self.interrupted
    }

    /// Takes an event and appends what to do about it.
    pub fn handle(&mut self, now: Time, event: Event, actions: &mut Vec<Action>) {
        // The task may have ended while the event waited in the queue.
        if event.task().is_none_or(|task| self.tasks.contains(task)) {
            self.apply(now, event, actions);
        }
        self.skip_lost_jobs(now, actions);
        self.fill(now, actions);
        self.stop_services(now, actions);
        self.allow_live_output(actions);
        self.update_stall_timer(now);
        if self.jobs.all_ended() && self.mode != Mode::Finished {
            self.wind_up(now, actions);
        }
    }

    /// Does what follows from the event alone.
    fn apply(&mut self, now: Time, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::Begin => self.open_unblocked(actions),
            Event::Items(job) => self.items_came(job, actions),
            Event::ItemsLater(job) => self.items_come_later(job),
            Event::NoMoreItems(job) => self.source_ended(job, None, actions),
            Event::ItemsFailed(job, failure) => self.source_ended(job, Some(failure), actions),
            Event::NotStarted { task, started, failure } => {
                self.not_started(now, task, started, failure, actions)
            }
            Event::Shortage { task, started, shortage, failure } => {
                self.shortage(now, task, started, shortage, failure, actions)
            }
            Event::Exited { task, stage, exit } => self.exited(now, task, stage, exit, actions),
            Event::Drained(task) => self.drained(now, task, actions),
            Event::Up(task) => self.up(now, task, actions),
            Event::GroupGone(task) => self.group_gone(now, task, actions),
            Event::Fault { task, why } => self.fault(now, task, why, actions),
            Event::AnswerTooLong(worker) => {
                self.distrust(now, worker, &"its answer is too long".into(), actions);
            }
            Event::InputEnded(task) => self.input_ended(now, task),
            Event::Blocked { task, blocked } => self.blocked(task, blocked),
            Event::Answered(job) => self.jobs.touch(job),
            Event::Backpressure(on) => self.backpressure = on,
            Event::FilesFlushed(job) => self.files_flushed(job, actions),
            Event::OutputFlushed => self.run_hooks.output_flushed(),
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
    }

    /// Returns how the run ended; meaningful after [`Action::Finish`].
    pub fn verdict(&self) -> Verdict {
        if let Some(signal) = self.stopped_by {
            return Verdict::Signal(signal);
        }
        if self.broken {
            return Verdict::Code(125);
        }
        let of_run_hooks = u8::from(self.run_hooks.any_failed());
        if self.trigger == Some(Outcome::Ok) {
            return Verdict::Code(of_run_hooks);
        }
        // Jobs whose service has gone fail the run, if nothing says more.
        let lost = (self.tally.lost > 0).then(|| Outcome::Fault("a service has gone".into()));
        let first = self.trigger.as_ref().or(self.jobs.first_failure()).or(lost.as_ref());
        match status::exit_code(self.plan.status, first, self.tally.failures()) {
            0 => Verdict::Code(of_run_hooks),
            code => Verdict::Code(code),
        }
    }
}

/// True if each task takes more than half of the slots, so that no two fit, and none is run by a worker.
fn runs_one_at_a_time(plan: &Plan) -> bool {
    let alone = |job: &crate::plan::Job| {
        job.slots.min(plan.pool) > plan.pool / 2 && job.takes_slots() && job.worker.is_none()
    };
    // The pool may grow if a file says its size. Hooks of the run begin when all tasks have ended.
    plan.throttle.pool_file.is_none() && plan.jobs.iter().all(|job| job.run_hook().is_some() || alone(job))
}
