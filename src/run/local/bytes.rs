//! What can be read from, or written to, the pipes of tasks.

use std::os::fd::AsFd;

use super::{BIG_PIPES, Local, Shared};
use crate::os;
use crate::os::poller::{Interest, Ready};
use crate::run::active::{OFTEN, PIPE};
use crate::run::feed::Fed;
use crate::run::token::Token;
use crate::run::wiring::BIG_PIPE;
use crate::sched::{Event, TaskId};

impl Local {
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
        let Some(active) = self.get_mut(id) else { return };
        let Some(feed) = &mut active.feed else { return };
        let job = active.work.job;
        match feed.write() {
            Fed::Waits => {}
            // Only one that lives on can be dry while its feed has not ended.
            Fed::Dry if active.work.block.is_some() => _ = self.next_block(job, shared),
            Fed::Dry => _ = shared.poller.remove(feed.fd()),
            Fed::Over => {
                let _ = shared.poller.remove(feed.fd());
                if let Some(errno) = feed.failure() {
                    let why = format!("its input could not be read: {}", os::own::reason(&errno.into()));
                    shared.events.push_back(Event::Fault { task: id, why: why.into() });
                }
                let unsent = feed.unsent();
                active.feed = None;
                if let Some(block) = unsent {
                    shared.sources.give_back(job, block);
                    self.feed_hungry(job, shared);
                }
            }
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
