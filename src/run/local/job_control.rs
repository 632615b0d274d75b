//! Processes are stopped and go on: by Ctrl-Z, because they want the terminal, or by hand.

use nix::libc::{SIGCONT, SIGINT, SIGQUIT, SIGSTOP, SIGTTIN, SIGTTOU};
use nix::unistd::Pid;

use super::LocalProcesses;
use crate::event::{Exit, StageId};
use crate::os::process;
use crate::run::attempt::Process;
use crate::run::attempt::table::ProcessRole;
use crate::run::backend::Context;
use crate::run::output::terminal_lease::TerminalLease;
use crate::sched::{Event, TaskId};

const WANTS_TO_READ: &str = "it wants to read from the terminal, and was stopped for it; give it `interactive = true`, \
                             or a `stdin` (`prun exec`: `--once`, or `--stdin FILE`)";
const WANTS_TO_CHANGE: &str = "it wants to write to the terminal or to change it, and was stopped for it; give it \
                               `interactive = true` (`prun exec`: `--once`)";
const NEVER: &str = "it wants the terminal, and prun is in the background of it for good";

impl LocalProcesses {
    /// Reacts to a signal that has stopped a child. A task that wants the terminal of others would wait for ever, and
    /// fails. A task that was stopped by hand can be continued by hand.
    pub(super) fn stopped(&mut self, pid: Pid, signal: i32, cx: &mut Context) {
        let Some((task, ProcessRole::Stage(_))) = self.attempts.process(pid) else { return };
        if cx.terminal.is_lent_to(task) {
            if !cx.terminal.stopped(signal)
                && let Some(attempt) = self.attempts.get(task)
            {
                attempt.signal(SIGCONT);
            }
            return;
        }
        let why = match signal {
            SIGTTIN => WANTS_TO_READ,
            SIGTTOU => WANTS_TO_CHANGE,
            _ => return,
        };
        cx.events.push_back(Event::Fault { task, why: why.into() });
    }

    /// Stops every process, and takes the terminal back.
    pub(super) fn suspend_all(&mut self, cx: &mut Context) {
        self.signal_all(SIGSTOP);
        cx.terminal.recall();
    }

    /// Continues every process. `suspended` tells whether prun itself was stopped meanwhile.
    pub(super) fn continue_all(&mut self, suspended: bool, cx: &mut Context) {
        if let Some(task) = cx.terminal.resume(suspended) {
            cx.events.push_back(Event::Fault { task, why: NEVER.into() });
        }
        self.signal_all(SIGCONT);
    }

    fn signal_all(&self, signal: i32) {
        for attempt in self.attempts.iter() {
            attempt.signal(signal);
            let probe = attempt.readiness.as_ref().and_then(|readiness| readiness.probe());
            // A probe that has just ended needs no signal.
            let _ = probe.map(|pid| process::kill_group_of(pid, signal));
        }
    }

    /// Returns the signal that ended the task which had the terminal to itself, if a key sent it.
    pub(super) fn key_signal(
        &self,
        id: TaskId,
        stage: StageId,
        exit: Exit,
        lease: &TerminalLease,
    ) -> Option<i32> {
        let attempt = self.attempts.get(id)?;
        let last = stage.index() + 1 == attempt.processes.len();
        match exit {
            Exit::Signal(signal @ (SIGINT | SIGQUIT)) if last && !attempt.stopping && lease.has_keys(id) => {
                Some(signal)
            }
            _ => None,
        }
    }

    /// Gives prun its terminal back once all processes of the task have ended.
    pub(super) fn give_terminal_back(&mut self, id: TaskId, lease: &mut TerminalLease) {
        let Some(attempt) = self.attempts.get(id).filter(|attempt| attempt.live() == 0) else { return };
        let restore = attempt.stopping || !attempt.processes.iter().all(Process::ended_by_itself);
        lease.end(id, restore);
    }
}
