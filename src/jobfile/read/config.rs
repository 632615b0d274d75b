//! The configuration file: what holds where neither a job file nor the command line says anything.

use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::section::Section;
use super::walk::Walk;
use super::{as_text, job, syntax_errors};
use crate::jobfile::keys::Table;
use crate::jobfile::mistakes::Mistakes;
use crate::jobfile::model::{JobSpec, RunSpec};

/// Keys of `[defaults]` that `[run]` has as well, with the same meaning. In a job file they beat flags, because its
/// author says how a job is; in the configuration file nobody knows the job, and flags beat them as they beat
/// `[run]`.
const OF_RUN: [&str; 4] = ["output", "keep_order", "tag", "grace"];

/// Tables that are taken whole: two sources or two files make no sense together.
const WHOLE: [&str; 3] = ["stdin", "stdout", "stderr"];

/// What a configuration file says; by default that of people who have none.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The file, as people know it.
    pub name: String,
    pub(super) text: String,
    pub run: RunSpec,
    /// `[defaults]`, as a job that has nothing else; what [`Config::run`] has of it is there alone.
    pub defaults: JobSpec,
}

impl Config {
    /// Its text behind so many blanks: what stands in it then has its place behind that of another text.
    pub(super) fn padded(&self, blanks: usize) -> String {
        if self.text.is_empty() {
            return String::new();
        }
        let text = self.text.trim_start_matches('\u{feff}');
        " ".repeat(blanks + self.text.len() - text.len()) + text
    }
}

/// Reads a configuration file. `name` is what people call it.
pub fn parse_config(name: &str, bytes: &[u8]) -> Result<Config, Mistakes> {
    let text = as_text(name, bytes)?;
    let source: Arc<str> = text.into();
    let (table, errors) = DeTable::parse_recoverable(&source);
    let mut mistakes = Mistakes::new(name, source.clone());
    if !errors.is_empty() {
        syntax_errors(&source, &errors).into_iter().for_each(|error| mistakes.push(error));
        return Err(mistakes);
    }
    let mut walk = Walk::new(&source, mistakes, true);
    let (run, defaults) = read(&mut walk, table.get_ref());
    let mistakes = walk.into_mistakes();
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    Ok(Config { name: name.to_owned(), text: text.to_owned(), run, defaults })
}

/// Walks the configuration file.
pub(super) fn read<'a>(walk: &mut Walk<'a>, root: &'a DeTable<'a>) -> (RunSpec, JobSpec) {
    let file = Section::new("the configuration file".to_owned(), 0..0, root);
    walk.check_keys(&file, Table::Config);
    let run = walk.table(&file, "run").map(|section| super::run(walk, &section)).unwrap_or_default();
    let mut defaults =
        walk.table(&file, "defaults").map(|section| job::defaults(walk, &section)).unwrap_or_default();
    let of_run = RunSpec {
        output: defaults.output.take(),
        keep_order: defaults.keep_order.take(),
        tag: defaults.tag.take(),
        grace: defaults.grace.take(),
        ..RunSpec::default()
    };
    (run_over(of_run, run), defaults)
}

/// What `upper` says, and else `lower`.
pub(super) fn run_over(upper: RunSpec, lower: RunSpec) -> RunSpec {
    RunSpec {
        pool: upper.pool.or(lower.pool),
        halt: upper.halt.or(lower.halt),
        output: upper.output.or(lower.output),
        keep_order: upper.keep_order.or(lower.keep_order),
        tag: upper.tag.or(lower.tag),
        grace: upper.grace.or(lower.grace),
        rate: upper.rate.or(lower.rate),
        load: upper.load.or(lower.load),
        memory_free: upper.memory_free.or(lower.memory_free),
        jobserver: upper.jobserver.or(lower.jobserver),
        journal: upper.journal.or(lower.journal),
        resume: upper.resume.or(lower.resume),
        on_success: upper.on_success.or(lower.on_success),
        on_failure: upper.on_failure.or(lower.on_failure),
        on_exit: upper.on_exit.or(lower.on_exit),
    }
}

/// `[defaults]` of a job file, laid over that of the configuration.
pub(super) fn defaults<'a>(file: &DeTable<'a>, config: &DeTable<'a>) -> Option<DeTable<'a>> {
    let table = |root: &DeTable<'a>| root.get("defaults").and_then(|node| node.get_ref().as_table()).cloned();
    let Some(mut lower) = table(config) else { return table(file) };
    OF_RUN.iter().for_each(|key| drop(lower.remove(*key)));
    Some(match table(file) {
        Some(upper) => over(upper, lower),
        None => lower,
    })
}

/// The keys of both; tables merge, and "none" undoes.
fn over<'a>(upper: DeTable<'a>, mut lower: DeTable<'a>) -> DeTable<'a> {
    for (key, mut node) in upper {
        // Taken away first: a key that is there would keep its place in the file.
        let below = lower.remove(&key);
        let whole = WHOLE.contains(&key.get_ref().as_ref());
        match (node.get_mut(), below.map(|node| node.into_inner())) {
            (DeValue::String(none), Some(_)) if none == "none" => continue,
            (DeValue::Table(upper), Some(DeValue::Table(lower))) if !whole => {
                *upper = over(std::mem::take(upper), lower);
            }
            _ => {}
        }
        lower.insert(key, node);
    }
    lower
}
