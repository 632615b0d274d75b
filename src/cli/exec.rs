//! `prun exec`: one command over many items.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};

use super::args::exec::Exec;
use super::execute::execute;
use super::instead::Instead;
use super::parse::parse;
use super::{config, settings, show, variables};
use crate::plan::exec::plan;
use crate::run::Verdict;

mod hints;
mod meaning;

pub use meaning::meaning;
use meaning::refused;

/// Parses the arguments. GNU parallel's `--header` takes a `:`, which people type out of habit: after
/// `--header` it is not the command.
pub fn typed(words: &[OsString]) -> Result<Exec, Instead> {
    let asked: Exec = parse("prun exec", words)?;
    let (options, command) = words.split_at(words.len() - asked.command.len());
    match command {
        [colon, rest @ ..] if colon == ":" && options.last().is_some_and(|option| option == "--header") => {
            parse("prun exec", &[options, rest].concat())
        }
        _ => Ok(asked),
    }
}

/// Runs the command over its items.
pub fn start(asked: Exec) -> Result<Verdict, Instead> {
    let status = asked.both.status;
    go(&asked).map_err(|instead| instead.under(status))
}

fn go(asked: &Exec) -> Result<Verdict, Instead> {
    let both = &asked.both;
    let variables = variables::read()?;
    let color = settings::color(both, &variables);
    let config = config::read(config::Look { left_out: both.no_config, quiet: both.quiet, color })?;
    let args = meaning(asked, &variables, &config)?;
    // Before other checks: GNU parallel allows `--retry-failed` without a command.
    both.journal.check(args.logs.journal.as_ref())?;
    hints::check_one_word(&args)?;
    let plan = plan(args).map_err(refused)?;
    asked.results.check(both, &plan)?;
    // It may be meant, so it is a warning, and only where somebody watches.
    if !both.quiet && io::stderr().is_terminal() && hints::leaves_items_out(&plan) {
        _ = writeln!(io::stderr(), "{}", hints::LEFT_OUT);
    }
    // Without this line, a person who forgot the items would wait for prun while prun waits for them.
    if !both.quiet && show::items_are_typed(&plan) {
        _ = writeln!(
            io::stderr(),
            "{}",
            if plan.queues.is_empty() { hints::TYPED } else { hints::TYPED_INPUT }
        );
    }
    execute(plan, both, color, true)
}

#[cfg(test)]
mod tests;
