//! Starts that fail for lack of a resource: processes, descriptors, terminals, memory. They are tried again.
//! Pure.
//!
//! It is congestion control: after such a failure no more tasks run at once than ran then, and the limit is
//! raised again one by one. If nothing of prun's will end and so free the resource, the start is tried again
//! after a pause that grows, but not for ever. When that has lasted for one task, those that come to the same
//! lack fail at once, until something could be started again.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::run_hooks::hook_of_run;
use super::slots::Slots;
use super::stop::{Reason, Stopping};
use super::task::{Over, Role, State, TaskId};
use super::{Action, JobId, Mode, Supervisor};
use crate::event::{Outcome, RunEvent, SIGKILL, Shortage, StartFailure, Time};

/// The first pause before another try, and the longest.
const FIRST_PAUSE: Time = Time::from_millis(50);
const LONGEST_PAUSE: Time = Time::from_secs(1);
/// The limit is raised by one when nothing failed for this long, if not before.
const RAISE: Time = Time::from_secs(1);
/// How long a start is tried again although nothing of prun's will free the resource.
const PATIENCE: Time = Time::from_secs(30);

/// How starts are held back after a shortage.
#[derive(Debug, Default)]
pub struct Congestion {
    /// How many tasks may run at once, if there is a limit.
    limit: Option<Limit>,
    /// A pause before the next start.
    pause: Option<Pause>,
    /// Since when the next worker of a job cannot be started, as [`super::task::Task::short_since`].
    pub workers: BTreeMap<JobId, Time>,
    /// Resources that were lacking for as long as starts are tried again, while nothing of prun's could free them.
    lasting: Vec<Shortage>,
    warned: bool,
}

#[derive(Debug, Clone, Copy)]
struct Limit {
    most: usize,
    since: Time,
    ends: usize,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    until: Time,
    length: Time,
    of_all: bool,
}

impl Congestion {
    /// A start failed while `taken` slots were in use. If `of_all`, no end of a running task will free the
    /// resource.
    fn tighten(&mut self, now: Time, taken: usize, of_all: bool) {
        let most = self.limit.map_or(taken, |limit| limit.most.min(taken)).max(1);
        self.limit = Some(Limit { most, since: now, ends: 0 });
        let before = self.pause.filter(|pause| now <= pause.until + LONGEST_PAUSE);
        self.pause = Some(match before {
            // Several starts failed at once.
            Some(pause) if pause.until > now => Pause { of_all: pause.of_all || of_all, ..pause },
            before => {
                let length = before.map_or(FIRST_PAUSE, |pause| (2 * pause.length).min(LONGEST_PAUSE));
                Pause { until: now + length, length, of_all }
            }
        });
    }

    /// Returns when something that takes a slot, or none, may be started; `None` if that is now.
    pub fn pause(&self, now: Time, slotless: bool) -> Option<Time> {
        let pause = self.pause.filter(|pause| pause.until > now && (slotless || pause.of_all))?;
        Some(pause.until)
    }

    /// Something has been started since, and has ended: what lacked for long may be there again.
    pub fn one_ran(&mut self) {
        self.lasting.clear();
    }

    /// Something that held a slot has ended.
    pub fn one_ended(&mut self) {
        if let Some(limit) = &mut self.limit {
            limit.ends += 1;
        }
    }

    /// Raises the limit when its time has come, up to the size of the pool.
    pub fn relax(&mut self, now: Time, slots: &mut Slots) {
        let Some(limit) = &mut self.limit else { return };
        if limit.ends >= limit.most || limit.since + RAISE <= now {
            *limit = Limit { most: limit.most + 1, since: now, ends: 0 };
        }
        if limit.most >= slots.size() {
            self.limit = None;
        }
        slots.limit(self.limit.map(|limit| limit.most));
    }

    /// Returns when the limit is raised if nothing ends.
    pub fn raise_at(&self) -> Option<Time> {
        self.limit.map(|limit| limit.since + RAISE)
    }
}

impl Supervisor {
    /// The start of a task, hook or worker fell short: the first `started` of its processes run, and are of
    /// no use alone.
    pub(super) fn shortage(
        &mut self,
        now: Time,
        id: TaskId,
        started: usize,
        shortage: Shortage,
        failure: Arc<StartFailure>,
        actions: &mut Vec<Action>,
    ) {
        let (drained, deadline) = match self.tasks.state(id).clone() {
            State::Running { drained, deadline, .. } => (drained, deadline),
            // It was stopped before this was known.
            State::Stopping(stopping) if started == 0 => {
                return self.finish_attempt(now, id, Some(stopping.reason), actions);
            }
            State::Stopping(stopping) => {
                return self.tasks.set(id, State::Stopping(Stopping { live: started, ..stopping }));
            }
            _ => return,
        };
        self.tasks.set(id, State::Running { live: started, drained, deadline });
        if self.mode != Mode::Going && hook_of_run(&self.plan, self.tasks.get(id).job).is_some() {
            // There is no time to wait.
            return self.not_started(now, id, started, failure, actions);
        }
        let hopeless = !self.room_will_come(id);
        if hopeless && self.brakes.congestion.lasting.contains(&shortage) {
            // It was waited for in vain, and nothing has changed.
            return self.not_started(now, id, started, failure, actions);
        }
        let task = self.tasks.get_mut(id);
        task.short_since = if hopeless { task.short_since.or(Some(now)) } else { None };
        if task.short_since.is_some_and(|since| since + PATIENCE <= now) {
            self.brakes.congestion.lasting.push(shortage);
            return self.not_started(now, id, started, failure, actions);
        }
        let width = self.tasks.get(id).slot.map_or(0, |slot| slot.width);
        // A start without a slot gets its resource when the next task with a slot ends.
        let taken = self.slots.in_use().saturating_sub(width.max(1));
        self.brakes.congestion.tighten(now, taken, hopeless);
        if !std::mem::replace(&mut self.brakes.congestion.warned, true) {
            actions.push(Action::Tell(RunEvent::Warning(warning(shortage))));
        }
        if started == 0 {
            return self.finish_attempt(now, id, Some(Reason::Shortage), actions);
        }
        // SIGKILL at once: the attempt has not begun to do its work.
        let stopping =
            Stopping { reason: Reason::Shortage, signal: SIGKILL, kill_at: None, live: started, drained };
        self.tasks.set(id, State::Stopping(stopping));
        actions.push(Action::Kill { task: id });
    }

    /// True if something else of prun's will end by itself. What takes no slot does not count, because it may
    /// wait for the task that could not be started; nor does what waits at a full queue.
    fn room_will_come(&self, short: TaskId) -> bool {
        self.tasks.iter().any(|(id, task, state)| {
            let is_over = matches!(state, State::Stopping(_) | State::Draining { .. } | State::Clearing(_));
            let runs = matches!(state, State::Running { live: 1.., .. })
                && self.plan.jobs[task.job].takes_slots()
                && !self.blocked.contains(&id)
                && self.tasks.worker(id).is_none_or(|worker| !worker.given.is_empty() || worker.retired);
            id != short && (is_over || runs)
        })
    }

    /// An attempt that fell short is over. It is not counted, and the task is ready again.
    pub(super) fn requeue_short(&mut self, id: TaskId, actions: &mut Vec<Action>) {
        self.give_back_slot(id);
        self.forget_live(id);
        let task = self.tasks.get_mut(id);
        task.attempts -= 1;
        let previous = task.previous.take();
        actions.push(Action::TakeBack { task: id });
        self.tasks.set(id, State::Ready(previous));
        self.requeue_in_order(id);
    }

    /// Puts the task at the front of its job's ready queue, behind others of lower number.
    fn requeue_in_order(&mut self, id: TaskId) {
        let (job, seq) = self.task(id);
        let ready = &self.jobs.get(job).ready;
        let before = |other: &TaskId| self.tasks.contains(*other) && self.tasks.get(*other).seq < seq;
        let at = ready.iter().take_while(|other| before(other)).count();
        self.jobs.get_mut(job).ready.insert(at, id);
        self.update_startable(job);
    }

    /// The hook of a task fell short. It waits in the task's place.
    pub(super) fn delay_hook(&mut self, now: Time, id: TaskId, outcome: Outcome) {
        let until = self.brakes.congestion.pause(now, true).unwrap_or(now + FIRST_PAUSE);
        self.tasks.set(id, State::Backoff { until, outcome });
    }

    /// Starts the hook again.
    pub(super) fn retry_hook(&mut self, id: TaskId, outcome: Outcome, actions: &mut Vec<Action>) {
        let Role::Hook(Over { at, .. }) = self.tasks.get(id).role else { unreachable!("{id:?} is a hook") };
        self.tasks.set(id, State::Running { live: 1, drained: false, deadline: None });
        actions.push(Action::Hook { task: id, at, outcome });
    }

    /// True if it is a hook that fell short, and waits.
    pub(super) fn is_waiting_hook(&self, id: TaskId) -> bool {
        matches!(self.tasks.get(id).role, Role::Hook(_))
            && matches!(self.tasks.state(id), State::Backoff { .. })
    }

    /// Wakes the supervisor when the limit is raised, if a task waits for that. Call it when everything that
    /// may start has started.
    pub(super) fn wait_for_room(&mut self) {
        if self.slots.is_limited() && !self.startable.slotted.is_empty() && self.mode == Mode::Going {
            let raise_at = self.brakes.congestion.raise_at();
            self.brakes.wake_at(raise_at);
        }
    }
}

/// Returns the warning that people get, once a run.
fn warning(shortage: Shortage) -> String {
    let (what, cure) = match shortage {
        Shortage::Processes => ("no more processes may run (`ulimit -u`, or the limit of a cgroup)", true),
        Shortage::Files => ("prun may not open more files (`ulimit -n`)", true),
        Shortage::SystemFiles => ("the system's table of open files is full", false),
        Shortage::Terminals => ("there are no more terminals (/proc/sys/kernel/pty/max)", true),
        Shortage::Memory => ("there is too little memory to start a process", false),
    };
    let cure = if cure { "raise that limit, or ask for fewer with `-j`" } else { "`-j` asks for fewer" };
    format!("starts wait: {what}; fewer tasks run at once for a while, and none is lost; {cure}")
}
