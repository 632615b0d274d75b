//! `prun exec`: one command over many items → a [`Plan`] with one job. Pure.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::Duration;

use super::script::{ScriptText, is_posix};
use super::template::{Names, Template, TextError, Word};
use super::words::quote;
use super::{
    Batch, Brakes, Cut, Items, Job, Jobserver, Leftovers, Logs, Output, Plan, Restart, Retries, Setup, Stage,
    Stdin, UNLIMITED, What, Worker,
};
use crate::jobfile::values::{Halt, Outcomes, OutputMode, RetryDelay, StartMode, StatusMode, Timeout};

pub mod escapes;
mod hooks;
mod items;
mod perl;
mod pipe;
mod results;
mod worker;

pub use hooks::ExecHook;
pub use items::{From, ItemArgs, Source, split_sources};
pub use pipe::PipeArgs;
pub use worker::parse_worker;

/// What was typed, and what it means by itself.
#[derive(Debug, Clone)]
pub struct ExecArgs {
    /// COMMAND and its arguments, up to the first source.
    pub command: Vec<Vec<u8>>,
    /// COMMAND is a function that bash finds in its environment.
    pub function: bool,
    pub items: ItemArgs,
    pub max_args: Option<usize>,
    /// As many items to one task as fit.
    pub fit: bool,
    /// `-I`
    pub replace: Option<Vec<u8>>,
    pub once: bool,
    /// It has prun's terminal to itself.
    pub interactive: bool,
    pub repeat: Option<u64>,
    pub pipe: Option<PipeArgs>,
    pub worker: Option<Worker>,
    /// COMMAND is a script.
    pub script: bool,
    /// What runs scripts, with the flag that makes it take a text; `None`: /bin/sh.
    pub shell: Option<Vec<String>>,
    pub cwd: Option<Vec<u8>>,
    /// `NAME=VALUE`
    pub env: Vec<Vec<u8>>,
    /// Files, with placeholders.
    pub stdin: Option<Vec<u8>>,
    pub stdout: Option<Vec<u8>>,
    pub stderr: Option<Vec<u8>>,
    /// `--results`: a folder, a file with placeholders, or a table.
    pub results: Option<Vec<u8>>,
    pub start: StartMode,
    pub timeout: Option<Timeout>,
    /// `None`: as usual.
    pub retries: Option<u32>,
    pub retry_delay: Option<RetryDelay>,
    pub retry_on: Option<Outcomes>,
    pub ok: Option<Outcomes>,
    pub stop_signal: Option<i32>,
    /// Tasks at once.
    pub pool: usize,
    pub jobserver: Jobserver,
    pub brakes: Brakes,
    pub logs: Logs,
    pub halt: Option<Halt>,
    pub output: Option<OutputMode>,
    pub keep_order: bool,
    pub tag: Option<Tag>,
    pub grace: Option<Duration>,
    pub status: StatusMode,
    /// At the end of the run; for each [`AtEnd`](super::AtEnd), in their order.
    pub hooks: [Option<ExecHook>; 3],
    /// Where prun was started, absolute.
    pub base: PathBuf,
}

/// What lines are prefixed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tag {
    /// The item; the task's number if there are no items.
    Item,
    Template(Vec<u8>),
}

/// What is wrong with the arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecError {
    pub message: String,
    pub help: Option<String>,
}

impl fmt::Display for ExecError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.message)?;
        self.help.iter().try_for_each(|help| write!(f, "; {help}"))
    }
}

impl std::error::Error for ExecError {}

fn error<T>(message: &str, help: &str) -> Result<T, ExecError> {
    Err(ExecError { message: message.to_owned(), help: Some(help.to_owned()) })
}

/// Plans the run.
pub fn plan(args: ExecArgs) -> Result<Plan, ExecError> {
    check(&args)?;
    let (pool, jobserver, halt, status) = (args.pool, args.jobserver, args.halt, args.status);
    let (brakes, mut logs) = (args.brakes.clone(), args.logs.clone());
    let queues = args.pipe.iter().map(|pipe| pipe::queue(&args, pipe)).collect();
    let planner = Planner::new(args)?;
    logs.table = planner.table()?;
    let mut jobs = vec![planner.job()?];
    jobs.extend(hooks::plan(&planner.args)?);
    let locks = Vec::new();
    Ok(Plan { jobs, queues, locks, pool, brakes, jobserver, halt, status, logs, rerun: None })
}

fn check(args: &ExecArgs) -> Result<(), ExecError> {
    if args.pipe.is_some() && args.logs.journal.is_some() {
        return error(
            "`--journal` can't tell the blocks of `--pipe` apart",
            "leave out one of them; `--joblog` takes blocks",
        );
    }
    perl::check(args)?;
    results::check(args)?;
    if let Some(pipe) = &args.pipe {
        return pipe::check(args, pipe);
    }
    if args.worker.is_some() {
        worker::check(args)?;
    }
    let without_items = args.once || args.repeat.is_some();
    let several = args.fit || args.max_args.is_some_and(|most| most > 1);
    if without_items && !args.items.sources.is_empty() {
        return error("`--once` and `--repeat` take no items", "leave out `:::` and what follows it");
    }
    items::check(&args.items)?;
    if args.replace.as_ref().is_some_and(Vec::is_empty) {
        return error("the replacement string of `-I` is empty", "write `-I {}`, or another string");
    }
    if !args.command.is_empty() {
        return Ok(());
    }
    if !args.script {
        return error(
            "no command",
            "write `prun exec COMMAND [ARG...]`, or `-c` to run each item as a script",
        );
    }
    if without_items || several || args.replace.is_some() {
        return error(
            "without a command each item is a script, one to a task",
            "leave out `--once`, `--repeat`, `-n`, `-X` and `-I`, or give a command",
        );
    }
    Ok(())
}

impl ExecArgs {
    fn has_items(&self) -> bool {
        !self.once && self.repeat.is_none() && self.pipe.is_none()
    }

    /// Many small tasks rather than one.
    fn default_output(&self) -> OutputMode {
        if self.once { OutputMode::Line } else { OutputMode::Group }
    }
}

/// Makes the parts of the job.
struct Planner {
    /// There are none, but templates ask for them.
    vars: BTreeMap<String, String>,
    items: Items,
    /// Names of the items' columns.
    columns: Vec<String>,
    /// Files name more of them.
    open: bool,
    args: ExecArgs,
}

impl Planner {
    fn new(args: ExecArgs) -> Result<Planner, ExecError> {
        let items = match (args.repeat, &args.pipe) {
            (_, Some(pipe)) => pipe::items(&args, pipe),
            (Some(count), None) => Items::Repeat(count),
            (None, None) if args.once => Items::None,
            (None, None) => items::items(&args)?,
        };
        let (columns, open) = items::names(&items);
        Ok(Planner { vars: BTreeMap::new(), items, columns, open, args })
    }

    fn job(&self) -> Result<Job, ExecError> {
        let args = &self.args;
        let stage = self.stage()?;
        if args.worker.is_some() {
            worker::check_stage(&stage)?;
        }
        Ok(Job {
            name: stage.name.as_str().into(),
            items: self.items.clone(),
            batch: match args.max_args {
                _ if args.fit => Batch::Fit,
                // There it counts records of a block.
                _ if args.pipe.is_some() => Batch::One,
                Some(most) if most > 1 => Batch::UpTo(most),
                _ => Batch::One,
            },
            pool: UNLIMITED,
            output: args.output.unwrap_or_else(|| args.default_output()),
            keep_order: args.keep_order,
            tag: self.tag()?,
            halt: None,
            grace: args.grace.unwrap_or(GRACE),
            stop_signal: args.stop_signal.unwrap_or(SIGTERM),
            timeout: args.timeout,
            rate: None,
            retries: Retries {
                count: args.retries.unwrap_or(if args.worker.is_some() { worker::RETRIES } else { 0 }),
                delay: args.retry_delay.unwrap_or_default(),
                on: args.retry_on.clone(),
            },
            after: Vec::new(),
            slotless: false,
            daemon: false,
            serves: false,
            ready: None,
            restart: Restart::Never,
            slots: 1,
            locks: Vec::new(),
            worker: args.worker.clone(),
            leftovers: Leftovers::default(),
            interactive: args.interactive,
            duplex: false,
            on_success: None,
            on_failure: None,
            on_exit: None,
            at_end: None,
            lister: None,
            stages: vec![stage],
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
        let (name, what) = self.what(&stdin)?;
        let (stdout, stderr, seq_file) = self.outputs()?;
        Ok(Stage {
            name,
            what,
            stdin,
            stdout,
            stderr,
            seq_file,
            env: args.env.iter().map(|pair| self.env(pair)).collect::<Result<_, _>>()?,
            cwd: args.cwd.as_ref().map(|cwd| self.template(cwd, "--cwd")).transpose()?,
            base: args.base.clone(),
            start: args.start,
            ok: args.ok.clone().unwrap_or_else(Outcomes::success),
            setup: Setup::default(),
            pty: false,
        })
    }

    /// The job's name and what it runs.
    fn what(&self, stdin: &Stdin) -> Result<(String, What), ExecError> {
        let args = &self.args;
        if !args.script {
            let given = args.command.iter().map(|word| self.template(word, "the command").map(Word));
            let words = self.bash().map(|word| Ok(Word(word))).chain(given).collect::<Result<Vec<_>, _>>()?;
            let mentioned = words.iter().any(|word| word.0.uses_task())
                || matches!(stdin, Stdin::File(file) if file.uses_item());
            let taken = mentioned || args.worker.is_some();
            let append_item = args.has_items() && args.replace.is_none() && !taken;
            return Ok((base_name(&args.command[0]), What::Command { words, append_item }));
        }
        let shell = shell(args);
        let name = base_name(shell[0].as_bytes());
        if args.command.is_empty() {
            // The item is the script, so it is no parameter of it as well.
            let words = shell.iter().map(|word| Template::literal(word.as_bytes()));
            let item = self.template(b"{}", "the command")?;
            let words = words.chain([item]).map(Word).collect();
            return Ok((name, What::Command { words, append_item: false }));
        }
        let text = args.command.join(&b' ');
        let posix = is_posix(&shell[0]);
        Ok((name, What::Script { text: self.script(&text, posix)?, shell, posix }))
    }

    /// What comes before the name of a function and its arguments.
    fn bash(&self) -> impl Iterator<Item = Template> {
        let name = self.args.command.first().filter(|_| self.args.function);
        name.into_iter().flat_map(|name| {
            let call = quote(name) + " \"$@\"";
            ["bash", "-c", &call].map(|word| Template::literal(word.as_bytes()))
        })
    }

    fn script(&self, text: &[u8], posix: bool) -> Result<ScriptText, ExecError> {
        let mut script = match &self.args.replace {
            _ if !posix => Ok(ScriptText::literal(text)),
            Some(replace) => ScriptText::parse_replace(text, replace),
            None => ScriptText::parse(text, &self.names()),
        }
        .map_err(|error| told(error, "the script"))?;
        script.0.blank_columns(self.most_columns());
        Ok(script)
    }

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

    fn output(&self, file: Option<&[u8]>, flag: &str) -> Result<Output, ExecError> {
        let Some(file) = file else { return Ok(Output::Show) };
        let path = self.template(file, flag)?;
        let per_task = path.uses_task();
        Ok(Output::File { path, append: false, show: false, per_task })
    }

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

    /// `place`: what people know the text as.
    fn template(&self, text: &[u8], place: &str) -> Result<Template, ExecError> {
        let mut template = match &self.args.replace {
            Some(replace) => Template::parse_replace(text, replace),
            None => Template::parse(text, &self.names()).map_err(|error| told(error, place))?,
        };
        template.blank_columns(self.most_columns());
        Ok(template)
    }

    /// Numbers up to this are columns, also where an item has fewer: the last task may have fewer items than the
    /// others, and a row of a table fewer columns.
    fn most_columns(&self) -> usize {
        let items = &self.args.items;
        let is_table = items.columns.is_some() || matches!(items.cut, Cut::Csv(_));
        if is_table { usize::MAX } else { self.args.max_args.unwrap_or(1) }
    }

    fn names(&self) -> Names<'_> {
        let Planner { columns, vars, open, .. } = self;
        Names {
            items: self.args.has_items(),
            columns,
            locks: &[],
            untaken: &[],
            width: None,
            vars,
            args: None,
            open: *open,
        }
    }
}

/// SIGTERM has this number on every Linux.
const SIGTERM: i32 = 15;
const GRACE: Duration = Duration::from_secs(10);

/// What runs scripts.
fn shell(args: &ExecArgs) -> Vec<String> {
    args.shell.clone().unwrap_or_else(|| ["/bin/sh", "-c"].map(str::to_owned).into())
}

fn base_name(program: &[u8]) -> String {
    OsStr::from_bytes(program.rsplit(|byte| *byte == b'/').next().unwrap_or(program))
        .to_string_lossy()
        .into_owned()
}

fn told(error: TextError, place: &str) -> ExecError {
    ExecError { message: format!("in {place}: {}", error.message), help: error.help }
}

#[cfg(test)]
mod tests;
