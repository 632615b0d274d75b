//! Checks whether attempts are ready: by lines, by ports, and by probes.
//!
//! At most one probe of a task runs at a time. It has the task's mark, so that a stop reaches all that it started, and
//! a process group of its own, which is killed when it is not needed any more.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use nix::libc::SIGKILL;
use nix::unistd::Pid;

use super::LocalProcesses;
use crate::event::Exit;
use crate::os::poller::Interest;
use crate::os::port::{self, Listener};
use crate::os::start::Group;
use crate::os::{self, process};
use crate::plan::{Job, ReadyCheck, Stage, status};
use crate::run::attempt::Attempt;
use crate::run::attempt::readiness::{Check, Heard, PortCheck, Readiness};
use crate::run::attempt::table::ProcessRole;
use crate::run::backend::Context;
use crate::run::launch::unstarted::{Unstarted, no_pipe};
use crate::run::launch::{ChildEnds, ChildIo, LaunchContext};
use crate::run::task::task_name;
use crate::run::token::Token;
use crate::sched::{Event, TaskId};

/// The pause after a search for the process that listens at a port, as a multiple of its duration: it goes through all
/// processes of the system.
const PAUSE_FACTOR: u32 = 20;

/// Attempts that are over whose marks are remembered, at most.
const EARLIER: usize = 64;

impl LocalProcesses {
    /// Checks whether an attempt is ready, if that is due.
    pub(super) fn check_readiness(&mut self, id: TaskId, cx: &mut Context) {
        let now = cx.now;
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        let mark = attempt.mark;
        let Some(readiness) =
            attempt.readiness.as_deref_mut().filter(|of| of.due.is_some_and(|due| due <= now))
        else {
            return;
        };
        match &mut readiness.check {
            Check::Line(_) => {}
            Check::Port(port) => {
                let (begun, open) = (Instant::now(), port.is_open());
                let occupant =
                    mark.filter(|_| open && port.maybe_taken).and_then(|mark| find_occupant(port, mark));
                if open && port.occupant.is_none() {
                    return self.set_ready(id, cx);
                }
                readiness.schedule_next(now);
                readiness.due = readiness.due.map(|due| due.max(now + begun.elapsed() * PAUSE_FACTOR));
                cx.warnings.extend(occupant.map(|who| self.port_is_taken(id, &who)));
            }
            Check::Command(probe) => match probe.pid {
                None => self.start_probe(id, cx),
                Some(pid) => {
                    probe.killed = true;
                    readiness.due = None;
                    // Its end is reported as that of any child.
                    let _ = process::kill_group_of(pid, SIGKILL);
                }
            },
        }
    }

    fn port_is_taken(&self, id: TaskId, who: &Listener) -> String {
        let Some(work) = self.attempts.get(id).map(|attempt| &attempt.work) else { return String::new() };
        let job = &self.plan.jobs[work.job];
        let owner = self.earlier.iter().find(|(mark, _)| Some(*mark) == who.mark).map(|(_, owner)| owner);
        let variable = format!("PRUN_JOB={}", job.name).into_bytes();
        let of_run = who.mark.is_some_and(|mark| mark.run() == os::live_starts::run().mark);
        let whose = if owner == Some(&work.task_name()) {
            ": an earlier attempt of it has left that process running; `leftovers = \"kill\"` would end it"
        } else if !of_run && who.pid.is_some_and(|pid| os::proc::has_variable(pid, &variable)) {
            ": an earlier run of it has left that process running; end it, and see `leftovers` in prun.toml(5)"
        } else {
            ", and is none of its processes"
        };
        let (name, who) = (task_name(job, work.seq), &who.name);
        format!("{name} waits for its port, but {who} has listened there since before it was started{whose}")
    }

    /// Notes the mark of an attempt that is over, and may have left something that listens at its port.
    pub(super) fn note_earlier(&mut self, attempt: &Attempt) {
        let ready = self.plan.jobs[attempt.work.job].ready.as_ref();
        let has_port = ready.is_some_and(|ready| matches!(ready.check, ReadyCheck::Port(_)));
        if let Some(mark) = attempt.mark.filter(|_| has_port && !attempt.stopping) {
            self.earlier.truncate(EARLIER - 1);
            self.earlier.push_front((mark, attempt.work.task_name()));
        }
    }

    /// The attempt is ready: its line came, its port was opened, or its probe succeeded.
    fn set_ready(&mut self, id: TaskId, cx: &mut Context) {
        self.stop_checks(id, cx);
        if let Some(attempt) = self.attempts.get_mut(id) {
            attempt.readiness = None;
            cx.events.push_back(Event::Up(id));
        }
    }

    fn start_probe(&mut self, id: TaskId, cx: &mut Context) {
        let Some(mut attempt) = self.attempts.take(id) else { return };
        match self.start_probe_of(&attempt) {
            Ok((pid, stderr)) => {
                self.attempts.note_process(pid, id, ProcessRole::Probe);
                cx.watch(stderr.as_fd(), Token::Probe(id), Interest::Read);
                if let Some(readiness) = attempt.readiness.as_deref_mut() {
                    readiness.probe_started(cx.now, pid, Some(stderr));
                }
            }
            Err(unstarted) => probe_not_started(&mut attempt, unstarted, cx),
        }
        self.attempts.insert(attempt);
    }

    fn start_probe_of(&mut self, attempt: &Attempt) -> Result<(Pid, os_pipe::PipeReader), Unstarted> {
        let plan = Arc::clone(&self.plan);
        let job = &plan.jobs[attempt.work.job];
        let Some(stage) = probe_of(job) else { unreachable!("only a job with a probe is checked by one") };
        let (reader, writer) = os_pipe::pipe().map_err(|error| no_pipe(&error))?;
        os::io::set_nonblocking(reader.as_fd()).map_err(|error| no_pipe(&error.into()))?;
        let mut ends = ChildEnds::default();
        let null = self.wiring.null();
        let io = ChildIo { stdio: [null, null, ends.keep(writer)], group: Group::New, waits: false };
        let context = LaunchContext::of(attempt, job, attempt.work.scope(attempt.slot));
        let facts = [("PRUN_TASK_PID", attempt.first_pid().unwrap_or_default().to_string())];
        Ok((self.launch.probe(&context, stage, &facts, io)?, reader))
    }

    /// Keeps what a probe writes to stderr.
    pub(super) fn hear_probe(&mut self, id: TaskId, cx: &mut Context) {
        let readiness = self.attempts.get_mut(id).and_then(|attempt| attempt.readiness.as_deref_mut());
        if let Some(Readiness { check: Check::Command(probe), .. }) = readiness
            && probe.hear() == Heard::End
            && let Some(stderr) = probe.stderr.take()
        {
            let _ = cx.poller.remove(stderr.as_fd());
        }
    }

    /// A probe has ended, and was not yet reaped.
    pub(super) fn probe_ended(&mut self, id: TaskId, pid: Pid, exit: Exit, cx: &mut Context) {
        let plan = Arc::clone(&self.plan);
        let job = self.attempts.get(id).map(|attempt| &plan.jobs[attempt.work.job]);
        let stage = job.and_then(probe_of);
        let unstarted = self.launch.ended(pid, stage);
        // Nothing that the probe has left in its group is needed.
        let _ = process::kill_group_of(pid, SIGKILL);
        process::reap(pid);
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        let Some(readiness) = attempt.readiness.as_deref_mut() else { return };
        let limit = readiness.probe_limit();
        let Check::Command(probe) = &mut readiness.check else { return };
        if probe.pid != Some(pid) {
            return;
        }
        probe.pid = None;
        while probe.hear() == Heard::Something {}
        if let Some(stderr) = probe.stderr.take() {
            let _ = cx.poller.remove(stderr.as_fd());
        }
        if stage.is_some_and(|stage| !status::pipeline(&[(Some(exit), &stage.ok)], false).1.is_failure()) {
            return self.set_ready(id, cx);
        }
        match unstarted {
            Some(unstarted) => probe_not_started(attempt, unstarted, cx),
            None => {
                probe.failed(exit, limit);
                readiness.schedule_next(cx.now);
            }
        }
        if !self.watched.contains(&id) {
            self.watched.push(id);
        }
    }

    /// Ends the checks whether the attempt is ready. Their results are kept for the report.
    pub(super) fn stop_checks(&mut self, id: TaskId, cx: &mut Context) {
        let readiness = self.attempts.get(id).and_then(|attempt| attempt.readiness.as_deref());
        if let Some(Readiness { check: Check::Command(probe), .. }) = readiness
            && let Some(stderr) = &probe.stderr
        {
            let _ = cx.poller.remove(stderr.as_fd());
        }
        let probe = self.attempts.get_mut(id).and_then(|attempt| attempt.readiness.as_mut()?.stop());
        // From now on a running probe is one of the task's descendants, and a stop waits for its end.
        if let Some(pid) = probe
            && self.attempts.forget_process(pid).is_some()
        {
            let _ = process::kill_group_of(pid, SIGKILL);
        }
    }

    /// Reads the last lines of a task whose last process is about to be reaped: they still may show that it was ready.
    pub(super) fn read_last_lines(&mut self, id: TaskId, cx: &mut Context) {
        let Some(attempt) = self.attempts.get(id) else { return };
        let is_line = |readiness: &Readiness| matches!(readiness.check, Check::Line(_));
        if attempt.live() > 1 || !attempt.readiness.as_deref().is_some_and(is_line) {
            return;
        }
        let open = attempt.readers.iter().enumerate();
        let open = open.filter(|(_, reader)| reader.as_ref().is_some_and(|reader| reader.tap.is_none()));
        for at in open.map(|(at, _)| at).collect::<Vec<_>>() {
            self.read_rest(id, at, cx);
            self.check_line(id, Some(at), cx);
        }
    }

    /// Tries the port of a task whose last process is about to be reaped: what it has started may listen there since the
    /// last check.
    pub(super) fn try_port_at_end(&mut self, id: TaskId, cx: &mut Context) {
        let Some(attempt) = self.attempts.get_mut(id).filter(|attempt| attempt.live() == 1) else { return };
        if let Some(Readiness { check: Check::Port(port), .. }) = attempt.readiness.as_deref_mut()
            // The first look may only have begun to connect.
            && (port.is_open() || port.is_open())
            && !port.maybe_taken
            && port.occupant.is_none()
        {
            self.set_ready(id, cx);
        }
    }

    /// Checks whether the line has come that shows that the attempt is ready. `ended` is a reader that is at its end, so
    /// that a last line without a newline counts.
    pub(super) fn check_line(&mut self, id: TaskId, ended: Option<usize>, cx: &mut Context) {
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        if let Some(Readiness { check: Check::Line(search), .. }) = attempt.readiness.as_deref_mut()
            && (search.is_found() || ended.is_some_and(|at| search.end(at)))
        {
            self.set_ready(id, cx);
        }
    }
}

/// Tries again later if the probe could not be started for a shortage, which passes; otherwise the attempt fails.
fn probe_not_started(attempt: &mut Attempt, unstarted: Unstarted, cx: &mut Context) {
    match unstarted {
        Unstarted::Shortage(..) => {
            attempt.readiness.iter_mut().for_each(|readiness| readiness.schedule_next(cx.now))
        }
        Unstarted::Failed(failure) => {
            attempt.readiness = None;
            let why = format!("its `ready` command could not be executed: {}", failure.why);
            cx.events.push_back(Event::Fault { task: attempt.id, why: why.into() });
        }
    }
}

/// Finds the process that listens at the port in the task's place. Returns its name if people were not told yet.
fn find_occupant(check: &mut PortCheck, mark: os::mark::Mark) -> Option<Listener> {
    let who = port::foreign_listener(check.number(), mark);
    let is_new = check.occupant.is_none();
    check.occupant = who.as_ref().map(|who| who.name.clone());
    who.filter(|_| is_new)
}

fn probe_of(job: &Job) -> Option<&Stage> {
    match &job.ready.as_ref()?.check {
        ReadyCheck::Command(stage) => Some(stage),
        ReadyCheck::Line(_) | ReadyCheck::Port(_) | ReadyCheck::After(_) => None,
    }
}
