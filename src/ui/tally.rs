//! The numbers that a bar shows: how many tasks there are, how many have ended, and which run. Pure.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::event::{JobId, JobInfo, RunEvent, TaskName, Time};

use super::phrases::Standing;

/// Follows the events of a run.
#[derive(Debug, Default)]
pub struct Tally {
    /// The number of tasks of each job, as far as it is known.
    totals: Vec<Option<u64>>,
    /// Jobs whose tasks are not counted.
    background: HashSet<JobId>,
    running: HashMap<TaskKey, Running>,
    done: u64,
    failed: u64,
}

type TaskKey = (JobId, u64);

/// A task that runs now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    pub task: TaskName,
    pub item: Arc<str>,
    /// When its current attempt began.
    pub since: Time,
}

impl Tally {
    /// Takes an event into account.
    pub fn note(&mut self, now: Time, event: &RunEvent) {
        match event {
            RunEvent::RunStarted { jobs } => {
                self.totals = jobs.iter().map(total_of).collect();
                self.background = JobId::all(jobs.len()).filter(|job| jobs[*job].background).collect();
            }
            RunEvent::JobTotal { job, total } => self.set_total(*job, *total),
            RunEvent::TaskStarted { task, item, .. } => {
                let running = Running { task: task.clone(), item: item.clone(), since: now };
                self.running.insert(key(task), running);
            }
            RunEvent::Retrying { task, .. } | RunEvent::PutBack { task } => {
                _ = self.running.remove(&key(task))
            }
            RunEvent::TaskEnded { task, outcome, .. } => {
                self.running.remove(&key(task));
                self.done += u64::from(!self.background.contains(&task.job));
                self.failed += u64::from(outcome.is_failure());
            }
            RunEvent::TaskSkipped { .. } => self.done += 1,
            RunEvent::TasksOk { count, .. } | RunEvent::TasksBefore { count, .. } => self.done += count,
            RunEvent::JobEnded { job, tasks, .. } => self.set_total(*job, *tasks),
            RunEvent::JobSkipped { job, .. } => self.set_total(*job, 0),
            RunEvent::WorkerStarted { .. }
            | RunEvent::Ready { .. }
            | RunEvent::Pool(_)
            | RunEvent::JobFailed { .. }
            | RunEvent::Warning(_)
            | RunEvent::Broken(_)
            | RunEvent::LastStarted { .. }
            | RunEvent::LastFailed(_)
            | RunEvent::Stopping { .. }
            | RunEvent::Killed { .. }
            | RunEvent::RunEnded(_) => {}
        }
    }

    fn set_total(&mut self, job: JobId, total: u64) {
        if let Some(known) = self.totals.get_mut(job.index()).filter(|_| !self.background.contains(&job)) {
            *known = Some(total);
        }
    }

    /// Returns the progress of the run.
    pub fn standing(&self, now: Time) -> Standing {
        Standing {
            done: self.done,
            failed: self.failed,
            running: self.running.len(),
            // A job that was skipped late may have had tasks.
            total: self.totals.iter().copied().sum::<Option<u64>>().map(|total| total.max(self.done)),
            elapsed: now,
        }
    }

    /// Returns up to `count` running tasks: those that have run longest first, services last.
    pub fn oldest(&self, count: usize) -> Vec<&Running> {
        let mut all: Vec<&Running> = self.running.values().collect();
        let age = |running: &&Running| {
            let task = &running.task;
            (self.background.contains(&task.job), running.since, task.job, task.seq)
        };
        if all.len() > count && count > 0 {
            all.select_nth_unstable_by_key(count - 1, age);
        }
        all.truncate(count);
        all.sort_unstable_by_key(age);
        all
    }
}

fn key(task: &TaskName) -> TaskKey {
    (task.job, task.seq)
}

/// Returns the number of tasks of a job if it is known. A job that is not `many` always has one.
fn total_of(job: &JobInfo) -> Option<u64> {
    if job.background { Some(0) } else { job.total.or((!job.many).then_some(1)) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::Outcome;

    fn job(many: bool, total: Option<u64>) -> JobInfo {
        JobInfo { name: "j".into(), many, total, background: false }
    }

    fn start(job: JobId, seq: u64) -> RunEvent {
        let task = TaskName { job, seq };
        RunEvent::TaskStarted { task, attempt: 1, pid: Some(1), item: "".into(), command: None }
    }

    fn end(job: JobId, seq: u64, outcome: Outcome) -> RunEvent {
        let task = TaskName { job, seq };
        RunEvent::TaskEnded { task, outcome, elapsed: Duration::ZERO, usage: None, detail: None }
    }

    const SECOND: Time = Duration::from_secs(1);

    #[test]
    fn what_serves_is_not_counted_and_stands_behind_the_others() {
        let mut tally = Tally::default();
        let service = JobInfo { background: true, ..job(false, None) };
        tally.note(SECOND, &RunEvent::RunStarted { jobs: vec![service, job(false, None)] });
        for (job, now) in [(0, SECOND), (1, 2 * SECOND)] {
            let task = TaskName { job: JobId(job), seq: 1 };
            let item = "".into();
            tally.note(now, &RunEvent::TaskStarted { task, attempt: 1, pid: Some(1), item, command: None });
            tally.note(now, &RunEvent::JobTotal { job: JobId(job), total: 1 });
        }
        assert_eq!(tally.standing(SECOND).total, Some(1));
        assert_eq!(
            tally.oldest(2).iter().map(|running| running.task.job).collect::<Vec<_>>(),
            [JobId(1), JobId(0)]
        );
        let task = TaskName { job: JobId(0), seq: 1 };
        let (outcome, elapsed) = (Outcome::Ok, SECOND);
        tally.note(SECOND, &RunEvent::TaskEnded { task, outcome, elapsed, usage: None, detail: None });
        assert_eq!(tally.standing(SECOND).done, 0);
    }

    #[test]
    fn the_total_is_known_when_that_of_each_job_is() {
        let mut tally = Tally::default();
        tally.note(SECOND, &RunEvent::RunStarted { jobs: vec![job(true, None), job(false, None)] });
        assert_eq!(tally.standing(SECOND).total, None);
        tally.note(SECOND, &RunEvent::JobTotal { job: JobId(0), total: 7 });
        assert_eq!(tally.standing(SECOND).total, Some(8));
        tally.note(SECOND, &RunEvent::JobSkipped { job: JobId(1), why: String::new(), fails: false });
        assert_eq!(tally.standing(SECOND).total, Some(7));
    }

    #[test]
    fn the_oldest_run_first_and_what_waits_for_a_retry_does_not_run() {
        let mut tally = Tally::default();
        tally.note(SECOND, &RunEvent::RunStarted { jobs: vec![job(true, None)] });
        for seq in 1..=5 {
            tally.note(SECOND * seq as u32, &start(JobId(0), seq));
        }
        tally.note(SECOND, &end(JobId(0), 2, Outcome::Failed(1)));
        let retry = RunEvent::Retrying {
            task: TaskName { job: JobId(0), seq: 1 },
            attempt: 1,
            outcome: Outcome::Timeout,
            delay: SECOND,
            restart: false,
        };
        tally.note(SECOND, &retry);
        let names: Vec<u64> = tally.oldest(2).iter().map(|running| running.task.seq).collect();
        assert_eq!(names, [3, 4]);
        assert_eq!(tally.oldest(0).len(), 0);
        assert_eq!(tally.oldest(9).len(), 3);
        let standing = tally.standing(SECOND);
        assert_eq!((standing.done, standing.failed, standing.running), (1, 1, 3));
    }
}
