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
//!                      ▲                       │ timeout, halt, signal    ▲  │ 200 ms
//!                      │ delay over            ▼                          │  ▼
//!                   Backoff ◄─ failed ─    Stopping ──── group gone ──────┘ ended
//! ```
//!
//! Exited is not drained: a task has ended when its processes have exited *and* its output is at its end, or
//! 200 ms later if something that it left behind holds the output open. A stopped task has ended only when
//! its whole process group is gone. Tasks exist here only while they are active; a million items cost nothing.
//!
//! - [`task`]: tasks, their states, and the one function that changes them
//! - [`job`]: jobs, `after`, how a job ended
//! - [`stop`]: the ladder signal → grace → SIGKILL, and why a task is stopped
//! - [`halt`]: when the run stops by itself
//! - [`slots`]: the lowest free number

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::event::{Exit, Outcome, RunEvent, StartFailure, Summary, Time};
use crate::plan::{Plan, status};

pub mod halt;
pub mod job;
pub mod slots;
pub mod stop;
pub mod task;
#[cfg(test)]
mod tests;

use halt::Tally;
use job::{Jobs, Source};
use slots::Slots;
use stop::{Reason, Stop};
pub use task::TaskId;
use task::{State, Tasks};

/// Index into [`Plan::jobs`].
pub type JobId = usize;

/// How long output that a leftover holds open is waited for after the last exit.
pub const DRAIN: Time = Time::from_millis(200);

/// What happened.
#[derive(Debug, Clone)]
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
    /// `started` of the task's stages run, the next one could not be executed.
    NotStarted { task: TaskId, started: usize, failure: Arc<StartFailure> },
    /// A process of the task ended.
    Exited { task: TaskId, stage: usize, exit: Exit },
    /// The task's output is at its end.
    Drained(TaskId),
    /// The process group of a stopped task has no member left.
    GroupGone(TaskId),
    /// prun was told to stop.
    Signal(i32),
    /// Nobody reads prun's stdout any more.
    OutputClosed,
    /// prun itself failed: output could not be written, no descriptor left for its own needs.
    Broken(String),
    /// Time has passed.
    Tick,
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Get the job's next item, opening its source if this is the first time.
    Pull(JobId),
    /// Start the task with the item that was pulled for it (or again with it).
    Start {
        task: TaskId,
        attempt: u32,
        slot: usize,
        last_attempt: bool,
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
    /// The attempt is over and another will follow: its processes and pipes are forgotten.
    Retry {
        task: TaskId,
        outcome: Outcome,
        delay: Time,
    },
    /// The task is over: hand on its output and forget it.
    End {
        task: TaskId,
        outcome: Outcome,
        attempts: u32,
    },
    /// Nothing else can start or print before this task ends: its output may flow live.
    Live(TaskId),
    Tell(RunEvent),
    /// All jobs have ended.
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
    tasks: Tasks,
    slots: Slots,
    mode: Mode,
    tally: Tally,
    /// The outcome that triggered a halt.
    trigger: Option<Outcome>,
    /// The signal that prun was told to stop by, and dies by.
    stopped_by: Option<i32>,
    /// prun's own failure.
    broken: bool,
    /// Jobs that have a task ready and room in their pool.
    startable: BTreeSet<JobId>,
    live: Option<TaskId>,
    /// Nobody takes the output at the moment: nothing new starts.
    held: bool,
}

impl Supervisor {
    pub fn new(plan: Arc<Plan>) -> Supervisor {
        Supervisor {
            jobs: Jobs::new(&plan),
            tasks: Tasks::default(),
            slots: Slots::new(plan.pool),
            mode: Mode::Going,
            tally: Tally::default(),
            trigger: None,
            stopped_by: None,
            broken: false,
            startable: BTreeSet::new(),
            live: None,
            held: false,
            plan,
        }
    }

    /// When [`Event::Tick`] is due.
    pub fn due(&self) -> Option<Time> {
        self.tasks.due()
    }

    /// The job and the number of an active task.
    pub fn task(&self, id: TaskId) -> (JobId, u64) {
        let task = self.tasks.get(id);
        (task.job, task.seq)
    }

    /// The answer to [`Action::Pull`]: an item is there, and becomes a task. `None`: the job was closed
    /// meanwhile. [`Event::Item`] follows.
    pub fn add_item(&mut self, job: JobId) -> Option<TaskId> {
        if !self.jobs.get(job).is_asking() {
            return None;
        }
        self.jobs.set_source(job, Source::Idle);
        let state = self.jobs.get_mut(job);
        state.seq += 1;
        state.active += 1;
        let stages = self.plan.jobs[job].stages.len();
        let id = self.tasks.add(job, state.seq, stages);
        state.ready.push_back(id);
        self.note_startable(job);
        Some(id)
    }

    /// While output can't be handed on, nothing new starts. Bounds what is buffered; never what is controlled.
    pub fn hold(&mut self, now: Time, held: bool, actions: &mut Vec<Action>) {
        self.held = held;
        self.fill(now, actions);
    }

    pub fn is_stopping(&self) -> bool {
        matches!(self.mode, Mode::Stopping(_))
    }

    /// Takes what happened, appends what to do.
    pub fn handle(&mut self, now: Time, event: Event, actions: &mut Vec<Action>) {
        match event {
            // A task may have ended while the event waited in the queue.
            Event::NotStarted { task, .. }
            | Event::Exited { task, .. }
            | Event::Drained(task)
            | Event::GroupGone(task)
                if !self.tasks.contains(task) => {}
            Event::Begin => self.open_unblocked(actions),
            Event::Item => {}
            Event::ItemsLater(job) => self.jobs.set_source(job, Source::Waiting),
            Event::NoMoreItems(job) => self.source_ended(job, None, actions),
            Event::ItemsFailed(job, why) => self.source_ended(job, Some(why), actions),
            Event::NotStarted { task, started, failure } => {
                self.not_started(now, task, started, failure, actions)
            }
            Event::Exited { task, stage, exit } => self.exited(now, task, stage, exit, actions),
            Event::Drained(task) => self.drained(now, task, actions),
            Event::GroupGone(task) => self.group_gone(now, task, actions),
            Event::Signal(signal) => self.stop_all(now, Stop::signal(signal), actions),
            Event::OutputClosed => self.stop_all(now, Stop::output_closed(), actions),
            Event::Broken(why) => {
                self.broken = true;
                actions.push(Action::Tell(RunEvent::Broken(why)));
                self.stop_all(now, Stop::broken(), actions);
            }
            Event::Tick => self.tick(now, actions),
        }
        self.fill(now, actions);
        self.look_for_live(actions);
        if self.jobs.all_ended() && self.mode != Mode::Finished {
            self.finish(now, actions);
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
            return Verdict::Code(0);
        }
        let first = self.trigger.as_ref().or(self.jobs.first_failure());
        Verdict::Code(status::exit_code(self.plan.status, first, self.tally.failed))
    }

    fn finish(&mut self, now: Time, actions: &mut Vec<Action>) {
        self.mode = Mode::Finished;
        actions.push(Action::Tell(RunEvent::RunEnded(Summary {
            ok: self.tally.ok,
            failed: self.tally.failed,
            cancelled: self.tally.cancelled,
            skipped: self.tally.skipped,
            elapsed: now,
            signal: self.stopped_by,
        })));
        actions.push(Action::Finish);
    }

    // ---- items -------------------------------------------------------------------------------------------

    fn source_ended(&mut self, job: JobId, why: Option<String>, actions: &mut Vec<Action>) {
        if !self.jobs.get(job).is_asking() {
            return;
        }
        let tasks = self.jobs.get(job).seq;
        self.jobs.set_source(job, Source::Ended);
        if let Some(why) = why {
            // The items are a part of the job: a job that can't read them has failed, without a task to show.
            // The end of the job tells it.
            let outcome = Outcome::NotStarted(Arc::new(StartFailure { code: 126, why }));
            self.count(job, tasks + 1, &outcome);
        } else {
            actions.push(Action::Tell(RunEvent::JobTotal { job, total: tasks }));
        }
        self.end_job_if_done(job, actions);
    }

    fn note_startable(&mut self, job: JobId) {
        let state = self.jobs.get(job);
        if !state.ready.is_empty() && state.running < self.plan.jobs[job].pool {
            self.startable.insert(job);
        } else {
            self.startable.remove(&job);
        }
    }

    // ---- starting ----------------------------------------------------------------------------------------

    /// Starts what may start, in the order of the file, and keeps one item of each open job at hand.
    fn fill(&mut self, now: Time, actions: &mut Vec<Action>) {
        if self.mode != Mode::Going || self.held {
            return;
        }
        while self.slots.free() {
            let Some(&job) = self.startable.first() else { return };
            if self.jobs.earlier_is_pulling(job, &self.plan) {
                return; // Its item comes first.
            }
            self.start_next(now, job, actions);
        }
    }

    fn start_next(&mut self, now: Time, job: JobId, actions: &mut Vec<Action>) {
        let plan = &self.plan.jobs[job];
        let state = self.jobs.get_mut(job);
        let Some(id) = state.ready.pop_front() else { return };
        state.running += 1;
        let run_slot = self.slots.take();
        let own_slot = state.slots.as_mut().map(Slots::take);
        let task = self.tasks.get_mut(id);
        task.slot = (run_slot, own_slot);
        task.attempt += 1;
        task.exits.fill(None);
        let attempt = task.attempt;
        let deadline = plan.timeout.map(|timeout| now + timeout);
        let live = plan.stages.len();
        self.tasks.set(id, State::Running { live, drained: false, deadline });
        let slot = own_slot.unwrap_or(run_slot);
        let last_attempt = attempt > plan.retries.count;
        actions.push(Action::Start { task: id, attempt, slot, last_attempt });
        self.pull(job, actions);
        self.note_startable(job);
    }

    /// Asks for the next item unless one waits already.
    fn pull(&mut self, job: JobId, actions: &mut Vec<Action>) {
        let state = self.jobs.get(job);
        if state.source == Source::Idle && state.ready.is_empty() {
            self.jobs.set_source(job, Source::Pulling);
            actions.push(Action::Pull(job));
        }
    }

    fn give_back_slot(&mut self, id: TaskId) {
        let task = self.tasks.get(id);
        let (job, (run_slot, own_slot)) = (task.job, task.slot);
        self.slots.give_back(run_slot);
        let state = self.jobs.get_mut(job);
        if let (Some(slots), Some(slot)) = (state.slots.as_mut(), own_slot) {
            slots.give_back(slot);
        }
        state.running -= 1;
        self.note_startable(job);
    }

    // ---- processes ---------------------------------------------------------------------------------------

    fn exited(&mut self, now: Time, id: TaskId, stage: usize, exit: Exit, actions: &mut Vec<Action>) {
        let told = &mut self.tasks.get_mut(id).exits[stage];
        if told.replace(exit).is_some() {
            return;
        }
        match self.tasks.state(id).clone() {
            State::Running { live: 1, drained, .. } => self.all_exited(now, id, drained, None, actions),
            State::Running { live, drained, deadline } => {
                self.tasks.set(id, State::Running { live: live - 1, drained, deadline })
            }
            State::Stopping(mut stopping) => {
                stopping.live -= 1;
                self.tasks.set(id, State::Stopping(stopping));
            }
            // Of an attempt that is over.
            State::Ready(_) | State::Draining { .. } | State::Backoff { .. } => {}
        }
    }

    fn all_exited(
        &mut self,
        now: Time,
        id: TaskId,
        drained: bool,
        reason: Option<Reason>,
        actions: &mut Vec<Action>,
    ) {
        if drained {
            self.finish_attempt(now, id, reason, actions);
        } else {
            self.tasks.set(id, State::Draining { until: now + DRAIN, reason });
        }
    }

    fn drained(&mut self, now: Time, id: TaskId, actions: &mut Vec<Action>) {
        match self.tasks.state(id).clone() {
            State::Running { live, deadline, .. } => {
                self.tasks.set(id, State::Running { live, drained: true, deadline })
            }
            State::Stopping(mut stopping) => {
                stopping.drained = true;
                self.tasks.set(id, State::Stopping(stopping));
            }
            State::Draining { reason, .. } => self.finish_attempt(now, id, reason, actions),
            State::Ready(_) | State::Backoff { .. } => {}
        }
    }

    fn group_gone(&mut self, now: Time, id: TaskId, actions: &mut Vec<Action>) {
        if let State::Stopping(stopping) = self.tasks.state(id).clone() {
            self.all_exited(now, id, stopping.drained, Some(stopping.reason), actions);
        }
    }

    fn not_started(
        &mut self,
        now: Time,
        id: TaskId,
        started: usize,
        failure: Arc<StartFailure>,
        actions: &mut Vec<Action>,
    ) {
        let reason = Reason::NotStarted(failure);
        if started == 0 {
            self.finish_attempt(now, id, Some(reason), actions);
        } else {
            if let State::Running { drained, deadline, .. } = *self.tasks.state(id) {
                self.tasks.set(id, State::Running { live: started, drained, deadline });
            }
            let signal = self.plan.jobs[self.tasks.get(id).job].stop_signal;
            self.stop_task(now, id, reason, signal, actions);
        }
    }

    // ---- ends --------------------------------------------------------------------------------------------

    /// The attempt is over: another one, or the end of the task.
    fn finish_attempt(&mut self, now: Time, id: TaskId, reason: Option<Reason>, actions: &mut Vec<Action>) {
        let outcome = self.outcome(id, reason);
        self.give_back_slot(id);
        if self.live == Some(id) {
            self.live = None;
        }
        let task = self.tasks.get(id);
        let retries = &self.plan.jobs[task.job].retries;
        let again = self.mode == Mode::Going
            && !self.jobs.get(task.job).closing
            && task.attempt <= retries.count
            && stop::may_retry(&outcome, retries.on.as_ref());
        if again {
            let delay = stop::delay(&retries.delay, task.attempt, task.seq);
            actions.push(Action::Retry { task: id, outcome: outcome.clone(), delay });
            self.tasks.set(id, State::Backoff { until: now + delay, outcome });
        } else {
            self.end_task(now, id, outcome, actions);
        }
    }

    fn outcome(&mut self, id: TaskId, reason: Option<Reason>) -> Outcome {
        let task = self.tasks.get(id);
        let job = &self.plan.jobs[task.job];
        let last_ok = &job.stages[job.stages.len() - 1].ok;
        match reason {
            Some(Reason::Timeout) if last_ok.timeout => Outcome::Ok,
            Some(reason) => reason.outcome(),
            None => {
                let stages: Vec<_> =
                    task.exits.iter().zip(&job.stages).map(|(exit, stage)| (*exit, &stage.ok)).collect();
                let (verdicts, outcome) = status::pipeline(&stages);
                self.jobs.get_mut(task.job).stages = (verdicts.len() > 1).then_some(verdicts);
                outcome
            }
        }
    }

    fn end_task(&mut self, now: Time, id: TaskId, outcome: Outcome, actions: &mut Vec<Action>) {
        let task = self.tasks.remove(id);
        actions.push(Action::End { task: id, outcome: outcome.clone(), attempts: task.attempt });
        self.jobs.get_mut(task.job).active -= 1;
        self.count(task.job, task.seq, &outcome);
        self.check_halt(now, task.job, &outcome, actions);
        self.end_job_if_done(task.job, actions);
    }

    /// Keeps the counts that the exit status and `halt` are made of.
    fn count(&mut self, job: JobId, seq: u64, outcome: &Outcome) {
        self.tally.add(outcome);
        let state = self.jobs.get_mut(job);
        state.tally.add(outcome);
        if outcome.is_failure() && state.first_failure.as_ref().is_none_or(|(first, _)| seq < *first) {
            state.first_failure = Some((seq, outcome.clone()));
        }
    }

    fn check_halt(&mut self, now: Time, job: JobId, outcome: &Outcome, actions: &mut Vec<Action>) {
        if self.mode == Mode::Going && halt::xargs_stops(self.plan.status, outcome) {
            self.trigger = Some(outcome.clone());
            self.close_all(now, actions);
        }
        if let Some(halt) = self.plan.halt
            && self.mode == Mode::Going
            && self.tally.reached(&halt, outcome)
        {
            self.trigger = halt::trigger(&halt, outcome);
            let why = halt::phrase(&halt, &self.tally);
            if halt.now {
                self.stop_all(now, Stop::halt(why), actions);
            } else {
                actions.push(Action::Tell(RunEvent::Stopping { why, kill: false }));
                self.close_all(now, actions);
            }
        }
        let own = self.plan.jobs[job].halt;
        if let Some(halt) = own
            && self.mode == Mode::Going
            && !self.jobs.get(job).closing
            && self.jobs.get(job).tally.reached(&halt, outcome)
        {
            self.jobs.get_mut(job).verdict = halt::trigger(&halt, outcome);
            self.close_job(now, job, halt.now, actions);
        }
    }

    /// Nothing else can start or print before the only task ends.
    fn look_for_live(&mut self, actions: &mut Vec<Action>) {
        if self.live.is_some() || self.slots.taken() != 1 {
            return;
        }
        let Some(id) = self.tasks.only_running() else { return };
        let alone = self.plan.pool == 1 || (self.tasks.len() == 1 && self.jobs.all_sources_ended());
        let task = self.tasks.get(id);
        let last_attempt = task.attempt > self.plan.jobs[task.job].retries.count;
        if alone && last_attempt {
            self.live = Some(id);
            actions.push(Action::Live(id));
        }
    }
}
