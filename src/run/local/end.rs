//! Processes end, and attempts are forgotten.

use std::os::fd::AsFd;

use nix::unistd::Pid;

use super::{LAST_LOOK, Local, Shared};
use crate::event::{Exit, Usage};
use crate::os::poller::Interest;
use crate::os::process::Change;
use crate::os::{self, process};
use crate::run::active::{Active, Group, Process, Reader};
use crate::run::queues::Inlet;
use crate::run::token::Token;
use crate::sched::{Event, TaskId};

impl Local {
    /// Children may have ended: notes how, and reaps them at once.
    pub fn reap(&mut self, shared: &mut Shared) {
        while let Some(changed) = process::peek() {
            let exit = match changed.change {
                Change::Exited(process::Exit::Code(code)) => Exit::Code(code),
                Change::Exited(process::Exit::Signal(signal)) => Exit::Signal(signal),
                Change::Stopped(_) => continue,
            };
            self.exited(changed.pid, exit, shared);
        }
        self.look_at_remnants(shared);
    }

    fn exited(&mut self, pid: Pid, exit: Exit, shared: &mut Shared) {
        let Some((id, stage)) = self.pids.remove(&pid) else {
            // It was left by a task, and came to prun as its subreaper.
            process::reap(pid);
            if os::guardian::is(pid) {
                os::guardian::forget();
                self.lost_guardian = true;
            }
            return;
        };
        self.end_talk(id, stage, exit, shared);
        if let Some(active) = self.get_mut(id) {
            active.exited(stage, exit);
            if active.live() == 0 && active.stopping {
                self.remnants.push(id);
            }
            shared.events.push_back(Event::Exited { task: id, stage, exit });
        }
        let used = process::reap(pid);
        if let Some(active) = self.get_mut(id) {
            let process::Usage { user, system, memory } = used;
            active.processes[stage].usage = Usage { user, system, memory };
        }
    }

    /// Tells of stopped tasks whose group has gone.
    pub fn look_at_remnants(&mut self, shared: &mut Shared) {
        for id in std::mem::take(&mut self.remnants) {
            match self.get(id) {
                Some(active) if active.group_is_alive() => self.remnants.push(id),
                Some(_) => shared.events.push_back(Event::GroupGone(id)),
                None => {}
            }
        }
    }

    /// The attempt is over: forgets it. What something that it left still holds open is read on and discarded;
    /// says whether there is such a thing.
    pub fn end(&mut self, id: TaskId, shared: &mut Shared) -> Option<(Active, bool)> {
        self.get(id)?;
        let mut active = self.actives[id.place as usize].take()?;
        if matches!(active.group, Group::Own) {
            os::signals::leave_keys_to_child(false);
        }
        self.hungry.retain(|hungry| *hungry != id);
        self.paused.retain(|paused| paused.task != id);
        let mut left = false;
        for at in 0..active.readers.len() {
            if let Some(reader) = active.readers[at].take() {
                left |= self.last_look(&mut active, at, reader, shared);
            }
        }
        let whole = !active.stopping && active.processes.iter().all(Process::ended_by_itself);
        self.queues.task_ended(id, whole, shared.poller);
        for process in &active.processes {
            if process.exit.is_none() {
                self.pids.remove(&process.pid);
            }
        }
        Some((active, left))
    }

    /// Takes what the task itself wrote before it ended. Whoever still holds the pipe may write on: prun reads
    /// and discards, so that a leftover is neither stopped nor killed by a full or a closed pipe.
    fn last_look(&mut self, active: &mut Active, at: usize, reader: Reader, shared: &mut Shared) -> bool {
        let _ = shared.poller.remove(reader.fd.as_fd());
        let _ = os::own::set_nonblocking(reader.fd.as_fd());
        let inlet = Inlet { task: active.id, at };
        let mut seen = 0;
        while seen < LAST_LOOK {
            let tail = &mut active.stderr_tail;
            match reader.take_in(inlet, &mut self.buffer, tail, None, &mut self.queues, shared.outputs) {
                Some((0, _)) => return false,
                Some((count, _)) => {
                    seen += count;
                    active.received += if reader.is_stderr { 0 } else { count as u64 };
                }
                None => break,
            }
        }
        self.next_stray += 1;
        let token = Token::Stray(self.next_stray).pack();
        if shared.poller.add(reader.fd.as_fd(), token, Interest::Read).is_ok() {
            self.strays.insert(self.next_stray, reader.fd);
        }
        true
    }
}
