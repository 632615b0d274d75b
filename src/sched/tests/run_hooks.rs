//! The end of the run, and the hooks of the run.

use super::*;
use crate::event::StartFailure;
use crate::plan::HookOn;

/// A job, and all three hooks of the run behind it: 1, 2 and 3.
const SUCCESS: JobId = JobId(1);
const FAILURE: JobId = JobId(2);
const EXIT: JobId = JobId(3);

fn with_hooks(first: plan::Job) -> Vec<plan::Job> {
    std::iter::once(first).chain(HookOn::ALL.map(hook_of_run)).collect()
}

pub fn hook_of_run(at: HookOn) -> plan::Job {
    let mut job = job(at.key());
    (job.kind, job.grace) = (Kind::RunHook(at), ms(1000));
    job
}

fn world(items: u64) -> World {
    World::new(with_hooks(job("a")), 2, &[items, 0, 0, 0])
}

/// Returns the jobs whose tasks have started, in order.
fn begun(world: &World) -> Vec<JobId> {
    world.started.iter().map(|(job, _)| *job).collect()
}

/// Returns how many tasks the summary counts, once it was told.
fn counts(world: &World) -> Option<u64> {
    let count = |event: &RunEvent| match event {
        RunEvent::RunEnded(summary) => {
            Some(summary.ok + summary.failed + summary.cancelled + summary.skipped)
        }
        _ => None,
    };
    world.told.iter().find_map(count)
}

#[test]
fn they_begin_one_after_another_when_all_jobs_have_ended() {
    let mut world = world(2);
    world.code(JobId(0), 1, 0);
    assert_eq!((begun(&world), counts(&world)), (vec![JobId(0), JobId(0)], None));
    world.code(JobId(0), 2, 0);
    assert_eq!((begun(&world), counts(&world)), (vec![JobId(0), JobId(0), SUCCESS], Some(2)));
    assert!(!world.finished);
    world.code(SUCCESS, 1, 0);
    assert_eq!(begun(&world), [JobId(0), JobId(0), SUCCESS, EXIT]);
    world.code(EXIT, 1, 0);
    assert!(world.finished);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(0));
    let about_hooks = |event: &RunEvent| match event {
        RunEvent::JobEnded { job, .. } | RunEvent::JobTotal { job, .. } => *job > JobId(0),
        _ => false,
    };
    assert!(!world.told.iter().any(about_hooks), "they are no jobs for people: {:?}", world.told);
}

#[test]
fn after_a_failure_it_is_the_other_one() {
    let mut world = world(2);
    world.code(JobId(0), 1, 3);
    world.code(JobId(0), 2, 0);
    assert_eq!(begun(&world), [JobId(0), JobId(0), FAILURE]);
    world.code(FAILURE, 1, 0);
    world.code(EXIT, 1, 9);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(3), "the tasks' own says more");
    assert!(world.told.contains(&RunEvent::LastFailed("the run's `on_exit` command exited with 9".into())));
}

#[test]
fn a_failure_of_theirs_counts_and_stops_nothing() {
    let mut world = world(1);
    world.code(JobId(0), 1, 0);
    let failure = Arc::new(StartFailure { code: 127, why: "`no`: not found".into() });
    let task = world.task(SUCCESS, 1);
    world.send(Event::NotStarted { task, started: 0, failure });
    let told = "the run's `on_success` command could not be started: `no`: not found";
    assert!(world.told.contains(&RunEvent::LastFailed(told.into())), "{:?}", world.told);
    world.code(EXIT, 1, 0);
    assert_eq!(world.supervisor.verdict(), Verdict::Code(1));
}

#[test]
fn a_halt_by_success_is_success_and_one_by_failure_is_none() {
    for (on, code, hook) in [(HaltOn::Success, 0, SUCCESS), (HaltOn::Fail, 7, FAILURE)] {
        for now in [true, false] {
            let halt = Halt { now, on, limit: HaltLimit::Count(1) };
            let jobs = with_hooks(job("a"));
            let mut world = World::with(jobs, 2, &[9, 0, 0, 0], Some(halt), StatusMode::First);
            world.code(JobId(0), 1, code);
            world.exit(JobId(0), 2, Exit::Signal(TERM));
            assert_eq!(begun(&world), [JobId(0), JobId(0), hook], "{on:?} {now}");
            assert_eq!(world.supervisor.due(), None, "nobody is in a hurry");
            world.code(hook, 1, 0);
            world.code(EXIT, 1, 0);
            assert!(world.finished);
        }
    }
}

#[test]
fn after_a_signal_they_have_the_grace_together() {
    let mut world = world(2);
    world.code(JobId(0), 1, 5);
    world.now = ms(100);
    world.send(Event::Signal(TERM));
    world.now = ms(200);
    world.exit(JobId(0), 2, Exit::Signal(TERM));
    assert_eq!(begun(&world), [JobId(0), JobId(0), FAILURE]);
    world.now = ms(900);
    world.code(FAILURE, 1, 0);
    world.at(1199);
    let task = world.task(EXIT, 1);
    assert_eq!(world.running[&task], []);
    world.at(1200);
    assert_eq!(world.running[&task], [Action::Kill { task }]);
    world.exit(EXIT, 1, Exit::Signal(9));
    assert!(world.finished);
    assert_eq!(world.supervisor.verdict(), Verdict::Signal(TERM));
}

#[test]
fn after_a_signal_alone_nothing_has_failed() {
    let mut world = world(1);
    world.send(Event::Signal(INT));
    world.exit(JobId(0), 1, Exit::Signal(INT));
    assert_eq!(begun(&world), [JobId(0), EXIT]);
    world.code(EXIT, 1, 0);
    assert_eq!(world.supervisor.verdict(), Verdict::Signal(INT));
}

#[test]
fn a_signal_goes_to_the_one_that_runs_and_a_second_ends_it_all() {
    let mut world = world(1);
    world.code(JobId(0), 1, 0);
    world.send(Event::Signal(TERM));
    let task = world.task(SUCCESS, 1);
    assert_eq!(world.running[&task], [Action::Signal { task, signal: TERM }]);
    world.send(Event::Signal(TERM));
    assert_eq!(world.running[&task].last(), Some(&Action::Kill { task }));
    world.exit(SUCCESS, 1, Exit::Signal(9));
    assert!(world.finished, "nothing begins any more");
    assert_eq!(begun(&world), [JobId(0), SUCCESS]);
    assert_eq!(world.supervisor.verdict(), Verdict::Signal(TERM));
}

#[test]
fn a_second_signal_before_them_lets_none_begin() {
    let mut world = world(1);
    world.send(Event::Signal(TERM));
    world.send(Event::Signal(TERM));
    world.exit(JobId(0), 1, Exit::Signal(9));
    assert!(world.finished);
    assert_eq!(begun(&world), [JobId(0)]);
}

#[test]
fn nothing_that_holds_others_back_holds_them() {
    let mut world = World::of(
        Plan {
            throttle: plan::Throttle { load: Some(0.0), ..plan::Throttle::default() },
            ..plan(with_hooks(job("a")), 1)
        },
        &[0, 0, 0, 0],
    );
    assert_eq!(begun(&world), [SUCCESS], "also of a run without tasks");
    world.code(SUCCESS, 1, 0);
    world.code(EXIT, 1, 0);
    assert!(world.finished);
}

#[test]
fn one_that_is_short_is_tried_again_unless_there_is_no_time() {
    let failure = || Arc::new(StartFailure { code: 126, why: "no room".into() });
    let short = |task| Event::Shortage {
        task,
        started: 0,
        shortage: crate::event::Shortage::Processes,
        failure: failure(),
    };
    let mut patient = world(1);
    patient.code(JobId(0), 1, 0);
    patient.send(short(patient.task(SUCCESS, 1)));
    patient.at(50);
    patient.code(SUCCESS, 1, 0);
    patient.code(EXIT, 1, 0);
    assert!(patient.finished);

    let mut hurried = world(1);
    hurried.send(Event::Signal(TERM));
    hurried.exit(JobId(0), 1, Exit::Signal(TERM));
    hurried.send(short(hurried.task(EXIT, 1)));
    assert!(hurried.finished);
    let told = "the run's `on_exit` command could not be started: no room";
    assert!(hurried.told.contains(&RunEvent::LastFailed(told.into())), "{:?}", hurried.told);
}

#[test]
fn a_single_task_is_live_as_without_them() {
    let mut world = world(1);
    assert_eq!(world.live, Some(world.task(JobId(0), 1)));
    world.code(JobId(0), 1, 0);
    world.code(SUCCESS, 1, 0);
    world.code(EXIT, 1, 0);
    let mut items = World::new(with_hooks(job("a")), 1, &[5, 0, 0, 0]);
    assert_eq!(items.live, Some(items.task(JobId(0), 1)), "one at a time");
    items.send(Event::Signal(TERM));
}

#[test]
fn they_wait_until_all_is_written_but_a_signal_does_not() {
    let begin = || {
        let mut supervisor = Supervisor::new(Arc::new(plan(with_hooks(job("a")), 1)));
        let mut actions = Vec::new();
        supervisor.handle(Time::ZERO, Event::Begin, &mut actions);
        supervisor.handle(Time::ZERO, Event::NoMoreItems(JobId(0)), &mut actions);
        (supervisor, actions)
    };
    let starts =
        |actions: &[Action]| actions.iter().filter(|action| matches!(action, Action::Start { .. })).count();
    let (mut supervisor, mut actions) = begin();
    assert_eq!((actions.last(), starts(&actions)), (Some(&Action::FlushOutput), 0));
    supervisor.handle(Time::ZERO, Event::OutputFlushed, &mut actions);
    assert_eq!(starts(&actions), 1);

    let (mut supervisor, mut actions) = begin();
    supervisor.handle(Time::ZERO, Event::Signal(TERM), &mut actions);
    assert_eq!(starts(&actions), 1);
    supervisor.handle(Time::ZERO, Event::OutputFlushed, &mut actions);
    assert_eq!(starts(&actions), 1, "once");

    // Output that could not be written makes a failure of the run.
    let (mut supervisor, mut actions) = begin();
    supervisor.handle(Time::ZERO, Event::Broken("full".into()), &mut actions);
    let started = actions.iter().find_map(|action| match action {
        Action::Start { task, .. } => Some(supervisor.task(*task).0),
        _ => None,
    });
    assert_eq!((started, supervisor.verdict()), (Some(FAILURE), Verdict::Code(125)));
}
