//! prun's terminal, lent to the task that has it to itself.
//!
//! During the loan the task's process group is in the foreground: keys reach it alone, and only it may read. prun takes
//! the terminal back when the task's processes have ended, or while everything is suspended.

use nix::libc::{SIGTTIN, SIGTTOU};
use nix::sys::termios::Termios;
use nix::unistd::Pid;

use crate::os::start::Group;
use crate::os::terminal::Terminal;
use crate::plan::Plan;
use crate::sched::TaskId;

/// Lends prun's terminal to one task at a time.
#[derive(Debug)]
pub struct TerminalLease {
    /// `None` if no task will want the terminal, or prun has none.
    terminal: Option<Terminal>,
    loan: Option<Loan>,
}

#[derive(Debug)]
struct Loan {
    task: TaskId,
    /// The process group of the task, once it has one.
    group: Option<Pid>,
    /// True while the task is in the foreground. Otherwise prun is, or prun is in the background itself.
    in_foreground: bool,
    /// The settings of the terminal as prun found them.
    original_modes: Option<Termios>,
    /// The settings of the task when it was suspended.
    task_modes: Option<Termios>,
    /// The signal that stopped the task, while it waits for everything to be suspended.
    stopped_by: Option<i32>,
}

impl TerminalLease {
    pub fn new(plan: &Plan) -> TerminalLease {
        let wanted = plan.jobs.iter().any(|job| job.interactive);
        TerminalLease { terminal: wanted.then(Terminal::of_own).flatten(), loan: None }
    }

    /// Lends the terminal to a task that is about to start. Returns the process group to start it in. While prun is in
    /// the background, the task is there as well.
    pub fn lend(&mut self, task: TaskId) -> Group {
        let Some(terminal) = &self.terminal else { return Group::New };
        let original_modes = terminal.modes();
        let in_foreground = terminal.is_ours();
        if in_foreground {
            terminal.restore_on_death(original_modes.as_ref());
        }
        let loan =
            Loan { task, group: None, in_foreground, original_modes, task_modes: None, stopped_by: None };
        self.loan = Some(loan);
        if in_foreground { Group::Foreground(terminal.fd()) } else { Group::New }
    }

    /// Notes the process group of a task that has started. Tasks without the terminal do not matter.
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

    /// True if the task is in the foreground, so that signals from keys reach it and not prun.
    pub fn has_keys(&self, task: TaskId) -> bool {
        self.loan.as_ref().is_some_and(|loan| loan.task == task && loan.in_foreground)
    }

    /// Ends the loan of a task that is over. `restore` puts the original settings back: a signal ended the task in the
    /// middle of whatever it did, so its own settings do not count.
    pub fn end(&mut self, task: TaskId, restore: bool) {
        let Some(loan) = self.loan.take_if(|loan| loan.task == task) else { return };
        let Some(terminal) = self.terminal.as_ref().filter(|_| loan.in_foreground) else { return };
        if let Some(modes) = loan.original_modes.filter(|_| restore) {
            terminal.set_modes(&modes);
        }
        terminal.take();
        terminal.cancel_restore();
    }

    /// Notes that a signal stopped the task. Returns whether everything is to be suspended with it; otherwise the task
    /// has the terminal now and can go on.
    pub fn stopped(&mut self, signal: i32) -> bool {
        let (Some(terminal), Some(loan)) = (&self.terminal, &mut self.loan) else { return false };
        let wants_terminal = matches!(signal, SIGTTIN | SIGTTOU);
        // The shell's `fg` brings a job that runs to the foreground without a signal.
        let goes_on = wants_terminal && !loan.in_foreground && terminal.is_ours();
        if goes_on {
            give_to_task(terminal, loan);
        } else {
            loan.stopped_by = Some(signal);
        }
        !goes_on
    }

    /// True if the task is stopped and waits for everything to be suspended.
    pub fn is_stopped(&self) -> bool {
        self.loan.as_ref().is_some_and(|loan| loan.stopped_by.is_some())
    }

    /// Takes the terminal back with its original settings, because everything is about to be suspended.
    pub fn recall(&mut self) {
        let (Some(terminal), Some(loan)) = (&self.terminal, &mut self.loan) else { return };
        if !loan.in_foreground {
            return;
        }
        loan.task_modes = terminal.modes();
        loan.original_modes.iter().for_each(|modes| terminal.set_modes(modes));
        terminal.take();
        terminal.cancel_restore();
        loan.in_foreground = false;
    }

    /// Gives the terminal to the task again, if prun is in the foreground; in the background the task goes on without.
    /// `suspended` tells whether prun itself was stopped meanwhile. Returns a task that can never have the terminal: it
    /// was stopped for wanting it, and prun could not be suspended with it.
    pub fn resume(&mut self, suspended: bool) -> Option<TaskId> {
        let (Some(terminal), Some(loan)) = (&self.terminal, &mut self.loan) else { return None };
        let wanted_terminal = matches!(loan.stopped_by.take(), Some(SIGTTIN | SIGTTOU));
        if terminal.is_ours() {
            give_to_task(terminal, loan);
        }
        (wanted_terminal && !suspended && !loan.in_foreground).then_some(loan.task)
    }

    /// Brings the loan in line with the terminal after SIGCONT: prun was stopped by a signal that it could not catch,
    /// and somebody else may have taken the terminal meanwhile.
    pub fn reconcile(&mut self) {
        let (Some(terminal), Some(loan)) = (&self.terminal, &mut self.loan) else { return };
        let Some(group) = loan.group else { return };
        if terminal.is_ours() {
            give_to_task(terminal, loan);
        } else if loan.in_foreground && !terminal.is_of(group) {
            // The terminal belongs to somebody else: prun must not take it back.
            terminal.cancel_restore();
            loan.in_foreground = false;
        }
    }
}

/// Brings the task's process group to the foreground, with the settings that it had made.
fn give_to_task(terminal: &Terminal, loan: &mut Loan) {
    let Some(group) = loan.group else { return };
    terminal.restore_on_death(loan.original_modes.as_ref());
    if let Some(modes) = loan.task_modes.take() {
        terminal.set_modes(&modes);
    }
    terminal.give(group);
    loan.in_foreground = true;
}
