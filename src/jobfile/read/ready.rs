//! `ready`: when a job counts as up.

use std::time::Duration;

use toml::de::DeValue;

use super::command::command;
use super::section::{Found, Section};
use super::walk::{Walk, spelt};
use crate::jobfile::keys::Table;
use crate::jobfile::mistakes::Mistake;
use crate::jobfile::model::{ReadyCheckSpec, ReadySpec, Text};
use crate::jobfile::values;

/// The keys that name a check.
const CHECKS: [&str; 4] = ["line", "port", "command", "after"];

/// Reads `ready`. Returns `None` also where `[defaults]` only has keys such as `timeout`, which name no check.
pub(super) fn read<'a>(walk: &mut Walk<'a>, job: &Section<'a>, in_defaults: bool) -> Option<ReadySpec> {
    let found = job.get("ready")?;
    let Some(table) = found.section("`ready`".to_owned()) else {
        let help = match spelt(found.node) {
            Some(text) if found.node.get_ref().is_integer() => format!("write `ready = {{ port = {text} }}`"),
            Some(text) => {
                format!("a line of its output: `ready = {{ line = \"{}\" }}`", text.escape_default())
            }
            None => "write `ready = { line = \"REGEX\" }` or `ready = { port = 6379 }`".to_owned(),
        };
        walk.wrong_type("ready", found.node, "a table", Some(help));
        return None;
    };
    let before = walk.wrong();
    walk.check_keys(&table, Table::Ready);
    let timeout = positive(walk, &table, "timeout");
    let every = positive(walk, &table, "every");
    // A check of the job replaces that of `[defaults]`.
    let own: Vec<_> =
        CHECKS.into_iter().filter(|key| table.own.contains_key(*key) && table.get(key).is_some()).collect();
    let checks = if own.is_empty() { &CHECKS[..] } else { &own };
    if (in_defaults || !job.own.contains_key("ready")) && checks.iter().all(|key| table.get(key).is_none()) {
        return None;
    }
    let found = walk.one_of_keys(&table, checks, before)?;
    check_options(walk, &table, found.key);
    let span = found.node.span();
    let check = match found.key {
        "line" => ReadyCheckSpec::Line(walk.pattern(&table, "line")?),
        "port" => ReadyCheckSpec::Port(port(walk, &found)?),
        "command" => ReadyCheckSpec::Command(command(walk, "command", found.node)?),
        _ => ReadyCheckSpec::After(walk.duration(&table, "after")?),
    };
    Some(ReadySpec { check, span, timeout, every })
}

/// Reports keys that mean nothing for this check, unless `[defaults]` sets them, which may be for other jobs.
fn check_options(walk: &mut Walk, table: &Section, check: &str) {
    let unused: &[(&'static str, &str)] = match check {
        "line" => &[("every", "output is looked at as it comes")],
        "after" => &[
            ("every", "nothing is looked at: the time alone tells"),
            ("timeout", "nothing is looked at: the time alone tells"),
        ],
        _ => &[],
    };
    for (key, why) in unused {
        if let Some(found) = table.get(key).filter(|_| table.own.contains_key(*key)) {
            let of = if *key == "every" { "`port` and `command`" } else { "`line`, `port` and `command`" };
            let mistake = Mistake::at(found.key_span, format!("`{key}` goes with {of}, not with `{check}`"));
            walk.mistake(mistake.help(*why));
        }
    }
}

/// Reads a duration above 0.
fn positive(walk: &mut Walk, table: &Section, key: &'static str) -> Option<Duration> {
    walk.value(table, key, "a duration", |text| match values::parse_duration(text)? {
        Duration::ZERO => Err("expected more than 0".to_owned()),
        duration => Ok(duration),
    })
}

/// Reads a port: a number, or a string with placeholders.
fn port(walk: &mut Walk, found: &Found) -> Option<Text> {
    match found.node.get_ref() {
        DeValue::String(_) => {
            let text = walk.string("port", found.node)?;
            if !text.value.contains('{')
                && let Err(why) = values::parse_port(&text.value)
            {
                walk.wrong_value("port", found.node, why);
                return None;
            }
            Some(text)
        }
        DeValue::Integer(_) => {
            let port = walk.parsed("port", found.node, "a number", values::parse_port)?;
            Some(Text { value: port.to_string(), span: found.node.span(), inner: None })
        }
        _ => {
            walk.wrong_type("port", found.node, "a number, or a string with placeholders", None);
            None
        }
    }
}
