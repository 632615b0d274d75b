//! Locks: named counting semaphores, of which a task takes all that it wants, or nothing, at the moment of its start.
//! Pure.
//!
//! All tasks of a job want the same, so it is jobs that wait. A job that could start but for its locks is parked: it
//! draws a ticket, stands in the line of each lock that it wants, and is looked at again only when permits of one of
//! them come back. While it stands there nobody who came later takes permits of these locks, also where there are
//! enough for that one: or else a task that wants many would never get them among those that want one. When the first
//! of a line can have all that it wants, that is promised to it, and it leaves the lines; it starts when a slot is
//! free. Nobody holds anything while it waits, and the oldest ticket is the first in all of its lines, so that no two
//! can wait for each other. So each event costs no more than a few looks into ordered sets, however many jobs wait.
//!
//! What a task took it holds as long as its slot: also during its hook, and not between attempts.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::task::TaskId;
use super::{JobId, Supervisor};
use crate::plan::template::Held;
use crate::plan::{self, LockId, Plan, Want};

#[derive(Debug)]
pub struct Locks {
    locks: Vec<Lock>,
    /// By job; empty if no job takes a lock.
    tickets: Vec<Option<Ticket>>,
    last_ticket: u64,
    /// Jobs in a line.
    kept_waiting: usize,
    /// What tasks and workers took of locks whose permits have names.
    named: HashMap<TaskId, Named>,
}

#[derive(Debug)]
struct Lock {
    /// Taken by nobody.
    free: usize,
    /// Of these: kept for jobs that left the line.
    promised: usize,
    /// Jobs that are parked, by ticket.
    line: BTreeSet<(u64, JobId)>,
    /// Names of permits that nobody has, by their number; empty if they have none.
    names: BTreeSet<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Ticket {
    number: u64,
    /// All that it wants is kept for it; it stands in no line.
    promised: bool,
}

#[derive(Debug)]
struct Named {
    numbers: Vec<(LockId, usize)>,
    held: Arc<[Held]>,
}

/// A job that a lock keeps waiting.
pub(super) struct LockWaiter {
    pub job: JobId,
    /// What it does, in words that go on a sentence: "waits for lock `x`".
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

    /// Whether any job takes a lock.
    pub fn are_in_use(&self) -> bool {
        !self.tickets.is_empty()
    }

    /// Whether a job waits for nothing but locks.
    pub fn keep_waiting(&self) -> bool {
        self.kept_waiting > 0
    }

    /// Whether somebody waits for one of these.
    pub fn are_wanted(&self, wants: &[Want]) -> bool {
        wants.iter().any(|want| !self.locks[want.lock].line.is_empty())
    }

    /// Parked jobs, oldest ticket first.
    fn parked(&self) -> Vec<JobId> {
        let in_line = self.locks.iter().flat_map(|lock| &lock.line).copied();
        in_line.collect::<BTreeSet<_>>().into_iter().map(|(_, job)| job).collect()
    }

    /// There is enough, whoever waits for it.
    fn are_there(&self, wants: &[Want]) -> bool {
        wants.iter().all(|want| want.permits <= self.locks[want.lock].free)
    }

    /// Whether the job may start now.
    fn may_take(&self, job: JobId, wants: &[Want]) -> bool {
        if self.tickets[job].is_some() {
            return self.are_there(wants);
        }
        wants.iter().all(|want| {
            let lock = &self.locks[want.lock];
            lock.line.is_empty() && want.permits <= lock.free.saturating_sub(lock.promised)
        })
    }

    /// The job goes into its lines, with the ticket that it has or a new one.
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

    fn end_promise(&mut self, ticket: Ticket, wants: &[Want]) {
        for want in wants.iter().filter(|_| ticket.promised) {
            self.locks[want.lock].promised -= want.permits;
        }
    }

    /// The job leaves its lines: what it wants is kept for it.
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

    /// Something changed about these locks: who can have all that they want now?
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
                // Another is the first of its other lines now.
                changed.extend(wants.iter().map(|want| want.lock).filter(|other| *other != lock));
            }
        }
        woken
    }

    /// All that can be had at once, whoever came first.
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
                held.push(Held::of(of, lowest.iter().copied()));
                numbers.extend(lowest.into_iter().map(|number| (want.lock, number)));
            }
        }
        if !held.is_empty() {
            self.named.insert(id, Named { numbers, held: held.into() });
        }
    }

    fn give_back(&mut self, id: TaskId, wants: &[Want]) {
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
    /// The names of the permits that a task or a worker holds, if they have names.
    pub fn permits_of(&self, id: TaskId) -> Option<Arc<[Held]>> {
        self.locks.named.get(&id).map(|named| Arc::clone(&named.held))
    }

    /// Says whether a job could start something. Its ticket is good only while it can.
    pub(super) fn set_startable(&mut self, job: JobId, can: bool) {
        let rank = self.jobs.order.rank(job);
        let slotless = self.plan.jobs[job].slotless;
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
            self.startable.set(self.jobs.order.rank(job), self.plan.jobs[job].slotless, true);
        }
    }

    /// Whether a job that could start has its locks. If not, it is parked, and could not start.
    pub(super) fn may_lock(&mut self, job: JobId) -> bool {
        let plan = &self.plan.jobs[job];
        if plan.locks.is_empty() || self.locks.may_take(job, &plan.locks) {
            return true;
        }
        self.locks.park(job, plan);
        self.startable.set(self.jobs.order.rank(job), plan.slotless, false);
        false
    }

    /// To be called when a slot is taken.
    pub(super) fn take_locks(&mut self, id: TaskId, job: JobId) {
        if !self.plan.jobs[job].locks.is_empty() {
            self.locks.take(id, job, &self.plan);
        }
    }

    /// To be called when it is given back.
    pub(super) fn give_back_locks(&mut self, id: TaskId, job: JobId) {
        if !self.plan.jobs[job].locks.is_empty() {
            let plan = Arc::clone(&self.plan);
            self.locks.give_back(id, &plan.jobs[job].locks);
            self.wake_waiting(job, &plan);
        }
    }

    /// Nothing can go on: those that wait only because another came first need not. Whether one of them can start
    /// now.
    pub(super) fn let_overtake(&mut self) -> bool {
        let plan = Arc::clone(&self.plan);
        let lifted = self.locks.promise_out_of_order(&plan);
        self.unpark(&lifted);
        !lifted.is_empty() && self.could_start()
    }

    /// The first job that is kept waiting by a lock, and in words for what.
    pub(super) fn first_lock_waiter(&self) -> Option<LockWaiter> {
        let parked = self.locks.parked();
        let job = *parked.iter().find(|job| !self.plan.jobs[**job].daemon).or(parked.first())?;
        let wants = &self.plan.jobs[job].locks;
        let lacks = |want: &&Want| want.permits > self.locks.locks[want.lock].free;
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
            format!("{}`{}`", if plan.daemon { "daemon " } else { "" }, plan.name)
        });
        let what = match (holders.next(), holders.next()) {
            (Some(holder), None) => format!("waits for lock `{name}`, which {holder} holds"),
            (Some(one), Some(other)) => format!("waits for lock `{name}`, which {one} and {other} hold"),
            (None, _) => format!("waits for lock `{name}`"),
        };
        Some(LockWaiter { job, what })
    }
}
