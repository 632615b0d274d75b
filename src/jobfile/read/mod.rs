//! Bytes → TOML tree → [`JobFile`].
//!
//! `syntax` turns bytes into text and words the parser's errors. [`walk::Walk`] holds the mistakes and reads
//! single values; `section` lays a table over its defaults. The other files each read one table, and only use files
//! of simpler tables.

use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use self::section::Section;
use self::syntax::{as_text, line_start, syntax_errors};
use self::walk::Walk;
use super::keys::Table;
use super::mistakes::{Mistake, Mistakes};
use super::model::{JobFile, JobSpec, LockSpec, QueueSpec, RunSpec, Spanned, Text};

mod attributes;
mod checks;
mod command;
mod config;
mod each;
mod hints;
mod io;
mod job;
mod locks;
mod queue;
mod ready;
mod run;
mod section;
mod syntax;
mod walk;
mod worker;

#[cfg(test)]
mod tests;

pub use config::{Config, parse_config};

/// Reads a job file. Messages call it `name`.
///
/// Fails if the file is no TOML text. Wrong values are kept in [`JobFile::mistakes`], to be reported with the
/// mistakes that `plan::build` finds.
pub fn parse(name: &str, bytes: &[u8]) -> Result<JobFile, Mistakes> {
    parse_over(&Config::default(), name, bytes)
}

/// Reads a job file, laid over the configuration file.
///
/// # Errors
/// As [`parse`].
pub fn parse_over(config: &Config, name: &str, bytes: &[u8]) -> Result<JobFile, Mistakes> {
    let text = as_text(name, bytes)?;
    // One source for both, so that a place alone tells which file it is in.
    let source: Arc<str> = [text, "\n", &config.text].concat().into();
    let text = &source[..text.len()];
    let config_start = text.len() + 1;
    let lower = config.padded(config_start);
    let (table, errors) = DeTable::parse_recoverable(text);
    let (lower, _) = DeTable::parse_recoverable(&lower);
    let defaults = config::defaults(table.get_ref(), lower.get_ref());
    let empty = DeTable::default();
    let mistakes = Mistakes::new(name, source.clone()).with_config(&config.name, config_start);
    let mut walk = Walk::new(&source, mistakes, errors.is_empty());
    let (lower, _) = config::read(&mut walk, lower.get_ref());
    let tables = top(&mut walk, name, table.get_ref(), defaults.as_ref());
    // A mistake in `[defaults]` was reported above.
    let defaults = match walk.wrong() {
        0 => job::without_own_keys(&mut walk, &empty, defaults.as_ref()),
        _ => JobSpec::default(),
    };
    let mut mistakes = walk.into_mistakes();
    if errors.is_empty() {
        return Ok(JobFile {
            run: run::layered(tables.run, lower),
            vars: tables.vars,
            queues: tables.queues,
            locks: tables.locks,
            jobs: tables.jobs,
            defaults,
            mistakes,
        });
    }
    // A mistake behind a syntax error may be a consequence of it.
    let errors = syntax_errors(text, &errors);
    let first = errors
        .iter()
        .filter_map(|error| error.place.as_ref())
        .map(|(span, _)| line_start(text, span.start))
        .min();
    mistakes.retain(|mistake| mistake.place.as_ref().is_some_and(|(span, _)| Some(span.start) < first));
    errors.into_iter().for_each(|error| mistakes.push(error));
    Err(mistakes)
}

type Vars = Vec<(Spanned<String>, Text)>;

/// The tables of a job file.
struct Tables {
    run: RunSpec,
    vars: Vars,
    queues: Vec<QueueSpec>,
    locks: Vec<LockSpec>,
    jobs: Vec<JobSpec>,
}

/// Reads all tables. `defaults`: `[defaults]` of the file, laid over that of the configuration file.
fn top<'a>(
    walk: &mut Walk<'a>,
    name: &str,
    root: &'a DeTable<'a>,
    defaults: Option<&'a DeTable<'a>>,
) -> Tables {
    let file = Section::new("a job file".to_owned(), 0..0, root);
    walk.check_keys(&file, Table::Top);
    let run = walk.table(&file, "run").map(|section| run::read(walk, &section)).unwrap_or_default();
    let vars = walk.table(&file, "vars").map(|section| vars(walk, &section)).unwrap_or_default();
    let queues = walk.table(&file, "queues").map(|section| queue::queues(walk, &section)).unwrap_or_default();
    let locks = walk.table(&file, "locks").map(|section| locks::locks(walk, &section)).unwrap_or_default();
    if let Some(own) = walk.table(&file, "defaults") {
        // As a layered section, because `"none"` undoes a default of the configuration file.
        job::defaults(walk, &Section::layered(own.title, own.span, own.own, None));
    }
    let jobs = match walk.table(&file, "jobs") {
        Some(section) => jobs(walk, &section, defaults),
        None => Vec::new(),
    };
    if jobs.is_empty() && walk.is_complete() && walk.wrong() == 0 {
        let help =
            "a job is a table with something to run: `[jobs.hello]` and below it `command = \"echo hello\"`";
        walk.mistake(Mistake::new(format!("`{name}` has no jobs")).help(help));
    }
    Tables { run, vars, queues, locks, jobs }
}

fn jobs<'a>(walk: &mut Walk<'a>, section: &Section<'a>, defaults: Option<&'a DeTable<'a>>) -> Vec<JobSpec> {
    let entries = section.in_order();
    let mut jobs = Vec::with_capacity(entries.len());
    for (name, node) in entries {
        match node.get_ref() {
            DeValue::Table(own) => jobs.push(job::read(walk, name, node.span(), own, defaults)),
            _ => {
                let help =
                    format!("write `[jobs.{name}]`, and below it `command = \"…\"`", name = name.get_ref());
                walk.wrong_type(name.get_ref(), node, "a table", Some(help));
            }
        }
    }
    jobs
}

fn vars(walk: &mut Walk, section: &Section) -> Vars {
    let mut vars = Vec::new();
    for (name, node) in section.in_order() {
        let spelt = walk.name_of_place("variable", name);
        let value = walk.scalar(name.get_ref(), node, "a string or a number");
        if let (Some(name), Some(value)) = (spelt, value) {
            vars.push((name, value));
        }
    }
    vars
}
