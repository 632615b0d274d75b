//! The jobs of a chain → the stages of one pipeline.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::pipes::Chain;
use super::text;
use crate::jobfile::values::Outcomes;
use crate::jobfile::{self, CommandSpec, Mistake, Mistakes, StageSpec, Text};
use crate::plan::script::{DEFAULT_SHELL, ScriptText, is_posix};
use crate::plan::template::{Names, Source, Template, Word};
use crate::plan::{Attributes, Command, Dialogue, Hook, HookOn, Output, QueueId, Stage, Stdin, Step};

/// The time for each step of a dialogue, without `timeout`.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);

/// Plans the stages of a chain, joined by pipes.
pub(super) fn plan(context: &Context, chain: &Chain, mistakes: &mut Mistakes) -> Vec<Stage> {
    let jobs = chain.jobs.iter().map(|&job| &context.file.jobs[job]);
    let mut stages: Vec<Stage> =
        jobs.flat_map(|job| StagePlanner::new(context, job, mistakes).stages()).collect();
    let last = stages.len().saturating_sub(1);
    for (number, stage) in stages.iter_mut().enumerate() {
        if number > 0 || chain.duplex {
            stage.stdin = Stdin::Pipe;
        }
        if number < last || chain.duplex {
            stage.stdout = Output::Pipe;
        }
    }
    stages
}

/// Plans the command of a hook (`on_success`, `on_failure`, `on_exit`) or of `ready`: started as the job's own, but
/// the item is not added, and the output is shown.
pub(super) fn hook(
    context: &Context,
    job: &jobfile::JobSpec,
    command: &CommandSpec,
    mistakes: &mut Mistakes,
) -> Hook {
    let mut planner = StagePlanner::new(context, job, mistakes);
    let command = planner.command(command, false);
    let mut stage = planner.stage(job.name.value.clone(), command, Stdin::Null, None);
    (stage.stdout, stage.stderr) = (Output::Show, Output::Show);
    (stage.ok, stage.pty) = (Outcomes::success(), false);
    Hook { stage }
}

/// Plans a hook of the run, with the settings of `[defaults]`.
pub(super) fn run_hook(
    context: &Context,
    on: HookOn,
    mistakes: &mut Mistakes,
    command: impl FnOnce(&mut StagePlanner) -> Command,
) -> Stage {
    let mut planner = StagePlanner::new(context, &context.file.defaults, mistakes);
    let command = command(&mut planner);
    planner.stage(on.name_in_run(), command, Stdin::Report, None)
}

/// Plans the command that lists the items of a job into `queue`: started as the job's own, but there are no items yet.
/// Variables, and a working directory, with an item or the value of a lock in them are left out: they are for tasks.
pub(super) fn lister(
    context: &Context,
    job: &jobfile::JobSpec,
    name: String,
    command: &CommandSpec,
    queue: QueueId,
    mistakes: &mut Mistakes,
) -> Stage {
    let mut planner = StagePlanner::new(context, job, mistakes);
    let names = Names { items: false, columns: &[], open: false, ..planner.names };
    let names_of_tasks = std::mem::replace(&mut planner.names, names);
    let planned = planner.command(command, false);
    planner.names = names_of_tasks;
    if planned.templates().any(Template::uses_lock) {
        let text = match command {
            CommandSpec::Line(text) | CommandSpec::Script(text) => text,
            CommandSpec::Words(words) => &words[0],
        };
        let mistake = Mistake::at(text.span.clone(), "a lock's value where there is no task yet");
        planner.mistakes.push(mistake.help("items are listed before a task takes its locks"));
    }
    let mut stage = planner.stage(name, planned, Stdin::Null, None);
    (stage.stdout, stage.stderr) = (Output::Queue { queue, show: false }, Output::Show);
    (stage.ok, stage.pty) = (Outcomes::success(), false);
    let of_tasks = |text: &Template| {
        text.placeholders().any(|placeholder| !matches!(placeholder.source, Source::Seq | Source::Slot))
    };
    stage.env.retain(|(_, value)| !of_tasks(value));
    if stage.cwd.as_ref().is_some_and(of_tasks) {
        stage.cwd = Some(Template::literal(context.options.base.as_os_str().as_encoded_bytes()));
    }
    stage
}

/// Plans the stages of one job.
pub(super) struct StagePlanner<'a> {
    job: &'a jobfile::JobSpec,
    context: &'a Context<'a>,
    names: Names<'a>,
    mistakes: &'a mut Mistakes,
}

impl<'a> StagePlanner<'a> {
    fn new(
        context: &'a Context<'a>,
        job: &'a jobfile::JobSpec,
        mistakes: &'a mut Mistakes,
    ) -> StagePlanner<'a> {
        StagePlanner { job, context, names: context.texts.of_task(job), mistakes }
    }

    fn stages(&mut self) -> Vec<Stage> {
        let job = self.job;
        let stdin = self.stdin();
        match &job.body {
            None => Vec::new(),
            Some(jobfile::BodySpec::Command(command)) => {
                let takes_item = match &stdin {
                    _ if job.worker.is_some() => true,
                    Stdin::Item => true,
                    Stdin::Text(template) | Stdin::File(template) => template.may_use_item(),
                    _ => false,
                };
                let command = self.command(command, job.each.is_some() && !takes_item);
                vec![self.stage(job.name.value.clone(), command, stdin, None)]
            }
            Some(jobfile::BodySpec::Pipeline(pipeline)) => {
                let mut stdin = Some(stdin);
                let each = pipeline.iter().enumerate().map(|(number, stage)| {
                    let command = self.command(&stage.command, false);
                    let name = format!("{}:{}", job.name.value, number + 1);
                    self.stage(name, command, stdin.take().unwrap_or(Stdin::Pipe), Some(stage))
                });
                each.collect()
            }
        }
    }

    /// Plans one stage. `own`: the element of `pipeline`, if it is one.
    fn stage(&mut self, name: String, command: Command, stdin: Stdin, own: Option<&StageSpec>) -> Stage {
        let job = self.job;
        let mut ok = own
            .and_then(|stage| stage.ok.clone())
            .or_else(|| job.ok.clone())
            .unwrap_or_else(Outcomes::success);
        // The timeout is that of the whole job, and so its `ok` decides about it.
        ok.timeout |= job.ok.as_ref().is_some_and(|ok| ok.timeout);
        let env = job.env.iter().map(|(name, value)| (name.clone(), self.template(value))).collect();
        let cwd = match &job.cwd {
            Some(cwd) => self.template(cwd),
            None => Template::literal(self.context.options.base.as_os_str().as_encoded_bytes()),
        };
        Stage {
            stdin,
            stdout: self.output(&job.stdout),
            stderr: self.output(own.and_then(|stage| stage.stderr.as_ref()).unwrap_or(&job.stderr)),
            env,
            cwd: Some(cwd),
            start: job.start,
            attributes: self.attributes(),
            ok,
            pty: job.pty,
            ..Stage::new(name, command, self.context.options.base.clone())
        }
    }

    fn attributes(&mut self) -> Attributes {
        let jobfile::AttributesSpec { limits, nice, umask, clear_env, env_files } = &self.job.attributes;
        let texts = self.context.texts;
        let path = |text| PathBuf::from(OsString::from_vec(texts.of_start(self.job, text, self.mistakes)));
        Attributes {
            limits: limits.clone(),
            nice: *nice,
            umask: *umask,
            clear_env: *clear_env,
            env_files: env_files.iter().map(path).collect(),
        }
    }

    /// Plans a command. `append`: the item is added at the end, unless the command has a placeholder.
    pub(super) fn command(&mut self, command: &CommandSpec, append: bool) -> Command {
        let (words, place) = match command {
            CommandSpec::Script(text) => return self.script(text),
            CommandSpec::Line(text) => (text::line(text, &self.names, self.mistakes), text),
            CommandSpec::Words(texts) => (text::array(texts, &self.names, self.mistakes), &texts[0]),
        };
        if words.is_empty() && self.mistakes.is_empty() {
            let mistake = Mistake::at(place.span.clone(), "nothing to run: no arguments for `{args}`");
            self.mistakes.push(mistake.help("give the command after `--`"));
        }
        // Words that wait for the names of columns are looked at when those are known.
        let names_item = |word: &Word| !word.0.is_late() && word.0.says_where_item_goes();
        let append_item = append && !words.iter().any(names_item);
        Command::Words { words, append_item }
    }

    fn script(&mut self, text: &Text) -> Command {
        let shell: Vec<String> = match &self.job.shell {
            Some(words) => words.iter().map(|word| word.value.clone()).collect(),
            None => DEFAULT_SHELL.map(str::to_owned).into(),
        };
        let posix = is_posix(&shell[0]);
        let text = match posix {
            true => text::script(text, &self.names, self.mistakes),
            false => ScriptText::literal(text.value.as_bytes()),
        };
        Command::Script { shell, text, posix, parameters: true }
    }

    fn stdin(&mut self) -> Stdin {
        let job = self.job;
        match &job.stdin.value {
            // A worker is given its tasks on its stdin.
            jobfile::StdinSpec::Null if job.worker.is_some() => Stdin::Item,
            jobfile::StdinSpec::Null if job.daemon => Stdin::Open,
            jobfile::StdinSpec::Null if self.reads_terminal() => Stdin::Inherit,
            jobfile::StdinSpec::Null => Stdin::Null,
            jobfile::StdinSpec::Open => Stdin::Open,
            jobfile::StdinSpec::Inherit => Stdin::Inherit,
            jobfile::StdinSpec::Item => {
                if job.each.is_none() && !job.has_mistakes {
                    let message = format!("job `{}` has no items for its stdin", job.name.value);
                    self.mistakes
                        .push(Mistake::at(job.stdin.span.clone(), message).help("give it items with `each`"));
                }
                Stdin::Item
            }
            jobfile::StdinSpec::Text(text) => Stdin::Text(self.template(text)),
            jobfile::StdinSpec::File(path) => Stdin::File(self.template(path)),
            jobfile::StdinSpec::Pipe(_) => Stdin::Pipe,
            jobfile::StdinSpec::Queue { name, ahead } => {
                Stdin::Queue { queue: self.context.queue(name), ahead: *ahead }
            }
            jobfile::StdinSpec::Dialogue { steps, timeout } => {
                let step = |step: &jobfile::StepSpec| Step {
                    expect: step.expect.regex.clone(),
                    send: text::template(&step.send, &self.names, self.mistakes),
                };
                let timeout = timeout.unwrap_or(STEP_TIMEOUT);
                Stdin::Dialogue(Arc::new(Dialogue { steps: steps.iter().map(step).collect(), timeout }))
            }
        }
    }

    /// True if the job has the terminal, has no `stdin` of its own, and prun does not read its stdin.
    fn reads_terminal(&self) -> bool {
        let Context { file, options, .. } = self.context;
        let has_it = self.job.interactive && options.terminal;
        has_it && self.job.own_key("stdin").is_none() && !super::items::prun_reads_stdin(file, options)
    }

    fn output(&mut self, output: &jobfile::OutputSpec) -> Output {
        match output {
            jobfile::OutputSpec::Show => Output::Show,
            jobfile::OutputSpec::Inherit => Output::Inherit,
            jobfile::OutputSpec::Null => Output::Null,
            jobfile::OutputSpec::Stdout => Output::Stdout,
            jobfile::OutputSpec::Queue { name, show } => {
                Output::Queue { queue: self.context.queue(name), show: *show }
            }
            jobfile::OutputSpec::File { path, append, show } => {
                let path = self.template(path);
                let per_task = path.may_use_task();
                Output::File { path, append: *append, show: *show, per_task }
            }
        }
    }

    fn template(&mut self, text: &Text) -> Template {
        text::template(text, &self.names, self.mistakes)
    }
}
