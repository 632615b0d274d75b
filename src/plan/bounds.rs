//! Bounds on the length of items and records. Pure.

use super::argv::LONGEST_ARGUMENT;
use super::template::{Modifier, Placeholder, Source, Template};
use super::{Command, Job, Plan, Stage};

/// Bytes of a record that goes to a standard input or into a queue, and of a worker's answer, without `max_record`.
pub const MAX_RECORD: usize = 64 << 20;
/// Reading ends when this many bytes of items have no separator among them.
const NO_SEPARATOR: usize = 64 << 20;
/// Reading ends when the record that is being skipped has this many times the bytes that it may have. This holds for
/// records that go to a standard input.
const TIMES: u64 = 16;

/// The bounds on the items of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// True if items become arguments or variables, which hold no NUL.
    pub is_argument: bool,
    /// The most bytes of an item without columns. The task of a longer one fails.
    pub value: usize,
    /// The most bytes of an item that is cut into columns.
    pub row: usize,
    /// Bytes without the end of an item after which reading ends.
    pub end: u64,
}

impl Bounds {
    pub fn of(plan: &Plan, job: &Job) -> Bounds {
        let most = plan.max_record;
        // A worker gets items on its standard input only.
        let in_stage =
            |stage: &Stage| uses_item(&stage.command) || stage.env.iter().any(|(_, value)| value.uses_item());
        if job.worker.is_some() || !job.stages.iter().any(in_stage) {
            let end = (most as u64).saturating_mul(TIMES).max(NO_SEPARATOR as u64);
            return Bounds { is_argument: false, value: most, row: most, end };
        }
        let row = most.max(NO_SEPARATOR);
        let whole = job.stages.iter().any(|stage| {
            uses_whole_item(&stage.command) || stage.env.iter().any(|(_, value)| holds_whole_item(value))
        });
        let value = if whole { LONGEST_ARGUMENT } else { row };
        Bounds { is_argument: true, value, row, end: row as u64 }
    }
}

fn uses_item(command: &Command) -> bool {
    match command {
        Command::Words { words, append_item } => *append_item || words.iter().any(|word| word.0.uses_item()),
        // The items are `$1 …`.
        Command::Script { .. } => true,
    }
}

/// True if all of an item that is one value is one argument, or a part of one.
fn uses_whole_item(command: &Command) -> bool {
    match command {
        Command::Words { words, append_item } => {
            *append_item || words.iter().any(|word| holds_whole_item(&word.0))
        }
        Command::Script { .. } => true,
    }
}

fn holds_whole_item(template: &Template) -> bool {
    let is_whole = |placeholder: &Placeholder| {
        placeholder.modifier == Modifier::None
            && matches!(placeholder.source, Source::Item | Source::Column(1 | -1))
    };
    template.placeholders().any(is_whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobfile;
    use crate::plan::build::{BuildOptions, build};

    fn bounds(lines: &str) -> Bounds {
        let text = format!("[jobs.a]\neach.lines = \"x\"\n{lines}");
        let file = jobfile::parse("prun.toml", text.as_bytes()).unwrap_or_else(|told| panic!("{told}"));
        let plan = build(&file, &BuildOptions::default()).unwrap_or_else(|told| panic!("{told}"));
        Bounds::of(&plan, &plan.jobs[0])
    }

    #[test]
    fn an_argument_is_shorter_than_what_goes_to_a_standard_input() {
        for (lines, value) in [
            ("command = \"echo\"", LONGEST_ARGUMENT),
            ("command = \"echo x{}y\"", LONGEST_ARGUMENT),
            ("command = \"echo {1}\"", LONGEST_ARGUMENT),
            ("script = \"echo\"", LONGEST_ARGUMENT),
            ("command = \"env\"\nenv.X = \"{}\"\nstdin = \"item\"", LONGEST_ARGUMENT),
            ("command = \"echo {/}\"", NO_SEPARATOR),
            ("command = \"cat\"\nstdin = \"item\"", MAX_RECORD),
            ("command = \"cat\"\nworker = true", MAX_RECORD),
            ("script = \"cat\"\nworker = true", MAX_RECORD),
        ] {
            assert_eq!(bounds(lines).value, value, "{lines}");
        }
        assert!(bounds("command = \"echo {/}\"").is_argument);
        assert!(!bounds("command = \"cat\"\nworker = true").is_argument);
    }
}
