//! Tasks that live on and take block after block (`--round-robin`). Each asks when everything that it was given has
//! been sent; a block goes to the one of those that has least to read.

use std::os::fd::AsFd;

use super::LocalProcesses;
use crate::event::JobId;
use crate::os;
use crate::os::poller::{self, Interest};
use crate::run::attempt::Attempt;
use crate::run::attempt::feed::Feed;
use crate::run::backend::Context;
use crate::run::block::Block;
use crate::run::items::blocks::NextBlock;
use crate::run::token::Token;
use crate::sched::{Event, TaskId};

impl LocalProcesses {
    /// Gives blocks to tasks of the job that had to wait until more can be read.
    pub(super) fn feed_hungry(&mut self, job: JobId, cx: &mut Context) {
        // Bounded: while a task is hungry, this is called again.
        for _ in 0..self.hungry.len() {
            if !self.is_hungry(job) || !self.next_block(job, cx) {
                return;
            }
        }
    }

    fn is_hungry(&self, job: JobId) -> bool {
        self.hungry.iter().any(|id| self.attempts.get(*id).is_some_and(|attempt| attempt.work.job == job))
    }

    /// Takes a block back that its task did not read: others may.
    pub(super) fn give_back(&mut self, job: JobId, block: Block, cx: &mut Context) {
        if let Some(blocks) = cx.sources.blocks(job) {
            blocks.give_back(block);
            self.feed_hungry(job, cx);
        }
    }

    /// Gives the next block of the job's input, or a part of it, to one of its tasks that ask. Returns `false` if there
    /// is none now.
    pub(super) fn next_block(&mut self, job: JobId, cx: &mut Context) -> bool {
        let Some(blocks) = cx.sources.blocks(job) else { return false };
        let dry: Vec<TaskId> =
            self.attempts.iter().filter(|attempt| asks(attempt, job)).map(|attempt| attempt.id).collect();
        let taker = blocks.taker();
        let unread = |id: &TaskId| self.feed(*id).map(|feed| os::io::unread(feed.fd()));
        let Some(to) = taker.or_else(|| dry.iter().copied().min_by_key(unread)) else { return false };
        let next = match self.feed(to) {
            // Bytes that were pushed go before spliced ones.
            Some(feed) if feed.is_empty() => blocks.next_or_splice(feed.fd()),
            _ => blocks.next_block(),
        };
        match next {
            Ok(NextBlock::Block(block)) => self.push(to, block, taker.is_none(), cx),
            Ok(NextBlock::Piece(block)) => {
                blocks.set_taker(to);
                self.push(to, block, false, cx);
            }
            Ok(NextBlock::Spliced) => {
                blocks.set_taker(to);
                self.watch_again(to, cx);
            }
            Ok(NextBlock::Wait) => {
                dry.into_iter().for_each(|id| self.starve(id, cx));
                watch_input(job, cx);
                return false;
            }
            Ok(NextBlock::Again) => {
                // Its pipe has room, which the poller tells in the next turn.
                self.watch_again(to, cx);
                return false;
            }
            Ok(NextBlock::TooLong(size)) => {
                let why = blocks.oversize(size).to_string().into();
                cx.events.push_back(Event::Fault { task: to, why });
                self.watch_again(to, cx);
            }
            Ok(NextBlock::End) => {
                dry.into_iter().for_each(|id| self.end_feed(id, cx));
                return false;
            }
            Err(failure) => {
                cx.events.push_back(Event::Fault { task: to, why: failure.why.into() });
                dry.into_iter().for_each(|id| self.end_feed(id, cx));
                return false;
            }
        }
        // Whoever has been given something may be slow to ask again.
        if self.is_hungry(job) {
            watch_input(job, cx);
        }
        true
    }

    fn feed(&self, id: TaskId) -> Option<&Feed> {
        self.attempts.get(id)?.feed.as_ref()
    }

    /// Appends a block to the feed of a task. `whole` is `false` for the rest of a block of which the task has a part.
    fn push(&mut self, id: TaskId, block: Block, whole: bool, cx: &mut Context) {
        // The rest of a block goes with a task that has ended.
        if let Some(feed) = self.attempts.get_mut(id).and_then(|attempt| attempt.feed.as_mut()) {
            feed.push_block(block, whole);
            self.watch_again(id, cx);
        }
    }

    fn watch_again(&mut self, id: TaskId, cx: &mut Context) {
        if let Some(at) = self.hungry.iter().position(|hungry| *hungry == id) {
            self.hungry.swap_remove(at);
            if let Some(feed) = self.feed(id) {
                cx.watch(feed.fd().as_fd(), Token::Feed(id), Interest::Write);
            }
        }
    }

    /// Lets a task wait until more was read. Its pipe leaves the poller, which is level-triggered and would tell all the
    /// time that there is room.
    fn starve(&mut self, id: TaskId, cx: &mut Context) {
        if !self.hungry.contains(&id)
            && let Some(feed) = self.feed(id)
        {
            let _ = cx.poller.remove(feed.fd());
            self.hungry.push(id);
        }
    }

    /// Ends the input of a task, because nothing more comes.
    fn end_feed(&mut self, id: TaskId, cx: &mut Context) {
        let hungry = self.hungry.iter().position(|hungry| *hungry == id);
        if let Some(feed) = self.attempts.get_mut(id).and_then(|attempt| attempt.feed.take())
            && hungry.is_none()
        {
            let _ = cx.poller.remove(feed.fd());
        }
        hungry.map(|at| self.hungry.swap_remove(at));
    }
}

pub(super) fn watch_input(job: JobId, cx: &mut Context) {
    if let Err(errno) = cx.sources.watch(job, cx.poller) {
        cx.events.push_back(Event::Broken(format!("could not wait for input: {}", poller::reason(errno))));
    }
}

/// True if everything that the task was given has been sent, and it takes more.
fn asks(attempt: &Attempt, job: JobId) -> bool {
    attempt.work.job == job
        && attempt.work.block.is_some()
        && attempt.feed.as_ref().is_some_and(|feed| feed.is_empty() && feed.failure().is_none())
}
