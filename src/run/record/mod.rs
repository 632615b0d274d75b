//! Records of tasks that have ended: the journal, the log of jobs, the table of results, and the details of failures.
//!
//! [`Record`] owns the room. In comes [`EndedTask`], once for each task; out go operations for the writers, which stand
//! behind the output of the task: a line is written only when the output that it speaks of has been handed on.
//! The room also answers whether a task ended ok in an earlier run, because the [`ledger`] holds the journal's past.
//!
//! The order that matters: a row of the table is the framed output of its task, so [`Record::add_row`] comes before the
//! output is closed; the lines for the logs go behind it.
//!
//! Rejected: writing the journal from the loop when a task ends. The output of the task may still wait for a slow
//! reader then, and a kill in between would leave a task "finished" whose output nobody has.

use std::sync::Arc;

use crate::event::{JobId, Known, Outcome, Time, Usage};
use crate::flow::output::{Op, Outputs};
use crate::plan::{Item, Logs, Plan};
use crate::sched::TaskId;

pub mod cause_of_death;
pub mod detail;
pub mod ledger;
pub mod results_table;

use super::output::sinks::Sinks;
use super::task::Work;
use cause_of_death::OutOfMemory;
use ledger::Ledger;
use results_table::ResultsTable;

/// An ended task, as logs and tables tell of it.
pub struct EndedTask<'a> {
    pub work: &'a Work,
    pub outcome: &'a Outcome,
    pub attempts: u32,
    pub slot: usize,
    pub started: Time,
    pub elapsed: Time,
    pub usage: Option<Usage>,
    /// Bytes that it wrote to stdout, as far as they came through prun.
    pub received: u64,
}

/// Whether logs and tables are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Write,
    /// A dry run: the journal is read, and nothing is created or changed.
    ReadOnly,
}

/// The logs and the table of a run, and what is needed to explain failures.
#[derive(Default)]
pub struct Record {
    ledger: Option<Ledger>,
    table: Option<ResultsTable>,
    pub out_of_memory: OutOfMemory,
}

impl Record {
    /// Opens what the plan asks for. Also returns warnings for people.
    ///
    /// # Errors
    /// When a file can't be opened, or another run uses it. For people.
    pub fn open(
        plan: &Arc<Plan>,
        run_id: &str,
        access: Access,
        sinks: &mut Sinks,
    ) -> Result<(Record, Vec<String>), String> {
        let (mut record, mut warnings) = (Record::default(), Vec::new());
        if plan.logs != Logs::default() {
            let (ledger, told) = Ledger::open(plan, run_id, access, sinks)?;
            record.ledger = Some(ledger);
            warnings.extend(told);
        }
        if let Some(table) = plan.logs.table.as_ref().filter(|_| access == Access::Write) {
            let (table, told) = ResultsTable::open(table, sinks)?;
            record.table = Some(table);
            warnings.extend(told);
        }
        Ok((record, warnings))
    }

    /// Returns the ledger, which items are looked up in while they are read.
    pub fn ledger(&mut self) -> Option<&mut Ledger> {
        self.ledger.as_mut()
    }

    /// Returns the table, whose columns tasks write to.
    pub fn table(&self) -> Option<&ResultsTable> {
        self.table.as_ref()
    }

    /// Returns the names by which the journal knows the task of these items. To be asked once for each, in order.
    pub fn identify(&mut self, job: JobId, items: &[Item], names: &[String]) -> Vec<Known> {
        self.ledger.as_mut().map_or_else(Vec::new, |ledger| ledger.identify(job, items, names))
    }

    /// True if the task ended ok in an earlier run, and is not to run again.
    pub fn is_done(&mut self, job: JobId, known: &[Known]) -> bool {
        self.ledger.as_mut().is_some_and(|ledger| ledger.is_done(job, known))
    }

    /// Returns the lines for the logs, to follow what the task wrote.
    pub fn lines(&self, ended: &EndedTask) -> Vec<Op> {
        self.ledger.as_ref().map_or_else(Vec::new, |ledger| ledger.lines(ended))
    }

    /// Makes the output of an ended task its row of the table, if its job has rows.
    pub fn add_row(&mut self, plan: &Plan, task: TaskId, ended: &EndedTask, outputs: &mut Outputs) {
        if let Some(table) = &mut self.table {
            table.add_row(plan, task, ended, outputs);
        }
    }

    /// Returns a warning if tasks were left out that somebody may wait for.
    pub fn left_out(&self) -> Option<String> {
        let count = self.ledger.as_ref().map_or(0, Ledger::left_out);
        let (tasks, them) = if count == 1 { ("task is", "it") } else { ("tasks are", "them") };
        (count > 0).then(|| {
            format!(
                "{count} {tasks} not in the journal and had no turn: `--retry-failed` runs failures only, \
                 `--resume` would run {them}"
            )
        })
    }
}
