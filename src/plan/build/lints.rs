//! What is doubtful in a job file that is not wrong: it can be run, but hardly says what was meant. Pure: what
//! depends on the disk is asked of [`Look`].
//!
//! A doubt that is none costs more than one that is not told, so each of these is left out where there may be a good
//! reason.

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

/// What is on the disk now.
pub trait Look {
    /// Whether this program would be found from this folder.
    fn program(&self, name: &[u8], folder: &Path) -> Program;
    /// What is there; `None`: nothing.
    fn kind(&self, path: &Path) -> Option<Kind>;
    /// Whether a glob has any match, seen from this folder.
    fn matches(&self, pattern: &str, folder: &Path) -> bool;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Found,
    NotExecutable,
    Missing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Folder,
    Other,
}

/// Everything that is doubtful in a file from which a plan can be made.
pub fn doubts(file: &JobFile, options: &BuildOptions, look: &dyn Look) -> Mistakes {
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
        look,
        made: HashSet::new(),
        found: file.mistakes.doubts(),
    };
    search.made = search.made();
    keys::of_the_file(&mut search);
    paths::written_twice(&mut search);
    commands::of_the_run(&mut search);
    for job in &file.jobs {
        keys::of(&mut search, job);
        commands::of(&mut search, job);
        paths::of(&mut search, job);
    }
    search.found
}

struct Search<'a> {
    file: &'a JobFile,
    options: &'a BuildOptions,
    texts: &'a Texts<'a>,
    look: &'a dyn Look,
    index: Index<'a>,
    /// Files that jobs write, and the folders above them.
    made: HashSet<PathBuf>,
    found: Mistakes,
}

impl Search<'_> {
    fn doubt(&mut self, doubt: Mistake) {
        self.found.push(doubt);
    }

    /// What a text is for every task of the job; `None` if that is not known now.
    fn fixed(&self, job: &JobSpec, text: &Text) -> Option<Vec<u8>> {
        let template = Template::parse(text.value.as_bytes(), &self.texts.of_task(job)).ok()?;
        if template.uses_task() || text.value.contains("{args") {
            return None;
        }
        Some(template.rendered(&Scope::default()))
    }

    /// The same as a path.
    fn path(&self, job: &JobSpec, text: &Text) -> Option<PathBuf> {
        Some(self.options.base.join(OsString::from_vec(self.fixed(job, text)?)))
    }

    /// Where the job runs.
    fn folder(&self, job: &JobSpec) -> Option<PathBuf> {
        job.cwd.as_ref().map_or_else(|| Some(self.options.base.clone()), |cwd| self.path(job, cwd))
    }

    fn made(&self) -> HashSet<PathBuf> {
        let mut made = HashSet::new();
        for job in &self.file.jobs {
            for (text, _) in files(job) {
                let path = self.path(job, text);
                made.extend(path.iter().flat_map(|path| path.ancestors()).map(Path::to_owned));
            }
        }
        made
    }

    /// Something that runs before this job, or with it, may make what it needs.
    fn may_be_made(&self, job: &JobSpec, path: &Path) -> bool {
        let alone = job.after.is_empty()
            && !matches!(job.each, Some(EachSpec::Job(_) | EachSpec::Queue { .. }))
            && !matches!(job.stdin.value, StdinSpec::Pipe(_) | StdinSpec::Queue { .. });
        !alone || self.made.contains(path)
    }
}

/// The commands that a job runs to do its work.
fn commands(job: &JobSpec) -> Vec<&CommandSpec> {
    match &job.body {
        None => Vec::new(),
        Some(BodySpec::Command(command)) => vec![command],
        Some(BodySpec::Pipeline(stages)) => stages.iter().map(|stage| &stage.command).collect(),
    }
}

/// Where its items come from.
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

/// The stages of its pipeline.
fn stages(job: &JobSpec) -> &[StageSpec] {
    match &job.body {
        Some(BodySpec::Pipeline(stages)) => stages,
        _ => &[],
    }
}

/// The files that its output goes to; and whether they are written to from the beginning.
fn files(job: &JobSpec) -> impl Iterator<Item = (&Text, bool)> {
    let outputs = [&job.stdout, &job.stderr].into_iter();
    outputs.chain(stages(job).iter().filter_map(|stage| stage.stderr.as_ref())).filter_map(|output| {
        match output {
            OutputSpec::File { path, append, .. } => Some((path, !append)),
            _ => None,
        }
    })
}
