//! The descriptors that join the stages of an attempt to each other, and to prun, while they start.

use std::os::fd::{AsFd, OwnedFd, RawFd};

use crate::flow::output::LaneSpec;
use crate::os::deadlock::{self, PipeId};
use crate::run::attempt::Attempt;
use crate::run::attempt::reader::{Reader, Tap};
use crate::run::launch::ChildEnds;
use crate::run::launch::pty::Terminal;
use crate::run::launch::unstarted::{Unstarted, no_pipe};
use crate::run::launch::wiring::Stream;

#[derive(Default)]
pub struct Stdio {
    /// The pipe that the next stage reads.
    pub next_stdin: Option<os_pipe::PipeReader>,
    /// The pipe from the last stage back to the first.
    pub back: Option<os_pipe::PipeWriter>,
    /// The pipes between stages.
    pub circle: Vec<PipeId>,
    /// The pipe that all stages share whose stderr is shown.
    pub shared_stderr: Option<OwnedFd>,
    /// The terminal of the stage that is to start.
    pub terminal: Option<Terminal>,
    pub ends: ChildEnds,
    /// The reader of the stdout of the last stage.
    pub stdout: Option<usize>,
    /// The lanes of the task's output.
    pub lanes: Vec<LaneSpec>,
}

impl Stdio {
    /// Opens the pipe through which the first stage reads what the last one writes.
    pub fn open_circle(&mut self) -> Result<(), Unstarted> {
        let (reader, writer) = os_pipe::pipe().map_err(|error| no_pipe(&error))?;
        (self.next_stdin, self.back) = (Some(reader), Some(writer));
        Ok(())
    }

    /// Returns the writing end of the pipe to the next stage, or back to the first.
    pub fn pipe(&mut self, is_last: bool) -> Result<RawFd, Unstarted> {
        let writer = match self.back.take_if(|_| is_last) {
            Some(writer) => writer,
            None => {
                let (reader, writer) = os_pipe::pipe().map_err(|error| no_pipe(&error))?;
                self.next_stdin = Some(reader);
                writer
            }
        };
        self.circle.extend(deadlock::pipe_id(writer.as_fd()));
        Ok(self.ends.keep(writer))
    }

    /// Returns the terminal of the stage that is to start, for its stderr too. What the terminal shows is then all that
    /// may tell why a task failed.
    pub fn terminal_for_stderr(&self, attempt: &mut Attempt) -> Option<RawFd> {
        let terminal = self.terminal.as_ref()?;
        if let Some(Some(reader)) = self.stdout.and_then(|at| attempt.readers.get_mut(at)) {
            reader.is_stderr = true;
        }
        Some(terminal.child)
    }

    /// As [`Stdio::capture`], for the stage that is to start alone: through its terminal, if it has one.
    pub fn keep_capture(
        &mut self,
        attempt: &mut Attempt,
        new: Vec<LaneSpec>,
        stream: Stream,
        tap: Option<Tap>,
    ) -> Result<RawFd, Unstarted> {
        let terminal = self.terminal.as_mut().filter(|_| stream == Stream::Stdout);
        if let Some(terminal) = terminal
            && let Some(master) = terminal.master.take()
        {
            let child = terminal.child;
            self.read(attempt, master, new, stream, tap, true);
            return Ok(child);
        }
        let writer = self.capture(attempt, new, stream, tap)?;
        Ok(self.ends.keep(writer))
    }

    /// Opens a pipe into lanes of the task, or beyond, and returns the children's end. The attempt's last reader has
    /// prun's end.
    pub fn capture(
        &mut self,
        attempt: &mut Attempt,
        new: Vec<LaneSpec>,
        stream: Stream,
        tap: Option<Tap>,
    ) -> Result<OwnedFd, Unstarted> {
        let (reader, writer) = os_pipe::pipe().map_err(|error| no_pipe(&error))?;
        self.read(attempt, reader.into(), new, stream, tap, false);
        Ok(writer.into())
    }

    fn read(
        &mut self,
        attempt: &mut Attempt,
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
            self.stdout = Some(attempt.readers.len());
        }
        let is_stderr = stream == Stream::Stderr;
        attempt.readers.push(Some(Reader { fd, lanes, tap, is_stderr, full: 0, is_terminal }));
    }
}
