//! The steps of a random sequence, and how each is made to happen.

use proptest::prelude::*;

use super::super::*;

#[derive(Debug, Clone)]
pub enum Step {
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
    Backpressure(bool),
    Pool(usize),
    /// Other programs take tokens, or give some back.
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

pub fn step() -> impl Strategy<Value = Step> {
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
        1 => any::<bool>().prop_map(Step::Backpressure),
        1 => (1..4usize).prop_map(Step::Pool),
        2 => (any::<bool>(), 1..4usize).prop_map(|(take, count)| Step::Tokens { take, count }),
        2 => (0..4u64, 0..150u64).prop_map(|(load, memory)| Step::Reading { load, memory }),
        3 => (1..400u64).prop_map(Step::Wait),
        1 => prop_oneof![6 => Just(0), 1 => Just(INT), 1 => Just(TERM)].prop_map(Step::Signal),
    ]
}

/// Brings everything on towards its end.
pub fn settle(world: &mut World) {
    drive(world, Step::Wait(400));
    if world.supervisor.reading_due().is_some_and(|due| due <= world.now) {
        drive(world, Step::Reading { load: 0, memory: 100 });
    }
    drive(world, Step::Exit { which: 0, code: 0 });
    for worker in world.workers.keys().copied().collect::<Vec<_>>() {
        if world.supervisor.next_to_answer(worker).is_some() {
            world.answer(worker, 1, None);
        } else if world.workers.get(&worker).is_some_and(|done| is_told_to_end(done)) {
            world.end_worker(worker, Exit::Code(0));
        }
    }
}

fn is_told_to_end(done: &[Action]) -> bool {
    !done.iter().all(|action| matches!(action, Action::Give { .. }))
}

pub fn drive(world: &mut World, step: Step) {
    let pick =
        |world: &World, which: usize| world.running.keys().nth(which % world.running.len().max(1)).copied();
    let exit = |world: &mut World, which, exit| {
        if let Some(task) = pick(world, which) {
            world.send(Event::Drained(task));
            world.send(Event::Exited { task, stage: StageId(0), exit });
            world.send(Event::GroupGone(task));
        }
    };
    match step {
        Step::Exit { which, code } => exit(world, which, Exit::Code(code)),
        Step::Die { which } => exit(world, which, Exit::Signal(9)),
        Step::Linger { which } => {
            if let Some(task) = pick(world, which) {
                world.send(Event::Exited { task, stage: StageId(0), exit: Exit::Code(0) });
            }
        }
        Step::Up { which } => {
            if let Some(task) = pick(world, which) {
                world.send(Event::Up(task));
            }
        }
        Step::NotStarted { which } => {
            // Only a fresh start can fail; a made-up failure does as well as any.
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
        Step::Backpressure(on) => world.send(Event::Backpressure(on)),
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
            world.deadlines_are_kept();
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
    Event::Shortage { task, started: 0, shortage: crate::event::Shortage::Files, failure: failure() }
}

/// Steps that concern workers alone.
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
                && world.supervisor.tasks.worker(task).is_some_and(|crew| crew.answers == 0)
            {
                world.send(Event::NotStarted { task, started: 0, failure: failure() });
            }
        }
        Step::WorkerShort { which } => {
            if let Some(task) = worker(world, which)
                && !is_told_to_end(&world.workers[&task])
                && world.supervisor.tasks.worker(task).is_some_and(|crew| crew.answers == 0)
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
            if let Some(task) = worker(world, which).and_then(|id| world.supervisor.next_to_answer(id)) {
                world.send(Event::NotStarted { task, started: 0, failure: failure() });
            }
        }
        other => unreachable!("{other:?} is no worker's"),
    }
}
