//! Items become tasks: pulls from sources, items that go from job to job, items that an earlier run has finished.

use std::rc::Rc;
use std::sync::Arc;

use crate::event::{JobId, Outcome, RunEvent, TaskName};
use crate::os::poller;
use crate::plan::{Item, Items};
use crate::run::event_loop::EventLoop;
use crate::run::items::chain::UpstreamItem;
use crate::run::items::reader::Turn;
use crate::run::items::{Pulled, unread};
use crate::run::task::{Work, task_name};
use crate::sched::{Event, Seq, TaskId};

/// Tasks that are passed over, because an earlier run finished them, before the loop looks at signals again.
const PASSED_IN_ONE_TURN: u64 = 1000;

impl EventLoop {
    /// Answers a pull: asks the job's source for as many items as the scheduler wants.
    pub(in crate::run) fn pull(&mut self, job: JobId) {
        let (backend, mut cx) = self.backend();
        if backend.answers_pull(job, &mut cx) {
            return;
        }
        if let Items::Of(_) = self.plan.jobs[job].items {
            return self.pull_from_chain(job);
        }
        let (mut last, mut passed, mut left_out) = (None, 0, 0);
        let mut turn = Turn::default();
        let mut wanted = self.intake.wanted(job);
        self.intake.sources.begin_pull(job, &self.kernel.poller);
        let pulled = loop {
            if self.intake.finder(job).is_some_and(|finder| finder.is_complete()) {
                break Pulled::End;
            }
            let (items, names, block, known) =
                match self.intake.sources.next(job, &mut self.queues, self.record.ledger()) {
                    Pulled::Items { items, names, known } => (items, names, None, known),
                    Pulled::Block(block) => (Rc::default(), Arc::default(), Some(block), Vec::new()),
                    Pulled::End => break self.end_of_items(job),
                    other => break other,
                };
            items.iter().for_each(|item| turn.count(item));
            let seq = match self.intake.finder(job).map(|finder| finder.next(&items)) {
                None => Seq::Next,
                Some((seq, true)) => Seq::Of(seq),
                Some((seq, false)) => {
                    self.output.pass_turn(&self.plan, job, seq);
                    self.intake.sources.give_back(items);
                    left_out += 1;
                    if left_out == PASSED_IN_ONE_TURN || !turn.goes_on() {
                        break Pulled::Again;
                    }
                    continue;
                }
            };
            let work = Work { block, known, ..Work::on(job, items, names) };
            if self.record.is_done(job, &work.known) {
                if !self.pass_over(work, seq) {
                    return;
                }
                passed += 1;
                if passed == PASSED_IN_ONE_TURN || !turn.goes_on() {
                    break Pulled::Again;
                }
                continue;
            }
            let Some(task) = self.scheduler.add_item(job, seq) else { return };
            self.keep_work(task, work);
            last = Some(task);
            wanted -= 1;
            if wanted == 0 || !turn.goes_on() {
                break Pulled::Wait;
            }
        };
        self.inbox.warnings.extend(self.intake.sources.take_warning(job));
        let passed = passed + self.intake.sources.take_left_out(job);
        self.tell_passed(job, passed);
        match last {
            Some(task) => {
                self.inbox.push(Event::Items(job));
                self.tell_total(job, task);
                // The reason why there was no further item stays, and is told when the job asks again.
                self.intake.sources.put_back(job, pulled);
            }
            None => self.answer_without_items(job, pulled),
        }
    }

    /// Answers the last pull: with a failure, if a task was named that is not among all that there were.
    fn end_of_items(&mut self, job: JobId) -> Pulled {
        let name = &self.plan.jobs[job].name;
        let missing = self.intake.finder(job).and_then(|finder| finder.why_missing(name));
        missing.map_or(Pulled::End, |why| Pulled::Failed(unread(why)))
    }

    fn answer_without_items(&mut self, job: JobId, pulled: Pulled) {
        match pulled {
            Pulled::Items { .. } | Pulled::Block(_) => {}
            Pulled::Again => self.intake.ask_again(job),
            Pulled::Wait => {
                self.inbox.push(Event::ItemsLater(job));
                if let Err(errno) = self.intake.sources.watch(job, &self.kernel.poller) {
                    let why = format!("could not wait for items: {}", poller::reason(errno));
                    self.inbox.push(Event::ItemsFailed(job, unread(why)));
                }
            }
            Pulled::End => self.inbox.push(Event::NoMoreItems(job)),
            Pulled::Failed(why) => self.inbox.push(Event::ItemsFailed(job, why)),
        }
    }

    /// Tells the number of the job's tasks, once it is known.
    fn tell_total(&mut self, job: JobId, task: TaskId) {
        if let Some(left) = self.intake.tasks_left(job) {
            let (_, seq) = self.scheduler.task(task);
            self.tell(&RunEvent::JobTotal { job, total: seq + left });
        }
    }

    /// Keeps what a new task works on until it starts.
    fn keep_work(&mut self, task: TaskId, work: Work) {
        let (job, seq) = self.scheduler.task(task);
        self.intake.waiting.insert(task.place, Work { job, seq, ..work });
    }

    // ---- tasks that an earlier run has finished ------------------------------------------------------------

    /// Counts a task as ok without running it. `seq` is its number, if it is that of another job's task. Returns whether
    /// the job still wants items.
    fn pass_over(&mut self, work: Work, seq: Seq) -> bool {
        let Some(seq) = self.scheduler.add_known_item(work.job, seq) else { return false };
        self.output.pass_turn(&self.plan, work.job, seq);
        let work = Work { seq, ..work };
        self.pass_on(&work, &Outcome::Ok);
        self.intake.sources.give_back(work.items);
        true
    }

    fn tell_passed(&mut self, job: JobId, count: u64) {
        if count > 0 {
            self.tell(&RunEvent::TasksBefore { job, count });
        }
    }

    // ---- items that go from job to job (`each.job`) --------------------------------------------------------

    /// A task has ended: jobs that take the items of its job get its item, or the reason why not.
    pub(super) fn pass_on(&mut self, work: &Work, outcome: &Outcome) {
        if !self.intake.chains.has_followers(work.job) {
            return;
        }
        let passed = match outcome {
            Outcome::Ok => UpstreamItem::Ok(work.clone()),
            outcome => {
                let name = task_name(&self.plan.jobs[work.job], work.seq);
                let what = match outcome {
                    Outcome::Cancelled => "was cancelled",
                    Outcome::Skipped => "was skipped",
                    _ => "failed",
                };
                let why = format!("`{name}` {what}").into();
                UpstreamItem::NotOk { seq: work.seq, items: work.items.clone(), why }
            }
        };
        self.intake.chains.pass(work.job, &passed);
    }

    /// Answers the jobs that had asked when nothing was there.
    pub(in crate::run) fn answer_followers(&mut self) {
        while let Some(job) = self.intake.chains.next_due() {
            // The answer comes now after all.
            self.inbox.events.retain(|event| *event != Event::ItemsLater(job));
            self.pull_from_chain(job);
        }
    }

    /// Answers the pull of a job that takes the items of another.
    fn pull_from_chain(&mut self, job: JobId) {
        let (mut given, mut passed_over) = (0, 0);
        while given < self.intake.wanted(job)
            && let Some(passed) = self.intake.chains.next(job)
        {
            let (seq, items) = match &passed {
                UpstreamItem::Ok(work) => (work.seq, &work.items),
                UpstreamItem::NotOk { seq, items, .. } => (*seq, items),
            };
            if self.intake.finder(job).is_some_and(|finder| !finder.is_named(seq, items)) {
                self.output.pass_turn(&self.plan, job, seq);
                continue;
            }
            match passed {
                UpstreamItem::Ok(work) => {
                    let known = self.record.identify(job, &work.items, &work.names);
                    let seq = work.seq;
                    let work = Work { known, block: None, ..Work { job, ..work } };
                    if self.record.is_done(job, &work.known) {
                        self.pass_over(work, Seq::Of(seq));
                        passed_over += 1;
                    } else if let Some(task) = self.scheduler.add_item(job, Seq::Of(seq)) {
                        self.keep_work(task, Work { held: None, ..work });
                        given += 1;
                    }
                }
                UpstreamItem::NotOk { seq, items, why } => self.skip_item(job, seq, items, &why),
            }
        }
        self.tell_passed(job, passed_over);
        if given > 0 {
            self.inbox.push(Event::Items(job));
        } else if self.intake.chains.has_ended(job) {
            // The job before has told it, unless all of its tasks were to run.
            let Items::Of(before) = self.plan.jobs[job].items else { return };
            let is_told = self.plan.jobs[before].only.is_some();
            let has_come = self.intake.finder(job).is_some_and(|finder| finder.has_seen_any());
            let end = if is_told || !has_come { Pulled::End } else { self.end_of_items(job) };
            self.answer_without_items(job, end);
        } else {
            self.intake.chains.await_item(job);
            self.inbox.push(Event::ItemsLater(job));
        }
    }

    fn skip_item(&mut self, job: JobId, seq: u64, items: Rc<Vec<Item>>, why: &Arc<str>) {
        self.scheduler.skip_item(job, seq);
        self.tell(&RunEvent::TaskSkipped { task: TaskName { job, seq }, why: Arc::clone(why) });
        self.output.pass_turn(&self.plan, job, seq);
        self.output.write_out();
        self.intake.chains.pass(job, &UpstreamItem::NotOk { seq, items, why: Arc::clone(why) });
    }
}
