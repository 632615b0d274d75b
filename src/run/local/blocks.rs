//! Tasks that live on and take block after block (`--round-robin`). Each asks when it has been sent what it was
//! given; the block goes to the one of those that has least to read.

use std::os::fd::AsFd;

use super::{Local, Shared};
use crate::os;
use crate::os::poller::Interest;
use crate::run::active::Active;
use crate::run::blocks::Next;
use crate::run::token::Token;
use crate::sched::{Event, TaskId};

impl Local {
    /// More can be read for tasks of the job that had to wait for it.
    pub fn feed_hungry(&mut self, job: usize, shared: &mut Shared) {
        while self.hungry.iter().any(|id| self.get(*id).is_some_and(|active| active.work.job == job))
            && self.next_block(job, shared)
        {}
    }

    /// Gives the next block of the job's input to one of its tasks that ask. `false`: there is none now.
    pub(super) fn next_block(&mut self, job: usize, shared: &mut Shared) -> bool {
        let dry: Vec<TaskId> = self
            .actives
            .iter()
            .flatten()
            .filter(|active| asks(active, job))
            .map(|active| active.id)
            .collect();
        match shared.sources.more(job) {
            Ok(Next::Block(block)) => {
                let unread = |id: &TaskId| {
                    self.get(*id)
                        .and_then(|active| active.feed.as_ref())
                        .map(|feed| os::io::unread(feed.fd()))
                };
                let Some(least) = dry.into_iter().min_by_key(unread) else {
                    shared.sources.give_back(job, block);
                    return false;
                };
                self.watch_again(least, shared);
                if let Some(feed) = self.get_mut(least).and_then(|active| active.feed.as_mut()) {
                    feed.push_block(block);
                }
                return true;
            }
            Ok(Next::Wait) => {
                dry.into_iter().for_each(|id| self.starve(id, shared));
                if let Err(errno) = shared.sources.watch(job, shared.poller) {
                    shared
                        .events
                        .push_back(Event::Broken(format!("could not wait for input: {}", errno.desc())));
                }
            }
            Ok(Next::End) => dry.into_iter().for_each(|id| self.end_feed(id, shared)),
            Err(why) => {
                let task = dry.first().copied();
                shared.events.extend(task.map(|task| Event::Fault { task, why: why.into() }));
                dry.into_iter().for_each(|id| self.end_feed(id, shared));
            }
        }
        false
    }

    fn watch_again(&mut self, id: TaskId, shared: &mut Shared) {
        if let Some(at) = self.hungry.iter().position(|hungry| *hungry == id) {
            self.hungry.swap_remove(at);
            if let Some(feed) = self.get(id).and_then(|active| active.feed.as_ref()) {
                shared.watch(feed.fd().as_fd(), Token::Feed(id), Interest::Write);
            }
        }
    }

    /// It waits until more was read. Level-triggered, its pipe would tell all the time that there is room.
    fn starve(&mut self, id: TaskId, shared: &mut Shared) {
        if !self.hungry.contains(&id)
            && let Some(feed) = self.get(id).and_then(|active| active.feed.as_ref())
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

/// It was sent all that it was given, and takes more.
fn asks(active: &Active, job: usize) -> bool {
    active.work.job == job
        && active.work.block.is_some()
        && active.feed.as_ref().is_some_and(|feed| feed.is_dry())
}
