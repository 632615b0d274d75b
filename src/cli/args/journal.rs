//! Options of the journal.

use std::path::{Path, PathBuf};

use clap::Args;

use super::headings::JOURNAL;
use crate::cli::instead::Instead;
use crate::plan::{Journal, Resume};

#[derive(Args, Debug, Default)]
pub struct JournalArgs {
    /// Write a line for each finished task to FILE, for --resume
    ///
    /// A task is recognised by what it does (its arguments, working directory, own environment and stdin),
    /// not by its number: items may be inserted, removed or reordered between two runs. A line is written
    /// once the task's output has been passed on. Without `--resume` everything runs, and lines are appended.
    #[arg(long, value_name = "FILE", help_heading = JOURNAL, hide_short_help = true)]
    journal: Option<PathBuf>,

    /// Skip the tasks that ended ok according to the journal
    #[arg(long, alias = "resume-failed", overrides_with_all = ["resume", "retry_failed"])]
    #[arg(help_heading = JOURNAL, hide_short_help = true)]
    resume: bool,

    /// Run only the tasks that failed last time according to the journal
    #[arg(long, overrides_with_all = ["resume", "retry_failed"], help_heading = JOURNAL, hide_short_help = true)]
    retry_failed: bool,

    /// Sync each line to the disk before going on: the journal survives a power failure
    #[arg(long, help_heading = JOURNAL, hide_short_help = true)]
    pub sync: bool,
}

impl JournalArgs {
    /// Returns which tasks of the journal are run again.
    pub fn resume(&self) -> Option<Resume> {
        match self {
            JournalArgs { retry_failed: true, .. } => Some(Resume::AllButFailed),
            JournalArgs { resume: true, .. } => Some(Resume::Finished),
            _ => None,
        }
    }

    /// Returns the journal that was typed.
    pub fn file(&self) -> Option<&Path> {
        self.journal.as_deref()
    }

    /// Refuses options that make no sense without a journal.
    pub fn check(&self, journal: Option<&Journal>) -> Result<(), Instead> {
        let asked = [("--retry-failed", self.retry_failed), ("--resume", self.resume), ("--sync", self.sync)];
        match asked.into_iter().find(|(_, asked)| *asked && journal.is_none()) {
            Some((flag, _)) => Err(Instead::fail(format_args!(
                "`{flag}` needs a journal, and none is named; add `--journal FILE`"
            ))),
            None => Ok(()),
        }
    }
}
