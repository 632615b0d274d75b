//! Process attributes that differ from prun's own: `limits`, `nice`, `umask`, `clear_env`, `env_file`.

use toml::de::DeValue;

use super::section::{Found, Node, Section};
use super::walk::Walk;
use crate::jobfile::keys::Table;
use crate::jobfile::model::{AttributesSpec, Text};
use crate::jobfile::values::{self, Limit};

pub(super) fn read<'a>(walk: &mut Walk<'a>, section: &Section<'a>) -> AttributesSpec {
    AttributesSpec {
        limits: limits(walk, section),
        nice: walk.value(section, "nice", "a number", values::parse_nice).unwrap_or_default(),
        umask: section.get("umask").and_then(|found| umask(walk, &found)),
        clear_env: walk.flag(section, "clear_env").unwrap_or(false),
        env_files: section.get("env_file").map(|found| env_files(walk, &found)).unwrap_or_default(),
    }
}

/// A parser of a limit's value as it is spelt.
type ParseLimit = fn(&str) -> Result<u64, String>;

/// Reads `limits`. Returns them in the order in which they are set.
fn limits<'a>(walk: &mut Walk<'a>, section: &Section<'a>) -> Vec<(Limit, u64)> {
    let Some(found) = section.get("limits") else { return Vec::new() };
    let Some(table) = found.section("`limits`".to_owned()) else {
        walk.wrong_type(
            "limits",
            found.node,
            "a table",
            Some("write `limits = { cpu = \"1m\" }`".to_owned()),
        );
        return Vec::new();
    };
    walk.check_keys(&table, Table::Limits);
    let read = |limit: Limit| {
        let (wanted, parse): (_, ParseLimit) = match limit {
            Limit::Cpu => ("a duration", values::parse_cpu_limit),
            Limit::Memory | Limit::Stack => {
                ("a size such as `\"1GiB\"`", |text| values::parse_size(text).map(|size| size as u64))
            }
            Limit::FileSize | Limit::Core => ("a size such as `\"1GiB\"`", values::parse_size_from_0),
            Limit::Files => ("a number", values::parse_files_limit),
            Limit::Processes => ("a number", values::parse_processes_limit),
        };
        walk.value(&table, limit.key(), wanted, parse).map(|value| (limit, value))
    };
    Limit::ALL.into_iter().filter_map(read).collect()
}

/// Reads `umask`, which is octal, as for chmod(1) and the shell's `umask`. Decimal `22` is refused, because it would be
/// another mask than the one that is meant.
fn umask(walk: &mut Walk, found: &Found) -> Option<u32> {
    let help = "it is octal: write `umask = \"022\"`, or `0o22`";
    match found.node.get_ref() {
        DeValue::Integer(number) if number.radix() != 8 && number.as_str() != "0" => {
            walk.wrong_value("umask", found.node, help);
            None
        }
        DeValue::Integer(number) => match u32::from_str_radix(number.as_str(), number.radix()) {
            Ok(mask) if mask <= 0o777 => Some(mask),
            _ => {
                walk.wrong_value("umask", found.node, values::UMASK);
                None
            }
        },
        DeValue::String(_) => walk.parsed("umask", found.node, "an octal number", values::parse_umask),
        _ => {
            walk.wrong_type("umask", found.node, "an octal number", Some(help.to_owned()));
            None
        }
    }
}

/// Reads `env_file`: one file, or several.
fn env_files<'a>(walk: &mut Walk<'a>, found: &Found<'a>) -> Vec<Text> {
    match found.node.get_ref() {
        DeValue::Array(nodes) => nodes.iter().filter_map(|node: Node| walk.path("env_file", node)).collect(),
        DeValue::String(_) => walk.path("env_file", found.node).into_iter().collect(),
        _ => {
            walk.wrong_type("env_file", found.node, "a string or an array of strings", None);
            Vec::new()
        }
    }
}
