//! `prun [FILE] [JOB...]`: runs a job file, or some of its jobs.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::args::Tag;
use super::args::run::Run as FileArgs;
use super::execute::execute;
use super::instead::Instead;
use super::variables::Variables;
use super::{config, job_file, settings, variables};
use crate::jobfile::{self, JobFile, nearest};
use crate::os::jobserver::Offer;
use crate::os::{self, limits};
use crate::plan::build::{BuildOptions, RunOverrides, TagFlag, build};
use crate::plan::selection::split_operand;
use crate::run::Verdict;
use crate::ui::phrases::escape;

/// Runs the job file, or lists its jobs.
pub fn start(asked: FileArgs) -> Result<Verdict, Instead> {
    let variables = variables::read()?;
    let (name, jobs) = job_file::operands(&asked.operands)?;
    let name_shown = escape(name.as_bytes());
    if asked.no_deps && jobs.is_empty() {
        return Err(Instead::fail(
            "`--no-deps` needs a JOB, whose needs are left out: `prun --no-deps FILE JOB`",
        ));
    }
    let bytes = job_file::read(&name, jobs.first())?;
    let color = settings::color(&asked.both, &variables);
    let config =
        config::read(config::Look { left_out: asked.both.no_config, quiet: asked.both.quiet, color })?;
    let wrong = |mistakes| Instead::mistakes(&mistakes, color);
    let mut file = jobfile::parse_over(&config, &name_shown, &bytes).map_err(wrong)?;
    if asked.list {
        return Err(Instead::Say(list(&file, &jobs)?.into_bytes()));
    }
    let options = meaning(&asked, &variables, &mut file, &name, jobs)?;
    let plan = build(&file, &options).map_err(wrong)?;
    // Dropping it would free a large graph piece by piece just before prun exits: a tenth of the time of such
    // a run.
    std::mem::forget(file);
    execute(plan, &asked.both, color, false)
}

/// Returns what the planner needs beside `file`, and puts the settings of the run into `file`.
pub(super) fn meaning(
    asked: &FileArgs,
    variables: &Variables,
    file: &mut JobFile,
    name: &OsStr,
    jobs: Vec<String>,
) -> Result<BuildOptions, Instead> {
    let base = job_file::folder(name)?;
    let vars = job_file::definitions(&asked.define)?;
    let tag = settings::tag(&asked.both, variables).map(tag_flag).transpose()?;
    let settings = settings::resolve(&asked.both, variables, std::mem::take(&mut file.run))?;
    file.run = settings.run;
    Ok(BuildOptions {
        file_name: name.to_string_lossy().into_owned(),
        base,
        cpus: limits::cpus(),
        terminal: os::terminal::is_available(),
        jobserver: os::jobserver::offer() == Offer::There,
        vars,
        args: asked.args.iter().cloned().map(OsString::into_vec).collect(),
        jobs,
        no_deps: asked.no_deps,
        run: RunOverrides { tag, ..settings.overrides },
    })
}

fn tag_flag(tag: Tag) -> Result<TagFlag, Instead> {
    match tag {
        Tag::Off => Ok(TagFlag::Off),
        Tag::Item => Ok(TagFlag::On),
        Tag::Template(text) => {
            let text = text.into_string();
            text.map(TagFlag::Template).map_err(|_| Instead::fail("the template of `--tag` is not UTF-8"))
        }
    }
}

/// Returns the text of `--list`: each job and the comment above it, in the order of the file. Without `jobs`,
/// all jobs.
fn list(file: &JobFile, jobs: &[String]) -> Result<String, Instead> {
    let jobs: Vec<String> = jobs.iter().map(|operand| split_operand(operand).0.to_owned()).collect();
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
    use clap::Parser;

    use super::*;

    fn asked(line: &str) -> FileArgs {
        FileArgs::try_parse_from(std::iter::once("prun").chain(line.split_whitespace())).unwrap()
    }

    #[test]
    fn options_may_stand_anywhere_before_the_arguments() {
        let asked = asked("-j2 x.toml -k a -D n=1=2 -- -k");
        assert!(asked.both.keep_order);
        let mut file = jobfile::parse("x", b"[jobs.a]\ncommand = \"true\"\n").unwrap();
        let name = OsStr::new("x.toml");
        let options = meaning(&asked, &Variables::default(), &mut file, name, vec!["a".into()]).unwrap();
        assert_eq!(options.vars, [("n".to_string(), "1=2".to_string())]);
        assert_eq!(options.args, [b"-k"]);
        assert_eq!(options.base, std::env::current_dir().unwrap());
        assert_eq!(file.run.keep_order, Some(true));
        assert_eq!(file.run.halt, None);
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
