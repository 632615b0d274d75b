//! Starts attempts: the processes, the pipes, and what waits for them.

use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::sync::Arc;

use super::LocalProcesses;
use super::begun_blocks::begin_block;
use crate::event::{Shortage, StageId, StartFailure, Time};
use crate::flow::answers::{Answers, Ends};
use crate::flow::output::{Dest, LaneSpec, Own, Policy};
use crate::os;
use crate::os::live_starts;
use crate::os::poller::Interest;
use crate::plan::template::Scope;
use crate::plan::{Job, Output, OutputMode, Reply, Stage, Stdin, Worker};
use crate::run::attempt::dialogue::Talk;
use crate::run::attempt::duplex::Duplex;
use crate::run::attempt::feed::Feed;
use crate::run::attempt::files::{Opened, Opening};
use crate::run::attempt::reader::{Reader, Tap};
use crate::run::attempt::readiness::Readiness;
use crate::run::attempt::table::ProcessRole;
use crate::run::attempt::{Attempt, Process, Taker};
use crate::run::backend::{Context, Start, Started};
use crate::run::launch::files::Opener;
use crate::run::launch::pty::{Terminal, TerminalInput};
use crate::run::launch::stdin::{Source, feed_block};
use crate::run::launch::stdio::{Capture, Stdio};
use crate::run::launch::target::Target;
use crate::run::launch::unstarted::{Unstarted, no_pipe};
use crate::run::launch::wiring::Stream;
use crate::run::launch::{ChildEnds, ChildIo, LaunchContext};
use crate::run::output::terminal_lease::TerminalLease;
use crate::run::queues::{Inlet, takes_whole_records};
use crate::run::task::policy;
use crate::run::token::Token;
use crate::sched::{Event, TaskId};

/// Descriptors that prun keeps for itself; see [`LocalProcesses::leave_descriptors`].
const SPARE_DESCRIPTORS: u64 = 8;

/// The time for which the pipes of an attempt are left alone. It is as short as the poller's timers allow.
const FRESH: Time = Time::from_millis(2);

impl LocalProcesses {
    /// Starts an attempt or a worker. Everything that comes of it later is reported by events.
    pub(super) fn start_attempt(&mut self, start: Start, cx: &mut Context) -> Started {
        let job = &self.plan.jobs[start.work.job];
        let mut attempt = Attempt::new(start.task, start.work, start.slot, start.role, cx.now);
        attempt.mark = Some(live_starts::register());
        attempt.taker = job.worker.as_ref().filter(|_| attempt.role.is_worker()).map(taker);
        match self.open_files(&mut attempt, cx) {
            Ok(Opened::All) => self.launch_attempt(attempt, start.last_attempt, Ok(()), cx),
            Ok(Opened::Waits(why)) => {
                attempt.opening = Some(Box::new(Opening::new(why, cx.now, start.last_attempt)));
                self.watched.push(attempt.id);
                self.attempts.insert(attempt);
                Started::Waiting
            }
            Err(unstarted) => self.launch_attempt(attempt, start.last_attempt, Err(unstarted), cx),
        }
    }

    /// Goes on with an attempt that waited for the other end of a FIFO, if somebody has opened that.
    pub(super) fn go_on_opening(&mut self, id: TaskId, cx: &mut Context) {
        let opening = self.attempts.get(id).and_then(|attempt| attempt.opening.as_ref());
        if opening.is_none_or(|opening| opening.due > cx.now) {
            return;
        }
        let Some(mut attempt) = self.attempts.take(id) else { return };
        let opened = self.open_files(&mut attempt, cx);
        if let (Ok(Opened::Waits(why)), Some(opening)) = (&opened, &mut attempt.opening) {
            opening.put_off(why.clone(), cx.now);
            return self.attempts.insert(attempt);
        }
        let (result, opening) = (opened.map(drop), attempt.opening.take());
        let last_attempt = opening.is_none_or(|opening| opening.last_attempt);
        let started = self.launch_attempt(attempt, last_attempt, result, cx);
        cx.launched.push((id, started));
    }

    /// Gives up an attempt that waits for the other end of a FIFO, because it is stopped.
    pub(super) fn stop_opening(&mut self, id: TaskId, cx: &mut Context) {
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        let Some(opening) = attempt.opening.take() else { return };
        attempt.stopping = true;
        attempt.files.clear();
        attempt.unready = Some(opening.why);
        cx.events.extend([Event::Drained(id), Event::GroupGone(id)]);
    }

    /// Starts the processes of an attempt whose files are open, or fails it for the reason why they are not.
    fn launch_attempt(
        &mut self,
        mut attempt: Attempt,
        last_attempt: bool,
        opened: Result<(), Unstarted>,
        cx: &mut Context,
    ) -> Started {
        let plan = Arc::clone(&self.plan);
        let (task, work) = (attempt.id, &attempt.work);
        let job = &plan.jobs[work.job];
        let is_worker = attempt.role.is_worker();
        // The stderr of a worker is no part of a task, and is shown as it comes.
        let order = (job.keep_order && !is_worker).then_some((work.job, work.seq));
        let policy = if is_worker { Policy::Flow } else { policy(job, last_attempt) };
        let mut stdio = Stdio::default();
        let readiness = opened.and_then(|()| Ok(Readiness::new(job, work, attempt.slot, cx.now)?));
        let result = match readiness.map(|readiness| attempt.readiness = readiness) {
            Ok(()) => self.start_stages(job, &mut attempt, &mut stdio, cx),
            Err(unstarted) => Err(unstarted),
        };
        cx.outputs.open(task.place, std::mem::take(&mut stdio.lanes), policy, order);
        for (stage, process) in attempt.processes.iter().enumerate() {
            self.attempts.note_process(process.pid, task, ProcessRole::Stage(StageId(stage)));
        }
        let is_short = matches!(result, Err(Unstarted::Shortage(..)));
        if let Err(unstarted) = result {
            give_up(&mut attempt, unstarted, cx);
        }
        match self.may_end_soon(job, &attempt) {
            true => self.fresh.push_back((task, cx.now + FRESH)),
            false => watch_pipes(&mut attempt, cx),
        }
        if !is_short {
            begin_block(&attempt, cx);
        }
        if attempt.is_drained() && !attempt.processes.is_empty() {
            cx.events.push_back(Event::Drained(task));
        }
        if attempt.due().is_some() {
            self.watched.push(task);
        }
        let started = match attempt.first_pid() {
            _ if is_short => Started::NotBegun,
            Some(pid) => Started::Running { pid, captured: !attempt.is_drained() },
            None => Started::Failed,
        };
        self.attempts.insert(attempt);
        started
    }

    fn start_stages(
        &mut self,
        job: &Job,
        attempt: &mut Attempt,
        stdio: &mut Stdio,
        cx: &mut Context,
    ) -> Result<(), Unstarted> {
        let work = attempt.work.clone();
        let scope = work.scope(attempt.slot);
        stdio.tag = job.tag.as_ref().map(|tag| match attempt.role.is_worker() {
            true => [job.name.as_bytes(), b"\t"].concat().into(),
            false => tag.rendered(&scope).into(),
        });
        let context = LaunchContext::of(attempt, job, scope);
        if job.duplex {
            stdio.open_circle()?;
        }
        for (index, stage) in job.stages.iter().enumerate() {
            let id = StageId(index);
            stdio.ends = ChildEnds::default();
            stdio.terminal = Terminal::open(stage, &mut stdio.ends)?;
            let group = process_group(attempt, job, stdio.terminal.as_ref(), cx.terminal);
            let stdin = self.stdin(&context, id, attempt, stdio, cx)?;
            let stdout = self.output(&context, id, Stream::Stdout, attempt, stdio, cx)?;
            let stderr = match stage.stderr {
                Output::Stdout => stdout,
                _ => self.output(&context, id, Stream::Stderr, attempt, stdio, cx)?,
            };
            let waits = has_to_execute_first(job, attempt);
            let io = ChildIo { stdio: [stdin, stdout, stderr], group, waits };
            self.leave_descriptors(attempt, &io.stdio)?;
            prepare_dialogue(stage, &context.scope, attempt, stdio, cx.now);
            let pid = self.launch.stage(&context, id, io)?;
            if index == 0 {
                attempt.lead(pid);
                cx.terminal.started(attempt.id, pid);
            }
            attempt.processes.push(Process::new(pid));
        }
        if job.duplex {
            attempt.duplex = Some(Box::new(Duplex::new(std::mem::take(&mut stdio.pipes), cx.now)));
        }
        Ok(())
    }

    /// True if nobody misses what the attempt writes in its first moment. It is read when that is over, or when the attempt
    /// has ended: most commands that end soon write little, and the loop is woken up once for them.
    fn may_end_soon(&self, job: &Job, attempt: &Attempt) -> bool {
        let is_plain = |reader: &Reader| reader.tap.is_none() && !reader.is_terminal && !reader.packets;
        job.output == OutputMode::Group
            && !attempt.role.is_worker()
            && attempt.feed.is_none()
            && attempt.readiness.is_none()
            && attempt.duplex.is_none()
            && attempt.readers.iter().flatten().all(is_plain)
            && !self.prolific.contains(&attempt.work.job)
    }

    /// Has the pipes watched of attempts that are not fresh any more.
    pub(super) fn watch_older(&mut self, cx: &mut Context) {
        while let Some((id, _)) = self.fresh.front().filter(|(_, due)| *due <= cx.now).copied() {
            self.fresh.pop_front();
            if let Some(attempt) = self.attempts.get_mut(id).filter(|attempt| !attempt.watched) {
                watch_pipes(attempt, cx);
            }
        }
    }

    /// Opens the files of an attempt, as far as they are not open.
    fn open_files(&mut self, attempt: &mut Attempt, cx: &mut Context) -> Result<Opened, Unstarted> {
        let plan = Arc::clone(&self.plan);
        let job = &plan.jobs[attempt.work.job];
        if !job.names_files() {
            return Ok(Opened::All);
        }
        let mut opener = Opener {
            fixed: &mut self.wiring.fixed,
            sinks: cx.sinks,
            warnings: cx.warnings,
            again: attempt.work.has_files,
        };
        let mut files = std::mem::take(&mut attempt.files);
        let context = LaunchContext::of(attempt, job, attempt.work.scope(attempt.slot));
        let opened = opener.open_all(&context, &mut files);
        attempt.work.has_files |= files.done > 0;
        attempt.files = files;
        opened
    }

    /// Leaves the last few descriptors to what prun itself has to open, whatever its tasks need; but one task alone may
    /// have them. The highest number among new descriptors tells how many there are.
    fn leave_descriptors(&self, attempt: &Attempt, fds: &[RawFd; 3]) -> Result<(), Unstarted> {
        let highest = fds.iter().copied().max().unwrap_or(0);
        let alone = self.attempts.process_count() == attempt.processes.len();
        if alone || (highest as u64) + SPARE_DESCRIPTORS < self.open_files {
            return Ok(());
        }
        let why = "could not open more files: prun needs the last ones itself".into();
        Err(Unstarted::Shortage(Shortage::Files, StartFailure { code: 126, why }))
    }

    /// Returns the descriptor that a stage reads.
    fn stdin(
        &mut self,
        context: &LaunchContext,
        id: StageId,
        attempt: &mut Attempt,
        stdio: &mut Stdio,
        cx: &mut Context,
    ) -> Result<RawFd, Unstarted> {
        let stage = &context.job.stages[id];
        if let Some(reader) = stdio.next_stdin.take() {
            return Ok(stdio.ends.keep(reader));
        }
        if let Some(worker) = &context.job.worker {
            return Ok(stdio.ends.keep(tasks_of(worker, attempt)?));
        }
        if let Some(terminal) = &stdio.terminal {
            match terminal.input(stage)? {
                TerminalInput::Unused => {}
                TerminalInput::Silent => return Ok(terminal.child),
                TerminalInput::Typed(feed) => {
                    attempt.feed = Some(feed);
                    return Ok(terminal.child);
                }
            }
        }
        let source = match &attempt.work.block {
            Some(block) => feed_block(block, matches!(stage.stdin, Stdin::Queue { .. }))?,
            None => {
                let whole = takes_whole_records(&self.plan, context.job);
                self.wiring.stdin(stage, &context.scope, whole)?
            }
        };
        Ok(match source {
            Source::Shared(fd) => fd,
            Source::File => match attempt.files.take_input(id) {
                Some(file) => stdio.ends.keep(file),
                None => unreachable!("files are opened before the first stage starts"),
            },
            Source::Fed { child, feed } => {
                attempt.feed = feed;
                stdio.ends.keep(child)
            }
            Source::Queue { queue, single, child, ours } => {
                cx.queues.open_outlet(queue, single, attempt.id, context.job_id, ours);
                stdio.ends.keep(child)
            }
        })
    }

    /// Returns the descriptor that a stage writes a stream to.
    fn output(
        &mut self,
        context: &LaunchContext,
        id: StageId,
        stream: Stream,
        attempt: &mut Attempt,
        stdio: &mut Stdio,
        cx: &mut Context,
    ) -> Result<RawFd, Unstarted> {
        if Terminal::takes(context.job, &context.job.stages[id], stream)
            && let Some(fd) = stdio.terminal_for_stderr(attempt)
        {
            return Ok(fd);
        }
        let target = self.wiring.target(context, id, stream, stdio.tag.as_ref(), &attempt.files);
        Ok(match target {
            Target::Shared(fd) => fd,
            Target::Pipe => stdio.pipe(id == context.job.last_stage())?,
            Target::Lanes(lanes)
                if stream == Stream::Stderr && lanes[..] == [shown_stderr(stdio.tag.as_ref())] =>
            {
                stdio.shared_stderr(attempt, lanes)?
            }
            Target::Lanes(lanes) => {
                stdio.capture(attempt, Capture { stream, lanes, tap: None, packets: false })?
            }
            Target::Answers => {
                let tap = Some(Tap::Answers);
                stdio.capture(attempt, Capture { stream, lanes: Vec::new(), tap, packets: false })?
            }
            Target::Queue(queue, lanes) => {
                let tap = Some(Tap::Queue(queue));
                let packets = cx.queues.takes_packets(queue);
                let fd = stdio.capture(attempt, Capture { stream, lanes, tap, packets })?;
                let at = attempt.readers.len() - 1;
                if let Some(reader) = &attempt.readers[at] {
                    cx.queues.open_inlet(queue, Inlet { task: attempt.id, at }, reader.fd.as_fd());
                }
                fd
            }
        })
    }
}

/// Reports that an attempt could not be started, and drops what was prepared for it.
pub(super) fn give_up(attempt: &mut Attempt, unstarted: Unstarted, cx: &mut Context) {
    let started = attempt.processes.len();
    let is_short = matches!(unstarted, Unstarted::Shortage(..));
    attempt.readiness = None;
    if started == 0 {
        cx.terminal.end(attempt.id, true);
    }
    if started == 0 || is_short {
        // Their numbers stay: what the poller has reported of them may not have been looked at.
        attempt.readers.fill_with(|| None);
        (attempt.feed, attempt.talk, attempt.duplex) = (None, None, None);
        attempt.files.clear();
    }
    if is_short {
        // The attempt will start anew: no records of a queue are given to the processes that run.
        cx.queues.task_ended(attempt.id, false, cx.poller);
    }
    cx.events.push_back(not_started(attempt.id, started, unstarted));
}

/// Gives the pipes of an attempt to the poller.
pub(super) fn watch_pipes(attempt: &mut Attempt, cx: &mut Context) {
    attempt.watched = true;
    for (at, reader) in attempt.readers.iter().enumerate() {
        if let Some(reader) = reader {
            cx.watch(reader.fd.as_fd(), Token::Reader(attempt.id, at), Interest::Read);
        }
    }
    // Workers are fed when they are given something.
    let is_worker = attempt.role.is_worker();
    if let Some(feed) = attempt.feed.as_mut().filter(|_| !is_worker) {
        feed.watched = true;
        cx.watch(feed.fd(), Token::Feed(attempt.id), Interest::Write);
    }
}

/// Takes the pipes of an attempt from the poller again, because they are closed without having been read to their ends.
pub(super) fn unwatch_pipes(attempt: &Attempt, cx: &mut Context) {
    let readers = attempt.readers.iter().flatten().map(|reader| reader.fd.as_fd());
    for fd in readers.chain(attempt.feed.as_ref().map(Feed::fd)) {
        // A feed need not be watched.
        let _ = cx.poller.remove(fd);
    }
}

/// Returns the process group of the next process of an attempt.
fn process_group(
    attempt: &Attempt,
    job: &Job,
    terminal: Option<&Terminal>,
    lease: &mut TerminalLease,
) -> os::start::Group {
    match (attempt.processes.first(), terminal) {
        (Some(first), _) => os::start::Group::Join(first.pid),
        (None, Some(terminal)) => os::start::Group::Terminal(terminal.child),
        (None, None) if job.interactive && !attempt.role.is_worker() => lease.lend(attempt.id),
        (None, None) => os::start::Group::New,
    }
}

/// True if what follows a start rests on it: a worker is given tasks, a service without a sign counts as up, and the
/// terminal is lent.
fn has_to_execute_first(job: &Job, attempt: &Attempt) -> bool {
    attempt.role.is_worker() || job.interactive || job.is_daemon() && job.ready.is_none()
}

fn prepare_dialogue(stage: &Stage, scope: &Scope, attempt: &mut Attempt, stdio: &Stdio, now: Time) {
    let Some(reader) = stdio.stdout_reader else { return };
    let types = attempt.feed.is_some() && stage.pty;
    attempt.talk = match &stage.stdin {
        Stdin::Dialogue(dialogue) => Some(Box::new(Talk::new(dialogue, scope, now, reader, stage.pty))),
        Stdin::Null if types && !attempt.role.is_worker() => Some(Box::new(Talk::at_end(now, reader))),
        _ => None,
    };
}

/// Returns the event for a start that failed after `started` stages.
pub(super) fn not_started(task: TaskId, started: usize, unstarted: Unstarted) -> Event {
    match unstarted {
        Unstarted::Failed(failure) => Event::NotStarted { task, started, failure: Arc::new(failure) },
        Unstarted::Shortage(shortage, failure) => {
            Event::Shortage { task, started, shortage, failure: Arc::new(failure) }
        }
    }
}

fn taker(worker: &Worker) -> Box<Taker> {
    let ends = match &worker.reply {
        Reply::Line => Ends::Byte(b'\n'),
        Reply::Nul => Ends::Byte(0),
        Reply::Until(last) => Ends::Until(last.clone()),
    };
    Box::new(Taker { answers: Answers::new(ends), asked: false })
}

/// Makes the pipe through which a worker gets its tasks, and before them its `init` text. Returns the worker's end.
fn tasks_of(worker: &Worker, attempt: &mut Attempt) -> Result<OwnedFd, Unstarted> {
    let (reader, mut feed) = Feed::new().map_err(|error| no_pipe(&error))?;
    feed.push(&worker.init);
    attempt.feed = Some(feed);
    Ok(reader)
}

/// The lane of a stderr that is shown: stages whose stderr is shown share one pipe.
fn shown_stderr(tag: Option<&Arc<[u8]>>) -> LaneSpec {
    LaneSpec { dest: Dest::Stderr, tag: tag.cloned(), escape: None, own: Own::Shared }
}
