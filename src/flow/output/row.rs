//! A task's output as columns of a row: text is put before, between and behind the output of its lanes.

use super::lane::{Lane, LaneSpec, Own};
use super::op::Dest;
use super::outputs::Outputs;
use crate::event::Place;

/// The text around the columns of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub dest: Dest,
    pub before: Vec<u8>,
    pub between: Vec<u8>,
    pub behind: Vec<u8>,
}

impl Outputs {
    /// Makes the output of the task's first two lanes the columns of a row. Call it when the task has ended.
    /// A lane that the task never had is an empty column.
    pub fn make_row(&mut self, place: Place, row: Row) {
        let Some(task) = self.tasks.get_mut(place) else { return };
        let mut columns = std::mem::take(&mut task.lanes).into_iter();
        let spec = LaneSpec { dest: row.dest, tag: None, escape: None, own: Own::Shared };
        let mut lanes = vec![Lane { kept: row.before, ..Lane::new(spec) }];
        let mut added = lanes[0].kept.len();
        for text in [row.between, row.behind] {
            added += text.len();
            if let Some(mut lane) = columns.next() {
                added += lane.end_escape();
                put(&mut lanes, lane);
            }
            // The list is never empty.
            lanes.last_mut().into_iter().for_each(|lane| lane.kept.extend_from_slice(&text));
        }
        task.lanes = lanes;
        self.kept += added;
    }

    /// Discards the task's output, of which no row is wanted.
    pub fn discard(&mut self, place: Place) {
        let Some(task) = self.tasks.get_mut(place) else { return };
        for lane in &mut task.lanes {
            self.kept -= lane.kept.len();
            lane.discard(&mut self.ops);
        }
    }
}

/// Appends a lane. If it was not spilled, it is merged into the last one, so that both are written at once.
fn put(lanes: &mut Vec<Lane>, lane: Lane) {
    match lanes.last_mut() {
        Some(last) if lane.spill.is_none() => last.kept.extend_from_slice(&lane.kept),
        _ => lanes.push(lane),
    }
}
