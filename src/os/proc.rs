//! Processes as `/proc` shows them (proc(5)).
//!
//! A zombie is not alive: it runs nothing, and its parent may leave it unreaped for any time.

use std::fs::File;
use std::io::{self, Read};
use std::sync::OnceLock;

use nix::unistd::Pid;

/// True if `/proc` is mounted and shows prun's own PID namespace. Otherwise its pids mean nothing here.
pub fn is_available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        let own = std::fs::read_link("/proc/self").ok();
        own.and_then(|own| own.to_str()?.parse().ok()) == Some(nix::unistd::getpid().as_raw())
    })
}

/// Reads a file of `/proc` with as few calls as possible: its size is not known before, and each call makes the kernel
/// look for the place where the last one ended.
pub(super) fn read(path: &str) -> io::Result<String> {
    let mut text = String::with_capacity(8 << 10);
    File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// True if the process exists and is no zombie.
pub fn is_alive(pid: Pid) -> bool {
    Stat::read(pid).is_some_and(|stat| stat.is_alive())
}

/// Processes that [`is_busy`] looks at, at most.
const LOOKED_AT: usize = 64;

/// True if a process or one that it has started runs, waits for a processor, or waits for a disk: it may do something at
/// any moment without anything from outside. False if that is not known.
pub fn is_busy(pid: Pid) -> bool {
    let mut pids = vec![pid];
    let mut looked_at = 0;
    while looked_at < LOOKED_AT
        && let Some(pid) = pids.pop()
    {
        looked_at += 1;
        if Stat::read(pid).is_some_and(|stat| stat.state.is_busy()) {
            return true;
        }
        // Only some kernels have this file (CONFIG_PROC_CHILDREN).
        let children =
            std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        pids.extend(children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw));
    }
    false
}

pub(super) fn pids() -> impl Iterator<Item = Pid> {
    let entries = is_available().then(|| std::fs::read_dir("/proc"));
    let entries = entries.into_iter().flatten().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).map(Pid::from_raw)
}

/// Returns the name of a process, for people.
pub fn name(pid: Pid) -> Option<String> {
    let name = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(&name).trim_end_matches('\n').to_owned())
}

/// True if the process was started with this variable, given as `NAME=value`, in its environment.
pub fn has_variable(pid: Pid, variable: &[u8]) -> bool {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|&byte| byte == 0).any(|found| found == variable)
}

/// Fields of `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub pid: Pid,
    pub(super) state: State,
    pub parent: i32,
    pub group: i32,
    pub(super) threads: u32,
    /// Start time in clock ticks after boot. Together with the pid it identifies a process for good.
    pub start: u64,
}

/// The letter of a process state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State(u8);

impl State {
    /// True unless it is a zombie or dead.
    fn is_alive(self) -> bool {
        !matches!(self.0, b'Z' | b'X' | b'x')
    }

    /// True if it runs or could run, and in a sleep that no signal ends.
    fn is_busy(self) -> bool {
        matches!(self.0, b'R' | b'D')
    }
}

impl Stat {
    /// True if a thread of the process runs. A process whose first thread has ended looks like a zombie while
    /// the others run on.
    pub fn is_alive(&self) -> bool {
        self.state.is_alive() || self.threads > 1
    }

    pub fn all() -> impl Iterator<Item = Stat> {
        pids().filter_map(Stat::read)
    }

    pub fn read(pid: Pid) -> Option<Stat> {
        if !is_available() {
            return None;
        }
        Stat::parse(pid, &std::fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Parses `PID (NAME) STATE PPID PGRP …`. The name may hold any byte, also parentheses.
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
    fn one_finds_oneself() {
        let me = Stat::read(nix::unistd::getpid()).unwrap();
        assert!(me.is_alive());
        assert_eq!(me.group, nix::unistd::getpgrp().as_raw());
    }

    #[test]
    fn a_process_is_busy_if_what_it_started_is() {
        use std::process::{Command, Stdio};
        let start = |script: &str| {
            let mut child = Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn().unwrap();
            (child.stdin.take(), Pid::from_raw(child.id() as i32), child)
        };
        let (stdin, pid, mut waits) = start("read line; while :; do :; done");
        let begin = std::time::Instant::now();
        let becomes = |wanted| {
            while is_busy(pid) != wanted {
                assert!(begin.elapsed().as_secs() < 60);
            }
        };
        becomes(false);
        drop(stdin);
        becomes(true);
        waits.kill().unwrap();
        waits.wait().unwrap();
        assert!(!is_busy(pid));
    }
}
