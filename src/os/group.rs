//! Process groups that outlive their leader.
//!
//! After the leader was reaped its number may become another's, so `kill(-pgid)` is no longer allowed. A
//! pidfd that was opened before stands for the very group; since Linux 6.9 it can be signalled as a group.
//! Older kernels: member by member, each held by a pidfd of its own while it is looked at.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;

/// A group, also after its leader was reaped.
pub struct GroupHandle {
    leader: Stat,
    pidfd: OwnedFd,
}

/// linux/pidfd.h; not in the libc crate.
const PIDFD_SIGNAL_PROCESS_GROUP: u32 = 1 << 2;

impl GroupHandle {
    /// The group that this child leads. Open it before the child is reaped.
    pub fn open(leader: Pid) -> nix::Result<GroupHandle> {
        let pidfd = pidfd_open(leader)?;
        let leader = Stat::read(leader).ok_or(Errno::ESRCH)?;
        Ok(GroupHandle { leader, pidfd })
    }

    /// Sends a signal to all members. ESRCH: there are none.
    pub fn signal(&self, signal: i32) -> nix::Result<()> {
        match pidfd_send(&self.pidfd, signal, PIDFD_SIGNAL_PROCESS_GROUP) {
            Err(Errno::EINVAL) => self.signal_members(signal),
            result => result,
        }
    }

    /// Whether a member lives. Zombies don't: their parents may leave them about for as long as they like.
    pub fn alive(&self) -> bool {
        !alive([((), self)]).is_empty()
    }

    /// Certainly has no member, not even a zombie.
    fn is_empty(&self) -> bool {
        // Should the number be another group's by now, that is not touched.
        nix::sys::signal::killpg(self.leader.pid, None) == Err(Errno::ESRCH)
    }

    fn signal_members(&self, signal: i32) -> nix::Result<()> {
        let mut result = Err(Errno::ESRCH);
        for member in self.members().filter(|member| member.is_alive()) {
            let Ok(pidfd) = pidfd_open(member.pid) else { continue };
            // The number may have become another's before it was opened, but not since.
            if Stat::read(member.pid)
                .is_some_and(|now| now.group == member.group && now.start == member.start)
            {
                result = pidfd_send(&pidfd, signal, 0);
            }
        }
        result
    }

    fn members(&self) -> impl Iterator<Item = Stat> {
        // A number is given to a new process only when its group has no member left.
        let now = Stat::read(self.leader.pid);
        let ours = now.is_none_or(|now| now.start == self.leader.start);
        Stat::all().filter(move |stat| ours && stat.group == self.leader.pid.as_raw())
    }
}

/// Those of the groups that have a member that lives, looked for once for all.
pub fn alive<'a, K: Copy>(groups: impl IntoIterator<Item = (K, &'a GroupHandle)>) -> Vec<K> {
    let left: Vec<_> = groups.into_iter().filter(|(_, group)| !group.is_empty()).collect();
    if left.is_empty() {
        return Vec::new();
    }
    let all: Vec<Stat> = Stat::all().collect();
    let inhabited: HashSet<i32> = all.iter().filter(|stat| stat.is_alive()).map(|stat| stat.group).collect();
    let starts: HashMap<Pid, u64> = all.iter().map(|stat| (stat.pid, stat.start)).collect();
    // A number is given to a new process only when its group has no member left.
    let is_ours = |leader: &Stat| starts.get(&leader.pid).is_none_or(|start| *start == leader.start);
    let lives = |leader: &Stat| inhabited.contains(&leader.pid.as_raw()) && is_ours(leader);
    left.into_iter().filter(|(_, group)| lives(&group.leader)).map(|(key, _)| key).collect()
}

/// What `/proc/PID/stat` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub pid: Pid,
    state: State,
    pub parent: i32,
    group: i32,
    threads: u32,
    /// In clock ticks after boot; with the pid, it names a process for good.
    start: u64,
}

/// The state's letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State(u8);

impl State {
    /// Neither a zombie nor dead.
    fn is_alive(self) -> bool {
        !matches!(self.0, b'Z' | b'X' | b'x')
    }
}

impl Stat {
    /// One whose first thread has ended looks like a zombie, but the others run on.
    pub fn is_alive(&self) -> bool {
        self.state.is_alive() || self.threads > 1
    }

    pub fn all() -> impl Iterator<Item = Stat> {
        super::tree::pids().filter_map(Stat::read)
    }

    pub fn read(pid: Pid) -> Option<Stat> {
        if !super::tree::can_look() {
            return None;
        }
        Stat::parse(pid, &std::fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// `PID (NAME) STATE PPID PGRP …`; the name may hold anything, also parentheses.
    fn parse(pid: Pid, text: &[u8]) -> Option<Stat> {
        let after_name = memchr::memrchr(b')', text)? + 1;
        let mut fields = std::str::from_utf8(&text[after_name..]).ok()?.split_ascii_whitespace();
        let state = State(*fields.next()?.as_bytes().first()?);
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        // The number of threads is field 20 and the start time field 22; the group was field 5.
        let threads = fields.nth(20 - 5 - 1)?.parse().ok()?;
        let start = fields.nth(22 - 20 - 1)?.parse().ok()?;
        Some(Stat { pid, state, parent, group, threads, start })
    }
}

pub(super) fn pidfd_open(pid: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: a plain system call on numbers; the descriptor is close-on-exec.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    // SAFETY: the descriptor is new, so nothing else owns it.
    Errno::result(fd).map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

pub(super) fn pidfd_send(pidfd: &OwnedFd, signal: i32, flags: u32) -> nix::Result<()> {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open; without an info the call reads no memory.
    let result =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, info, flags) };
    Errno::result(result).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_parentheses_and_blanks() {
        let text = b"42 (a) Z (b c) S 1 77 77 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 123456 2 3\n";
        let stat = Stat::parse(Pid::from_raw(42), text).unwrap();
        assert_eq!((stat.group, stat.state, stat.start), (77, State(b'S'), 123456));
        assert_eq!((stat.parent, stat.threads), (1, 1));
        assert_eq!(Stat::parse(Pid::from_raw(42), b"42 (a) S 1"), None);
    }

    #[test]
    fn members_are_signalled_one_by_one_where_the_group_can_not_be() {
        use std::os::unix::process::{CommandExt, ExitStatusExt};
        let mut child = std::process::Command::new("sleep").arg("100").process_group(0).spawn().unwrap();
        let group = GroupHandle::open(Pid::from_raw(child.id() as i32)).unwrap();
        assert_eq!(group.members().count(), 1);
        // Had the number become another's meanwhile, that one's group would not be touched.
        let (leader, pidfd) =
            (Stat { start: group.leader.start - 1, ..group.leader }, group.pidfd.try_clone());
        let gone = GroupHandle { leader, pidfd: pidfd.unwrap() };
        assert_eq!(gone.signal_members(libc::SIGTERM), Err(Errno::ESRCH));
        group.signal_members(libc::SIGTERM).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
        assert_eq!(group.signal_members(libc::SIGTERM), Err(Errno::ESRCH));
    }

    #[test]
    fn one_finds_oneself() {
        let me = Stat::read(nix::unistd::getpid()).unwrap();
        assert!(me.is_alive());
        assert_eq!(me.group, nix::unistd::getpgrp().as_raw());
    }
}
