//! Tasks that take several slots.

use super::super::task::Role;
use super::*;
use crate::event::QueueId;

fn crew(slots: usize) -> plan::Job {
    let worker =
        plan::Worker { reply: plan::Reply::Line, fail: None, ahead: 1, max_tasks: None, init: Vec::new() };
    plan::Job { worker: Some(worker), slots, ..job("a") }
}

fn wide(name: &str, slots: usize) -> plan::Job {
    plan::Job { slots, ..job(name) }
}

fn slot(world: &World, job: JobId, seq: u64) -> usize {
    world.supervisor.tasks.get(world.task(job, seq)).slot.expect("it runs").number()
}

#[test]
fn a_wide_task_waits_for_its_slots_and_is_not_overtaken() {
    let mut world = World::new(vec![wide("a", 3), job("b")], 4, &[2, 3]);
    assert_eq!(world.started, [(JobId(0), 1)], "one slot is free, and kept for a's next");
    world.code(JobId(0), 1, 0);
    assert_eq!(world.started, [(JobId(0), 1), (JobId(0), 2), (JobId(1), 1)]);
    assert_eq!(
        (slot(&world, JobId(0), 2), slot(&world, JobId(1), 1)),
        (1, 2),
        "`{{%}}` is the lowest free number"
    );
    world.code(JobId(0), 2, 0);
    assert_eq!(world.running.len(), 3);
    assert_eq!(slot(&world, JobId(1), 2), 1);
}

#[test]
fn more_slots_than_there_are_is_all() {
    let mut world = World::new(vec![wide("a", 9), job("b")], 2, &[2, 2]);
    assert_eq!(world.started, [(JobId(0), 1)]);
    world.code(JobId(0), 1, 0);
    assert_eq!(world.running.len(), 1);
    world.code(JobId(0), 2, 0);
    assert_eq!(world.running.len(), 2);
}

#[test]
fn a_pool_that_becomes_smaller_is_all_there_is() {
    let mut world = World::new(vec![wide("a", 3), job("b")], 4, &[3, 1]);
    world.send(Event::Pool(2));
    world.code(JobId(0), 1, 0);
    assert_eq!(world.started.len(), 2, "a's next takes both");
    world.send(Event::Pool(4));
    world.code(JobId(0), 2, 0);
    assert_eq!(world.started, [(JobId(0), 1), (JobId(0), 2), (JobId(0), 3), (JobId(1), 1)]);
    world.code(JobId(0), 3, 0);
    world.code(JobId(1), 1, 0);
    assert!(world.finished);
    assert_eq!(world.supervisor.slots.in_use(), 0);
}

#[test]
fn two_wide_tasks_that_never_fit_are_one_at_a_time() {
    let world = World::new(vec![wide("a", 2)], 3, &[5]);
    assert_eq!(world.live, Some(world.task(JobId(0), 1)), "nothing else can print");
    let world = World::new(vec![wide("a", 2), job("b")], 3, &[5, 5]);
    assert_eq!(world.live, None);
}

#[test]
fn an_idle_worker_makes_room_for_a_wide_task() {
    let mut a = crew(1);
    a.items = Items::Queue { queue: QueueId(0), separator: None };
    let jobs = vec![a, wide("b", 2)];
    let mut world = World::of(plan(jobs, 2), &[1, 1]);
    let worker = world.worker(0);
    assert!(world.started.is_empty());
    world.answer(worker, 1, None);
    assert_eq!(world.workers[&worker].last(), Some(&Action::EndInput { worker }));
    world.end_worker(worker, Exit::Code(0));
    assert_eq!(world.started, [(JobId(1), 1)]);
}

#[test]
fn a_worker_takes_as_many_slots() {
    let mut world = World::new(vec![crew(2)], 4, &[9]);
    assert_eq!(world.workers.len(), 2);
    world.send(Event::Pool(3));
    let surplus = |world: &World| {
        let is = |task: &task::Task| matches!(&task.role, Role::Worker(crew) if crew.surplus);
        world.supervisor.tasks.iter().filter(|(_, task, _)| is(task)).count()
    };
    assert_eq!(surplus(&world), 1);
}
