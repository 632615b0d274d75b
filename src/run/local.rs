//! Tasks as processes of this machine: starts them, reads what they write, feeds them, signals them, and notes
//! how they ended.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use nix::unistd::Pid;

use super::active::{Active, Group, OFTEN, PIPE, Process, Reader, Work};
use super::launch::{Attempt, ChildEnds, Launch};
use super::sinks::Sinks;
use super::token::Token;
use super::wiring::{BIG_PIPE, Source, Stream, Target, Wiring, no_pipe};
use crate::event::{Exit, StartFailure, Time};
use crate::flow::output::{Dest, LaneSpec, Order, Outputs, Policy};
use crate::os::poller::{Interest, Poller, Ready};
use crate::os::{self, process};
use crate::plan::OutputMode;
use crate::plan::template::{Scope, Template};
use crate::plan::{Job, Plan, Stage, Stdin};
use crate::sched::{Event, TaskId};

/// A pipe of a capture holds no more than this.
const BUFFER: usize = PIPE;
/// So many captures may have big pipes at once. A user's pipes may have 16,384 pages in all (pipe(7)); beyond
/// that, new ones are small.
const BIG_PIPES: usize = 32;
/// What a leftover may still have in the pipe when its task has ended: its two pipes, full.
const LAST_LOOK: usize = 1 << 20;

/// What the loop shares with the tasks while it handles them.
pub struct Shared<'a> {
    pub poller: &'a Poller,
    pub outputs: &'a mut Outputs,
    pub sinks: &'a mut Sinks,
    pub events: &'a mut VecDeque<Event>,
}

impl Shared<'_> {
    /// Waits for a task's pipe. A child whose pipe nobody empties would never end, so that nothing but the end
    /// of the run is left if the system refuses.
    fn watch(&mut self, fd: BorrowedFd, token: Token, interest: Interest) {
        if let Err(errno) = self.poller.add(fd, token.pack(), interest) {
            let why = format!("could not wait for what a task writes or reads: {}", errno.desc());
            self.events.push_back(Event::Broken(why));
        }
    }
}

pub struct Local {
    plan: Arc<Plan>,
    launch: Launch,
    wiring: Wiring,
    actives: Vec<Option<Active>>,
    pids: HashMap<Pid, (TaskId, usize)>,
    /// Stopped tasks whose processes have ended, but not all of their group.
    remnants: Vec<TaskId>,
    /// Pipes that leftovers of ended tasks hold open: read and discarded.
    strays: HashMap<u32, OwnedFd>,
    next_stray: u32,
    /// Readers that wait until less is queued.
    paused: Vec<(TaskId, usize)>,
    buffer: Vec<u8>,
}

/// What the loop says of a start.
pub struct Start {
    pub task: TaskId,
    pub work: Work,
    pub slot: usize,
    pub attempt: u32,
    pub last_attempt: bool,
}

impl Local {
    pub fn new(plan: Arc<Plan>, run_id: String) -> io::Result<Local> {
        // As subreaper prun hears of the end of what its tasks left; without it a stopped group is polled.
        let _ = process::become_subreaper();
        Ok(Local {
            plan,
            launch: Launch::new(run_id)?,
            wiring: Wiring::new()?,
            actives: Vec::new(),
            pids: HashMap::new(),
            remnants: Vec::new(),
            strays: HashMap::new(),
            next_stray: 0,
            paused: Vec::new(),
            buffer: vec![0; BUFFER],
        })
    }

    pub fn get(&self, id: TaskId) -> Option<&Active> {
        self.actives.get(id.place as usize)?.as_ref().filter(|active| active.id == id)
    }

    fn get_mut(&mut self, id: TaskId) -> Option<&mut Active> {
        self.actives.get_mut(id.place as usize)?.as_mut().filter(|active| active.id == id)
    }

    /// Whether something must be looked at again soon, although nothing may tell of it.
    pub fn has_remnants(&self) -> bool {
        !self.remnants.is_empty()
    }

    // ---- starting ----------------------------------------------------------------------------------------

    /// Starts an attempt. What comes of it is reported through events.
    pub fn start(&mut self, now: Time, start: Start, shared: &mut Shared) {
        let plan = Arc::clone(&self.plan);
        let job = &plan.jobs[start.work.job];
        let task = start.task;
        let order: Option<Order> = job.keep_order.then_some((start.work.job, start.work.seq));
        let policy = match (job.output, start.last_attempt) {
            (OutputMode::Group, true) => Policy::Hold,
            (OutputMode::Group, false) => Policy::HoldFast,
            (OutputMode::Line | OutputMode::Raw, _) => Policy::Flow,
        };
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

    fn watch(&self, active: &Active, shared: &mut Shared) {
        for (at, reader) in active.readers.iter().enumerate() {
            if let Some(reader) = reader {
                shared.watch(reader.fd.as_fd(), Token::Reader(active.id, at), Interest::Read);
            }
        }
        if let Some(feed) = &active.feed {
            shared.watch(feed.to.as_fd(), Token::Feed(active.id), Interest::Write);
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
                None => match self.wiring.stdin(stage, &scope)? {
                    Source::Kept(fd) => fd,
                    Source::Owned(fd) => ends.keep(fd),
                    Source::Fed(fd, feed) => {
                        active.feed = feed;
                        ends.keep(fd)
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
                            shared_stderr = Some(capture(active, lanes, new, stream)?);
                        }
                        shared_stderr.as_ref().map_or(-1, AsRawFd::as_raw_fd)
                    }
                    Target::Lanes(new) => ends.keep(capture(active, lanes, new, stream)?),
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

    // ---- bytes -------------------------------------------------------------------------------------------

    /// Something can be read from, or written to, one of a task's pipes.
    pub fn ready(&mut self, token: Token, ready: &Ready, shared: &mut Shared) {
        match token {
            Token::Reader(id, at) => self.read(id, at, ready, shared),
            Token::Feed(id) => self.write_feed(id, shared),
            Token::Stray(stray) => self.discard(stray),
            _ => {}
        }
    }

    fn read(&mut self, id: TaskId, at: usize, ready: &Ready, shared: &mut Shared) {
        let mut buffer = std::mem::take(&mut self.buffer);
        if shared.sinks.crowded() {
            self.pause(id, at, shared);
        } else if let Some(active) = self.get_mut(id)
            && let Some(reader) = &mut active.readers[at]
            // A hang-up without anything to read is the end: no call is needed to learn it.
            && let Some(count) = if ready.read { reader.read(&mut buffer) } else { Some(0) }
        {
            let place = id.place as usize;
            reader.hand_on(place, &mut buffer, count, &mut active.stderr_tail, shared.outputs);
            reader.full += u32::from(count == PIPE);
            let carries_much = count == PIPE && reader.full == OFTEN;
            // No writer is left, and the pipe is empty now: that was the end.
            if count == 0 || (ready.hup && count < buffer.len()) {
                active.readers[at] = None;
                if active.is_drained() {
                    shared.events.push_back(Event::Drained(id));
                }
            }
            if carries_much {
                self.enlarge(id, at);
            }
        }
        self.buffer = buffer;
    }

    /// Gives a capture more room, unless many have it already: three times as fast where `cat` writes much.
    fn enlarge(&self, id: TaskId, at: usize) {
        let readers = self.actives.iter().flatten().flat_map(|active| active.readers.iter().flatten());
        if readers.filter(|reader| reader.full >= OFTEN).count() <= BIG_PIPES
            && let Some(reader) = self.get(id).and_then(|active| active.readers[at].as_ref())
        {
            os::io::set_pipe_size(reader.fd.as_fd(), BIG_PIPE);
        }
    }

    /// A reader of a full output is removed: with its interest off it would still wake the loop on hang-up.
    fn pause(&mut self, id: TaskId, at: usize, shared: &mut Shared) {
        if let Some(active) = self.get_mut(id)
            && let Some(reader) = &active.readers[at]
            && shared.poller.remove(reader.fd.as_fd()).is_ok()
        {
            self.paused.push((id, at));
        }
    }

    pub fn is_paused(&self) -> bool {
        !self.paused.is_empty()
    }

    /// Less is queued: goes on reading.
    pub fn resume(&mut self, shared: &mut Shared) {
        for (id, at) in std::mem::take(&mut self.paused) {
            if let Some(active) = self.get_mut(id)
                && let Some(reader) = &active.readers[at]
            {
                shared.watch(reader.fd.as_fd(), Token::Reader(id, at), Interest::Read);
            }
        }
    }

    fn write_feed(&mut self, id: TaskId, shared: &mut Shared) {
        if let Some(active) = self.get_mut(id)
            && let Some(feed) = &mut active.feed
            && feed.write()
        {
            let _ = shared.poller.remove(feed.to.as_fd());
            active.feed = None;
        }
    }

    fn discard(&mut self, stray: u32) {
        if let Some(fd) = self.strays.get(&stray)
            && !matches!(
                nix::unistd::read(fd.as_fd(), &mut self.buffer),
                Ok(1..) | Err(nix::errno::Errno::EAGAIN)
            )
        {
            self.strays.remove(&stray);
        }
    }

    // ---- ends --------------------------------------------------------------------------------------------

    /// Children may have ended: notes how, and reaps them at once.
    pub fn reap(&mut self, shared: &mut Shared) {
        while let Some(exited) = process::peek() {
            let known = self.pids.remove(&exited.pid);
            let exit = match exited.exit {
                process::Exit::Code(code) => Exit::Code(code),
                process::Exit::Signal(signal) => Exit::Signal(signal),
            };
            if let Some((id, stage)) = known
                && let Some(active) = self.get_mut(id)
            {
                active.exited(stage, exit);
                if active.live() == 0 && active.stopping {
                    self.remnants.push(id);
                }
                shared.events.push_back(Event::Exited { task: id, stage, exit });
            }
            // One that nobody knows was left by a task, and came to prun as its subreaper.
            process::reap(exited.pid);
        }
        self.look_at_remnants(shared);
    }

    /// Tells of stopped tasks whose group has gone.
    pub fn look_at_remnants(&mut self, shared: &mut Shared) {
        for id in std::mem::take(&mut self.remnants) {
            match self.get(id) {
                Some(active) if active.group_is_alive() => self.remnants.push(id),
                Some(_) => shared.events.push_back(Event::GroupGone(id)),
                None => {}
            }
        }
    }

    /// The attempt is over: forgets it. What something that it left still holds open is read on and discarded;
    /// says whether there is such a thing.
    pub fn end(&mut self, id: TaskId, shared: &mut Shared) -> Option<(Active, bool)> {
        self.get(id)?;
        let mut active = self.actives[id.place as usize].take()?;
        if matches!(active.group, Group::Own) {
            os::signals::leave_keys_to_child(false);
        }
        self.paused.retain(|(paused, _)| *paused != id);
        let mut left = false;
        for at in 0..active.readers.len() {
            if let Some(reader) = active.readers[at].take() {
                left |= self.last_look(&mut active, reader, shared);
            }
        }
        for process in &active.processes {
            if process.exit.is_none() {
                self.pids.remove(&process.pid);
            }
        }
        Some((active, left))
    }

    /// Takes what the task itself wrote before it ended. Whoever still holds the pipe may write on: prun reads
    /// and discards, so that a leftover is neither stopped nor killed by a full or a closed pipe.
    fn last_look(&mut self, active: &mut Active, reader: Reader, shared: &mut Shared) -> bool {
        let _ = shared.poller.remove(reader.fd.as_fd());
        let _ = os::own::set_nonblocking(reader.fd.as_fd());
        let mut seen = 0;
        while seen < LAST_LOOK {
            match reader.read(&mut self.buffer) {
                Some(0) => return false,
                Some(count) => {
                    let key = active.id.place as usize;
                    let tail = &mut active.stderr_tail;
                    reader.hand_on(key, &mut self.buffer, count, tail, shared.outputs);
                    seen += count;
                }
                None => break,
            }
        }
        self.next_stray += 1;
        let token = Token::Stray(self.next_stray).pack();
        if shared.poller.add(reader.fd.as_fd(), token, Interest::Read).is_ok() {
            self.strays.insert(self.next_stray, reader.fd);
        }
        true
    }

    // ---- stopping ----------------------------------------------------------------------------------------

    /// Sends a signal to the task's group, and SIGCONT so that a stopped one gets it.
    pub fn stop(&mut self, id: TaskId, signal: i32) {
        let Some(active) = self.get_mut(id) else { return };
        active.signal(signal);
        active.signal(nix::libc::SIGCONT);
        // All its processes may have been reaped just now, before anybody wanted to stop it.
        if !std::mem::replace(&mut active.stopping, true) && active.live() == 0 {
            self.remnants.push(id);
        }
    }

    pub fn forget_job(&mut self, job: usize) {
        self.launch.forget(job, self.plan.jobs[job].stages.len());
    }
}

/// The lane of a stderr that is shown.
fn shown_stderr(tag: &Option<Arc<[u8]>>) -> LaneSpec {
    LaneSpec { dest: Dest::Stderr, tag: tag.clone(), own: false }
}

/// A pipe into lanes of the task; returns the children's end.
fn capture(
    active: &mut Active,
    lanes: &mut Vec<LaneSpec>,
    new: Vec<LaneSpec>,
    stream: Stream,
) -> Result<os_pipe::PipeWriter, StartFailure> {
    let (reader, writer) = os_pipe::pipe().map_err(|error| no_pipe(&error))?;
    let first = lanes.len();
    lanes.extend(new);
    let lanes = (first..lanes.len()).collect();
    let is_stderr = stream == Stream::Stderr;
    active.readers.push(Some(Reader { fd: reader.into(), lanes, is_stderr, full: 0 }));
    Ok(writer)
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
