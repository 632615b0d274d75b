//! Jobs that wait until others are up.

use super::services::{after, on, port, service};
use super::*;
use crate::event::QueueId;
use crate::plan::ReadyCheck;

#[test]
fn who_waits_for_readiness_begins_when_every_task_was_up_once() {
    let mut db = service("db");
    db.ready = on(port(), 1000);
    let mut world = World::new(
        vec![db, after("a", JobId(0), When::Ready), after("b", JobId(1), When::Exit)],
        1,
        &[2, 1, 1],
    );
    world.at(10);
    world.up(JobId(0), 1);
    assert_eq!(world.started, [(JobId(0), 1), (JobId(0), 2)], "the other is not up");
    world.up(JobId(0), 1);
    world.at(20);
    world.up(JobId(0), 2);
    assert_eq!(world.started.last(), Some(&(JobId(1), 1)));
    let ready: Vec<_> =
        world.told.iter().filter(|event| matches!(event, RunEvent::Ready { .. })).cloned().collect();
    let told = |seq, elapsed| RunEvent::Ready {
        task: crate::event::TaskName { job: JobId(0), seq },
        elapsed: ms(elapsed),
    };
    assert_eq!(ready, [told(1, 10), told(2, 20)], "each is told once");
    // Jobs that began do not care how the task ends later.
    world.code(JobId(0), 1, 3);
    world.code(JobId(1), 1, 0);
    world.code(JobId(2), 1, 0);
    world.code(JobId(0), 2, 0);
    assert!(world.finished && world.skipped().is_empty());
    assert_eq!(
        world.supervisor.verdict(),
        Verdict::Code(3),
        "a service that fails is a failure all the same"
    );
}

#[test]
fn a_service_that_is_not_up_any_more_can_not_be_waited_for() {
    for (code, outcome, why) in [
        (0, Outcome::Fault("ended before it was ready".into()), "`db` ended before it was ready"),
        (4, Outcome::Failed(4), "`db` ended before it was ready"),
    ] {
        let mut db = service("db");
        db.ready = on(port(), 1000);
        let jobs =
            vec![db, after("a", JobId(0), When::Ready), after("b", JobId(1), When::Success), job("other")];
        let mut world = World::new(jobs, 1, &[2, 1, 1, 1]);
        world.code(JobId(0), 1, code);
        assert_eq!(world.ended, [(JobId(0), 1, outcome)]);
        assert_eq!(world.skipped(), [JobId(1), JobId(2)], "at once, although another task of it still runs");
        assert_eq!((world.why_skipped(JobId(1)), world.why_skipped(JobId(2))), (why, "`a` was skipped"));
        world.code(JobId(3), 1, 0);
        world.code(JobId(0), 2, 0);
        assert_eq!(world.supervisor.verdict(), Verdict::Code(code.max(1)));
    }
}

#[test]
fn a_service_without_a_sign_is_up_as_soon_as_it_runs() {
    let mut world = World::new(vec![service("db"), after("a", JobId(0), When::Ready)], 1, &[1, 1]);
    assert_eq!(world.started, [(JobId(0), 1)], "whether it could be executed is not known yet");
    let task = world.task(JobId(0), 1);
    let failure = StartFailure { code: 127, why: "`db`: not found".into() };
    world.send(Event::NotStarted { task, started: 0, failure: failure.into() });
    assert_eq!(world.why_skipped(JobId(1)), "`db` could not be started");
    assert_eq!(world.supervisor.verdict(), Verdict::Code(127));

    let mut world = World::new(vec![service("db"), after("a", JobId(0), When::Ready)], 1, &[1, 1]);
    world.up(JobId(0), 1);
    assert_eq!(world.started, [(JobId(0), 1), (JobId(1), 1)]);
    assert!(!world.told.iter().any(|event| matches!(event, RunEvent::Ready { .. })), "that is no news");
    world.code(JobId(0), 1, 0);
    assert_eq!(world.ended, [(JobId(0), 1, Outcome::Ok)], "it may end well by itself");
}

#[test]
fn who_is_not_up_in_time_is_stopped_and_that_is_a_timeout() {
    let mut db = service("db");
    db.ready = on(port(), 50);
    db.retries.count = 1;
    db.stages[0].ok.timeout = true;
    db.timeout = Some(Timeout::After(ms(60)));
    let mut world = World::new(vec![db, after("a", JobId(0), When::Ready)], 1, &[1, 1]);
    let task = world.task(JobId(0), 1);
    world.at(49);
    assert!(world.done(JobId(0), 1).is_empty());
    world.at(50);
    assert_eq!(world.done(JobId(0), 1), [Action::Signal { task, signal: TERM }]);
    // Too late.
    world.send(Event::Up(task));
    world.exit(JobId(0), 1, Exit::Signal(TERM));
    // The limit counts from the start of each attempt.
    world.at(60);
    world.at(109);
    assert!(world.done(JobId(0), 1).is_empty() && world.ended.is_empty());
    world.at(110);
    world.exit(JobId(0), 1, Exit::Code(0));
    assert_eq!(world.ended, [(JobId(0), 1, Outcome::Timeout)]);
    assert_eq!(world.why_skipped(JobId(1)), "`db` was not ready in time");
    assert_eq!(world.supervisor.verdict(), Verdict::Code(124));
}

#[test]
fn time_alone_may_be_the_sign() {
    let mut db = service("db");
    db.ready = on(ReadyCheck::After(ms(200)), 50);
    db.timeout = Some(Timeout::After(ms(500)));
    let mut world = World::new(vec![db, after("a", JobId(0), When::Ready)], 1, &[1, 1]);
    assert_eq!(world.supervisor.due(), Some(ms(200)));
    world.at(199);
    assert_eq!(world.started, [(JobId(0), 1)]);
    world.at(200);
    assert_eq!(world.started, [(JobId(0), 1), (JobId(1), 1)]);
    assert_eq!(world.supervisor.due(), Some(ms(500)), "its own limit holds on");
    world.at(500);
    assert!(world.was_signalled(JobId(0)));
    world.exit(JobId(0), 1, Exit::Signal(TERM));
    assert_eq!(world.ended, [(JobId(0), 1, Outcome::Timeout)]);
}

#[test]
fn jobs_that_are_no_daemons_may_be_waited_for_too() {
    let mut prepare = job("prepare");
    prepare.ready = on(port(), 1000);
    let jobs = || vec![prepare.clone(), after("a", JobId(0), When::Ready)];
    let mut world = World::new(jobs(), 2, &[1, 1]);
    world.up(JobId(0), 1);
    assert_eq!(world.runs(), [(JobId(0), 1), (JobId(1), 1)]);
    world.code(JobId(0), 1, 0);
    world.code(JobId(1), 1, 0);
    assert!(world.finished);

    // The sign may stand in output that is read after the exit.
    let mut world = World::new(jobs(), 2, &[1, 1]);
    let task = world.task(JobId(0), 1);
    world.send(Event::Exited { task, stage: StageId(0), exit: Exit::Code(0) });
    world.send(Event::Up(task));
    world.send(Event::Drained(task));
    assert_eq!(world.runs(), [(JobId(1), 1)]);

    // It is ok without ever being up, and those who wait for that are skipped.
    let mut world = World::new(jobs(), 2, &[1, 1]);
    world.code(JobId(0), 1, 0);
    assert!(world.finished);
    assert_eq!(world.ended, [(JobId(0), 1, Outcome::Ok)]);
    assert_eq!(world.why_skipped(JobId(1)), "`prepare` ended before it was ready");
    let warnings = world.told.iter().filter(|event| matches!(event, RunEvent::Warning(_))).count();
    assert_eq!((warnings, world.supervisor.verdict()), (1, Verdict::Code(0)));
}

#[test]
fn several_conditions_of_both_kinds_hold_together() {
    let mut both = after("both", JobId(0), When::Ready);
    both.after.push(After { job: JobId(1), stage: StageId(0), when: When::Success });
    let mut world = World::new(vec![service("db"), job("build"), both], 4, &[1, 1, 1]);
    world.up(JobId(0), 1);
    assert_eq!(world.runs(), [(JobId(0), 1), (JobId(1), 1)]);
    world.code(JobId(1), 1, 0);
    assert_eq!(world.runs(), [(JobId(0), 1), (JobId(2), 1)]);
}

#[test]
fn a_job_without_items_is_up_and_one_known_from_before_too() {
    let mut prepare = job("prepare");
    prepare.ready = on(port(), 1000);
    for (items, known) in [(0, vec![]), (1, vec![(JobId(0), 1)])] {
        let plan = plan(vec![prepare.clone(), after("a", JobId(0), When::Ready)], 2);
        let world = World::resumed(plan, &[items, 1], &known);
        assert_eq!(world.started, [(JobId(1), 1)]);
    }
}

#[test]
fn output_does_not_flow_live_while_others_may_begin() {
    let mut db = service("db");
    db.ready = on(port(), 1000);
    let mut world = World::new(vec![db, after("a", JobId(0), When::Ready)], 1, &[1, 1]);
    assert_eq!(world.live, None);
    world.up(JobId(0), 1);
    world.code(JobId(1), 1, 0);
    assert_eq!(world.live, None, "it is being stopped");
}

#[test]
fn what_waits_at_a_full_queue_is_not_stalled_while_something_may_come_up() {
    let mut reader = after("r", JobId(0), When::Ready);
    reader.kind = Kind::Daemon(Daemon::Reader);
    let mut writer = job("w");
    writer.stages[0].stdout = Output::Queue { queue: QueueId(0), show: false };
    let queues = vec![queue("q", &[JobId(2)], &[JobId(1)])];
    let mut world = World::of(Plan { queues, ..plan(vec![service("db"), reader, writer], 2) }, &[1, 1, 1]);
    let task = world.task(JobId(2), 1);
    world.send(Event::Blocked { task, blocked: true });
    assert_eq!(world.supervisor.due(), None);
    world.up(JobId(0), 1);
    assert_eq!(world.runs(), [(JobId(0), 1), (JobId(1), 1), (JobId(2), 1)]);
}
