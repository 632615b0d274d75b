//! Listers: one job lists the items of another.

use super::*;
use crate::event::QueueId;

/// `lists` lists items for the job `takes`, on which `then` waits.
fn listed() -> Vec<plan::Job> {
    let mut lists = job("takes.each");
    lists.kind = Kind::Lister(None);
    lists.stages[0].stdout = Output::Queue { queue: QueueId(0), show: false };
    let mut takes = job("takes");
    takes.items = Items::Queue { queue: QueueId(0), separator: None };
    takes.lister = Some(JobId(0));
    let mut then = job("then");
    then.after = vec![After { job: JobId(1), stage: StageId(0), when: When::Success }];
    vec![lists, takes, then]
}

fn world(jobs: Vec<plan::Job>, halt: Option<Halt>) -> World {
    let queues = vec![queue("takes.each", &[JobId(0)], &[JobId(1)])];
    World::of(Plan { queues, halt, ..plan(jobs, 1) }, &[1, 0, 1])
}

/// The lister has written this many items.
fn list(world: &mut World, count: u64) {
    world.items[1] += count;
    let answer = world.pull(JobId(1), 1);
    world.send(answer);
}

/// The queue is at its end.
fn dry(world: &mut World) {
    world.send(Event::NoMoreItems(JobId(1)));
}

fn why_skipped(world: &World) -> Vec<&str> {
    let skipped = world.told.iter().filter_map(|event| match event {
        RunEvent::JobSkipped { why, .. } => Some(why.as_str()),
        _ => None,
    });
    skipped.collect()
}

#[test]
fn it_takes_no_slot_and_counts_for_nothing() {
    let halt = Halt { on: HaltOn::Success, limit: HaltLimit::Count(3), now: true };
    let mut world = world(listed(), Some(halt));
    list(&mut world, 1);
    assert_eq!(world.started, [(JobId(0), 1), (JobId(1), 1)]);
    world.code(JobId(1), 1, 0);
    world.code(JobId(0), 1, 0);
    dry(&mut world);
    world.code(JobId(2), 1, 0);
    assert!(world.finished);
    assert_eq!((world.supervisor.tally.ok, world.supervisor.trigger.is_some()), (2, false));
    assert_eq!(world.supervisor.verdict(), Verdict::Code(0));
}

#[test]
fn when_it_fails_its_lines_are_run_and_the_job_is_skipped() {
    for lines in [0, 2] {
        let mut world = world(listed(), None);
        list(&mut world, lines);
        world.code(JobId(0), 1, 3);
        for line in 1..=lines {
            world.code(JobId(1), line, 0);
        }
        dry(&mut world);
        assert!(world.finished);
        let expected = match lines {
            0 => vec!["`takes.each` failed", "`takes` was skipped"],
            _ => vec!["items of `takes` are missing"],
        };
        assert_eq!(why_skipped(&world), expected);
        assert_eq!((world.supervisor.tally.failed, world.supervisor.verdict()), (1, Verdict::Code(3)));
    }
}

#[test]
fn a_failure_of_it_is_a_failure_of_the_job() {
    let mut jobs = listed();
    jobs[2].after[0].when = When::Failure;
    let mut world = world(jobs, None);
    list(&mut world, 1);
    world.code(JobId(1), 1, 0);
    world.code(JobId(0), 1, 1);
    dry(&mut world);
    assert_eq!(world.started.last(), Some(&(JobId(2), 1)));
}

#[test]
fn it_is_stopped_when_the_job_takes_no_more_and_that_is_no_failure() {
    let mut jobs = listed();
    jobs[1].halt = Some(Halt { on: HaltOn::Success, limit: HaltLimit::Count(1), now: false });
    let mut world = world(jobs, None);
    list(&mut world, 1);
    world.now = ms(500);
    world.code(JobId(1), 1, 0);
    assert_eq!(world.supervisor.due(), Some(Time::ZERO));
    world.at(500);
    let task = world.task(JobId(0), 1);
    assert_eq!(world.running[&task], [Action::Signal { task, signal: TERM }]);
    world.exit(JobId(0), 1, Exit::Signal(TERM));
    world.code(JobId(2), 1, 0);
    assert!(world.finished);
    assert_eq!(world.ended[1], (JobId(0), 1, Outcome::Ok));
    assert_eq!((world.supervisor.verdict(), world.supervisor.was_stopped()), (Verdict::Code(0), false));
}

#[test]
fn what_the_end_of_its_pipe_does_to_it_is_no_failure() {
    let mut jobs = listed();
    jobs[1].halt = Some(Halt { on: HaltOn::Fail, limit: HaltLimit::Count(1), now: true });
    let mut world = world(jobs, None);
    list(&mut world, 1);
    world.code(JobId(1), 1, 9);
    // Before the tick.
    world.exit(JobId(0), 1, Exit::Signal(13));
    assert!(world.finished);
    assert_eq!((world.ended[1].2.clone(), world.supervisor.verdict()), (Outcome::Ok, Verdict::Code(9)));
}

#[test]
fn it_is_skipped_in_silence_with_its_job() {
    let mut jobs = listed();
    jobs.push(job("first"));
    for listed in &mut jobs[..2] {
        listed.after = vec![After { job: JobId(3), stage: StageId(0), when: When::Success }];
    }
    let queues = vec![queue("takes.each", &[JobId(0)], &[JobId(1)])];
    let mut world = World::of(Plan { queues, ..plan(jobs, 1) }, &[1, 0, 1, 1]);
    world.code(JobId(3), 1, 1);
    assert!(world.finished);
    assert_eq!((world.skipped(), world.supervisor.tally.skipped), (vec![JobId(1), JobId(2)], 2));
    assert!(
        world.told.iter().any(|event| matches!(event, RunEvent::JobEnded { job: JobId(0), tasks: 0, .. }))
    );
}

#[test]
fn it_is_not_put_back_and_is_not_the_one_that_is_left() {
    let mut world = {
        let queues = vec![queue("takes.each", &[JobId(0)], &[JobId(1)])];
        let throttle = Throttle { memory_free: Some(100), ..Throttle::default() };
        World::of(Plan { queues, throttle, ..plan(listed(), 1) }, &[1, 0, 1])
    };
    let free = |world: &mut World, at, memory| {
        world.now = ms(at);
        world.send(Event::Reading(Reading { load: None, memory: Some(memory) }));
    };
    free(&mut world, 0, 1000);
    list(&mut world, 1);
    free(&mut world, 1000, 10);
    for (job, seq) in [(0, 1), (1, 1)] {
        assert_eq!(world.running[&world.task(JobId(job), seq)], []);
    }
}

#[test]
fn it_costs_no_start_of_the_rate() {
    let rate = plan::Rate { interval: ms(1_000) };
    let queues = vec![queue("takes.each", &[JobId(0)], &[JobId(1)])];
    let throttle = Throttle { rate: Some(rate), ..Throttle::default() };
    let mut world = World::of(Plan { queues, throttle, ..plan(listed(), 2) }, &[1, 0, 1]);
    list(&mut world, 2);
    assert_eq!(world.started, [(JobId(0), 1), (JobId(1), 1)]);
    world.at(1_000);
    assert_eq!(world.started.len(), 3);
}
