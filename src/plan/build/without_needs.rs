//! `--no-deps`: named jobs without the jobs that they need.

use std::borrow::Cow;

use super::BuildOptions;
use crate::jobfile::{EachSpec, JobFile, Mistake};
use crate::plan::selection::split_operand;

/// Returns the file as if the jobs that are needed, but not named, had done their work: nothing waits for them, and
/// their items come straight from where they have them. Partners by pipe and queue stay, because nothing works without.
pub(super) fn cut<'a>(file: &'a JobFile, options: &BuildOptions) -> Cow<'a, JobFile> {
    if !options.no_deps || options.jobs.is_empty() {
        return Cow::Borrowed(file);
    }
    let mut cut = file.clone();
    let is_named = |name: &str| options.jobs.iter().any(|operand| split_operand(operand).0 == name);
    for (number, job) in cut.jobs.iter_mut().enumerate() {
        job.after.retain(|after| is_named(&after.job.value));
        let Some(origin) = origin(file, number, &is_named) else { continue };
        if let (EachSpec::Queue { .. }, true, Some(EachSpec::Job(name))) =
            (&origin, is_named(&job.name.value), &job.each)
        {
            let message = format!(
                "with `--no-deps`, the items of `{}` would never come: they are records of a queue",
                job.name.value
            );
            let help = format!("name `{}` as well, or leave `--no-deps` out", name.value);
            cut.mistakes.push(Mistake::at(name.span.clone(), message).help(help));
        }
        job.each = Some(origin);
    }
    Cow::Owned(cut)
}

/// Returns the source of a job's items, if the job takes them from one that does not run.
fn origin(file: &JobFile, number: usize, is_named: &dyn Fn(&str) -> bool) -> Option<EachSpec> {
    let mut each = file.jobs[number].each.as_ref()?;
    // A job that takes its own items in a circle is a mistake that is told elsewhere.
    for _ in 0..file.jobs.len() {
        let EachSpec::Job(name) = each else { return Some(each.clone()) };
        if is_named(&name.value) {
            return Some(each.clone());
        }
        each = file.jobs.iter().find(|job| job.name.value == name.value)?.each.as_ref()?;
    }
    None
}
