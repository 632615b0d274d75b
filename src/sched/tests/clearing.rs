//! Leftovers of an attempt are stopped before another follows.

use super::*;

fn tried_again() -> plan::Job {
    let mut a = plan::Job { leftovers: Leftovers::LeaveLast, grace: ms(100), ..job("a") };
    a.retries.count = 1;
    a.retries.delay.first = ms(50);
    a
}

/// The task's own process exits, and its output is at its end.
fn ends_by_itself(world: &mut World, code: u8) -> TaskId {
    let task = world.task(JobId(0), 1);
    world.send(Event::Drained(task));
    world.send(Event::Exited { task, stage: StageId(0), exit: Exit::Code(code) });
    task
}

fn retries(world: &World) -> usize {
    world.started.len() - 1
}

#[test]
fn the_next_attempt_waits_for_its_delay_and_for_what_is_left() {
    for (gone, next) in [(10, 50), (70, 70)] {
        let mut world = World::new(vec![tried_again()], 1, &[1]);
        let task = ends_by_itself(&mut world, 1);
        assert_eq!(world.running[&task], [Action::ClearGroup { task, signal: TERM }]);
        world.at(gone);
        world.send(Event::GroupGone(task));
        if gone < next {
            world.at(next - 1);
        }
        assert_eq!(retries(&world), 0, "the delay counts from the end of the attempt");
        world.at(next);
        assert_eq!(retries(&world), 1);
        // Leftovers of the last attempt stay.
        let task = ends_by_itself(&mut world, 1);
        assert!(!world.running.contains_key(&task));
        assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Failed(1))]);
    }
}

#[test]
fn what_ignores_the_signal_is_killed_after_the_grace_and_named() {
    let mut world = World::new(vec![tried_again()], 1, &[1]);
    let task = ends_by_itself(&mut world, 1);
    world.at(100);
    assert_eq!(world.running[&task][1..], [Action::ClearGroup { task, signal: crate::event::SIGKILL }]);
    let who = "processes that a started".to_owned();
    assert!(world.told.contains(&RunEvent::Killed { who, signal: TERM, grace: ms(100) }));
    world.send(Event::GroupGone(task));
    world.at(101);
    assert_eq!(retries(&world), 1);
}

#[test]
fn a_stop_meanwhile_ends_the_task_as_the_attempt_did_once_they_are_gone() {
    let mut world = World::new(vec![tried_again()], 1, &[1]);
    let task = ends_by_itself(&mut world, 3);
    world.send(Event::Signal(INT));
    assert!(!world.finished);
    world.send(Event::Signal(TERM));
    assert_eq!(
        world.running[&task].last(),
        Some(&Action::ClearGroup { task, signal: crate::event::SIGKILL })
    );
    world.send(Event::GroupGone(task));
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Failed(3))]);
    assert!(world.finished);
}

#[test]
fn nothing_is_stopped_where_the_job_says_what_becomes_of_it_or_no_attempt_follows() {
    let mut world = World::new(vec![plan::Job { leftovers: Leftovers::Leave, ..tried_again() }], 1, &[1]);
    let task = ends_by_itself(&mut world, 1);
    assert!(!world.running.contains_key(&task), "it waits for the next attempt");
    for (retries, code) in [(0, 1), (1, 0)] {
        let mut a = tried_again();
        a.retries.count = retries;
        let mut world = World::new(vec![a], 1, &[1]);
        ends_by_itself(&mut world, code);
        assert_eq!(world.ended.len(), 1);
    }
}

#[test]
fn a_worker_is_replaced_when_what_it_left_is_gone() {
    let worker =
        plan::Worker { reply: plan::Reply::Line, fail: None, ahead: 1, max_tasks: None, init: Vec::new() };
    let a = plan::Job { worker: Some(worker), pool: 1, ..tried_again() };
    let mut world = World::new(vec![a], 1, &[2]);
    let worker = world.worker(0);
    world.send(Event::Drained(worker));
    world.send(Event::Exited { task: worker, stage: StageId(0), exit: Exit::Code(1) });
    assert_eq!(world.workers[&worker].last(), Some(&Action::ClearGroup { task: worker, signal: TERM }));
    assert_eq!(world.workers.len(), 1, "its place is taken");
    world.send(Event::GroupGone(worker));
    world.at(50);
    assert_ne!(world.worker(0), worker);
    // The last one leaves what it leaves.
    let last = world.worker(0);
    while world.oldest(last).is_some() {
        world.answer(last, 1, None);
    }
    world.send(Event::Drained(last));
    world.send(Event::Exited { task: last, stage: StageId(0), exit: Exit::Code(0) });
    assert!(world.workers.is_empty());
}
