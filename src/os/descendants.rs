//! prun's descendants: its children, and all processes that carry a mark of the run. Used by prun and by its
//! guardian.

use std::collections::{HashMap, HashSet};

use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;

use super::mark::{Mark, RunMark};
use super::marked::{Marked, mark_of};
use super::proc::Stat;
use super::{cgroup, guardian_pid, live_starts, pidfd, proc, process};

/// Returns prun's direct children, alive or zombies, without its guardian.
pub fn children() -> Vec<Pid> {
    if !proc::is_available() {
        return Vec::new();
    }
    let mut children = children_by_threads().unwrap_or_else(|| {
        let me = nix::unistd::getpid();
        Stat::all().filter(|stat| stat.parent == me.as_raw()).map(|stat| stat.pid).collect()
    });
    children.retain(|child| Some(*child) != guardian_pid::get());
    children
}

/// True if prun has children, alive or zombies, besides its guardian. As subreaper it also has those that its children
/// left behind.
pub fn has_children() -> bool {
    match guardian_pid::get() {
        None => process::has_children(),
        Some(_) => !children().is_empty(),
    }
}

/// Reads the lists of children that the kernel keeps for each thread. `None` if it keeps none
/// (CONFIG_PROC_CHILDREN).
fn children_by_threads() -> Option<Vec<Pid>> {
    let mut pids = Vec::new();
    let mut listed = false;
    for thread in std::fs::read_dir("/proc/self/task").ok()?.flatten() {
        // A thread that has ended meanwhile has passed its children on to another one.
        let Ok(text) = std::fs::read_to_string(thread.path().join("children")) else { continue };
        listed = true;
        pids.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw));
    }
    listed.then_some(pids)
}

/// Returns all live processes that carry a mark of the run, in one pass over `/proc`. Guardians of inner runs
/// are among them, and so are processes that lost their mark but are in the run's control group; those get
/// the mark `live_starts::unknown_mark`.
pub fn of_run(run: RunMark) -> Vec<Marked> {
    let all = proc::pids().filter_map(|pid| Some(Marked { pid, mark: mark_of(pid)? }));
    let mut found: Vec<_> =
        all.filter(|found| found.mark.run() == run && proc::is_alive(found.pid)).collect();
    if run == live_starts::run().mark {
        found.extend(cgroup::unmarked());
    }
    found
}

/// Sends a signal to a marked process, unless its pid belongs to another process by now.
///
/// # Errors
/// ESRCH if the process has gone. EPERM for a guardian, which is never signalled: it ends by itself.
pub fn signal(found: &Marked, signal: i32) -> nix::Result<()> {
    signal_with(found, &[signal])
}

/// Sends these signals, one after another.
fn signal_with(found: &Marked, signals: &[i32]) -> nix::Result<()> {
    if found.mark.is_guardian() {
        return Err(Errno::EPERM);
    }
    let pidfd = match pidfd::open(found.pid) {
        Ok(pidfd) => Some(pidfd),
        // Before Linux 5.3, or refused by a seccomp filter.
        Err(Errno::ENOSYS | Errno::EPERM) => None,
        Err(error) => return Err(error),
    };
    // The pid may have been reused before the pidfd was opened, but not since.
    let known = match mark_of(found.pid) {
        None => live_starts::is_unknown(found.mark) && cgroup::contains(found.pid),
        mark => mark == Some(found.mark),
    };
    if !known {
        return Err(Errno::ESRCH);
    }
    signals.iter().try_for_each(|signal| match &pidfd {
        Some(pidfd) => pidfd::send(pidfd, *signal, 0),
        None => process::kill(found.pid, *signal),
    })
}

/// A start of this run whose processes get a signal, as far as they have left its process group.
pub struct Target {
    pub mark: Mark,
    /// The process group that has got the signal already.
    pub group: Pid,
    pub signal: i32,
    /// Processes that do not get it, because they have got it already.
    pub told: HashSet<Pid>,
}

/// A process that a sweep has sent its signal to, or could not.
pub struct Reached {
    pub found: Marked,
    pub result: nix::Result<()>,
}

/// Sends each start its signal, and SIGCONT after it, in one pass over `/proc`. Guardians of inner runs are left alone:
/// they end by themselves.
pub fn sweep(targets: &[Target]) -> Vec<Reached> {
    let targets: HashMap<u32, &Target> =
        targets.iter().map(|target| (target.mark.number(), target)).collect();
    let mut reached = Vec::new();
    for pid in proc::pids() {
        let Some(mark) = mark_of(pid).filter(|mark| mark.run() == live_starts::run().mark) else { continue };
        let Some(target) = targets.get(&mark.number()).filter(|_| !mark.is_guardian()) else { continue };
        if !target.told.contains(&pid) && is_outside(pid, target.group) {
            let found = Marked { pid, mark };
            reached.push(Reached { found, result: signal_with(&found, &[target.signal, libc::SIGCONT]) });
        }
    }
    reached
}

/// True if the process lives, and in another process group than this one.
pub fn is_outside(pid: Pid, group: Pid) -> bool {
    Stat::read(pid).is_some_and(|stat| stat.is_alive() && stat.group != group.as_raw())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::{Child, Command};

    use super::*;

    fn pid(child: &Child) -> Pid {
        Pid::from_raw(child.id() as i32)
    }

    /// Starts an idle process with this mark.
    fn somebody(mark: Option<Mark>) -> Child {
        let mut command = Command::new("sleep");
        command.arg("600");
        // SAFETY: the closure makes one plain system call.
        unsafe {
            command.pre_exec(move || {
                let Some(mark) = mark else { return Ok(()) };
                let limit = libc::rlimit { rlim_cur: mark.limit(), rlim_max: libc::RLIM_INFINITY };
                Ok(Errno::result(libc::setrlimit(libc::RLIMIT_RTTIME, &limit)).map(drop)?)
            });
        }
        command.spawn().expect("sleep can be started")
    }

    #[test]
    fn marked_processes_are_found_while_they_live() {
        let run = RunMark::new(0x2_1234_5678);
        let marks = [Mark::new(run, 1), Mark::new(run, 2).for_guardian(), Mark::new(run, 3)];
        let mut children = marks.map(|mark| somebody(Some(mark)));
        let mut expected: Vec<_> =
            children.iter().zip(marks).map(|(child, mark)| Marked { pid: pid(child), mark }).collect();
        expected.sort_by_key(|found| found.pid);
        let all = || {
            let mut all = of_run(run);
            all.sort_by_key(|found| found.pid);
            all
        };
        assert_eq!(all(), expected);
        let of = |child: &Child| expected.iter().find(|found| found.pid == pid(child)).expect("it is there");
        assert_eq!(signal(of(&children[1]), libc::SIGKILL), Err(Errno::EPERM), "a guardian is left alone");
        let other = Marked { mark: Mark::new(run, 4), ..*of(&children[0]) };
        assert_eq!(signal(&other, libc::SIGKILL), Err(Errno::ESRCH), "it is another's now");
        signal(of(&children[0]), libc::SIGKILL).expect("it is ours");
        // The zombie is not reaped.
        while proc::is_alive(pid(&children[0])) {
            std::thread::yield_now();
        }
        assert!(all().iter().all(|found| found.pid != pid(&children[0])), "a zombie is not alive");
        assert!(super::children().contains(&pid(&children[0])), "but still a child");
        assert_eq!(children[0].wait().expect("it ended").signal(), Some(libc::SIGKILL));
        for child in &mut children[1..] {
            child.kill().and_then(|()| child.wait()).expect("it ends");
        }
    }

    #[test]
    fn names_are_known_until_the_end() {
        let mut child = somebody(None);
        while proc::name(pid(&child)).as_deref() != Some("sleep") {
            std::thread::yield_now();
        }
        assert!(children().contains(&pid(&child)));
        child.kill().and_then(|()| child.wait()).expect("it ends");
        assert_eq!(proc::name(pid(&child)), None);
    }
}
