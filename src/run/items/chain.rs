//! `each.job`: items go from job to job, each as soon as its task there has ended.
//!
//! What a task worked on is kept only until the next job takes it. That one comes first when slots are given
//! out, so that little waits here.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::event::{JobId, Outcome, RunEvent, TaskName};
use crate::plan::{Items, Plan};
use crate::run::Run;
use crate::run::attempt::Work;
use crate::run::words;
use crate::sched::Event;

/// What became of one item in the job before.
#[derive(Debug, Clone)]
enum Passed {
    Ok(Work),
    /// Its task there was not ok, or was skipped itself.
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
    /// It was asked for items when none was there.
    asked: bool,
}

/// All ways between jobs.
pub struct Chains {
    links: Vec<Link>,
    /// For each job: those that take its items.
    followers: Vec<Vec<JobId>>,
    /// Jobs that had asked, and for which something is there now. A list, not recursion: chains are long.
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

    /// Whether what its tasks work on is wanted when they have ended.
    pub fn has_followers(&self, job: JobId) -> bool {
        !self.followers[job].is_empty()
    }

    /// Something came for a job.
    fn note(&mut self, job: JobId) {
        if std::mem::take(&mut self.links[job].asked) {
            self.due.push_back(job);
        }
    }
}

impl Run {
    /// A task has ended: jobs that follow its own get its item, or hear why not.
    pub(in crate::run) fn pass_on(&mut self, work: &Work, outcome: &Outcome) {
        if !self.chains.has_followers(work.job) {
            return;
        }
        let passed = match outcome {
            Outcome::Ok => Passed::Ok(work.clone()),
            outcome => {
                let name = words::task_name(&self.plan.jobs[work.job], work.seq);
                let what = match outcome {
                    Outcome::Cancelled => "was cancelled",
                    Outcome::Skipped => "was skipped",
                    _ => "failed",
                };
                Passed::Not { seq: work.seq, why: format!("`{name}` {what}").into() }
            }
        };
        self.pass(work.job, &passed);
    }

    fn pass(&mut self, job: JobId, passed: &Passed) {
        for follower in self.chains.followers[job].clone() {
            self.chains.links[follower].waiting.push_back(passed.clone());
            self.chains.note(follower);
        }
    }

    /// No more tasks of the job will end.
    pub(in crate::run) fn end_of_chain(&mut self, job: JobId) {
        self.chains.links[job].waiting.clear();
        for follower in self.chains.followers[job].clone() {
            self.chains.links[follower].ended = true;
            self.chains.note(follower);
        }
    }

    /// Answers the jobs that had asked when nothing was there.
    pub(in crate::run) fn answer_followers(&mut self) {
        while let Some(job) = self.chains.due.pop_front() {
            // The answer comes now after all.
            self.events.retain(|event| *event != Event::ItemsLater(job));
            self.pull_passed(job, self.wanted[job]);
        }
    }

    /// Answers a pull: up to `most` items.
    pub(in crate::run) fn pull_passed(&mut self, job: JobId, most: usize) {
        let (mut given, mut over) = (0, 0);
        while given < most
            && let Some(passed) = self.chains.links[job].waiting.pop_front()
        {
            match passed {
                Passed::Ok(work) => {
                    let known = self.know(job, &work.items, &work.names);
                    if self.is_done(job, &known) {
                        let seq = work.seq;
                        self.pass_over(Work { job, known, ..work }, Some(seq));
                        over += 1;
                    } else if let Some(task) = self.supervisor.add_item_as(job, work.seq) {
                        self.keep_work(task, work.items, work.names, None, known);
                        given += 1;
                    }
                }
                Passed::Not { seq, why } => self.skip(job, seq, &why),
            }
        }
        self.tell_passed(job, over);
        let link = &mut self.chains.links[job];
        if given > 0 {
            self.events.push_back(Event::Item);
        } else if link.ended {
            self.events.push_back(Event::NoMoreItems(job));
        } else {
            link.asked = true;
            self.events.push_back(Event::ItemsLater(job));
        }
    }

    fn skip(&mut self, job: JobId, seq: u64, why: &Arc<str>) {
        self.supervisor.skip_item(job, seq);
        self.tell(&RunEvent::TaskSkipped { task: TaskName { job, seq }, why: Arc::clone(why) });
        if self.plan.jobs[job].keep_order {
            self.outputs.ended((job, seq), Vec::new());
            self.write_out();
        }
        self.pass(job, &Passed::Not { seq, why: Arc::clone(why) });
    }
}
