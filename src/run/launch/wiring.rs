//! Descriptors that tasks share, and files that are opened once for a job.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::PathBuf;

use super::unstarted::{Unstarted, no_file};
use crate::event::{JobId, StageId};
use crate::flow::output::{Dest, Escape};
use crate::os;
use crate::run::output::disk;
use crate::run::output::sinks::Sinks;

/// An output of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// A file that is opened once for a job.
pub(super) enum JobFile {
    /// Children write to it themselves.
    Direct(File),
    /// prun writes to it.
    Lane(Dest),
}

/// Names the output of a job that is written to one file.
pub(super) type JobFileKey = (JobId, StageId, Stream);

/// Descriptors that tasks share, and files of jobs.
pub struct Wiring {
    null: File,
    /// A pipe that never has data and never ends, because nobody uses its writing end. Made when it is first wanted.
    pub(super) open: Option<(os_pipe::PipeReader, os_pipe::PipeWriter)>,
    job_files: HashMap<JobFileKey, JobFile>,
    /// The destination of columns of the table, and how they are escaped.
    pub(super) columns: Option<(Dest, Escape)>,
    /// The report of the run for its hooks, once all jobs have ended.
    pub report: Vec<u8>,
}

impl Wiring {
    /// # Errors
    /// When `/dev/null` can't be opened.
    pub fn new(columns: Option<(Dest, Escape)>) -> io::Result<Wiring> {
        Ok(Wiring {
            null: os::files::dev_null()?,
            open: None,
            job_files: HashMap::new(),
            columns,
            report: Vec::new(),
        })
    }

    /// Returns a descriptor of `/dev/null`.
    pub fn null(&self) -> RawFd {
        self.null.as_raw_fd()
    }

    /// Opens a file of a job, if that was not done yet. With `direct`, children write to it themselves.
    pub(super) fn job_file(
        &mut self,
        key: JobFileKey,
        path: PathBuf,
        append: bool,
        direct: bool,
        sinks: &mut Sinks,
    ) -> Result<&JobFile, Unstarted> {
        use std::collections::hash_map::Entry;
        Ok(match self.job_files.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) if direct => {
                // Several tasks may write at once, so each write has to go to the end of the file.
                if !append {
                    disk::create(&path, false).map_err(|error| no_file(&path, &error))?;
                }
                let file = disk::create(&path, true).map_err(|error| no_file(&path, &error))?;
                new.insert(JobFile::Direct(file))
            }
            Entry::Vacant(new) => new.insert(JobFile::Lane(sinks.open_file(path, append))),
        })
    }
}
