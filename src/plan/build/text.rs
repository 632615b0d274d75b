//! Strings of the job file → templates. A mistake has its place in the string.

use std::collections::{BTreeMap, HashMap};

use crate::jobfile::{self, EachSpec, JobSpec, Mistake, Mistakes, Text};
use crate::plan::script::ScriptText;
use crate::plan::template::{Names, Scope, Template, TextError, Word};
use crate::plan::words;

/// The names that strings of the file can refer to.
pub(super) struct Texts<'a> {
    pub vars: &'a BTreeMap<String, String>,
    pub args: &'a [Vec<u8>],
    /// For jobs that take the items of another one, by name: the source from which these come in the end.
    pub origins: HashMap<&'a str, &'a EachSpec>,
    /// For jobs that take locks whose permits have names, by name: these locks.
    pub locks: HashMap<&'a str, Vec<String>>,
    /// All locks whose permits have names.
    pub named_locks: Vec<String>,
}

impl<'a> Texts<'a> {
    /// Returns the names for strings that are used when a task runs.
    pub fn of_task<'t>(&'t self, job: &'t JobSpec) -> Names<'t> {
        let each = match &job.each {
            Some(EachSpec::Job(_)) => self.origins.get(job.name.value.as_str()).copied(),
            each => each.as_ref(),
        };
        let columns: &[String] = match each {
            Some(EachSpec::Rows { names, .. } | EachSpec::Join { names, .. }) => names,
            _ => &[],
        };
        let header = matches!(each, Some(EachSpec::Csv { header: true, .. }));
        // Items with a mistake have unknown columns.
        let unreadable = job.each.is_none() && job.own_key("each").is_some();
        Names {
            items: job.each.is_some() || unreadable,
            columns,
            locks: self.locks.get(job.name.value.as_str()).map(Vec::as_slice).unwrap_or_default(),
            // A lock that the job takes is found in `locks` before.
            untaken: &self.named_locks,
            width: each.and_then(width).and_then(|width| in_batch(width, job)),
            one_item: job.batch.is_none(),
            vars: self.vars,
            args: Some(self.args),
            open: header || unreadable,
        }
    }

    /// Fills a string that is used before there are items.
    pub fn of_run(&self, text: &Text, mistakes: &mut Mistakes) -> Vec<u8> {
        let names =
            Names { locks: &self.named_locks, vars: self.vars, args: Some(self.args), ..Names::default() };
        let help = "items are read before there are tasks; variables and `{args}` can be used";
        without_task(text, &names, help, mistakes)
    }

    /// Fills a string that is used once for all tasks of a job.
    pub fn of_start(&self, job: &'a JobSpec, text: &Text, mistakes: &mut Mistakes) -> Vec<u8> {
        let names = self.of_task(job);
        let help = "it is read once for all tasks of the job; variables and `{args}` can be used";
        without_task(text, &names, help, mistakes)
    }
}

/// Returns the largest number that a placeholder of the job can have, if items have so many columns. In a batch of single
/// values it is the number of a value.
fn in_batch(width: usize, job: &JobSpec) -> Option<usize> {
    match job.batch.as_ref().map(|batch| batch.value) {
        Some(jobfile::BatchSpec::UpTo(most)) if width == 1 => Some(most),
        Some(jobfile::BatchSpec::Fit) if width == 1 => None,
        _ => Some(width),
    }
}

/// Returns the largest number of columns of an item, if it is known before items are read.
fn width(each: &EachSpec) -> Option<usize> {
    match each {
        EachSpec::Rows { rows, .. } => rows.iter().map(Vec::len).max(),
        EachSpec::Join { names, .. } => Some(names.len()),
        EachSpec::Seq { .. } | EachSpec::Glob(_) => Some(1),
        EachSpec::Lines { separator, .. }
        | EachSpec::Command { separator, .. }
        | EachSpec::Queue { separator, .. } => separator.is_none().then_some(1),
        EachSpec::Csv { .. } | EachSpec::Job(_) => None,
    }
}

/// Fills a string that may have no placeholder of a task. `help`: why not.
fn without_task(text: &Text, names: &Names, help: &str, mistakes: &mut Mistakes) -> Vec<u8> {
    let template = template(text, names, mistakes);
    if template.uses_task() {
        let mistake = Mistake::at(text.span.clone(), "a placeholder of the task where there is no task yet");
        mistakes.push(mistake.help(help));
    }
    template.rendered(&Scope::default())
}

/// Parses a string.
pub(super) fn template(text: &Text, names: &Names, mistakes: &mut Mistakes) -> Template {
    Template::parse(text.value.as_bytes(), names).unwrap_or_else(|error| {
        mistakes.push(mistake(text, error));
        Template::default()
    })
}

/// Parses the text of a script for a POSIX shell.
pub(super) fn script(text: &Text, names: &Names, mistakes: &mut Mistakes) -> ScriptText {
    ScriptText::parse(text.value.as_bytes(), names).unwrap_or_else(|error| {
        mistakes.push(mistake(text, error));
        ScriptText::literal(b"")
    })
}

/// Parses the words of a command that is written as one string.
pub(super) fn line(text: &Text, names: &Names, mistakes: &mut Mistakes) -> Vec<Word> {
    let split = match words::split(&text.value) {
        Ok(split) => split,
        Err(error) => {
            mistakes.push(mistake(text, error));
            return Vec::new();
        }
    };
    let plain: Vec<&str> = split.iter().map(|word| word.text.as_str()).collect();
    words::words(&plain, names).unwrap_or_else(|(number, mut error)| {
        let word = &split[number];
        // In a word with quotes or backslashes bytes of the value have no place of their own.
        let exact = text.value[word.range.clone()] == word.text;
        error.range = match exact {
            true => word.range.start + error.range.start..word.range.start + error.range.end,
            false => word.range.clone(),
        };
        mistakes.push(mistake(text, error));
        Vec::new()
    })
}

/// Parses the words of a command that is written as an array.
pub(super) fn array(texts: &[Text], names: &Names, mistakes: &mut Mistakes) -> Vec<Word> {
    let plain: Vec<&str> = texts.iter().map(|text| text.value.as_str()).collect();
    words::words(&plain, names).unwrap_or_else(|(number, error)| {
        mistakes.push(mistake(&texts[number], error));
        Vec::new()
    })
}

fn mistake(text: &Text, error: TextError) -> Mistake {
    Mistake { help: error.help, ..Mistake::at(text.place(error.range), error.message) }
}
