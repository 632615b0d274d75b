//! The report at the end of a run that failed or was stopped: the first failure in full, then the others, a
//! line each, then skipped jobs and tasks with the reason, then counts. Pure.

use crate::event::{Detail, Outcome, Summary};

use super::phrases;

/// The most lines of a kind that the report on the terminal has: further failures, skipped jobs, jobs without
/// items.
const LINES: usize = 20;

/// The most bytes of further lines of a kind that are kept for a whole report. Nobody reads more.
const MOST_BYTES: usize = 64 << 20;

/// The most lines of a task's stderr that are shown.
const STDERR_LINES: usize = 10;

/// Collects what the report needs, in bounded memory.
#[derive(Debug, Default)]
pub struct Report {
    first: Option<First>,
    others: FirstLines,
    skipped: FirstLines,
    /// Tasks that did not end when they were told to.
    killed: FirstLines,
    /// Jobs that had no items.
    empty: FirstLines,
    /// The number of tasks that ended ok in an earlier run.
    before: u64,
    /// True if a job was skipped whose skipping fails the run.
    skip_failed: bool,
}

/// The first failure in time. Tasks that prun cancelled or skipped because of it are not failures, so it is
/// the root cause.
#[derive(Debug)]
struct First {
    name: String,
    how: Outcome,
    detail: Detail,
}

/// The first [`LINES`] lines of a kind, and the number of the others.
#[derive(Debug, Default)]
struct FirstLines {
    lines: Vec<String>,
    /// The number of lines after the first ones.
    more: u64,
    /// The lines after the first ones, up to [`MOST_BYTES`]; `None` if no whole report is wanted.
    rest: Option<Vec<String>>,
    /// The size of `rest`.
    bytes: usize,
}

impl FirstLines {
    fn push(&mut self, line: impl FnOnce() -> String) {
        if self.lines.len() < LINES {
            return self.lines.push(line());
        }
        self.more += 1;
        if let Some(rest) = self.rest.as_mut().filter(|_| self.bytes < MOST_BYTES) {
            let line = line();
            self.bytes += line.len();
            rest.push(line);
        }
    }

    /// Appends the lines, each with `what` before it: the first ones, or all that are kept if `whole`.
    fn tell(&self, what: &str, whole: bool, out: &mut Vec<String>) {
        let rest = self.rest.iter().flatten().filter(|_| whole);
        let first = out.len() + self.lines.len();
        out.extend(self.lines.iter().chain(rest).map(|line| format!("{what}: {line}")));
        let more = self.more - (out.len() - first) as u64;
        if more > 0 {
            out.push(format!("{what}: {more} more"));
        }
    }
}

impl Report {
    /// Keeps what [`Report::whole`] needs.
    pub fn keep_all(&mut self) {
        for list in [&mut self.others, &mut self.skipped, &mut self.killed, &mut self.empty] {
            list.rest = Some(Vec::new());
        }
    }

    /// Notes how a task, or a job, ended.
    pub fn ended(&mut self, name: impl FnOnce() -> String, how: &Outcome, detail: Option<&Detail>) {
        if !how.is_failure() {
            return;
        }
        let detail = detail.cloned().unwrap_or_default();
        if self.first.is_none() {
            self.first = Some(First { name: name(), how: how.clone(), detail });
        } else {
            self.others.push(|| format!("{}: {}", name(), phrases::failure(how, &detail)));
        }
    }

    /// Notes a job or a task that was skipped.
    pub fn skipped(&mut self, name: String, why: &str) {
        self.skipped.push(|| format!("{name}: {}", phrases::escape(why.as_bytes())));
    }

    /// Notes who did not end when it was told to, as a whole line.
    pub fn killed(&mut self, line: String) {
        self.killed.push(|| line);
    }

    /// Notes tasks that ended ok in an earlier run.
    pub fn before(&mut self, count: u64) {
        self.before += count;
    }

    /// Notes a job that had no items.
    pub fn without_items(&mut self, name: String) {
        self.empty.push(|| name);
    }

    /// Notes that the run fails because a job was skipped.
    pub fn failed_by_skip(&mut self) {
        self.skip_failed = true;
    }

    /// True if something has failed so far.
    pub fn has_failure(&self) -> bool {
        self.first.is_some() || self.skip_failed
    }

    /// Returns the lines of the report. A line that begins with a blank continues the line above it.
    pub fn lines(&self, summary: &Summary) -> Vec<String> {
        self.tell(summary, false)
    }

    /// Returns the same without leaving anything out.
    pub fn whole(&self, summary: &Summary) -> Vec<String> {
        self.tell(summary, true)
    }

    fn tell(&self, summary: &Summary, whole: bool) -> Vec<String> {
        let mut out = Vec::new();
        if let Some(first) = &self.first {
            first.tell(!self.others.lines.is_empty(), &mut out);
        }
        self.others.tell("also failed", whole, &mut out);
        self.skipped.tell("skipped", whole, &mut out);
        self.tell_killed(whole, &mut out);
        self.empty.tell("had no items", whole, &mut out);
        let counts = phrases::counts(summary, self.before);
        out.push(match summary.signal {
            Some(signal) => format!("stopped by {}: {counts}", phrases::signal_name(signal)),
            None => counts,
        });
        out
    }

    /// Returns the lines for a run without failures.
    pub fn success(&self, summary: &Summary) -> Vec<String> {
        let mut out = Vec::new();
        self.empty.tell("had no items", false, &mut out);
        self.tell_killed(false, &mut out);
        out.push(phrases::counts(summary, self.before));
        out
    }

    /// Appends who was killed after its grace period. The lines say that themselves.
    fn tell_killed(&self, whole: bool, out: &mut Vec<String>) {
        let mut lines = Vec::new();
        self.killed.tell("", whole, &mut lines);
        out.extend(lines.into_iter().map(|line| line.trim_start_matches(": ").to_owned()));
    }
}

impl First {
    fn tell(&self, of_several: bool, out: &mut Vec<String>) {
        let what = if of_several { "first failure" } else { "failed" };
        out.push(format!("{what}: {}: {}", self.name, phrases::failure(&self.how, &self.detail)));
        if self.detail.stages.len() > 1 {
            out.push(format!("  stages  {}", phrases::stages(&self.detail.stages)));
        }
        if let Some(usage) = self.detail.usage {
            out.push(format!("  used    {}", phrases::usage(usage)));
        }
        for (at, line) in tail(&self.detail.stderr_tail).iter().enumerate() {
            out.push(format!("  {}  {line}", if at == 0 { "stderr" } else { "      " }));
        }
        if let Some(rerun) = &self.detail.rerun {
            // It is pasted into a shell, to which a line end within quotes is one.
            let parts: Vec<String> = rerun.split('\n').map(|part| phrases::escape(part.as_bytes())).collect();
            out.push(format!("  rerun   {}", parts.join("\n")));
            if !self.detail.rerun_without.is_empty() {
                let names = self.detail.rerun_without.join(", ");
                out.push(format!(
                    "          without {}, which the task had in its environment",
                    phrases::escape(names.as_bytes())
                ));
            }
        }
    }
}

/// Returns the last lines of stderr, without colours and harmless. Well-formed escape sequences are removed
/// rather than spelt out, because compilers and test runners colour their output.
fn tail(stderr: &[u8]) -> Vec<String> {
    let plain = anstream::adapter::strip_bytes(stderr).into_vec();
    let text = plain.trim_ascii_end();
    let lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).collect();
    let shown = &lines[lines.len().saturating_sub(STDERR_LINES)..];
    shown.iter().map(|line| phrases::escape(line.strip_suffix(b"\r").unwrap_or(line))).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::{Exit, Usage};

    fn detail() -> Detail {
        Detail {
            command: "curl -f 'http://x'".into(),
            rerun: Some("curl -f 'http://x'".into()),
            attempts: 1,
            elapsed: Duration::from_millis(1200),
            usage: Some(Usage {
                user: Duration::from_millis(350),
                system: Duration::from_millis(7),
                memory: 4_200_000,
            }),
            stderr_tail: b"\x1b[31merror\x1b[0m: no\r\n\nhost\xe2\x80\xae\n".to_vec(),
            ..Detail::default()
        }
    }

    fn summary() -> Summary {
        Summary { ok: 3, failed: 2, skipped: 1, elapsed: Duration::from_secs(2), ..Summary::default() }
    }

    #[test]
    fn the_first_root_cause_comes_first() {
        let mut report = Report::default();
        report.ended(|| "a[1]".into(), &Outcome::Cancelled, None);
        report.ended(|| "a[2]".into(), &Outcome::Failed(22), Some(&detail()));
        report.ended(|| "a[3]".into(), &Outcome::Timeout, Some(&detail()));
        report.skipped("b".into(), "`a` failed");
        let expected = [
            "first failure: a[2]: exit 22 (1.2 s)",
            "  used    user 0.35 s, system 7 ms, 4.2 MB",
            "  stderr  error: no",
            "          host\\u{202e}",
            "  rerun   curl -f 'http://x'",
            "also failed: a[3]: timeout (1.2 s)",
            "skipped: b: `a` failed",
            "3 ok, 2 failed, 1 skipped (2.0 s)",
        ];
        assert_eq!(report.lines(&summary()), expected);
    }

    #[test]
    fn stages_and_the_way_to_rerun_are_told() {
        let mut report = Report::default();
        let stages = vec![("p:1".into(), Some(Exit::Code(0))), ("p:2".into(), Some(Exit::Code(3)))];
        let detail = Detail { stages, rerun: Some("prun x.toml p".into()), stderr_tail: vec![], ..detail() };
        report.ended(|| "p".into(), &Outcome::Failed(3), Some(&detail));
        let lines = report.lines(&Summary { signal: Some(15), ..summary() });
        let expected = [
            "failed: p: exit 3 (1.2 s)",
            "  stages  p:1: exit 0 | p:2: exit 3",
            "  used    user 0.35 s, system 7 ms, 4.2 MB",
            "  rerun   prun x.toml p",
            "stopped by SIGTERM: 3 ok, 2 failed, 1 skipped (2.0 s)",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_thousand_failures_stay_readable() {
        let mut report = Report::default();
        for _ in 0..1000 {
            report.ended(|| "a".into(), &Outcome::Failed(1), Some(&detail()));
        }
        let lines = report.lines(&summary());
        assert_eq!(lines.iter().filter(|line| line.starts_with("also failed: a:")).count(), LINES);
        assert!(lines.contains(&"also failed: 979 more".to_string()), "{lines:#?}");
    }

    #[test]
    fn a_whole_report_leaves_nothing_out() {
        let mut report = Report::default();
        report.keep_all();
        for n in 0..1000 {
            report.ended(|| format!("a[{n}]"), &Outcome::Failed(1), Some(&detail()));
        }
        let lines = report.whole(&summary());
        assert_eq!(lines.iter().filter(|line| line.starts_with("also failed: a[")).count(), 999);
        assert_eq!(lines.last().unwrap(), "3 ok, 2 failed, 1 skipped (2.0 s)");
        let lines = report.lines(&summary());
        assert!(lines.contains(&"also failed: 979 more".to_string()), "{lines:#?}");
    }

    #[test]
    fn only_the_last_lines_of_stderr() {
        let text: String = (1..=100).map(|n| format!("line {n}\n")).collect();
        let lines = tail(text.as_bytes());
        assert_eq!((lines.len(), lines[0].as_str()), (STDERR_LINES, "line 91"));
        assert!(tail(b"\n\n").is_empty());
    }
}
