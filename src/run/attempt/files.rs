//! The files of an attempt: all of them are opened before its first process starts.
//!
//! A file that the attempt's processes write to themselves stays open in prun as long as the attempt lives, so that
//! another task that names it shares the open file. That is at most one for each stream.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::event::{StageId, Time};
use crate::flow::output::{Dest, Own};
use crate::os::files::{Identity, InputFile};

/// A file that a stage names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// The number of the task is written there.
    Seq,
    Stdin,
    Stdout,
    Stderr,
}

impl Port {
    /// All files of a stage, in the order in which they are opened.
    pub const ALL: [Port; 4] = [Port::Seq, Port::Stdin, Port::Stdout, Port::Stderr];
}

/// A file that was opened for an attempt.
#[derive(Debug)]
pub enum AttemptFile {
    /// A stage reads it.
    Input(OwnedFd),
    /// Processes write to it themselves.
    Direct(Arc<File>),
    /// prun writes to it.
    Lane(Dest, Own),
}

/// The result of opening the files of an attempt, as far as they can be.
#[derive(Debug)]
pub enum Opened {
    All,
    /// Somebody has to open the other end of a FIFO. The text says of which.
    Waits(String),
}

/// An attempt whose files are not all open: a FIFO waits for somebody to open its other end.
///
/// The open is tried again and again, because a thread that blocks in open(2) could be ended only by a signal, or by
/// opening the other end, which whoever waits there would take for a partner.
#[derive(Debug)]
pub struct Opening {
    /// The missing end of the FIFO, for people.
    pub why: String,
    /// When to try again.
    pub due: Time,
    pause: Time,
    /// True if no further attempt follows a failure.
    pub last_attempt: bool,
}

/// The pauses between two tries grow from the first to the last of these.
const FIRST_PAUSE: Time = Time::from_millis(1);
const LONGEST_PAUSE: Time = Time::from_millis(50);

impl Opening {
    pub fn new(why: String, now: Time, last_attempt: bool) -> Opening {
        Opening { why, due: now + FIRST_PAUSE, pause: FIRST_PAUSE, last_attempt }
    }

    /// Plans the next try.
    pub fn put_off(&mut self, why: String, now: Time) {
        self.pause = (2 * self.pause).min(LONGEST_PAUSE);
        (self.why, self.due) = (why, now + self.pause);
    }
}

/// The files that were opened for an attempt so far.
#[derive(Debug, Default)]
pub struct AttemptFiles {
    files: Vec<(StageId, Port, AttemptFile)>,
    /// The number of files, among those that the job names in their order, that need not be opened any more.
    pub done: usize,
    /// The regular file that the first stage reads.
    pub input: Option<Identity>,
    /// The FIFO that a stage is to read, while it has no writer. It stays open: a writer may have begun to wait for it.
    pub awaited_input: Option<InputFile>,
    /// Files of the task that were opened, by their identity.
    identities: Vec<Identity>,
    /// FIFOs of the task that it writes to. They stay open until the task ends, so that their readers see no end between
    /// two attempts.
    pub fifos: Vec<Arc<File>>,
}

impl AttemptFiles {
    pub fn add(&mut self, stage: StageId, port: Port, file: AttemptFile) {
        self.files.push((stage, port, file));
    }

    /// Notes that the attempt has opened a file. Returns whether it had done so before.
    pub fn note(&mut self, identity: Identity) -> bool {
        let known = self.identities.contains(&identity);
        if !known {
            self.identities.push(identity);
        }
        known
    }

    /// Returns the file of an output.
    pub fn output(&self, stage: StageId, port: Port) -> Option<&AttemptFile> {
        let mut files = self.files.iter();
        files.find(|(of, at, _)| *of == stage && *at == port).map(|(_, _, file)| file)
    }

    /// Returns the file that a stage reads. It is the process's from now on.
    pub fn take_input(&mut self, stage: StageId) -> Option<OwnedFd> {
        let at = self.files.iter().position(|(of, port, _)| *of == stage && *port == Port::Stdin)?;
        match self.files.swap_remove(at) {
            (_, _, AttemptFile::Input(file)) => Some(file),
            _ => None,
        }
    }

    /// Returns the files that processes write to themselves.
    pub fn direct(&self) -> impl Iterator<Item = &Arc<File>> {
        self.files.iter().filter_map(|(_, _, file)| match file {
            AttemptFile::Direct(file) => Some(file),
            _ => None,
        })
    }

    /// Closes all files.
    pub fn clear(&mut self) {
        *self = AttemptFiles::default();
    }
}
