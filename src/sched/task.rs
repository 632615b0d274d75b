//! Active tasks and workers: their states, and the one function that changes them. Pure.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::num::NonZeroU32;

use super::JobId;
use super::stop::{Reason, Stopping};
use crate::event::{Exit, Outcome, Place, Time};
use crate::plan::HookOn;

/// The id of an active task, of a worker, or of a hook of the run. The place is used again; the generation
/// never is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    pub place: Place,
    pub generation: u32,
}

/// Shown as `place.generation`, so that a trace can be read.
impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}.{}", self.place.0, self.generation)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Waits for a slot. Holds the outcome of the previous attempt, if there was one.
    Ready(Option<Outcome>),
    /// Given to a worker, and not answered. It has no process of its own: the worker's end decides what
    /// becomes of it.
    Given {
        worker: TaskId,
        /// The outcome of the previous attempt, if there was one.
        previous: Option<Outcome>,
    },
    Running {
        /// Processes that have not exited.
        live: usize,
        /// True if the output is at its end.
        drained: bool,
        deadline: Option<Time>,
    },
    Stopping(Stopping),
    /// The processes have exited, and the output is not at its end.
    Draining {
        until: Time,
        /// Why the task was stopped, if it was.
        reason: Option<Reason>,
    },
    /// The attempt is over and another follows; what it left in its process group is being stopped.
    Clearing(Clearing),
    /// The attempt failed, and another follows after a delay.
    Backoff {
        until: Time,
        outcome: Outcome,
    },
}

/// An attempt, or a worker, whose leftovers are being stopped before another follows.
#[derive(Debug, Clone, PartialEq)]
pub struct Clearing {
    pub next: Next,
    /// When SIGKILL follows; `None` if it was sent.
    pub kill_at: Option<Time>,
}

/// The step that follows when the leftovers are gone.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Another attempt, after a delay that counts from `ended`.
    Attempt { outcome: Outcome, ended: Time },
    /// The worker is replaced.
    Worker,
}

impl State {
    /// Returns when something is due for the task without any event.
    fn due(&self) -> Option<Time> {
        match self {
            State::Ready(_) | State::Given { .. } => None,
            State::Running { deadline, .. } => *deadline,
            State::Stopping(stopping) => stopping.kill_at,
            State::Clearing(clearing) => clearing.kill_at,
            State::Draining { until, .. } | State::Backoff { until, .. } => Some(*until),
        }
    }
}

/// An active task, a worker, or a hook of the run. It has thirteen fields because all attempts of a task share
/// it: some belong to the task, some to its current attempt.
#[derive(Debug)]
pub struct Task {
    pub job: JobId,
    /// The number within the job, from 1. Workers are counted separately.
    pub seq: u64,
    /// Attempts that have begun and count: the number of the current one, or of the last.
    pub attempts: u32,
    /// When the current attempt began.
    pub started: Time,
    /// The outcome of the attempt before the current one.
    pub previous: Option<Outcome>,
    /// Since when the task cannot be started for lack of a resource that nothing running will free.
    pub short_since: Option<Time>,
    /// The slot, held from the start of an attempt to its end, and not between attempts. A task that is given
    /// to a worker has none.
    pub slot: Option<Slot>,
    /// How the processes of the current attempt exited, one entry for each stage; `None`: it runs.
    pub exits: Vec<Option<Exit>>,
    pub role: Role,
    pub up: Up,
    /// Failed attempts in a row since one that lasted long; sets the delay of a job that restarts.
    pub streak: u32,
    state: State,
}

/// Tells when the task was seen to be up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Up {
    Never,
    /// In an earlier attempt.
    Before,
    /// In the current attempt, which goes on.
    Now,
    /// In the current attempt, which has exited or is being stopped.
    Over,
}

impl Up {
    /// True if the current attempt was seen to be up.
    pub fn in_this_attempt(self) -> bool {
        matches!(self, Up::Now | Up::Over)
    }
}

/// The numbers that a task takes from pools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// From the run's pool; `None` if the job takes no slot of it.
    pub run: Option<usize>,
    /// How many slots of the run's pool it takes; 0 without one.
    pub width: usize,
    /// From the job's own pool, if it has one.
    pub own: Option<usize>,
}

impl Task {
    /// Counts an attempt that begins. Returns its number, from 1.
    pub fn count_attempt(&mut self) -> NonZeroU32 {
        let number = NonZeroU32::MIN.saturating_add(self.attempts);
        self.attempts = number.get();
        number
    }
}

impl Slot {
    /// Returns the number that `{%}` stands for.
    pub fn number(self) -> usize {
        self.own.or(self.run).unwrap_or(1)
    }
}

/// The purpose of an entry's processes.
#[derive(Debug)]
pub enum Role {
    /// An attempt of the task.
    Attempt,
    /// An attempt of a task that is not needed any more: a daemon that has read all its input, or a lister
    /// whose items nobody takes. However it ends is no failure.
    Dismissed,
    /// A hook of a task whose last attempt has ended.
    Hook(Over),
    /// A worker: a process that takes tasks one after another. It is no task itself.
    Worker(WorkerState),
}

/// A task whose last attempt has ended, and whose hooks run.
#[derive(Debug, Clone, PartialEq)]
pub struct Over {
    /// How the task ended by itself. Its hooks are told this.
    pub by_itself: Outcome,
    /// How the task ends. Differs from `by_itself` if a hook failed.
    pub outcome: Outcome,
    /// The hook that runs, or waits for its start.
    pub at: HookOn,
}

/// State of a worker: the tasks that it was given, and whether it gets more.
#[derive(Debug, Default)]
pub struct WorkerState {
    /// Tasks that were given and not answered, oldest first.
    pub given: VecDeque<TaskId>,
    /// Since when the oldest of them is the oldest.
    pub oldest_since: Time,
    /// Tasks that were given in all, without those that it turned out not to have got.
    pub given_in_all: u64,
    pub answers: u64,
    /// True if it gets no more tasks: the end of its input was sent.
    pub retired: bool,
    /// True if it gets no more than it has, because the run's pool has become smaller.
    pub surplus: bool,
}

/// All active tasks, workers and hooks of the run. It is a slab: places are used again, so that other tables
/// by place ([`PlaceMap`](crate::event::PlaceMap)) stay small.
#[derive(Debug, Default)]
pub struct Tasks {
    places: Vec<(u32, Option<Task>)>,
    free: Vec<Place>,
    timers: BTreeSet<(Time, TaskId)>,
    len: usize,
}

impl Tasks {
    pub fn add(&mut self, job: JobId, seq: u64, role: Role) -> TaskId {
        let state = State::Ready(None);
        let task = Task {
            job,
            seq,
            attempts: 0,
            started: Time::ZERO,
            previous: None,
            short_since: None,
            slot: None,
            exits: Vec::new(),
            role,
            up: Up::Never,
            streak: 0,
            state,
        };
        self.len += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, None));
            Place((self.places.len() - 1) as u32)
        });
        let (generation, slot) = &mut self.places[place.index()];
        *generation += 1;
        *slot = Some(task);
        TaskId { place, generation: *generation }
    }

    pub fn contains(&self, id: TaskId) -> bool {
        matches!(self.places.get(id.place.index()), Some((generation, Some(_))) if *generation == id.generation)
    }

    pub fn get(&self, id: TaskId) -> &Task {
        match &self.places[id.place.index()] {
            (generation, Some(task)) if *generation == id.generation => task,
            _ => unreachable!("{id:?} is not active"),
        }
    }

    pub fn get_mut(&mut self, id: TaskId) -> &mut Task {
        match &mut self.places[id.place.index()] {
            (generation, Some(task)) if *generation == id.generation => task,
            _ => unreachable!("{id:?} is not active"),
        }
    }

    pub fn state(&self, id: TaskId) -> &State {
        &self.get(id).state
    }

    /// Sets the state, and keeps the timers in step. Nothing else changes a state.
    pub fn set(&mut self, id: TaskId, state: State) {
        let due = state.due();
        let old = std::mem::replace(&mut self.get_mut(id).state, state);
        let was_due = old.due();
        if was_due != due {
            was_due.map(|at| self.timers.remove(&(at, id)));
            due.map(|at| self.timers.insert((at, id)));
        }
    }

    pub fn remove(&mut self, id: TaskId) -> Task {
        if let Some(at) = self.state(id).due() {
            self.timers.remove(&(at, id));
        }
        self.len -= 1;
        self.free.push(id.place);
        match self.places[id.place.index()].1.take() {
            Some(task) => task,
            None => unreachable!("{id:?} is not active"),
        }
    }

    /// Returns how many there are: waiting, running, or between attempts.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn due(&self) -> Option<Time> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Returns a task for which something was due by `now`.
    pub fn overdue(&self, now: Time) -> Option<TaskId> {
        self.timers.first().filter(|(at, _)| *at <= now).map(|(_, id)| *id)
    }

    /// Returns the ids of all, in the order of their places.
    pub fn ids(&self) -> Vec<TaskId> {
        self.iter().map(|(id, ..)| id).collect()
    }

    pub fn iter(&self) -> impl Iterator<Item = (TaskId, &Task, &State)> {
        self.places.iter().enumerate().filter_map(|(place, (generation, task))| {
            let id = TaskId { place: Place(place as u32), generation: *generation };
            task.as_ref().map(|task| (id, task, &task.state))
        })
    }

    pub fn any_running(&self) -> bool {
        self.iter().any(|(.., state)| matches!(state, State::Running { .. }))
    }

    /// Returns the task whose processes run, if it is the only one.
    pub fn only_running(&self) -> Option<TaskId> {
        let mut running = self.iter().filter(|(.., state)| matches!(state, State::Running { .. }));
        let (first, ..) = running.next()?;
        running.next().is_none().then_some(first)
    }

    pub fn worker(&self, worker: TaskId) -> Option<&WorkerState> {
        match &self.get(worker).role {
            Role::Worker(state) => Some(state),
            _ => None,
        }
    }

    pub fn worker_mut(&mut self, worker: TaskId) -> Option<&mut WorkerState> {
        match &mut self.get_mut(worker).role {
            Role::Worker(state) => Some(state),
            _ => None,
        }
    }
}
