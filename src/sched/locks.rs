//! Locks: named counting semaphores. A task takes all permits that it wants, or none, at the moment of its
//! start. Pure.
//!
//! All tasks of a job want the same permits, so jobs wait, not tasks. A job that could start but for its
//! locks is parked: it draws a ticket, joins the line of each lock that it wants, and is looked at again only
//! when permits of one of them come back. While it stands in a line, no later job takes permits of that lock,
//! even if there are enough for the later one: otherwise a task that wants many permits would never get them
//! among tasks that want one. When the first job of a line can have all that it wants, the permits are
//! promised to it, and it leaves its lines; it starts when a slot is free.
//!
//! No deadlock is possible: nobody holds anything while it waits, and the oldest ticket is the first in all
//! of its lines. An event costs a few look-ups in ordered sets, however many jobs wait.
//!
//! A task holds its permits as long as its slot: also during its hooks, but not between attempts.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::task::TaskId;
use super::{JobId, Supervisor};
use crate::plan::template::LockValue;
use crate::plan::{self, LockId, LockRequest, Plan};

#[derive(Debug)]
pub struct Locks {
    locks: Vec<Lock>,
    /// For each job, its ticket; empty if no job takes a lock.
    tickets: Vec<Option<Ticket>>,
    last_ticket: u64,
    /// How many jobs stand in lines.
    kept_waiting: usize,
    /// Permits with names that tasks and workers hold.
    named: HashMap<TaskId, Named>,
}

#[derive(Debug)]
struct Lock {
    /// Permits that nobody has taken.
    free: usize,
    /// How many of those are promised to jobs that left the line.
    promised: usize,
    /// Jobs that are parked, by ticket.
    line: BTreeSet<(u64, JobId)>,
    /// Numbers of the named permits that nobody has; empty if the permits have no names.
    names: BTreeSet<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Ticket {
    number: u64,
    /// True if all that the job wants is promised to it; it stands in no line.
    promised: bool,
}

#[derive(Debug)]
struct Named {
    numbers: Vec<(LockId, usize)>,
    held: Arc<[LockValue]>,
}

/// A job that a lock keeps waiting.
pub(super) struct LockWaiter {
    pub job: JobId,
    /// The lock that it waits for, in words that follow a subject: "waits for lock `x`".
    pub what: String,
}

impl Locks {
    pub fn new(plan: &Plan) -> Locks {
        let lock = |lock: &plan::Lock| Lock {
            free: lock.permits,
            promised: 0,
            line: BTreeSet::new(),
            names: (0..lock.values.len()).collect(),
        };
        let none_wanted = plan.jobs.iter().all(|job| job.locks.is_empty());
        Locks {
            locks: plan.locks.iter().map(lock).collect(),
            tickets: if none_wanted { Vec::new() } else { vec![None; plan.jobs.len()] },
            last_ticket: 0,
            kept_waiting: 0,
            named: HashMap::new(),
        }
    }

    fn is_parked(&self, job: JobId) -> bool {
        matches!(self.tickets.get(job.index()), Some(Some(Ticket { promised: false, .. })))
    }

    /// True if any job takes a lock.
    pub fn are_in_use(&self) -> bool {
        !self.tickets.is_empty()
    }

    /// True if a job waits for nothing but locks.
    pub fn keep_waiting(&self) -> bool {
        self.kept_waiting > 0
    }

    /// True if some job waits for one of these locks.
    pub fn are_wanted(&self, wants: &[LockRequest]) -> bool {
        wants.iter().any(|want| !self.locks[want.lock].line.is_empty())
    }

    /// Returns the parked jobs, oldest ticket first.
    fn parked(&self) -> Vec<JobId> {
        let in_line = self.locks.iter().flat_map(|lock| &lock.line).copied();
        in_line.collect::<BTreeSet<_>>().into_iter().map(|(_, job)| job).collect()
    }

    /// True if there are enough permits, whoever waits for them.
    fn are_there(&self, wants: &[LockRequest]) -> bool {
        wants.iter().all(|want| want.permits <= self.locks[want.lock].free)
    }

    /// True if the job may take its permits now.
    fn may_take(&self, job: JobId, wants: &[LockRequest]) -> bool {
        if self.tickets[job].is_some() {
            return self.are_there(wants);
        }
        wants.iter().all(|want| {
            let lock = &self.locks[want.lock];
            lock.line.is_empty() && want.permits <= lock.free.saturating_sub(lock.promised)
        })
    }

    /// Puts the job into its lines, with the ticket that it has or a new one.
    fn park(&mut self, job: JobId, plan: &plan::Job) {
        let number = match self.tickets[job] {
            Some(ticket) => {
                self.end_promise(ticket, &plan.locks);
                ticket.number
            }
            None => {
                self.last_ticket += 1;
                self.last_ticket
            }
        };
        self.tickets[job] = Some(Ticket { number, promised: false });
        for want in &plan.locks {
            self.locks[want.lock].line.insert((number, job));
        }
        self.kept_waiting += 1;
    }

    fn end_promise(&mut self, ticket: Ticket, wants: &[LockRequest]) {
        for want in wants.iter().filter(|_| ticket.promised) {
            self.locks[want.lock].promised -= want.permits;
        }
    }

    /// Takes the job out of its lines, and promises it what it wants.
    fn promise(&mut self, job: JobId, plan: &plan::Job) {
        self.leave(job, plan);
        if let Some(ticket) = &mut self.tickets[job] {
            ticket.promised = true;
        }
        for want in &plan.locks {
            self.locks[want.lock].promised += want.permits;
        }
    }

    fn leave(&mut self, job: JobId, plan: &plan::Job) {
        let Some(ticket) = self.tickets[job].filter(|ticket| !ticket.promised) else { return };
        for want in &plan.locks {
            self.locks[want.lock].line.remove(&(ticket.number, job));
        }
        self.kept_waiting -= 1;
    }

    /// These locks have changed. Promises permits to jobs that can have all that they want now, and returns
    /// those jobs.
    fn wake(&mut self, plan: &Plan, mut changed: Vec<LockId>) -> Vec<JobId> {
        let mut woken = Vec::new();
        while let Some(lock) = changed.pop() {
            while let Some(&(number, job)) = self.locks[lock].line.first() {
                let wants = &plan.jobs[job].locks;
                let can = wants.iter().all(|want| {
                    let lock = &self.locks[want.lock];
                    lock.line.first() == Some(&(number, job))
                        && want.permits <= lock.free.saturating_sub(lock.promised)
                });
                if !can {
                    break;
                }
                self.promise(job, &plan.jobs[job]);
                woken.push(job);
                // Another job is the first of its other lines now.
                changed.extend(wants.iter().map(|want| want.lock).filter(|other| *other != lock));
            }
        }
        woken
    }

    /// Promises all permits that can be had at once, whoever came first. Returns the jobs that get them.
    fn promise_out_of_order(&mut self, plan: &Plan) -> Vec<JobId> {
        let mut left: Vec<usize> = self.locks.iter().map(|lock| lock.free).collect();
        let mut lifted = self.parked();
        lifted.retain(|job| {
            let wants = &plan.jobs[*job].locks;
            let can = wants.iter().all(|want| want.permits <= left[want.lock]);
            wants.iter().filter(|_| can).for_each(|want| left[want.lock] -= want.permits);
            can
        });
        lifted.iter().for_each(|job| self.promise(*job, &plan.jobs[*job]));
        lifted
    }

    fn take(&mut self, id: TaskId, job: JobId, plan: &Plan) {
        let wants = &plan.jobs[job].locks;
        if let Some(ticket) = self.tickets[job].take() {
            self.end_promise(ticket, wants);
        }
        let mut numbers = Vec::new();
        let mut held = Vec::new();
        for want in wants {
            let lock = &mut self.locks[want.lock];
            lock.free -= want.permits;
            let of = &plan.locks[want.lock];
            if !of.values.is_empty() {
                let lowest: Vec<usize> =
                    std::iter::from_fn(|| lock.names.pop_first()).take(want.permits).collect();
                held.push(LockValue::new(of, lowest.iter().copied()));
                numbers.extend(lowest.into_iter().map(|number| (want.lock, number)));
            }
        }
        if !held.is_empty() {
            self.named.insert(id, Named { numbers, held: held.into() });
        }
    }

    fn give_back(&mut self, id: TaskId, wants: &[LockRequest]) {
        for want in wants {
            self.locks[want.lock].free += want.permits;
        }
        if let Some(named) = self.named.remove(&id) {
            for (lock, number) in named.numbers {
                self.locks[lock].names.insert(number);
            }
        }
    }
}

impl Supervisor {
    /// Returns the names of the permits that a task or a worker holds, if they have names.
    pub fn permits_of(&self, id: TaskId) -> Option<Arc<[LockValue]>> {
        self.locks.named.get(&id).map(|named| Arc::clone(&named.held))
    }

    /// Notes whether a job could start something. Its ticket is valid only while it can. A job that waits
    /// for a service to come back can't.
    pub(super) fn set_startable(&mut self, job: JobId, can: bool) {
        let can = can && self.jobs.get(job).held == 0;
        let rank = self.jobs.order.rank(job);
        let slotless = !self.plan.jobs[job].takes_slots();
        if self.plan.jobs[job].locks.is_empty() {
            return self.startable.set(rank, slotless, can);
        }
        self.startable.set(rank, slotless, can && !self.locks.is_parked(job));
        if !can && let Some(ticket) = self.locks.tickets[job] {
            let plan = Arc::clone(&self.plan);
            self.locks.leave(job, &plan.jobs[job]);
            self.locks.end_promise(ticket, &plan.jobs[job].locks);
            self.locks.tickets[job] = None;
            self.wake_waiting(job, &plan);
        }
    }

    fn wake_waiting(&mut self, job: JobId, plan: &Plan) {
        let changed = plan.jobs[job].locks.iter().map(|want| want.lock).collect();
        let woken = self.locks.wake(plan, changed);
        self.unpark(&woken);
    }

    fn unpark(&mut self, jobs: &[JobId]) {
        for &job in jobs {
            self.startable.set(self.jobs.order.rank(job), !self.plan.jobs[job].takes_slots(), true);
        }
    }

    /// True if a job that could start has its locks. If not, the job is parked, and counts as one that could
    /// not start.
    pub(super) fn may_lock(&mut self, job: JobId) -> bool {
        let plan = &self.plan.jobs[job];
        if plan.locks.is_empty() || self.locks.may_take(job, &plan.locks) {
            return true;
        }
        self.locks.park(job, plan);
        self.startable.set(self.jobs.order.rank(job), !plan.takes_slots(), false);
        false
    }

    /// Takes the permits of a task or worker. Call it when its slot is taken.
    pub(super) fn take_locks(&mut self, id: TaskId, job: JobId) {
        if !self.plan.jobs[job].locks.is_empty() {
            self.locks.take(id, job, &self.plan);
        }
    }

    /// Gives them back. Call it when the slot is given back.
    pub(super) fn give_back_locks(&mut self, id: TaskId, job: JobId) {
        if !self.plan.jobs[job].locks.is_empty() {
            let plan = Arc::clone(&self.plan);
            self.locks.give_back(id, &plan.jobs[job].locks);
            self.wake_waiting(job, &plan);
        }
    }

    /// Nothing can go on: lets jobs start that wait only because another came first. Returns true if one of
    /// them can start now.
    pub(super) fn let_overtake(&mut self) -> bool {
        let plan = Arc::clone(&self.plan);
        let lifted = self.locks.promise_out_of_order(&plan);
        self.unpark(&lifted);
        !lifted.is_empty() && self.could_start()
    }

    /// Returns the first job that a lock keeps waiting; daemons come last.
    pub(super) fn first_lock_waiter(&self) -> Option<LockWaiter> {
        let parked = self.locks.parked();
        let job = *parked.iter().find(|job| !self.plan.jobs[**job].is_daemon()).or(parked.first())?;
        let wants = &self.plan.jobs[job].locks;
        let lacks = |want: &&LockRequest| want.permits > self.locks.locks[want.lock].free;
        let lock = wants.iter().find(lacks).or(wants.first())?.lock;
        let name = &self.plan.locks[lock].name;
        let holds = |job: JobId| self.plan.jobs[job].locks.iter().any(|want| want.lock == lock);
        let holders: BTreeSet<JobId> = self
            .tasks
            .iter()
            .filter(|(_, task, _)| task.slot.is_some())
            .map(|(_, task, _)| task.job)
            .collect();
        let mut holders = holders.into_iter().filter(|job| holds(*job)).map(|holder| {
            let plan = &self.plan.jobs[holder];
            format!("{}`{}`", if plan.is_daemon() { "daemon " } else { "" }, plan.name)
        });
        let what = match (holders.next(), holders.next()) {
            (Some(holder), None) => format!("waits for lock `{name}`, which {holder} holds"),
            (Some(one), Some(other)) => format!("waits for lock `{name}`, which {one} and {other} hold"),
            (None, _) => format!("waits for lock `{name}`"),
        };
        Some(LockWaiter { job, what })
    }
}
