//! What ended, told to the logs; and what ended ok in an earlier run and need not run again.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::event::{JobId, Known, Outcome};
use crate::flow::output::{Log, Op};
use crate::journal::{self, Entry, Past};
use crate::plan::identity::Identity;
use crate::plan::{Batch, Input, Item, Items, Job, Output, Plan, Reading, Resume, Stdin};
use crate::run::output::sinks::Sinks;
use crate::run::record::{Access, EndedTask};
use crate::run::task::short_item;
use crate::run::words;

pub struct Ledger {
    plan: Arc<Plan>,
    /// For each job whose tasks are known over several runs; empty without a journal.
    identities: Vec<Option<Identity>>,
    /// How many equal tasks came so far. Half a key is enough: two tasks that share one by chance would only be
    /// counted together.
    counts: HashMap<u64, u32>,
    past: Past,
    /// Jobs that run again although the journal knows their tasks: what they wrote to queues is gone.
    again: Vec<bool>,
    left_out: u64,
    journal: bool,
    joblog: bool,
    run: String,
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
        run: &str,
        access: Access,
        sinks: &mut Sinks,
    ) -> Result<(Ledger, Vec<String>), String> {
        let logs = &plan.logs;
        let mut ledger = Ledger {
            plan: Arc::clone(plan),
            identities: Vec::new(),
            counts: HashMap::new(),
            past: Past::default(),
            again: vec![false; plan.jobs.len()],
            left_out: 0,
            journal: logs.journal.is_some(),
            joblog: logs.joblog.is_some(),
            run: run.to_owned(),
            began: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        };
        let mut warnings = Vec::new();
        if let Some(asked) = &logs.journal {
            let identity = |job: &Job| (!job.is_daemon()).then(|| Identity::new(job));
            ledger.identities = plan.jobs.iter().map(identity).collect();
            if access == Access::ReadOnly {
                (ledger.past, warnings) = journal::read(&asked.path)?;
            } else {
                let (journal, past, told) = journal::open(&asked.path, asked.sync)?;
                sinks.keep(Log::Journal, Box::new(journal));
                (ledger.past, warnings) = (past, told);
            }
            if asked.resume == Resume::No {
                ledger.past = Past::default();
            }
            ledger.again = ledger.streams_that_run_again();
        }
        if let Some(asked) = logs.joblog.as_ref().filter(|_| access == Access::Write) {
            let journal = logs.journal.iter().map(|journal| journal.path.as_path());
            let kept: Vec<&Path> =
                journal.chain(plan.jobs.iter().flat_map(|job| inputs(&job.items))).collect();
            let joblog = journal::joblog::open(&asked.path, asked.append, &kept)?;
            sinks.keep(Log::Joblog, Box::new(joblog));
        }
        Ok((ledger, warnings))
    }

    /// What a task is that works on these items: one, or each item of a batch. To be asked once for each, in order.
    pub fn know(&mut self, job: JobId, items: &[Item], names: &[String]) -> Vec<Known> {
        let Some(Some(identity)) = self.identities.get_mut(job.index()) else { return Vec::new() };
        let key = identity.key(items, names);
        let nth = self.counts.entry(key.0 as u64).or_default();
        *nth += 1;
        vec![Known { key, nth: *nth }]
    }

    /// It need not run. To be asked once for each.
    pub fn is_done(&mut self, job: JobId, known: &[Known]) -> bool {
        let resume = self.plan.logs.journal.as_ref().map(|journal| journal.resume).unwrap_or_default();
        let finished = known.iter().all(|known| self.past.finished(*known));
        let done = !known.is_empty()
            && !self.again[job]
            && match resume {
                Resume::No => false,
                Resume::Finished => finished,
                Resume::AllButFailed => known.iter().all(|known| !self.past.failed(*known)),
            };
        self.left_out += u64::from(done && !finished);
        done
    }

    /// How many need not run although they never ended, because only failures run again.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Lines for the logs, to follow what the task wrote.
    pub fn lines(&self, told: &EndedTask) -> Vec<Op> {
        let finished = !matches!(told.outcome, Outcome::Cancelled | Outcome::Skipped);
        let journal = self.journal && finished && !told.work.known.is_empty();
        let joblog = self.joblog && *told.outcome != Outcome::Skipped;
        if !journal && !joblog {
            return Vec::new();
        }
        let job = &self.plan.jobs[told.work.job];
        let entry = Entry {
            tasks: told.work.known.clone(),
            job: job.name.to_string(),
            seq: told.work.seq,
            item: short_item(&told.work.items).to_string(),
            command: words::command(job, told.work, told.slot),
            outcome: told.outcome.clone(),
            attempts: told.attempts,
            started: self.began + told.started,
            elapsed: told.elapsed,
            usage: told.usage,
            received: told.received,
            run: self.run.clone(),
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

    /// Records that went from a writer to a reader as a stream can't be had again by halves: jobs that are joined so
    /// all run again unless each of them had finished. Tasks of single records (`each.queue`) are known themselves,
    /// and what they read is written again.
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

    /// Whether all tasks of a job are known to have ended ok. Of jobs with items that is not known before they are
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

/// Files that items are read from.
fn inputs(items: &Items) -> Vec<&Path> {
    match items {
        Items::Read(Reading { from: Input::File(path), .. }) => vec![path],
        Items::Join { sources, .. } => sources.iter().flat_map(inputs).collect(),
        _ => Vec::new(),
    }
}

/// Writes to a queue, or reads one as a stream.
fn is_stream(job: &Job) -> bool {
    job.stages.iter().any(|stage| {
        matches!(stage.stdin, Stdin::Queue { .. })
            || [&stage.stdout, &stage.stderr].iter().any(|output| matches!(output, Output::Queue { .. }))
    })
}
