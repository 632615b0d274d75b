//! The guardian: a process beside prun that kills what tasks have started when prun itself is killed.
//!
//! Nothing within prun helps against its SIGKILL. So the first act of a run is a fork. The copy waits for the
//! end of a pipe whose other end only prun holds. Then it kills every process whose start is live (see
//! [`super::live_starts`]), in passes, until two passes in a row find none.
//!
//! A signal that kills prun must not reach the guardian: it has a session, a group, a name and a mark of its
//! own, and blocks all signals. It keeps no descriptor of prun's open and no directory busy. When prun ends
//! by itself, it ends its guardian first.

use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::unistd::{ForkResult, Pid, fork};

use super::mark::Mark;
use super::marked::{self, Marked};
use super::{abort, cgroup, descendants, files, guardian_pid, limits, live_starts, proc, process};

/// The name that `ps` and `pkill -f` see instead of prun's own name and arguments.
const NAME: &[u8] = b"guardian";
/// The pause after a pass that found something. It doubles with each further pass, up to the longest.
const PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// The descriptor of the guardian's end of the pipe.
const LIFELINE: RawFd = 3;

/// Forks the guardian. Call it first in a run, while prun has a single thread and no children. PID 1 needs no
/// guardian: when it ends, the kernel ends its whole PID namespace.
///
/// # Errors
/// The fork failed, no memory can be shared (ENOMEM), or the caller is not the first thread (EBUSY).
pub fn start() -> nix::Result<()> {
    if nix::unistd::gettid() != nix::unistd::getpid() {
        // The copy could wait for ever for locks that other threads held at the fork.
        return Err(Errno::EBUSY);
    }
    if process::is_pid_1() {
        abort::install(None);
        return Ok(());
    }
    if pid().is_some() {
        return Ok(());
    }
    if !live_starts::share() {
        return Err(Errno::ENOMEM);
    }
    let (lifeline, ours) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    // Signals to prun's group must not kill the guardian, from its first instant on.
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    // SAFETY: prun has a single thread now, so the copy is complete: it may allocate and take locks.
    let forked = unsafe { fork() };
    if let Ok(ForkResult::Child) = forked {
        drop(ours);
        guard(lifeline);
    }
    before.thread_set_mask()?;
    if let Ok(ForkResult::Parent { child }) = forked {
        guardian_pid::set(child);
        // The kernel closes it at the end of prun, whatever the cause of that end is; the guardian has to see
        // every one.
        abort::install(Some(ours.into_raw_fd()));
    }
    forked.map(drop)
}

/// Returns the guardian's pid, if there is a guardian.
pub fn pid() -> Option<Pid> {
    guardian_pid::get()
}

/// True if this child of prun's is its guardian.
pub fn is_guardian(child: Pid) -> bool {
    pid() == Some(child)
}

/// Forgets the guardian, which was reaped. Returns `true` if it was still on duty, so that somebody else killed it.
pub fn forget() -> bool {
    guardian_pid::take();
    !live_starts::is_finished()
}

/// Ends the guardian's duty: what had to be stopped was stopped, and what still runs is meant to. Does nothing the second
/// time.
pub fn release() {
    if let Some(pid) = pid()
        && !live_starts::is_finished()
    {
        live_starts::set_finished();
        // Somebody else may have killed it; then only its zombie is there.
        let _ = process::kill(pid, libc::SIGKILL);
    }
}

/// Ends the guardian before prun itself ends, and removes the control group.
pub fn dismiss() {
    release();
    let guardian = guardian_pid::take();
    // The guardian may have been reaped with other children, between its release and now. While it ends, the group is
    // removed; it was never in that.
    if guardian.is_some() || live_starts::is_finished() || cgroup::was_opened() {
        cgroup::remove();
    }
    if let Some(pid) = guardian {
        process::reap(pid);
    }
}

// ---- in the guardian -------------------------------------------------------------------------------------

fn guard(lifeline: OwnedFd) -> ! {
    hide();
    let_go_of_descriptors(lifeline);
    // Made here, it costs prun no time.
    let _ = cgroup::make();
    live_starts::set_ready();
    while is_asked_to_stop_tasks() {
        abort::stop_tasks(&mut tasks, prun_lives);
        sweep(&mut tasks);
        live_starts::set_stopped();
    }
    if !live_starts::is_finished() {
        if !proc::is_available() {
            kill_groups();
        }
        sweep(&mut tasks);
        cgroup::remove();
    }
    // SAFETY: ends this process only, without running exit handlers that belong to prun.
    unsafe { libc::_exit(0) }
}

/// Changes everything by which somebody might kill prun or its tasks. A step that fails makes the guardian
/// easier to hit, and has no other effect.
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

/// In a prun that is a task of an outer run: marks this process as a guardian, so that the outer run's sweep
/// waits for it and does not kill it.
fn leave_outer_run() -> nix::Result<()> {
    let (soft, hard) = limits::rttime()?;
    match Mark::from_limit(soft) {
        Some(mark) => limits::set_rttime(mark.for_guardian().limit(), hard),
        None => Ok(()),
    }
}

/// Returns the memory from which the kernel shows this process's arguments and environment. Both are
/// writable.
fn own_strings() -> Option<[&'static mut [u8]; 2]> {
    // The name is the guardian's already.
    let text = proc::read("/proc/self/stat").ok()?;
    let fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    // Fields 48 to 51; the state, which follows the name, is field 3.
    let at: Vec<usize> = fields.skip(48 - 3).take(4).map_while(|field| field.parse().ok()).collect();
    let &[arguments, arguments_end, environment, environment_end] = at.as_slice() else { return None };
    let is_none = |start: usize, end: usize| start == 0 || end < start;
    if is_none(arguments, arguments_end) || is_none(environment, environment_end) {
        return None;
    }
    // SAFETY: the kernel reports these addresses; they are on the stack of the first thread, which stays. The
    // environment of libc and Rust's arguments, which point to the same strings, are not used any more by
    // this process, and it has a single thread.
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
    // If the last byte is not 0, the kernel shows only the first string; setproctitle(3) uses the same trick.
    *last = u8::from(room.len() > NAME.len());
}

/// Marks this process as a guardian in its environment, for kernels where the limits leave no room for marks.
fn leave_outer_environment(environment: &mut [u8]) {
    for variable in environment.split_mut(|&byte| byte == 0) {
        if variable.starts_with(marked::RUN_ID) {
            variable[..marked::GUARDS.len()].copy_from_slice(marked::GUARDS);
        }
    }
}

fn let_go_of_descriptors(lifeline: OwnedFd) {
    let null = files::dev_null().ok();
    // SAFETY: plain system calls on numbers. All descriptors belong to this process, and none that is
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

fn tasks() -> Vec<Marked> {
    descendants::of_run(live_starts::run().mark)
}

/// Blocks until prun has ended, which is the end of file of the pipe. Returns true if it aborts, and asks for its tasks
/// to be stopped first.
fn is_asked_to_stop_tasks() -> bool {
    let mut byte = 0u8;
    loop {
        // SAFETY: the byte is live and writable.
        match unsafe { libc::read(LIFELINE, (&raw mut byte).cast(), 1) } {
            -1 if Errno::last() == Errno::EINTR => {}
            count => return count == 1 && byte == abort::ASK,
        }
    }
}

/// True while prun has the other end of the pipe open.
fn prun_lives() -> bool {
    let mut lifeline = libc::pollfd { fd: LIFELINE, events: 0, revents: 0 };
    // SAFETY: the struct is live and writable.
    unsafe { libc::poll(&raw mut lifeline, 1, 0) <= 0 }
}

/// Kills the process groups of the live starts. Without `/proc` nothing else can be found. No member escapes by a fork:
/// the kernel signals the whole group at once.
fn kill_groups() {
    for group in live_starts::groups() {
        // A group that has gone meanwhile needs no signal.
        let _ = process::kill_group(Pid::from_raw(group), libc::SIGKILL);
    }
}

/// Kills everything that is live until two passes in a row find nothing: between two reads of `/proc` a
/// process may fork. It gives up only on processes that it is not permitted to kill.
fn sweep(marked: &mut dyn FnMut() -> Vec<Marked>) {
    let mut pause = PAUSE;
    let mut clean = 0;
    while clean < 2 {
        let found: Vec<Marked> =
            marked().into_iter().filter(|found| live_starts::is_live(found.mark)).collect();
        if !found.is_empty() {
            cgroup::kill_all();
        }
        // Guardians of inner runs are waited for: they kill what their own runs have started.
        let left = found.iter().filter(|found| match found.mark.is_guardian() {
            true => process::kill(found.pid, 0).is_ok(),
            false => descendants::signal(found, libc::SIGKILL) != Err(Errno::EPERM),
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
