//! `worker`: processes that take several tasks, one after another.

use toml::de::DeValue;

use super::section::{Found, Section};
use super::walk::Walk;
use crate::jobfile::keys::Table;
use crate::jobfile::mistakes::Mistake;
use crate::jobfile::model::{ReplySpec, WorkerSpec};
use crate::jobfile::near::nearest;

/// Help for a wrong `ahead`.
const AHEAD: &str = "with `1` a process gets its next task when it has answered";
/// Help for a wrong `max_tasks`.
const MAX_TASKS: &str = "without `max_tasks` a process is never replaced";

/// Reads `worker`.
pub(super) fn read<'a>(walk: &mut Walk<'a>, job: &Section<'a>) -> Option<WorkerSpec> {
    let found = job.get("worker")?;
    let span = found.key_span.clone();
    match found.node.get_ref() {
        DeValue::Boolean(false) => None,
        DeValue::Boolean(true) => Some(WorkerSpec {
            span,
            reply: ReplySpec::Line,
            fail: None,
            ahead: 1,
            max_tasks: None,
            init: None,
        }),
        DeValue::Table(_) => {
            let table = found.alone("`worker`".to_owned())?;
            walk.check_keys(&table, Table::Worker);
            Some(WorkerSpec {
                span,
                reply: table.get("reply").and_then(|found| reply(walk, &found)).unwrap_or(ReplySpec::Line),
                fail: walk.pattern(&table, "fail"),
                ahead: walk.positive(&table, "ahead", AHEAD).unwrap_or(1),
                max_tasks: walk.positive(&table, "max_tasks", MAX_TASKS).map(|tasks| tasks as u64),
                init: table.get("init").and_then(|found| walk.any_string("init", found.node)),
            })
        }
        _ => {
            let help = "write `worker = true`; how many processes there are is the `pool` of the job";
            walk.wrong_type("worker", found.node, "`true`, `false` or a table", Some(help.to_owned()));
            None
        }
    }
}

fn reply<'a>(walk: &mut Walk<'a>, found: &Found<'a>) -> Option<ReplySpec> {
    match found.node.get_ref() {
        DeValue::String(word) => match word.as_ref() {
            "line" => Some(ReplySpec::Line),
            "nul" => Some(ReplySpec::Nul),
            other => {
                let near = nearest(other, ["line", "nul"]);
                let help = near.map_or_else(
                    || "lines up to one that matches are `reply = { until = \"REGEX\" }`".to_owned(),
                    |near| format!("did you mean `\"{near}\"`?"),
                );
                let mistake = Mistake::at(found.node.span(), "wrong value of `reply`");
                walk.mistake(mistake.label("expected `line`, `nul` or `{ until = \"REGEX\" }`").help(help));
                None
            }
        },
        DeValue::Table(_) => {
            let table = found.alone("`reply`".to_owned())?;
            let before = walk.wrong();
            walk.check_keys(&table, Table::Reply);
            walk.one_of_keys(&table, &["until"], before)?;
            walk.pattern(&table, "until").map(ReplySpec::Until)
        }
        _ => {
            walk.wrong_type("reply", found.node, "a string or `{ until = \"REGEX\" }`", None);
            None
        }
    }
}
