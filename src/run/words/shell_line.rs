//! Tasks as lines that a POSIX shell can run: for a dry run, and for running one task again.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::plan::template::{Scope, Template};
use crate::plan::words::{quote, quote_format, quote_in_line};
use crate::plan::{Item, Items, Job, Output, Stage, Stdin};
use crate::run::block::{Block, TaskBlock};
use crate::run::launch::attributes::file_variables;
use crate::run::task::{Work, path_of};
use crate::run::words::wrapped::wrapped;

/// Whether a line shows the values of the environment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// The line is complete, and may contain newlines.
    Shown,
    /// The line leaves out the variables that `env` and `env_file` set, and contains no newline: it stands in messages.
    Hidden,
}

impl Values {
    fn quoting(self) -> fn(&[u8]) -> String {
        match self {
            Values::Shown => quote,
            Values::Hidden => quote_in_line,
        }
    }

    fn quote(self, word: &[u8]) -> String {
        self.quoting()(word)
    }
}

/// Returns the task as a line that a shell can run, with its working directory, its input and the files that it writes.
/// If an `env_file` can't be read, a comment before it says why.
pub fn line(job: &Job, work: &Work, slot: usize, values: Values) -> String {
    let scope = work.scope(slot);
    if let (Some(TaskBlock::Whole(block)), Items::Queue { .. }) = (&work.block, &job.items) {
        let line = StageLine { stage: &job.stages[0], scope: &scope, values }.of(&job.name);
        return block_line(block, values) + &line;
    }
    let stages: Vec<_> =
        job.stages.iter().map(|stage| StageLine { stage, scope: &scope, values }.of(&job.name)).collect();
    let wrong =
        job.stages.iter().filter(|_| values == Values::Shown).find_map(|stage| file_variables(stage).err());
    match wrong {
        // The task would not be started.
        Some(failure) => {
            format!("# {}: {}\n", job.name, failure.why.replace(char::is_control, "?")) + &stages.join(" | ")
        }
        None => stages.join(" | "),
    }
}

/// Returns the names of the variables that a line without values leaves out.
pub fn left_out(job: &Job) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for stage in &job.stages {
        let files = file_variables(stage).unwrap_or_default();
        names.extend(files.into_iter().map(|(name, _)| name));
        names.extend(stage.env.iter().map(|(name, _)| name.clone()));
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// Returns the commands that write a block into a pipe: a range of a file, or the next bytes of stdin.
fn block_line(block: &Block, values: Values) -> String {
    let head = format!("head -c {} | ", block.length());
    match block {
        Block::Bytes(..) => head,
        Block::Range { source, start, .. } => match &source.path {
            Some(path) => {
                let path = values.quote(path.as_os_str().as_bytes());
                format!("tail -c +{} {path} | {head}", start + 1)
            }
            None => head,
        },
    }
}

/// Makes the line of one stage.
struct StageLine<'a> {
    stage: &'a Stage,
    scope: &'a Scope<'a>,
    values: Values,
}

impl StageLine<'_> {
    fn of(&self, job: &str) -> String {
        let here = std::env::current_dir().ok();
        let cwd = self.stage.cwd.as_ref().map(|cwd| self.path(cwd));
        let folder = cwd.or_else(|| here.clone());
        let command = self.stage.command.shell_line(job, self.scope, self.values.quoting());
        let mut line = wrapped(&self.stage.attributes, &self.variables(), self.values.quoting(), &command);
        // The paths of files start at the folder of the job file, wherever the command runs.
        let at_base = folder.as_ref() == Some(&self.stage.base);
        self.redirect(&mut line, at_base);
        // A worker itself has number 0 and is fed later; a task that takes blocks has no item.
        let has_item = self.scope.seq > 0 && !self.scope.items.is_empty();
        if matches!(self.stage.stdin, Stdin::Text(_) if self.scope.seq > 0)
            || matches!(self.stage.stdin, Stdin::Item if has_item)
        {
            line = format!("{} | {line}", self.printed(&self.input()));
        }
        match folder {
            Some(folder) if here.is_some_and(|here| here != folder) => {
                format!("(cd {} && {line})", self.shown(&folder))
            }
            _ => line,
        }
    }

    /// Returns the variables of `env_file` and `env`. A file that can't be read is left out here; [`line()`] reports it.
    fn variables(&self) -> Vec<(String, Vec<u8>)> {
        if self.values == Values::Hidden {
            return Vec::new();
        }
        let files = file_variables(self.stage).unwrap_or_default();
        let own = self.stage.env.iter().map(|(name, value)| (name.clone(), self.rendered(value)));
        files.into_iter().chain(own).collect()
    }

    /// Returns the command that prints these bytes.
    fn printed(&self, input: &[u8]) -> String {
        match input.strip_suffix(b"\n") {
            _ if input.contains(&0) => format!("printf {}", quote_format(input)),
            // A line for people has no line ends.
            Some(line) if self.values == Values::Hidden => {
                format!("printf '%s\\n' {}", self.values.quote(line))
            }
            _ => format!("printf %s {}", self.values.quote(input)),
        }
    }

    /// Returns the bytes that prun would write to the stage.
    fn input(&self) -> Vec<u8> {
        let of_item = |item: &Item| [item.columns.join(&b'\t'), vec![b'\n']].concat();
        match &self.stage.stdin {
            Stdin::Text(text) => self.rendered(text),
            _ => self.scope.items.iter().flat_map(of_item).collect(),
        }
    }

    /// True if stdout goes to the file of this path, and nowhere else.
    fn is_stdout(&self, path: &Template) -> bool {
        matches!(&self.stage.stdout, Output::File { path: other, show: false, .. } if other == path)
    }

    /// Adds the redirections of the stage. With `at_base`, the command runs in the folder that paths start at.
    fn redirect(&self, line: &mut String, at_base: bool) {
        let file = |path: &Template| {
            if at_base { self.values.quote(&self.rendered(path)) } else { self.shown(&self.path(path)) }
        };
        if let Stdin::File(path) = &self.stage.stdin {
            *line += &format!(" <{}", file(path));
        }
        let mut copy = String::new();
        for (output, fd) in [(&self.stage.stdout, ""), (&self.stage.stderr, "2")] {
            match output {
                Output::Null => *line += &format!(" {fd}>/dev/null"),
                Output::Stdout => *line += " 2>&1",
                // One file for both streams is opened once.
                Output::File { path, show: false, .. } if fd == "2" && self.is_stdout(path) => {
                    *line += " 2>&1";
                }
                Output::File { path, append, show, per_task } => {
                    // A file that all tasks of the job write to is emptied by the first of them.
                    let append = *append || (!per_task && self.scope.seq > 1);
                    match (*show && fd.is_empty(), append) {
                        (true, false) => copy = format!(" | tee {}", file(path)),
                        (true, true) => copy = format!(" | tee -a {}", file(path)),
                        (false, false) => *line += &format!(" {fd}>{}", file(path)),
                        (false, true) => *line += &format!(" {fd}>>{}", file(path)),
                    }
                }
                Output::Show | Output::Inherit | Output::Pipe | Output::Table | Output::Queue { .. } => {}
            }
        }
        *line += &copy;
        let seq =
            self.stage.seq_file.as_ref().map(|path| format!("printf {} >{}", self.scope.seq, file(path)));
        if self.values == Values::Shown {
            let first: Vec<_> = self.folders().into_iter().chain(seq).collect();
            if !first.is_empty() {
                *line = format!("{{ {} && {line}; }}", first.join(" && "));
            }
        }
    }

    /// Returns the command that makes missing folders, as prun does before it opens a file to write to.
    fn folders(&self) -> Option<String> {
        let outputs = [&self.stage.stdout, &self.stage.stderr];
        let written = outputs.into_iter().filter_map(|output| match output {
            Output::File { path, .. } => Some(self.path(path)),
            _ => None,
        });
        let mut missing: Vec<_> = written
            .filter_map(|path| path.parent().filter(|parent| !parent.exists()).map(Path::to_owned))
            .collect();
        missing.dedup();
        let folders: Vec<_> = missing.iter().map(|folder| self.shown(folder)).collect();
        (!folders.is_empty()).then(|| format!("mkdir -p {}", folders.join(" ")))
    }

    fn path(&self, path: &Template) -> PathBuf {
        path_of(path, &self.stage.base, self.scope)
    }

    fn rendered(&self, template: &Template) -> Vec<u8> {
        template.rendered(self.scope)
    }

    fn shown(&self, path: &Path) -> String {
        self.values.quote(path.as_os_str().as_bytes())
    }
}
