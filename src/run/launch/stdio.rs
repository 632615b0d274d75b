//! What joins the stages of an attempt to each other, and to prun, while they start.

use std::os::fd::{AsFd, OwnedFd, RawFd};

use crate::flow::output::LaneSpec;
use crate::os::deadlock::{self, PipeId};
use crate::run::attempt::{Active, Reader, Tap};
use crate::run::launch::ChildEnds;
use crate::run::launch::pty::Terminal;
use crate::run::launch::unstarted::Unstarted;
use crate::run::launch::wiring::{Stream, no_pipe};

#[derive(Default)]
pub(in crate::run) struct Wires {
    /// What the next stage reads.
    pub next_stdin: Option<os_pipe::PipeReader>,
    /// The way from the last stage back to the first.
    pub back: Option<os_pipe::PipeWriter>,
    /// Pipes between stages.
    pub circle: Vec<PipeId>,
    /// Stages that show their stderr share a pipe.
    pub shared_stderr: Option<OwnedFd>,
    /// Of the stage that is to start.
    pub terminal: Option<Terminal>,
    pub ends: ChildEnds,
    /// The reader of what the last stage writes to stdout.
    pub stdout: Option<usize>,
    /// Where the task's output goes.
    pub lanes: Vec<LaneSpec>,
}

impl Wires {
    /// The pipe to the next stage, or back to the first.
    pub fn pipe(&mut self, is_last: bool) -> Result<RawFd, Unstarted> {
        let writer = match self.back.take_if(|_| is_last) {
            Some(writer) => writer,
            None => {
                let (reader, writer) = os_pipe::pipe().map_err(|error| no_pipe(&error))?;
                self.next_stdin = Some(reader);
                writer
            }
        };
        self.circle.extend(deadlock::id(writer.as_fd()));
        Ok(self.ends.keep(writer))
    }

    /// The terminal of the stage that is to start, for its stderr too: what it shows is then all that may tell why
    /// a task failed.
    pub fn terminal_for_stderr(&self, active: &mut Active) -> Option<RawFd> {
        let terminal = self.terminal.as_ref()?;
        if let Some(Some(reader)) = self.stdout.and_then(|at| active.readers.get_mut(at)) {
            reader.is_stderr = true;
        }
        Some(terminal.child)
    }

    /// As [`Wires::capture`], by the stage that is to start alone: a terminal, if it has one.
    pub fn keep_capture(
        &mut self,
        active: &mut Active,
        new: Vec<LaneSpec>,
        stream: Stream,
        tap: Option<Tap>,
    ) -> Result<RawFd, Unstarted> {
        let terminal = self.terminal.as_mut().filter(|_| stream == Stream::Stdout);
        if let Some(terminal) = terminal
            && let Some(master) = terminal.master.take()
        {
            let child = terminal.child;
            self.read(active, master, new, stream, tap, true);
            return Ok(child);
        }
        let writer = self.capture(active, new, stream, tap)?;
        Ok(self.ends.keep(writer))
    }

    /// A pipe into lanes of the task, or beyond; returns the children's end. The last of its readers has ours.
    pub fn capture(
        &mut self,
        active: &mut Active,
        new: Vec<LaneSpec>,
        stream: Stream,
        tap: Option<Tap>,
    ) -> Result<OwnedFd, Unstarted> {
        let (reader, writer) = os_pipe::pipe().map_err(|error| no_pipe(&error))?;
        self.read(active, reader.into(), new, stream, tap, false);
        Ok(writer.into())
    }

    fn read(
        &mut self,
        active: &mut Active,
        fd: OwnedFd,
        new: Vec<LaneSpec>,
        stream: Stream,
        tap: Option<Tap>,
        is_terminal: bool,
    ) {
        let first = self.lanes.len();
        self.lanes.extend(new);
        let lanes = (first..self.lanes.len()).collect();
        if stream == Stream::Stdout {
            self.stdout = Some(active.readers.len());
        }
        let is_stderr = stream == Stream::Stderr;
        active.readers.push(Some(Reader { fd, lanes, tap, is_stderr, full: 0, is_terminal }));
    }
}
