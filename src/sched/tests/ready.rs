//! Jobs that wait until others are up.

use super::services::{after, on, port, service};
use super::*;
use crate::event::QueueId;
use crate::plan::{ReadyCheck, Restart};

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
    let fault = Outcome::Fault("ended before it was ready: nobody listened at port 1".into());
    for (code, outcome, why) in [
        (0, fault, "`db` ended before it was ready"),
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

    // An end without ever being up is a failure, and those who wait are skipped.
    let mut world = World::new(jobs(), 2, &[1, 1]);
    world.code(JobId(0), 1, 0);
    assert!(world.finished);
    let fault = Outcome::Fault("ended before it was ready: nobody listened at port 1".into());
    assert_eq!(world.ended, [(JobId(0), 1, fault)]);
    assert_eq!(world.why_skipped(JobId(1)), "`prepare` ended before it was ready");
    assert_eq!(world.supervisor.verdict(), Verdict::Code(1));
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

// ---- services that go ----------------------------------------------------------------------------------------

/// A service with a port, and a job that waits for it and for a slot, which `other` has.
fn service_and_late(restart: Restart) -> Vec<plan::Job> {
    let mut db = service("db");
    (db.ready, db.restart) = (on(port(), 1000), restart);
    db.retries.count = if restart == Restart::Never { 0 } else { u32::MAX };
    db.retries.delay.first = ms(10);
    vec![job("other"), db, after("late", JobId(1), When::Ready)]
}

#[test]
fn who_has_not_started_when_its_service_ends_for_good_is_skipped_and_the_run_fails() {
    for (exit, outcome, why, code) in [
        (Exit::Code(0), Outcome::Ok, "`db` has ended", 1),
        (Exit::Code(3), Outcome::Failed(3), "`db` failed", 3),
        (Exit::Signal(9), Outcome::Killed(9), "`db` failed", 137),
    ] {
        let mut world = World::new(service_and_late(Restart::Never), 1, &[1, 1, 1]);
        world.up(JobId(1), 1);
        assert_eq!(world.runs(), [(JobId(0), 1), (JobId(1), 1)], "it waits for a slot");
        world.exit(JobId(1), 1, exit);
        assert_eq!((world.why_skipped(JobId(2)), world.skipped()), (why, vec![JobId(2)]));
        world.code(JobId(0), 1, 0);
        assert!(world.finished);
        let skipped = (JobId(2), 1, Outcome::Skipped);
        assert_eq!(world.outcomes()[1..], [(JobId(1), 1, outcome), skipped]);
        assert_eq!(world.supervisor.verdict(), Verdict::Code(code));
        assert_eq!(world.supervisor.tally.skipped, 1, "it is counted once");
    }
}

#[test]
fn who_waits_for_something_else_as_well_is_skipped_too() {
    let mut both = after("both", JobId(0), When::Ready);
    both.after.push(After { job: JobId(1), stage: StageId(0), when: When::Success });
    let jobs = vec![service("db"), job("build"), both, after("then", JobId(2), When::Failure)];
    let mut world = World::new(jobs, 4, &[1, 1, 1, 1]);
    world.up(JobId(0), 1);
    world.code(JobId(0), 1, 0);
    assert_eq!(world.why_skipped(JobId(2)), "`db` has ended");
    world.code(JobId(1), 1, 0);
    assert_eq!(world.runs(), [(JobId(3), 1)], "it counts as skipped because of a failure");
    world.code(JobId(3), 1, 0);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(1));
}

#[test]
fn during_a_restart_who_has_not_started_waits() {
    let mut world = World::new(service_and_late(Restart::Always), 1, &[1, 1, 1]);
    world.up(JobId(1), 1);
    world.code(JobId(1), 1, 7);
    world.code(JobId(0), 1, 0);
    assert_eq!(world.runs(), [], "its slot is free, and its service is away");
    world.at(10);
    assert_eq!(world.runs(), [(JobId(1), 1)]);
    world.at(20);
    world.up(JobId(1), 1);
    assert_eq!(world.runs(), [(JobId(1), 1), (JobId(2), 1)]);
    // A dependent that has started goes on.
    world.code(JobId(1), 1, 7);
    assert_eq!(world.runs(), [(JobId(2), 1)]);
    world.code(JobId(2), 1, 0);
    assert!(world.finished);
}

#[test]
fn who_is_still_blocked_waits_for_the_restart_too() {
    let mut both = after("both", JobId(0), When::Ready);
    both.after.push(After { job: JobId(1), stage: StageId(0), when: When::Success });
    let mut db = service("db");
    (db.restart, db.retries.count, db.retries.delay.first) = (Restart::Always, u32::MAX, ms(10));
    let mut world = World::new(vec![db, job("build"), both], 4, &[1, 1, 1]);
    world.up(JobId(0), 1);
    world.code(JobId(0), 1, 0);
    world.code(JobId(1), 1, 0);
    assert_eq!(world.runs(), []);
    world.at(10);
    assert_eq!(world.runs(), [(JobId(0), 1)]);
    world.up(JobId(0), 1);
    assert_eq!(world.runs(), [(JobId(0), 1), (JobId(2), 1)]);
}

#[test]
fn all_tasks_of_a_service_are_up_at_once_or_it_is_not_ready() {
    let mut db = service("db");
    (db.ready, db.restart, db.retries.count) = (on(port(), 1000), Restart::Always, u32::MAX);
    let mut world = World::new(vec![db, after("a", JobId(0), When::Ready)], 1, &[2, 1]);
    world.up(JobId(0), 1);
    world.code(JobId(0), 1, 1);
    world.up(JobId(0), 2);
    assert_eq!(world.started.len(), 2, "the first is being restarted");
    world.send(Event::Tick(world.now));
    world.up(JobId(0), 1);
    assert_eq!(world.started.last(), Some(&(JobId(1), 1)));
}

#[test]
fn a_service_that_is_being_stopped_is_not_there_any_more() {
    let mut jobs = service_and_late(Restart::Never);
    jobs[1].timeout = Some(Timeout::After(ms(50)));
    let mut world = World::new(jobs, 1, &[1, 1, 1]);
    world.up(JobId(1), 1);
    world.at(50);
    assert!(world.was_signalled(JobId(1)));
    world.code(JobId(0), 1, 0);
    assert_eq!(world.runs(), [(JobId(1), 1)]);
    world.exit(JobId(1), 1, Exit::Signal(TERM));
    assert_eq!(world.why_skipped(JobId(2)), "`db` failed");
    assert_eq!(world.supervisor.verdict(), Verdict::Code(124));
}

#[test]
fn a_job_that_was_ready_and_ended_ok_stays_ready() {
    let mut prepare = job("prepare");
    prepare.ready = on(port(), 1000);
    let mut late = after("late", JobId(0), When::Ready);
    late.after.push(After { job: JobId(1), stage: StageId(0), when: When::Success });
    for (code, runs) in [(0, vec![(JobId(2), 1)]), (5, vec![])] {
        let mut world = World::new(vec![prepare.clone(), job("other"), late.clone()], 3, &[2, 1, 1]);
        world.up(JobId(0), 1);
        world.up(JobId(0), 2);
        world.code(JobId(0), 1, 0);
        world.code(JobId(0), 2, code);
        world.code(JobId(1), 1, 0);
        assert_eq!(world.runs(), runs);
        assert_eq!(world.skipped().len(), 1 - runs.len(), "what has failed for good is not ready any more");
    }
}

#[test]
fn an_end_before_it_was_ready_is_a_failure_whatever_else_is_ok() {
    let line = ReadyCheck::Line(regex::bytes::Regex::new("^up$").unwrap());
    let fault = |sign: &str| Outcome::Fault(format!("ended before it was ready: {sign}").into());
    for (check, fault) in [
        (line, fault("no line matched `^up$`")),
        (port(), fault("nobody listened at port 1")),
        (ReadyCheck::Command(Box::new(stage("probe"))), fault("its `ready` command did not succeed")),
    ] {
        for daemon in [false, true] {
            let mut db = if daemon { service("db") } else { job("db") };
            (db.ready, db.stages[0].ok.signal, db.retries.count) = (on(check.clone(), 1000), true, 1);
            let mut world = World::new(vec![db, job("other")], 2, &[1, 1]);
            world.code(JobId(0), 1, 0);
            assert!(world.ended.is_empty(), "it is tried again, as after any failure");
            world.send(Event::Tick(world.now));
            world.exit(JobId(0), 1, Exit::Signal(15));
            assert_eq!(world.ended, [(JobId(0), 1, fault.clone())]);
        }
    }
    let mut db = job("db");
    (db.ready, db.stages[0].ok.timeout) = (on(port(), 1000), true);
    db.timeout = Some(Timeout::After(ms(10)));
    let mut world = World::new(vec![db], 1, &[1]);
    world.at(10);
    world.exit(JobId(0), 1, Exit::Signal(TERM));
    assert_eq!(world.ended, [(JobId(0), 1, Outcome::Timeout)], "a timeout that is ok comes after readiness");
}

#[test]
fn under_time_alone_ending_well_counts_as_ready() {
    let ready = on(ReadyCheck::After(ms(200)), 50);
    let mut prepare = job("prepare");
    prepare.ready = ready.clone();
    let mut world = World::new(vec![prepare.clone(), after("a", JobId(0), When::Ready)], 2, &[1, 1]);
    world.code(JobId(0), 1, 0);
    assert_eq!(world.runs(), [(JobId(1), 1)]);
    // A daemon has gone, all the same.
    let mut db = service("db");
    db.ready = ready;
    let mut world = World::new(vec![db, after("a", JobId(0), When::Ready)], 2, &[1, 1]);
    world.code(JobId(0), 1, 0);
    assert_eq!(world.ended, [(JobId(0), 1, Outcome::Ok)]);
    assert_eq!(world.why_skipped(JobId(1)), "`db` has ended");
    assert_eq!(world.supervisor.verdict(), Verdict::Code(1));
}

#[test]
fn who_waits_for_a_service_that_waits_for_a_service_that_has_gone() {
    let mut api = service("api");
    api.after = vec![After { job: JobId(1), stage: StageId(0), when: When::Success }];
    api.after.push(After { job: JobId(0), stage: StageId(0), when: When::Ready });
    let jobs = vec![service("db"), job("build"), api, after("main", JobId(2), When::Ready)];
    let mut world = World::new(jobs, 2, &[1, 1, 1, 1]);
    world.up(JobId(0), 1);
    world.code(JobId(0), 1, 0);
    assert_eq!(
        (world.why_skipped(JobId(2)), world.why_skipped(JobId(3))),
        ("`db` has ended", "`api` was skipped")
    );
    world.code(JobId(1), 1, 0);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(1));
    let fails = |event: &&RunEvent| matches!(event, RunEvent::JobSkipped { fails: true, .. });
    assert_eq!(world.told.iter().filter(fails).count(), 1, "the other skip follows from that");
}

#[test]
fn a_halt_counts_who_is_skipped_because_its_service_has_gone() {
    let halt = Some(Halt { now: true, on: HaltOn::Fail, limit: HaltLimit::Count(1) });
    let mut world = World::with(service_and_late(Restart::Never), 1, &[1, 1, 1], halt, StatusMode::First);
    world.up(JobId(1), 1);
    world.code(JobId(1), 1, 0);
    assert!(world.was_signalled(JobId(0)));
    world.exit(JobId(0), 1, Exit::Signal(TERM));
    assert_eq!(world.supervisor.verdict(), Verdict::Code(1));
    for (status, code) in [(StatusMode::Any, 1), (StatusMode::Count, 1), (StatusMode::Xargs, 123)] {
        let mut world = World::with(service_and_late(Restart::Never), 1, &[1, 1, 1], None, status);
        world.up(JobId(1), 1);
        world.code(JobId(1), 1, 0);
        world.code(JobId(0), 1, 0);
        assert_eq!(world.supervisor.verdict(), Verdict::Code(code));
    }
}

#[test]
fn nobody_misses_a_service_that_goes_when_all_is_stopped() {
    let mut world = World::new(service_and_late(Restart::Never), 1, &[1, 1, 1]);
    world.up(JobId(1), 1);
    world.send(Event::Signal(INT));
    world.exit(JobId(1), 1, Exit::Signal(INT));
    world.exit(JobId(0), 1, Exit::Signal(INT));
    assert!(world.finished);
    assert!(!world.told.iter().any(|event| matches!(event, RunEvent::JobSkipped { fails: true, .. })));
    // A service without items is not missed either.
    let world = World::new(vec![service("db"), after("a", JobId(0), When::Ready)], 1, &[0, 1]);
    assert_eq!(world.runs(), [(JobId(1), 1)]);
}

#[test]
fn workers_wait_for_a_service_too() {
    let mut jobs = service_and_late(Restart::Always);
    jobs[2].worker = Some(plan::Worker {
        reply: plan::Reply::Line,
        fail: None,
        ahead: 2,
        max_tasks: None,
        init: Vec::new(),
    });
    let mut world = World::new(jobs, 1, &[1, 1, 3]);
    world.up(JobId(1), 1);
    world.code(JobId(1), 1, 7);
    world.code(JobId(0), 1, 0);
    assert!(world.workers.is_empty());
    world.at(10);
    world.up(JobId(1), 1);
    assert_eq!((world.workers.len(), world.given.len()), (1, 2));
}
