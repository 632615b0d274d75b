//! Starts attempts: the processes, the pipes, and what waits for them.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use crate::event::{Shortage, StageId, StartFailure, Time, Usage};
use crate::flow::answers::Answers;
use crate::flow::output::{Dest, LaneSpec, Order, Policy};
use crate::os;
use crate::os::live_starts;
use crate::os::poller::Interest;
use crate::plan::template::{Scope, Template};
use crate::plan::{Job, Stage, Stdin, Worker};
use crate::run::attempt::dialogue::Talk;
use crate::run::attempt::duplex::Duplex;
use crate::run::attempt::feed::Feed;
use crate::run::attempt::readiness::Looking;
use crate::run::attempt::{Active, Group, Process, Taker, Tap};
use crate::run::launch::pty::Terminal;
use crate::run::launch::stdio::Wires;
use crate::run::launch::unstarted::Unstarted;
use crate::run::launch::wiring::{Source, Stream, Target, Wiring, feed_block, no_pipe, policy};
use crate::run::launch::{Attempt, ChildEnds};
use crate::run::local::Local;
use crate::run::local::ProcessRole;
use crate::run::local::Shared;
use crate::run::local::Start;
use crate::run::queues::{Inlet, takes_whole_records};
use crate::run::token::Token;
use crate::run::workers::answer_ends;
use crate::sched::{Event, TaskId};

/// See [`Local::look_for_room`].
const SPARE_DESCRIPTORS: u64 = 8;

impl Local {
    /// Starts an attempt. What comes of it is reported through events; `false`: it will have to be tried again.
    pub fn start(&mut self, now: Time, start: Start, shared: &mut Shared) -> bool {
        let plan = Arc::clone(&self.plan);
        let job = &plan.jobs[start.work.job];
        let task = start.task;
        let is_worker = start.attempt == 0;
        // What a worker writes to stderr is no part of a task, and shown as it comes.
        let order: Option<Order> = (job.keep_order && !is_worker).then_some((start.work.job, start.work.seq));
        let policy = if is_worker { Policy::Flow } else { policy(job, start.last_attempt) };
        let mut active = Active::new(task, start.work, start.slot, start.attempt, now);
        active.mark = Some(live_starts::enter());
        active.taker = job.worker.as_ref().filter(|_| is_worker).map(taker);
        let mut wires = Wires::default();
        let looking = Looking::new(job, &active.work, active.slot, now);
        let result = match looking.map(|looking| active.looking = looking) {
            Ok(()) => self.start_stages(job, &mut active, &mut wires, shared),
            Err(failure) => Err(failure.into()),
        };
        shared.outputs.open(task.place, std::mem::take(&mut wires.lanes), policy, order);
        for (stage, process) in active.processes.iter().enumerate() {
            self.pids.insert(process.pid, (task, ProcessRole::Stage(StageId(stage))));
        }
        let short = matches!(result, Err(Unstarted::Short(..)));
        if let Err(unstarted) = result {
            let started = active.processes.len();
            active.looking = None;
            if started == 0 {
                self.lender.end(task, true);
            }
            if started == 0 || short {
                active.readers.clear();
                (active.feed, active.talk, active.duplex) = (None, None, None);
            }
            if short {
                // Nothing more of a queue is given to what has no future.
                self.queues.task_ended(task, false, shared.poller);
            }
            shared.events.push_back(not_started(task, started, unstarted));
        }
        self.watch(&active, shared);
        if active.is_drained() && !active.processes.is_empty() {
            shared.events.push_back(Event::Drained(task));
        }
        let place = task.place;
        if active.due().is_some() {
            self.watched.push(task);
        }
        self.actives.insert(place, active);
        !short
    }

    pub(in crate::run) fn watch(&self, active: &Active, shared: &mut Shared) {
        for (at, reader) in active.readers.iter().enumerate() {
            if let Some(reader) = reader {
                shared.watch(reader.fd.as_fd(), Token::Reader(active.id, at), Interest::Read);
            }
        }
        // Workers are fed when they are given something.
        if let Some(feed) = active.feed.as_ref().filter(|_| !active.is_worker()) {
            shared.watch(feed.fd(), Token::Feed(active.id), Interest::Write);
        }
    }

    fn start_stages(
        &mut self,
        job: &Job,
        active: &mut Active,
        wires: &mut Wires,
        shared: &mut Shared,
    ) -> Result<(), Unstarted> {
        let work = active.work.clone();
        let scope = work.scope(active.slot);
        let tag = match active.is_worker() {
            true => job.tag.as_ref().map(|_| [job.name.as_bytes(), b"\t"].concat().into()),
            false => job.tag.as_ref().map(|tag| render(tag, &scope)),
        };
        let attempt = Attempt { job, job_id: work.job, number: active.attempt, mark: active.mark, scope };
        let stages = job.stages.len();
        if job.duplex {
            let (reader, writer) = os_pipe::pipe().map_err(|error| no_pipe(&error))?;
            (wires.next_stdin, wires.back) = (Some(reader), Some(writer));
        }
        for (index, stage) in job.stages.iter().enumerate() {
            wires.ends = ChildEnds::default();
            wires.terminal = Terminal::open(stage, &mut wires.ends)?;
            let group = self.group(active, job, wires.terminal.as_ref());
            let mut stdio = [self.stdin(&attempt, stage, active, wires)?, -1, -1];
            for (stream, at) in [(Stream::Stdout, 1), (Stream::Stderr, 2)] {
                if Terminal::takes(job, stage, stream)
                    && let Some(fd) = wires.terminal_for_stderr(active)
                {
                    stdio[at] = fd;
                    continue;
                }
                let (job, tag) = ((work.job, job), tag.as_ref());
                let target =
                    self.wiring.target(job, StageId(index), stream, &attempt.scope, tag, shared.sinks)?;
                stdio[at] = match target {
                    Target::Stdout => stdio[1],
                    Target::Pipe => wires.pipe(index + 1 == stages)?,
                    target => self.output(target, stream, tag, active, wires)?,
                };
            }
            self.look_for_room(active, &stdio)?;
            Wiring::tell_seq(stage, &attempt.scope)?;
            self.prepare_talk(stage, &attempt.scope, active, wires, shared.now);
            let pid = self.launch.stage(&attempt, StageId(index), stdio, group)?;
            if index == 0 {
                active.group = Group::Leader(pid);
                self.lender.started(active.id, pid);
            }
            active.processes.push(Process { pid, exit: None, usage: Usage::default() });
        }
        if job.duplex {
            active.duplex = Some(Box::new(Duplex::new(std::mem::take(&mut wires.circle), shared.now)));
        }
        Ok(())
    }

    /// The group of the next process.
    fn group(&mut self, active: &Active, job: &Job, terminal: Option<&Terminal>) -> os::start::Group {
        match (active.processes.first(), terminal) {
            (Some(first), _) => os::start::Group::Join(first.pid),
            (None, Some(terminal)) => os::start::Group::Terminal(terminal.child),
            (None, None) if job.interactive && !active.is_worker() => self.lender.lend(active.id),
            (None, None) => os::start::Group::New,
        }
    }

    /// The last few descriptors are for what prun itself has to open, whatever its tasks need; but one task alone may
    /// have them. Of new descriptors it is the highest number that tells how many there are.
    fn look_for_room(&self, active: &Active, stdio: &[RawFd; 3]) -> Result<(), Unstarted> {
        let highest = stdio.iter().copied().max().unwrap_or(0);
        let alone = self.pids.len() == active.processes.len();
        if alone || (highest as u64) + SPARE_DESCRIPTORS < self.files {
            return Ok(());
        }
        let why = "could not open more files: prun needs the last ones itself".into();
        Err(Unstarted::Short(Shortage::Files, StartFailure { code: 126, why }))
    }

    /// What a stage reads.
    fn stdin(
        &mut self,
        attempt: &Attempt,
        stage: &Stage,
        active: &mut Active,
        wires: &mut Wires,
    ) -> Result<RawFd, Unstarted> {
        if let Some(reader) = wires.next_stdin.take() {
            return Ok(wires.ends.keep(reader));
        }
        if let Some(worker) = &attempt.job.worker {
            return Ok(wires.ends.keep(tasks_of(worker, active)?));
        }
        if let Some(terminal) = &wires.terminal
            && let Some(feed) = terminal.input(stage)?
        {
            active.feed = feed;
            return Ok(terminal.child);
        }
        let source = match &active.work.block {
            Some(block) => feed_block(block.clone(), matches!(stage.stdin, Stdin::Queue { .. }))?,
            None => self.wiring.stdin(stage, &attempt.scope, takes_whole_records(&self.plan, attempt.job))?,
        };
        Ok(match source {
            Source::Kept(fd) => fd,
            Source::Owned(fd) => wires.ends.keep(fd),
            Source::Fed(fd, feed) => {
                active.feed = feed;
                wires.ends.keep(fd)
            }
            Source::Queue { queue, ahead, child, ours } => {
                self.queues.open_outlet(queue, ahead, active.id, attempt.job_id, ours);
                wires.ends.keep(child)
            }
        })
    }

    /// What a stage writes to.
    fn output(
        &mut self,
        target: Target,
        stream: Stream,
        tag: Option<&Arc<[u8]>>,
        active: &mut Active,
        wires: &mut Wires,
    ) -> Result<RawFd, Unstarted> {
        Ok(match target {
            Target::Kept(fd) => fd,
            Target::File(fd) => wires.ends.keep(fd),
            Target::Stdout | Target::Pipe => unreachable!("they need nothing of prun"),
            Target::Lanes(new) if stream == Stream::Stderr && new[..] == [shown_stderr(tag)] => {
                if wires.shared_stderr.is_none() {
                    wires.shared_stderr = Some(wires.capture(active, new, stream, None)?);
                }
                wires.shared_stderr.as_ref().map_or(-1, AsRawFd::as_raw_fd)
            }
            Target::Lanes(new) => wires.keep_capture(active, new, stream, None)?,
            Target::Answers => wires.keep_capture(active, Vec::new(), stream, Some(Tap::Answers))?,
            Target::Queue(queue, new) => {
                let fd = wires.keep_capture(active, new, stream, Some(Tap::Queue(queue)))?;
                let at = active.readers.len() - 1;
                if let Some(reader) = &active.readers[at] {
                    self.queues.open_inlet(queue, Inlet { task: active.id, at }, reader.fd.as_fd());
                }
                fd
            }
        })
    }

    fn prepare_talk(&self, stage: &Stage, scope: &Scope, active: &mut Active, wires: &Wires, now: Time) {
        if let (Stdin::Dialogue(dialogue), Some(reader)) = (&stage.stdin, wires.stdout) {
            active.talk = Some(Box::new(Talk::new(dialogue, scope, now, reader, stage.pty)));
        }
    }
}

/// The event that tells of it.
pub(in crate::run) fn not_started(task: TaskId, started: usize, unstarted: Unstarted) -> Event {
    match unstarted {
        Unstarted::Failed(failure) => Event::NotStarted { task, started, failure: Arc::new(failure) },
        Unstarted::Short(shortage, failure) => {
            Event::Short { task, started, shortage, failure: Arc::new(failure) }
        }
    }
}

fn taker(worker: &Worker) -> Box<Taker> {
    Box::new(Taker { answers: Answers::new(answer_ends(worker)), asked: false })
}

/// A pipe through which a worker gets its tasks, and before them what each gets first; returns its end.
fn tasks_of(worker: &Worker, active: &mut Active) -> Result<OwnedFd, Unstarted> {
    let (reader, mut feed) = Feed::new().map_err(|error| no_pipe(&error))?;
    feed.push(&worker.init);
    active.feed = Some(feed);
    Ok(reader)
}

/// The lane of a stderr that is shown.
fn shown_stderr(tag: Option<&Arc<[u8]>>) -> LaneSpec {
    LaneSpec { dest: Dest::Stderr, tag: tag.cloned(), escape: None, own: false }
}

fn render(template: &Template, scope: &Scope) -> Arc<[u8]> {
    let mut bytes = Vec::new();
    template.render(scope, &mut bytes);
    bytes.into()
}
