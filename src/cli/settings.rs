//! Settings: which value holds where several sources give one.
//!
//! # The rule
//!
//! The highest layer that says something wins:
//!
//! 1. an option of the command line,
//! 2. a `PRUN_…` variable of the environment,
//! 3. the job file,
//! 4. the configuration file,
//! 5. the default.
//!
//! [`resolve`] applies it to the keys of `[run]`, for `prun FILE` and for `prun exec` alike: one line for
//! each key. [`exec`] does the same for the job of `prun exec`, which has no job file.
//!
//! The layers 3 and 4 arrive here as one `[run]`. For `prun FILE`, [`parse_over`](crate::jobfile::parse_over)
//! has laid the job file over the configuration, because their tables merge as TOML, with their places in the
//! text; for `prun exec`, [`exec::run_of_config`] is that `[run]`. The planner adds the defaults, because
//! most of them depend on the job or on the machine.
//!
//! # Exceptions
//!
//! - **A job's own key and `[defaults]` of the job file beat options and variables.** The author of the file
//!   knows the job. [`plan::build`](crate::plan::build) therefore looks at the job before it looks at
//!   `[run]`.
//! - **`[defaults]` of the configuration file** beats nothing but `[run]` of the configuration file, because
//!   its author knows no job in particular. Its `output`, `keep_order`, `tag` and `grace`, which `[run]` has
//!   as well, become part of `[run]` when the file is read. The other keys lie below `[defaults]` of the job
//!   file.
//! - **`tag`, `journal`, `resume` and the hooks of a file** hold placeholders and have places in the text,
//!   and mistakes in them are reported even where a higher layer replaces them. So they stay in `[run]`, and
//!   the values of the higher layers stand beside it, in [`RunOverrides`]; the planner prefers those.
//! - **Children that write straight to prun's stdout** (`--output raw`) cannot be prefixed or put in order.
//!   Only the options `--tag` and `--keep-order` insist on it, and are refused; lower layers are ignored
//!   there.
//! - `--status` and `--sync` have no lower layer.

use super::args::{Both, Tag};
use super::colors;
use super::instead::Instead;
use super::variables::Variables;
use crate::jobfile::RunSpec;
use crate::plan::build::RunOverrides;

pub mod exec;
pub mod paths;

/// The settings of a whole run.
pub struct Settings {
    /// `[run]` as it holds for this run; but see the module's exceptions for `tag`, `journal`, `resume` and
    /// hooks.
    pub run: RunSpec,
    /// Values that options and variables have for keys that the planner resolves, or that no file has.
    /// Its `tag` is `None`; see [`tag`].
    pub overrides: RunOverrides,
}

/// Resolves the keys of `[run]`. `files` is `[run]` of the job file laid over that of the configuration file.
pub fn resolve(typed: &Both, variables: &Variables, files: RunSpec) -> Result<Settings, Instead> {
    let pool = match (&typed.jobs, &variables.pool) {
        (Some(typed), _) => Some(typed.size("--jobs ")?),
        (None, Some(variable)) => Some(variable.size("PRUN_POOL=")?),
        (None, None) => None,
    };
    let (pool, pool_file) = pool.unzip();
    let journal = typed.journal.file().or(variables.journal.as_deref());
    let run = RunSpec {
        pool: pool.or(files.pool),
        rate: first([typed.throttle.rate(), variables.rate, files.rate]),
        load: first([typed.throttle.load, variables.load, files.load]),
        memory_free: first([typed.throttle.memory_free, variables.memory_free, files.memory_free]),
        max_record: first([typed.throttle.max_record, variables.max_record, files.max_record]),
        jobserver: first([typed.throttle.jobserver, variables.jobserver, files.jobserver]),
        halt: first([typed.halt(), variables.halt, files.halt]),
        output: first([typed.output(), variables.output, files.output]),
        keep_order: first([typed.keep_order.then_some(true), variables.keep_order, files.keep_order]),
        grace: first([typed.grace, variables.grace, files.grace]),
        ..files
    };
    let overrides = RunOverrides {
        pool_file: pool_file.flatten(),
        tag: None,
        status: typed.status,
        journal: journal.map(paths::absolute).transpose()?,
        resume: typed.journal.resume().or(variables.resume),
        sync: typed.journal.sync,
        hooks: typed.hooks.flags(&variables.hooks),
    };
    Ok(Settings { run, overrides })
}

/// Returns the tag that an option or a variable asks for.
pub fn tag(typed: &Both, variables: &Variables) -> Option<Tag> {
    typed.tag().or_else(|| variables.tag.clone())
}

/// True if messages on stderr have colours. Known before any file is read, because mistakes in files are
/// shown in colour.
pub fn color(typed: &Both, variables: &Variables) -> bool {
    colors::allowed(typed.color.or(variables.color), &std::io::stderr())
}

/// Returns the value of the highest layer that has one.
fn first<T>(layers: [Option<T>; 3]) -> Option<T> {
    layers.into_iter().flatten().next()
}

#[cfg(test)]
mod tests;
