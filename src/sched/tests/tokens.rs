//! Slots that are shared with make and others.

use super::super::tokens;
use super::*;
use crate::plan::Jobserver;

fn world(jobs: Vec<plan::Job>, pool: usize, items: &[u64]) -> World {
    World::of(Plan { jobserver: Jobserver::Client, ..plan(jobs, pool) }, items)
}

/// Returns how many tokens prun has, and how many it waits for.
fn shared(world: &World) -> (usize, usize) {
    (world.taken, world.wanted)
}

#[test]
fn each_task_but_the_first_has_a_token() {
    let mut world = world(vec![job("a")], UNLIMITED, &[5]);
    assert_eq!((world.running.len(), shared(&world)), (1, (0, 1)));
    world.free_tokens(1);
    assert_eq!((world.running.len(), shared(&world)), (2, (1, 1)));
    world.code(JobId(0), 1, 0);
    assert_eq!((world.running.len(), shared(&world)), (2, (1, 1)), "the next one takes its place");
    world.free_tokens(5);
    assert_eq!((world.running.len(), shared(&world), world.free), (4, (3, 0), 3));
    for seq in 2..=5 {
        world.code(JobId(0), seq, 0);
    }
    assert!(world.finished);
    assert_eq!((shared(&world), world.free), ((0, 0), 6));
}

#[test]
fn the_pool_is_another_limit() {
    let mut world = world(vec![job("a")], 2, &[5]);
    world.free_tokens(5);
    assert_eq!((world.running.len(), shared(&world)), (2, (1, 0)));
    world.send(Event::Pool(3));
    assert_eq!((world.running.len(), shared(&world)), (3, (2, 0)));
}

#[test]
fn what_no_start_needs_goes_back() {
    let mut slow = job("a");
    slow.retries.count = 1;
    slow.retries.delay.first = ms(100);
    let mut world = world(vec![slow], UNLIMITED, &[2]);
    world.free_tokens(1);
    assert_eq!(shared(&world), (1, 0));
    world.code(JobId(0), 1, 1);
    assert_eq!((shared(&world), world.free), ((0, 0), 1), "the next attempt is for later");
    world.at(200);
    assert_eq!(shared(&world), (1, 0));
}

#[test]
fn nothing_is_asked_for_while_nothing_may_start() {
    let mut world = world(vec![job("a")], UNLIMITED, &[5]);
    let mut actions = Vec::new();
    world.supervisor.handle(world.now, Event::Backpressure(true), &mut actions);
    assert_eq!(actions, [Action::AskTokens(0)]);
    actions.clear();
    world.supervisor.handle(world.now, Event::Backpressure(false), &mut actions);
    assert_eq!(actions, [Action::AskTokens(1)]);
}

#[test]
fn a_stop_gives_all_back_and_asks_for_none() {
    let mut world = world(vec![job("a")], UNLIMITED, &[9]);
    world.free_tokens(2);
    assert_eq!(shared(&world), (2, 1));
    world.send(Event::Signal(INT));
    assert_eq!(shared(&world), (2, 0), "what runs keeps its own");
    for seq in 1..=3 {
        world.exit(JobId(0), seq, Exit::Signal(2));
    }
    assert!(world.finished);
    assert_eq!((shared(&world), world.free), ((0, 0), 2));
}

#[test]
fn who_takes_no_slot_needs_no_token() {
    let mut daemon = job("d");
    daemon.kind = Kind::Daemon(Daemon::Reader);
    let world = world(vec![job("a"), job("b"), daemon], UNLIMITED, &[1, 1, 1]);
    assert_eq!(world.started, [(JobId(0), 1), (JobId(2), 1)]);
    assert_eq!(shared(&world), (0, 1));
}

#[test]
fn what_came_too_late_goes_back() {
    let mut world = world(vec![job("a")], UNLIMITED, &[2]);
    assert_eq!(shared(&world), (0, 1));
    world.code(JobId(0), 1, 0);
    assert_eq!(shared(&world), (0, 0));
    // A token was on its way.
    world.taken = 1;
    world.send(Event::Tokens(1));
    assert_eq!((shared(&world), world.free), ((0, 0), 1));
}

/// Two pruns that each hold some of what they need would wait for ever.
#[test]
fn a_task_of_several_slots_waits_for_all_its_tokens_unless_nothing_else_runs() {
    let mut tokens = tokens::Tokens::new();
    assert!(tokens.allow(0, 3) && !tokens.is_lacking(), "nothing else runs");
    assert!(!tokens.allow(1, 3) && tokens.is_lacking());
    tokens.reset();
    assert!(!tokens.is_lacking());
}

#[test]
fn a_wide_task_begins_with_what_there_is_if_it_is_alone() {
    let wide = plan::Job { slots: 3, ..job("b") };
    let mut world = world(vec![job("a"), wide, job("c")], UNLIMITED, &[1, 2, 1]);
    assert_eq!((&world.started[..], shared(&world)), (&[(JobId(0), 1)][..], (0, 3)));
    world.free_tokens(2);
    assert_eq!((world.started.len(), shared(&world)), (1, (2, 1)), "one is lacking, and nobody overtakes");
    world.code(JobId(0), 1, 0);
    assert_eq!((&world.started[1..], shared(&world)), (&[(JobId(1), 1)][..], (2, 3)));
    world.code(JobId(1), 1, 0);
    assert_eq!((world.started.len(), shared(&world)), (3, (2, 1)));
    world.code(JobId(1), 2, 0);
    world.code(JobId(2), 1, 0);
    assert!(world.finished);
    assert_eq!((shared(&world), world.free), ((0, 0), 2));
    let wide = plan::Job { slots: 3, ..job("b") };
    let mut alone = self::world(vec![wide], UNLIMITED, &[1]);
    assert_eq!(
        (alone.started.len(), shared(&alone)),
        (1, (0, 2)),
        "it runs, and the rest is taken as it comes"
    );
    alone.free_tokens(1);
    assert_eq!(shared(&alone), (1, 1));
}

#[test]
fn an_idle_worker_makes_room_for_those_it_waits_for() {
    let mut follower = job("b");
    follower.items = Items::Of(JobId(0));
    follower.worker = Some(plan::Worker {
        reply: plan::Reply::Line,
        fail: None,
        ahead: 1,
        max_tasks: None,
        init: Vec::new(),
    });
    let mut world = world(vec![job("a"), follower], UNLIMITED, &[2, 0]);
    world.code(JobId(0), 1, 0);
    let worker = world.worker(0);
    world.answer(worker, 1, None);
    assert!(world.workers[&worker].contains(&Action::EndInput { worker }), "it has the only slot");
    world.end_worker(worker, Exit::Code(0));
    world.code(JobId(0), 2, 0);
    let worker = world.worker(0);
    world.answer(worker, 1, None);
    world.end_worker(worker, Exit::Code(0));
    assert!(world.finished);
    assert_eq!(world.most_at_once, 1);
}
