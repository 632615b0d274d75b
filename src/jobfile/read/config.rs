//! The configuration file: the settings below those of job files and of the command line.

use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::section::Section;
use super::syntax::{as_text, syntax_errors};
use super::walk::Walk;
use super::{job, run};
use crate::jobfile::keys::Table;
use crate::jobfile::mistakes::Mistakes;
use crate::jobfile::model::{JobSpec, RunSpec};

/// Keys of `[defaults]` that `[run]` has as well, with the same meaning. In a job file they beat flags, because its
/// author knows the jobs. The author of a configuration file does not, so there flags beat them, as they beat
/// `[run]`.
const OF_RUN: [&str; 4] = ["output", "keep_order", "tag", "grace"];

/// Tables that are not merged: two sources or two files make no sense together.
const WHOLE: [&str; 3] = ["stdin", "stdout", "stderr"];

/// A configuration file; by default the empty one.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The name that messages use.
    pub name: String,
    pub(super) text: String,
    pub run: RunSpec,
    /// `[defaults]` as a job without keys of its own, and without the keys of `OF_RUN`, which [`Config::run`] holds.
    pub defaults: JobSpec,
}

impl Config {
    /// Returns the text behind this many blanks, so that its places are those behind another text of that length.
    pub(super) fn padded(&self, blanks: usize) -> String {
        if self.text.is_empty() {
            return String::new();
        }
        let text = self.text.trim_start_matches('\u{feff}');
        " ".repeat(blanks + self.text.len() - text.len()) + text
    }
}

/// Reads a configuration file. Messages call it `name`.
///
/// # Errors
/// Every mistake of the file: unlike a job file it is not planned, so nothing is reported later.
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

/// Reads the tables of the configuration file.
pub(super) fn read<'a>(walk: &mut Walk<'a>, root: &'a DeTable<'a>) -> (RunSpec, JobSpec) {
    let file = Section::new("the configuration file".to_owned(), 0..0, root);
    walk.check_keys(&file, Table::Config);
    let settings = walk.table(&file, "run").map(|section| run::read(walk, &section)).unwrap_or_default();
    let mut defaults =
        walk.table(&file, "defaults").map(|section| job::defaults(walk, &section)).unwrap_or_default();
    let of_run = RunSpec {
        output: defaults.output.take(),
        keep_order: defaults.keep_order.take(),
        tag: defaults.tag.take(),
        grace: defaults.grace.take(),
        ..RunSpec::default()
    };
    (run::layered(of_run, settings), defaults)
}

/// Returns `[defaults]` of a job file, laid over that of the configuration file.
pub(super) fn defaults<'a>(file: &DeTable<'a>, config: &DeTable<'a>) -> Option<DeTable<'a>> {
    let table = |root: &DeTable<'a>| root.get("defaults").and_then(|node| node.get_ref().as_table()).cloned();
    let Some(mut lower) = table(config) else { return table(file) };
    OF_RUN.iter().for_each(|key| drop(lower.remove(*key)));
    Some(match table(file) {
        Some(upper) => over(upper, lower),
        None => lower,
    })
}

/// Returns the keys of both. Tables merge, and `"none"` removes a key.
fn over<'a>(upper: DeTable<'a>, mut lower: DeTable<'a>) -> DeTable<'a> {
    for (key, mut node) in upper {
        // Removed first: inserting over a present key would keep the place of the lower one.
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
