//! Jobs that list the items of others (`each.command`). Such a job is as any other, but takes no slot, costs no start
//! of a rate, and is nothing that anybody counts unless it fails. Pure.

use super::task::{Role, State, TaskId};
use super::{JobId, Supervisor};
use crate::event::Time;
use crate::plan::Items;

impl Supervisor {
    /// The job whose tasks, or whose output, are this one's items.
    pub(super) fn source_of(&self, job: JobId) -> Option<JobId> {
        let plan = &self.plan.jobs[job];
        match plan.items {
            Items::Of(before) => Some(before),
            _ => plan.lister,
        }
    }

    /// The job takes no more items: what lists them has nothing left to do, and need not have noticed.
    pub(super) fn dismiss_lister_of(&mut self, job: JobId) {
        let Some(lister) = self.plan.jobs[job].lister else { return };
        if self.jobs.get(lister).active > 0 {
            for id in self.tasks.ids() {
                if self.tasks.get(id).job == lister {
                    self.dismiss_lister(id);
                }
            }
        }
    }

    /// Nobody wants what it writes: it is stopped at once, and however it ends is no failure.
    fn dismiss_lister(&mut self, id: TaskId) {
        if let State::Running { live, drained, .. } = *self.tasks.state(id) {
            self.tasks.get_mut(id).role = Role::Dismissed;
            self.tasks.set(id, State::Running { live, drained, deadline: Some(Time::ZERO) });
        }
    }
}
