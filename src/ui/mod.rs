//! What people see on stderr while prun runs: lines, a bar, a report. Implements [`Listener`].
//!
//! - [`phrases`] has all wording, as pure functions;
//! - [`tally`] keeps what the bar shows: counts, and the tasks that run;
//! - [`report`] collects failures and tells them at the end;
//! - [`plain`] puts events into lines; [`progress`] is the same with a bar below them.
//!
//! Nothing here writes to a descriptor: text is appended to a buffer that `run` writes.

use std::time::Duration;

use crate::event::Listener;

pub mod phrases;
pub mod plain;
pub mod progress;
pub mod report;
pub mod tally;

use plain::{Lines, Plain};

/// How much is told.
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

/// What is shown while tasks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Progress {
    #[default]
    None,
    /// A line every few seconds.
    Plain,
    /// A bar, from that time on.
    Bar { after: Duration },
}

/// Size of the terminal, asked for at each use because it changes.
pub type Size = Box<dyn Fn() -> (u16, u16) + Send + Sync>;

/// How a run is shown.
pub struct Options {
    pub voice: Voice,
    pub progress: Progress,
    /// Escape sequences for colours are allowed.
    pub color: bool,
    /// A person watches: stderr is a terminal. Columns and lines of it.
    pub terminal: Option<Size>,
    /// The run is one of `prun exec`: a single task that fails needs no report, and success needs no word.
    pub exec: bool,
    /// [`Listener::report`] will be asked for.
    pub report: bool,
}

/// The listener for these options.
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

/// Of a file or pipe, in which long lines do no harm.
const DEFAULT_COLUMNS: u16 = 160;
const DEFAULT_LINES: u16 = 24;
