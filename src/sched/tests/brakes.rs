//! Throttle: what holds starts back beside the pools.

use super::*;
use crate::plan::Rate;

fn every(millis: u64) -> Option<Rate> {
    Some(Rate { interval: ms(millis) })
}

/// A run of one job with these throttle, and room for all its tasks at once.
fn braked(throttle: Throttle, items: u64) -> World {
    World::of(Plan { throttle, ..plan(vec![job("a")], UNLIMITED) }, &[items])
}

fn rated(interval: u64, items: u64) -> World {
    braked(Throttle { rate: every(interval), ..Throttle::default() }, items)
}

fn warnings(world: &World) -> Vec<&str> {
    fn text(event: &RunEvent) -> Option<&str> {
        match event {
            RunEvent::Warning(text) => Some(text),
            _ => None,
        }
    }
    world.told.iter().filter_map(text).collect()
}

// ---- rates -----------------------------------------------------------------------------------------------

#[test]
fn starts_are_spread_evenly() {
    let mut world = rated(100, 4);
    assert_eq!(world.started.len(), 1);
    assert_eq!(world.supervisor.due(), Some(ms(100)));
    world.at(99);
    assert_eq!(world.started.len(), 1);
    world.at(100);
    assert_eq!(world.started.len(), 2);
    world.code(JobId(0), 1, 0);
    assert_eq!(world.started.len(), 2, "a free slot is no reason");
    world.at(200);
    world.at(300);
    assert_eq!(world.started.len(), 4);
    assert_eq!(world.supervisor.due(), None, "nothing waits");
}

#[test]
fn a_late_start_shifts_no_other_and_a_pause_gives_no_credit() {
    let mut world = rated(1000, 9);
    for late in [30, 0, 90, 50] {
        let due = world.supervisor.due().unwrap();
        world.at(due.as_millis() as u64 + late);
    }
    assert_eq!((world.started.len(), world.supervisor.due()), (5, Some(ms(5000))));
    world.at(60_000);
    assert_eq!(world.started.len(), 6, "however long nothing started");
    let due = world.supervisor.due().unwrap();
    assert!(due >= ms(60_900), "{due:?}");
    world.now = due;
    world.send(Event::Tick(due));
    assert_eq!(world.started.len(), 7);
}

#[test]
fn every_attempt_counts() {
    let mut a = job("a");
    a.retries.count = 2;
    a.rate = every(100);
    let mut world = World::new(vec![a], UNLIMITED, &[1]);
    world.code(JobId(0), 1, 1);
    assert_eq!(world.started.len(), 1, "another attempt is another start");
    world.at(100);
    assert_eq!(world.started.len(), 2);
}

#[test]
fn a_jobs_rate_holds_back_that_job_alone_and_both_rates_hold() {
    let mut slow = job("slow");
    slow.rate = every(1000);
    let jobs = vec![slow, job("b")];
    let world = World::new(jobs.clone(), 5, &[3, 9]);
    assert_eq!(world.started, [(JobId(0), 1), (JobId(1), 1), (JobId(1), 2), (JobId(1), 3), (JobId(1), 4)]);

    let throttle = Throttle { rate: every(400), ..Throttle::default() };
    let mut world = World::of(Plan { throttle, ..plan(jobs, 9) }, &[3, 9]);
    [400, 800, 1200].into_iter().for_each(|time| world.at(time));
    assert_eq!(world.started, [(JobId(0), 1), (JobId(1), 1), (JobId(1), 2), (JobId(0), 2)]);
}

#[test]
fn what_workers_are_given_counts_one_by_one() {
    let mut a = job("a");
    a.pool = 2;
    a.worker = Some(plan::Worker {
        reply: plan::Reply::Line,
        fail: None,
        ahead: 4,
        max_tasks: None,
        init: Vec::new(),
    });
    let throttle = Throttle { rate: every(100), ..Throttle::default() };
    let mut world = World::of(Plan { throttle, ..plan(vec![a], 4) }, &[5]);
    assert_eq!((world.workers.len(), world.given.len()), (1, 1));
    world.answer(world.worker(0), 1, None);
    assert_eq!(world.given.len(), 1, "an idle worker waits, too");
    [100, 200, 300].into_iter().for_each(|time| world.at(time));
    assert_eq!(
        (world.workers.len(), world.given.len()),
        (2, 4),
        "a second worker for the third, then one ahead"
    );
    world.at(400);
    assert_eq!(world.given.len(), 5);
}

#[test]
fn a_signal_ends_what_waits_for_its_turn() {
    let mut world = rated(60_000, 3);
    world.send(Event::Signal(INT));
    world.exit(JobId(0), 1, Exit::Signal(INT));
    assert!(world.finished && world.supervisor.due().is_none());
}

// ---- the pool --------------------------------------------------------------------------------------------

#[test]
fn the_pool_changes_while_it_runs() {
    let mut world = World::new(vec![job("a")], 2, &[9]);
    world.send(Event::Pool(4));
    assert_eq!(world.started.len(), 4);
    world.send(Event::Pool(1));
    assert!(world.running.values().all(Vec::is_empty), "what runs goes on");
    for seq in 1..=3 {
        world.code(JobId(0), seq, 0);
    }
    assert_eq!(world.started.len(), 4, "until there is room");
    world.code(JobId(0), 4, 0);
    assert_eq!(world.started.len(), 5);
    let slot = world.supervisor.tasks.get(world.task(JobId(0), 5)).slot.unwrap();
    assert_eq!(slot.number(), 1, "the lowest free one");
}

#[test]
fn a_smaller_pool_lets_workers_go_when_they_have_answered() {
    let mut a = job("a");
    a.worker = Some(plan::Worker {
        reply: plan::Reply::Line,
        fail: None,
        ahead: 1,
        max_tasks: None,
        init: Vec::new(),
    });
    let mut world = World::new(vec![a], 3, &[20]);
    let workers: Vec<TaskId> = world.workers.keys().copied().collect();
    world.send(Event::Pool(1));
    for worker in &workers {
        world.answer(*worker, 1, None);
    }
    let told = |world: &World, worker| world.workers[worker].contains(&Action::EndInput { worker: *worker });
    assert!(!told(&world, &workers[0]) && told(&world, &workers[1]) && told(&world, &workers[2]));
    world.end_worker(workers[1], Exit::Code(0));
    world.end_worker(workers[2], Exit::Code(0));
    assert_eq!(world.workers.len(), 1);
    world.send(Event::Pool(2));
    world.answer(workers[0], 1, None);
    assert_eq!(world.workers.len(), 2);
}

// ---- the gauges ------------------------------------------------------------------------------------------

fn load(load: f64) -> Event {
    Event::Reading(Reading { load: Some(load), memory: None })
}

fn memory(bytes: u64) -> Event {
    Event::Reading(Reading { load: None, memory: Some(bytes) })
}

#[test]
fn nothing_starts_before_the_first_reading_and_none_above_the_load() {
    let mut world = braked(Throttle { load: Some(2.0), ..Throttle::default() }, 2);
    assert_eq!((world.started.len(), world.supervisor.reading_due()), (0, Some(ms(0))));
    world.send(load(2.5));
    world.send(load(2.0));
    assert_eq!(world.started.len(), 0);
    assert_eq!(
        warnings(&world),
        ["starts wait: the load average is 2.5, and has to be below 2"],
        "told once"
    );
    assert_eq!(world.supervisor.reading_due(), Some(ms(1000)));
    world.at(1000);
    world.send(load(1.9));
    assert_eq!(world.started.len(), 2);
    assert_eq!(world.supervisor.reading_due(), None, "nothing waits");
}

#[test]
fn a_reading_is_good_for_a_second() {
    let mut world = World::of(
        Plan { throttle: Throttle { load: Some(2.0), ..Throttle::default() }, ..plan(vec![job("a")], 1) },
        &[3],
    );
    world.send(load(0.5));
    world.now = ms(999);
    world.code(JobId(0), 1, 0);
    assert_eq!(world.started.len(), 2);
    world.now = ms(1000);
    world.code(JobId(0), 2, 0);
    assert_eq!((world.started.len(), world.supervisor.reading_due()), (2, Some(ms(1000))));
    world.send(load(0.5));
    assert_eq!(world.started.len(), 3);
    assert!(warnings(&world).is_empty());
}

#[test]
fn no_load_is_below_nothing() {
    let mut world = braked(Throttle { load: Some(0.0), ..Throttle::default() }, 2);
    world.send(load(0.0));
    assert_eq!(warnings(&world), ["no load average is below 0, so nothing ever starts"]);
    world.send(Event::Signal(INT));
    assert!(world.finished && world.supervisor.reading_due().is_none());
}

/// Three tasks run, and 100 bytes of memory have to be free.
fn short() -> World {
    let mut world = braked(Throttle { memory_free: Some(100), ..Throttle::default() }, 4);
    for started in 1..=3 {
        world.now = ms(started);
        world.send(memory(100));
        world.send(memory(99));
        assert_eq!(world.supervisor.reading_due(), Some(world.now + ms(1000)));
        if started == 1 {
            assert_eq!(world.started.len(), 4, "as many as there are");
        }
    }
    world
}

#[test]
fn below_half_of_the_memory_the_youngest_is_put_back() {
    let mut world = short();
    world.send(memory(50));
    assert!(world.running.values().all(Vec::is_empty), "half of it is enough");
    world.send(memory(49));
    let youngest = world.task(JobId(0), 4);
    assert_eq!(world.running[&youngest], [Action::Signal { task: youngest, signal: TERM }]);
    world.send(memory(10));
    assert!(world.running.iter().all(|(task, done)| *task == youngest || done.is_empty()), "one at a time");
    world.exit(JobId(0), 4, Exit::Signal(TERM));
    assert!(world.ended.is_empty() && !world.running.contains_key(&youngest));
    assert_eq!(
        warnings(&world),
        ["starts wait: 10 B of memory are free, and 100 B are wanted (`memory_free`)"]
    );
    world.at(2000);
    world.send(memory(100));
    assert_eq!(world.started.last(), Some(&(JobId(0), 4)), "it is there again");
    let task = world.task(JobId(0), 4);
    assert_eq!(world.supervisor.tasks.get(task).attempts, 1, "that was no attempt");
    for seq in 1..=4 {
        world.code(JobId(0), seq, 0);
    }
    assert!(world.finished && world.ended.len() == 4);
}

#[test]
fn one_task_is_left_running() {
    let mut world = short();
    for seq in [4, 3, 2] {
        world.send(memory(1));
        world.exit(JobId(0), seq, Exit::Signal(TERM));
    }
    world.send(memory(1));
    assert_eq!(world.running[&world.task(JobId(0), 1)], []);
}

#[test]
fn what_was_put_back_is_cancelled_when_prun_is_stopped() {
    let mut world = short();
    world.send(memory(1));
    world.exit(JobId(0), 4, Exit::Code(0));
    world.send(memory(1));
    world.send(Event::Signal(INT));
    for seq in 1..=3 {
        world.exit(JobId(0), seq, Exit::Signal(INT));
    }
    let cancelled = (1..=4).map(|seq| (JobId(0), seq, Outcome::Cancelled)).collect::<Vec<_>>();
    assert_eq!(world.outcomes(), cancelled, "before it is back, and after");
    assert_eq!(world.supervisor.verdict(), Verdict::Signal(INT));
}

#[test]
fn workers_and_daemons_are_not_put_back() {
    let mut daemon = job("d");
    daemon.kind = Kind::Daemon(Daemon::Reader);
    let throttle = Throttle { memory_free: Some(100), ..Throttle::default() };
    let mut world = World::of(Plan { throttle, ..plan(vec![job("a"), daemon], 9) }, &[1, 1]);
    world.send(memory(100));
    world.send(memory(1));
    assert_eq!(world.running[&world.task(JobId(1), 1)], []);
    assert_eq!(world.running[&world.task(JobId(0), 1)].len(), 1, "it is not the only one");
}

#[test]
fn what_is_tried_again_and_again_leaves_starts_to_what_never_started() {
    let mut crash = super::services::service("crash");
    crash.restart = plan::Restart::Always;
    crash.retries.count = u32::MAX;
    let rate = Some(plan::Rate { interval: ms(1_000) });
    let throttle = Throttle { rate, ..Throttle::default() };
    let jobs = vec![crash, job("main")];
    let mut world = World::of(Plan { throttle, ..plan(jobs, 1) }, &[1, 1]);
    for second in 1..5 {
        if world.started.contains(&(JobId(1), 1)) {
            break;
        }
        world.code(JobId(0), 1, 1);
        world.at(second * 1_000);
    }
    assert!(world.started.contains(&(JobId(1), 1)), "{:?}", world.started);
}
