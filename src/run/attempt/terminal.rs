//! The terminal of an attempt, as it is before something is typed.

use std::os::fd::BorrowedFd;

use nix::unistd::Pid;

use crate::flow::typing::{Settings, Terminal};
use crate::os::{proc, pty};

/// A terminal, looked at from its master, and the first of the processes that use it.
pub struct ChildTerminal<'a> {
    /// `None` if prun has no end of it.
    pub master: Option<BorrowedFd<'a>>,
    pub pid: Option<Pid>,
}

impl Terminal for ChildTerminal<'_> {
    fn settings(&self) -> Option<Settings> {
        let pty::Modes { fingerprint, reads_lines, end_of_input } = pty::modes(self.master?)?;
        Some(Settings { fingerprint, reads_lines, end_of_input })
    }

    fn is_busy(&self) -> bool {
        self.pid.is_some_and(proc::is_busy)
    }

    fn has_unread(&self) -> bool {
        self.master.is_some_and(pty::has_unread)
    }
}
