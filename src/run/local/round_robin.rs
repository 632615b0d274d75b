//! Tasks that live on and take block after block (`--round-robin`). Each asks when it has been sent what it was
//! given; the block goes to the one of those that has least to read.

use std::os::fd::AsFd;

use crate::event::JobId;
use crate::os;
use crate::os::poller::Interest;
use crate::run::attempt::Active;
use crate::run::attempt::feed::Feed;
use crate::run::block::Block;
use crate::run::items::blocks::Next;
use crate::run::local::Local;
use crate::run::local::Shared;
use crate::run::token::Token;
use crate::sched::{Event, TaskId};

impl Local {
    /// More can be read for tasks of the job that had to wait for it.
    pub fn feed_hungry(&mut self, job: JobId, shared: &mut Shared) {
        // Not for ever: while one is hungry, this is called again.
        for _ in 0..self.hungry.len() {
            if !self.is_hungry(job) || !self.next_block(job, shared) {
                return;
            }
        }
    }

    fn is_hungry(&self, job: JobId) -> bool {
        self.hungry.iter().any(|id| self.get(*id).is_some_and(|active| active.work.job == job))
    }

    /// Nobody took the block, but others may.
    pub(in crate::run) fn give_back(&mut self, job: JobId, block: Block, shared: &mut Shared) {
        if let Some(blocks) = shared.sources.blocks(job) {
            blocks.give_back(block);
            self.feed_hungry(job, shared);
        }
    }

    /// Gives the next block of the job's input, or a part of it, to one of its tasks that ask. `false`: there is
    /// none now.
    pub(in crate::run) fn next_block(&mut self, job: JobId, shared: &mut Shared) -> bool {
        let Some(blocks) = shared.sources.blocks(job) else { return false };
        let dry: Vec<TaskId> =
            self.actives.iter().filter(|active| asks(active, job)).map(|active| active.id).collect();
        let taker = blocks.taker();
        let unread = |id: &TaskId| self.feed(*id).map(|feed| os::io::unread(feed.fd()));
        let Some(to) = taker.or_else(|| dry.iter().copied().min_by_key(unread)) else { return false };
        let next = match self.feed(to) {
            // What was pushed comes first.
            Some(feed) if feed.is_dry() => blocks.next_or_pass(feed.fd()),
            _ => blocks.next_block(),
        };
        match next {
            Ok(Next::Block(block)) => self.push(to, block, taker.is_none(), shared),
            Ok(Next::Piece(block)) => {
                blocks.set_taker(to);
                self.push(to, block, false, shared);
            }
            Ok(Next::Passed) => {
                blocks.set_taker(to);
                self.watch_again(to, shared);
            }
            Ok(Next::Wait) => {
                dry.into_iter().for_each(|id| self.starve(id, shared));
                watch_input(job, shared);
                return false;
            }
            Ok(Next::End) => {
                dry.into_iter().for_each(|id| self.end_feed(id, shared));
                return false;
            }
            Err(why) => {
                shared.events.push_back(Event::Fault { task: to, why: why.into() });
                dry.into_iter().for_each(|id| self.end_feed(id, shared));
                return false;
            }
        }
        // Whoever has been given something may be slow to ask again.
        if self.is_hungry(job) {
            watch_input(job, shared);
        }
        true
    }

    fn feed(&self, id: TaskId) -> Option<&Feed> {
        self.get(id)?.feed.as_ref()
    }

    /// `whole`: it is not the rest of a block of which the task has a part.
    fn push(&mut self, id: TaskId, block: Block, whole: bool, shared: &mut Shared) {
        // Of a task that has ended, the rest goes with it.
        if let Some(feed) = self.get_mut(id).and_then(|active| active.feed.as_mut()) {
            feed.push_block(block, whole);
            self.watch_again(id, shared);
        }
    }

    fn watch_again(&mut self, id: TaskId, shared: &mut Shared) {
        if let Some(at) = self.hungry.iter().position(|hungry| *hungry == id) {
            self.hungry.swap_remove(at);
            if let Some(feed) = self.feed(id) {
                shared.watch(feed.fd().as_fd(), Token::Feed(id), Interest::Write);
            }
        }
    }

    /// It waits until more was read. Level-triggered, its pipe would tell all the time that there is room.
    fn starve(&mut self, id: TaskId, shared: &mut Shared) {
        if !self.hungry.contains(&id)
            && let Some(feed) = self.feed(id)
        {
            let _ = shared.poller.remove(feed.fd());
            self.hungry.push(id);
        }
    }

    /// Nothing more comes: the end of its input.
    fn end_feed(&mut self, id: TaskId, shared: &mut Shared) {
        let hungry = self.hungry.iter().position(|hungry| *hungry == id);
        if let Some(feed) = self.get_mut(id).and_then(|active| active.feed.take())
            && hungry.is_none()
        {
            let _ = shared.poller.remove(feed.fd());
        }
        hungry.map(|at| self.hungry.swap_remove(at));
    }
}

fn watch_input(job: JobId, shared: &mut Shared) {
    if let Err(errno) = shared.sources.watch(job, shared.poller) {
        shared.events.push_back(Event::Broken(format!("could not wait for input: {}", errno.desc())));
    }
}

/// It was sent all that it was given, and takes more.
fn asks(active: &Active, job: JobId) -> bool {
    active.work.job == job
        && active.work.block.is_some()
        && active.feed.as_ref().is_some_and(|feed| feed.is_dry())
}
