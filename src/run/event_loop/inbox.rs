//! Events that have happened and are not handled yet.

use std::collections::VecDeque;

use crate::run::backend::Started;
use crate::sched::{Event, TaskId};

/// Events in the order in which they were noticed, and notes of this turn.
#[derive(Default)]
pub struct Inbox {
    pub events: VecDeque<Event>,
    /// Warnings of the backend that are not told yet.
    pub warnings: Vec<String>,
    /// Attempts whose files are open at last, and what has come of them.
    pub launched: Vec<(TaskId, Started)>,
    /// The task whose output flows because it is the only one. It may still wait for its files.
    pub live: Option<TaskId>,
    /// Attempts that started since the kernel was asked.
    pub starts: usize,
    /// Workers answered in this turn, and are about to get more.
    pub answered: bool,
    /// The first signal to stop that arrived since the loop began to pump for its present goal.
    pub stop_signal: Option<i32>,
}

impl Inbox {
    pub fn push(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// Drops what is queued of an attempt that is over: the next attempt of the task, or its hook, has the same id.
    pub fn forget_attempt(&mut self, task: TaskId) {
        self.events.retain(|event| {
            !matches!(event, Event::Drained(of) | Event::GroupGone(of) | Event::Up(of) if *of == task)
        });
    }
}
