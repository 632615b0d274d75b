//! Sources of items. Pure.

use std::path::PathBuf;
use std::sync::Arc;

use regex::bytes::Regex;

use super::{JobId, QueueId};

/// The source of a job's items. Sources that need a file are read by `run`, when the job's `after` holds.
#[derive(Debug, Clone)]
pub enum Items {
    /// No items: the job has one task.
    None,
    /// No items: the job has this many tasks.
    Repeat(u64),
    List(Arc<ItemList>),
    Seq(Seq),
    /// A file, read as items are needed.
    Read(Reading),
    Glob {
        pattern: String,
        base: PathBuf,
    },
    /// The records of a queue; with `separator` each record is a row of columns.
    Queue {
        queue: QueueId,
        separator: Option<u8>,
    },
    /// The items of this job, each as soon as its task there was ok; an item whose task was not ok is skipped.
    Of(JobId),
    /// Rows of the columns of several sources. The first source is read item by item; files of the others are read to
    /// their ends before.
    Join {
        how: Join,
        /// Names of the columns, one for each source; empty: the names that the sources have.
        names: Vec<String>,
        sources: Vec<Items>,
    },
}

/// How the items of several sources are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// All combinations, the last source changing fastest (`::: a b ::: c d`).
    Product,
    /// In step, until one of them ends (`:::+`).
    Zip,
    /// In step. All must end together, else reading the items fails (`each.zip`).
    Even,
    /// In step, until all of them have ended; shorter ones start again (`--link`).
    Link,
}

/// How items are read from a file.
#[derive(Debug, Clone)]
pub struct Reading {
    pub from: Input,
    pub cut: Cut,
    /// The separator of an item's columns; `None`: an item is one column.
    pub columns: Option<ColumnSeparator>,
    pub header: Header,
    pub skip_empty: bool,
}

/// How a file is cut into items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Each item ends with this byte, which is not a part of it.
    At(u8),
    /// Each item is a word, ended by a blank or newline that is not quoted, as for xargs(1).
    Words,
    /// Each item is a row of comma-separated values, or of values that this byte separates.
    Csv(u8),
}

/// The separator of two columns.
#[derive(Debug, Clone)]
pub enum ColumnSeparator {
    Byte(u8),
    Match(Regex),
}

impl ColumnSeparator {
    /// Returns the columns of an item, at least one.
    pub fn split(&self, item: &[u8]) -> Vec<Vec<u8>> {
        match self {
            ColumnSeparator::Byte(byte) => item.split(|other| other == byte).map(<[u8]>::to_vec).collect(),
            ColumnSeparator::Match(regex) => regex.split(item).map(<[u8]>::to_vec).collect(),
        }
    }
}

/// The role of the first item of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// An item as any other.
    No,
    /// The names of the columns. A source without any item is allowed.
    Names,
    /// The names of the columns. It is an error if there is no item, or if a name is there twice.
    Strict,
}

/// Items in memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ItemList {
    pub items: Vec<Item>,
    /// Names of the columns; empty if they have none.
    pub names: Vec<String>,
}

/// `seq`: decimal numbers, as seq(1) prints them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seq {
    /// In units of 10^-scale, as `step` and `last`.
    pub first: i128,
    pub step: i128,
    pub last: i128,
    /// Digits after the point.
    pub scale: u32,
}

/// A file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// prun's own stdin.
    Stdin,
    File(PathBuf),
}

/// An item: one value, or a row of several columns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Item {
    pub columns: Vec<Vec<u8>>,
    /// Set if the item is longer than it may be. `columns` hold only its beginning, and its task fails.
    pub oversize: Option<Box<Oversize>>,
}

/// The reason why an item is too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oversize {
    /// The number of the item, or the block, in its source, from 1.
    pub number: u64,
    /// Its length in bytes.
    pub size: u64,
    /// The most bytes that it may have.
    pub most: usize,
    pub bound: Bound,
}

/// The bound that an item exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// The bound of an argument.
    Argument,
    /// The bound of a record that goes to a standard input.
    Record,
    /// The bound of a record within a block.
    RecordOfBlock,
}

impl Item {
    /// Returns an item of these columns.
    pub fn new(columns: Vec<Vec<u8>>) -> Item {
        Item { columns, oversize: None }
    }
}

impl std::fmt::Display for Oversize {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Oversize { number, size, most, bound } = self;
        let raise = "raise `max_record` (`--max-record`)";
        match bound {
            Bound::Argument => {
                write!(out, "item {number} has {size} bytes, and an argument can have {most} at most")
            }
            Bound::Record => {
                write!(out, "item {number} has {size} bytes, and a record can have {most} at most: {raise}")
            }
            Bound::RecordOfBlock => write!(
                out,
                "block {number} holds a record of at least {size} bytes, and a record can have {most} at most: {raise}"
            ),
        }
    }
}
