//! A dry run: the commands are printed as lines that a shell can run, and nothing is started.
//!
//! [`DryRun`] is a backend behind the same actions as that of a real run. Each attempt counts as ready, exits with 0 as
//! soon as nothing else can start, and writes nothing, so that everything that waits for it is printed as well. Tasks that a worker would get are
//! counted, and stand behind the worker's command. Tasks of the records of a queue are not known, and stand as one line.

use std::collections::VecDeque;
use std::sync::Arc;

use super::attempt::EndedAttempt;
use super::backend::{Backend, Context, Given, HookTurn, Start, Started};
use super::items::blocks::input_of;
use super::task::Work;
use super::token::Token;
use super::words::refusal::refusal;
use super::words::shell_line::{Values, line};
use crate::event::{Exit, JobId, StageId, Time};
use crate::flow::output::{Dest, Op, Outputs};
use crate::os::poller::Ready;
use crate::plan::{HookOn, Items, Jobserver, Plan, Restart, Throttle, first_lock_values};
use crate::sched::{Event, TaskId};

/// Prints what would run.
pub struct DryRun {
    plan: Arc<Plan>,
    /// For each job: tasks that its workers would get.
    given: Vec<u64>,
    /// Attempts that were printed and have not ended.
    printed: VecDeque<(TaskId, JobId)>,
    /// An attempt was printed since the last poll.
    started: bool,
}

/// Takes out of a plan whatever would hold the printing back.
pub fn prepare(plan: &mut Plan) {
    plan.throttle = Throttle::default();
    plan.jobserver = Jobserver::None;
    for job in &mut plan.jobs {
        (job.rate, job.ready, job.restart) = (None, None, Restart::Never);
    }
}

impl DryRun {
    pub fn new(plan: Arc<Plan>) -> DryRun {
        DryRun { given: vec![0; plan.jobs.len()], printed: VecDeque::new(), started: false, plan }
    }

    /// Prints the tasks of a queue's records as one line.
    fn print_reader(&self, id: JobId, outputs: &mut Outputs) {
        let Items::Queue { queue, .. } = self.plan.jobs[id].items else { return };
        let (job, queue) = (&self.plan.jobs[id], &self.plan.queues[queue]);
        let none = Work { held: first_lock_values(&self.plan, job), ..Work::of(id, 1) };
        let command = line(job, &none, 1, Values::Shown);
        let from = match job.lister {
            // A script may have lines of its own.
            Some(lister) => {
                let listing = line(&self.plan.jobs[lister], &none, 1, Values::Shown).replace('\n', "\n# ");
                format!("line of: {listing}")
            }
            None => format!("record of queue `{}`", queue.name),
        };
        print(outputs, format!("# {}: a task for each {from}\n{command}\n", job.name));
    }

    /// Prints the command of a job's workers, and how many tasks they would get.
    fn print_workers(&self, id: JobId, outputs: &mut Outputs) {
        let job = &self.plan.jobs[id];
        let tasks = self.given[id];
        if tasks > 0 {
            let work = Work { held: first_lock_values(&self.plan, job), ..Work::of(id, 0) };
            let line = line(job, &work, 1, Values::Shown);
            let what = if tasks == 1 { "task" } else { "tasks" };
            print(outputs, format!("{line} # {tasks} {what} on its stdin\n"));
        }
    }

    /// Prints the hooks of the run.
    fn print_run_hooks(&self, outputs: &mut Outputs) {
        for id in JobId::all(self.plan.jobs.len()) {
            let job = &self.plan.jobs[id];
            let Some(at) = job.run_hook() else { continue };
            let when = match at {
                HookOn::Success => "at the end of the run, if all went well",
                HookOn::Failure => "at the end of the run, if something failed",
                HookOn::Exit => "at the end of the run",
            };
            let line = line(job, &Work::of(id, 1), 1, Values::Shown);
            print(outputs, format!("# {}: {when}, with the report on stdin\n{line}\n", at.key()));
        }
    }
}

impl Backend for DryRun {
    fn start(&mut self, start: Start, cx: &mut Context) -> Started {
        let Start { task, work, slot, role, .. } = start;
        let job = &self.plan.jobs[work.job];
        if role.is_worker() {
            return Started::NotBegun;
        }
        if let Some(failure) = refusal(job, &work, slot) {
            let failure = Arc::new(failure);
            cx.events.push_back(Event::NotStarted { task, started: 0, failure });
            return Started::Printed(work);
        }
        // The list of a job's items is told by the job that takes its lines, and hooks of the run all at once.
        if job.run_hook().is_none() && !job.is_lister() {
            print(cx.outputs, line(job, &work, slot, Values::Shown) + "\n");
        }
        self.printed.push_back((task, work.job));
        self.started = true;
        Started::Printed(work)
    }

    fn signal(&mut self, task: TaskId, _signal: i32, cx: &mut Context) {
        cx.events.push_back(Event::GroupGone(task));
    }

    fn await_leftovers(&mut self, task: TaskId, _kill: bool, cx: &mut Context) {
        cx.events.push_back(Event::GroupGone(task));
    }

    fn forget(&mut self, _task: TaskId, _cx: &mut Context) -> Option<EndedAttempt> {
        None
    }

    fn due(&self) -> Option<Time> {
        (!self.printed.is_empty()).then_some(Time::ZERO)
    }

    /// Lets the oldest attempt end once a turn of the loop has started nothing more, as if each took longer than to start
    /// the others. If it ended at once, a daemon would be stopped before all of its tasks had their turn.
    fn poll(&mut self, cx: &mut Context) {
        if std::mem::take(&mut self.started) {
            return;
        }
        let Some((task, id)) = self.printed.pop_front() else { return };
        let job = &self.plan.jobs[id];
        // Whatever waits for it is to be printed, too.
        if job.run_hook().is_none() {
            cx.events.push_back(Event::Up(task));
        }
        cx.events.push_back(Event::Drained(task));
        let stages = StageId::all(job.stages.len());
        cx.events.extend(stages.map(|stage| Event::Exited { task, stage, exit: Exit::Code(0) }));
    }

    fn ready(&mut self, _token: Token, _ready: &Ready, _cx: &mut Context) {}

    /// Nobody writes into queues, so that a job whose items are records gets none.
    fn answers_pull(&mut self, job: JobId, cx: &mut Context) -> bool {
        cx.sources.collect_blocks();
        let is_fed = input_of(&self.plan, &self.plan.jobs[job]).is_some();
        let reads_queue = matches!(self.plan.jobs[job].items, Items::Queue { .. });
        if reads_queue && !is_fed {
            self.print_reader(job, cx.outputs);
            cx.events.push_back(Event::NoMoreItems(job));
        }
        reads_queue && !is_fed
    }

    fn job_ended(&mut self, job: JobId, cx: &mut Context) {
        self.print_workers(job, cx.outputs);
        // No task has read anything, so that nothing is left unread.
        if let Some(blocks) = cx.sources.blocks(job) {
            blocks.abandon();
        }
    }

    fn run_ended(&mut self, _report: String, cx: &mut Context) {
        self.print_run_hooks(cx.outputs);
    }

    fn hook_turn(&mut self, task: TaskId, _at: HookOn, cx: &mut Context) -> HookTurn {
        cx.events.push_back(Event::Drained(task));
        cx.events.push_back(Event::Exited { task, stage: StageId(0), exit: Exit::Code(0) });
        HookTurn::Skipped
    }

    fn worker(&mut self, _worker: TaskId, job: JobId) -> Given<'_> {
        self.given[job] += 1;
        Given::Answered
    }

    fn end_input(&mut self, worker: TaskId, cx: &mut Context) -> bool {
        cx.events.push_back(Event::Exited { task: worker, stage: StageId(0), exit: Exit::Code(0) });
        cx.events.push_back(Event::Drained(worker));
        false
    }
}

fn print(outputs: &mut Outputs, text: String) {
    outputs.ops.push(Op::Write { dest: Dest::Stdout, bytes: text.into_bytes() });
}
