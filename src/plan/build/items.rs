//! `each` and `repeat` → [`Items`].

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::BuildOptions;
use super::job::Context;
use super::pipes::Chain;
use crate::jobfile::{Each, Job, JobFile, Mistake, Mistakes, Span, Spanned, Stdin, Text};
use crate::plan::{Between, Cut, Header, Input, Item, ItemList, Items, Reading, Seq};

/// Where the items of a job come from.
pub(super) fn items(number: usize, context: &Context, mistakes: &mut Mistakes) -> Items {
    let (job, base, texts) = (&context.file.jobs[number], &context.how.base, context.texts);
    let input = |file: &Text, mistakes: &mut Mistakes| match texts.of_run(file, mistakes) {
        path if path == b"-" => Input::Stdin,
        path => Input::File(base.join(OsStr::from_bytes(&path))),
    };
    match &job.each {
        None => job.repeat.map_or(Items::None, Items::Repeat),
        Some(Each::Rows { rows, names }) => Items::List(Arc::new(list(rows, names))),
        Some(Each::Seq { first, step, last, span }) => seq(first, step.as_ref(), last, span, mistakes),
        Some(Each::Lines { file, nul, separator }) => {
            let cut = Cut::At(if *nul { 0 } else { b'\n' });
            read(input(file, mistakes), cut, separator.map(Between::Byte), Header::No)
        }
        Some(Each::Csv { file, separator, header }) => {
            let header = if *header { Header::Names } else { Header::No };
            read(input(file, mistakes), Cut::Csv(*separator), None, header)
        }
        Some(Each::Queue { name, separator }) => {
            Items::Queue { queue: context.queue(name), separator: *separator }
        }
        Some(Each::Job(_)) => {
            let from = context.sources[number].map(|from| context.places[from].chain);
            Items::Of(from.and_then(|chain| context.numbers.get(chain).copied()).unwrap_or_default())
        }
        Some(Each::Glob(text)) => {
            let pattern = texts.of_run(text, mistakes);
            Items::Glob { pattern: glob(text, pattern, mistakes), base: base.to_owned() }
        }
    }
}

fn read(from: Input, cut: Cut, columns: Option<Between>, header: Header) -> Items {
    Items::Read(Reading { from, cut, columns, header, skip_empty: false })
}

fn list(rows: &[Vec<String>], names: &[String]) -> ItemList {
    let item =
        |row: &Vec<String>| Item { columns: row.iter().map(|column| column.clone().into_bytes()).collect() };
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

/// Looks at the pattern, so that a wrong one is found before anything runs.
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

/// Whether prun itself reads its stdin.
pub(super) fn take_stdin(file: &JobFile, how: &BuildOptions) -> bool {
    let from_stdin = |job: &Job| matches!(&job.each, Some(Each::Lines { file, .. } | Each::Csv { file, .. }) if file.value == "-");
    how.file_name == "-" || file.jobs.iter().any(from_stdin)
}

/// Items read from prun's stdin leave nothing there for anybody else.
pub(super) fn check_stdin(
    file: &JobFile,
    how: &BuildOptions,
    chains: &[Chain],
    wanted: &[bool],
    mistakes: &mut Mistakes,
) {
    let jobs = chains.iter().zip(wanted).filter(|(_, wanted)| **wanted).flat_map(|(chain, _)| &chain.jobs);
    let (mut readers, mut heirs) = (Vec::new(), Vec::new());
    for job in jobs.map(|&job| &file.jobs[job]) {
        if let Some(Each::Lines { file, .. } | Each::Csv { file, .. }) = &job.each
            && file.value == "-"
        {
            readers.push(&file.span);
        }
        if matches!(job.stdin.value, Stdin::Inherit) {
            heirs.push(&job.stdin.span);
        }
    }
    let Some((&first, others)) = readers.split_first() else { return };
    if how.file_name == "-" {
        let mistake = Mistake::at(first.clone(), "the job file itself is read from stdin");
        mistakes.push(mistake.help("read the items, or the job file, from a file of their own"));
    }
    for &other in others.iter().chain(&heirs) {
        let mistake = Mistake::at(other.clone(), "stdin is used twice")
            .other(first.clone(), "items are read from it here");
        mistakes.push(mistake.help("prun's stdin can be read by one job"));
    }
}
