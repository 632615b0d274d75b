//! Workers: what they are given, how they end, what becomes of their tasks.

use super::*;
use crate::event::{QueueId, StartFailure};

fn crew(ahead: usize) -> plan::Job {
    let mut job = job("w");
    job.worker =
        Some(plan::Worker { reply: plan::Reply::Line, fail: None, ahead, max_tasks: None, init: Vec::new() });
    job.retries.count = 2;
    job
}

fn with_max(most: u64) -> plan::Job {
    let mut job = crew(1);
    if let Some(worker) = &mut job.worker {
        worker.max_tasks = Some(most);
    }
    job
}

fn seqs(world: &World) -> Vec<u64> {
    world.given.iter().map(|(_, seq, _)| *seq).collect()
}

#[test]
fn tasks_go_to_idle_workers_and_all_end() {
    let mut world = World::new(vec![crew(1)], 2, &[3]);
    assert_eq!(world.workers.len(), 2);
    assert_eq!(seqs(&world), [1, 2]);
    let (first, second) = (world.worker(0), world.worker(1));
    assert!(world.answer(first, 1, None));
    assert_eq!(seqs(&world), [1, 2, 3]);
    assert_eq!(world.oldest(first), Some(3));
    world.answer(second, 1, None);
    world.answer(first, 1, None);
    for worker in [first, second] {
        assert_eq!(world.workers[&worker].last(), Some(&Action::EndInput { worker }));
        world.end_worker(worker, Exit::Code(0));
    }
    assert!(world.finished);
    assert_eq!(world.outcomes().len(), 3);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(0));
    assert!(world.told.iter().any(|event| matches!(event, RunEvent::JobEnded { tasks: 3, .. })));
}

#[test]
fn no_more_workers_are_started_than_there_are_tasks() {
    let world = World::new(vec![crew(8)], 4, &[2]);
    assert_eq!(world.workers.len(), 2);
    let world = World::new(vec![crew(8)], 4, &[0]);
    assert!(world.finished && world.workers.is_empty());
}

#[test]
fn what_a_pool_can_not_take_goes_ahead_to_those_that_have_least() {
    let mut world = World::new(vec![crew(3)], 2, &[20]);
    let (first, second) = (world.worker(0), world.worker(1));
    let has = |world: &World, worker| {
        world.workers[&worker].iter().filter(|action| matches!(action, Action::Give { .. })).count()
    };
    assert_eq!((has(&world, first), has(&world, second)), (3, 3));
    world.answer(first, 3, None);
    assert_eq!((has(&world, first), has(&world, second)), (6, 3));
    world.answer(second, 1, None);
    assert_eq!((has(&world, first), has(&world, second)), (6, 4));
}

#[test]
fn what_is_pulled_at_once_fills_the_workers() {
    let mut world = World::new(vec![crew(64)], 1, &[1000]);
    let worker = world.worker(0);
    let mut pulls = Vec::new();
    let mut actions = Vec::new();
    for _ in 0..64 {
        world.supervisor.answered(world.now, worker, None, &mut actions);
    }
    world.supervisor.handle(world.now, Event::Answered(JobId(0)), &mut actions);
    pulls.extend(actions.iter().filter(|action| matches!(action, Action::Pull { .. })));
    assert_eq!(pulls, [&Action::Pull { job: JobId(0), most: 64 }], "those at hand were given");
    assert_eq!(actions.iter().filter(|action| matches!(action, Action::Give { .. })).count(), 64);
}

#[test]
fn a_death_costs_one_attempt_and_those_behind_go_to_others_in_their_order() {
    let mut world = World::new(vec![crew(3)], 1, &[4]);
    assert_eq!(world.given, [(JobId(0), 1, 1), (JobId(0), 2, 1), (JobId(0), 3, 1)]);
    let worker = world.worker(0);
    world.answer(worker, 1, None);
    world.given.clear();
    world.end_worker(worker, Exit::Signal(9));
    assert_eq!(world.workers_ended, [(JobId(0), Outcome::Killed(9))]);
    world.send(Event::Tick(world.now));
    let worker = world.worker(0);
    assert_eq!(
        world.given,
        [(JobId(0), 3, 1), (JobId(0), 4, 1), (JobId(0), 2, 2)],
        "its delay is over at the next tick"
    );
    world.answer(worker, 3, None);
    world.end_worker(worker, Exit::Code(0));
    let all: Vec<_> = (1..=4).map(|seq| (JobId(0), seq, Outcome::Ok)).collect();
    assert_eq!(world.outcomes(), all);
    assert!(world.finished);
}

#[test]
fn a_task_that_kills_every_worker_fails_and_the_rest_goes_on() {
    let mut world = World::new(vec![crew(1)], 1, &[2]);
    for _ in 0..3 {
        let worker = world.worker(0);
        if world.oldest(worker) == Some(2) {
            world.answer(worker, 1, None);
        }
        world.end_worker(worker, Exit::Signal(11));
        world.send(Event::Tick(world.now));
    }
    while !world.finished {
        let worker = world.worker(0);
        match world.oldest(worker) {
            Some(2) => assert!(world.answer(worker, 1, None)),
            _ => world.end_worker(worker, Exit::Signal(11)),
        }
        world.send(Event::Tick(world.now));
    }
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Killed(11)), (JobId(0), 2, Outcome::Ok)]);
    assert_eq!(world.given.iter().filter(|(_, seq, _)| *seq == 1).count(), 3);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(139));
}

#[test]
fn an_exit_without_an_answer_is_a_fault_and_a_code_is_a_code() {
    let mut job = crew(1);
    job.retries.count = 0;
    let mut world = World::new(vec![job], 1, &[2]);
    let worker = world.worker(0);
    world.end_worker(worker, Exit::Code(0));
    let worker = world.worker(0);
    world.end_worker(worker, Exit::Code(3));
    let fault = Outcome::Fault("its worker ended without an answer".into());
    assert_eq!(world.outcomes(), [(JobId(0), 1, fault), (JobId(0), 2, Outcome::Failed(3))]);
}

#[test]
fn a_worker_that_leaves_after_each_answer_costs_nobody_an_attempt() {
    for ahead in [1, 2, 8] {
        let mut job = crew(ahead);
        job.retries.count = 0;
        let mut world = World::new(vec![job], 2, &[9]);
        let mut workers = 0;
        while !world.finished {
            let worker = world.worker(workers % world.workers.len());
            if world.oldest(worker).is_some() {
                assert!(world.answer(worker, 1, None));
            }
            world.end_worker(worker, Exit::Code(0));
            world.send(Event::Tick(world.now));
            workers += 1;
        }
        assert!(world.given.iter().all(|(.., attempt)| *attempt == 1), "{:?}", world.given);
        assert_eq!(world.outcomes(), (1..=9).map(|seq| (JobId(0), seq, Outcome::Ok)).collect::<Vec<_>>());
        assert!(workers <= 10, "{workers} workers for 9 answers");
    }
}

#[test]
fn tasks_of_a_worker_that_left_go_out_again_in_their_order() {
    let mut world = World::new(vec![crew(3)], 1, &[5]);
    world.answer(world.worker(0), 1, None);
    assert_eq!(seqs(&world), [1, 2, 3, 4]);
    world.given.clear();
    world.end_worker(world.worker(0), Exit::Code(0));
    assert_eq!(seqs(&world), [2, 3, 4]);
}

#[test]
fn a_worker_that_leaves_a_task_first_of_all_was_at_it() {
    let mut world = World::new(vec![crew(2)], 1, &[2]);
    // It answers the first task, and ends at the second: so does each one after it, without an answer.
    world.answer(world.worker(0), 1, None);
    for _ in 0..4 {
        assert!(!world.finished);
        world.end_worker(world.worker(0), Exit::Code(0));
        world.send(Event::Tick(world.now));
    }
    assert!(world.finished, "{:?}", world.given);
    let fault = Outcome::Fault("its worker ended without an answer".into());
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Ok), (JobId(0), 2, fault)]);
    assert_eq!(world.ended.len(), 2);
}

#[test]
fn a_worker_that_answers_and_then_fails_counts_an_attempt() {
    let mut job = crew(2);
    job.stages[0].ok.codes = vec![0, 7];
    job.retries.count = 0;
    let mut world = World::new(vec![job], 1, &[4]);
    world.answer(world.worker(0), 1, None);
    world.end_worker(world.worker(0), Exit::Code(7));
    assert!(world.ended.iter().all(|(.., outcome)| *outcome == Outcome::Ok), "7 is an end that is ok");
    world.answer(world.worker(0), 1, None);
    world.end_worker(world.worker(0), Exit::Code(1));
    assert_eq!(world.outcomes().last(), Some(&(JobId(0), 3, Outcome::Failed(1))));
}

#[test]
fn a_worker_that_leaves_while_nothing_more_is_given_out_leaves_its_tasks_undone() {
    let halt = Halt { now: false, on: HaltOn::Fail, limit: HaltLimit::Count(1) };
    let mut world = World::with(vec![crew(3)], 1, &[9], Some(halt), StatusMode::First);
    world.answer(world.worker(0), 1, Some("no"));
    world.end_worker(world.worker(0), Exit::Code(0));
    assert!(world.finished);
    let [first, rest @ ..] = &world.outcomes()[..] else { panic!("one has failed") };
    assert_eq!(first.2, Outcome::Fault("no".into()));
    assert!(rest.iter().all(|(.., outcome)| *outcome == Outcome::Skipped), "{rest:?}");
    assert_eq!(world.supervisor.verdict(), Verdict::Code(1));
}

#[test]
fn an_answer_that_fails_is_final() {
    let mut world = World::new(vec![crew(1)], 1, &[1]);
    let worker = world.worker(0);
    world.answer(worker, 1, Some("it answered `no`"));
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Fault("it answered `no`".into()))]);
    world.end_worker(worker, Exit::Code(0));
    assert_eq!(world.supervisor.verdict(), Verdict::Code(1));
}

#[test]
fn the_timeout_is_that_of_the_oldest_task() {
    let mut job = crew(2);
    job.timeout = Some(Timeout::After(ms(100)));
    job.retries.count = 0;
    let mut world = World::new(vec![job], 1, &[3]);
    let worker = world.worker(0);
    world.now = ms(90);
    world.answer(worker, 1, None);
    world.at(100);
    world.at(189);
    assert_eq!(world.supervisor.due(), Some(ms(190)), "set anew for the next one");
    world.at(190);
    assert_eq!(world.workers[&worker].last(), Some(&Action::Signal { task: worker, signal: TERM }));
    assert_eq!(world.oldest(worker), None, "what it still says is not heard");
    world.end_worker(worker, Exit::Signal(TERM));
    let outcomes = [(JobId(0), 1, Outcome::Ok), (JobId(0), 2, Outcome::Timeout)];
    assert_eq!(world.outcomes(), outcomes);
    assert_eq!(world.oldest(world.worker(0)), Some(3));
}

#[test]
fn an_idle_worker_has_no_timeout() {
    let mut job = crew(1);
    job.timeout = Some(Timeout::After(ms(100)));
    job.items = Items::Queue { queue: QueueId(0), separator: None };
    let mut world = World::new(vec![job], 1, &[1]);
    let worker = world.worker(0);
    world.answer(worker, 1, None);
    world.at(1000);
    assert!(!world.workers[&worker].iter().any(|action| matches!(action, Action::Signal { .. })));
    assert_eq!(world.supervisor.due(), None);
    world.items[0] = 1;
    let event = world.pull(JobId(0), 1);
    world.send(event);
    assert_eq!(world.oldest(worker), Some(2));
    world.at(1100);
    assert_eq!(world.workers[&worker].last(), Some(&Action::Signal { task: worker, signal: TERM }));
}

#[test]
fn a_worker_is_replaced_after_its_share_if_tasks_wait() {
    let mut world = World::new(vec![with_max(2)], 1, &[4]);
    for round in 0..2 {
        let worker = world.worker(0);
        world.answer(worker, 1, None);
        world.answer(worker, 1, None);
        assert_eq!(world.workers[&worker].last(), Some(&Action::EndInput { worker }));
        assert_eq!(world.workers.len(), 1, "its place is taken until it has gone");
        world.end_worker(worker, Exit::Code(0));
        assert_eq!(world.workers.len(), 1 - round);
    }
    assert!(world.finished);
}

#[test]
fn a_worker_that_does_not_end_walks_the_ladder_and_is_no_failure() {
    let mut job = crew(1);
    job.grace = ms(100);
    let mut world = World::new(vec![job], 1, &[1]);
    let worker = world.worker(0);
    world.answer(worker, 1, None);
    world.at(100);
    assert_eq!(world.workers[&worker].last(), Some(&Action::Signal { task: worker, signal: TERM }));
    world.at(200);
    assert_eq!(world.workers[&worker].last(), Some(&Action::Kill { task: worker }));
    world.end_worker(worker, Exit::Signal(9));
    assert_eq!(world.workers_ended, [(JobId(0), Outcome::Ok)]);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(0));
}

#[test]
fn an_answer_that_nobody_asked_for_fails_the_job_and_loses_nothing() {
    let mut world = World::new(vec![crew(1)], 1, &[2]);
    let worker = world.worker(0);
    assert!(!world.answer(worker, 2, None));
    assert_eq!(world.workers[&worker].last(), Some(&Action::Signal { task: worker, signal: TERM }));
    world.end_worker(worker, Exit::Signal(TERM));
    let worker = world.worker(0);
    assert_eq!(world.given.last(), Some(&(JobId(0), 2, 1)));
    world.answer(worker, 1, None);
    world.end_worker(worker, Exit::Code(0));
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Ok), (JobId(0), 2, Outcome::Ok)]);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(1));
    let told = |event: &&RunEvent| matches!(event, RunEvent::JobFailed { .. });
    assert_eq!(world.told.iter().filter(told).count(), 1);
}

#[test]
fn a_worker_that_closes_its_output_is_not_waited_for() {
    let mut job = crew(1);
    job.retries.count = 0;
    let mut world = World::new(vec![job], 1, &[1]);
    let worker = world.worker(0);
    world.send(Event::Drained(worker));
    world.at(200);
    assert_eq!(world.workers[&worker].last(), Some(&Action::Signal { task: worker, signal: TERM }));
    world.end_worker(worker, Exit::Signal(TERM));
    let fault = Outcome::Fault("its worker closed its output without an answer".into());
    assert_eq!(world.outcomes(), [(JobId(0), 1, fault)]);
}

#[test]
fn a_worker_that_can_not_be_started_fails_the_job_at_once() {
    let mut world = World::new(vec![crew(1)], 2, &[9]);
    let (first, second) = (world.worker(0), world.worker(1));
    let failure = Arc::new(StartFailure { code: 127, why: "not found".into() });
    for worker in [first, second] {
        world.send(Event::NotStarted { task: worker, started: 0, failure: Arc::clone(&failure) });
    }
    assert!(world.finished);
    assert!(world.outcomes().iter().all(|(.., outcome)| *outcome == Outcome::Skipped));
    assert_eq!(world.supervisor.verdict(), Verdict::Code(127));
    assert_eq!(world.supervisor.tally.failed, 1);
}

#[test]
fn ten_workers_without_any_answer_are_enough() {
    let mut world = World::new(vec![crew(1)], 1, &[99]);
    for _ in 0..10 {
        let worker = world.worker(0);
        world.end_worker(worker, Exit::Code(1));
        world.send(Event::Tick(world.now));
    }
    assert!(world.finished);
    let why = "10 workers in a row ended without any answer; the last one exited with 1";
    let told = RunEvent::JobFailed { job: JobId(0), outcome: Outcome::Fault(why.into()) };
    assert!(world.told.contains(&told), "{:?}", world.told);
}

#[test]
fn a_stop_cancels_what_is_with_workers() {
    let mut world = World::new(vec![crew(2)], 1, &[9]);
    let worker = world.worker(0);
    world.send(Event::Signal(INT));
    assert_eq!(world.workers[&worker].last(), Some(&Action::Signal { task: worker, signal: INT }));
    world.end_worker(worker, Exit::Signal(INT));
    assert!(world.finished);
    let cancelled = world.outcomes().iter().filter(|(.., outcome)| *outcome == Outcome::Cancelled).count();
    assert_eq!(cancelled, 2);
    assert_eq!(world.supervisor.verdict(), Verdict::Signal(INT));
}

#[test]
fn a_halt_that_comes_soon_lets_workers_answer() {
    let halt = Halt { now: false, on: HaltOn::Fail, limit: HaltLimit::Count(1) };
    let mut world = World::with(vec![crew(2)], 1, &[9], Some(halt), StatusMode::First);
    let worker = world.worker(0);
    world.answer(worker, 1, Some("no"));
    assert!(!world.workers[&worker].contains(&Action::EndInput { worker }));
    world.answer(worker, 1, None);
    assert_eq!(world.workers[&worker].last(), Some(&Action::EndInput { worker }));
    world.end_worker(worker, Exit::Code(0));
    assert!(world.finished);
    assert_eq!(world.given.len(), 2);
}

#[test]
fn a_task_that_could_not_be_given_leaves_its_worker() {
    let mut world = World::new(vec![crew(2)], 1, &[2]);
    let worker = world.worker(0);
    let task = world.supervisor.next_to_answer(worker).unwrap();
    let failure = Arc::new(StartFailure { code: 126, why: "two lines".into() });
    world.send(Event::NotStarted { task, started: 0, failure: Arc::clone(&failure) });
    assert_eq!(world.oldest(worker), Some(2));
    world.answer(worker, 1, None);
    world.end_worker(worker, Exit::Code(0));
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::NotStarted(failure)), (JobId(0), 2, Outcome::Ok)]);
}

#[test]
fn workers_and_tasks_share_the_runs_pool() {
    let world = World::new(vec![crew(1), job("b")], 3, &[2, 9]);
    assert_eq!((world.workers.len(), world.running.len()), (2, 1));
    let mut reader = crew(1);
    reader.kind = Kind::Reader;
    reader.pool = 2;
    let world = World::new(vec![job("b"), reader], 3, &[9, 9]);
    assert_eq!((world.workers.len(), world.running.len()), (2, 3));
}

#[test]
fn an_idle_worker_gives_its_slot_to_the_job_that_it_waits_for() {
    let mut taker = crew(1);
    taker.items = Items::Of(JobId(0));
    let mut world = World::new(vec![job("a"), taker], 1, &[2, 0]);
    world.code(JobId(0), 1, 0);
    let worker = world.worker(0);
    assert!(world.running.is_empty());
    world.answer(worker, 1, None);
    assert_eq!(world.workers[&worker].last(), Some(&Action::EndInput { worker }));
    world.end_worker(worker, Exit::Code(0));
    world.code(JobId(0), 2, 0);
    assert_eq!(world.oldest(world.worker(0)), Some(2));
}
