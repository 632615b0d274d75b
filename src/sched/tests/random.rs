//! Whatever happens, in whatever order.

use proptest::prelude::*;

use super::super::task::Role;
use super::locks::{check_locks, few_locks};
use super::*;
use crate::plan::{AtEnd, Ready, Restart, Sign};

#[derive(Debug, Clone)]
enum Step {
    Exit {
        which: usize,
        code: u8,
    },
    Die {
        which: usize,
    },
    Linger {
        which: usize,
    },
    Up {
        which: usize,
    },
    NotStarted {
        which: usize,
    },
    Short {
        which: usize,
    },
    Fault {
        which: usize,
    },
    InputEnded {
        which: usize,
    },
    Blocked {
        which: usize,
        blocked: bool,
    },
    Answer {
        which: usize,
        count: usize,
        fails: bool,
    },
    WorkerEnds {
        which: usize,
        exit: Exit,
    },
    WorkerNotStarted {
        which: usize,
    },
    WorkerShort {
        which: usize,
    },
    WorkerCloses {
        which: usize,
    },
    NotGiven {
        which: usize,
    },
    Hold(bool),
    Pool(usize),
    /// Others take tokens, or give some back.
    Tokens {
        take: bool,
        count: usize,
    },
    Reading {
        load: u64,
        memory: u64,
    },
    Wait(u64),
    Signal(i32),
}

fn step() -> impl Strategy<Value = Step> {
    let which = || 0..8usize;
    let exit = || {
        prop_oneof![Just(Exit::Code(0)), Just(Exit::Code(1)), Just(Exit::Signal(9)), Just(Exit::Signal(13))]
    };
    prop_oneof![
        9 => (which(), prop_oneof![3 => Just(0u8), 1 => 1..=3u8])
            .prop_map(|(which, code)| Step::Exit { which, code }),
        1 => which().prop_map(|which| Step::Die { which }),
        1 => which().prop_map(|which| Step::Linger { which }),
        4 => which().prop_map(|which| Step::Up { which }),
        1 => which().prop_map(|which| Step::NotStarted { which }),
        2 => which().prop_map(|which| Step::Short { which }),
        1 => which().prop_map(|which| Step::Fault { which }),
        1 => which().prop_map(|which| Step::InputEnded { which }),
        2 => (which(), any::<bool>()).prop_map(|(which, blocked)| Step::Blocked { which, blocked }),
        9 => (which(), 1..4usize, prop::bool::weighted(0.1))
            .prop_map(|(which, count, fails)| Step::Answer { which, count, fails }),
        2 => (which(), exit()).prop_map(|(which, exit)| Step::WorkerEnds { which, exit }),
        1 => which().prop_map(|which| Step::WorkerNotStarted { which }),
        1 => which().prop_map(|which| Step::WorkerShort { which }),
        1 => which().prop_map(|which| Step::WorkerCloses { which }),
        1 => which().prop_map(|which| Step::NotGiven { which }),
        1 => any::<bool>().prop_map(Step::Hold),
        1 => (1..4usize).prop_map(Step::Pool),
        2 => (any::<bool>(), 1..4usize).prop_map(|(take, count)| Step::Tokens { take, count }),
        2 => (0..4u64, 0..150u64).prop_map(|(load, memory)| Step::Reading { load, memory }),
        3 => (1..400u64).prop_map(Step::Wait),
        1 => prop_oneof![6 => Just(0), 1 => Just(INT), 1 => Just(TERM)].prop_map(Step::Signal),
    ]
}

#[derive(Debug, Clone)]
enum Kind {
    Plain,
    /// Takes the items of the job before it.
    Follower,
    /// Takes no slot.
    Reader {
        daemon: bool,
    },
    /// A daemon that reads nothing.
    Service(Restart),
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        3 => Just(Kind::Plain),
        2 => Just(Kind::Follower),
        1 => any::<bool>().prop_map(|daemon| Kind::Reader { daemon }),
        2 => any_restart().prop_map(Kind::Service),
    ]
}

prop_compose! {
    fn any_worker()(ahead in 1..4usize, max_tasks in prop::option::of(1..4u64)) -> plan::Worker {
        plan::Worker { reply: plan::Reply::Line, fail: None, ahead, max_tasks, init: Vec::new() }
    }
}

prop_compose! {
    fn any_job(earlier: usize)(
        pool in 1..3usize,
        timeout in prop::option::of(50..500u64),
        retries in 0..3u32,
        grace in 0..300u64,
        after in prop::collection::vec((0..earlier.max(1), 0..5u8), 0..if earlier == 0 { 1 } else { 3 }),
        kind in kind(),
        worker in prop::option::of(any_worker()),
        (on_success, on_failure, on_exit) in any::<(bool, bool, bool)>(),
        halt in prop::option::weighted(0.1, (any::<bool>(), 1..3u64)),
        (writes, leftovers) in (any::<bool>(), any_leftovers()),
        (rate, ready, locks) in (any_rate(), any_ready(), any_wants()),
        slots in prop_oneof![4 => Just(1), 1 => 2..4usize],
    ) -> plan::Job {
        let mut job = job("j");
        (job.locks, job.slots) = (locks, slots);
        job.pool = pool;
        job.timeout = timeout.map(|limit| match limit {
            400.. => Timeout::OfMedian(limit as f64),
            limit => Timeout::After(ms(limit)),
        });
        job.rate = rate;
        job.leftovers = leftovers;
        job.retries.count = retries;
        job.retries.delay.first = ms(grace);
        job.grace = ms(grace);
        job.worker = worker;
        job.halt = halt.map(|(now, limit)| Halt { now, on: HaltOn::Fail, limit: HaltLimit::Count(limit) });
        let hook = || plan::Hook { stage: stage("hook") };
        job.on_success = on_success.then(hook);
        job.on_failure = on_failure.then(hook);
        job.on_exit = on_exit.then(hook);
        if writes {
            job.stages[0].stdout = Output::Queue { queue: 0, show: false };
        }
        match kind {
            Kind::Follower if earlier > 0 => job.items = Items::Of(earlier - 1),
            Kind::Reader { daemon } => (job.slotless, job.daemon) = (true, daemon && job.worker.is_none()),
            Kind::Service(restart) => {
                (job.slotless, job.daemon, job.serves, job.restart) = (true, true, true, restart);
                (job.worker, job.ready) = (None, ready);
            }
            Kind::Plain if job.worker.is_none() => job.ready = ready,
            _ => {}
        }
        let mut seen = BTreeSet::new();
        for (other, when) in after {
            if earlier > 0 && seen.insert(other) && !matches!(job.items, Items::Of(_)) {
                let when =
                    [When::Success, When::Failure, When::Exit, When::Ready, When::Ready][when as usize];
                job.after.push(After { job: other, stage: 0, when });
            }
        }
        job
    }
}

fn any_wants() -> impl Strategy<Value = Vec<plan::Want>> {
    let of = |lock: usize| prop::option::weighted(0.3, 1..=few_locks()[lock].permits);
    (of(0), of(1), of(2)).prop_map(|(one, three, named)| {
        let wants = [one, three, named].into_iter().enumerate();
        wants.filter_map(|(lock, permits)| Some(plan::Want { lock, permits: permits? })).collect()
    })
}

fn any_restart() -> impl Strategy<Value = Restart> {
    prop_oneof![Just(Restart::Never), Just(Restart::OnFailure), Just(Restart::Always)]
}

/// Signs that are seen from outside, and time.
fn any_ready() -> impl Strategy<Value = Option<Ready>> {
    let sign = prop_oneof![
        2 => Just(super::services::port()),
        1 => (1..300u64).prop_map(|time| Sign::After(ms(time))),
    ];
    let ready = (sign, 1..300u64);
    let every = ms(10);
    prop::option::of(ready.prop_map(move |(sign, limit)| Ready { sign, timeout: ms(limit), every }))
}

fn any_leftovers() -> impl Strategy<Value = Leftovers> {
    prop_oneof![Just(Leftovers::Leave), Just(Leftovers::Kill), Just(Leftovers::Wait)]
}

fn any_rate() -> impl Strategy<Value = Option<plan::Rate>> {
    prop::option::weighted(0.2, (1..200u64).prop_map(|interval| plan::Rate { interval: ms(interval) }))
}

fn any_brakes() -> impl Strategy<Value = Brakes> {
    let gauge = || prop::option::weighted(0.2, Just(()));
    (any_rate(), gauge(), gauge()).prop_map(|(rate, load, memory)| Brakes {
        pool_file: None,
        rate,
        load: load.map(|()| 2.0),
        memory_free: memory.map(|()| 100),
    })
}

fn any_jobs() -> impl Strategy<Value = Vec<plan::Job>> {
    let lists = prop::bool::weighted(0.2);
    (any_job(0), any_job(1), any_job(2), any_job(3), lists).prop_map(|(mut a, mut b, c, d, lists)| {
        if lists && !matches!(b.items, Items::Of(_)) {
            a = plan::Job { slotless: true, grace: a.grace, leftovers: a.leftovers, ..job("lister") };
            a.stages[0].stdout = Output::Queue { queue: 0, show: false };
            (b.lister, b.after) = (Some(LISTER), Vec::new());
        }
        vec![a, b, c, d]
    })
}

/// The job that may list the items of the second.
const LISTER: JobId = 0;

fn has_lister(plan: &Plan) -> bool {
    plan.jobs[1].lister.is_some()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: pools are kept, every task ends exactly once, no task is with two
    /// workers, and the run comes to its end.
    #[test]
    fn every_task_ends_once_and_the_run_comes_to_rest(
        jobs in any_jobs(),
        pool in 1..4usize,
        mut items in prop::collection::vec(0..6u64, 4),
        hooks in prop::sample::subsequence(AtEnd::ALL.to_vec(), 0..=3),
        brakes in any_brakes(),
        known in prop::collection::vec((0..4usize, 1..6u64), 0..6),
        jobserver in any::<bool>(),
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let jobserver = if jobserver { plan::Jobserver::Client } else { plan::Jobserver::None };
        let queues = vec![queue("q", &[0, 1], &[3])];
        items.resize(4 + hooks.len(), 0);
        let jobs = jobs.into_iter().chain(hooks.into_iter().map(super::last::hook_of_run)).collect();
        let plan = Plan { queues, brakes, jobserver, locks: few_locks(), ..plan(jobs, pool) };
        let mut world = World::resumed(plan.clone(), &items, &known);
        for step in steps {
            let before = world.supervisor.slots.taken();
            drive(&mut world, step);
            check(&world, &plan, before);
        }
        drive(&mut world, Step::Hold(false));
        for _ in 0..10_000 {
            if world.finished {
                break;
            }
            settle(&mut world);
        }
        prop_assert!(world.finished, "still running: {:?} {:?}", world.running, world.workers);
        let mut ended: Vec<_> = world.ended.iter().map(|(job, seq, _)| (*job, *seq)).collect();
        let count = ended.len();
        ended.sort();
        ended.dedup();
        prop_assert_eq!(ended.len(), count, "a task ended twice");
        prop_assert_eq!(world.names.values().collect::<BTreeSet<_>>().len(), count);
        prop_assert!(world.supervisor.due().is_none());
        prop_assert!(world.supervisor.tasks.is_empty() && world.supervisor.slots.taken() == 0);
        prop_assert!(world.workers.is_empty());
        prop_assert_eq!((world.taken, world.wanted), (0, 0));
        // The hooks of the run are not counted.
        world.ended.retain(|(job, ..)| plan.jobs[*job].at_end.is_none());
        let failed = world.ended.iter().filter(|(.., outcome)| outcome.is_failure()).count();
        let whole = world.told.iter().filter(|event| matches!(event, RunEvent::JobFailed { .. })).count();
        prop_assert_eq!(world.supervisor.tally.failed, (failed + whole) as u64);
        let ok = world.ended.iter().filter(|(.., outcome)| *outcome == Outcome::Ok).count();
        let listed = world.ended.iter().filter(|(job, _, outcome)| *job == LISTER && *outcome == Outcome::Ok).count();
        let met = world.met.iter().filter(|(job, _)| *job != LISTER || !has_lister(&plan)).count();
        let uncounted = if has_lister(&plan) { listed } else { 0 };
        prop_assert_eq!(world.supervisor.tally.ok, (ok + met - uncounted) as u64);
        world.met.iter().for_each(|name| assert!(!ended.contains(name), "{name:?} was known, and run"));
    }
}

/// What holds at any time. `before`: slots that were taken when less had happened.
fn check(world: &World, plan: &Plan, before: usize) {
    let is_last = |job: JobId| plan.jobs[job].at_end.is_some();
    let of_jobs = world.started.iter().filter(|(job, _)| !is_last(*job)).count();
    if of_jobs < world.started.len() {
        let mut left = world.supervisor.tasks.iter();
        assert!(left.all(|(_, task, _)| is_last(task.job)), "a hook of the run began too early");
        assert!(world.supervisor.tasks.len() <= 1, "they run one after another");
    }
    if let Some(rate) = plan.brakes.rate {
        let lists = |job: JobId| job == LISTER && has_lister(plan);
        let counted = |job: JobId| !is_last(job) && !lists(job);
        let starts = world.started.iter().filter(|(job, _)| counted(*job)).count() + world.given.len();
        let time = world.now.div_duration_f64(rate.interval);
        assert!(starts as f64 <= 3.0 + time, "{starts} starts in {time} intervals");
    }
    check_locks(world, plan);
    let mut slotted = 0;
    let mut processes = vec![0; plan.jobs.len()];
    let mut given: Vec<TaskId> = Vec::new();
    for (_, task, _) in world.supervisor.tasks.iter() {
        let job = &plan.jobs[task.job];
        if let Some(slot) = task.slot {
            assert_eq!(slot.run.is_none(), job.slotless);
            assert!(slot.width <= job.slots && (slot.width == 0) == job.slotless);
            slotted += slot.width;
            processes[task.job] += 1;
        }
        assert!(task.attempt <= job.retries.count + 1);
        if let (Role::Worker(crew), Some(worker)) = (&task.role, &job.worker) {
            assert!(crew.given.len() <= worker.ahead);
            assert!(worker.max_tasks.is_none_or(|most| crew.taken <= most));
            given.extend(&crew.given);
        }
    }
    assert!(slotted <= before || world.supervisor.slots.surplus() == 0);
    assert_eq!(slotted, world.supervisor.slots.taken());
    if let Some(tokens) = &world.supervisor.tokens {
        assert_eq!(tokens.held(), world.taken);
        let most = plan.jobs.iter().map(|job| job.slots).max().unwrap_or(1);
        assert!(slotted <= (1 + tokens.held()).max(most), "{slotted} slots with {} tokens", tokens.held());
    }
    for (job, count) in processes.iter().enumerate() {
        assert!(*count <= plan.jobs[job].pool);
        assert_eq!(*count, world.supervisor.jobs.get(job).running);
    }
    let count = given.len();
    given.sort();
    given.dedup();
    assert_eq!(given.len(), count, "a task is with two workers");
}

/// Brings everything on towards its end.
fn settle(world: &mut World) {
    drive(world, Step::Wait(400));
    if world.supervisor.reading_due().is_some_and(|due| due <= world.now) {
        drive(world, Step::Reading { load: 0, memory: 100 });
    }
    drive(world, Step::Exit { which: 0, code: 0 });
    for worker in world.workers.keys().copied().collect::<Vec<_>>() {
        if world.supervisor.oldest(worker).is_some() {
            world.answer(worker, 1, None);
        } else if world.workers.get(&worker).is_some_and(|done| is_told_to_end(done)) {
            world.end_worker(worker, Exit::Code(0));
        }
    }
}

fn is_told_to_end(done: &[Action]) -> bool {
    !done.iter().all(|action| matches!(action, Action::Give { .. }))
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
        Step::Up { which } => {
            if let Some(task) = pick(world, which) {
                world.send(Event::Ready(task));
            }
        }
        Step::NotStarted { which } => {
            // Only a start that is fresh can fail; a made-up one does as well as any.
            if let Some(task) = pick(world, which)
                && world.running[&task].is_empty()
            {
                world.send(Event::NotStarted { task, started: 0, failure: failure() });
            }
        }
        Step::Short { which } => {
            if let Some(task) = pick(world, which) {
                match world.running[&task][..] {
                    [] => {}
                    [Action::Hook { .. }] => drop(world.running.remove(&task)),
                    _ => return,
                }
                world.send(short(task));
            }
        }
        Step::Fault { which } => {
            if let Some(task) = pick(world, which) {
                world.send(Event::Fault { task, why: "fault".into() });
            }
        }
        Step::InputEnded { which } => {
            if let Some(task) = pick(world, which) {
                world.send(Event::InputEnded(task));
            }
        }
        Step::Blocked { which, blocked } => {
            if let Some(task) = pick(world, which).or(worker(world, which)) {
                world.send(Event::Blocked { task, blocked });
            }
        }
        Step::Hold(held) => {
            let mut actions = Vec::new();
            world.supervisor.hold(world.now, held, &mut actions);
            let mut events = VecDeque::new();
            world.apply_all(actions, &mut events);
            events.into_iter().for_each(|event| world.send(event));
        }
        Step::Pool(size) => world.send(Event::Pool(size)),
        Step::Tokens { take: true, count } => world.free = world.free.saturating_sub(count),
        Step::Tokens { take: false, count } => world.free_tokens(count),
        Step::Reading { load, memory } => {
            let reading = Reading { load: Some(load as f64), memory: Some(memory) };
            world.send(Event::Reading(reading));
        }
        Step::Wait(time) => {
            world.now += ms(time);
            world.send(Event::Tick(world.now));
        }
        Step::Signal(0) => {}
        Step::Signal(signal) => world.send(Event::Signal(signal)),
        of_worker => drive_worker(world, of_worker),
    }
}

fn worker(world: &World, which: usize) -> Option<TaskId> {
    world.workers.keys().nth(which % world.workers.len().max(1)).copied()
}

fn failure() -> Arc<crate::event::StartFailure> {
    Arc::new(crate::event::StartFailure { code: 127, why: String::new() })
}

fn short(task: TaskId) -> Event {
    Event::Short { task, started: 0, shortage: crate::event::Shortage::Files, failure: failure() }
}

/// What happens to workers alone.
fn drive_worker(world: &mut World, step: Step) {
    match step {
        Step::Answer { which, count, fails } => {
            if let Some(id) = worker(world, which) {
                world.answer(id, count, fails.then_some("no"));
            }
        }
        Step::WorkerEnds { which, exit } => {
            if let Some(id) = worker(world, which) {
                world.end_worker(id, exit);
            }
        }
        Step::WorkerNotStarted { which } => {
            if let Some(task) = worker(world, which)
                && !is_told_to_end(&world.workers[&task])
                && world.supervisor.tasks.crew(task).is_some_and(|crew| crew.answers == 0)
            {
                world.send(Event::NotStarted { task, started: 0, failure: failure() });
            }
        }
        Step::WorkerShort { which } => {
            if let Some(task) = worker(world, which)
                && !is_told_to_end(&world.workers[&task])
                && world.supervisor.tasks.crew(task).is_some_and(|crew| crew.answers == 0)
            {
                world.send(short(task));
            }
        }
        Step::WorkerCloses { which } => {
            if let Some(id) = worker(world, which) {
                world.send(Event::Drained(id));
            }
        }
        Step::NotGiven { which } => {
            if let Some(task) = worker(world, which).and_then(|id| world.supervisor.oldest(id)) {
                world.send(Event::NotStarted { task, started: 0, failure: failure() });
            }
        }
        other => unreachable!("{other:?} is no worker's"),
    }
}
