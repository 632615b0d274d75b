//! Hooks: commands after the last attempt of a task, with the task's output on their stdin. They run in the task's
//! place, as its process; how the task itself ended is kept for the report.

use std::fs::File;
use std::io::{self, Seek};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};

use crate::event::{Detail, Exit, Outcome, RunEvent, StageId, TaskName, Time};
use crate::flow::output::{Dest, Kept, LaneSpec};
use crate::os;
use crate::plan::template::Scope;
use crate::plan::{AtEnd, Job, OutputMode};
use crate::run::Run;
use crate::run::attempt::{Active, Work};
use crate::run::launch::wiring::policy;
use crate::run::words;
use crate::sched::{Event, TaskId};

/// A task that is over, but for its hook.
pub struct Over {
    pub task: TaskId,
    pub work: Work,
    pub slot: usize,
    pub attempts: u32,
    /// Its (last) process, or that of its worker; 0: there was none.
    pub pid: i32,
    /// How that ended.
    pub exit: Option<Exit>,
    pub elapsed: Time,
    /// What people need to know of it if it has failed, or its hook does.
    pub detail: Box<Detail>,
}

/// Of a task whose hook runs.
#[derive(Debug)]
pub struct Hooked {
    pub at: AtEnd,
    /// Of the task itself.
    pub outcome: Outcome,
    /// When the task's last attempt began.
    pub started: Time,
    /// Of the task itself.
    pub detail: Box<Detail>,
    /// What the hook finds in its environment beside the task's own variables.
    pub facts: Vec<(&'static str, String)>,
    /// Its first lane; its stdout has this one, its stderr the next.
    pub first_lane: usize,
    /// What it reads, while it can't be started, and while another hook follows that reads it again.
    pub input: Option<HookInput>,
}

/// What a hook reads.
#[derive(Debug)]
pub enum HookInput {
    Bytes(Vec<u8>),
    File(File),
}

/// Hooks whose input is still on its way to the disk.
pub type Awaited = Vec<(TaskId, Receiver<io::Result<File>>)>;

impl Run {
    /// The last attempt of a task is over, or its first hook, and it is this one's turn.
    pub(in crate::run) fn hook(&mut self, task: TaskId, at: AtEnd, outcome: Outcome) {
        if self.options.dry_run {
            self.events.push_back(Event::Drained(task));
            self.events.push_back(Event::Exited { task, stage: StageId(0), exit: Exit::Code(0) });
            return;
        }
        if let Some(input) = self.local.hook_input(task, at) {
            return self.start_hook(task, Ok(input));
        }
        let (local, mut shared) = self.local();
        let Some((mut active, left)) = local.end(task, &mut shared) else {
            return self.hook_of_given(task, at, outcome);
        };
        // The end of its output may be on its way; the hook's is another.
        self.events
            .retain(|event| !matches!(event, Event::Drained(of) | Event::GroupGone(of) if *of == task));
        if let Some(holders) = left {
            self.warn_of_leftover(&active.work, &holders);
        }
        match active.hook.take() {
            Some(before) => self.next_hook(active, *before, at),
            None => {
                let over = self.over(task, active);
                self.begin_hook(over, at, outcome);
            }
        }
    }

    /// One hook is over, and the next one reads the same.
    fn next_hook(&mut self, before: Active, hooked: Hooked, at: AtEnd) {
        let task = before.id;
        self.tell_hook(&before.work, before.attempt, before.slot, at);
        let input = match hooked.input {
            Some(HookInput::File(mut file)) => rewound(&mut file).map(|()| HookInput::File(file)),
            Some(bytes) => Ok(bytes),
            None => Err("the task's output was lost".into()),
        };
        let hooked = Hooked { at, input: None, ..hooked };
        let active = Active::new(task, before.work, before.slot, before.attempt, self.now);
        let (stderr_tail, received) = (before.stderr_tail, before.received);
        self.local.place_hook(Active { hook: Some(Box::new(hooked)), stderr_tail, received, ..active });
        // The other one may have been stopped before its input came: then this one gets it.
        if !self.hooks.iter().any(|(awaiting, _)| *awaiting == task) {
            self.start_hook(task, input);
        }
    }

    fn tell_hook(&mut self, work: &Work, attempt: u32, slot: usize, at: AtEnd) {
        let plan = Arc::clone(&self.plan);
        let job = &plan.jobs[work.job];
        let Some(hook) = job.hook(at).filter(|_| self.options.verbose) else { return };
        let task = TaskName { job: work.job, seq: work.seq };
        let item = words::short_item(&work.items);
        let command = Some(hook.stage.what.told(&job.name, &work.scope(slot)));
        self.tell(&RunEvent::TaskStarted { task, attempt, pid: 0, item, command });
    }

    fn over(&self, task: TaskId, active: Active) -> Over {
        let detail =
            words::detail(&self.plan, &active.work, Some(&active), &self.memory, active.attempt, self.now);
        let last = active.processes.last();
        Over {
            task,
            slot: active.slot,
            attempts: active.attempt,
            pid: last.map_or(0, |process| process.pid.as_raw()),
            exit: last.and_then(|process| process.exit),
            elapsed: self.now.saturating_sub(active.started),
            detail: Box::new(detail),
            work: active.work,
        }
    }

    /// Begins the first hook of a task that has no process here any more. Lanes of the task that are open go on
    /// before its own.
    pub(in crate::run) fn begin_hook(&mut self, over: Over, at: AtEnd, outcome: Outcome) {
        let plan = Arc::clone(&self.plan);
        let job = &plan.jobs[over.work.job];
        let task = over.task;
        self.tell_hook(&over.work, over.attempts, over.slot, at);
        let scope = over.work.scope(over.slot);
        let lanes = if job.output == OutputMode::Raw { Vec::new() } else { lanes(job, &scope) };
        let place = task.place;
        if !self.outputs.is_open(place) {
            // A worker's task, whose answer needed no lanes.
            let order = job.keep_order.then_some((over.work.job, over.work.seq));
            self.outputs.open(place, Vec::new(), policy(job, true), order);
        }
        let (kept, first_lane) = self.outputs.begin_hook(place, lanes);
        let facts = facts(&over, &outcome);
        let started = self.now.saturating_sub(over.elapsed);
        let hooked = Hooked { at, outcome, started, detail: over.detail, facts, first_lane, input: None };
        let active = Active::new(task, over.work, over.slot, over.attempts, self.now);
        self.local.place_hook(Active { hook: Some(Box::new(hooked)), ..active });
        match kept {
            Kept::Memory(bytes) => self.start_hook(task, Ok(HookInput::Bytes(bytes))),
            Kept::Spilled(spill) => {
                self.write_out();
                let file = self.sinks.take_spilled(spill);
                self.hooks.push((task, file));
            }
        }
    }

    /// What the I/O thread wrote for hooks may be there.
    pub(in crate::run) fn start_awaited_hooks(&mut self) {
        for (task, file) in std::mem::take(&mut self.hooks) {
            match file.try_recv() {
                Ok(file) => {
                    let input = file.map_err(|error| not_again(&error));
                    let input = input.and_then(|mut file| rewound(&mut file).map(|()| file));
                    self.start_hook(task, input.map(HookInput::File));
                }
                Err(TryRecvError::Empty) => self.hooks.push((task, file)),
                // The thread has told what happened.
                Err(TryRecvError::Disconnected) => {
                    self.start_hook(task, Err("the task's output was lost".into()));
                }
            }
        }
    }

    fn start_hook(&mut self, task: TaskId, input: Result<HookInput, String>) {
        self.starts += 1;
        let (local, mut shared) = self.local();
        local.start_hook(task, input, &mut shared);
    }
}

/// From its first byte on.
fn rewound(file: &mut File) -> Result<(), String> {
    file.rewind().map_err(|error| not_again(&error))
}

fn not_again(error: &io::Error) -> String {
    format!("could not read the task's output again: {}", os::errors::reason(error))
}

impl Hooked {
    /// What is told of the failure: the task's own, or its hook's.
    pub fn told(self, stderr_of_hook: &[u8], attempts: u32) -> Box<Detail> {
        let mut detail = self.detail;
        detail.attempts = attempts;
        if self.outcome == Outcome::Ok {
            detail.stderr_tail = stderr_of_hook.to_vec();
        }
        detail
    }
}

/// Where a hook writes: where its task is shown.
fn lanes(job: &Job, scope: &Scope) -> Vec<LaneSpec> {
    let tag: Option<Arc<[u8]>> = job.tag.as_ref().map(|tag| {
        let mut bytes = Vec::new();
        tag.render(scope, &mut bytes);
        bytes.into()
    });
    [Dest::Stdout, Dest::Stderr]
        .map(|dest| LaneSpec { dest, tag: tag.clone(), escape: None, own: false })
        .into()
}

/// `PRUN_…` variables of a hook. What does not apply is empty, so that `set -u` is no trap.
fn facts(over: &Over, outcome: &Outcome) -> Vec<(&'static str, String)> {
    let (mut code, mut signal) = match over.exit {
        Some(Exit::Code(code)) => (code.to_string(), String::new()),
        Some(Exit::Signal(signal)) => (String::new(), signal.to_string()),
        None => (String::new(), String::new()),
    };
    let word = match outcome {
        Outcome::Ok => "ok",
        // Of a pipeline it is the stage that decided.
        Outcome::Failed(failed) => {
            (code, signal) = (failed.to_string(), String::new());
            "failed"
        }
        Outcome::Killed(killed) => {
            (code, signal) = (String::new(), killed.to_string());
            "killed"
        }
        Outcome::Timeout => "timeout",
        Outcome::Fault(_) => "failed",
        Outcome::NotStarted(_) => "not started",
        Outcome::Cancelled => "cancelled",
        Outcome::Skipped => "skipped",
    };
    vec![
        ("PRUN_OUTCOME", word.to_owned()),
        ("PRUN_EXIT", code),
        ("PRUN_SIGNAL", signal),
        ("PRUN_TASK_PID", if over.pid == 0 { String::new() } else { over.pid.to_string() }),
        ("PRUN_DURATION", format!("{:.3}", over.elapsed.as_secs_f64())),
    ]
}
