//! A bounded buffer of records between jobs. Pure.
//!
//! ```text
//! a writer's pipe ─► inlet (its half record) ─┐             ┌─► outlet ─► a reader's pipe
//! a writer's pipe ─► inlet                    ├─► lane ─────┼─► outlet ─► a reader's pipe
//! a worker's answers ─────────────────────────┘             └─► an item, on request
//! ```
//!
//! There is one lane, or one for each reading job where all of them get everything. What an outlet was given
//! stays its own until the reader has read it: if it goes before that, the rest comes back, in front.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::cut::{Cutter, Rule};
use super::span::{Batch, Span};
use crate::event::JobId;

#[derive(Debug, Clone)]
pub struct Config {
    /// Records held. What is read at once may go beyond it.
    pub capacity: usize,
    pub rule: Rule,
    /// Each record goes to every reading job.
    pub to_all: bool,
    /// So much of a writer is read at once.
    pub read: usize,
}

/// Nobody has to wait to put a record of any size into an empty queue; else this is all it holds.
const MOST_BYTES: usize = 64 << 20;

/// Names an inlet or outlet; the caller's choice.
pub type Key = u64;

#[derive(Debug)]
pub struct Queue {
    capacity: usize,
    read: usize,
    rule: Rc<Rule>,
    inlets: BTreeMap<Key, Cutter>,
    lanes: Vec<Lane>,
    /// Something may still be put in beside what inlets bring.
    open: bool,
    /// How many times something was given.
    given: u64,
}

/// What waits for one reading job, or for all.
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
    /// What its pipe holds.
    room: usize,
    /// Gets one record at a time, and only when everything before was read.
    one: bool,
    /// What was given and is not known to have been read.
    given: VecDeque<Batch>,
    /// Of these bytes, so many were written into the pipe …
    written: usize,
    /// … so many were not …
    pending: usize,
    /// … and so many were not read, when that was last looked at.
    unread: usize,
    /// When it was last given something.
    last: u64,
}

/// The answer to [`Queue::take`].
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    Record(Span),
    /// Nothing is there now.
    Wait,
    End,
}

impl Queue {
    /// `readers`: the jobs that read it.
    pub fn new(config: Config, readers: &[JobId]) -> Queue {
        let lane = |readers: &[JobId]| Lane { readers: readers.to_vec(), ..Lane::default() };
        let lanes = match config.to_all {
            true => readers.chunks(1).map(lane).collect(),
            false => vec![lane(readers)],
        };
        Queue {
            capacity: config.capacity,
            read: config.read,
            rule: Rc::new(config.rule),
            inlets: BTreeMap::new(),
            lanes,
            open: true,
            given: 0,
        }
    }

    // ---- in ----------------------------------------------------------------------------------------------

    /// Another process, or file, is read into the queue.
    pub fn open_inlet(&mut self, key: Key) {
        self.inlets.insert(key, Cutter::new(Rc::clone(&self.rule), self.read));
    }

    /// Where to read what an inlet brings next.
    pub fn space(&mut self, key: Key) -> Option<&mut [u8]> {
        self.inlets.get_mut(&key).map(Cutter::space)
    }

    /// So much was read into [`Queue::space`].
    pub fn filled(&mut self, key: Key, count: usize) {
        let mut new = Vec::new();
        if let Some(inlet) = self.inlets.get_mut(&key) {
            inlet.filled(count, &mut new);
        }
        self.add(new);
    }

    /// Nothing more comes from there. `whole`: what was last read is a record although it did not end.
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

    /// Nothing more is put in but by the inlets that are there.
    pub fn close(&mut self) {
        self.open = false;
    }

    fn add(&mut self, new: Vec<Batch>) {
        for lane in &mut self.lanes {
            new.iter().for_each(|batch| lane.waiting.push_back(batch.clone()));
        }
    }

    // ---- what it is like ---------------------------------------------------------------------------------

    /// Whoever writes has to wait.
    pub fn is_full(&self) -> bool {
        self.lanes.iter().any(|lane| lane.waiting.is_full(self.capacity))
    }

    /// Nobody will read it any more.
    pub fn is_abandoned(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Records that wait to be given to a reader: the most of them in a lane.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.lanes.iter().map(|lane| lane.waiting.records).max().unwrap_or(0)
    }

    /// Nothing more comes in.
    fn is_closed(&self) -> bool {
        !self.open && self.inlets.is_empty()
    }

    // ---- out ---------------------------------------------------------------------------------------------

    /// A process of the job `reader` reads from a pipe that holds `room`. `one`: one record at a time.
    pub fn open_outlet(&mut self, key: Key, reader: JobId, room: usize, one: bool) {
        if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.readers.contains(&reader)) {
            lane.outlets.insert(key, Outlet { room: room.max(1), one, ..Outlet::default() });
        }
    }

    /// So many bytes of what was written to the outlet were not read yet.
    pub fn look(&mut self, key: Key, unread: usize) {
        if let Some(outlet) = self.outlet(key) {
            outlet.look(unread);
        }
    }

    /// Hands out what is there: to those that have least unread, so that all have about as much of it.
    pub fn distribute(&mut self) {
        let (separator, given) = (self.rule.separator(), &mut self.given);
        self.lanes.iter_mut().for_each(|lane| lane.distribute(separator, given));
    }

    /// What is to be written to the outlet, in order.
    pub fn pending(&self, key: Key) -> impl Iterator<Item = Span> + '_ {
        let outlet = self.lanes.iter().find_map(|lane| lane.outlets.get(&key));
        outlet.into_iter().flat_map(|outlet| {
            let mut skip = outlet.written;
            outlet.given.iter().filter_map(move |batch| {
                let length = batch.span.len();
                let done = skip.min(length);
                skip -= done;
                (done < length).then(|| batch.span.after(done))
            })
        })
    }

    /// So many bytes of that were written.
    pub fn written(&mut self, key: Key, count: usize) {
        if let Some(outlet) = self.outlet(key) {
            outlet.written += count;
            outlet.pending -= count;
            outlet.unread += count;
        }
    }

    /// Whether something is to be written to the outlet.
    pub fn is_pending(&self, key: Key) -> bool {
        self.lanes.iter().any(|lane| lane.outlets.get(&key).is_some_and(|outlet| outlet.pending > 0))
    }

    /// Whether the outlet could be given something, had its reader read more.
    pub fn is_wanted(&self, key: Key) -> bool {
        self.lanes.iter().any(|lane| !lane.waiting.is_empty() && lane.outlets.contains_key(&key))
    }

    /// Everything was read, by this outlet and all that share its lane, and nothing more comes.
    pub fn is_dry(&self, key: Key) -> bool {
        let lane = self.lanes.iter().find(|lane| lane.outlets.contains_key(&key));
        let closed = self.is_closed();
        lane.is_none_or(|lane| {
            closed
                && lane.waiting.is_empty()
                && lane.outlets.values().all(|outlet| outlet.pending == 0 && outlet.unread == 0)
        })
    }

    /// Everything was given out, nothing more comes, and all that is left is that it be read.
    pub fn is_running_dry(&self, key: Key) -> bool {
        let closed = self.is_closed();
        self.lanes.iter().any(|lane| closed && lane.waiting.is_empty() && lane.outlets.contains_key(&key))
    }

    /// The reading process has gone, or reads no more. What it did not read comes back; a record of which it
    /// read a part counts as read.
    pub fn close_outlet(&mut self, key: Key) {
        let separator = self.rule.separator();
        for lane in &mut self.lanes {
            let Some(mut outlet) = lane.outlets.remove(&key) else { continue };
            let read = outlet.written - outlet.unread;
            if read > 0
                && let Some(first) = outlet.given.front_mut()
            {
                first.split_off_front(read, separator);
                if first.records == 0 {
                    outlet.given.pop_front();
                }
            }
            outlet.given.into_iter().rev().for_each(|batch| lane.waiting.push_front(batch));
        }
    }

    /// One record for a task of the job `reader`.
    pub fn take(&mut self, reader: JobId) -> Taken {
        let (closed, separator) = (self.is_closed(), self.rule.separator());
        let Some(lane) = self.lanes.iter_mut().find(|lane| lane.readers.contains(&reader)) else {
            return Taken::End;
        };
        match lane.waiting.pop_front(1, separator) {
            Some(batch) => Taken::Record(batch.span),
            None if closed && lane.outlets.values().all(|outlet| outlet.given.is_empty()) => Taken::End,
            None => Taken::Wait,
        }
    }

    /// What a record ends with that is no part of an item.
    pub fn ending(&self) -> &[u8] {
        self.rule.ending()
    }

    /// The job reads no more.
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

    fn is_full(&self, capacity: usize) -> bool {
        self.records >= capacity || self.bytes >= MOST_BYTES
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

    /// Records of the first batch: those in which its first `bytes` bytes are.
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
    fn distribute(&mut self, separator: Option<u8>, given: &mut u64) {
        let ready = self.outlets.iter().filter(|(_, outlet)| outlet.is_ready());
        let mut ready: Vec<(usize, u64, Key)> =
            ready.map(|(&key, outlet)| (outlet.unread, outlet.last, key)).collect();
        ready.sort_unstable();
        // As water is poured into vessels that are filled to different heights.
        let level = level(self.waiting.bytes, ready.iter().map(|&(unread, ..)| unread));
        for (unread, _, key) in ready {
            let Some(outlet) = self.outlets.get_mut(&key) else { continue };
            if unread >= level && !outlet.one || self.waiting.is_empty() {
                continue;
            }
            *given += 1;
            outlet.last = *given;
            let share = if outlet.one { 1 } else { (level - unread).min(outlet.room - unread) };
            let mut got = 0;
            while got < share
                && let Some(batch) = self.waiting.pop_front(share - got, separator)
            {
                got += batch.span.len();
                outlet.pending += batch.span.len();
                outlet.given.push_back(batch);
            }
        }
    }
}

impl Outlet {
    /// Something could be written at once.
    fn is_ready(&self) -> bool {
        self.pending == 0 && self.unread < if self.one { 1 } else { self.room }
    }

    fn look(&mut self, unread: usize) {
        self.unread = unread.min(self.written);
        while let Some(first) = self.given.front()
            && first.span.len() <= self.written - self.unread
        {
            self.written -= first.span.len();
            self.given.pop_front();
        }
    }
}

/// How high water stands that is poured into vessels, the emptiest first.
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
