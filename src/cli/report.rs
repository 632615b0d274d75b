//! `prun report JOURNAL`: a summary of a journal, or the journal in another format.

use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};

use super::instead::Instead;
use super::{colors, stdout};
use crate::journal::history::History;
use crate::journal::{Entry, joblog};
use crate::os::errors::reason;
use crate::os::stdout::Stdout;
use crate::run::Verdict;
use crate::ui::phrases::escape;

mod junit;
mod summary;
mod teller;
mod trace;

use junit::Suites;
use summary::Summary;
use teller::Teller;
use trace::Trace;

/// Summarize a journal: how tasks ended, how long they took, which failed
#[derive(Parser, Debug)]
#[command(name = "report", bin_name = "prun report", max_term_width = 100)]
pub struct Report {
    /// Write it for other programs: joblog, junit or trace
    ///
    /// `joblog`: every line, as in GNU parallel's `--joblog`. `junit`: the last outcome of each task, as XML
    /// for CI. `trace`: when each task ran, for Perfetto and Chrome.
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    format: Option<Format>,

    /// The file that a run wrote with --journal (-: stdin); the run may still be writing it
    #[arg(value_name = "JOURNAL")]
    journal: PathBuf,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Joblog,
    Junit,
    Trace,
}

/// Writes the report. The exit status is 1 if any task failed when it ran last.
pub fn start(asked: Report) -> Result<Verdict, Instead> {
    // `-` is stdin, as for `prun FILE` and `-a`.
    let from_stdin = asked.journal.as_os_str() == "-";
    let path = if from_stdin { Path::new("/dev/stdin") } else { &asked.journal };
    let history = History::open(path).map_err(|why| Instead::fail(escape(why.as_bytes())))?;
    let name = escape(asked.journal.as_os_str().as_bytes());
    for damaged in &history.damaged_lines {
        // If stderr is closed, nobody can be told.
        _ = writeln!(io::stderr(), "prun: the journal `{name}`: {damaged}, and counts as not there");
    }
    let mut teller: Box<dyn Teller> = match asked.format {
        None => Box::new(Summary::new(history.repaired, colors::of_help())),
        Some(Format::Joblog) => Box::new(Joblog),
        Some(Format::Junit) => Box::new(Suites::default()),
        Some(Format::Trace) => Box::new(Trace::default()),
    };
    let mut out = BufWriter::new(Stdout);
    let mut written = teller.begin(&mut out);
    let mut failures = false;
    let read = history.entries(|entry, last| {
        failures |= last && entry.outcome.is_failure();
        if written.is_ok() {
            written = teller.entry(&entry, last, &mut out);
        }
    });
    read.map_err(|why| Instead::fail(format_args!("could not read `{name}`: {}", reason(&why))))?;
    match stdout::verdict(written.and_then(|()| teller.end(&mut out)).and_then(|()| out.flush())) {
        Verdict::Code(0) if failures => Ok(Verdict::Code(1)),
        verdict => Ok(verdict),
    }
}

/// Writes the format of GNU parallel's `--joblog`.
struct Joblog;

impl Teller for Joblog {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(joblog::HEADER)
    }

    fn entry(&mut self, entry: &Entry, _last: bool, out: &mut dyn Write) -> io::Result<()> {
        let mut line = Vec::new();
        joblog::line(entry, &mut line);
        out.write_all(&line)
    }
}
