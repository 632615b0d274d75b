//! Tasks over several runs: those that need not run are passed over, and those that end are told to the logs.

use crate::event::{JobId, Known, Outcome, RunEvent};
use crate::flow::output::Op;
use crate::plan::{Item, Logs};
use crate::run::Run;
use crate::run::attempt::{Active, Work};
use crate::run::record::ledger::{Ledger, Told};
use crate::sched::TaskId;

impl Run {
    /// Opens the plan's logs; returns what people should know.
    pub(in crate::run) fn open_logs(&mut self) -> Result<Vec<String>, String> {
        if self.plan.logs == Logs::default() {
            return Ok(Vec::new());
        }
        let (ledger, warnings) =
            Ledger::open(&self.plan, &self.run_id, self.options.dry_run, &mut self.sinks)?;
        self.ledger = Some(ledger);
        Ok(warnings)
    }

    /// What the journal knows the task of these items by.
    pub(in crate::run) fn know(&mut self, job: JobId, items: &[Item], names: &[String]) -> Vec<Known> {
        self.ledger.as_mut().map_or_else(Vec::new, |ledger| ledger.know(job, items, names))
    }

    /// Whether it ended ok in an earlier run, and is not run again.
    pub(in crate::run) fn is_done(&mut self, job: JobId, known: &[Known]) -> bool {
        self.ledger.as_mut().is_some_and(|ledger| ledger.is_done(job, known))
    }

    /// Instead of a task: it counts as ok. `seq`: its number, if that of another job's task is its own. Says whether
    /// the job still wants items.
    pub(in crate::run) fn pass_over(&mut self, work: Work, seq: Option<u64>) -> bool {
        let number = match seq {
            Some(seq) => self.supervisor.known_item_as(work.job, seq),
            None => self.supervisor.known_item(work.job),
        };
        let Some(seq) = number else { return false };
        if self.plan.jobs[work.job].keep_order {
            self.outputs.ended((work.job, seq), Vec::new());
        }
        let work = Work { seq, ..work };
        self.pass_on(&work, &Outcome::Ok);
        self.sources.give_back(work.items);
        true
    }

    /// Says how many were passed over.
    pub(in crate::run) fn tell_passed(&mut self, job: JobId, count: u64) {
        if count > 0 {
            self.tell(&RunEvent::TasksBefore { job, count });
        }
    }

    /// What was left out may be what somebody waits for.
    pub(in crate::run) fn warn_of_left_out(&mut self) {
        let count = self.ledger.as_ref().map_or(0, Ledger::left_out);
        if count > 0 {
            let (tasks, them) = if count == 1 { ("task is", "it") } else { ("tasks are", "them") };
            let why = format!(
                "{count} {tasks} not in the journal and had no turn: `--retry-failed` runs failures only, \
                 `--resume` would run {them}"
            );
            self.tell(&RunEvent::Warning(why));
        }
    }

    /// What the logs are told of an ended task.
    pub(in crate::run) fn lines_of(&self, told: &Told) -> Vec<Op> {
        self.ledger.as_ref().map_or_else(Vec::new, |ledger| ledger.lines(told))
    }

    /// An ended task, as logs tell it.
    pub(in crate::run) fn told<'a>(
        &self,
        task: TaskId,
        work: &'a Work,
        active: Option<&Active>,
        outcome: &'a Outcome,
        attempts: u32,
    ) -> Told<'a> {
        let with_worker = self.plan.jobs[work.job].worker.is_some();
        let given = self.workers.given(task).filter(|_| with_worker);
        let worker = given.and_then(|given| self.local.get(given.worker));
        // The hook of a task is not the task.
        let hooked = active.and_then(|active| active.hook.as_ref());
        let started = match (active, given) {
            (Some(active), _) => hooked.map_or(active.started, |hooked| hooked.started),
            (None, Some(given)) => given.at,
            (None, None) => self.now,
        };
        let elapsed = self.now.saturating_sub(started);
        Told {
            work,
            outcome,
            attempts: attempts.max(1),
            slot: active.or(worker).map_or(0, |active| active.slot),
            started,
            elapsed: hooked.map_or(elapsed, |hooked| hooked.detail.elapsed),
            usage: hooked.map_or(active.and_then(Active::usage), |hooked| hooked.detail.usage),
            received: active.map_or(0, |active| active.received),
        }
    }
}
