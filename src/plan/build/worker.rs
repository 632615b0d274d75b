//! `worker`: processes that take tasks one after another, and the settings that exclude them.

use super::text::Texts;
use crate::jobfile::values::OutputMode;
use crate::jobfile::{self, BodySpec, CommandSpec, JobSpec, Mistake, Mistakes, Span, StdinSpec, Text};
use crate::plan::template::{Source, Template};
use crate::plan::{Reply, Worker};

/// Plans `worker`.
pub(super) fn plan(job: &JobSpec, texts: &Texts, mistakes: &mut Mistakes) -> Option<Worker> {
    let worker = job.worker.as_ref()?;
    check(job, worker, mistakes);
    check_texts(job, texts, mistakes);
    let mut plan = Worker {
        reply: match &worker.reply {
            jobfile::ReplySpec::Line => Reply::Line,
            jobfile::ReplySpec::Nul => Reply::Nul,
            jobfile::ReplySpec::Until(pattern) => Reply::Until(pattern.regex.clone()),
        },
        fail: worker.fail.as_ref().map(|pattern| pattern.regex.clone()),
        ahead: worker.ahead,
        max_tasks: worker.max_tasks,
        init: worker.init.as_ref().map(|text| text.value.clone().into_bytes()).unwrap_or_default(),
    };
    if !matches!(job.stdin.value, StdinSpec::Text(_)) {
        plan.end_init_line();
    }
    Some(plan)
}

/// Reports settings that exclude workers.
fn check(job: &JobSpec, worker: &jobfile::WorkerSpec, mistakes: &mut Mistakes) {
    let name = &job.name.value;
    let mut wrong = |span: &Span, message: String, help: &str| {
        let mistake = Mistake::at(span.clone(), message).help(help);
        let apart = *span != worker.span;
        mistakes.push(if apart { mistake.other(worker.span.clone(), "its workers") } else { mistake });
    };
    if job.each.is_none() && !job.has_mistakes {
        wrong(
            &worker.span,
            format!("job `{name}` has workers, but no items for them"),
            "give it items with `each`",
        );
    }
    let how = match &job.stdin.value {
        StdinSpec::Null | StdinSpec::Item | StdinSpec::Text(_) => None,
        StdinSpec::Queue { .. } => Some("a queue"),
        StdinSpec::Pipe(_) => Some("a pipe"),
        StdinSpec::File(_) => Some("a file"),
        StdinSpec::Dialogue { .. } => Some("a dialogue"),
        StdinSpec::Open | StdinSpec::Inherit => Some("something else"),
    };
    if let Some(how) = how {
        let help = match &job.stdin.value {
            StdinSpec::Queue { name, .. } => {
                format!("to run a task for each record, write `each = {{ queue = \"{}\" }}`", name.value)
            }
            _ => "a worker is given its tasks on its stdin: `\"item\"`, or `{ text = \"…\" }`".to_owned(),
        };
        wrong(&job.stdin.span, format!("the workers of job `{name}` can't read {how}"), &help);
    }
    if let (Some(BodySpec::Pipeline(_)), Some(span)) = (&job.body, job.own_key("pipeline")) {
        wrong(
            &span,
            format!("the workers of job `{name}` can't be a pipeline"),
            "a worker is one process: a `script` can hold the pipe",
        );
    }
    if let (Some(OutputMode::Raw), Some(span)) = (job.output, job.own_key("output")) {
        let help = "their answers are read by prun, so they can't write straight to its stdout";
        wrong(&span, format!("the workers of job `{name}` can't have `output = \"raw\"`"), help);
    }
    if let (true, Some(span)) = (job.daemon, job.own_key("daemon")) {
        wrong(
            &span,
            format!("the workers of job `{name}` can't be a daemon"),
            "a worker's input ends when no tasks are left",
        );
    }
}

/// Reports placeholders of the task in the settings of the process, which is started before it is given a task.
fn check_texts(job: &JobSpec, texts: &Texts, mistakes: &mut Mistakes) {
    let names = texts.of_task(job);
    let of_task = |text: &Text| {
        // A text that can't be parsed is reported where it is planned.
        let template = Template::parse(text.value.as_bytes(), &names).unwrap_or_default();
        template
            .placeholders()
            .any(|placeholder| !matches!(placeholder.source, Source::Slot | Source::Lock(_)))
    };
    let words: Vec<&Text> = match &job.body {
        Some(BodySpec::Command(CommandSpec::Line(text) | CommandSpec::Script(text))) => vec![text],
        Some(BodySpec::Command(CommandSpec::Words(words))) => words.iter().collect(),
        Some(BodySpec::Pipeline(_)) | None => Vec::new(),
    };
    let all = words.into_iter().chain(&job.cwd).chain(job.env.iter().map(|(_, value)| value));
    for text in all.filter(|text| of_task(text)) {
        let message = "a placeholder of the task in what belongs to the worker's process";
        mistakes.push(Mistake::at(text.span.clone(), message).help(
            "a worker is started before it is given a task, on its stdin; only `{%}`, and what it holds of locks, is known by then",
        ));
    }
}
