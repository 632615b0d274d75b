//! Looks whether attempts are up: at lines, at ports, and by probes. At most one probe of a task runs at a time; it has
//! the task's mark, so that a stop reaches all that it started, and a process group of its own, which is killed when it
//! is not needed any more.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::Instant;

use nix::libc::SIGKILL;
use nix::unistd::Pid;

use crate::event::Exit;
use crate::os::poller::Interest;
use crate::os::start::Group;
use crate::os::{self, port, process};
use crate::plan::{AtEnd, Job, Sign, Stage, status};
use crate::run::attempt::Active;
use crate::run::attempt::readiness::{Heard, Looked, Looking, PortLook};
use crate::run::launch::unstarted::Unstarted;
use crate::run::launch::wiring::no_pipe;
use crate::run::launch::{Attempt, ChildEnds};
use crate::run::local::Local;
use crate::run::local::ProcessRole;
use crate::run::local::Shared;
use crate::run::token::Token;
use crate::run::words::task_name;
use crate::sched::{Event, TaskId};

/// The place of the probe's command behind a job's stages, where the hooks are, too.
pub const PLACE: usize = AtEnd::ALL.len();
/// To find out who listens at a port costs a look through all processes: the rest after it, in times of what it took.
const REST: u32 = 20;

impl Local {
    /// The attempt is due to be looked at.
    pub(in crate::run) fn look_whether_up(&mut self, id: TaskId, shared: &mut Shared) {
        let now = shared.now;
        let Some(active) = self.get_mut(id) else { return };
        let mark = active.mark;
        let Some(looking) = active.looking.as_deref_mut().filter(|of| of.due.is_some_and(|due| due <= now))
        else {
            return;
        };
        match &mut looking.sign {
            Looked::Line(_) => {}
            Looked::Port(look) => {
                let (begun, open) = (Instant::now(), look.knock());
                let news = mark.filter(|_| open && look.suspicious).and_then(|mark| another(look, mark));
                if open && look.other.is_none() {
                    return self.is_up(id, shared);
                }
                looking.wait(now);
                looking.due = looking.due.map(|due| due.max(now + begun.elapsed() * REST));
                self.remnants.warnings.extend(news.map(|who| self.taken(id, &who)));
            }
            Looked::Command(probe) => match probe.pid {
                None => self.start_probe(id, shared),
                Some(pid) => {
                    probe.killed = true;
                    looking.due = None;
                    // It ends, and is told to have ended.
                    let _ = process::kill_group(pid, SIGKILL);
                }
            },
        }
    }

    fn taken(&self, id: TaskId, who: &str) -> String {
        let work = self.get(id).map(|active| &active.work);
        let name = work.map(|work| task_name(&self.plan.jobs[work.job], work.seq)).unwrap_or_default();
        format!(
            "{name} waits for its port, but {who} has listened there since before it was started, and is none of its \
             processes"
        )
    }

    /// A line that was looked for may have come.
    pub(in crate::run) fn is_up(&mut self, id: TaskId, shared: &mut Shared) {
        self.stop_looking(id);
        if let Some(active) = self.get_mut(id) {
            active.looking = None;
            shared.events.push_back(Event::Ready(id));
        }
    }

    fn start_probe(&mut self, id: TaskId, shared: &mut Shared) {
        let Some(mut active) = self.actives.take(id.place) else { return };
        match self.start_probe_of(&active) {
            Ok((pid, stderr)) => {
                self.pids.insert(pid, (id, ProcessRole::Probe));
                shared.watch(stderr.as_fd(), Token::Probe(id), Interest::Read);
                active.looking.iter_mut().for_each(|looking| looking.probing(shared.now, pid, None));
                if let Some(Looking { sign: Looked::Command(probe), .. }) = active.looking.as_deref_mut() {
                    probe.stderr = Some(stderr);
                }
            }
            // That passes.
            Err(Unstarted::Short(..)) => {
                active.looking.iter_mut().for_each(|looking| looking.wait(shared.now))
            }
            Err(Unstarted::Failed(failure)) => {
                active.looking = None;
                let why = format!("its `ready` command could not be executed: {}", failure.why);
                shared.events.push_back(Event::Fault { task: id, why: why.into() });
            }
        }
        self.actives.insert(id.place, active);
    }

    fn start_probe_of(&mut self, active: &Active) -> Result<(Pid, os_pipe::PipeReader), Unstarted> {
        let plan = Arc::clone(&self.plan);
        let job = &plan.jobs[active.work.job];
        let Some(stage) = probe_of(job) else { unreachable!("only what has a probe is looked at so") };
        let (reader, writer) = os_pipe::pipe().map_err(|error| no_pipe(&error))?;
        os::io::set_nonblocking(reader.as_fd()).map_err(|error| no_pipe(&error.into()))?;
        let mut ends = ChildEnds::default();
        let null = self.wiring.null();
        let stdio = [null, null, ends.keep(writer).as_raw_fd()];
        let attempt = Attempt {
            job,
            job_id: active.work.job,
            number: active.attempt,
            mark: active.mark,
            scope: active.work.scope(active.slot),
        };
        let facts = [("PRUN_TASK_PID", active.first_pid().unwrap_or_default().to_string())];
        let at = job.stages.len() + PLACE;
        Ok((self.launch.command(&attempt, at, stage, &facts, stdio, Group::New)?, reader))
    }

    /// What a probe writes to stderr.
    pub(in crate::run) fn hear_probe(&mut self, id: TaskId, shared: &mut Shared) {
        let looking = self.get_mut(id).and_then(|active| active.looking.as_deref_mut());
        if let Some(Looking { sign: Looked::Command(probe), .. }) = looking
            && probe.hear() == Heard::End
            && let Some(stderr) = probe.stderr.take()
        {
            let _ = shared.poller.remove(stderr.as_fd());
        }
    }

    /// A probe has ended, and was not yet reaped.
    pub(in crate::run) fn probe_ended(&mut self, id: TaskId, pid: Pid, exit: Exit, shared: &mut Shared) {
        // What it has left in its group is not needed.
        let _ = process::kill_group(pid, SIGKILL);
        process::reap(pid);
        let plan = Arc::clone(&self.plan);
        let Some(active) = self.get_mut(id) else { return };
        let stage = probe_of(&plan.jobs[active.work.job]);
        let Some(looking) = active.looking.as_deref_mut() else { return };
        let patience = looking.patience();
        let Looked::Command(probe) = &mut looking.sign else { return };
        if probe.pid != Some(pid) {
            return;
        }
        probe.pid = None;
        while probe.hear() == Heard::Something {}
        if let Some(stderr) = probe.stderr.take() {
            let _ = shared.poller.remove(stderr.as_fd());
        }
        if stage.is_some_and(|stage| !status::pipeline(&[(Some(exit), &stage.ok)], false).1.is_failure()) {
            return self.is_up(id, shared);
        }
        probe.failed(exit, patience);
        looking.wait(shared.now);
        if !self.watched.contains(&id) {
            self.watched.push(id);
        }
    }

    /// Nothing is looked for any more. What was seen is kept for the report.
    pub(in crate::run) fn stop_looking(&mut self, id: TaskId) {
        let probe = self.get_mut(id).and_then(|active| active.looking.as_mut()?.stop());
        // Of the task's other processes it is one from now on, and a stop waits for its end.
        if let Some(pid) = probe
            && self.pids.remove(&pid).is_some()
        {
            let _ = process::kill_group(pid, SIGKILL);
        }
    }

    /// The last process of the task is about to end: a line that it wrote before counts.
    pub(in crate::run) fn hear_last_lines(&mut self, id: TaskId, shared: &mut Shared) {
        let Some(active) = self.get(id) else { return };
        let is_line = |looking: &Looking| matches!(looking.sign, Looked::Line(_));
        if active.live() > 1 || !active.looking.as_deref().is_some_and(is_line) {
            return;
        }
        let open = active.readers.iter().enumerate();
        let open = open.filter(|(_, reader)| reader.as_ref().is_some_and(|reader| reader.tap.is_none()));
        for at in open.map(|(at, _)| at).collect::<Vec<_>>() {
            self.hear_out(id, at, shared);
            self.look_for_line(id, Some(at), shared);
        }
    }

    /// What was read may have brought the line. `ended`: the reader that is at its end.
    pub(in crate::run) fn look_for_line(&mut self, id: TaskId, ended: Option<usize>, shared: &mut Shared) {
        let Some(active) = self.get_mut(id) else { return };
        if let Some(Looking { sign: Looked::Line(lookout), .. }) = active.looking.as_deref_mut()
            && (lookout.is_found() || ended.is_some_and(|at| lookout.end(at)))
        {
            self.is_up(id, shared);
        }
    }
}

/// Who listens at the port in the task's place; with its name where that was not told yet.
fn another(look: &mut PortLook, mark: os::mark::Mark) -> Option<String> {
    let who = port::taken_by_another(look.number(), mark);
    let is_new = look.other.is_none();
    look.other = who.clone();
    who.filter(|_| is_new)
}

fn probe_of(job: &Job) -> Option<&Stage> {
    match &job.ready.as_ref()?.sign {
        Sign::Command(stage) => Some(stage),
        Sign::Line(_) | Sign::Port(_) | Sign::After(_) => None,
    }
}
