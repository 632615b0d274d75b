//! Locks (named counting semaphores), and the names of permits that a task is told. Pure.

use std::sync::Arc;

use super::template::LockValue;
use super::{Job, LockId, Plan};
pub use crate::jobfile::lock_variable;

/// A named counting semaphore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    pub name: Arc<str>,
    /// At least 1.
    pub permits: usize,
    /// The names of the permits; empty if they have none.
    pub values: Vec<String>,
}

/// The permits of one lock that each task of a job takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockRequest {
    pub lock: LockId,
    /// From 1 to all permits of the lock.
    pub permits: usize,
}

/// Returns the names of the permits that the first task of a job would hold if no permit was taken.
pub fn first_lock_values(plan: &Plan, job: &Job) -> Option<Arc<[LockValue]>> {
    let named = job.locks.iter().filter(|request| !plan.locks[request.lock].values.is_empty());
    let values = named.map(|request| LockValue::new(&plan.locks[request.lock], 0..request.permits));
    let values: Vec<LockValue> = values.collect();
    (!values.is_empty()).then(|| values.into())
}

/// Returns an upper bound of the bytes that the names of a task's permits take in its arguments and environment.
pub fn room_for_lock_values(plan: &Plan, job: &Job) -> usize {
    let named =
        job.locks.iter().map(|request| &plan.locks[request.lock]).filter(|lock| !lock.values.is_empty());
    let room = |lock: &Lock| lock.values.iter().map(|value| 4 * value.len() + 1).sum::<usize>();
    let variables = |lock: &Lock| lock_variable(&lock.name).len() + 2 + size_of::<usize>();
    let placeholders: usize =
        job.stages[0].command.templates().map(|template| template.placeholders().count()).sum();
    named.map(|lock| room(lock) * (1 + placeholders) + variables(lock)).sum()
}

impl LockValue {
    /// Returns the names of the permits with these numbers.
    pub fn new(lock: &Lock, numbers: impl IntoIterator<Item = usize>) -> LockValue {
        let names: Vec<&str> = numbers.into_iter().map(|number| lock.values[number].as_str()).collect();
        LockValue { lock: Arc::clone(&lock.name), value: names.join(",") }
    }
}
