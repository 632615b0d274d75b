//! Hooks of tasks: commands after a task's last attempt. A hook takes the task's place: its slot, and its
//! process. Pure.

use super::stop::Reason;
use super::task::{Over, Role, State};
use super::{Action, Mode, Supervisor, TaskId};
use crate::event::{Exit, Outcome, RunEvent, Time};
use crate::plan::{HookOn, Items, Job, status};

/// Returns the first hook that a task with this outcome has.
fn first(job: &Job, outcome: &Outcome) -> Option<HookOn> {
    let own = match outcome {
        Outcome::Ok => Some(HookOn::Success),
        outcome if outcome.is_failure() => Some(HookOn::Failure),
        // A task that never began has no hooks.
        Outcome::Skipped => return None,
        _ => None,
    };
    own.into_iter().chain([HookOn::Exit]).find(|at| job.hook(*at).is_some())
}

/// Returns how a task ends whose hooks did not all run because prun stopped. If it was ok, it is cancelled,
/// so that it is done again.
fn unfinished(outcome: Outcome) -> Outcome {
    if outcome == Outcome::Ok { Outcome::Cancelled } else { outcome }
}

/// Says how a process ended, in words that follow a subject: "exited with 1".
pub fn ended(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exited with {code}"),
        Exit::Signal(signal) => format!("was killed by signal {signal}"),
    }
}

impl Supervisor {
    /// True if hooks may begin. A stop of the whole run begins nothing new.
    pub(super) fn begins_hooks(&self) -> bool {
        matches!(self.mode, Mode::Going | Mode::Closing)
    }

    /// The last attempt of the task is over, with this outcome. Its hooks begin, or the task ends.
    pub(super) fn conclude(&mut self, now: Time, id: TaskId, outcome: Outcome, actions: &mut Vec<Action>) {
        let job = self.tasks.get(id).job;
        let plan = &self.plan.jobs[job];
        let Some(at) = first(plan, &outcome) else { return self.end_task(now, id, outcome, actions) };
        if !self.begins_hooks() {
            return self.end_task(now, id, unfinished(outcome), actions);
        }
        if plan.worker.is_some() {
            self.jobs.get_mut(job).workers.hooks += 1;
        }
        self.begin_hook(id, Over { by_itself: outcome.clone(), outcome, at }, actions);
    }

    fn begin_hook(&mut self, id: TaskId, over: Over, actions: &mut Vec<Action>) {
        actions.push(Action::Hook { task: id, at: over.at, outcome: over.by_itself.clone() });
        let task = self.tasks.get_mut(id);
        task.role = Role::Hook(over);
        task.exits.clear();
        task.exits.push(None);
        self.tasks.set(id, State::Running { live: 1, drained: false, deadline: None });
    }

    /// A hook of the task is over. The next one begins, or the task ends. A failure of the hook itself
    /// counts.
    pub(super) fn hook_ended(
        &mut self,
        now: Time,
        id: TaskId,
        mut over: Over,
        reason: Option<Reason>,
        actions: &mut Vec<Action>,
    ) {
        let task = self.tasks.get(id);
        let (job, seq) = (task.job, task.seq);
        let plan = &self.plan.jobs[job];
        let Some(hook) = plan.hook(over.at) else { unreachable!("{id:?} has a hook") };
        let trouble = match reason {
            None => task.exits[0]
                .filter(|exit| status::judge(Some(*exit), &hook.stage.ok).is_failure())
                .map(ended),
            Some(Reason::NotStarted(failure)) => Some(format!("could not be started: {}", failure.why)),
            Some(Reason::Fault(why)) => Some(format!("failed: {why}")),
            Some(_) => {
                over.outcome = unfinished(over.outcome);
                None
            }
        };
        let key = over.at.key();
        match trouble {
            None => {}
            Some(trouble) if over.outcome == Outcome::Ok => {
                over.outcome = Outcome::Fault(format!("its `{key}` command {trouble}").into());
            }
            Some(trouble) => {
                let name = match plan.items {
                    Items::None => plan.name.to_string(),
                    _ => format!("{}[{seq}]", plan.name),
                };
                let why = format!("the `{key}` command of `{name}` {trouble}");
                actions.push(Action::Tell(RunEvent::Warning(why)));
            }
        }
        if over.at != HookOn::Exit && plan.hook(HookOn::Exit).is_some() {
            if self.begins_hooks() {
                return self.begin_hook(id, Over { at: HookOn::Exit, ..over }, actions);
            }
            over.outcome = unfinished(over.outcome);
        }
        if plan.worker.is_some() {
            self.jobs.get_mut(job).workers.hooks -= 1;
            self.jobs.touch(job);
        }
        self.end_task(now, id, over.outcome, actions);
    }
}
