//! Tasks start. Pure.

use super::brakes::Brakes;
use super::job::Jobs;
use super::order::Startable;
use super::task::{Role, Slot, State, TaskId, Up};
use super::tokens::Tokens;
use super::{Action, JobId, Mode, Supervisor};
use crate::event::Time;
use crate::plan::Plan;

impl Supervisor {
    /// Recomputes whether `job` can start a task. Call it after changing the job's ready queue, its running
    /// count, or whether it is closing.
    pub(super) fn update_startable(&mut self, job: JobId) {
        let plan = &self.plan.jobs[job];
        if plan.worker.is_some() {
            // Live workers may take what is ready; `fill` looks at them first.
            self.jobs.touch(job);
            return;
        }
        let state = self.jobs.get(job);
        let can = !state.ready.is_empty() && state.running < plan.pool;
        self.set_startable(job, can);
    }

    /// Starts whatever may start, in the order of the jobs; gives tasks to workers; and keeps one item of
    /// each open job at hand.
    pub(super) fn fill(&mut self, now: Time, actions: &mut Vec<Action>) {
        self.brakes.reset();
        self.tokens.iter_mut().for_each(Tokens::reset);
        self.brakes.congestion.relax(now, &mut self.slots);
        if self.mode == Mode::Going && !self.backpressure {
            self.offer_to_idle(now, actions);
            while let Some(job) = self.next_to_start(now) {
                self.start_next(now, job, actions);
            }
            self.offer_ahead(now, actions);
            self.retire_idle(now, actions);
            self.warn_of_brakes(actions);
            self.wait_for_room();
        }
        self.retire_done(now, actions);
        self.adjust_tokens(actions);
    }

    /// Returns the first job that may start something, is not held back, and has its locks. A task that takes
    /// many slots waits until that many are free, and no later task takes slots before it.
    fn next_to_start(&mut self, now: Time) -> Option<JobId> {
        let mut slotted = self.slots.free() && !self.lacks_tokens();
        loop {
            let job = self.first_allowed(now, slotted)?;
            if !self.may_lock(job) {
                continue; // It is parked.
            }
            if !self.plan.jobs[job].takes_slots() || self.has_room(job) {
                return Some(job);
            }
            slotted = false;
        }
    }

    /// Returns how many slots of the run's pool one task of the job takes.
    pub(super) fn width(&self, job: JobId) -> usize {
        let plan = &self.plan.jobs[job];
        if !plan.takes_slots() { 0 } else { plan.slots.min(self.slots.size()).max(1) }
    }

    /// True if slots for a task of the job are free, and prun has the tokens for them.
    fn has_room(&mut self, job: JobId) -> bool {
        let (taken, width) = (self.slots.in_use(), self.width(job));
        self.slots.has_room(width) && self.tokens.as_mut().is_none_or(|tokens| tokens.allow(taken, width))
    }

    /// Returns the first job that may start something, and is not held back by brakes.
    fn first_allowed(&mut self, now: Time, slotted: bool) -> Option<JobId> {
        let Supervisor { startable, jobs, tasks, brakes, plan, interactive, .. } = self;
        let all = || candidates(startable, slotted, jobs, plan, interactive.is_some());
        all().next()?;
        let allow = |brakes: &mut Brakes, job: JobId| {
            brakes.allow_job(now, job) && brakes.allow_process(now, !plan.jobs[job].takes_slots())
        };
        if !brakes.allow_any(now) {
            return None;
        }
        let is_fresh = |job: &JobId| jobs.get(*job).ready.iter().any(|id| tasks.get(*id).attempts == 0);
        if brakes.is_turn_of_fresh()
            && let Some(job) = all().filter(is_fresh).find(|job| allow(brakes, *job))
        {
            return Some(job);
        }
        all().find(|job| allow(brakes, *job))
    }

    /// True if something could start if it were not held back by brakes.
    pub(super) fn could_start(&self) -> bool {
        let interactive = self.interactive.is_some();
        let mut first = self.slots.free();
        let mut candidates = candidates(&self.startable, first, &self.jobs, &self.plan, interactive);
        let fits = |job: JobId| self.slots.has_room(self.width(job));
        // While the first of these waits for many slots, those behind it get none.
        candidates.any(|job| !self.plan.jobs[job].takes_slots() || (std::mem::take(&mut first) && fits(job)))
    }

    /// True if a job waits for slots, or for tokens for them, and for nothing else.
    pub(super) fn is_short_of_slots(&self) -> bool {
        let first = self.startable.slotted.first().map(|rank| self.jobs.order.job(*rank));
        first.is_some_and(|job| self.lacks_tokens() || !self.slots.has_room(self.width(job)))
    }

    pub(super) fn start_next(&mut self, now: Time, job: JobId, actions: &mut Vec<Action>) {
        if self.plan.jobs[job].worker.is_some() {
            self.start_worker(now, job, actions);
            return;
        }
        let Some(id) = self.next_ready(job) else { unreachable!("{job:?} has a task ready") };
        let previous = match self.tasks.state(id) {
            State::Ready(previous) => previous.clone(),
            state => unreachable!("{id:?} is ready, not {state:?}"),
        };
        let slot = self.take_slot(job);
        self.take_locks(id, job);
        self.jobs.get_mut(job).begun = true;
        let plan = &self.plan.jobs[job];
        let task = self.tasks.get_mut(id);
        task.slot = Some(slot);
        let attempt = task.count_attempt();
        task.previous = previous;
        task.started = now;
        task.role = Role::Attempt;
        if task.up != Up::Never {
            task.up = Up::Before;
        }
        task.exits.clear();
        task.exits.resize(plan.stages.len(), None);
        let (live, is_last) = (plan.stages.len(), attempt.get() > plan.retries.count);
        if plan.interactive {
            self.interactive = Some(id);
        }
        if plan.is_service() {
            self.services.started(job);
        }
        let deadline = self.deadline(id);
        self.tasks.set(id, State::Running { live, drained: false, deadline });
        if !self.plan.jobs[job].is_lister() {
            self.brakes.started(now, job, attempt.get() > 1);
        }
        actions.push(Action::Start { task: id, attempt, is_last, slot: slot.number() });
        self.pull(job, actions);
        self.update_startable(job);
    }

    /// Takes the first ready task; or the first one that never started, if it is the turn of those.
    fn next_ready(&mut self, job: JobId) -> Option<TaskId> {
        let ready = &mut self.jobs.get_mut(job).ready;
        if self.brakes.is_turn_of_fresh()
            && let Some(at) = ready.iter().position(|id| self.tasks.get(*id).attempts == 0)
        {
            return ready.remove(at);
        }
        ready.pop_front()
    }

    pub(super) fn take_slot(&mut self, job: JobId) -> Slot {
        let width = self.width(job);
        let run = (width > 0).then(|| self.slots.take(width));
        let state = self.jobs.get_mut(job);
        state.running += 1;
        Slot { run, width, own: state.slots.as_mut().map(|slots| slots.take(1)) }
    }

    pub(super) fn give_back_slot(&mut self, id: TaskId) {
        let task = self.tasks.get_mut(id);
        let job = task.job;
        let Some(slot) = task.slot.take() else { return };
        if self.interactive == Some(id) {
            self.interactive = None;
        }
        if let Some(number) = slot.run {
            self.slots.give_back(number, slot.width);
        }
        let state = self.jobs.get_mut(job);
        if let (Some(slots), Some(number)) = (state.slots.as_mut(), slot.own) {
            slots.give_back(number, 1);
        }
        state.running -= 1;
        self.give_back_locks(id, job);
        self.update_startable(job);
    }

    /// Lets the output of the only task flow as it comes, if nothing else can start or print before that task
    /// ends.
    pub(super) fn allow_live_output(&mut self, actions: &mut Vec<Action>) {
        let last_one = self.tasks.len() == 1 && self.jobs.all_sources_ended();
        if self.live.is_some() || !(last_one || self.one_at_a_time) {
            return;
        }
        let Some(id) = self.tasks.only_running() else { return };
        let task = self.tasks.get(id);
        let is_last = task.attempts > self.plan.jobs[task.job].retries.count;
        // Other jobs may begin as soon as it is up.
        let alone = !self.is_ready_awaited(task.job);
        if matches!(task.role, Role::Attempt) && is_last && alone {
            self.live = Some(id);
            actions.push(Action::Live(id));
        }
    }
}

/// Returns the jobs that may start something, first to last. Jobs that take slots are included if `slotted`;
/// they end before the first job that has an item coming at once, because the free slot is for that item.
/// Jobs without slots do not wait for it. If `interactive`, a task has the terminal, and others that want it
/// are left out.
fn candidates<'a>(
    startable: &'a Startable,
    slotted: bool,
    jobs: &'a Jobs,
    plan: &'a Plan,
    interactive: bool,
) -> impl Iterator<Item = JobId> + 'a {
    let slotted = slotted.then_some(&startable.slotted).into_iter().flatten();
    let mut slotted = slotted.take_while(|rank| !jobs.earlier_is_pulling(**rank, plan)).peekable();
    let mut slotless = startable.slotless.iter().peekable();
    let ranks = std::iter::from_fn(move || match (slotless.peek(), slotted.peek()) {
        (Some(one), Some(other)) if other < one => slotted.next(),
        (Some(_), _) => slotless.next(),
        (None, _) => slotted.next(),
    });
    ranks.map(|rank| jobs.order.job(*rank)).filter(move |job| !(interactive && plan.jobs[*job].interactive))
}
