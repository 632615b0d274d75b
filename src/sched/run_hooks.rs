//! The end of the run: the summary, and then the hooks of the run, one after another. Pure.
//!
//! Each hook is a job of the plan with one task. To everything that looks at jobs, these jobs have ended
//! before the run begins: nothing counts them, waits for them, or holds them back. How the run ended is known
//! before the first hook begins; only a hook's own failure can still turn success into failure.

use std::collections::VecDeque;

use super::hooks::ended;
use super::stop::Cause;
use super::task::{Role, State};
use super::{Action, JobId, Mode, Supervisor, TaskId, Verdict};
use crate::event::{Exit, Outcome, RunEvent, Summary, Time};
use crate::plan::{HookOn, Plan};

#[derive(Debug, Default)]
pub struct RunHooks {
    progress: Progress,
    /// Hooks that have not begun.
    pending: VecDeque<JobId>,
    /// When hooks are killed, because prun was told to stop.
    kill_at: Option<Time>,
    /// True if a hook failed.
    failed: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Progress {
    /// Jobs run.
    #[default]
    JobsRun,
    /// The end of the run was told, and output is being flushed. It may turn out that it can't be written,
    /// which is a failure.
    Flushing,
    Flushed,
    /// The output was flushed, or nothing waits for it, and the hooks that begin are known.
    HooksKnown,
}

impl RunHooks {
    /// True if a hook of the run failed.
    pub fn any_failed(&self) -> bool {
        self.failed
    }

    /// Everything that tasks wrote has reached its destination.
    pub fn output_flushed(&mut self) {
        if self.progress == Progress::Flushing {
            self.progress = Progress::Flushed;
        }
    }
}

/// Returns which hook of the run the job is; `None` if it is an ordinary job.
pub fn hook_of_run(plan: &Plan, job: JobId) -> Option<HookOn> {
    plan.jobs[job].run_hook()
}

impl Supervisor {
    /// All jobs have ended. Begins the next hook of the run, or ends the run.
    pub(super) fn wind_up(&mut self, now: Time, actions: &mut Vec<Action>) {
        if !self.decide_run_hooks(now, actions) {
            return;
        }
        if self.is_urgent() && self.run_hooks.kill_at.is_none() {
            let grace = self.run_hooks.pending.front().map(|job| self.plan.jobs[*job].grace);
            self.run_hooks.kill_at = grace.map(|grace| now + grace);
        }
        if !self.tasks.is_empty() {
            return; // One of them runs.
        }
        if self.was_killed() {
            self.run_hooks.pending.clear();
        }
        if self.run_hooks.kill_at.is_some_and(|until| until <= now) {
            for job in std::mem::take(&mut self.run_hooks.pending) {
                let key = hook_of_run(&self.plan, job).map_or("on_exit", HookOn::key);
                let why = format!(
                    "the run's `{key}` command does not run: prun was told to stop, and `grace` is over"
                );
                actions.push(Action::Tell(RunEvent::Warning(why)));
            }
        }
        match self.run_hooks.pending.pop_front() {
            Some(job) => self.begin_run_hook(now, job, actions),
            None => {
                self.mode = Mode::Finished;
                // Nothing is waited for any more.
                self.stall_at = None;
                self.brakes.reset();
                actions.push(Action::Finish);
            }
        }
    }

    /// Tells the end of the run, waits for its output, and decides which hooks begin. Returns true once that
    /// is decided.
    fn decide_run_hooks(&mut self, now: Time, actions: &mut Vec<Action>) -> bool {
        if self.run_hooks.progress == Progress::JobsRun {
            actions.push(Action::Tell(RunEvent::RunEnded(self.summary(now))));
            let any = self.plan.jobs.iter().any(|job| job.run_hook().is_some());
            self.run_hooks.progress = if any { Progress::Flushing } else { Progress::Flushed };
            actions.extend(any.then_some(Action::FlushOutput));
        }
        // Whoever wants prun to end does not wait for slow readers.
        if self.run_hooks.progress == Progress::Flushing && !self.is_urgent() {
            return false;
        }
        if self.run_hooks.progress != Progress::HooksKnown {
            self.run_hooks.progress = Progress::HooksKnown;
            self.run_hooks.pending = self.hooks_due().into();
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

    /// Returns the hooks that begin, in order.
    fn hooks_due(&self) -> Vec<JobId> {
        let verdict = self.verdict();
        let failed = match verdict {
            Verdict::Code(code) => code != 0,
            Verdict::Signal(_) => self.has_failed(),
        };
        let due = |at: HookOn| match at {
            HookOn::Success => verdict == Verdict::Code(0),
            HookOn::Failure => failed,
            HookOn::Exit => true,
        };
        let hooks = self.plan.job_ids().filter_map(|job| Some((hook_of_run(&self.plan, job)?, job)));
        let mut hooks: Vec<_> = hooks.filter(|(at, _)| due(*at)).collect();
        hooks.sort_unstable();
        hooks.into_iter().map(|(_, job)| job).collect()
    }

    /// True if something failed, or prun itself, whatever else happened. If a success halted the run,
    /// failures do not count.
    pub fn has_failed(&self) -> bool {
        let first = self.trigger.as_ref().or(self.jobs.first_failure());
        let lost = self.trigger != Some(Outcome::Ok) && self.tally.lost > 0;
        self.broken || lost || first.is_some_and(Outcome::is_failure)
    }

    /// True if somebody wants prun to end: anything but a halt stops the run.
    fn is_urgent(&self) -> bool {
        matches!(&self.mode, Mode::Stopping(stop) if stop.cause != Cause::Halt)
    }

    fn was_killed(&self) -> bool {
        matches!(&self.mode, Mode::Stopping(stop) if stop.killed)
    }

    /// Begins a hook, whatever the run is doing and whatever holds other starts back.
    fn begin_run_hook(&mut self, now: Time, job: JobId, actions: &mut Vec<Action>) {
        let id = self.tasks.add(job, 1, Role::Attempt);
        let state = self.jobs.get_mut(job);
        state.active += 1;
        state.ready.push_back(id);
        self.start_next(now, job, actions);
        if let (State::Running { live, drained, .. }, Some(_)) =
            (self.tasks.state(id), self.run_hooks.kill_at)
        {
            let running = State::Running { live: *live, drained: *drained, deadline: self.run_hooks.kill_at };
            self.tasks.set(id, running);
        }
    }

    /// Kills a hook of the run whose time is over. Returns false if the task is none.
    pub(super) fn kill_late_run_hook(&mut self, id: TaskId, actions: &mut Vec<Action>) -> bool {
        let Some(at) = hook_of_run(&self.plan, self.tasks.get(id).job) else { return false };
        let why =
            format!("the run's `{}` command is killed: prun was told to stop, and `grace` is over", at.key());
        actions.push(Action::Tell(RunEvent::Warning(why)));
        self.kill(id, actions);
        true
    }

    /// A hook of the run has ended, with this outcome.
    pub(super) fn end_run_hook(&mut self, id: TaskId, outcome: Outcome, actions: &mut Vec<Action>) {
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
        actions.push(Action::End { task: id, outcome, attempts: task.attempts });
        if let (Some(trouble), Some(at)) = (trouble, hook_of_run(&self.plan, task.job)) {
            self.run_hooks.failed = true;
            let why = format!("the run's `{}` command {trouble}", at.key());
            actions.push(Action::Tell(RunEvent::LastFailed(why)));
        }
    }
}
