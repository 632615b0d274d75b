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

pub struct Terminal {
    /// The child's end, which is kept until it has started.
    pub child: RawFd,
    /// `None`: a reader of the task has it.
    pub master: Option<OwnedFd>,
}

impl Terminal {
    /// The terminal of a stage that is to have one.
    pub fn open(stage: &Stage, ends: &mut ChildEnds) -> Result<Option<Terminal>, Unstarted> {
        if !stage.pty {
            return Ok(None);
        }
        let pty = os::pty::open().map_err(|error| no_terminal(&error))?;
        Ok(Some(Terminal { child: ends.keep(pty.terminal), master: Some(pty.master) }))
    }

    /// Whether the stage reads it, and what is typed by prun.
    pub fn input(&self, stage: &Stage) -> Result<Option<Option<Feed>>, Unstarted> {
        let Some(master) = &self.master else { return Ok(None) };
        match stage.stdin {
            Stdin::Open => Ok(Some(None)),
            Stdin::Null | Stdin::Dialogue(_) => {
                let master = master.as_fd().try_clone_to_owned().map_err(|error| no_terminal(&error))?;
                let mut feed = Feed::into(master);
                if matches!(stage.stdin, Stdin::Null) {
                    feed.push(&[os::pty::END_OF_INPUT]);
                    feed.end();
                }
                Ok(Some(Some(feed)))
            }
            _ => Ok(None),
        }
    }

    /// Whether that is what the stage writes stderr to. A worker's is apart: on stdout it answers.
    pub fn takes(job: &Job, stage: &Stage, stream: Stream) -> bool {
        stream == Stream::Stderr && stage.pty && job.worker.is_none() && matches!(stage.stderr, Output::Show)
    }
}

fn no_terminal(error: &std::io::Error) -> Unstarted {
    let why = format!("could not make a terminal: {}", os::errors::reason(error));
    // So many may there be at once (pts(4)).
    let too_many = error.raw_os_error() == Some(Errno::ENOSPC as i32);
    let shortage = if too_many { Some(Shortage::Terminals) } else { shortage_of_files(error) };
    Unstarted::new(shortage, StartFailure { code: 126, why })
}
