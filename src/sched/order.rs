//! Which job comes first when slots are given out. Pure.

use std::collections::BTreeSet;

use super::JobId;
use crate::plan::{Items, Plan};

/// Ranks jobs in the order of the file, except that a job that takes another's items comes before that one.
/// So what was begun is brought to its end first, and little waits between the two.
#[derive(Debug)]
pub struct Order {
    ranks: Vec<usize>,
    jobs: Vec<JobId>,
    /// For each job: the jobs that take its items.
    followers: Vec<Vec<JobId>>,
}

impl Order {
    pub fn new(plan: &Plan) -> Order {
        let mut followers = vec![Vec::new(); plan.jobs.len()];
        for (id, job) in plan.numbered_jobs() {
            if let Items::Of(before) = job.items {
                followers[before].push(id);
            }
        }
        let mut order = Order { ranks: vec![usize::MAX; plan.jobs.len()], jobs: Vec::new(), followers };
        for first in plan.job_ids() {
            // A list instead of recursion, because chains are long.
            let mut open = vec![(first, false)];
            while let Some((job, followers_are_placed)) = open.pop() {
                if order.ranks[job] != usize::MAX {
                    continue;
                }
                if followers_are_placed {
                    order.ranks[job] = order.jobs.len();
                    order.jobs.push(job);
                } else {
                    open.push((job, true));
                    open.extend(order.followers[job].iter().rev().map(|follower| (*follower, false)));
                }
            }
        }
        order
    }

    pub fn rank(&self, job: JobId) -> usize {
        self.ranks[job]
    }

    pub fn followers(&self, job: JobId) -> &[JobId] {
        &self.followers[job]
    }

    pub fn job(&self, rank: usize) -> JobId {
        self.jobs[rank]
    }
}

/// Jobs that could start something, by rank.
#[derive(Debug, Default)]
pub struct Startable {
    /// Jobs that need a slot of the run's pool.
    pub slotted: BTreeSet<usize>,
    /// Jobs that need none.
    pub slotless: BTreeSet<usize>,
}

impl Startable {
    pub fn set(&mut self, rank: usize, slotless: bool, can: bool) {
        let set = if slotless { &mut self.slotless } else { &mut self.slotted };
        if can {
            set.insert(rank);
        } else {
            set.remove(&rank);
        }
    }

    pub fn clear(&mut self) {
        self.slotted.clear();
        self.slotless.clear();
    }
}
