//! What holds where the command line of `prun exec` says nothing: variables, and below them the configuration file.
//!
//! Of `[defaults]` counts what has an option of the same name, but for `stdin`, `stdout` and `stderr`: where the
//! data of a command line goes stands in that line.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::super::Instead;
use super::super::args;
use super::super::logs::absolute;
use super::Exec;
use crate::jobfile::{self, Config};
use crate::plan::build::{RunOverrides, hook_of_run};
use crate::plan::exec::{ExecHook, Tag};
use crate::plan::{AtEnd, Journal};

pub fn journal(flags: &RunOverrides, config: &Config) -> Result<Option<Journal>, Instead> {
    let lower = config.run.journal.as_ref().map(|text| Path::new(&text.value));
    let path = match (&flags.journal, lower) {
        (Some(path), _) => Some(path.clone()),
        (None, lower) => lower.map(absolute).transpose()?,
    };
    let resume = flags.resume.or(config.run.resume.as_ref().map(|resume| resume.value));
    Ok(path.map(|path| Journal { path, resume: resume.unwrap_or_default(), sync: flags.sync }))
}

/// `bare`: what children write themselves, or to files, is not prefixed; only an option insists on it.
pub fn tag(asked: &Exec, config: &Config, bare: bool) -> Option<Tag> {
    let of_option = |tag| match tag {
        args::Tag::Off => None,
        args::Tag::Item => Some(Tag::Item),
        args::Tag::Template(text) => Some(Tag::Template(text.into_vec())),
    };
    match (asked.both.tag(), &asked.both.variables.tag, &config.run.tag) {
        (Some(tag), _, _) => of_option(tag),
        _ if bare => None,
        (None, Some(tag), _) => of_option(tag.clone()),
        (None, None, Some(jobfile::Tag::On)) => Some(Tag::Item),
        (None, None, Some(jobfile::Tag::Template(text))) => {
            Some(Tag::Template(text.value.clone().into_bytes()))
        }
        (None, None, Some(jobfile::Tag::Off) | None) => None,
    }
}

/// Commands at the end of the run.
pub fn hooks(flags: &RunOverrides, config: &Config) -> [Option<ExecHook>; 3] {
    AtEnd::ALL.map(|at| match &flags.hooks[at as usize] {
        Some(flag) if flag.is_none() => None,
        Some(flag) => Some(ExecHook::Flag(flag.clone())),
        None => hook_of_run(&config.run, at).cloned().map(ExecHook::Config),
    })
}

/// `NAME=VALUE`, each name once.
pub fn env(asked: &Exec, config: &Config) -> Vec<Vec<u8>> {
    let name_of = |pair: &OsString| pair.as_bytes().split(|byte| *byte == b'=').next().map(<[u8]>::to_vec);
    let typed: Vec<_> = asked.env.iter().filter_map(name_of).collect();
    let lower =
        config.defaults.env.iter().filter(|(name, _)| !typed.iter().any(|typed| typed == name.as_bytes()));
    let lower = lower.map(|(name, value)| format!("{name}={}", value.value).into_bytes());
    lower.chain(asked.env.iter().cloned().map(OsString::into_vec)).collect()
}

/// What runs scripts; it makes no script of a command.
pub fn shell(asked: &Exec, config: &Config) -> Option<Vec<String>> {
    let said = asked.shell.as_ref().or(asked.both.variables.shell.as_ref()).map(|shell| shell.0.clone());
    let words = |words: &Vec<jobfile::Text>| words.iter().map(|word| word.value.clone()).collect();
    said.or_else(|| config.defaults.shell.as_ref().map(words))
}
