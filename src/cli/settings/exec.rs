//! Settings of `prun exec`, which has one job and no job file.
//!
//! `[defaults]` of the configuration file counts where an option has the same name, except `stdin`, `stdout`
//! and `stderr`: a command line itself says where its data goes.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::paths::absolute;
use crate::cli::args::exec::Exec;
use crate::cli::args::{self, Both};
use crate::cli::instead::Instead;
use crate::cli::variables::Variables;
use crate::jobfile::values::{Outcomes, RetryDelay, StartMode, StopScope, Timeout};
use crate::jobfile::{self, Config, RunSpec};
use crate::plan::build::{RunOverrides, run_hook_in_file};
use crate::plan::exec::{ExecHook, Tag};
use crate::plan::{HookOn, Journal};

/// Keys of a job, resolved.
pub struct JobSettings {
    pub cwd: Option<Vec<u8>>,
    /// `NAME=VALUE`, each name once.
    pub env: Vec<Vec<u8>>,
    /// The shell's words, up to the script.
    pub shell: Option<Vec<String>>,
    pub start: StartMode,
    pub timeout: Option<Timeout>,
    pub retries: Option<u32>,
    pub retry_delay: Option<RetryDelay>,
    pub retry_on: Option<Outcomes>,
    pub ok: Option<Outcomes>,
    pub stop_signal: Option<i32>,
    pub stop: StopScope,
}

/// Resolves the keys of the job: option, then variable, then `[defaults]` of the configuration file.
pub fn job(typed: &Exec, variables: &Variables, config: &Config) -> JobSettings {
    let config = &config.defaults;
    JobSettings {
        cwd: typed.cwd.clone().map(OsString::into_vec).or_else(|| config.cwd.as_ref().map(bytes)),
        env: env(typed, config),
        shell: shell(typed, variables, config),
        start: typed.start.unwrap_or(config.start),
        timeout: typed.timeout.or(config.timeout),
        retries: typed.retries.or(config.retries),
        retry_delay: typed.retry_delay.or(config.retry_delay),
        retry_on: typed.retry_on.as_ref().or(config.retry_on.as_ref()).cloned(),
        ok: typed.ok.as_ref().or(config.ok.as_ref()).cloned(),
        stop_signal: typed.stop_signal.or(config.stop_signal),
        stop: typed.stop.or(config.stop).unwrap_or_default(),
    }
}

fn bytes(text: &jobfile::Text) -> Vec<u8> {
    text.value.clone().into_bytes()
}

/// Merges variables by name: `--env`, then `[defaults]`.
fn env(typed: &Exec, config: &jobfile::JobSpec) -> Vec<Vec<u8>> {
    let name_of = |pair: &OsString| pair.as_bytes().split(|byte| *byte == b'=').next().map(<[u8]>::to_vec);
    let names: Vec<_> = typed.env.iter().filter_map(name_of).collect();
    let lower = config.env.iter().filter(|(name, _)| !names.iter().any(|typed| typed == name.as_bytes()));
    let lower = lower.map(|(name, value)| format!("{name}={}", value.value).into_bytes());
    lower.chain(typed.env.iter().cloned().map(OsString::into_vec)).collect()
}

/// Returns the shell that runs scripts. Only the option also makes the command a script.
fn shell(typed: &Exec, variables: &Variables, config: &jobfile::JobSpec) -> Option<Vec<String>> {
    let said = typed.shell.as_ref().or(variables.shell.as_ref()).map(|shell| shell.0.clone());
    let words = |words: &Vec<jobfile::Text>| words.iter().map(|word| word.value.clone()).collect();
    said.or_else(|| config.shell.as_ref().map(words))
}

/// Returns `[run]` of the configuration file. There is one job, so `rate` and `halt` of `[defaults]`, which
/// limit each job, limit the run.
pub fn run_of_config(config: &Config) -> RunSpec {
    RunSpec {
        rate: config.defaults.rate.or(config.run.rate),
        halt: config.defaults.halt.or(config.run.halt),
        ..config.run.clone()
    }
}

/// Resolves the journal. That of the configuration file is relative to the directory in which prun was
/// started.
pub fn journal(flags: &RunOverrides, files: &RunSpec) -> Result<Option<Journal>, Instead> {
    let path = match (&flags.journal, &files.journal) {
        (Some(path), _) => Some(path.clone()),
        (None, lower) => lower.as_ref().map(|text| absolute(Path::new(&text.value))).transpose()?,
    };
    let resume = flags.resume.or(files.resume.as_ref().map(|resume| resume.value));
    Ok(path.map(|path| Journal { path, resume: resume.unwrap_or_default(), sync: flags.sync }))
}

/// Resolves the tag. `bare` is true if children write to prun's stdout or to files themselves: then only the
/// option counts.
pub fn tag(typed: &Both, variables: &Variables, files: &RunSpec, bare: bool) -> Option<Tag> {
    let of_typed = |tag| match tag {
        args::Tag::Off => None,
        args::Tag::Item => Some(Tag::Item),
        args::Tag::Template(text) => Some(Tag::Template(text.into_vec())),
    };
    if bare {
        return typed.tag().and_then(of_typed);
    }
    match (super::tag(typed, variables), &files.tag) {
        (Some(tag), _) => of_typed(tag),
        (None, Some(jobfile::TagSpec::On)) => Some(Tag::Item),
        (None, Some(jobfile::TagSpec::Template(text))) => Some(Tag::Template(bytes(text))),
        (None, Some(jobfile::TagSpec::Off) | None) => None,
    }
}

/// Resolves the hooks of the run.
pub fn hooks(flags: &RunOverrides, files: &RunSpec) -> [Option<ExecHook>; 3] {
    HookOn::ALL.map(|at| match &flags.hooks[at as usize] {
        Some(flag) if flag.is_none() => None,
        Some(flag) => Some(ExecHook::Flag(flag.clone())),
        None => run_hook_in_file(files, at).cloned().map(ExecHook::Config),
    })
}
