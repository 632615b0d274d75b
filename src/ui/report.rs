//! The end of a run that failed or was stopped: the first root cause in full, then the other failures a line
//! each, then what was skipped and why, then counts. Pure.

use crate::event::{Detail, Outcome, Summary};

use super::phrases;

/// Failures after the first that get a line of their own; skipped jobs likewise.
const LINES: usize = 20;

/// What is kept for a whole report beside these; no person reads as much.
const MOST_BYTES: usize = 64 << 20;

/// Lines of a task's stderr that are shown.
const STDERR_LINES: usize = 10;

/// Collects what the report needs, in bounded memory.
#[derive(Debug, Default)]
pub struct Report {
    first: Option<First>,
    others: Some20,
    skipped: Some20,
    /// Jobs that had no items.
    empty: Some20,
    /// Tasks that ended ok in an earlier run.
    before: u64,
}

/// The first failure in time: what prun cancelled or skipped because of it is none, so it is the root cause.
#[derive(Debug)]
struct First {
    name: String,
    how: Outcome,
    detail: Detail,
}

/// The first 20 lines, and how many more there were.
#[derive(Debug, Default)]
struct Some20 {
    lines: Vec<String>,
    more: u64,
    /// Those behind them are kept as well, for the whole report; as many as there is room for.
    behind: Option<Vec<String>>,
    bytes: usize,
}

impl Some20 {
    fn push(&mut self, line: impl FnOnce() -> String) {
        if self.lines.len() < LINES {
            return self.lines.push(line());
        }
        self.more += 1;
        if let Some(behind) = self.behind.as_mut().filter(|_| self.bytes < MOST_BYTES) {
            let line = line();
            self.bytes += line.len();
            behind.push(line);
        }
    }

    /// `whole`: all that are known.
    fn tell(&self, what: &str, whole: bool, out: &mut Vec<String>) {
        let behind = self.behind.iter().flatten().filter(|_| whole);
        let before = out.len() + self.lines.len();
        out.extend(self.lines.iter().chain(behind).map(|line| format!("{what}: {line}")));
        let more = self.more - (out.len() - before) as u64;
        if more > 0 {
            out.push(format!("{what}: {more} more"));
        }
    }
}

impl Report {
    /// [`Report::whole`] will be asked for.
    pub fn keep_all(&mut self) {
        for list in [&mut self.others, &mut self.skipped, &mut self.empty] {
            list.behind = Some(Vec::new());
        }
    }

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

    pub fn skipped(&mut self, name: String, why: &str) {
        self.skipped.push(|| format!("{name}: {}", phrases::escape(why.as_bytes())));
    }

    pub fn before(&mut self, count: u64) {
        self.before += count;
    }

    pub fn without_items(&mut self, name: String) {
        self.empty.push(|| name);
    }

    /// Something failed so far.
    pub fn has_failure(&self) -> bool {
        self.first.is_some()
    }

    /// The lines of the report. Those that begin with a blank belong to the line above them.
    pub fn lines(&self, summary: &Summary) -> Vec<String> {
        self.tell(summary, false)
    }

    /// The same without leaving anything out.
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
        self.empty.tell("had no items", whole, &mut out);
        let counts = phrases::counts(summary, self.before);
        out.push(match summary.signal {
            Some(signal) => format!("stopped by {}: {counts}", phrases::signal_name(signal)),
            None => counts,
        });
        out
    }

    /// The one line about a run in which all went well.
    pub fn success(&self, summary: &Summary) -> Vec<String> {
        let mut out = Vec::new();
        self.empty.tell("had no items", false, &mut out);
        out.push(phrases::counts(summary, self.before));
        out
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
            out.push(format!("  rerun   {}", phrases::escape(rerun.as_bytes())));
        }
    }
}

/// The last lines, without colours and harmless. Well-formed escape sequences are taken out rather than spelt
/// out: compilers and test runners colour what they say.
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
