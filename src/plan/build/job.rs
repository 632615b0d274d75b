//! A chain of the job file's jobs → one job of the plan.

use std::collections::BTreeMap;
use std::time::Duration;

use super::pipes::{Chain, Place};
use super::text::{self, Texts};
use super::{BuildOptions, TagFlag, batch, daemon, interactive, items, locks, ready, stage, worker};
use crate::jobfile::values::{OutputMode, PoolSize};
use crate::jobfile::{self, CommandSpec, EachSpec, JobFile, Mistakes, StdinSpec, TagSpec, Text};
use crate::plan::template::{Names, Piece, Template};
use crate::plan::{Items, Job, JobId, QueueId, Restart, Retries, RetryDelay, UNLIMITED};

pub(super) const GRACE: Duration = Duration::from_secs(10);
/// Before a daemon is started again.
const RESTART_DELAY: Duration = Duration::from_secs(1);
const TERM: i32 = 15;

/// What the jobs of a file have in common while they are planned.
pub(super) struct Context<'a> {
    pub file: &'a JobFile,
    pub how: &'a BuildOptions,
    pub texts: &'a Texts<'a>,
    /// The plan's queues, by name.
    pub queues: &'a BTreeMap<&'a str, QueueId>,
    /// For each job of the file whose items a command lists: the queue that they come through.
    pub lists: &'a [Option<QueueId>],
    /// For each job of the file: whose items it takes.
    pub sources: &'a [Option<usize>],
    pub locks: &'a locks::Locks<'a>,
    pub places: &'a [Place],
    /// Of the chains in the plan.
    pub numbers: &'a [JobId],
    /// More than one is in the plan.
    pub several: bool,
}

impl Context<'_> {
    /// The number of a queue. Of jobs that were not asked for, and of mistakes, any: they are not run.
    pub fn queue(&self, name: &Text) -> QueueId {
        self.queues.get(name.value.as_str()).copied().unwrap_or(QueueId(0))
    }
}

/// All but `after`, which names other jobs. What the last job says holds for all.
pub(super) fn plan(context: &Context, chain: &Chain, mistakes: &mut Mistakes) -> Job {
    let Context { file, how, texts, .. } = context;
    let job = &file.jobs[chain.last()];
    let first = &file.jobs[chain.jobs[0]];
    let worker = worker::plan(job, texts, mistakes);
    let restart = daemon::restart(job, chain, mistakes);
    let jobs: Vec<_> = chain.jobs.iter().map(|&job| &file.jobs[job]).collect();
    daemon::check_alone(&jobs, mistakes);
    interactive::check(job, mistakes);
    locks::check_slots(job, first, mistakes);
    let names = texts.of_task(job);
    locks::check_columns(job, names.columns, names.locks, mistakes);
    let stages = stage::plan(context, chain, mistakes);
    let batch = batch::plan(job, &stages, mistakes);
    let items = items::items(chain.last(), context, mistakes);
    let reads_queue = matches!(first.stdin.value, StdinSpec::Queue { .. })
        || matches!(job.each, Some(EachSpec::Queue { .. }));
    let reads = reads_queue || chain.jobs.len() > 1;
    let ready = ready::plan(context, job, mistakes);
    let mut hook = |command: &Option<CommandSpec>| {
        command.as_ref().map(|command| Box::new(stage::hook(context, job, command, mistakes)))
    };
    let (on_success, on_failure, on_exit) =
        (hook(&job.on_success), hook(&job.on_failure), hook(&job.on_exit));
    // Nobody waits for the end of what would never end.
    let lines = matches!(items, Items::None) || job.daemon;
    let natural = if lines { OutputMode::Line } else { OutputMode::Group };
    // It writes to the terminal itself, as a command in a shell does.
    let interactive = job.interactive && how.terminal;
    let own = job.output.or(interactive.then_some(OutputMode::Raw));
    let output = own.or(file.run.output).unwrap_or(natural);
    let raw = output == OutputMode::Raw;
    let keep_order = job.keep_order.or(file.run.keep_order).unwrap_or(false);
    // What children write themselves can't be put in order, nor prefixed.
    let tag = if raw { None } else { tag(context, job, job.daemon && !reads, mistakes) };
    Job {
        name: job.name.value.as_str().into(),
        stages,
        items,
        batch,
        pool: job.pool.map_or(UNLIMITED, |pool: PoolSize| pool.resolve(how.cpus)),
        output,
        keep_order: keep_order && !raw,
        tag,
        halt: job.halt.and_then(|halt| halt.limit()),
        grace: job.grace.or(file.run.grace).unwrap_or(GRACE),
        stop_signal: job.stop_signal.unwrap_or(TERM),
        timeout: job.timeout,
        rate: job.rate,
        retries: retries(job, restart, worker.is_some()),
        after: Vec::new(),
        slotless: job.daemon || reads_queue,
        daemon: job.daemon,
        serves: job.daemon && !reads,
        ready,
        restart,
        slots: job.slots.unwrap_or(1),
        locks: context.locks.wants(job),
        worker,
        duplex: chain.duplex,
        leftovers: job.leftovers,
        interactive,
        on_success,
        on_failure,
        on_exit,
        at_end: None,
        lister: None,
    }
}

fn retries(job: &jobfile::JobSpec, restart: Restart, worker: bool) -> Retries {
    let (count, delay) = match restart {
        Restart::Never if worker => (worker::RETRIES, RetryDelay::default()),
        Restart::Never => (0, RetryDelay::default()),
        Restart::OnFailure | Restart::Always => (u32::MAX, RetryDelay::constant(RESTART_DELAY)),
    };
    Retries {
        count: job.retries.unwrap_or(count),
        delay: job.retry_delay.unwrap_or(delay),
        on: job.retry_on.clone(),
    }
}

/// The job's own tag, the flag's, or that of `[run]`.
fn tag(context: &Context, job: &jobfile::JobSpec, serves: bool, mistakes: &mut Mistakes) -> Option<Template> {
    let Context { file, how, texts, .. } = context;
    let names = texts.of_task(job);
    let mut written = |text: &jobfile::Text| Some(with_tab(text::template(text, &names, mistakes)));
    match (&job.tag, &how.run.tag, &file.run.tag) {
        (Some(TagSpec::Template(text)), _, _) => written(text),
        (None, None, None) if serves && context.several => Some(name_and_item(job, &names)),
        (Some(TagSpec::Off), _, _)
        | (None, Some(TagFlag::Off), _)
        | (None, None, Some(TagSpec::Off) | None) => None,
        (Some(TagSpec::On), _, _) | (None, Some(TagFlag::On), _) | (None, None, Some(TagSpec::On)) => {
            Some(name_and_item(job, &names))
        }
        (None, Some(TagFlag::Template(text)), _) => match Template::parse(text.as_bytes(), &names) {
            Ok(template) => Some(with_tab(template)),
            Err(error) => {
                let mistake = jobfile::Mistake::new(format!("`--tag={text}`: {}", error.message));
                mistakes.push(jobfile::Mistake { help: error.help, ..mistake });
                None
            }
        },
        (None, None, Some(TagSpec::Template(text))) => written(text),
    }
}

/// "JOB ITEM", or "JOB" for a job without items.
fn name_and_item(job: &jobfile::JobSpec, names: &Names) -> Template {
    let name = &job.name.value;
    let text = if job.each.is_some() { format!("{name} {{}}") } else { name.clone() };
    with_tab(Template::parse(text.as_bytes(), names).unwrap_or_default())
}

fn with_tab(mut template: Template) -> Template {
    template.pieces.push(Piece::Text(b"\t".to_vec()));
    template
}
