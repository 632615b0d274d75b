//! Stalls: nothing can go on because of full queues.

use super::*;
use crate::event::QueueId;

/// Two jobs that write to each other; `third` goes its own way.
fn circle(third: bool) -> World {
    let (mut a, mut b) = (job("a"), job("b"));
    for (job, queue) in [(&mut a, 0), (&mut b, 1)] {
        job.kind = Kind::Reader;
        job.stages[0].stdout = Output::Queue { queue: QueueId(queue), show: false };
    }
    let queues = vec![queue("q", &[JobId(0)], &[JobId(1)]), queue("p", &[JobId(1)], &[JobId(0)])];
    let jobs = vec![a, b, job("c")];
    let plan = Plan { queues, ..plan(jobs, 2) };
    World::of(plan, &[1, 1, u64::from(third)])
}

fn block(world: &mut World, job: JobId, blocked: bool) {
    let task = world.task(job, 1);
    world.send(Event::Blocked { task, blocked });
}

#[test]
fn a_circle_of_full_queues_is_stopped_and_told() {
    let mut world = circle(false);
    block(&mut world, JobId(0), true);
    world.at(5_000);
    assert_eq!(world.supervisor.due(), None, "the other one still runs");
    block(&mut world, JobId(1), true);
    world.at(5_999);
    assert_eq!(world.running[&world.task(JobId(0), 1)], []);
    world.at(6_000);
    for job in 0..2 {
        let task = world.task(JobId(job), 1);
        assert_eq!(world.running[&task], [Action::Signal { task, signal: TERM }]);
        world.exit(JobId(job), 1, Exit::Signal(TERM));
    }
    assert!(world.finished);
    let fault = |queue| {
        let why = format!("waits to write to the full queue `{queue}`, and nothing that reads it can go on");
        Outcome::Fault(why.into())
    };
    assert_eq!(world.outcomes(), [(JobId(0), 1, fault("q")), (JobId(1), 1, fault("p"))]);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(1));
}

#[test]
fn what_moves_within_a_second_is_no_stall() {
    let mut world = circle(false);
    block(&mut world, JobId(0), true);
    block(&mut world, JobId(1), true);
    world.now = ms(500);
    block(&mut world, JobId(0), false);
    block(&mut world, JobId(0), true);
    assert_eq!(world.supervisor.due(), Some(ms(1_500)));
    block(&mut world, JobId(1), false);
    assert_eq!(world.supervisor.due(), None);
}

#[test]
fn whoever_runs_may_change_things() {
    let mut world = circle(true);
    block(&mut world, JobId(0), true);
    block(&mut world, JobId(1), true);
    assert_eq!(world.supervisor.due(), None);
    world.code(JobId(2), 1, 0);
    assert_eq!(world.supervisor.due(), Some(ms(1_000)));
}

/// One writer in a pool of one, whose reader needs an item of a job that has no slot.
#[test]
fn a_reader_that_waits_for_a_slot_of_its_writer_is_a_stall() {
    let mut writer = job("w");
    writer.stages[0].stdout = Output::Queue { queue: QueueId(0), show: false };
    let mut reader = job("r");
    reader.kind = Kind::Reader;
    reader.items = Items::Of(JobId(1));
    let jobs = vec![writer, job("names"), reader];
    let queues = vec![queue("q", &[JobId(0)], &[JobId(2)])];
    let plan = Plan { queues, ..plan(jobs, 1) };
    let mut world = World::of(plan.clone(), &[1, 1, 0]);
    block(&mut world, JobId(0), true);
    assert_eq!(world.supervisor.due(), Some(ms(1_000)));

    let mut world = World::of(Plan { pool: 2, ..plan }, &[1, 1, 0]);
    block(&mut world, JobId(0), true);
    assert_eq!(world.supervisor.due(), None, "the other job runs");
}

#[test]
fn readers_of_the_full_queue_are_waited_for() {
    let mut writer = job("w");
    writer.stages[0].stdout = Output::Queue { queue: QueueId(0), show: false };
    let mut daemon = job("d");
    daemon.kind = Kind::Daemon(Daemon::Reader);
    let queues = vec![queue("q", &[JobId(0)], &[JobId(1)])];
    let with_daemon = Plan { queues: queues.clone(), ..plan(vec![writer.clone(), daemon], 1) };
    let mut world = World::of(with_daemon, &[1, 1]);
    block(&mut world, JobId(0), true);
    assert_eq!(world.supervisor.due(), None, "a daemon that reads it runs");

    let mut each = job("e");
    each.kind = Kind::Reader;
    each.items = Items::Queue { queue: QueueId(0), separator: None };
    let plan = Plan { queues, ..plan(vec![writer, each], 1) };
    let mut world = World::of(plan, &[1, 0]);
    block(&mut world, JobId(0), true);
    assert_eq!(world.supervisor.due(), None, "it has asked for an item, and there is one");
}
