//! Processes end, and attempts are forgotten.

use std::fmt;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;

use nix::unistd::Pid;

use crate::event::{Exit, Usage};
use crate::os::mark::Mark;
use crate::os::poller::Interest;
use crate::os::process::Change;
use crate::os::{self, live_starts, pipe_holders, process, tree};
use crate::plan::Leftovers;
use crate::run::attempt::{Active, Ears, Process, Reader};
use crate::run::local::LAST_LOOK;
use crate::run::local::Local;
use crate::run::local::ProcessRole;
use crate::run::local::Shared;
use crate::run::queues::Inlet;
use crate::run::token::Token;
use crate::sched::{Event, TaskId};

/// So many times in a run, all processes are looked through for those that hold the output of an ended task.
const SEARCHES: u32 = 100;
/// So many of them are named.
const NAMED: usize = 3;

/// Processes that hold a task's output open after its end, as far as they are known.
#[derive(Debug, Default)]
pub struct Holders(Vec<(Pid, String)>);

impl fmt::Display for Holders {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Some((last, before)) = self.0[..self.0.len().min(NAMED)].split_last() else {
            return write!(f, "something that it started still holds");
        };
        for (pid, name) in before {
            write!(f, "{name} ({pid}), ")?;
        }
        write!(f, "{} ({})", last.1, last.0)?;
        match self.0.len() - before.len() - 1 {
            0 if before.is_empty() => write!(f, " still holds"),
            0 => write!(f, " still hold"),
            others => write!(f, " and {others} more still hold"),
        }
    }
}

impl Local {
    /// Children may have ended: notes how, and reaps them at once. A signal that ended the task which had the terminal
    /// to itself, if it is one that keys send, is given back: it was meant for prun as well.
    pub fn reap(&mut self, shared: &mut Shared) -> Option<i32> {
        let mut felt = None;
        while let Some(changed) = process::peek() {
            let exit = match changed.change {
                Change::Exited(process::Exit::Code(code)) => Exit::Code(code),
                Change::Exited(process::Exit::Signal(signal)) => Exit::Signal(signal),
                Change::Stopped(signal) => {
                    self.stopped(changed.pid, signal, shared);
                    continue;
                }
            };
            felt = felt.or(self.exited(changed.pid, exit, shared));
        }
        felt
    }

    fn exited(&mut self, pid: Pid, exit: Exit, shared: &mut Shared) -> Option<i32> {
        let Some((id, role)) = self.pids.remove(&pid) else {
            // It was left by a task, and came to prun as its subreaper.
            self.remnants.reaped(pid);
            process::reap(pid);
            if os::guardian::is(pid) {
                os::guardian::forget();
                self.lost_guardian = true;
            }
            return None;
        };
        let ProcessRole::Stage(stage) = role else {
            self.probe_ended(id, pid, exit, shared);
            return None;
        };
        self.end_talk(id, stage, exit, shared);
        self.hear_last_lines(id, shared);
        let felt = self.felt(id, stage, exit);
        let plan = Arc::clone(&self.plan);
        if let Some(active) = self.get_mut(id) {
            let job = active.work.job;
            let waits = plan.jobs[job].leftovers != Leftovers::Leave;
            // It is about to be stopped as all others are, and what it left with it.
            active.stopping |= felt.is_some();
            active.exited(stage, exit, waits);
            let all_exited = active.live() == 0;
            if all_exited && plan.jobs[job].leftovers != Leftovers::Wait {
                self.stop_looking(id);
            }
            if all_exited {
                self.remnants.all_exited(id);
            }
            shared.events.push_back(Event::Exited { task: id, stage, exit });
        }
        let used = process::reap(pid);
        if let Some(active) = self.get_mut(id) {
            let process::Usage { user, system, memory } = used;
            active.processes[stage].usage = Usage { user, system, memory };
        }
        self.give_terminal_back(id);
        felt
    }

    /// The attempt is over: forgets it, and lets go what it left. What that still holds open is read on and
    /// discarded; says who does.
    pub fn end(&mut self, id: TaskId, shared: &mut Shared) -> Option<(Active, Option<Holders>)> {
        self.get(id)?;
        self.stop_looking(id);
        let mut active = self.actives.take(id.place)?;
        self.lender.end(id, true);
        self.hungry.retain(|hungry| *hungry != id);
        self.paused.retain(|paused| paused.task != id);
        self.remnants.forget(id);
        let mut held = Vec::new();
        for at in 0..active.readers.len() {
            if let Some(reader) = active.readers[at].take() {
                held.extend(self.last_look(&mut active, at, reader, shared));
            }
        }
        // Of a stopped task nothing is left that prun could name.
        let holders = (!held.is_empty() && !active.stopping).then(|| self.holders(active.mark, &held));
        active.mark.into_iter().for_each(if active.stopping {
            live_starts::strike
        } else {
            live_starts::let_go
        });
        let whole = !active.stopping && active.processes.iter().all(Process::ended_by_itself);
        self.queues.task_ended(id, whole, shared.poller);
        for process in &active.processes {
            if process.exit.is_none() {
                self.pids.remove(&process.pid);
            }
        }
        Some((active, holders))
    }

    /// Takes what the task itself wrote before it ended. Whoever still holds the pipe may write on: prun reads
    /// and discards, so that a leftover is neither stopped nor killed by a full or a closed pipe. Says what is held.
    fn last_look(
        &mut self,
        active: &mut Active,
        at: usize,
        reader: Reader,
        shared: &mut Shared,
    ) -> Option<PathBuf> {
        let _ = shared.poller.remove(reader.fd.as_fd());
        let _ = os::io::set_nonblocking(reader.fd.as_fd());
        let inlet = Inlet { task: active.id, at };
        let mut seen = 0;
        while seen < LAST_LOOK {
            let tail = &mut active.stderr_tail;
            match reader.take_in(
                inlet,
                &mut self.buffer,
                tail,
                Ears::default(),
                &mut self.queues,
                shared.outputs,
            ) {
                Some((0, _)) => return None,
                Some((count, _)) => {
                    seen += count;
                    active.received += if reader.is_stderr { 0 } else { count as u64 };
                }
                None => break,
            }
        }
        let end = pipe_holders::other_end(reader.fd.as_fd()).unwrap_or_default();
        self.next_stray += 1;
        let token = Token::Stray(self.next_stray).pack();
        if shared.poller.add(reader.fd.as_fd(), token, Interest::Read).is_ok() {
            self.strays.insert(self.next_stray, reader.fd);
        }
        Some(end)
    }

    /// Who of those that a start has left has these open.
    fn holders(&mut self, mark: Option<Mark>, ends: &[PathBuf]) -> Holders {
        self.searches += 1;
        let Some(mark) = mark.filter(|_| self.searches <= SEARCHES) else { return Holders::default() };
        let found = tree::marked(live_starts::run().mark).into_iter().filter(|found| found.mark == mark);
        let holders = found.filter(|found| pipe_holders::holds(found.pid, ends));
        Holders(holders.filter_map(|found| Some((found.pid, tree::name(found.pid)?))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_are_named_as_far_as_that_helps() {
        let of = |count: i32| {
            Holders((1..=count).map(|n| (Pid::from_raw(n), "a".to_owned())).collect()).to_string()
        };
        assert_eq!(of(0), "something that it started still holds");
        assert_eq!(of(1), "a (1) still holds");
        assert_eq!(of(2), "a (1), a (2) still hold");
        assert_eq!(of(5), "a (1), a (2), a (3) and 2 more still hold");
    }
}
