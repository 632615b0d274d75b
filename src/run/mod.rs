//! Does what the scheduler decides: runs a plan to its end.
//!
//! One thread waits for the kernel, turns what happened into events, and does the actions that the scheduler answers.
//! It owns every child and every descriptor. This page is the map of the rooms; each has module documentation that
//! says what it owns, what comes in, what goes out, and what order matters.
//!
//! | room | what it owns | uses |
//! |---|---|---|
//! | [`block`] | whole records for the standard input of one task | |
//! | [`task`] | what a task works on; names of tasks | `block` |
//! | [`token`] | what the poller's tokens mean | |
//! | [`output`] | stdout, stderr, files, logs, the bar: writers by threads of their own; the terminal's lease | |
//! | [`clashes`] | files that a run would read and write at once | `task`, `output` |
//! | [`queues`] | records between jobs, and the pipes that lead in and out | `token` |
//! | [`throttle`] | the load, free memory, the pool's file, jobserver tokens | `token` |
//! | [`attempt`] | one attempt while it lives: processes, pipes, feed, dialogue, readiness, hook | `task`, `block`, `queues` |
//! | [`launch`] | how an attempt starts: arguments, environment, descriptors, limits | `task`, `block`, `attempt`, `output` |
//! | [`words`] | commands as lines for people and for a shell | `task`, `block`, `launch` |
//! | [`descendants`] | what tasks started beside their own processes | `attempt` |
//! | [`record`] | journal, job log, table of results, details of failures | `task`, `block`, `attempt`, `output`, `words` |
//! | [`items`] | where items come from: sources, readers, blocks, chains from job to job | `task`, `block`, `token`, `queues`, `record` |
//! | [`backend`] | where tasks run: the interface | `task`, `token`, `attempt`, `output`, `queues`, `items` |
//! | [`local`] | tasks as processes of this machine | `backend`, `task`, `block`, `token`, `attempt`, `launch`, `descendants`, `output`, `queues`, `items` |
//! | [`dry_run`] | commands that are printed and not run | `backend`, `task`, `token`, `attempt`, `items`, `words` |
//! | [`workers`] | which worker has which task, and where answers go | `task`, `queues` |
//! | [`shutdown`] | how far the end of the run has come | `output` |
//! | [`event_loop`] | the loop: waiting, dispatching, handling | all |
//! | [`actions`] | what each action of the scheduler does | all |
//!
//! `tests/layers.rs` fails on any other arrow between rooms.
//!
//! Two rooms are still to come, and have their places: `ctl/`, beside `queues`, for requests from inside tasks, and
//! `remote/`, beside `local`, as another [`backend::Backend`].

use std::io;
use std::sync::Arc;

use crate::event::Listener;
use crate::os;
use crate::os::signals::Signals;
use crate::plan::{Job, Plan, UNLIMITED, items as plan_items};
pub use crate::sched::Verdict;

pub mod actions;
pub mod attempt;
pub mod backend;
pub mod block;
pub mod clashes;
pub mod descendants;
pub mod dry_run;
pub mod event_loop;
pub mod items;
pub mod launch;
pub mod local;
pub mod output;
pub mod queues;
pub mod record;
pub mod shutdown;
pub mod task;
pub mod throttle;
pub mod token;
pub mod words;
pub mod workers;

use backend::Backend;
use dry_run::DryRun;
use event_loop::scheduler::{Scheduler, Trace};
use event_loop::{EventLoop, Kernel, Rooms, check_terminal};
use local::LocalProcesses;
use output::Output;
use record::{Access, Record};
use throttle::Throttle;

/// How a run behaves beside what its plan says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Tell each command as it starts.
    pub verbose: bool,
    /// Tell how tasks are contained.
    pub debug: bool,
    /// Print the commands instead of starting them.
    pub dry_run: bool,
}

/// Descriptors that prun needs beside those of tasks.
const OWN_DESCRIPTORS: u64 = 32;
/// Descriptors of one task: two outputs and a feed.
const DESCRIPTORS_PER_TASK: u64 = 3;

/// Runs a plan to its end.
///
/// # Errors
/// When prun can't get what it needs for itself: a poller, signal handlers, a stack for children, its logs. For people.
pub fn run(mut plan: Plan, options: Options, listener: Box<dyn Listener>) -> Result<Verdict, String> {
    let signals = Signals::install().map_err(cannot_begin("its signals could not be taken over"))?;
    if options.dry_run {
        dry_run::prepare(&mut plan);
    }
    raise_file_limit(&plan);
    if !options.dry_run {
        check_terminal(&plan)?;
        os::schedule::shorten_turns();
    }
    let (throttle, warning) = Throttle::open(&mut plan, options.verbose)?;
    clashes::check(&plan)?;
    let plan = Arc::new(plan);
    let mut output =
        Output::new(&plan, listener).map_err(cannot_begin("no event descriptor could be made"))?;
    let run_id = os::live_starts::run().id.clone();
    os::live_starts::set_grace(plan.jobs.iter().map(|job| job.grace).max().unwrap_or_default());
    let access = if options.dry_run { Access::ReadOnly } else { Access::Write };
    let (record, warnings) = Record::open(&plan, &run_id, access, &mut output.sinks)?;
    // Behind the logs, which exist from now on.
    clashes::reserve(&plan, &mut output.sinks.files);
    let backend: Box<dyn Backend> = if options.dry_run {
        Box::new(DryRun::new(Arc::clone(&plan)))
    } else {
        let columns = record.table().map(|table| table.columns());
        let local = LocalProcesses::new(Arc::clone(&plan), run_id, columns, throttle.server());
        Box::new(local.map_err(cannot_begin("the start of tasks could not be prepared"))?)
    };
    let trace = Trace::from_environment()?;
    let scheduler = Scheduler::new(Arc::clone(&plan), trace);
    let kernel = Kernel::new(Some(signals)).map_err(cannot_begin("no poller could be made"))?;
    let rooms = Rooms { backend, output, record, throttle };
    let event_loop = EventLoop::new(plan, options, kernel, scheduler, rooms)
        .map_err(cannot_begin("the poller refused a descriptor"))?;
    Ok(event_loop.run(warnings.into_iter().chain(warning).collect()))
}

/// Returns the text of a failure before anything runs, from what could not be had and its error.
fn cannot_begin(what: &str) -> impl Fn(io::Error) -> String {
    move |why| format!("the run could not begin: {what}: {}", os::errors::reason(&why))
}

/// Raises the limit of open files to what the tasks that run at once may need.
fn raise_file_limit(plan: &Plan) {
    // The size that a file gives may grow.
    let pool = if plan.throttle.pool_file.is_some() { UNLIMITED } else { plan.pool };
    let most = plan.jobs.iter().map(|job| most_tasks(plan, job)).fold(0, u64::saturating_add);
    let at_once = (pool as u64).min(most);
    os::limits::raise_nofile(at_once.saturating_mul(DESCRIPTORS_PER_TASK).saturating_add(OWN_DESCRIPTORS));
}

/// Returns how many tasks a job can have at once, as far as that is known before its items are read.
fn most_tasks(plan: &Plan, job: &Job) -> u64 {
    plan_items::known_tasks(plan, job).unwrap_or(u64::MAX).min(job.pool as u64)
}
