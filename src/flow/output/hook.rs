//! Keeps a task's output for its hook, and appends the hook's own output.

use super::lane::{Lane, LaneSpec};
use super::op::{Op, SpillId};
use super::outputs::Outputs;
use crate::event::Place;

/// The output of a task that its hook reads.
#[derive(Debug, PartialEq, Eq)]
pub enum KeptForHook {
    Memory(Vec<u8>),
    /// All of it is in the temporary file, which belongs to the caller now.
    Spilled(SpillId),
}

impl Outputs {
    /// Ends the task's own output and adds the lanes of its hook. Held output is handed on in one piece with
    /// the hook's. Returns what was kept for the hook, and the number of the hook's first lane.
    pub fn begin_hook(&mut self, place: Place, specs: Vec<LaneSpec>) -> (KeptForHook, usize) {
        let mut input = KeptForHook::Memory(Vec::new());
        let Some(mut task) = self.tasks.take(place) else { return (input, 0) };
        for mut lane in std::mem::take(&mut task.lanes) {
            if lane.is_for_hook() {
                input = self.take_all(lane);
            } else if lane.own_framing().is_some() || task.flowing {
                self.release(std::slice::from_mut(&mut lane));
            } else {
                task.lanes.push(lane);
            }
        }
        let first = task.lanes.len();
        task.lanes.extend(specs.into_iter().map(Lane::new));
        self.tasks.insert(place, task);
        (input, first)
    }

    fn take_all(&mut self, mut lane: Lane) -> KeptForHook {
        let bytes = std::mem::take(&mut lane.kept);
        self.kept -= bytes.len();
        match lane.spill {
            Some((spill, _)) => {
                self.ops.push(Op::Spill { spill, bytes });
                KeptForHook::Spilled(spill)
            }
            None => KeptForHook::Memory(bytes),
        }
    }
}
