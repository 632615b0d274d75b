//! A terminal of the task's own, while its process starts.

use std::os::fd::{AsFd, OwnedFd, RawFd};

use nix::errno::Errno;

use crate::event::{Shortage, StartFailure};
use crate::os;
use crate::plan::{Job, Output, Stage, Stdin};
use crate::run::attempt::feed::Feed;
use crate::run::launch::ChildEnds;
use crate::run::launch::unstarted::{Unstarted, shortage_of_files};
use crate::run::launch::wiring::Stream;

/// A pseudoterminal for one stage.
pub struct Terminal {
    /// The child's end, which the stage's [`ChildEnds`] keep open.
    pub child: RawFd,
    /// prun's end; `None` once a reader of the task has it.
    pub master: Option<OwnedFd>,
}

/// The relation of a stage's standard input to its terminal.
pub enum TerminalInput {
    /// The stage does not read the terminal.
    Unused,
    /// The stage reads the terminal, and prun types nothing.
    Silent,
    /// The stage reads the terminal, and prun types into it.
    Typed(Feed),
}

impl Terminal {
    /// Opens a terminal for a stage, if it is to have one.
    pub fn open(stage: &Stage, ends: &mut ChildEnds) -> Result<Option<Terminal>, Unstarted> {
        if !stage.pty {
            return Ok(None);
        }
        let pty = os::pty::open().map_err(|error| no_terminal(&error))?;
        Ok(Some(Terminal { child: ends.keep(pty.terminal), master: Some(pty.master) }))
    }

    /// Returns how the stage uses the terminal as its standard input.
    pub fn input(&self, stage: &Stage) -> Result<TerminalInput, Unstarted> {
        let Some(master) = &self.master else { return Ok(TerminalInput::Unused) };
        match stage.stdin {
            Stdin::Open => Ok(TerminalInput::Silent),
            Stdin::Null | Stdin::Dialogue(_) => {
                let master = master.as_fd().try_clone_to_owned().map_err(|error| no_terminal(&error))?;
                let mut feed = Feed::of_terminal(master);
                // It stays open, because the end of input is typed again for whoever reads on.
                if matches!(stage.stdin, Stdin::Null) {
                    feed.push(&[os::pty::END_OF_INPUT]);
                }
                Ok(TerminalInput::Typed(feed))
            }
            _ => Ok(TerminalInput::Unused),
        }
    }

    /// True if the stage writes the stream to its terminal, beside stdout. The stderr of a worker is apart, because the
    /// worker answers on the terminal.
    pub fn takes(job: &Job, stage: &Stage, stream: Stream) -> bool {
        stream == Stream::Stderr && stage.pty && job.worker.is_none() && matches!(stage.stderr, Output::Show)
    }
}

fn no_terminal(error: &std::io::Error) -> Unstarted {
    let why = format!("could not make a terminal: {}", os::errors::reason(error));
    // ENOSPC: the system has as many pseudoterminals as it allows (pts(4)).
    let too_many = error.raw_os_error() == Some(Errno::ENOSPC as i32);
    let shortage = if too_many { Some(Shortage::Terminals) } else { shortage_of_files(error) };
    Unstarted::new(shortage, StartFailure { code: 126, why })
}
