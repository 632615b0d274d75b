//! Reading single values of the TOML tree, and the mistakes found on the way.

use std::time::Duration;

use toml::de::DeValue;

use super::hints::{elsewhere, synonym};
use super::section::{Node, Section};
use crate::jobfile::keys::{NOT_IN_DEFAULTS, Table};
use crate::jobfile::mistakes::{Mistake, Mistakes};
use crate::jobfile::model::{Span, Spanned, TagSpec, Text};
use crate::jobfile::near::nearest;
use crate::jobfile::values::{
    self, HaltSetting, JobserverStyle, Outcomes, OutputMode, PoolSize, Rate, Resume,
};

/// The walk over the tree: the text and the mistakes so far. Each reader of a value reports its mistake and returns
/// `None`, so that the walk goes on.
pub(super) struct Walk<'a> {
    source: &'a str,
    mistakes: Mistakes,
    /// True if there was no syntax error, so that the tree is the whole file.
    complete: bool,
    /// Number of mistakes so far; [`Mistakes`] drops repeated ones.
    wrong: usize,
}

impl<'a> Walk<'a> {
    pub fn new(source: &'a str, mistakes: Mistakes, complete: bool) -> Walk<'a> {
        Walk { source, mistakes, complete, wrong: 0 }
    }

    pub fn into_mistakes(self) -> Mistakes {
        self.mistakes
    }

    /// True if the tree is the whole file: a key that is not there is really missing.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    pub fn source(&self) -> &'a str {
        self.source
    }

    /// Returns the number of mistakes so far. Compare two calls to know whether something between them was wrong.
    pub fn wrong(&self) -> usize {
        self.wrong
    }

    pub fn mistake(&mut self, mistake: Mistake) {
        self.wrong += 1;
        self.mistakes.push(mistake);
    }

    pub fn wrong_type(&mut self, key: &str, node: Node, wanted: &str, help: Option<String>) {
        let label = format!("expected {wanted}, found {}", article(node.get_ref().type_str()));
        self.mistake(Mistake {
            help,
            ..Mistake::at(node.span(), format!("wrong type of `{key}`")).label(label)
        });
    }

    pub fn wrong_value(&mut self, key: &str, node: Node, why: impl Into<String>) {
        self.mistake(Mistake::at(node.span(), format!("wrong value of `{key}`")).label(why));
    }

    /// Reports the keys that such a table does not have.
    pub fn check_keys(&mut self, section: &Section, table: Table) {
        for (name, node) in section.own.iter() {
            let key = name.get_ref().as_ref();
            let known = table.keys().iter().any(|known| known.name == key);
            if table == Table::Defaults && NOT_IN_DEFAULTS.contains(&key) {
                let help = if key == "pool" {
                    "the pool of the whole run is `pool` in `[run]`"
                } else {
                    "it belongs to each job"
                };
                self.mistake(Mistake::at(name.span(), format!("`{key}` can't be a default")).help(help));
            } else if table.planned().contains(&key) {
                let what = match table {
                    Table::Top | Table::Run | Table::Defaults | Table::Job => format!("`{key}`"),
                    _ => format!("`{key}` in {}", section.title),
                };
                self.mistake(Mistake::at(
                    name.span(),
                    format!("{what} is not supported by this version of prun"),
                ));
            } else if !known {
                let near = || nearest(key, table.keys().iter().map(|known| known.name));
                let help = synonym(key, table)
                    .or_else(near)
                    .map(|known| format!("did you mean `{known}`?"))
                    .or_else(|| elsewhere(key, table, node));
                self.mistake(Mistake {
                    help,
                    ..Mistake::at(name.span(), format!("unknown key `{key}` in {}", section.title))
                });
            }
        }
    }

    /// Reads a key whose value is a table.
    pub fn table<'t>(&mut self, section: &Section<'t>, key: &'static str) -> Option<Section<'t>> {
        let found = section.get(key)?;
        let table = found.section(format!("`[{key}]`"));
        if table.is_none() {
            self.wrong_type(key, found.node, "a table", None);
        }
        table
    }

    /// Reads a string without NUL bytes, which no argument, path or variable can have.
    pub fn string(&mut self, key: &str, node: Node) -> Option<Text> {
        let text = self.any_string(key, node)?;
        if text.value.contains('\0') {
            self.wrong_value(key, node, "a NUL byte can't be passed to a program");
            return None;
        }
        Some(text)
    }

    /// Reads a path, which is not empty.
    pub fn path(&mut self, key: &str, node: Node) -> Option<Text> {
        let text = self.string(key, node)?;
        if text.value.is_empty() {
            self.wrong_value(key, node, "an empty string names no file");
            return None;
        }
        Some(text)
    }

    /// Reads a string that may have any characters.
    pub fn any_string(&mut self, key: &str, node: Node) -> Option<Text> {
        let Some(value) = node.get_ref().as_str() else {
            self.wrong_type(key, node, "a string", None);
            return None;
        };
        let written = self.source.get(node.span()).unwrap_or_default();
        let inner =
            between_quotes(written).filter(|(_, text)| *text == value).map(|(at, _)| node.span().start + at);
        Some(Text { value: value.to_owned(), span: node.span(), inner })
    }

    /// Reads a string, or a number, boolean or date as it is spelt.
    pub fn scalar(&mut self, key: &str, node: Node, wanted: &str) -> Option<Text> {
        match node.get_ref() {
            DeValue::String(_) => self.string(key, node),
            DeValue::Array(_) | DeValue::Table(_) => {
                self.wrong_type(key, node, wanted, None);
                None
            }
            _ => {
                let value = self.source.get(node.span()).unwrap_or_default().to_owned();
                Some(Text { value, span: node.span(), inner: Some(node.span().start) })
            }
        }
    }

    /// Reads a key whose value is a string or a number that `parse` understands.
    pub fn value<T>(
        &mut self,
        section: &Section,
        key: &'static str,
        wanted: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let found = section.get(key)?;
        self.parsed(key, found.node, wanted, parse)
    }

    /// Reads a string or a number that `parse` understands. `wanted`: the types that are expected, for the message.
    pub fn parsed<T>(
        &mut self,
        key: &str,
        node: Node,
        wanted: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let Some(text) = spelt(node) else {
            self.wrong_type(key, node, wanted, None);
            return None;
        };
        parse(&text).map_err(|why| self.wrong_value(key, node, why)).ok()
    }

    pub fn duration(&mut self, section: &Section, key: &'static str) -> Option<Duration> {
        self.value(section, key, "a duration", values::parse_duration)
    }

    pub fn pool(&mut self, section: &Section) -> Option<PoolSize> {
        self.value(section, "pool", "a number or a string", values::parse_pool)
    }

    pub fn halt(&mut self, section: &Section) -> Option<HaltSetting> {
        self.value(section, "halt", "a string", values::parse_halt)
    }

    pub fn rate(&mut self, section: &Section) -> Option<Rate> {
        self.value(section, "rate", "a string", values::parse_rate)
    }

    pub fn output_mode(&mut self, section: &Section) -> Option<OutputMode> {
        self.value(section, "output", "a string", values::parse_output)
    }

    pub fn flag(&mut self, section: &Section, key: &'static str) -> Option<bool> {
        let found = section.get(key)?;
        let flag = found.node.get_ref().as_bool();
        if flag.is_none() {
            self.wrong_type(key, found.node, "`true` or `false`", None);
        }
        flag
    }

    /// Reads a whole number from 0.
    pub fn count(&mut self, section: &Section, key: &'static str) -> Option<u32> {
        let found = section.get(key)?;
        let DeValue::Integer(_) = found.node.get_ref() else {
            self.wrong_type(key, found.node, "a number", None);
            return None;
        };
        self.parsed(key, found.node, "a number", |text| {
            text.parse().map_err(|_| format!("expected a number from 0 to {}", u32::MAX))
        })
    }

    pub fn tag(&mut self, section: &Section) -> Option<TagSpec> {
        let found = section.get("tag")?;
        match found.node.get_ref() {
            DeValue::Boolean(true) => Some(TagSpec::On),
            DeValue::Boolean(false) => Some(TagSpec::Off),
            DeValue::String(_) => self.string("tag", found.node).map(TagSpec::Template),
            _ => {
                self.wrong_type("tag", found.node, "`true`, `false` or a string", None);
                None
            }
        }
    }

    pub fn resume(&mut self, section: &Section) -> Option<Spanned<Resume>> {
        let found = section.get("resume")?;
        let value = match found.node.get_ref() {
            DeValue::Boolean(false) => Resume::No,
            DeValue::Boolean(true) => Resume::Finished,
            DeValue::String(word) if word == "failed" => Resume::AllButFailed,
            DeValue::String(_) => {
                self.wrong_value("resume", found.node, "expected `true`, `false` or `\"failed\"`");
                return None;
            }
            _ => {
                self.wrong_type("resume", found.node, "`true`, `false` or `\"failed\"`", None);
                return None;
            }
        };
        Some(Spanned { value, span: found.node.span() })
    }

    /// Reads `jobserver`: a style, or `true` or `false`.
    pub fn jobserver(&mut self, section: &Section) -> Option<JobserverStyle> {
        let found = section.get("jobserver")?;
        let style = match found.node.get_ref() {
            DeValue::Boolean(false) => Some(JobserverStyle::Off),
            DeValue::Boolean(true) => Some(JobserverStyle::Pipe),
            DeValue::String(word) if word == "pipe" => Some(JobserverStyle::Pipe),
            DeValue::String(word) if word == "fifo" => Some(JobserverStyle::Fifo),
            DeValue::String(_) => None,
            _ => {
                self.wrong_type("jobserver", found.node, "`true`, `false`, `\"pipe\"` or `\"fifo\"`", None);
                return None;
            }
        };
        if style.is_none() {
            let expected = "expected `true`, `false`, `\"pipe\"` or `\"fifo\"`";
            self.wrong_value("jobserver", found.node, expected);
        }
        style
    }

    /// Reports `keep_order` and `tag` beside `output = "raw"`: output that children write to prun's own stdout can't
    /// be put in order or prefixed.
    pub fn check_raw(&mut self, section: &Section) {
        let Some(output) = section.get("output").filter(|found| found.node.get_ref().as_str() == Some("raw"))
        else {
            return;
        };
        for key in ["keep_order", "tag"] {
            let Some(found) = section.get(key).filter(|found| found.node.get_ref().as_bool() != Some(false))
            else {
                continue;
            };
            let mistake =
                Mistake::at(found.key_span, format!("`{key}` can't be had with `output = \"raw\"`"));
            let mistake =
                mistake.other(output.key_span.clone(), "children write straight to prun's own stdout");
            self.mistake(mistake.help("with `output = \"line\"` prun prints what they write, line by line"));
        }
    }

    /// Reads the array of `ok` or `retry_on`.
    pub fn outcomes(&mut self, section: &Section, key: &'static str) -> Option<Outcomes> {
        let found = section.get(key)?;
        let DeValue::Array(words) = found.node.get_ref() else {
            let help = spelt(found.node).map(|_| format!("write `[{}]`", &self.source[found.node.span()]));
            self.wrong_type(key, found.node, "an array", help);
            return None;
        };
        let before = self.wrong;
        let mut outcomes = Outcomes::default();
        for word in words.iter() {
            match spelt(word) {
                Some(text) => outcomes.add(&text).unwrap_or_else(|why| self.wrong_value(key, word, why)),
                None => self.wrong_type(key, word, "an exit code or a word", None),
            }
        }
        (self.wrong == before).then_some(outcomes)
    }

    /// Returns the comment above this place, without the `#` signs and without lines that begin with `#!`.
    pub fn comment_above(&self, at: &Span) -> String {
        // The name of a job is near the start of its line. Only where many jobs share a line is it not, and then a
        // comment above is not that of one of them.
        let near = at.start.saturating_sub(100);
        let Some(newline) = memchr::memrchr(b'\n', &self.source.as_bytes()[near..at.start]) else {
            return String::new();
        };
        let before = &self.source[..=near + newline];
        let mut lines: Vec<&str> = before
            .lines()
            .rev()
            .map_while(|line| line.trim().strip_prefix('#'))
            .filter(|line| !line.starts_with('!'))
            .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end())
            .collect();
        lines.reverse();
        lines.join("\n")
    }
}

/// Returns the value of a string, or a number in plain decimal digits; `None` for anything else.
pub(super) fn spelt(node: Node) -> Option<String> {
    match node.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            // TOML's `+2` is 2; kept, the sign would mean "2 more" to the parser of a pool.
            let digits = number.as_str().strip_prefix('+').unwrap_or(number.as_str());
            Some(
                i128::from_str_radix(digits, number.radix())
                    .map_or_else(|_| digits.to_owned(), |number| number.to_string()),
            )
        }
        DeValue::Float(number) => Some(
            number
                .as_str()
                .parse::<f64>()
                .map_or_else(|_| number.as_str().to_owned(), |number| number.to_string()),
        ),
        _ => None,
    }
}

/// Returns the text between the quotes of a string, and where it begins in `written`. If this is the string's value,
/// it is written without escapes.
fn between_quotes(written: &str) -> Option<(usize, &str)> {
    let long = ["\"\"\"", "'''"].into_iter().find(|quotes| written.len() >= 6 && written.starts_with(quotes));
    let quotes = long.map_or(1, str::len);
    let text = written.get(quotes..written.len().checked_sub(quotes)?)?;
    // A newline right behind three quotes is not part of the value.
    let skipped = match long {
        Some(_) if text.starts_with("\r\n") => 2,
        Some(_) if text.starts_with('\n') => 1,
        _ => 0,
    };
    Some((quotes + skipped, &text[skipped..]))
}

/// Names a TOML type with its article.
fn article(kind: &str) -> String {
    let kind = match kind {
        "boolean" => return "`true` or `false`".to_owned(),
        "float" => "number with a decimal point",
        "integer" => "number",
        "datetime" => "date or time",
        kind => kind,
    };
    format!("{} {kind}", if kind.starts_with('a') { "an" } else { "a" })
}
