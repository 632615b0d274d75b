//! Options for commands at the end of the run: hooks.

use clap::Args;

use super::headings::STOPPING;
use crate::plan::hooks::{HookFlag, HookFlags};

#[derive(Args, Debug, Default)]
pub struct Hooks {
    /// Run CMD at the end of the run if nothing failed, with the report on its stdin
    ///
    /// CMD is split into words like a command of a job file, and run without a shell; to use one, write `sh
    /// -c '…'`. `PRUN_OUTCOME`, `PRUN_EXIT`, `PRUN_SIGNAL` and `PRUN_DURATION` of the run are in its
    /// environment. `none` cancels the hook of a file.
    #[arg(long, value_name = "CMD", help_heading = STOPPING, hide_short_help = true)]
    on_success: Option<String>,

    /// The same if something failed
    #[arg(long, value_name = "CMD", help_heading = STOPPING, hide_short_help = true)]
    on_failure: Option<String>,

    /// The same however the run ended, after the other hook
    #[arg(long, value_name = "CMD", help_heading = STOPPING, hide_short_help = true)]
    on_exit: Option<String>,
}

/// The names of the options, and of the variables, in messages.
const NAMES: [(&str, &str); 3] = [
    ("--on-success=", "PRUN_ON_SUCCESS="),
    ("--on-failure=", "PRUN_ON_FAILURE="),
    ("--on-exit=", "PRUN_ON_EXIT="),
];

impl Hooks {
    /// Returns the hooks: those typed, then those of `variables`.
    pub fn flags(&self, variables: &[Option<String>; 3]) -> HookFlags {
        let typed = [&self.on_success, &self.on_failure, &self.on_exit];
        std::array::from_fn(|at| {
            let flag = |to: &'static str, text: &Option<String>| {
                text.as_ref().map(|text| HookFlag { flag: to, text: text.clone() })
            };
            flag(NAMES[at].0, typed[at]).or_else(|| flag(NAMES[at].1, &variables[at]))
        })
    }
}
