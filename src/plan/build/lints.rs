//! Lints: doubts about a job file that can be run, but hardly does what was meant. Pure: the state of the disk is asked
//! of [`Disk`].
//!
//! A false doubt costs more than a missing one. So each is left out where there may be a good reason for the text.

use std::collections::HashSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::text::Texts;
use super::{BuildOptions, Index, index, locks, pipes, queues, variables};
use crate::jobfile::{
    BodySpec, CommandSpec, EachSpec, JobFile, JobSpec, Mistake, Mistakes, OutputSpec, StageSpec, StdinSpec,
    Text,
};
use crate::plan::template::{Scope, Template};

mod commands;
mod keys;
mod paths;

#[cfg(test)]
mod tests;

/// The present state of the disk.
pub trait Disk {
    /// Searches a program as it would be for a process in this directory.
    fn program(&self, name: &[u8], folder: &Path) -> Program;
    /// Returns the kind of a file; `None` if there is none.
    fn kind(&self, path: &Path) -> Option<FileKind>;
    /// True if a glob has a match, seen from this directory.
    fn matches(&self, pattern: &str, folder: &Path) -> bool;
}

/// The result of searching a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Found,
    NotExecutable,
    Missing,
}

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    Directory,
    Other,
}

/// Returns the doubts about a file from which a plan can be made.
pub fn doubts(file: &JobFile, options: &BuildOptions, disk: &dyn Disk) -> Mistakes {
    let mut unwanted = file.mistakes.clone();
    let vars = variables(file, options, &mut unwanted);
    let index = index(file);
    let sources = queues::sources(file, &index, &mut unwanted);
    let origins = queues::origins(file, &sources);
    let chains = pipes::chains(file, &index, &mut unwanted);
    let (locks, named_locks) = (locks::named(file, &chains), locks::all_named(file));
    let mut search = Search {
        file,
        options,
        texts: &Texts { vars: &vars, args: &options.args, origins, locks, named_locks },
        index,
        disk,
        written: HashSet::new(),
        found: file.mistakes.doubts(),
    };
    search.written = search.written();
    keys::of_the_file(&mut search);
    commands::of_the_run(&mut search);
    for job in &file.jobs {
        keys::of(&mut search, job);
        commands::of(&mut search, job);
        paths::of(&mut search, job);
    }
    search.found
}

/// The file, and the doubts found so far.
struct Search<'a> {
    file: &'a JobFile,
    options: &'a BuildOptions,
    texts: &'a Texts<'a>,
    disk: &'a dyn Disk,
    index: Index<'a>,
    /// Files that jobs write, and the directories above them.
    written: HashSet<PathBuf>,
    found: Mistakes,
}

impl Search<'_> {
    fn doubt(&mut self, doubt: Mistake) {
        self.found.push(doubt);
    }

    /// Returns a text as it is for every task of the job; `None` if it differs, or is not known now.
    fn fixed(&self, job: &JobSpec, text: &Text) -> Option<Vec<u8>> {
        let template = Template::parse(text.value.as_bytes(), &self.texts.of_task(job)).ok()?;
        if template.uses_task() || text.value.contains("{args") {
            return None;
        }
        Some(template.rendered(&Scope::default()))
    }

    /// Returns a path as it is for every task of the job, as [`Search::fixed`].
    fn path(&self, job: &JobSpec, text: &Text) -> Option<PathBuf> {
        Some(self.options.base.join(OsString::from_vec(self.fixed(job, text)?)))
    }

    /// Returns the working directory of the job, as [`Search::fixed`].
    fn directory(&self, job: &JobSpec) -> Option<PathBuf> {
        job.cwd.as_ref().map_or_else(|| Some(self.options.base.clone()), |cwd| self.path(job, cwd))
    }

    /// Returns the files that jobs write, and the directories above them.
    fn written(&self) -> HashSet<PathBuf> {
        let mut written = HashSet::new();
        for job in &self.file.jobs {
            for (text, _) in files(job) {
                let path = self.path(job, text);
                written.extend(path.iter().flat_map(|path| path.ancestors()).map(Path::to_owned));
            }
        }
        written
    }

    /// True if a job that runs before this one, or with it, may make the file.
    fn may_be_made(&self, job: &JobSpec, path: &Path) -> bool {
        let alone = job.after.is_empty()
            && !matches!(job.each, Some(EachSpec::Job(_) | EachSpec::Queue { .. }))
            && !matches!(job.stdin.value, StdinSpec::Pipe(_) | StdinSpec::Queue { .. });
        !alone || self.written.contains(path)
    }
}

/// Returns the commands of a job's body.
fn commands(job: &JobSpec) -> Vec<&CommandSpec> {
    match &job.body {
        None => Vec::new(),
        Some(BodySpec::Command(command)) => vec![command],
        Some(BodySpec::Pipeline(stages)) => stages.iter().map(|stage| &stage.command).collect(),
    }
}

/// Returns the sources of a job's items.
fn sources(job: &JobSpec) -> Vec<&EachSpec> {
    let mut open: Vec<&EachSpec> = job.each.iter().collect();
    let mut found = Vec::new();
    while let Some(each) = open.pop() {
        match each {
            EachSpec::Join { sources, .. } => open.extend(sources.iter().map(|source| &source.value)),
            each => found.push(each),
        }
    }
    found
}

/// Returns the stages of a job's pipeline.
fn stages(job: &JobSpec) -> &[StageSpec] {
    match &job.body {
        Some(BodySpec::Pipeline(stages)) => stages,
        _ => &[],
    }
}

/// Returns the files for a job's output, and true for each that is overwritten.
fn files(job: &JobSpec) -> impl Iterator<Item = (&Text, bool)> {
    let outputs = [&job.stdout, &job.stderr].into_iter();
    outputs.chain(stages(job).iter().filter_map(|stage| stage.stderr.as_ref())).filter_map(|output| {
        match output {
            OutputSpec::File { path, append, .. } => Some((path, !append)),
            _ => None,
        }
    })
}
