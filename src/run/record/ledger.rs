//! The journal and the log of jobs: lines for tasks that have ended, and the tasks that ended ok in an earlier run and
//! need not run again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::event::{JobId, Known, Outcome};
use crate::flow::output::{Log, Op};
use crate::journal::{self, Entry, Past};
use crate::plan::identity::Identity;
use crate::plan::{Batch, Item, Items, Job, Output, Plan, Resume, Stdin};
use crate::run::output::sinks::Sinks;
use crate::run::record::{Access, EndedTask};
use crate::run::task::short_item;
use crate::run::words;

/// The logs of a run, and the past that the journal holds.
pub struct Ledger {
    plan: Arc<Plan>,
    /// For each job whose tasks are known over several runs: how they are identified. Empty without a journal.
    identities: Vec<Option<Identity>>,
    /// The number of equal tasks so far, by half a key. That is enough: two tasks that share a half by chance would only
    /// be counted together.
    counts: HashMap<u64, u32>,
    past: Past,
    /// For each job: it runs again although the journal knows its tasks, because its records in queues are gone.
    runs_again: Vec<bool>,
    /// The number of tasks that are left out although they never ended ok.
    left_out: u64,
    /// True if there is a journal.
    journal: bool,
    /// True if there is a log of jobs.
    joblog: bool,
    run_id: String,
    /// When the run began, since 1970.
    began: Duration,
}

impl Ledger {
    /// Opens the plan's logs. Their lines come behind the output by way of `sinks`. Also returns warnings for people.
    ///
    /// # Errors
    /// When a log can't be opened, or is used by another run.
    pub fn open(
        plan: &Arc<Plan>,
        run_id: &str,
        access: Access,
        sinks: &mut Sinks,
    ) -> Result<(Ledger, Vec<String>), String> {
        let logs = &plan.logs;
        let mut ledger = Ledger {
            plan: Arc::clone(plan),
            identities: Vec::new(),
            counts: HashMap::new(),
            past: Past::default(),
            runs_again: vec![false; plan.jobs.len()],
            left_out: 0,
            journal: logs.journal.is_some(),
            joblog: logs.joblog.is_some(),
            run_id: run_id.to_owned(),
            began: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        };
        let mut warnings = Vec::new();
        if let Some(asked) = &logs.journal {
            let identity = |job: &Job| (!job.is_daemon()).then(|| Identity::new(job));
            ledger.identities = plan.jobs.iter().map(identity).collect();
            if access == Access::ReadOnly {
                (ledger.past, warnings) = journal::read(&asked.path)?;
            } else {
                let journal;
                (journal, ledger.past, warnings) = journal::open(&asked.path, asked.sync)?;
                sinks.open_log(Log::Journal, Box::new(journal));
            }
            if asked.resume == Resume::No {
                ledger.past = Past::default();
            }
            ledger.runs_again = ledger.streams_that_run_again();
        }
        if let Some(asked) = logs.joblog.as_ref().filter(|_| access == Access::Write) {
            let joblog = journal::joblog::open(&asked.path, asked.append)?;
            sinks.open_log(Log::Joblog, Box::new(joblog));
        }
        Ok((ledger, warnings))
    }

    /// Returns the names by which the journal knows the task of these items. Call it once for each task, in order: equal
    /// tasks are told apart by their count.
    pub fn identify(&mut self, job: JobId, items: &[Item], names: &[String]) -> Vec<Known> {
        let Some(Some(identity)) = self.identities.get_mut(job.index()) else { return Vec::new() };
        let key = identity.key(items, names);
        let nth = self.counts.entry(key.0 as u64).or_default();
        *nth += 1;
        vec![Known { key, nth: *nth }]
    }

    /// True if the task need not run. Call it once for each task, because tasks that are left out are counted.
    pub fn is_done(&mut self, job: JobId, known: &[Known]) -> bool {
        let resume = self.plan.logs.journal.as_ref().map(|journal| journal.resume).unwrap_or_default();
        let finished = known.iter().all(|known| self.past.finished(*known));
        let done = !known.is_empty()
            && !self.runs_again[job]
            && match resume {
                Resume::No => false,
                Resume::Finished => finished,
                Resume::AllButFailed => known.iter().all(|known| !self.past.failed(*known)),
            };
        self.left_out += u64::from(done && !finished);
        done
    }

    /// Returns how many tasks are left out although they never ended ok, because only failures run again.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Returns the lines for the logs, to follow the output of the task.
    pub fn lines(&self, ended: &EndedTask) -> Vec<Op> {
        let finished = !matches!(ended.outcome, Outcome::Cancelled | Outcome::Skipped);
        let journal = self.journal && finished && !ended.work.known.is_empty();
        let joblog = self.joblog && *ended.outcome != Outcome::Skipped;
        if !journal && !joblog {
            return Vec::new();
        }
        let job = &self.plan.jobs[ended.work.job];
        let entry = Entry {
            tasks: ended.work.known.clone(),
            job: job.name.to_string(),
            seq: ended.work.seq,
            item: short_item(&ended.work.items).to_string(),
            command: words::command(job, ended.work, ended.slot),
            outcome: ended.outcome.clone(),
            attempts: ended.attempts,
            started: self.began + ended.started,
            elapsed: ended.elapsed,
            usage: ended.usage,
            received: ended.received,
            run: self.run_id.clone(),
        };
        let mut ops = Vec::new();
        if journal {
            let mut bytes = Vec::new();
            entry.line(&mut bytes);
            ops.push(Op::Log { log: Log::Journal, bytes });
        }
        if joblog {
            let mut bytes = Vec::new();
            journal::joblog::line(&entry, &mut bytes);
            ops.push(Op::Log { log: Log::Joblog, bytes });
        }
        ops
    }

    /// Returns for each job whether it runs again although its tasks are known. A stream of records from a writer to a
    /// reader can't be had again in part: jobs that are joined by streams all run again, unless each of them had
    /// finished. Tasks of single records (`each.queue`) are known themselves, and their records are written again.
    fn streams_that_run_again(&mut self) -> Vec<bool> {
        let plan = Arc::clone(&self.plan);
        let mut group: Vec<JobId> = plan.job_ids().collect();
        for queue in &plan.queues {
            let joined: Vec<JobId> = queue.writers.iter().chain(&queue.readers).copied().collect();
            for pair in joined.windows(2) {
                let (from, to) = (group[pair[1]], group[pair[0]]);
                group.iter_mut().filter(|group| **group == from).for_each(|group| *group = to);
            }
        }
        let streams: Vec<bool> = plan.jobs.iter().map(is_stream).collect();
        let finished: Vec<bool> = plan.job_ids().map(|job| self.had_finished(job)).collect();
        plan.job_ids()
            .map(|job| {
                let mut others = plan.job_ids().filter(|other| group[*other] == group[job]);
                streams[job] && others.any(|other| !finished[other])
            })
            .collect()
    }

    /// True if all tasks of a job are known to have ended ok. Of a job with items that is not known before the items are
    /// read.
    fn had_finished(&mut self, job: JobId) -> bool {
        let plan = Arc::clone(&self.plan);
        let only_task = matches!(plan.jobs[job].items, Items::None) && plan.jobs[job].batch == Batch::One;
        match self.identities[job].as_mut().filter(|_| only_task) {
            Some(identity) => self.past.finished(Known { key: identity.key(&[], &[]), nth: 1 }),
            None => plan.jobs[job].is_daemon(),
        }
    }
}

/// True if the job writes to a queue, or reads one as a stream.
fn is_stream(job: &Job) -> bool {
    job.stages.iter().any(|stage| {
        matches!(stage.stdin, Stdin::Queue { .. })
            || [&stage.stdout, &stage.stderr].iter().any(|output| matches!(output, Output::Queue { .. }))
    })
}
