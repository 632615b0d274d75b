//! Where the items of a job come from. Pure.

use std::path::PathBuf;
use std::sync::Arc;

use regex::bytes::Regex;

use super::{JobId, QueueId};

/// Where the items come from. What needs a file is read by `run`, when the job's `after` holds.
#[derive(Debug, Clone)]
pub enum Items {
    /// A job without items: one task.
    None,
    Repeat(u64),
    List(Arc<ItemList>),
    Seq(Seq),
    /// From a file, as they are wanted.
    Read(Reading),
    Glob {
        pattern: String,
        base: PathBuf,
    },
    /// The records of a queue; with `separator` each is a row of columns.
    Queue {
        queue: QueueId,
        separator: Option<u8>,
    },
    /// The items of that job (index into [`Plan::jobs`]), each when its task there was ok; skipped if it was not.
    Of(JobId),
    /// Rows of what several sources give. The first is given item by item; what has to be read for the others is
    /// read to its end before.
    Join {
        how: Join,
        /// What the columns are called, one of each source; empty: as the sources call them.
        names: Vec<String>,
        sources: Vec<Items>,
    },
}

/// Which items of several sources go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// All combinations, the last source changing fastest (`::: a b ::: c d`).
    Product,
    /// In step, until one of them ends (`:::+`).
    Zip,
    /// In step, and all of them end together; else the items can't be read (`each.zip`).
    Even,
    /// In step, until all of them have ended; shorter ones begin again (`--link`).
    Link,
}

/// How items are read from a file.
#[derive(Debug, Clone)]
pub struct Reading {
    pub from: Input,
    pub cut: Cut,
    /// What stands between the columns of an item; `None`: it is one.
    pub columns: Option<Between>,
    pub header: Header,
    pub skip_empty: bool,
}

/// Where the items of a file end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// With this byte, which is no part of them.
    At(u8),
    /// With a blank or newline, unless it is quoted as for xargs(1).
    Words,
    /// They are rows of comma-separated values (or separated by another byte).
    Csv(u8),
}

/// What stands between two columns.
#[derive(Debug, Clone)]
pub enum Between {
    Byte(u8),
    Match(Regex),
}

impl Between {
    /// The columns of an item, at least one.
    pub fn split(&self, item: &[u8]) -> Vec<Vec<u8>> {
        match self {
            Between::Byte(byte) => item.split(|other| other == byte).map(<[u8]>::to_vec).collect(),
            Between::Match(regex) => regex.split(item).map(<[u8]>::to_vec).collect(),
        }
    }
}

/// Whether the first item of a source names its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    No,
    /// If there is one.
    Names,
    /// There has to be one, and no name twice.
    Strict,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ItemList {
    pub items: Vec<Item>,
    /// Names of the columns; empty if they have none.
    pub names: Vec<String>,
}

/// `{ seq = [first, last] }` or `[first, step, last]`: decimal numbers, as seq(1) prints them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seq {
    /// All three as integers in units of 10^-scale.
    pub first: i128,
    pub step: i128,
    pub last: i128,
    /// Digits after the point.
    pub scale: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// prun's own stdin.
    Stdin,
    File(PathBuf),
}

/// The value or values that one task works on: one column, or a row of several.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Item {
    pub columns: Vec<Vec<u8>>,
}
