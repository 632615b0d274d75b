//! Children: waiting for state changes, reaping, and signals to children that were not reaped.

use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;

/// A child whose state has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed {
    pub pid: Pid,
    pub change: Change,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It has ended and was not reaped yet.
    Exited(Exit),
    /// It was stopped by this signal. Each stop is reported once.
    Stopped(i32),
}

/// The resources that a process used, and with it all descendants that it waited for (getrusage(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Processor time in user mode; `system` is that in the kernel.
    pub user: Duration,
    pub system: Duration,
    /// The largest resident set of any one of these processes, in bytes.
    pub memory: u64,
}

/// How a process ended, as the kernel reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Code(u8),
    Signal(i32),
}

/// Returns a child whose state has changed, if there is one. An ended child stays a zombie until [`reap`], so
/// that its pid and its group number can't be reused.
pub fn peek() -> Option<Changed> {
    let changed = wait_any().ok().flatten()?;
    if let Change::Stopped(_) = changed.change {
        consume_stop(changed.pid);
    }
    Some(changed)
}

/// True if prun has children, alive or zombies; its guardian is counted among them.
pub(super) fn has_children() -> bool {
    wait_any() != Err(Errno::ECHILD)
}

/// True if prun is PID 1. When it ends, the kernel ends its whole PID namespace.
pub fn is_pid_1() -> bool {
    nix::unistd::getpid().as_raw() == 1
}

/// Returns how a child has ended that was not reaped; `None` if it runs.
pub fn exit_of(pid: Pid) -> Option<Exit> {
    match wait_for(libc::P_PID, pid.as_raw() as libc::id_t, libc::WEXITED).ok()??.change {
        Change::Exited(exit) => Some(exit),
        Change::Stopped(_) => None,
    }
}

fn wait_any() -> nix::Result<Option<Changed>> {
    wait_for(libc::P_ALL, 0, libc::WEXITED | libc::WSTOPPED)
}

/// Looks for a child whose state has changed, without waiting and without reaping it. nix's `waitid` fails for a child
/// that was killed by a real-time signal.
fn wait_for(kind: libc::idtype_t, id: libc::id_t, changes: i32) -> nix::Result<Option<Changed>> {
    let flags = changes | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: siginfo_t is a plain C struct, for which zeroes are valid.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: the struct is live and writable for the call.
    while let Err(error) = Errno::result(unsafe { libc::waitid(kind, id, &mut info, flags) }) {
        if error != Errno::EINTR {
            return Err(error);
        }
    }
    // SAFETY: waitid has filled these fields, or left the struct zeroed if no child has changed.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    let change = match info.si_code {
        libc::CLD_EXITED => Change::Exited(Exit::Code(status as u8)),
        libc::CLD_STOPPED => Change::Stopped(status),
        _ => Change::Exited(Exit::Signal(status)),
    };
    Ok((pid != 0).then_some(Changed { pid: Pid::from_raw(pid), change }))
}

/// Consumes a reported stop.
fn consume_stop(pid: Pid) {
    let flags = libc::WSTOPPED | libc::WNOHANG;
    // SAFETY: siginfo_t is a plain C struct, for which zeroes are valid; the call may fill it. If the child
    // was continued meanwhile, the call has nothing to consume.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        libc::waitid(libc::P_PID, pid.as_raw() as libc::id_t, &mut info, flags);
    }
}

/// Reaps an ended child. From then on its pid may be reused.
pub fn reap(pid: Pid) -> Usage {
    // SAFETY: rusage is a plain C struct, for which zeroes are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the struct is live and writable; without a status pointer no status is written.
    while unsafe { libc::wait4(pid.as_raw(), std::ptr::null_mut(), 0, &mut usage) } == -1
        && Errno::last() == Errno::EINTR
    {}
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    Usage {
        user: time(usage.ru_utime),
        system: time(usage.ru_stime),
        // KiB on Linux.
        memory: usage.ru_maxrss as u64 * 1024,
    }
}

/// Sends a signal to a child that was not yet reaped.
pub fn kill(pid: Pid, signal: i32) -> nix::Result<()> {
    // SAFETY: a plain system call on numbers; the pid is still the child's.
    Errno::result(unsafe { libc::kill(pid.as_raw(), signal) }).map(drop)
}

/// Sends a signal to the process group that a child leads which was not yet reaped. A child that has not made its group
/// yet, because it was started a moment ago, gets the signal alone.
pub fn kill_group_of(child: Pid, signal: i32) -> nix::Result<()> {
    match kill_group(child, signal) {
        Err(Errno::ESRCH) => kill(child, signal),
        result => result,
    }
}

/// Sends a signal to a process group whose leader was not yet reaped.
pub fn kill_group(leader: Pid, signal: i32) -> nix::Result<()> {
    // A group 0 or 1 would be prun's own or everybody's.
    if leader.as_raw() <= 1 {
        return Err(Errno::EINVAL);
    }
    // SAFETY: a plain system call on numbers.
    Errno::result(unsafe { libc::kill(-leader.as_raw(), signal) }).map(drop)
}

/// Makes prun the subreaper of its descendants (PR_SET_CHILD_SUBREAPER, prctl(2)): orphans among them become
/// prun's children.
pub fn become_subreaper() -> nix::Result<()> {
    nix::sys::prctl::set_child_subreaper(true)
}
