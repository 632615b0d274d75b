//! Signals to prun: those that stop or suspend it, the end of a child, and a new size of the terminal.
//!
//! SIGCHLD, SIGWINCH, SIGTSTP and SIGCONT are blocked in every thread and read from a signalfd(2), without a
//! handler; one `read` covers all children that ended meanwhile. SIGTERM, SIGHUP, SIGQUIT and, at first, SIGINT come
//! through signal-hook, in the handler itself. In a run that lasts SIGINT comes through ctrlc, which calls back on a
//! thread of its own; a short run does without the thread ([`Signals::hand_interrupt_to_ctrlc`]). Both record the signal
//! in atomics and then wake the loop by sending prun a SIGCHLD, so that the loop has one descriptor to wait for.
//!
//! All other signals that would end prun are blocked in every thread and never read: SIGUSR1, SIGALRM, SIGPWR, the
//! real-time signals and so on. Ignoring them instead would cost each child one more system call for each of them,
//! because execve(2) keeps an ignored signal ignored; the mask is set once for each child anyway. A fault of prun's own
//! (SIGSEGV) still ends it, blocked or not. Signals 32 and 33 belong to the C library, which lets nobody block them.
//!
//! The third signal to stop ends prun where it arrives, in the handler or on ctrlc's thread, whatever the
//! loop is doing.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::disposition::{self, Disposition};
use super::inherited::inherited;
use super::{jobserver, terminal};

/// The signals that stop prun.
const STOPS: [i32; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// Signals that are never blocked, besides those in `STOPS`. SIGPIPE and SIGXFSZ do not end prun; SIGTTIN and SIGTTOU stop
/// it as they stop any job; SIGTSTP is blocked only if it is read.
const NOT_BLOCKED: [Signal; 5] =
    [Signal::SIGPIPE, Signal::SIGXFSZ, Signal::SIGTTIN, Signal::SIGTTOU, Signal::SIGTSTP];

/// The signals whose disposition is changed by prun, or by Rust's runtime for it. Children get the inherited
/// one, but SIGPIPE is always at its default.
pub(super) const CHANGED: [i32; 6] = {
    let [a, b, c, d] = STOPS;
    [a, b, c, d, libc::SIGPIPE, libc::SIGCHLD]
};

/// Nanoseconds within which a repeated signal counts once: terminals and timeout(1) signal both the process
/// and its group.
const REPEAT_NS: u64 = 200_000_000;

/// The signals that have arrived, as the loop sees them.
pub struct Signals {
    descriptor: SignalFd,
    /// The number of entries of `ARRIVED` that the loop has seen.
    taken: usize,
    has_ctrlc: bool,
}

/// Signals and news of children that have arrived since the last call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arrivals {
    /// Signals to stop, in order of arrival.
    pub stop: Vec<i32>,
    /// True if children may have ended.
    pub child: bool,
    /// True if prun's terminal may have a new size.
    pub resized: bool,
    /// True if prun has to suspend itself (Ctrl-Z, see [`suspend`]).
    pub suspend: bool,
    /// True if prun continues after it was suspended, or stopped by SIGSTOP.
    pub continued: bool,
}

/// The number of signals to stop that were counted.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// The first and the second signal to stop. The third one ends prun.
static ARRIVED: [AtomicI32; 2] = [AtomicI32::new(0), AtomicI32::new(0)];
/// The time at which each of `STOPS` was last counted, in nanoseconds; 0 if never.
static LAST: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];

impl Signals {
    /// Takes the signals over. Call it once, before other threads exist, so that the signals that are read
    /// from the descriptor are blocked in all of them. From then on a write beyond RLIMIT_FSIZE fails and
    /// does not end prun, nor does any signal but those that stop it. A signal that was ignored when prun started stays ignored, and one that was blocked
    /// stays blocked.
    pub fn install() -> io::Result<Signals> {
        let mut read = SigSet::empty();
        read.add(Signal::SIGCHLD);
        read.add(Signal::SIGWINCH);
        // SIGCONT continues a process even while it is blocked; only its delivery is.
        read.add(Signal::SIGCONT);
        if can_be_suspended() {
            read.add(Signal::SIGTSTP);
        }
        blocked(&read).thread_block()?;
        // Children of a process that ignores SIGCHLD leave no exit status.
        disposition::set(libc::SIGCHLD, Disposition::Default)?;
        let descriptor = SignalFd::with_flags(&read, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        catch_sigxfsz();
        for signal in STOPS.into_iter().filter(|&signal| !inherited().ignored.contains(signal)) {
            take_over(signal)?;
        }
        Ok(Signals { descriptor, taken: 0, has_ctrlc: false })
    }

    /// Lets SIGINT come through ctrlc from now on. One handler replaces the other, so that no SIGINT is lost. If its
    /// thread can't be started, the handler stays that was there before.
    pub fn hand_interrupt_to_ctrlc(&mut self) {
        self.has_ctrlc = true;
        if inherited().ignored.contains(libc::SIGINT) {
            return;
        }
        let Ok(before) = disposition::get(libc::SIGINT) else { return };
        // ctrlc does not pass the signal on, so it handles SIGINT only.
        if ctrlc::set_handler(|| record(libc::SIGINT)).is_err() {
            disposition::restore(libc::SIGINT, &before);
        }
    }

    /// True if [`Signals::hand_interrupt_to_ctrlc`] was called.
    pub fn has_ctrlc(&self) -> bool {
        self.has_ctrlc
    }

    /// Returns the descriptor that is readable when there is something to [`take`](Signals::take).
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Returns what has arrived since the last call.
    pub fn take(&mut self) -> Arrivals {
        // One read is enough: the descriptor stays readable while another signal is pending.
        let read = self.descriptor.read_signal();
        // The end of a child must not be missed because the descriptor can't be read.
        let failed = read.is_err();
        let signal = read.ok().flatten().map(|info| info.ssi_signo as i32);
        let is = |wanted| signal == Some(wanted);
        Arrivals {
            stop: self.stops(),
            child: is(libc::SIGCHLD) || failed,
            resized: is(libc::SIGWINCH),
            suspend: is(libc::SIGTSTP),
            continued: is(libc::SIGCONT),
        }
    }

    /// Returns the signals to stop that have arrived since the last call.
    pub fn stops(&mut self) -> Vec<i32> {
        let mut stop = Vec::new();
        while let Some(signal) = ARRIVED.get(self.taken).map(|slot| slot.load(Ordering::Acquire)) {
            if signal == 0 {
                break;
            }
            stop.push(signal);
            self.taken += 1;
        }
        stop
    }
}

/// Returns the signals to block: those that are `read` from the descriptor, and those that would end prun.
fn blocked(read: &SigSet) -> SigSet {
    let mut blocked = SigSet::all();
    let stops = STOPS.into_iter().filter_map(|signal| Signal::try_from(signal).ok());
    stops
        .chain(NOT_BLOCKED)
        .filter(|signal| !read.contains(*signal))
        .for_each(|signal| blocked.remove(signal));
    blocked
}

fn take_over(signal: i32) -> io::Result<()> {
    // SAFETY: `record` makes only async-signal-safe calls, does not allocate and does not panic.
    unsafe { signal_hook::low_level::register(signal, move || record(signal)) }.map(drop)
}

/// Records a signal to stop, and ends prun if it is the third one. Async-signal-safe: atomics and plain
/// system calls.
fn record(signal: i32) {
    // A handler must preserve the errno of the code that it interrupts.
    let errno = Errno::last_raw();
    let now = now();
    if counts(signal, now) {
        match ARRIVED.get(COUNT.fetch_add(1, Ordering::AcqRel)) {
            Some(slot) => slot.store(signal, Ordering::Release),
            None => die(signal),
        }
        // SAFETY: plain system calls on numbers, which are async-signal-safe.
        unsafe { libc::kill(libc::getpid(), libc::SIGCHLD) };
    }
    Errno::set_raw(errno);
}

/// Treats a signal to stop that ended a task with the terminal to itself as if it had been sent to prun's
/// process group. Had prun been in the foreground, the terminal would have signalled the whole group: prun
/// itself, but also, for example, a shell that runs a script and ends its loop only if it gets the signal
/// too.
pub fn raise_in_group(signal: i32) {
    if inherited().ignored.contains(signal) {
        return;
    }
    record(signal);
    // prun ignores the signal meanwhile, because it was recorded already.
    if let Ok(before) = disposition::set(signal, Disposition::Ignore) {
        // SAFETY: a plain system call on numbers.
        unsafe { libc::kill(0, signal) };
        disposition::restore(signal, &before);
    }
}

/// True if SIGTSTP has its default effect on prun.
fn can_be_suspended() -> bool {
    !inherited().ignored.contains(libc::SIGTSTP) && !inherited().mask.contains(Signal::SIGTSTP)
}

/// Suspends prun, as the SIGTSTP that it has taken would have done. With `all` the whole process group is
/// suspended, as if a key had been pressed in the foreground. Returns when prun continues. Returns false if
/// it was not stopped at all: the kernel does not stop a process that no shell could continue (session
/// leaders, PID 1, orphaned groups).
pub fn suspend(all: bool) -> bool {
    // SIGTSTP discards a pending SIGCONT, so this one arrived later.
    if !can_be_suspended() || is_pending(libc::SIGCONT) {
        return false;
    }
    // SIGTSTP with its default action has no effect in an orphaned process group; SIGSTOP would have. SAFETY:
    // plain system calls on numbers.
    unsafe { if all { libc::kill(0, libc::SIGTSTP) } else { libc::raise(libc::SIGTSTP) } };
    let mut stop = SigSet::empty();
    stop.add(Signal::SIGTSTP);
    // It is blocked in every thread, and so pending. Unblocked here, it stops all threads.
    let _ = stop.thread_unblock();
    let _ = stop.thread_block();
    is_pending(libc::SIGCONT)
}

fn is_pending(signal: i32) -> bool {
    // SAFETY: the set is a plain C struct, for which zeroes are valid, and is filled by the call.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigpending(&mut set) == 0 && libc::sigismember(&set, signal) == 1
    }
}

/// True unless the same signal was counted a moment ago ([`REPEAT_NS`]).
fn counts(signal: i32, now: u64) -> bool {
    let Some(last) = STOPS.iter().position(|&s| s == signal).map(|i| &LAST[i]) else { return false };
    let before = last.load(Ordering::Acquire);
    let again = before != 0 && now.saturating_sub(before) < REPEAT_NS;
    // If two threads are here at once, one of them counts.
    !again && last.compare_exchange(before, now, Ordering::AcqRel, Ordering::Acquire).is_ok()
}

/// Returns the time of the monotonic clock in nanoseconds.
fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the struct is live and writable; clock_gettime is async-signal-safe.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Ends prun by this signal as if it had never been handled, so that its parent sees the true cause. If no
/// signal can end it (as PID 1), it exits with 128 + n. Async-signal-safe.
pub fn die(signal: i32) -> ! {
    terminal::restore();
    jobserver::return_tokens();
    let _ = disposition::set(signal, Disposition::Default);
    // SAFETY: the set and the limit are plain C structs on the stack, for which zeroes are valid; the rest
    // are plain system calls. A handled SIGQUIT must not write a core.
    unsafe {
        let no_core: libc::rlimit = std::mem::zeroed();
        libc::setrlimit(libc::RLIMIT_CORE, &no_core);
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&mut set, signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
        libc::raise(signal);
        libc::_exit(128 + signal)
    }
}

/// Makes writes beyond RLIMIT_FSIZE fail instead of ending prun. It installs a handler, because execve(2)
/// resets a handler to the default by itself, at no cost for the start; an ignored signal would stay ignored.
/// If SIGXFSZ was ignored before, it stays so, also for children.
fn catch_sigxfsz() {
    if !inherited().ignored.contains(libc::SIGXFSZ) {
        let _ = disposition::set_empty_handler(libc::SIGXFSZ);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_signal_counts_once_in_200_ms() {
        let ms = 1_000_000;
        let start = 5_000 * ms;
        assert!(counts(libc::SIGTERM, start));
        assert!(!counts(libc::SIGTERM, start + 199 * ms));
        assert!(counts(libc::SIGHUP, start + 1), "another signal counts at once");
        assert!(counts(libc::SIGTERM, start + 200 * ms));
        assert!(!counts(libc::SIGTERM, start + 399 * ms));
        assert!(!counts(libc::SIGUSR1, start), "no signal to stop");
    }
}
