//! Process groups that outlive their leader.
//!
//! Once the leader was reaped, its pid may become that of another process, so `kill(-pgid)` is no longer
//! allowed. A pidfd that was opened before keeps referring to the same group, and since Linux 6.9 the whole
//! group can be signalled through it. On older kernels the members are signalled one by one, each held by a
//! pidfd of its own while it is checked.

use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::unistd::Pid;

use super::pidfd;
use super::proc::Stat;

/// A process group, also after its leader was reaped.
pub struct GroupHandle {
    leader: Stat,
    pidfd: OwnedFd,
}

/// linux/pidfd.h; not in the libc crate.
const PIDFD_SIGNAL_PROCESS_GROUP: u32 = 1 << 2;

impl GroupHandle {
    /// Opens the group that this child leads. Call it before the child is reaped.
    pub fn open(leader: Pid) -> nix::Result<GroupHandle> {
        let pidfd = pidfd::open(leader)?;
        let leader = Stat::read(leader).ok_or(Errno::ESRCH)?;
        Ok(GroupHandle { leader, pidfd })
    }

    /// Sends a signal to all members.
    ///
    /// # Errors
    /// ESRCH if the group has no member.
    pub fn signal(&self, signal: i32) -> nix::Result<()> {
        match pidfd::send(&self.pidfd, signal, PIDFD_SIGNAL_PROCESS_GROUP) {
            Err(Errno::EINVAL) => self.signal_members(signal),
            result => result,
        }
    }

    /// True if the group has a live member. Zombies do not count: their parents may leave them unreaped for
    /// any time.
    pub fn alive(&self) -> bool {
        !alive([((), self)]).is_empty()
    }

    /// True if the group certainly has no member, not even a zombie.
    fn is_empty(&self) -> bool {
        // Signal 0 does no harm if the number belongs to another group by now.
        nix::sys::signal::killpg(self.leader.pid, None) == Err(Errno::ESRCH)
    }

    fn signal_members(&self, signal: i32) -> nix::Result<()> {
        let mut result = Err(Errno::ESRCH);
        for member in self.members().filter(|member| member.is_alive()) {
            let Ok(pidfd) = pidfd::open(member.pid) else { continue };
            // The pid may have been reused before the pidfd was opened, but not since.
            if Stat::read(member.pid)
                .is_some_and(|now| now.group == member.group && now.start == member.start)
            {
                result = pidfd::send(&pidfd, signal, 0);
            }
        }
        result
    }

    fn members(&self) -> impl Iterator<Item = Stat> {
        // The kernel reuses a pid only when no group with that number has a member left.
        let now = Stat::read(self.leader.pid);
        let ours = now.is_none_or(|now| now.start == self.leader.start);
        Stat::all().filter(move |stat| ours && stat.group == self.leader.pid.as_raw())
    }
}

/// Returns the keys of those groups that have a live member. `/proc` is read once for all of them.
pub fn alive<'a, K: Copy>(groups: impl IntoIterator<Item = (K, &'a GroupHandle)>) -> Vec<K> {
    let left: Vec<_> = groups.into_iter().filter(|(_, group)| !group.is_empty()).collect();
    if left.is_empty() {
        return Vec::new();
    }
    let all: Vec<Stat> = Stat::all().collect();
    let inhabited: HashSet<i32> = all.iter().filter(|stat| stat.is_alive()).map(|stat| stat.group).collect();
    let starts: HashMap<Pid, u64> = all.iter().map(|stat| (stat.pid, stat.start)).collect();
    // The kernel reuses a pid only when no group with that number has a member left.
    let is_ours = |leader: &Stat| starts.get(&leader.pid).is_none_or(|start| *start == leader.start);
    let lives = |leader: &Stat| inhabited.contains(&leader.pid.as_raw()) && is_ours(leader);
    left.into_iter().filter(|(_, group)| lives(&group.leader)).map(|(key, _)| key).collect()
}

#[cfg(test)]
mod tests {
    use nix::libc;

    use super::*;

    #[test]
    fn members_are_signalled_one_by_one_where_the_group_can_not_be() {
        use std::os::unix::process::{CommandExt, ExitStatusExt};
        let mut child = std::process::Command::new("sleep").arg("100").process_group(0).spawn().unwrap();
        let group = GroupHandle::open(Pid::from_raw(child.id() as i32)).unwrap();
        assert_eq!(group.members().count(), 1);
        // If the pid had been reused meanwhile, the new owner's group would not be touched.
        let (leader, pidfd) =
            (Stat { start: group.leader.start - 1, ..group.leader }, group.pidfd.try_clone());
        let gone = GroupHandle { leader, pidfd: pidfd.unwrap() };
        assert_eq!(gone.signal_members(libc::SIGTERM), Err(Errno::ESRCH));
        group.signal_members(libc::SIGTERM).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
        assert_eq!(group.signal_members(libc::SIGTERM), Err(Errno::ESRCH));
    }
}
