//! The order of starts and ends, conditions of `after`, and the exit status.

use super::*;

#[test]
fn a_pool_is_kept_full_in_the_order_of_items() {
    let mut world = World::new(vec![job("a")], 2, &[3]);
    assert_eq!(world.started, [(JobId(0), 1), (JobId(0), 2)]);
    world.code(JobId(0), 2, 0);
    assert_eq!(world.started.last(), Some(&(JobId(0), 3)));
    world.code(JobId(0), 1, 0);
    world.code(JobId(0), 3, 0);
    assert!(world.finished);
    assert_eq!(world.most_at_once, 2);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(0));
}

#[test]
fn a_job_has_a_pool_within_the_runs() {
    let mut one = job("one");
    one.pool = 1;
    let world = World::new(vec![one, job("b")], 3, &[5, 5]);
    assert_eq!(world.started, [(JobId(0), 1), (JobId(1), 1), (JobId(1), 2)]);
}

#[test]
fn one_task_at_a_time_has_the_terminal() {
    let (mut a, mut b) = (job("a"), job("b"));
    (a.interactive, b.interactive) = (true, true);
    let mut world = World::new(vec![a, b, job("c")], 9, &[2, 1, 1]);
    assert_eq!(world.started, [(JobId(0), 1), (JobId(2), 1)]);
    world.code(JobId(0), 1, 0);
    assert_eq!(world.started.last(), Some(&(JobId(0), 2)));
    world.code(JobId(0), 2, 0);
    assert_eq!(world.started.last(), Some(&(JobId(1), 1)));
    world.code(JobId(1), 1, 0);
    world.code(JobId(2), 1, 0);
    assert!(world.finished);
}

#[test]
fn the_status_is_that_of_the_first_failure_in_order_not_in_time() {
    let mut world = World::new(vec![job("a"), job("b")], 9, &[2, 1]);
    world.code(JobId(1), 1, 9);
    world.code(JobId(0), 2, 3);
    world.code(JobId(0), 1, 0);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(3));
}

#[test]
fn exited_is_not_drained() {
    let mut world = World::new(vec![job("a")], 1, &[1]);
    let task = world.task(JobId(0), 1);
    world.send(Event::Exited { task, stage: StageId(0), exit: Exit::Code(0) });
    assert!(world.ended.is_empty(), "its output is not at its end");
    world.at(199);
    assert!(world.ended.is_empty());
    world.at(200);
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Ok)], "a leftover does not hold it for ever");
    assert!(world.finished);
}

#[test]
fn retries_come_after_their_delay_and_the_last_outcome_counts() {
    let mut a = job("a");
    a.retries.count = 2;
    a.retries.delay = RetryDelay { first: ms(100), factor: 2.0, max: ms(1000), jitter: false };
    let mut world = World::new(vec![a], 1, &[1]);
    world.code(JobId(0), 1, 7);
    assert!(world.running.is_empty());
    world.at(99);
    assert!(world.running.is_empty());
    world.at(100);
    world.code(JobId(0), 1, 7);
    world.at(299);
    assert!(world.running.is_empty());
    world.at(300);
    world.code(JobId(0), 1, 8);
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::Failed(8))]);
    assert_eq!(world.started.len(), 3);
}

#[test]
fn a_retry_gives_its_slot_back() {
    let mut a = job("a");
    a.retries.count = 1;
    a.retries.delay.first = ms(1000);
    let mut world = World::new(vec![a], 1, &[2]);
    world.code(JobId(0), 1, 1);
    assert_eq!(world.started, [(JobId(0), 1), (JobId(0), 2)]);
}

#[test]
fn what_could_not_be_executed_is_not_tried_again() {
    let mut a = job("a");
    a.retries.count = 3;
    let mut world = World::new(vec![a], 1, &[1]);
    let failure = Arc::new(StartFailure { code: 127, why: "not found".into() });
    let task = world.task(JobId(0), 1);
    world.send(Event::NotStarted { task, started: 0, failure: Arc::clone(&failure) });
    assert_eq!(world.outcomes(), [(JobId(0), 1, Outcome::NotStarted(failure))]);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(127));
}

#[test]
fn after_opens_when_all_conditions_hold_and_skips_when_one_cannot() {
    let after = |job, when| After { job, stage: StageId(0), when };
    let (mut on_ok, mut on_failure, mut on_exit, mut chain) = (job("c"), job("d"), job("e"), job("f"));
    on_ok.after = vec![after(JobId(0), When::Success), after(JobId(1), When::Success)];
    on_failure.after = vec![after(JobId(1), When::Failure)];
    on_exit.after = vec![after(JobId(2), When::Exit)];
    chain.after = vec![after(JobId(2), When::Failure)];
    let jobs = vec![job("a"), job("b"), on_ok, on_failure, on_exit, chain];
    let mut world = World::new(jobs, 9, &[1; 6]);
    assert_eq!(world.started, [(JobId(0), 1), (JobId(1), 1)]);
    world.code(JobId(0), 1, 0);
    assert_eq!(world.started.len(), 2);
    world.code(JobId(1), 1, 1);
    assert_eq!(world.skipped(), [JobId(2)]);
    let mut more = world.started[2..].to_vec();
    more.sort();
    assert_eq!(
        more,
        [(JobId(3), 1), (JobId(4), 1), (JobId(5), 1)],
        "skipped because of a failure counts as a failure"
    );
}

#[test]
fn a_condition_on_the_middle_of_a_pipeline_asks_for_that_stage() {
    let mut pipe = job("p");
    pipe.stages = vec![stage("first"), stage("p")];
    let after = |stage, when| vec![After { job: JobId(0), stage, when }];
    let (mut first_ok, mut whole_ok) = (job("x"), job("y"));
    first_ok.after = after(StageId(0), When::Success);
    whole_ok.after = after(StageId(1), When::Success);
    let mut world = World::new(vec![pipe, first_ok, whole_ok], 9, &[1; 3]);
    let task = world.task(JobId(0), 1);
    world.send(Event::Exited { task, stage: StageId(0), exit: Exit::Code(0) });
    world.send(Event::Exited { task, stage: StageId(1), exit: Exit::Code(4) });
    world.send(Event::Drained(task));
    assert_eq!(world.started.last(), Some(&(JobId(1), 1)));
    assert_eq!(world.skipped(), [JobId(2)]);
}

#[test]
fn the_last_task_and_the_only_one_flow_live() {
    let mut world = World::new(vec![job("a")], 2, &[2]);
    assert_eq!(world.live, None);
    world.code(JobId(0), 1, 0);
    assert_eq!(world.live, Some(world.task(JobId(0), 2)));

    let world = World::new(vec![job("a")], 1, &[9]);
    assert_eq!(world.live, Some(world.task(JobId(0), 1)), "with a pool of one nothing else can print");

    let mut retried = job("a");
    retried.retries.count = 1;
    let world = World::new(vec![retried], 2, &[1]);
    assert_eq!(world.live, None, "another attempt may follow");
}

#[test]
fn nothing_starts_while_output_is_held() {
    let mut world = World::new(vec![job("a")], 1, &[2]);
    world.send(Event::Backpressure(true));
    world.code(JobId(0), 1, 0);
    assert_eq!(world.started.len(), 1);
    let mut actions = Vec::new();
    world.supervisor.handle(world.now, Event::Backpressure(false), &mut actions);
    assert!(actions.iter().any(|action| matches!(action, Action::Start { .. })));
}

#[test]
fn what_ended_ok_in_an_earlier_run_counts_and_is_not_run() {
    let plan = plan(vec![job("a")], 2);
    let mut world = World::resumed(plan.clone(), &[5], &[(JobId(0), 1), (JobId(0), 2), (JobId(0), 4)]);
    assert_eq!(world.started, [(JobId(0), 3), (JobId(0), 5)], "numbers go on");
    world.code(JobId(0), 3, 7);
    world.code(JobId(0), 5, 0);
    assert_eq!((world.supervisor.tally.ok, world.supervisor.tally.failed), (4, 1));
    assert!(world.told.contains(&RunEvent::JobTotal { job: JobId(0), total: 5 }), "{:?}", world.told);

    let all: Vec<_> = (1..=5).map(|seq| (JobId(0), seq)).collect();
    let world = World::resumed(plan, &[5], &all);
    assert!(world.finished && world.started.is_empty());
    assert!(world.told.contains(&RunEvent::JobEnded { job: JobId(0), outcome: Outcome::Ok, tasks: 5 }));
    assert_eq!(world.supervisor.verdict(), Verdict::Code(0));
}

#[test]
fn what_ended_ok_in_an_earlier_run_triggers_no_halt_and_lets_others_begin() {
    let (mut taker, mut after) = (job("b"), job("c"));
    taker.items = Items::Of(JobId(0));
    after.after = vec![After { job: JobId(0), stage: StageId(0), when: When::Success }];
    let mut plan = plan(vec![job("a"), taker, after], 1);
    plan.halt = Some(Halt { now: true, on: HaltOn::Success, limit: HaltLimit::Count(1) });
    let mut world = World::resumed(plan, &[2, 0, 1], &[(JobId(0), 1), (JobId(0), 2), (JobId(1), 1)]);
    assert_eq!(world.started, [(JobId(1), 2)], "of the taker's items the first is known, too");
    world.code(JobId(1), 2, 1);
    assert_eq!(world.started.last(), Some(&(JobId(2), 1)));
}

#[test]
fn who_waits_for_a_job_finds_its_files_complete() {
    let mut writer = job("w");
    let path = Template::literal(b"f");
    writer.stages[0].stdout = Output::File { path, append: false, show: false, per_task: false };
    let mut reader = job("r");
    reader.after = vec![After { job: JobId(0), stage: StageId(0), when: When::Success }];
    let mut world = World::new(vec![writer, reader], 1, &[1, 1]);
    let task = world.task(JobId(0), 1);
    let mut actions = Vec::new();
    world.supervisor.handle(world.now, Event::Drained(task), &mut actions);
    world.supervisor.handle(
        world.now,
        Event::Exited { task, stage: StageId(0), exit: Exit::Code(0) },
        &mut actions,
    );
    assert!(actions.contains(&Action::FlushFiles(JobId(0))));
    let begins = |actions: &[Action]| {
        actions.iter().any(|action| matches!(action, Action::Pull { job: JobId(1), .. }))
    };
    assert!(!begins(&actions));
    world.supervisor.handle(world.now, Event::FilesFlushed(JobId(0)), &mut actions);
    assert!(begins(&actions));
}

#[test]
fn who_waits_for_success_is_skipped_at_the_first_failure() {
    let mut waiter = job("s");
    waiter.after = vec![After { job: JobId(0), stage: StageId(0), when: When::Success }];
    let mut other = job("x");
    other.after = vec![After { job: JobId(1), stage: StageId(0), when: When::Exit }];
    let a = plan::Job { items: Items::Repeat(2), ..job("a") };
    let mut world = World::new(vec![a, waiter, other], 3, &[2, 1, 1]);
    world.code(JobId(0), 1, 5);
    assert!(
        world.told.contains(&RunEvent::JobSkipped { job: JobId(1), why: "`a` failed".into(), fails: false }),
        "{:?}",
        world.told
    );
    assert!(world.started.contains(&(JobId(2), 1)), "what waits for the end of that need not wait longer");
    world.code(JobId(0), 2, 0);
    world.code(JobId(2), 1, 0);
    assert!(world.finished);
}
