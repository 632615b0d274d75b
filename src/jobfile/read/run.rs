//! `[run]`.

use super::command;
use super::section::Section;
use super::walk::Walk;
use crate::jobfile::keys::Table;
use crate::jobfile::model::{RunHookSpec, RunSpec};
use crate::jobfile::values;

/// Reads `[run]` of a job file or of the configuration file.
pub(super) fn read<'a>(walk: &mut Walk<'a>, section: &Section<'a>) -> RunSpec {
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
        max_record: walk.value(section, "max_record", "a size", values::parse_size),
        jobserver: walk.jobserver(section),
        journal: section.get("journal").and_then(|found| walk.path("journal", found.node)),
        resume: walk.resume(section),
        on_success: hook(walk, section, "on_success"),
        on_failure: hook(walk, section, "on_failure"),
        on_exit: hook(walk, section, "on_exit"),
    }
}

fn hook<'a>(walk: &mut Walk<'a>, section: &Section<'a>, key: &'static str) -> Option<RunHookSpec> {
    match section.get(key)?.node.get_ref().as_str() {
        Some("none") => Some(RunHookSpec::None),
        _ => command::hook(walk, section, key).map(RunHookSpec::Command),
    }
}

/// Returns the settings of `upper`, and those of `lower` for the keys that it does not set.
pub(super) fn layered(upper: RunSpec, lower: RunSpec) -> RunSpec {
    RunSpec {
        pool: upper.pool.or(lower.pool),
        halt: upper.halt.or(lower.halt),
        output: upper.output.or(lower.output),
        keep_order: upper.keep_order.or(lower.keep_order),
        tag: upper.tag.or(lower.tag),
        grace: upper.grace.or(lower.grace),
        rate: upper.rate.or(lower.rate),
        load: upper.load.or(lower.load),
        memory_free: upper.memory_free.or(lower.memory_free),
        max_record: upper.max_record.or(lower.max_record),
        jobserver: upper.jobserver.or(lower.jobserver),
        journal: upper.journal.or(lower.journal),
        resume: upper.resume.or(lower.resume),
        on_success: upper.on_success.or(lower.on_success),
        on_failure: upper.on_failure.or(lower.on_failure),
        on_exit: upper.on_exit.or(lower.on_exit),
    }
}
