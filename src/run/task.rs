//! The ground of `run`: what a task works on, and how tasks are called. Every room may use it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::block::TaskBlock;
use crate::event::{JobId, Known, StartFailure, TaskName};
use crate::flow::output::Policy;
use crate::plan::template::{LockValue, Scope, Template};
use crate::plan::{Item, Items, Job, Output, OutputMode};

/// Bytes of an item that are shown to people, at most.
const ITEM_SHOWN: usize = 60;

/// The work of a task. It stays the same over all attempts, but for `held`.
#[derive(Debug, Clone)]
pub struct Work {
    pub job: JobId,
    /// Number within the job, from 1; 0 for a worker, which is no task.
    pub seq: u64,
    /// Shared by all who tell of the task or pass its items on: an item may be long.
    pub items: Rc<Vec<Item>>,
    /// The names of the columns of the items.
    pub names: Arc<[String]>,
    /// The block that the task reads, in place of an item.
    pub block: Option<TaskBlock>,
    /// The names by which the journal knows the task; empty without a journal.
    pub known: Vec<Known>,
    /// The values that the attempt, or its worker, holds of locks with named permits.
    pub held: Option<Arc<[LockValue]>>,
    /// True once an attempt has opened files of the task.
    pub has_files: bool,
    /// FIFOs that earlier attempts wrote to, kept open for the next one.
    pub fifos: Vec<Arc<File>>,
}

impl Work {
    /// Returns work without an item.
    pub fn of(job: JobId, seq: u64) -> Work {
        Work { seq, ..Work::on(job, Rc::default(), Arc::default()) }
    }

    /// Returns work on items, which has no number yet.
    pub fn on(job: JobId, items: Rc<Vec<Item>>, names: Arc<[String]>) -> Work {
        Work {
            job,
            seq: 0,
            items,
            names,
            block: None,
            known: Vec::new(),
            held: None,
            has_files: false,
            fifos: Vec::new(),
        }
    }

    /// Returns the values that the job's templates are filled with.
    pub fn scope(&self, slot: usize) -> Scope<'_> {
        let lock_values = self.held.as_deref().unwrap_or_default();
        Scope { items: &self.items, names: &self.names, seq: self.seq, slot, lock_values }
    }

    /// Returns why the task can't start, if one of its items is too long.
    pub fn refusal(&self) -> Option<StartFailure> {
        let oversize = self.items.iter().find_map(|item| item.oversize.as_deref())?;
        Some(StartFailure { code: 126, why: oversize.to_string() })
    }

    /// Returns the task's name in events.
    pub fn task_name(&self) -> TaskName {
        TaskName { job: self.job, seq: self.seq }
    }
}

/// Returns the task's name for people: `build`, or `fetch[3]` for one of many.
pub fn task_name(job: &Job, seq: u64) -> String {
    match job.items {
        Items::None => job.name.to_string(),
        _ => format!("{}[{seq}]", job.name),
    }
}

/// Returns the item of a task for people: cut short, and made text whatever bytes it holds.
pub fn short_item(items: &[Item]) -> Arc<str> {
    let Some(first) = items.first() else { return "".into() };
    let mut bytes = Vec::new();
    for (at, column) in first.columns.iter().enumerate() {
        if at > 0 {
            bytes.push(b' ');
        }
        bytes.extend_from_slice(&column[..column.len().min(ITEM_SHOWN)]);
        if bytes.len() >= ITEM_SHOWN {
            break;
        }
    }
    bytes.truncate(ITEM_SHOWN);
    String::from_utf8_lossy(&bytes).into()
}

/// Returns a path of a job, which is relative to the folder of the job file.
pub fn path_of(path: &Template, base: &Path, scope: &Scope) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    base.join(PathBuf::from(std::ffi::OsString::from_vec(path.rendered(scope))))
}

/// True if the output of the job's tasks is the columns of a table.
pub fn in_table(job: &Job) -> bool {
    job.stages.iter().any(|stage| matches!(stage.stdout, Output::Table))
}

/// Returns the policy by which the output of a task is shown.
pub fn policy(job: &Job, last_attempt: bool) -> Policy {
    match (job.output, last_attempt) {
        // A row needs the whole output.
        _ if in_table(job) => Policy::HoldStrictly,
        (OutputMode::Group, true) => Policy::Hold,
        (OutputMode::Group, false) => Policy::HoldStrictly,
        (OutputMode::Line | OutputMode::Raw, _) => Policy::Flow,
    }
}
