//! The data that planning each job of a file needs.

use std::collections::BTreeMap;

use super::BuildOptions;
use super::locks::Locks;
use super::pipes::Position;
use super::text::Texts;
use crate::jobfile::{JobFile, Text};
use crate::plan::{JobId, QueueId};

/// The data that planning each job of a file needs.
pub(super) struct Context<'a> {
    pub file: &'a JobFile,
    pub options: &'a BuildOptions,
    pub texts: &'a Texts<'a>,
    /// Ids of the plan's queues, by name.
    pub queues: &'a BTreeMap<&'a str, QueueId>,
    /// For each job of the file whose items a command lists: the queue that they come through.
    pub list_queues: &'a [Option<QueueId>],
    /// For each job of the file that takes the items of another one: that job.
    pub sources: &'a [Option<usize>],
    pub locks: &'a Locks<'a>,
    /// For each job of the file: its position in the plan.
    pub positions: &'a [Position],
    /// For each chain: its id in the plan.
    pub job_ids: &'a [JobId],
    /// True if more than one chain is in the plan.
    pub several: bool,
}

impl Context<'_> {
    /// Returns the id of a queue. For jobs that are not in the plan, and after a mistake, it is any id: they are not run.
    pub fn queue(&self, name: &Text) -> QueueId {
        self.queues.get(name.value.as_str()).copied().unwrap_or(QueueId(0))
    }
}
