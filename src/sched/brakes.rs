//! Brakes hold starts back, beside the pools: rates, the load average, free memory. Pure.
//!
//! A start is an attempt of a task, also one that a worker is given. What is held back is tried again when
//! [`Brakes::due`] has come, or with the next [`Reading`].

use super::shortage::Congestion;
use super::stop::Reason;
use super::task::{Role, State, TaskId};
use super::{Action, JobId, Mode, Supervisor};
use crate::event::{RunEvent, Time};
use crate::plan::{self, Plan, Rate, Stdin};

/// How long a reading of the gauges is valid.
const FRESH: Time = Time::from_secs(1);

/// A reading of the machine's gauges. Gauges that no brake needs are `None`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Reading {
    /// The load average of the last minute.
    pub load: Option<f64>,
    /// Free memory, in bytes.
    pub memory: Option<u64>,
}

/// Spreads starts evenly in time.
#[derive(Debug)]
struct Pace {
    interval: Time,
    /// No start before this time.
    next: Time,
    /// A start that is late by no more than this does not shift those after it. It is shorter than an
    /// interval where a clock of milliseconds can tell, so that starts that a pause left out are not made up
    /// for.
    leeway: Time,
}

impl Pace {
    fn new(rate: Rate) -> Pace {
        let interval = rate.interval;
        let leeway = (interval / 10).max(interval.min(Time::from_millis(10))).max(Time::from_millis(2));
        Pace { interval, next: Time::ZERO, leeway }
    }

    fn start(&mut self, now: Time) {
        self.next = self.next.max(now.saturating_sub(self.leeway)) + self.interval;
    }
}

/// The brakes that read the machine's gauges.
#[derive(Debug)]
struct Gauges {
    load: Option<f64>,
    memory_free: Option<u64>,
    /// When the gauges were read last.
    read: Option<Time>,
    /// Why nothing may start, by the last reading.
    why: Option<String>,
    warned: bool,
}

impl Gauges {
    fn is_fresh(&self, now: Time) -> bool {
        self.read.is_some_and(|read| now < read + FRESH)
    }
}

/// Returns why nothing may start, if nothing may.
fn why_wait(load: Option<f64>, memory_free: Option<u64>, reading: &Reading) -> Option<String> {
    match (load, reading.load) {
        (Some(0.0), _) => return Some("no load average is below 0, so nothing ever starts".into()),
        (Some(most), Some(load)) if load >= most => {
            return Some(format!("starts wait: the load average is {load}, and has to be below {most}"));
        }
        _ => {}
    }
    match (memory_free, reading.memory) {
        (Some(least), Some(free)) if free < least => {
            let (free, least) = (size(free), size(least));
            Some(format!("starts wait: {free} of memory are free, and {least} are wanted (`memory_free`)"))
        }
        _ => None,
    }
}

fn size(bytes: u64) -> impl std::fmt::Display {
    bytesize::ByteSize(bytes).display().si()
}

/// True if memory is so short that a running task has to be stopped: less than half of what has to be free.
fn is_short(memory_free: Option<u64>, reading: &Reading) -> bool {
    matches!((memory_free, reading.memory), (Some(least), Some(free)) if free < least / 2)
}

#[derive(Debug, Default)]
pub struct Brakes {
    run: Option<Pace>,
    /// For each job, its pace; empty if no job has a rate.
    jobs: Vec<Option<Pace>>,
    gauges: Option<Gauges>,
    pub congestion: Congestion,
    /// When the first start that was held back since [`Brakes::reset`] may be tried again.
    due: Option<Time>,
    /// True if a start was held back by the gauges, or because they have to be read first.
    gauges_hold: bool,
    /// True if the last start was a further attempt.
    last_was_retry: bool,
}

impl Brakes {
    pub fn new(plan: &Plan) -> Brakes {
        let plan::Throttle { rate, load, memory_free, .. } = plan.throttle;
        let gauges = Gauges { load, memory_free, read: None, why: None, warned: false };
        let paces = || plan.jobs.iter().map(|job| job.rate.map(Pace::new)).collect();
        Brakes {
            run: rate.map(Pace::new),
            jobs: if plan.jobs.iter().any(|job| job.rate.is_some()) { paces() } else { Vec::new() },
            gauges: (load.is_some() || memory_free.is_some()).then_some(gauges),
            congestion: Congestion::default(),
            due: None,
            gauges_hold: false,
            last_was_retry: false,
        }
    }

    /// Forgets what was held back, before starts are tried again.
    pub fn reset(&mut self) {
        (self.due, self.gauges_hold) = (None, false);
    }

    /// True if the job may start something now. If not, notes that it is held back.
    pub fn allow(&mut self, now: Time, job: JobId) -> bool {
        self.allow_any(now) && self.allow_job(now, job)
    }

    /// True if any job may start something now, by the brakes of the whole run.
    pub fn allow_any(&mut self, now: Time) -> bool {
        if let Some(pace) = self.run.as_ref().filter(|pace| pace.next > now) {
            self.due = Some(pace.next);
            return false;
        }
        let stop = |gauges: &Gauges| !gauges.is_fresh(now) || gauges.why.is_some();
        self.gauges_hold |= self.gauges.as_ref().is_some_and(stop);
        !self.gauges_hold
    }

    /// True if the job may start something now, by its own rate.
    pub fn allow_job(&mut self, now: Time, job: JobId) -> bool {
        let Some(Some(pace)) = self.jobs.get(job.index()) else { return true };
        if pace.next > now {
            self.due = Some(self.due.map_or(pace.next, |due| due.min(pace.next)));
        }
        pace.next <= now
    }

    /// True if a process may be started now, as far as there are resources for it.
    pub fn allow_process(&mut self, now: Time, slotless: bool) -> bool {
        let until = self.congestion.pause(now, slotless);
        self.wake_at(until);
        until.is_none()
    }

    /// Makes starts be tried again at this time, if not before.
    pub fn wake_at(&mut self, at: Option<Time>) {
        self.due = [self.due, at].into_iter().flatten().min();
    }

    pub fn started(&mut self, now: Time, job: JobId, is_retry: bool) {
        self.last_was_retry = is_retry;
        let own = self.jobs.get_mut(job.index()).and_then(Option::as_mut);
        self.run.iter_mut().chain(own).for_each(|pace| pace.start(now));
    }

    /// True if it is the turn of a task that never started. Where starts are rare, a task that fails again
    /// and again would otherwise take all of them.
    pub fn is_turn_of_fresh(&self) -> bool {
        self.last_was_retry && (self.run.is_some() || !self.jobs.is_empty())
    }

    /// True if a start was held back.
    pub fn holds_back(&self) -> bool {
        self.gauges_hold || self.due.is_some()
    }

    /// Returns when a start that was held back may be tried again.
    pub fn due(&self) -> Option<Time> {
        self.due
    }

    /// Takes a reading. Returns true if memory is so short that a running task has to be stopped.
    fn read(&mut self, now: Time, reading: &Reading) -> bool {
        let Some(gauges) = &mut self.gauges else { return false };
        gauges.read = Some(now);
        gauges.why = why_wait(gauges.load, gauges.memory_free, reading);
        is_short(gauges.memory_free, reading)
    }

    /// Returns why starts wait, the first time that they do.
    fn take_warning(&mut self) -> Option<String> {
        let gauges = self.gauges.as_mut().filter(|gauges| self.gauges_hold && !gauges.warned)?;
        let why = gauges.why.clone()?;
        gauges.warned = true;
        Some(why)
    }
}

impl Supervisor {
    /// Returns when [`Event::Reading`](super::Event::Reading) is wanted next.
    pub fn reading_due(&self) -> Option<Time> {
        let gauges = self.brakes.gauges.as_ref().filter(|_| self.mode == Mode::Going)?;
        let may_get_short = gauges.memory_free.is_some() && self.tasks.any_running();
        let wanted = self.brakes.gauges_hold || may_get_short;
        wanted.then(|| gauges.read.map_or(Time::ZERO, |read| read + FRESH))
    }

    pub(super) fn read_gauges(&mut self, now: Time, reading: &Reading, actions: &mut Vec<Action>) {
        if self.brakes.read(now, reading) && self.mode == Mode::Going {
            self.put_youngest_back(now, actions);
        }
    }

    /// Tells people why starts wait. Call it when everything that may start has started.
    pub(super) fn warn_of_brakes(&mut self, actions: &mut Vec<Action>) {
        if let Some(why) = self.brakes.take_warning() {
            actions.push(Action::Tell(RunEvent::Warning(why)));
        }
    }

    /// Stops the task that started last, to be started again later. One is left running, so that the run
    /// comes to its end even if that task alone needs so much memory; and while one is being stopped, no
    /// other follows.
    fn put_youngest_back(&mut self, now: Time, actions: &mut Vec<Action>) {
        let mut running = 0;
        let mut youngest: Option<((Time, JobId, u64), TaskId)> = None;
        for (id, task, state) in
            self.tasks.iter().filter(|(_, task, _)| !self.plan.jobs[task.job].is_lister())
        {
            match state {
                State::Running { .. } => running += 1,
                State::Stopping(stopping) if stopping.reason == Reason::PutBack => return,
                _ => continue,
            }
            let age = (task.started, task.job, task.seq);
            if matches!(task.role, Role::Attempt)
                && self.can_be_put_back(task.job)
                && youngest.is_none_or(|(youngest, _)| age > youngest)
            {
                youngest = Some((age, id));
            }
        }
        if let Some((_, id)) = youngest.filter(|_| running > 1) {
            self.stop_task(now, id, Reason::PutBack, self.stop_signal(id), actions);
        }
    }

    /// True if tasks of the job can be started again. What a task has read from a stream is gone.
    fn can_be_put_back(&self, job: JobId) -> bool {
        let job = &self.plan.jobs[job];
        !job.is_daemon() && !job.stages.iter().any(|stage| matches!(stage.stdin, Stdin::Queue { .. }))
    }

    /// An attempt that was stopped for lack of memory is over. It is not counted, and the task is ready
    /// again.
    pub(super) fn put_back(&mut self, id: TaskId, actions: &mut Vec<Action>) {
        self.give_back_slot(id);
        self.forget_live(id);
        self.tasks.get_mut(id).attempts -= 1;
        actions.push(Action::PutBack { task: id });
        self.requeue(id, crate::event::Outcome::Cancelled);
    }
}
