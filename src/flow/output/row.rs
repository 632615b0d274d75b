//! A task's output as columns of a row: text is put before, between and behind what its lanes hold.

use super::{Dest, Lane, LaneSpec, Outputs};
use crate::event::Place;

/// What stands around the columns of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub dest: Dest,
    pub before: Vec<u8>,
    pub between: Vec<u8>,
    pub behind: Vec<u8>,
}

impl Outputs {
    /// The task has ended: what its first two lanes hold are columns of this row from now on. A lane that it never
    /// had is an empty column.
    pub fn frame(&mut self, place: Place, row: Row) {
        let Some(sheaf) = self.sheaves.get_mut(place) else { return };
        let mut columns = std::mem::take(&mut sheaf.lanes).into_iter();
        let spec = LaneSpec { dest: row.dest, tag: None, escape: None, own: false };
        let mut lanes = vec![Lane { kept: row.before, ..Lane::new(spec) }];
        let mut added = lanes[0].kept.len();
        for text in [row.between, row.behind] {
            added += text.len();
            if let Some(mut lane) = columns.next() {
                added += lane.end_escape();
                put(&mut lanes, lane);
            }
            // There is always one.
            lanes.last_mut().into_iter().for_each(|lane| lane.kept.extend_from_slice(&text));
        }
        sheaf.lanes = lanes;
        self.kept += added;
    }

    /// No row is wanted of what the task wrote.
    pub fn forget(&mut self, place: Place) {
        let Some(sheaf) = self.sheaves.get_mut(place) else { return };
        for lane in &mut sheaf.lanes {
            self.kept -= lane.kept.len();
            lane.forget(&mut self.ops);
        }
    }
}

/// Behind the others; what is held in memory is held together, and so written at once.
fn put(lanes: &mut Vec<Lane>, lane: Lane) {
    match lanes.last_mut() {
        Some(last) if lane.spill.is_none() => last.kept.extend_from_slice(&lane.kept),
        _ => lanes.push(lane),
    }
}
