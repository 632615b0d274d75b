//! Does what an action says: items are pulled, attempts start and end, tasks are handed on and forgotten.

pub mod hooks;

use std::sync::Arc;
use std::time::Duration;

use crate::event::{Detail, Exit, JobId, Known, Outcome, RunEvent, StageId, TaskName};
use crate::flow::output::{Dest, Op};
use crate::plan::items::is_lister;
use crate::plan::{Item, Items, Restart, first_held};
use crate::run::Run;
use crate::run::attempt::{Active, Work};
use crate::run::block::Block;
use crate::run::items::Pulled;
use crate::run::items::blocks::input_of;
use crate::run::local::Start;
use crate::run::words;
use crate::sched::{Action, Event, TaskId};

/// So many tasks that need not run are passed over in one turn of the loop.
const MOST_PASSED: u64 = 1000;

impl Run {
    pub(in crate::run) fn apply_all(&mut self, mut actions: Vec<Action>) {
        for action in actions.drain(..) {
            self.apply(action);
        }
        if actions.capacity() > self.spare_actions.capacity() {
            self.spare_actions = actions;
        }
    }

    fn apply(&mut self, action: Action) {
        match action {
            Action::Pull { job, most } => {
                // Workers begin while the next items are read.
                self.feed_workers();
                self.wanted[job] = most;
                self.pull(job);
            }
            Action::Start { task, attempt, slot, last_attempt } => {
                self.start(task, attempt, slot, last_attempt);
            }
            Action::StartWorker { worker, job, slot } => self.start_worker(worker, job, slot),
            Action::Give { worker, task, attempt } => self.give(worker, task, attempt),
            Action::EndInput { worker } => self.end_input(worker),
            Action::WorkerEnded { worker, .. } => self.worker_ended(worker),
            Action::Hook { task, at, outcome } => self.hook(task, at, outcome),
            // What was only printed has no process that could be stopped.
            Action::Signal { task, .. } | Action::Kill { task } | Action::Leftovers { task, .. }
                if self.options.dry_run =>
            {
                self.events.push_back(Event::GroupGone(task));
            }
            Action::Signal { task, signal } => self.local.stop(task, signal, self.now),
            Action::Kill { task } => self.local.stop(task, nix::libc::SIGKILL, self.now),
            Action::Leftovers { task, kill } => self.local.wait_for_leftovers(task, kill, self.now),
            Action::NotReady { task } => self.local.not_ready(task),
            Action::Retry { task, outcome, delay } => self.retry(task, outcome, delay),
            Action::PutBack { task } => self.put_back(task),
            Action::TakeBack { task } => _ = self.take_back(task),
            Action::End { task, outcome, attempts } => self.end(task, outcome, attempts),
            Action::AskTokens(wanted) => self.ask_tokens(wanted),
            Action::GiveTokens(count) => self.give_tokens(count),
            Action::Live(task) => self.outputs.let_flow(task.place),
            Action::Tell(event) => {
                if let RunEvent::RunEnded(_) = event {
                    self.warn_of_left_out();
                }
                if let RunEvent::JobEnded { job, .. } | RunEvent::JobSkipped { job, .. } = event {
                    self.look_for_left_over(job);
                    if self.options.dry_run {
                        self.print_worker(job);
                    }
                    self.local.forget_job(job);
                    self.outputs.job_ended(job);
                    self.sources.close(job, &self.poller);
                    self.asking.retain(|asking| *asking != job);
                    self.local.queues.job_ended(job);
                }
                self.tell(&event);
                if let RunEvent::RunEnded(summary) = &event {
                    self.prepare_last(summary);
                }
                if let RunEvent::JobEnded { job, .. } | RunEvent::JobSkipped { job, .. } = event {
                    self.end_of_chain(job);
                }
            }
            Action::Settle => self.last.settle(),
            Action::SettleFiles(job) => self.settle_files(job),
            Action::Finish => self.finished = true,
        }
    }

    /// The tasks that live on for all of an input may have ended before it did.
    fn look_for_left_over(&mut self, job: JobId) {
        let left_over = self.sources.blocks(job).is_some_and(|blocks| blocks.has_left_over());
        if left_over && !self.supervisor.is_stopping() && !self.options.dry_run {
            let name = &self.plan.jobs[job].name;
            let why = format!("the rest of the input was not read, because every `{name}` had ended");
            self.tell(&RunEvent::Warning(why));
        }
    }

    pub(in crate::run) fn pull(&mut self, job: JobId) {
        let nothing_wired = self.options.dry_run && input_of(&self.plan, &self.plan.jobs[job]).is_none();
        if nothing_wired && matches!(self.plan.jobs[job].items, Items::Queue { .. }) {
            self.print_reader(job);
            self.events.push_back(Event::NoMoreItems(job));
            return;
        }
        if let Items::Of(_) = self.plan.jobs[job].items {
            return self.pull_passed(job, self.wanted[job]);
        }
        let (mut last, mut passed) = (None, 0);
        let mut left = self.wanted[job];
        self.sources.begin(job, &self.poller);
        let pulled = loop {
            let (queues, ledger) = (&mut self.local.queues, self.ledger.as_mut());
            let (items, names, block, known) = match self.sources.next(job, queues, ledger) {
                Pulled::Items(items, names, known) => (items, names, None, known),
                Pulled::Block(block) => (Vec::new(), Arc::default(), Some(block), Vec::new()),
                Pulled::Again => {
                    self.asking.push(job);
                    break Pulled::Again;
                }
                other => break other,
            };
            if self.is_done(job, &known) {
                let work = Work { job, seq: 0, items, names, block, known, held: None };
                if !self.pass_over(work, None) {
                    return;
                }
                passed += 1;
                if passed == MOST_PASSED {
                    // Signals are looked at in between.
                    self.asking.push(job);
                    break Pulled::Again;
                }
                continue;
            }
            let Some(task) = self.supervisor.add_item(job) else { return };
            self.keep_work(task, items, names, block, known);
            last = Some(task);
            left -= 1;
            if left == 0 {
                break Pulled::Wait;
            }
        };
        let passed = passed + self.sources.passed(job);
        self.tell_passed(job, passed);
        if let Some(task) = last {
            self.events.push_back(Event::Item);
            self.tell_total(job, task);
            // It stays so, and is told when it is asked for again.
            return self.sources.put_back(job, pulled);
        }
        match pulled {
            Pulled::Items(..) | Pulled::Block(_) | Pulled::Again => {}
            Pulled::Wait => {
                self.events.push_back(Event::ItemsLater(job));
                if let Err(errno) = self.sources.watch(job, &self.poller) {
                    self.events
                        .push_back(Event::ItemsFailed(job, format!("could not wait for items: {errno}")));
                }
            }
            Pulled::End => self.events.push_back(Event::NoMoreItems(job)),
            Pulled::Failed(why) => self.events.push_back(Event::ItemsFailed(job, why)),
        }
    }

    /// The total, once it is known.
    fn tell_total(&mut self, job: JobId, task: TaskId) {
        if self.totals_known.contains(&job) {
            return;
        }
        if let Some(left) = self.sources.tasks_left(job) {
            self.totals_known.insert(job);
            let (_, seq) = self.supervisor.task(task);
            self.tell(&RunEvent::JobTotal { job, total: seq + left });
        }
    }

    pub(in crate::run) fn keep_work(
        &mut self,
        task: TaskId,
        items: Vec<Item>,
        names: Arc<[String]>,
        block: Option<Block>,
        known: Vec<Known>,
    ) {
        let (job, seq) = self.supervisor.task(task);
        let place = task.place;
        self.works.insert(place, Work { job, seq, items, names, block, known, held: None });
    }

    fn start(&mut self, task: TaskId, attempt: u32, slot: usize, last_attempt: bool) {
        self.starts += 1;
        let work = self.works.take(task.place);
        let Some(mut work) = work.or_else(|| self.work_of_last(task)) else { return };
        if self.plan.jobs[work.job].at_end.is_some() {
            return self.start_last(task, work, attempt, slot);
        }
        work.held = self.supervisor.held(task);
        let name = TaskName { job: work.job, seq: work.seq };
        if self.options.dry_run {
            self.print_command(task, work, slot);
            return;
        }
        let item = words::short_item(&work.items);
        let verbose = self.options.verbose;
        let command = verbose.then(|| words::command(&self.plan.jobs[work.job], &work, slot));
        let start = Start { task, work, slot, attempt, last_attempt };
        let now = self.now;
        let interactive = self.plan.jobs[name.job].interactive;
        if interactive {
            self.leave_terminal();
        }
        let (local, mut shared) = self.local();
        if !local.start(now, start, &mut shared) {
            return; // It was not begun.
        }
        if interactive && self.local.get(task).is_some_and(|active| !active.is_drained()) {
            // What it writes comes through prun, and has to be seen.
            self.sinks.hold_terminal(false);
        }
        let pid =
            self.local.get(task).and_then(|active| active.processes.first()).map_or(0, |p| p.pid.as_raw());
        // Of what is up as soon as it runs nothing else will tell.
        let job = &self.plan.jobs[name.job];
        if pid != 0 && job.daemon && job.ready.is_none() {
            self.events.push_back(Event::Ready(task));
        }
        if pid != 0 || verbose {
            self.tell(&RunEvent::TaskStarted { task: name, attempt, pid, item, command });
        }
    }

    /// Instead of a start: the command, as a line that a shell can run.
    fn print_command(&mut self, task: TaskId, work: Work, slot: usize) {
        let job = &self.plan.jobs[work.job];
        // The job that takes its lines tells of it.
        if !is_lister(&self.plan, work.job) {
            let mut line = words::line(job, &work, slot, words::Values::Told).into_bytes();
            line.push(b'\n');
            self.outputs.ops.push(Op::Write { dest: Dest::Stdout, bytes: line });
        }
        // Whatever waits for it is to be printed, too.
        self.events.extend([Event::Ready(task), Event::Drained(task)]);
        let exits =
            StageId::all(job.stages.len()).map(|stage| Event::Exited { task, stage, exit: Exit::Code(0) });
        self.events.extend(exits);
        self.works.insert(task.place, work);
    }

    /// The same for the tasks of a queue's records, which are not known.
    fn print_reader(&mut self, job: JobId) {
        let Items::Queue { queue, .. } = self.plan.jobs[job].items else { return };
        let (job, queue) = (&self.plan.jobs[job], &self.plan.queues[queue]);
        let held = first_held(&self.plan, job);
        let none = Work { seq: 1, held, ..crate::run::workers::no_task(JobId(0)) };
        let command = words::line(job, &none, 1, words::Values::Told);
        let from = match job.lister.map(|lister| &self.plan.jobs[lister]) {
            // A script may have lines of its own.
            Some(lister) => {
                let listing = words::line(lister, &none, 1, words::Values::Told).replace('\n', "\n# ");
                format!("line of: {listing}")
            }
            None => format!("record of queue `{}`", queue.name),
        };
        let line = format!("# {}: a task for each {from}\n{command}\n", job.name);
        self.outputs.ops.push(Op::Write { dest: Dest::Stdout, bytes: line.into_bytes() });
    }

    fn retry(&mut self, task: TaskId, outcome: Outcome, delay: Duration) {
        match self.take_back(task) {
            Some((task, attempt)) => {
                let restart = self.plan.jobs[task.job].restart != Restart::Never;
                self.tell(&RunEvent::Retrying { task, attempt, outcome, delay, restart });
            }
            None => self.retry_given(task, outcome, delay),
        }
    }

    fn put_back(&mut self, task: TaskId) {
        if let Some((task, _)) = self.take_back(task) {
            self.tell(&RunEvent::PutBack { task });
        }
    }

    /// An attempt is over, and another will follow: its name, and which one it was. `None` if a worker had it.
    fn take_back(&mut self, task: TaskId) -> Option<(TaskName, u32)> {
        let (local, mut shared) = self.local();
        let (active, _) = local.end(task, &mut shared)?;
        self.outputs.retry(task.place);
        // The next attempt opens its files anew.
        self.write_out();
        // The end of its output may be on its way; the next attempt's is another.
        self.events
            .retain(|event| !matches!(event, Event::Drained(of) | Event::GroupGone(of) | Event::Ready(of) if *of == task));
        let name = TaskName { job: active.work.job, seq: active.work.seq };
        self.works.insert(task.place, active.work);
        Some((name, active.attempt))
    }

    fn detail(&self, work: &Work, mut active: Option<Active>, attempts: u32) -> Box<Detail> {
        match active.as_mut().and_then(|active| Some((active.hook.take()?, &active.stderr_tail))) {
            Some((hooked, stderr)) => hooked.told(stderr, attempts),
            None => {
                Box::new(words::detail(&self.plan, work, active.as_ref(), &self.memory, attempts, self.now))
            }
        }
    }

    fn end(&mut self, task: TaskId, outcome: Outcome, attempts: u32) {
        let place = task.place;
        if outcome == Outcome::Ok
            && self.local.get(task).is_none()
            && let Some(waiting) = self.works.get(place)
            && self.plan.jobs[waiting.job].worker.is_some()
            && let Some(work) = self.works.take(place)
        {
            return self.end_good(task, work);
        }
        let (local, mut shared) = self.local();
        let ended = local.end(task, &mut shared);
        let waiting = self.works.take(place);
        let (work, active, left) = match (ended, waiting) {
            (Some((active, left)), _) => (active.work.clone(), Some(active), left),
            (None, Some(work)) => (work, None, None),
            (None, None) => return,
        };
        let plan = Arc::clone(&self.plan);
        let job = &plan.jobs[work.job];
        if job.at_end.is_some() {
            return self.end_last(task, &work, left);
        }
        let told = self.told(task, &work, active.as_ref(), &outcome, attempts);
        let (elapsed, usage) = (told.elapsed, told.usage);
        let lines = self.lines_of(&told);
        self.add_row(task, &told);
        if active.is_some() || self.outputs.is_open(place) {
            self.outputs.close(place, lines);
        } else if job.keep_order {
            self.outputs.ended((work.job, work.seq), lines);
        } else {
            self.outputs.ops.extend(lines);
        }
        let name = TaskName { job: work.job, seq: work.seq };
        let detail = outcome.is_failure().then(|| match (active, &job.worker) {
            (None, Some(_)) => self.detail_of_given(task, &work, attempts),
            (active, _) => self.detail(&work, active, attempts),
        });
        // What the task wrote comes before what is said of it.
        self.write_out();
        if let Some(holders) = left {
            self.warn_of_leftover(&work, &holders);
        }
        let ended = RunEvent::TaskEnded { task: name, outcome: outcome.clone(), elapsed, usage, detail };
        self.tell(&ended);
        self.pass_on(&work, &outcome);
    }
}
