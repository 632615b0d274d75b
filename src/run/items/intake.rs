//! Items on their way from sources to tasks: how many each job asked for, and the work of tasks that wait.

use std::collections::HashSet;
use std::sync::Arc;

use super::Sources;
use super::chain::Chains;
use crate::event::{JobId, PlaceMap};
use crate::os;
use crate::plan::Plan;
use crate::plan::selection::Finder;
use crate::run::task::Work;

/// The sources of items, and the items that were read and not used yet.
pub struct Intake {
    pub sources: Sources,
    pub chains: Chains,
    /// The work of tasks that have no attempt: they wait for their start, or are given to a worker.
    pub waiting: PlaceMap<Work>,
    /// For each job: how many items its last pull asked for.
    wanted: Vec<usize>,
    /// Jobs that go on asking for items in the next turn.
    asking: Vec<JobId>,
    /// Jobs whose number of tasks was reported before their items were used up.
    total_reported: HashSet<JobId>,
    /// For each job: what finds the tasks that were named, if not all are to run.
    finders: Vec<Option<Finder>>,
}

impl Intake {
    pub fn new(plan: &Arc<Plan>) -> Intake {
        Intake {
            sources: Sources::new(Arc::clone(plan), os::limits::argument_room()),
            chains: Chains::new(plan),
            waiting: PlaceMap::default(),
            wanted: vec![1; plan.jobs.len()],
            asking: Vec::new(),
            total_reported: HashSet::new(),
            finders: plan.jobs.iter().map(|job| job.only.as_deref().map(Finder::new)).collect(),
        }
    }

    /// Notes how many items a pull asks for.
    pub fn want(&mut self, job: JobId, most: usize) {
        self.wanted[job] = most;
    }

    /// Returns how many items the last pull of the job asked for.
    pub fn wanted(&self, job: JobId) -> usize {
        self.wanted[job]
    }

    /// Lets the job ask again in the next turn of the loop: its source has more, but other things come first.
    pub fn ask_again(&mut self, job: JobId) {
        self.asking.push(job);
    }

    /// True if a job asks again in the next turn, so that the poller must not block.
    pub fn is_asking(&self) -> bool {
        !self.asking.is_empty()
    }

    /// Returns the jobs that ask again, once.
    pub fn take_asking(&mut self) -> Vec<JobId> {
        std::mem::take(&mut self.asking)
    }

    /// Lets the job ask no more.
    pub fn stop_asking(&mut self, job: JobId) {
        self.asking.retain(|asking| *asking != job);
    }

    /// Returns what finds the tasks of the job that were named; `None` if all are to run.
    pub fn finder(&mut self, job: JobId) -> Option<&mut Finder> {
        self.finders[job].as_mut()
    }

    /// Returns how many tasks the job still gets, the first time that this is known before its last item is used.
    pub fn tasks_left(&mut self, job: JobId) -> Option<u64> {
        if self.total_reported.contains(&job) || self.finders[job].is_some() {
            return None;
        }
        let left = self.sources.tasks_left(job)?;
        self.total_reported.insert(job);
        Some(left)
    }
}
