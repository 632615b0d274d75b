//! Children: how they ended, and the end of their zombies.

use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;

/// A child that has ended and was not yet reaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exited {
    pub pid: Pid,
    pub exit: Exit,
}

/// How a process ended, as the kernel told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Code(u8),
    Signal(i32),
}

/// A child that has ended, if there is one. It stays a zombie, so that its pid and its group can't be
/// another's, until [`reap`].
pub fn peek() -> Option<Exited> {
    match wait_any() {
        Ok(Some(exited)) => Some(exited),
        Ok(None) | Err(_) => None,
    }
}

/// Whether prun has children, running or ended. As subreaper it has those too that its children left.
pub fn own_children() -> bool {
    wait_any() != Err(Errno::ECHILD)
}

/// nix's own `waitid` gives up on a child that was killed by a real-time signal.
fn wait_any() -> nix::Result<Option<Exited>> {
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
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
    let exit = match info.si_code {
        libc::CLD_EXITED => Exit::Code(status as u8),
        _ => Exit::Signal(status),
    };
    Ok((pid != 0).then_some(Exited { pid: Pid::from_raw(pid), exit }))
}

/// Takes an ended child's zombie away; from then on its pid may be another's.
pub fn reap(pid: Pid) {
    // SAFETY: waiting for a child without asking for its status touches no memory.
    while unsafe { libc::waitpid(pid.as_raw(), std::ptr::null_mut(), 0) } == -1
        && Errno::last() == Errno::EINTR
    {}
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
