//! `--results`: files for the output of each task, or one table of all tasks. Pure.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::args::{ExecArgs, ExecError, error};
use super::planner::{Outputs, Planner};
use crate::plan::template::{Modifier, Piece, Placeholder, Quote, Source, Template};
use crate::plan::{Form, Output, Resume, Table};

/// Refuses an empty name.
pub(super) fn check(args: &ExecArgs) -> Result<(), ExecError> {
    match args.results.as_deref() {
        Some(b"") => error("`--results` names no file", "write `--results DIR`, or `--results FILE.csv`"),
        _ => Ok(()),
    }
}

/// Returns the format of the table that a name's ending stands for.
fn form(text: &[u8]) -> Option<Form> {
    let ends = |end: &str| {
        let start = text.len().checked_sub(end.len());
        start.is_some_and(|start| text[start..].eq_ignore_ascii_case(end.as_bytes()))
    };
    let forms = [(".csv", Form::Csv), (".tsv", Form::Tsv), (".json", Form::Json)];
    forms.into_iter().find_map(|(end, form)| ends(end).then_some(form))
}

impl Planner {
    /// Returns the table of `--results FILE.csv`.
    pub(super) fn table(&self) -> Result<Option<Table>, ExecError> {
        let args = &self.args;
        let Some(text) = &args.results else { return Ok(None) };
        let Some(form) = form(text) else { return Ok(None) };
        if self.template(text, "--results")?.may_use_task() {
            return Ok(None);
        }
        let to_stdout = text[0] == b'-' && text[1..].first() == Some(&b'.') && !text.contains(&b'/');
        let path = (!to_stdout).then(|| args.base.join(Path::new(OsStr::from_bytes(text))));
        // The rows of tasks that do not run again are kept.
        let append = args.logs.journal.as_ref().is_some_and(|journal| journal.resume != Resume::No);
        Ok(Some(Table { path, form, append }))
    }

    /// True if output goes into files of tasks, so that nothing is shown or tagged.
    pub(super) fn writes_files(&self) -> Result<bool, ExecError> {
        Ok(self.args.results.is_some() && self.table()?.is_none())
    }

    /// Returns where stdout, stderr and the number of each task go.
    pub(super) fn outputs(&self) -> Result<Outputs, ExecError> {
        let args = &self.args;
        if self.table()?.is_some() {
            return Ok(Outputs { stdout: Output::Table, stderr: Output::Table, seq_file: None });
        }
        let Some(text) = &args.results else {
            let stdout = self.output(args.stdout.as_deref(), "--stdout")?;
            let stderr = self.output(args.stderr.as_deref(), "--stderr")?;
            return Ok(Outputs { stdout, stderr, seq_file: None });
        };
        let path = self.template(text, "--results")?;
        let [stdout, stderr, seq] = self.three_files(text, path)?;
        let file = |path| Output::File { path, append: false, show: false, per_task: true };
        Ok(Outputs { stdout: file(stdout), stderr: file(stderr), seq_file: Some(seq) })
    }

    /// Returns the files of stdout, stderr and the number of the task.
    fn three_files(&self, text: &[u8], path: Template) -> Result<[Template; 3], ExecError> {
        const NAMES: [&str; 3] = ["stdout", "stderr", "seq"];
        let with = |end: String| {
            let mut path = path.clone();
            path.push(Piece::Text(end.into_bytes()));
            path
        };
        if !path.may_use_task() {
            if !self.args.has_items() {
                let text = String::from_utf8_lossy(text);
                return error(
                    "without items all tasks would write to the same files",
                    &format!("number them: `--results '{}/{{#}}/'`", text.trim_end_matches('/')),
                );
            }
            let tree = Placeholder {
                source: Source::Tree,
                modifier: Modifier::None,
                quote: Quote::Plain,
                spelling: Vec::new(),
            };
            return Ok(NAMES.map(|name| {
                let mut path = with("/".into());
                path.push(Piece::Placeholder(tree.clone()));
                path.push(Piece::Text(format!("/{name}").into_bytes()));
                path
            }));
        }
        if text.ends_with(b"/") {
            return Ok(NAMES.map(|name| with(name.into())));
        }
        Ok([path.clone(), with(".err".into()), with(".seq".into())])
    }
}
