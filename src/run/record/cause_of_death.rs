//! The probable reason of a task's death, where the exits of its processes alone don't show it.

use std::time::Duration;

use nix::libc;

use crate::event::{Exit, Time};
use crate::plan::{Job, Limit};
use crate::run::attempt::{EndedAttempt, Process};

/// How long the run has lasted when the kernel's count is read first. A run that is over sooner has not used up all
/// memory, and is spared the read.
const FIRST_READ: Time = Time::from_millis(50);

/// Tells whether the kernel has killed a process during the run because memory had run out.
///
/// The kernel's count since it booted (`oom_kill` in `/proc/vmstat`) is read once near the start of the run, and again
/// only where a SIGKILL needs a reason.
#[derive(Debug, Default)]
pub struct OutOfMemory {
    /// The count near the start of the run.
    before: Option<u64>,
}

impl OutOfMemory {
    /// Returns when [`OutOfMemory::read_first`] has something to do.
    pub fn due(&self) -> Option<Time> {
        self.before.is_none().then_some(FIRST_READ)
    }

    /// Reads the count near the start of the run, if that is due.
    pub fn read_first(&mut self, now: Time) {
        if self.due().is_some_and(|due| due <= now) {
            // A count that can't be read never grows.
            self.before = Some(kills().unwrap_or(u64::MAX));
        }
    }

    /// True if the count has grown since it was read first.
    fn has_grown(&self) -> bool {
        let grown = |before| kills().is_some_and(|now| now > before);
        self.before.is_some_and(grown)
    }
}

/// Returns the kernel's count of processes killed for want of memory.
fn kills() -> Option<u64> {
    count_in(&std::fs::read_to_string("/proc/vmstat").ok()?)
}

fn count_in(vmstat: &str) -> Option<u64> {
    vmstat.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

/// Returns the probable reason of a failure: that of the last stage that has one. The text continues "killed by
/// SIGXCPU: ".
pub fn explain(job: &Job, ended: &EndedAttempt, memory: &OutOfMemory) -> Option<String> {
    if ended.unready.is_some() {
        return ended.unready.clone();
    }
    // A task that prun stopped needs no other reason.
    if ended.stopping {
        return None;
    }
    let stages = ended.processes.iter().zip(&job.stages).rev();
    stages.into_iter().find_map(|(process, stage)| {
        let end = Death::of(process)?;
        reason(&end, &stage.attributes.limits, || memory.has_grown())
    })
}

/// A death by a signal.
struct Death {
    signal: i32,
    /// True if the signal ended the process itself; false if the exit code (128 + signal) shows that it ended a command
    /// of a shell.
    own: bool,
    /// Processor time used.
    used: Duration,
}

impl Death {
    fn of(process: &Process) -> Option<Death> {
        let used = process.usage.user + process.usage.system;
        match process.exit? {
            Exit::Signal(signal) => Some(Death { signal, own: true, used }),
            Exit::Code(code) if code > 128 => Some(Death { signal: i32::from(code) - 128, own: false, used }),
            Exit::Code(_) => None,
        }
    }
}

fn reason(death: &Death, limits: &[(Limit, u64)], out_of_memory: impl Fn() -> bool) -> Option<String> {
    let of = |wanted: Limit| limits.iter().find(|(limit, _)| *limit == wanted).map(|(_, value)| *value);
    let named =
        |limit: Limit| of(limit).map(|value| format!("{} limit of {}", limit.key(), limit.shown(value)));
    let perhaps = if death.own { "" } else { "perhaps it " };
    let used_up = |limit| format!("{perhaps}used up its {limit}");
    match death.signal {
        libc::SIGXCPU => named(Limit::Cpu).map(used_up),
        libc::SIGXFSZ => {
            named(Limit::FileSize).map(|limit| format!("{perhaps}wrote a file beyond its {limit}"))
        }
        // The process ignored SIGXCPU, or ended too late after it.
        libc::SIGKILL if of(Limit::Cpu).is_some_and(|limit| death.used >= Duration::from_secs(limit)) => {
            named(Limit::Cpu).map(used_up)
        }
        libc::SIGKILL if out_of_memory() => Some("perhaps by the kernel, because memory ran out".to_owned()),
        libc::SIGKILL | libc::SIGABRT | libc::SIGSEGV | libc::SIGBUS => {
            let limits = [Limit::Memory, Limit::Stack].into_iter().filter_map(named);
            let limits: Vec<String> = limits.map(|limit| format!("its {limit}")).collect();
            (!limits.is_empty()).then(|| format!("perhaps at {}", limits.join(" or ")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: [(Limit, u64); 3] =
        [(Limit::Cpu, 2), (Limit::Memory, 64 << 20), (Limit::FileSize, 1_000_000)];

    fn told(signal: i32, own: bool, limits: &[(Limit, u64)]) -> Option<String> {
        reason(&Death { signal, own, used: Duration::ZERO }, limits, || false)
    }

    #[test]
    fn a_limit_is_named_where_the_signal_is_its_own() {
        assert_eq!(told(libc::SIGXCPU, true, &LIMITS).unwrap(), "used up its cpu limit of 2s");
        assert_eq!(told(libc::SIGXCPU, false, &LIMITS).unwrap(), "perhaps it used up its cpu limit of 2s");
        let file = "wrote a file beyond its file_size limit of 1 MB";
        assert_eq!(told(libc::SIGXFSZ, true, &LIMITS).unwrap(), file);
        assert_eq!(told(libc::SIGXCPU, true, &[]), None);
        assert_eq!(told(libc::SIGTERM, true, &LIMITS), None);
    }

    #[test]
    fn what_only_may_be_is_told_so() {
        for signal in [libc::SIGSEGV, libc::SIGABRT, libc::SIGBUS, libc::SIGKILL] {
            assert_eq!(told(signal, true, &LIMITS).unwrap(), "perhaps at its memory limit of 64 MiB");
        }
        let both = [(Limit::Memory, 1 << 30), (Limit::Stack, 8 << 20)];
        let told = told(libc::SIGSEGV, true, &both).unwrap();
        assert_eq!(told, "perhaps at its memory limit of 1 GiB or its stack limit of 8 MiB");
    }

    #[test]
    fn a_kill_has_many_reasons() {
        let death = |used| Death { signal: libc::SIGKILL, own: true, used };
        let used = Duration::from_secs(7);
        assert_eq!(reason(&death(used), &LIMITS, || false).unwrap(), "used up its cpu limit of 2s");
        let ran_out = "perhaps by the kernel, because memory ran out";
        assert_eq!(reason(&death(Duration::ZERO), &LIMITS, || true).unwrap(), ran_out);
        assert_eq!(reason(&death(used), &[], || false), None);
        let not_a_kill = Death { signal: libc::SIGSEGV, ..death(used) };
        assert_eq!(reason(&not_a_kill, &[], || true), None);
    }

    #[test]
    fn kills_for_want_of_memory_are_counted() {
        assert_eq!(count_in("nr_free_pages 5\noom_kill 3\noom_kill_x 4\n"), Some(3));
        assert_eq!(count_in("nr_free_pages 5\n"), None);
        let grown = OutOfMemory { before: Some(0) };
        assert_eq!(grown.has_grown(), kills().is_some_and(|now| now > 0));
        assert!(!OutOfMemory { before: Some(u64::MAX) }.has_grown() && !OutOfMemory::default().has_grown());
    }
}
