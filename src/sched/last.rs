//! The end of the run: when all jobs have ended it is told how that was, and then the hooks of the run begin, one
//! after another. Pure.
//!
//! These are jobs of the plan with one task each. For all that looks at jobs they have ended before the run begins:
//! nothing counts them, waits for them, or holds them back. How the run ended is known before the first of them
//! begins; only a failure of their own can still make a success a failure.

use std::collections::VecDeque;

use super::hooks::ended;
use super::stop::Cause;
use super::task::{Role, State};
use super::{Action, JobId, Mode, Supervisor, TaskId, Verdict};
use crate::event::{Exit, Outcome, RunEvent, Summary, Time};
use crate::plan::{AtEnd, Plan};

#[derive(Debug, Default)]
pub struct Last {
    stage: Stage,
    /// Those that have not begun.
    left: VecDeque<JobId>,
    /// prun was told to stop: they are killed then.
    until: Option<Time>,
    /// One of them failed.
    pub failed: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Jobs run.
    #[default]
    Before,
    /// The end of the run was told; what tasks wrote is on its way. It may turn out that it can't be written.
    Settling,
    Settled,
    /// It is known which hooks begin.
    Hooks,
}

impl Last {
    /// All that tasks wrote is where it was to go.
    pub fn settled(&mut self) {
        if self.stage == Stage::Settling {
            self.stage = Stage::Settled;
        }
    }
}

/// The hook of the run that this job is.
pub fn hook_of_run(plan: &Plan, job: JobId) -> Option<AtEnd> {
    plan.jobs[job].at_end
}

impl Supervisor {
    /// All jobs have ended: the next hook of the run begins, or the run is over.
    pub(super) fn wind_up(&mut self, now: Time, actions: &mut Vec<Action>) {
        if !self.look_for_hooks(now, actions) {
            return;
        }
        if self.is_urgent() && self.last.until.is_none() {
            let grace = self.last.left.front().map(|job| self.plan.jobs[*job].grace);
            self.last.until = grace.map(|grace| now + grace);
        }
        if !self.tasks.is_empty() {
            return; // One of them runs.
        }
        if self.was_killed() {
            self.last.left.clear();
        }
        if self.last.until.is_some_and(|until| until <= now) {
            for job in std::mem::take(&mut self.last.left) {
                let key = hook_of_run(&self.plan, job).map_or("on_exit", AtEnd::key);
                let why = format!(
                    "the run's `{key}` command does not run: prun was told to stop, and `grace` is over"
                );
                actions.push(Action::Tell(RunEvent::Warning(why)));
            }
        }
        match self.last.left.pop_front() {
            Some(job) => self.begin_last(now, job, actions),
            None => {
                self.mode = Mode::Finished;
                actions.push(Action::Finish);
            }
        }
    }

    /// Whether it is known which hooks begin.
    fn look_for_hooks(&mut self, now: Time, actions: &mut Vec<Action>) -> bool {
        if self.last.stage == Stage::Before {
            actions.push(Action::Tell(RunEvent::RunEnded(self.summary(now))));
            let any = self.plan.jobs.iter().any(|job| job.at_end.is_some());
            self.last.stage = if any { Stage::Settling } else { Stage::Settled };
            actions.extend(any.then_some(Action::Settle));
        }
        // Who wants prun to end does not wait for readers that are slow.
        if self.last.stage == Stage::Settling && !self.is_urgent() {
            return false;
        }
        if self.last.stage != Stage::Hooks {
            self.last.stage = Stage::Hooks;
            self.last.left = self.hooks_due().into();
        }
        true
    }

    fn summary(&self, now: Time) -> Summary {
        Summary {
            ok: self.tally.ok,
            failed: self.tally.failed,
            cancelled: self.tally.cancelled,
            skipped: self.tally.skipped,
            elapsed: now,
            signal: self.stopped_by,
        }
    }

    /// The jobs that begin now, in their order.
    fn hooks_due(&self) -> Vec<JobId> {
        let verdict = self.verdict();
        let failed = match verdict {
            Verdict::Code(code) => code != 0,
            Verdict::Signal(_) => self.has_failed(),
        };
        let due = |at: AtEnd| match at {
            AtEnd::Success => verdict == Verdict::Code(0),
            AtEnd::Failure => failed,
            AtEnd::Exit => true,
        };
        let hooks = self.plan.job_ids().filter_map(|job| Some((hook_of_run(&self.plan, job)?, job)));
        let mut hooks: Vec<_> = hooks.filter(|(at, _)| due(*at)).collect();
        hooks.sort_unstable();
        hooks.into_iter().map(|(_, job)| job).collect()
    }

    /// Something has failed, or prun itself, whatever else happened. What a success put a halt to has not.
    pub fn has_failed(&self) -> bool {
        let first = self.trigger.as_ref().or(self.jobs.first_failure());
        self.broken || first.is_some_and(Outcome::is_failure)
    }

    /// Somebody wants prun to end.
    fn is_urgent(&self) -> bool {
        matches!(&self.mode, Mode::Stopping(stop) if stop.cause != Cause::Halt)
    }

    fn was_killed(&self) -> bool {
        matches!(&self.mode, Mode::Stopping(stop) if stop.killed)
    }

    /// Whatever the run is doing, and whatever holds other starts back.
    fn begin_last(&mut self, now: Time, job: JobId, actions: &mut Vec<Action>) {
        let id = self.tasks.add(job, 1, Role::Attempt);
        let state = self.jobs.get_mut(job);
        state.active += 1;
        state.ready.push_back(id);
        self.start_next(now, job, actions);
        if let (State::Running { live, drained, .. }, Some(_)) = (self.tasks.state(id), self.last.until) {
            let running = State::Running { live: *live, drained: *drained, deadline: self.last.until };
            self.tasks.set(id, running);
        }
    }

    /// Its time is over, if it is a hook of the run: says whether it is.
    pub(super) fn last_is_late(&mut self, id: TaskId, actions: &mut Vec<Action>) -> bool {
        let Some(at) = hook_of_run(&self.plan, self.tasks.get(id).job) else { return false };
        let why =
            format!("the run's `{}` command is killed: prun was told to stop, and `grace` is over", at.key());
        actions.push(Action::Tell(RunEvent::Warning(why)));
        self.kill(id, actions);
        true
    }

    /// A hook of the run is over.
    pub(super) fn end_last(&mut self, id: TaskId, outcome: Outcome, actions: &mut Vec<Action>) {
        let task = self.tasks.remove(id);
        self.jobs.get_mut(task.job).active -= 1;
        let trouble = match &outcome {
            Outcome::Ok | Outcome::Cancelled | Outcome::Skipped => None,
            Outcome::Failed(code) => Some(ended(Exit::Code(*code))),
            Outcome::Killed(signal) => Some(ended(Exit::Signal(*signal))),
            Outcome::Timeout => Some("took too long".to_owned()),
            Outcome::Fault(why) => Some(format!("failed: {why}")),
            Outcome::NotStarted(failure) => Some(format!("could not be started: {}", failure.why)),
        };
        actions.push(Action::End { task: id, outcome, attempts: task.attempt });
        if let (Some(trouble), Some(at)) = (trouble, hook_of_run(&self.plan, task.job)) {
            self.last.failed = true;
            let why = format!("the run's `{}` command {trouble}", at.key());
            actions.push(Action::Tell(RunEvent::LastFailed(why)));
        }
    }
}
