//! The text that prun prints in place of a run, and the exit status that goes with it.

use std::fmt::Display;

use crate::jobfile::Mistakes;
use crate::jobfile::values::StatusMode;
use crate::ui::phrases::escape;

/// The exit status for a failure of prun itself, as in timeout(1) and env(1).
pub const OWN_FAILURE: u8 = 125;

/// The exit status of xargs(1) for its own failures: that of prun under `--status xargs`.
const XARGS_FAILURE: u8 = 1;

/// Text to print instead of running anything.
#[derive(Debug, PartialEq, Eq)]
pub enum Instead {
    /// Text that was asked for; it goes to stdout.
    Say(Vec<u8>),
    /// A mistake, or something that prun needs and cannot get: lines for stderr.
    Fail { lines: String, status: u8 },
}

impl Instead {
    /// Returns a failure with one line: what happened, to what, why, what to do.
    pub fn fail(message: impl Display) -> Instead {
        // The message may contain what was typed. Text that is escaped already stays as it is.
        let message = escape(message.to_string().as_bytes());
        Instead::Fail { lines: format!("prun: {message}\n"), status: OWN_FAILURE }
    }

    /// Returns a failure that shows all mistakes of a file.
    pub fn mistakes(mistakes: &Mistakes, color: bool) -> Instead {
        Instead::Fail { lines: mistakes.render(color), status: OWN_FAILURE }
    }

    /// Returns a failure because the working directory is not known.
    pub fn no_working_directory(why: &std::io::Error) -> Instead {
        let why = crate::os::errors::reason(why);
        Instead::fail(format_args!("the working directory can't be found: {why}"))
    }

    /// Replaces the exit status of a failure by the one that `mode` has for it.
    pub fn under(self, mode: Option<StatusMode>) -> Instead {
        match self {
            Instead::Fail { lines, .. } if mode == Some(StatusMode::Xargs) => {
                Instead::Fail { lines, status: XARGS_FAILURE }
            }
            other => other,
        }
    }
}
