//! Queues: bounded buffers of records between jobs. Pure.

use std::sync::Arc;

use regex::bytes::Regex;

use super::{Input, JobId};

/// A bounded buffer of records between jobs.
#[derive(Debug, Clone)]
pub struct Queue {
    pub name: Arc<str>,
    /// In records.
    pub capacity: usize,
    /// True if the capacity counts exactly, so that the pipes of writers and readers are one page small.
    pub exact: bool,
    pub records: Records,
    /// True if each record goes to every reading job, not to one reader.
    pub to_all: bool,
    /// A file that is read into the queue in addition to the output of jobs: `prun exec --pipe`.
    pub input: Option<Input>,
    /// Jobs that write to the queue; empty only if it has an `input`.
    pub writers: Vec<JobId>,
    /// Jobs that read the queue, as a stream or as their items; never empty.
    pub readers: Vec<JobId>,
}

impl Queue {
    /// The capacity in records, without `capacity`.
    pub const DEFAULT_CAPACITY: usize = 1000;

    /// Returns a queue of lines with the defaults of a job file.
    pub fn new(name: &str, writers: Vec<JobId>, readers: Vec<JobId>) -> Queue {
        Queue {
            name: name.into(),
            capacity: Queue::DEFAULT_CAPACITY,
            exact: false,
            records: Records::new(Unit::Ends(b"\n".to_vec())),
            to_all: false,
            input: None,
            writers,
            readers,
        }
    }
}

/// How bytes are cut into records.
#[derive(Debug, Clone)]
pub struct Records {
    pub unit: Unit,
    /// Units that belong together as one record (`-L`); at least 1.
    pub per_record: usize,
    /// Several records are handed on as one block.
    pub block: Option<Block>,
}

impl Records {
    /// Returns records that are one unit each.
    pub fn new(unit: Unit) -> Records {
        Records { unit, per_record: 1, block: None }
    }
}

/// Where one unit ends and the next begins.
#[derive(Debug, Clone)]
pub enum Unit {
    /// It ends with these bytes. They are no part of an item, and are put after each record of a stream; a
    /// block keeps them as they are.
    Ends(Vec<u8>),
    /// It begins at a match; nothing is taken away or added.
    Starts(Regex),
    /// It ends with `end` where `start` follows; nothing is taken away or added.
    Between { end: Vec<u8>, start: Vec<u8> },
    /// It is this many bytes long.
    Bytes(usize),
}

/// The limits of a block, which is made of whole records with all their bytes: as many as there are when one of the
/// limits is reached, but at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    pub bytes: usize,
    pub records: usize,
}
