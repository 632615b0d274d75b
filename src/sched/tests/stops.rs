//! Deadlines, signals, halts, the ladder.

use super::*;

#[test]
fn a_timeout_walks_the_ladder() {
    let mut a = job("a");
    a.timeout = Some(Timeout::After(ms(1000)));
    a.grace = ms(1000);
    let mut world = World::new(vec![a], 1, &[1]);
    world.at(999);
    let task = world.task(JobId(0), 1);
    assert!(world.running[&task].is_empty());
    world.at(1000);
    assert_eq!(world.running[&task], [Action::Signal { task, signal: TERM }]);
    world.at(1999);
    assert_eq!(world.running[&task].len(), 1);
    world.at(2000);
    assert_eq!(world.running[&task][1], Action::Kill { task });
    world.exit(JobId(0), 1, Exit::Signal(9));
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Timeout)]);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(124));
}

#[test]
fn the_end_of_the_first_process_does_not_end_the_ladder() {
    let mut a = job("a");
    a.timeout = Some(Timeout::After(ms(10)));
    a.grace = ms(100);
    let mut world = World::new(vec![a], 1, &[1]);
    world.at(10);
    let task = world.task(JobId(0), 1);
    world.send(Event::Drained(task));
    world.send(Event::Exited { task, stage: StageId(0), exit: Exit::Signal(TERM) });
    assert!(world.ended.is_empty(), "what it started still runs");
    world.at(110);
    assert_eq!(world.running[&task][1], Action::Kill { task });
    world.send(Event::GroupGone(task));
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Timeout)]);
}

#[test]
fn an_exit_at_the_deadline_has_one_outcome() {
    let mut a = job("a");
    a.timeout = Some(Timeout::After(ms(10)));
    let mut world = World::new(vec![a], 1, &[1]);
    world.now = ms(10);
    world.code(JobId(0), 1, 0);
    world.at(10);
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Ok)]);
}

#[test]
fn a_signal_stops_everything_and_starts_nothing() {
    let mut world = World::new(vec![job("a"), job("b")], 2, &[5, 1]);
    world.send(Event::Signal(INT));
    let tasks: Vec<_> = world.running.keys().copied().collect();
    for task in &tasks {
        assert_eq!(world.running[task], [Action::Signal { task: *task, signal: INT }]);
    }
    world.exit(JobId(0), 1, Exit::Signal(INT));
    world.exit(JobId(0), 2, Exit::Code(0));
    assert_eq!(world.started.len(), 2);
    assert!(world.finished);
    let cancelled = world.ended.iter().filter(|(.., outcome)| *outcome == Outcome::Cancelled).count();
    assert_eq!(cancelled, 2);
    assert_eq!(world.supervisor.verdict(), Verdict::Signal(INT));
}

/// Whoever stops it: a service that has a signal of its own may take another one as the wish to abort.
#[test]
fn a_job_with_a_stop_signal_gets_that_one_and_the_others_get_prun_s() {
    const QUIT: i32 = 3;
    let own = plan::Job { stop_signal: Some(QUIT), ..job("a") };
    let halt = Halt { now: true, on: HaltOn::Fail, limit: HaltLimit::Count(1) };
    for cause in [Event::Signal(INT), Event::Signal(TERM), Event::OutputClosed, Event::Broken("full".into())]
    {
        let mut world = World::new(vec![own.clone(), job("b")], 2, &[1, 1]);
        world.send(cause.clone());
        let (a, b) = (world.task(JobId(0), 1), world.task(JobId(1), 1));
        assert_eq!(world.running[&a], [Action::Signal { task: a, signal: QUIT }], "{cause:?}");
        let signal = if let Event::Signal(signal) = cause { signal } else { TERM };
        assert_eq!(world.running[&b], [Action::Signal { task: b, signal }], "{cause:?}");
    }
    // A signal after a halt is no second one for a task that was told.
    let mut world = World::with(vec![own, job("b")], 3, &[1, 2], Some(halt), StatusMode::First);
    world.code(JobId(1), 1, 1);
    let (a, b) = (world.task(JobId(0), 1), world.task(JobId(1), 2));
    world.send(Event::Signal(TERM));
    assert_eq!(world.running[&a], [Action::Signal { task: a, signal: QUIT }]);
    assert_eq!(world.running[&b], [Action::Signal { task: b, signal: TERM }]);
}

#[test]
fn a_second_signal_kills_at_once_and_counts_as_the_first() {
    let mut world = World::new(vec![job("a")], 1, &[1]);
    world.send(Event::Signal(INT));
    world.send(Event::Signal(TERM));
    let task = world.task(JobId(0), 1);
    assert_eq!(world.running[&task][1], Action::Kill { task });
    world.exit(JobId(0), 1, Exit::Signal(9));
    assert_eq!(world.supervisor.verdict(), Verdict::Signal(INT));
}

#[test]
fn a_signal_after_a_halt_begins_the_ladder_with_that_signal() {
    let halt = Halt { now: true, on: HaltOn::Fail, limit: HaltLimit::Count(1) };
    let mut world = World::with(vec![job("a")], 3, &[3], Some(halt), StatusMode::First);
    world.code(JobId(0), 1, 1);
    let task = world.task(JobId(0), 2);
    assert_eq!(world.running[&task], [Action::Signal { task, signal: TERM }]);
    world.send(Event::Signal(INT));
    assert_eq!(world.running[&task].last(), Some(&Action::Signal { task, signal: INT }));
    world.exit(JobId(0), 2, Exit::Signal(INT));
    world.exit(JobId(0), 3, Exit::Signal(INT));
    assert_eq!(world.supervisor.verdict(), Verdict::Signal(INT));
}

#[test]
fn a_signal_during_a_retry_delay_ends_at_once_with_the_last_outcome() {
    let mut a = job("a");
    a.retries.count = 5;
    a.retries.delay.first = ms(60_000);
    let mut world = World::new(vec![a], 1, &[1]);
    world.code(JobId(0), 1, 7);
    world.send(Event::Signal(TERM));
    assert!(world.finished);
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Failed(7))]);
}

#[test]
fn what_ends_because_of_a_stop_lets_nothing_begin() {
    let mut a = job("a");
    a.retries.count = 1;
    a.retries.delay.first = ms(60_000);
    let mut b = job("b");
    b.after = vec![After { job: JobId(0), stage: StageId(0), when: When::Exit }];
    let mut world = World::new(vec![a, b], 1, &[1, 1]);
    world.code(JobId(0), 1, 7);
    world.send(Event::Signal(TERM));
    assert!(world.finished);
    assert_eq!(world.skipped(), [JobId(1)]);
    let begun = |event: &RunEvent| matches!(event, RunEvent::JobEnded { job: JobId(1), .. });
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
    world.code(JobId(0), 1, 7);
    world.code(JobId(0), 3, 7);
    world.code(JobId(0), 2, 1);
    assert!(world.finished);
    let failed = [
        (JobId(0), 1, Outcome::Failed(7)),
        (JobId(0), 2, Outcome::Failed(1)),
        (JobId(0), 3, Outcome::Failed(7)),
    ];
    assert_eq!(world.outcomes(), failed);
}

#[test]
fn only_what_was_due_when_the_clock_was_read_is_over() {
    let mut a = job("a");
    a.timeout = Some(Timeout::After(ms(100)));
    let mut world = World::new(vec![a], 2, &[2]);
    // The clock was read at 99 ms and the tick is handled later: events of the time between stand behind it.
    world.now = ms(150);
    world.send(Event::Tick(ms(99)));
    world.code(JobId(0), 1, 0);
    world.send(Event::Tick(ms(150)));
    world.exit(JobId(0), 2, Exit::Signal(TERM));
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Ok), (JobId(0), 2, Outcome::Timeout)]);
}

#[test]
fn a_stage_that_cannot_start_stops_its_neighbours() {
    let mut pipe = job("p");
    pipe.stages = vec![stage("first"), stage("p")];
    let mut world = World::new(vec![pipe], 9, &[1]);
    let task = world.task(JobId(0), 1);
    let failure = Arc::new(StartFailure { code: 127, why: "not found".into() });
    world.send(Event::NotStarted { task, started: 1, failure: Arc::clone(&failure) });
    assert_eq!(world.running[&task], [Action::Signal { task, signal: TERM }]);
    world.send(Event::Exited { task, stage: StageId(0), exit: Exit::Signal(TERM) });
    world.send(Event::Drained(task));
    world.send(Event::GroupGone(task));
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::NotStarted(failure))]);
}

#[test]
fn halts_by_count_and_by_share() {
    let halt = |now, on, limit| Some(Halt { now, on, limit });
    let soon = halt(false, HaltOn::Fail, HaltLimit::Count(2));
    let mut world = World::with(vec![job("a")], 2, &[9], soon, StatusMode::First);
    world.code(JobId(0), 1, 1);
    world.code(JobId(0), 2, 5);
    assert_eq!(world.started.len(), 3);
    assert!(world.running.values().all(Vec::is_empty), "soon: what runs may end");
    world.code(JobId(0), 3, 0);
    assert!(world.finished);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(5), "the failure that triggered it");

    let share = halt(true, HaltOn::Fail, HaltLimit::Percent(50.0));
    let mut world = World::with(vec![job("a")], 1, &[9], share, StatusMode::First);
    world.code(JobId(0), 1, 1);
    world.code(JobId(0), 2, 1);
    assert!(!world.finished, "only from three on");
    world.code(JobId(0), 3, 0);
    world.code(JobId(0), 4, 1);
    assert!(world.finished);

    let success = halt(true, HaltOn::Success, HaltLimit::Count(1));
    let mut world = World::with(vec![job("a")], 2, &[9], success, StatusMode::First);
    world.code(JobId(0), 1, 1);
    world.code(JobId(0), 2, 0);
    world.exit(JobId(0), 3, Exit::Signal(TERM));
    assert!(world.finished);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(0));
}

#[test]
fn an_xargs_status_stops_at_255() {
    let mut world = World::with(vec![job("a")], 1, &[5], None, StatusMode::Xargs);
    world.code(JobId(0), 1, 255);
    assert!(world.finished);
    assert_eq!(world.started.len(), 1);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(124));
}

// ---- who had to be killed ------------------------------------------------------------------------------

/// Returns who was told of as killed after its grace period.
fn killed(world: &World) -> Vec<(String, i32, Time)> {
    let killed = |event: &RunEvent| match event {
        RunEvent::Killed { who, signal, grace } => Some((who.clone(), *signal, *grace)),
        _ => None,
    };
    world.told.iter().filter_map(killed).collect()
}

#[test]
fn who_ignores_the_signal_is_told_with_it_and_with_the_time() {
    let a = plan::Job {
        stop_signal: Some(3),
        grace: ms(10_000),
        timeout: Some(Timeout::After(ms(5))),
        ..job("a")
    };
    let mut world = World::new(vec![a], 1, &[1]);
    world.at(5);
    world.at(10_004);
    assert_eq!(killed(&world), []);
    world.at(10_005);
    assert_eq!(killed(&world), [("a".into(), 3, ms(10_000))]);
    world.exit(JobId(0), 1, Exit::Signal(9));
    assert_eq!(killed(&world).len(), 1);
}

#[test]
fn the_signal_that_prun_got_is_the_one_that_was_ignored() {
    let jobs = ["a", "b"].map(|name| plan::Job { grace: ms(100), ..job(name) });
    let mut world = World::new(jobs.into(), 9, &[4, 1]);
    world.send(Event::Signal(INT));
    world.at(100);
    let who = "a, b, a and 2 more";
    assert_eq!(killed(&world), [(who.into(), INT, ms(100))], "once, not for each of them");
}

#[test]
fn what_a_task_started_is_told_apart_from_the_task() {
    let mut world = World::new(vec![plan::Job { grace: ms(100), ..job("a") }], 1, &[1]);
    let task = world.task(JobId(0), 1);
    world.send(Event::Signal(TERM));
    world.send(Event::Drained(task));
    world.send(Event::Exited { task, stage: StageId(0), exit: Exit::Signal(TERM) });
    world.at(100);
    assert_eq!(killed(&world), [("processes that a started".into(), TERM, ms(100))]);
}

#[test]
fn a_second_signal_names_nobody() {
    let mut world = World::new(vec![job("a")], 1, &[1]);
    world.send(Event::Signal(INT));
    world.send(Event::Signal(TERM));
    world.at(20_000);
    assert_eq!(killed(&world), []);
}
