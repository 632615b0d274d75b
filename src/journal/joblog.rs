//! The same tasks in the format of GNU parallel's `--joblog`, for tools that read it.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Entry;
use crate::event::{Outcome, SIGTERM};
use crate::os::errors::reason;
use crate::os::files::{self, OutputFile};

/// The first line of a joblog.
pub const HEADER: &[u8] = b"Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

/// The joblog of this run.
#[derive(Debug)]
pub struct Joblog {
    path: PathBuf,
    file: File,
}

/// Opens a joblog. Without `append` its former content is removed.
pub fn open(path: &Path, append: bool) -> Result<Joblog, String> {
    let failed = |error: io::Error| format!("could not open `{}`: {}", path.display(), reason(&error));
    let OutputFile { file, is_regular, .. } = files::open_own_output(path).map_err(failed)?;
    let mut is_new = true;
    if is_regular && append {
        is_new = file.metadata().map_err(failed)?.len() == 0;
        files::set_append(&file);
    } else if is_regular {
        file.set_len(0).map_err(failed)?;
    }
    let mut joblog = Joblog { path: path.to_owned(), file };
    if is_new {
        joblog.append(HEADER)?;
    }
    Ok(joblog)
}

impl Joblog {
    /// Appends whole lines.
    pub fn append(&mut self, lines: &[u8]) -> Result<(), String> {
        let written = self.file.write_all(lines);
        written.map_err(|error| format!("could not write `{}`: {}", self.path.display(), reason(&error)))
    }
}

/// Appends the line of a task. Cancelled and skipped tasks have no line, as with GNU parallel.
pub fn line(entry: &Entry, out: &mut Vec<u8>) {
    let Some((exit, signal)) = status(&entry.outcome) else { return };
    let (started, elapsed) = (milliseconds(entry.started), milliseconds(entry.elapsed));
    write!(out, "{}\t:\t{started}\t{elapsed:>10}\t0\t{}\t{exit}\t{signal}\t", entry.seq, entry.received)
        .expect("a Vec takes all that is written");
    // Each task is one line, so a newline is written as a NUL.
    out.extend(entry.command.bytes().map(|byte| if byte == b'\n' { 0 } else { byte }));
    out.push(b'\n');
}

/// Returns the exit code and the signal of an outcome.
pub fn status(outcome: &Outcome) -> Option<(i32, i32)> {
    match outcome {
        Outcome::Ok => Some((0, 0)),
        Outcome::Failed(code) => Some((i32::from(*code), 0)),
        Outcome::Killed(signal) => Some((0, *signal)),
        Outcome::Timeout => Some((-1, SIGTERM)),
        Outcome::Fault(_) => Some((1, 0)),
        Outcome::NotStarted(failure) => Some((i32::from(failure.code), 0)),
        Outcome::Cancelled | Outcome::Skipped => None,
    }
}

/// Formats a time as seconds with three decimals.
pub fn milliseconds(time: Duration) -> String {
    format!("{}.{:03}", time.as_secs(), time.subsec_millis())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::event::{Key, Known, StartFailure};

    fn told(outcome: Outcome, command: &str) -> String {
        let entry = Entry {
            tasks: vec![Known { key: Key(1), nth: 1 }],
            job: "sh".into(),
            seq: 3,
            item: "c".into(),
            command: command.into(),
            outcome,
            attempts: 1,
            started: Duration::from_micros(1_795_270_289_189_999),
            elapsed: Duration::from_micros(6_999),
            usage: None,
            received: 2,
            run: "r".into(),
        };
        let mut out = Vec::new();
        line(&entry, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_as_gnu_parallel_writes_them() {
        assert_eq!(
            told(Outcome::Killed(9), "echo c;\tkill -9 $$\nx"),
            "3\t:\t1795270289.189\t     0.006\t0\t2\t0\t9\techo c;\tkill -9 $$\0x\n"
        );
    }

    #[test]
    fn outcomes_as_exit_code_and_signal() {
        let missing = Outcome::NotStarted(Arc::new(StartFailure { code: 127, why: "x".into() }));
        let cases = [
            (Outcome::Ok, "\t2\t0\t0\tc\n"),
            (Outcome::Failed(22), "\t2\t22\t0\tc\n"),
            (Outcome::Timeout, "\t2\t-1\t15\tc\n"),
            (Outcome::Fault("x".into()), "\t2\t1\t0\tc\n"),
            (missing, "\t2\t127\t0\tc\n"),
        ];
        for (outcome, end) in cases {
            assert!(told(outcome.clone(), "c").ends_with(end), "{outcome:?}");
        }
        assert_eq!(told(Outcome::Cancelled, "c") + &told(Outcome::Skipped, "c"), "");
    }
}
