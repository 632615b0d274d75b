//! `stdin`, `stdout`, `stderr` and `env`.

use toml::de::DeValue;

use super::section::Section;
use super::walk::Walk;
use crate::jobfile::keys::Table;
use crate::jobfile::mistakes::Mistake;
use crate::jobfile::model::{Output, Span, Spanned, Stdin, Text};
use crate::jobfile::near::nearest;
use crate::jobfile::values::one_of;

/// `stdin`; without the key it is "null", and stands where the job does.
pub(super) fn stdin<'a>(walk: &mut Walk<'a>, section: &Section<'a>, job: &Span) -> Spanned<Stdin> {
    let null = || Spanned { value: Stdin::Null, span: job.clone() };
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

fn stdin_word(word: &str) -> Option<Stdin> {
    match word {
        "null" => Some(Stdin::Null),
        "open" => Some(Stdin::Open),
        "inherit" => Some(Stdin::Inherit),
        "item" => Some(Stdin::Item),
        _ => None,
    }
}

fn stdin_table<'a>(walk: &mut Walk<'a>, table: &Section<'a>) -> Option<Stdin> {
    let before = walk.wrong();
    walk.check_keys(table, Table::Stdin);
    let sources: Vec<_> = ["text", "file", "pipe"].into_iter().filter_map(|key| table.get(key)).collect();
    match sources.as_slice() {
        [] => {
            if walk.wrong() == before {
                walk.mistake(
                    Mistake::at(table.span.clone(), "`stdin` has no source")
                        .help("give it one of `text`, `file` and `pipe`"),
                );
            }
            None
        }
        [found] => match found.key {
            "text" => walk.any_string("text", found.node).map(Stdin::Text),
            "file" => walk.path("file", found.node).map(Stdin::File),
            _ => walk.string("pipe", found.node).map(Stdin::Pipe),
        },
        [first, second, ..] => {
            let (first, second) =
                if first.key_span.start < second.key_span.start { (first, second) } else { (second, first) };
            let message = format!("two sources of stdin: `{}` and `{}`", first.key, second.key);
            let mistake = Mistake::at(second.key_span.clone(), message)
                .other(first.key_span.clone(), "already feeds it");
            walk.mistake(mistake.help("a task reads one of `text`, `file` and `pipe`"));
            None
        }
    }
}

/// `stdout` or `stderr`.
pub(super) fn output<'a>(walk: &mut Walk<'a>, section: &Section<'a>, key: &'static str) -> Option<Output> {
    let found = section.get(key)?;
    let mut words = vec![("show", 0), ("inherit", 1), ("null", 2)];
    if key == "stderr" {
        words.push(("stdout", 3));
    }
    match found.node.get_ref() {
        DeValue::Table(_) => {
            found.section(format!("`{key}`")).and_then(|table| output_table(walk, &table, key))
        }
        DeValue::String(text) => match one_of(text, &words) {
            Ok(word) => Some([Output::Show, Output::Inherit, Output::Null, Output::Stdout][word].clone()),
            Err(why) => {
                let help = format!("for a file write `{key} = {{ file = \"…\" }}`");
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

fn output_table<'a>(walk: &mut Walk<'a>, table: &Section<'a>, key: &str) -> Option<Output> {
    let before = walk.wrong();
    walk.check_keys(table, Table::Output);
    let append = walk.flag(table, "append").unwrap_or(false);
    let show = walk.flag(table, "show").unwrap_or(false);
    let Some(found) = table.get("file") else {
        if walk.wrong() == before {
            walk.mistake(
                Mistake::at(table.span.clone(), format!("`{key}` names no file")).help("give it a `file`"),
            );
        }
        return None;
    };
    walk.path("file", found.node).map(|path| Output::File { path, append, show })
}

/// `env`: names and values, those of `[defaults]` first.
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
