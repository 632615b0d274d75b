//! Listers: jobs that list the items of other jobs (`each.command`). A lister takes no slot, costs no start
//! of a rate, and is not counted unless it fails. Pure.

use super::task::{Role, State, TaskId};
use super::{JobId, Supervisor};
use crate::event::Time;
use crate::plan::Items;

impl Supervisor {
    /// Returns the job whose tasks, or whose output, are this one's items.
    pub(super) fn source_of(&self, job: JobId) -> Option<JobId> {
        let plan = &self.plan.jobs[job];
        match plan.items {
            Items::Of(before) => Some(before),
            _ => plan.lister,
        }
    }

    /// Dismisses the job's lister: the job takes no more items, so the lister has nothing left to do, which
    /// it need not have noticed.
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

    /// Stops a lister at once, because nobody wants what it writes. However it ends is no failure.
    fn dismiss_lister(&mut self, id: TaskId) {
        if let State::Running { live, drained, .. } = *self.tasks.state(id) {
            self.tasks.get_mut(id).role = Role::Dismissed;
            self.tasks.set(id, State::Running { live, drained, deadline: Some(Time::ZERO) });
        }
    }
}
