//! What can be read from, or written to, the pipes of tasks.

use std::os::fd::AsFd;

use crate::os;
use crate::os::poller::{Interest, Ready};
use crate::plan::Output;
use crate::run::attempt::feed::Fed;
use crate::run::attempt::{Ears, OFTEN, PIPE, Reader, Tap};
use crate::run::launch::wiring::BIG_PIPE;
use crate::run::local::BIG_PIPES;
use crate::run::local::Local;
use crate::run::local::Paused;
use crate::run::local::Shared;
use crate::run::queues::Inlet;
use crate::run::token::Token;
use crate::sched::{Event, JobId, TaskId};

impl Local {
    /// Something can be read from, or written to, one of a task's pipes.
    pub fn ready(&mut self, token: Token, ready: &Ready, shared: &mut Shared) {
        match token {
            Token::Reader(id, at) => self.read(id, at, ready, shared),
            Token::Feed(id) => self.write_feed(id, shared),
            Token::Probe(id) => self.hear_probe(id, shared),
            Token::Stray(stray) => self.discard(stray),
            _ => {}
        }
    }

    fn read(&mut self, id: TaskId, at: usize, ready: &Ready, shared: &mut Shared) {
        let Some(reader) = self.get(id).and_then(|active| active.readers[at].as_ref()) else { return };
        if let Some(blocked) = self.must_wait(id, reader, shared) {
            self.pause(id, at, blocked, shared);
            return;
        }
        let Some(active) = self.actives.get_mut(id.place) else { return };
        let Some(reader) = &active.readers[at] else { return };
        // A hang-up without anything to read is the end: no call is needed to learn it.
        let read = match (ready.read || reader.is_terminal, reader.tap) {
            (true, Some(Tap::Answers)) => reader.read(&mut self.buffer).map(|count| {
                if let Some(taker) = &mut active.taker {
                    taker.answers.push(&self.buffer[..count]);
                    self.wrote.push(id);
                }
                (count, count == self.buffer.len())
            }),
            (true, _) => {
                let inlet = Inlet { task: id, at };
                let tail = &mut active.stderr_tail;
                let ears = Ears {
                    talk: active.talk.as_deref_mut().filter(|talk| talk.reader == at),
                    looking: active.looking.as_deref_mut(),
                };
                reader.take_in(inlet, &mut self.buffer, tail, ears, &mut self.queues, shared.outputs)
            }
            (false, _) => Some((0, false)),
        };
        let Some((count, more)) = read else { return };
        if !reader.is_stderr {
            active.received += count as u64;
        }
        let carries_much = reader.tap.is_none() && count == PIPE;
        let looked_at = active.looking.is_some();
        // No writer is left, and the pipe is empty now: that was the end.
        let ended = count == 0 || (ready.hup && !more && !reader.is_terminal);
        if ended {
            // To close it is not enough: a child that is just being executed has all of prun's descriptors for a
            // moment yet (vfork's parent goes on before the kernel closes them), and the poller would tell of
            // this one for so long. The task's next attempt or its hook would be taken for it.
            let _ = shared.poller.remove(reader.fd.as_fd());
            if reader.is_terminal {
                active.terminal = active.readers[at].take().map(|reader| reader.fd);
            }
            active.readers[at] = None;
            let drained = active.is_drained();
            if looked_at {
                self.look_for_line(id, Some(at), shared);
            }
            if drained {
                shared.events.push_back(Event::Drained(id));
            }
        } else {
            if carries_much {
                self.note_full(id, at);
            }
            if looked_at {
                self.look_for_line(id, None, shared);
            }
        }
        self.answer(id, shared);
    }

    /// Whether nobody can take now what it would bring; `Some(true)`: a full queue.
    fn must_wait(&self, id: TaskId, reader: &Reader, shared: &Shared) -> Option<bool> {
        match reader.tap {
            Some(Tap::Answers) if self.answers_are_stuck(id) => Some(true),
            Some(Tap::Answers) => shared.sinks.crowded().then_some(false),
            Some(Tap::Queue(queue)) if self.queues.is_full(queue) => Some(true),
            Some(_) if reader.lanes.is_empty() => None,
            _ => shared.sinks.crowded().then_some(false),
        }
    }

    /// Whether a worker's answers go into a queue that is full.
    fn answers_are_stuck(&self, worker: TaskId) -> bool {
        let job = self.get(worker).map(|active| &self.plan.jobs[active.work.job]);
        match job.map(|job| &job.stages[0].stdout) {
            Some(Output::Queue { queue, .. }) => self.queues.is_full(*queue),
            _ => false,
        }
    }

    /// A capture was found full.
    fn note_full(&mut self, id: TaskId, at: usize) {
        if let Some(active) = self.get_mut(id)
            && let Some(reader) = &mut active.readers[at]
        {
            reader.full += 1;
            if reader.full == OFTEN {
                self.enlarge(id, at);
            }
        }
    }

    /// Gives a capture more room, unless many have it already: three times as fast where `cat` writes much.
    fn enlarge(&self, id: TaskId, at: usize) {
        let readers = self.actives.iter().flat_map(|active| active.readers.iter().flatten());
        if readers.filter(|reader| reader.full >= OFTEN).count() <= BIG_PIPES
            && let Some(reader) = self.get(id).and_then(|active| active.readers[at].as_ref())
        {
            os::io::set_pipe_size(reader.fd.as_fd(), BIG_PIPE);
        }
    }

    /// A reader of a full output is removed: with its interest off it would still wake the loop on hang-up.
    fn pause(&mut self, task: TaskId, at: usize, blocked: bool, shared: &mut Shared) {
        if let Some(active) = self.get_mut(task)
            && let Some(reader) = &active.readers[at]
            && shared.poller.remove(reader.fd.as_fd()).is_ok()
        {
            self.paused.push(Paused { task, at, blocked });
            if blocked {
                shared.events.push_back(Event::Blocked { task, blocked });
            }
        }
    }

    pub fn is_paused(&self) -> bool {
        !self.paused.is_empty()
    }

    /// Goes on reading where there is room again.
    pub fn resume(&mut self, shared: &mut Shared) {
        for paused in std::mem::take(&mut self.paused) {
            let Paused { task, at, blocked } = paused;
            let reader = self.get(task).and_then(|active| active.readers[at].as_ref());
            if let Some(reader) = reader {
                if self.must_wait(task, reader, shared).is_some() {
                    self.paused.push(paused);
                    continue;
                }
                shared.watch(reader.fd.as_fd(), Token::Reader(task, at), Interest::Read);
            }
            if blocked {
                shared.events.push_back(Event::Blocked { task, blocked: false });
            }
        }
    }

    /// Hands on what is in the queues; says which jobs may ask for items again.
    pub fn turn_queues(&mut self, shared: &mut Shared) -> Vec<JobId> {
        let news = self.queues.round(shared.poller, shared.events);
        for Inlet { task, at } in news.closed {
            if let Some(active) = self.get_mut(task)
                && active.readers[at].take().is_some()
                && active.is_drained()
            {
                shared.events.push_back(Event::Drained(task));
            }
        }
        news.pull
    }

    fn write_feed(&mut self, id: TaskId, shared: &mut Shared) {
        let Some(active) = self.get_mut(id) else { return };
        let Some(feed) = &mut active.feed else {
            self.queues.writable(id);
            return;
        };
        let job = active.work.job;
        match feed.write() {
            Fed::Waits => {}
            // Only one that lives on can be dry while its feed has not ended.
            Fed::Dry if active.work.block.is_some() => _ = self.next_block(job, shared),
            Fed::Dry => {
                feed.watched = false;
                let _ = shared.poller.remove(feed.fd());
            }
            Fed::Over => {
                let _ = shared.poller.remove(feed.fd());
                if let Some(errno) = feed.failure() {
                    let why = format!("its input could not be read: {}", os::errors::reason(&errno.into()));
                    shared.events.push_back(Event::Fault { task: id, why: why.into() });
                }
                let unsent = feed.unsent();
                active.feed = None;
                if let Some(block) = unsent {
                    self.give_back(job, block, shared);
                }
            }
        }
    }

    /// Writes the tasks that a worker was given; what there is no room for, when it can be written.
    pub fn write_tasks(&mut self, worker: TaskId, shared: &mut Shared) {
        let Some(active) = self.get_mut(worker) else { return };
        let Some(feed) = active.feed.as_mut().filter(|feed| !feed.watched) else { return };
        match feed.write() {
            Fed::Waits => {
                feed.watched = true;
                shared.watch(feed.fd(), Token::Feed(worker), Interest::Write);
            }
            Fed::Dry => {}
            Fed::Over => active.feed = None,
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
}
