//! The scheduler with made-up events and a made-up clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::plan::template::Template;
use crate::plan::{self, After, Batch, Items, Output, Retries, Stage, Stdin, UNLIMITED, What, When};
use crate::plan::{Halt, HaltLimit, HaltOn, Outcomes, OutputMode, RetryDelay, StatusMode};

const TERM: i32 = 15;
const INT: i32 = 2;

fn ms(n: u64) -> Time {
    Duration::from_millis(n)
}

fn stage(name: &str) -> Stage {
    Stage {
        name: name.into(),
        what: What::Command { words: Vec::new(), append_item: false },
        stdin: Stdin::Null,
        stdout: Output::Show,
        stderr: Output::Show,
        env: Vec::new(),
        cwd: None::<Template>,
        base: Default::default(),
        start: Default::default(),
        ok: Outcomes { codes: vec![0], ..Outcomes::default() },
        pty: false,
    }
}

fn job(name: &str) -> plan::Job {
    plan::Job {
        name: name.into(),
        stages: vec![stage(name)],
        items: Items::None,
        batch: Batch::One,
        pool: UNLIMITED,
        output: OutputMode::Group,
        keep_order: false,
        tag: None,
        halt: None,
        grace: ms(10_000),
        stop_signal: TERM,
        timeout: None,
        retries: Retries {
            count: 0,
            delay: RetryDelay { first: ms(0), factor: 1.0, max: ms(60_000), jitter: false },
            on: None,
        },
        after: Vec::new(),
        slotless: false,
        daemon: false,
        worker: None,
        duplex: false,
        on_success: None,
        on_failure: None,
    }
}

/// A run with made-up processes: how many tasks each job has, and what was asked for.
struct World {
    supervisor: Supervisor,
    now: Time,
    items: Vec<u64>,
    /// Attempts that run, and what was done to them.
    running: BTreeMap<TaskId, Vec<Action>>,
    started: Vec<(JobId, u64)>,
    ended: Vec<(JobId, u64, Outcome)>,
    told: Vec<RunEvent>,
    live: Option<TaskId>,
    finished: bool,
    most_at_once: usize,
    /// Which job and number a task has; it is asked for when the task has gone.
    names: BTreeMap<TaskId, (JobId, u64)>,
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
        let plan = Plan { jobs, queues: Vec::new(), pool, halt, status, rerun: None };
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
            names: BTreeMap::new(),
        };
        world.send(Event::Begin);
        world
    }

    fn send(&mut self, event: Event) {
        let mut events = std::collections::VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let mut actions = Vec::new();
            self.supervisor.handle(self.now, event, &mut actions);
            for action in actions {
                if let Some(event) = self.apply(action) {
                    events.push_back(event);
                }
            }
        }
    }

    fn apply(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Pull { job, .. } => {
                if self.items[job] == 0 {
                    return Some(Event::NoMoreItems(job));
                }
                let id = self.supervisor.add_item(job)?;
                self.items[job] -= 1;
                self.names.insert(id, self.supervisor.task(id));
                return Some(Event::Item);
            }
            Action::Start { task, .. } => {
                assert!(self.running.insert(task, Vec::new()).is_none(), "started twice");
                self.started.push(self.names[&task]);
                self.most_at_once = self.most_at_once.max(self.running.len());
            }
            Action::Signal { task, .. } | Action::Kill { task } => {
                if let Some(done) = self.running.get_mut(&task) {
                    done.push(action);
                }
            }
            Action::Retry { task, .. } => drop(self.running.remove(&task)),
            Action::End { task, outcome, .. } => {
                self.running.remove(&task);
                let (job, seq) = self.names[&task];
                self.ended.push((job, seq, outcome));
            }
            Action::Live(task) => self.live = Some(task),
            Action::Tell(event) => self.told.push(event),
            Action::StartWorker { .. }
            | Action::Give { .. }
            | Action::EndInput { .. }
            | Action::WorkerEnded { .. }
            | Action::Hook { .. } => panic!("no job here has workers or hooks"),
            Action::Finish => self.finished = true,
        }
        None
    }

    fn at(&mut self, time: u64) {
        self.now = ms(time);
        self.send(Event::Tick(self.now));
    }

    fn task(&self, job: JobId, seq: u64) -> TaskId {
        let found =
            self.names.iter().rev().find(|(id, name)| **name == (job, seq) && self.running.contains_key(id));
        *found.unwrap_or_else(|| panic!("{job}[{seq}] does not run: {:?}", self.running)).0
    }

    /// A task's process exits, and its output is at its end.
    fn exit(&mut self, job: JobId, seq: u64, exit: Exit) {
        let task = self.task(job, seq);
        self.send(Event::Drained(task));
        self.send(Event::Exited { task, stage: 0, exit });
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

#[test]
fn a_pool_is_kept_full_in_the_order_of_items() {
    let mut world = World::new(vec![job("a")], 2, &[3]);
    assert_eq!(world.started, [(0, 1), (0, 2)]);
    world.code(0, 2, 0);
    assert_eq!(world.started.last(), Some(&(0, 3)));
    world.code(0, 1, 0);
    world.code(0, 3, 0);
    assert!(world.finished);
    assert_eq!(world.most_at_once, 2);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(0));
}

#[test]
fn a_job_has_a_pool_within_the_runs() {
    let mut one = job("one");
    one.pool = 1;
    let world = World::new(vec![one, job("b")], 3, &[5, 5]);
    assert_eq!(world.started, [(0, 1), (1, 1), (1, 2)]);
}

#[test]
fn the_status_is_that_of_the_first_failure_in_order_not_in_time() {
    let mut world = World::new(vec![job("a"), job("b")], 9, &[2, 1]);
    world.code(1, 1, 9);
    world.code(0, 2, 3);
    world.code(0, 1, 0);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(3));
}

#[test]
fn exited_is_not_drained() {
    let mut world = World::new(vec![job("a")], 1, &[1]);
    let task = world.task(0, 1);
    world.send(Event::Exited { task, stage: 0, exit: Exit::Code(0) });
    assert!(world.ended.is_empty(), "its output is not at its end");
    world.at(199);
    assert!(world.ended.is_empty());
    world.at(200);
    assert_eq!(world.outcomes(), [(0, 1, Outcome::Ok)], "a leftover does not hold it for ever");
    assert!(world.finished);
}

#[test]
fn a_timeout_walks_the_ladder() {
    let mut a = job("a");
    a.timeout = Some(ms(1000));
    a.grace = ms(1000);
    let mut world = World::new(vec![a], 1, &[1]);
    world.at(999);
    let task = world.task(0, 1);
    assert!(world.running[&task].is_empty());
    world.at(1000);
    assert_eq!(world.running[&task], [Action::Signal { task, signal: TERM }]);
    world.at(1999);
    assert_eq!(world.running[&task].len(), 1);
    world.at(2000);
    assert_eq!(world.running[&task][1], Action::Kill { task });
    world.exit(0, 1, Exit::Signal(9));
    assert_eq!(world.outcomes(), [(0, 1, Outcome::Timeout)]);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(124));
}

#[test]
fn the_end_of_the_first_process_does_not_end_the_ladder() {
    let mut a = job("a");
    a.timeout = Some(ms(10));
    a.grace = ms(100);
    let mut world = World::new(vec![a], 1, &[1]);
    world.at(10);
    let task = world.task(0, 1);
    world.send(Event::Drained(task));
    world.send(Event::Exited { task, stage: 0, exit: Exit::Signal(TERM) });
    assert!(world.ended.is_empty(), "what it started still runs");
    world.at(110);
    assert_eq!(world.running[&task][1], Action::Kill { task });
    world.send(Event::GroupGone(task));
    assert_eq!(world.outcomes(), [(0, 1, Outcome::Timeout)]);
}

#[test]
fn an_exit_at_the_deadline_has_one_outcome() {
    let mut a = job("a");
    a.timeout = Some(ms(10));
    let mut world = World::new(vec![a], 1, &[1]);
    world.now = ms(10);
    world.code(0, 1, 0);
    world.at(10);
    assert_eq!(world.outcomes(), [(0, 1, Outcome::Ok)]);
}

#[test]
fn a_signal_stops_everything_and_starts_nothing() {
    let mut world = World::new(vec![job("a"), job("b")], 2, &[5, 1]);
    world.send(Event::Signal(INT));
    let tasks: Vec<_> = world.running.keys().copied().collect();
    for task in &tasks {
        assert_eq!(world.running[task], [Action::Signal { task: *task, signal: INT }]);
    }
    world.exit(0, 1, Exit::Signal(INT));
    world.exit(0, 2, Exit::Code(0));
    assert_eq!(world.started.len(), 2);
    assert!(world.finished);
    let cancelled = world.ended.iter().filter(|(.., outcome)| *outcome == Outcome::Cancelled).count();
    assert_eq!(cancelled, 2);
    assert_eq!(world.supervisor.verdict(), Verdict::Signal(INT));
}

#[test]
fn a_second_signal_kills_at_once_and_counts_as_the_first() {
    let mut world = World::new(vec![job("a")], 1, &[1]);
    world.send(Event::Signal(INT));
    world.send(Event::Signal(TERM));
    let task = world.task(0, 1);
    assert_eq!(world.running[&task][1], Action::Kill { task });
    world.exit(0, 1, Exit::Signal(9));
    assert_eq!(world.supervisor.verdict(), Verdict::Signal(INT));
}

#[test]
fn a_signal_after_a_halt_begins_the_ladder_with_that_signal() {
    let halt = Halt { now: true, on: HaltOn::Fail, limit: HaltLimit::Count(1) };
    let mut world = World::with(vec![job("a")], 3, &[3], Some(halt), StatusMode::First);
    world.code(0, 1, 1);
    let task = world.task(0, 2);
    assert_eq!(world.running[&task], [Action::Signal { task, signal: TERM }]);
    world.send(Event::Signal(INT));
    assert_eq!(world.running[&task].last(), Some(&Action::Signal { task, signal: INT }));
    world.exit(0, 2, Exit::Signal(INT));
    world.exit(0, 3, Exit::Signal(INT));
    assert_eq!(world.supervisor.verdict(), Verdict::Signal(INT));
}

#[test]
fn retries_come_after_their_delay_and_the_last_outcome_counts() {
    let mut a = job("a");
    a.retries.count = 2;
    a.retries.delay = RetryDelay { first: ms(100), factor: 2.0, max: ms(1000), jitter: false };
    let mut world = World::new(vec![a], 1, &[1]);
    world.code(0, 1, 7);
    assert!(world.running.is_empty());
    world.at(99);
    assert!(world.running.is_empty());
    world.at(100);
    world.code(0, 1, 7);
    world.at(299);
    assert!(world.running.is_empty());
    world.at(300);
    world.code(0, 1, 8);
    assert_eq!(world.outcomes(), [(0, 1, Outcome::Failed(8))]);
    assert_eq!(world.started.len(), 3);
}

#[test]
fn a_signal_during_a_retry_delay_ends_at_once_with_the_last_outcome() {
    let mut a = job("a");
    a.retries.count = 5;
    a.retries.delay.first = ms(60_000);
    let mut world = World::new(vec![a], 1, &[1]);
    world.code(0, 1, 7);
    world.send(Event::Signal(TERM));
    assert!(world.finished);
    assert_eq!(world.outcomes(), [(0, 1, Outcome::Failed(7))]);
}

#[test]
fn what_ends_because_of_a_stop_lets_nothing_begin() {
    let mut a = job("a");
    a.retries.count = 1;
    a.retries.delay.first = ms(60_000);
    let mut b = job("b");
    b.after = vec![After { job: 0, stage: 0, when: When::Exit }];
    let mut world = World::new(vec![a, b], 1, &[1, 1]);
    world.code(0, 1, 7);
    world.send(Event::Signal(TERM));
    assert!(world.finished);
    assert_eq!(world.skipped(), [1]);
    let begun = |event: &RunEvent| matches!(event, RunEvent::JobEnded { job: 1, .. });
    assert!(!world.told.iter().any(begun), "{:?}", world.told);
}

#[test]
fn a_jobs_halt_may_make_the_run_halt() {
    let halt = |now, limit| Some(Halt { now, on: HaltOn::Fail, limit: HaltLimit::Count(limit) });
    let mut a = job("a");
    a.halt = halt(false, 1);
    a.retries.count = 1;
    a.retries.delay.first = ms(60_000);
    a.retries.on = Some(Outcomes { codes: vec![7], ..Outcomes::default() });
    let mut world = World::with(vec![a], 3, &[3], halt(true, 2), StatusMode::First);
    world.code(0, 1, 7);
    world.code(0, 3, 7);
    world.code(0, 2, 1);
    assert!(world.finished);
    let failed = [(0, 1, Outcome::Failed(7)), (0, 2, Outcome::Failed(1)), (0, 3, Outcome::Failed(7))];
    assert_eq!(world.outcomes(), failed);
}

#[test]
fn only_what_was_due_when_the_clock_was_read_is_over() {
    let mut a = job("a");
    a.timeout = Some(ms(100));
    let mut world = World::new(vec![a], 2, &[2]);
    // Read at 99 ms, handled later: what is known of the time between stands behind it.
    world.now = ms(150);
    world.send(Event::Tick(ms(99)));
    world.code(0, 1, 0);
    world.send(Event::Tick(ms(150)));
    world.exit(0, 2, Exit::Signal(TERM));
    assert_eq!(world.outcomes(), [(0, 1, Outcome::Ok), (0, 2, Outcome::Timeout)]);
}

#[test]
fn a_retry_gives_its_slot_back() {
    let mut a = job("a");
    a.retries.count = 1;
    a.retries.delay.first = ms(1000);
    let mut world = World::new(vec![a], 1, &[2]);
    world.code(0, 1, 1);
    assert_eq!(world.started, [(0, 1), (0, 2)]);
}

#[test]
fn what_could_not_be_executed_is_not_tried_again() {
    let mut a = job("a");
    a.retries.count = 3;
    let mut world = World::new(vec![a], 1, &[1]);
    let failure = Arc::new(StartFailure { code: 127, why: "not found".into() });
    let task = world.task(0, 1);
    world.send(Event::NotStarted { task, started: 0, failure: Arc::clone(&failure) });
    assert_eq!(world.outcomes(), [(0, 1, Outcome::NotStarted(failure))]);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(127));
}

#[test]
fn after_opens_when_all_conditions_hold_and_skips_when_one_cannot() {
    let after = |job, when| After { job, stage: 0, when };
    let (mut on_ok, mut on_failure, mut on_exit, mut chain) = (job("c"), job("d"), job("e"), job("f"));
    on_ok.after = vec![after(0, When::Success), after(1, When::Success)];
    on_failure.after = vec![after(1, When::Failure)];
    on_exit.after = vec![after(2, When::Exit)];
    chain.after = vec![after(2, When::Failure)];
    let jobs = vec![job("a"), job("b"), on_ok, on_failure, on_exit, chain];
    let mut world = World::new(jobs, 9, &[1; 6]);
    assert_eq!(world.started, [(0, 1), (1, 1)]);
    world.code(0, 1, 0);
    assert_eq!(world.started.len(), 2);
    world.code(1, 1, 1);
    assert_eq!(world.skipped(), [2]);
    let mut more = world.started[2..].to_vec();
    more.sort();
    assert_eq!(more, [(3, 1), (4, 1), (5, 1)], "skipped because of a failure counts as a failure");
}

#[test]
fn a_condition_on_the_middle_of_a_pipeline_asks_for_that_stage() {
    let mut pipe = job("p");
    pipe.stages = vec![stage("first"), stage("p")];
    let after = |stage, when| vec![After { job: 0, stage, when }];
    let (mut first_ok, mut whole_ok) = (job("x"), job("y"));
    first_ok.after = after(0, When::Success);
    whole_ok.after = after(1, When::Success);
    let mut world = World::new(vec![pipe, first_ok, whole_ok], 9, &[1; 3]);
    let task = world.task(0, 1);
    world.send(Event::Exited { task, stage: 0, exit: Exit::Code(0) });
    world.send(Event::Exited { task, stage: 1, exit: Exit::Code(4) });
    world.send(Event::Drained(task));
    assert_eq!(world.started.last(), Some(&(1, 1)));
    assert_eq!(world.skipped(), [2]);
}

#[test]
fn a_stage_that_cannot_start_stops_its_neighbours() {
    let mut pipe = job("p");
    pipe.stages = vec![stage("first"), stage("p")];
    let mut world = World::new(vec![pipe], 9, &[1]);
    let task = world.task(0, 1);
    let failure = Arc::new(StartFailure { code: 127, why: "not found".into() });
    world.send(Event::NotStarted { task, started: 1, failure: Arc::clone(&failure) });
    assert_eq!(world.running[&task], [Action::Signal { task, signal: TERM }]);
    world.send(Event::Exited { task, stage: 0, exit: Exit::Signal(TERM) });
    world.send(Event::Drained(task));
    world.send(Event::GroupGone(task));
    assert_eq!(world.outcomes(), [(0, 1, Outcome::NotStarted(failure))]);
}

#[test]
fn halts_by_count_and_by_share() {
    let halt = |now, on, limit| Some(Halt { now, on, limit });
    let soon = halt(false, HaltOn::Fail, HaltLimit::Count(2));
    let mut world = World::with(vec![job("a")], 2, &[9], soon, StatusMode::First);
    world.code(0, 1, 1);
    world.code(0, 2, 5);
    assert_eq!(world.started.len(), 3);
    assert!(world.running.values().all(Vec::is_empty), "soon: what runs may end");
    world.code(0, 3, 0);
    assert!(world.finished);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(5), "the failure that triggered it");

    let share = halt(true, HaltOn::Fail, HaltLimit::Percent(50.0));
    let mut world = World::with(vec![job("a")], 1, &[9], share, StatusMode::First);
    world.code(0, 1, 1);
    world.code(0, 2, 1);
    assert!(!world.finished, "only from three on");
    world.code(0, 3, 0);
    world.code(0, 4, 1);
    assert!(world.finished);

    let success = halt(true, HaltOn::Success, HaltLimit::Count(1));
    let mut world = World::with(vec![job("a")], 2, &[9], success, StatusMode::First);
    world.code(0, 1, 1);
    world.code(0, 2, 0);
    world.exit(0, 3, Exit::Signal(TERM));
    assert!(world.finished);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(0));
}

#[test]
fn the_last_task_and_the_only_one_flow_live() {
    let mut world = World::new(vec![job("a")], 2, &[2]);
    assert_eq!(world.live, None);
    world.code(0, 1, 0);
    assert_eq!(world.live, Some(world.task(0, 2)));

    let world = World::new(vec![job("a")], 1, &[9]);
    assert_eq!(world.live, Some(world.task(0, 1)), "with a pool of one nothing else can print");

    let mut retried = job("a");
    retried.retries.count = 1;
    let world = World::new(vec![retried], 2, &[1]);
    assert_eq!(world.live, None, "another attempt may follow");
}

#[test]
fn an_xargs_status_stops_at_255() {
    let mut world = World::with(vec![job("a")], 1, &[5], None, StatusMode::Xargs);
    world.code(0, 1, 255);
    assert!(world.finished);
    assert_eq!(world.started.len(), 1);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(124));
}

#[test]
fn nothing_starts_while_output_is_held() {
    let mut world = World::new(vec![job("a")], 1, &[2]);
    world.supervisor.hold(world.now, true, &mut Vec::new());
    world.code(0, 1, 0);
    assert_eq!(world.started.len(), 1);
    let mut actions = Vec::new();
    world.supervisor.hold(world.now, false, &mut actions);
    assert!(actions.iter().any(|action| matches!(action, Action::Start { .. })));
}

#[derive(Debug, Clone)]
enum Step {
    Exit { which: usize, code: u8 },
    Die { which: usize },
    Linger { which: usize },
    NotStarted { which: usize },
    Wait(u64),
    Signal(i32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..8usize, prop_oneof![3 => Just(0u8), 1 => 1..=3u8]).prop_map(|(which, code)| Step::Exit { which, code }),
        1 => (0..8usize).prop_map(|which| Step::Die { which }),
        1 => (0..8usize).prop_map(|which| Step::Linger { which }),
        1 => (0..8usize).prop_map(|which| Step::NotStarted { which }),
        2 => (1..400u64).prop_map(Step::Wait),
        1 => prop_oneof![Just(INT), Just(TERM)].prop_map(Step::Signal),
    ]
}

fn any_job(earlier: usize) -> impl Strategy<Value = plan::Job> {
    let after = prop::collection::vec((0..earlier.max(1), 0..3u8), 0..if earlier == 0 { 1 } else { 3 });
    (1..3usize, prop::option::of(50..500u64), 0..3u32, 0..300u64, after).prop_map(
        move |(pool, timeout, retries, grace, after)| {
            let mut job = job("j");
            job.pool = pool;
            job.timeout = timeout.map(ms);
            job.retries.count = retries;
            job.retries.delay.first = ms(grace);
            job.grace = ms(grace);
            let mut seen = std::collections::BTreeSet::new();
            for (other, when) in after {
                if earlier > 0 && seen.insert(other) {
                    let when = [When::Success, When::Failure, When::Exit][when as usize];
                    job.after.push(After { job: other, stage: 0, when });
                }
            }
            job
        },
    )
}

fn any_jobs() -> impl Strategy<Value = Vec<plan::Job>> {
    (any_job(0), any_job(1), any_job(2), any_job(3)).prop_map(|(a, b, c, d)| vec![a, b, c, d])
}

proptest! {
    /// Whatever happens in whatever order: pools are kept, every task ends exactly once, and the run comes to
    /// its end.
    #[test]
    fn every_task_ends_once_and_the_run_comes_to_rest(
        jobs in any_jobs(),
        pool in 1..4usize,
        items in prop::collection::vec(0..6u64, 4),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let pools: Vec<usize> = jobs.iter().map(|job| job.pool).collect();
        let mut world = World::new(jobs, pool, &items);
        for step in steps {
            drive(&mut world, step);
            prop_assert!(world.running.len() <= pool);
            for (job, most) in pools.iter().enumerate() {
                let running = world.running.keys().filter(|id| world.names[id].0 == job).count();
                prop_assert!(running <= *most);
            }
        }
        for _ in 0..10_000 {
            if world.finished {
                break;
            }
            drive(&mut world, Step::Wait(400));
            drive(&mut world, Step::Exit { which: 0, code: 0 });
        }
        prop_assert!(world.finished, "still running: {:?}", world.running);
        let mut ended: Vec<_> = world.ended.iter().map(|(job, seq, _)| (*job, *seq)).collect();
        let count = ended.len();
        ended.sort();
        ended.dedup();
        prop_assert_eq!(ended.len(), count, "a task ended twice");
        prop_assert_eq!(world.names.values().collect::<std::collections::BTreeSet<_>>().len(), count);
        prop_assert!(world.supervisor.due().is_none());
    }
}

fn drive(world: &mut World, step: Step) {
    let pick =
        |world: &World, which: usize| world.running.keys().nth(which % world.running.len().max(1)).copied();
    let exit = |world: &mut World, which, exit| {
        if let Some(task) = pick(world, which) {
            world.send(Event::Drained(task));
            world.send(Event::Exited { task, stage: 0, exit });
            world.send(Event::GroupGone(task));
        }
    };
    match step {
        Step::Exit { which, code } => exit(world, which, Exit::Code(code)),
        Step::Die { which } => exit(world, which, Exit::Signal(9)),
        Step::Linger { which } => {
            if let Some(task) = pick(world, which) {
                world.send(Event::Exited { task, stage: 0, exit: Exit::Code(0) });
            }
        }
        Step::NotStarted { which } => {
            // Only a start that is fresh can fail; a made-up one does as well as any.
            if let Some(task) = pick(world, which)
                && world.running[&task].is_empty()
            {
                let failure = Arc::new(StartFailure { code: 127, why: String::new() });
                world.send(Event::NotStarted { task, started: 0, failure });
            }
        }
        Step::Wait(time) => {
            world.now += ms(time);
            world.send(Event::Tick(world.now));
        }
        Step::Signal(signal) => world.send(Event::Signal(signal)),
    }
}
