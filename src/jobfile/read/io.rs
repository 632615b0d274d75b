//! `stdin`, `stdout`, `stderr` and `env`.

use toml::de::DeValue;

use super::section::{Found, Node, Section};
use super::walk::Walk;
use crate::jobfile::keys::Table;
use crate::jobfile::mistakes::Mistake;
use crate::jobfile::model::{OutputSpec, Span, Spanned, StdinSpec, StepSpec, Text};
use crate::jobfile::near::nearest;
use crate::jobfile::values::one_of;

/// Reads `stdin`. Without the key it is "null", at the place of the job's name.
pub(super) fn stdin<'a>(walk: &mut Walk<'a>, section: &Section<'a>, job: &Span) -> Spanned<StdinSpec> {
    let null = || Spanned { value: StdinSpec::Null, span: job.clone() };
    let Some(found) = section.get("stdin") else { return null() };
    let value = match found.node.get_ref() {
        DeValue::String(text) => {
            let value = stdin_word(text);
            if value.is_none() {
                let words = ["null", "open", "inherit", "item"];
                let help = match nearest(text, words) {
                    Some(near) => format!("did you mean `\"{near}\"`?"),
                    None => {
                        "for a text write `stdin = { text = \"…\" }`, for a file `stdin = { file = \"…\" }`"
                            .to_owned()
                    }
                };
                let mistake = Mistake::at(found.node.span(), "wrong value of `stdin`");
                walk.mistake(
                    mistake.label("expected `null`, `open`, `inherit`, `item` or a table").help(help),
                );
            }
            value
        }
        DeValue::Table(_) => found.alone("`stdin`".to_owned()).and_then(|table| stdin_table(walk, &table)),
        _ => {
            walk.wrong_type("stdin", found.node, "a string or a table", None);
            None
        }
    };
    value.map_or_else(null, |value| Spanned { value, span: found.key_span })
}

fn stdin_word(word: &str) -> Option<StdinSpec> {
    match word {
        "null" => Some(StdinSpec::Null),
        "open" => Some(StdinSpec::Open),
        "inherit" => Some(StdinSpec::Inherit),
        "item" => Some(StdinSpec::Item),
        _ => None,
    }
}

fn stdin_table<'a>(walk: &mut Walk<'a>, table: &Section<'a>) -> Option<StdinSpec> {
    let before = walk.wrong();
    walk.check_keys(table, Table::Stdin);
    let sources: Vec<_> = SOURCES.into_iter().filter_map(|key| table.get(key)).collect();
    match sources.as_slice() {
        [] => {
            if walk.wrong() == before {
                walk.mistake(
                    Mistake::at(table.span.clone(), "`stdin` has no source")
                        .help("give it one of `text`, `file`, `pipe`, `queue` and `dialogue`"),
                );
            }
            None
        }
        [found] => {
            check_options(walk, table, found.key);
            match found.key {
                "text" => walk.any_string("text", found.node).map(StdinSpec::Text),
                "file" => walk.path("file", found.node).map(StdinSpec::File),
                "pipe" => walk.string("pipe", found.node).map(StdinSpec::Pipe),
                "queue" => {
                    let ahead = ahead(walk, table);
                    walk.queue_name(found.node).map(|name| StdinSpec::Queue { name, ahead })
                }
                _ => {
                    let timeout = walk.duration(table, "timeout");
                    dialogue(walk, found).map(|steps| StdinSpec::Dialogue { steps, timeout })
                }
            }
        }
        [first, second, ..] => {
            let (first, second) =
                if first.key_span.start < second.key_span.start { (first, second) } else { (second, first) };
            let message = format!("two sources of stdin: `{}` and `{}`", first.key, second.key);
            let mistake = Mistake::at(second.key_span.clone(), message)
                .other(first.key_span.clone(), "already feeds it");
            walk.mistake(mistake.help("a task reads one of `text`, `file`, `pipe`, `queue` and `dialogue`"));
            None
        }
    }
}

/// The keys that name a source of stdin.
const SOURCES: [&str; 5] = ["text", "file", "pipe", "queue", "dialogue"];

/// Reports options of another source than `source`.
fn check_options(walk: &mut Walk, table: &Section, source: &str) {
    for (option, of) in [("ahead", "queue"), ("timeout", "dialogue")] {
        if let Some(found) = table.get(option).filter(|_| source != of) {
            let message = format!("`{option}` goes with `{of}`, not with `{source}`");
            let mistake = Mistake::at(found.key_span, message);
            walk.mistake(match option {
                "timeout" => mistake.help("the `timeout` of the job stands beside `stdin`, not in it"),
                _ => mistake,
            });
        }
    }
}

/// Reads `ahead`. True for `1`: the reader is given one record at a time, not as many as its pipe holds.
fn ahead(walk: &mut Walk, table: &Section) -> bool {
    let Some(found) = table.get("ahead") else { return false };
    match walk.count(table, "ahead") {
        None => false,
        Some(1) => true,
        Some(_) => {
            let mistake = Mistake::at(found.node.span(), "wrong value of `ahead`").label("expected `1`");
            walk.mistake(mistake.help("without `ahead` a reader is given as many records as its pipe holds"));
            false
        }
    }
}

fn dialogue<'a>(walk: &mut Walk<'a>, found: &Found<'a>) -> Option<Vec<StepSpec>> {
    let help = "write `[{ expect = \"> \", send = \"exit\\n\" }]`";
    let DeValue::Array(nodes) = found.node.get_ref() else {
        walk.wrong_type("dialogue", found.node, "an array of steps", Some(help.to_owned()));
        return None;
    };
    if nodes.is_empty() {
        walk.wrong_value("dialogue", found.node, "a dialogue without steps says nothing");
        return None;
    }
    let steps: Vec<_> = nodes.iter().map(|node| step(walk, node, help)).collect();
    steps.into_iter().collect()
}

fn step<'a>(walk: &mut Walk<'a>, node: Node<'a>, help: &str) -> Option<StepSpec> {
    let DeValue::Table(own) = node.get_ref() else {
        walk.wrong_type("dialogue", node, "a table with `expect` and `send`", Some(help.to_owned()));
        return None;
    };
    let before = walk.wrong();
    let table = Section::new("a step of `dialogue`".to_owned(), node.span(), own);
    walk.check_keys(&table, Table::Step);
    let expect = walk.pattern(&table, "expect");
    let send = table.get("send").and_then(|found| walk.any_string("send", found.node));
    if walk.wrong() == before
        && let Some((missing, help)) = [
            ("expect", "what does not speak first can be given all at once: `stdin = { text = \"…\" }`"),
            ("send", "with `send = \"\"` a step only waits"),
        ]
        .into_iter()
        .find(|(key, _)| table.get(key).is_none())
    {
        let mistake = Mistake::at(node.span(), format!("a step of `dialogue` without `{missing}`"));
        walk.mistake(mistake.help(help));
    }
    Some(StepSpec { expect: expect?, send: send? })
}

/// Reads `stdout` or `stderr`.
pub(super) fn output<'a>(
    walk: &mut Walk<'a>,
    section: &Section<'a>,
    key: &'static str,
) -> Option<OutputSpec> {
    let found = section.get(key)?;
    let mut words = vec![("show", 0), ("inherit", 1), ("null", 2)];
    if key == "stderr" {
        words.push(("stdout", 3));
    }
    match found.node.get_ref() {
        DeValue::Table(_) => found.section(format!("`{key}`")).and_then(|table| output_table(walk, &table)),
        DeValue::String(text) => match one_of(text, &words) {
            Ok(word) => Some(
                [OutputSpec::Show, OutputSpec::Inherit, OutputSpec::Null, OutputSpec::Stdout][word].clone(),
            ),
            Err(why) => {
                let help = format!(
                    "for a file write `{key} = {{ file = \"…\" }}`, for a queue `{key} = {{ queue = \"…\" }}`"
                );
                let mistake = Mistake::at(found.node.span(), format!("wrong value of `{key}`")).label(why);
                walk.mistake(mistake.help(help));
                None
            }
        },
        _ => {
            walk.wrong_type(key, found.node, "a string or a table", None);
            None
        }
    }
}

fn output_table<'a>(walk: &mut Walk<'a>, table: &Section<'a>) -> Option<OutputSpec> {
    let before = walk.wrong();
    walk.check_keys(table, Table::Output);
    let show = walk.flag(table, "show").unwrap_or(false);
    let append = walk.flag(table, "append");
    // A queue of the job replaces a file of `[defaults]`, and the other way round.
    let keys = ["file", "queue"];
    let own: Vec<_> =
        keys.into_iter().filter(|key| table.own.contains_key(*key) && table.get(key).is_some()).collect();
    let found = walk.one_of_keys(table, if own.is_empty() { &keys } else { &own }, before)?;
    if found.key == "file" {
        let path = walk.path("file", found.node)?;
        return Some(OutputSpec::File { path, append: append.unwrap_or(false), show });
    }
    if let Some(append) = table.get("append").filter(|_| own.is_empty() || table.own.contains_key("append")) {
        walk.mistake(Mistake::at(append.key_span, "`append` goes with `file`, not with `queue`"));
    }
    walk.queue_name(found.node).map(|name| OutputSpec::Queue { name, show })
}

/// Reads `env`: names and values, those of `[defaults]` first.
pub(super) fn env<'a>(walk: &mut Walk<'a>, section: &Section<'a>) -> Vec<(String, Text)> {
    let Some(found) = section.get("env") else { return Vec::new() };
    let Some(table) = found.section("`env`".to_owned()) else {
        walk.wrong_type("env", found.node, "a table", Some("write `env.NAME = \"value\"`".to_owned()));
        return Vec::new();
    };
    let mut variables = Vec::new();
    for (name, node) in table.merged() {
        let text = name.get_ref().as_ref();
        if text.is_empty() || text.contains(['=', '\0']) {
            let message = format!("`{text}` can't be the name of an environment variable");
            walk.mistake(Mistake::at(name.span(), message).label("expected a name without `=`"));
        } else if let Some(value) = walk.scalar(text, node, "a string or a number") {
            variables.push((text.to_owned(), value));
        }
    }
    variables
}
