//! The option `--results`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use clap::Args;

use crate::cli::args::Both;
use crate::cli::args::headings::OUTPUT;
use crate::cli::instead::Instead;
use crate::plan::{OutputMode, Plan};

/// Options that send output elsewhere, and those with processes whose output belongs to no task.
const NOT_WITH: [&str; 4] = ["stdout", "stderr", "once", "worker"];

#[derive(Args, Debug)]
pub struct Results {
    /// Write each task's output to files in DIR, or all to a table: FILE.csv, FILE.tsv or FILE.json
    ///
    /// Output is not shown then. The files are `DIR/1/ITEM/stdout`, `stderr` and `seq`, as with GNU parallel;
    /// with several columns `DIR/1/ITEM/2/ITEM/stdout`. With a placeholder, as in `--results out/{/.}`, DIR
    /// is the file for each task's output, with `FILE.err` and `FILE.seq` beside it; if it ends with a slash,
    /// it is the directory of the three. A table has a row for each task that ended; `-.csv` and `-.json`
    /// write it to stdout.
    #[arg(long, value_name = "DIR", allow_hyphen_values = true, conflicts_with_all = NOT_WITH)]
    #[arg(help_heading = OUTPUT, hide_short_help = true)]
    results: Option<OsString>,
}

impl Results {
    /// Returns the folder, file or table as it was typed.
    pub fn text(&self) -> Option<Vec<u8>> {
        self.results.clone().map(OsString::into_vec)
    }

    /// Refuses options that have no meaning beside it.
    pub fn check(&self, both: &Both, plan: &Plan) -> Result<(), Instead> {
        if self.results.is_none() {
            return Ok(());
        }
        if both.output() == Some(OutputMode::Raw) {
            return Err(Instead::fail(
                "with `-u` (`--output raw`) children write to prun's own stdout, but `--results` is about files; \
                 leave out one of them",
            ));
        }
        if both.tags() && plan.logs.table.is_none() {
            return Err(Instead::fail(
                "`--tag` prefixes what is shown, but `--results` writes files and shows nothing; leave out one of \
                 them, or write a table: `--results FILE.csv`",
            ));
        }
        Ok(())
    }
}
