//! prun's controlling terminal: whose it is at the moment, and its settings.
//!
//! Of the process groups of a session one is in the foreground: it reads the terminal and gets its keys. A task that
//! has the terminal to itself is that group; prun is in the background then, and must have SIGTTOU blocked to take
//! the terminal back, or it would be stopped by its own wish (tcsetpgrp(3)).

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr::null_mut;
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, Ordering};

use nix::libc;
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::{Pid, getpgrp, tcgetpgrp};

use super::inherited::inherited;
use super::std_streams;

/// The controlling terminal.
#[derive(Debug)]
pub struct Terminal(OwnedFd);

/// Whether a job that wants the terminal to itself can have it: one of prun's own descriptors is the controlling
/// terminal. Where a shell without job control started prun in the background, which shows in an ignored SIGINT, the
/// terminal is others' as long as it is not prun's stdin.
pub fn is_at_hand() -> bool {
    let shown = [std_streams::stdout(), std_streams::stderr()].into_iter().any(is_controlling);
    is_controlling(std_streams::stdin()) || shown && !inherited().ignored.contains(libc::SIGINT)
}

/// Whether this is the controlling terminal. Of no other can anybody be in the foreground.
pub fn is_controlling(fd: BorrowedFd) -> bool {
    std_streams::is_terminal(fd) && tcgetpgrp(fd).is_ok()
}

/// Whether this is the controlling terminal and prun is not in its foreground.
pub fn in_background(fd: BorrowedFd) -> bool {
    tcgetpgrp(fd).is_ok_and(|group| group != getpgrp())
}

impl Terminal {
    /// The controlling terminal, as one of prun's own descriptors has it.
    pub fn of_own() -> Option<Terminal> {
        let own = [std_streams::stdin(), std_streams::stdout(), std_streams::stderr()]
            .into_iter()
            .find(|fd| is_controlling(*fd))?;
        own.try_clone_to_owned().ok().map(Terminal)
    }

    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// prun is in the foreground.
    pub fn is_ours(&self) -> bool {
        tcgetpgrp(&self.0) == Ok(getpgrp())
    }

    pub fn is_of(&self, group: Pid) -> bool {
        tcgetpgrp(&self.0) == Ok(group)
    }

    /// From now on the group is in the foreground.
    pub fn give(&self, group: Pid) {
        // A group that has gone, or a terminal that was hung up, can't be helped.
        unstoppably(|| _ = nix::unistd::tcsetpgrp(&self.0, group));
    }

    /// Takes it back.
    pub fn take(&self) {
        self.give(getpgrp());
    }

    /// Its settings. `None`: it was hung up.
    pub fn modes(&self) -> Option<Termios> {
        tcgetattr(&self.0).ok()
    }

    /// At once: waiting for what was written could take for ever on a terminal that was told to wait.
    pub fn set_modes(&self, modes: &Termios) {
        unstoppably(|| _ = tcsetattr(&self.0, SetArg::TCSANOW, modes));
    }

    /// The terminal is about to be another's. However prun ends, it and these settings are to come back.
    pub fn rescue_later(&self, modes: Option<&Termios>) {
        let modes = modes.map(|modes| libc::termios::from(modes.clone()));
        // Never freed, because a handler may be looking at it: a few bytes for each time that somebody was given the
        // terminal.
        let later = Box::leak(Box::new(Rescue { fd: self.fd(), group: getpgrp().as_raw(), modes }));
        RESCUE.store(later, Ordering::Release);
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let told = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                rescue();
                told(panic);
            }));
        });
    }

    /// It is prun's again.
    pub fn forget_rescue(&self) {
        RESCUE.store(null_mut(), Ordering::Release);
    }
}

/// What the terminal is to be again.
struct Rescue {
    fd: RawFd,
    group: libc::pid_t,
    modes: Option<libc::termios>,
}

static RESCUE: AtomicPtr<Rescue> = AtomicPtr::new(null_mut());

/// prun ends at once: the terminal is given back as it was, if it is another's. Made of what handlers may call.
pub(super) fn rescue() {
    let rescue = RESCUE.swap(null_mut(), Ordering::AcqRel);
    // SAFETY: null, or what was leaked, and so lives for ever and is never changed.
    let Some(rescue) = (unsafe { rescue.as_ref() }) else { return };
    unstoppably(|| {
        if let Some(modes) = &rescue.modes {
            // SAFETY: the settings are a live, initialised struct.
            unsafe { libc::tcsetattr(rescue.fd, libc::TCSANOW, modes) };
        }
        // SAFETY: a plain system call on numbers.
        unsafe { libc::tcsetpgrp(rescue.fd, rescue.group) };
    });
}

/// Does something that would stop prun in the background.
fn unstoppably(act: impl FnOnce()) {
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
