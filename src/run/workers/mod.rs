//! Workers: processes that live on and take tasks one after another.
//!
//! Which worker gets which task, and what its end means, the scheduler decides. Here they are started, tasks are
//! written to them, and what they write is cut into [`answers`]. Tasks are gathered and written once a turn of the
//! loop, however many there are.

use std::sync::Arc;
use std::time::Duration;

use crate::event::{Detail, Exit, JobId, Outcome, PlaceMap, RunEvent, StageId, StartFailure, TaskName, Time};
use crate::flow::output::{Dest, Op};
use crate::plan::{AtEnd, Item, Job, Plan, Stdin, first_held};
use crate::run::Run;
use crate::run::actions::hooks::Over;
use crate::run::attempt::{Active, Work};
use crate::run::local::Start;
use crate::run::queues::takes_whole_records;
use crate::run::words;
use crate::sched::{Event, TaskId};

mod answers;

use answers::Way;
pub use answers::answer_ends;

/// A worker that has written nothing at all so long after it was given a task is pointed out.
const SILENCE: Duration = Duration::from_secs(5);

/// What is known of workers, and of the tasks that they have, beside their processes.
pub struct Workers {
    /// By the place of a task: where it is.
    given: PlaceMap<Given>,
    /// Workers that have been given something that is not written yet.
    fed: Vec<TaskId>,
    /// Workers that have a task and have written nothing so far, since when; earliest first.
    silent: Vec<(TaskId, Time)>,
    /// Jobs whose workers were pointed out as silent.
    hinted: Vec<bool>,
    /// For each job: its items are fed as they are, without a newline.
    whole: Vec<bool>,
    /// For each job with workers: where answers go.
    ways: Vec<Option<Way>>,
    /// Answers that were good, and not told yet: of one job, how many.
    good: Option<(JobId, u64)>,
    /// In a dry run: how many tasks each job would have given to its workers.
    counted: Vec<u64>,
}

#[derive(Debug, Clone, Copy)]
pub(in crate::run) struct Given {
    pub worker: TaskId,
    attempt: u32,
    pub at: Time,
}

impl Workers {
    pub fn new(plan: &Plan) -> Workers {
        let way = |job| Way::of(plan, job);
        Workers {
            given: PlaceMap::default(),
            fed: Vec::new(),
            silent: Vec::new(),
            hinted: vec![false; plan.jobs.len()],
            whole: plan.jobs.iter().map(|job| takes_whole_records(plan, job)).collect(),
            ways: plan.job_ids().map(way).collect(),
            good: None,
            counted: vec![0; plan.jobs.len()],
        }
    }

    /// When a worker has been silent for long.
    pub fn due(&self) -> Option<Time> {
        self.silent.first().map(|(_, since)| *since + SILENCE)
    }

    pub(in crate::run) fn given(&self, task: TaskId) -> Option<Given> {
        self.given.get(task.place).copied()
    }

    fn note_given(&mut self, task: TaskId, given: Given) {
        self.given.insert(task.place, given);
    }
}

impl Run {
    pub(in crate::run) fn start_worker(&mut self, worker: TaskId, job: JobId, slot: usize) {
        if self.options.dry_run {
            return;
        }
        self.starts += 1;
        let work = Work { held: self.supervisor.held(worker), ..no_task(job) };
        let verbose = self.options.verbose;
        let command = verbose.then(|| words::command(&self.plan.jobs[job], &work, slot));
        let start = Start { task: worker, work, slot, attempt: 0, last_attempt: true };
        let now = self.now;
        let (local, mut shared) = self.local();
        if !local.start(now, start, &mut shared) {
            return; // It was not begun.
        }
        self.workers.fed.push(worker);
        let pid = self.local.get(worker).and_then(Active::first_pid).unwrap_or(0);
        if pid != 0 || verbose {
            self.tell(&RunEvent::WorkerStarted { job, slot, pid, command });
        }
    }

    pub(in crate::run) fn give(&mut self, worker: TaskId, task: TaskId, attempt: u32) {
        let Some(work) = self.works.get_mut(task.place) else { return };
        self.workers.note_given(task, Given { worker, attempt, at: self.now });
        if self.options.dry_run {
            let job = work.job;
            return self.count_as_given(job, worker);
        }
        let job = &self.plan.jobs[work.job];
        let Some(active) = self.local.get_mut(worker) else { return };
        let slot = active.slot;
        work.held.clone_from(&active.work.held);
        if let Some(taker) = &mut active.taker
            && !taker.asked
        {
            taker.asked = true;
            self.workers.silent.push((worker, self.now));
        }
        let whole = self.workers.whole[work.job];
        if matches!(job.stages[0].stdin, Stdin::Item) && !whole && work.items.iter().any(holds_newline) {
            let why = "its item holds a newline, which would make it two lines to the worker; \
                       use `stdin = { text = \"…\" }`";
            let failure = Arc::new(StartFailure { code: 126, why: why.into() });
            self.events.push_back(Event::NotStarted { task, started: 0, failure });
            return;
        }
        if let Some(feed) = &mut active.feed {
            put_task(job, work, slot, whole, feed.buffer());
            if self.workers.fed.last() != Some(&worker) {
                self.workers.fed.push(worker);
            }
        }
    }

    /// Writes what workers were given.
    pub(in crate::run) fn feed_workers(&mut self) {
        let mut fed = std::mem::take(&mut self.workers.fed);
        for worker in fed.drain(..) {
            let (local, mut shared) = self.local();
            local.write_tasks(worker, &mut shared);
        }
        self.workers.fed = fed;
    }

    pub(in crate::run) fn end_input(&mut self, worker: TaskId) {
        if self.options.dry_run {
            self.events.push_back(Event::Exited { task: worker, stage: StageId(0), exit: Exit::Code(0) });
            self.events.push_back(Event::Drained(worker));
            return;
        }
        if let Some(feed) = self.local.get_mut(worker).and_then(|active| active.feed.as_mut()) {
            feed.end();
            self.workers.fed.push(worker);
        }
    }

    pub(in crate::run) fn worker_ended(&mut self, worker: TaskId) {
        let (local, mut shared) = self.local();
        let Some((active, left)) = local.end(worker, &mut shared) else { return };
        self.workers.silent.retain(|(silent, _)| *silent != worker);
        self.outputs.close(worker.place, Vec::new());
        self.write_out();
        if let Some(holders) = left {
            let name = &self.plan.jobs[active.work.job].name;
            self.tell_of_holders(&format!("worker {} of `{name}`", active.slot), &holders);
        }
    }

    /// Points out workers that may keep their answers to themselves.
    pub(in crate::run) fn look_for_silent_workers(&mut self) {
        while let Some(&(worker, since)) = self.workers.silent.first()
            && since + SILENCE <= self.now
        {
            self.workers.silent.remove(0);
            let Some(active) = self.local.get(worker) else { continue };
            let job = active.work.job;
            if active.stopping || std::mem::replace(&mut self.workers.hinted[job], true) {
                continue;
            }
            let (slot, name) = (active.slot, &self.plan.jobs[job].name);
            let seconds = SILENCE.as_secs();
            // Only a job file can give it a terminal.
            let cure = if self.plan.rerun.is_some() { "pty = true" } else { "stdbuf -oL COMMAND" };
            let why = format!(
                "worker {slot} of `{name}` was given a task {seconds} s ago and has written nothing: \
                 does it flush its output? `{cure}` may help"
            );
            self.tell(&RunEvent::Warning(why));
        }
    }

    // ---- tasks that a worker had -------------------------------------------------------------------------

    /// Its worker has ended while it was at the task, and the task will be tried again.
    pub(in crate::run) fn retry_given(&mut self, task: TaskId, outcome: Outcome, delay: Duration) {
        let Some(work) = self.works.get(task.place) else { return };
        let name = TaskName { job: work.job, seq: work.seq };
        let attempt = self.workers.given(task).map_or(0, |given| given.attempt);
        self.tell(&RunEvent::Retrying { task: name, attempt, outcome, delay, restart: false });
    }

    /// What people need to know of a task that failed with a worker, which is still known if it was at the task.
    pub(in crate::run) fn detail_of_given(&self, task: TaskId, work: &Work, attempts: u32) -> Box<Detail> {
        let given = self.workers.given(task);
        let worker = given.and_then(|given| self.local.get(given.worker));
        let mut detail = words::detail(&self.plan, work, worker, &self.memory, attempts, self.now);
        detail.elapsed = given.map_or(Time::ZERO, |given| self.now.saturating_sub(given.at));
        Box::new(detail)
    }

    /// The hook of a task that a worker had. What it reads is the answer, if there was one.
    pub(in crate::run) fn hook_of_given(&mut self, task: TaskId, at: AtEnd, outcome: Outcome) {
        let place = task.place;
        let Some(work) = self.works.take(place) else { return };
        let given = self.workers.given(task);
        let detail = self.detail_of_given(task, &work, given.map_or(0, |given| given.attempt));
        let worker = given.and_then(|given| self.local.get(given.worker));
        let job = &self.plan.jobs[work.job];
        if !self.outputs.is_open(place) {
            let order = job.keep_order.then_some((work.job, work.seq));
            self.outputs.open(place, Vec::new(), crate::run::launch::wiring::policy(job, true), order);
        }
        let process = worker.and_then(|worker| worker.processes.first());
        let over = Over {
            task,
            slot: worker.map_or(1, |worker| worker.slot),
            attempts: given.map_or(0, |given| given.attempt),
            pid: process.map_or(0, |process| process.pid.as_raw()),
            exit: process.and_then(|process| process.exit),
            elapsed: detail.elapsed,
            detail,
            work,
        };
        self.begin_hook(over, at, outcome);
    }

    // ---- a dry run ---------------------------------------------------------------------------------------

    /// Instead of giving the task: it counts as answered.
    fn count_as_given(&mut self, job: JobId, worker: TaskId) {
        self.workers.counted[job] += 1;
        let mut actions = Vec::new();
        self.supervisor.answered(self.now, worker, None, &mut actions);
        self.events.push_back(Event::Answers);
        self.apply_all(actions);
        self.tell_good();
    }

    /// The workers' command, and how many tasks it would have had.
    pub(in crate::run) fn print_worker(&mut self, id: JobId) {
        let tasks = self.workers.counted[id];
        let job = &self.plan.jobs[id];
        if tasks > 0 {
            let work = Work { held: first_held(&self.plan, job), ..no_task(id) };
            let line = words::line(job, &work, 1, words::Values::Told);
            let what = if tasks == 1 { "task" } else { "tasks" };
            let line = format!("{line} # {tasks} {what} on its stdin\n");
            self.outputs.ops.push(Op::Write { dest: Dest::Stdout, bytes: line.into_bytes() });
        }
    }
}

/// What a worker itself works on.
pub(in crate::run) fn no_task(job: JobId) -> Work {
    Work { job, seq: 0, items: Vec::new(), names: Arc::new([]), block: None, known: Vec::new(), held: None }
}

fn holds_newline(item: &Item) -> bool {
    item.columns.iter().any(|column| memchr::memchr(b'\n', column).is_some())
}

/// Appends the task as its job's `stdin` says.
fn put_task(job: &Job, work: &Work, slot: usize, whole: bool, out: &mut Vec<u8>) {
    if let Stdin::Text(text) = &job.stages[0].stdin {
        return text.render(&work.scope(slot), out);
    }
    for item in &work.items {
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
