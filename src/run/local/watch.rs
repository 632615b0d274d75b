//! Watches attempts while they run: dialogues, circles of pipes, readers of queues, the size of terminals.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::sync::Arc;

use super::LocalProcesses;
use crate::event::{Exit, JobId, StageId, Time};
use crate::os;
use crate::os::poller::Interest;
use crate::plan::{Stdin, status};
use crate::run::attempt::dialogue::Reply;
use crate::run::attempt::duplex::DEADLOCKED;
use crate::run::attempt::feed::{Feed, FeedState};
use crate::run::attempt::terminal::ChildTerminal;
use crate::run::backend::Context;
use crate::run::queues::Queues;
use crate::run::token::Token;
use crate::sched::{Event, TaskId};

impl LocalProcesses {
    /// Returns when [`LocalProcesses::watch_attempts`] has something to do by itself.
    pub(super) fn watch_due(&self) -> Option<Time> {
        let attempts = self.watched.iter().filter_map(|&id| self.attempts.get(id));
        attempts.filter_map(|attempt| attempt.due()).min()
    }

    /// Types on terminals, fails dialogues whose next step did not come in time, and circles of pipes that nobody empties; checks whether
    /// attempts are ready.
    pub(super) fn watch_attempts(&mut self, cx: &mut Context) {
        if self.watch_due().is_none_or(|due| due > cx.now) {
            return;
        }
        for id in std::mem::take(&mut self.watched) {
            self.go_on_opening(id, cx);
            self.watch_dialogue(id, cx);
            self.watch_circle(id, cx);
            let Some(attempt) = self.attempts.get(id) else { continue };
            if attempt.readiness.is_some() {
                self.check_readiness(id, cx);
            }
            if self.attempts.get(id).is_some_and(|attempt| attempt.due().is_some()) {
                self.watched.push(id);
            }
        }
    }

    fn watch_dialogue(&mut self, id: TaskId, cx: &mut Context) {
        let paused = self.paused.iter().any(|paused| paused.task == id);
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        let Some(talk) = attempt.talk.as_mut().filter(|talk| talk.due().is_some_and(|due| due <= cx.now))
        else {
            return;
        };
        if attempt.feed.is_none() || attempt.readers[talk.reader].is_none() {
            talk.stop_typing();
        }
        let pid = attempt.processes.first().map(|process| process.pid);
        let terminal = ChildTerminal { master: attempt.feed.as_ref().map(Feed::fd), pid };
        let reply = talk.type_now(cx.now, &terminal);
        if talk.is_overdue(cx.now) {
            let unsent = attempt.feed.as_ref().is_some_and(|feed| !feed.is_empty());
            // While prun itself does not read what the task writes, the delay is not the task's fault.
            if paused {
                talk.restart_timeout(cx.now);
            } else if let Some(why) = talk.timed_out(cx.now, unsent, &terminal) {
                cx.events.push_back(Event::Fault { task: id, why });
            }
        }
        self.say(id, reply, cx);
    }

    fn watch_circle(&mut self, id: TaskId, cx: &mut Context) {
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        if let Some(duplex) = &mut attempt.duplex
            && duplex.due <= cx.now
            && duplex.is_deadlocked(&attempt.processes, cx.now)
        {
            attempt.duplex = None;
            cx.events.push_back(Event::Fault { task: id, why: Arc::from(DEADLOCKED) });
        }
    }

    /// Writes the text that the dialogue of an attempt has ready, if there is one.
    pub(super) fn reply(&mut self, id: TaskId, cx: &mut Context) {
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        let Some(talk) = &mut attempt.talk else { return };
        let terminal = ChildTerminal { master: attempt.feed.as_ref().map(Feed::fd), pid: None };
        let reply = talk.reply(cx.now, &terminal);
        self.say(id, reply, cx);
    }

    fn say(&mut self, id: TaskId, reply: Option<Reply>, cx: &mut Context) {
        let Some(reply) = reply else { return };
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        let Some(feed) = &mut attempt.feed else { return };
        feed.push(&reply.text);
        if reply.is_last {
            feed.end();
        }
        // The feed may be watched already, or not.
        let _ = cx.poller.remove(feed.fd());
        match feed.write() {
            FeedState::Blocked => cx.watch(feed.fd(), Token::Feed(id), Interest::Write),
            FeedState::Idle => {}
            FeedState::Finished => {
                let job = attempt.work.job;
                self.end_of_feed(id, job, cx);
            }
        }
    }

    /// Judges the dialogue with a process that has exited, after everything that it wrote was read.
    pub(super) fn end_dialogue(&mut self, id: TaskId, stage: StageId, exit: Exit, cx: &mut Context) {
        let talk = self.attempts.get(id).and_then(|attempt| attempt.talk.as_ref());
        let Some(at) = talk.map(|talk| talk.reader) else { return };
        self.read_rest(id, at, cx);
        let plan = Arc::clone(&self.plan);
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        let ok = &plan.jobs[attempt.work.job].stages[stage].ok;
        let failed = status::pipeline(&[(Some(exit), ok)], false).1.is_failure();
        if let Some(why) = attempt.talk.as_mut().and_then(|talk| talk.ended())
            && !failed
            && !attempt.stopping
        {
            cx.events.push_back(Event::Fault { task: id, why });
        }
    }

    /// Returns the jobs of which a process runs on although it was given all of its queue. Those that are stopped
    /// anyway are left out.
    pub(super) fn readers_at_the_end(&self, queues: &Queues) -> BTreeSet<JobId> {
        let running =
            self.attempts.iter().filter(|attempt| !attempt.stopping && attempt.role.hook().is_none());
        let at_the_end = running.filter(|attempt| match self.plan.jobs[attempt.work.job].stages[0].stdin {
            Stdin::Queue { queue, .. } => queues.reached_end(queue, attempt.id),
            _ => false,
        });
        at_the_end.map(|attempt| attempt.work.job).collect()
    }

    /// Notes for the report what a task was waited for. It is about to be stopped, because it was not ready in time; or
    /// it has ended before it was ready.
    pub(super) fn note_not_ready(&mut self, id: TaskId) {
        let plan = Arc::clone(&self.plan);
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        if attempt.live() == 0 {
            attempt.unready = attempt.readiness.as_ref().and_then(|readiness| readiness.finding());
            return;
        }
        if let Some(ready) = &plan.jobs[attempt.work.job].ready {
            let limit = humantime::format_duration(ready.timeout);
            let waited = attempt.readiness.as_ref().map(|readiness| format!(": {}", readiness.describe()));
            attempt.unready = Some(format!("it was not ready within {limit}{}", waited.unwrap_or_default()));
        }
    }

    /// Gives the terminals of all tasks the size of prun's own.
    pub(super) fn resize_all_terminals(&self) {
        let size = os::pty::size_of_own();
        for attempt in self.attempts.iter() {
            let readers = attempt.readers.iter().flatten().filter(|reader| reader.is_terminal);
            for master in readers.map(|reader| &reader.fd).chain(&attempt.terminal) {
                os::pty::resize(master.as_fd(), size);
            }
        }
    }
}
