//! `prun completions SHELL`: completions for a shell.

use clap::{Command, CommandFactory, Parser};
use clap_complete::{Shell, generate};

use super::args::exec::Exec;
use super::args::run::Run;
use super::check::Check;
use super::graph::GraphArgs;
use super::report::Report;

/// Print completions for a shell
#[derive(Parser, Debug)]
#[command(name = "completions", bin_name = "prun completions", max_term_width = 100)]
pub struct Completions {
    /// bash, zsh, fish, elvish or powershell
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    pub shell: Shell,
}

/// Returns the script that the shell reads.
pub fn script(shell: Shell) -> Vec<u8> {
    let mut text = Vec::new();
    generate(shell, &mut tree(), "prun", &mut text);
    text
}

/// Returns all commands in one tree, for completions and manual pages. Arguments are parsed with the
/// definition of one command alone, because building the others would cost time at every start.
pub fn tree() -> Command {
    let long_form =
        Run::command().name("run").override_usage("prun run [OPTIONS] [FILE] [JOB...] [-- ARG...]");
    Run::command()
        .subcommand(long_form)
        .subcommand(Exec::command())
        .subcommand(Check::command())
        .subcommand(GraphArgs::command())
        .subcommand(Report::command())
        .subcommand(Completions::command())
        .disable_help_subcommand(true)
}
