//! The pid of the guardian, and the wait until it is ready.
//!
//! It has a module of its own because modules below [`super::guardian`] ask for it: the guardian is no task, so it
//! is not counted among prun's children, and it makes the run's control group.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use nix::unistd::Pid;

use super::live_starts;

/// 0 if there is no guardian.
static PID: AtomicI32 = AtomicI32::new(0);

/// The longest wait for the guardian. If it is never ready, because somebody stopped or killed it, the run goes on.
const READY_TIMEOUT: Duration = Duration::from_secs(1);

/// Returns the guardian's pid, if there is a guardian.
pub(super) fn get() -> Option<Pid> {
    pid(PID.load(Ordering::Acquire))
}

pub(super) fn set(guardian: Pid) {
    PID.store(guardian.as_raw(), Ordering::Release);
}

/// Forgets the guardian, and returns the pid that it had.
pub(super) fn take() -> Option<Pid> {
    pid(PID.swap(0, Ordering::AcqRel))
}

fn pid(number: i32) -> Option<Pid> {
    (number != 0).then(|| Pid::from_raw(number))
}

/// Waits until a signal that kills prun would not reach the guardian. Called before the first task is started; the
/// guardian has had all the time since its fork, so there is rarely something to wait for.
pub(super) fn wait_until_ready() {
    static SEEN: AtomicBool = AtomicBool::new(false);
    if !SEEN.load(Ordering::Relaxed) {
        if get().is_some() {
            live_starts::wait_until_ready(READY_TIMEOUT);
        }
        SEEN.store(true, Ordering::Relaxed);
    }
}
