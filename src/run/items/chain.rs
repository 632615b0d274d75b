//! `each.job`: items go from job to job, each as soon as its task there has ended.
//!
//! The work of a task is kept only until the next job takes it. That job comes first when slots are given out, so that
//! little waits here.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::event::JobId;
use crate::plan::{Items, Plan};
use crate::run::task::Work;

/// The fate of one item in the job before.
#[derive(Debug, Clone)]
pub enum Passed {
    Ok(Work),
    /// The item's task there was not ok, or was skipped itself.
    Not {
        seq: u64,
        why: Arc<str>,
    },
}

/// The way into one job that takes another's items.
#[derive(Debug, Default)]
struct Link {
    waiting: VecDeque<Passed>,
    /// The job before has ended.
    ended: bool,
    /// The follower has asked for items when none was there.
    asked: bool,
}

/// All ways between jobs.
pub struct Chains {
    links: Vec<Link>,
    /// For each job: those that take its items.
    followers: Vec<Vec<JobId>>,
    /// Jobs that had asked, and for which something is there now. A list and not a recursion, because chains are long.
    due: VecDeque<JobId>,
}

impl Chains {
    pub fn new(plan: &Plan) -> Chains {
        let mut followers = vec![Vec::new(); plan.jobs.len()];
        for (job, follower) in plan.numbered_jobs() {
            if let Items::Of(before) = follower.items {
                followers[before].push(job);
            }
        }
        let links = plan.jobs.iter().map(|_| Link::default()).collect();
        Chains { links, followers, due: VecDeque::new() }
    }

    /// True if other jobs take the items of the job.
    pub fn has_followers(&self, job: JobId) -> bool {
        !self.followers[job].is_empty()
    }

    /// Passes the fate of an item to all jobs that take the items of `job`.
    pub fn pass(&mut self, job: JobId, passed: &Passed) {
        for at in 0..self.followers[job].len() {
            let follower = self.followers[job][at];
            self.links[follower].waiting.push_back(passed.clone());
            self.wake(follower);
        }
    }

    /// No more tasks of the job will end.
    pub fn end(&mut self, job: JobId) {
        self.links[job].waiting.clear();
        for at in 0..self.followers[job].len() {
            let follower = self.followers[job][at];
            self.links[follower].ended = true;
            self.wake(follower);
        }
    }

    /// Returns the next item for a job that takes those of another.
    pub fn next(&mut self, job: JobId) -> Option<Passed> {
        self.links[job].waiting.pop_front()
    }

    /// True if no more items will come for the job.
    pub fn has_ended(&self, job: JobId) -> bool {
        self.links[job].ended
    }

    /// The job has asked when nothing was there: [`Chains::next_due`] returns it as soon as something is.
    pub fn note_asked(&mut self, job: JobId) {
        self.links[job].asked = true;
    }

    /// Returns a job that had asked, and for which something is there now.
    pub fn next_due(&mut self) -> Option<JobId> {
        self.due.pop_front()
    }

    fn wake(&mut self, job: JobId) {
        if std::mem::take(&mut self.links[job].asked) {
            self.due.push_back(job);
        }
    }
}
