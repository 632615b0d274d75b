//! Jobs that take no slot, daemons whose input runs dry, writers whose readers have gone, items from other jobs.

use super::*;
use crate::event::QueueId;

fn slotless(name: &str) -> plan::Job {
    let mut job = job(name);
    job.kind = Kind::Reader;
    job
}

fn daemon(name: &str) -> plan::Job {
    let mut job = slotless(name);
    job.kind = Kind::Daemon(Daemon::Reader);
    job.grace = ms(100);
    job
}

#[test]
fn who_takes_no_slot_waits_for_none_and_is_in_nobodys_way() {
    let mut reader = slotless("r");
    reader.pool = 2;
    let mut world = World::new(vec![job("a"), reader, job("b")], 1, &[2, 9, 1]);
    assert_eq!(world.started, [(JobId(0), 1), (JobId(1), 1), (JobId(1), 2)]);
    world.code(JobId(0), 1, 0);
    assert_eq!(world.started.last(), Some(&(JobId(0), 2)), "readers hold no slot");
    world.code(JobId(1), 2, 0);
    assert_eq!(world.started.last(), Some(&(JobId(1), 3)));
}

#[test]
fn a_daemon_is_stopped_when_its_input_has_run_dry_and_that_is_no_failure() {
    let mut world = World::new(vec![daemon("d")], 1, &[1]);
    let task = world.task(JobId(0), 1);
    world.send(Event::InputEnded(task));
    world.at(99);
    assert!(world.running[&task].is_empty());
    world.at(100);
    assert_eq!(world.running[&task], [Action::Signal { task, signal: TERM }]);
    world.at(200);
    assert_eq!(world.running[&task].last(), Some(&Action::Kill { task }));
    world.exit(JobId(0), 1, Exit::Signal(9));
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Ok)]);

    let mut world = World::new(vec![daemon("d")], 1, &[1]);
    let task = world.task(JobId(0), 1);
    world.send(Event::InputEnded(task));
    world.code(JobId(0), 1, 3);
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Ok)]);
}

#[test]
fn input_that_ends_while_leftovers_are_killed_changes_nothing() {
    let mut job = daemon("d");
    job.leftovers = Leftovers::Kill;
    let mut world = World::new(vec![job], 1, &[1]);
    let task = world.task(JobId(0), 1);
    world.send(Event::Drained(task));
    world.send(Event::Exited { task, stage: StageId(0), exit: Exit::Code(0) });
    world.send(Event::InputEnded(task));
    assert_eq!(world.supervisor.due(), None);
    world.send(Event::GroupGone(task));
    assert!(world.finished);
}

#[test]
fn a_daemon_that_fails_before_has_failed_and_other_readers_may_fail_after() {
    let mut world = World::new(vec![daemon("d"), slotless("r")], 1, &[1, 1]);
    world.code(JobId(0), 1, 3);
    let task = world.task(JobId(1), 1);
    world.send(Event::InputEnded(task));
    world.at(100_000);
    assert!(world.running[&task].is_empty(), "it ends by itself");
    world.code(JobId(1), 1, 4);
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Failed(3)), (JobId(1), 1, Outcome::Failed(4))]);
}

#[test]
fn the_pipe_of_a_daemon_is_dry_when_those_before_it_have_exited() {
    for (first, expected) in [(0, Outcome::Ok), (5, Outcome::Failed(5))] {
        let mut pipe = daemon("d");
        pipe.stages = vec![stage("first"), stage("d")];
        let mut world = World::new(vec![pipe], 1, &[1]);
        let task = world.task(JobId(0), 1);
        world.send(Event::Exited { task, stage: StageId(0), exit: Exit::Code(first) });
        world.at(100);
        assert_eq!(world.running[&task], [Action::Signal { task, signal: TERM }]);
        world.send(Event::Exited { task, stage: StageId(1), exit: Exit::Signal(TERM) });
        world.send(Event::Drained(task));
        world.send(Event::GroupGone(task));
        assert_eq!(world.outcomes(), [(JobId(0), 1, expected)], "the first one is judged as ever");
    }
}

fn writer(name: &str) -> plan::Job {
    let mut job = job(name);
    job.stages[0].stdout = Output::Queue { queue: QueueId(0), show: false };
    job
}

fn queued(jobs: Vec<plan::Job>, items: &[u64]) -> World {
    let readers = [JobId(1)];
    let queues = vec![queue("q", &[JobId(0)], &readers)];
    World::of(Plan { queues, ..plan(jobs, 1) }, items)
}

#[test]
fn sigpipe_is_excused_if_those_who_read_the_queue_are_ok() {
    for (reader, expected) in [(0, Outcome::Ok), (1, Outcome::Killed(13))] {
        let mut world = queued(vec![writer("w"), slotless("r")], &[1, 1]);
        world.code(JobId(1), 1, reader);
        world.exit(JobId(0), 1, Exit::Signal(13));
        assert_eq!(world.outcomes()[0], (JobId(0), 1, expected));
    }
    let mut world = queued(vec![writer("w"), slotless("r")], &[1, 1]);
    world.exit(JobId(0), 1, Exit::Signal(13));
    assert_eq!(world.outcomes()[0], (JobId(0), 1, Outcome::Killed(13)), "they still read");
}

#[test]
fn sigpipe_of_the_last_of_two_that_talk_is_excused_if_the_first_is_ok() {
    let mut duplex = job("d");
    duplex.duplex = true;
    duplex.stages = vec![stage("first"), stage("d")];
    for (first, expected) in [(0, Outcome::Ok), (1, Outcome::Killed(13))] {
        let mut world = World::new(vec![duplex.clone()], 1, &[1]);
        let task = world.task(JobId(0), 1);
        world.send(Event::Exited { task, stage: StageId(0), exit: Exit::Code(first) });
        world.send(Event::Exited { task, stage: StageId(1), exit: Exit::Signal(13) });
        world.send(Event::Drained(task));
        assert_eq!(world.outcomes(), [(JobId(0), 1, expected)]);
    }
}

#[test]
fn a_fault_stops_the_task_and_is_tried_again_like_any_failure() {
    let mut a = job("a");
    a.retries.count = 1;
    let mut world = World::new(vec![a], 1, &[1]);
    let fault = || "did not say `> `".into();
    for _ in 0..2 {
        let task = world.task(JobId(0), 1);
        world.send(Event::Fault { task, why: fault() });
        assert_eq!(world.running[&task], [Action::Signal { task, signal: TERM }]);
        world.exit(JobId(0), 1, Exit::Signal(TERM));
        world.send(Event::Tick(world.now));
    }
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Fault(fault()))]);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(1));
}

#[test]
fn a_fault_that_is_found_after_the_exit_counts_unless_that_failed() {
    for (code, expected) in [(0, Outcome::Fault("silent".into())), (3, Outcome::Failed(3))] {
        let mut world = World::new(vec![job("a")], 1, &[1]);
        let task = world.task(JobId(0), 1);
        world.send(Event::Exited { task, stage: StageId(0), exit: Exit::Code(code) });
        world.send(Event::Fault { task, why: "silent".into() });
        world.send(Event::Drained(task));
        assert_eq!(world.outcomes(), [(JobId(0), 1, expected)]);
    }
}

#[test]
fn items_go_through_a_chain_before_new_ones_are_begun() {
    let (mut sort, mut index) = (job("sort"), job("index"));
    (sort.items, index.items) = (Items::Of(JobId(0)), Items::Of(JobId(1)));
    let mut world = World::new(vec![job("align"), sort, index], 1, &[3, 0, 0]);
    for seq in 1..=3 {
        for job in JobId::all(3) {
            world.code(job, seq, 0);
        }
    }
    assert!(world.finished);
    let expected: Vec<_> = (1..=3).flat_map(|seq| JobId::all(3).map(move |job| (job, seq))).collect();
    assert_eq!(world.started, expected);
}

#[test]
fn skipped_items_keep_their_number_and_say_why() {
    let mut second = job("second");
    second.items = Items::Of(JobId(0));
    let mut after = job("after");
    after.after = vec![After { job: JobId(1), stage: StageId(0), when: When::Failure }];
    let mut world = World::new(vec![job("first"), second, after], 2, &[2, 0, 1]);
    world.code(JobId(0), 1, 1);
    world.code(JobId(0), 2, 0);
    assert_eq!(world.started.last(), Some(&(JobId(1), 2)));
    world.code(JobId(1), 2, 0);
    assert!(world.told.contains(&RunEvent::JobEnded { job: JobId(1), outcome: Outcome::Skipped, tasks: 2 }));
    assert_eq!(world.started.last(), Some(&(JobId(2), 1)), "skipped because of a failure");
    assert_eq!(world.supervisor.tally.skipped, 1);
}

#[test]
fn who_follows_a_skipped_job_is_skipped_too() {
    let (mut first, mut second, mut after) = (job("first"), job("second"), job("after"));
    first.after = vec![After { job: JobId(0), stage: StageId(0), when: When::Success }];
    second.items = Items::Of(JobId(1));
    after.after = vec![After { job: JobId(2), stage: StageId(0), when: When::Success }];
    let mut world = World::new(vec![job("bad"), first, second, after], 2, &[1, 2, 0, 1]);
    world.code(JobId(0), 1, 3);
    assert!(world.finished);
    assert_eq!(world.started, [(JobId(0), 1)]);
    assert_eq!(world.skipped(), [JobId(1), JobId(2), JobId(3)]);
}
