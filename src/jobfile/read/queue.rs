//! `[queues.NAME]`.

use toml::Spanned as Toml;
use toml::de::{DeString, DeTable, DeValue};

use super::section::{Found, Node, Section};
use super::walk::Walk;
use crate::jobfile::keys::Table;
use crate::jobfile::mistakes::Mistake;
use crate::jobfile::model::{QueueSpec, RecordsSpec, Spanned};
use crate::jobfile::near::nearest;
use crate::jobfile::values::one_of;

/// Reads `[queues]`.
pub(super) fn queues<'a>(walk: &mut Walk<'a>, section: &Section<'a>) -> Vec<QueueSpec> {
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

fn queue<'a>(
    walk: &mut Walk<'a>,
    name: &Toml<DeString<'a>>,
    node: Node<'a>,
    own: &'a DeTable<'a>,
) -> QueueSpec {
    let name = Spanned { value: name.get_ref().to_string(), span: name.span() };
    walk.check_name("queue", &name.value, &name.span);
    let table = Section::new(format!("queue `{}`", name.value), node.span(), own);
    walk.check_keys(&table, Table::Queue);
    let instead = "with `1` a writer waits until the record before was taken";
    let capacity = walk.positive(&table, "capacity", instead);
    let records = table.get("records").and_then(|found| records(walk, &found));
    let to_all =
        walk.value(&table, "deliver", "a string", |text| one_of(text, &[("any", false), ("all", true)]));
    QueueSpec {
        name,
        capacity,
        records: records.unwrap_or_else(|| RecordsSpec::Ends(b"\n".to_vec())),
        to_all: to_all.unwrap_or(false),
    }
}

fn records<'a>(walk: &mut Walk<'a>, found: &Found<'a>) -> Option<RecordsSpec> {
    const WANTED: &str = "expected `lines`, `nul` or a table";
    if let DeValue::String(word) = found.node.get_ref() {
        return match word.as_ref() {
            "lines" => Some(RecordsSpec::Ends(b"\n".to_vec())),
            "nul" => Some(RecordsSpec::Ends(b"\0".to_vec())),
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
    let before = walk.wrong();
    walk.check_keys(&table, Table::Records);
    let found = walk.one_of_keys(&table, &["separator", "start", "bytes", "block"], before)?;
    match found.key {
        "separator" => {
            let text = walk.any_string("separator", found.node)?;
            if text.value.is_empty() {
                walk.wrong_value("separator", found.node, "an empty string separates nothing");
                return None;
            }
            Some(RecordsSpec::Ends(text.value.into_bytes()))
        }
        "start" => start(walk, &table, found.node),
        "bytes" => walk.size("bytes", found.node).map(RecordsSpec::Bytes),
        _ => walk.size("block", found.node).map(RecordsSpec::Block),
    }
}

/// Reads `start`: where a record begins. That may be at any line, but not at any byte.
fn start(walk: &mut Walk, table: &Section, node: Node) -> Option<RecordsSpec> {
    let pattern = walk.pattern(table, "start")?;
    // Hardly any pattern speaks of NUL bytes: one that matches the empty text between two of them matches anywhere.
    if pattern.regex.find_at(b"\0\0", 1).is_some_and(|found| found.start() == 1 && found.is_empty()) {
        walk.wrong_value(
            "start",
            node,
            "it matches between any two bytes, so that a record would begin at each",
        );
        return None;
    }
    Some(RecordsSpec::Starts(pattern))
}
