//! Process attributes that differ from prun's own: resource limits, nice value, umask, environment; and explanations for
//! people when they can't be set.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};

use crate::event::StartFailure;
use crate::flow::env_file::Variable;
use crate::os::env::Env;
use crate::os::limits;
use crate::os::start::{Attributes, StartError, Step};
use crate::plan::{self, Limit, Stage};
use crate::run::launch::env_file;

/// Variables that set something for one run, and must not reach a prun within its tasks.
const OF_ONE_RUN: [&str; 6] =
    ["PRUN_JOURNAL", "PRUN_RESUME", "PRUN_ON_SUCCESS", "PRUN_ON_FAILURE", "PRUN_ON_EXIT", "PRUN_TRACE"];

/// Processor time between SIGXCPU (soft limit) and SIGKILL (hard limit), in seconds.
const LAST_SECONDS: u64 = 5;

/// Returns the attributes for processes of a job.
pub fn setup(plan: &plan::Attributes) -> Attributes {
    let mut setup = Attributes { umask: plan.umask, ..Attributes::default() };
    for &(limit, value) in &plan.limits {
        setup.limit(resource(limit), value, hard_value(limit, value));
    }
    if plan.nice != 0 {
        setup.priority = Some((limits::nice() + plan.nice).clamp(-20, 19));
    }
    setup
}

/// Returns the hard limit that goes with a soft limit of `value`.
pub fn hard_value(limit: Limit, value: u64) -> u64 {
    match limit {
        // At most prun's own hard limit, which it may not have the right to raise.
        Limit::Cpu => (value + LAST_SECONDS).min(hard_limit(limit).max(value)),
        _ => value,
    }
}

/// Returns the environment that a stage inherits, before anything is added.
pub fn environment(stage: &Stage) -> Env {
    let mut env = if stage.attributes.clear_env { Env::empty() } else { Env::inherited() };
    OF_ONE_RUN.iter().for_each(|name| env.remove(name.as_bytes()));
    // Where prun has no terminal it inherits no TERM, but the stage has a terminal: one of unknown abilities.
    let has_term = || env.iter().any(|variable| variable.len() > 5 && variable.starts_with(b"TERM="));
    if stage.pty && !stage.attributes.clear_env && !has_term() {
        let _ = env.set(b"TERM", b"dumb");
    }
    env
}

/// Returns the variables of the stage's `env_file`s, in their order.
///
/// # Errors
/// When a file can't be read, or is wrong.
pub fn file_variables(stage: &Stage) -> Result<Vec<Variable>, StartFailure> {
    let mut variables = Vec::new();
    for file in &stage.attributes.env_files {
        let read = env_file::read(&stage.base.join(file));
        let wrong = |why| StartFailure { code: 126, why: format!("env_file `{}` {why}", file.display()) };
        variables.extend(read.map_err(wrong)?);
    }
    Ok(variables)
}

/// Explains why a process was not started, if an attribute is the reason.
pub fn explain(plan: &plan::Attributes, error: StartError) -> Option<StartFailure> {
    let why = match (error.step, error.errno) {
        (Step::Limits, _) => explain_limit(plan)?,
        (Step::Priority, Errno::EACCES | Errno::EPERM) => {
            format!("nice = {}: only root can take precedence", plan.nice)
        }
        (Step::Execute, Errno::E2BIG | Errno::ENOMEM) => explain_no_room(plan)?,
        _ => return None,
    };
    Some(StartFailure { code: 126, why })
}

/// Names the limit that prun has no right to set.
fn explain_limit(plan: &plan::Attributes) -> Option<String> {
    let (limit, value) = *plan.limits.iter().find(|(limit, value)| *value > hard_limit(*limit))?;
    let setting = format!("limits.{} = {}", limit.key(), limit.shown(value));
    if let (Limit::Files, Some(most)) = (limit, limits::most_files())
        && value > most
    {
        return Some(format!("{setting} is more than the system allows, {most} (fs.nr_open)"));
    }
    let hard = limit.shown(hard_limit(limit));
    Some(format!("{setting} is above the hard limit of {hard}, which only root can raise"))
}

/// Names the limit that leaves the kernel no room for the arguments, where there would be room without it.
fn explain_no_room(plan: &plan::Attributes) -> Option<String> {
    let of = |wanted| plan.limits.iter().find(|(limit, _)| *limit == wanted).map(|(_, value)| *value);
    if let Some(stack) = of(Limit::Stack)
        && let room = limits::argument_room_in(stack)
        && room < limits::argument_room()
    {
        let stack = Limit::Stack.shown(stack);
        return Some(format!(
            "arguments too long: with limits.stack = {stack}, all of them and the environment together can have {room} bytes"
        ));
    }
    let memory = Limit::Memory.shown(of(Limit::Memory)?);
    Some(format!("limits.memory = {memory} has no room for the arguments and the environment"))
}

fn hard_limit(limit: Limit) -> u64 {
    getrlimit(resource(limit)).map_or(u64::MAX, |(_, hard)| hard)
}

fn resource(limit: Limit) -> Resource {
    match limit {
        Limit::Cpu => Resource::RLIMIT_CPU,
        Limit::Memory => Resource::RLIMIT_AS,
        Limit::Files => Resource::RLIMIT_NOFILE,
        Limit::Processes => Resource::RLIMIT_NPROC,
        Limit::FileSize => Resource::RLIMIT_FSIZE,
        Limit::Core => Resource::RLIMIT_CORE,
        Limit::Stack => Resource::RLIMIT_STACK,
    }
}
