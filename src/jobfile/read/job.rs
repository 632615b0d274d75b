//! `[jobs.NAME]` and `[defaults]`.

use toml::Spanned as Toml;
use toml::de::{DeArray, DeString, DeTable, DeValue};

use super::section::{Found, Node, Section};
use super::walk::{Walk, spelt};
use super::{each, io, locks, ready, setup, worker};
use crate::jobfile::keys::{JOB, Table};
use crate::jobfile::mistakes::Mistake;
use crate::jobfile::model::{
    AfterSpec, BatchSpec, BodySpec, CommandSpec, EachSpec, JobSpec, ReadyCheckSpec, Span, Spanned, StageSpec,
    When,
};
use crate::jobfile::near::nearest;
use crate::jobfile::values::{self, RetryDelay};

/// Reads `[defaults]`, whose mistakes are told also where every job says otherwise.
pub(super) fn defaults<'a>(walk: &mut Walk<'a>, defaults: &Section<'a>) -> JobSpec {
    walk.check_keys(defaults, Table::Defaults);
    walk.check_raw(defaults);
    let nameless = Spanned { value: String::new(), span: defaults.span.clone() };
    settings(walk, defaults, nameless)
}

/// What a job is that says nothing itself.
pub(super) fn bare<'a>(
    walk: &mut Walk<'a>,
    empty: &'a DeTable<'a>,
    defaults: Option<&'a DeTable<'a>>,
) -> JobSpec {
    let section = Section::layered(String::new(), 0..0, empty, defaults);
    settings(walk, &section, Spanned::default())
}

/// Reads one job, laid over `[defaults]`.
pub(super) fn read<'a>(
    walk: &mut Walk<'a>,
    name: &Toml<DeString<'a>>,
    span: Span,
    own: &'a DeTable<'a>,
    defaults: Option<&'a DeTable<'a>>,
) -> JobSpec {
    let before = walk.wrong();
    let name = Spanned { value: name.get_ref().to_string(), span: name.span() };
    walk.check_name("job", &name.value, &name.span);
    let section = Section::layered(format!("job `{}`", name.value), span, own, defaults);
    walk.check_keys(&section, Table::Job);
    walk.check_raw(&section);
    let comment = walk.comment_above(&name.span);
    let mut job = settings(walk, &section, name);
    job.comment = comment;
    // Only its own keys: `[defaults]` was told off for these.
    let alone = Section::new(section.title.clone(), section.span.clone(), own);
    job.each = each::read(walk, &alone);
    job.repeat = walk.count(&alone, "repeat").map(u64::from);
    job.batch = batch(walk, &alone);
    job.pool = walk.pool(&alone);
    job.worker = worker::read(walk, &alone);
    job.after = after(walk, &alone);
    check_items(walk, &alone);
    let whole = walk.wrong() == before && walk.is_complete();
    job.what = what(walk, &alone, &job.name, whole);
    let hooks = ["on_success", "on_failure", "on_exit"].iter().any(|hook| has_script(&section, hook));
    let probe = job
        .ready
        .as_ref()
        .is_some_and(|ready| matches!(ready.sign, ReadyCheckSpec::Command(CommandSpec::Script(_))));
    let lists = matches!(&job.each, Some(EachSpec::Command { command: CommandSpec::Script(_), .. }));
    check_shell(walk, &alone, job.what.as_ref(), hooks || probe || lists);
    job.given = JOB
        .iter()
        .filter_map(|key| own.get_key_value(key.name).map(|(name, _)| (key.name, name.span())))
        .collect();
    job.broken = walk.wrong() != before;
    job
}

fn batch(walk: &mut Walk, section: &Section) -> Option<Spanned<BatchSpec>> {
    let found = section.get("batch")?;
    let value = match found.node.get_ref() {
        DeValue::Integer(_) => walk
            .positive(section, "batch", "without `batch` each item has a task of its own")
            .map(BatchSpec::UpTo),
        DeValue::String(text) if text == "fit" => Some(BatchSpec::Fit),
        DeValue::String(_) => {
            let why = "expected a number or `\"fit\"`, as many as the system's argument limit takes";
            walk.wrong_value("batch", found.node, why);
            None
        }
        _ => {
            walk.wrong_type("batch", found.node, "a number or `\"fit\"`", None);
            None
        }
    };
    value.map(|value| Spanned { value, span: found.node.span() })
}

fn check_items(walk: &mut Walk, section: &Section) {
    if let (Some(each), Some(repeat)) = (section.get("each"), section.get("repeat")) {
        let mistake = Mistake::at(repeat.key_span, format!("{} has both `each` and `repeat`", section.title));
        walk.mistake(
            mistake
                .other(each.key_span, "its items")
                .help("a job has one task for each item, or so many without one"),
        );
    }
}

/// The command that it has under this key is one for the shell.
fn has_script(section: &Section, key: &'static str) -> bool {
    section.get(key).is_some_and(|found| found.node.get_ref().is_table())
}

/// A `shell` that has nothing to do is a misunderstanding.
fn check_shell(walk: &mut Walk, section: &Section, what: Option<&BodySpec>, hooks: bool) {
    let is_script = |command: &CommandSpec| matches!(command, CommandSpec::Script(_));
    let idle = match what {
        None => false,
        Some(BodySpec::Command(command)) => !is_script(command),
        Some(BodySpec::Pipeline(stages)) => !stages.iter().any(|stage| is_script(&stage.command)),
    };
    if let Some(found) = section.get("shell").filter(|_| idle && !hooks) {
        let mistake =
            Mistake::at(found.key_span, format!("{} has a `shell`, but no `script`", section.title));
        walk.mistake(mistake.help("a `command` is run without a shell; a text for the shell is a `script`"));
    }
}

/// The keys that may also stand in `[defaults]`.
fn settings<'a>(walk: &mut Walk<'a>, section: &Section<'a>, name: Spanned<String>) -> JobSpec {
    JobSpec {
        ready: ready::read(walk, section, name.value.is_empty()),
        stdin: io::stdin(walk, section, &name.span),
        stdout: io::output(walk, section, "stdout").unwrap_or_default(),
        stderr: io::output(walk, section, "stderr").unwrap_or_default(),
        name,
        comment: String::new(),
        given: Vec::new(),
        broken: false,
        what: None,
        shell: shell(walk, section),
        each: None,
        repeat: None,
        batch: None,
        pool: None,
        slots: walk.positive(section, "slots", "with `1` a task takes one place in the pool"),
        locks: locks::wants(walk, section),
        after: Vec::new(),
        worker: None,
        daemon: walk.flag(section, "daemon").unwrap_or(false),
        restart: walk.value(section, "restart", "a string", values::parse_restart).unwrap_or_default(),
        pty: walk.flag(section, "pty").unwrap_or(false),
        on_success: hook(walk, section, "on_success"),
        on_failure: hook(walk, section, "on_failure"),
        on_exit: hook(walk, section, "on_exit"),
        start: walk.value(section, "start", "a string", values::parse_start).unwrap_or_default(),
        leftovers: walk.value(section, "leftovers", "a string", values::parse_leftovers).unwrap_or_default(),
        interactive: walk.flag(section, "interactive").unwrap_or(false),
        env: io::env(walk, section),
        setup: setup::read(walk, section),
        cwd: section.get("cwd").and_then(|found| walk.string("cwd", found.node)),
        timeout: walk.value(section, "timeout", "a duration", values::parse_timeout),
        rate: walk.rate(section),
        stop_signal: walk.value(section, "stop_signal", "a signal", values::parse_signal),
        grace: walk.duration(section, "grace"),
        ok: walk.outcomes(section, "ok"),
        retries: walk.count(section, "retries"),
        retry_delay: retry_delay(walk, section),
        retry_on: walk.outcomes(section, "retry_on"),
        halt: walk.halt(section),
        output: walk.output_mode(section),
        keep_order: walk.flag(section, "keep_order"),
        tag: walk.tag(section),
    }
}

fn shell<'a>(walk: &mut Walk<'a>, section: &Section<'a>) -> Option<Vec<crate::jobfile::Text>> {
    let found = section.get("shell")?;
    let DeValue::Array(words) = found.node.get_ref() else {
        let help = "the shell and the flag that makes it run a text, such as `[\"bash\", \"-c\"]`";
        walk.wrong_type("shell", found.node, "an array", Some(help.to_owned()));
        return None;
    };
    strings(walk, "shell", found.node, words)
}

/// An array of at least one string.
fn strings<'a>(
    walk: &mut Walk<'a>,
    key: &str,
    node: Node<'a>,
    words: &DeArray<'a>,
) -> Option<Vec<crate::jobfile::Text>> {
    if words.is_empty() {
        walk.wrong_value(key, node, "an empty array names no program");
        return None;
    }
    // Each word is looked at, also behind a wrong one.
    let texts: Vec<_> = words.iter().map(|word| walk.string(key, word)).collect();
    texts.into_iter().collect()
}

/// `whole`: nothing else is wrong with the job, so that what is not there was not just misspelt.
fn what<'a>(
    walk: &mut Walk<'a>,
    section: &Section<'a>,
    name: &Spanned<String>,
    whole: bool,
) -> Option<BodySpec> {
    let given: Vec<Found> =
        ["command", "script", "pipeline"].into_iter().filter_map(|key| section.get(key)).collect();
    match given.as_slice() {
        [] => {
            if whole {
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

/// A command that begins when something has ended.
pub(super) fn hook<'a>(walk: &mut Walk<'a>, section: &Section<'a>, key: &'static str) -> Option<CommandSpec> {
    section.get(key).and_then(|found| command(walk, key, found.node))
}

/// A string, an array, or `{ script = "…" }`.
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

fn retry_delay<'a>(walk: &mut Walk<'a>, section: &Section<'a>) -> Option<RetryDelay> {
    let found = section.get("retry_delay")?;
    let Some(table) = found.section("`retry_delay`".to_owned()) else {
        let wanted = "a duration or a table";
        return walk.parsed("retry_delay", found.node, wanted, values::parse_retry_delay);
    };
    walk.check_keys(&table, Table::RetryDelay);
    let usual = RetryDelay::GROWING;
    let first = walk.duration(&table, "first").unwrap_or(usual.first);
    let max = walk.duration(&table, "max").unwrap_or(usual.max);
    let factor = walk.value(&table, "factor", "a number", values::parse_factor).unwrap_or(usual.factor);
    let jitter = walk.flag(&table, "jitter").unwrap_or(usual.jitter);
    Some(RetryDelay { first: first.min(max), factor, max, jitter })
}

fn after<'a>(walk: &mut Walk<'a>, section: &Section<'a>) -> Vec<AfterSpec> {
    let Some(found) = section.get("after") else { return Vec::new() };
    match found.node.get_ref() {
        DeValue::Array(names) => {
            let name = |node: Node| {
                walk.string("after", node).map(|name| Spanned { value: name.value, span: name.span })
            };
            names.iter().filter_map(name).map(|job| AfterSpec { job, when: None }).collect()
        }
        DeValue::Table(_) => {
            let Some(conditions) = found.section("`after`".to_owned()) else { return Vec::new() };
            let condition = |(name, node): (&Toml<DeString>, Node)| {
                let job = Spanned { value: name.get_ref().to_string(), span: name.span() };
                when(walk, node).map(|when| AfterSpec { job, when: Some(when) })
            };
            conditions.in_order().into_iter().filter_map(condition).collect()
        }
        _ => {
            let help = spelt(found.node).map(|name| format!("write `after = [\"{name}\"]`"));
            walk.wrong_type("after", found.node, "an array or a table of jobs", help);
            Vec::new()
        }
    }
}

fn when(walk: &mut Walk, node: Node) -> Option<When> {
    walk.parsed("after", node, "`success`, `failure`, `exit` or `ready`", |text| match text {
        "success" => Ok(When::Success),
        "failure" => Ok(When::Failure),
        "exit" => Ok(When::Exit),
        "ready" => Ok(When::Ready),
        other => {
            let near = nearest(other, ["success", "failure", "exit", "ready"]);
            let help = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            Err(format!("expected `success`, `failure`, `exit` or `ready`{help}"))
        }
    })
}
