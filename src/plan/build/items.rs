//! `each` and `repeat` → [`Items`].

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::BuildOptions;
use super::context::Context;
use super::pipes::Chain;
use crate::event::{JobId, QueueId};
use crate::jobfile::{EachSpec, JobFile, JobSpec, Mistake, Mistakes, Span, Spanned, StdinSpec, Text};
use crate::plan::items::known_total;
use crate::plan::{Batch, ColumnSeparator, Cut, Header, Input, Item, ItemList, Items, Join, Reading, Seq};

/// Plans the source of a job's items.
pub(super) fn items(number: usize, context: &Context, mistakes: &mut Mistakes) -> Items {
    let job = &context.file.jobs[number];
    match &job.each {
        None => job.repeat.map_or(Items::None, Items::Repeat),
        Some(each) => {
            check_names(job, each, context, mistakes);
            source(number, each, context, mistakes)
        }
    }
}

/// Reports columns with the name of a variable, which they would hide.
fn check_names(job: &JobSpec, each: &EachSpec, context: &Context, mistakes: &mut Mistakes) {
    let (EachSpec::Rows { names, places, .. } | EachSpec::Join { names, places, .. }) = each else { return };
    for (name, place) in names.iter().zip(places).filter(|(name, _)| context.texts.vars.contains_key(*name)) {
        let Some((var, _)) = context.file.vars.iter().find(|(var, _)| var.value == *name) else { continue };
        let message =
            format!("`{name}` is both a column of the items of job `{}` and a variable", job.name.value);
        let mistake = Mistake::at(place.clone(), message).other(var.span.clone(), "the variable");
        mistakes.push(mistake.help(format!("what is `{{{name}}}`? Call one of them something else")));
    }
}

fn source(number: usize, each: &EachSpec, context: &Context, mistakes: &mut Mistakes) -> Items {
    let (base, texts) = (&context.options.base, context.texts);
    let input = |file: &Text, mistakes: &mut Mistakes| match texts.of_run(file, mistakes) {
        path if path == b"-" => Input::Stdin,
        path => Input::File(base.join(OsStr::from_bytes(&path))),
    };
    match each {
        EachSpec::Rows { rows, names, .. } => Items::List(Arc::new(list(rows, names))),
        EachSpec::Seq { first, step, last, span } => seq(first, step.as_ref(), last, span, mistakes),
        EachSpec::Lines { file, nul, separator } => {
            let cut = Cut::At(if *nul { 0 } else { b'\n' });
            read(input(file, mistakes), cut, separator.map(ColumnSeparator::Byte), Header::No)
        }
        EachSpec::Csv { file, separator, header } => {
            let header = if *header { Header::Names } else { Header::No };
            read(input(file, mistakes), Cut::Csv(*separator), None, header)
        }
        EachSpec::Queue { name, separator } => {
            Items::Queue { queue: context.queue(name), separator: *separator }
        }
        EachSpec::Command { separator, .. } => {
            Items::Queue { queue: context.list_queues[number].unwrap_or(QueueId(0)), separator: *separator }
        }
        EachSpec::Job(_) => {
            let from = context.sources[number].map(|from| context.positions[from].chain);
            Items::Of(from.and_then(|chain| context.job_ids.get(chain).copied()).unwrap_or(JobId(0)))
        }
        EachSpec::Glob(text) => {
            let pattern = texts.of_run(text, mistakes);
            Items::Glob { pattern: glob(text, pattern, mistakes), base: base.to_owned() }
        }
        EachSpec::Join { in_step, names, places, sources } => {
            let all: Vec<Items> =
                sources.iter().map(|each| source(number, &each.value, context, mistakes)).collect();
            if *in_step {
                check_lengths(names, places, sources, &all, mistakes);
            }
            let how = if *in_step { Join::Even } else { Join::Product };
            Items::Join { how, names: names.clone(), sources: all }
        }
    }
}

/// Reports columns of `zip` with different lengths, as far as these are known before anything is read.
fn check_lengths(
    names: &[String],
    places: &[Span],
    sources: &[Spanned<EachSpec>],
    items: &[Items],
    mistakes: &mut Mistakes,
) {
    let mut first: Option<(usize, u64)> = None;
    for (number, items) in items.iter().enumerate() {
        let Some(count) = known_total(items, &Batch::One) else { continue };
        let Some((other, wanted)) = first else {
            first = Some((number, count));
            continue;
        };
        if count != wanted {
            let message = format!(
                "columns of `zip` that end apart: `{}` has {}, `{}` {count}",
                names[other],
                values(wanted),
                names[number]
            );
            let mistake = Mistake::at(sources[number].span.clone(), message).label(values(count));
            let mistake = mistake.other(places[other].clone(), values(wanted));
            mistakes.push(mistake.help("they are taken in step; for all combinations there is `matrix`"));
        }
    }
}

fn values(count: u64) -> String {
    if count == 1 { "1 value".to_owned() } else { format!("{count} values") }
}

fn read(from: Input, cut: Cut, columns: Option<ColumnSeparator>, header: Header) -> Items {
    Items::Read(Reading { from, cut, columns, header, skip_empty: false })
}

fn list(rows: &[Vec<String>], names: &[String]) -> ItemList {
    let item = |row: &Vec<String>| Item::new(row.iter().map(|column| column.clone().into_bytes()).collect());
    ItemList { items: rows.iter().map(item).collect(), names: names.to_vec() }
}

fn seq(
    first: &Spanned<String>,
    step: Option<&Spanned<String>>,
    last: &Spanned<String>,
    span: &Span,
    mistakes: &mut Mistakes,
) -> Items {
    let step = step.map_or("1", |step| step.value.as_str());
    match Seq::parse(&first.value, step, &last.value) {
        Ok(seq) => Items::Seq(seq),
        Err(why) => {
            mistakes.push(Mistake::at(span.clone(), "wrong value of `seq`").label(why));
            Items::None
        }
    }
}

/// Checks a glob pattern, so that a wrong one is reported before anything runs.
fn glob(text: &Text, pattern: Vec<u8>, mistakes: &mut Mistakes) -> String {
    let checked = String::from_utf8(pattern).map_err(|_| "is not UTF-8".to_owned()).and_then(|pattern| {
        match glob::Pattern::new(&pattern) {
            Ok(_) => Ok(pattern),
            Err(error) => Err(error.msg.to_owned()),
        }
    });
    checked.unwrap_or_else(|why| {
        mistakes.push(Mistake::at(text.span.clone(), "wrong value of `glob`").label(why));
        String::new()
    })
}

/// True if prun itself reads its stdin: for the job file or for items.
pub(super) fn prun_reads_stdin(file: &JobFile, options: &BuildOptions) -> bool {
    let from_stdin = |job: &JobSpec| job.each.iter().flat_map(files).any(|file| file.value == "-");
    options.file_name == "-" || file.jobs.iter().any(from_stdin)
}

/// Returns the files from which items are read.
fn files(each: &EachSpec) -> Vec<&Text> {
    match each {
        EachSpec::Lines { file, .. } | EachSpec::Csv { file, .. } => vec![file],
        EachSpec::Join { sources, .. } => sources.iter().flat_map(|source| files(&source.value)).collect(),
        _ => Vec::new(),
    }
}

/// Reports a second user of prun's stdin beside the items that are read from it.
pub(super) fn check_stdin(
    file: &JobFile,
    options: &BuildOptions,
    chains: &[Chain],
    selected: &[bool],
    mistakes: &mut Mistakes,
) {
    let jobs =
        chains.iter().zip(selected).filter(|(_, selected)| **selected).flat_map(|(chain, _)| &chain.jobs);
    let (mut readers, mut inheriting) = (Vec::new(), Vec::new());
    for job in jobs.map(|&job| &file.jobs[job]) {
        let of_job = job.each.iter().flat_map(files);
        readers.extend(of_job.filter(|file| file.value == "-").map(|file| &file.span));
        if matches!(job.stdin.value, StdinSpec::Inherit) {
            inheriting.push(&job.stdin.span);
        }
    }
    let Some((&first, others)) = readers.split_first() else { return };
    if options.file_name == "-" {
        let mistake = Mistake::at(first.clone(), "the job file itself is read from stdin");
        mistakes.push(mistake.help("read the items, or the job file, from a file of their own"));
    }
    for &other in others.iter().chain(&inheriting) {
        let mistake = Mistake::at(other.clone(), "stdin is used twice")
            .other(first.clone(), "items are read from it here");
        mistakes.push(mistake.help("prun's stdin can be read by one job"));
    }
}
