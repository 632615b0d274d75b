//! `[jobs.NAME]` and `[defaults]`.

use toml::Spanned as Toml;
use toml::de::{DeString, DeTable, DeValue};

use super::section::{Node, Section};
use super::walk::{Walk, spelt};
use super::{attributes, command, each, io, locks, ready, worker};
use crate::jobfile::keys::{JOB, Table};
use crate::jobfile::mistakes::Mistake;
use crate::jobfile::model::{
    AfterSpec, BatchSpec, CommandSpec, EachSpec, JobSpec, ReadyCheckSpec, Span, Spanned, When,
};
use crate::jobfile::near::near_word;
use crate::jobfile::values::{self, RetryDelay};

/// Reads `[defaults]` by itself, so that its mistakes are reported even if every job sets those keys.
pub(super) fn defaults<'a>(walk: &mut Walk<'a>, defaults: &Section<'a>) -> JobSpec {
    walk.check_keys(defaults, Table::Defaults);
    walk.check_raw(defaults);
    let nameless = Spanned { value: String::new(), span: defaults.span.clone() };
    inheritable(walk, defaults, nameless)
}

/// Reads the settings of a job without keys of its own.
pub(super) fn without_own_keys<'a>(
    walk: &mut Walk<'a>,
    empty: &'a DeTable<'a>,
    defaults: Option<&'a DeTable<'a>>,
) -> JobSpec {
    let section = Section::layered(String::new(), 0..0, empty, defaults);
    inheritable(walk, &section, Spanned::default())
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
    let mut job = inheritable(walk, &section, name);
    job.comment = comment;
    // The keys of `NOT_IN_DEFAULTS`: where `[defaults]` has one, that was reported once.
    let alone = Section::new(section.title.clone(), section.span.clone(), own);
    job.each = each::read(walk, &alone);
    job.repeat = walk.count(&alone, "repeat").map(u64::from);
    job.batch = batch(walk, &alone);
    job.pool = walk.pool(&alone);
    job.worker = worker::read(walk, &alone);
    job.after = after(walk, &alone);
    check_items(walk, &alone);
    let is_whole = walk.wrong() == before && walk.is_complete();
    job.body = command::body(walk, &alone, &job.name, is_whole);
    command::check_shell(walk, &alone, job.body.as_ref(), has_other_script(&section, &job));
    job.own_keys = JOB
        .iter()
        .filter_map(|key| own.get_key_value(key.name).map(|(name, _)| (key.name, name.span())))
        .collect();
    job.has_mistakes = walk.wrong() != before;
    job
}

/// True if the job runs a script elsewhere than in its body: in a hook, to see that it is up, or to list its items.
fn has_other_script(section: &Section, job: &JobSpec) -> bool {
    let ready = job.ready.as_ref().map(|ready| &ready.check);
    ["on_success", "on_failure", "on_exit"].iter().any(|hook| command::is_script(section, hook))
        || matches!(ready, Some(ReadyCheckSpec::Command(CommandSpec::Script(_))))
        || matches!(&job.each, Some(EachSpec::Command { command: CommandSpec::Script(_), .. }))
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

/// Reports a job that has both `each` and `repeat`.
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

/// Reads the keys that may also stand in `[defaults]`.
fn inheritable<'a>(walk: &mut Walk<'a>, section: &Section<'a>, name: Spanned<String>) -> JobSpec {
    JobSpec {
        ready: ready::read(walk, section, name.value.is_empty()),
        stdin: io::stdin(walk, section, &name.span),
        stdout: io::output(walk, section, "stdout").unwrap_or_default(),
        stderr: io::output(walk, section, "stderr").unwrap_or_default(),
        name,
        shell: command::shell(walk, section),
        slots: walk.positive(section, "slots", "with `1` a task takes one place in the pool"),
        locks: locks::requests(walk, section),
        daemon: walk.flag(section, "daemon").unwrap_or(false),
        restart: walk.value(section, "restart", "a string", values::parse_restart).unwrap_or_default(),
        pty: walk.flag(section, "pty").unwrap_or(false),
        on_success: command::hook(walk, section, "on_success"),
        on_failure: command::hook(walk, section, "on_failure"),
        on_exit: command::hook(walk, section, "on_exit"),
        start: walk.value(section, "start", "a string", values::parse_start).unwrap_or_default(),
        leftovers: walk.value(section, "leftovers", "a string", values::parse_leftovers).unwrap_or_default(),
        interactive: walk.flag(section, "interactive").unwrap_or(false),
        env: io::env(walk, section),
        attributes: attributes::read(walk, section),
        cwd: section.get("cwd").and_then(|found| walk.string("cwd", found.node)),
        timeout: walk.value(section, "timeout", "a duration", values::parse_timeout),
        rate: walk.rate(section),
        stop_signal: walk.value(section, "stop_signal", "a signal", values::parse_signal),
        stop: walk.value(section, "stop", "a string", values::parse_stop),
        grace: walk.duration(section, "grace"),
        ok: walk.outcomes(section, "ok"),
        retries: walk.count(section, "retries"),
        retry_delay: retry_delay(walk, section),
        retry_on: walk.outcomes(section, "retry_on"),
        halt: walk.halt(section),
        output: walk.output_mode(section),
        keep_order: walk.flag(section, "keep_order"),
        tag: walk.tag(section),
        ..JobSpec::default()
    }
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
            let help = near_word(other, &["success", "failure", "exit", "ready"]);
            Err(format!("expected `success`, `failure`, `exit` or `ready`{help}"))
        }
    })
}
