//! Bytes that can be read from, or written to, the pipes of attempts.

use std::os::fd::AsFd;

use nix::errno::Errno;

use super::LocalProcesses;
use super::start::watch_pipes;
use super::transfers::leave_transfer;
use crate::event::JobId;
use crate::os;
use crate::os::io::{BIG_PIPE, PIPE};
use crate::os::poller::{Interest, Ready};
use crate::plan::Output;
use crate::run::attempt::Attempt;
use crate::run::attempt::feed::FeedState;
use crate::run::attempt::reader::{Listeners, OFTEN, Read, Reader, Sorting, Tap};
use crate::run::backend::Context;
use crate::run::queues::{Inlet, Queues};
use crate::run::task::task_name;
use crate::run::token::Token;
use crate::sched::{Event, TaskId};

/// Captures that may have big pipes at once. A user's pipes may have 16,384 pages in all (pipe(7)); beyond that, new
/// ones are small.
const BIG_PIPES: usize = 32;
/// Bytes that are read from one pipe at most when its attempt has ended: what a leftover may still have in two full
/// pipes.
const LAST_LOOK: usize = 1 << 20;

/// Why a reader waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// The queue that it reads for is full, which the scheduler was told.
    Queue,
    /// Too much output waits to be written.
    Output,
}

/// A reader that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paused {
    pub task: TaskId,
    at: usize,
    wait: Wait,
}

impl LocalProcesses {
    /// Reads from, or writes to, a pipe of an attempt, a probe or a leftover that is ready.
    pub(super) fn pipe_ready(&mut self, token: Token, ready: &Ready, cx: &mut Context) {
        match token {
            Token::Reader(id, at) => self.read(id, at, ready, cx),
            Token::Feed(id) => self.write_feed(id, cx),
            Token::Probe(id) => self.hear_probe(id, cx),
            Token::Stray(stray) => self.strays.discard(stray, &mut self.buffer, cx.poller),
            _ => {}
        }
    }

    fn read(&mut self, id: TaskId, at: usize, ready: &Ready, cx: &mut Context) {
        let Some(reader) = self.attempts.get(id).and_then(|attempt| attempt.readers[at].as_ref()) else {
            return;
        };
        if let Some(wait) = self.must_wait(id, reader, cx) {
            return self.pause(id, at, wait, cx);
        }
        let (is_terminal, is_stderr, is_tapped) =
            (reader.is_terminal, reader.is_stderr, reader.tap.is_some());
        // Behind a packet there may be others, and behind the bytes of a terminal too.
        let in_pieces = is_terminal || reader.packets;
        // A hang-up without anything to read is the end: no call is needed to learn it.
        let read = if ready.read || is_terminal { self.read_once(id, at, cx) } else { Read::End };
        let (count, ended) = match read {
            Read::Empty => return,
            Read::End => (0, true),
            Read::Failed(errno) => {
                self.read_failed(id, at, errno, cx);
                (0, true)
            }
            // No writer is left, and the pipe is empty now: that was the end.
            Read::Bytes { count, more } => (count, ready.hup && !more && !in_pieces),
        };
        cx.queues.take_faults(cx.events);
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        if !is_stderr {
            attempt.received += count as u64;
        }
        let watched = attempt.readiness.is_some();
        if ended {
            close_reader(attempt, at, cx);
            let drained = attempt.is_drained();
            if watched {
                self.check_line(id, Some(at), cx);
            }
            if drained {
                cx.events.push_back(Event::Drained(id));
            }
        } else {
            if !is_tapped && count == PIPE {
                self.note_full(id, at, cx);
            }
            if watched {
                self.check_line(id, None, cx);
            }
        }
        self.reply(id, cx);
    }

    /// Reads what an attempt wrote whose last process has exited so soon that its pipes were not watched. What is not at
    /// its end then is watched from now on.
    pub(super) fn read_unwatched(&mut self, id: TaskId, cx: &mut Context) {
        let Some(attempt) = self.attempts.get(id) else { return };
        let open: Vec<usize> =
            (0..attempt.readers.len()).filter(|&at| attempt.readers[at].is_some()).collect();
        let pipes = attempt.readers.iter().flatten().map(|reader| reader.fd.as_fd());
        let looked = os::poller::look(pipes).unwrap_or_default();
        for (at, ready) in open.into_iter().zip(looked) {
            if ready.read || ready.hup {
                self.read(id, at, &ready, cx);
            }
        }
        if let Some(attempt) = self.attempts.get_mut(id) {
            watch_pipes(attempt, cx);
        }
    }

    /// Reads once, and hands the bytes on.
    fn read_once(&mut self, id: TaskId, at: usize, cx: &mut Context) -> Read {
        let Some(attempt) = self.attempts.get_mut(id) else { return Read::Empty };
        let Some(reader) = &attempt.readers[at] else { return Read::Empty };
        if reader.tap != Some(Tap::Answers) {
            return take_in(attempt, at, &mut self.buffer, cx);
        }
        let read = reader.read(&mut self.buffer);
        if let (Read::Bytes { count, .. }, Some(taker)) = (read, &mut attempt.taker) {
            let pushed = taker.answers.push(&self.buffer[..count]);
            if let Err(why) = pushed {
                cx.events.push_back(Event::Fault {
                    task: id,
                    why: format!("its answer was not read: {why}").into(),
                });
            }
        }
        if read != Read::Empty && attempt.taker.is_some() {
            cx.answered.push(id);
        }
        read
    }

    /// Fails an attempt of which some output can't be read. What it wrote to a queue since its last whole record is no
    /// record.
    fn read_failed(&mut self, id: TaskId, at: usize, errno: Errno, cx: &mut Context) {
        let Some(attempt) = self.attempts.get(id) else { return };
        if let Some(Tap::Queue(queue)) = attempt.readers[at].as_ref().and_then(|reader| reader.tap) {
            cx.queues.inlet_failed(queue, Inlet { task: id, at });
        }
        cx.events.push_back(Event::Fault { task: id, why: unreadable(errno).into() });
    }

    /// Returns what a reader has to wait for, if nobody can take its bytes now.
    fn must_wait(&self, id: TaskId, reader: &Reader, cx: &Context) -> Option<Wait> {
        match reader.tap {
            Some(Tap::Answers) if self.answers_are_stuck(id, cx.queues) => Some(Wait::Queue),
            Some(Tap::Queue(queue)) if cx.queues.is_full(queue) => Some(Wait::Queue),
            Some(Tap::Queue(_)) if reader.lanes.is_empty() => None,
            _ => cx.sinks.crowded().then_some(Wait::Output),
        }
    }

    /// True if a worker's answers go into a queue that is full.
    fn answers_are_stuck(&self, worker: TaskId, queues: &Queues) -> bool {
        let job = self.attempts.get(worker).map(|attempt| &self.plan.jobs[attempt.work.job]);
        match job.map(|job| &job.stages[0].stdout) {
            Some(Output::Queue { queue, .. }) => queues.is_full(*queue),
            _ => false,
        }
    }

    /// Counts that a capture was found full. If that is often, gives it more room, and lets the disk thread empty it while
    /// its bytes are held on disk.
    fn note_full(&mut self, id: TaskId, at: usize, cx: &mut Context) {
        if let Some(attempt) = self.attempts.get_mut(id)
            && let Some(reader) = &mut attempt.readers[at]
        {
            reader.full = reader.full.saturating_add(1);
            self.prolific.insert(attempt.work.job);
            match reader.full {
                ..OFTEN => {}
                OFTEN => self.enlarge(id, at),
                _ => self.try_transfer(id, at, cx),
            }
        }
    }

    /// Gives a capture more room, unless many have it already: three times as fast where `cat` writes much.
    fn enlarge(&self, id: TaskId, at: usize) {
        let readers = self.attempts.iter().flat_map(|attempt| attempt.readers.iter().flatten());
        if readers.filter(|reader| reader.full >= OFTEN).count() <= BIG_PIPES
            && let Some(reader) = self.attempts.get(id).and_then(|attempt| attempt.readers[at].as_ref())
        {
            os::io::set_pipe_size(reader.fd.as_fd(), BIG_PIPE);
        }
    }

    /// Takes a reader out of the poller: with its interest off it would still wake the loop on hang-up.
    fn pause(&mut self, task: TaskId, at: usize, wait: Wait, cx: &mut Context) {
        if let Some(attempt) = self.attempts.get(task)
            && let Some(reader) = &attempt.readers[at]
            && cx.poller.remove(reader.fd.as_fd()).is_ok()
        {
            self.paused.push(Paused { task, at, wait });
            if wait == Wait::Queue {
                cx.events.push_back(Event::Blocked { task, blocked: true });
            }
        }
    }

    /// Reads on where there is room again.
    pub(super) fn resume(&mut self, cx: &mut Context) {
        for paused in std::mem::take(&mut self.paused) {
            let Paused { task, at, wait } = paused;
            if let Some(reader) = self.attempts.get(task).and_then(|attempt| attempt.readers[at].as_ref()) {
                if self.must_wait(task, reader, cx).is_some() {
                    self.paused.push(paused);
                    continue;
                }
                cx.watch(reader.fd.as_fd(), Token::Reader(task, at), Interest::Read);
            }
            if wait == Wait::Queue {
                cx.events.push_back(Event::Blocked { task, blocked: false });
            }
        }
    }

    /// Closes pipes into queues that nobody reads any more.
    pub(super) fn close_pipes(&mut self, inlets: Vec<Inlet>, cx: &mut Context) {
        for Inlet { task, at } in inlets {
            if let Some(attempt) = self.attempts.get_mut(task)
                && let Some(reader) = attempt.readers[at].take()
            {
                let _ = cx.poller.remove(reader.fd.as_fd());
                if attempt.is_drained() {
                    cx.events.push_back(Event::Drained(task));
                }
            }
        }
    }

    /// Reads on without waiting, up to what two full pipes hold: the process is about to be judged by what it wrote.
    pub(super) fn read_rest(&mut self, id: TaskId, at: usize, cx: &mut Context) {
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        let Some(reader) = &attempt.readers[at] else { return };
        let _ = os::io::set_nonblocking(reader.fd.as_fd());
        let mut seen = 0;
        while seen < LAST_LOOK
            && let read = take_in(attempt, at, &mut self.buffer, cx)
        {
            match read {
                Read::Bytes { count, .. } => seen += count,
                Read::Failed(errno) => return self.read_failed(id, at, errno, cx),
                Read::Empty | Read::End => return,
            }
        }
    }

    // ---- input ---------------------------------------------------------------------------------------------

    fn write_feed(&mut self, id: TaskId, cx: &mut Context) {
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        let Some(feed) = &mut attempt.feed else {
            return cx.queues.writable(id);
        };
        let (job, takes_blocks) = (attempt.work.job, attempt.work.block.is_some());
        match feed.write() {
            FeedState::Blocked => {}
            FeedState::Idle if feed.has_begun() => {
                feed.watched = false;
                let _ = cx.poller.remove(feed.fd());
                self.pass_on(job, cx);
            }
            // Only a task that takes block after block can have written everything while its feed has not ended.
            FeedState::Idle if takes_blocks => _ = self.next_block(job, cx),
            FeedState::Idle => {
                feed.watched = false;
                let _ = cx.poller.remove(feed.fd());
            }
            FeedState::Finished => self.end_of_feed(id, job, cx),
        }
    }

    /// A feed is over: gives back what was not sent. If it has failed, its pipe stays open until the task is stopped:
    /// half an input with an end could be taken for the whole.
    pub(super) fn end_of_feed(&mut self, id: TaskId, job: JobId, cx: &mut Context) {
        let Some(mut feed) = self.attempts.get_mut(id).and_then(|attempt| attempt.feed.take()) else {
            return;
        };
        let _ = cx.poller.remove(feed.fd());
        if let Some(block) = feed.take_unsent() {
            self.give_back(job, block, cx);
        }
        if let Some(failure) = feed.failure() {
            cx.events.push_back(Event::Fault { task: id, why: failure.to_string().into() });
            self.attempts.get_mut(id).map(|attempt| attempt.feed.insert(feed));
        }
    }

    /// Writes the tasks that a worker was given. The poller tells when there is room for the rest.
    pub(super) fn write_to_worker(&mut self, worker: TaskId, cx: &mut Context) {
        let Some(attempt) = self.attempts.get_mut(worker) else { return };
        let Some(feed) = attempt.feed.as_mut().filter(|feed| !feed.watched) else { return };
        match feed.write() {
            FeedState::Blocked => {
                feed.watched = true;
                cx.watch(feed.fd(), Token::Feed(worker), Interest::Write);
            }
            FeedState::Idle => {}
            FeedState::Finished if feed.failure().is_some() => {
                let job = attempt.work.job;
                self.end_of_feed(worker, job, cx);
            }
            FeedState::Finished => attempt.feed = None,
        }
    }

    // ---- leftovers -----------------------------------------------------------------------------------------

    /// Takes what an attempt itself wrote before it ended. A leftover that still holds the pipe may write on: prun reads
    /// and discards, so that it is neither stopped by a full pipe nor killed by a closed one. Returns the pipe or
    /// terminal, if it is held.
    pub(super) fn read_leftover(
        &mut self,
        attempt: &mut Attempt,
        at: usize,
        cx: &mut Context,
    ) -> Option<std::path::PathBuf> {
        if let Some(held) = leave_transfer(attempt, at, cx) {
            return held;
        }
        let reader = attempt.readers[at].as_ref()?;
        let is_stderr = reader.is_stderr;
        let _ = cx.poller.remove(reader.fd.as_fd());
        let _ = os::io::set_nonblocking(reader.fd.as_fd());
        let mut seen = 0;
        while seen < LAST_LOOK {
            match take_in_unheard(attempt, at, &mut self.buffer, cx) {
                Read::End => {
                    attempt.readers[at] = None;
                    return None;
                }
                Read::Bytes { count, .. } => {
                    seen += count;
                    attempt.received += if is_stderr { 0 } else { count as u64 };
                }
                Read::Empty => break,
                // The attempt was judged already.
                Read::Failed(errno) => {
                    let name = task_name(&self.plan.jobs[attempt.work.job], attempt.work.seq);
                    cx.warnings.push(format!("{name}: the last of {}", unreadable(errno)));
                    attempt.readers[at] = None;
                    return None;
                }
            }
        }
        let reader = attempt.readers[at].take()?;
        let end = os::pipe_holders::other_end(reader.fd.as_fd()).unwrap_or_default();
        self.strays.keep(reader.fd, cx.poller);
        Some(end)
    }
}

fn unreadable(errno: Errno) -> String {
    format!("its output could not be read: {}", os::errors::reason(&errno.into()))
}

/// Reads from one pipe, once, and hands the bytes on, also to the attempt's dialogue and its readiness checks.
fn take_in(attempt: &mut Attempt, at: usize, buffer: &mut Vec<u8>, cx: &mut Context) -> Read {
    let listeners = Listeners {
        talk: attempt.talk.as_deref_mut().filter(|talk| talk.reader == at),
        readiness: attempt.readiness.as_deref_mut(),
    };
    let Some(reader) = &attempt.readers[at] else { return Read::Empty };
    let tail = &mut attempt.stderr_tail;
    let mut to = Sorting { buffer, tail, queues: cx.queues, outputs: cx.outputs };
    reader.take_in(Inlet { task: attempt.id, at }, listeners, &mut to)
}

/// As [`take_in`], but without the dialogue and the checks: the attempt is over.
fn take_in_unheard(attempt: &mut Attempt, at: usize, buffer: &mut Vec<u8>, cx: &mut Context) -> Read {
    let Some(reader) = &attempt.readers[at] else { return Read::Empty };
    let tail = &mut attempt.stderr_tail;
    let mut to = Sorting { buffer, tail, queues: cx.queues, outputs: cx.outputs };
    reader.take_in(Inlet { task: attempt.id, at }, Listeners::default(), &mut to)
}

/// Closes a reader at its end.
pub(super) fn close_reader(attempt: &mut Attempt, at: usize, cx: &mut Context) {
    let Some(reader) = attempt.readers[at].take() else { return };
    // Closing the descriptor is not enough: a child has all of prun's descriptors until it has executed, and the poller
    // would report this one until then.
    // Its events would be taken for those of the task's next attempt or its hook.
    if attempt.watched {
        let _ = cx.poller.remove(reader.fd.as_fd());
    }
    if reader.is_terminal {
        attempt.terminal = Some(reader.fd);
    }
}
