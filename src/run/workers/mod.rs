//! Workers: processes that live on and take tasks one after another.
//!
//! The scheduler decides which worker gets which task, and what a worker's end means. The processes themselves belong
//! to the backend. [`Workers`] knows what lies between: which task was given to which worker, which workers have
//! something to write, which are silent, and where the answers of a job go.
//!
//! Tasks are gathered and written once a turn of the loop, however many there are: one `write` for all that a worker
//! was given. Answers are cut by [`flow::answers`](crate::flow::answers), and told in one event for each job and turn.
//! With small records a system call for each would cost more than all else.
//!
//! The order that matters: a task is noted as given before it is written, because its answer may be read in the same
//! turn.

use std::time::Duration;

use super::queues::takes_whole_records;
use super::task::Work;
use crate::event::{JobId, Place, PlaceMap, Time};
use crate::flow::output::Dest;
use crate::plan::{Item, Items, Job, Output, Plan, Reply, Stdin};
use crate::sched::TaskId;

/// How long a worker may write nothing after it got its first task, before people are told.
pub const SILENCE: Duration = Duration::from_secs(5);

/// The workers and the tasks that they have, beside the processes.
pub struct Workers {
    /// Where each task is, or was last.
    given: PlaceMap<Given>,
    /// Workers that were given tasks that are not written yet.
    fed: Vec<TaskId>,
    /// Workers that wrote something that was not cut into answers yet.
    pub wrote: Vec<TaskId>,
    /// Workers that have a task and have written nothing so far, and since when; earliest first.
    silent: Vec<(TaskId, Time)>,
    /// For each job: people were told that its workers are silent.
    hinted: Vec<bool>,
    /// For each job: its items are fed as they are, without a newline.
    feeds_whole: Vec<bool>,
    /// For each job with workers: the destination of its answers.
    routes: Vec<Option<Route>>,
    /// A job, and the number of its good answers that were not reported yet.
    good: Option<(JobId, u64)>,
}

/// A task that was given to a worker.
#[derive(Debug, Clone, Copy)]
pub struct Given {
    pub worker: TaskId,
    pub attempt: u32,
    pub slot: usize,
    pub at: Time,
}

/// The destination of the answers of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// All answers go to one place as they are, in one piece for each read. Their tasks need not be told apart.
    Straight(Dest),
    /// Each answer is taken by itself.
    Each,
}

impl Workers {
    pub fn new(plan: &Plan) -> Workers {
        Workers {
            given: PlaceMap::default(),
            fed: Vec::new(),
            wrote: Vec::new(),
            silent: Vec::new(),
            hinted: vec![false; plan.jobs.len()],
            feeds_whole: plan.jobs.iter().map(|job| takes_whole_records(plan, job)).collect(),
            routes: JobId::all(plan.jobs.len()).map(|job| Route::of(plan, job)).collect(),
            good: None,
        }
    }

    // ---- tasks ---------------------------------------------------------------------------------------------

    /// Returns where the task is, or was last.
    pub fn given(&self, task: TaskId) -> Option<Given> {
        self.given.get(task.place).copied()
    }

    pub fn note_given(&mut self, place: Place, given: Given) {
        self.given.insert(place, given);
    }

    /// Notes that the worker has something to be written to it.
    pub fn note_fed(&mut self, worker: TaskId) {
        if self.fed.last() != Some(&worker) {
            self.fed.push(worker);
        }
    }

    /// Returns the workers that have something to be written to them, once.
    pub fn take_fed(&mut self) -> Vec<TaskId> {
        std::mem::take(&mut self.fed)
    }

    /// Takes the empty list of [`Workers::take_fed`] back, for its room.
    pub fn give_back_fed(&mut self, fed: Vec<TaskId>) {
        if self.fed.is_empty() {
            self.fed = fed;
        }
    }

    /// True if the job's tasks are fed as they are, without a newline.
    pub fn feeds_whole_records(&self, job: JobId) -> bool {
        self.feeds_whole[job]
    }

    // ---- answers -------------------------------------------------------------------------------------------

    pub fn route(&self, job: JobId) -> Option<Route> {
        self.routes[job]
    }

    /// Counts a good answer. Returns the count of another job that has to be reported first.
    pub fn count_good(&mut self, job: JobId) -> Option<(JobId, u64)> {
        match &mut self.good {
            Some((of, count)) if *of == job => {
                *count += 1;
                None
            }
            other => other.replace((job, 1)),
        }
    }

    /// Returns the good answers that were not reported yet.
    pub fn take_good(&mut self) -> Option<(JobId, u64)> {
        self.good.take()
    }

    // ---- silence -------------------------------------------------------------------------------------------

    /// Returns when the next worker has been silent for [`SILENCE`].
    pub fn due(&self) -> Option<Time> {
        self.silent.first().map(|(_, since)| *since + SILENCE)
    }

    /// Notes that the worker got its first task.
    pub fn begin_silence(&mut self, worker: TaskId, now: Time) {
        self.silent.push((worker, now));
    }

    /// Notes that the worker has written something, or is gone.
    pub fn end_silence(&mut self, worker: TaskId) {
        self.silent.retain(|(silent, _)| *silent != worker);
    }

    /// Returns a worker that has been silent for too long, once.
    pub fn take_silent(&mut self, now: Time) -> Option<TaskId> {
        self.due().is_some_and(|due| due <= now).then(|| self.silent.remove(0).0)
    }

    /// True the first time that people are to be told of silent workers of the job.
    pub fn is_first_hint(&mut self, job: JobId) -> bool {
        !std::mem::replace(&mut self.hinted[job], true)
    }
}

impl Route {
    fn of(plan: &Plan, index: JobId) -> Option<Route> {
        let job = &plan.jobs[index];
        let worker = job.worker.as_ref()?;
        let is_followed = plan.jobs.iter().any(|other| matches!(other.items, Items::Of(of) if of == index));
        let plain = job.tag.is_none() && !job.keep_order && !job.has_hooks() && !is_followed;
        let counted = worker.fail.is_none() && !matches!(worker.reply, Reply::Until(_));
        Some(match job.stages[0].stdout {
            Output::Show if plain && counted => Route::Straight(Dest::Stdout),
            _ => Route::Each,
        })
    }
}

/// Appends a task to the feed of a worker, as its job's `stdin` says.
pub fn put_task(job: &Job, work: &Work, slot: usize, whole: bool, out: &mut Vec<u8>) {
    if let Stdin::Text(text) = &job.stages[0].stdin {
        return text.render(&work.scope(slot), out);
    }
    for item in work.items.iter() {
        for (at, column) in item.columns.iter().enumerate() {
            if at > 0 {
                out.push(b'\t');
            }
            out.extend_from_slice(column);
        }
        if !whole {
            out.push(b'\n');
        }
    }
}

/// True if an item would be more than one line to a worker that reads lines.
pub fn breaks_lines(job: &Job, work: &Work, whole: bool) -> bool {
    let holds_newline =
        |item: &Item| item.columns.iter().any(|column| memchr::memchr(b'\n', column).is_some());
    matches!(job.stages[0].stdin, Stdin::Item) && !whole && work.items.iter().any(holds_newline)
}
