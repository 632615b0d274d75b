//! The pipes that the processes of an attempt write to, and where the bytes go.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use nix::errno::Errno;

use super::dialogue::Talk;
use super::readiness::Readiness;
use crate::event::Place;
use crate::flow::output::{Outputs, SpillId};
use crate::plan::QueueId;
use crate::run::queues::{Inlet, Queues};

/// A pipe that is found full this often carries much, and gets more room.
pub const OFTEN: u32 = 4;
/// Bytes of stderr that are kept for the report.
const TAIL: usize = 2048;

/// A pipe, or the master of a terminal, that the processes of an attempt write to.
#[derive(Debug)]
pub struct Reader {
    pub fd: OwnedFd,
    /// The lanes of the task's output that get the bytes.
    pub lanes: Vec<usize>,
    /// A destination beside the lanes.
    pub tap: Option<Tap>,
    /// True if its last lines are kept for the report.
    pub is_stderr: bool,
    /// How often a read brought as much as a new pipe holds.
    pub full: u32,
    /// True for the terminal of the task. Its hang-up alone does not show that everything was read.
    pub is_terminal: bool,
    /// True for a pipe in packet mode: each read brings one packet, and others may be behind it.
    pub packets: bool,
    pub read_by: ReadBy,
}

/// The thread that empties a pipe.
#[derive(Debug)]
pub enum ReadBy {
    /// The loop, as long as that is cheaper.
    Loop,
    /// The disk thread, which moves the bytes to a temporary file and counts them.
    Disk { spill: SpillId, count: Arc<AtomicU64> },
    /// The loop to the end: the disk thread could not.
    LoopAlone,
}

impl ReadBy {
    /// Returns the temporary file that the disk thread moves the bytes to.
    pub fn spill(&self) -> Option<SpillId> {
        match self {
            ReadBy::Disk { spill, .. } => Some(*spill),
            ReadBy::Loop | ReadBy::LoopAlone => None,
        }
    }
}

/// A destination beside the lanes of the task's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tap {
    /// Records for this queue.
    Queue(QueueId),
    /// A worker's answers.
    Answers,
}

/// The result of one read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    Bytes {
        count: usize,
        /// True if the buffer was filled, so that more may be there.
        more: bool,
    },
    /// Nothing is there now.
    Empty,
    /// No writer is left, or the terminal was hung up.
    End,
    /// The rest can't be read. It is lost.
    Failed(Errno),
}

/// The parts of prun that listen to the output of an attempt.
#[derive(Default)]
pub struct Listeners<'a> {
    pub talk: Option<&'a mut Talk>,
    pub readiness: Option<&'a mut Readiness>,
}

impl Listeners<'_> {
    /// `at` is the reader of the attempt that brought the bytes.
    fn hear(self, at: usize, bytes: &[u8]) {
        self.talk.into_iter().for_each(|talk| talk.hear(bytes));
        self.readiness.into_iter().for_each(|readiness| readiness.hear(at, bytes));
    }
}

/// The destinations of bytes that were read.
pub struct Sorting<'a> {
    /// Room for a read; may be exchanged for another buffer.
    pub buffer: &'a mut Vec<u8>,
    /// The last of what the attempt wrote to stderr.
    pub tail: &'a mut Vec<u8>,
    pub queues: &'a mut Queues,
    pub outputs: &'a mut Outputs,
}

impl Reader {
    /// Returns a reader of a pipe into lanes of the task alone.
    pub fn of_pipe(fd: OwnedFd, lanes: Vec<usize>, is_stderr: bool) -> Reader {
        Reader {
            fd,
            lanes,
            tap: None,
            is_stderr,
            full: 0,
            is_terminal: false,
            packets: false,
            read_by: ReadBy::Loop,
        }
    }

    /// Reads what is there, once, and hands it on.
    pub fn take_in(&self, inlet: Inlet, listeners: Listeners, to: &mut Sorting) -> Read {
        let place = inlet.task.place;
        if let Some(Tap::Queue(queue)) = self.tap
            && let Some(space) = to.queues.space(queue, inlet)
        {
            let read = self.read(space);
            if let Read::Bytes { count, .. } = read {
                let bytes = &space[..count];
                listeners.hear(inlet.at, bytes);
                self.lanes.iter().for_each(|&lane| to.outputs.push(place, lane, bytes));
                self.keep_tail(bytes, to.tail);
                to.queues.filled(queue, inlet, count);
            }
            return read;
        }
        let read = self.read(to.buffer);
        if let Read::Bytes { count, .. } = read {
            listeners.hear(inlet.at, &to.buffer[..count]);
            self.hand_on(place, count, to);
        }
        read
    }

    /// Keeps the last of what is written to stderr.
    fn keep_tail(&self, bytes: &[u8], tail: &mut Vec<u8>) {
        if self.is_stderr {
            tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
            let excess = tail.len().saturating_sub(TAIL);
            tail.drain(..excess);
        }
    }

    /// Hands on the first `count` bytes of the buffer. A big buffer may be exchanged for another one.
    fn hand_on(&self, place: Place, count: usize, to: &mut Sorting) {
        self.keep_tail(&to.buffer[..count], to.tail);
        match self.lanes[..] {
            [lane] => to.outputs.push_buffer(place, lane, to.buffer, count),
            _ => self.lanes.iter().for_each(|&lane| to.outputs.push(place, lane, &to.buffer[..count])),
        }
    }

    /// Reads what is there, once.
    pub fn read(&self, buffer: &mut [u8]) -> Read {
        loop {
            match nix::unistd::read(self.fd.as_fd(), buffer) {
                Ok(0) => return Read::End,
                Ok(count) => return Read::Bytes { count, more: count == buffer.len() },
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Read::Empty,
                // A terminal that nobody has open fails so.
                Err(Errno::EIO) if self.is_terminal => return Read::End,
                Err(errno) => return Read::Failed(errno),
            }
        }
    }
}
