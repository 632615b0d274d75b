//! Active tasks and workers: their states, and the one function that changes them. Pure.

use std::collections::{BTreeSet, VecDeque};
use std::num::NonZeroU32;

use super::JobId;
use super::stop::{Reason, Stopping};
use crate::event::{Exit, Outcome, Place, Time};
use crate::plan::AtEnd;

/// Names an active task, or a worker. The place is used again, the generation never is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    pub place: Place,
    pub generation: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Waits for a slot; with the outcome of the attempt before, if there was one.
    Ready(Option<Outcome>),
    /// Given to a worker, and not answered. What happens to the worker decides.
    Given {
        worker: TaskId,
        /// The outcome of the attempt before.
        previous: Option<Outcome>,
    },
    Running {
        /// Processes that have not exited.
        live: usize,
        /// Its output is at its end.
        drained: bool,
        deadline: Option<Time>,
    },
    Stopping(Stopping),
    /// Its processes have exited, its output is not at its end.
    Draining {
        until: Time,
        /// Why it was stopped, if it was.
        reason: Option<Reason>,
    },
    /// Failed, and will be tried again.
    Backoff {
        until: Time,
        outcome: Outcome,
    },
}

impl State {
    /// When something has to be done about it even if nothing happens.
    fn due(&self) -> Option<Time> {
        match self {
            State::Ready(_) | State::Given { .. } => None,
            State::Running { deadline, .. } => *deadline,
            State::Stopping(stopping) => stopping.kill_at,
            State::Draining { until, .. } | State::Backoff { until, .. } => Some(*until),
        }
    }
}

#[derive(Debug)]
pub struct Task {
    pub job: JobId,
    /// Number within the job, from 1; workers are counted by themselves.
    pub seq: u64,
    /// Attempts that have begun, and count.
    pub attempts: u32,
    /// When that began.
    pub started: Time,
    /// The outcome of the attempt before.
    pub previous: Option<Outcome>,
    /// Since when it can't be started, and nothing that runs will make room.
    pub short_since: Option<Time>,
    /// Held from its start to its end, and not between attempts. Never by a task that a worker answers.
    pub slot: Option<Slot>,
    /// Of the current attempt, one for each stage.
    pub exits: Vec<Option<Exit>>,
    pub role: Role,
    pub up: Up,
    /// Attempts since one lasted long.
    pub streak: u32,
    state: State,
}

/// Whether it was seen to be up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Up {
    Never,
    /// In an attempt before this one.
    Before,
    /// In this one.
    Now,
}

/// Places in pools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// In the run's pool.
    pub run: Option<usize>,
    /// So many of these it takes; 0 without one.
    pub width: usize,
    /// In the job's own, if it has one.
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
    /// What `{%}` is.
    pub fn number(self) -> usize {
        self.own.or(self.run).unwrap_or(1)
    }
}

/// What the processes are.
#[derive(Debug)]
pub enum Role {
    /// An attempt of the task.
    Attempt,
    /// The same, but nobody needs it any more: however it ends is no failure.
    Dismissed,
    /// A hook of the task, whose last attempt has ended.
    Hook(Over),
    /// No task, but a process that takes tasks.
    Worker(WorkerState),
}

/// A task that is over, but for its hooks.
#[derive(Debug, Clone, PartialEq)]
pub struct Over {
    /// How it ended by itself, which is what its hooks are told.
    pub by_itself: Outcome,
    /// How it ends: one of them may have failed.
    pub outcome: Outcome,
    /// The one that runs, or waits for its start.
    pub at: AtEnd,
}

/// What a worker has to do.
#[derive(Debug, Default)]
pub struct WorkerState {
    /// Given and not answered, oldest first.
    pub given: VecDeque<TaskId>,
    /// Since when the oldest is the oldest.
    pub oldest_since: Time,
    /// Tasks that it was given in all, less what it never answered.
    pub given_in_all: u64,
    pub answers: u64,
    /// It gets no more: the end of its input was sent.
    pub retired: bool,
    /// It gets no more than it has: the run's pool has become smaller.
    pub surplus: bool,
}

/// A slab: places are used again, so that run's per-task data can live in a `Vec` beside it.
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

    /// The one place where a state changes; keeps the timers in step.
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

    /// Tasks that exist: waiting, running, or between attempts.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn due(&self) -> Option<Time> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// A task whose time has come.
    pub fn overdue(&self, now: Time) -> Option<TaskId> {
        self.timers.first().filter(|(at, _)| *at <= now).map(|(_, id)| *id)
    }

    /// All active tasks, oldest place first.
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

    /// The one whose processes run, if there is just one such.
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
