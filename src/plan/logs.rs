//! The files that record ended tasks. Pure.

use std::path::PathBuf;

use super::Resume;

/// The files that record tasks as they end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Logs {
    pub journal: Option<Journal>,
    /// GNU parallel's format.
    pub joblog: Option<Joblog>,
    /// The output of tasks whose [`Output`](super::Output) is `Table` goes there.
    pub table: Option<Table>,
}

/// The journal: a line for each finished task, from which a later run can resume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// Absolute.
    pub path: PathBuf,
    pub resume: Resume,
    /// True if each line is synced to the disk, so that it survives a loss of power.
    pub sync: bool,
}

/// A log in the format of GNU parallel's `--joblog`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joblog {
    /// Absolute.
    pub path: PathBuf,
    /// True if lines are added to the file that is there.
    pub append: bool,
}

/// One file with a row for each ended task and its output, in GNU parallel's format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Absolute; `None`: prun's own stdout.
    pub path: Option<PathBuf>,
    pub form: Form,
    /// True if rows are added to the file that is there.
    pub append: bool,
}

/// The format of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Csv,
    Tsv,
    /// One object a line.
    Json,
}
