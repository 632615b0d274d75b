//! Names of columns that are read from a header: every text of the jobs whose items have these columns learns them. Pure.

use super::template::{Source, Template, TextError};
use super::{Command, HookOn, Items, Job, JobId, Output, Plan, ReadyCheck, Stage, Stdin};

/// Tells the texts of a job, and of those that take its items, the names of the items' columns.
///
/// # Errors
/// The first mistake that shows by now. For people.
pub fn name_columns(plan: &Plan, job: JobId, names: &[String]) -> Result<(), String> {
    let takes_items = |other: &&Job| {
        let mut origin = *other;
        while let Items::Of(before) = origin.items {
            if before == job {
                return true;
            }
            origin = &plan.jobs[before];
        }
        false
    };
    let others = plan.jobs.iter().filter(takes_items);
    std::iter::once(&plan.jobs[job]).chain(others).try_for_each(|job| name_columns_of(job, names))
}

fn name_columns_of(job: &Job, names: &[String]) -> Result<(), String> {
    for text in texts(job) {
        if text.template.is_late() {
            let told = |TextError { message, help, .. }: TextError| {
                let help = help.map(|help| format!("; {help}")).unwrap_or_default();
                format!("in {} of `{}`: {message}{help}", text.place, job.name)
            };
            text.template.name_columns(names).map_err(told)?;
            check_worker(job, &text)?;
        }
    }
    job.stages.iter().try_for_each(|stage| check_stage(job, stage, names))
}

/// A text of a job.
struct Text<'a> {
    place: &'static str,
    template: &'a Template,
    /// True if it is used when the process of a worker starts.
    at_start: bool,
}

/// Returns all texts of a job that are used when a task runs.
fn texts(job: &Job) -> Vec<Text<'_>> {
    let mut found = Vec::new();
    for stage in &job.stages {
        of_stage(stage, ["the command", "the script"], true, &mut found);
    }
    for on in HookOn::ALL {
        if let Some(hook) = job.hook(on) {
            of_stage(&hook.stage, ["a hook", "a hook"], false, &mut found);
        }
    }
    match job.ready.as_ref().map(|ready| &ready.check) {
        Some(ReadyCheck::Command(stage)) => of_stage(stage, ["`ready`", "`ready`"], false, &mut found),
        Some(ReadyCheck::Port(template)) => found.push(Text { place: "`ready`", template, at_start: false }),
        Some(ReadyCheck::Line(_) | ReadyCheck::After(_)) | None => {}
    }
    found.extend(job.tag.iter().map(|template| Text { place: "the tag", template, at_start: false }));
    found
}

/// Adds the texts of a stage. `places`: where its command is, as words or as a script.
fn of_stage<'a>(stage: &'a Stage, places: [&'static str; 2], at_start: bool, found: &mut Vec<Text<'a>>) {
    let mut add = |place, template, at_start| found.push(Text { place, template, at_start });
    let place = places[usize::from(matches!(stage.command, Command::Script { .. }))];
    stage.command.templates().for_each(|template| add(place, template, at_start));
    stage.env.iter().for_each(|(_, value)| add("the environment", value, at_start));
    stage.cwd.iter().for_each(|cwd| add("the working directory", cwd, at_start));
    match &stage.stdin {
        Stdin::Text(template) | Stdin::File(template) => add("stdin", template, false),
        Stdin::Dialogue(dialogue) => {
            dialogue.steps.iter().for_each(|step| add("the dialogue", &step.send, false));
        }
        _ => {}
    }
    for (place, output) in [("stdout", &stage.stdout), ("stderr", &stage.stderr)] {
        if let Output::File { path, .. } = output {
            add(place, path, false);
        }
    }
    stage.seq_file.iter().for_each(|path| add("`--results`", path, false));
}

/// Refuses what a worker's process can't know at its start.
fn check_worker(job: &Job, text: &Text) -> Result<(), String> {
    let of_task = |source: &Source| !matches!(source, Source::Slot | Source::Lock(_));
    let is_wrong = text.template.placeholders().any(|placeholder| of_task(&placeholder.source));
    if job.worker.is_some() && text.at_start && is_wrong {
        return Err(format!(
            "in {} of `{}`: a placeholder of the item, but a worker starts before it is given one, on its stdin",
            text.place, job.name
        ));
    }
    Ok(())
}

fn check_stage(job: &Job, stage: &Stage, names: &[String]) -> Result<(), String> {
    if let Some(path) = &stage.seq_file
        && !path.uses_task()
    {
        return Err(format!(
            "the folder of `--results` has no placeholder, so that all tasks of `{}` would write to the same files",
            job.name
        ));
    }
    match &stage.command {
        Command::Words { words, .. } => {
            let plain: Vec<_> =
                words.iter().map(|word| word.0.rendered(&super::template::Scope::default())).collect();
            split_placeholder(&plain, names).map_or(Ok(()), |name| {
                let (what, help) = (split_at_blanks(name), quote_it(name));
                Err(format!("in the command of `{}`: {what}; {help}", job.name))
            })
        }
        Command::Script { .. } => Ok(()),
    }
}

/// Returns the mistake of a placeholder that is several words.
pub(super) fn split_at_blanks(name: &str) -> String {
    format!("`{{{name}}}` is several words, because of its blanks")
}

/// Returns the help for [`split_at_blanks`].
pub(super) fn quote_it(name: &str) -> String {
    format!("quote it: `'{{{name}}}'`")
}

/// Returns a name whose placeholder was cut at its blanks into several words.
pub(super) fn split_placeholder<'a>(words: &[Vec<u8>], names: &'a [String]) -> Option<&'a str> {
    names.iter().map(String::as_str).find(|name| {
        let parts: Vec<&[u8]> = name.split_whitespace().map(str::as_bytes).collect();
        let [first, middle @ .., last] = parts.as_slice() else { return false };
        let opens = |word: &[u8]| word.strip_suffix(*first).is_some_and(|rest| rest.ends_with(b"{"));
        let closes = |word: &[u8]| {
            let rest = word.strip_prefix(*last);
            rest.and_then(|rest| rest.iter().position(|byte| *byte == b'}').map(|end| &rest[..end]))
                .is_some_and(|rest| rest.first().is_none_or(|byte| matches!(byte, b'.' | b'/' | b'%')))
        };
        words.windows(parts.len()).any(|window| {
            let [start, between @ .., end] = window else { return false };
            opens(start) && closes(end) && between.iter().zip(middle).all(|(word, part)| word == part)
        })
    })
}
