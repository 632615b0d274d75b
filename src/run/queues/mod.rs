//! The queues of a run: what tasks write into them is handed to those that read.
//!
//! Everything is done in rounds, at most one a turn of the loop: look how much each reader has not read yet,
//! hand out what waits, write as much as the pipes take. Rounds follow from news alone, but for one thing that
//! nothing tells of: that a reader has read the last of its pipe. It is asked for only when a queue runs dry.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::uio::writev;

use crate::flow::cut::{self, Rule};
use crate::flow::queue::{Config, Key, Queue, Taken};
use crate::flow::span::Span;
use crate::os;
use crate::os::io::{BIG_PIPE, PIPE};
use crate::os::poller::{Interest, Poller};
use crate::plan::{self, Items, Job, Plan, QueueId, Unit};
use crate::run::token::Token;
use crate::sched::{Event, JobId, TaskId};

/// A pipe of one page, where the queue's capacity is what counts.
const PAGE: usize = 4096;
/// How soon it is asked again whether everything was read: at first, and at last.
const SOON: Duration = Duration::from_millis(1);
const LATER: Duration = Duration::from_millis(20);
/// So many spans are written at once.
const SPANS: usize = 64;

pub struct Queues {
    plan: Arc<Plan>,
    queues: Vec<Open>,
    /// How soon to look again whether what is left was read.
    patience: Duration,
}

/// One queue, and the pipes that lead out of it.
struct Open {
    queue: Queue,
    /// One page for pipes and reads.
    exact: bool,
    /// Jobs that may still write to it.
    writers: Vec<JobId>,
    /// Processes that write to it.
    inlets: Vec<Inlet>,
    outlets: Vec<Outlet>,
    /// Jobs that wait for a record to become their next item.
    asking: Vec<JobId>,
    /// Something has changed since the last round.
    news: bool,
    /// What is left was given to readers, and nothing tells when they have read it.
    ending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inlet {
    pub task: TaskId,
    /// Which of the task's readers.
    pub at: usize,
}

struct Outlet {
    task: TaskId,
    fd: OwnedFd,
    daemon: bool,
    /// The poller tells when it can be written.
    watched: bool,
}

/// What a round brought.
#[derive(Default)]
pub struct News {
    /// Jobs that may ask for their next item again.
    pub pull: Vec<JobId>,
    /// Pipes that nobody wants to read any more.
    pub closed: Vec<Inlet>,
}

impl Queues {
    pub fn new(plan: Arc<Plan>) -> Queues {
        let queues = plan.queues.iter().map(Open::new).collect();
        Queues { plan, queues, patience: SOON }
    }

    // ---- in ----------------------------------------------------------------------------------------------

    /// A process of the task writes to the queue, into a new pipe.
    pub fn open_inlet(&mut self, queue: QueueId, inlet: Inlet, pipe: BorrowedFd) {
        let open = &mut self.queues[queue];
        os::io::set_pipe_size(pipe, if open.exact { PAGE } else { BIG_PIPE });
        open.queue.open_inlet(inlet.key());
        open.inlets.push(inlet);
        open.news = true;
    }

    pub fn is_full(&self, queue: QueueId) -> bool {
        self.queues[queue].queue.is_full()
    }

    /// Where to read what comes next. `None`: nobody wants it.
    pub fn space(&mut self, queue: QueueId, inlet: Inlet) -> Option<&mut [u8]> {
        let open = &mut self.queues[queue];
        if open.queue.is_abandoned() { None } else { open.queue.space(inlet.key()) }
    }

    /// So much was read into it.
    pub fn filled(&mut self, queue: QueueId, inlet: Inlet, count: usize) {
        let open = &mut self.queues[queue];
        open.queue.filled(inlet.key(), count);
        open.news = true;
    }

    /// Puts in one record, without its separator, however full the queue is; says whether it is full now.
    pub fn put(&mut self, queue: QueueId, record: Vec<u8>) -> bool {
        let open = &mut self.queues[queue];
        open.queue.put(record);
        open.news = true;
        open.queue.is_full()
    }

    // ---- out ---------------------------------------------------------------------------------------------

    /// A process of the task reads what is written to this pipe.
    pub fn open_outlet(&mut self, queue: QueueId, one: bool, task: TaskId, job: JobId, pipe: OwnedFd) {
        let open = &mut self.queues[queue];
        let size = if open.exact || one { PAGE } else { BIG_PIPE };
        let room = os::io::set_pipe_size(pipe.as_fd(), size);
        let room = if room == 0 { PIPE } else { room };
        open.queue.open_outlet(key(task), job, room, one);
        let daemon = self.plan.jobs[job].is_daemon();
        open.outlets.push(Outlet { task, fd: pipe, daemon, watched: false });
        open.news = true;
    }

    /// More can be written for the task.
    pub fn writable(&mut self, task: TaskId) {
        let reads = |open: &&mut Open| open.outlets.iter().any(|outlet| outlet.task == task);
        if let Some(open) = self.queues.iter_mut().find(reads) {
            open.news = true;
        }
    }

    /// Whether the task, which reads the queue, was given all of it and then the end.
    pub fn was_read(&self, queue: QueueId, task: TaskId) -> bool {
        let open = &self.queues[queue];
        self.plan.queues[queue].input.is_none()
            && open.writers.is_empty()
            && open.outlets.iter().all(|outlet| outlet.task != task)
    }

    /// The bytes of the next item of the job.
    pub fn take(&mut self, queue: QueueId, job: JobId) -> Taken {
        let open = &mut self.queues[queue];
        let taken = open.queue.take(job);
        match taken {
            Taken::Empty => open.asking.push(job),
            // There is room now.
            _ => open.news = true,
        }
        taken
    }

    /// What records of the queue end with that is no part of an item.
    pub fn ending(&self, queue: QueueId) -> &[u8] {
        self.queues[queue].queue.ending()
    }

    // ---- ends --------------------------------------------------------------------------------------------

    /// The attempt is over. `whole`: it ended by itself, so that what it wrote last is a record.
    pub fn task_ended(&mut self, task: TaskId, whole: bool, poller: &Poller) {
        for open in &mut self.queues {
            open.task_ended(task, whole, poller);
        }
    }

    /// The job writes and reads no more.
    pub fn job_ended(&mut self, job: JobId) {
        for open in &mut self.queues {
            open.writers.retain(|&writer| writer != job);
            if open.writers.is_empty() {
                open.queue.close();
            }
            open.queue.reader_ended(job);
            open.asking.retain(|&asking| asking != job);
            open.news = true;
        }
    }

    // ---- rounds ------------------------------------------------------------------------------------------

    /// When the next round is due.
    pub fn patience(&self) -> Option<Duration> {
        if self.queues.iter().any(|open| open.news) {
            return Some(Duration::ZERO);
        }
        self.queues.iter().any(|open| open.ending).then_some(self.patience)
    }

    /// A round, for all queues of which there is something new.
    pub fn round(&mut self, poller: &Poller, events: &mut VecDeque<Event>) -> News {
        let mut news = News::default();
        if self.queues.iter().any(|open| open.news) {
            self.patience = SOON;
        } else {
            self.patience = (2 * self.patience).min(LATER);
        }
        for open in &mut self.queues {
            if std::mem::take(&mut open.news) || open.ending {
                open.round(poller, events);
                news.pull.append(&mut open.asking);
                if open.queue.is_abandoned() {
                    news.closed.append(&mut open.inlets);
                    open.outlets.clear();
                }
            }
        }
        news
    }
}

impl Open {
    fn new(queue: &plan::Queue) -> Open {
        let config = Config {
            capacity: queue.capacity,
            rule: rule(&queue.records),
            to_all: queue.to_all,
            read: if queue.exact { PAGE } else { BIG_PIPE },
        };
        Open {
            queue: Queue::new(config, &queue.readers),
            exact: queue.exact,
            writers: queue.writers.clone(),
            inlets: Vec::new(),
            outlets: Vec::new(),
            asking: Vec::new(),
            news: false,
            ending: false,
        }
    }

    fn task_ended(&mut self, task: TaskId, whole: bool, poller: &Poller) {
        for inlet in self.inlets.extract_if(.., |inlet| inlet.task == task) {
            self.queue.close_inlet(inlet.key(), whole);
            self.news = true;
        }
        self.close_outlets(poller, |outlet| outlet.task == task);
    }

    /// They get nothing more; what they did not read is for others.
    fn close_outlets(&mut self, poller: &Poller, which: impl Fn(&Outlet) -> bool) -> Vec<Outlet> {
        let closed: Vec<Outlet> = self.outlets.extract_if(.., |outlet| which(outlet)).collect();
        for outlet in &closed {
            self.queue.set_unread(key(outlet.task), os::io::unread(outlet.fd.as_fd()));
            self.queue.close_outlet(key(outlet.task));
            if outlet.watched {
                let _ = poller.remove(outlet.fd.as_fd());
            }
            self.news = true;
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
        // The end comes to all that share a lane at once: what one of them leaves unread is for the others.
        let dry = |outlet: &&Outlet| self.queue.is_drained(key(outlet.task));
        let dry: Vec<TaskId> = self.outlets.iter().filter(dry).map(|outlet| outlet.task).collect();
        if !dry.is_empty() {
            let closed = self.close_outlets(poller, |outlet| dry.contains(&outlet.task));
            let daemons = closed.iter().filter(|outlet| outlet.daemon);
            events.extend(daemons.map(|outlet| Event::InputEnded(outlet.task)));
        }
        self.ending = self.outlets.iter().any(|outlet| self.queue.is_draining(key(outlet.task)));
    }
}

impl Outlet {
    /// Writes what it was given, once: a reader as fast as prun must not keep the loop from all else. `false`:
    /// nobody reads any more.
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

    /// Waits for room in its pipe while something could be written.
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
            let why = format!("could not wait for the readers of a queue: {}", errno.desc());
            events.push_back(Event::Broken(why));
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

/// Whether an item of the job is a record with all its bytes, so that none is added where it is fed.
pub fn takes_whole_records(plan: &Plan, job: &Job) -> bool {
    let Items::Queue { queue, .. } = &job.items else { return false };
    rule(&plan.queues[*queue].records).ending().is_empty()
}
