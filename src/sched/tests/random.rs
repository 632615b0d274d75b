//! Random sequences of events against random plans.

use proptest::prelude::*;

use super::super::task::Role;
use super::locks::{check_locks, few_locks};
use super::*;
use crate::plan::HookOn;

mod any;
mod steps;

use any::{LISTER, any_jobs, any_throttle, has_lister};
use steps::{Step, drive, settle, step};

/// Runs 10,000 sequences, or more if `PROPTEST_CASES` asks for more, as `scripts/sequences` does.
fn sequences() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.max(10_000), ..usual }
}

proptest! {
    #![proptest_config(sequences())]

    /// In any order of events: pools and locks are kept, no job begins before its conditions hold, no
    /// deadline passes, every task ends exactly once, no task is with two workers, and the run comes to its end.
    #[test]
    fn every_task_ends_once_and_the_run_comes_to_rest(
        jobs in any_jobs(),
        pool in 1..4usize,
        mut items in prop::collection::vec(0..6u64, 4),
        hooks in prop::sample::subsequence(HookOn::ALL.to_vec(), 0..=3),
        throttle in any_throttle(),
        known in prop::collection::vec((0..4usize, 1..6u64).prop_map(|(job, seq)| (JobId(job), seq)), 0..6),
        jobserver in any::<bool>(),
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let jobserver = if jobserver { plan::Jobserver::Client } else { plan::Jobserver::None };
        let queues = vec![queue("q", &[JobId(0), JobId(1)], &[JobId(3)])];
        items.resize(4 + hooks.len(), 0);
        let jobs = jobs.into_iter().chain(hooks.into_iter().map(super::run_hooks::hook_of_run)).collect();
        let plan = Plan { queues, throttle, jobserver, locks: few_locks(), ..plan(jobs, pool) };
        let mut world = World::resumed(plan.clone(), &items, &known);
        for step in steps {
            let before = world.supervisor.slots.in_use();
            drive(&mut world, step);
            check(&world, &plan, before);
        }
        drive(&mut world, Step::Backpressure(false));
        for _ in 0..10_000 {
            if world.finished {
                break;
            }
            settle(&mut world);
        }
        prop_assert!(world.finished, "still running: {:?} {:?}", world.running, world.workers);
        let mut ended: Vec<_> = world.ended.iter().map(|(job, seq, _)| (*job, *seq)).collect();
        let count = ended.len();
        ended.sort();
        ended.dedup();
        prop_assert_eq!(ended.len(), count, "a task ended twice");
        prop_assert_eq!(world.names.values().collect::<BTreeSet<_>>().len(), count);
        prop_assert!(world.supervisor.due().is_none());
        prop_assert!(world.supervisor.tasks.is_empty() && world.supervisor.slots.in_use() == 0);
        prop_assert!(world.workers.is_empty());
        prop_assert_eq!((world.taken, world.wanted), (0, 0));
        // The hooks of the run are not counted.
        world.ended.retain(|(job, ..)| plan.jobs[*job].run_hook().is_none());
        let failed = world.ended.iter().filter(|(.., outcome)| outcome.is_failure()).count();
        let whole = world.told.iter().filter(|event| matches!(event, RunEvent::JobFailed { .. })).count();
        prop_assert_eq!(world.supervisor.tally.failed, (failed + whole) as u64);
        let ok = world.ended.iter().filter(|(.., outcome)| *outcome == Outcome::Ok).count();
        let listed = world.ended.iter().filter(|(job, _, outcome)| *job == LISTER && *outcome == Outcome::Ok).count();
        let met = world.met.iter().filter(|(job, _)| *job != LISTER || !has_lister(&plan)).count();
        let uncounted = if has_lister(&plan) { listed } else { 0 };
        prop_assert_eq!(world.supervisor.tally.ok, (ok + met - uncounted) as u64);
        world.missed_services_are_failures();
        world.met.iter().for_each(|name| assert!(!ended.contains(name), "{name:?} was known, and run"));
    }
}

/// Checks what holds at any time. `before` is how many slots were taken one step earlier.
fn check(world: &World, plan: &Plan, before: usize) {
    let is_last = |job: JobId| plan.jobs[job].run_hook().is_some();
    let of_jobs = world.started.iter().filter(|(job, _)| !is_last(*job)).count();
    if of_jobs < world.started.len() {
        let mut left = world.supervisor.tasks.iter();
        assert!(left.all(|(_, task, _)| is_last(task.job)), "a hook of the run began too early");
        assert!(world.supervisor.tasks.len() <= 1, "they run one after another");
    }
    if let Some(rate) = plan.throttle.rate {
        let lists = |job: JobId| job == LISTER && has_lister(plan);
        let counted = |job: JobId| !is_last(job) && !lists(job);
        let starts = world.started.iter().filter(|(job, _)| counted(*job)).count() + world.given.len();
        let time = world.now.div_duration_f64(rate.interval);
        assert!(starts as f64 <= 3.0 + time, "{starts} starts in {time} intervals");
    }
    check_locks(world, plan);
    let mut slotted = 0;
    let mut processes = vec![0; plan.jobs.len()];
    let mut given: Vec<TaskId> = Vec::new();
    for (_, task, _) in world.supervisor.tasks.iter() {
        let job = &plan.jobs[task.job];
        if let Some(slot) = task.slot {
            assert_eq!(slot.run.is_none(), !job.takes_slots());
            assert!(slot.width <= job.slots && (slot.width == 0) != job.takes_slots());
            slotted += slot.width;
            processes[task.job] += 1;
        }
        assert!(task.attempts <= job.retries.count + 1);
        if let (Role::Worker(crew), Some(worker)) = (&task.role, &job.worker) {
            assert!(crew.given.len() <= worker.ahead);
            assert!(worker.max_tasks.is_none_or(|most| crew.given_in_all <= most));
            given.extend(&crew.given);
        }
    }
    assert!(slotted <= before || world.supervisor.slots.surplus() == 0);
    assert_eq!(slotted, world.supervisor.slots.in_use());
    if let Some(tokens) = &world.supervisor.tokens {
        assert_eq!(tokens.owned(), world.taken);
        let most = plan.jobs.iter().map(|job| job.slots).max().unwrap_or(1);
        assert!(slotted <= (1 + tokens.owned()).max(most), "{slotted} slots with {} tokens", tokens.owned());
    }
    for (job, count) in processes.iter().enumerate() {
        assert!(*count <= plan.jobs[job].pool);
        assert_eq!(*count, world.supervisor.jobs.get(JobId(job)).running);
    }
    let count = given.len();
    given.sort();
    given.dedup();
    assert_eq!(given.len(), count, "a task is with two workers");
}
