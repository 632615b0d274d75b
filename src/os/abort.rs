//! The end of prun by abort(3): no memory could be had, a panic, a broken invariant of the C library.
//!
//! The kernel would kill prun's children with it (their parent-death signal), and they could save nothing. So the
//! handler of SIGABRT keeps prun alive until its tasks have been stopped as in any other stop: SIGTERM, the grace
//! period, SIGKILL. After a failure the handler can trust nothing in prun's memory, so it asks the guardian to do that,
//! through the pipe by which the guardian learns of prun's end, and waits.
//!
//! PID 1 has no guardian. There the handler signals the whole PID namespace, which ends with prun in any case.

use std::collections::HashSet;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

use nix::libc;
use nix::unistd::Pid;

use super::disposition::{self, Disposition};
use super::inherited::inherited;
use super::marked::Marked;
use super::{descendants, jobserver, live_starts, terminal};

/// The byte by which the guardian is asked.
pub(super) const ASK: u8 = b'!';

/// The pause between two looks at what is left. It doubles with each look, up to the longest.
const PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// The time that the guardian may take beyond the grace period.
const KILL_LIMIT: Duration = Duration::from_secs(5);

const MESSAGE: &[u8] =
    b"prun: a failure of its own ends prun: its tasks are stopped with SIGTERM, and with SIGKILL after the grace period\n";

/// prun's pid.
static PRUN: AtomicI32 = AtomicI32::new(0);
/// The writing end of the pipe to the guardian; -1 without one.
static LIFELINE: AtomicI32 = AtomicI32::new(-1);
static STARTED: AtomicBool = AtomicBool::new(false);

/// Installs the handler. `lifeline` is the writing end of the pipe to the guardian; PID 1 has none.
pub(super) fn install(lifeline: Option<RawFd>) {
    // Made here: a handler can't wait for it to be made.
    live_starts::share();
    PRUN.store(pid(), Ordering::Relaxed);
    LIFELINE.store(lifeline.unwrap_or(-1), Ordering::Release);
    if !inherited().ignored.contains(libc::SIGABRT) {
        let _ = disposition::set_handler(libc::SIGABRT, on_abort);
    }
}

/// Stops all tasks, and then lets prun die of SIGABRT. Async-signal-safe: atomics and plain system calls.
extern "C" fn on_abort(_: i32) {
    // A child that has not executed its program yet has no part in this.
    if pid() == PRUN.load(Ordering::Relaxed) {
        if STARTED.swap(true, Ordering::AcqRel) {
            // Another thread is here already, and ends this one too.
            loop {
                // SAFETY: a plain system call.
                unsafe { libc::pause() };
            }
        }
        live_starts::set_aborting();
        // SAFETY: the bytes are live. If stderr is closed, nobody can be told.
        unsafe { libc::write(libc::STDERR_FILENO, MESSAGE.as_ptr().cast(), MESSAGE.len()) };
        match LIFELINE.load(Ordering::Acquire) {
            -1 => stop_namespace(),
            lifeline => ask_guardian(lifeline),
        }
        terminal::restore();
        jobserver::return_tokens();
    }
    let _ = disposition::set(libc::SIGABRT, Disposition::Default);
    // SAFETY: the set is a plain C struct, for which zeroes are valid; the rest are plain system calls.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&mut set, libc::SIGABRT);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
        libc::raise(libc::SIGABRT);
        libc::_exit(128 + libc::SIGABRT)
    }
}

fn pid() -> libc::pid_t {
    nix::unistd::getpid().as_raw()
}

fn ask_guardian(lifeline: RawFd) {
    // SAFETY: the byte is live.
    let asked = unsafe { libc::write(lifeline, [ASK].as_ptr().cast(), 1) };
    if asked == 1 {
        live_starts::wait_until_stopped(live_starts::grace() + KILL_LIMIT);
    }
}

/// Stops all processes of the PID namespace whose PID 1 prun is.
fn stop_namespace() {
    if pid() != 1 {
        return;
    }
    let end = Instant::now() + live_starts::grace();
    // SAFETY: plain system calls on numbers; -1 is everything but PID 1 itself. What is left is killed by the kernel.
    unsafe {
        libc::kill(-1, libc::SIGTERM);
        libc::kill(-1, libc::SIGCONT);
        while libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) != -1 && Instant::now() < end {
            libc::poll(std::ptr::null_mut(), 0, 5);
        }
    }
}

/// In the guardian: sends SIGTERM to everything that is live and waits for its end, until the grace period is over or
/// `prun_lives` does not hold any more.
pub(super) fn stop_tasks(marked: &mut dyn FnMut() -> Vec<Marked>, prun_lives: impl Fn() -> bool) {
    let end = Instant::now() + live_starts::grace();
    let mut told: HashSet<Pid> = HashSet::new();
    let mut pause = PAUSE;
    loop {
        let mut live = marked();
        live.retain(|found| live_starts::is_live(found.mark) && !found.mark.is_guardian());
        if live.is_empty() || Instant::now() >= end || !prun_lives() {
            return;
        }
        for found in live.iter().filter(|found| told.insert(found.pid)) {
            // It may have ended since, or belong to somebody else.
            let _ = descendants::signal(found, libc::SIGTERM);
            let _ = descendants::signal(found, libc::SIGCONT);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
