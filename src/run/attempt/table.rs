//! The attempts that live, by the place of their task, and their processes by pid.

use std::collections::HashMap;

use nix::unistd::Pid;

use super::Attempt;
use crate::event::{PlaceMap, StageId};
use crate::sched::TaskId;

/// The role of a process in its attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessRole {
    /// Runs this stage of the job, or a hook.
    Stage(StageId),
    /// Checks whether the attempt is ready.
    Probe,
}

/// Attempts, workers and hooks that have processes here.
#[derive(Default)]
pub struct Attempts {
    by_place: PlaceMap<Attempt>,
    by_pid: HashMap<Pid, (TaskId, ProcessRole)>,
}

impl Attempts {
    pub fn get(&self, id: TaskId) -> Option<&Attempt> {
        self.by_place.get(id.place).filter(|attempt| attempt.id == id)
    }

    pub fn get_mut(&mut self, id: TaskId) -> Option<&mut Attempt> {
        self.by_place.get_mut(id.place).filter(|attempt| attempt.id == id)
    }

    pub fn insert(&mut self, attempt: Attempt) {
        self.by_place.insert(attempt.id.place, attempt);
    }

    /// Takes an attempt out of the table. Its processes stay known by their pids.
    pub fn take(&mut self, id: TaskId) -> Option<Attempt> {
        self.get(id)?;
        self.by_place.take(id.place)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Attempt> {
        self.by_place.iter()
    }

    // ---- processes -----------------------------------------------------------------------------------------

    /// Notes whose process a new child is.
    pub fn note_process(&mut self, pid: Pid, task: TaskId, role: ProcessRole) {
        self.by_pid.insert(pid, (task, role));
    }

    /// Returns whose process it is.
    pub fn process(&self, pid: Pid) -> Option<(TaskId, ProcessRole)> {
        self.by_pid.get(&pid).copied()
    }

    /// Forgets a process, which is about to be reaped or is given up. Returns whose it was.
    pub fn forget_process(&mut self, pid: Pid) -> Option<(TaskId, ProcessRole)> {
        self.by_pid.remove(&pid)
    }

    /// True if prun started the process itself, and has not reaped it.
    pub fn is_own(&self, pid: Pid) -> bool {
        self.by_pid.contains_key(&pid)
    }

    /// Returns the number of processes that were not reaped.
    pub fn process_count(&self) -> usize {
        self.by_pid.len()
    }
}
