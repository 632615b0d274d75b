//! The loop of a run: waits for the kernel, turns what happened into events, asks the scheduler, does its actions.
//!
//! [`EventLoop`] owns one value for each room of `run`, and is the only place, with [`actions`](super::actions), that
//! knows all of them. The rooms get what they need as arguments and give back events.
//!
//! # One turn
//!
//! 1. [`pump`]: the poller blocks until a descriptor is ready or the next timer is due.
//! 2. Each ready descriptor is handed to the room that owns it ([`Token`] says which). The rooms push events.
//! 3. The backend does what is due by itself, the queues move records, and jobs that wait for items are asked again.
//! 4. A `Tick` goes in *behind* all that is known: a task that has exited did not time out.
//! 5. Events are handled one after another, each with its actions, until none is left or [`BURST`] attempts have
//!    started. Then the kernel is asked again, so that a Ctrl-C in the middle of 5,000 starts is seen at once.
//! 6. Output that is complete goes to the writers, the bar is drawn, readers that had to wait go on.
//!
//! # Control is never blocked by data
//!
//! Bytes are bounded: a full output pauses its readers, and nothing new starts. Exits and signals never wait for
//! bytes. The loop never writes to its own stdout or stderr, and never touches a disk: threads in
//! [`output`](super::output) do, and share their queues with the loop under a lock. Nothing else is shared, and no
//! other lock exists.
//!
//! # Rejected
//!
//! - Three loops (one while the run goes on, one for the last children, one for the last output), each with a dispatcher
//!   of its own: they drifted apart, and a signal during the last flush was seen by one of them only.
//! - Handlers that call the scheduler directly from the middle of a dispatch: the order of events then depends on the
//!   order of descriptors. Events are queued, and handled in one place.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::backend::{Backend, Context};
use super::items::intake::Intake;
use super::output::Output;
use super::output::sinks::HandOver;
use super::queues::Queues;
use super::record::Record;
use super::shutdown::Shutdown;
use super::throttle::Throttle;
use super::token::Token;
use super::workers::Workers;
use super::{Options, Verdict};
use crate::event::{JobId, JobInfo, RunEvent, Time};
use crate::os;
use crate::os::poller::{Interest, Poller, Ready};
use crate::os::signals::Signals;
use crate::plan::{Items, OutputMode, Plan, items};
use crate::sched::Event;

mod flush;
pub mod inbox;
pub mod pump;
pub mod scheduler;
mod signals;
mod suspend;

pub use suspend::check_terminal;

use inbox::Inbox;
use pump::Until;
use scheduler::Scheduler;

/// Starts before the kernel is asked again. An exit and the start that follows are one look at it.
const BURST: usize = 2;

/// A run that takes no longer does without the thread that waits for SIGINT.
const SHORT_RUN: Time = Time::from_millis(50);

/// One run, from its first event to its verdict.
///
/// It has more than twelve fields because it has one for each room, and is what the rooms meet in.
pub struct EventLoop {
    pub(in crate::run) plan: Arc<Plan>,
    pub(in crate::run) options: Options,
    pub(in crate::run) kernel: Kernel,
    pub(in crate::run) scheduler: Scheduler,
    pub(in crate::run) inbox: Inbox,
    pub(in crate::run) backend: Box<dyn Backend>,
    pub(in crate::run) queues: Queues,
    pub(in crate::run) intake: Intake,
    pub(in crate::run) workers: Workers,
    pub(in crate::run) output: Output,
    pub(in crate::run) record: Record,
    pub(in crate::run) throttle: Throttle,
    pub(in crate::run) shutdown: Shutdown,
}

/// The poller and the signals that the loop waits for, and its clock.
pub struct Kernel {
    pub poller: Poller,
    /// `None`: signals are left to the program around the loop, as in tests.
    pub signals: Option<Signals>,
    /// Moves by as long as prun is suspended, so that no clock runs meanwhile.
    start: Instant,
    /// The time of this turn, since the start of the run.
    pub now: Time,
}

impl Kernel {
    pub fn new(signals: Option<Signals>) -> io::Result<Kernel> {
        Ok(Kernel { poller: Poller::new()?, signals, start: Instant::now(), now: Time::ZERO })
    }

    /// Blocks until a descriptor is ready, but no longer than `patience` (`None`: without a limit).
    fn wait(&mut self, ready: &mut Vec<Ready>, patience: Option<Time>) -> nix::Result<()> {
        let signals = self.signals.as_mut().filter(|signals| !signals.has_ctrlc());
        let begins = signals.is_some().then(|| SHORT_RUN.saturating_sub(self.now));
        let waited = self.poller.wait(ready, patience.into_iter().chain(begins).min());
        self.now = self.start.elapsed();
        if let Some(signals) = signals.filter(|_| self.now >= SHORT_RUN) {
            signals.hand_interrupt_to_ctrlc();
        }
        waited
    }

    /// Takes a pause out of the clock.
    fn skip(&mut self, pause: Time) {
        self.start += pause;
    }
}

/// The rooms that are made before the loop, because their making can fail for reasons that people are told.
pub struct Rooms {
    pub backend: Box<dyn Backend>,
    pub output: Output,
    pub record: Record,
    pub throttle: Throttle,
}

impl EventLoop {
    /// # Errors
    /// When a descriptor of prun's own can't be given to the poller.
    pub fn new(
        plan: Arc<Plan>,
        options: Options,
        kernel: Kernel,
        scheduler: Scheduler,
        rooms: Rooms,
    ) -> io::Result<EventLoop> {
        let Rooms { backend, output, record, throttle } = rooms;
        if let Some(signals) = &kernel.signals {
            kernel.poller.add(signals.fd(), Token::Signals.pack(), Interest::Read)?;
        }
        kernel.poller.add(output.sinks.waker().fd(), Token::Sinks.pack(), Interest::Read)?;
        let event_loop = EventLoop {
            scheduler,
            inbox: Inbox::default(),
            backend,
            queues: Queues::new(Arc::clone(&plan)),
            intake: Intake::new(&plan),
            workers: Workers::new(&plan),
            output,
            record,
            throttle,
            shutdown: Shutdown::default(),
            plan,
            options,
            kernel,
        };
        event_loop.watch_stdout();
        Ok(event_loop)
    }

    /// Children that write to stdout themselves learn of its end by SIGPIPE; prun learns of it from the poller.
    fn watch_stdout(&self) {
        if self.plan.jobs.iter().any(|job| job.output == OutputMode::Raw) {
            // A stdout that can't be watched (a file) has no reader that could go away.
            let _ = self.kernel.poller.add(os::std_streams::stdout(), Token::Stdout.pack(), Interest::Hangup);
        }
    }

    /// Runs the plan to its end. `warnings` are told first.
    pub fn run(mut self, warnings: Vec<String>) -> Verdict {
        // The hooks of the run stand behind the jobs of the file, and are not told as jobs.
        let jobs = self.plan.jobs.iter().take_while(|job| job.run_hook().is_none()).count();
        let jobs = JobId::all(jobs).map(|job| job_info(&self.plan, job)).collect();
        self.tell(&RunEvent::RunStarted { jobs });
        let remarks = self.backend.remarks(self.options.debug);
        for why in warnings.into_iter().chain(remarks) {
            self.warn(why);
        }
        self.inbox.push(Event::Begin);
        self.advance();
        // The first messages do not wait for the first end of a task.
        self.hand_over(HandOver::WhenDue);
        self.pump(Until::RunEnded);
        if self.scheduler.was_stopped() {
            self.pump(Until::ChildrenGone);
        }
        self.flush()
    }

    /// Splits the loop into the backend and what it works with.
    pub(in crate::run) fn backend(&mut self) -> (&mut dyn Backend, Context<'_>) {
        let context = Context {
            now: self.kernel.now,
            poller: &self.kernel.poller,
            outputs: &mut self.output.outputs,
            sinks: &mut self.output.sinks,
            events: &mut self.inbox.events,
            sources: &mut self.intake.sources,
            queues: &mut self.queues,
            terminal: &mut self.output.lease,
            answered: &mut self.workers.wrote,
            warnings: &mut self.inbox.warnings,
            launched: &mut self.inbox.launched,
        };
        (&mut *self.backend, context)
    }

    pub(in crate::run) fn tell(&mut self, event: &RunEvent) {
        self.output.tell(self.kernel.now, event);
    }

    pub(in crate::run) fn warn(&mut self, why: String) {
        self.tell(&RunEvent::Warning(why));
    }

    fn hand_over(&mut self, when: HandOver) {
        self.output.hand_over(self.kernel.now, when);
    }
}

fn job_info(plan: &Plan, id: JobId) -> JobInfo {
    let job = &plan.jobs[id];
    JobInfo {
        background: job.is_service() || job.is_lister(),
        name: Arc::clone(&job.name),
        many: !matches!(job.items, Items::None),
        total: items::known_tasks(plan, job),
    }
}
