//! Processes, looked at in `/proc`: children, and all that carry a mark. prun and its guardian use the same.
//!
//! A zombie is not alive: it runs nothing, and its parent may leave it about for as long as it likes.

use std::fs::File;
use std::io::Read;
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;

use super::group::{Stat, pidfd_open, pidfd_send};
use super::live_starts;
use super::mark::{Mark, RunMark};
use super::{cgroup, guardian};

/// A process, and what it is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub pid: Pid,
    pub mark: Mark,
}

/// The name of the variable that tells of a guardian's outer run; as long as `PRUN_RUN_ID`, which it replaces.
pub(super) const GUARDS: &[u8] = b"PRUN_GUARDS=";
pub(super) const RUN_ID: &[u8] = b"PRUN_RUN_ID=";

/// Whether `/proc` tells of prun's own PID namespace. Otherwise its numbers mean nothing here, or it is not there.
pub fn can_look() -> bool {
    static CAN_LOOK: OnceLock<bool> = OnceLock::new();
    *CAN_LOOK.get_or_init(|| {
        let own = std::fs::read_link("/proc/self").ok();
        own.and_then(|own| own.to_str()?.parse().ok()) == Some(nix::unistd::getpid().as_raw())
    })
}

/// prun's direct children, alive or zombies, but its guardian.
pub fn children() -> Vec<Pid> {
    if !can_look() {
        return Vec::new();
    }
    let mut children = children_by_threads().unwrap_or_else(|| {
        let me = nix::unistd::getpid();
        Stat::all().filter(|stat| stat.parent == me.as_raw()).map(|stat| stat.pid).collect()
    });
    children.retain(|child| !guardian::is(*child));
    children
}

/// None where the kernel keeps no such lists.
fn children_by_threads() -> Option<Vec<Pid>> {
    let mut pids = Vec::new();
    let mut listed = false;
    for thread in std::fs::read_dir("/proc/self/task").ok()?.flatten() {
        // A thread that has ended meanwhile left its children to another one.
        let Ok(text) = std::fs::read_to_string(thread.path().join("children")) else { continue };
        listed = true;
        pids.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw));
    }
    listed.then_some(pids)
}

/// What a process is known by: its limit, or else its environment.
pub fn mark_of(pid: Pid) -> Option<Mark> {
    mark_by_limit(pid).or_else(|| mark_by_environment(pid))
}

/// All that live and carry a mark of the run, in one pass. Also guardians of runs within it, and what lost its mark
/// but is in the run's control group; its mark here is live, but of no start.
pub fn marked(run: RunMark) -> Vec<Found> {
    let all = pids().filter_map(|pid| Some(Found { pid, mark: mark_of(pid)? }));
    let mut found: Vec<_> = all.filter(|found| found.mark.run() == run && is_alive(found.pid)).collect();
    if run == live_starts::run().mark {
        found.extend(cgroup::unmarked());
    }
    found
}

/// Its name, for people.
pub fn name(pid: Pid) -> Option<String> {
    let name = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(&name).trim_end_matches('\n').to_owned())
}

/// Sends a signal, unless the pid is another's now. ESRCH: it is gone. A guardian is left alone: it ends by itself.
pub fn signal(found: &Found, signal: i32) -> nix::Result<()> {
    if found.mark.is_guardian() {
        return Err(Errno::EPERM);
    }
    let pidfd = match pidfd_open(found.pid) {
        Ok(pidfd) => Some(pidfd),
        // Before Linux 5.3, or refused by a filter.
        Err(Errno::ENOSYS | Errno::EPERM) => None,
        Err(error) => return Err(error),
    };
    // The number may have become another's before it was opened, but not since.
    let known = match mark_of(found.pid) {
        None => live_starts::is_unknown(found.mark) && cgroup::holds(found.pid),
        mark => mark == Some(found.mark),
    };
    if !known {
        return Err(Errno::ESRCH);
    }
    match pidfd {
        Some(pidfd) => pidfd_send(&pidfd, signal, 0),
        // SAFETY: a plain system call on numbers.
        None => Errno::result(unsafe { libc::kill(found.pid.as_raw(), signal) }).map(drop),
    }
}

/// Whether there is such a process, and it is no zombie.
pub fn is_alive(pid: Pid) -> bool {
    Stat::read(pid).is_some_and(|stat| stat.is_alive())
}

pub(super) fn pids() -> impl Iterator<Item = Pid> {
    let entries = can_look().then(|| std::fs::read_dir("/proc"));
    let entries = entries.into_iter().flatten().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).map(Pid::from_raw)
}

/// The soft limit is the first of the two numbers in its line.
fn mark_by_limit(pid: Pid) -> Option<Mark> {
    // Sixteen lines of eighty bytes.
    let mut text = [0; 2048];
    let mut file = File::open(format!("/proc/{pid}/limits")).ok()?;
    let mut length = 0;
    while let count @ 1.. = file.read(&mut text[length..]).ok()? {
        length += count;
    }
    Mark::of_limit(realtime_timeout(&text[..length])?)
}

fn realtime_timeout(limits: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"Max realtime timeout";
    let line = &limits[memchr::memmem::rfind(limits, NAME)? + NAME.len()..];
    std::str::from_utf8(line).ok()?.split_ascii_whitespace().next()?.parse().ok()
}

/// Others' environments can't be read, which is well: prun could not signal them either.
fn mark_by_environment(pid: Pid) -> Option<Mark> {
    mark_of_variables(&std::fs::read(format!("/proc/{pid}/environ")).ok()?, &live_starts::run().id)
}

fn mark_of_variables(environment: &[u8], run: &str) -> Option<Mark> {
    // Most processes have nothing to do with prun.
    memchr::memmem::find(environment, run.as_bytes())?;
    let value = |name: &[u8]| environment.split(|&b| b == 0).find_map(|variable| variable.strip_prefix(name));
    let number = |name| value(name).and_then(|value| std::str::from_utf8(value).ok()?.parse::<u32>().ok());
    let is_ours = |id: Option<&[u8]>| id == Some(run.as_bytes());
    let guards = is_ours(value(GUARDS));
    if !guards && !is_ours(value(RUN_ID)) {
        return None;
    }
    let mark = Mark::new(live_starts::run().mark, number(b"PRUN_START=").unwrap_or(0));
    Some(if guards { mark.of_guardian() } else { mark })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::{Child, Command};

    use super::*;

    fn pid(child: &Child) -> Pid {
        Pid::from_raw(child.id() as i32)
    }

    /// Somebody who does nothing, with this mark.
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
        let marks = [Mark::new(run, 1), Mark::new(run, 2).of_guardian(), Mark::new(run, 3)];
        let mut children = marks.map(|mark| somebody(Some(mark)));
        let mut expected: Vec<_> =
            children.iter().zip(marks).map(|(child, mark)| Found { pid: pid(child), mark }).collect();
        expected.sort_by_key(|found| found.pid);
        let all = || {
            let mut all = marked(run);
            all.sort_by_key(|found| found.pid);
            all
        };
        assert_eq!(all(), expected);
        let of = |child: &Child| expected.iter().find(|found| found.pid == pid(child)).expect("it is there");
        assert_eq!(signal(of(&children[1]), libc::SIGKILL), Err(Errno::EPERM), "a guardian is left alone");
        let other = Found { mark: Mark::new(run, 4), ..*of(&children[0]) };
        assert_eq!(signal(&other, libc::SIGKILL), Err(Errno::ESRCH), "it is another's now");
        signal(of(&children[0]), libc::SIGKILL).expect("it is ours");
        // Without taking its zombie away.
        while is_alive(pid(&children[0])) {
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
        while name(pid(&child)).as_deref() != Some("sleep") {
            std::thread::yield_now();
        }
        assert!(children().contains(&pid(&child)));
        child.kill().and_then(|()| child.wait()).expect("it ends");
        assert_eq!(name(pid(&child)), None);
    }

    #[test]
    fn limits_are_read() {
        let line = b"Max realtime priority     0   0    \nMax realtime timeout      4611686018427387909  unlimited  us \n";
        assert_eq!(realtime_timeout(line), Some((1 << 62) + 5));
        assert_eq!(realtime_timeout(b"Max realtime timeout   unlimited  unlimited  us \n"), None);
        assert_eq!(mark_of(nix::unistd::getpid()), None);
    }

    #[test]
    fn the_environment_tells_who_it_is() {
        let mark = live_starts::enter();
        let start = mark.number();
        let variables = |name: &str, id: &str| {
            format!("A=b\0{name}={id}\0PRUN_START={start}\0PRUN_SLOT=3\0").into_bytes()
        };
        let id = live_starts::run().id.as_str();
        let of = |name, of: &str| mark_of_variables(&variables(name, of), id);
        assert_eq!(of("PRUN_RUN_ID", id), Some(mark));
        assert_eq!(of("PRUN_GUARDS", id), Some(mark.of_guardian()));
        assert_eq!(of("PRUN_RUN_ID", "another"), None);
        assert_eq!(of("SOME", id), None, "somebody's knowledge of the run");
        live_starts::strike(mark);
        let left = of("PRUN_RUN_ID", id).expect("it is still of the run");
        assert!(!live_starts::is_live(left), "but let go");
    }
}
