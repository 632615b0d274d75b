//! Commands: the body of a job, its hooks, and the `shell` of its scripts.

use toml::de::{DeArray, DeValue};

use super::io;
use super::section::{Found, Node, Section};
use super::walk::Walk;
use crate::jobfile::keys::Table;
use crate::jobfile::mistakes::Mistake;
use crate::jobfile::model::{BodySpec, CommandSpec, Spanned, StageSpec, Text};

/// Reads `command`, `script` or `pipeline`. `is_whole`: the job has no other mistake, so that a missing key was
/// not merely misspelt.
pub(super) fn body<'a>(
    walk: &mut Walk<'a>,
    section: &Section<'a>,
    name: &Spanned<String>,
    is_whole: bool,
) -> Option<BodySpec> {
    let found: Vec<Found> =
        ["command", "script", "pipeline"].into_iter().filter_map(|key| section.get(key)).collect();
    match found.as_slice() {
        [] => {
            if is_whole {
                let mistake =
                    Mistake::at(name.span.clone(), format!("job `{}` has nothing to run", name.value));
                walk.mistake(mistake.help("give it a `command`, a `script` or a `pipeline`"));
            }
            None
        }
        [found] if found.key == "pipeline" => pipeline(walk, found),
        [found] if found.key == "script" => {
            walk.string("script", found.node).map(|text| BodySpec::Command(CommandSpec::Script(text)))
        }
        [found] => command(walk, "command", found.node).map(BodySpec::Command),
        [first, second, ..] => {
            let message = format!("job `{}` has both `{}` and `{}`", name.value, first.key, second.key);
            let mistake = Mistake::at(second.key_span.clone(), message)
                .other(first.key_span.clone(), "already runs something");
            walk.mistake(mistake.help("a job runs one of `command`, `script` and `pipeline`; a second job can wait for it with `after`"));
            None
        }
    }
}

fn pipeline<'a>(walk: &mut Walk<'a>, found: &Found<'a>) -> Option<BodySpec> {
    let DeValue::Array(nodes) = found.node.get_ref() else {
        let help = "write its commands one by one: `[\"sort\", \"uniq -c\"]`";
        walk.wrong_type("pipeline", found.node, "an array of commands", Some(help.to_owned()));
        return None;
    };
    if nodes.is_empty() {
        walk.wrong_value("pipeline", found.node, "an empty array runs nothing");
        return None;
    }
    let stages: Vec<_> = nodes.iter().map(|node| stage(walk, node)).collect();
    stages.into_iter().collect::<Option<_>>().map(BodySpec::Pipeline)
}

fn stage<'a>(walk: &mut Walk<'a>, node: Node<'a>) -> Option<StageSpec> {
    let DeValue::Table(table) = node.get_ref() else {
        return command(walk, "pipeline", node).map(|command| StageSpec { command, ok: None, stderr: None });
    };
    let section = Section::new("a stage of `pipeline`".to_owned(), node.span(), table);
    let before = walk.wrong();
    walk.check_keys(&section, Table::Stage);
    let ok = walk.outcomes(&section, "ok");
    let stderr = io::output(walk, &section, "stderr");
    let command = match (section.get("command"), section.get("script")) {
        (Some(found), None) => command(walk, "command", found.node),
        (None, Some(found)) => walk.string("script", found.node).map(CommandSpec::Script),
        (Some(_), Some(found)) => {
            walk.mistake(
                Mistake::at(found.key_span, "a stage has both `command` and `script`")
                    .help("keep one of them"),
            );
            None
        }
        (None, None) => {
            if walk.wrong() == before {
                let mistake = Mistake::at(node.span(), "a stage has nothing to run");
                walk.mistake(mistake.help("give it a `command` or a `script`"));
            }
            None
        }
    };
    Some(StageSpec { command: command?, ok, stderr })
}

/// Reads a hook: `on_success`, `on_failure` or `on_exit`.
pub(super) fn hook<'a>(walk: &mut Walk<'a>, section: &Section<'a>, key: &'static str) -> Option<CommandSpec> {
    section.get(key).and_then(|found| command(walk, key, found.node))
}

/// Reads a command: a string, an array, or `{ script = "…" }`.
pub(super) fn command<'a>(walk: &mut Walk<'a>, key: &str, node: Node<'a>) -> Option<CommandSpec> {
    match node.get_ref() {
        DeValue::String(text) if text.trim().is_empty() => {
            walk.wrong_value(key, node, "an empty string names no program");
            None
        }
        DeValue::String(_) => walk.string(key, node).map(CommandSpec::Line),
        DeValue::Array(words) => strings(walk, key, node, words).map(CommandSpec::Words),
        DeValue::Table(table) if table.len() == 1 && table.contains_key("script") => {
            walk.string("script", &table["script"]).map(CommandSpec::Script)
        }
        _ => {
            walk.wrong_type(key, node, "a string, an array of strings or `{ script = \"…\" }`", None);
            None
        }
    }
}

/// Reads an array of at least one string.
fn strings<'a>(walk: &mut Walk<'a>, key: &str, node: Node<'a>, words: &DeArray<'a>) -> Option<Vec<Text>> {
    if words.is_empty() {
        walk.wrong_value(key, node, "an empty array names no program");
        return None;
    }
    // Collected first, so that each wrong word is reported.
    let texts: Vec<_> = words.iter().map(|word| walk.string(key, word)).collect();
    texts.into_iter().collect()
}

/// Reads `shell`.
pub(super) fn shell<'a>(walk: &mut Walk<'a>, section: &Section<'a>) -> Option<Vec<Text>> {
    let found = section.get("shell")?;
    let DeValue::Array(words) = found.node.get_ref() else {
        let help = "the shell and the flag that makes it run a text, such as `[\"bash\", \"-c\"]`";
        walk.wrong_type("shell", found.node, "an array", Some(help.to_owned()));
        return None;
    };
    strings(walk, "shell", found.node, words)
}

/// True if `key` is set to `{ script = "…" }`.
pub(super) fn is_script(section: &Section, key: &'static str) -> bool {
    section.get(key).is_some_and(|found| found.node.get_ref().is_table())
}

/// Reports a `shell` that nothing uses. `used_elsewhere`: the job runs a script outside its body.
pub(super) fn check_shell(walk: &mut Walk, section: &Section, body: Option<&BodySpec>, used_elsewhere: bool) {
    let is_script = |command: &CommandSpec| matches!(command, CommandSpec::Script(_));
    let is_unused = match body {
        None => false,
        Some(BodySpec::Command(command)) => !is_script(command),
        Some(BodySpec::Pipeline(stages)) => !stages.iter().any(|stage| is_script(&stage.command)),
    };
    if let Some(found) = section.get("shell").filter(|_| is_unused && !used_elsewhere) {
        let mistake =
            Mistake::at(found.key_span, format!("{} has a `shell`, but no `script`", section.title));
        walk.mistake(mistake.help("a `command` is run without a shell; a text for the shell is a `script`"));
    }
}
