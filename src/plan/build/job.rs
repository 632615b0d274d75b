//! A chain of the job file's jobs → one job of the plan.

use std::time::Duration;

use super::context::Context;
use super::pipes::Chain;
use super::text;
use super::{TagFlag, batch, daemon, interactive, items, locks, ready, stage, worker};
use crate::jobfile::values::{HaltSetting, OutputMode, PoolSize};
use crate::jobfile::{self, CommandSpec, EachSpec, Mistakes, StdinSpec, TagSpec};
use crate::plan::template::{Names, Piece, Template};
use crate::plan::{
    DEFAULT_GRACE, Daemon, Hooks, Items, Job, Kind, Leftovers, Restart, Retries, RetryDelay, UNLIMITED,
    Worker,
};

/// The pause before a daemon is started again, without `retry_delay`.
const RESTART_DELAY: Duration = Duration::from_secs(1);

/// Plans all but `after`, which names other jobs. Settings of the last job hold for the whole chain.
pub(super) fn plan(context: &Context, chain: &Chain, mistakes: &mut Mistakes) -> Job {
    let Context { file, options, texts, .. } = context;
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
    let kind = kind(job.daemon, reads_queue, chain.jobs.len() > 1);
    let ready = ready::plan(context, job, mistakes);
    let mut hook = |command: &Option<CommandSpec>| {
        command.as_ref().map(|command| Box::new(stage::hook(context, job, command, mistakes)))
    };
    let hooks = Hooks {
        on_success: hook(&job.on_success),
        on_failure: hook(&job.on_failure),
        on_exit: hook(&job.on_exit),
    };
    // The output of a daemon is printed as it comes, because it may never end.
    let lines = matches!(items, Items::None) || job.daemon;
    let usual_output = if lines { OutputMode::Line } else { OutputMode::Group };
    // An interactive job writes to the terminal itself, as a command in a shell does.
    let interactive = job.interactive && options.terminal;
    let own_output = job.output.or(interactive.then_some(OutputMode::Raw));
    let output = own_output.or(file.run.output).unwrap_or(usual_output);
    let raw = output == OutputMode::Raw;
    let keep_order = job.keep_order.or(file.run.keep_order).unwrap_or(false);
    // Output that children write to the terminal themselves can't be put in order or prefixed.
    let tag = if raw { None } else { tag(context, job, kind == Kind::Daemon(Daemon::Service), mistakes) };
    Job {
        kind,
        duplex: chain.duplex,
        items,
        batch,
        pool: job.pool.map_or(UNLIMITED, |pool: PoolSize| pool.resolve(options.cpus)),
        slots: job.slots.unwrap_or(1),
        locks: context.locks.requests(job),
        rate: job.rate,
        retries: retries(job, restart, worker.is_some()),
        worker,
        ready,
        interactive,
        timeout: job.timeout,
        stop_signal: job.stop_signal,
        stop: job.stop.unwrap_or_default(),
        grace: job.grace.or(file.run.grace).unwrap_or(DEFAULT_GRACE),
        restart,
        halt: job.halt.and_then(HaltSetting::limit),
        leftovers: match job.leftovers {
            Leftovers::LeaveLast if matches!(kind, Kind::Daemon(_)) => Leftovers::Kill,
            said => said,
        },
        hooks,
        output,
        keep_order: keep_order && !raw,
        tag,
        ..Job::new(&job.name.value, stages)
    }
}

/// Returns the part that the job plays in the run. `reads_pipe`: the chain has several jobs.
fn kind(daemon: bool, reads_queue: bool, reads_pipe: bool) -> Kind {
    match daemon {
        true if reads_queue || reads_pipe => Kind::Daemon(Daemon::Reader),
        true => Kind::Daemon(Daemon::Service),
        false if reads_queue => Kind::Reader,
        false => Kind::Task,
    }
}

/// Returns the job's retries. `worker`: its tasks are run by workers.
fn retries(job: &jobfile::JobSpec, restart: Restart, worker: bool) -> Retries {
    let (count, delay) = match restart {
        Restart::Never if worker => (Worker::DEFAULT_RETRIES, RetryDelay::default()),
        Restart::Never => (0, RetryDelay::default()),
        Restart::OnFailure | Restart::Always => (u32::MAX, RetryDelay::constant(RESTART_DELAY)),
    };
    Retries {
        count: job.retries.unwrap_or(count),
        delay: job.retry_delay.unwrap_or(delay),
        on: job.retry_on.clone(),
    }
}

/// Returns the tag of the job, or else of the flag, or else of `[run]`. `is_service`: without any, a service has one.
fn tag(
    context: &Context,
    job: &jobfile::JobSpec,
    is_service: bool,
    mistakes: &mut Mistakes,
) -> Option<Template> {
    let Context { file, options, texts, .. } = context;
    let names = texts.of_task(job);
    let mut from_file = |text: &jobfile::Text| Some(with_tab(text::template(text, &names, mistakes)));
    match (&job.tag, &options.run.tag, &file.run.tag) {
        (Some(TagSpec::Template(text)), _, _) => from_file(text),
        (None, None, None) if is_service && context.several => Some(name_and_item(job, &names)),
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
        (None, None, Some(TagSpec::Template(text))) => from_file(text),
    }
}

/// Returns the tag "JOB ITEM", or "JOB" for a job without items.
fn name_and_item(job: &jobfile::JobSpec, names: &Names) -> Template {
    let name = &job.name.value;
    let text = if job.each.is_some() { format!("{name} {{}}") } else { name.clone() };
    with_tab(Template::parse(text.as_bytes(), names).unwrap_or_default())
}

fn with_tab(mut template: Template) -> Template {
    template.push(Piece::Text(b"\t".to_vec()));
    template
}
