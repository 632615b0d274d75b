//! Processes that a task leaves when it ends by itself.

use super::*;
use crate::plan::Timeout;

fn job_with(leftovers: Leftovers) -> plan::Job {
    plan::Job { leftovers, timeout: Some(Timeout::After(ms(100))), grace: ms(100), ..job("a") }
}

/// The task's own process exits, and its output is at its end.
fn ends_by_itself(world: &mut World, code: u8) -> TaskId {
    let task = world.task(JobId(0), 1);
    world.send(Event::Drained(task));
    world.send(Event::Exited { task, stage: StageId(0), exit: Exit::Code(code) });
    task
}

#[test]
fn what_is_left_is_nothing_to_wait_for() {
    let mut world = World::new(vec![job_with(Leftovers::Leave)], 1, &[1]);
    ends_by_itself(&mut world, 0);
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Ok)]);
}

#[test]
fn a_task_that_waits_ends_when_they_have() {
    let mut world = World::new(vec![job_with(Leftovers::Wait)], 1, &[2]);
    let task = ends_by_itself(&mut world, 3);
    assert_eq!(world.running[&task], [Action::Leftovers { task, kill: false }]);
    assert!(world.ended.is_empty());
    assert_eq!(world.started.len(), 1, "its slot is taken");
    world.send(Event::GroupGone(task));
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Failed(3))]);
    assert_eq!(world.started.len(), 2);
}

#[test]
fn while_it_waits_its_timeout_runs_on_and_stops_them() {
    let mut world = World::new(vec![job_with(Leftovers::Wait)], 1, &[1]);
    let task = ends_by_itself(&mut world, 0);
    world.at(100);
    assert_eq!(world.running[&task][1..], [Action::Signal { task, signal: TERM }]);
    world.at(200);
    assert_eq!(world.running[&task][2..], [Action::Kill { task }]);
    assert!(world.ended.is_empty());
    world.send(Event::GroupGone(task));
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Timeout)]);
}

#[test]
fn while_it_waits_a_signal_stops_them() {
    let mut world = World::new(vec![job_with(Leftovers::Wait)], 1, &[1]);
    let task = ends_by_itself(&mut world, 0);
    world.send(Event::Signal(INT));
    assert_eq!(world.running[&task][1..], [Action::Signal { task, signal: INT }]);
    world.send(Event::GroupGone(task));
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Cancelled)]);
}

/// The output stays the task's until the leftovers have gone, and for a moment after.
#[test]
fn their_output_is_waited_for() {
    let mut world = World::new(vec![job_with(Leftovers::Wait)], 1, &[1]);
    let task = world.task(JobId(0), 1);
    world.send(Event::Exited { task, stage: StageId(0), exit: Exit::Code(0) });
    world.send(Event::GroupGone(task));
    assert!(world.ended.is_empty());
    world.send(Event::Drained(task));
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Ok)]);
}

/// The leftovers were sent SIGKILL: nothing that happens meanwhile changes how the task has ended.
#[test]
fn a_task_that_kills_ends_as_it_did() {
    for event in [Event::Signal(INT), Event::Tick(ms(300))] {
        let mut world = World::new(vec![job_with(Leftovers::Kill)], 1, &[1]);
        let task = ends_by_itself(&mut world, 0);
        world.now = ms(300);
        world.send(event.clone());
        world.send(event);
        assert_eq!(world.running[&task], [Action::Leftovers { task, kill: true }]);
        world.send(Event::GroupGone(task));
        assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Ok)]);
    }
}

/// A task that was stopped ends only when everything that it left has gone, whatever its job says.
#[test]
fn a_stopped_task_leaves_nothing() {
    for leftovers in [Leftovers::Leave, Leftovers::Kill, Leftovers::Wait] {
        let mut a = job_with(leftovers);
        a.retries.count = 1;
        let mut world = World::new(vec![a], 1, &[1]);
        world.at(100);
        let task = ends_by_itself(&mut world, 0);
        assert_eq!(world.running[&task], [Action::Signal { task, signal: TERM }]);
        world.at(150);
        assert_eq!(world.started.len(), 1);
        world.send(Event::GroupGone(task));
        world.at(151);
        assert_eq!(world.started.len(), 2, "the next attempt");
    }
}

#[test]
fn what_a_hook_leaves_is_left() {
    let mut a = job_with(Leftovers::Wait);
    a.hooks.on_success = Some(Box::new(plan::Hook { stage: stage("hook") }));
    let mut world = World::new(vec![a], 1, &[1]);
    let task = ends_by_itself(&mut world, 0);
    world.send(Event::GroupGone(task));
    assert_eq!(
        world.running[&task],
        [Action::Hook { task, at: plan::HookOn::Success, outcome: Outcome::Ok }]
    );
    ends_by_itself(&mut world, 0);
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Ok)]);
}

#[test]
fn a_worker_that_has_ended_gets_no_task_while_it_is_waited_for() {
    let worker =
        plan::Worker { reply: plan::Reply::Line, fail: None, ahead: 1, max_tasks: None, init: Vec::new() };
    let a = plan::Job { worker: Some(worker), timeout: None, ..job_with(Leftovers::Wait) };
    let mut world = World::new(vec![a], 1, &[3]);
    let worker = world.worker(0);
    world.answer(worker, 1, None);
    let before = world.given.len();
    world.send(Event::Exited { task: worker, stage: StageId(0), exit: Exit::Code(1) });
    // A process that the worker left may answer in its place.
    world.answer(worker, 1, None);
    world.now = ms(1000);
    world.send(Event::Drained(worker));
    world.at(5000);
    assert_eq!(world.given.len(), before);
    let asked = [Action::Leftovers { task: worker, kill: false }];
    assert_eq!(world.workers[&worker].iter().filter(|action| asked.contains(action)).count(), 1);
    world.send(Event::GroupGone(worker));
    assert!(world.given.len() > before, "another worker takes the rest");
}

#[test]
fn of_a_daemon_that_has_ended_and_kills_nothing_is_due_when_its_input_is_dry() {
    let daemon = plan::Job { kind: Kind::Daemon(Daemon::Reader), timeout: None, ..job_with(Leftovers::Kill) };
    let mut world = World::new(vec![daemon], 1, &[1]);
    let task = ends_by_itself(&mut world, 0);
    world.send(Event::InputEnded(task));
    assert_eq!(world.supervisor.due(), None);
    world.at(1_000);
    world.send(Event::GroupGone(task));
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Ok)]);
}
