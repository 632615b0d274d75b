//! Starts attempts: the processes, the pipes, and what waits for them.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use super::{Local, Shared, Start};
use crate::event::{StartFailure, Time};
use crate::flow::output::{Dest, LaneSpec, Order};
use crate::os;
use crate::os::poller::Interest;
use crate::plan::template::{Scope, Template};
use crate::plan::{Job, Stage, Stdin};
use crate::run::active::{Active, Group, Process, Reader, Tap, Work};
use crate::run::launch::{Attempt, ChildEnds};
use crate::run::queues::{Inlet, takes_whole_records};
use crate::run::token::Token;
use crate::run::wiring::{Source, Stream, Target, feed_block, no_pipe, policy};
use crate::sched::Event;

impl Local {
    /// Starts an attempt. What comes of it is reported through events.
    pub fn start(&mut self, now: Time, start: Start, shared: &mut Shared) {
        let plan = Arc::clone(&self.plan);
        let job = &plan.jobs[start.work.job];
        let task = start.task;
        let order: Option<Order> = job.keep_order.then_some((start.work.job, start.work.seq));
        let policy = policy(job, start.last_attempt);
        let mut active = Active {
            id: task,
            slot: start.slot,
            attempt: start.attempt,
            started: now,
            processes: Vec::with_capacity(job.stages.len()),
            group: Group::Own,
            readers: Vec::new(),
            feed: None,
            stderr_tail: Vec::new(),
            stopping: false,
            hook: None,
            work: start.work,
        };
        let mut lanes = Vec::new();
        let result = self.start_stages(job, &mut active, &mut lanes, shared);
        shared.outputs.open(task.place as usize, lanes, policy, order);
        for (stage, process) in active.processes.iter().enumerate() {
            self.pids.insert(process.pid, (task, stage));
        }
        if let Err(failure) = result {
            let started = active.processes.len();
            shared.events.push_back(Event::NotStarted { task, started, failure: Arc::new(failure) });
            if started == 0 {
                active.readers.clear();
                active.feed = None;
            }
        }
        self.watch(&active, shared);
        if active.is_drained() && !active.processes.is_empty() {
            shared.events.push_back(Event::Drained(task));
        }
        let place = task.place as usize;
        if self.actives.len() <= place {
            self.actives.resize_with(place + 1, || None);
        }
        self.actives[place] = Some(active);
    }

    pub(super) fn watch(&self, active: &Active, shared: &mut Shared) {
        for (at, reader) in active.readers.iter().enumerate() {
            if let Some(reader) = reader {
                shared.watch(reader.fd.as_fd(), Token::Reader(active.id, at), Interest::Read);
            }
        }
        if let Some(feed) = &active.feed {
            shared.watch(feed.fd(), Token::Feed(active.id), Interest::Write);
        }
    }

    /// What the first stage reads.
    fn source(
        &mut self,
        stage: &Stage,
        job: &Job,
        work: &Work,
        scope: &Scope,
    ) -> Result<Source, StartFailure> {
        match &work.block {
            Some(block) => feed_block(block.clone(), matches!(stage.stdin, Stdin::Queue { .. })),
            None => self.wiring.stdin(stage, scope, takes_whole_records(&self.plan, job)),
        }
    }

    fn start_stages(
        &mut self,
        job: &Job,
        active: &mut Active,
        lanes: &mut Vec<LaneSpec>,
        shared: &mut Shared,
    ) -> Result<(), StartFailure> {
        let work = active.work.clone();
        let scope = Scope { items: &work.items, names: &work.names, seq: work.seq, slot: active.slot };
        let tag = job.tag.as_ref().map(|tag| render(tag, &scope));
        let attempt = Attempt { job, job_index: work.job, number: active.attempt, scope };
        // Stages that show their stderr share a pipe.
        let mut shared_stderr = None;
        let mut next_stdin: Option<os_pipe::PipeReader> = None;
        for (index, stage) in job.stages.iter().enumerate() {
            let mut ends = ChildEnds::default();
            let stdin = match next_stdin.take() {
                Some(reader) => ends.keep(reader),
                None => match self.source(stage, job, &work, &scope)? {
                    Source::Kept(fd) => fd,
                    Source::Owned(fd) => ends.keep(fd),
                    Source::Fed(fd, feed) => {
                        active.feed = feed;
                        ends.keep(fd)
                    }
                    Source::Queue { queue, ahead, child, ours } => {
                        self.queues.open_outlet(queue, ahead, active.id, work.job, ours);
                        ends.keep(child)
                    }
                },
            };
            let mut stdio = [stdin, -1, -1];
            for (stream, at) in [(Stream::Stdout, 1), (Stream::Stderr, 2)] {
                let target =
                    self.wiring.target((work.job, job), index, stream, &scope, tag.as_ref(), shared.sinks)?;
                stdio[at] = match target {
                    Target::Kept(fd) => fd,
                    Target::File(fd) => ends.keep(fd),
                    Target::Stdout => stdio[1],
                    Target::Pipe => {
                        let (reader, writer) = os_pipe::pipe().map_err(|error| no_pipe(&error))?;
                        next_stdin = Some(reader);
                        ends.keep(writer)
                    }
                    Target::Lanes(new) if stream == Stream::Stderr && new[..] == [shown_stderr(&tag)] => {
                        if shared_stderr.is_none() {
                            shared_stderr = Some(capture(active, lanes, new, stream, None)?.0);
                        }
                        shared_stderr.as_ref().map_or(-1, AsRawFd::as_raw_fd)
                    }
                    Target::Lanes(new) => ends.keep(capture(active, lanes, new, stream, None)?.0),
                    Target::Queue(queue, new) => {
                        let tap = Some(Tap::Queue(queue));
                        let (writer, at) = capture(active, lanes, new, stream, tap)?;
                        let inlet = Inlet { task: active.id, at };
                        self.queues.open_inlet(queue, inlet, writer.as_fd());
                        ends.keep(writer)
                    }
                };
            }
            let group = match active.processes.first() {
                Some(_) if matches!(active.group, Group::Own) => os::start::Group::Own,
                Some(first) => os::start::Group::Join(first.pid),
                None if shares_terminal(stage) => os::start::Group::Own,
                None => os::start::Group::New,
            };
            let pid = self.launch.stage(&attempt, index, stdio, group)?;
            if matches!(group, os::start::Group::Own) {
                os::signals::leave_keys_to_child(true);
            }
            if index == 0 {
                active.group = match group {
                    os::start::Group::Own => Group::Own,
                    _ => Group::Leader(pid),
                };
            }
            active.processes.push(Process { pid, exit: None });
        }
        Ok(())
    }
}

/// The lane of a stderr that is shown.
fn shown_stderr(tag: &Option<Arc<[u8]>>) -> LaneSpec {
    LaneSpec { dest: Dest::Stderr, tag: tag.clone(), own: false }
}

/// A pipe into lanes of the task, or beyond; returns the children's end, and which of its readers has ours.
fn capture(
    active: &mut Active,
    lanes: &mut Vec<LaneSpec>,
    new: Vec<LaneSpec>,
    stream: Stream,
    tap: Option<Tap>,
) -> Result<(os_pipe::PipeWriter, usize), StartFailure> {
    let (reader, writer) = os_pipe::pipe().map_err(|error| no_pipe(&error))?;
    let first = lanes.len();
    lanes.extend(new);
    let lanes = (first..lanes.len()).collect();
    let is_stderr = stream == Stream::Stderr;
    active.readers.push(Some(Reader { fd: reader.into(), lanes, tap, is_stderr, full: 0 }));
    Ok((writer, active.readers.len() - 1))
}

/// A task that has prun's own terminal as its stdin stays in prun's process group: in one of its own the
/// terminal would stop it at its first read.
fn shares_terminal(stage: &Stage) -> bool {
    matches!(stage.stdin, Stdin::Inherit) && os::own::is_terminal(os::own::stdin())
}

fn render(template: &Template, scope: &Scope) -> Arc<[u8]> {
    let mut bytes = Vec::new();
    template.render(scope, &mut bytes);
    bytes.into()
}
