//! What is looked after while tasks run: dialogues, circles of pipes, the size of terminals.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::sync::Arc;

use crate::event::{Exit, JobId, StageId, Time};
use crate::os;
use crate::os::poller::Interest;
use crate::plan::{Stdin, status};
use crate::run::attempt::Ears;
use crate::run::attempt::duplex::JAMMED;
use crate::run::attempt::feed::Fed;
use crate::run::local::LAST_LOOK;
use crate::run::local::Local;
use crate::run::local::Shared;
use crate::run::queues::Inlet;
use crate::run::token::Token;
use crate::sched::{Event, TaskId};

impl Local {
    /// When [`Local::look_after`] has something to do by itself.
    pub fn due(&self) -> Option<Time> {
        let actives = self.watched.iter().filter_map(|&id| self.get(id));
        actives.filter_map(|active| active.due()).min()
    }

    /// Steps of dialogues that did not come in time, and circles of pipes that nobody empties.
    pub fn look_after(&mut self, shared: &mut Shared) {
        let now = shared.now;
        if self.due().is_none_or(|due| due > now) {
            return;
        }
        for id in std::mem::take(&mut self.watched) {
            let waits = self.paused.iter().any(|paused| paused.task == id);
            let Some(active) = self.get_mut(id) else { continue };
            if let Some(talk) = &mut active.talk
                && talk.due.is_some_and(|due| due <= now)
            {
                // What it has written is not read just now: that is not its fault.
                if waits {
                    talk.wait(now);
                } else if let Some(why) = talk.timed_out() {
                    shared.events.push_back(Event::Fault { task: id, why });
                }
            }
            if let Some(duplex) = &mut active.duplex
                && duplex.due <= now
                && duplex.look(&active.processes, now)
            {
                active.duplex = None;
                shared.events.push_back(Event::Fault { task: id, why: Arc::from(JAMMED) });
            }
            if active.looking.is_some() {
                self.look_whether_up(id, shared);
            }
            if self.get(id).is_some_and(|active| active.due().is_some()) {
                self.watched.push(id);
            }
        }
    }

    /// Says what a dialogue has to say now.
    pub fn answer(&mut self, id: TaskId, shared: &mut Shared) {
        let Some(active) = self.get_mut(id) else { return };
        let Some((say, over)) = active.talk.as_mut().and_then(|talk| talk.answer(shared.now)) else { return };
        let Some(feed) = &mut active.feed else { return };
        feed.push(&say);
        if over {
            feed.end();
        }
        // It may be watched already, or not.
        let _ = shared.poller.remove(feed.fd());
        match feed.write() {
            Fed::Waits => shared.watch(feed.fd(), Token::Feed(id), Interest::Write),
            Fed::Dry => {}
            Fed::Over => active.feed = None,
        }
    }

    /// A process that prun talks to has ended: everything that it wrote is heard before that is judged.
    pub fn end_talk(&mut self, id: TaskId, stage: StageId, exit: Exit, shared: &mut Shared) {
        let Some(at) = self.get(id).and_then(|active| Some(active.talk.as_ref()?.reader)) else { return };
        self.hear_out(id, at, shared);
        let plan = Arc::clone(&self.plan);
        let Some(active) = self.get_mut(id) else { return };
        let ok = &plan.jobs[active.work.job].stages[stage].ok;
        let failed = status::pipeline(&[(Some(exit), ok)], false).1.is_failure();
        if let Some(why) = active.talk.as_mut().and_then(|talk| talk.ended())
            && !failed
            && !active.stopping
        {
            shared.events.push_back(Event::Fault { task: id, why });
        }
    }

    pub(in crate::run) fn hear_out(&mut self, id: TaskId, at: usize, shared: &mut Shared) {
        let Some(active) = self.actives.get_mut(id.place) else { return };
        let Some(reader) = &active.readers[at] else { return };
        let _ = os::io::set_nonblocking(reader.fd.as_fd());
        let (inlet, mut seen) = (Inlet { task: id, at }, 0);
        while seen < LAST_LOOK
            && let Some((1.., _)) = reader
                .take_in(
                    inlet,
                    &mut self.buffer,
                    &mut active.stderr_tail,
                    Ears {
                        talk: active.talk.as_deref_mut().filter(|talk| talk.reader == at),
                        looking: active.looking.as_deref_mut(),
                    },
                    &mut self.queues,
                    shared.outputs,
                )
                .inspect(|(count, _)| seen += count)
        {}
    }

    /// Jobs of which a process runs on although it was given all of its queue; those that are stopped anyway are
    /// left out.
    pub fn readers_at_the_end(&self) -> BTreeSet<JobId> {
        let actives = self.actives.iter();
        let running = actives.filter(|active| !active.stopping && active.hook.is_none());
        let at_the_end = running.filter(|active| match self.plan.jobs[active.work.job].stages[0].stdin {
            Stdin::Queue { queue, .. } => self.queues.was_read(queue, active.id),
            _ => false,
        });
        at_the_end.map(|active| active.work.job).collect()
    }

    /// prun's terminal has another size, and so have those of its tasks.
    pub fn resize_terminals(&self) {
        let size = os::pty::size_of_own();
        for active in self.actives.iter() {
            let readers = active.readers.iter().flatten().filter(|reader| reader.is_terminal);
            for master in readers.map(|reader| &reader.fd).chain(&active.terminal) {
                os::pty::resize(master.as_fd(), size);
            }
        }
    }
}
