//! Runs a plan: what `prun FILE` and `prun exec` do once the plan is made.

use super::args::Both;
use super::instead::Instead;
use super::show;
use crate::plan::Plan;
use crate::run::{Options, Verdict, run};
use crate::ui::listener;

/// Runs `plan` and shows it as the options and the terminal ask for. `color`: stderr may have colours.
/// `exec`: the command is `prun exec`.
pub fn execute(plan: Plan, typed: &Both, color: bool, exec: bool) -> Result<Verdict, Instead> {
    typed.journal.check(plan.logs.journal.as_ref())?;
    typed.check_output()?;
    let listener = listener(show::options(typed, color, &plan, exec));
    let options = Options { verbose: typed.verbose > 0, debug: typed.verbose > 1, dry_run: typed.dry_run };
    run(plan, options, listener).map_err(Instead::fail)
}
