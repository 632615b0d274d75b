//! `prun exec`: one command over many items → a [`Plan`] with one job. Pure.

mod args;
pub mod escapes;
mod hooks;
mod items;
mod perl;
mod pipe;
mod planner;
mod results;
mod worker;

pub use args::{ExecArgs, ExecError, ExecHook, From, ItemArgs, PipeArgs, Source, Tag};
pub use items::split_sources;
pub use worker::parse_worker;

use args::error;
use planner::Planner;

use super::{Logs, MAX_RECORD, Plan};

/// Makes the plan.
///
/// # Errors
/// Arguments that exclude each other, or that can't be parsed.
pub fn plan(args: ExecArgs) -> Result<Plan, ExecError> {
    check(&args)?;
    let planner = Planner::new(args)?;
    let args = &planner.args;
    let mut jobs = vec![planner.job()?];
    jobs.extend(hooks::plan(args)?);
    Ok(Plan {
        queues: args.pipe.iter().map(|pipe| pipe::queue(args, pipe)).collect(),
        throttle: args.throttle.clone(),
        jobserver: args.jobserver,
        halt: args.halt,
        status: args.status,
        max_record: args.max_record.unwrap_or(MAX_RECORD),
        logs: Logs { table: planner.table()?, ..args.logs.clone() },
        ..Plan::new(jobs, args.pool)
    })
}

/// Checks arguments that exclude each other.
fn check(args: &ExecArgs) -> Result<(), ExecError> {
    if args.pipe.is_some() && args.logs.journal.is_some() {
        return error(
            "`--journal` can't tell the blocks of `--pipe` apart",
            "leave out one of them; `--joblog` takes blocks",
        );
    }
    perl::check(args)?;
    results::check(args)?;
    if let Some(pipe) = &args.pipe {
        return pipe::check(args, pipe);
    }
    if args.worker.is_some() {
        worker::check(args)?;
    }
    let without_items = args.once || args.repeat.is_some();
    let several = args.fit || args.max_args.is_some_and(|most| most > 1);
    if without_items && !args.items.sources.is_empty() {
        return error("`--once` and `--repeat` take no items", "leave out `:::` and what follows it");
    }
    items::check(&args.items)?;
    if args.replace.as_ref().is_some_and(Vec::is_empty) {
        return error("the replacement string of `-I` is empty", "write `-I {}`, or another string");
    }
    if !args.command.is_empty() {
        return Ok(());
    }
    if !args.script {
        return error(
            "no command",
            "write `prun exec COMMAND [ARG...]`, or `-c` to run each item as a script",
        );
    }
    if without_items || several || args.replace.is_some() {
        return error(
            "without a command each item is a script, one to a task",
            "leave out `--once`, `--repeat`, `-n`, `-X` and `-I`, or give a command",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;
