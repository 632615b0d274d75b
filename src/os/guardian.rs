//! The guardian: a process beside prun that kills what prun's tasks started when prun is gone.
//!
//! Nothing that prun does itself helps when it is killed by SIGKILL. So the first thing of a run is a fork: the copy
//! waits for the end of a pipe that prun alone holds open, and then kills every process whose start is live on the
//! roll (see [`super::roll`]), pass after pass, until two in a row find none.
//!
//! What kills prun must not reach it: it has a session, a group, a name and a mark of its own, and blocks all
//! signals. It holds nothing of prun's open, and no folder busy. When prun comes to its end by itself, it says so
//! and takes its guardian with it.

use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::unistd::{ForkResult, Pid, fork};

use super::mark::Mark;
use super::tree::{self, Found};
use super::{cgroup, live_starts, process};

/// What `ps` and `pkill -f` see in place of prun's own name and arguments.
const NAME: &[u8] = b"guardian";
/// Between two passes that both found something; each further one waits twice as long, up to the longest.
const PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// Should it never be ready, because somebody stopped or killed it, the run goes on.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// The guardian's end of the pipe.
const LIFELINE: RawFd = 3;

/// 0: there is none.
static GUARDIAN: AtomicI32 = AtomicI32::new(0);

/// Forks the guardian. Called before anything else of a run: while prun has a single thread and no children.
///
/// # Errors
/// No process or no memory could be had, or this is not the first thread. PID 1 needs no guardian: with it all of its namespace ends.
pub fn post() -> nix::Result<()> {
    if nix::unistd::gettid() != nix::unistd::getpid() {
        // A copy of another thread could wait for ever for locks that the others held.
        return Err(Errno::EBUSY);
    }
    if process::is_first() || GUARDIAN.load(Ordering::Acquire) != 0 {
        return Ok(());
    }
    if !live_starts::open() {
        return Err(Errno::ENOMEM);
    }
    let (lifeline, ours) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    // From its first instant on it must not die of what is sent to prun's group.
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    // SAFETY: prun has a single thread now, so that the copy is whole: it may allocate and take locks.
    let forked = unsafe { fork() };
    if let Ok(ForkResult::Child) = forked {
        drop(ours);
        guard(lifeline);
    }
    before.thread_set_mask()?;
    if let Ok(ForkResult::Parent { child }) = forked {
        GUARDIAN.store(child.as_raw(), Ordering::Release);
        // Closed by the end of prun, whatever kind of end that is: the guardian is to see all of them.
        let _ = ours.into_raw_fd();
    }
    forked.map(drop)
}

/// Before the first task is started: waits until what kills prun would not reach the guardian. It had all the time
/// since it was forked, so that there is rarely something to wait for.
pub(super) fn wait_until_ready() {
    static SEEN: AtomicBool = AtomicBool::new(false);
    if !SEEN.load(Ordering::Relaxed) {
        if pid().is_some() {
            live_starts::wait_until_ready(LONGEST_WAIT);
        }
        SEEN.store(true, Ordering::Relaxed);
    }
}

/// The guardian's pid, if there is one.
pub fn pid() -> Option<Pid> {
    Some(GUARDIAN.load(Ordering::Acquire)).filter(|&pid| pid != 0).map(Pid::from_raw)
}

/// Whether this child of prun's is its guardian.
pub fn is(child: Pid) -> bool {
    pid() == Some(child)
}

/// The guardian has ended although it was not dismissed, and was reaped: somebody killed it.
pub fn forget() {
    GUARDIAN.store(0, Ordering::Release);
}

/// All that was to be stopped was, and what still runs is meant to: the guardian may end.
pub fn release() {
    if let Some(pid) = pid() {
        live_starts::set_well();
        // It may have been killed by somebody else; then there is only its zombie.
        let _ = process::kill(pid, libc::SIGKILL);
    }
}

/// prun is about to end: the guardian ends before it does.
pub fn dismiss() {
    release();
    let pid = GUARDIAN.swap(0, Ordering::AcqRel);
    if pid != 0 {
        process::reap(Pid::from_raw(pid));
    }
    if pid != 0 || cgroup::was_wanted() {
        cgroup::close();
    }
}

// ---- in the guardian -------------------------------------------------------------------------------------

fn guard(lifeline: OwnedFd) -> ! {
    hide();
    let_go_of_descriptors(lifeline);
    // Here it costs prun no time.
    let _ = cgroup::make();
    live_starts::set_ready();
    wait_for_the_end();
    if !live_starts::is_well() {
        sweep(&mut || tree::marked(live_starts::run().mark));
        cgroup::close();
    }
    // SAFETY: ends this process only, without running anything of prun's.
    unsafe { libc::_exit(0) }
}

/// Nothing by which prun or its tasks may be killed is to fit the guardian. What fails here leaves it easier to find,
/// and nothing more.
fn hide() {
    let _ = nix::unistd::setsid();
    let _ = nix::unistd::chdir("/");
    let _ = nix::sys::prctl::set_name(c"guardian");
    let _ = leave_outer_run();
    if let Some([arguments, environment]) = own_strings() {
        rename(arguments);
        leave_outer_environment(environment);
    }
}

/// Within a task of another run: a sweep of that one must wait for this guardian, but must not kill it.
fn leave_outer_run() -> nix::Result<()> {
    let (soft, hard) = super::limits::rttime()?;
    match Mark::of_limit(soft) {
        Some(mark) => super::limits::set_rttime(mark.of_guardian().limit(), hard),
        None => Ok(()),
    }
}

/// Where the kernel shows this process's arguments and environment from: both can be written.
fn own_strings() -> Option<[&'static mut [u8]; 2]> {
    let text = std::fs::read("/proc/self/stat").ok()?;
    let after_name = memchr::memrchr(b')', &text)? + 1;
    let fields = std::str::from_utf8(&text[after_name..]).ok()?.split_ascii_whitespace();
    // Fields 48 to 51; the state, which follows the name, is field 3.
    let at: Vec<usize> = fields.skip(48 - 3).take(4).map_while(|field| field.parse().ok()).collect();
    let &[arguments, arguments_end, environment, environment_end] = at.as_slice() else { return None };
    let is_none = |start: usize, end: usize| start == 0 || end < start;
    if is_none(arguments, arguments_end) || is_none(environment, environment_end) {
        return None;
    }
    // SAFETY: the kernel says that the strings are there, on the stack of the first thread, which stays. What else
    // points to them (the environment of libc, Rust's arguments) is not used any more by this process, which has
    // a single thread.
    unsafe {
        let strings = |start: usize, end: usize| {
            std::slice::from_raw_parts_mut(std::ptr::with_exposed_provenance_mut::<u8>(start), end - start)
        };
        Some([strings(arguments, arguments_end), strings(environment, environment_end)])
    }
}

fn rename(arguments: &mut [u8]) {
    arguments.fill(0);
    let Some((last, room)) = arguments.split_last_mut() else { return };
    let length = NAME.len().min(room.len());
    room[..length].copy_from_slice(&NAME[..length]);
    // If the last byte is not 0, as setproctitle(3) leaves it, the kernel shows no more than the first string.
    *last = u8::from(room.len() > NAME.len());
}

/// The guardian of an inner run is told from its tasks where the limits leave no room for marks, too.
fn leave_outer_environment(environment: &mut [u8]) {
    for variable in environment.split_mut(|&byte| byte == 0) {
        if variable.starts_with(tree::RUN_ID) {
            variable[..tree::GUARDS.len()].copy_from_slice(tree::GUARDS);
        }
    }
}

fn let_go_of_descriptors(lifeline: OwnedFd) {
    let null = super::files::dev_null().ok();
    // SAFETY: plain system calls on numbers; all descriptors are this process's own, and none of those that are
    // overwritten or closed is used again.
    unsafe {
        for fd in 0..LIFELINE {
            match &null {
                Some(null) => libc::dup2(null.as_raw_fd(), fd),
                None => libc::close(fd),
            };
        }
        let lifeline = lifeline.into_raw_fd();
        if lifeline != LIFELINE {
            libc::dup2(lifeline, LIFELINE);
        }
        std::mem::forget(null);
        let first = LIFELINE as libc::c_uint + 1;
        if libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) == -1 {
            // Before Linux 5.9.
            let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
            let open: Vec<RawFd> = open.filter_map(|fd| fd.file_name().to_str()?.parse().ok()).collect();
            open.into_iter().filter(|&fd| fd > LIFELINE).for_each(|fd| _ = libc::close(fd));
        }
    }
}

/// Nobody ever writes: the end of the pipe is the end of prun.
fn wait_for_the_end() {
    let mut byte = 0u8;
    // SAFETY: the byte is live and writable.
    while unsafe { libc::read(LIFELINE, (&raw mut byte).cast(), 1) } == -1 && Errno::last() == Errno::EINTR {}
}

/// Kills all that is live until two passes in a row find none: a process may have been forked behind the first one's
/// back. It never gives up while it finds some, but on those that it may not kill.
fn sweep(marked: &mut dyn FnMut() -> Vec<Found>) {
    let mut pause = PAUSE;
    let mut clean = 0;
    while clean < 2 {
        let found: Vec<Found> =
            marked().into_iter().filter(|found| live_starts::is_live(found.mark)).collect();
        if !found.is_empty() {
            cgroup::kill_all();
        }
        // Others' guardians are waited for: they kill what their runs started.
        let left = found.iter().filter(|found| match found.mark.is_guardian() {
            true => process::kill(found.pid, 0).is_ok(),
            false => tree::signal(found, libc::SIGKILL) != Err(Errno::EPERM),
        });
        if left.count() == 0 {
            clean += 1;
            std::thread::yield_now();
        } else {
            clean = 0;
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
