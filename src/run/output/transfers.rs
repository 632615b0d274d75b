//! Pipes of tasks whose bytes the disk thread moves into temporary files by itself: much output that is held for its
//! group reaches the disk within the kernel, and costs the loop nothing.
//!
//! [`Transfers`] is the thread's side, [`TransferDesk`] the loop's. The loop does not read a pipe from the moment it
//! gives the pipe to the thread until the thread's [`Report`]; so bytes stay in order. The pipe itself stays the loop's:
//! the thread has a descriptor of its own for it.
//!
//! Rejected: moving the bytes in the loop, which would sleep on the disk; and a turn for the thread each time the loop
//! finds bytes, which costs two switches for each turn.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};

use nix::errno::Errno;

use crate::flow::output::SpillId;
use crate::os;
use crate::os::poller::{Interest, Poller, Ready};
use crate::os::waker::Waker;
use crate::run::output::disk::Command;
use crate::sched::TaskId;

/// Transfers at a time. Each has one more descriptor, and a pipe that was enlarged.
const MOST: usize = 32;
/// Bytes that are moved at once, so that other pipes and commands get their turn; and that are taken of a pipe at most
/// when its transfer is ended from outside: as many as an enlarged pipe may hold.
const TURN: usize = 1 << 20;
/// The poller's token of the bell. Temporary files are counted from 1.
const BELL: u64 = 0;

/// A pipe that is to be moved into a temporary file.
pub struct Transfer {
    pub spill: SpillId,
    /// The pipe's reader: the attempt, and the reader's index in it. The thread only gives it back.
    pub task: TaskId,
    pub at: usize,
    pub pipe: OwnedFd,
    /// Bytes that were moved.
    pub count: Arc<AtomicU64>,
}

/// A wish of the loop.
pub enum Order {
    /// Comes before all others.
    Prepare(Box<Transfers>),
    /// Move what comes through the pipe to the temporary file, which is there.
    Begin(Transfer),
    /// Give the pipe back.
    Recall(SpillId),
    /// The attempt is over: move what is in the pipe now, which is the loop's own descriptor, and give that back.
    Leave(Transfer),
}

impl Order {
    /// # Errors
    /// When the temporary file can't be written.
    pub fn carry_out(
        self,
        transfers: &mut Option<Box<Transfers>>,
        spills: &HashMap<SpillId, File>,
    ) -> Result<(), Errno> {
        match (self, transfers) {
            (Order::Prepare(new), transfers) => *transfers = Some(new),
            (Order::Begin(transfer), Some(transfers)) => transfers.begin(transfer),
            (Order::Recall(spill), Some(transfers)) => transfers.recall(spill),
            (Order::Leave(transfer), Some(transfers)) => {
                let file = spills.get(&transfer.spill);
                return transfers.leave(transfer, file);
            }
            (_, None) => {}
        }
        Ok(())
    }
}

/// The end of a transfer.
pub struct Report {
    pub spill: SpillId,
    pub task: TaskId,
    pub at: usize,
    pub end: End,
}

#[derive(Debug)]
pub enum End {
    /// No writer is left, and everything was moved.
    Drained,
    /// The loop wanted the pipe back.
    Returned,
    /// The file takes no more, or can't be spliced to; the loop reads on.
    Refused,
    /// The attempt is over, and somebody still holds its pipe open.
    Left(OwnedFd),
}

/// Wakes the disk thread, which waits for pipes, when there is a command.
#[derive(Default)]
pub struct Bell {
    waker: OnceLock<Waker>,
    /// True while the thread may wait for pipes. The loop sets it before it sends the first transfer: whoever sends a
    /// command behind that sees it.
    is_on: AtomicBool,
}

impl Bell {
    /// Call it after a command was sent.
    pub fn ring(&self) {
        if self.is_on.load(Ordering::SeqCst)
            && let Some(waker) = self.waker.get()
        {
            waker.wake();
        }
    }
}

/// The loop's side.
#[derive(Default)]
pub struct TransferDesk {
    bell: Arc<Bell>,
    /// Where reports come from; `None` before the first transfer.
    reports: Option<Receiver<Report>>,
    /// Orders that were not sent yet.
    prepared: VecDeque<Order>,
    /// The thread's side, until the first order is sent.
    first: Option<Box<Transfers>>,
    /// Transfers whose report has not come.
    active: usize,
}

impl TransferDesk {
    pub fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// True if another transfer can begin: there are not too many of them, and the system is not short of descriptors.
    /// `waker` wakes the loop.
    pub fn has_room(&mut self, waker: &Arc<Waker>) -> bool {
        if self.active < MOST && self.reports.is_none() {
            let (sender, receiver) = channel();
            let Ok(transfers) = Transfers::new(Arc::clone(&self.bell), Arc::clone(waker), sender) else {
                return false;
            };
            self.reports = Some(receiver);
            self.first = Some(Box::new(transfers));
        }
        self.active < MOST
    }

    /// Keeps an order until the operations before it were sent.
    pub fn prepare(&mut self, order: Order) {
        if let Order::Begin(_) = order {
            self.active += 1;
            self.bell.is_on.store(true, Ordering::SeqCst);
        }
        self.prepared.push_back(order);
    }

    /// Returns the orders that are to be sent now: one that was prepared, and before the first one what the thread needs
    /// for all.
    pub fn take_prepared(&mut self) -> Vec<Order> {
        self.first.take().map(Order::Prepare).into_iter().chain(self.prepared.pop_front()).collect()
    }

    /// Returns the next transfer that has ended. The loop is woken for it.
    pub fn take_report(&mut self) -> Option<Report> {
        let report = self.reports.as_ref()?.try_recv().ok()?;
        // A pipe that was left is no transfer any more.
        if !matches!(report.end, End::Left(_)) {
            self.active = self.active.saturating_sub(1);
            self.bell.is_on.store(self.active > 0, Ordering::SeqCst);
        }
        Some(report)
    }
}

/// The thread's side.
pub struct Transfers {
    poller: Poller,
    bell: Arc<Bell>,
    active: HashMap<SpillId, Transfer>,
    ready: Vec<Ready>,
    reports: Sender<Report>,
    /// Wakes the loop, for a report.
    waker: Arc<Waker>,
}

impl Transfers {
    fn new(bell: Arc<Bell>, waker: Arc<Waker>, reports: Sender<Report>) -> nix::Result<Transfers> {
        let poller = Poller::new()?;
        let ringer = Waker::new()?;
        poller.add(ringer.fd(), BELL, Interest::Read)?;
        // This is called once, and again only if it failed before here.
        let _ = bell.waker.set(ringer);
        Ok(Transfers { poller, bell, active: HashMap::new(), ready: Vec::new(), reports, waker })
    }

    /// True if there is nothing to wait for but commands.
    pub fn is_idle(&self) -> bool {
        self.active.is_empty()
    }

    /// Begins a transfer.
    fn begin(&mut self, transfer: Transfer) {
        let spill = transfer.spill;
        let is_watched = self.poller.add(transfer.pipe.as_fd(), spill, Interest::Read) == Ok(true);
        self.active.insert(spill, transfer);
        if !is_watched {
            self.end(spill, End::Refused);
        }
    }

    /// Waits for a pipe or a command. Returns the pipes that are ready.
    pub fn wait(&mut self) -> Vec<SpillId> {
        if self.poller.wait(&mut self.ready, None).is_err() {
            // It can't be waited for any more: the loop reads on.
            self.active
                .keys()
                .copied()
                .collect::<Vec<_>>()
                .into_iter()
                .for_each(|spill| self.end(spill, End::Refused));
        }
        if let Some(waker) = self.bell.waker.get()
            && self.ready.iter().any(|ready| ready.token == BELL)
        {
            waker.drain();
        }
        self.ready.iter().map(|ready| ready.token).filter(|&token| token != BELL).collect()
    }

    /// Moves what is in the pipe, once.
    ///
    /// # Errors
    /// When the file can't be written. The transfer is over then.
    pub fn turn(&mut self, spill: SpillId, file: Option<&File>) -> Result<(), Errno> {
        let Some(transfer) = self.active.get(&spill) else { return Ok(()) };
        let (end, result) = match file.map(|file| transfer.splice(file)) {
            Some(Ok(0)) => (End::Drained, Ok(())),
            Some(Ok(_) | Err(Errno::EAGAIN | Errno::EINTR)) => return Ok(()),
            // The file could not be made, or its file system has no splice.
            None => (End::Refused, Ok(())),
            Some(Err(errno)) if is_no_splice(errno) => (End::Refused, Ok(())),
            Some(Err(errno)) => (End::Refused, Err(errno)),
        };
        self.end(spill, end);
        result
    }

    /// Ends a transfer whose pipe the loop wants back, or whose file is about to be used.
    pub fn recall(&mut self, spill: SpillId) {
        self.end(spill, End::Returned);
    }

    /// Ends the transfer of an attempt that is over, after everything was moved that the attempt itself has written.
    /// `pipe` is the loop's own descriptor; it is given back if somebody still holds the pipe open.
    ///
    /// # Errors
    /// When the file can't be written.
    fn leave(&mut self, transfer: Transfer, file: Option<&File>) -> Result<(), Errno> {
        self.end(transfer.spill, End::Returned);
        let mut moved = 0;
        let result = loop {
            match file.map(|file| transfer.splice(file)) {
                // Nobody holds it.
                Some(Ok(0)) => return Ok(()),
                Some(Ok(count)) if moved + count < TURN => moved += count,
                Some(Err(Errno::EINTR)) => {}
                Some(Err(errno)) if !is_no_splice(errno) && errno != Errno::EAGAIN => break Err(errno),
                _ => break Ok(()),
            }
        };
        let Transfer { spill, task, at, pipe, .. } = transfer;
        self.report(Report { spill, task, at, end: End::Left(pipe) });
        result
    }

    fn end(&mut self, spill: SpillId, end: End) {
        let Some(Transfer { task, at, pipe, .. }) = self.active.remove(&spill) else { return };
        // The loop's descriptor keeps the pipe open, and so in the poller.
        let _ = self.poller.remove(pipe.as_fd());
        drop(pipe);
        self.report(Report { spill, task, at, end });
    }

    fn report(&self, report: Report) {
        // A run that is over hears no report.
        let _ = self.reports.send(report);
        self.waker.wake();
    }
}

impl Transfer {
    fn splice(&self, file: &File) -> nix::Result<usize> {
        let moved = os::io::splice_to_file(self.pipe.as_fd(), TURN, file)?;
        self.count.fetch_add(moved as u64, Ordering::Relaxed);
        Ok(moved)
    }
}

/// True if the file is not to blame, and a write may work.
fn is_no_splice(errno: Errno) -> bool {
    matches!(errno, Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP | Errno::ENOMEM)
}

/// A way to the disk thread, which is woken if it waits for pipes.
#[derive(Clone)]
pub struct Commands {
    pub sender: Sender<Command>,
    pub bell: Arc<Bell>,
}

impl Commands {
    pub fn send(&self, command: Command) {
        // The thread ends only by `Finish`.
        let _ = self.sender.send(command);
        self.bell.ring();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, PipeReader, PipeWriter, Read, Seek, Write};
    use std::time::Duration;

    use super::*;
    use crate::event::Place;
    use crate::run::output::disk::Disk;

    const TASK: TaskId = TaskId { place: Place(0), generation: 1 };

    /// A disk thread with a temporary file that holds "before", and a transfer into it.
    struct World {
        waker: Arc<Waker>,
        disk: Disk,
        reader: PipeReader,
        writer: Option<PipeWriter>,
        count: Arc<AtomicU64>,
    }

    impl World {
        fn new(spill: SpillId) -> World {
            let waker = Arc::new(Waker::new().unwrap());
            let (reader, writer) = io::pipe().unwrap();
            let disk = Disk::new(Arc::clone(&waker), false);
            let mut world = World { waker, disk, reader, writer: Some(writer), count: Arc::default() };
            assert!(!world.disk.has_room(), "no thread runs");
            world.disk.spill(1, b"before".to_vec());
            assert!(world.disk.has_room());
            let begin = Order::Begin(world.transfer(spill));
            world.send(begin);
            world
        }

        fn transfer(&self, spill: SpillId) -> Transfer {
            let pipe = self.reader.try_clone().unwrap().into();
            Transfer { spill, task: TASK, at: 3, pipe, count: Arc::clone(&self.count) }
        }

        fn send(&mut self, order: Order) {
            self.disk.prepare(order);
            self.disk.send_prepared();
        }

        fn write(&mut self, bytes: &[u8]) {
            self.writer.as_mut().unwrap().write_all(bytes).unwrap();
        }

        fn report(&mut self) -> End {
            loop {
                if let Some(report) = self.disk.take_report() {
                    assert_eq!((report.task, report.at), (TASK, 3));
                    return report.end;
                }
                assert!(self.waker.wait(Duration::from_secs(60)), "no report came");
            }
        }

        /// Returns what the temporary file holds. The transfer's count fits to it.
        fn end(mut self) -> String {
            let mut file = self.disk.take(1).recv_timeout(Duration::from_secs(60)).unwrap().unwrap();
            self.disk.finish();
            assert!(self.disk.take_failure().is_none());
            let mut text = String::new();
            file.rewind().unwrap();
            file.read_to_string(&mut text).unwrap();
            assert_eq!(text.len() as u64, 6 + self.count.load(Ordering::Relaxed));
            text
        }
    }

    #[test]
    fn all_that_comes_through_a_pipe_is_moved() {
        let mut world = World::new(1);
        world.write(b"12345");
        world.write(b"678");
        world.writer = None;
        assert!(matches!(world.report(), End::Drained));
        assert_eq!(world.end(), "before12345678");
    }

    #[test]
    fn a_pipe_is_given_back_and_can_be_given_again() {
        let mut world = World::new(1);
        // Nothing comes through the pipe: the thread hears orders all the same.
        world.disk.transfer(Order::Recall(1));
        assert!(matches!(world.report(), End::Returned));
        world.write(b"12");
        let begin = Order::Begin(world.transfer(1));
        world.send(begin);
        world.writer = None;
        assert!(matches!(world.report(), End::Drained));
        world.disk.transfer(Order::Recall(1));
        assert_eq!(world.end(), "before12");
    }

    #[test]
    fn of_a_task_that_is_over_only_what_is_there_is_moved() {
        let mut world = World::new(1);
        world.write(b"own");
        let leave = Order::Leave(world.transfer(1));
        world.send(leave);
        assert!(matches!(world.report(), End::Returned));
        let End::Left(pipe) = world.report() else { panic!("the pipe is still held") };
        world.write(b"late");
        assert_eq!(os::io::unread(pipe.as_fd()), 4);
        assert_eq!(world.end(), "beforeown");

        let mut world = World::new(1);
        world.writer = None;
        let leave = Order::Leave(world.transfer(1));
        world.send(leave);
        assert!(matches!(world.report(), End::Drained | End::Returned));
        assert_eq!(world.end(), "before");
    }

    #[test]
    fn a_file_that_is_taken_takes_nothing_more() {
        let world = World::new(1);
        assert_eq!(world.end(), "before");
    }

    #[test]
    fn without_a_file_the_bytes_stay_in_the_pipe() {
        let mut world = World::new(2);
        world.write(b"12");
        assert!(matches!(world.report(), End::Refused));
        assert_eq!(os::io::unread(world.reader.as_fd()), 2);
        assert_eq!(world.end(), "before");
    }

    #[test]
    fn there_are_not_too_many_at_a_time() {
        let mut world = World::new(1);
        for spill in 2..=MOST as u64 {
            assert!(world.disk.has_room());
            world.disk.spill(spill, Vec::new());
            let begin = Order::Begin(world.transfer(spill));
            world.send(begin);
        }
        assert!(!world.disk.has_room());
        world.disk.transfer(Order::Recall(5));
        assert!(matches!(world.report(), End::Returned));
        assert!(world.disk.has_room());
        assert_eq!(world.end(), "before");
    }
}
