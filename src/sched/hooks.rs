//! Hooks: a command after the last attempt of a task. It takes the task's place: its slot and its process. Pure.

use super::stop::Reason;
use super::task::{Role, State};
use super::{Action, Mode, Supervisor, TaskId};
use crate::event::{Exit, Outcome, RunEvent, Time};
use crate::plan::{Hook, Items, Job, status};

/// The hook for this outcome, and its name in a job file.
fn hook<'a>(job: &'a Job, outcome: &Outcome) -> Option<(&'a Hook, &'static str)> {
    match outcome {
        Outcome::Ok => Some((job.on_success.as_ref()?, "on_success")),
        outcome if outcome.is_failure() => Some((job.on_failure.as_ref()?, "on_failure")),
        _ => None,
    }
}

/// How a process ended, in words that go on a sentence.
pub fn ended(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exited with {code}"),
        Exit::Signal(signal) => format!("was killed by signal {signal}"),
    }
}

impl Supervisor {
    /// The last attempt of a task is over: its hook, or its end. A stop begins nothing new.
    pub(super) fn conclude(&mut self, now: Time, id: TaskId, outcome: Outcome, actions: &mut Vec<Action>) {
        let job = self.tasks.get(id).job;
        let goes_on = matches!(self.mode, Mode::Going | Mode::Closing);
        if !goes_on || hook(&self.plan.jobs[job], &outcome).is_none() {
            self.end_task(now, id, outcome, actions);
            return;
        }
        let task = self.tasks.get_mut(id);
        task.role = Role::Hook(outcome.clone());
        task.exits.clear();
        task.exits.push(None);
        self.tasks.set(id, State::Running { live: 1, drained: false, deadline: None });
        if self.plan.jobs[job].worker.is_some() {
            self.jobs.get_mut(job).crew.hooks += 1;
        }
        actions.push(Action::Hook { task: id, outcome });
    }

    /// The hook is over, and with it the task. Its own failure counts.
    pub(super) fn hook_ended(
        &mut self,
        now: Time,
        id: TaskId,
        outcome: Outcome,
        reason: Option<Reason>,
        actions: &mut Vec<Action>,
    ) {
        let task = self.tasks.get(id);
        let (job, seq) = (task.job, task.seq);
        let plan = &self.plan.jobs[job];
        let Some((hook, key)) = hook(plan, &outcome) else { unreachable!("{id:?} has a hook") };
        let trouble = match reason {
            None => task.exits[0]
                .filter(|exit| status::judge(Some(*exit), &hook.stage.ok).is_failure())
                .map(ended),
            Some(Reason::NotStarted(failure)) => Some(format!("could not be started: {}", failure.why)),
            Some(Reason::Fault(why)) => Some(format!("failed: {why}")),
            Some(_) => None,
        };
        let outcome = match trouble {
            None => outcome,
            Some(trouble) if outcome == Outcome::Ok => {
                Outcome::Fault(format!("its `{key}` command {trouble}").into())
            }
            Some(trouble) => {
                let name = match plan.items {
                    Items::None => plan.name.to_string(),
                    _ => format!("{}[{seq}]", plan.name),
                };
                let why = format!("the `{key}` command of `{name}` {trouble}");
                actions.push(Action::Tell(RunEvent::Warning(why)));
                outcome
            }
        };
        if plan.worker.is_some() {
            self.jobs.get_mut(job).crew.hooks -= 1;
            self.jobs.stir(job);
        }
        self.end_task(now, id, outcome, actions);
    }
}
