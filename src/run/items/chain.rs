//! `each.job`: items go from job to job, each as soon as its task there has ended.
//!
//! The work of a task is kept only until the next job takes it. The scheduler gives slots to that job first, so that
//! little waits here.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use crate::event::JobId;
use crate::plan::{Item, Items, Plan};
use crate::run::task::Work;

/// An item whose task in the job before has ended.
#[derive(Debug, Clone)]
pub enum UpstreamItem {
    Ok(Work),
    /// The item's task was not ok, or was skipped itself.
    NotOk {
        seq: u64,
        items: Rc<Vec<Item>>,
        why: Arc<str>,
    },
}

/// The way into one job that takes the items of another.
#[derive(Debug, Default)]
struct Link {
    waiting: VecDeque<UpstreamItem>,
    /// True once the job before has ended.
    ended: bool,
    /// True while the follower waits for an item.
    awaited: bool,
}

/// All ways between jobs.
pub struct Chains {
    /// For each job: the way into it, which stays empty if it takes no other job's items.
    links: Vec<Link>,
    /// For each job: those that take its items.
    followers: Vec<Vec<JobId>>,
    /// Jobs that waited, and that can go on now. A list and not a recursion, because chains are long.
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

    /// Passes an item on to all jobs that take the items of `job`.
    pub fn pass(&mut self, job: JobId, item: &UpstreamItem) {
        for at in 0..self.followers[job].len() {
            let follower = self.followers[job][at];
            self.links[follower].waiting.push_back(item.clone());
            self.wake(follower);
        }
    }

    /// Ends the ways out of a job of which no more tasks will end.
    pub fn end(&mut self, job: JobId) {
        self.links[job].waiting.clear();
        for at in 0..self.followers[job].len() {
            let follower = self.followers[job][at];
            self.links[follower].ended = true;
            self.wake(follower);
        }
    }

    /// Returns the next item for a job that takes those of another.
    pub fn next(&mut self, job: JobId) -> Option<UpstreamItem> {
        self.links[job].waiting.pop_front()
    }

    /// True if no more items will come for the job.
    pub fn has_ended(&self, job: JobId) -> bool {
        self.links[job].ended
    }

    /// Notes that the job waits for an item: [`Chains::next_due`] returns it when an item, or the end, has come.
    pub fn await_item(&mut self, job: JobId) {
        self.links[job].awaited = true;
    }

    /// Returns a job that waited, and for which an item, or the end, has come.
    pub fn next_due(&mut self) -> Option<JobId> {
        self.due.pop_front()
    }

    fn wake(&mut self, job: JobId) {
        if std::mem::take(&mut self.links[job].awaited) {
            self.due.push_back(job);
        }
    }
}
