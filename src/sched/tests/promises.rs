//! Promises about order and time, checked from outside: by actions and events, not by the scheduler's own
//! state.

use super::*;

/// Attempts, hooks and workers that have not ended.
#[derive(Default)]
pub struct Promises {
    lives: BTreeMap<TaskId, Life>,
    /// Tasks that are to be tried again, and from when on.
    again: BTreeMap<TaskId, Time>,
    /// Tasks that ended ok.
    ok: BTreeSet<TaskId>,
    /// Jobs that have started something.
    begun: BTreeSet<JobId>,
}

struct Life {
    kind: Kind,
    began: Time,
    signalled: Option<Time>,
    killed: bool,
    /// True if the process has exited, or has nothing to read any more: other limits apply then.
    over: bool,
    /// True if the process has exited.
    exited: bool,
    up: bool,
}

#[derive(PartialEq)]
enum Kind {
    Attempt,
    Hook,
    Worker,
}

impl Promises {
    pub fn begin(&mut self, task: TaskId, now: Time, action: &Action) {
        let kind = match action {
            Action::Start { .. } => Kind::Attempt,
            Action::Hook { .. } => Kind::Hook,
            _ => Kind::Worker,
        };
        if let Some(from) = self.again.remove(&task).filter(|_| kind == Kind::Attempt) {
            assert!(from <= now, "tried again at {now:?}, and not before {from:?}");
        }
        let life =
            Life { kind, began: now, signalled: None, killed: false, over: false, exited: false, up: false };
        self.lives.insert(task, life);
    }

    /// Notes what is done to end a task.
    pub fn note_stop(&mut self, task: TaskId, now: Time, action: &Action) {
        match *action {
            Action::Kill { .. } => self.stop(task, now, true),
            Action::Signal { .. } => self.stop(task, now, false),
            Action::ClearGroup { signal, .. } => self.clear(task, now, signal == SIGKILL),
            _ => {}
        }
    }

    /// What the attempt left is told to stop, and has a grace period of its own.
    fn clear(&mut self, task: TaskId, now: Time, kill: bool) {
        if let Some(life) = self.lives.get_mut(&task).filter(|_| !kill) {
            (life.signalled, life.killed) = (None, false);
        }
        self.stop(task, now, kill);
    }

    fn stop(&mut self, task: TaskId, now: Time, kill: bool) {
        if let Some(life) = self.lives.get_mut(&task) {
            life.signalled.get_or_insert(now);
            life.killed |= kill;
        }
    }

    pub fn end(&mut self, task: TaskId) {
        self.lives.remove(&task);
    }

    pub fn end_with(&mut self, task: TaskId, outcome: &Outcome) {
        self.end(task);
        if *outcome == Outcome::Ok {
            self.ok.insert(task);
        }
    }

    pub fn try_again(&mut self, task: TaskId, from: Time) {
        self.end(task);
        self.again.insert(task, from);
    }

    pub fn note(&mut self, event: &Event) {
        match event {
            Event::Exited { task, .. } => {
                self.lives.entry(*task).and_modify(|life| (life.over, life.exited) = (true, true));
            }
            Event::InputEnded(task) => {
                self.lives.entry(*task).and_modify(|life| life.over = true);
            }
            Event::Up(task) => {
                self.lives.entry(*task).and_modify(|life| life.up = true);
            }
            _ => {}
        }
    }
}

impl World {
    /// Checks deadlines. Call it when everything that was due by now has been handled.
    pub fn deadlines_are_kept(&self) {
        // A limit may be zero.
        assert!(self.supervisor.due().is_none_or(|due| due >= self.now), "something was due before");
        for (task, life) in &self.promises.lives {
            let (id, _) = self.supervisor.task(*task);
            let job = &self.supervisor.plan.jobs[id];
            if let Some(signalled) = life.signalled {
                // A signal that follows from a deadline has a deadline of its own only later.
                let patience = signalled + job.grace > self.now || signalled == self.now;
                assert!(life.killed || patience, "{task:?} of job {id:?} has had its grace");
            }
            let has_limits = life.kind == Kind::Attempt && !life.over;
            // Nobody needs the service any more, and its turn to be stopped has not come.
            let waits = job.is_service() && self.supervisor.services.are_unneeded();
            if life.signalled.is_some() || !has_limits || waits {
                continue;
            }
            if let Some(Timeout::After(limit)) = job.timeout {
                assert!(life.began + limit > self.now, "{task:?} of job {id:?} has had its time");
            }
            if let Some(ready) =
                job.ready.as_ref().filter(|ready| !matches!(ready.check, plan::ReadyCheck::After(_)))
            {
                assert!(life.up || life.began + ready.timeout > self.now, "{task:?} of job {id:?} is not up");
            }
        }
    }

    /// The job starts something: its conditions hold, as far as events told.
    pub fn conditions_hold(&mut self, job: JobId) {
        let plan = Arc::clone(&self.supervisor.plan);
        // Events tell nothing of the stages within a pipeline.
        let whole = |after: &&After| plan.jobs[after.job].stages.len() == 1;
        for after in plan.jobs[job].after.iter().filter(whole) {
            let holds = match after.when {
                When::Ready => self.promises.begun.contains(&job) || self.is_up(after.job),
                when => self.told.iter().any(|event| match event {
                    RunEvent::JobEnded { job, outcome, .. } if *job == after.job => match when {
                        When::Success => *outcome == Outcome::Ok,
                        When::Failure => outcome.is_failure() || *outcome == Outcome::Skipped,
                        When::Exit | When::Ready => true,
                    },
                    RunEvent::JobSkipped { job, .. } => *job == after.job && when != When::Success,
                    _ => false,
                }),
            };
            assert!(holds, "job {job:?} began before its condition {after:?} held");
        }
        self.promises.begun.insert(job);
    }

    /// True if each task of the job is up now; or, if it is no daemon, has ended ok.
    fn is_up(&self, of: JobId) -> bool {
        let plan = &self.supervisor.plan.jobs[of];
        let tasks = self.names.iter().filter(|(_, (job, _))| *job == of);
        tasks.map(|(id, _)| id).all(|id| match self.promises.lives.get(id) {
            _ if self.promises.ok.contains(id) => !plan.is_daemon(),
            Some(life) => {
                let time = plan.ready.as_ref().and_then(|ready| match ready.check {
                    plan::ReadyCheck::After(time) => Some(time),
                    _ => None,
                });
                let is_up = life.up || time.is_some_and(|time| life.began + time <= self.now);
                // Leftovers that are waited for may go on serving.
                let waits = plan.leftovers == Leftovers::Wait;
                life.kind == Kind::Attempt && is_up && life.signalled.is_none() && (!life.exited || waits)
            }
            None => false,
        })
    }

    /// Jobs that were skipped because a service is gone fail the run.
    pub fn missed_services_are_failures(&self) {
        let fails = |event: &RunEvent| matches!(event, RunEvent::JobSkipped { fails: true, .. });
        if self.told.iter().any(fails) {
            assert_ne!(self.supervisor.verdict(), Verdict::Code(0));
        }
    }
}
