//! Tasks as processes of this machine: starts them, reads what they write, feeds them, signals them, and notes how they
//! ended.
//!
//! [`LocalProcesses`] is the [`Backend`] of a real run. It owns all children of prun and every pipe to them. What they
//! do becomes events; what the scheduler wants comes as calls of the trait.
//!
//! - [`start`]: attempts begin; [`exit`]: processes exit, attempts are forgotten
//! - [`bytes`]: their pipes; [`begun_blocks`]: blocks whose end has not come; [`round_robin`]: tasks that live on and
//!   take block after block; [`strays`]: pipes that leftovers hold open; [`transfers`]: pipes that the disk thread empties
//! - [`watch`]: dialogues, circles of pipes, the size of terminals; [`probes`]: whether attempts are ready
//! - [`hook`]: hooks start in the place of their task
//! - [`job_control`]: processes are stopped and go on
//!
//! The order that matters: what a process wrote is read before its exit is judged by it (a dialogue, a line that shows
//! that it is ready), and an exit is noted before the process is reaped, because from the reap on its pid may be
//! another's.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;

use super::attempt::hook::HookInput;
use super::attempt::table::Attempts;
use super::attempt::{Attempt, EndedAttempt};
use super::backend::{Backend, Context, Given, HookTurn, Start, Started};
use super::descendants::Descendants;
use super::launch::Launch;
use super::launch::wiring::Wiring;
use super::output::sinks::Sinks;
use super::queues::{Inlet, Queues};
use super::token::Token;
use crate::event::{JobId, TaskName, Time};
use crate::flow::output::{Dest, Escape, LaneSpec, Op};
use crate::os::jobserver::Server;
use crate::os::mark::Mark;
use crate::os::poller::Ready;
use crate::os::{self, process};
use crate::plan::template::Scope;
use crate::plan::{HookOn, Plan};
use crate::sched::{Event, TaskId};

mod begun_blocks;
mod bytes;
mod exit;
mod hook;
mod job_control;
mod probes;
mod round_robin;
mod start;
mod strays;
mod transfers;
mod watch;

use bytes::Paused;
use exit::HolderSearch;
use strays::Strays;

/// All processes that tasks run as on this machine. It has a field for each room below it, and one for each reason to
/// look at attempts again.
pub struct LocalProcesses {
    plan: Arc<Plan>,
    launch: Launch,
    wiring: Wiring,
    attempts: Attempts,
    descendants: Descendants,
    strays: Strays,
    /// The marks of attempts that are over and were ready at a port, the last one first: what they left may listen there.
    earlier: VecDeque<(Mark, TaskName)>,
    holder_search: HolderSearch,
    /// Attempts that started a moment ago, whose pipes are not watched yet, and until when.
    fresh: VecDeque<(TaskId, Time)>,
    /// Jobs whose tasks fill their pipes.
    prolific: BTreeSet<JobId>,
    /// Readers that wait until less is queued.
    paused: Vec<Paused>,
    /// Tasks that ask for another block of their input, of which nothing can be read now.
    hungry: Vec<TaskId>,
    /// Attempts that have to be watched while they run.
    watched: Vec<TaskId>,
    /// Descriptors that prun may have open.
    open_files: u64,
    /// Room for one read: as much as a new pipe holds.
    buffer: Vec<u8>,
}

/// Returns a buffer for what a pipe holds, in memory that costs nothing until it is written to. A block of this size comes
/// from the kernel, zeroed and not yet there; a smaller one would be cleared, page by page.
fn untouched_buffer() -> Vec<u8> {
    let mut buffer = vec![0; 2 * os::io::PIPE];
    buffer.truncate(os::io::PIPE);
    buffer
}

impl LocalProcesses {
    /// `columns`: the destination of tasks whose output is columns of a table. `jobserver`: prun's own, which all that
    /// it starts finds in its environment.
    ///
    /// # Errors
    /// When there is no stack for children, or no `/dev/null`.
    pub fn new(
        plan: Arc<Plan>,
        run_id: String,
        columns: Option<(Dest, Escape)>,
        jobserver: Option<&Server>,
    ) -> io::Result<LocalProcesses> {
        // As subreaper prun hears of the end of what its tasks left; without it that is polled.
        let is_subreaper = process::become_subreaper().is_ok();
        Ok(LocalProcesses {
            launch: Launch::new(run_id, jobserver)?,
            wiring: Wiring::new(&plan, columns)?,
            attempts: Attempts::default(),
            descendants: Descendants::new(is_subreaper),
            strays: Strays::default(),
            earlier: VecDeque::new(),
            holder_search: HolderSearch::default(),
            fresh: VecDeque::new(),
            prolific: BTreeSet::new(),
            paused: Vec::new(),
            hungry: Vec::new(),
            watched: Vec::new(),
            open_files: os::limits::open_files(),
            buffer: untouched_buffer(),
            plan,
        })
    }
}

impl Backend for LocalProcesses {
    fn start(&mut self, start: Start, cx: &mut Context) -> Started {
        self.start_attempt(start, cx)
    }

    fn signal(&mut self, task: TaskId, signal: i32, cx: &mut Context) {
        if let Some(attempt) = self.attempts.get(task) {
            let scope = self.plan.jobs[attempt.work.job].stop;
            self.stop_checks(task, cx);
            self.stop_opening(task, cx);
            self.descendants.signal(&mut self.attempts, task, signal, scope, cx.now);
        }
    }

    fn await_leftovers(&mut self, task: TaskId, kill: bool, cx: &mut Context) {
        self.descendants.await_leftovers(&self.attempts, task, kill, cx.now);
    }

    fn clear_group(&mut self, task: TaskId, signal: i32, cx: &mut Context) {
        if let Some(attempt) = self.attempts.get_mut(task) {
            attempt.cleared = true;
        }
        if self.descendants.clear_group(&self.attempts, task, signal) {
            cx.events.push_back(Event::GroupGone(task));
        }
    }

    fn forget(&mut self, task: TaskId, cx: &mut Context) -> Option<EndedAttempt> {
        self.forget_attempt(task, cx)
    }

    fn due(&self) -> Option<Time> {
        let fresh = self.fresh.front().map(|(_, due)| *due);
        [self.watch_due(), self.descendants.due(), fresh].into_iter().flatten().min()
    }

    fn is_crowded(&self) -> bool {
        self.launch.is_crowded()
    }

    fn poll(&mut self, cx: &mut Context) {
        self.watch_older(cx);
        self.end_transfers(cx);
        self.watch_attempts(cx);
        let gone = self.descendants.poll(&self.attempts, cx.now, cx.warnings);
        cx.events.extend(gone.into_iter().map(Event::GroupGone));
    }

    fn ready(&mut self, token: Token, ready: &Ready, cx: &mut Context) {
        self.pipe_ready(token, ready, cx);
    }

    fn job_ended(&mut self, job: JobId, cx: &mut Context) {
        self.launch.forget(job, &self.plan.jobs[job]);
        let closed = self.wiring.fixed.job_ended(job);
        cx.outputs.ops.extend(closed.into_iter().map(|dest| Op::Close { dest }));
    }

    fn run_ended(&mut self, report: String, _cx: &mut Context) {
        self.wiring.report = report.into_bytes();
    }

    fn set_run_facts(&mut self, facts: Vec<(&'static str, String)>) {
        self.launch.facts = Some(facts.into());
    }

    fn clear_away(&mut self, cx: &mut Context) -> bool {
        self.descendants.clear_away(cx.warnings)
    }

    fn remarks(&self, verbose: bool) -> Vec<String> {
        let blind = (!os::proc::is_available()).then(|| {
            "/proc does not show prun's own processes (it is not mounted, or of another PID namespace): a stop, \
             and the guardian if prun is killed by SIGKILL, reach process groups, but not what has left them"
                .to_owned()
        });
        blind.into_iter().chain(verbose.then(|| os::containment::inspect().to_string())).collect()
    }

    fn attempt(&self, task: TaskId) -> Option<&Attempt> {
        self.attempts.get(task)
    }

    fn not_ready(&mut self, task: TaskId) {
        self.note_not_ready(task);
    }

    fn resume_readers(&mut self, cx: &mut Context) {
        if !self.paused.is_empty() {
            self.resume(cx);
        }
    }

    fn close_inlets(&mut self, inlets: Vec<Inlet>, cx: &mut Context) {
        self.close_pipes(inlets, cx);
    }

    fn feed_blocks(&mut self, job: JobId, cx: &mut Context) {
        self.feed_hungry(job, cx);
    }

    fn pass_on_block(&mut self, job: JobId, cx: &mut Context) {
        self.pass_on(job, cx);
    }

    fn endless_readers(&self, queues: &Queues) -> BTreeSet<JobId> {
        self.readers_at_the_end(queues)
    }

    fn hook_turn(&mut self, task: TaskId, at: HookOn, cx: &mut Context) -> HookTurn {
        if let Some(input) = self.kept_hook_input(task, at) {
            return HookTurn::Again(input);
        }
        let ended = self.forget_attempt(task, cx);
        ended.map_or(HookTurn::Unknown, |ended| HookTurn::Ended(Box::new(ended)))
    }

    fn place_hook(&mut self, attempt: Attempt) {
        self.attempts.insert(attempt);
    }

    fn start_hook(&mut self, task: TaskId, input: Result<HookInput, String>, cx: &mut Context) {
        self.start_placed_hook(task, input, cx);
    }

    fn worker(&mut self, worker: TaskId, _job: JobId) -> Given<'_> {
        self.attempts.get_mut(worker).map_or(Given::Lost, Given::To)
    }

    fn write_tasks(&mut self, worker: TaskId, cx: &mut Context) {
        self.write_to_worker(worker, cx);
    }

    fn answer_lanes(
        &mut self,
        job: JobId,
        scope: &Scope,
        tag: Option<Arc<[u8]>>,
        sinks: &mut Sinks,
        warnings: &mut Vec<String>,
    ) -> Vec<LaneSpec> {
        self.wiring.answer_lanes(job, &self.plan.jobs[job], scope, tag, (sinks, warnings))
    }

    fn end_input(&mut self, worker: TaskId, _cx: &mut Context) -> bool {
        let feed = self.attempts.get_mut(worker).and_then(|attempt| attempt.feed.as_mut());
        feed.map(|feed| feed.end()).is_some()
    }

    fn reap(&mut self, cx: &mut Context) -> Option<i32> {
        self.reap_children(cx)
    }

    fn suspend(&mut self, cx: &mut Context) {
        self.suspend_all(cx);
    }

    fn go_on(&mut self, suspended: bool, cx: &mut Context) {
        self.continue_all(suspended, cx);
    }

    fn resize_terminals(&self) {
        self.resize_all_terminals();
    }
}
