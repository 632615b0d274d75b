//! Workers get tasks, their answers are taken, and what becomes of the tasks of one that has ended.

use std::sync::Arc;
use std::time::Duration;

use crate::event::{Detail, JobId, Outcome, RunEvent, StartFailure, Time};
use crate::flow::answers::{Answer, Answers};
use crate::flow::long;
use crate::flow::output::{Dest, LaneSpec, Op, Own};
use crate::plan::{HookOn, Job, Output, QueueId};
use crate::run::attempt::hook::FinishedTask;
use crate::run::attempt::{Role, Taker};
use crate::run::backend::{self, Start};
use crate::run::event_loop::EventLoop;
use crate::run::task::{Work, policy};
use crate::run::words;
use crate::run::workers::{Given, Route, SILENCE, breaks_lines, put_task};
use crate::sched::{Event, TaskId};

/// Output of a worker that is no answer to a task.
enum Unusable {
    /// Nobody asked for it.
    Unasked(Answer),
    TooLong,
}

/// An answer is shown to people up to so many bytes.
const SHOWN: usize = 60;

impl EventLoop {
    pub(super) fn start_worker(&mut self, worker: TaskId, job: JobId, slot: usize) {
        self.inbox.starts += 1;
        let work = Work { held: self.scheduler.permits_of(worker), ..Work::of(job, 0) };
        let command = self.options.verbose.then(|| words::command(&self.plan.jobs[job], &work, slot));
        let start = Start { task: worker, work, slot, role: Role::Worker, last_attempt: true };
        let Some(started) = self.begin(start) else { return };
        self.workers.note_fed(worker);
        let pid = started.pid();
        if pid.is_some() || self.options.verbose {
            self.tell(&RunEvent::WorkerStarted { job, slot, pid, command });
        }
    }

    /// Gives a task to a worker. It is written with all others of this turn.
    pub(super) fn give(&mut self, worker: TaskId, task: TaskId, attempt: u32) {
        let now = self.kernel.now;
        let Some(work) = self.intake.waiting.get_mut(task.place) else { return };
        let job = &self.plan.jobs[work.job];
        let process = match self.backend.worker(worker, work.job) {
            backend::Given::To(process) => process,
            backend::Given::Lost => {
                return self.workers.note_given(task.place, Given { worker, attempt, slot: 1, at: now });
            }
            backend::Given::Answered => {
                self.workers.note_given(task.place, Given { worker, attempt, slot: 1, at: now });
                return self.count_as_answered(worker);
            }
        };
        let slot = process.slot;
        self.workers.note_given(task.place, Given { worker, attempt, slot, at: now });
        work.held.clone_from(&process.work.held);
        if let Some(taker) = &mut process.taker
            && !taker.asked
        {
            taker.asked = true;
            self.workers.begin_silence(worker, now);
        }
        if let Some(failure) = work.refusal() {
            return self.inbox.push(Event::NotStarted { task, started: 0, failure: Arc::new(failure) });
        }
        let whole = self.workers.feeds_whole_records(work.job);
        if breaks_lines(job, work, whole) {
            let why = "its item holds a newline, which would make it two lines to the worker; \
                       use `stdin = { text = \"…\" }`";
            let failure = Arc::new(StartFailure { code: 126, why: why.into() });
            return self.inbox.push(Event::NotStarted { task, started: 0, failure });
        }
        if let Some(feed) = &mut process.feed {
            let length =
                work.items.iter().flat_map(|item| &item.columns).map(|column| column.len() + 1).sum();
            if let Err(why) = long::reserve(feed.buffer(), length) {
                let failure = StartFailure { code: 126, why: format!("its item: {why}") };
                return self.inbox.push(Event::NotStarted { task, started: 0, failure: Arc::new(failure) });
            }
            put_task(job, work, slot, whole, feed.buffer());
            self.workers.note_fed(worker);
        }
    }

    /// A task that was only given in appearance, by a dry run, is answered at once.
    fn count_as_answered(&mut self, worker: TaskId) {
        let (job, _) = self.scheduler.task(worker);
        let actions = self.scheduler.answered(self.kernel.now, worker, None).1;
        self.inbox.push(Event::Answered(job));
        self.apply_all(actions);
        self.tell_good();
    }

    /// Writes what workers were given.
    pub(in crate::run) fn feed_workers(&mut self) {
        let mut fed = self.workers.take_fed();
        for worker in fed.drain(..) {
            let (backend, mut cx) = self.backend();
            backend.write_tasks(worker, &mut cx);
        }
        self.workers.give_back_fed(fed);
    }

    pub(super) fn end_input(&mut self, worker: TaskId) {
        let (backend, mut cx) = self.backend();
        if backend.end_input(worker, &mut cx) {
            self.workers.note_fed(worker);
        }
    }

    pub(super) fn worker_ended(&mut self, worker: TaskId) {
        let (backend, mut cx) = self.backend();
        let Some(ended) = backend.forget(worker, &mut cx) else { return };
        self.workers.end_silence(worker);
        self.output.outputs.close(worker.place, Vec::new());
        self.output.write_out();
        if let Some(holders) = ended.holders {
            let name = format!("worker {} of `{}`", ended.slot, self.plan.jobs[ended.work.job].name);
            self.warn_of_holders_of(&name, &holders);
        }
    }

    /// Points out workers that may keep their answers in a buffer.
    pub(in crate::run) fn point_out_silent_workers(&mut self) {
        while let Some(worker) = self.workers.take_silent(self.kernel.now) {
            let Some(process) = self.backend.attempt(worker).filter(|process| !process.stopping) else {
                continue;
            };
            let (job, slot) = (process.work.job, process.slot);
            if !self.workers.is_first_hint(job) {
                continue;
            }
            let (name, seconds) = (&self.plan.jobs[job].name, SILENCE.as_secs());
            // Only a job file can give it a terminal.
            let cure = if self.plan.rerun.is_some() { "pty = true" } else { "stdbuf -oL COMMAND" };
            self.warn(format!(
                "worker {slot} of `{name}` was given a task {seconds} s ago and has written nothing: \
                 does it flush its output? `{cure}` may help"
            ));
        }
    }

    // ---- answers -------------------------------------------------------------------------------------------

    /// Takes what workers wrote. Returns whether they did. Good answers are told together.
    pub(in crate::run) fn take_answers(&mut self) -> bool {
        if self.workers.wrote.is_empty() {
            return false;
        }
        let mut wrote = std::mem::take(&mut self.workers.wrote);
        for worker in wrote.drain(..) {
            self.workers.end_silence(worker);
            self.take_answers_of(worker);
        }
        self.workers.wrote = wrote;
        self.tell_good();
        true
    }

    fn take_answers_of(&mut self, worker: TaskId) {
        let Some((job, slot, mut taker)) = self.lend_taker(worker) else { return };
        let answers = &mut taker.answers;
        let unusable = match self.workers.route(job) {
            Some(Route::Straight(dest)) if answers.pending() <= self.plan.max_record => {
                self.take_straight(worker, dest, answers).map(Unusable::Unasked)
            }
            _ => self.take_each(worker, job, answers),
        };
        // Several workers of a job that answered one after another are looked at once.
        if self.inbox.events.back() != Some(&Event::Answered(job)) {
            self.inbox.push(Event::Answered(job));
        }
        match unusable {
            Some(Unusable::TooLong) => self.fail_too_long(worker, slot),
            Some(Unusable::Unasked(answer)) => {
                let text = shown(taker.answers.bytes(&answer.text));
                self.fault_unasked(worker, slot, &text);
            }
            None => {
                if let backend::Given::To(process) = self.backend.worker(worker, job) {
                    process.taker = Some(taker);
                }
            }
        }
    }

    fn fault_unasked(&mut self, worker: TaskId, slot: usize, text: &str) {
        let why = format!("worker {slot} wrote an answer that nobody asked for: `{text}`");
        if self.backend.attempt(worker).is_some() {
            self.inbox.push(Event::Fault { task: worker, why: why.into() });
        }
    }

    /// The answer that the worker is writing is too long: its task fails, and the worker is of no more use.
    fn fail_too_long(&mut self, worker: TaskId, slot: usize) {
        if self.scheduler.next_to_answer(worker).is_none() {
            return self.fault_unasked(worker, slot, "…");
        }
        let most = self.plan.max_record;
        let why = format!("its answer has more than {most} bytes: raise `max_record` (`--max-record`)");
        let actions = self.scheduler.answered(self.kernel.now, worker, Some(why.into())).1;
        self.apply_all(actions);
        if self.backend.attempt(worker).is_some() {
            self.inbox.push(Event::AnswerTooLong(worker));
        }
    }

    /// Takes the answers out of a worker, with its job and slot. `None` if nothing that it says counts any more: it is
    /// being stopped, or has answered before without being asked.
    fn lend_taker(&mut self, worker: TaskId) -> Option<(JobId, usize, Box<Taker>)> {
        let job = self.backend.attempt(worker)?.work.job;
        let backend::Given::To(process) = self.backend.worker(worker, job) else { return None };
        let taker = process.taker.take()?;
        (!process.stopping).then_some((job, process.slot, taker))
    }

    /// Takes all answers at once: whose they are need not be known. Returns one that nobody asked for.
    fn take_straight(&mut self, worker: TaskId, dest: Dest, answers: &mut Answers) -> Option<Answer> {
        let there = answers.count().unwrap_or(0);
        let (asked, actions) = self.scheduler.answered_well(self.kernel.now, worker, there);
        let mut bytes = Vec::new();
        if asked == there {
            let all = answers.take_all();
            bytes.extend_from_slice(answers.bytes(&all));
        } else {
            for _ in 0..asked {
                let answer = answers.next_answer()?;
                bytes.extend_from_slice(answers.bytes(&answer.whole));
            }
        }
        if !bytes.is_empty() {
            self.output.outputs.ops.push(Op::Write { dest, bytes });
        }
        self.apply_all(actions);
        if asked < there { answers.next_answer() } else { None }
    }

    /// Takes one answer after another, as far as they are of use.
    fn take_each(&mut self, worker: TaskId, index: JobId, answers: &mut Answers) -> Option<Unusable> {
        let plan = Arc::clone(&self.plan);
        let job = &plan.jobs[index];
        let fail = job.worker.as_ref().and_then(|worker| worker.fail.as_ref());
        // An answer may lead to the stop of its worker.
        while let Some(slot) =
            self.backend.attempt(worker).filter(|process| !process.stopping).map(|process| process.slot)
        {
            let Some(answer) = answers.next_answer() else {
                return (answers.pending() > plan.max_record).then_some(Unusable::TooLong);
            };
            let Some(task) = self.scheduler.next_to_answer(worker) else {
                return Some(Unusable::Unasked(answer));
            };
            if answer.text.len() > plan.max_record {
                return Some(Unusable::TooLong);
            }
            let text = answers.bytes(&answer.text);
            let failure = fail.filter(|fail| fail.is_match(text));
            let failure = failure.map(|_| Arc::from(format!("its worker answered `{}`", shown(text))));
            self.hand_on_answer(task, job, slot, answers.bytes(&answer.whole), text);
            let actions = self.scheduler.answered(self.kernel.now, worker, failure).1;
            self.apply_all(actions);
        }
        None
    }

    /// Opens the output of the task, as if it had run by itself and written this. Its end closes it.
    fn hand_on_answer(&mut self, task: TaskId, job: &Job, slot: usize, whole: &[u8], text: &[u8]) {
        let Some(work) = self.intake.waiting.get(task.place) else { return };
        let order = job.keep_order.then_some((work.job, work.seq));
        let scope = work.scope(slot);
        let tag = job.tag.as_ref().map(|tag| tag.rendered(&scope).into());
        let (sinks, warnings) = (&mut self.output.sinks, &mut self.inbox.warnings);
        let mut lanes = self.backend.answer_lanes(work.job, &scope, tag, sinks, warnings);
        if job.has_hooks() {
            lanes.push(LaneSpec { dest: Dest::Hook, tag: None, escape: None, own: Own::Shared });
        }
        let (count, outputs) = (lanes.len(), &mut self.output.outputs);
        outputs.open(task.place, lanes, policy(job, true), order);
        (0..count).for_each(|lane| outputs.push(task.place, lane, whole));
        if let Output::Queue { queue, .. } = job.stages[0].stdout {
            self.put_answer(queue, whole, text);
        }
    }

    fn put_answer(&mut self, queue: QueueId, whole: &[u8], text: &[u8]) {
        // Where records have no ending of their own, a record is what was written.
        let record = if self.queues.ending(queue).is_empty() { whole } else { text };
        self.queues.put(queue, record.to_vec());
    }

    /// A worker's answer was good, and the task is over.
    pub(super) fn end_answered(&mut self, task: TaskId, work: Work) {
        let lines = self.record.lines(&self.answered_task(task, &work));
        let outputs = &mut self.output.outputs;
        if outputs.is_open(task.place) {
            outputs.close(task.place, lines);
        } else {
            outputs.ops.extend(lines);
        }
        if let Some((job, count)) = self.workers.count_good(work.job) {
            self.tell(&RunEvent::TasksOk { job, count });
        }
        self.pass_on(&work, &Outcome::Ok);
        self.intake.sources.give_back(work.items);
    }

    fn tell_good(&mut self) {
        if let Some((job, count)) = self.workers.take_good() {
            self.tell(&RunEvent::TasksOk { job, count });
        }
    }

    // ---- tasks that a worker had ---------------------------------------------------------------------------

    /// The worker has ended while it was at the task, and the task will be tried again.
    pub(super) fn retry_given(&mut self, task: TaskId, outcome: Outcome, delay: Duration) {
        let Some(work) = self.intake.waiting.get(task.place) else { return };
        let name = work.task_name();
        let attempt = self.workers.given(task).map_or(0, |given| given.attempt);
        self.tell(&RunEvent::Retrying { task: name, attempt, outcome, delay, restart: false });
    }

    /// Returns what people need to know of a task that failed with a worker. The worker is still known if it was at the
    /// task.
    pub(super) fn detail_of_given(&self, task: TaskId, work: &Work, attempts: u32) -> Box<Detail> {
        let given = self.workers.given(task);
        let worker =
            given.and_then(|given| self.backend.attempt(given.worker)).map(|worker| worker.describe());
        let mut detail = self.detail_of(work, worker.as_ref(), attempts);
        detail.elapsed = given.map_or(Time::ZERO, |given| self.elapsed_since(given.at));
        Box::new(detail)
    }

    /// Begins the hook of a task that a worker had. It reads the answer, if there was one.
    pub(super) fn hook_of_given(&mut self, task: TaskId, at: HookOn, outcome: Outcome) {
        let Some(work) = self.intake.waiting.take(task.place) else { return };
        let given = self.workers.given(task);
        let attempts = given.map_or(0, |given| given.attempt);
        let detail = self.detail_of_given(task, &work, attempts);
        let worker = given.and_then(|given| self.backend.attempt(given.worker));
        let process = worker.and_then(|worker| worker.processes.first());
        let over = FinishedTask {
            task,
            slot: worker.map_or(1, |worker| worker.slot),
            attempts,
            pid: process.map(|process| process.pid.as_raw()),
            exit: process.and_then(|process| process.exit),
            elapsed: detail.elapsed,
            detail,
            work,
        };
        self.begin_hook(over, at, outcome);
    }
}

/// Returns the beginning of an answer, for people.
fn shown(text: &[u8]) -> String {
    let cut = &text[..text.len().min(SHOWN)];
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{more}", String::from_utf8_lossy(cut))
}
