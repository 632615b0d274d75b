//! `[queues.NAME]`, and the patterns and sizes that it shares with other tables.

use toml::Spanned as Toml;
use toml::de::{DeString, DeTable, DeValue};

use super::section::{Found, Node, Section};
use super::walk::Walk;
use crate::jobfile::keys::Table;
use crate::jobfile::mistakes::Mistake;
use crate::jobfile::model::{Pattern, Queue, Records, Spanned};
use crate::jobfile::near::nearest;
use crate::jobfile::values;

/// A compiled pattern takes no more than this.
const LARGEST_PATTERN: usize = 1 << 20;

pub(super) fn queues<'a>(walk: &mut Walk<'a>, section: &Section<'a>) -> Vec<Queue> {
    let mut queues = Vec::new();
    for (name, node) in section.in_order() {
        match node.get_ref() {
            DeValue::Table(own) => queues.push(queue(walk, name, node, own)),
            _ => {
                let help = format!("write `[queues.{}]`, and below it `capacity = 10`", name.get_ref());
                walk.wrong_type(name.get_ref(), node, "a table", Some(help));
            }
        }
    }
    queues
}

fn queue<'a>(walk: &mut Walk<'a>, name: &Toml<DeString<'a>>, node: Node<'a>, own: &'a DeTable<'a>) -> Queue {
    let name = Spanned { value: name.get_ref().to_string(), span: name.span() };
    walk.check_name("queue", &name);
    let table = Section::new(format!("queue `{}`", name.value), node.span(), own);
    walk.check_keys(&table, Table::Queue);
    let capacity = walk.positive(&table, "capacity").map(|records| records as usize);
    let records = table.get("records").and_then(|found| records(walk, &found));
    let to_all = walk.value(&table, "deliver", "a string", |text| match text {
        "any" => Ok(false),
        "all" => Ok(true),
        _ => Err("expected `any` or `all`".to_owned()),
    });
    Queue {
        name,
        capacity,
        records: records.unwrap_or_else(|| Records::Ends(b"\n".to_vec())),
        to_all: to_all.unwrap_or(false),
    }
}

fn records<'a>(walk: &mut Walk<'a>, found: &Found<'a>) -> Option<Records> {
    const WANTED: &str = "expected `lines`, `nul` or a table";
    if let DeValue::String(word) = found.node.get_ref() {
        return match word.as_ref() {
            "lines" => Some(Records::Ends(b"\n".to_vec())),
            "nul" => Some(Records::Ends(b"\0".to_vec())),
            other => {
                let help = match nearest(other, ["lines", "nul"]) {
                    Some(near) => format!("did you mean `\"{near}\"`?"),
                    None => "another separator is `records = { separator = \"…\" }`".to_owned(),
                };
                let mistake = Mistake::at(found.node.span(), "wrong value of `records`");
                walk.mistake(mistake.label(WANTED).help(help));
                None
            }
        };
    }
    let Some(table) = found.alone("`records`".to_owned()) else {
        walk.wrong_type("records", found.node, "a string or a table", None);
        return None;
    };
    walk.check_keys(&table, Table::Records);
    let found = walk.one_of_keys(&table, &["separator", "start", "bytes", "block"], "`records`")?;
    match found.key {
        "separator" => {
            let text = walk.any_string("separator", found.node)?;
            if text.value.is_empty() {
                walk.wrong_value("separator", found.node, "an empty string separates nothing");
                return None;
            }
            Some(Records::Ends(text.value.into_bytes()))
        }
        "start" => pattern(walk, "start", found.node).map(Records::Starts),
        "bytes" => size(walk, "bytes", found.node).map(Records::Bytes),
        _ => size(walk, "block", found.node).map(Records::Block),
    }
}

/// A size of at least a byte.
fn size(walk: &mut Walk, key: &str, node: Node) -> Option<usize> {
    walk.parsed(key, node, "a size, such as \"1MiB\"", values::parse_size)
}

/// A regular expression; `^` and `$` match at lines.
pub(super) fn pattern(walk: &mut Walk, key: &str, node: Node) -> Option<Pattern> {
    let text = walk.any_string(key, node)?;
    let built = regex::bytes::RegexBuilder::new(&text.value)
        .multi_line(true)
        .size_limit(LARGEST_PATTERN)
        .dfa_size_limit(LARGEST_PATTERN)
        .build();
    match built {
        Ok(regex) => Some(Pattern { text, regex }),
        Err(error) => {
            let mistake = Mistake::at(node.span(), format!("`{key}` is no regular expression"));
            walk.mistake(mistake.label(last_line(&error)));
            None
        }
    }
}

/// What is wrong, without the drawing above it.
fn last_line(error: &regex::Error) -> String {
    if let regex::Error::CompiledTooBig(_) = error {
        return "too large".to_owned();
    }
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}
