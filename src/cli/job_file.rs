//! The job file that a command line names: which file it is, its bytes, and how it is planned when nothing is
//! run.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::instead::Instead;
use crate::jobfile::nearest;
use crate::os::errors::reason;
use crate::os::{limits, std_streams};
use crate::plan::build::BuildOptions;
use crate::plan::selection::split_operand;
use crate::ui::phrases::escape;

/// The job file that is used if none is named.
pub const USUAL_FILE: &str = "prun.toml";

/// The most bytes that are read of a job file or a configuration file. The largest job file is 32 MiB; one
/// byte more shows that a file is larger, without reading all of it.
pub const MOST_BYTES: u64 = (32 << 20) + 1;

/// Commands of prun, for "did you mean".
const COMMANDS: [&str; 6] = ["exec", "run", "check", "graph", "report", "completions"];

/// Splits operands into the job file and the jobs of it. The first is the file if it holds a `/`, ends in
/// `.toml` or is `-`; otherwise the file is [`USUAL_FILE`].
pub fn operands(words: &[OsString]) -> Result<(OsString, Vec<String>), Instead> {
    let named = words.first().filter(|word| is_file(word));
    let jobs = &words[usize::from(named.is_some())..];
    if jobs.first().is_some_and(|job| job == "exec") && named.is_none() {
        return Err(Instead::fail("`exec` comes before its options: `prun exec [OPTIONS] COMMAND`"));
    }
    let text = |job: &OsString| {
        let shown = || format!("`{}` is not a job name", escape(job.as_bytes()));
        job.to_str().map(str::to_owned).ok_or_else(|| Instead::fail(shown()))
    };
    let jobs = jobs.iter().map(text).collect::<Result<_, _>>()?;
    Ok((named.cloned().unwrap_or_else(|| USUAL_FILE.into()), jobs))
}

fn is_file(word: &OsStr) -> bool {
    let bytes = word.as_bytes();
    // An item may hold a slash.
    let names_task = word.to_str().is_some_and(|word| split_operand(word).1.is_some());
    !names_task && (bytes == b"-" || bytes.contains(&b'/') || bytes.ends_with(b".toml"))
}

/// Reads the job file `name` (`-`: stdin). `first_job` is the first job that was typed; if the file is
/// missing, it may have been meant as a file or a command.
pub fn read(name: &OsStr, first_job: Option<&String>) -> Result<Vec<u8>, Instead> {
    let mut bytes = Vec::new();
    // Rust's own stdin would read a descriptor that is closed as an empty file.
    let file = match name.as_bytes() {
        b"-" => std_streams::stdin().try_clone_to_owned().map(File::from),
        _ => File::open(name),
    };
    match file.and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes)) {
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

/// Returns how to plan a file that `prun check` or `prun graph` looks at and nobody runs: `{args}` stands for
/// some argument.
pub fn inspection(name: &OsStr, define: &[OsString], jobs: Vec<String>) -> Result<BuildOptions, Instead> {
    Ok(BuildOptions {
        file_name: name.to_string_lossy().into_owned(),
        base: folder(name)?,
        cpus: limits::cpus(),
        vars: definitions(define)?,
        args: vec![b"ARG".to_vec()],
        jobs,
        ..BuildOptions::default()
    })
}

/// Returns the folder that paths in the job file are relative to.
pub fn folder(name: &OsStr) -> Result<PathBuf, Instead> {
    let path = if name == "-" { std::env::current_dir() } else { std::path::absolute(name) };
    let path = path.map_err(|why| Instead::no_working_directory(&why))?;
    Ok(if name == "-" { path } else { path.parent().map(Path::to_owned).unwrap_or(path) })
}

/// Splits the values of `--define` into names and values.
pub fn definitions(words: &[OsString]) -> Result<Vec<(String, String)>, Instead> {
    words.iter().map(|word| definition(word)).collect()
}

fn definition(word: &OsStr) -> Result<(String, String), Instead> {
    let pair = word.to_str().and_then(|word| word.split_once('='));
    let pair = pair.filter(|(name, _)| !name.is_empty());
    let (name, value) = pair.ok_or_else(|| {
        let shown = escape(word.as_bytes());
        Instead::fail(format_args!("`--define {shown}`: expected `NAME=VALUE`"))
    })?;
    Ok((name.into(), value.into()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn split(line: &str) -> (String, Vec<String>) {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let (file, jobs) = operands(&words).unwrap();
        (file.into_string().unwrap(), jobs)
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
    fn mistakes_of_operands_and_variables() {
        let exec = operands(&["exec".into(), "true".into()]).unwrap_err();
        assert_eq!(exec, Instead::fail("`exec` comes before its options: `prun exec [OPTIONS] COMMAND`"));
        for word in ["x", "=1", ""] {
            assert!(definition(OsStr::new(word)).is_err(), "{word}");
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
}
