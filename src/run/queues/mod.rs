//! The queues of a run: records that some tasks write and others read.
//!
//! [`Queues`] owns the records, as [`flow::queue`](crate::flow::queue) keeps them, and the pipes that lead out to
//! readers. The pipes that lead in belong to the attempts that write: their readers ask for [`Queues::space`], read
//! into it, and report what came by [`Queues::filled`]. Records go out through pipes, or one by one as items of a job
//! ([`Queues::take`]). What else comes out is a [`Round`]: jobs that may ask for an item again, and pipes that nobody
//! wants to read any more.
//!
//! Everything is done in rounds, at most one a turn of the loop. The order within a round matters: find out how much
//! each reader has not read yet, hand out the records that wait, write as much as the pipes take, and only then close
//! the pipes of readers that have read everything, all readers of a lane at once, because what one of them leaves
//! unread is for the others.
//!
//! A round takes place only after something has changed, with one exception: the kernel does not report when a reader
//! has read the last byte of its pipe. That is polled, and only while a queue drains.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::uio::writev;

use crate::flow::cut::{self, Broken, Rule, Sizes};
use crate::flow::queue::{Config, Key, Queue, Taken};
use crate::flow::span::Span;
use crate::os;
use crate::os::io::{BIG_PIPE, PIPE};
use crate::os::poller::{Interest, Poller};
use crate::plan::{self, Items, Job, Plan, QueueId, Unit};
use crate::run::token::Token;
use crate::sched::{Event, JobId, TaskId};

/// The size of a pipe of one page, for queues whose capacity is to be kept exactly.
const PAGE: usize = 4096;
/// The largest capacity for which writers get pipes in packet mode. A page of short lines would hold more than that.
const IN_PACKETS: usize = 64;
/// The shortest and the longest interval at which unread bytes are polled.
const FIRST_POLL: Duration = Duration::from_millis(1);
const LONGEST_POLL: Duration = Duration::from_millis(20);
/// Spans that are written by one call, at most.
const SPANS: usize = 64;

/// All queues of a run.
pub struct Queues {
    plan: Arc<Plan>,
    queues: Vec<QueueState>,
    /// Writers whose records can't be taken, to be told in the next round.
    faults: Vec<Event>,
    /// The interval to the next poll of unread bytes.
    poll_interval: Duration,
}

/// One queue, and the pipes that lead out of it.
struct QueueState {
    queue: Queue,
    /// True if pipes and reads are one page, so that the queue's capacity is exact.
    exact_capacity: bool,
    /// True if writers get a pipe in packet mode, which holds one write.
    packets: bool,
    /// Jobs that may still write to it.
    writers: Vec<JobId>,
    /// Pipes that lead into it.
    inlets: Vec<Inlet>,
    outlets: Vec<Outlet>,
    /// Jobs that wait for a record to become their next item.
    awaiting_item: Vec<JobId>,
    /// True if something has changed since the last round.
    changed: bool,
    /// True while the last records are in the pipes of readers, and polling alone shows when they are read.
    draining: bool,
}

/// A pipe into a queue, named by the reader that has prun's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inlet {
    pub task: TaskId,
    /// The index of the reader among those of the task.
    pub at: usize,
}

/// A pipe from a queue to the standard input of a task.
struct Outlet {
    task: TaskId,
    fd: OwnedFd,
    /// True if the reader's job is a service.
    daemon: bool,
    /// True while the poller reports when it can be written.
    watched: bool,
}

/// The results of a round.
#[derive(Default)]
pub struct Round {
    /// Jobs that may ask for their next item again.
    pub pull: Vec<JobId>,
    /// Pipes that nobody wants to read any more.
    pub closed: Vec<Inlet>,
}

impl Queues {
    pub fn new(plan: Arc<Plan>) -> Queues {
        let queues = plan.queues.iter().map(|queue| QueueState::new(queue, plan.max_record)).collect();
        Queues { plan, queues, faults: Vec::new(), poll_interval: FIRST_POLL }
    }

    // ---- in ----------------------------------------------------------------------------------------------

    /// Opens a way into the queue for a process that writes to a new pipe. `pipe` is prun's end.
    pub fn open_inlet(&mut self, queue: QueueId, inlet: Inlet, pipe: BorrowedFd) {
        let state = &mut self.queues[queue];
        os::io::set_pipe_size(pipe, if state.exact_capacity { PAGE } else { BIG_PIPE });
        state.queue.open_inlet(inlet.key());
        state.inlets.push(inlet);
        state.changed = true;
    }

    /// True if a process writes to the queue through a pipe in packet mode.
    pub fn takes_packets(&self, queue: QueueId) -> bool {
        self.queues[queue].packets
    }

    /// True if the queue has reached its capacity.
    pub fn is_full(&self, queue: QueueId) -> bool {
        self.queues[queue].queue.is_full()
    }

    /// Returns the buffer to read the next bytes of a pipe into. `None` if nobody wants them.
    pub fn space(&mut self, queue: QueueId, inlet: Inlet) -> Option<&mut [u8]> {
        let state = &mut self.queues[queue];
        if state.queue.is_abandoned() { None } else { state.queue.space(inlet.key()) }
    }

    /// Takes over the first `count` bytes of [`Queues::space`].
    pub fn filled(&mut self, queue: QueueId, inlet: Inlet, count: usize) {
        let state = &mut self.queues[queue];
        if let Some(broken) = state.queue.filled(inlet.key(), count) {
            let name = &self.plan.queues[queue].name;
            let why = match broken {
                Broken::TooLong => format!(
                    "it wrote a record of more than {} bytes into queue `{name}`: raise `max_record` (`--max-record`)",
                    self.plan.max_record
                ),
                Broken::OutOfMemory(why) => format!("its record for queue `{name}` was not read: {why}"),
            };
            self.faults.push(Event::Fault { task: inlet.task, why: why.into() });
        }
        state.changed = true;
    }

    /// Puts in one record, without its separator, however full the queue is. Returns whether it is full now.
    pub fn put(&mut self, queue: QueueId, record: Vec<u8>) -> bool {
        let state = &mut self.queues[queue];
        state.queue.put(record);
        state.changed = true;
        state.queue.is_full()
    }

    /// Closes a way into the queue whose pipe can't be read any more. A record that is not complete yet is none.
    pub fn inlet_failed(&mut self, queue: QueueId, inlet: Inlet) {
        let state = &mut self.queues[queue];
        state.inlets.retain(|open| *open != inlet);
        state.queue.close_inlet(inlet.key(), false);
        state.changed = true;
    }

    // ---- out ---------------------------------------------------------------------------------------------

    /// Opens a way out of the queue for a task of `job`, which reads the other end of `pipe`. With `single`, it gets
    /// one record at a time, and the next only when it has read everything before.
    pub fn open_outlet(&mut self, queue: QueueId, single: bool, task: TaskId, job: JobId, pipe: OwnedFd) {
        let state = &mut self.queues[queue];
        let size = if state.exact_capacity || single { PAGE } else { BIG_PIPE };
        let room = os::io::set_pipe_size(pipe.as_fd(), size);
        let room = if room == 0 { PIPE } else { room };
        state.queue.open_outlet(key(task), job, room, single);
        let daemon = self.plan.jobs[job].is_daemon();
        state.outlets.push(Outlet { task, fd: pipe, daemon, watched: false });
        state.changed = true;
    }

    /// Notes that the pipe to the task has room.
    pub fn writable(&mut self, task: TaskId) {
        let leads_to_task = |state: &&mut QueueState| state.outlets.iter().any(|outlet| outlet.task == task);
        if let Some(state) = self.queues.iter_mut().find(leads_to_task) {
            state.changed = true;
        }
    }

    /// True if a task that reads the queue was given all of it and then the end of its input.
    pub fn reached_end(&self, queue: QueueId, task: TaskId) -> bool {
        let state = &self.queues[queue];
        self.plan.queues[queue].input.is_none()
            && state.writers.is_empty()
            && state.outlets.iter().all(|outlet| outlet.task != task)
    }

    /// Takes a record to be the next item of the job. After `Taken::Empty`, a [`Round`] names the job when it may ask
    /// again.
    pub fn take(&mut self, queue: QueueId, job: JobId) -> Taken {
        let state = &mut self.queues[queue];
        let taken = state.queue.take(job);
        match taken {
            Taken::Empty => state.awaiting_item.push(job),
            // There is room now.
            _ => state.changed = true,
        }
        taken
    }

    /// Returns the end of each record that is no part of an item.
    pub fn ending(&self, queue: QueueId) -> &[u8] {
        self.queues[queue].queue.ending()
    }

    // ---- ends --------------------------------------------------------------------------------------------

    /// Closes the pipes of an attempt that is over. With `whole`, it ended by itself, so that its last bytes are a
    /// record even without a separator.
    pub fn task_ended(&mut self, task: TaskId, whole: bool, poller: &Poller) {
        for state in &mut self.queues {
            state.task_ended(task, whole, poller);
        }
    }

    /// Notes that the job writes and reads no more.
    pub fn job_ended(&mut self, job: JobId) {
        for state in &mut self.queues {
            state.writers.retain(|&writer| writer != job);
            if state.writers.is_empty() {
                state.queue.close();
            }
            state.queue.reader_ended(job);
            state.awaiting_item.retain(|&awaiting| awaiting != job);
            state.changed = true;
        }
    }

    /// Hands over the faults of writers since the last call. They stand before the ends of these writers.
    pub fn take_faults(&mut self, events: &mut VecDeque<Event>) {
        events.extend(self.faults.drain(..));
    }

    // ---- rounds ------------------------------------------------------------------------------------------

    /// Returns how long the poller may block before the next round; `None` if none is due by itself.
    pub fn due_in(&self) -> Option<Duration> {
        if self.queues.iter().any(|state| state.changed) {
            return Some(Duration::ZERO);
        }
        self.queues.iter().any(|state| state.draining).then_some(self.poll_interval)
    }

    /// Does a round for all queues that have changed or are draining.
    pub fn round(&mut self, poller: &Poller, events: &mut VecDeque<Event>) -> Round {
        let mut round = Round::default();
        self.take_faults(events);
        if self.queues.iter().any(|state| state.changed) {
            self.poll_interval = FIRST_POLL;
        } else {
            self.poll_interval = (2 * self.poll_interval).min(LONGEST_POLL);
        }
        for state in &mut self.queues {
            if std::mem::take(&mut state.changed) || state.draining {
                state.round(poller, events);
                round.pull.append(&mut state.awaiting_item);
                if state.queue.is_abandoned() {
                    round.closed.append(&mut state.inlets);
                    state.outlets.clear();
                }
            }
        }
        round
    }
}

impl QueueState {
    fn new(queue: &plan::Queue, record: usize) -> QueueState {
        let packets = queue.exact && queue.capacity <= IN_PACKETS;
        let config = Config {
            capacity: queue.capacity,
            rule: rule(&queue.records),
            to_all: queue.to_all,
            sizes: Sizes {
                read: match queue.exact {
                    _ if packets => os::io::largest_packet(),
                    true => PAGE,
                    false => BIG_PIPE,
                },
                record,
                packets,
            },
        };
        QueueState {
            queue: Queue::new(config, &queue.readers),
            exact_capacity: queue.exact,
            packets,
            writers: queue.writers.clone(),
            inlets: Vec::new(),
            outlets: Vec::new(),
            awaiting_item: Vec::new(),
            changed: false,
            draining: false,
        }
    }

    fn task_ended(&mut self, task: TaskId, whole: bool, poller: &Poller) {
        for inlet in self.inlets.extract_if(.., |inlet| inlet.task == task) {
            self.queue.close_inlet(inlet.key(), whole);
            self.changed = true;
        }
        self.close_outlets(poller, |outlet| outlet.task == task);
    }

    /// Closes pipes to readers. Bytes that they did not read are for others.
    fn close_outlets(&mut self, poller: &Poller, which: impl Fn(&Outlet) -> bool) -> Vec<Outlet> {
        let closed: Vec<Outlet> = self.outlets.extract_if(.., |outlet| which(outlet)).collect();
        for outlet in &closed {
            self.queue.set_unread(key(outlet.task), os::io::unread(outlet.fd.as_fd()));
            self.queue.close_outlet(key(outlet.task));
            if outlet.watched {
                let _ = poller.remove(outlet.fd.as_fd());
            }
            self.changed = true;
        }
        closed
    }

    fn round(&mut self, poller: &Poller, events: &mut VecDeque<Event>) {
        for outlet in &self.outlets {
            self.queue.set_unread(key(outlet.task), os::io::unread(outlet.fd.as_fd()));
        }
        self.queue.distribute();
        let gone: Vec<TaskId> =
            self.outlets.iter().filter(|outlet| !outlet.write(&mut self.queue)).map(|o| o.task).collect();
        if !gone.is_empty() {
            self.close_outlets(poller, |outlet| gone.contains(&outlet.task));
        }
        for outlet in &mut self.outlets {
            outlet.watch(&self.queue, poller, events);
        }
        // Readers that share a lane get the end of their input together: what one of them leaves unread is for the others.
        let is_drained = |outlet: &&Outlet| self.queue.is_drained(key(outlet.task));
        let drained: Vec<TaskId> = self.outlets.iter().filter(is_drained).map(|outlet| outlet.task).collect();
        if !drained.is_empty() {
            let closed = self.close_outlets(poller, |outlet| drained.contains(&outlet.task));
            let daemons = closed.iter().filter(|outlet| outlet.daemon);
            events.extend(daemons.map(|outlet| Event::InputEnded(outlet.task)));
        }
        self.draining = self.outlets.iter().any(|outlet| self.queue.is_draining(key(outlet.task)));
    }
}

impl Outlet {
    /// Writes the records that it was given, by one call: a reader as fast as prun must not keep the loop from all
    /// else. Returns `false` if nobody reads any more.
    fn write(&self, queue: &mut Queue) -> bool {
        let spans: Vec<Span> = queue.pending(key(self.task)).take(SPANS).collect();
        if spans.is_empty() {
            return true;
        }
        let slices: Vec<IoSlice> = spans.iter().map(|span| IoSlice::new(span)).collect();
        match writev(&self.fd, &slices) {
            Ok(count) => queue.written(key(self.task), count),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => return false,
        }
        true
    }

    /// Adds the pipe to the poller, or removes it, so that it is watched exactly while something could be written.
    fn watch(&mut self, queue: &Queue, poller: &Poller, events: &mut VecDeque<Event>) {
        let key = key(self.task);
        let wanted = queue.is_pending(key) || queue.is_wanted(key);
        if wanted == self.watched {
            return;
        }
        self.watched = wanted;
        let done = match wanted {
            true => poller.add(self.fd.as_fd(), key, Interest::Write).map(|_| ()),
            false => poller.remove(self.fd.as_fd()),
        };
        if let Err(errno) = done {
            events.push_back(Token::Feed(self.task).unwatched(errno));
        }
    }
}

impl Inlet {
    fn key(self) -> Key {
        Token::Reader(self.task, self.at).pack()
    }
}

fn key(task: TaskId) -> Key {
    Token::Feed(task).pack()
}

fn rule(records: &plan::Records) -> Rule {
    Rule {
        unit: match &records.unit {
            Unit::Ends(end) => cut::Unit::Ends(end.clone()),
            Unit::Starts(regex) => cut::Unit::Starts(regex.clone()),
            Unit::Between { end, start } => cut::Unit::Between { end: end.clone(), start: start.clone() },
            Unit::Bytes(count) => cut::Unit::Bytes(*count),
        },
        per_record: records.per_record,
        block: records.block.map(|block| cut::Block { bytes: block.bytes, records: block.records }),
    }
}

/// True if an item of the job is a record with all its bytes, so that no newline is added where it is fed.
pub fn takes_whole_records(plan: &Plan, job: &Job) -> bool {
    let Items::Queue { queue, .. } = &job.items else { return false };
    rule(&plan.queues[*queue].records).ending().is_empty()
}
