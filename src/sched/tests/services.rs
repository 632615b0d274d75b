//! Services: restarts, and how they are stopped.

use super::*;
use crate::plan::template::Template;
use crate::plan::{Ready, ReadyCheck, Restart};

pub fn service(name: &str) -> plan::Job {
    let mut job = job(name);
    job.kind = Kind::Daemon(Daemon::Service);
    job.grace = ms(100);
    job
}

pub fn after(name: &str, job: JobId, when: When) -> plan::Job {
    let mut waiting = super::job(name);
    waiting.after = vec![After { job, stage: StageId(0), when }];
    waiting
}

pub fn on(check: ReadyCheck, timeout: u64) -> Option<Ready> {
    Some(Ready { check, timeout: ms(timeout), every: ms(10) })
}

pub fn port() -> ReadyCheck {
    ReadyCheck::Port(Template::literal(b"1"))
}

impl World {
    pub fn up(&mut self, job: JobId, seq: u64) {
        let task = self.task(job, seq);
        self.send(Event::Up(task));
    }

    pub fn why_skipped(&self, of: JobId) -> &str {
        let why = |event: &RunEvent| matches!(event, RunEvent::JobSkipped { job, .. } if *job == of);
        match self.told.iter().find(|event| why(event)) {
            Some(RunEvent::JobSkipped { why, .. }) => why,
            _ => panic!("{of:?} was not skipped: {:?}", self.told),
        }
    }

    /// Returns what was done to a task that runs.
    pub fn done(&self, job: JobId, seq: u64) -> &[Action] {
        &self.running[&self.task(job, seq)]
    }

    pub fn runs(&self) -> Vec<(JobId, u64)> {
        let mut runs: Vec<_> = self.running.keys().map(|task| self.names[task]).collect();
        runs.sort();
        runs
    }

    pub fn was_signalled(&self, job: JobId) -> bool {
        self.done(job, 1).iter().any(|done| matches!(done, Action::Signal { .. }))
    }
}

// ---- the end of services -------------------------------------------------------------------------------------

#[test]
fn services_are_stopped_one_after_another_the_last_to_start_first() {
    let mut api = service("api");
    api.after = vec![After { job: JobId(2), stage: StageId(0), when: When::Ready }];
    api.grace = ms(1000);
    // The order of the file is not that of the starts.
    let mut world = World::new(vec![api, after("main", JobId(0), When::Ready), service("db")], 1, &[1, 1, 1]);
    world.up(JobId(2), 1);
    world.up(JobId(0), 1);
    world.at(10);
    world.code(JobId(1), 1, 0);
    assert_eq!((world.was_signalled(JobId(0)), world.was_signalled(JobId(2))), (true, false));
    // The service takes its time to end.
    world.at(1009);
    assert!(!world.was_signalled(JobId(2)));
    world.at(1010);
    assert!(matches!(world.done(JobId(0), 1), [Action::Signal { .. }, Action::Kill { .. }]));
    assert!(!world.was_signalled(JobId(2)), "each when the one before has gone");
    world.exit(JobId(0), 1, Exit::Signal(9));
    assert!(world.was_signalled(JobId(2)));
    world.at(1111);
    assert!(
        matches!(world.done(JobId(2), 1), [Action::Signal { .. }, Action::Kill { .. }]),
        "within its own grace"
    );
    world.exit(JobId(2), 1, Exit::Code(5));
    assert!(world.finished);
    assert!(world.ended.iter().all(|(.., outcome)| *outcome == Outcome::Ok), "however they end");
    assert_eq!((world.supervisor.verdict(), world.supervisor.was_stopped()), (Verdict::Code(0), false));
}

#[test]
fn all_tasks_of_a_service_are_stopped_together() {
    let mut world = World::new(vec![service("web"), job("main")], 1, &[3, 1]);
    world.code(JobId(1), 1, 1);
    assert!(world.running.values().all(|done| matches!(done[..], [Action::Signal { .. }])));
    (1..=3).for_each(|seq| world.code(JobId(0), seq, 0));
    assert!(world.finished);
}

#[test]
fn a_service_that_ends_when_nobody_needs_it_any_more_has_not_failed() {
    let mut world = World::new(vec![service("a"), service("b"), job("main")], 1, &[1, 1, 1]);
    world.code(JobId(2), 1, 0);
    world.code(JobId(0), 1, 3);
    world.code(JobId(1), 1, 3);
    assert!(world.finished);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(0));
    // A service that ended before stays as it ended.
    let mut world = World::new(vec![service("a"), service("b"), job("main")], 1, &[1, 1, 1]);
    let task = world.task(JobId(0), 1);
    world.send(Event::Exited { task, stage: StageId(0), exit: Exit::Code(3) });
    world.code(JobId(2), 1, 0);
    world.send(Event::Drained(task));
    world.code(JobId(1), 1, 0);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(3));
}

#[test]
fn services_that_have_not_started_by_then_never_do() {
    let mut late = service("late");
    late.after = vec![After { job: JobId(0), stage: StageId(0), when: When::Ready }];
    let mut first = service("first");
    first.ready = on(port(), 1000);
    let jobs = vec![first, late, after("later", JobId(1), When::Ready), job("main")];
    let (mut jobs, main) = (jobs, 3);
    jobs[2].kind = Kind::Daemon(Daemon::Service);
    let mut world = World::new(jobs, 1, &[1, 1, 1, 1]);
    world.code(JobId(main), 1, 0);
    assert_eq!(world.skipped(), [JobId(1), JobId(2)]);
    assert_eq!(world.why_skipped(JobId(1)), "all other jobs had ended");
    // That it was never up is no failure either.
    world.code(JobId(0), 1, 0);
    assert!(world.finished);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(0));
}

#[test]
fn a_service_may_be_waited_for_and_then_its_end_holds_the_run() {
    let mut world =
        World::new(vec![service("d"), after("join", JobId(0), When::Exit), job("main")], 1, &[1, 1, 1]);
    world.code(JobId(2), 1, 0);
    assert!(!world.was_signalled(JobId(0)), "`join` has not ended");
    world.code(JobId(0), 1, 2);
    world.code(JobId(1), 1, 0);
    assert!(world.finished);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(2));
}

#[test]
fn when_all_are_services_they_are_the_run() {
    let mut world = World::new(vec![service("a"), service("b")], 1, &[1, 1]);
    world.code(JobId(0), 1, 0);
    world.at(1_000_000);
    assert!(!world.was_signalled(JobId(1)) && !world.finished);
    world.send(Event::Signal(INT));
    assert_eq!(world.done(JobId(1), 1), [Action::Signal { task: world.task(JobId(1), 1), signal: INT }]);
    world.exit(JobId(1), 1, Exit::Signal(INT));
    assert_eq!(world.ended.last(), Some(&(JobId(1), 1, Outcome::Cancelled)));
    assert_eq!(world.supervisor.verdict(), Verdict::Signal(INT));
}

#[test]
fn a_signal_stops_all_at_once_also_in_the_middle_of_their_end() {
    let mut world = World::new(vec![service("a"), service("b"), job("main")], 1, &[1, 1, 1]);
    world.code(JobId(2), 1, 0);
    assert_eq!((world.was_signalled(JobId(0)), world.was_signalled(JobId(1))), (false, true));
    world.send(Event::Signal(INT));
    assert!(world.was_signalled(JobId(0)));
    world.exit(JobId(0), 1, Exit::Signal(INT));
    world.exit(JobId(1), 1, Exit::Signal(INT));
    assert!(world.finished);
    assert_eq!(world.outcomes()[..2], [(JobId(0), 1, Outcome::Cancelled), (JobId(1), 1, Outcome::Ok)]);
}

#[test]
fn services_go_last_when_a_halt_starts_nothing_more() {
    let halt = Some(Halt { now: false, on: HaltOn::Fail, limit: HaltLimit::Count(1) });
    let mut world = World::with(vec![service("db"), job("main")], 2, &[1, 3], halt, StatusMode::First);
    world.code(JobId(1), 1, 7);
    assert!(!world.was_signalled(JobId(0)), "what runs may go on, and needs it");
    world.code(JobId(1), 2, 0);
    assert!(world.was_signalled(JobId(0)));
    world.code(JobId(0), 1, 0);
    assert!(world.finished);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(7));
}

#[test]
fn the_end_of_services_triggers_no_halt() {
    let halt = Some(Halt { now: true, on: HaltOn::Success, limit: HaltLimit::Count(1) });
    let mut world =
        World::with(vec![service("a"), service("b"), job("main")], 2, &[1, 1, 1], halt, StatusMode::First);
    world.code(JobId(2), 1, 7);
    world.code(JobId(1), 1, 0);
    assert!(world.was_signalled(JobId(0)));
    world.code(JobId(0), 1, 0);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(7));
}

#[test]
fn readers_are_waited_for_unless_a_service_feeds_them() {
    let reader = |name: &str| {
        let mut job = job(name);
        (job.kind, job.grace) = (Kind::Daemon(Daemon::Reader), ms(50));
        job
    };
    let jobs = vec![service("web"), reader("log"), job("main"), reader("store")];
    let queues = vec![queue("lines", &[JobId(0)], &[JobId(1)]), queue("results", &[JobId(2)], &[JobId(3)])];
    let mut world = World::of(Plan { queues, ..plan(jobs, 1) }, &[1, 1, 1, 1]);
    world.code(JobId(2), 1, 0);
    assert!(!world.was_signalled(JobId(0)), "`store` may need it");
    let task = world.task(JobId(3), 1);
    world.send(Event::InputEnded(task));
    world.code(JobId(3), 1, 0);
    assert!(world.was_signalled(JobId(0)) && !world.was_signalled(JobId(1)));
    world.code(JobId(0), 1, 0);
    assert!(!world.finished);
    let task = world.task(JobId(1), 1);
    world.send(Event::InputEnded(task));
    world.at(50);
    assert!(world.was_signalled(JobId(1)));
    world.exit(JobId(1), 1, Exit::Signal(TERM));
    assert!(world.finished);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(0));
}

#[test]
fn the_hook_of_a_service_may_end_before_the_next_one_is_stopped() {
    let mut b = service("b");
    b.hooks.on_success = Some(Box::new(plan::Hook { stage: stage("hook") }));
    let mut world = World::new(vec![service("a"), b, job("main")], 1, &[1, 1, 1]);
    world.code(JobId(2), 1, 0);
    world.exit(JobId(1), 1, Exit::Signal(TERM));
    assert!(matches!(world.done(JobId(1), 1), [Action::Hook { .. }]) && !world.was_signalled(JobId(0)));
    world.code(JobId(1), 1, 3);
    assert!(world.was_signalled(JobId(0)), "now");
    world.code(JobId(0), 1, 0);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(1), "the hook's own failure counts");
}

// ---- restarts ------------------------------------------------------------------------------------------------

fn restarted(restart: Restart, most: u32) -> plan::Job {
    let mut job = service("db");
    job.restart = restart;
    job.retries.count = most;
    job.retries.delay.first = ms(10);
    job
}

#[test]
fn what_is_started_again_and_how_often() {
    // Ends of its attempts; how many attempts there are, and the outcome.
    for (restart, most, ends, attempts, outcome) in [
        (Restart::Never, 0, vec![1], 1, Outcome::Failed(1)),
        (Restart::OnFailure, u32::MAX, vec![1, 1, 1, 0], 4, Outcome::Ok),
        (Restart::OnFailure, 2, vec![1, 1, 2], 3, Outcome::Failed(2)),
        (Restart::Always, 3, vec![0, 1, 0, 0], 4, Outcome::Ok),
        (Restart::Always, 1, vec![0, 4], 2, Outcome::Failed(4)),
    ] {
        let mut world = World::new(vec![restarted(restart, most), job("main")], 1, &[1, 1]);
        for (at, code) in ends.into_iter().enumerate() {
            assert!(world.ended.is_empty());
            world.code(JobId(0), 1, code);
            world.at(10 * (at as u64 + 1));
        }
        assert_eq!(world.ended, [(JobId(0), 1, outcome)]);
        assert_eq!(world.started.iter().filter(|start| **start == (JobId(0), 1)).count(), attempts);
    }
}

#[test]
fn each_attempt_has_to_come_up_and_dependents_wait_for_the_first() {
    let mut db = restarted(Restart::Always, u32::MAX);
    db.ready = on(port(), 100);
    let mut world = World::new(vec![db, after("a", JobId(0), When::Ready), job("main")], 2, &[1, 1, 1]);
    world.code(JobId(0), 1, 0);
    assert!(world.skipped().is_empty(), "it may still come up");
    world.at(10);
    world.up(JobId(0), 1);
    assert_eq!(world.started.last(), Some(&(JobId(1), 1)));
    world.code(JobId(0), 1, 1);
    world.at(20);
    world.at(119);
    assert!(!world.was_signalled(JobId(0)));
    world.at(120);
    assert!(world.was_signalled(JobId(0)), "it is not up again in time");
}

#[test]
fn a_delay_that_grows_begins_anew_after_an_attempt_that_lasted() {
    let mut db = restarted(Restart::OnFailure, u32::MAX);
    db.retries.delay = RetryDelay { first: ms(100), factor: 2.0, max: ms(1000), jitter: false };
    let mut world = World::new(vec![db, job("main")], 1, &[1, 1]);
    let mut now = 0;
    for (lasts, delay) in
        [(0, 100), (0, 200), (0, 400), (0, 800), (0, 1000), (9_999, 1000), (10_000, 100), (0, 200)]
    {
        now += lasts;
        world.at(now);
        world.code(JobId(0), 1, 1);
        assert_eq!(world.supervisor.due(), Some(ms(now + delay)));
        now += delay;
        world.at(now);
    }
}

#[test]
fn nothing_is_started_again_when_nobody_needs_it() {
    // In the middle of a delay it ends as its last attempt did, or is cancelled by a signal as if it ran.
    for (restart, code, outcome) in
        [(Restart::Always, 0, Outcome::Ok), (Restart::OnFailure, 3, Outcome::Failed(3))]
    {
        let mut world = World::new(vec![restarted(restart, u32::MAX), job("main")], 1, &[1, 1]);
        world.code(JobId(0), 1, code);
        world.code(JobId(1), 1, 0);
        assert!(world.finished);
        assert_eq!(world.outcomes()[0], (JobId(0), 1, outcome));
        let mut world = World::new(vec![restarted(restart, u32::MAX), job("main")], 1, &[1, 1]);
        world.code(JobId(0), 1, code);
        world.send(Event::Signal(TERM));
        assert_eq!(world.outcomes()[0], (JobId(0), 1, Outcome::Cancelled));
    }
    let mut world =
        World::new(vec![restarted(Restart::Always, u32::MAX), service("other"), job("main")], 1, &[1, 1, 1]);
    world.code(JobId(2), 1, 0);
    world.code(JobId(0), 1, 1);
    assert_eq!(world.ended.last(), Some(&(JobId(0), 1, Outcome::Ok)));
}

#[test]
fn a_daemon_whose_input_has_run_dry_is_not_started_again() {
    let mut reader = restarted(Restart::Always, u32::MAX);
    reader.kind = Kind::Daemon(Daemon::Reader);
    let mut world = World::new(vec![reader, job("main")], 1, &[1, 1]);
    let task = world.task(JobId(0), 1);
    world.send(Event::InputEnded(task));
    world.code(JobId(0), 1, 0);
    assert_eq!(world.ended, [(JobId(0), 1, Outcome::Ok)]);
}

#[test]
fn delays_after_thousands_of_attempts() {
    let rule = |first, factor| RetryDelay { first: ms(first), factor, max: ms(60_000), jitter: false };
    for attempt in [1, 2, 5_000, u32::MAX] {
        assert_eq!(stop::delay(&rule(0, 2.0), attempt, 1), ms(0));
        assert_eq!(stop::delay(&rule(100, 1.0), attempt, 1), ms(100));
    }
    assert_eq!(stop::delay(&rule(100, 2.0), 5_000, 1), ms(60_000));
}

#[test]
fn a_pipeline_that_serves_is_judged_as_any() {
    let mut pipe = service("d");
    pipe.stages = vec![stage("d:1"), stage("d:2")];
    let mut world = World::new(vec![pipe, job("main")], 1, &[1, 1]);
    let task = world.task(JobId(0), 1);
    world.send(Event::Exited { task, stage: StageId(0), exit: Exit::Code(0) });
    assert_eq!(world.supervisor.due(), None, "it is not stopped for that");
    world.send(Event::Exited { task, stage: StageId(1), exit: Exit::Code(2) });
    world.send(Event::Drained(task));
    assert_eq!(world.ended, [(JobId(0), 1, Outcome::Failed(2))]);
}
