//! `batch`: several items to one task, and the settings that exclude it.

use crate::jobfile::{self, EachSpec, JobSpec, Mistake, Mistakes};
use crate::plan::{Batch, Command, Stage};

/// Plans how many items make one task. `stages`: the job's stages.
pub(super) fn plan(job: &JobSpec, stages: &[Stage], mistakes: &mut Mistakes) -> Batch {
    let Some(batch) = &job.batch else { return Batch::One };
    let name = &job.name.value;
    let mut wrong = |message: String, help: &str| {
        mistakes.push(Mistake::at(batch.span.clone(), message).help(help));
    };
    match &job.each {
        None if job.has_mistakes => {}
        None => wrong(
            format!("job `{name}` has a `batch`, but no items to put into it"),
            "give it items with `each`",
        ),
        Some(EachSpec::Job(other)) => wrong(
            format!("job `{name}` takes the items of `{}` one by one", other.value),
            "give the `batch` to that job: what is one task there is one task here",
        ),
        Some(_) if job.worker.is_some() => wrong(
            format!("the workers of job `{name}` answer for each item"),
            "`worker = { ahead = 8 }` gives a worker several items before its answers come",
        ),
        Some(_) => {}
    }
    match batch.value {
        jobfile::BatchSpec::UpTo(1) => Batch::One,
        jobfile::BatchSpec::UpTo(most) => Batch::UpTo(most),
        jobfile::BatchSpec::Fit => {
            if let (Some(why), false) = (why_not_fit(stages), job.has_mistakes) {
                wrong(format!("nobody can tell how many items fit {why}"), "name a number: `batch = 100`");
            }
            Batch::Fit
        }
    }
}

/// Returns why `"fit"` is impossible: it is measured by the arguments of one command, and those alone.
fn why_not_fit(stages: &[Stage]) -> Option<&'static str> {
    let [stage] = stages else {
        return (stages.len() > 1).then_some("into several commands");
    };
    if stage.env.iter().any(|(_, value)| value.uses_item()) {
        return Some("where they stand in a variable");
    }
    match &stage.command {
        Command::Words { words, append_item } => {
            let takes_items = *append_item || words.iter().any(|word| word.0.uses_item());
            (!takes_items).then_some("into a command that has none among its arguments")
        }
        Command::Script { .. } => None,
    }
}
