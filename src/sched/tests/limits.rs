//! Time limits of the median, and halts by share.

use super::*;

/// A run of one job whose time limit is a share of the median, after tasks that took these milliseconds.
fn timed(percent: f64, times: &[u64], more: u64) -> World {
    let mut a = job("a");
    a.timeout = Some(Timeout::OfMedian(percent));
    let mut world = World::new(vec![a], 1, &[times.len() as u64 + more]);
    for (at, took) in times.iter().enumerate() {
        world.now += ms(*took);
        world.code(JobId(0), at as u64 + 1, 0);
    }
    world
}

/// Returns how long the task that started last may run from now on, in milliseconds.
fn left(world: &World) -> Option<u64> {
    world.supervisor.due().map(|due| (due - world.now).as_millis() as u64)
}

#[test]
fn there_is_no_limit_before_three_were_ok() {
    assert_eq!(left(&timed(200.0, &[100, 100], 1)), None);
    let limit = left(&timed(200.0, &[100, 5000, 101], 1)).unwrap();
    assert!((200..204).contains(&limit), "{limit}");
}

#[test]
fn what_takes_longer_times_out_and_counts_for_nothing() {
    let mut world = timed(200.0, &[100, 100, 100], 5);
    world.now += ms(150);
    world.code(JobId(0), 4, 1);
    let due = world.supervisor.due().unwrap();
    world.at(due.as_millis() as u64 + 1);
    let task = world.task(JobId(0), 5);
    assert_eq!(world.running[&task], [Action::Signal { task, signal: TERM }]);
    world.exit(JobId(0), 5, Exit::Signal(TERM));
    assert_eq!(world.ended.last(), Some(&(JobId(0), 5, Outcome::Timeout)));
    let limit = left(&world).unwrap();
    assert!((199..202).contains(&limit), "as before: {limit}");
}

#[test]
fn what_runs_already_gets_its_limit_and_the_median_of_the_moment_counts() {
    let mut a = job("a");
    a.timeout = Some(Timeout::OfMedian(200.0));
    let mut world = World::new(vec![a], 4, &[9]);
    world.now = ms(100);
    [1, 2, 3].into_iter().for_each(|seq| world.code(JobId(0), seq, 0));
    let due = world.supervisor.due().unwrap();
    assert!(due > ms(198) && due < ms(202), "{due:?} for the fourth, which began at 0");
    // Slow tasks double the median before that.
    world.now = ms(190);
    (5..=7).for_each(|seq| world.code(JobId(0), seq, 0));
    world.now = due;
    assert!(world.supervisor.time_limit(JobId(0)).unwrap() > ms(170));
    world.now = ms(195);
    (8..=9).for_each(|seq| world.code(JobId(0), seq, 0));
    let limit = world.supervisor.time_limit(JobId(0)).unwrap();
    world.now = due;
    world.send(Event::Tick(due));
    assert_eq!(world.running[&world.task(JobId(0), 4)].is_empty(), limit > due);
}

#[test]
fn a_worker_is_limited_by_what_answers_took() {
    let mut a = job("a");
    a.timeout = Some(Timeout::OfMedian(300.0));
    a.worker = Some(plan::Worker {
        reply: plan::Reply::Line,
        fail: None,
        ahead: 2,
        max_tasks: None,
        init: Vec::new(),
    });
    let mut world = World::new(vec![a], 1, &[9]);
    let worker = world.worker(0);
    for time in [100, 200, 300] {
        world.now = ms(time);
        world.answer(worker, 1, None);
    }
    let due = world.supervisor.due().unwrap();
    assert!(due > ms(595) && due < ms(605), "{due:?}");
    world.at(due.as_millis() as u64 + 1);
    assert!(world.workers[&worker].contains(&Action::Signal { task: worker, signal: TERM }));
}

#[test]
fn a_share_of_all_tasks_ends_the_run_once_their_number_is_known() {
    let halt = Some(Halt { now: true, on: HaltOn::Done, limit: HaltLimit::Percent(50.0) });
    let mut a = job("a");
    a.items = Items::Repeat(8);
    let mut world = World::of(Plan { halt, ..plan(vec![a], 1) }, &[8]);
    for seq in 1..=4 {
        assert!(!world.finished, "before {seq}");
        world.code(JobId(0), seq, (seq == 2).into());
    }
    assert!(world.finished);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(1), "as without a halt");

    // The number of items that are read is known at their end.
    let mut a = job("a");
    a.items = Items::Glob { pattern: "*".into(), base: "/".into() };
    let mut world = World::of(Plan { halt, ..plan(vec![a], 1) }, &[8]);
    (1..=6).for_each(|seq| world.code(JobId(0), seq, 0));
    assert!(!world.finished);
    world.code(JobId(0), 7, 0);
    assert_eq!(world.started.last(), Some(&(JobId(0), 8)));
}

#[test]
fn a_halt_counts_tasks_and_not_attempts() {
    let halt = Halt { now: true, on: HaltOn::Fail, limit: HaltLimit::Count(2) };
    let mut a = job("a");
    a.retries.count = 1;
    let mut world = World::with(vec![a], 9, &[5], Some(halt), StatusMode::First);
    for (seq, code) in [(1, 1), (1, 0), (2, 3), (2, 4), (3, 5), (3, 6)] {
        assert!(!world.supervisor.is_stopping(), "before {seq} exits with {code}");
        world.code(JobId(0), seq, code);
        world.at(0); // What is to be tried again is due.
    }
    assert!(world.supervisor.is_stopping());
    assert_eq!(world.supervisor.verdict(), Verdict::Code(6));
}
