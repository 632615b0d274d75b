//! Processes exit, and attempts are forgotten.

use std::path::PathBuf;
use std::sync::Arc;

use nix::unistd::Pid;

use super::LocalProcesses;
use super::start::{give_up, not_started, unwatch_pipes};
use crate::event::{Exit, StageId, Usage};
use crate::os::mark::Mark;
use crate::os::process::Change;
use crate::os::{self, descendants, live_starts, pipe_holders, proc, process};
use crate::plan::{Job, Leftovers, Plan, Restart, Stage};
use crate::run::attempt::table::ProcessRole;
use crate::run::attempt::{Attempt, EndedAttempt, Group, Holders, Process, Role};
use crate::run::backend::Context;
use crate::run::launch::unstarted::Unstarted;
use crate::sched::{Event, TaskId};

/// Searches in a run, through all processes, for those that hold the output of an ended task.
const SEARCHES: u32 = 100;

const GUARDIAN_LOST: &str =
    "prun's guardian was killed; should prun be killed by SIGKILL, what tasks started survives";

/// Searches for holders of outputs, as long as that has not cost too much.
#[derive(Default)]
pub(super) struct HolderSearch {
    searches: u32,
}

impl HolderSearch {
    /// Returns which of the processes that a start has left have these pipes open.
    fn holders(&mut self, mark: Option<Mark>, ends: &[PathBuf]) -> Holders {
        self.searches += 1;
        let Some(mark) = mark.filter(|_| self.searches <= SEARCHES) else { return Holders::default() };
        let found =
            descendants::of_run(live_starts::run().mark).into_iter().filter(|found| found.mark == mark);
        let holders = found.filter(|found| pipe_holders::has_open(found.pid, ends));
        Holders::of_output(holders.filter_map(|found| Some((found.pid, proc::name(found.pid)?))).collect())
    }
}

impl LocalProcesses {
    /// Notes how children ended, and reaps them at once. Returns the signal that ended the task which had the terminal to
    /// itself, if a key sent it: it was meant for prun as well.
    pub(super) fn reap_children(&mut self, cx: &mut Context) -> Option<i32> {
        let mut key_signal = None;
        while let Some(changed) = process::peek() {
            let exit = match changed.change {
                Change::Exited(exit) => exit_of(exit),
                Change::Stopped(signal) => {
                    self.stopped(changed.pid, signal, cx);
                    continue;
                }
            };
            key_signal = key_signal.or(self.exited(changed.pid, exit, cx));
        }
        key_signal
    }

    fn exited(&mut self, pid: Pid, exit: Exit, cx: &mut Context) -> Option<i32> {
        match self.attempts.forget_process(pid) {
            Some((id, ProcessRole::Stage(stage))) => {
                let plan = Arc::clone(&self.plan);
                let command = self.attempts.get(id).and_then(|attempt| command_of(&plan, attempt, stage));
                match self.launch.ended(pid, command) {
                    Some(unstarted) => self.stage_not_started(id, stage, pid, unstarted, cx),
                    None => self.stage_exited(id, stage, pid, exit, cx),
                }
            }
            Some((id, ProcessRole::Probe)) => {
                self.probe_ended(id, pid, exit, cx);
                None
            }
            None => {
                // A leftover of a task, which prun has adopted as its subreaper.
                self.descendants.reaped(pid);
                // Or a process of an attempt that was forgotten.
                let _ = self.launch.ended(pid, None);
                process::reap(pid);
                if os::guardian::is_guardian(pid) && os::guardian::forget() {
                    cx.warnings.push(GUARDIAN_LOST.into());
                }
                None
            }
        }
    }

    /// A process has ended that could not execute its program. What stands alone counts as never begun.
    fn stage_not_started(
        &mut self,
        id: TaskId,
        stage: StageId,
        pid: Pid,
        unstarted: Unstarted,
        cx: &mut Context,
    ) -> Option<i32> {
        let Some(attempt) = self.attempts.get_mut(id) else {
            process::reap(pid);
            return None;
        };
        if attempt.processes.len() > 1 {
            // The others are stopped. Until its exit is noted it is one of those that run.
            let exit = Exit::Code(unstarted.code());
            cx.events.push_back(not_started(id, attempt.live(), unstarted));
            return self.stage_exited(id, stage, pid, exit, cx);
        }
        self.stop_checks(id, cx);
        process::reap(pid);
        if let Some(mut attempt) = self.attempts.take(id) {
            attempt.mark.take().into_iter().for_each(live_starts::unregister);
            attempt.processes.clear();
            attempt.group = Group::Gone;
            unwatch_pipes(&attempt, cx);
            give_up(&mut attempt, unstarted, cx);
            self.attempts.insert(attempt);
        }
        None
    }

    fn stage_exited(
        &mut self,
        id: TaskId,
        stage: StageId,
        pid: Pid,
        exit: Exit,
        cx: &mut Context,
    ) -> Option<i32> {
        if self.attempts.get(id).is_some_and(|attempt| !attempt.watched && attempt.live() == 1) {
            self.read_unwatched(id, cx);
        }
        self.end_dialogue(id, stage, exit, cx);
        self.read_last_lines(id, cx);
        self.try_port_at_end(id, cx);
        self.take_last_probe(id, cx);
        let key_signal = self.key_signal(id, stage, exit, cx.terminal);
        let plan = Arc::clone(&self.plan);
        if let Some(attempt) = self.attempts.get_mut(id) {
            let job = &plan.jobs[attempt.work.job];
            let leftovers = job.leftovers;
            let reaches_group = match leftovers {
                Leftovers::Leave => false,
                Leftovers::LeaveLast => may_be_followed(job, attempt, stage, exit),
                Leftovers::Kill | Leftovers::Wait => true,
            };
            // The task is about to be stopped as all others are, with its leftovers.
            attempt.stopping |= key_signal.is_some();
            attempt.exited(stage, exit, reaches_group);
            let all_exited = attempt.live() == 0;
            if all_exited && leftovers != Leftovers::Wait {
                self.stop_checks(id, cx);
            }
            if all_exited {
                self.descendants.all_exited(id);
            }
            cx.events.push_back(Event::Exited { task: id, stage, exit });
        }
        let process::Usage { user, system, memory } = process::reap(pid);
        if let Some(attempt) = self.attempts.get_mut(id) {
            attempt.processes[stage].usage = Usage { user, system, memory };
        }
        self.give_terminal_back(id, cx.terminal);
        key_signal
    }

    /// Takes the result of a probe that has ended before the task's last process, which is about to be reaped. The kernel
    /// does not report children in the order of their ends.
    fn take_last_probe(&mut self, id: TaskId, cx: &mut Context) {
        let attempt = self.attempts.get(id).filter(|attempt| attempt.live() == 1);
        let probe = attempt.and_then(|attempt| attempt.readiness.as_deref()?.probe());
        if let Some(pid) = probe
            && let Some(exit) = process::exit_of(pid)
        {
            self.exited(pid, exit_of(exit), cx);
        }
    }

    /// Forgets an attempt that is over, and lets go what it left. A pipe that still is held open is read on and
    /// discarded; the result says who holds it.
    pub(super) fn forget_attempt(&mut self, id: TaskId, cx: &mut Context) -> Option<EndedAttempt> {
        self.attempts.get(id)?;
        self.end_transfers(cx);
        self.stop_checks(id, cx);
        let mut attempt = self.attempts.take(id)?;
        cx.terminal.end(id, true);
        // It need not be watched.
        let _ = attempt.feed.as_ref().map(|feed| cx.poller.remove(feed.fd()));
        self.hungry.retain(|hungry| *hungry != id);
        self.paused.retain(|paused| paused.task != id);
        self.descendants.forget(id);
        let mut held = Vec::new();
        for at in 0..attempt.readers.len() {
            held.extend(self.read_leftover(&mut attempt, at, cx));
        }
        // After a stop nothing is left that prun could name.
        let named = !held.is_empty() && !attempt.stopping;
        let mut holders = named.then(|| self.holder_search.holders(attempt.mark, &held));
        if attempt.cleared && !attempt.role.is_worker() && holders.is_none() {
            // It has left its process group, and goes on beside the next attempt.
            let left = attempt.mark.map(|mark| self.descendants.left_by(&self.attempts, mark));
            holders = left.filter(|left| !left.is_empty()).map(Holders::running);
        }
        self.note_earlier(&attempt);
        let end_start = if attempt.stopping { live_starts::unregister } else { live_starts::disown };
        attempt.mark.into_iter().for_each(end_start);
        // Leftovers of the task may write on, while another attempt adds to the file.
        attempt.files.direct().for_each(|file| os::files::set_append(file));
        attempt.work.fifos.append(&mut attempt.files.fifos);
        let whole = !attempt.stopping && attempt.processes.iter().all(Process::ended_by_itself);
        cx.queues.task_ended(id, whole, cx.poller);
        for process in attempt.processes.iter().filter(|process| process.exit.is_none()) {
            self.attempts.forget_process(process.pid);
        }
        Some(attempt.into_ended(holders))
    }
}

/// Returns the command that a process of an attempt runs.
fn command_of<'a>(plan: &'a Plan, attempt: &Attempt, stage: StageId) -> Option<&'a Stage> {
    let job = &plan.jobs[attempt.work.job];
    match attempt.role.hook() {
        Some(run) => job.hook(run.at).map(|hook| &hook.stage),
        None => Some(&job.stages[stage]),
    }
}

fn exit_of(exit: process::Exit) -> Exit {
    match exit {
        process::Exit::Code(code) => Exit::Code(code),
        process::Exit::Signal(signal) => Exit::Signal(signal),
    }
}

/// True if another attempt or worker may follow this one, so that what it leaves has to be reached.
fn may_be_followed(job: &Job, attempt: &Attempt, stage: StageId, exit: Exit) -> bool {
    let ended_well =
        |stage: &Stage, exit: Exit| matches!(exit, Exit::Code(code) if stage.ok.codes.contains(&code));
    let others =
        attempt.processes.iter().zip(&job.stages).filter_map(|(process, stage)| Some((stage, process.exit?)));
    let failed = || others.chain([(&job.stages[stage], exit)]).any(|(stage, exit)| !ended_well(stage, exit));
    // These can fail a task although its processes end well.
    let is_judged = job.ready.is_some() || attempt.talk.is_some() || job.restart != Restart::Never;
    match attempt.role {
        Role::Worker => true,
        Role::Attempt(_) => job.retries.count > 0 && (is_judged || failed()),
        Role::Hook(_) => false,
    }
}
