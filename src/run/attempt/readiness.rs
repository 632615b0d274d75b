//! Whether an attempt is up: what is looked for, when the next look is due, and what was seen last.
//!
//! `local::probes` does what is done about it: it knocks, starts probes, and tells the scheduler. `Sign::After` is no
//! business of this side, for the scheduler has a clock of its own.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use nix::unistd::Pid;

use crate::event::{Exit, StartFailure, Time};
use crate::flow::line_search::LineSearch;
use crate::os::port::{self, Answer, Connecting, Family};
use crate::plan::{Job, ReadyCheck};
use crate::run::task::Work;

/// A probe may take so long, or so many times what lies between two of them.
const PATIENCE: Time = Time::from_secs(10);
const PATIENCE_FACTOR: u32 = 10;
/// The first wait for a port. Most services listen soon, and nobody feels a knock at a port where nobody listens.
const FIRST_WAIT: Time = Time::from_millis(4);
/// Of what a probe writes to stderr, so much is kept.
const TAIL: usize = 512;

/// An attempt of which it is not known, or was not known to its end, that it is up.
pub struct Readiness {
    /// From one look to the next.
    every: Duration,
    /// When a look is due, or a probe has taken too long.
    pub due: Option<Time>,
    pub sign: Check,
}

/// At what is looked.
pub enum Check {
    Line(LineSearch),
    Port(PortCheck),
    Command(Probe),
}

pub struct PortCheck {
    port: u16,
    wait: Duration,
    /// Connections that are being made.
    pending: Vec<(Family, Connecting)>,
    /// Somebody may have listened there before the task was started.
    pub suspicious: bool,
    /// Who it is, once that was told.
    pub other: Option<String>,
}

/// The command that is run again and again.
#[derive(Default)]
pub struct Probe {
    /// The one that runs.
    pub pid: Option<Pid>,
    /// It has taken too long, and was killed.
    pub killed: bool,
    /// What it writes to stderr comes from here; nobody waits for it.
    pub stderr: Option<os_pipe::PipeReader>,
    tail: Vec<u8>,
    /// How the last one ended.
    last: Option<String>,
}

/// What there is to read of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    Something,
    Nothing,
    End,
}

impl Readiness {
    /// What a new attempt is to be looked at for, if for anything; before its processes start.
    pub fn new(
        job: &Job,
        work: &Work,
        slot: usize,
        now: Time,
    ) -> Result<Option<Box<Readiness>>, StartFailure> {
        let Some(ready) = &job.ready else { return Ok(None) };
        let (due, sign) = match &ready.check {
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
        Ok(Some(Box::new(Readiness { every: ready.every, due, sign })))
    }

    /// The task has written this, to the reader of this number.
    pub fn hear(&mut self, at: usize, bytes: &[u8]) {
        if let Check::Line(lookout) = &mut self.sign {
            lookout.push(at, bytes);
        }
    }

    /// The probe that runs.
    pub fn probe(&self) -> Option<Pid> {
        match &self.sign {
            Check::Command(probe) => probe.pid,
            Check::Line(_) | Check::Port(_) => None,
        }
    }

    /// Nothing is looked for any more. What was seen is kept for the report. The probe that runs is not its any more.
    pub fn stop(&mut self) -> Option<Pid> {
        self.due = None;
        match &mut self.sign {
            Check::Command(probe) => probe.pid.take(),
            Check::Line(_) | Check::Port(_) => None,
        }
    }

    /// A look has shown nothing.
    pub fn wait(&mut self, now: Time) {
        let wait = match &mut self.sign {
            Check::Port(look) => {
                let wait = look.wait;
                look.wait = (wait * 2).min(self.every);
                wait
            }
            Check::Line(_) | Check::Command(_) => self.every,
        };
        self.due = Some(together(now + wait, wait));
    }

    /// A probe was started.
    pub fn probing(&mut self, now: Time, pid: Pid, stderr: Option<os_pipe::PipeReader>) {
        if let Check::Command(probe) = &mut self.sign {
            let last = probe.last.take();
            *probe = Probe { pid: Some(pid), stderr, last, ..Probe::default() };
            self.due = Some(now + self.patience());
        }
    }

    pub fn patience(&self) -> Duration {
        PATIENCE.max(self.every * PATIENCE_FACTOR)
    }

    /// What was waited for in vain, and what was seen of it: "waited for port 6379; nobody listens there".
    pub fn told(&self) -> String {
        match &self.sign {
            Check::Line(lookout) => format!("waited for a line that matches `{}`", lookout.pattern()),
            Check::Port(look) => match &look.other {
                None => format!("waited for port {}", look.port),
                Some(other) => format!("waited for port {}, where {other} listens", look.port),
            },
            Check::Command(Probe { last: Some(last), .. }) => {
                format!("waited for its `ready` command: {last}")
            }
            Check::Command(_) => "waited for its `ready` command, which had not ended".into(),
        }
    }
}

/// Looks at many tasks come together, a little late, so that the loop does not turn for each of them.
fn together(due: Time, wait: Duration) -> Time {
    let step = (wait / 16).as_millis().max(1);
    Time::from_millis(due.as_millis().div_ceil(step).saturating_mul(step).try_into().unwrap_or(u64::MAX))
}

impl PortCheck {
    fn new(port: u16, every: Duration) -> PortCheck {
        let mut look = PortCheck {
            port,
            wait: FIRST_WAIT.min(every),
            pending: Vec::new(),
            suspicious: false,
            other: None,
        };
        // A connection that is still being made may be one to the task itself: that is looked at when it is there.
        look.suspicious = look.knock() || !look.pending.is_empty();
        look
    }

    pub fn number(&self) -> u16 {
        self.port
    }

    /// Whether somebody listens.
    pub fn knock(&mut self) -> bool {
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
            // Whoever listens there from now on came after the task.
            (self.suspicious, self.other) = (false, None);
        }
        false
    }
}

impl Probe {
    /// Keeps the last of what it wrote.
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

    /// It has ended, and not well.
    pub fn failed(&mut self, exit: Exit, patience: Duration) {
        let how = match exit {
            _ if self.killed => format!("killed after {}", humantime::format_duration(patience)),
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

    fn readiness(every: u64, sign: Check) -> Readiness {
        Readiness { every: Duration::from_millis(every), due: None, sign }
    }

    fn port_check(wait: Duration) -> PortCheck {
        PortCheck { port: 80, wait, pending: Vec::new(), suspicious: false, other: None }
    }

    #[test]
    fn looks_at_a_port_begin_soon_and_become_rarer() {
        let mut readiness = readiness(10, Check::Port(port_check(FIRST_WAIT)));
        let waits: Vec<Time> = (0..4)
            .map(|_| {
                readiness.wait(Time::ZERO);
                readiness.due.unwrap()
            })
            .collect();
        assert_eq!(waits, [4, 8, 10, 10].map(Time::from_millis));
    }

    #[test]
    fn looks_at_many_tasks_come_together() {
        let wait = Duration::from_millis(250);
        let all = (1000..1030).map(|at| together(Time::from_millis(at) + wait, wait));
        let all: std::collections::BTreeSet<Time> = all.collect();
        assert!(all.len() <= 3, "{all:?}");
        assert!(all.first() >= Some(&Time::from_millis(1250)), "and never early");
    }

    #[test]
    fn a_probe_has_its_time() {
        let mut readiness = readiness(3000, Check::Command(Probe::default()));
        assert_eq!(readiness.patience(), Time::from_secs(30));
        readiness.probing(Time::from_secs(1), Pid::from_raw(2), None);
        assert_eq!(readiness.due, Some(Time::from_secs(31)));
        readiness.every = Duration::from_millis(250);
        assert_eq!(readiness.patience(), Time::from_secs(10));
    }

    #[test]
    fn what_was_seen_last_is_told() {
        let mut probe = Probe::default();
        assert_eq!(
            readiness(1, Check::Command(Probe::default())).told(),
            "waited for its `ready` command, which had not ended"
        );
        probe.tail.extend_from_slice(b"one\nno response\n\n");
        probe.failed(Exit::Code(2), PATIENCE);
        let told = |probe| readiness(1, Check::Command(probe)).told();
        assert_eq!(told(probe), "waited for its `ready` command: exit 2: no response");
        let mut probe = Probe { killed: true, ..Probe::default() };
        probe.failed(Exit::Signal(9), PATIENCE);
        assert_eq!(told(probe), "waited for its `ready` command: killed after 10s");
        let other = Some("nginx (7)".to_owned());
        let look = PortCheck { other, ..port_check(FIRST_WAIT) };
        assert_eq!(readiness(1, Check::Port(look)).told(), "waited for port 80, where nginx (7) listens");
    }
}
