//! Named counting semaphores, and what a task finds of those whose permits have names. Pure.

use std::sync::Arc;

use super::template::Held;
use super::{Job, LockId, Plan, What};
pub use crate::jobfile::lock_variable;

/// A named counting semaphore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    pub name: Arc<str>,
    /// At least 1.
    pub permits: usize,
    /// What each permit is called, if they have names; else empty.
    pub values: Vec<String>,
}

/// So many permits of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    pub lock: LockId,
    /// From 1 to all.
    pub permits: usize,
}

/// What the first task of a job would get, if nobody had taken anything before.
pub fn first_held(plan: &Plan, job: &Job) -> Option<Arc<[Held]>> {
    let named = job.locks.iter().filter(|want| !plan.locks[want.lock].values.is_empty());
    let held = named.map(|want| Held::of(&plan.locks[want.lock], 0..want.permits));
    let held: Vec<Held> = held.collect();
    (!held.is_empty()).then(|| held.into())
}

/// Bytes of arguments and environment that are enough for what a task of the job holds, wherever it stands in its
/// command.
pub fn room_for_held(plan: &Plan, job: &Job) -> usize {
    let named = job.locks.iter().map(|want| &plan.locks[want.lock]).filter(|lock| !lock.values.is_empty());
    let room = |lock: &Lock| lock.values.iter().map(|value| 4 * value.len() + 1).sum::<usize>();
    let variables = |lock: &Lock| lock_variable(&lock.name).len() + 2 + size_of::<usize>();
    let places = match &job.stages[0].what {
        What::Command { words, .. } => words.iter().map(|word| word.0.places().count()).sum(),
        What::Script { text, .. } => text.0.places().count(),
    };
    named.map(|lock| room(lock) * (1 + places) + variables(lock)).sum()
}

impl Held {
    /// The permits of these numbers.
    pub fn of(lock: &Lock, numbers: impl IntoIterator<Item = usize>) -> Held {
        let names: Vec<&str> = numbers.into_iter().map(|number| lock.values[number].as_str()).collect();
        Held { lock: Arc::clone(&lock.name), value: names.join(",") }
    }
}
