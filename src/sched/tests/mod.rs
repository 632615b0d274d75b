//! The scheduler with made-up events and a made-up clock.

mod brakes;
mod clearing;
mod daemons;
mod hooks;
mod leftovers;
mod limits;
mod listers;
mod locks;
mod order;
mod plans;
mod promises;
mod queues;
mod random;
mod ready;
mod run_hooks;
mod services;
mod shortage;
mod slots;
mod stops;
mod tokens;
mod workers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use self::plans::{job, plan, queue, stage};
use self::promises::Promises;
use super::*;
use crate::event::{Exit, SIGKILL, SIGTERM as TERM, StageId, StartFailure};
use crate::plan::template::Template;
use crate::plan::{
    self, After, Daemon, Halt, HaltLimit, HaltOn, Items, Kind, Leftovers, Outcomes, Output, RetryDelay,
    StatusMode, Throttle, Timeout, UNLIMITED, When,
};

const INT: i32 = 2;

fn ms(n: u64) -> Time {
    Duration::from_millis(n)
}

/// A run with made-up processes: how many tasks each job has, and what was asked for.
struct World {
    supervisor: Supervisor,
    now: Time,
    items: Vec<u64>,
    /// Attempts and hooks that run, and what was done to them.
    running: BTreeMap<TaskId, Vec<Action>>,
    started: Vec<(JobId, u64)>,
    ended: Vec<(JobId, u64, Outcome)>,
    told: Vec<RunEvent>,
    live: Option<TaskId>,
    finished: bool,
    most_at_once: usize,
    /// Workers that have not ended, and what was done to them.
    workers: BTreeMap<TaskId, Vec<Action>>,
    /// Jobs with workers that have ended, and how.
    workers_ended: Vec<(JobId, Outcome)>,
    /// Tasks that were given to a worker, and the attempt.
    given: Vec<(JobId, u64, u32)>,
    /// For each job that takes another's items: numbers that have come, and whether the task was ok.
    passed: Vec<VecDeque<(u64, bool)>>,
    /// Jobs that asked for such items when none was there.
    asked: BTreeSet<JobId>,
    /// Tasks that a worker answered.
    answered: BTreeSet<(JobId, u64)>,
    /// The job and the number of each task, kept when the task has gone.
    names: BTreeMap<TaskId, (JobId, u64)>,
    /// Items whose tasks ended ok in an earlier run, by job and number.
    known: BTreeSet<(JobId, u64)>,
    /// Known items that were met.
    met: Vec<(JobId, u64)>,
    /// Tokens of the jobserver: those that anybody may take, that prun has, and that it waits for.
    free: usize,
    taken: usize,
    wanted: usize,
    promises: Promises,
}

impl World {
    fn new(jobs: Vec<plan::Job>, pool: usize, items: &[u64]) -> World {
        World::with(jobs, pool, items, None, StatusMode::First)
    }

    fn with(
        jobs: Vec<plan::Job>,
        pool: usize,
        items: &[u64],
        halt: Option<Halt>,
        status: StatusMode,
    ) -> World {
        World::of(Plan { halt, status, ..plan(jobs, pool) }, items)
    }

    fn of(plan: Plan, items: &[u64]) -> World {
        World::resumed(plan, items, &[])
    }

    /// A run after an earlier one, in which the tasks of these items ended ok.
    fn resumed(plan: Plan, items: &[u64], known: &[(JobId, u64)]) -> World {
        let mut world = World {
            supervisor: Supervisor::new(Arc::new(plan)),
            now: Time::ZERO,
            items: items.to_vec(),
            running: BTreeMap::new(),
            started: Vec::new(),
            ended: Vec::new(),
            told: Vec::new(),
            live: None,
            finished: false,
            most_at_once: 0,
            workers: BTreeMap::new(),
            workers_ended: Vec::new(),
            given: Vec::new(),
            passed: vec![VecDeque::new(); items.len()],
            asked: BTreeSet::new(),
            answered: BTreeSet::new(),
            names: BTreeMap::new(),
            known: known.iter().copied().collect(),
            met: Vec::new(),
            free: 0,
            taken: 0,
            wanted: 0,
            promises: Promises::default(),
        };
        world.send(Event::Begin);
        world
    }

    fn send(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let mut actions = Vec::new();
            self.promises.note(&event);
            self.supervisor.handle(self.now, event, &mut actions);
            self.apply_all(actions, &mut events);
        }
    }

    fn apply_all(&mut self, actions: Vec<Action>, events: &mut VecDeque<Event>) {
        for action in actions {
            events.extend(self.apply(action));
        }
        for job in self.asked.clone() {
            if !self.passed[job].is_empty() || self.is_over(job) {
                self.asked.remove(&job);
                // The answer comes now after all.
                events.retain(|event| *event != Event::ItemsLater(job));
                events.push_back(self.pull_passed(job, 1));
            }
        }
    }

    /// True if the job that this one takes its items from has ended.
    fn is_over(&self, job: JobId) -> bool {
        let Items::Of(before) = self.supervisor.plan.jobs[job].items else { return false };
        self.told.iter().any(|event| match event {
            RunEvent::JobEnded { job, .. } | RunEvent::JobSkipped { job, .. } => *job == before,
            _ => false,
        })
    }

    fn pull(&mut self, job: JobId, most: usize) -> Event {
        match self.supervisor.plan.jobs[job].items {
            Items::Of(_) => return self.pull_passed(job, most),
            Items::Queue { .. } if self.items[job] == 0 => return Event::ItemsLater(job),
            _ if self.items[job] == 0 => return Event::NoMoreItems(job),
            _ => {}
        }
        let mut given = 0;
        while given < most && self.items[job] > 0 {
            self.items[job] -= 1;
            let seq = self.supervisor.jobs.get(job).last_seq + 1;
            if self.known.contains(&(job, seq)) {
                self.known_item(job, seq);
            } else if let Some(id) = self.supervisor.add_item(job, Seq::Next) {
                given += 1;
                self.names.insert(id, (job, seq));
            }
        }
        if given > 0 { Event::Items(job) } else { Event::NoMoreItems(job) }
    }

    fn known_item(&mut self, job: JobId, seq: u64) {
        if self.supervisor.known_item(job, Seq::Of(seq)).is_some() {
            self.met.push((job, seq));
            self.pass_on(job, seq, true);
        }
    }

    /// Answers for a job that takes another's items, as `run` does.
    fn pull_passed(&mut self, job: JobId, most: usize) -> Event {
        let mut given = 0;
        while given < most
            && let Some((seq, ok)) = self.passed[job].pop_front()
        {
            if !ok {
                self.supervisor.skip_item(job, seq);
                self.pass_on(job, seq, false);
            } else if self.known.contains(&(job, seq)) {
                self.known_item(job, seq);
            } else if let Some(id) = self.supervisor.add_item(job, Seq::Of(seq)) {
                self.names.insert(id, (job, seq));
                given += 1;
            }
        }
        if given > 0 {
            Event::Items(job)
        } else if self.is_over(job) {
            Event::NoMoreItems(job)
        } else {
            self.asked.insert(job);
            Event::ItemsLater(job)
        }
    }

    fn pass_on(&mut self, before: JobId, seq: u64, ok: bool) {
        for (job, plan) in self.supervisor.plan.jobs.iter().enumerate() {
            if matches!(plan.items, Items::Of(of) if of == before) {
                self.passed[job].push_back((seq, ok));
            }
        }
    }

    fn apply(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Pull { job, most } => return Some(self.pull(job, most)),
            Action::Start { task, .. } => {
                self.promises.begin(task, self.now, &action);
                assert!(self.running.insert(task, Vec::new()).is_none(), "started twice");
                let name = *self.names.entry(task).or_insert_with(|| self.supervisor.task(task));
                self.conditions_hold(name.0);
                self.started.push(name);
                self.most_at_once = self.most_at_once.max(self.running.len());
            }
            Action::Hook { task, .. } => {
                self.promises.begin(task, self.now, &action);
                self.running.insert(task, vec![action]);
            }
            Action::StartWorker { worker, job, .. } => {
                self.conditions_hold(job);
                self.promises.begin(worker, self.now, &action);
                assert!(self.workers.insert(worker, Vec::new()).is_none(), "started twice");
            }
            Action::Give { worker, task, attempt } => {
                let (job, seq) = self.names[&task];
                assert!(!self.answered.contains(&(job, seq)), "{job:?}[{seq}] was answered before");
                self.given.push((job, seq, attempt.get()));
                let done = self.workers.get_mut(&worker).expect("a task is given to a worker that lives");
                assert!(!done.contains(&Action::EndInput { worker }), "given behind the end of the input");
                done.push(action);
            }
            Action::EndInput { worker } => {
                self.workers.get_mut(&worker).expect("its input ends while it lives").push(action);
            }
            Action::WorkerEnded { worker, ref outcome } => {
                self.promises.end(worker);
                let done = self.workers.remove(&worker).expect("a worker ends once");
                let job = done.iter().find_map(|action| match action {
                    Action::Give { task, .. } => Some(self.names[task].0),
                    _ => None,
                });
                self.workers_ended.push((job.unwrap_or(JobId(0)), outcome.clone()));
            }
            Action::Signal { task, .. }
            | Action::Kill { task }
            | Action::Leftovers { task, .. }
            | Action::ClearGroup { task, .. } => {
                self.promises.note_stop(task, self.now, &action);
                if let Some(done) = self.running.get_mut(&task).or(self.workers.get_mut(&task)) {
                    done.push(action);
                }
            }
            Action::NotReady { .. } => {}
            Action::Retry { task, .. } | Action::PutBack { task } | Action::TakeBack { task } => {
                let delay = if let Action::Retry { delay, .. } = action { delay } else { Time::ZERO };
                self.promises.try_again(task, self.now + delay);
                self.running.remove(&task);
            }
            Action::End { task, outcome, .. } => {
                self.promises.end_with(task, &outcome);
                self.running.remove(&task);
                let (job, seq) = self.names[&task];
                self.pass_on(job, seq, outcome == Outcome::Ok);
                self.ended.push((job, seq, outcome));
            }
            Action::Live(task) => self.live = Some(task),
            Action::AskTokens(wanted) => {
                self.wanted = wanted;
                return self.take_tokens();
            }
            Action::GiveTokens(count) => {
                self.taken -= count;
                self.free += count;
            }
            Action::Tell(event) => self.told.push(event),
            Action::FlushFiles(job) => return Some(Event::FilesFlushed(job)),
            Action::FlushOutput => return Some(Event::OutputFlushed),
            Action::Finish => self.finished = true,
        }
        None
    }

    fn take_tokens(&mut self) -> Option<Event> {
        let count = self.wanted.min(self.free);
        self.free -= count;
        self.wanted -= count;
        self.taken += count;
        (count > 0).then_some(Event::Tokens(count))
    }

    /// Other programs give tokens back.
    fn free_tokens(&mut self, count: usize) {
        self.free += count;
        if let Some(event) = self.take_tokens() {
            self.send(event);
        }
    }

    // ---- workers -----------------------------------------------------------------------------------------

    /// Returns the nth worker that lives.
    fn worker(&self, nth: usize) -> TaskId {
        *self.workers.keys().nth(nth).expect("so many workers live")
    }

    /// The worker answers its oldest tasks. Returns whether all answers were asked for.
    fn answer(&mut self, worker: TaskId, count: usize, failure: Option<&str>) -> bool {
        let (mut actions, mut asked) = (Vec::new(), true);
        let (job, _) = self.supervisor.task(worker);
        for _ in 0..count {
            let oldest = self.supervisor.next_to_answer(worker);
            let answered = self.supervisor.answered(self.now, worker, failure.map(Arc::from), &mut actions);
            assert_eq!(oldest, answered);
            self.answered.extend(answered.map(|task| self.names[&task]));
            asked &= answered.is_some();
        }
        let mut events = VecDeque::new();
        self.apply_all(actions, &mut events);
        events.push_back(Event::Answered(job));
        if !asked {
            events.push_back(Event::Fault { task: worker, why: "nobody asked".into() });
        }
        for event in events {
            self.send(event);
        }
        asked
    }

    fn end_worker(&mut self, worker: TaskId, exit: Exit) {
        self.send(Event::Drained(worker));
        self.send(Event::Exited { task: worker, stage: StageId(0), exit });
        self.send(Event::GroupGone(worker));
    }

    /// Returns the number of the task that the worker must answer next.
    fn oldest(&self, worker: TaskId) -> Option<u64> {
        self.supervisor.next_to_answer(worker).map(|task| self.names[&task].1)
    }

    fn at(&mut self, time: u64) {
        self.now = ms(time);
        self.send(Event::Tick(self.now));
    }

    fn task(&self, job: JobId, seq: u64) -> TaskId {
        let found =
            self.names.iter().rev().find(|(id, name)| **name == (job, seq) && self.running.contains_key(id));
        *found.unwrap_or_else(|| panic!("{job:?}[{seq}] does not run: {:?}", self.running)).0
    }

    /// The process of a task exits, and its output is at its end.
    fn exit(&mut self, job: JobId, seq: u64, exit: Exit) {
        let task = self.task(job, seq);
        self.send(Event::Drained(task));
        self.send(Event::Exited { task, stage: StageId(0), exit });
        self.send(Event::GroupGone(task));
    }

    fn code(&mut self, job: JobId, seq: u64, code: u8) {
        self.exit(job, seq, Exit::Code(code));
    }

    fn outcomes(&self) -> Vec<(JobId, u64, Outcome)> {
        let mut outcomes = self.ended.clone();
        outcomes.sort_by_key(|(job, seq, _)| (*job, *seq));
        outcomes
    }

    fn skipped(&self) -> Vec<JobId> {
        let skip = |event: &RunEvent| match event {
            RunEvent::JobSkipped { job, .. } => Some(*job),
            _ => None,
        };
        self.told.iter().filter_map(skip).collect()
    }
}
