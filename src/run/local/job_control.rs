//! Processes are stopped and go on: by Ctrl-Z, because they want the terminal, or by somebody's hand.

use std::sync::Arc;

use nix::libc::{SIGCONT, SIGINT, SIGQUIT, SIGSTOP, SIGTTIN, SIGTTOU};
use nix::unistd::Pid;

use crate::event::{Exit, StageId};
use crate::os::process;
use crate::run::attempt::Process;
use crate::run::local::Local;
use crate::run::local::ProcessRole;
use crate::run::local::Shared;
use crate::sched::{Event, TaskId};

const WANTS_TO_READ: &str = "it wants to read from the terminal, and was stopped for it; give it `interactive = true`, \
                             or a `stdin` (`prun exec`: `--once`, or `--stdin FILE`)";
const WANTS_TO_CHANGE: &str = "it wants to write to the terminal or to change it, and was stopped for it; give it \
                               `interactive = true` (`prun exec`: `--once`)";
const NEVER: &str = "it wants the terminal, and prun is in the background of it for good";

impl Local {
    /// It was not up in time, and will be stopped for that: its failure tells.
    pub fn not_ready(&mut self, id: TaskId) {
        let plan = Arc::clone(&self.plan);
        let Some(active) = self.get_mut(id) else { return };
        if let Some(ready) = &plan.jobs[active.work.job].ready {
            let limit = humantime::format_duration(ready.timeout);
            let looked =
                active.looking.as_ref().map(|looking| format!(": {}", looking.told())).unwrap_or_default();
            active.unready = Some(format!("it was not ready within {limit}{looked}"));
        }
    }

    /// A signal stopped a child. One that wants the terminal of others would wait for ever; what somebody stopped by
    /// hand can be continued by hand.
    pub(in crate::run) fn stopped(&mut self, pid: Pid, signal: i32, shared: &mut Shared) {
        let Some(&(task, _)) = self.pids.get(&pid).filter(|(_, role)| *role != ProcessRole::Probe) else {
            return;
        };
        if self.lender.is_lent_to(task) {
            if !self.lender.stopped(signal)
                && let Some(active) = self.get(task)
            {
                active.signal(SIGCONT);
            }
            return;
        }
        let why = match signal {
            SIGTTIN => WANTS_TO_READ,
            SIGTTOU => WANTS_TO_CHANGE,
            _ => return,
        };
        shared.events.push_back(Event::Fault { task, why: why.into() });
    }

    /// Everything is about to be suspended.
    pub fn suspend(&mut self) {
        self.signal_all(SIGSTOP);
        self.lender.call_in();
    }

    /// Everything goes on. `suspended`: prun was stopped meanwhile.
    pub fn go_on(&mut self, suspended: bool, shared: &mut Shared) {
        if let Some(task) = self.lender.go_on(suspended) {
            shared.events.push_back(Event::Fault { task, why: NEVER.into() });
        }
        self.signal_all(SIGCONT);
    }

    fn signal_all(&self, signal: i32) {
        for active in self.actives.iter() {
            active.signal(signal);
            let probe = active.looking.as_ref().and_then(|looking| looking.probe());
            // A probe that has just ended needs no signal.
            let _ = probe.map(|pid| process::kill_group(pid, signal));
        }
    }

    /// The signal that a key sent to the task that had the terminal to itself and that ended it, if so.
    pub(in crate::run) fn felt(&self, id: TaskId, stage: StageId, exit: Exit) -> Option<i32> {
        let active = self.get(id)?;
        let last = stage.index() + 1 == active.processes.len();
        match exit {
            Exit::Signal(signal @ (SIGINT | SIGQUIT))
                if last && !active.stopping && self.lender.has_keys(id) =>
            {
                Some(signal)
            }
            _ => None,
        }
    }

    /// prun has its terminal again, once all processes of the task have ended.
    pub(in crate::run) fn give_terminal_back(&mut self, id: TaskId) {
        let Some(active) = self.get(id).filter(|active| active.live() == 0) else { return };
        let restore = active.stopping || !active.processes.iter().all(Process::ended_by_itself);
        self.lender.end(id, restore);
    }
}
