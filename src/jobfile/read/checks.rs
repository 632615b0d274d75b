//! Checks that many tables share: names, numbers from 1, sizes, patterns, and keys that exclude each other.

use toml::Spanned as Toml;
use toml::de::DeString;

use super::section::{Found, Node, Section};
use super::walk::{Walk, spelt};
use crate::jobfile::mistakes::Mistake;
use crate::jobfile::model::{Pattern, Span, Spanned, Text};
use crate::jobfile::values;

/// The memory limit of a compiled pattern, in bytes.
const LARGEST_PATTERN: usize = 4 << 20;

impl<'a> Walk<'a> {
    /// Reports a name that a job, queue or lock can't have. `what`: which of them it is.
    pub fn check_name(&mut self, what: &str, name: &str, span: &Span) {
        let good = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(good) {
            let message = match name {
                "" => format!("a {what} without a name"),
                name => format!("`{name}` can't be the name of a {what}"),
            };
            let mistake = Mistake::at(span.clone(), message);
            self.mistake(mistake.label("expected letters, digits, `-` and `_`"));
        }
    }

    /// Reads the name of a queue. It is checked wherever it is written, because a queue need not be listed.
    pub fn queue_name(&mut self, node: Node) -> Option<Text> {
        let name = self.string("queue", node)?;
        self.check_name("queue", &name.value, &name.span);
        Some(name)
    }

    /// Checks the name of a thing that a placeholder can name: a column, a variable, a lock with values.
    pub fn name_of_place(&mut self, what: &str, name: &Toml<DeString>) -> Option<Spanned<String>> {
        let text = name.get_ref().as_ref();
        let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
        let good =
            text.starts_with(letter) && text.chars().all(|c| letter(c) || c.is_ascii_digit() || c == '-');
        if good && text != "args" {
            return Some(Spanned { value: text.to_owned(), span: name.span() });
        }
        let why = if good {
            "`{args}` stands for the arguments after `--`"
        } else {
            "expected a letter, then letters, digits, `-` and `_`"
        };
        self.mistake(Mistake::at(name.span(), format!("`{text}` can't be the name of a {what}")).label(why));
        None
    }

    /// Reads a whole number from 1. `instead`: the help for a number below that.
    pub fn positive(&mut self, section: &Section, key: &'static str, instead: &str) -> Option<usize> {
        let found = section.get(key)?;
        if !found.node.get_ref().is_integer() {
            self.wrong_type(key, found.node, "a number", None);
            return None;
        }
        let number = spelt(found.node).and_then(|text| text.parse().ok()).filter(|number| *number > 0);
        if number.is_none() {
            self.wrong_value(key, found.node, format!("expected a number from 1; {instead}"));
        }
        number
    }

    /// Reads a size of at least a byte.
    pub fn size(&mut self, key: &str, node: Node) -> Option<usize> {
        self.parsed(key, node, "a size such as `\"1MiB\"`", values::parse_size)
    }

    /// Reads a regular expression on bytes, in which `^` and `$` match at lines.
    pub fn pattern(&mut self, section: &Section, key: &'static str) -> Option<Pattern> {
        let node = section.get(key)?.node;
        let text = self.any_string(key, node)?;
        if text.value.is_empty() {
            self.wrong_value(key, node, "an empty pattern matches anywhere; an empty line is `^$`");
            return None;
        }
        let built = regex::bytes::RegexBuilder::new(&text.value)
            .multi_line(true)
            .size_limit(LARGEST_PATTERN)
            .dfa_size_limit(LARGEST_PATTERN)
            .build();
        match built {
            Ok(regex) => Some(Pattern { text, regex }),
            Err(error) => {
                self.wrong_value(key, node, in_short(&error));
                None
            }
        }
    }

    /// Returns the one of `keys` that the table has. `before`: the number of mistakes before the table was read; if
    /// there are more by now, a missing key may just be misspelt, and is not reported.
    pub fn one_of_keys<'t>(
        &mut self,
        table: &Section<'t>,
        keys: &[&'static str],
        before: usize,
    ) -> Option<Found<'t>> {
        let mut found: Vec<_> = keys.iter().filter_map(|key| table.get(key)).collect();
        found.sort_by_key(|found| found.key_span.start);
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (None, _) => {
                if self.wrong() == before {
                    let message = format!("{} needs {}", table.title, one_of(keys));
                    self.mistake(Mistake::at(table.span.clone(), message));
                }
                None
            }
            (Some(found), None) => Some(found),
            (Some(first), Some(second)) => {
                let message = format!("{} has both `{}` and `{}`", table.title, first.key, second.key);
                let mistake = Mistake::at(second.key_span, message).other(first.key_span, "the other one");
                self.mistake(mistake.help("keep one of them"));
                None
            }
        }
    }
}

/// Formats the keys as "one of `a`, `b` and `c`".
fn one_of(keys: &[&str]) -> String {
    let quoted: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("one of {} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// Words the error of the regex crate without its drawing.
fn in_short(error: &regex::Error) -> String {
    if let regex::Error::CompiledTooBig(_) = error {
        return "this regular expression takes too much memory; repeat less in it".to_owned();
    }
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default();
    format!("expected a regular expression: {}", line.strip_prefix("error: ").unwrap_or(line))
}
