//! The loop of a run with a made-up backend: a hundred tasks without a process, in milliseconds.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use prun::event::{Exit, Listener, Outcome, RunEvent, StageId, Summary, Time};
use prun::jobfile;
use prun::os::poller::Ready;
use prun::plan::Plan;
use prun::plan::build::{BuildOptions, build};
use prun::run::attempt::{Attempt, EndedAttempt, Role};
use prun::run::backend::{Backend, Context, Start, Started};
use prun::run::event_loop::scheduler::Scheduler;
use prun::run::event_loop::{EventLoop, Kernel, Rooms};
use prun::run::output::Output;
use prun::run::record::Record;
use prun::run::task::Work;
use prun::run::throttle::Throttle;
use prun::run::token::Token;
use prun::run::{Options, Verdict};
use prun::sched::{Event, TaskId};

#[test]
fn a_hundred_tasks_run_four_at_a_time() {
    let run = run("[run]\npool = 4\n[jobs.a]\nrepeat = 100\ncommand = 'x'", |_, _| Exit::Code(0));
    assert_eq!(run.verdict, Verdict::Code(0));
    assert_eq!(run.starts.len(), 100);
    assert_eq!(run.most_at_once, 4);
    assert_eq!(run.outcomes(), [("ok".to_owned(), 100)]);
    assert!(run.ended(), "the end of the run is told");
}

#[test]
fn tasks_that_fail_are_tried_again_and_keep_their_work() {
    let text = "[run]\npool = 8\n[jobs.a]\nrepeat = 100\nretries = 2\nretry_delay = 0\ncommand = 'x'";
    let run = run(text, |seq, attempt| Exit::Code(if seq % 10 == 0 && attempt < 3 { 7 } else { 0 }));
    assert_eq!(run.verdict, Verdict::Code(0));
    assert_eq!(run.starts.len(), 100 + 2 * 10);
    assert_eq!(
        run.starts.iter().filter(|(seq, _)| *seq == 10).map(|(_, n)| *n).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert_eq!(run.outcomes(), [("ok".to_owned(), 100)]);
}

#[test]
fn a_halt_stops_what_runs_and_starts_nothing_more() {
    let text = "[run]\npool = 4\nhalt = 'now,fail=1'\n[jobs.a]\nrepeat = 100\ncommand = 'x'";
    let run = run(text, |seq, _| Exit::Code(if seq == 9 { 3 } else { 0 }));
    assert_eq!(run.verdict, Verdict::Code(3));
    assert!(run.starts.len() < 20, "{:?}", run.starts);
    let outcomes: BTreeMap<_, _> = run.outcomes().into_iter().collect();
    assert_eq!(outcomes["failed"], 1);
    let started = outcomes.iter().filter(|(outcome, _)| *outcome != "skipped").map(|(_, count)| count);
    assert_eq!(started.sum::<usize>(), run.starts.len(), "each task that started ends once");
}

#[test]
fn an_attempt_that_could_not_begin_is_started_again_by_the_scheduler() {
    let run = run_with(
        "[run]\npool = 2\n[jobs.a]\nrepeat = 10\ncommand = 'x'",
        Fake { refuse_first: true, ..Fake::new(|_, _| Exit::Code(0)) },
    );
    assert_eq!(run.verdict, Verdict::Code(0));
    assert_eq!(run.outcomes(), [("ok".to_owned(), 10)]);
}

// ---- a run ------------------------------------------------------------------------------------------------------

/// What happened in a run.
struct Run {
    verdict: Verdict,
    /// The number of the task and of the attempt, in the order of the starts.
    starts: Vec<(u64, u32)>,
    most_at_once: usize,
    events: Vec<RunEvent>,
}

impl Run {
    /// Returns how many tasks ended with each outcome.
    fn outcomes(&self) -> Vec<(String, usize)> {
        let mut counts = BTreeMap::new();
        for event in &self.events {
            if let RunEvent::TaskEnded { outcome, .. } = event {
                let word = match outcome {
                    Outcome::Ok => "ok",
                    Outcome::Failed(_) => "failed",
                    Outcome::Cancelled => "cancelled",
                    Outcome::Skipped => "skipped",
                    other => panic!("{other:?}"),
                };
                *counts.entry(word.to_owned()).or_insert(0) += 1;
            }
        }
        counts.into_iter().collect()
    }

    fn ended(&self) -> bool {
        self.events.iter().any(|event| matches!(event, RunEvent::RunEnded(_)))
    }
}

fn run(text: &str, end: impl Fn(u64, u32) -> Exit + 'static) -> Run {
    run_with(text, Fake::new(end))
}

fn run_with(text: &str, fake: Fake) -> Run {
    let plan = Arc::new(plan(text));
    let (notes, events) = (Rc::clone(&fake.notes), Rc::new(RefCell::new(Vec::new())));
    let rooms = Rooms {
        backend: Box::new(fake),
        output: Output::new(&plan, Box::new(Recorder(Rc::clone(&events)))).unwrap(),
        record: Record::default(),
        throttle: Throttle::none(&plan),
    };
    let scheduler = Scheduler::new(Arc::clone(&plan), None);
    let kernel = Kernel::new(None).unwrap();
    let verdict = EventLoop::new(plan, Options::default(), kernel, scheduler, rooms).unwrap().run(Vec::new());
    let notes = notes.take();
    Run { verdict, starts: notes.starts, most_at_once: notes.most_at_once, events: events.take() }
}

fn plan(text: &str) -> Plan {
    let file = jobfile::parse("made-up.toml", text.as_bytes()).unwrap_or_else(|_| panic!("{text}"));
    let options = BuildOptions { base: PathBuf::from("/"), cpus: 2, ..BuildOptions::default() };
    build(&file, &options).unwrap_or_else(|mistakes| panic!("{}", mistakes.render(false)))
}

/// A listener that keeps everything it is told.
struct Recorder(Rc<RefCell<Vec<RunEvent>>>);

impl Listener for Recorder {
    fn tell(&mut self, _now: Time, event: &RunEvent, _out: &mut Vec<u8>) {
        self.0.borrow_mut().push(event.clone());
    }

    fn due(&self) -> Option<Time> {
        None
    }

    fn draw(&mut self, _now: Time, _out: &mut Vec<u8>) {}

    fn erase(&mut self, _out: &mut Vec<u8>) {}

    fn report(&self, _summary: &Summary) -> String {
        String::new()
    }
}

// ---- the backend ------------------------------------------------------------------------------------------------

/// A backend without processes: an attempt ends in the turn of the loop after that in which it started.
struct Fake {
    /// How an attempt of a task ends.
    end: Box<dyn Fn(u64, u32) -> Exit>,
    live: BTreeMap<TaskId, (Work, NonZeroU32)>,
    ending: Vec<TaskId>,
    /// The first start of all fails because the system has no more processes.
    refuse_first: bool,
    notes: Rc<RefCell<Notes>>,
}

#[derive(Default)]
struct Notes {
    starts: Vec<(u64, u32)>,
    most_at_once: usize,
}

impl Fake {
    fn new(end: impl Fn(u64, u32) -> Exit + 'static) -> Fake {
        Fake {
            end: Box::new(end),
            live: BTreeMap::new(),
            ending: Vec::new(),
            refuse_first: false,
            notes: Rc::default(),
        }
    }
}

impl Backend for Fake {
    fn start(&mut self, start: Start, cx: &mut Context) -> Started {
        let Role::Attempt(number) = start.role else { panic!("only attempts start here") };
        let task = start.task;
        let seq = start.work.seq;
        self.live.insert(task, (start.work, number));
        if std::mem::take(&mut self.refuse_first) {
            let failure = Arc::new(prun::event::StartFailure { code: 126, why: "made up".into() });
            let shortage = prun::event::Shortage::Processes;
            cx.events.push_back(Event::Shortage { task, started: 0, shortage, failure });
            return Started::NotBegun;
        }
        self.ending.push(task);
        let mut notes = self.notes.borrow_mut();
        notes.starts.push((seq, number.get()));
        notes.most_at_once = notes.most_at_once.max(self.live.len());
        Started::Running { pid: 1, captured: false }
    }

    fn signal(&mut self, task: TaskId, signal: i32, cx: &mut Context) {
        if let Some(at) = self.ending.iter().position(|ending| *ending == task) {
            self.ending.swap_remove(at);
            cx.events.push_back(Event::Exited { task, stage: StageId(0), exit: Exit::Signal(signal) });
            cx.events.push_back(Event::Drained(task));
        }
        cx.events.push_back(Event::GroupGone(task));
    }

    fn await_leftovers(&mut self, task: TaskId, _kill: bool, cx: &mut Context) {
        cx.events.push_back(Event::GroupGone(task));
    }

    fn forget(&mut self, task: TaskId, cx: &mut Context) -> Option<EndedAttempt> {
        let (work, number) = self.live.remove(&task)?;
        Some(Attempt::new(task, work, 1, Role::Attempt(number), cx.now).into_ended(None))
    }

    fn due(&self) -> Option<Time> {
        (!self.ending.is_empty()).then_some(Time::ZERO)
    }

    fn poll(&mut self, cx: &mut Context) {
        for task in std::mem::take(&mut self.ending) {
            let (work, number) = &self.live[&task];
            let exit = (self.end)(work.seq, number.get());
            cx.events.push_back(Event::Exited { task, stage: StageId(0), exit });
            cx.events.push_back(Event::Drained(task));
        }
    }

    fn ready(&mut self, _token: Token, _ready: &Ready, _cx: &mut Context) {
        panic!("no descriptor was given to the poller");
    }
}
