//! Output that the caller moves into a lane's temporary file by itself, because that is cheaper than to push it.

use super::lane::Framing;
use super::op::{Op, SpillId};
use super::outputs::Outputs;
use crate::event::Place;

impl Outputs {
    /// True if the lane's bytes go into a temporary file as they are, and nowhere else for now. One that is to flow as whole
    /// lines is no such lane.
    pub fn can_transfer(&self, place: Place, lane: usize) -> bool {
        let Some(task) = self.tasks.get(place) else { return false };
        let is_held = !task.flowing && task.framing(self.framing) == Framing::Chunks;
        is_held && task.lanes.get(lane).is_some_and(|lane| !lane.transferring && lane.takes_bytes_unchanged())
    }

    /// Begins a transfer, if that can be: returns the temporary file that the caller appends the lane's bytes to from
    /// [`Op::Transfer`] on. Until [`Outputs::transferred`] nothing is pushed to the lane.
    pub fn begin_transfer(&mut self, place: Place, lane: usize) -> Option<SpillId> {
        if !self.can_transfer(place, lane) {
            return None;
        }
        let lane = self.tasks.get_mut(place)?.lanes.get_mut(lane)?;
        let (spill, len) = lane.spill.as_mut()?;
        let spill = *spill;
        if !lane.kept.is_empty() {
            let bytes = std::mem::take(&mut lane.kept);
            self.kept -= bytes.len();
            *len += bytes.len() as u64;
            self.ops.push(Op::Spill { spill, bytes });
        }
        lane.transferring = true;
        self.ops.push(Op::Transfer { spill });
        Some(spill)
    }

    /// Ends a transfer, by which the temporary file has grown by `count` bytes.
    pub fn transferred(&mut self, place: Place, lane: usize, count: u64) {
        let framing = self.framing;
        let Some(task) = self.tasks.get_mut(place) else { return };
        let framing = task.framing(framing);
        let flows = task.flowing;
        let Some(lane) = task.lanes.get_mut(lane).filter(|lane| lane.transferring) else { return };
        lane.transferring = false;
        if let Some((_, len)) = &mut lane.spill {
            *len += count;
        }
        // It was recalled, or would flow by now.
        if flows && !lane.is_for_hook() {
            lane.begin_to_flow(framing, &mut self.ops);
        }
    }
}
