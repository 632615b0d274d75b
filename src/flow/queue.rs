//! A bounded buffer of records between jobs. Pure.
//!
//! ```text
//! a writer's pipe ─► inlet (its partial record) ─┐             ┌─► outlet ─► a reader's pipe
//! a writer's pipe ─► inlet                       ├─► lane ─────┼─► outlet ─► a reader's pipe
//! a worker's answers ────────────────────────────┘             └─► an item, on request
//! ```
//!
//! There is one lane, or one for each reading job if every job gets all records. Records that were delivered
//! to an outlet belong to it until its reader has read them. If the reader goes before that, the rest returns
//! to the front of the lane.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use memchr::memchr_iter;

use super::cut::{Broken, Cutter, Rule, Sizes};
use super::span::{Batch, Span};
use crate::event::JobId;

#[derive(Debug, Clone)]
pub struct Config {
    /// The most records that are held. Records that are read at once may exceed it.
    pub capacity: usize,
    pub rule: Rule,
    /// True if each record goes to every reading job.
    pub to_all: bool,
    /// With packets, records that lie unread in the pipes of readers count as held, so that the capacity is felt however
    /// short the records are.
    pub sizes: Sizes,
}

/// The most bytes that a queue holds. A record of any size fits into an empty queue.
const MAX_BYTES: usize = 64 << 20;

/// Identifies an inlet or outlet. The caller chooses it.
pub type Key = u64;

#[derive(Debug)]
pub struct Queue {
    capacity: usize,
    sizes: Sizes,
    rule: Rc<Rule>,
    inlets: BTreeMap<Key, Cutter>,
    lanes: Vec<Lane>,
    /// True while records may be put in by other means than inlets.
    open: bool,
    /// The number of deliveries so far.
    deliveries: u64,
}

/// The records that wait for one reading job, or for all of them.
#[derive(Debug, Default)]
struct Lane {
    /// The reading jobs that have not ended.
    readers: Vec<JobId>,
    waiting: Waiting,
    outlets: BTreeMap<Key, Outlet>,
}

/// Records in order.
#[derive(Debug, Default)]
struct Waiting {
    batches: VecDeque<Batch>,
    records: usize,
    bytes: usize,
}

/// One reading process.
#[derive(Debug, Default)]
struct Outlet {
    /// The capacity of its pipe in bytes.
    room: usize,
    /// True if it gets one record at a time, and only when it has read everything before.
    one: bool,
    /// Records that were delivered and are not known to have been read.
    delivered: VecDeque<Batch>,
    /// The number of their bytes that were written into the pipe.
    written: usize,
    /// The number of their bytes that were not written yet.
    pending: usize,
    /// The number of written bytes that were unread at the last [`Queue::set_unread`].
    unread: usize,
    /// The number of its last delivery.
    last_delivery: u64,
}

/// The result of [`Queue::take`].
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    Record(Span),
    /// No record is there now.
    Empty,
    End,
}

impl Queue {
    /// Creates a queue that these jobs read.
    pub fn new(config: Config, readers: &[JobId]) -> Queue {
        let lane = |readers: &[JobId]| Lane { readers: readers.to_vec(), ..Lane::default() };
        let lanes = match config.to_all {
            true => readers.chunks(1).map(lane).collect(),
            false => vec![lane(readers)],
        };
        Queue {
            capacity: config.capacity,
            sizes: config.sizes,
            rule: Rc::new(config.rule),
            inlets: BTreeMap::new(),
            lanes,
            open: true,
            deliveries: 0,
        }
    }

    // ---- in ----------------------------------------------------------------------------------------------

    /// Adds an inlet: another process, or file, is read into the queue.
    pub fn open_inlet(&mut self, key: Key) {
        self.inlets.insert(key, Cutter::new(Rc::clone(&self.rule), self.sizes));
    }

    /// Returns the buffer for the next read of an inlet.
    pub fn space(&mut self, key: Key) -> Option<&mut [u8]> {
        self.inlets.get_mut(&key).map(Cutter::space)
    }

    /// Takes the first `count` bytes of [`Queue::space`] as read. Returns why the inlet gives no more records, once that
    /// is so.
    pub fn filled(&mut self, key: Key, count: usize) -> Option<Broken> {
        let mut new = Vec::new();
        let inlet = self.inlets.get_mut(&key)?;
        let was_broken = inlet.broken().is_some();
        inlet.filled(count, &mut new);
        let broken = inlet.broken().filter(|_| !was_broken);
        self.add(new);
        broken
    }

    /// Removes an inlet that has ended. With `whole` its rest is a record, although it has no ending.
    pub fn close_inlet(&mut self, key: Key, whole: bool) {
        let mut new = Vec::new();
        if let Some(inlet) = self.inlets.remove(&key) {
            inlet.end(whole, &mut new);
        }
        self.add(new);
    }

    /// Puts in one record, without its ending, however full the queue is.
    pub fn put(&mut self, mut record: Vec<u8>) {
        record.extend_from_slice(self.rule.ending());
        self.add(vec![Batch::one(record)]);
    }

    /// Ends the queue, except for the inlets that are still there.
    pub fn close(&mut self) {
        self.open = false;
    }

    fn add(&mut self, new: Vec<Batch>) {
        for lane in &mut self.lanes {
            new.iter().for_each(|batch| lane.waiting.push_back(batch.clone()));
        }
    }

    // ---- what it is like ---------------------------------------------------------------------------------

    /// True if writers have to wait.
    pub fn is_full(&self) -> bool {
        self.lanes.iter().any(|lane| self.is_lane_full(lane))
    }

    fn is_lane_full(&self, lane: &Lane) -> bool {
        let unread =
            || lane.outlets.values().map(|outlet| outlet.unread_records(self.rule.separator())).sum();
        lane.waiting.is_full(self.capacity, if self.sizes.packets { unread() } else { 0 })
    }

    /// True if no job will read it any more.
    pub fn is_abandoned(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Returns the number of waiting records in the fullest lane.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.lanes.iter().map(|lane| lane.waiting.records).max().unwrap_or(0)
    }

    /// True if nothing more comes in.
    fn is_closed(&self) -> bool {
        !self.open && self.inlets.is_empty()
    }

    // ---- out ---------------------------------------------------------------------------------------------

    /// Adds an outlet: a process of the job `reader` reads from a pipe of `room` bytes. With `one` it gets
    /// one record at a time.
    pub fn open_outlet(&mut self, key: Key, reader: JobId, room: usize, one: bool) {
        if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.readers.contains(&reader)) {
            lane.outlets.insert(key, Outlet { room: room.max(1), one, ..Outlet::default() });
        }
    }

    /// Sets the number of bytes in the outlet's pipe that its reader has not read yet.
    pub fn set_unread(&mut self, key: Key, unread: usize) {
        if let Some(outlet) = self.outlet(key) {
            outlet.set_unread(unread);
        }
    }

    /// Delivers waiting records, first to the outlets with the least unread bytes, so that all have about as
    /// many.
    pub fn distribute(&mut self) {
        let (separator, deliveries) = (self.rule.separator(), &mut self.deliveries);
        self.lanes.iter_mut().for_each(|lane| lane.distribute(separator, deliveries));
    }

    /// Returns the bytes that are to be written to the outlet, in order.
    pub fn pending(&self, key: Key) -> impl Iterator<Item = Span> + '_ {
        let outlet = self.lanes.iter().find_map(|lane| lane.outlets.get(&key));
        outlet.into_iter().flat_map(|outlet| {
            let mut skip = outlet.written;
            outlet.delivered.iter().filter_map(move |batch| {
                let length = batch.span.len();
                let done = skip.min(length);
                skip -= done;
                (done < length).then(|| batch.span.after(done))
            })
        })
    }

    /// Reports that `count` of the pending bytes were written.
    pub fn written(&mut self, key: Key, count: usize) {
        if let Some(outlet) = self.outlet(key) {
            outlet.written += count;
            outlet.pending -= count;
            outlet.unread += count;
        }
    }

    /// True if something is to be written to the outlet.
    pub fn is_pending(&self, key: Key) -> bool {
        self.lanes.iter().any(|lane| lane.outlets.get(&key).is_some_and(|outlet| outlet.pending > 0))
    }

    /// True if the outlet would get something if its reader had read more, or if writers wait for that.
    pub fn is_wanted(&self, key: Key) -> bool {
        let waits = |lane: &Lane| self.sizes.packets && !self.inlets.is_empty() && self.is_lane_full(lane);
        self.lanes
            .iter()
            .filter(|lane| lane.outlets.contains_key(&key))
            .any(|lane| !lane.waiting.is_empty() || lane.outlets[&key].unread > 0 && waits(lane))
    }

    /// True if nothing more comes, and everything was read by this outlet and all others of its lane.
    pub fn is_drained(&self, key: Key) -> bool {
        let lane = self.lanes.iter().find(|lane| lane.outlets.contains_key(&key));
        let closed = self.is_closed();
        lane.is_none_or(|lane| {
            closed
                && lane.waiting.is_empty()
                && lane.outlets.values().all(|outlet| outlet.pending == 0 && outlet.unread == 0)
        })
    }

    /// True if nothing more comes, and everything was delivered, though perhaps not read.
    pub fn is_draining(&self, key: Key) -> bool {
        let closed = self.is_closed();
        self.lanes.iter().any(|lane| closed && lane.waiting.is_empty() && lane.outlets.contains_key(&key))
    }

    /// Removes an outlet whose process has gone or reads no more. Its unread records return to the queue; a
    /// record that was read in part counts as read.
    pub fn close_outlet(&mut self, key: Key) {
        let separator = self.rule.separator();
        for lane in &mut self.lanes {
            let Some(mut outlet) = lane.outlets.remove(&key) else { continue };
            let read = outlet.written - outlet.unread;
            if read > 0
                && let Some(first) = outlet.delivered.front_mut()
            {
                first.split_off_front(read, separator);
                if first.records == 0 {
                    outlet.delivered.pop_front();
                }
            }
            outlet.delivered.into_iter().rev().for_each(|batch| lane.waiting.push_front(batch));
        }
    }

    /// Takes one record for a task of the job `reader`.
    pub fn take(&mut self, reader: JobId) -> Taken {
        let (closed, separator) = (self.is_closed(), self.rule.separator());
        let Some(lane) = self.lanes.iter_mut().find(|lane| lane.readers.contains(&reader)) else {
            return Taken::End;
        };
        match lane.waiting.pop_front(1, separator) {
            Some(batch) => Taken::Record(batch.span),
            None if closed && lane.outlets.values().all(|outlet| outlet.delivered.is_empty()) => Taken::End,
            None => Taken::Empty,
        }
    }

    /// Returns the bytes at the end of a record that do not belong to an item.
    pub fn ending(&self) -> &[u8] {
        self.rule.ending()
    }

    /// Removes a job that reads no more.
    pub fn reader_ended(&mut self, reader: JobId) {
        for lane in &mut self.lanes {
            lane.readers.retain(|&known| known != reader);
        }
        self.lanes.retain(|lane| !lane.readers.is_empty());
    }

    fn outlet(&mut self, key: Key) -> Option<&mut Outlet> {
        self.lanes.iter_mut().find_map(|lane| lane.outlets.get_mut(&key))
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// `unread`: records that count beside those that wait.
    fn is_full(&self, capacity: usize, unread: usize) -> bool {
        self.records + unread >= capacity || self.bytes >= MAX_BYTES
    }

    fn push_back(&mut self, batch: Batch) {
        self.records += batch.records;
        self.bytes += batch.span.len();
        self.batches.push_back(batch);
    }

    fn push_front(&mut self, batch: Batch) {
        self.records += batch.records;
        self.bytes += batch.span.len();
        self.batches.push_front(batch);
    }

    /// Removes the records of the first batch that hold its first `bytes` bytes.
    fn pop_front(&mut self, bytes: usize, separator: Option<u8>) -> Option<Batch> {
        let first = self.batches.front_mut()?;
        let batch = first.split_off_front(bytes, separator);
        if first.records == 0 {
            self.batches.pop_front();
        }
        self.records -= batch.records;
        self.bytes -= batch.span.len();
        Some(batch)
    }
}

impl Lane {
    fn distribute(&mut self, separator: Option<u8>, deliveries: &mut u64) {
        let ready = self.outlets.iter().filter(|(_, outlet)| outlet.is_ready());
        let mut ready: Vec<(usize, u64, Key)> =
            ready.map(|(&key, outlet)| (outlet.unread, outlet.last_delivery, key)).collect();
        ready.sort_unstable();
        // Like water that is poured into vessels that are filled to different heights.
        let level = level(self.waiting.bytes, ready.iter().map(|&(unread, ..)| unread));
        for (unread, _, key) in ready {
            let Some(outlet) = self.outlets.get_mut(&key) else { continue };
            if unread >= level && !outlet.one || self.waiting.is_empty() {
                continue;
            }
            *deliveries += 1;
            outlet.last_delivery = *deliveries;
            let share = if outlet.one { 1 } else { (level - unread).min(outlet.room - unread) };
            let mut got = 0;
            while got < share
                && let Some(batch) = self.waiting.pop_front(share - got, separator)
            {
                got += batch.span.len();
                outlet.pending += batch.span.len();
                outlet.delivered.push_back(batch);
            }
        }
    }
}

impl Outlet {
    /// True if something could be written at once.
    fn is_ready(&self) -> bool {
        self.pending == 0 && self.unread < if self.one { 1 } else { self.room }
    }

    /// Returns how many records were delivered and not read. One that was read in part counts.
    fn unread_records(&self, separator: Option<u8>) -> usize {
        let read = self.written - self.unread;
        let unread = |(at, batch): (usize, &Batch)| match separator {
            Some(separator) if at == 0 && batch.records > 1 => {
                memchr_iter(separator, &batch.span[read.min(batch.span.len())..]).count()
            }
            _ => batch.records,
        };
        self.delivered.iter().enumerate().map(unread).sum()
    }

    fn set_unread(&mut self, unread: usize) {
        self.unread = unread.min(self.written);
        while let Some(first) = self.delivered.front()
            && first.span.len() <= self.written - self.unread
        {
            self.written -= first.span.len();
            self.delivered.pop_front();
        }
    }
}

/// Returns the level of water that is poured into vessels, the emptiest first.
fn level(water: usize, heights: impl Iterator<Item = usize>) -> usize {
    let (mut level, mut sum) = (0, water);
    for (at, height) in heights.enumerate() {
        if at > 0 && height >= level {
            break;
        }
        sum += height;
        level = sum.div_ceil(at + 1);
    }
    level
}
