//! prun's controlling terminal: its foreground group and its settings.
//!
//! One process group of a session is in the foreground: it may read the terminal and gets the signals of its
//! keys. A task that has the terminal to itself is that group, and prun is in the background. To take the
//! terminal back prun must block SIGTTOU, or tcsetpgrp(3) would stop prun itself.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr::null_mut;
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, Ordering};

use nix::libc;
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::{Pid, getpgrp, tcgetpgrp};

use super::inherited::inherited;
use super::{on_panic, std_streams};

/// The controlling terminal.
#[derive(Debug)]
pub struct Terminal(OwnedFd);

/// True if a job can have the terminal to itself: one of prun's own descriptors is the controlling terminal.
/// A shell without job control that starts prun in the background makes it ignore SIGINT; then the terminal
/// belongs to others, unless it is prun's standard input.
pub fn is_available() -> bool {
    let shown = [std_streams::stdout(), std_streams::stderr()].into_iter().any(is_controlling);
    is_controlling(std_streams::stdin()) || shown && !inherited().ignored.contains(libc::SIGINT)
}

/// True if this is the controlling terminal. No other terminal can have a foreground group of prun's session.
pub fn is_controlling(fd: BorrowedFd) -> bool {
    std_streams::is_terminal(fd) && tcgetpgrp(fd).is_ok()
}

/// True if this is the controlling terminal and prun is not in its foreground.
pub fn in_background(fd: BorrowedFd) -> bool {
    tcgetpgrp(fd).is_ok_and(|group| group != getpgrp())
}

impl Terminal {
    /// Returns the controlling terminal, if one of prun's own descriptors refers to it.
    pub fn of_own() -> Option<Terminal> {
        let own = [std_streams::stdin(), std_streams::stdout(), std_streams::stderr()]
            .into_iter()
            .find(|fd| is_controlling(*fd))?;
        own.try_clone_to_owned().ok().map(Terminal)
    }

    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// True if prun is in the foreground.
    pub fn is_ours(&self) -> bool {
        tcgetpgrp(&self.0) == Ok(getpgrp())
    }

    pub fn is_of(&self, group: Pid) -> bool {
        tcgetpgrp(&self.0) == Ok(group)
    }

    /// Puts a process group into the foreground.
    pub fn give(&self, group: Pid) {
        // Nothing can be done about a group that has gone or a terminal that was hung up.
        with_sigttou_blocked(|| _ = nix::unistd::tcsetpgrp(&self.0, group));
    }

    /// Puts prun into the foreground.
    pub fn take(&self) {
        self.give(getpgrp());
    }

    /// Returns the settings. `None` if the terminal was hung up.
    pub fn modes(&self) -> Option<Termios> {
        tcgetattr(&self.0).ok()
    }

    /// Changes the settings at once. Waiting for pending output could take for ever, because output can be
    /// stopped (^S).
    pub fn set_modes(&self, modes: &Termios) {
        with_sigttou_blocked(|| _ = tcsetattr(&self.0, SetArg::TCSANOW, modes));
    }

    /// Has this foreground group and these settings restored however prun ends, except by SIGKILL. Called
    /// before the terminal is given away.
    pub fn restore_on_death(&self, modes: Option<&Termios>) {
        let modes = modes.map(|modes| libc::termios::from(modes.clone()));
        // Never freed, because a handler may be reading it: a few bytes each time the terminal is given away.
        let later = Box::leak(Box::new(Saved { fd: self.fd(), group: getpgrp().as_raw(), modes }));
        SAVED.store(later, Ordering::Release);
        static HOOK: Once = Once::new();
        on_panic::run_once(&HOOK, restore);
    }

    /// Cancels the restoration, because the terminal is prun's again.
    pub fn cancel_restore(&self) {
        SAVED.store(null_mut(), Ordering::Release);
    }
}

/// The state that is restored.
struct Saved {
    fd: RawFd,
    group: libc::pid_t,
    modes: Option<libc::termios>,
}

static SAVED: AtomicPtr<Saved> = AtomicPtr::new(null_mut());

/// Restores the terminal if it was given away, because prun is about to end. Async-signal-safe.
pub(super) fn restore() {
    let saved = SAVED.swap(null_mut(), Ordering::AcqRel);
    // SAFETY: null, or a leaked allocation, which lives for ever and is never changed.
    let Some(saved) = (unsafe { saved.as_ref() }) else { return };
    with_sigttou_blocked(|| {
        if let Some(modes) = &saved.modes {
            // SAFETY: the settings are a live, initialised struct.
            unsafe { libc::tcsetattr(saved.fd, libc::TCSANOW, modes) };
        }
        // SAFETY: a plain system call on numbers.
        unsafe { libc::tcsetpgrp(saved.fd, saved.group) };
    });
}

/// Blocks SIGTTOU during a call that would otherwise stop prun in the background.
fn with_sigttou_blocked(act: impl FnOnce()) {
    // SAFETY: the sets are plain C structs on the stack, for which zeroes are valid; handlers may make the calls.
    unsafe {
        let (mut set, mut before): (libc::sigset_t, libc::sigset_t) =
            (std::mem::zeroed(), std::mem::zeroed());
        libc::sigaddset(&mut set, libc::SIGTTOU);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, &mut before);
        act();
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, null_mut());
    }
}
