//! Hooks of tasks run in the place of their task.

use super::*;
use crate::event::StartFailure;
use crate::plan::HookOn;

fn hooked(name: &str) -> plan::Job {
    let mut job = job(name);
    let hook = || Some(Box::new(plan::Hook { stage: stage("hook") }));
    (job.hooks.on_success, job.hooks.on_failure) = (hook(), hook());
    job
}

#[test]
fn a_hook_keeps_the_slot_and_the_task() {
    let mut world = World::new(vec![hooked("a")], 1, &[2]);
    let task = world.task(JobId(0), 1);
    world.code(JobId(0), 1, 0);
    assert_eq!(world.running[&task], [Action::Hook { task, at: HookOn::Success, outcome: Outcome::Ok }]);
    assert!(world.ended.is_empty());
    assert_eq!(world.started.len(), 1, "its slot is taken");
    world.code(JobId(0), 1, 0);
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Ok)]);
    assert_eq!(world.started.len(), 2);
}

#[test]
fn a_hook_comes_after_the_last_attempt() {
    let mut a = hooked("a");
    a.retries.count = 1;
    let mut world = World::new(vec![a], 1, &[1]);
    world.code(JobId(0), 1, 7);
    world.send(Event::Tick(world.now));
    let task = world.task(JobId(0), 1);
    assert!(world.running[&task].is_empty());
    world.code(JobId(0), 1, 7);
    assert_eq!(
        world.running[&task],
        [Action::Hook { task, at: HookOn::Failure, outcome: Outcome::Failed(7) }]
    );
    world.code(JobId(0), 1, 0);
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Failed(7))]);
}

#[test]
fn a_hook_that_fails_makes_a_success_a_failure_and_leaves_a_failure() {
    let mut world = World::new(vec![hooked("a")], 2, &[2]);
    world.code(JobId(0), 1, 0);
    world.code(JobId(0), 1, 3);
    world.code(JobId(0), 2, 4);
    let failure = Arc::new(StartFailure { code: 127, why: "`no`: not found".into() });
    let task = world.task(JobId(0), 2);
    world.send(Event::NotStarted { task, started: 0, failure });
    let fault = Outcome::Fault("its `on_success` command exited with 3".into());
    assert_eq!(world.outcomes(), [(JobId(0), 1, fault), (JobId(0), 2, Outcome::Failed(4))]);
    let warning = "the `on_failure` command of `a` could not be started: `no`: not found";
    assert!(world.told.contains(&RunEvent::Warning(warning.into())), "{:?}", world.told);
}

#[test]
fn a_stop_stops_hooks_and_begins_none() {
    let mut world = World::new(vec![hooked("a")], 2, &[2]);
    world.code(JobId(0), 1, 0);
    world.send(Event::Signal(TERM));
    let task = world.task(JobId(0), 1);
    assert_eq!(world.running[&task].last(), Some(&Action::Signal { task, signal: TERM }));
    world.exit(JobId(0), 1, Exit::Signal(TERM));
    world.exit(JobId(0), 2, Exit::Signal(TERM));
    assert!(world.finished);
    // The task itself was ok, but it is not done without its hook.
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Cancelled), (JobId(0), 2, Outcome::Cancelled)]);
}

#[test]
fn a_hook_has_no_timeout() {
    let mut a = hooked("a");
    a.timeout = Some(Timeout::After(ms(100)));
    let mut world = World::new(vec![a], 1, &[1]);
    world.code(JobId(0), 1, 0);
    assert_eq!(world.supervisor.due(), None);
}

#[test]
fn workers_go_on_while_hooks_run_but_not_far() {
    let mut a = hooked("a");
    a.worker = Some(worker(1));
    let mut world = World::new(vec![a], 1, &[9]);
    let worker = world.worker(0);
    world.answer(worker, 1, None);
    assert_eq!(world.oldest(worker), Some(2), "one hook is no hindrance");
    world.answer(worker, 1, None);
    assert_eq!(world.running.len(), 2);
    assert_eq!(world.oldest(worker), None);
    world.code(JobId(0), 1, 0);
    assert_eq!(world.oldest(worker), Some(3));
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Ok)]);
}

fn worker(ahead: usize) -> plan::Worker {
    plan::Worker { reply: plan::Reply::Line, fail: None, ahead, max_tasks: None, init: Vec::new() }
}

#[test]
fn a_worker_that_its_job_stops_has_on_exit_for_the_task_that_it_was_at() {
    let mut a = thrice("a");
    (a.hooks.on_success, a.hooks.on_failure) = (None, None);
    a.worker = Some(worker(2));
    a.halt = Some(Halt { now: true, on: HaltOn::Fail, limit: HaltLimit::Count(1) });
    let mut world = World::new(vec![a], 1, &[9]);
    let worker = world.worker(0);
    world.answer(worker, 1, Some("bad"));
    world.code(JobId(0), 1, 0);
    world.end_worker(worker, Exit::Signal(TERM));
    let task = world.task(JobId(0), 2);
    assert_eq!(world.running[&task].last(), Some(&exit_hook(task, Outcome::Cancelled)));
    world.code(JobId(0), 2, 0);
    assert!(world.finished);
    assert_eq!(world.outcomes()[1], (JobId(0), 2, Outcome::Cancelled));
}

/// A job with all three hooks.
fn thrice(name: &str) -> plan::Job {
    let mut job = hooked(name);
    job.hooks.on_exit = Some(Box::new(plan::Hook { stage: stage("hook") }));
    job
}

#[test]
fn on_exit_comes_after_the_other_and_hears_how_the_task_itself_ended() {
    let mut world = World::new(vec![thrice("a")], 1, &[2]);
    let task = world.task(JobId(0), 1);
    world.code(JobId(0), 1, 0);
    world.code(JobId(0), 1, 3);
    assert_eq!(world.running[&task].last(), Some(&exit_hook(task, Outcome::Ok)));
    assert_eq!(world.started.len(), 1, "its slot is taken");
    world.code(JobId(0), 1, 4);
    let fault = Outcome::Fault("its `on_success` command exited with 3".into());
    assert_eq!(world.outcomes(), [(JobId(0), 1, fault)]);
    let warning = "the `on_exit` command of `a` exited with 4";
    assert!(world.told.contains(&RunEvent::Warning(warning.into())), "{:?}", world.told);
    // The failure of a hook alone makes the task fail, too.
    world.code(JobId(0), 2, 0);
    world.code(JobId(0), 2, 0);
    world.code(JobId(0), 2, 5);
    let fault = Outcome::Fault("its `on_exit` command exited with 5".into());
    assert_eq!(world.outcomes()[1], (JobId(0), 2, fault));
}

fn exit_hook(task: TaskId, outcome: Outcome) -> Action {
    Action::Hook { task, at: HookOn::Exit, outcome }
}

#[test]
fn a_job_that_halts_begins_on_exit_for_what_it_stops_and_for_nothing_else() {
    let mut a = thrice("a");
    (a.hooks.on_success, a.hooks.on_failure) = (None, None);
    a.halt = Some(Halt { now: true, on: HaltOn::Fail, limit: HaltLimit::Count(1) });
    let mut world = World::new(vec![a], 2, &[4]);
    world.code(JobId(0), 1, 1);
    world.code(JobId(0), 1, 0);
    let task = world.task(JobId(0), 2);
    world.exit(JobId(0), 2, Exit::Signal(TERM));
    assert_eq!(world.running[&task].last(), Some(&exit_hook(task, Outcome::Cancelled)));
    world.code(JobId(0), 2, 0);
    assert!(world.finished);
    let expected = [(JobId(0), 1, Outcome::Failed(1)), (JobId(0), 2, Outcome::Cancelled)];
    assert_eq!(world.outcomes()[..2], expected);
    assert!(world.outcomes()[2..].iter().all(|(.., outcome)| *outcome == Outcome::Skipped));
}

#[test]
fn an_on_exit_that_was_short_is_tried_again_and_stays_the_one_it_was() {
    let mut world = World::new(vec![thrice("a")], 1, &[1]);
    let task = world.task(JobId(0), 1);
    world.code(JobId(0), 1, 0);
    world.code(JobId(0), 1, 0);
    let failure = Arc::new(StartFailure { code: 126, why: "no room".into() });
    world.send(Event::Shortage { task, started: 0, shortage: crate::event::Shortage::Processes, failure });
    world.at(50);
    assert_eq!(world.running[&task].last(), Some(&exit_hook(task, Outcome::Ok)));
    world.code(JobId(0), 1, 0);
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Ok)]);
}
