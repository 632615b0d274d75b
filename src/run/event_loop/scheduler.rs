//! The scheduler as the loop calls it: the one door to [`Supervisor`], with a trace beside it.
//!
//! `PRUN_TRACE=FILE` writes each event and each action that answers it, a line each, with the time since the start of
//! the run in seconds. It is how a contributor follows one task. Without the variable it costs one branch an event.
//! Calls that are no event, because their answer is needed at once (a new item, a worker's answer), have lines of their
//! own.

use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use crate::event::{JobId, Time};
use crate::os::errors::reason;
use crate::os::files::{OpenedOutput, OutputFile, open_output};
use crate::plan::Plan;
use crate::sched::{Action, Event, Seq, Supervisor, TaskId};

/// The supervisor, and the buffer in which it answers.
pub struct Scheduler {
    supervisor: Supervisor,
    /// An empty buffer, kept for its room.
    spare: Vec<Action>,
    trace: Option<Trace>,
}

/// Looking at the supervisor is free; every change goes through a method of [`Scheduler`].
impl Deref for Scheduler {
    type Target = Supervisor;

    fn deref(&self) -> &Supervisor {
        &self.supervisor
    }
}

impl Scheduler {
    pub fn new(plan: Arc<Plan>, trace: Option<Trace>) -> Scheduler {
        Scheduler { supervisor: Supervisor::new(plan), spare: Vec::new(), trace }
    }

    /// Gives an event to the supervisor, and returns what to do.
    pub fn handle(&mut self, now: Time, event: Event) -> Vec<Action> {
        if let Some(trace) = &mut self.trace {
            trace.line(now, "event", &event);
        }
        self.ask(now, |supervisor, actions| supervisor.handle(now, event, actions)).1
    }

    /// Takes the buffer of actions back when they are done.
    pub fn give_back(&mut self, actions: Vec<Action>) {
        if actions.capacity() > self.spare.capacity() {
            self.spare = actions;
        }
    }

    /// The worker has answered its oldest task, with a failure or well. Returns the task, if there was one.
    pub fn answered(
        &mut self,
        now: Time,
        worker: TaskId,
        failure: Option<Arc<str>>,
    ) -> (Option<TaskId>, Vec<Action>) {
        self.call(now, &format_args!("answered({worker:?}, {failure:?})"));
        self.ask(now, |supervisor, actions| supervisor.answered(now, worker, failure, actions))
    }

    /// The worker has answered up to `most` of its tasks well. Returns how many of the answers were asked for.
    pub fn answered_well(&mut self, now: Time, worker: TaskId, most: usize) -> (usize, Vec<Action>) {
        self.call(now, &format_args!("answered_well({worker:?}, {most})"));
        self.ask(now, |supervisor, actions| {
            (0..most).take_while(|_| supervisor.answered(now, worker, None, actions).is_some()).count()
        })
    }

    /// Makes a task of the next item of the job. `None` if the job was closed meanwhile.
    pub fn add_item(&mut self, job: JobId, seq: Seq) -> Option<TaskId> {
        self.supervisor.add_item(job, seq)
    }

    /// Counts an item as a task that ended ok in an earlier run, and returns its number. `None` if the job was closed
    /// meanwhile.
    pub fn add_known_item(&mut self, job: JobId, seq: Seq) -> Option<u64> {
        self.supervisor.known_item(job, seq)
    }

    /// Counts an item as skipped: the task in another job that it comes from was not ok.
    pub fn skip_item(&mut self, job: JobId, seq: u64) {
        self.supervisor.skip_item(job, seq);
    }

    /// Asks the supervisor with an empty buffer, and traces what it answers.
    fn ask<T>(
        &mut self,
        now: Time,
        ask: impl FnOnce(&mut Supervisor, &mut Vec<Action>) -> T,
    ) -> (T, Vec<Action>) {
        let mut actions = std::mem::take(&mut self.spare);
        let answer = ask(&mut self.supervisor, &mut actions);
        if let Some(trace) = &mut self.trace {
            actions.iter().for_each(|action| trace.line(now, "action", action));
        }
        (answer, actions)
    }

    fn call(&mut self, now: Time, what: &fmt::Arguments) {
        if let Some(trace) = &mut self.trace {
            trace.line(now, "call", what);
        }
    }
}

/// The file that gets the lines.
pub struct Trace(BufWriter<File>);

impl Trace {
    /// Opens the file that `PRUN_TRACE` names. What it held is lost.
    ///
    /// # Errors
    /// When the file can't be created. For people.
    pub fn from_environment() -> Result<Option<Trace>, String> {
        let Some(path) = std::env::var_os("PRUN_TRACE").filter(|path| !path.is_empty()) else {
            return Ok(None);
        };
        let unwritable = |why: String| {
            let path = path.to_string_lossy();
            format!("`{path}`, which PRUN_TRACE names, can't be written: {why}")
        };
        // Opening a FIFO in the usual way would wait for its reader, whatever signals come.
        match open_output(Path::new(&path), SystemTime::now()) {
            Ok(OpenedOutput::File(OutputFile { file, is_regular, .. })) => {
                if is_regular {
                    file.set_len(0).map_err(|why| unwritable(reason(&why)))?;
                }
                Ok(Some(Trace(BufWriter::new(file))))
            }
            Ok(OpenedOutput::NoReader) => Err(unwritable("nobody has opened the FIFO for reading".into())),
            Err(why) => Err(unwritable(reason(&why))),
        }
    }

    /// Writes one line. A trace that can't be written has an end, and the run goes on.
    fn line(&mut self, now: Time, kind: &str, what: &dyn fmt::Debug) {
        let _ = writeln!(self.0, "{:.6} {kind:6} {what:?}", now.as_secs_f64());
        let _ = self.0.flush();
    }
}
