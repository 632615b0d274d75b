//! What workers answer: whose it is, whether it is good, and where it goes.

use std::sync::Arc;

use crate::event::{JobId, Outcome, RunEvent};
use crate::flow::answers::{Answer, Answers, Ends};
use crate::flow::output::{Dest, LaneSpec, Op};
use crate::plan::{Items, Job, Output, Plan, QueueId, Reply, Worker};
use crate::run::Run;
use crate::run::attempt::Work;
use crate::run::launch::wiring::policy;
use crate::sched::{Event, TaskId};

/// An answer is shown up to so many bytes.
const SHOWN: usize = 60;

/// Where the answers of a job go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::run) enum Way {
    /// As they are to one place, whosever they are: all that were read in one piece.
    Straight(Dest),
    /// Each by itself.
    Each,
}

impl Way {
    pub fn of(plan: &Plan, id: JobId) -> Option<Way> {
        let job = &plan.jobs[id];
        let worker = job.worker.as_ref()?;
        let is_followed = plan.jobs.iter().any(|other| matches!(other.items, Items::Of(of) if of == id));
        let plain = job.tag.is_none() && !job.keep_order && !job.has_hooks() && !is_followed;
        let counted = worker.fail.is_none() && !matches!(worker.reply, Reply::Until(_));
        Some(match job.stages[0].stdout {
            Output::Show if plain && counted => Way::Straight(Dest::Stdout),
            _ => Way::Each,
        })
    }
}

/// How the answers of a worker are cut.
pub fn answer_ends(worker: &Worker) -> Ends {
    match &worker.reply {
        Reply::Line => Ends::Byte(b'\n'),
        Reply::Nul => Ends::Byte(0),
        Reply::Until(last) => Ends::Until(last.clone()),
    }
}

impl Run {
    /// Takes what workers wrote; says whether they did. What was good is told in one go.
    pub(in crate::run) fn take_answers(&mut self) -> bool {
        if self.local.wrote.is_empty() {
            return false;
        }
        let mut wrote = std::mem::take(&mut self.local.wrote);
        for worker in wrote.drain(..) {
            self.workers.silent.retain(|(silent, _)| *silent != worker);
            self.take_answers_of(worker);
        }
        self.local.wrote = wrote;
        self.tell_good();
        self.events.push_back(Event::Answers);
        true
    }

    fn take_answers_of(&mut self, worker: TaskId) {
        let Some(active) = self.local.get_mut(worker) else { return };
        let job = active.work.job;
        // Of one that is being stopped, and from an answer on that nobody asked for, nothing counts any more.
        let Some(mut taker) = active.taker.take().filter(|_| !active.stopping) else { return };
        let unasked = match self.workers.ways[job] {
            Some(Way::Straight(dest)) => self.take_straight(worker, dest, &mut taker.answers),
            _ => self.take_each(worker, job, &mut taker.answers),
        };
        let Some(active) = self.local.get_mut(worker) else { return };
        if let Some(answer) = unasked {
            let (slot, text) = (active.slot, shown(taker.answers.bytes(&answer.text)));
            let why = format!("worker {slot} wrote an answer that nobody asked for: `{text}`");
            self.events.push_back(Event::Fault { task: worker, why: why.into() });
        } else {
            active.taker = Some(taker);
        }
    }

    /// All at once: whose they are need not be known. Returns one that nobody asked for.
    fn take_straight(&mut self, worker: TaskId, dest: Dest, answers: &mut Answers) -> Option<Answer> {
        let there = answers.count().unwrap_or(0);
        let mut actions = std::mem::take(&mut self.spare_actions);
        let mut asked = 0;
        while asked < there && self.supervisor.answered(self.now, worker, None, &mut actions).is_some() {
            asked += 1;
        }
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
            self.outputs.ops.push(Op::Write { dest, bytes });
        }
        self.apply_all(actions);
        if asked < there { answers.next_answer() } else { None }
    }

    /// One after another. Returns one that nobody asked for.
    fn take_each(&mut self, worker: TaskId, id: JobId, answers: &mut Answers) -> Option<Answer> {
        let plan = Arc::clone(&self.plan);
        let job = &plan.jobs[id];
        let fail = job.worker.as_ref().and_then(|worker| worker.fail.as_ref());
        // What an answer leads to may stop its worker.
        while let Some(slot) =
            self.local.get(worker).filter(|active| !active.stopping).map(|active| active.slot)
        {
            let answer = answers.next_answer()?;
            let Some(task) = self.supervisor.oldest(worker) else { return Some(answer) };
            let text = answers.bytes(&answer.text);
            let failure = fail.filter(|fail| fail.is_match(text));
            let failure = failure.map(|_| Arc::from(format!("its worker answered `{}`", shown(text))));
            self.hand_on_answer(task, job, slot, answers.bytes(&answer.whole), text);
            let mut actions = std::mem::take(&mut self.spare_actions);
            self.supervisor.answered(self.now, worker, failure, &mut actions);
            self.apply_all(actions);
        }
        None
    }

    /// Opens the output of the task, as if it had run here and written this. Its end closes it.
    fn hand_on_answer(&mut self, task: TaskId, job: &Job, slot: usize, whole: &[u8], text: &[u8]) {
        let place = task.place;
        let Some(work) = self.works.get(place) else { return };
        let order = job.keep_order.then_some((work.job, work.seq));
        let lanes = answer_lanes(&mut self.local, job, work, slot, &mut self.sinks);
        let count = lanes.len();
        self.outputs.open(place, lanes, policy(job, true), order);
        (0..count).for_each(|lane| self.outputs.push(place, lane, whole));
        if let Output::Queue { queue, .. } = job.stages[0].stdout {
            self.put_answer(queue, whole, text);
        }
    }

    fn put_answer(&mut self, queue: QueueId, whole: &[u8], text: &[u8]) {
        let queues = &mut self.local.queues;
        // Where records have no ending of their own, they are what was written.
        let record = if queues.ending(queue).is_empty() { whole } else { text };
        queues.put(queue, record.to_vec());
    }

    /// A worker's answer was good, and the task is over.
    pub(in crate::run) fn end_good(&mut self, task: TaskId, work: Work) {
        let place = task.place;
        let lines = self.lines_of(&self.told(task, &work, None, &Outcome::Ok, 0));
        if self.outputs.is_open(place) {
            self.outputs.close(place, lines);
        } else {
            self.outputs.ops.extend(lines);
        }
        if let Some((job, count)) = &mut self.workers.good
            && *job == work.job
        {
            *count += 1;
        } else {
            self.tell_good();
            self.workers.good = Some((work.job, 1));
        }
        self.pass_on(&work, &Outcome::Ok);
        self.sources.give_back(work.items);
    }

    pub(in crate::run) fn tell_good(&mut self) {
        if let Some((job, count)) = self.workers.good.take() {
            self.tell(&RunEvent::TasksOk { job, count });
        }
    }
}

fn answer_lanes(
    local: &mut crate::run::local::Local,
    job: &Job,
    work: &Work,
    slot: usize,
    sinks: &mut crate::run::output::Sinks,
) -> Vec<LaneSpec> {
    let scope = work.scope(slot);
    let tag = job.tag.as_ref().map(|tag| {
        let mut bytes = Vec::new();
        tag.render(&scope, &mut bytes);
        bytes.into()
    });
    let mut lanes = local.wiring.answer((work.job, job), &scope, tag, sinks);
    if job.has_hooks() {
        lanes.push(LaneSpec { dest: Dest::Hook, tag: None, escape: None, own: false });
    }
    lanes
}

/// For people, who need not see all of it.
fn shown(text: &[u8]) -> String {
    let cut = &text[..text.len().min(SHOWN)];
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{more}", String::from_utf8_lossy(cut))
}
