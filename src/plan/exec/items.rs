//! The items of `prun exec`: files and stdin, words after `:::`, and how they are combined. Pure.

use std::ffi::OsString;
use std::iter::Peekable;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::vec::IntoIter;

use csv_core::{ReadRecordResult, ReaderBuilder, Terminator};

use super::args::{ExecArgs, ExecError, From, ItemArgs, Source, error};
use crate::plan::items::fit;
use crate::plan::template::column_names;
use crate::plan::{Cut, Header, Input, Item, ItemList, Items, Join, Reading};

/// Splits the words of a command line into the command and the sources that follow it.
///
/// # Errors
/// A `::::` without a file.
pub fn split_sources(words: Vec<Vec<u8>>) -> Result<(Vec<Vec<u8>>, Vec<Source>), ExecError> {
    let mut words = words.into_iter().peekable();
    let take = |words: &mut Peekable<IntoIter<Vec<u8>>>| {
        std::iter::from_fn(|| words.next_if(|word| mark(word).is_none())).collect::<Vec<_>>()
    };
    let command = take(&mut words);
    let mut sources = Vec::new();
    while let Some(word) = words.next() {
        let Some(Mark { is_file, plus }) = mark(&word) else { break };
        let taken = take(&mut words);
        if is_file && taken.is_empty() {
            let word = String::from_utf8_lossy(&word);
            return error(
                &format!("`{word}` names no file"),
                &format!("write `{word} FILE`, or leave it out"),
            );
        }
        if is_file {
            let path = |file| PathBuf::from(OsString::from_vec(file));
            sources.extend(taken.into_iter().map(|file| Source { from: From::File(path(file)), plus }));
        } else {
            sources.push(Source { from: From::Words(taken), plus });
        }
    }
    Ok((command, sources))
}

/// A word that begins a source.
struct Mark {
    /// True if words after it are files of items, false if they are items.
    is_file: bool,
    /// True if the source is in step with the one before.
    plus: bool,
}

fn mark(word: &[u8]) -> Option<Mark> {
    let (is_file, plus) = match word {
        b":::" => (false, false),
        b":::+" => (false, true),
        b"::::" => (true, false),
        b"::::+" => (true, true),
        _ => return None,
    };
    Some(Mark { is_file, plus })
}

pub(super) fn check(args: &ItemArgs) -> Result<(), ExecError> {
    if args.files.is_empty() && args.sources.first().is_some_and(|source| source.plus) {
        return error(
            "`:::+` and `::::+` go in step with the source before, and there is none",
            "write `:::` or `::::` for the first one",
        );
    }
    if all(args).filter(|source| source.from == From::File("-".into())).count() > 1 {
        return error("stdin is named twice, and can be read only once", "name it once");
    }
    Ok(())
}

/// Returns all sources: files of `-a` first, and stdin if no source is named.
fn all(args: &ItemArgs) -> impl Iterator<Item = Source> {
    let nothing = args.files.is_empty() && args.sources.is_empty();
    let file = |file: &Path| Source { from: From::File(file.to_owned()), plus: false };
    let files = args.files.iter().map(move |path| file(path));
    let stdin = nothing.then(|| file(Path::new("-")));
    files.chain(args.sources.iter().cloned()).chain(stdin)
}

/// Returns the source of the job's items.
pub(super) fn items(args: &ExecArgs) -> Result<Items, ExecError> {
    let item_args = &args.items;
    let mut chains: Vec<Vec<Items>> = Vec::new();
    let alone = all(item_args).count() == 1;
    for Source { from, plus } in all(item_args) {
        let source = match from {
            From::Words(words) => Items::List(Arc::new(list(item_args, &words, alone)?)),
            From::File(path) => Items::Read(reading(args, &path)),
        };
        match chains.last_mut() {
            Some(chain) if plus => chain.push(source),
            _ => chains.push(vec![source]),
        }
    }
    let chains = chains.into_iter().map(|chain| join(Join::Zip, chain)).collect();
    let items = join(if item_args.link { Join::Link } else { Join::Product }, chains);
    check_names(&items)?;
    Ok(items)
}

fn join(how: Join, mut sources: Vec<Items>) -> Items {
    if sources.len() == 1 { sources.remove(0) } else { Items::Join { how, names: Vec::new(), sources } }
}

/// Returns how the file `path` is read.
pub(super) fn reading(args: &ExecArgs, path: &Path) -> Reading {
    let ItemArgs { cut, columns, header, skip_empty, .. } = args.items.clone();
    let header = if header { Header::Strict } else { Header::No };
    Reading { from: input(args, path), cut, columns, header, skip_empty }
}

/// Returns the file `path`; `-` is stdin.
pub(super) fn input(args: &ExecArgs, path: &Path) -> Input {
    if path.as_os_str() == "-" { Input::Stdin } else { Input::File(args.base.join(path)) }
}

/// Returns the names of columns that are known now, and true if headers of files name more.
pub(super) fn names(items: &Items) -> (Vec<String>, bool) {
    match items {
        Items::List(list) => (list.names.clone(), false),
        Items::Read(reading) => (Vec::new(), reading.header != Header::No),
        Items::Join { sources, .. } => {
            let (names, open): (Vec<_>, Vec<_>) = sources.iter().map(names).unzip();
            (names.concat(), open.contains(&true))
        }
        _ => (Vec::new(), false),
    }
}

/// Returns the largest number of columns of an item, if it is known before items are read.
pub(super) fn width(items: &Items) -> Option<usize> {
    match items {
        Items::List(list) => list.items.iter().map(|item| item.columns.len().max(list.names.len())).max(),
        Items::Read(Reading { columns: None, cut: Cut::At(_) | Cut::Words, .. }) => Some(1),
        Items::Join { sources, .. } => sources.iter().map(width).sum(),
        _ => None,
    }
}

fn list(args: &ItemArgs, words: &[Vec<u8>], alone: bool) -> Result<ItemList, ExecError> {
    let mut rows = words.iter().map(|word| row(args, word));
    let mut names = Vec::new();
    if args.header {
        let Some(first) = rows.next() else {
            return error(
                "with `--header` the first word of each source names its column, and one has no words",
                "write `::: NAME ITEM...`",
            );
        };
        names = first.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
    }
    let is_wanted = |columns: &Vec<Vec<u8>>| !args.skip_empty || *columns != [b""];
    let mut items: Vec<Item> = rows.filter(is_wanted).map(Item::new).collect();
    if !alone {
        let fitted = items.iter_mut().try_for_each(|item| fit(item, &names));
        fitted.map_err(|message| ExecError { message, help: None })?;
    }
    Ok(ItemList { items, names })
}

/// Cuts a word into columns.
fn row(args: &ItemArgs, word: &[u8]) -> Vec<Vec<u8>> {
    match (args.cut, &args.columns) {
        (Cut::Csv(separator), _) => csv_row(word, separator),
        (_, Some(between)) => between.split(word),
        (_, None) => vec![word.to_vec()],
    }
}

/// Cuts a word into comma-separated values. It is one row, even if there is a newline in it.
fn csv_row(word: &[u8], separator: u8) -> Vec<Vec<u8>> {
    // A NUL as the end of a row, because no word of a command line has one.
    let mut reader = ReaderBuilder::new().delimiter(separator).terminator(Terminator::Any(0)).build();
    let (mut output, mut ends) = (vec![0; word.len() + 1], vec![0; word.len() + 2]);
    let (_, _, written, columns) = reader.read_record(word, &mut output, &mut ends);
    let (result, _, _, last) = reader.read_record(&[], &mut output[written..], &mut ends[columns..]);
    if result != ReadRecordResult::Record {
        return vec![Vec::new()];
    }
    let mut start = 0;
    let column = |&end: &usize| output[std::mem::replace(&mut start, end)..end].to_vec();
    ends[..columns + last].iter().map(column).collect()
}

/// Checks the names that are known now.
fn check_names(items: &Items) -> Result<(), ExecError> {
    let (names, open) = names(items);
    // With more names to come, the number of a column is not known.
    let checked = if open { Ok(()) } else { column_names::check(&names) };
    checked.map_err(|message| ExecError { message, help: None })
}
