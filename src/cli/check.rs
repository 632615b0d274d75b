//! `prun check FILE...`: finds what is wrong or doubtful in job files, without running anything.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};

use clap::Parser;

use super::args::When;
use super::instead::{Instead, OWN_FAILURE};
use super::{colors, config, job_file, stdout, variables};
use crate::jobfile::{self, Config};
use crate::os::stdout::Stdout;
use crate::plan::build::build;
use crate::plan::build::lints::doubts;
use crate::run::Verdict;
use crate::ui::phrases::escape;

mod disk;

use disk::RealDisk;

/// Find what is wrong or doubtful in job files, without running anything
#[derive(Parser, Debug)]
#[command(name = "check", bin_name = "prun check", max_term_width = 100)]
pub struct Check {
    /// Set a variable of the job files
    #[arg(short = 'D', long, value_name = "NAME=VALUE")]
    define: Vec<OsString>,

    /// Print nothing for files that are in order, and no counts
    #[arg(short, long)]
    quiet: bool,

    /// Use colours: auto, always or never [default: auto]
    #[arg(long, value_name = "WHEN", hide_possible_values = true)]
    color: Option<When>,

    /// Ignore the configuration file
    #[arg(long)]
    no_config: bool,

    /// Job files (-: stdin; without one ./prun.toml)
    #[arg(value_name = "FILE")]
    files: Vec<OsString>,
}

/// The exit status if nothing is wrong, but something is doubtful.
const DOUBTFUL: u8 = 1;

/// The findings in one file.
struct Found {
    /// The text that shows them.
    text: String,
    mistakes: usize,
    doubts: usize,
}

/// Checks all files and prints the findings.
pub fn start(asked: Check) -> Result<Verdict, Instead> {
    let color = colors::allowed(asked.color.or_else(variables::color), &io::stdout());
    let config = config::read(config::Look {
        left_out: asked.no_config,
        quiet: false,
        color: colors::allowed(asked.color, &io::stderr()),
    })?;
    let usual = [job_file::USUAL_FILE.into()];
    let files = if asked.files.is_empty() { &usual[..] } else { &asked.files };
    let mut status = 0;
    for file in files {
        let found = match check(&asked, file, &config, color) {
            Ok(found) => found,
            // The other files are still checked.
            Err(Instead::Fail { lines, .. }) => {
                _ = io::stderr().write_all(lines.as_bytes());
                status = OWN_FAILURE;
                continue;
            }
            Err(said) => return Err(said),
        };
        match (found.mistakes, found.doubts) {
            (0, 0) => {}
            (0, _) => status = status.max(DOUBTFUL),
            _ => status = OWN_FAILURE,
        }
        let last = if asked.quiet { String::new() } else { last_line(file, &found) };
        match stdout::verdict(Stdout.write_all((found.text + &last).as_bytes())) {
            Verdict::Code(0) => {}
            verdict => return Ok(verdict),
        }
    }
    Ok(Verdict::Code(status))
}

/// Checks one file.
fn check(asked: &Check, name: &OsStr, config: &Config, color: bool) -> Result<Found, Instead> {
    let bytes = job_file::read(name, None)?;
    let options = job_file::inspection(name, &asked.define, Vec::new())?;
    let file = jobfile::parse_over(config, &escape(name.as_encoded_bytes()), &bytes);
    let right = file.and_then(|file| build(&file, &options).map(|_| file));
    // In a wrong file a doubt may follow from a mistake, so doubts are not looked for.
    let (list, is_wrong) = match right {
        Err(mistakes) => (mistakes, true),
        Ok(file) => (doubts(&file, &options, &RealDisk::default()), false),
    };
    let text = if list.is_empty() { String::new() } else { list.render(color) + "\n" };
    let (mistakes, doubts) = if is_wrong { (list.len(), 0) } else { (0, list.len()) };
    Ok(Found { text, mistakes, doubts })
}

/// Returns the line that counts the findings in a file.
fn last_line(file: &OsStr, found: &Found) -> String {
    let count = |number: usize, what: &str| match number {
        0 => None,
        1 => Some(format!("1 {what}")),
        number => Some(format!("{number} {what}s")),
    };
    let counts: Vec<String> =
        [count(found.mistakes, "mistake"), count(found.doubts, "doubt")].into_iter().flatten().collect();
    let counts = if counts.is_empty() { "ok".to_owned() } else { counts.join(", ") };
    format!("{}: {counts}\n", escape(file.as_encoded_bytes()))
}
