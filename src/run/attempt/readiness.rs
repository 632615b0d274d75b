//! Readiness: how it is found out that an attempt is up, when the next check is due, and what the last one has shown.
//!
//! `local::probes` does the checks: it tries ports, starts probes, and reports to the scheduler. `ReadyCheck::After` is not
//! checked here, because the scheduler has a clock of its own.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use nix::unistd::Pid;

use crate::event::{Exit, StartFailure, Time};
use crate::flow::line_search::LineSearch;
use crate::os::port::{self, Answer, Connecting, Family};
use crate::plan::{Job, ReadyCheck};
use crate::run::task::Work;

/// A probe may take this long, or this many times the interval of probes if that is longer.
const PROBE_LIMIT: Time = Time::from_secs(10);
const PROBE_LIMIT_FACTOR: u32 = 10;
/// The first interval of port checks. Most services listen soon, and a connection to a port where nobody listens
/// disturbs nobody.
const FIRST_WAIT: Time = Time::from_millis(4);
/// Bytes of a probe's stderr that are kept for the report.
const TAIL: usize = 512;

/// The checks of an attempt that is not known to be up.
pub struct Readiness {
    /// The interval of checks.
    every: Duration,
    /// When the next check is due, or the running probe has taken too long.
    pub due: Option<Time>,
    pub check: Check,
}

/// How readiness shows.
pub enum Check {
    /// A line of the output matches.
    Line(LineSearch),
    /// Somebody listens at a port.
    Port(PortCheck),
    /// A command succeeds.
    Command(Probe),
}

/// The check of a port.
pub struct PortCheck {
    port: u16,
    /// The interval to the next check.
    wait: Duration,
    /// Connections that are being made.
    pending: Vec<(Family, Connecting)>,
    /// True if somebody may have listened there before the task was started.
    pub maybe_taken: bool,
    /// The process that listens in the task's place, once people were told.
    pub occupant: Option<String>,
}

/// The command that is run again and again.
#[derive(Default)]
pub struct Probe {
    /// The process of the probe that runs.
    pub pid: Option<Pid>,
    /// True if the probe has taken too long, and was killed.
    pub killed: bool,
    /// The stderr of the probe, which does not block.
    pub stderr: Option<os_pipe::PipeReader>,
    /// The last bytes of stderr.
    tail: Vec<u8>,
    /// How the last probe ended, for people.
    last: Option<String>,
}

/// The result of reading a probe's stderr once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    Something,
    Nothing,
    End,
}

impl Readiness {
    /// Returns the checks for a new attempt, if its job has any. A port is tried at once, before the attempt's processes
    /// start.
    ///
    /// # Errors
    /// When the port is no number.
    pub fn new(
        job: &Job,
        work: &Work,
        slot: usize,
        now: Time,
    ) -> Result<Option<Box<Readiness>>, StartFailure> {
        let Some(ready) = &job.ready else { return Ok(None) };
        let (due, check) = match &ready.check {
            ReadyCheck::After(_) => return Ok(None),
            ReadyCheck::Line(wanted) => (None, Check::Line(LineSearch::new(wanted.clone()))),
            ReadyCheck::Command(_) => (Some(now), Check::Command(Probe::default())),
            ReadyCheck::Port(template) => {
                let text = template.rendered(&work.scope(slot));
                let text = String::from_utf8_lossy(&text);
                let port = text.parse().ok().filter(|port| *port > 0).ok_or_else(|| StartFailure {
                    code: 126,
                    why: format!("its port to be ready at is `{text}`, and no number from 1 to {}", u16::MAX),
                })?;
                (Some(now), Check::Port(PortCheck::new(port, ready.every)))
            }
        };
        Ok(Some(Box::new(Readiness { every: ready.every, due, check })))
    }

    /// Takes output of the attempt, which the reader with the index `at` has read.
    pub fn hear(&mut self, at: usize, bytes: &[u8]) {
        if let Check::Line(search) = &mut self.check {
            search.push(at, bytes);
        }
    }

    /// Returns the process of the probe that runs.
    pub fn probe(&self) -> Option<Pid> {
        match &self.check {
            Check::Command(probe) => probe.pid,
            Check::Line(_) | Check::Port(_) => None,
        }
    }

    /// Ends the checks, and gives up the probe that runs: returns its process. The results are kept for the report.
    pub fn stop(&mut self) -> Option<Pid> {
        self.due = None;
        match &mut self.check {
            Check::Command(probe) => probe.pid.take(),
            Check::Line(_) | Check::Port(_) => None,
        }
    }

    /// Schedules the next check, because the last one has shown nothing.
    pub fn schedule_next(&mut self, now: Time) {
        let wait = match &mut self.check {
            Check::Port(port) => {
                let wait = port.wait;
                port.wait = (wait * 2).min(self.every);
                wait
            }
            Check::Line(_) | Check::Command(_) => self.every,
        };
        self.due = Some(coalesced(now + wait, wait));
    }

    /// Notes that a probe was started.
    pub fn probe_started(&mut self, now: Time, pid: Pid, stderr: Option<os_pipe::PipeReader>) {
        if let Check::Command(probe) = &mut self.check {
            let last = probe.last.take();
            *probe = Probe { pid: Some(pid), stderr, last, ..Probe::default() };
            self.due = Some(now + self.probe_limit());
        }
    }

    /// Returns how long a probe may take.
    pub fn probe_limit(&self) -> Duration {
        PROBE_LIMIT.max(self.every * PROBE_LIMIT_FACTOR)
    }

    /// Returns what the checks have found, if it explains why the task was not ready: who listens at the port, or how the
    /// last probe has failed.
    pub fn finding(&self) -> Option<String> {
        match &self.check {
            Check::Port(PortCheck { occupant: Some(_), .. })
            | Check::Command(Probe { last: Some(_), .. }) => Some(self.describe()),
            Check::Line(_) | Check::Port(_) | Check::Command(_) => None,
        }
    }

    /// Returns what was waited for in vain, and what was seen of it: "waited for port 6379, where nginx (7) listens".
    pub fn describe(&self) -> String {
        match &self.check {
            Check::Line(search) => format!("waited for a line that matches `{}`", search.pattern()),
            Check::Port(check) => match &check.occupant {
                None => format!("waited for port {}", check.port),
                Some(occupant) => format!("waited for port {}, where {occupant} listens", check.port),
            },
            Check::Command(Probe { last: Some(last), .. }) => {
                format!("waited for its `ready` command: {last}")
            }
            Check::Command(_) => "waited for its `ready` command, which had not ended".into(),
        }
    }
}

/// Returns a time a little after `due` that the checks of many attempts share, so that the loop does not turn for each
/// of them.
fn coalesced(due: Time, wait: Duration) -> Time {
    let step = (wait / 16).as_millis().max(1);
    Time::from_millis(due.as_millis().div_ceil(step).saturating_mul(step).try_into().unwrap_or(u64::MAX))
}

impl PortCheck {
    fn new(port: u16, every: Duration) -> PortCheck {
        let mut check = PortCheck {
            port,
            wait: FIRST_WAIT.min(every),
            pending: Vec::new(),
            maybe_taken: false,
            occupant: None,
        };
        // While a connection is still being made, it is not known whether somebody listens.
        check.maybe_taken = check.is_open() || !check.pending.is_empty();
        check
    }

    /// Returns the number of the port.
    pub fn number(&self) -> u16 {
        self.port
    }

    /// Tries to connect. True if somebody listens.
    pub fn is_open(&mut self) -> bool {
        let mut before = std::mem::take(&mut self.pending);
        for family in Family::BOTH {
            let begun = before.iter().position(|(of, _)| *of == family);
            let answer = match begun {
                Some(at) => before.swap_remove(at).1.answer(),
                None => port::probe(family, self.port),
            };
            match answer {
                Answer::Open => return true,
                Answer::Closed => {}
                Answer::Pending(knock) => self.pending.push((family, knock)),
            }
        }
        if self.pending.is_empty() {
            // A process that listens there from now on came after the task.
            (self.maybe_taken, self.occupant) = (false, None);
        }
        false
    }
}

impl Probe {
    /// Reads stderr once, and keeps its last bytes.
    pub fn hear(&mut self) -> Heard {
        let mut buffer = [0; 4096];
        let Some(stderr) = &mut self.stderr else { return Heard::End };
        match stderr.read(&mut buffer) {
            Ok(count @ 1..) => {
                self.tail.extend_from_slice(&buffer[..count]);
                let excess = self.tail.len().saturating_sub(TAIL);
                self.tail.drain(..excess);
                Heard::Something
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                Heard::Nothing
            }
            Ok(_) | Err(_) => Heard::End,
        }
    }

    /// Notes for the report how the probe has failed.
    pub fn failed(&mut self, exit: Exit, limit: Duration) {
        let how = match exit {
            _ if self.killed => format!("killed after {}", humantime::format_duration(limit)),
            Exit::Code(code) => format!("exit {code}"),
            Exit::Signal(signal) => format!("killed by signal {signal}"),
        };
        let text = String::from_utf8_lossy(&self.tail);
        let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty());
        self.last = Some(line.map_or(how.clone(), |line| format!("{how}: {line}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readiness(every: u64, check: Check) -> Readiness {
        Readiness { every: Duration::from_millis(every), due: None, check }
    }

    fn port_check(wait: Duration) -> PortCheck {
        PortCheck { port: 80, wait, pending: Vec::new(), maybe_taken: false, occupant: None }
    }

    #[test]
    fn checks_of_a_port_begin_soon_and_become_rarer() {
        let mut readiness = readiness(10, Check::Port(port_check(FIRST_WAIT)));
        let waits: Vec<Time> = (0..4)
            .map(|_| {
                readiness.schedule_next(Time::ZERO);
                readiness.due.unwrap()
            })
            .collect();
        assert_eq!(waits, [4, 8, 10, 10].map(Time::from_millis));
    }

    #[test]
    fn checks_of_many_tasks_coincide() {
        let wait = Duration::from_millis(250);
        let all = (1000..1030).map(|at| coalesced(Time::from_millis(at) + wait, wait));
        let all: std::collections::BTreeSet<Time> = all.collect();
        assert!(all.len() <= 3, "{all:?}");
        assert!(all.first() >= Some(&Time::from_millis(1250)), "and never early");
    }

    #[test]
    fn a_probe_has_its_time() {
        let mut readiness = readiness(3000, Check::Command(Probe::default()));
        assert_eq!(readiness.probe_limit(), Time::from_secs(30));
        readiness.probe_started(Time::from_secs(1), Pid::from_raw(2), None);
        assert_eq!(readiness.due, Some(Time::from_secs(31)));
        readiness.every = Duration::from_millis(250);
        assert_eq!(readiness.probe_limit(), Time::from_secs(10));
    }

    #[test]
    fn the_last_result_is_described() {
        let mut probe = Probe::default();
        assert_eq!(
            readiness(1, Check::Command(Probe::default())).describe(),
            "waited for its `ready` command, which had not ended"
        );
        probe.tail.extend_from_slice(b"one\nno response\n\n");
        probe.failed(Exit::Code(2), PROBE_LIMIT);
        let describe = |probe| readiness(1, Check::Command(probe)).describe();
        assert_eq!(describe(probe), "waited for its `ready` command: exit 2: no response");
        let mut probe = Probe { killed: true, ..Probe::default() };
        probe.failed(Exit::Signal(9), PROBE_LIMIT);
        assert_eq!(describe(probe), "waited for its `ready` command: killed after 10s");
        let occupant = Some("nginx (7)".to_owned());
        let check = PortCheck { occupant, ..port_check(FIRST_WAIT) };
        assert_eq!(
            readiness(1, Check::Port(check)).describe(),
            "waited for port 80, where nginx (7) listens"
        );
    }
}
