//! How the processes of a run are held together on this machine, as `--debug` reports it.

use std::fmt;
use std::path::PathBuf;

use nix::libc;
use nix::unistd::Pid;

use super::{cgroup, guardian, limits, proc, process};

/// The means of containment that are in effect.
pub struct Containment {
    subreaper: bool,
    marks: bool,
    guardian: Option<Pid>,
    first: bool,
    cgroup: Result<PathBuf, String>,
}

/// Finds out what is in effect. Makes the control group if it was not made yet.
pub fn inspect() -> Containment {
    Containment {
        subreaper: nix::sys::prctl::get_child_subreaper().unwrap_or(false),
        marks: limits::rttime().is_ok_and(|(_, hard)| hard == libc::RLIM_INFINITY) || may_raise_limits(),
        guardian: guardian::pid(),
        first: process::is_pid_1(),
        cgroup: cgroup::folder(),
    }
}

/// True if prun has CAP_SYS_RESOURCE among its effective capabilities (proc(5)).
fn may_raise_limits() -> bool {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = text.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = field.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    set.is_some_and(|set| set & 1 << 24 != 0)
}

impl fmt::Display for Containment {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("tasks are contained by ")?;
        if self.subreaper {
            f.write_str("subreaper, ")?;
        }
        f.write_str(match self.marks {
            _ if !proc::is_available() => "marks that can't be looked up in /proc, ",
            true => "marks in RLIMIT_RTTIME, ",
            false => "marks in the environment (the hard RLIMIT_RTTIME is too low for others), ",
        })?;
        match self.guardian {
            Some(pid) => write!(f, "guardian {pid}, ")?,
            None if self.first => f.write_str("PID 1 (its end ends all), ")?,
            None => f.write_str("no guardian, ")?,
        }
        match &self.cgroup {
            Ok(folder) => write!(f, "cgroup {}", folder.display()),
            Err(why) => write!(f, "no cgroup ({why})"),
        }
    }
}
