//! Does what the scheduler decides. One thread waits for the kernel, turns what happened into events, and
//! applies the actions; nothing here is shared or locked.
//!
//! - [`local`]: tasks as processes of this machine ([`launch`], [`wiring`], [`active`]); `setup`, `envfile`: what they
//!   start with that is not as prun has it
//! - `chain`: items that go from job to job
//! - [`feed`]: what prun writes to a child's stdin
//! - [`dialogue`], [`duplex`]: what is looked after while a task runs
//! - [`ready`]: whether tasks are up
//! - [`queues`]: records that tasks write for others
//! - [`gauges`]: the load, free memory, and the file that says how many tasks run at once
//! - `tokens`: slots that are shared with make and others
//! - [`source`]: items, read when they are wanted ([`stream`], [`paths`]), and blocks of an input ([`blocks`], [`block`])
//! - [`hook`]: commands after tasks; `at_end`: those after the run
//! - `workers`: processes that take tasks one after another
//! - [`sinks`]: what is written, by threads of their own ([`writer`], [`disk`])
//! - `apply`: what each action does
//! - `last`: the end of a run; `left`: processes that outlive tasks
//! - [`screen`]: the terminal that the bar and the output share; `suspend`: it is left to others
//! - `signals`: what prun is told
//! - `ledger`, `known`: what logs are told of ended tasks; `table`: the file with all their output
//! - [`tell`]: what happened, put together for the listener; `wrapped`: lines for a shell; `hint`: what a task probably
//!   died of
//! - `unstarted`, `threads`: what can't be started for now
//!
//! Control is never blocked by data. Bytes are bounded (a full output pauses its readers, and nothing new
//! starts); exits and signals never wait for them. After each burst of starts the kernel is asked again, so
//! that a Ctrl-C in the middle of starting 5,000 tasks is seen at once.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::event::{JobId, JobInfo, Listener, PlaceMap, RunEvent, Time};
use crate::flow::output::{Framing, Outputs};
use crate::os;
use crate::os::poller::{Interest, Poller, Ready};
use crate::os::signals::Signals;
use crate::plan::OutputMode;
use crate::plan::items as plan_items;
use crate::plan::{Brakes, Items, Jobserver, Plan, Restart, UNLIMITED};
pub use crate::sched::Verdict;
use crate::sched::{Action, Event, Supervisor};

pub mod actions;
pub mod attempt;
pub mod block;
pub mod descendants;
pub mod event_loop;
pub mod items;
pub mod launch;
pub mod local;
pub mod output;
pub mod queues;
pub mod record;
pub mod shutdown;
pub mod throttle;
pub mod token;
pub mod words;
pub mod workers;

use actions::hooks;
use attempt::Work;
use event_loop::suspend;
use items::Sources;
use items::chain;
use local::{Local, Shared};
use output::Sinks;
use output::screen::Screen;
use output::thread_start;
use record::ledger::Ledger;
use record::{cause_of_death, results_table};
use shutdown::{flush, run_hooks};
use throttle::gauges::Gauges;
use throttle::jobserver;
use token::Token;

/// How a run behaves beside what its plan says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Say each command as it starts.
    pub verbose: bool,
    /// Say how tasks are contained.
    pub debug: bool,
    /// Print the commands instead of starting them.
    pub dry_run: bool,
}

/// Starts before the kernel is asked again.
const BURST: usize = 16;
/// Nothing new starts while more output than this is kept in memory: behind a slow first task, with `keep_order`.
const KEPT: usize = 64 << 20;
/// Descriptors that prun needs beside those of tasks, and for each task: two outputs and a feed.
const OWN_DESCRIPTORS: u64 = 32;
const DESCRIPTORS_PER_TASK: u64 = 3;

/// Runs a plan to its end.
///
/// # Errors
/// When prun can't get what it needs for itself: a poller, signal handlers, a stack for children, its logs. For people.
pub fn run(mut plan: Plan, options: Options, listener: Box<dyn Listener>) -> Result<Verdict, String> {
    let cannot_begin =
        |why: io::Error| format!("the run could not begin: {}", crate::os::errors::reason(&why));
    let signals = Signals::install().map_err(cannot_begin)?;
    if options.dry_run {
        // What is only printed is not held back.
        plan.brakes = Brakes::default();
        plan.jobs.iter_mut().for_each(|job| {
            (job.rate, job.ready, job.restart) = (None, None, Restart::Never);
        });
        plan.jobserver = Jobserver::None;
    }
    // What a file says may grow.
    let pool = if plan.brakes.pool_file.is_some() { UNLIMITED } else { plan.pool };
    let at_once =
        pool.min(plan.jobs.iter().map(|job| most_tasks(&plan, job)).fold(0, u64::saturating_add) as usize);
    os::limits::raise_nofile(
        (at_once as u64).saturating_mul(DESCRIPTORS_PER_TASK).saturating_add(OWN_DESCRIPTORS),
    );
    if !options.dry_run {
        suspend::check_terminal(&plan)?;
    }
    let (tokens, told) = jobserver::open(&mut plan, options.verbose)?;
    let mut run = Run::new(plan, options, listener, signals, tokens).map_err(cannot_begin)?;
    run.warnings = run.open_logs()?;
    run.warnings.extend(told);
    let warnings = run.open_table()?;
    run.warnings.extend(warnings);
    Ok(run.go())
}

/// How many tasks a job can have at once, as far as that is known before its items are read.
fn most_tasks(plan: &Plan, job: &crate::plan::Job) -> u64 {
    plan_items::known_tasks(plan, job).unwrap_or(u64::MAX).min(job.pool as u64)
}

struct Run {
    plan: Arc<Plan>,
    options: Options,
    run_id: String,
    start: Instant,
    now: Time,
    poller: Poller,
    signals: Signals,
    supervisor: Supervisor,
    local: Local,
    sources: Sources,
    outputs: Outputs,
    sinks: Sinks,
    screen: Screen,
    events: VecDeque<Event>,
    /// Tasks started since the kernel was asked.
    starts: usize,
    /// Items of tasks that wait for their start, by the task's place.
    works: PlaceMap<Work>,
    chains: chain::Chains,
    hooks: hooks::Awaited,
    last: run_hooks::Last,
    workers: workers::Workers,
    gauges: Gauges,
    /// If the slots are shared with others.
    tokens: Option<jobserver::Tokens>,
    memory: cause_of_death::OutOfMemory,
    /// Actions that were done: room for others.
    spare_actions: Vec<Action>,
    /// Workers answered in this turn.
    answered: bool,
    /// For each job: how many items were asked for last.
    wanted: Vec<usize>,
    /// Jobs that go on asking for items in the next turn.
    asking: Vec<JobId>,
    /// What is told to logs, if there are any.
    ledger: Option<Ledger>,
    /// Rows of ended tasks, if they are wanted.
    table: Option<results_table::Rows>,
    /// To be told when the run has begun.
    warnings: Vec<String>,
    /// Jobs whose number of tasks was told before their items were used up.
    totals_known: HashSet<JobId>,
    /// Nothing starts, because too much waits to be written or to have its turn.
    held: bool,
    finished: bool,
    failed_to_write: bool,
}

impl Run {
    fn new(
        plan: Plan,
        options: Options,
        listener: Box<dyn Listener>,
        signals: Signals,
        tokens: Option<jobserver::Tokens>,
    ) -> io::Result<Run> {
        let plan = Arc::new(plan);
        let poller = Poller::new()?;
        let sinks = Sinks::new()?;
        poller.add(signals.fd(), Token::Signals.pack(), Interest::Read)?;
        poller.add(sinks.waker().fd(), Token::Sinks.pack(), Interest::Read)?;
        let run_id = words::run_id();
        // Where tasks of several jobs may flow at the same time, lines must not mix.
        let several = plan.jobs.iter().filter(|job| job.at_end.is_none()).count() > 1;
        let mixing = several && plan.jobs.iter().any(|job| job.keep_order);
        let mut run = Run {
            supervisor: Supervisor::new(Arc::clone(&plan)),
            local: Local::new(Arc::clone(&plan), run_id.clone())?,
            run_id,
            sources: Sources::new(Arc::clone(&plan), os::limits::argument_room()),
            outputs: Outputs::new(if mixing { Framing::Lines } else { Framing::Chunks }),
            start: Instant::now(),
            now: Time::ZERO,
            screen: Screen::new(listener),
            events: VecDeque::new(),
            starts: 0,
            works: PlaceMap::default(),
            chains: chain::Chains::new(&plan),
            hooks: hooks::Awaited::new(),
            last: run_hooks::Last::default(),
            workers: workers::Workers::new(&plan),
            gauges: Gauges::new(&plan),
            tokens,
            memory: cause_of_death::OutOfMemory::default(),
            spare_actions: Vec::new(),
            answered: false,
            wanted: vec![1; plan.jobs.len()],
            asking: Vec::new(),
            ledger: None,
            table: None,
            warnings: Vec::new(),
            totals_known: HashSet::new(),
            held: false,
            finished: false,
            failed_to_write: false,
            plan,
            options,
            poller,
            signals,
            sinks,
        };
        run.watch_stdout();
        if let Some(server) = run.tokens.as_ref().and_then(jobserver::Tokens::server) {
            run.local.share_slots(server);
        }
        Ok(run)
    }

    /// Children that write to stdout themselves hear of its end by SIGPIPE; prun hears of it here.
    fn watch_stdout(&self) {
        let direct = |job: &crate::plan::Job| job.output == OutputMode::Raw;
        if self.plan.jobs.iter().any(direct) {
            // What can't be watched has no other end that could go.
            let _ = self.poller.add(os::std_streams::stdout(), Token::Stdout.pack(), Interest::Hangup);
        }
    }

    // ---- the loop ----------------------------------------------------------------------------------------

    fn go(mut self) -> Verdict {
        // Behind them stand the hooks of the run, which are not told as jobs.
        let jobs = self.plan.jobs.iter().take_while(|job| job.at_end.is_none()).count();
        self.tell(&RunEvent::RunStarted {
            jobs: JobId::all(jobs).map(|job| job_info(&self.plan, job)).collect(),
        });
        for why in std::mem::take(&mut self.warnings) {
            self.tell(&RunEvent::Warning(why));
        }
        self.warn_of_blindness();
        if self.options.debug && !self.options.dry_run {
            self.tell(&RunEvent::Warning(os::contain::look().to_string()));
        }
        self.events.push_back(Event::Begin);
        let mut ready = Vec::new();
        self.handle_events();
        // What was told before the first wait does not wait for the first end.
        self.sinks.hand_over(self.now, true, &mut self.outputs.spare);
        while !self.finished {
            let patience = self.patience();
            if let Err(errno) = self.poller.wait(&mut ready, patience) {
                self.events.push_back(Event::Broken(format!("could not wait for events: {errno}")));
            }
            self.now = self.start.elapsed();
            self.memory.look(self.now);
            self.answered = false;
            for event in &ready {
                self.dispatch(event);
                // A worker that answered goes on while the next one is looked at.
                if self.take_answers() {
                    self.answered = true;
                    self.work_off();
                }
            }
            self.handle_events();
            if !self.finished {
                self.look_at_terminal();
                self.look_after_sinks();
                self.screen.draw(self.now, &mut self.sinks);
                let busy = self.starts > 0 || !ready.is_empty() || self.answered;
                self.sinks.hand_over(self.now, busy, &mut self.outputs.spare);
            }
        }
        self.clear_away(&mut ready);
        self.flush(&mut ready)
    }

    /// How long nothing has to be done by itself.
    fn patience(&self) -> Option<Duration> {
        if !self.events.is_empty() || !self.asking.is_empty() {
            return Some(Duration::ZERO);
        }
        // Output is staged while more comes at once, or is about to come of what was just started, or of workers that
        // were just given more.
        if self.sinks.due().is_some() && self.starts == 0 && !self.answered {
            return Some(Duration::ZERO);
        }
        let at = [
            self.supervisor.due(),
            self.supervisor.reading_due(),
            self.gauges.due(),
            self.screen.due(),
            self.sinks.due(),
            self.workers.due(),
            self.local.due(),
            self.local.remnants.due(),
            self.memory.due(),
        ];
        let at = at.into_iter().flatten().min();
        let left = at.map(|at| at.saturating_sub(self.now));
        let thread = self.sinks.await_thread().then_some(thread_start::PAUSE);
        [left, thread, self.local.queues.patience()].into_iter().flatten().min()
    }

    fn dispatch(&mut self, ready: &Ready) {
        match Token::unpack(ready.token) {
            Token::Signals => self.take_signals(),
            Token::Sinks => self.sinks.waker().drain(),
            Token::Stdout => {
                let _ = self.poller.remove(os::std_streams::stdout());
                self.events.push_back(Event::OutputClosed);
            }
            Token::Tokens => self.take_tokens(),
            Token::Items(job) => {
                self.sources.pause(job, &self.poller);
                if self.sources.is_asked(job) {
                    self.pull(job);
                }
                let (local, mut shared) = self.local();
                local.feed_hungry(job, &mut shared);
            }
            token => {
                let (local, mut shared) = self.local();
                local.ready(token, ready, &mut shared);
            }
        }
    }

    /// Local tasks, and what they share with the loop.
    fn local(&mut self) -> (&mut Local, Shared<'_>) {
        let shared = Shared {
            now: self.now,
            poller: &self.poller,
            outputs: &mut self.outputs,
            sinks: &mut self.sinks,
            events: &mut self.events,
            sources: &mut self.sources,
        };
        (&mut self.local, shared)
    }

    fn handle_events(&mut self) {
        let (local, mut shared) = self.local();
        local.look_after(&mut shared);
        let asking = local.turn_queues(&mut shared).into_iter().chain(std::mem::take(&mut self.asking));
        asking.collect::<Vec<_>>().into_iter().for_each(|job| self.pull(job));
        let (local, mut shared) = self.local();
        local.look_at_remnants(&mut shared);
        self.warn_of_untouchable();
        // Behind what is known: a task that has exited did not time out.
        if self.supervisor.due().is_some_and(|due| due <= self.now) {
            self.events.push_back(Event::Tick(self.now));
        }
        self.look_for_silent_workers();
        self.look_at_gauges();
        self.starts = 0;
        self.work_off();
        self.write_out();
    }

    /// Handles what happened.
    fn work_off(&mut self) {
        self.answer_followers();
        while self.starts < BURST
            && let Some(event) = self.events.pop_front()
        {
            self.handle(event);
            self.answer_followers();
        }
        self.feed_workers();
    }

    fn handle(&mut self, event: Event) {
        let mut actions = std::mem::take(&mut self.spare_actions);
        self.supervisor.handle(self.now, event, &mut actions);
        self.apply_all(actions);
    }

    // ---- output ------------------------------------------------------------------------------------------

    /// Hands on what is to be written.
    fn write_out(&mut self) {
        self.screen.write_out(&mut self.outputs.ops, &mut self.sinks);
    }

    fn tell(&mut self, event: &RunEvent) {
        self.screen.tell(self.now, event, &mut self.outputs.ops, &mut self.sinks);
    }

    /// Looks whether writing failed.
    fn look_for_failure(&mut self) {
        if !self.failed_to_write
            && let Some(failure) = self.sinks.take_failure()
        {
            self.failed_to_write = true;
            self.events.push_back(flush::event_of(failure));
        }
    }

    /// Looks whether writing failed, and whether reading may go on.
    fn look_after_sinks(&mut self) {
        self.sinks.look_after_threads();
        self.start_awaited_hooks();
        self.look_for_failure();
        self.look_for_settled_files();
        self.look_whether_settled();
        let crowded = self.sinks.crowded();
        // What makes room for a thread must not be taken by the next task.
        let hold = crowded || self.outputs.kept() > KEPT || self.sinks.await_thread();
        if hold != self.held {
            self.held = hold;
            let mut actions = Vec::new();
            self.supervisor.hold(self.now, hold, &mut actions);
            self.apply_all(actions);
        }
        if self.local.is_paused() {
            let (local, mut shared) = self.local();
            local.resume(&mut shared);
        }
    }
}

fn job_info(plan: &Plan, id: JobId) -> JobInfo {
    let job = &plan.jobs[id];
    JobInfo {
        background: job.serves || plan_items::is_lister(plan, id),
        name: Arc::clone(&job.name),
        many: !matches!(job.items, Items::None),
        total: plan_items::known_tasks(plan, job),
    }
}
