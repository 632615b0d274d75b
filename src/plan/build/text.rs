//! Strings of the job file → templates, with carets where they are wrong.

use std::collections::{BTreeMap, HashMap};

use crate::jobfile::{EachSpec, JobSpec, Mistake, Mistakes, Text};
use crate::plan::script::ScriptText;
use crate::plan::template::{Names, Scope, Template, TextError, Word};
use crate::plan::words;

/// What every string of the file may refer to.
pub(super) struct Texts<'a> {
    pub vars: &'a BTreeMap<String, String>,
    pub args: &'a [Vec<u8>],
    /// Of jobs that take another one's items: what these come from in the end.
    pub origins: HashMap<&'a str, &'a EachSpec>,
    /// Of jobs that hold some: locks whose permits have names.
    pub locks: HashMap<&'a str, Vec<String>>,
    /// All of them.
    pub named_locks: Vec<String>,
}

impl<'a> Texts<'a> {
    /// What strings that are used when a task runs may refer to.
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
        // Of broken items nobody knows what their columns are called.
        let lost = job.each.is_none() && job.own_key("each").is_some();
        Names {
            items: job.each.is_some() || lost,
            columns,
            locks: self.locks.get(job.name.value.as_str()).map(Vec::as_slice).unwrap_or_default(),
            // Those that it takes are found before.
            untaken: &self.named_locks,
            width: each.filter(|_| job.batch.is_none()).and_then(width),
            vars: self.vars,
            args: Some(self.args),
            open: header || lost,
        }
    }

    /// What a path that is read before there are items may refer to, put in.
    pub fn of_run(&self, text: &Text, mistakes: &mut Mistakes) -> Vec<u8> {
        let names = Names {
            items: false,
            columns: &[],
            locks: &self.named_locks,
            untaken: &[],
            width: None,
            vars: self.vars,
            args: Some(self.args),
            open: false,
        };
        let help = "items are read before there are tasks; variables and `{args}` can be used";
        taskless(text, &names, help, mistakes)
    }

    /// The same of a path that is read once for all tasks of a job.
    pub fn of_start(&self, job: &'a JobSpec, text: &Text, mistakes: &mut Mistakes) -> Vec<u8> {
        let names = self.of_task(job);
        let help = "it is read once for all tasks of the job; variables and `{args}` can be used";
        taskless(text, &names, help, mistakes)
    }
}

/// How many columns each item has at most, as far as that is known before they are read.
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

fn taskless(text: &Text, names: &Names, help: &str, mistakes: &mut Mistakes) -> Vec<u8> {
    let template = template(text, names, mistakes);
    if template.uses_task() {
        let mistake = Mistake::at(text.span.clone(), "a placeholder of the task where there is no task yet");
        mistakes.push(mistake.help(help));
    }
    let mut out = Vec::new();
    template.render(&Scope { items: &[], names: &[], seq: 0, slot: 0, held: &[] }, &mut out);
    out
}

pub(super) fn template(text: &Text, names: &Names, mistakes: &mut Mistakes) -> Template {
    Template::parse(text.value.as_bytes(), names).unwrap_or_else(|error| {
        mistakes.push(mistake(text, error));
        Template::default()
    })
}

pub(super) fn script(text: &Text, names: &Names, mistakes: &mut Mistakes) -> ScriptText {
    ScriptText::parse(text.value.as_bytes(), names).unwrap_or_else(|error| {
        mistakes.push(mistake(text, error));
        ScriptText::literal(b"")
    })
}

/// The words of a command that is written as one string.
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
        // Within quotes or backslashes only the word as a whole can be pointed at.
        let exact = text.value[word.range.clone()] == word.text;
        error.range = match exact {
            true => word.range.start + error.range.start..word.range.start + error.range.end,
            false => word.range.clone(),
        };
        mistakes.push(mistake(text, error));
        Vec::new()
    })
}

/// The words of a command that is written as an array.
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
