//! A task's output is kept for its hook, and what the hook writes stands behind it.

use super::{Lane, LaneSpec, Op, Outputs, SpillId};
use crate::event::Place;

/// What a task wrote for its hook.
#[derive(Debug, PartialEq, Eq)]
pub enum Kept {
    Memory(Vec<u8>),
    /// In the temporary file, all of it; the caller takes the file.
    Spilled(SpillId),
}

impl Outputs {
    /// The task's own output is at its end. The lanes of its hook are added behind it: what is held goes on in
    /// one piece with the hook's. Returns what was kept for the hook, and the number of its first lane.
    pub fn begin_hook(&mut self, place: Place, specs: Vec<LaneSpec>) -> (Kept, usize) {
        let mut input = Kept::Memory(Vec::new());
        let Some(mut sheaf) = self.sheaves.take(place) else { return (input, 0) };
        for mut lane in std::mem::take(&mut sheaf.lanes) {
            if lane.is_for_hook() {
                input = self.take_all(lane);
            } else if lane.spec.own || sheaf.flowing {
                self.release(std::slice::from_mut(&mut lane));
            } else {
                sheaf.lanes.push(lane);
            }
        }
        let first = sheaf.lanes.len();
        sheaf.lanes.extend(specs.into_iter().map(Lane::new));
        self.sheaves.insert(place, sheaf);
        (input, first)
    }

    fn take_all(&mut self, mut lane: Lane) -> Kept {
        let bytes = std::mem::take(&mut lane.kept);
        self.kept -= bytes.len();
        match lane.spill {
            Some((spill, _)) => {
                self.ops.push(Op::Spill { spill, bytes });
                Kept::Spilled(spill)
            }
            None => Kept::Memory(bytes),
        }
    }

    /// Drops what was kept for a hook that does not run: another attempt follows, or it has none for its outcome.
    pub(super) fn without_hooks(&mut self, lanes: Vec<Lane>) -> Vec<Lane> {
        let (for_hook, others): (Vec<_>, Vec<_>) = lanes.into_iter().partition(Lane::is_for_hook);
        for mut lane in for_hook {
            self.kept -= lane.kept.len();
            lane.forget(&mut self.ops);
        }
        others
    }
}
