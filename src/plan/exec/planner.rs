//! The job of `prun exec`. Pure.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use super::args::{ExecArgs, ExecError, Tag, error};
use super::{items, pipe, worker};
use crate::jobfile::values::Outcomes;
use crate::plan::header::{quote_it, split_at_blanks, split_placeholder};
use crate::plan::script::{DEFAULT_SHELL, ScriptText, is_posix};
use crate::plan::template::{Names, Template, TextError, Word};
use crate::plan::words::quote;
use crate::plan::{
    Batch, Command, Cut, DEFAULT_GRACE, Items, Job, Leftovers, Output, Retries, Stage, Stdin, Worker,
};

/// Where the output of a task goes.
pub(super) struct Outputs {
    pub stdout: Output,
    pub stderr: Output,
    /// The file for the task's number.
    pub seq_file: Option<Template>,
}

/// Makes the parts of the plan's job.
pub(super) struct Planner {
    items: Items,
    /// Names of the items' columns.
    columns: Vec<String>,
    /// True if headers of files name more columns.
    open: bool,
    pub args: ExecArgs,
}

impl Planner {
    pub fn new(args: ExecArgs) -> Result<Planner, ExecError> {
        let items = match (args.repeat, &args.pipe) {
            (_, Some(pipe)) => pipe::items(&args, pipe),
            (Some(count), None) => Items::Repeat(count),
            (None, None) if args.once => Items::None,
            (None, None) => items::items(&args)?,
        };
        let (columns, open) = items::names(&items);
        Ok(Planner { items, columns, open, args })
    }

    pub fn job(&self) -> Result<Job, ExecError> {
        let args = &self.args;
        let stage = self.stage()?;
        if args.worker.is_some() {
            worker::check_stage(&stage)?;
        }
        Ok(Job {
            items: self.items.clone(),
            batch: match args.max_args {
                _ if args.fit => Batch::Fit,
                // With `--pipe` it counts the records of a block.
                _ if args.pipe.is_some() => Batch::One,
                Some(most) if most > 1 => Batch::UpTo(most),
                _ => Batch::One,
            },
            output: args.output.unwrap_or_else(|| args.default_output()),
            keep_order: args.keep_order,
            tag: self.tag()?,
            grace: args.grace.unwrap_or(DEFAULT_GRACE),
            stop_signal: args.stop_signal,
            stop: args.stop,
            timeout: args.timeout,
            retries: Retries {
                count: args.retries.unwrap_or(if args.worker.is_some() {
                    Worker::DEFAULT_RETRIES
                } else {
                    0
                }),
                delay: args.retry_delay.unwrap_or_default(),
                on: args.retry_on.clone(),
            },
            leftovers: Leftovers::LeaveLast,
            worker: args.worker.clone(),
            interactive: args.interactive,
            ..Job::new(&stage.name.clone(), vec![stage])
        })
    }

    fn stage(&self) -> Result<Stage, ExecError> {
        let args = &self.args;
        let stdin = match (&args.stdin, &args.pipe) {
            (Some(file), _) => Stdin::File(self.template(file, "--stdin")?),
            (None, Some(pipe)) => pipe::stdin(pipe),
            (None, None) if args.once => Stdin::Inherit,
            (None, None) if args.worker.is_some() => Stdin::Item,
            (None, None) => Stdin::Null,
        };
        let (name, command) = self.command(&stdin)?;
        let Outputs { stdout, stderr, seq_file } = self.outputs()?;
        Ok(Stage {
            stdin,
            stdout,
            stderr,
            seq_file,
            env: args.env.iter().map(|pair| self.env(pair)).collect::<Result<_, _>>()?,
            cwd: args.cwd.as_ref().map(|cwd| self.template(cwd, "--cwd")).transpose()?,
            start: args.start,
            ok: args.ok.clone().unwrap_or_else(Outcomes::success),
            ..Stage::new(name, command, args.base.clone())
        })
    }

    /// Returns the job's name and its command.
    fn command(&self, stdin: &Stdin) -> Result<(String, Command), ExecError> {
        let args = &self.args;
        if !args.script {
            if let Some(name) =
                split_placeholder(&args.command, &self.columns).filter(|_| args.replace.is_none())
            {
                return error(&format!("in the command: {}", split_at_blanks(name)), &quote_it(name));
            }
            let typed = args.command.iter().map(|word| self.template(word, "the command").map(Word));
            let words = self.bash().map(|word| Ok(Word(word))).chain(typed).collect::<Result<Vec<_>, _>>()?;
            // Words that wait for the names of columns are looked at when those are known.
            let has_placeholder = words.iter().any(|word| !word.0.is_late() && word.0.uses_task())
                || matches!(stdin, Stdin::File(file) if file.may_use_item());
            let is_taken = has_placeholder || args.worker.is_some();
            let append_item = args.has_items() && args.replace.is_none() && !is_taken;
            return Ok((base_name(&args.command[0]), Command::Words { words, append_item }));
        }
        let shell = shell(args);
        let name = base_name(shell[0].as_bytes());
        if args.command.is_empty() {
            // The item is the script, and so not a parameter of it.
            let text = ScriptText(self.template(b"{}", "the command")?);
            let posix = is_posix(&shell[0]);
            return Ok((name, Command::Script { text, shell, posix, parameters: false }));
        }
        let text = args.command.join(&b' ');
        let posix = is_posix(&shell[0]);
        Ok((name, Command::Script { text: self.script(&text, posix)?, shell, posix, parameters: true }))
    }

    /// Returns the words before the name of a function and its arguments.
    fn bash(&self) -> impl Iterator<Item = Template> {
        let name = self.args.command.first().filter(|_| self.args.function);
        let literal = |word: &str| Template::literal(word.as_bytes());
        name.into_iter().flat_map(move |name| {
            let call = quote(name) + " \"$@\"";
            // A function may have a name that looks like an option.
            let end = call.starts_with(['-', '+']).then_some("--");
            ["bash", "-c"].into_iter().chain(end).chain([call.as_str()]).map(literal).collect::<Vec<_>>()
        })
    }

    /// Parses the text of a script.
    fn script(&self, text: &[u8], posix: bool) -> Result<ScriptText, ExecError> {
        let mut script = match &self.args.replace {
            _ if !posix => Ok(ScriptText::literal(text)),
            Some(replace) => ScriptText::parse_replace(text, replace),
            None => ScriptText::parse(text, &self.names()),
        }
        .map_err(|error| in_place(error, "the script"))?;
        script.0.blank_columns(self.most_columns());
        Ok(script)
    }

    /// Returns the prefix of lines.
    fn tag(&self) -> Result<Option<Template>, ExecError> {
        let mut text = match &self.args.tag {
            _ if self.writes_files()? => return Ok(None),
            None => return Ok(None),
            Some(Tag::Template(text)) => text.clone(),
            Some(Tag::Item) if self.args.has_items() => {
                self.args.replace.clone().unwrap_or_else(|| b"{}".to_vec())
            }
            Some(Tag::Item) => b"{#}".to_vec(),
        };
        text.push(b'\t');
        self.template(&text, "--tag").map(Some)
    }

    /// Returns the file of `--stdout` or `--stderr`, or else that output is shown.
    pub fn output(&self, file: Option<&[u8]>, flag: &str) -> Result<Output, ExecError> {
        let Some(file) = file else { return Ok(Output::Show) };
        let path = self.template(file, flag)?;
        let per_task = path.may_use_task();
        Ok(Output::File { path, append: false, show: false, per_task })
    }

    /// Parses `NAME=VALUE`.
    fn env(&self, pair: &[u8]) -> Result<(String, Template), ExecError> {
        let mut parts = pair.splitn(2, |byte| *byte == b'=');
        match (parts.next().map(std::str::from_utf8), parts.next()) {
            (Some(Ok(name)), Some(value)) if !name.is_empty() => {
                Ok((name.to_owned(), self.template(value, "--env")?))
            }
            _ => {
                let pair = String::from_utf8_lossy(pair);
                error(
                    &format!("`--env {pair}` is not NAME=VALUE"),
                    "write `--env LANG=C`; the environment is inherited",
                )
            }
        }
    }

    /// Parses a text with placeholders. `place`: the name of the text in messages.
    pub fn template(&self, text: &[u8], place: &str) -> Result<Template, ExecError> {
        let mut template = match &self.args.replace {
            Some(replace) => Template::parse_replace(text, replace),
            None => Template::parse(text, &self.names()).map_err(|error| in_place(error, place))?,
        };
        template.blank_columns(self.most_columns());
        Ok(template)
    }

    /// Returns the largest number that is a column even if an item has fewer: the last task may have fewer items than
    /// the others, and a row of a table fewer columns.
    fn most_columns(&self) -> usize {
        let items = &self.args.items;
        let is_table = items.columns.is_some() || matches!(items.cut, Cut::Csv(_));
        if is_table { usize::MAX } else { self.args.max_args.unwrap_or(1) }
    }

    fn names(&self) -> Names<'_> {
        let Planner { columns, open, .. } = self;
        let one_item = !self.args.fit && self.args.max_args.unwrap_or(1) == 1;
        let width = match items::width(&self.items) {
            // In a batch of single values it is the number of a value.
            Some(1) if self.args.fit => None,
            Some(1) => self.args.max_args.filter(|most| *most > 1),
            width => width,
        };
        Names { items: self.args.has_items(), columns, width, one_item, open: *open, ..Names::default() }
    }
}

/// Returns the shell of scripts.
pub(super) fn shell(args: &ExecArgs) -> Vec<String> {
    args.shell.clone().unwrap_or_else(|| DEFAULT_SHELL.map(str::to_owned).into())
}

fn base_name(program: &[u8]) -> String {
    OsStr::from_bytes(program.rsplit(|byte| *byte == b'/').next().unwrap_or(program))
        .to_string_lossy()
        .into_owned()
}

/// Adds to a mistake in which text it is.
fn in_place(error: TextError, place: &str) -> ExecError {
    ExecError { message: format!("in {place}: {}", error.message), help: error.help }
}
