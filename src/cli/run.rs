//! `prun [FILE] [JOB...]`: a job file, or some of its jobs.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use clap::Parser;

use super::args::{Both, Tag};
use super::variables::variables;
use super::{Instead, config, reason, show};
use crate::jobfile::{self, JobFile, Mistakes, nearest};
use crate::os::jobserver::Offer;
use crate::os::{self, limits};
use crate::plan::Plan;
use crate::plan::build::{BuildOptions, RunOverrides, TagFlag, build};
use crate::run::Verdict;
use crate::ui::phrases::escape;

/// Run a job file, or these jobs of it and what they need
#[derive(Parser, Debug)]
#[command(name = "prun", version, args_override_self = true, max_term_width = 100)]
#[command(override_usage = USAGE, after_help = EXAMPLES, after_long_help = LONG_EXAMPLES)]
pub struct Run {
    #[command(flatten)]
    pub both: Both,

    /// Set a variable of the job file
    ///
    /// May be given more than once. The job file lists its variables in `[vars]`.
    #[arg(short = 'D', long, value_name = "NAME=VALUE")]
    define: Vec<OsString>,

    /// List the jobs and the comment above each
    #[arg(long)]
    list: bool,

    /// FILE is the job file if it holds a `/`, ends in `.toml` or is `-` (stdin), else a job of ./prun.toml
    #[arg(value_name = "FILE|JOB", hide_short_help = true)]
    operands: Vec<OsString>,

    /// What `{args}` in the job file stands for
    #[arg(last = true, value_name = "ARG", hide_short_help = true)]
    args: Vec<OsString>,
}

const USAGE: &str = "prun [OPTIONS] [FILE] [JOB...] [-- ARG...]
       prun exec [OPTIONS] COMMAND [ARG...] [::: ITEM...]...
       prun check [OPTIONS] [FILE]...
       prun graph [OPTIONS] [FILE] [JOB]...
       prun report [OPTIONS] JOURNAL
       prun completions SHELL";

const EXAMPLES: &str = "\
Examples:
  prun build.toml                 run it; prun alone runs ./prun.toml
  prun -j4 build.toml test lint   these jobs, and what they need
  seq 9 | prun exec echo {}       one command over items: prun exec -h";

const LONG_EXAMPLES: &str = "\
Examples:
  prun build.toml                 run it; prun alone runs ./prun.toml
  prun -j4 build.toml test lint   these jobs, and what they need
  prun --list                     the jobs of ./prun.toml
  seq 9 | prun exec echo {}       one command over items: prun exec --help

The job file is described in prun.toml(5).";

/// What runs if no file is named.
pub(super) const USUAL_FILE: &str = "prun.toml";

/// The largest job file is 32 MiB; one byte more tells that a file is larger, without reading all of it.
pub const MOST_BYTES: u64 = (32 << 20) + 1;

pub fn start(mut asked: Run) -> Result<Verdict, Instead> {
    asked.both.variables = variables()?;
    let (name, jobs) = operands(&asked.operands)?;
    let name_shown = escape(name.as_bytes());
    let bytes = read(&name, jobs.first())?;
    let color = show::stderr_has_colors(&asked.both);
    let config = config::read(&asked.both)?;
    let file =
        jobfile::parse_over(&config, &name_shown, &bytes).map_err(|mistakes| wrong(&mistakes, color))?;
    if asked.list {
        return Err(Instead::Say(list(&file, &jobs)?.into_bytes()));
    }
    let options = meaning(&asked, &name, jobs)?;
    let plan = build(&file, &options).map_err(|mistakes| wrong(&mistakes, color))?;
    // It would be given back piece by piece when prun ends, for nobody: a tenth of the time of a large graph.
    std::mem::forget(file);
    run_plan(plan, &asked.both, false)
}

/// Runs what was planned, shown as the options and the terminal ask for. `exec`: for `prun exec`.
pub fn run_plan(plan: Plan, both: &Both, exec: bool) -> Result<Verdict, Instead> {
    both.journal.check(plan.logs.journal.as_ref())?;
    both.check_output()?;
    let listener = crate::ui::listener(show::options(both, &plan, exec));
    let options =
        crate::run::Options { verbose: both.verbose > 0, debug: both.verbose > 1, dry_run: both.dry_run };
    crate::run::run(plan, options, listener).map_err(Instead::fail)
}

/// The job file, and the jobs of it.
pub(super) fn operands(words: &[OsString]) -> Result<(OsString, Vec<String>), Instead> {
    let named = words.first().filter(|word| is_file(word));
    let jobs = &words[usize::from(named.is_some())..];
    if jobs.first().is_some_and(|job| job == "exec") && named.is_none() {
        return Err(Instead::fail("`exec` comes before its options: `prun exec [OPTIONS] COMMAND`"));
    }
    let text = |job: &OsString| {
        let shown = || format!("`{}` is no name of a job", escape(job.as_bytes()));
        job.to_str().map(str::to_owned).ok_or_else(|| Instead::fail(shown()))
    };
    let jobs = jobs.iter().map(text).collect::<Result<_, _>>()?;
    Ok((named.cloned().unwrap_or_else(|| USUAL_FILE.into()), jobs))
}

fn is_file(word: &OsStr) -> bool {
    let bytes = word.as_bytes();
    bytes == b"-" || bytes.contains(&b'/') || bytes.ends_with(b".toml")
}

/// What the file holds. `first_job` was typed in the place where the file could have been.
pub(super) fn read(name: &OsStr, first_job: Option<&String>) -> Result<Vec<u8>, Instead> {
    let mut bytes = Vec::new();
    let result = if name == "-" {
        io::stdin().lock().take(MOST_BYTES).read_to_end(&mut bytes)
    } else {
        File::open(name).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes))
    };
    match result {
        Ok(_) => Ok(bytes),
        Err(why) if why.kind() == io::ErrorKind::NotFound && name == USUAL_FILE => {
            Err(no_usual_file(first_job))
        }
        Err(why) => {
            let name = escape(name.as_bytes());
            Err(Instead::fail(format_args!("the job file `{name}` can't be read: {}", reason(&why))))
        }
    }
}

const COMMANDS: [&str; 6] = ["exec", "run", "check", "graph", "report", "completions"];

fn no_usual_file(first_job: Option<&String>) -> Instead {
    match first_job {
        Some(job) if nearest(job, COMMANDS).is_some() => Instead::fail(format_args!(
            "there is neither a job file ./prun.toml nor a command `{}`; did you mean `prun {}`?",
            escape(job.as_bytes()),
            nearest(job, COMMANDS).unwrap_or_default(),
        )),
        Some(job) => Instead::fail(format_args!(
            "`{}` is taken for a job of ./prun.toml, which does not exist; a job file holds a `/` or ends in \
             `.toml`, and `prun exec` runs a command",
            escape(job.as_bytes())
        )),
        None => Instead::fail(
            "there is no job file ./prun.toml; name one (`prun FILE`), or run a command over items \
             (`prun exec COMMAND`, see `prun --help`)",
        ),
    }
}

pub fn wrong(mistakes: &Mistakes, color: bool) -> Instead {
    Instead::Fail { lines: mistakes.render(color), status: super::OWN_FAILURE }
}

/// What was typed, as the planner wants it.
pub(super) fn meaning(asked: &Run, name: &OsStr, jobs: Vec<String>) -> Result<BuildOptions, Instead> {
    let both = &asked.both;
    let tag = both.tag().or_else(|| both.variables.tag.clone());
    Ok(BuildOptions {
        file_name: name.to_string_lossy().into_owned(),
        base: folder(name)?,
        cpus: limits::cpus(),
        terminal: os::terminal::is_available(),
        jobserver: os::jobserver::offer() == Offer::There,
        vars: asked.define.iter().map(|word| variable(word)).collect::<Result<_, _>>()?,
        args: asked.args.iter().cloned().map(OsString::into_vec).collect(),
        jobs,
        run: RunOverrides { tag: tag.map(tag_flag).transpose()?, ..both.overrides()? },
    })
}

/// What a file means that is looked at and not run: `{args}` stands for some argument.
pub(super) fn only_looked_at(
    name: &OsStr,
    define: &[OsString],
    jobs: Vec<String>,
) -> Result<BuildOptions, Instead> {
    Ok(BuildOptions {
        file_name: name.to_string_lossy().into_owned(),
        base: folder(name)?,
        cpus: limits::cpus(),
        vars: define.iter().map(|word| variable(word)).collect::<Result<_, _>>()?,
        args: vec![b"ARG".to_vec()],
        jobs,
        ..BuildOptions::default()
    })
}

/// The folder from which the paths of a job file start.
fn folder(name: &OsStr) -> Result<PathBuf, Instead> {
    let path = if name == "-" { std::env::current_dir() } else { std::path::absolute(name) };
    let path = path.map_err(|why| {
        Instead::fail(format_args!("the working directory can't be found: {}", reason(&why)))
    })?;
    Ok(if name == "-" { path } else { path.parent().map(Path::to_owned).unwrap_or(path) })
}

fn variable(word: &OsStr) -> Result<(String, String), Instead> {
    let pair = word.to_str().and_then(|word| word.split_once('='));
    let pair = pair.filter(|(name, _)| !name.is_empty());
    let (name, value) = pair.ok_or_else(|| {
        let shown = escape(word.as_bytes());
        Instead::fail(format_args!("`--define {shown}`: expected `NAME=VALUE`"))
    })?;
    Ok((name.into(), value.into()))
}

fn tag_flag(tag: Tag) -> Result<TagFlag, Instead> {
    match tag {
        Tag::Off => Ok(TagFlag::Off),
        Tag::Item => Ok(TagFlag::On),
        Tag::Template(text) => {
            let text = text.into_string();
            text.map(TagFlag::Template).map_err(|_| Instead::fail("the template of `--tag` is no UTF-8"))
        }
    }
}

/// Each job and the comment above it, in the order of the file; of all jobs, or of those that are asked for.
fn list(file: &JobFile, jobs: &[String]) -> Result<String, Instead> {
    let known = |name: &String| file.jobs.iter().any(|job| job.name.value == *name);
    if let Some(unknown) = jobs.iter().find(|name| !known(name)) {
        let near = nearest(unknown, file.jobs.iter().map(|job| job.name.value.as_str()));
        let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        return Err(Instead::fail(format_args!("there is no job `{}`{near}", escape(unknown.as_bytes()))));
    }
    let listed = || file.jobs.iter().filter(|job| jobs.is_empty() || jobs.contains(&job.name.value));
    let width = listed().map(|job| job.name.value.len()).max().unwrap_or(0);
    let mut text = String::new();
    for job in listed() {
        let mut name = job.name.value.as_str();
        for line in job.comment.lines().chain(job.comment.is_empty().then_some("")) {
            text += format!("{name:width$}  {}", escape(line.as_bytes())).trim_end();
            text.push('\n');
            name = "";
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> (String, Vec<String>) {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let (file, jobs) = operands(&words).unwrap();
        (file.into_string().unwrap(), jobs)
    }

    fn asked(line: &str) -> Run {
        Run::try_parse_from(std::iter::once("prun").chain(line.split_whitespace())).unwrap()
    }

    #[test]
    fn the_first_operand_is_a_file_or_a_job() {
        let cases = [
            ("", "prun.toml", vec![]),
            ("a.toml", "a.toml", vec![]),
            ("./jobs test", "./jobs", vec!["test"]),
            ("- test", "-", vec!["test"]),
            ("test a.toml", "prun.toml", vec!["test", "a.toml"]),
        ];
        for (line, file, jobs) in cases {
            assert_eq!(split(line), (file.into(), jobs.into_iter().map(String::from).collect()), "{line}");
        }
    }

    #[test]
    fn options_may_stand_anywhere_before_the_arguments() {
        let asked = asked("-j2 x.toml -k a -D n=1=2 -- -k");
        assert!(asked.both.keep_order);
        let options = meaning(&asked, OsStr::new("x.toml"), vec!["a".into()]).unwrap();
        assert_eq!(options.vars, [("n".to_string(), "1=2".to_string())]);
        assert_eq!(options.args, [b"-k"]);
        assert_eq!(options.base, std::env::current_dir().unwrap());
        assert_eq!(options.run.keep_order, Some(true));
        assert_eq!(options.run.halt, None);
    }

    #[test]
    fn mistakes_of_operands_and_variables() {
        let exec = operands(&["exec".into(), "true".into()]).unwrap_err();
        assert_eq!(exec, Instead::fail("`exec` comes before its options: `prun exec [OPTIONS] COMMAND`"));
        for word in ["x", "=1", ""] {
            assert!(variable(OsStr::new(word)).is_err(), "{word}");
        }
        assert!(operands(&[OsString::from_vec(b"\xff".to_vec())]).is_err());
    }

    #[test]
    fn what_can_not_be_read_is_said() {
        let Err(Instead::Fail { lines, .. }) = read(OsStr::new("/proc/self"), None) else { panic!() };
        assert_eq!(lines, "prun: the job file `/proc/self` can't be read: is a directory\n");
        let Err(Instead::Fail { lines, .. }) = read(OsStr::new("/no/such.toml"), None) else { panic!() };
        assert_eq!(lines, "prun: the job file `/no/such.toml` can't be read: no such file or directory\n");
    }

    #[test]
    fn the_list_has_the_comments() {
        let text =
            b"# Compile\n# everything\n[jobs.build]\ncommand = \"true\"\n\n[jobs.t]\ncommand = \"true\"\n";
        let file = jobfile::parse("x", text).unwrap();
        assert_eq!(list(&file, &[]).unwrap(), "build  Compile\n       everything\nt\n");
        assert_eq!(list(&file, &["t".into()]).unwrap(), "t\n");
        let Err(Instead::Fail { lines, .. }) = list(&file, &["biuld".into()]) else { panic!() };
        assert_eq!(lines, "prun: there is no job `biuld`; did you mean `build`?\n");
    }
}
