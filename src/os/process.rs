//! Children: how they ended, what they used, and the end of their zombies.

use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;

/// What happened to a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed {
    pub pid: Pid,
    pub change: Change,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It has ended and was not yet reaped.
    Exited(Exit),
    /// It was stopped by this signal; told once.
    Stopped(i32),
}

/// What a process used, and with it all descendants that it waited for (getrusage(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Of the processors, in user mode and in the system.
    pub user: Duration,
    pub system: Duration,
    /// The most memory that was resident at once in one of them, in bytes.
    pub memory: u64,
}

/// How a process ended, as the kernel told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Code(u8),
    Signal(i32),
}

/// A child that something happened to, if there is one. If it has ended, it stays a zombie, so that its pid and its
/// group can't be another's, until [`reap`].
pub fn peek() -> Option<Changed> {
    let changed = wait_any().ok().flatten()?;
    if let Change::Stopped(_) = changed.change {
        forget_stop(changed.pid);
    }
    Some(changed)
}

/// Whether prun has children, running or ended. As subreaper it has those too that its children left. Its guardian is
/// none of them.
pub fn own_children() -> bool {
    match super::guardian::pid() {
        None => wait_any() != Err(Errno::ECHILD),
        Some(_) => !super::tree::children().is_empty(),
    }
}

/// Whether prun is PID 1: with it, everything of its namespace ends.
pub fn is_first() -> bool {
    nix::unistd::getpid().as_raw() == 1
}

/// nix's own `waitid` gives up on a child that was killed by a real-time signal.
fn wait_any() -> nix::Result<Option<Changed>> {
    let flags = libc::WEXITED | libc::WSTOPPED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: siginfo_t is a plain C struct, for which zeroes are valid.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: the struct is live and writable for the call.
    while let Err(error) = Errno::result(unsafe { libc::waitid(libc::P_ALL, 0, &mut info, flags) }) {
        if error != Errno::EINTR {
            return Err(error);
        }
    }
    // SAFETY: waitid has filled these fields, or left the struct zeroed if there was nothing to tell.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    let change = match info.si_code {
        libc::CLD_EXITED => Change::Exited(Exit::Code(status as u8)),
        libc::CLD_STOPPED => Change::Stopped(status),
        _ => Change::Exited(Exit::Signal(status)),
    };
    Ok((pid != 0).then_some(Changed { pid: Pid::from_raw(pid), change }))
}

/// The stop was told.
fn forget_stop(pid: Pid) {
    let flags = libc::WSTOPPED | libc::WNOHANG;
    // SAFETY: siginfo_t is a plain C struct, for which zeroes are valid; the call may fill it. If the child goes on
    // meanwhile, there is nothing to forget.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        libc::waitid(libc::P_PID, pid.as_raw() as libc::id_t, &mut info, flags);
    }
}

/// Takes an ended child's zombie away; from then on its pid may be another's.
pub fn reap(pid: Pid) -> Usage {
    // SAFETY: rusage is a plain C struct, for which zeroes are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the struct is live and writable; without a place for the status none is written.
    while unsafe { libc::wait4(pid.as_raw(), std::ptr::null_mut(), 0, &mut usage) } == -1
        && Errno::last() == Errno::EINTR
    {}
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    Usage {
        user: time(usage.ru_utime),
        system: time(usage.ru_stime),
        // In KiB on Linux.
        memory: usage.ru_maxrss as u64 * 1024,
    }
}

/// Sends a signal to a child that was not yet reaped.
pub fn kill(pid: Pid, signal: i32) -> nix::Result<()> {
    // SAFETY: a plain system call on numbers; the pid is still the child's.
    nix::errno::Errno::result(unsafe { nix::libc::kill(pid.as_raw(), signal) }).map(drop)
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

/// From now on, processes that lose their parent among prun's descendants become prun's children.
pub fn become_subreaper() -> nix::Result<()> {
    nix::sys::prctl::set_child_subreaper(true)
}
