//! Dispositions of signals (sigaction(2)), also of real-time signals, which nix does not know. All functions are
//! async-signal-safe.

use nix::errno::Errno;
use nix::libc;

/// A disposition without a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposition {
    Default,
    Ignore,
}

/// Returns the disposition of a signal. The C library refuses the signals that it uses itself.
pub(super) fn get(signal: i32) -> nix::Result<libc::sigaction> {
    call(signal, std::ptr::null())
}

/// Sets the disposition of a signal, and returns the one that it replaces.
pub(super) fn set(signal: i32, disposition: Disposition) -> nix::Result<libc::sigaction> {
    // SAFETY: sigaction is a plain C struct, for which zeroes are valid.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = match disposition {
        Disposition::Default => libc::SIG_DFL,
        Disposition::Ignore => libc::SIG_IGN,
    };
    call(signal, &raw const action)
}

/// Handles a signal by doing nothing, and restarts the system calls that it interrupts.
pub(super) fn set_empty_handler(signal: i32) -> nix::Result<libc::sigaction> {
    extern "C" fn nothing(_: i32) {}
    // SAFETY: sigaction is a plain C struct, for which zeroes are valid.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as extern "C" fn(i32) as usize;
    action.sa_flags = libc::SA_RESTART;
    call(signal, &raw const action)
}

/// Handles a signal by a function, which has to be async-signal-safe.
pub(super) fn set_handler(signal: i32, handler: extern "C" fn(i32)) -> nix::Result<libc::sigaction> {
    // SAFETY: sigaction is a plain C struct, for which zeroes are valid.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as usize;
    // On the alternative stack, because the stack may have overflowed.
    action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
    call(signal, &raw const action)
}

/// Sets a disposition that one of these functions has returned.
pub(super) fn restore(signal: i32, disposition: &libc::sigaction) {
    // It was set before, so it is valid.
    let _ = call(signal, disposition);
}

fn call(signal: i32, new: *const libc::sigaction) -> nix::Result<libc::sigaction> {
    // SAFETY: sigaction is a plain C struct, for which zeroes are valid.
    let mut old: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: `new` is null or live, and its handler, if it has one, is async-signal-safe;
    // `old` is live and writable.
    Errno::result(unsafe { libc::sigaction(signal, new, &raw mut old) }).map(|_| old)
}
