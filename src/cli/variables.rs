//! `PRUN_*` variables of the environment: settings below the options of the command line.
//!
//! Tasks find other variables with `PRUN_` in their environment (`PRUN_JOB`, `PRUN_SLOT` …). None of those
//! has the name of a setting, so that a prun within a task is not affected. Unknown names are ignored.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use super::args::values::Shell;
use super::args::{Jobs, Tag, When, parse_jobs};
use super::instead::Instead;
use crate::jobfile::values::{
    HaltSetting, JobserverStyle, Load, OutputMode, Rate, Resume, parse_duration, parse_halt, parse_jobserver,
    parse_load, parse_output, parse_rate, parse_size,
};
use crate::ui::phrases::escape;

/// The values of the variables that are set.
///
/// Its fields are the variables, one for each setting.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Variables {
    pub pool: Option<Jobs>,
    pub halt: Option<HaltSetting>,
    pub output: Option<OutputMode>,
    pub keep_order: Option<bool>,
    pub tag: Option<Tag>,
    pub grace: Option<Duration>,
    pub rate: Option<Rate>,
    pub load: Option<Load>,
    pub memory_free: Option<usize>,
    pub max_record: Option<usize>,
    pub jobserver: Option<JobserverStyle>,
    pub journal: Option<PathBuf>,
    pub resume: Option<Resume>,
    /// `PRUN_ON_SUCCESS`, `PRUN_ON_FAILURE`, `PRUN_ON_EXIT`.
    pub hooks: [Option<String>; 3],
    /// `PRUN_SHELL`, for `prun exec`.
    pub shell: Option<Shell>,
    pub color: Option<When>,
}

/// Reads them from prun's own environment.
pub fn read() -> Result<Variables, Instead> {
    read_from(|name| std::env::var_os(name))
}

/// Returns `PRUN_COLOR`, for commands that do not check the other variables. A wrong value is ignored.
pub fn color() -> Option<When> {
    let value = std::env::var_os("PRUN_COLOR")?;
    parse_color(value.to_str()?).ok()
}

fn read_from(get: impl Fn(&str) -> Option<OsString>) -> Result<Variables, Instead> {
    // An empty variable counts as not set.
    let get = |name: &str| get(name).filter(|value| !value.is_empty());
    Ok(Variables {
        pool: meaning(get, "PRUN_POOL", parse_jobs)?,
        halt: text(get, "PRUN_HALT", parse_halt)?,
        output: text(get, "PRUN_OUTPUT", parse_output)?,
        keep_order: text(get, "PRUN_KEEP_ORDER", |word| {
            parse_bool(word).ok_or_else(|| "expected `true` or `false`".to_owned())
        })?,
        tag: meaning(get, "PRUN_TAG", |value| Ok(parse_tag(value)))?,
        grace: text(get, "PRUN_GRACE", parse_duration)?,
        rate: text(get, "PRUN_RATE", parse_rate)?,
        load: text(get, "PRUN_LOAD", parse_load)?,
        memory_free: text(get, "PRUN_MEMORY_FREE", parse_size)?,
        max_record: text(get, "PRUN_MAX_RECORD", parse_size)?,
        jobserver: text(get, "PRUN_JOBSERVER", parse_jobserver)?,
        journal: get("PRUN_JOURNAL").map(PathBuf::from),
        resume: text(get, "PRUN_RESUME", parse_resume)?,
        hooks: [
            text(get, "PRUN_ON_SUCCESS", |command| Ok(command.to_owned()))?,
            text(get, "PRUN_ON_FAILURE", |command| Ok(command.to_owned()))?,
            text(get, "PRUN_ON_EXIT", |command| Ok(command.to_owned()))?,
        ],
        shell: text(get, "PRUN_SHELL", Shell::parse)?,
        color: text(get, "PRUN_COLOR", parse_color)?,
    })
}

/// Returns the value of a variable. A mistake names the variable.
fn meaning<T>(
    get: impl Fn(&str) -> Option<OsString>,
    name: &str,
    parse: impl Fn(OsString) -> Result<T, String>,
) -> Result<Option<T>, Instead> {
    let Some(value) = get(name) else { return Ok(None) };
    let shown = escape(value.as_bytes());
    parse(value)
        .map(Some)
        .map_err(|why| Instead::fail(format_args!("`{name}={shown}` in the environment: {why}")))
}

/// Returns the value of a variable that must be UTF-8.
fn text<T>(
    get: impl Fn(&str) -> Option<OsString>,
    name: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, Instead> {
    meaning(get, name, |value| parse(value.to_str().ok_or("it is not UTF-8")?))
}

fn parse_bool(word: &str) -> Option<bool> {
    match word {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

fn parse_tag(value: OsString) -> Tag {
    match value.to_str().and_then(parse_bool) {
        Some(true) => Tag::Item,
        Some(false) => Tag::Off,
        None => Tag::Template(value),
    }
}

fn parse_resume(word: &str) -> Result<Resume, String> {
    match (word, parse_bool(word)) {
        (_, Some(true)) => Ok(Resume::Finished),
        (_, Some(false)) => Ok(Resume::No),
        ("failed", None) => Ok(Resume::AllButFailed),
        _ => Err("expected `true`, `false` or `failed`".to_owned()),
    }
}

fn parse_color(word: &str) -> Result<When, String> {
    When::from_str(word, false).map_err(|_| "expected `auto`, `always` or `never`".to_owned())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn given(pairs: &[(&str, &[u8])]) -> Result<Variables, Instead> {
        read_from(|name| {
            let pair = pairs.iter().find(|pair| pair.0 == name);
            pair.map(|pair| OsString::from_vec(pair.1.to_vec()))
        })
    }

    #[test]
    fn they_are_spelt_as_options_are() {
        let all: &[(&str, &[u8])] = &[
            ("PRUN_POOL", b"+0"),
            ("PRUN_HALT", b"never"),
            ("PRUN_OUTPUT", b"line"),
            ("PRUN_KEEP_ORDER", b"0"),
            ("PRUN_TAG", b"{/}\xff"),
            ("PRUN_GRACE", b"1m"),
            ("PRUN_RATE", b"2/s"),
            ("PRUN_MEMORY_FREE", b"1KiB"),
            ("PRUN_JOBSERVER", b"true"),
            ("PRUN_JOURNAL", b"a\xff"),
            ("PRUN_RESUME", b"failed"),
            ("PRUN_ON_FAILURE", b"mail me"),
            ("PRUN_SHELL", b"bash -eu"),
            ("PRUN_COLOR", b"never"),
        ];
        let said = given(all).unwrap();
        assert_eq!(said.pool, Some(parse_jobs("+0".into()).unwrap()));
        assert_eq!((said.halt, said.output), (Some(HaltSetting::Never), Some(OutputMode::Line)));
        assert_eq!(said.keep_order, Some(false));
        assert_eq!(said.tag, Some(Tag::Template(OsStr::from_bytes(b"{/}\xff").to_owned())));
        assert_eq!((said.grace, said.memory_free), (Some(Duration::from_secs(60)), Some(1024)));
        assert_eq!(said.rate, Some(Rate { interval: Duration::from_millis(500) }));
        assert_eq!(said.journal, Some(PathBuf::from(OsStr::from_bytes(b"a\xff"))));
        assert_eq!(said.jobserver, Some(JobserverStyle::Pipe));
        assert_eq!((said.resume, said.color), (Some(Resume::AllButFailed), Some(When::Never)));
        assert_eq!(said.hooks, [None, Some("mail me".into()), None]);
        assert_eq!(said.shell.unwrap().0, ["bash", "-eu", "-c"]);
        assert_eq!(given(&[("PRUN_TAG", b"true")]).unwrap().tag, Some(Tag::Item));
        assert_eq!(given(&[("PRUN_TAG", b"0")]).unwrap().tag, Some(Tag::Off));
    }

    #[test]
    fn nothing_is_said_by_empty_ones_and_by_those_of_a_task() {
        let others: &[(&str, &[u8])] = &[
            ("PRUN_POOL", b""),
            ("PRUN_SHELL", b""),
            ("PRUN_JOURNAL", b""),
            ("PRUN_JOB", b"x"),
            ("PRUN_SLOT", b"3"),
            ("PRUN_FOO", b"\xff"),
        ];
        assert_eq!(given(others), Ok(Variables::default()));
    }

    #[test]
    fn mistakes_name_the_variable() {
        let cases: &[(&str, &[u8], &str)] = &[
            (
                "PRUN_KEEP_ORDER",
                b"yes",
                "`PRUN_KEEP_ORDER=yes` in the environment: expected `true` or `false`",
            ),
            (
                "PRUN_RESUME",
                b"all",
                "`PRUN_RESUME=all` in the environment: expected `true`, `false` or `failed`",
            ),
            (
                "PRUN_COLOR",
                b"red",
                "`PRUN_COLOR=red` in the environment: expected `auto`, `always` or `never`",
            ),
            (
                "PRUN_SHELL",
                b" ",
                "`PRUN_SHELL= ` in the environment: it names no shell; write `bash`, for example",
            ),
            ("PRUN_GRACE", b"\x1b\xff", "`PRUN_GRACE=\\x1b\\xff` in the environment: it is not UTF-8"),
        ];
        for (name, value, expected) in cases {
            assert_eq!(given(&[(name, value)]), Err(Instead::fail(expected)), "{name}");
        }
        for name in [
            "PRUN_POOL",
            "PRUN_HALT",
            "PRUN_OUTPUT",
            "PRUN_RATE",
            "PRUN_LOAD",
            "PRUN_MEMORY_FREE",
            "PRUN_JOBSERVER",
        ] {
            let Err(Instead::Fail { lines, .. }) = given(&[(name, b"x/y")]) else { panic!("{name}") };
            assert!(
                lines.starts_with(&format!("prun: `{name}=x/y` in the environment: expected")),
                "{lines}"
            );
        }
    }
}
