//! Bytes → TOML tree → [`JobFile`].

use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use self::section::Section;
use self::walk::Walk;
use super::keys::Table;
use super::mistakes::{Mistake, Mistakes};
use super::model::{JobFile, JobSpec, LockSpec, QueueSpec, RunHookSpec, RunSpec, Spanned};
use super::values;

mod checks;
mod config;
mod each;
mod hints;
mod io;
mod job;
mod locks;
mod queue;
mod ready;
mod section;
mod setup;
mod walk;
mod worker;

#[cfg(test)]
mod tests;

pub use config::{Config, parse_config};

/// Larger files are no job files.
const LARGEST: usize = 32 * 1024 * 1024;

/// Reads a job file. `name` is what people call it.
///
/// An error here means that nothing else can be said about the file; wrong values alone are kept in
/// [`JobFile::mistakes`] and are reported with those that are found when the plan is made.
pub fn parse(name: &str, bytes: &[u8]) -> Result<JobFile, Mistakes> {
    parse_over(&Config::default(), name, bytes)
}

/// Reads a job file; what it does not say, `config` says.
pub fn parse_over(config: &Config, name: &str, bytes: &[u8]) -> Result<JobFile, Mistakes> {
    let text = as_text(name, bytes)?;
    // One source for both, so that every place tells by itself in which file it is.
    let source: Arc<str> = [text, "\n", &config.text].concat().into();
    let text = &source[..text.len()];
    let behind = text.len() + 1;
    let lower = config.padded(behind);
    let (table, errors) = DeTable::parse_recoverable(text);
    let (lower, _) = DeTable::parse_recoverable(&lower);
    let defaults = config::defaults(table.get_ref(), lower.get_ref());
    let empty = DeTable::default();
    let mistakes = Mistakes::new(name, source.clone()).with_config(&config.name, behind);
    let mut walk = Walk::new(&source, mistakes, errors.is_empty());
    let (lower, _) = config::read(&mut walk, lower.get_ref());
    let file = top(&mut walk, name, table.get_ref(), defaults.as_ref());
    // What is wrong in it was told for the jobs, which have it as well.
    let bare = match walk.wrong() {
        0 => job::bare(&mut walk, &empty, defaults.as_ref()),
        _ => JobSpec::default(),
    };
    let mut mistakes = walk.into_mistakes();
    if errors.is_empty() {
        return Ok(JobFile {
            run: config::run_over(file.run, lower),
            vars: file.vars,
            queues: file.queues,
            locks: file.locks,
            jobs: file.jobs,
            bare,
            mistakes,
        });
    }
    // What stands behind a syntax error may be a consequence of it.
    let errors = syntax_errors(text, &errors);
    let first = errors
        .iter()
        .filter_map(|error| error.place.as_ref())
        .map(|(span, _)| line_start(text, span.start))
        .min();
    mistakes.retain(|mistake| mistake.place.as_ref().is_some_and(|(span, _)| Some(span.start) < first));
    errors.into_iter().for_each(|error| mistakes.push(error));
    Err(mistakes)
}

/// The bytes as text, or why they are none.
fn as_text<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str, Mistakes> {
    let fail = |source: &str, mistake: Mistake| {
        let mut mistakes = Mistakes::new(name, source.into());
        mistakes.push(mistake);
        Err(mistakes)
    };
    if bytes.len() > LARGEST {
        return fail(
            "",
            Mistake::new(format!("`{name}` is too large for a job file: more than 32 MiB"))
                .help("items can be read from a file of their own: `each.lines = \"FILE\"`"),
        );
    }
    if let Some(at) = memchr::memchr(0, bytes) {
        let mistake = Mistake::at(at..at + 1, format!("`{name}` is no text file")).label("a NUL byte");
        return fail(&String::from_utf8_lossy(bytes), mistake);
    }
    std::str::from_utf8(bytes).or_else(|error| {
        // Up to the error both texts are the same; there the shown one has U+FFFD, three bytes long.
        let at = error.valid_up_to();
        let mistake = Mistake::at(at..at + 3, format!("`{name}` is not UTF-8"))
            .label(format!("the byte 0x{:02x}", bytes[at]))
            .help("save the file as UTF-8");
        fail(&String::from_utf8_lossy(bytes), mistake)
    })
}

/// One for each line, in words of ours where the parser's are about itself.
fn syntax_errors(source: &str, errors: &[toml::de::Error]) -> Vec<Mistake> {
    let deep = |error: &toml::de::Error| error.message().contains("recurs");
    let place =
        |error: &toml::de::Error| error.span().or_else(|| deep(error).then(|| deepest_key(source)).flatten());
    let mut placed: Vec<_> = errors.iter().map(|error| (place(error), error)).collect();
    placed.sort_by_key(|(span, _)| span.as_ref().map(|span| span.start));
    let mut line_end = 0;
    let mut mistakes = Vec::new();
    for (span, error) in placed {
        if let Some(span) = &span {
            if span.start < line_end {
                continue;
            }
            line_end = source.as_bytes()[span.start..]
                .iter()
                .position(|&byte| byte == b'\n')
                .map_or(source.len(), |length| span.start + length)
                + 1;
        }
        let message = match &span {
            _ if deep(error) => "nested too deeply".to_owned(),
            Some(span) if error.message() == "duplicate key" => {
                format!("duplicate key `{}`", source.get(span.clone()).unwrap_or_default())
            }
            _ => error.message().to_owned(),
        };
        let label = if deep(error) { "more than 80 levels" } else { "" };
        mistakes.push(match span {
            Some(span) => Mistake::at(span, message).label(label),
            None => Mistake::new(message),
        });
    }
    mistakes
}

/// The parser doesn't say where a key of too many parts stands.
fn deepest_key(source: &str) -> Option<Range<usize>> {
    let line = source.lines().find(|line| line.matches('.').count() >= 80)?;
    let start = line.as_ptr() as usize - source.as_ptr() as usize;
    Some(start..start + line.len().min(80))
}

fn line_start(source: &str, at: usize) -> usize {
    source.as_bytes()[..at.min(source.len())]
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |newline| newline + 1)
}

type Vars = Vec<(Spanned<String>, super::model::Text)>;

/// What the whole file says.
struct File {
    run: RunSpec,
    vars: Vars,
    queues: Vec<QueueSpec>,
    locks: Vec<LockSpec>,
    jobs: Vec<JobSpec>,
}

/// Walks the whole file. `defaults`: those of the file, laid over those of the configuration.
fn top<'a>(
    walk: &mut Walk<'a>,
    name: &str,
    root: &'a DeTable<'a>,
    defaults: Option<&'a DeTable<'a>>,
) -> File {
    let file = Section::new("a job file".to_owned(), 0..0, root);
    walk.check_keys(&file, Table::Top);
    let run = walk.table(&file, "run").map(|section| run(walk, &section)).unwrap_or_default();
    let vars = walk.table(&file, "vars").map(|section| vars(walk, &section)).unwrap_or_default();
    let queues = walk.table(&file, "queues").map(|section| queue::queues(walk, &section)).unwrap_or_default();
    let locks = walk.table(&file, "locks").map(|section| locks::locks(walk, &section)).unwrap_or_default();
    if let Some(own) = walk.table(&file, "defaults") {
        // "none" undoes what the configuration says.
        job::defaults(walk, &Section::layered(own.title, own.span, own.own, None));
    }
    let jobs = match walk.table(&file, "jobs") {
        Some(section) => jobs(walk, &section, defaults),
        None => Vec::new(),
    };
    if jobs.is_empty() && walk.is_complete() && walk.wrong() == 0 {
        let help =
            "a job is a table with something to run: `[jobs.hello]` and below it `command = \"echo hello\"`";
        walk.mistake(Mistake::new(format!("`{name}` has no jobs")).help(help));
    }
    File { run, vars, queues, locks, jobs }
}

fn jobs<'a>(walk: &mut Walk<'a>, section: &Section<'a>, defaults: Option<&'a DeTable<'a>>) -> Vec<JobSpec> {
    let entries = section.in_order();
    let mut jobs = Vec::with_capacity(entries.len());
    for (name, node) in entries {
        match node.get_ref() {
            DeValue::Table(own) => jobs.push(job::read(walk, name, node.span(), own, defaults)),
            _ => {
                let help =
                    format!("write `[jobs.{name}]`, and below it `command = \"…\"`", name = name.get_ref());
                walk.wrong_type(name.get_ref(), node, "a table", Some(help));
            }
        }
    }
    jobs
}

fn run<'a>(walk: &mut Walk<'a>, section: &Section<'a>) -> RunSpec {
    walk.check_keys(section, Table::Run);
    walk.check_raw(section);
    RunSpec {
        pool: walk.pool(section),
        halt: walk.halt(section),
        output: walk.output_mode(section),
        keep_order: walk.flag(section, "keep_order"),
        tag: walk.tag(section),
        grace: walk.duration(section, "grace"),
        rate: walk.rate(section),
        load: walk.value(section, "load", "a number or a string", values::parse_load),
        memory_free: walk.value(section, "memory_free", "a size", values::parse_size),
        jobserver: walk.jobserver(section),
        journal: section.get("journal").and_then(|found| walk.path("journal", found.node)),
        resume: walk.resume(section),
        on_success: run_hook(walk, section, "on_success"),
        on_failure: run_hook(walk, section, "on_failure"),
        on_exit: run_hook(walk, section, "on_exit"),
    }
}

fn run_hook<'a>(walk: &mut Walk<'a>, section: &Section<'a>, key: &'static str) -> RunHookSpec {
    match section.get(key)?.node.get_ref().as_str() {
        Some("none") => Some(None),
        _ => job::hook(walk, section, key).map(Some),
    }
}

fn vars(walk: &mut Walk, section: &Section) -> Vars {
    let mut vars = Vec::new();
    for (name, node) in section.in_order() {
        let spelt = walk.name_of_place("variable", name);
        let value = walk.scalar(name.get_ref(), node, "a string or a number");
        if let (Some(name), Some(value)) = (spelt, value) {
            vars.push((name, value));
        }
    }
    vars
}
