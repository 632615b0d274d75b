//! The output for people on stderr while prun runs: lines, a bar, a report. Implements [`Listener`].
//!
//! - [`phrases`] has the wording, as pure functions;
//! - [`tally`] counts tasks, and knows which run;
//! - [`report`] collects failures and prints them at the end;
//! - [`lines`] puts events into lines;
//! - [`plain`] is the listener that prints those lines; [`progress`] is the one that also draws a bar, on a
//!   [`canvas`].
//!
//! Nothing here writes to a descriptor: text is appended to a buffer that `run` writes.

use std::time::Duration;

use crate::event::Listener;

mod canvas;
mod lines;
pub mod phrases;
mod plain;
mod progress;
mod report;
mod tally;

use lines::Lines;
use plain::Plain;

/// How much is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Voice {
    /// Failures only.
    Quiet,
    #[default]
    Normal,
    /// Also each command as it starts, and each job as it ends.
    Verbose,
    /// Also process IDs, and each task that ends well.
    Debug,
}

/// The progress that is shown while tasks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Progress {
    #[default]
    None,
    /// A line every few seconds.
    Plain,
    /// A bar, once the run has lasted that long.
    Bar { after: Duration },
}

/// Returns the columns and lines of the terminal. Called at each use, because the size changes.
pub type Size = Box<dyn Fn() -> (u16, u16) + Send + Sync>;

/// How a run is shown.
pub struct Options {
    pub voice: Voice,
    pub progress: Progress,
    /// True if escape sequences for colours are allowed.
    pub color: bool,
    /// The size of stderr if that is a terminal, so that a person watches.
    pub terminal: Option<Size>,
    /// True for a run of `prun exec`: a single task that fails needs no report, and success is silent.
    pub exec: bool,
    /// True if [`Listener::report`] will be called.
    pub report: bool,
}

/// Returns the listener for these options.
pub fn listener(options: Options) -> Box<dyn Listener> {
    let lines = Lines::new(options.voice, options.color, options.terminal.is_some(), options.exec);
    let lines = if options.report { lines.keep_all() } else { lines };
    let size = options.terminal.unwrap_or_else(|| Box::new(|| (DEFAULT_COLUMNS, DEFAULT_LINES)));
    match options.progress {
        Progress::None => Box::new(Plain::new(lines, size, None)),
        Progress::Plain => Box::new(Plain::new(lines, size, Some(plain::EVERY))),
        Progress::Bar { after } => Box::new(progress::Bar::new(lines, size, after)),
    }
}

/// The size of a file or pipe, in which long lines do no harm.
const DEFAULT_COLUMNS: u16 = 160;
const DEFAULT_LINES: u16 = 24;
