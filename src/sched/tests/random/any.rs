//! Any plan: jobs of every kind, in every combination that can be built.

use proptest::prelude::*;

use super::super::locks::few_locks;
use super::super::*;
use crate::event::{LockId, QueueId};
use crate::plan::{Ready, ReadyCheck, Restart};

#[derive(Debug, Clone)]
enum Role {
    Plain,
    /// Takes the items of the job before it.
    Follower,
    /// Reads a queue, and takes no slot.
    Reader {
        daemon: bool,
    },
    /// A daemon that reads nothing.
    Service(Restart),
}

fn any_role() -> impl Strategy<Value = Role> {
    prop_oneof![
        3 => Just(Role::Plain),
        2 => Just(Role::Follower),
        1 => any::<bool>().prop_map(|daemon| Role::Reader { daemon }),
        2 => any_restart().prop_map(Role::Service),
    ]
}

prop_compose! {
    fn any_worker()(ahead in 1..4usize, max_tasks in prop::option::of(1..4u64)) -> plan::Worker {
        plan::Worker { reply: plan::Reply::Line, fail: None, ahead, max_tasks, init: Vec::new() }
    }
}

prop_compose! {
    fn any_job(earlier: usize)(
        pool in 1..3usize,
        timeout in prop::option::of(50..500u64),
        retries in 0..3u32,
        grace in 0..300u64,
        after in prop::collection::vec((0..earlier.max(1), 0..5u8), 0..if earlier == 0 { 1 } else { 3 }),
        role in any_role(),
        worker in prop::option::of(any_worker()),
        (on_success, on_failure, on_exit) in any::<(bool, bool, bool)>(),
        halt in prop::option::weighted(0.1, (any::<bool>(), 1..3u64)),
        (writes, leftovers) in (any::<bool>(), any_leftovers()),
        (rate, ready, locks) in (any_rate(), any_ready(), any_wants()),
        slots in prop_oneof![4 => Just(1), 1 => 2..4usize],
    ) -> plan::Job {
        let mut job = job("j");
        (job.locks, job.slots) = (locks, slots);
        job.pool = pool;
        job.timeout = timeout.map(|limit| match limit {
            400.. => Timeout::OfMedian(limit as f64),
            limit => Timeout::After(ms(limit)),
        });
        job.rate = rate;
        job.leftovers = leftovers;
        job.retries.count = retries;
        job.retries.delay.first = ms(grace);
        job.grace = ms(grace);
        job.worker = worker;
        job.halt = halt.map(|(now, limit)| Halt { now, on: HaltOn::Fail, limit: HaltLimit::Count(limit) });
        let hook = || Box::new(plan::Hook { stage: stage("hook") });
        job.hooks.on_success = on_success.then(hook);
        job.hooks.on_failure = on_failure.then(hook);
        job.hooks.on_exit = on_exit.then(hook);
        if writes {
            job.stages[0].stdout = Output::Queue { queue: QueueId(0), show: false };
        }
        match role {
            Role::Follower if earlier > 0 => job.items = Items::Of(JobId(earlier - 1)),
            Role::Reader { daemon } if daemon && job.worker.is_none() => {
                job.kind = Kind::Daemon(Daemon::Reader);
            }
            Role::Reader { .. } => job.kind = Kind::Reader,
            Role::Service(restart) => {
                (job.kind, job.restart) = (Kind::Daemon(Daemon::Service), restart);
                (job.worker, job.ready) = (None, ready);
            }
            Role::Plain if job.worker.is_none() => job.ready = ready,
            _ => {}
        }
        let mut seen = BTreeSet::new();
        for (other, when) in after {
            if earlier > 0 && seen.insert(other) && !matches!(job.items, Items::Of(_)) {
                let when =
                    [When::Success, When::Failure, When::Exit, When::Ready, When::Ready][when as usize];
                job.after.push(After { job: JobId(other), stage: StageId(0), when });
            }
        }
        job
    }
}

fn any_wants() -> impl Strategy<Value = Vec<plan::LockRequest>> {
    let of = |lock: usize| prop::option::weighted(0.3, 1..=few_locks()[lock].permits);
    (of(0), of(1), of(2)).prop_map(|(one, three, named)| {
        let wants = [one, three, named].into_iter().enumerate();
        wants
            .filter_map(|(lock, permits)| Some(plan::LockRequest { lock: LockId(lock), permits: permits? }))
            .collect()
    })
}

fn any_restart() -> impl Strategy<Value = Restart> {
    prop_oneof![Just(Restart::Never), Just(Restart::OnFailure), Just(Restart::Always)]
}

/// Signs that are seen from outside, and signs by time.
fn any_ready() -> impl Strategy<Value = Option<Ready>> {
    let check = prop_oneof![
        2 => Just(super::super::services::port()),
        1 => (1..300u64).prop_map(|time| ReadyCheck::After(ms(time))),
    ];
    let ready = (check, 1..300u64);
    let every = ms(10);
    prop::option::of(ready.prop_map(move |(check, limit)| Ready { check, timeout: ms(limit), every }))
}

fn any_leftovers() -> impl Strategy<Value = Leftovers> {
    prop_oneof![
        Just(Leftovers::LeaveLast),
        Just(Leftovers::Leave),
        Just(Leftovers::Kill),
        Just(Leftovers::Wait)
    ]
}

fn any_rate() -> impl Strategy<Value = Option<plan::Rate>> {
    prop::option::weighted(0.2, (1..200u64).prop_map(|interval| plan::Rate { interval: ms(interval) }))
}

pub fn any_throttle() -> impl Strategy<Value = Throttle> {
    let gauge = || prop::option::weighted(0.2, Just(()));
    (any_rate(), gauge(), gauge()).prop_map(|(rate, load, memory)| Throttle {
        pool_file: None,
        rate,
        load: load.map(|()| 2.0),
        memory_free: memory.map(|()| 100),
    })
}

pub fn any_jobs() -> impl Strategy<Value = Vec<plan::Job>> {
    let lists = prop::bool::weighted(0.2);
    (any_job(0), any_job(1), any_job(2), any_job(3), lists).prop_map(|(mut a, mut b, c, d, lists)| {
        if lists && !matches!(b.items, Items::Of(_)) {
            a = plan::Job {
                kind: Kind::Lister(None),
                grace: a.grace,
                leftovers: a.leftovers,
                ..job("lister")
            };
            a.stages[0].stdout = Output::Queue { queue: QueueId(0), show: false };
            (b.lister, b.after) = (Some(LISTER), Vec::new());
        }
        vec![a, b, c, d]
    })
}

/// The job that may list the items of the second.
pub const LISTER: JobId = JobId(0);

pub fn has_lister(plan: &Plan) -> bool {
    plan.jobs[1].lister.is_some()
}
