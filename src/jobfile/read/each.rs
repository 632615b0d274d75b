//! `each`: where the items come from.

use toml::de::{DeArray, DeValue};

use super::command::command;
use super::section::{Found, Node, Section};
use super::walk::Walk;
use crate::jobfile::keys::Table;
use crate::jobfile::mistakes::Mistake;
use crate::jobfile::model::{EachSpec, Spanned};
use crate::jobfile::near::alternatives;

mod columns;

/// The keys that name a source.
const SOURCES: [&str; 9] = ["seq", "lines", "glob", "csv", "command", "matrix", "zip", "queue", "job"];

/// Reads `each`.
pub(super) fn read<'a>(walk: &mut Walk<'a>, job: &Section<'a>) -> Option<EachSpec> {
    let found = job.get("each")?;
    match found.node.get_ref() {
        DeValue::Array(items) => rows(walk, items),
        DeValue::Table(_) => {
            found.alone("`each`".to_owned()).and_then(|table| source(walk, &table, &SOURCES))
        }
        _ => {
            let help =
                "write the items as an array, `[\"a\", \"b\"]`, or name a source, `{ lines = \"FILE\" }`";
            walk.wrong_type("each", found.node, "an array or a table", Some(help.to_owned()));
            None
        }
    }
}

/// How an item is written; all items of an array are written alike.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ItemForm {
    Value,
    Array,
    Table,
}

impl ItemForm {
    fn of(node: Node) -> ItemForm {
        match node.get_ref() {
            DeValue::Array(_) => ItemForm::Array,
            DeValue::Table(_) => ItemForm::Table,
            _ => ItemForm::Value,
        }
    }

    fn name(self) -> &'static str {
        match self {
            ItemForm::Value => "a value",
            ItemForm::Array => "an array",
            ItemForm::Table => "a table",
        }
    }
}

fn rows<'a>(walk: &mut Walk<'a>, items: &'a DeArray<'a>) -> Option<EachSpec> {
    let Some(first) = items.iter().next() else {
        return Some(EachSpec::Rows { rows: Vec::new(), names: Vec::new(), places: Vec::new() });
    };
    let form = ItemForm::of(first);
    if let Some(other) = items.iter().find(|item| ItemForm::of(item) != form) {
        let mistake =
            Mistake::at(other.span(), "items of two kinds in `each`").label(ItemForm::of(other).name());
        walk.mistake(
            mistake.other(first.span(), form.name()).help("items are all values, all arrays or all tables"),
        );
        return None;
    }
    let names = column_names(walk, first)?;
    let rows: Vec<Option<Vec<String>>> = items.iter().map(|item| row(walk, item, &names)).collect();
    let rows = rows.into_iter().collect::<Option<_>>()?;
    let (names, places) = names.into_iter().map(|name| (name.value, name.span)).unzip();
    Some(EachSpec::Rows { rows, names, places })
}

/// Returns the keys of the first row, in the order in which they are written; none if items are not tables.
fn column_names<'a>(walk: &mut Walk<'a>, first: Node<'a>) -> Option<Vec<Spanned<String>>> {
    let Some(table) = first.get_ref().as_table() else { return Some(Vec::new()) };
    let section = Section::new(String::new(), first.span(), table);
    let names: Vec<_> =
        section.in_order().iter().map(|(name, _)| walk.name_of_place("column", name)).collect();
    names.into_iter().collect()
}

fn row<'a>(walk: &mut Walk<'a>, item: Node<'a>, names: &[Spanned<String>]) -> Option<Vec<String>> {
    let wanted = "a string or a number";
    match item.get_ref() {
        DeValue::Array(columns) if columns.is_empty() => {
            walk.wrong_value("each", item, "a row needs a column");
            None
        }
        DeValue::Array(columns) => {
            columns.iter().map(|column| walk.scalar("each", column, wanted).map(|text| text.value)).collect()
        }
        DeValue::Table(table) => {
            if names.is_empty() {
                walk.wrong_value("each", item, "a row needs a column");
                return None;
            }
            if let Some((extra, _)) =
                table.iter().find(|(key, _)| !names.iter().any(|name| name.value == key.get_ref().as_ref()))
            {
                let mistake = Mistake::at(
                    extra.span(),
                    format!("column `{}` is not in the first row", extra.get_ref()),
                );
                walk.mistake(
                    mistake
                        .other(names[0].span.clone(), "the first row")
                        .help("all rows have the same columns"),
                );
                return None;
            }
            if let Some(missing) = names.iter().find(|name| !table.contains_key(name.value.as_str())) {
                let mistake =
                    Mistake::at(item.span(), format!("a row without the column `{}`", missing.value));
                walk.mistake(
                    mistake
                        .other(missing.span.clone(), "the first row has it")
                        .help("all rows have the same columns"),
                );
                return None;
            }
            names
                .iter()
                .map(|name| {
                    walk.scalar(&name.value, &table[name.value.as_str()], wanted).map(|text| text.value)
                })
                .collect()
        }
        _ => walk.scalar("each", item, wanted).map(|text| vec![text.value]),
    }
}

fn source<'a>(walk: &mut Walk<'a>, table: &Section<'a>, sources: &[&'static str]) -> Option<EachSpec> {
    let before = walk.wrong();
    walk.check_keys(table, Table::Each);
    let found: Vec<Found> = sources.iter().filter_map(|key| table.get(key)).collect();
    let found = match found.as_slice() {
        [] => {
            if walk.wrong() == before {
                let mistake = Mistake::at(table.span.clone(), format!("{} names no source", table.title));
                let sources = alternatives(sources);
                walk.mistake(mistake.help(format!("give it {sources}, or write the items as an array")));
            }
            return None;
        }
        [found] => found,
        [first, second, ..] => {
            let mistake = Mistake::at(
                second.key_span.clone(),
                format!("two sources of items: `{}` and `{}`", first.key, second.key),
            );
            walk.mistake(mistake.other(first.key_span.clone(), "already gives items"));
            return None;
        }
    };
    check_options(walk, table, found.key);
    match found.key {
        "seq" => seq(walk, found.node),
        "lines" => {
            let nul = walk.flag(table, "nul").unwrap_or(false);
            let separator = walk.value(table, "separator", "a string", separator);
            walk.path("lines", found.node).map(|file| EachSpec::Lines { file, nul, separator })
        }
        "command" => {
            let nul = walk.flag(table, "nul").unwrap_or(false);
            let separator = walk.value(table, "separator", "a string", separator);
            let command = command(walk, "command", found.node);
            command.map(|command| EachSpec::Command { command, nul, separator })
        }
        "glob" => walk.path("glob", found.node).map(EachSpec::Glob),
        "queue" => {
            let separator = walk.value(table, "separator", "a string", separator);
            walk.queue_name(found.node).map(|name| EachSpec::Queue { name, separator })
        }
        "job" => walk.string("job", found.node).map(EachSpec::Job),
        "matrix" | "zip" => columns::read(walk, found),
        _ => {
            let separator = walk.value(table, "separator", "a string", separator).unwrap_or(b',');
            let header = walk.flag(table, "header").unwrap_or(true);
            walk.path("csv", found.node).map(|file| EachSpec::Csv { file, separator, header })
        }
    }
}

/// Reports options of another source than `source`.
fn check_options(walk: &mut Walk, table: &Section, source: &str) {
    let options: [(_, &[&str]); 3] = [
        ("nul", &["lines", "command"]),
        ("separator", &["lines", "command", "csv", "queue"]),
        ("header", &["csv"]),
    ];
    for (option, of) in options {
        let Some(found) = table.get(option).filter(|_| !of.contains(&source)) else { continue };
        let goes = format!("`{option}` goes with {}, not with `{source}`", alternatives(of));
        walk.mistake(Mistake::at(found.key_span, goes));
    }
}

fn separator(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [byte] if !matches!(byte, b'"' | b'\n' | b'\r') => Ok(*byte),
        _ => Err("expected one ASCII character, and no quote or newline".to_owned()),
    }
}

fn seq<'a>(walk: &mut Walk<'a>, node: Node<'a>) -> Option<EachSpec> {
    let help = "write `[first, last]` or `[first, step, last]`";
    let DeValue::Array(numbers) = node.get_ref() else {
        walk.wrong_type("seq", node, "an array of 2 or 3 numbers", Some(help.to_owned()));
        return None;
    };
    let source = walk.source();
    let mut spelt = Vec::new();
    for number in numbers.iter() {
        if !matches!(number.get_ref(), DeValue::Integer(_) | DeValue::Float(_)) {
            walk.wrong_type("seq", number, "a number", None);
            return None;
        }
        spelt.push(Spanned { value: source[number.span()].replace('_', ""), span: number.span() });
    }
    let span = node.span();
    match <[Spanned<String>; 3]>::try_from(spelt) {
        Ok([first, step, last]) => Some(EachSpec::Seq { first, step: Some(step), last, span }),
        Err(spelt) => match <[Spanned<String>; 2]>::try_from(spelt) {
            Ok([first, last]) => Some(EachSpec::Seq { first, step: None, last, span }),
            Err(_) => {
                walk.mistake(
                    Mistake::at(span, "wrong value of `seq`").label("expected 2 or 3 numbers").help(help),
                );
                None
            }
        },
    }
}
