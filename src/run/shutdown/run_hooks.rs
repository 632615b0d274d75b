//! The hooks of the run: commands that begin when all jobs have ended, with the report on their stdin. Each is the
//! only task of a job of the plan's own, of which neither logs nor people are told as of others.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};

use crate::event::{Exit, JobId, RunEvent, StageId, Summary, Time};
use crate::flow::output::{Dest, Op};
use crate::plan::AtEnd;
use crate::run::Run;
use crate::run::Verdict;
use crate::run::attempt::Work;
use crate::run::local::Holders;
use crate::run::local::Start;
use crate::run::words;
use crate::run::workers;
use crate::sched::{Event, TaskId};

/// How far the end of the run has come.
#[derive(Debug, Default)]
pub struct Last {
    elapsed: Time,
    settling: Option<Settling>,
    /// Jobs that others wait for, until what they wrote is in its files.
    files: Vec<(JobId, Receiver<()>)>,
}

/// What the hooks wait for, so that they find all that tasks wrote, and hear of it if it can't be written.
#[derive(Debug)]
enum Settling {
    /// stdout and stderr.
    Output,
    /// Files and logs.
    Files(Receiver<()>),
}

impl Last {
    pub fn settle(&mut self) {
        self.settling = Some(Settling::Output);
    }
}

impl Run {
    /// Asks for the files of a job to be complete.
    pub(in crate::run) fn settle_files(&mut self, job: JobId) {
        self.write_out();
        match self.sinks.settle_files() {
            Some(told) => self.last.files.push((job, told)),
            None => self.events.push_back(Event::FilesSettled(job)),
        }
    }

    /// Tells of those that are. The loop is woken each time.
    pub(in crate::run) fn look_for_settled_files(&mut self) {
        let events = &mut self.events;
        self.last.files.retain(|(job, told)| {
            // Gone with its thread is told as a failure.
            let waits = told.try_recv() == Err(TryRecvError::Empty);
            if !waits {
                events.push_back(Event::FilesSettled(*job));
            }
            waits
        });
    }

    /// Tells when what tasks wrote is where it was to go. The loop is woken each time that this may have changed.
    pub(in crate::run) fn look_whether_settled(&mut self) {
        let Some(settling) = self.last.settling.take() else { return };
        let waits_for = match settling {
            Settling::Output => {
                self.sinks.hand_over(self.now, false, &mut self.outputs.spare);
                match self.sinks.is_done() {
                    false => Some(Settling::Output),
                    true => self.sinks.settle_files().map(Settling::Files),
                }
            }
            Settling::Files(told) => match told.try_recv() {
                Err(TryRecvError::Empty) => Some(Settling::Files(told)),
                // Gone with a thread that could not be started, which is told as a failure.
                Ok(()) | Err(TryRecvError::Disconnected) => None,
            },
        };
        if waits_for.is_none() {
            self.look_for_failure();
            self.events.push_back(Event::Settled);
        }
        self.last.settling = waits_for;
    }

    /// The run has ended, but for its hooks: keeps what they are told.
    pub(in crate::run) fn prepare_last(&mut self, summary: &Summary) {
        if self.plan.jobs.iter().all(|job| job.at_end.is_none()) {
            return;
        }
        if self.options.dry_run {
            return self.print_last();
        }
        // What shows how far the run is has nothing more to say.
        self.screen.erase(&mut self.sinks);
        self.local.wiring.report = self.screen.report(summary).into_bytes();
        self.last.elapsed = summary.elapsed;
    }

    /// `PRUN_…` variables. What does not apply is empty, as in those of a task's hook.
    fn facts_of_run(&self) -> Vec<(&'static str, String)> {
        let verdict = self.supervisor.verdict();
        let outcome = match verdict {
            Verdict::Code(0) => "ok",
            Verdict::Signal(_) if !self.supervisor.has_failed() => "cancelled",
            _ => "failed",
        };
        let (exit, signal) = match verdict {
            Verdict::Code(code) => (code.to_string(), String::new()),
            Verdict::Signal(signal) => (String::new(), signal.to_string()),
        };
        vec![
            ("PRUN_OUTCOME", outcome.to_owned()),
            ("PRUN_EXIT", exit),
            ("PRUN_SIGNAL", signal),
            ("PRUN_DURATION", format!("{:.3}", self.last.elapsed.as_secs_f64())),
        ]
    }

    /// What a hook of the run works on; `None` for any other task.
    pub(in crate::run) fn work_of_last(&self, task: TaskId) -> Option<Work> {
        let (job, seq) = self.supervisor.task(task);
        let work = || Work { seq, ..workers::no_task(job) };
        self.plan.jobs[job].at_end.map(|_| work())
    }

    pub(in crate::run) fn start_last(&mut self, task: TaskId, work: Work, attempt: u32, slot: usize) {
        if self.options.dry_run {
            self.events.push_back(Event::Drained(task));
            self.events.push_back(Event::Exited { task, stage: StageId(0), exit: Exit::Code(0) });
            self.works.insert(task.place, work);
            return;
        }
        self.local.launch.facts = Some(self.facts_of_run().into());
        let job = &self.plan.jobs[work.job];
        let name = Arc::clone(&job.name);
        let command = self.options.verbose.then(|| words::command(job, &work, slot));
        let now = self.now;
        let (local, mut shared) = self.local();
        if !local.start(now, Start { task, work, slot, attempt, last_attempt: true }, &mut shared) {
            return; // It was not begun.
        }
        let pid = self.local.get(task).and_then(|active| active.first_pid()).unwrap_or(0);
        self.tell(&RunEvent::LastStarted { name, pid, command });
    }

    pub(in crate::run) fn end_last(&mut self, task: TaskId, work: &Work, left: Option<Holders>) {
        if self.outputs.is_open(task.place) {
            self.outputs.close(task.place, Vec::new());
        }
        self.write_out();
        if let Some(holders) = left {
            self.warn_of_leftover(work, &holders);
        }
    }

    /// Instead of starting them: all of them, as lines that a shell can run.
    fn print_last(&mut self) {
        for (id, job) in self.plan.numbered_jobs() {
            let Some(at) = job.at_end else { continue };
            let when = match at {
                AtEnd::Success => "at the end of the run, if all went well",
                AtEnd::Failure => "at the end of the run, if something failed",
                AtEnd::Exit => "at the end of the run",
            };
            let work = Work { seq: 1, ..workers::no_task(id) };
            let line = words::line(job, &work, 1, words::Values::Told);
            let text = format!("# {}: {when}, with the report on stdin\n{line}\n", at.key());
            self.outputs.ops.push(Op::Write { dest: Dest::Stdout, bytes: text.into_bytes() });
        }
    }
}
