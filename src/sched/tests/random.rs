//! Whatever happens, in whatever order.

use proptest::prelude::*;

use super::*;

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
