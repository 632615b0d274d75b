//! Hooks of tasks: commands after the last attempt, with the task's output on their standard input. A hook runs in the
//! place of its task, as its process; how the task itself ended is kept for the report.

use std::fs::File;
use std::io::{self, Seek};
use std::sync::Arc;
use std::sync::mpsc::TryRecvError;

use crate::event::{Outcome, RunEvent};
use crate::flow::output::{Dest, KeptForHook, LaneSpec, Own};
use crate::os;
use crate::plan::template::Scope;
use crate::plan::{HookOn, Job, OutputMode};
use crate::run::attempt::hook::HookInput;
use crate::run::attempt::hook::{FinishedTask, HookRun};
use crate::run::attempt::{Attempt, EndedAttempt, Role};
use crate::run::backend::HookTurn;
use crate::run::event_loop::EventLoop;
use crate::run::task::{Work, policy, short_item};
use crate::sched::TaskId;

impl EventLoop {
    /// The last attempt of a task is over, or its first hook, and it is the turn of this hook.
    pub(super) fn hook(&mut self, task: TaskId, at: HookOn, outcome: Outcome) {
        let (backend, mut cx) = self.backend();
        let now = cx.now;
        match backend.hook_turn(task, at, &mut cx) {
            HookTurn::Skipped => {}
            HookTurn::Again(input) => self.start_hook(task, Ok(input)),
            HookTurn::Unknown => self.hook_of_given(task, at, outcome),
            HookTurn::Ended(ended) => {
                self.inbox.forget_attempt(task);
                if let Some(holders) = &ended.holders {
                    self.warn_of_holders(&ended.work, holders);
                }
                match *ended {
                    EndedAttempt { role: Role::Hook(before), work, slot, stderr_tail, received, .. } => {
                        let attempt = Attempt {
                            stderr_tail,
                            received,
                            ..Attempt::new(task, work, slot, Role::Worker, now)
                        };
                        self.next_hook(*before, attempt, at);
                    }
                    ended => {
                        let over = self.over(task, ended);
                        self.begin_hook(over, at, outcome);
                    }
                }
            }
        }
    }

    /// One hook is over, and the next one reads the same.
    fn next_hook(&mut self, before: HookRun, attempt: Attempt, at: HookOn) {
        let task = attempt.id;
        self.tell_hook(&attempt.work, before.attempts, attempt.slot, at);
        let input = match before.input {
            Some(HookInput::File(mut file)) => rewound(&mut file).map(|()| HookInput::File(file)),
            Some(bytes) => Ok(bytes),
            None => Err("the task's output was lost".into()),
        };
        let hook = HookRun { at, input: None, ..before };
        self.backend.place_hook(Attempt { role: Role::Hook(Box::new(hook)), ..attempt });
        // The hook before may have been stopped before its input came: then this one gets it.
        if !self.output.awaited_inputs.iter().any(|(awaiting, _)| *awaiting == task) {
            self.start_hook(task, input);
        }
    }

    fn tell_hook(&mut self, work: &Work, attempt: u32, slot: usize, at: HookOn) {
        let plan = Arc::clone(&self.plan);
        let job = &plan.jobs[work.job];
        let Some(hook) = job.hook(at).filter(|_| self.options.verbose) else { return };
        let item = short_item(&work.items);
        let command = Some(hook.stage.command.for_message(&job.name, &work.scope(slot)));
        self.tell(&RunEvent::TaskStarted { task: work.task_name(), attempt, pid: None, item, command });
    }

    /// Puts together what the hooks of a task are told of it.
    fn over(&self, task: TaskId, ended: EndedAttempt) -> FinishedTask {
        let number = ended.role.attempts();
        let last = ended.processes.last();
        FinishedTask {
            task,
            slot: ended.slot,
            attempts: number,
            pid: last.map(|process| process.pid.as_raw()),
            exit: last.and_then(|process| process.exit),
            elapsed: self.elapsed_since(ended.started),
            detail: Box::new(self.detail_of(&ended.work, Some(&ended), number)),
            work: ended.work,
        }
    }

    /// Begins the first hook of a task that has no process any more. Lanes of the task that are open go on before those
    /// of the hook.
    pub(super) fn begin_hook(&mut self, over: FinishedTask, at: HookOn, outcome: Outcome) {
        let plan = Arc::clone(&self.plan);
        let job = &plan.jobs[over.work.job];
        let task = over.task;
        self.tell_hook(&over.work, over.attempts, over.slot, at);
        let scope = over.work.scope(over.slot);
        let lanes = if job.output == OutputMode::Raw { Vec::new() } else { lanes(job, &scope) };
        let outputs = &mut self.output.outputs;
        if !outputs.is_open(task.place) {
            // A worker's task, whose answer needed no lanes.
            let order = job.keep_order.then_some((over.work.job, over.work.seq));
            outputs.open(task.place, Vec::new(), policy(job, true), order);
        }
        let (kept, first_lane) = outputs.begin_hook(task.place, lanes);
        let (work, slot, now) = (over.work.clone(), over.slot, self.kernel.now);
        let hook = HookRun::first(over, at, outcome, first_lane, now);
        self.backend.place_hook(Attempt::new(task, work, slot, Role::Hook(Box::new(hook)), now));
        match kept {
            KeptForHook::Memory(bytes) => self.start_hook(task, Ok(HookInput::Bytes(bytes))),
            KeptForHook::Spilled(spill) => {
                self.output.write_out();
                let file = self.output.sinks.take_spilled(spill);
                self.output.awaited_inputs.push((task, file));
            }
        }
    }

    /// Starts the hooks whose input has come from the disk thread.
    pub(in crate::run) fn start_awaited_hooks(&mut self) {
        for (task, file) in std::mem::take(&mut self.output.awaited_inputs) {
            match file.try_recv() {
                Ok(file) => {
                    let input = file.map_err(|error| not_again(&error));
                    let input = input.and_then(|mut file| rewound(&mut file).map(|()| file));
                    self.start_hook(task, input.map(HookInput::File));
                }
                Err(TryRecvError::Empty) => self.output.awaited_inputs.push((task, file)),
                // The thread has told what happened.
                Err(TryRecvError::Disconnected) => {
                    self.start_hook(task, Err("the task's output was lost".into()));
                }
            }
        }
    }

    fn start_hook(&mut self, task: TaskId, input: Result<HookInput, String>) {
        self.inbox.starts += 1;
        let (backend, mut cx) = self.backend();
        backend.start_hook(task, input, &mut cx);
    }
}

/// Rewinds the file, so that a hook reads it from its first byte on.
fn rewound(file: &mut File) -> Result<(), String> {
    file.rewind().map_err(|error| not_again(&error))
}

fn not_again(error: &io::Error) -> String {
    format!("could not read the task's output again: {}", os::errors::reason(error))
}

/// Returns the lanes of a hook: it writes where its task is shown.
fn lanes(job: &Job, scope: &Scope) -> Vec<LaneSpec> {
    let tag = job.tag.as_ref().map(|tag| Arc::from(tag.rendered(scope)));
    [Dest::Stdout, Dest::Stderr]
        .map(|dest| LaneSpec { dest, tag: tag.clone(), escape: None, own: Own::Shared })
        .into()
}
