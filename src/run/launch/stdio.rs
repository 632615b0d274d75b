//! The descriptors that join the stages of an attempt to each other, and to prun, while they start.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use crate::flow::output::LaneSpec;
use crate::os;
use crate::os::deadlock::{self, PipeId};
use crate::run::attempt::Attempt;
use crate::run::attempt::reader::{ReadBy, Reader, Tap};
use crate::run::launch::ChildEnds;
use crate::run::launch::pty::Terminal;
use crate::run::launch::unstarted::{Unstarted, no_pipe};
use crate::run::launch::wiring::Stream;

/// The descriptors of an attempt while its stages start one after another.
#[derive(Default)]
pub struct Stdio {
    /// The text before each line of the task's output.
    pub tag: Option<Arc<[u8]>>,
    /// The pipe that the next stage reads.
    pub next_stdin: Option<os_pipe::PipeReader>,
    /// The writing end of the pipe from the last stage back to the first.
    back: Option<os_pipe::PipeWriter>,
    /// The pipes between stages.
    pub pipes: Vec<PipeId>,
    /// The writing end of the pipe that all stages share whose stderr is shown.
    shared_stderr: Option<OwnedFd>,
    /// The terminal of the stage that is to start.
    pub terminal: Option<Terminal>,
    /// The ends of pipes for the stage that is to start.
    pub ends: ChildEnds,
    /// The index of the reader of the last stage's stdout.
    pub stdout_reader: Option<usize>,
    /// The lanes of the task's output.
    pub lanes: Vec<LaneSpec>,
}

/// A stream of a stage that prun reads.
pub struct Capture {
    pub stream: Stream,
    /// Lanes of the task that get what is read.
    pub lanes: Vec<LaneSpec>,
    /// A destination beside the lanes.
    pub tap: Option<Tap>,
    /// True if the pipe is to be one in packet mode.
    pub packets: bool,
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
        self.pipes.extend(deadlock::pipe_id(writer.as_fd()));
        Ok(self.ends.keep(writer))
    }

    /// Returns the terminal of the stage that is to start, for its stderr too. Its output then counts as stderr in the
    /// report, because nothing else may show why the task failed.
    pub fn terminal_for_stderr(&self, attempt: &mut Attempt) -> Option<RawFd> {
        let terminal = self.terminal.as_ref()?;
        if let Some(Some(reader)) = self.stdout_reader.and_then(|at| attempt.readers.get_mut(at)) {
            reader.is_stderr = true;
        }
        Some(terminal.child)
    }

    /// Opens a pipe, or uses the terminal, for a stream of the stage that is to start. Returns the child's end. The
    /// attempt's last reader has prun's end.
    pub fn capture(&mut self, attempt: &mut Attempt, capture: Capture) -> Result<RawFd, Unstarted> {
        let terminal = self.terminal.as_mut().filter(|_| capture.stream == Stream::Stdout);
        if let Some(terminal) = terminal
            && let Some(master) = terminal.master.take()
        {
            let child = terminal.child;
            let capture = Capture { packets: false, ..capture };
            self.add_reader(attempt, master, capture, true);
            return Ok(child);
        }
        if capture.packets {
            let (reader, writer) = os::io::packet_pipe().map_err(|error| no_pipe(&error))?;
            self.add_reader(attempt, reader, capture, false);
            return Ok(self.ends.keep(writer));
        }
        let (reader, writer) = os_pipe::pipe().map_err(|error| no_pipe(&error))?;
        self.add_reader(attempt, reader.into(), capture, false);
        Ok(self.ends.keep(writer))
    }

    /// Returns the pipe that all stages share whose stderr is shown, and opens it for the first of them.
    pub fn shared_stderr(&mut self, attempt: &mut Attempt, lanes: Vec<LaneSpec>) -> Result<RawFd, Unstarted> {
        if let Some(writer) = &self.shared_stderr {
            return Ok(writer.as_raw_fd());
        }
        let (reader, writer) = os_pipe::pipe().map_err(|error| no_pipe(&error))?;
        let capture = Capture { stream: Stream::Stderr, lanes, tap: None, packets: false };
        self.add_reader(attempt, reader.into(), capture, false);
        Ok(self.shared_stderr.insert(writer.into()).as_raw_fd())
    }

    fn add_reader(&mut self, attempt: &mut Attempt, fd: OwnedFd, capture: Capture, is_terminal: bool) {
        let Capture { stream, lanes, tap, packets } = capture;
        let first = self.lanes.len();
        self.lanes.extend(lanes);
        let lanes = (first..self.lanes.len()).collect();
        if stream == Stream::Stdout {
            self.stdout_reader = Some(attempt.readers.len());
        }
        let is_stderr = stream == Stream::Stderr;
        attempt.readers.push(Some(Reader {
            fd,
            lanes,
            tap,
            is_stderr,
            full: 0,
            is_terminal,
            packets,
            read_by: ReadBy::Loop,
        }));
    }
}
