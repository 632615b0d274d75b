//! `[locks]`, and `locks` of a job.

use toml::Spanned as Toml;
use toml::de::{DeArray, DeString, DeValue};

use super::section::{Node, Section};
use super::walk::{Walk, spelt};
use crate::jobfile::mistakes::Mistake;
use crate::jobfile::model::{LockRequestSpec, LockSpec, Spanned, lock_variable as variable};

/// Reads `[locks]`.
pub(super) fn locks<'a>(walk: &mut Walk<'a>, section: &Section<'a>) -> Vec<LockSpec> {
    let mut locks: Vec<LockSpec> = Vec::new();
    for (key, node) in section.in_order() {
        let name = Spanned { value: key.get_ref().to_string(), span: key.span() };
        let read = match node.get_ref() {
            DeValue::Array(array) => {
                walk.name_of_place("lock with values", key);
                values(walk, &name, node, array).map(|values| (values.len(), values))
            }
            _ => {
                walk.check_name("lock", &name.value, &name.span);
                let zero = "a lock without permits could never be taken";
                permits(walk, &name.value, node, "a number or an array", zero)
                    .map(|permits| (permits, Vec::new()))
            }
        };
        let Some((permits, values)) = read else { continue };
        let twin = locks.iter().find(|lock| {
            !values.is_empty()
                && !lock.values.is_empty()
                && lock.name.value != name.value
                && variable(&lock.name.value) == variable(&name.value)
        });
        if let Some(twin) = twin {
            let message = format!(
                "the values of `{}` and `{}` would be in one variable, `{}`",
                twin.name.value,
                name.value,
                variable(&name.value)
            );
            let mistake =
                Mistake::at(name.span.clone(), message).other(twin.name.span.clone(), "the other one");
            walk.mistake(mistake.help("give one of them another name"));
        }
        locks.push(LockSpec { name, permits, span: node.span(), values });
    }
    locks
}

/// Reads the names of a lock's permits. A task that holds several gets them joined by commas.
fn values<'a>(
    walk: &mut Walk<'a>,
    name: &Spanned<String>,
    node: Node<'a>,
    array: &'a DeArray<'a>,
) -> Option<Vec<String>> {
    if array.is_empty() {
        walk.wrong_value(&name.value, node, "a lock without permits could never be taken");
        return None;
    }
    let before = walk.wrong();
    let mut values: Vec<(String, Node)> = Vec::new();
    for node in array.iter() {
        let Some(text) = walk.scalar(&name.value, node, "a string or a number") else { continue };
        if text.value.is_empty() || text.value.contains(',') {
            let why = "a value can't be empty or hold a comma: several are joined by commas";
            walk.wrong_value(&name.value, node, why);
        } else if let Some((value, first)) = values.iter().find(|(value, _)| *value == text.value) {
            let mistake = Mistake::at(node.span(), format!("lock `{}` has `{value}` twice", name.value));
            let mistake = mistake.other(first.span(), "the first");
            walk.mistake(mistake.help("a value is held by one task at a time; for more, use other names"));
        } else {
            values.push((text.value, node));
        }
    }
    (walk.wrong() == before).then(|| values.into_iter().map(|(value, _)| value).collect())
}

/// Reads a number of permits, from 1. `zero`: why there can't be 0.
fn permits(walk: &mut Walk, key: &str, node: Node, wanted: &str, zero: &str) -> Option<usize> {
    if !node.get_ref().is_integer() {
        walk.wrong_type(key, node, wanted, None);
        return None;
    }
    let number = spelt(node).and_then(|text| text.parse().ok()).filter(|number| *number > 0);
    if number.is_none() {
        walk.wrong_value(key, node, format!("expected a number from 1; {zero}"));
    }
    number
}

/// Reads `locks` of a job.
pub(super) fn requests<'a>(walk: &mut Walk<'a>, section: &Section<'a>) -> Vec<LockRequestSpec> {
    let Some(found) = section.get("locks") else { return Vec::new() };
    match found.node.get_ref() {
        DeValue::Array(names) => {
            let mut requests: Vec<LockRequestSpec> = Vec::new();
            for node in names.iter() {
                let Some(name) = walk.string("locks", node) else { continue };
                walk.check_name("lock", &name.value, &name.span);
                let lock = Spanned { value: name.value, span: name.span };
                match requests.iter().find(|request| request.lock.value == lock.value) {
                    Some(first) => {
                        let message = format!("{} takes lock `{}` twice", section.title, lock.value);
                        let mistake = Mistake::at(lock.span, message).other(first.span.clone(), "the first");
                        walk.mistake(
                            mistake.help(format!("two permits of it are `locks = {{ {} = 2 }}`", lock.value)),
                        );
                    }
                    None => requests.push(LockRequestSpec { span: lock.span.clone(), lock, permits: 1 }),
                }
            }
            requests
        }
        DeValue::Table(_) => {
            let Some(table) = found.section("`locks`".to_owned()) else { return Vec::new() };
            let request = |(name, node): (&Toml<DeString>, Node)| {
                let lock = Spanned { value: name.get_ref().to_string(), span: name.span() };
                walk.check_name("lock", &lock.value, &lock.span);
                let zero = "to take none of it, leave it out";
                let permits = permits(walk, &lock.value, node, "a number", zero)?;
                Some(LockRequestSpec { lock, permits, span: node.span() })
            };
            table.merged().into_iter().filter_map(request).collect()
        }
        _ => {
            let help = spelt(found.node).map(|name| format!("write `locks = [\"{name}\"]`"));
            walk.wrong_type("locks", found.node, "an array or a table of locks", help);
            Vec::new()
        }
    }
}
