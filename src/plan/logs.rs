//! Where it is told how tasks ended. Pure.

use std::path::PathBuf;

use super::Resume;

/// Files that tell of tasks as they end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Logs {
    pub journal: Option<Journal>,
    /// GNU parallel's format.
    pub joblog: Option<Joblog>,
    /// What tasks write to [`Output::Table`] goes there.
    pub table: Option<Table>,
}

/// The file of finished tasks (DESIGN.md, 5.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// Absolute.
    pub path: PathBuf,
    pub resume: Resume,
    /// It also survives a loss of power.
    pub sync: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joblog {
    /// Absolute.
    pub path: PathBuf,
    /// Lines are added to what is there.
    pub append: bool,
}

/// One file with a row for each ended task, its output included; GNU parallel's format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Absolute; `None`: prun's own stdout.
    pub path: Option<PathBuf>,
    pub form: Form,
    /// Rows are added to what is there.
    pub append: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Csv,
    Tsv,
    /// An object a line.
    Json,
}
