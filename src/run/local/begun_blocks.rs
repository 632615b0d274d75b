//! Tasks that are given their block while it comes.

use super::LocalProcesses;
use super::round_robin::watch_input;
use crate::event::JobId;
use crate::os::poller::Interest;
use crate::run::attempt::Attempt;
use crate::run::attempt::feed::FeedState;
use crate::run::backend::Context;
use crate::run::block::TaskBlock;
use crate::run::items::blocks::begun::Part;
use crate::run::items::blocks::stream::PIECE;
use crate::run::token::Token;
use crate::sched::Event;

/// Parts that are passed on in one turn of the loop, at most.
const PARTS: usize = 16;

/// Notes that an attempt has started, if its block is one whose end has not come.
pub(super) fn begin_block(attempt: &Attempt, cx: &mut Context) {
    let Some(TaskBlock::Begun(block)) = &attempt.work.block else { return };
    block.set_taker(attempt.id);
    if let Some(why) = block.fault() {
        cx.events.push_back(Event::Fault { task: attempt.id, why });
    }
    // Whoever waits for the next block has to hear of this one's end.
    watch_input(attempt.work.job, cx);
}

impl LocalProcesses {
    /// Passes on the bytes that have come of the block of which a task of the job has the beginning.
    pub(super) fn pass_on(&mut self, job: JobId, cx: &mut Context) {
        let Some(blocks) = cx.sources.blocks(job) else { return };
        let Some(block) = blocks.begun().cloned() else { return };
        let Some(id) = block.taker() else { return };
        let feed = self.attempts.get_mut(id).and_then(|attempt| attempt.feed.as_mut());
        let Some(feed) = feed.filter(|feed| feed.follows(&block) && feed.failure().is_none()) else {
            // The task reads no more.
            blocks.skip_part(PIECE);
            return watch_input(job, cx);
        };
        let mut state = FeedState::Idle;
        for _ in 0..PARTS {
            match blocks.next_part(feed.is_empty().then_some(feed.fd()), PIECE) {
                Part::More(part) => feed.push_block(part, false),
                Part::Spliced => {}
                Part::Last(part) => {
                    part.into_iter().for_each(|part| feed.push_block(part, false));
                    feed.end();
                }
                Part::Wait => break,
                Part::Fault(why) => {
                    cx.events.push_back(Event::Fault { task: id, why });
                    break;
                }
            }
            state = feed.write();
            if state == FeedState::Finished || block.is_complete() {
                break;
            }
        }
        if state == FeedState::Finished {
            self.end_of_feed(id, job, cx);
        } else if feed.is_empty() == feed.watched {
            // A pipe with nothing to write leaves the poller, which is level-triggered.
            feed.watched = !feed.watched;
            if feed.watched {
                cx.watch(feed.fd(), Token::Feed(id), Interest::Write);
            } else {
                let _ = cx.poller.remove(feed.fd());
            }
        }
        watch_input(job, cx);
    }
}
