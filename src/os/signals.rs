//! What tells prun to stop or to be suspended, that a child has ended, and that the terminal's size is another.
//!
//! SIGCHLD is blocked in every thread and read from a signalfd: one `read` for all children that ended
//! meanwhile, and no handler; SIGWINCH, SIGTSTP and SIGCONT as well. SIGINT comes through ctrlc, which calls back on a thread of its own;
//! SIGTERM, SIGHUP and SIGQUIT through signal-hook, in the handler itself. Both note the signal in atomics
//! and then wake the loop by sending prun a SIGCHLD, so that there is one descriptor to wait for.
//!
//! The third signal to stop ends prun where it arrives, in the handler or on ctrlc's thread, so that it
//! works whatever the loop is doing.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::inherited::inherited;
use super::{jobserver, terminal};

/// The signals that stop prun.
const STOPS: [i32; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// The signals whose disposition prun, or Rust's runtime for it, changes: children get back what was given.
pub(super) const CHANGED: [i32; 6] =
    [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGPIPE, libc::SIGCHLD];

/// The same signal again within this time counts once: terminals and timeout(1) send to pid and to group.
const SAME: u64 = 200_000_000;

/// Signals that arrived, as the loop sees them.
pub struct Signals {
    descriptor: SignalFd,
    /// How many of `ARRIVED` the loop has seen.
    taken: usize,
}

/// What arrived since the last look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arrivals {
    /// Signals to stop, in their order.
    pub stop: Vec<i32>,
    /// Children may have ended.
    pub child: bool,
    /// prun's terminal may have another size.
    pub resized: bool,
    /// prun is to be suspended: Ctrl-Z ([`suspend`]).
    pub suspend: bool,
    /// prun was suspended, or stopped by a signal that nobody can take, and goes on.
    pub continued: bool,
}

/// How many signals to stop were counted.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// The first and the second of them; there is no third that anyone could look at.
static ARRIVED: [AtomicI32; 2] = [AtomicI32::new(0), AtomicI32::new(0)];
/// When each of `STOPS` was last counted, in nanoseconds; 0: never.
static LAST: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];

impl Signals {
    /// Takes the signals over. Call it once, before any other thread is there, so that all have those blocked that
    /// are read. From then on a write beyond RLIMIT_FSIZE fails, and does not end prun. A signal that was ignored when
    /// prun started stays ignored, one that was blocked stays so.
    pub fn install() -> io::Result<Signals> {
        let mut read = SigSet::empty();
        read.add(Signal::SIGCHLD);
        read.add(Signal::SIGWINCH);
        // Going on can't be blocked; only the news of it is.
        read.add(Signal::SIGCONT);
        if can_be_suspended() {
            read.add(Signal::SIGTSTP);
        }
        read.thread_block()?;
        // Children of a process that ignores SIGCHLD leave no status behind.
        set_default(libc::SIGCHLD);
        let descriptor = SignalFd::with_flags(&read, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        outlive_full_files();
        for signal in STOPS.into_iter().filter(|&signal| !inherited().ignored.contains(signal)) {
            take_over(signal)?;
        }
        Ok(Signals { descriptor, taken: 0 })
    }

    /// Readable when there is something to [`take`](Signals::take).
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// What arrived since the last call.
    pub fn take(&mut self) -> Arrivals {
        // One read is enough: what is left keeps the descriptor readable.
        let signal = self.descriptor.read_signal().ok().flatten().map(|info| info.ssi_signo as i32);
        let is = |wanted| signal == Some(wanted);
        Arrivals {
            stop: self.stops(),
            child: is(libc::SIGCHLD),
            resized: is(libc::SIGWINCH),
            suspend: is(libc::SIGTSTP),
            continued: is(libc::SIGCONT),
        }
    }

    /// Signals to stop that arrived since the last call.
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

fn take_over(signal: i32) -> io::Result<()> {
    if signal == libc::SIGINT {
        // ctrlc can't tell which signal came, so it is told to take this one only.
        return ctrlc::set_handler(|| arrived(libc::SIGINT)).map_err(io::Error::other);
    }
    // SAFETY: `arrived` calls only what a handler may call, allocates nothing and does not panic.
    unsafe { signal_hook::low_level::register(signal, move || arrived(signal)) }.map(drop)
}

/// Notes a signal. Called in a handler: only atomics and plain system calls.
fn arrived(signal: i32) {
    // A handler must leave errno to the code that it interrupts.
    let errno = Errno::last_raw();
    let now = now();
    if counts(signal, now) {
        match ARRIVED.get(COUNT.fetch_add(1, Ordering::AcqRel)) {
            Some(slot) => slot.store(signal, Ordering::Release),
            None => die(signal),
        }
        // SAFETY: plain system calls on numbers, which handlers may make.
        unsafe { libc::kill(libc::getpid(), libc::SIGCHLD) };
    }
    Errno::set_raw(errno);
}

/// A signal to stop ended a task that had the terminal to itself. It was meant for prun as well, which would have got
/// it had it been in the foreground.
///
/// So would everything else in prun's process group. A shell that runs a script, for example, ends its loop only if it
/// got the signal too.
pub fn feel(signal: i32) {
    if inherited().ignored.contains(signal) {
        return;
    }
    arrived(signal);
    // SAFETY: both actions are plain C structs, for which zeroes are valid, and live; the rest is numbers. Meanwhile
    // prun itself ignores the signal: it was counted.
    unsafe {
        let (mut ignore, mut before): (libc::sigaction, libc::sigaction) =
            (std::mem::zeroed(), std::mem::zeroed());
        ignore.sa_sigaction = libc::SIG_IGN;
        if libc::sigaction(signal, &ignore, &mut before) == 0 {
            libc::kill(0, signal);
            libc::sigaction(signal, &before, std::ptr::null_mut());
        }
    }
}

/// Whether SIGTSTP does what it does to any other program.
fn can_be_suspended() -> bool {
    !inherited().ignored.contains(libc::SIGTSTP) && !inherited().mask.contains(Signal::SIGTSTP)
}

/// Suspends prun, as the SIGTSTP that it took would have done; `all`: with its whole process group, as if a key had
/// been pressed in the foreground. Returns when prun goes on, and says whether it was stopped at all: where no shell
/// could let it go on (session leaders, PID 1, orphaned groups) the kernel does not stop it.
pub fn suspend(all: bool) -> bool {
    // A SIGTSTP takes away what is pending of SIGCONT: this one came after it.
    if !can_be_suspended() || is_pending(libc::SIGCONT) {
        return false;
    }
    // The default action of SIGTSTP, which knows of orphans; SIGSTOP does not.
    // SAFETY: plain system calls on numbers.
    unsafe { if all { libc::kill(0, libc::SIGTSTP) } else { libc::raise(libc::SIGTSTP) } };
    let mut stop = SigSet::empty();
    stop.add(Signal::SIGTSTP);
    // Blocked in every thread, it is pending; here it stops all of them.
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

/// Whether this is not the same signal again within so short a time that it was meant once.
fn counts(signal: i32, now: u64) -> bool {
    let Some(last) = STOPS.iter().position(|&s| s == signal).map(|i| &LAST[i]) else { return false };
    let before = last.load(Ordering::Acquire);
    let again = before != 0 && now.saturating_sub(before) < SAME;
    // Of two threads that are here at once, one counts.
    !again && last.compare_exchange(before, now, Ordering::AcqRel, Ordering::Acquire).is_ok()
}

/// Nanoseconds on the monotonic clock.
fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the struct is live and writable; handlers may read clocks.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Ends prun by this signal, as if it had never been handled, so that who waits for prun sees the truth.
/// Where no signal ends it (as PID 1), it exits with 128 + n. Made of what handlers may call.
pub fn die(signal: i32) -> ! {
    terminal::rescue();
    jobserver::rescue();
    set_default(signal);
    // SAFETY: the set and the limit are plain C structs on the stack, for which zeroes are valid; the rest
    // are plain system calls. No core is written for a SIGQUIT that was obeyed.
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

/// With a handler rather than by ignoring the signal: that ends by itself when a child executes, at no cost of its
/// start. If it was ignored before, it stays so, for children as well.
fn outlive_full_files() {
    extern "C" fn nothing(_: i32) {}
    if inherited().ignored.contains(libc::SIGXFSZ) {
        return;
    }
    // SAFETY: sigaction is a plain C struct, for which zeroes are valid; the handler does nothing.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(i32) as usize;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(libc::SIGXFSZ, &action, std::ptr::null_mut());
    }
}

fn set_default(signal: i32) {
    // SAFETY: sigaction is a plain C struct, for which zeroes are valid: the default action, no flags. It is
    // only read during the call, which handlers may make.
    unsafe {
        let action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, &action, std::ptr::null_mut());
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
