//! Starts that fail for lack of a resource.

use super::*;
use crate::event::Shortage;

fn many(name: &str) -> plan::Job {
    plan::Job { items: Items::Repeat(0), ..job(name) }
}

fn failure() -> Arc<StartFailure> {
    Arc::new(StartFailure { code: 126, why: "no process could be started".into() })
}

impl World {
    fn short(&mut self, task: TaskId, started: usize) {
        let shortage = Shortage::Processes;
        self.send(Event::Shortage { task, started, shortage, failure: failure() });
    }

    fn warnings(&self) -> usize {
        self.told.iter().filter(|event| matches!(event, RunEvent::Warning(_))).count()
    }

    fn running(&self) -> Vec<u64> {
        let mut running: Vec<u64> = self.running.keys().map(|id| self.names[id].1).collect();
        running.sort_unstable();
        running
    }
}

#[test]
fn fewer_run_at_once_and_nothing_is_lost() {
    let mut world = World::new(vec![many("a")], 5, &[9]);
    assert_eq!(world.running(), [1, 2, 3, 4, 5]);
    // Tasks are put back in the order in which they were begun.
    let (four, five) = (world.task(JobId(0), 4), world.task(JobId(0), 5));
    world.short(four, 0);
    world.short(five, 0);
    assert_eq!((world.running(), world.warnings()), (vec![1, 2, 3], 1));
    world.code(JobId(0), 1, 0);
    assert_eq!(world.running(), [2, 3, 4]);
    world.code(JobId(0), 2, 0);
    world.code(JobId(0), 3, 0);
    // After as many ends as run at once, one more may start: it falls short again.
    assert_eq!(world.running(), [4, 5, 6, 7]);
    let seven = world.task(JobId(0), 7);
    world.short(seven, 0);
    assert_eq!((world.running(), world.warnings()), (vec![4, 5, 6], 1));
    // Or after a second without an end.
    world.at(999);
    assert_eq!(world.running(), [4, 5, 6]);
    world.at(1000);
    assert_eq!(world.running(), [4, 5, 6, 7]);
    for seq in 4..=9 {
        world.code(JobId(0), seq, 0);
    }
    assert!(world.finished && world.ended.iter().all(|(.., outcome)| *outcome == Outcome::Ok));
    assert_eq!(world.ended.len(), 9);
}

#[test]
fn a_start_that_was_short_is_no_attempt() {
    let mut job = many("a");
    job.retries.count = 1;
    let mut world = World::new(vec![job], 2, &[2]);
    world.short(world.task(JobId(0), 2), 0);
    world.code(JobId(0), 1, 0);
    world.code(JobId(0), 2, 3);
    // Its second attempt comes.
    world.at(0);
    world.code(JobId(0), 2, 3);
    assert!(world.finished);
    assert_eq!(world.outcomes()[1], (JobId(0), 2, Outcome::Failed(3)));
}

#[test]
fn alone_it_is_tried_again_after_pauses_and_not_for_ever() {
    let mut world = World::new(vec![many("a")], 2, &[1]);
    let mut tries = Vec::new();
    while !world.finished {
        let task = world.task(JobId(0), 1);
        tries.push(world.now.as_millis() as u64);
        world.short(task, 0);
        let Some(due) = world.supervisor.due() else { break };
        assert!(due > world.now);
        world.now = due;
        world.send(Event::Tick(due));
    }
    assert_eq!(tries[..7], [0, 50, 150, 350, 750, 1550, 2550]);
    assert_eq!(*tries.last().unwrap(), 30_550);
    assert_eq!(world.ended, [(JobId(0), 1, Outcome::NotStarted(failure()))]);
    assert_eq!((world.warnings(), world.supervisor.verdict()), (1, Verdict::Code(126)));
}

impl World {
    /// Lets all starts fall short until nothing is due any more, or `until` has come. Returns how many there were.
    fn all_short(&mut self, until: u64, shortage: Shortage) -> usize {
        let mut starts = 0;
        while !self.finished && self.now < ms(until) {
            while let Some(task) = self.running.keys().next().copied() {
                self.send(Event::Shortage { task, started: 0, shortage, failure: failure() });
                starts += 1;
            }
            let Some(due) = self.supervisor.due() else { break };
            self.now = due;
            self.send(Event::Tick(due));
        }
        starts
    }
}

#[test]
fn a_shortage_that_has_lasted_for_one_task_is_not_waited_for_again() {
    for shortage in [Shortage::Files, Shortage::Processes, Shortage::Memory, Shortage::Terminals] {
        let mut world = World::new(vec![many("a"), many("b")], 2, &[50, 50]);
        let starts = world.all_short(600_000, shortage);
        assert!(world.finished);
        assert!(world.now <= ms(31_000), "{:?} for a hundred tasks", world.now);
        assert!(starts < 300, "{starts} starts");
        let failed = world.ended.iter().filter(|(.., outcome)| *outcome == Outcome::NotStarted(failure()));
        assert_eq!((failed.count(), world.ended.len(), world.warnings()), (100, 100, 1));
    }
}

#[test]
fn another_lack_or_one_after_a_start_is_waited_for_anew() {
    let mut world = World::new(vec![many("a")], 1, &[4]);
    world.all_short(30_600, Shortage::Files);
    assert!(!world.ended.is_empty());
    let seq = world.running().first().copied();
    assert_eq!(seq, None, "all that lack the same have failed");

    let mut world = World::new(vec![many("a")], 1, &[4]);
    let first = |world: &World| world.running.keys().next().copied();
    while world.ended.is_empty() {
        if let Some(task) = first(&world) {
            world.send(Event::Shortage { task, started: 0, shortage: Shortage::Files, failure: failure() });
        }
        let due = world.supervisor.due().unwrap_or(world.now);
        world.now = due;
        world.send(Event::Tick(due));
    }
    // Another resource may come back.
    let task = first(&world).expect("the next one is started");
    world.send(Event::Shortage { task, started: 0, shortage: Shortage::Memory, failure: failure() });
    assert_eq!(world.ended.len(), 1);
    world.at(world.now.as_millis() as u64 + 1000);
    // One that runs shows that there is room again.
    let seq = world.running()[0];
    world.code(JobId(0), seq, 0);
    let task = first(&world).expect("the next one is started");
    world.send(Event::Shortage { task, started: 0, shortage: Shortage::Files, failure: failure() });
    assert_eq!(world.ended.len(), 2);
}

#[test]
fn what_others_wait_for_does_not_count_as_room() {
    let reader = plan::Job { kind: Kind::Reader, ..job("reader") };
    let mut world = World::new(vec![reader, job("writer")], 1, &[1, 1]);
    let writer = world.task(JobId(1), 1);
    world.short(writer, 0);
    for at in (1..32).map(|at| at * 1000) {
        world.at(at);
        if let Some(task) = world.running.keys().copied().find(|id| world.names[id].0 == JobId(1)) {
            world.short(task, 0);
        }
    }
    assert_eq!(world.ended, [(JobId(1), 1, Outcome::NotStarted(failure()))]);
}

#[test]
fn what_takes_no_slot_gets_the_room_of_others() {
    let reader = plan::Job { kind: Kind::Reader, ..job("reader") };
    let mut world = World::new(vec![many("a"), reader], 3, &[5, 1]);
    let reader = world.task(JobId(1), 1);
    world.short(reader, 0);
    // It does not try again without a pause.
    assert!(!world.running.contains_key(&reader));
    world.at(50);
    assert!(world.running.contains_key(&reader));
    world.short(reader, 0);
    world.code(JobId(0), 1, 0);
    assert_eq!(world.running.len(), 2, "the place is left to the reader");
    world.at(150);
    assert!(world.running.contains_key(&reader));
}

#[test]
fn half_a_pipeline_is_gone_before_it_is_tried_again() {
    let mut pipe = many("p");
    pipe.stages = vec![stage("p:1"), stage("p:2")];
    let mut world = World::new(vec![pipe], 1, &[1]);
    let task = world.task(JobId(0), 1);
    world.short(task, 1);
    assert_eq!(world.running[&task], [Action::Kill { task }]);
    world.at(5_000);
    world.send(Event::Exited { task, stage: StageId(0), exit: Exit::Signal(9) });
    world.send(Event::Drained(task));
    assert_eq!(world.started.len(), 1);
    world.send(Event::GroupGone(task));
    assert_eq!(world.started.len(), 2);
    world.send(Event::Drained(task));
    for stage in 0..2 {
        world.send(Event::Exited { task, stage: StageId(stage), exit: Exit::Code(0) });
    }
    assert!(world.finished);
    assert_eq!(world.ended, [(JobId(0), 1, Outcome::Ok)]);
}

#[test]
fn a_hook_waits_and_is_tried_again() {
    for stopped in [false, true] {
        let mut hooked = many("a");
        hooked.hooks.on_success = Some(Box::new(plan::Hook { stage: stage("hook") }));
        let mut world = World::new(vec![hooked], 1, &[1]);
        world.code(JobId(0), 1, 0);
        let task = world.task(JobId(0), 1);
        assert!(matches!(world.running.remove(&task).unwrap()[..], [Action::Hook { .. }]));
        world.short(task, 0);
        if stopped {
            world.send(Event::Signal(TERM));
        } else {
            world.at(50);
            assert!(matches!(world.running[&task][..], [Action::Hook { .. }]));
            world.code(JobId(0), 1, 0);
        }
        assert!(world.finished);
        let outcome = if stopped { Outcome::Cancelled } else { Outcome::Ok };
        assert_eq!(world.ended, [(JobId(0), 1, outcome)]);
    }
}

#[test]
fn a_worker_is_started_again_and_its_task_given_to_it() {
    let worker =
        plan::Worker { reply: plan::Reply::Line, fail: None, ahead: 1, max_tasks: None, init: vec![] };
    let mut world = World::new(vec![plan::Job { worker: Some(worker), ..many("w") }], 1, &[1]);
    world.short(world.worker(0), 0);
    assert!(world.workers.is_empty() && !world.finished);
    world.at(50);
    let worker = world.worker(0);
    assert!(world.answer(worker, 1, None));
    world.end_worker(worker, Exit::Code(0));
    assert!(world.finished);
    assert_eq!((world.given.len(), world.ended.clone()), (2, vec![(JobId(0), 1, Outcome::Ok)]));
    assert_eq!(world.given[1], (JobId(0), 1, 1), "the same attempt");
}

#[test]
fn a_stop_meets_what_waits() {
    let mut world = World::new(vec![many("a")], 2, &[2]);
    world.short(world.task(JobId(0), 2), 0);
    world.send(Event::Signal(TERM));
    world.exit(JobId(0), 1, Exit::Signal(TERM));
    assert!(world.finished);
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Cancelled), (JobId(0), 2, Outcome::Skipped)]);
}
