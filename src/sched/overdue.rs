//! Processes that did not end within `grace` of their stop signal, and who is told of as killed for it. Pure.

use super::task::{Role, State};
use super::{Action, Supervisor, TaskId, run_hooks};
use crate::event::{RunEvent, Time};
use crate::plan::Items;

/// Names of one message, at most.
const NAMED: usize = 3;

/// Those whose grace period ended in one tick. They are told of together, because thousands may be killed at once.
#[derive(Default)]
pub(super) struct Overdue(Vec<Group>);

/// Those that ignored the same signal for the same time.
struct Group {
    signal: i32,
    grace: Time,
    names: Vec<String>,
    more: usize,
}

impl Overdue {
    /// Notes that an entry is killed, because its grace period is over. Does nothing for one that is not being stopped.
    pub fn note(&mut self, supervisor: &Supervisor, id: TaskId) {
        let (signal, live) = match supervisor.tasks.state(id) {
            State::Stopping(stopping) => (stopping.signal, stopping.live),
            State::Clearing(_) => (supervisor.stop_signal(id), 0),
            _ => return,
        };
        let grace = supervisor.plan.jobs[supervisor.tasks.get(id).job].grace;
        let is_same = |group: &&mut Group| group.signal == signal && group.grace == grace;
        let group = match self.0.iter_mut().position(|group| is_same(&&mut *group)) {
            Some(at) => &mut self.0[at],
            None => {
                self.0.push(Group { signal, grace, names: Vec::new(), more: 0 });
                let last = self.0.len() - 1;
                &mut self.0[last]
            }
        };
        if group.names.len() < NAMED {
            group.names.push(supervisor.name_of_overdue(id, live));
        } else {
            group.more += 1;
        }
    }

    /// Tells people of all that were noted.
    pub fn tell(self, actions: &mut Vec<Action>) {
        for Group { signal, grace, names, more } in self.0 {
            let who = match (&names[..], more) {
                ([only], 0) => only.clone(),
                ([before @ .., last], 0) => format!("{} and {last}", before.join(", ")),
                (names, more) => format!("{} and {more} more", names.join(", ")),
            };
            actions.push(Action::Tell(RunEvent::Killed { who, signal, grace }));
        }
    }
}

impl Supervisor {
    /// Returns the name of an entry that is killed, for people. `live`: its own processes that still run.
    fn name_of_overdue(&self, id: TaskId, live: usize) -> String {
        let task = self.tasks.get(id);
        let plan = &self.plan.jobs[task.job];
        let name = match plan.items {
            Items::None => plan.name.to_string(),
            _ => format!("{}[{}]", plan.name, task.seq),
        };
        let who = match (&task.role, run_hooks::hook_of_run(&self.plan, task.job)) {
            (_, Some(at)) => format!("the run's `{}` command", at.key()),
            (Role::Hook(over), None) => format!("the `{}` command of {name}", over.at.key()),
            (Role::Worker(_), None) => {
                let slot = task.slot.map_or(1, |slot| slot.number());
                format!("worker {slot} of {}", plan.name)
            }
            (Role::Attempt | Role::Dismissed, None) => name,
        };
        if live == 0 { format!("processes that {who} started") } else { who }
    }
}
