//! Jobs: when they may begin (`after`), what they are doing, and how they ended. Pure.

use std::collections::{BTreeSet, VecDeque};

use super::halt::Tally;
use super::median::Median;
use super::order::Order;
use super::slots::Slots;
use super::task::TaskId;
use super::{Action, JobId, Supervisor, limits};
use crate::event::{Outcome, RunEvent};
use crate::plan::{After, Items, Plan, UNLIMITED, When};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Waits for this many conditions of `after`.
    Blocked(usize),
    Open,
    Ended(End),
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Ok,
    Failed,
    /// prun stopped it.
    Cancelled,
    /// It never began, or not for all its items.
    Skipped(SkipCause),
}

/// Whether something was skipped because of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkipCause {
    Other,
    Failure,
}

/// The owner of a failure. The order is that in which the first failure of a job is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The job itself. Failures of tasks may follow from it.
    Job,
    /// The task of this number.
    Task(u64),
}

/// State of a job's source of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Idle,
    /// [`Action::Pull`] was not answered yet, and will be at once.
    Pulling,
    /// [`Action::Pull`] was answered: nothing can be read now, and another answer comes later.
    Waiting,
    Ended,
}

/// State of one job. It has many fields because each module of the scheduler keeps here what it knows of a
/// job: one table by job, instead of one table for each module.
#[derive(Debug)]
pub struct JobState {
    pub phase: Phase,
    pub source: Source,
    /// Tasks that wait for a slot or for a worker, in order.
    pub ready: VecDeque<TaskId>,
    /// How many tasks or workers hold a slot.
    pub running: usize,
    /// How many tasks and workers have not ended.
    pub active: usize,
    /// The highest number that a task has had.
    pub last_seq: u64,
    /// How many tasks the job has had.
    pub tasks: u64,
    /// The job's own pool, if it has one or takes no slot of the run's.
    pub slots: Option<Slots>,
    /// The workers, if the job has some.
    pub workers: Workers,
    pub tally: Tally,
    /// How long tasks that ended ok took. Kept only if the time limit is a share of their median.
    pub times: Option<Median>,
    /// The failure that comes first in the order of the items.
    pub first_failure: Option<(Subject, Outcome)>,
    /// The outcome by which the job's own `halt` decided how the job ended.
    pub halted_by: Option<Outcome>,
    /// True if the job starts nothing new.
    pub closing: bool,
    /// State of the files that the job's tasks wrote.
    pub files: Files,
    /// How each stage of the last attempt ended, for a pipeline; `None` if the attempt was stopped as a
    /// whole.
    pub stage_outcomes: Option<Vec<Outcome>>,
    /// Set if items were skipped or never came, because the job that they come from was not ok.
    pub missed: Option<SkipCause>,
    pub dependents: Vec<(JobId, After)>,
    /// Readiness of this job, for those that wait for it.
    pub readiness: Readiness,
    /// True once the job has started something. From then on it does not matter whether its conditions hold.
    pub begun: bool,
    /// Conditions that held when the job opened, and do not hold now: a service that it waits for is away.
    pub held: usize,
    /// Why the job is skipped although it has been open; it has started nothing.
    pub lost: Option<Lost>,
}

/// The readiness of a job. It is ready when all its tasks are up, or, if it is no daemon, have been up and ended ok.
#[derive(Debug, Default)]
pub struct Readiness {
    /// Jobs that wait for it. Some of them may have begun.
    pub dependents: Vec<JobId>,
    /// Tasks that are up now, or count as up for good.
    pub up: u64,
    /// True if it is ready, and its dependents were told.
    pub told: bool,
}

/// Why a job can't begin any more: what it needs has failed, or has gone.
#[derive(Debug, Clone)]
pub struct Lost {
    pub cause: SkipCause,
    pub why: String,
    /// True if nothing else tells that the run has failed: what it needs has ended without a failure.
    pub fails: bool,
}

/// State of the files that tasks wrote by way of prun. Jobs that begin after them may read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Files {
    #[default]
    Unknown,
    /// [`Action::FlushFiles`] was sent.
    Asked,
    Flushed,
}

/// The workers of a job.
#[derive(Debug, Default)]
pub struct Workers {
    /// Workers that have not ended, oldest first.
    pub ids: Vec<TaskId>,
    /// How many were started in all.
    pub started: u64,
    /// Tasks that were answered, and whose hooks run.
    pub hooks: usize,
    /// True if any worker ever answered.
    pub answered: bool,
    /// Workers in a row that ended without an answer.
    pub fruitless: u32,
    /// True if something changed, so that workers may be given more, or may have nothing left to do.
    pub touched: bool,
}

impl JobState {
    /// True if the next item was asked for and has not come.
    pub fn is_asking(&self) -> bool {
        matches!(self.source, Source::Pulling | Source::Waiting)
    }

    pub fn ended_without_failure(&self) -> bool {
        matches!(self.phase, Phase::Ended(end) if end != End::Failed)
    }

    /// Returns how the job ended, once its last task has.
    fn end(&self) -> End {
        let ok = self.halted_by == Some(Outcome::Ok);
        if self.tally.failed > 0 && !ok {
            End::Failed
        } else if let Some(cause) = self.missed.filter(|_| !ok) {
            End::Skipped(cause)
        } else if self.tally.cancelled + self.tally.skipped > 0 && !ok {
            End::Cancelled
        } else {
            End::Ok
        }
    }

    /// True if a condition on one of the job's stages holds, now that the job has ended.
    pub fn satisfies(&self, end: End, after: After) -> bool {
        // The last stage stands for the whole pipeline, which fails with any of its stages.
        let stage_failed = || match &self.stage_outcomes {
            Some(stages) if after.stage.index() + 1 < stages.len() => stages[after.stage].is_failure(),
            _ => true,
        };
        let failed = match end {
            End::Failed => stage_failed(),
            End::Skipped(cause) => cause == SkipCause::Failure,
            End::Ok | End::Cancelled => false,
        };
        match after.when {
            When::Success => matches!(end, End::Ok | End::Failed) && !failed,
            When::Failure => failed,
            When::Exit => true,
            When::Ready => unreachable!("no job is up because it has ended"),
        }
    }
}

pub struct Jobs {
    states: Vec<JobState>,
    not_ended: usize,
    /// How many open jobs have a source that has not ended.
    open_sources: usize,
    pub order: Order,
    /// Ranks of jobs that take slots, and whose next item comes at once.
    pulling: BTreeSet<usize>,
    takes_slots: Vec<bool>,
    has_workers: Vec<bool>,
    with_workers: Vec<JobId>,
    /// Jobs whose workers have to be looked at.
    pub touched: Vec<JobId>,
}

impl Jobs {
    pub fn new(plan: &Plan) -> Jobs {
        let state = |job: &crate::plan::Job| JobState {
            // The run does not wait for its own hooks: they count as ended from the start.
            phase: if job.run_hook().is_some() {
                Phase::Ended(End::Ok)
            } else {
                Phase::Blocked(job.after.len())
            },
            source: if job.run_hook().is_some() { Source::Ended } else { Source::Idle },
            ready: VecDeque::new(),
            running: 0,
            active: 0,
            last_seq: 0,
            tasks: 0,
            slots: (job.pool != UNLIMITED || !job.takes_slots()).then(|| Slots::new(job.pool)),
            workers: Workers::default(),
            tally: Tally::default(),
            times: limits::times(job.timeout),
            first_failure: None,
            halted_by: None,
            closing: false,
            files: Files::default(),
            stage_outcomes: None,
            missed: None,
            dependents: Vec::new(),
            readiness: Readiness::default(),
            begun: false,
            held: 0,
            lost: None,
        };
        let mut states: Vec<JobState> = plan.jobs.iter().map(state).collect();
        for (id, job) in plan.numbered_jobs() {
            for after in &job.after {
                match after.when {
                    When::Ready => states[after.job].readiness.dependents.push(id),
                    _ => states[after.job].dependents.push((id, *after)),
                }
            }
        }
        Jobs {
            not_ended: plan.jobs.iter().filter(|job| job.run_hook().is_none()).count(),
            open_sources: 0,
            order: Order::new(plan),
            pulling: BTreeSet::new(),
            takes_slots: plan.jobs.iter().map(|job| job.takes_slots()).collect(),
            has_workers: plan.jobs.iter().map(|job| job.worker.is_some()).collect(),
            with_workers: plan.job_ids().filter(|job| plan.jobs[*job].worker.is_some()).collect(),
            touched: Vec::new(),
            states,
        }
    }

    pub fn get(&self, job: JobId) -> &JobState {
        &self.states[job]
    }

    pub fn get_mut(&mut self, job: JobId) -> &mut JobState {
        &mut self.states[job]
    }

    pub fn all_ended(&self) -> bool {
        self.not_ended == 0
    }

    /// True if no open job will have another item.
    pub fn all_sources_ended(&self) -> bool {
        self.open_sources == 0
    }

    /// Returns the first failure, in the order of the file and of the items. Failures in a job that is ok all
    /// the same do not count.
    pub fn first_failure(&self) -> Option<&Outcome> {
        let counts = |job: &&JobState| job.halted_by != Some(Outcome::Ok);
        let mut failures = self.states.iter().filter(counts).filter_map(|job| job.first_failure.as_ref());
        failures.next().map(|(_, outcome)| outcome)
    }

    /// True if a job before this rank will have an item at once, and room for it.
    pub fn earlier_is_pulling(&self, rank: usize, plan: &Plan) -> bool {
        let has_room = |job: JobId| self.states[job].running < plan.jobs[job].pool;
        self.pulling.range(..rank).any(|earlier| has_room(self.order.job(*earlier)))
    }

    pub fn is_pulling(&self) -> bool {
        !self.pulling.is_empty()
    }

    /// Returns the jobs whose tasks are run by workers.
    pub fn with_workers(&self) -> &[JobId] {
        &self.with_workers
    }

    /// Notes that something changed for the workers of the job. Does nothing for other jobs.
    pub fn touch(&mut self, job: JobId) {
        if self.has_workers[job] && !std::mem::replace(&mut self.states[job].workers.touched, true) {
            self.touched.push(job);
        }
    }

    fn open(&mut self, job: JobId) {
        self.states[job].phase = Phase::Open;
        self.open_sources += 1;
        self.set_source(job, Source::Pulling);
    }

    /// Sets the source, and keeps the counts in step. A source that has ended stays so. Nothing else changes
    /// a source.
    pub fn set_source(&mut self, job: JobId, source: Source) {
        let old = self.states[job].source;
        if old == source || old == Source::Ended {
            return;
        }
        self.states[job].source = source;
        if self.takes_slots[job] {
            let rank = self.order.rank(job);
            match source {
                Source::Pulling => drop(self.pulling.insert(rank)),
                _ => drop(self.pulling.remove(&rank)),
            }
        }
        if source == Source::Ended {
            self.open_sources -= 1;
            self.touch(job);
        }
    }

    /// Makes jobs that take this one's items expect one at once: a task of it has ended. So they get the slot
    /// that it frees.
    pub fn expect_item_of(&mut self, job: JobId) {
        for at in 0..self.order.followers(job).len() {
            let follower = self.order.followers(job)[at];
            if self.states[follower].source == Source::Waiting {
                self.set_source(follower, Source::Pulling);
            }
        }
    }

    pub fn set_ended(&mut self, job: JobId, end: End) {
        self.states[job].phase = Phase::Ended(end);
        self.not_ended -= 1;
    }
}

impl Supervisor {
    /// Opens the jobs that have no conditions.
    pub(super) fn open_unblocked(&mut self, actions: &mut Vec<Action>) {
        for job in self.plan.job_ids() {
            if self.jobs.get(job).phase == Phase::Blocked(0) {
                self.open(job, actions);
            }
        }
    }

    pub(super) fn open(&mut self, job: JobId, actions: &mut Vec<Action>) {
        self.jobs.open(job);
        actions.push(Action::Pull { job, most: 1 });
    }

    pub(super) fn end_job_if_done(&mut self, job: JobId, actions: &mut Vec<Action>) {
        let state = self.jobs.get_mut(job);
        if state.phase != Phase::Open || state.source != Source::Ended || state.active > 0 {
            return;
        }
        if let Some(lost) = state.lost.take() {
            self.skip_lost(job, lost, actions);
            self.dismiss_lister_of(job);
            return self.resolve_dependents(vec![job], actions);
        }
        let state = self.jobs.get(job);
        if let (End::Skipped(cause), Some(before), 0) = (state.end(), self.source_of(job), state.tasks) {
            let why = self.why_no_items(before);
            self.skip(job, cause, why, actions);
            self.dismiss_lister_of(job);
            self.resolve_dependents(vec![job], actions);
            return;
        }
        if self.awaits_files(job, actions) {
            return;
        }
        let state = self.jobs.get(job);
        let outcome = match (state.end(), &state.first_failure) {
            (End::Failed, Some((_, failure))) => failure.clone(),
            (End::Cancelled, _) => Outcome::Cancelled,
            (End::Skipped(_), _) => Outcome::Skipped,
            _ => Outcome::Ok,
        };
        actions.push(Action::Tell(RunEvent::JobEnded { job, outcome, tasks: state.tasks }));
        let end = self.jobs.get(job).end();
        self.jobs.set_ended(job, end);
        self.services.ended(job);
        self.dismiss_lister_of(job);
        self.resolve_dependents(vec![job], actions);
    }

    /// Returns whether a failure is why an item of this job's source is missing.
    pub(super) fn cause_in_source(&self, job: JobId) -> SkipCause {
        let Items::Of(before) = self.plan.jobs[job].items else { return SkipCause::Other };
        let state = self.jobs.get(before);
        let failed = state.tally.failed > 0
            || state.missed == Some(SkipCause::Failure)
            || state.phase == Phase::Ended(End::Skipped(SkipCause::Failure));
        if failed { SkipCause::Failure } else { SkipCause::Other }
    }

    /// Ends the sources of all open jobs: they get no more items.
    pub(super) fn close_open(&mut self, actions: &mut Vec<Action>) {
        self.startable.clear();
        for job in self.plan.job_ids() {
            if self.jobs.get(job).phase == Phase::Open {
                self.jobs.set_source(job, Source::Ended);
                self.end_job_if_done(job, actions);
            }
        }
    }
}
