//! What a task probably died of, where its processes' ends alone don't tell.

use std::time::Duration;

use nix::libc;

use crate::event::{Exit, Time};
use crate::plan::{Job, Limit};
use crate::run::attempt::{EndedAttempt, Process};

/// Into the run.
const FIRST_LOOK: Time = Time::from_millis(50);

/// How often the kernel has killed a process because memory had run out, since it booted.
///
/// Looked at once, when the run has lasted for a moment, and again only where a SIGKILL asks for a reason.
#[derive(Debug, Default)]
pub struct OutOfMemory {
    before: Option<u64>,
}

impl OutOfMemory {
    /// When to look.
    pub fn due(&self) -> Option<Time> {
        self.before.is_none().then_some(FIRST_LOOK)
    }

    /// A run that is over in no time has not used up all memory, and is spared the look.
    pub fn look(&mut self, now: Time) {
        if self.due().is_some_and(|due| due <= now) {
            // Where nothing can be read, nothing ever grows.
            self.before = Some(kills().unwrap_or(u64::MAX));
        }
    }

    /// It was so during the run.
    fn grew(&self) -> bool {
        let grown = |before| kills().is_some_and(|now| now > before);
        self.before.is_some_and(grown)
    }
}

fn kills() -> Option<u64> {
    count_in(&std::fs::read_to_string("/proc/vmstat").ok()?)
}

fn count_in(vmstat: &str) -> Option<u64> {
    vmstat.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

/// The reason of a failure, to go on "killed by SIGXCPU: "; of the last stage that has one.
pub fn of(job: &Job, ended: &EndedAttempt, memory: &OutOfMemory) -> Option<String> {
    if ended.unready.is_some() {
        return ended.unready.clone();
    }
    // What prun kills needs no other reason.
    if ended.stopping {
        return None;
    }
    let stages = ended.processes.iter().zip(&job.stages).rev();
    stages.into_iter().find_map(|(process, stage)| {
        let end = Death::of(process)?;
        reason(&end, &stage.attributes.limits, || memory.grew())
    })
}

/// A signal that ended something.
struct Death {
    signal: i32,
    /// It ended the process itself; else something that a shell, which tells of it by its exit code, has run.
    own: bool,
    /// Processor time.
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
    let told =
        |limit: Limit| of(limit).map(|value| format!("{} limit of {}", limit.key(), limit.shown(value)));
    let perhaps = if death.own { "" } else { "perhaps it " };
    let used_up = |limit| format!("{perhaps}used up its {limit}");
    match death.signal {
        libc::SIGXCPU => told(Limit::Cpu).map(used_up),
        libc::SIGXFSZ => {
            told(Limit::FileSize).map(|limit| format!("{perhaps}wrote a file beyond its {limit}"))
        }
        // It ignored the SIGXCPU, or ended too late.
        libc::SIGKILL if of(Limit::Cpu).is_some_and(|limit| death.used >= Duration::from_secs(limit)) => {
            told(Limit::Cpu).map(used_up)
        }
        libc::SIGKILL if out_of_memory() => Some("perhaps by the kernel, because memory ran out".to_owned()),
        libc::SIGKILL | libc::SIGABRT | libc::SIGSEGV | libc::SIGBUS => {
            let limits = [Limit::Memory, Limit::Stack].into_iter().filter_map(told);
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
        assert_eq!(grown.grew(), kills().is_some_and(|now| now > 0));
        assert!(!OutOfMemory { before: Some(u64::MAX) }.grew() && !OutOfMemory::default().grew());
    }
}
