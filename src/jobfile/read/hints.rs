//! Help for keys that a table does not have.

use toml::de::DeTable;

use super::section::Node;
use crate::jobfile::keys::{JOB, RUN, Table};

/// Returns the key of a job for which other tools use the name `key`.
pub(super) fn synonym(key: &str, table: Table) -> Option<&'static str> {
    if !matches!(table, Table::Job | Table::Defaults) {
        return None;
    }
    Some(match key {
        "cmd" | "exec" | "argv" => "command",
        "run" | "shell_command" => "script",
        "needs" | "depends" | "depends_on" | "dependencies" | "requires" | "when" => "after",
        "retry" | "attempts" => "retries",
        "matrix" => "each.matrix",
        "foreach" | "items" | "for" => "each",
        "parallel" | "concurrency" | "workers" | "jobs" => "pool",
        "environment" => "env",
        "dir" | "workdir" | "working_dir" | "working_directory" | "directory" => "cwd",
        "healthcheck" | "readiness" => "ready",
        "mutex" | "semaphore" | "lock" => "locks",
        "okay" | "success_codes" => "ok",
        _ => return None,
    })
}

/// Returns help for a key that is right in another table.
pub(super) fn elsewhere(key: &str, table: Table, node: Node) -> Option<String> {
    let runs =
        |table: &DeTable| ["command", "script", "pipeline"].iter().any(|what| table.contains_key(*what));
    if table == Table::Top && node.get_ref().as_table().is_some_and(runs) {
        return Some(format!("a job is called `[jobs.{key}]`"));
    }
    let of_job = JOB.iter().any(|job| job.name == key);
    match table {
        Table::Ready if key == "script" => Some("write `command = { script = \"…\" }`".to_owned()),
        Table::Config => Some("the configuration file holds `[run]` and `[defaults]`".to_owned()),
        Table::Top if of_job => Some(format!("`{key}` belongs to a job, below `[jobs.NAME]`")),
        Table::Run if of_job => {
            Some(format!("`{key}` belongs to a job, or below `[defaults]` for all of them"))
        }
        Table::Job | Table::Defaults if RUN.iter().any(|run| run.name == key) => {
            Some(format!("`{key}` belongs to `[run]`"))
        }
        _ => None,
    }
}
