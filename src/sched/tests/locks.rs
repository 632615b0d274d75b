//! Locks: who gets them, who waits, and what follows when nobody can go on.

use super::*;
use crate::event::{LockId, QueueId};
use crate::plan::{Lock, LockRequest};

/// A lock whose permits have these names.
fn named(names: &[&str]) -> Lock {
    let values: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    Lock { name: "gpu".into(), permits: values.len(), values }
}

fn lock(name: &str, permits: usize) -> Lock {
    Lock { name: name.into(), permits, values: Vec::new() }
}

fn locked(name: &str, wants: &[(usize, usize)]) -> plan::Job {
    let want = |(lock, permits): &(usize, usize)| LockRequest { lock: LockId(*lock), permits: *permits };
    plan::Job { locks: wants.iter().map(want).collect(), ..job(name) }
}

fn world(locks: Vec<Lock>, jobs: Vec<plan::Job>, pool: usize, items: &[u64]) -> World {
    World::of(Plan { locks, ..plan(jobs, pool) }, items)
}

fn held(world: &World, job: JobId, seq: u64) -> String {
    let held = world.supervisor.permits_of(world.task(job, seq)).expect("it holds something that has a name");
    assert_eq!(held.len(), 1);
    held[0].value.clone()
}

#[test]
fn one_at_a_time() {
    let jobs = vec![locked("a", &[(0, 1)]), locked("b", &[(0, 1)]), job("c")];
    let mut world = world(vec![lock("db", 1)], jobs, 9, &[1, 1, 1]);
    assert_eq!(world.started, [(JobId(0), 1), (JobId(2), 1)], "what takes no lock does not wait");
    world.code(JobId(2), 1, 0);
    assert_eq!(world.started.len(), 2);
    world.code(JobId(0), 1, 0);
    assert_eq!(world.started.last(), Some(&(JobId(1), 1)));
    assert_eq!(world.supervisor.permits_of(world.task(JobId(1), 1)), None, "a permit without a name");
    world.code(JobId(1), 1, 0);
    assert!(world.finished);
}

#[test]
fn as_many_as_there_are_permits() {
    let mut world = world(vec![lock("net", 2)], vec![locked("a", &[(0, 1)])], 9, &[6]);
    for seq in 1..=6 {
        assert_eq!(world.running.len(), 2.min(7 - seq as usize));
        world.code(JobId(0), seq, 0);
    }
    assert!(world.finished);
    assert_eq!(world.most_at_once, 2);
}

#[test]
fn all_or_none() {
    let jobs = vec![locked("a", &[(0, 1)]), locked("b", &[(0, 1), (1, 1)]), locked("c", &[(1, 1)])];
    let mut world = world(vec![lock("x", 1), lock("y", 1)], jobs, 9, &[1, 1, 1]);
    assert_eq!(world.started, [(JobId(0), 1)], "c came after b, and does not overtake it");
    let held =
        |world: &World| world.supervisor.tasks.iter().filter(|(_, task, _)| task.slot.is_some()).count();
    assert_eq!(held(&world), 1, "b holds nothing while it waits");
    world.code(JobId(0), 1, 0);
    assert_eq!(world.started.last(), Some(&(JobId(1), 1)));
    world.code(JobId(1), 1, 0);
    assert_eq!(world.started.last(), Some(&(JobId(2), 1)));
}

#[test]
fn philosophers_do_not_starve() {
    let philosopher = |n: usize| locked("p", &[(n, 1), ((n + 1) % 5, 1)]);
    let forks = (0..5).map(|n| lock(&format!("fork{n}"), 1)).collect();
    let mut world = world(forks, (0..5).map(philosopher).collect(), 9, &[10; 5]);
    let next = |job: &JobId| JobId((job.0 + 1) % 5);
    let mut rounds = 0;
    while !world.finished {
        let eating: Vec<_> = world.running.keys().map(|task| world.names[task]).collect();
        for (n, (job, seq)) in eating.iter().enumerate() {
            assert!(!eating[n + 1..].iter().any(|(other, _)| next(job) == *other || next(other) == *job));
            world.code(*job, *seq, 0);
        }
        rounds += 1;
        assert!(rounds < 100, "they eat no more: {:?}", world.running);
    }
    let first_half: Vec<_> = world.ended[..25].iter().map(|(job, ..)| *job).collect();
    (0..5).for_each(|n| {
        assert!(first_half.iter().filter(|job| **job == JobId(n)).count() >= 4, "{first_half:?}")
    });
}

#[test]
fn who_wants_many_gets_them_among_many_who_want_one() {
    let jobs = vec![locked("narrow", &[(0, 1)]), locked("wide", &[(0, 3)])];
    let mut world = world(vec![lock("net", 3)], jobs, 9, &[20, 1]);
    assert_eq!(world.started, [(JobId(0), 1), (JobId(0), 2), (JobId(0), 3)]);
    world.code(JobId(0), 1, 0);
    assert_eq!(world.started.last(), Some(&(JobId(0), 4)), "narrow was refused first");
    for seq in 2..=3 {
        world.code(JobId(0), seq, 0);
        assert_eq!(world.started.len(), 4, "from now on it is wide's turn");
    }
    world.code(JobId(0), 4, 0);
    assert_eq!(world.started.last(), Some(&(JobId(1), 1)));
    world.code(JobId(1), 1, 0);
    assert_eq!(world.started[5..], [(JobId(0), 5), (JobId(0), 6), (JobId(0), 7)]);
}

#[test]
fn a_permit_that_comes_back_is_kept_for_the_first_in_line_until_it_has_its_slot() {
    // When `a` ends, the only slot goes to `first`, which is earlier in the file; `late` comes meanwhile.
    let mut jobs =
        vec![job("first"), locked("late", &[(0, 1)]), locked("a", &[(0, 1)]), locked("b", &[(0, 1)])];
    jobs[0].after = vec![After { job: JobId(2), stage: StageId(0), when: When::Exit }];
    jobs[1].after = vec![After { job: JobId(2), stage: StageId(0), when: When::Exit }];
    let mut world = world(vec![lock("db", 1)], jobs, 1, &[1, 1, 1, 1]);
    assert_eq!(world.started, [(JobId(2), 1)]);
    world.send(Event::Pool(2));
    world.send(Event::Pool(1));
    world.code(JobId(2), 1, 0);
    assert_eq!(world.started.last(), Some(&(JobId(0), 1)));
    world.code(JobId(0), 1, 0);
    assert_eq!(world.started.last(), Some(&(JobId(3), 1)), "b was refused before late was there");
    world.code(JobId(3), 1, 0);
    assert_eq!(world.started.last(), Some(&(JobId(1), 1)));
}

#[test]
fn permits_with_names_are_given_lowest_first() {
    let mut world = world(vec![named(&["A", "B", "C"])], vec![locked("a", &[(0, 1)])], 9, &[5]);
    assert_eq!([1, 2, 3].map(|seq| held(&world, JobId(0), seq)), ["A", "B", "C"]);
    world.code(JobId(0), 2, 0);
    assert_eq!(held(&world, JobId(0), 4), "B");
    world.code(JobId(0), 1, 0);
    assert_eq!(held(&world, JobId(0), 5), "A");
}

#[test]
fn several_names_are_joined_by_commas() {
    let jobs = vec![locked("one", &[(0, 1)]), locked("two", &[(0, 2)])];
    let mut world = world(vec![named(&["A", "B", "C"])], jobs, 9, &[1, 2]);
    assert_eq!(held(&world, JobId(0), 1), "A");
    assert_eq!(held(&world, JobId(1), 1), "B,C");
    world.code(JobId(0), 1, 0);
    world.code(JobId(1), 1, 0);
    assert_eq!(held(&world, JobId(1), 2), "A,B");
}

#[test]
fn a_delay_before_the_next_attempt_gives_the_lock_back() {
    let mut a = locked("a", &[(0, 1)]);
    a.retries.count = 1;
    a.retries.delay.first = ms(100);
    let mut world = world(vec![lock("db", 1)], vec![a, locked("b", &[(0, 1)])], 9, &[1, 1]);
    world.code(JobId(0), 1, 1);
    assert_eq!(world.started, [(JobId(0), 1), (JobId(1), 1)]);
    world.at(100);
    assert_eq!(world.started.len(), 2);
    world.code(JobId(1), 1, 0);
    assert_eq!(world.started.last(), Some(&(JobId(0), 1)));
    world.code(JobId(0), 1, 0);
    assert!(world.finished);
}

#[test]
fn a_hook_belongs_to_its_task_and_holds_the_lock() {
    let mut a = locked("a", &[(0, 1)]);
    a.hooks.on_success = Some(Box::new(plan::Hook { stage: stage("hook") }));
    let mut world = world(vec![lock("db", 1)], vec![a, locked("b", &[(0, 1)])], 9, &[1, 1]);
    world.code(JobId(0), 1, 0);
    assert_eq!(world.started.len(), 1);
    world.code(JobId(0), 1, 0);
    assert_eq!(world.started.last(), Some(&(JobId(1), 1)));
}

#[test]
fn what_is_stopped_or_can_not_be_started_gives_it_back() {
    let mut a = locked("a", &[(0, 1)]);
    a.timeout = Some(Timeout::After(ms(100)));
    let jobs = vec![a, locked("b", &[(0, 1)]), locked("c", &[(0, 1)])];
    let mut world = world(vec![lock("db", 1)], jobs, 9, &[1, 1, 1]);
    world.at(100);
    assert_eq!(world.started.len(), 1, "it is being stopped");
    world.exit(JobId(0), 1, Exit::Signal(TERM));
    assert_eq!(world.started.last(), Some(&(JobId(1), 1)));
    let failure = Arc::new(crate::event::StartFailure { code: 127, why: String::new() });
    let task = world.task(JobId(1), 1);
    world.send(Event::NotStarted { task, started: 0, failure });
    assert_eq!(world.started.last(), Some(&(JobId(2), 1)));
}

#[test]
fn what_is_put_back_gives_it_back() {
    let throttle = Throttle { memory_free: Some(100), ..Throttle::default() };
    let jobs = vec![locked("a", &[(0, 1)]), locked("b", &[(1, 1)]), locked("c", &[(1, 1)])];
    let locks = vec![lock("x", 1), lock("y", 1)];
    let mut world = World::of(Plan { locks, throttle, ..plan(jobs, 9) }, &[1, 1, 1]);
    let reading = |memory| Event::Reading(Reading { load: None, memory: Some(memory) });
    world.send(reading(200));
    assert_eq!(world.started, [(JobId(0), 1), (JobId(1), 1)]);
    world.now = ms(1_000);
    world.send(reading(10));
    world.exit(JobId(1), 1, Exit::Signal(TERM));
    assert_eq!(world.running.len(), 1);
    world.now = ms(2_000);
    world.send(reading(200));
    assert_eq!(
        world.started.last(),
        Some(&(JobId(2), 1)),
        "c had been waiting, b comes back and waits behind it"
    );
    world.code(JobId(2), 1, 0);
    assert_eq!(world.started.last(), Some(&(JobId(1), 1)));
}

#[test]
fn a_job_that_is_closed_leaves_the_line() {
    let (mut b, mut c) = (locked("b", &[(0, 1)]), locked("c", &[(0, 1)]));
    b.halt = Some(Halt { now: false, on: HaltOn::Fail, limit: HaltLimit::Count(1) });
    b.locks[0].permits = 2;
    c.locks[0].permits = 1;
    let mut world = world(vec![lock("net", 3)], vec![b, c], 9, &[3, 2]);
    assert_eq!(
        world.started,
        [(JobId(0), 1)],
        "one permit is left, but b's second, which wants two, came first"
    );
    world.code(JobId(0), 1, 1);
    assert_eq!(world.started, [(JobId(0), 1), (JobId(1), 1), (JobId(1), 2)], "b starts no more");
    world.code(JobId(1), 1, 0);
    world.code(JobId(1), 2, 0);
    assert!(world.finished);
}

// ---- workers ---------------------------------------------------------------------------------------------

fn crew(name: &str, ahead: usize, wants: &[(usize, usize)]) -> plan::Job {
    let mut job = locked(name, wants);
    job.worker =
        Some(plan::Worker { reply: plan::Reply::Line, fail: None, ahead, max_tasks: None, init: Vec::new() });
    job
}

fn job_of(world: &World, worker: TaskId) -> JobId {
    world.supervisor.tasks.get(worker).job
}

#[test]
fn a_worker_holds_its_locks_as_long_as_it_lives() {
    let jobs = vec![crew("a", 1, &[(0, 1)]), crew("b", 1, &[(0, 1)])];
    let mut world = world(vec![named(&["A"])], jobs, 9, &[2, 1]);
    let first = world.worker(0);
    assert_eq!((world.workers.len(), job_of(&world, first)), (1, JobId(0)));
    let value = |world: &World, worker| world.supervisor.permits_of(worker).map(|held| held[0].value.clone());
    assert_eq!(value(&world, first), Some("A".into()));
    world.answer(first, 1, None);
    assert_eq!(world.workers.len(), 1, "between two tasks, too");
    world.answer(first, 1, None);
    assert_eq!(world.workers[&first].last(), Some(&Action::EndInput { worker: first }));
    assert_eq!(world.workers.len(), 1);
    world.end_worker(first, Exit::Code(0));
    let second = world.worker(0);
    assert_eq!((job_of(&world, second), value(&world, second)), (JobId(1), Some("A".into())));
    world.answer(second, 1, None);
    world.end_worker(second, Exit::Code(0));
    assert!(world.finished);
}

#[test]
fn a_worker_that_waits_for_items_gives_its_lock_to_who_makes_them() {
    let mut b = crew("b", 1, &[(0, 1)]);
    b.items = Items::Of(JobId(0));
    let mut world = world(vec![lock("db", 1)], vec![locked("a", &[(0, 1)]), b], 9, &[2, 0]);
    world.code(JobId(0), 1, 0);
    let worker = if world.workers.is_empty() {
        world.code(JobId(0), 2, 0);
        world.worker(0)
    } else {
        let worker = world.worker(0);
        world.answer(worker, 1, None);
        assert_eq!(world.workers[&worker].last(), Some(&Action::EndInput { worker }), "a waits for the lock");
        world.end_worker(worker, Exit::Code(0));
        world.code(JobId(0), 2, 0);
        world.worker(0)
    };
    while world.supervisor.next_to_answer(worker).is_some() {
        world.answer(worker, 1, None);
    }
    world.end_worker(worker, Exit::Code(0));
    assert!(world.finished);
}

// ---- when nothing can go on ------------------------------------------------------------------------------

fn daemon(wants: &[(usize, usize)]) -> plan::Job {
    plan::Job { kind: Kind::Daemon(Daemon::Reader), ..locked("d", wants) }
}

#[test]
fn a_lock_that_a_daemon_keeps_is_told() {
    let jobs = vec![daemon(&[(0, 1)]), locked("a", &[(0, 1)]), job("b")];
    let mut world = world(vec![lock("db", 1)], jobs, 9, &[1, 1, 1]);
    assert_eq!(world.started, [(JobId(0), 1), (JobId(2), 1)]);
    world.at(5_000);
    assert!(world.ended.is_empty(), "b still runs");
    world.code(JobId(2), 1, 0);
    assert_eq!(world.supervisor.due(), Some(ms(6_000)));
    world.at(6_000);
    let why = "waits for lock `db`, which daemon `d` holds";
    assert_eq!(world.outcomes()[0], (JobId(1), 1, Outcome::Fault(why.into())));
    let stopping = RunEvent::Stopping { why: format!("nothing can go on: `a` {why}"), kill: false };
    assert!(world.told.contains(&stopping), "{:?}", world.told);
    world.exit(JobId(0), 1, Exit::Signal(TERM));
    assert!(world.finished);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(1));
}

#[test]
fn a_daemon_may_wait_for_another() {
    let jobs = vec![daemon(&[(0, 1)]), daemon(&[(0, 1)])];
    let mut world = world(vec![lock("leader", 1)], jobs, 9, &[1, 1]);
    world.at(60_000);
    assert_eq!((world.started.len(), world.supervisor.due()), (1, None));
    world.code(JobId(0), 1, 0);
    assert_eq!(world.started.last(), Some(&(JobId(1), 1)));
}

#[test]
fn before_nothing_can_go_on_some_may_overtake() {
    // The writer waits for its reader, that for `wide`, which came first, and that for the writer.
    let mut jobs = vec![locked("writer", &[(0, 1)]), locked("wide", &[(0, 2)]), locked("reader", &[(0, 1)])];
    jobs[0].stages[0].stdout = Output::Queue { queue: QueueId(0), show: false };
    jobs[2].kind = Kind::Reader;
    jobs[2].after = vec![After { job: JobId(3), stage: StageId(0), when: When::Exit }];
    jobs.push(job("gate"));
    let queues = vec![queue("q", &[JobId(0)], &[JobId(2)])];
    let mut world = World::of(Plan { queues, locks: vec![lock("net", 2)], ..plan(jobs, 9) }, &[1; 4]);
    world.code(JobId(3), 1, 0);
    assert_eq!(world.started, [(JobId(0), 1), (JobId(3), 1)]);
    let task = world.task(JobId(0), 1);
    world.send(Event::Blocked { task, blocked: true });
    world.at(1_000);
    assert_eq!(world.started.last(), Some(&(JobId(2), 1)));
    world.send(Event::Blocked { task, blocked: false });
    world.code(JobId(0), 1, 0);
    world.code(JobId(2), 1, 0);
    world.code(JobId(1), 1, 0);
    assert!(world.finished);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(0));
}

#[test]
fn a_lock_is_waited_for_before_slots_are_kept() {
    // `b` could have its slots, but not its lock: nobody else has to wait for it.
    let mut b = plan::Job { slots: 2, ..job("b") };
    b.locks = vec![LockRequest { lock: LockId(0), permits: 1 }];
    let world = world(vec![lock("db", 1)], vec![locked("a", &[(0, 1)]), b, job("c")], 2, &[1, 1, 2]);
    assert_eq!(world.started, [(JobId(0), 1), (JobId(2), 1)]);
}

// ---- whatever happens (see `random`) ---------------------------------------------------------------------

/// The locks of a random plan: a few permits, some of which have names.
pub fn few_locks() -> Vec<plan::Lock> {
    let values = ["A", "B"].map(str::to_owned).to_vec();
    vec![
        plan::Lock { name: "one".into(), permits: 1, values: Vec::new() },
        plan::Lock { name: "three".into(), permits: 3, values: Vec::new() },
        plan::Lock { name: "named".into(), permits: 2, values },
    ]
}

/// No permit is held twice, and nobody who waits holds any.
pub fn check_locks(world: &World, plan: &Plan) {
    let mut taken = vec![0; plan.locks.len()];
    let mut names: Vec<String> = Vec::new();
    for (id, task, _) in world.supervisor.tasks.iter() {
        let wants = if task.slot.is_some() { plan.jobs[task.job].locks.as_slice() } else { &[] };
        wants.iter().for_each(|want| taken[want.lock] += want.permits);
        let named =
            wants.iter().filter(|want| want.lock == LockId(2)).map(|want| want.permits).sum::<usize>();
        let held = world.supervisor.permits_of(id);
        let held: Vec<&str> = held.iter().flat_map(|held| held[0].value.split(',')).collect();
        assert_eq!(held.len(), named);
        names.extend(held.into_iter().map(str::to_owned));
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "a value is held twice");
    plan.locks.iter().zip(taken).for_each(|(lock, taken)| assert!(taken <= lock.permits, "{lock:?}"));
}

/// Two services that want one lock, and a job that waits for the second.
#[test]
fn a_service_that_waits_for_what_another_holds_is_a_stall_if_a_job_needs_it() {
    let holder = |name: &str| {
        let mut holder = super::services::service(name);
        holder.locks = vec![plan::LockRequest { lock: LockId(0), permits: 1 }];
        holder
    };
    let mut waiter = job("waiter");
    waiter.after = vec![After { job: JobId(1), stage: StageId(0), when: When::Ready }];
    let locks = few_locks();
    let jobs = vec![holder("d"), holder("x"), waiter.clone()];
    let mut world = World::of(Plan { locks: locks.clone(), ..plan(jobs, 1) }, &[1, 1, 1]);
    world.send(Event::Up(world.task(JobId(0), 1)));
    assert_eq!(world.supervisor.due(), Some(ms(1_000)));
    world.at(1_000);
    assert!(
        matches!(&world.outcomes()[0], (JobId(1), 1, Outcome::Fault(why)) if why.contains("waits for lock"))
    );
    // The second task of a service waits for what the first one holds.
    let mut twice = holder("d");
    twice.items = Items::Repeat(2);
    waiter.after[0].job = JobId(0);
    let mut world = World::of(Plan { locks: locks.clone(), ..plan(vec![twice, waiter], 1) }, &[2, 1]);
    world.send(Event::Up(world.task(JobId(0), 1)));
    assert_eq!(world.supervisor.due(), Some(ms(1_000)));
    // Services alone may wait for each other, and so may one whose end a job waits for.
    let mut world =
        World::of(Plan { locks: locks.clone(), ..plan(vec![holder("d"), holder("x")], 1) }, &[1, 1]);
    world.send(Event::Up(world.task(JobId(0), 1)));
    assert_eq!(world.supervisor.due(), None);
    let mut join = job("join");
    join.after = vec![After { job: JobId(0), stage: StageId(0), when: When::Exit }];
    let mut world = World::of(Plan { locks, ..plan(vec![holder("d"), holder("x"), join], 1) }, &[1, 1, 1]);
    world.send(Event::Up(world.task(JobId(0), 1)));
    assert_eq!(world.supervisor.due(), None);
}
