//! prun's terminal, lent to the task that has it to itself.
//!
//! The task's group is in the foreground then: keys reach it alone, and only it may read. prun takes the terminal back
//! when the task's processes have ended, or while everything is suspended.

use nix::libc::{SIGTTIN, SIGTTOU};
use nix::sys::termios::Termios;
use nix::unistd::Pid;

use crate::os::start::Group;
use crate::os::terminal::Terminal;
use crate::plan::Plan;
use crate::sched::TaskId;

/// Lends the terminal, to one task at a time.
#[derive(Debug)]
pub struct TerminalLease {
    /// `None`: no task will want it, or there is none.
    terminal: Option<Terminal>,
    loan: Option<Loan>,
}

#[derive(Debug)]
struct Loan {
    task: TaskId,
    /// The group of the task, once it has one.
    group: Option<Pid>,
    /// It is in the foreground. Otherwise that is prun, or prun is in the background itself.
    has_it: bool,
    /// The settings, as prun found them.
    before: Option<Termios>,
    /// The settings that the task had made when it was suspended.
    its: Option<Termios>,
    /// Why it was stopped, if that has still to be looked into.
    stopped: Option<i32>,
}

impl TerminalLease {
    pub fn new(plan: &Plan) -> TerminalLease {
        let wanted = plan.jobs.iter().any(|job| job.interactive);
        TerminalLease { terminal: wanted.then(Terminal::of_own).flatten(), loan: None }
    }

    /// The group of a task that is to have the terminal. While prun is in the background, the task is there as well.
    pub fn lend(&mut self, task: TaskId) -> Group {
        let Some(terminal) = &self.terminal else { return Group::New };
        let before = terminal.modes();
        let has_it = terminal.is_ours();
        if has_it {
            terminal.restore_on_death(before.as_ref());
        }
        self.loan = Some(Loan { task, group: None, has_it, before, its: None, stopped: None });
        if has_it { Group::Foreground(terminal.fd()) } else { Group::New }
    }

    /// It has started.
    pub fn started(&mut self, task: TaskId, group: Pid) {
        if let Some(loan) = self.loan.as_mut().filter(|loan| loan.task == task) {
            loan.group = Some(group);
        }
    }

    pub fn is_lent(&self) -> bool {
        self.loan.is_some()
    }

    pub fn is_lent_to(&self, task: TaskId) -> bool {
        self.loan.as_ref().is_some_and(|loan| loan.task == task)
    }

    /// The task is in the foreground, and what keys send goes to it and not to prun.
    pub fn has_keys(&self, task: TaskId) -> bool {
        self.loan.as_ref().is_some_and(|loan| loan.task == task && loan.has_it)
    }

    /// The task is over. `restore`: its last word on the settings does not count; a signal ended it in the middle of
    /// whatever it did.
    pub fn end(&mut self, task: TaskId, restore: bool) {
        let Some(loan) = self.loan.take_if(|loan| loan.task == task) else { return };
        let Some(terminal) = self.terminal.as_ref().filter(|_| loan.has_it) else { return };
        if let Some(before) = loan.before.filter(|_| restore) {
            terminal.set_modes(&before);
        }
        terminal.take();
        terminal.cancel_restore();
    }

    /// A signal stopped the task. Whether everything is to be suspended: else it goes on with the terminal.
    pub fn stopped(&mut self, signal: i32) -> bool {
        let (Some(terminal), Some(loan)) = (&self.terminal, &mut self.loan) else { return false };
        let wants = matches!(signal, SIGTTIN | SIGTTOU);
        // prun was brought to the foreground without a word to it (`fg` of a job that runs).
        let goes_on = wants && !loan.has_it && terminal.is_ours();
        if goes_on {
            hand(terminal, loan);
        } else {
            loan.stopped = Some(signal);
        }
        !goes_on
    }

    /// The task waits for everything to be suspended.
    pub fn is_stopped(&self) -> bool {
        self.loan.as_ref().is_some_and(|loan| loan.stopped.is_some())
    }

    /// Before everything is suspended: the terminal is as it was.
    pub fn call_in(&mut self) {
        let (Some(terminal), Some(loan)) = (&self.terminal, &mut self.loan) else { return };
        if !loan.has_it {
            return;
        }
        loan.its = terminal.modes();
        loan.before.iter().for_each(|before| terminal.set_modes(before));
        terminal.take();
        terminal.cancel_restore();
        loan.has_it = false;
    }

    /// prun goes on. In the foreground, so does the task; in the background it goes on without the terminal. A task
    /// that can never have it, because it was stopped for wanting it and prun was not (`suspended`), is given back.
    pub fn go_on(&mut self, suspended: bool) -> Option<TaskId> {
        let (Some(terminal), Some(loan)) = (&self.terminal, &mut self.loan) else { return None };
        let wanted = matches!(loan.stopped.take(), Some(SIGTTIN | SIGTTOU));
        if terminal.is_ours() {
            hand(terminal, loan);
        }
        (wanted && !suspended && !loan.has_it).then_some(loan.task)
    }

    /// prun was stopped by a signal that it could not take, and somebody else may have taken the terminal meanwhile.
    pub fn look(&mut self) {
        let (Some(terminal), Some(loan)) = (&self.terminal, &mut self.loan) else { return };
        let Some(group) = loan.group else { return };
        if terminal.is_ours() {
            hand(terminal, loan);
        } else if loan.has_it && !terminal.is_of(group) {
            // It is not prun's to take back.
            terminal.cancel_restore();
            loan.has_it = false;
        }
    }
}

fn hand(terminal: &Terminal, loan: &mut Loan) {
    let Some(group) = loan.group else { return };
    terminal.restore_on_death(loan.before.as_ref());
    if let Some(its) = loan.its.take() {
        terminal.set_modes(&its);
    }
    terminal.give(group);
    loan.has_it = true;
}
