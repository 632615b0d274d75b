//! Descriptors that tasks share, and files that are opened once for a job.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use super::files::FixedFiles;
use crate::flow::output::{Dest, Escape};
use crate::os;
use crate::plan::Plan;

/// An output of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// Descriptors that tasks share, and files of jobs.
pub struct Wiring {
    null: File,
    /// A pipe that never has data and never ends, because nobody uses its writing end. Made when it is first wanted.
    pub(super) open: Option<(os_pipe::PipeReader, os_pipe::PipeWriter)>,
    /// The files of jobs whose paths have no placeholder.
    pub fixed: FixedFiles,
    /// The destination of columns of the table, and how they are escaped.
    pub(super) columns: Option<(Dest, Escape)>,
    /// The report of the run for its hooks, once all jobs have ended.
    pub report: Vec<u8>,
}

impl Wiring {
    /// # Errors
    /// When `/dev/null` can't be opened.
    pub fn new(plan: &Plan, columns: Option<(Dest, Escape)>) -> io::Result<Wiring> {
        Ok(Wiring {
            null: os::files::dev_null()?,
            open: None,
            fixed: FixedFiles::new(plan),
            columns,
            report: Vec::new(),
        })
    }

    /// Returns a descriptor of `/dev/null`.
    pub fn null(&self) -> RawFd {
        self.null.as_raw_fd()
    }
}
