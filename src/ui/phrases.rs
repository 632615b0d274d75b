//! All wording for people, in one place. Pure.
//!
//! Messages begin with `prun: `, are in lower case and have no full stop: what happened, to what, why. Names,
//! items, commands and children's output are of unknown origin, so whatever could act on a terminal is escaped
//! here, before anything else sees it.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use nix::sys::signal::Signal;
use unicode_width::UnicodeWidthChar;

use crate::event::{Detail, Exit, JobInfo, Outcome, Summary, TaskName, Usage};

/// Text of unknown origin, harmless on a terminal: control characters, and those that turn the direction of
/// writing, are spelt out; what is no UTF-8 becomes `\xNN`.
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push_escaped(&mut out, c));
        for byte in chunk.invalid() {
            _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

fn push_escaped(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        '\r' => out.push_str("\\r"),
        '\0'..='\x1f' | '\x7f' => _ = write!(out, "\\x{:02x}", c as u32),
        '\u{80}'..='\u{9f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => {
            _ = write!(out, "\\u{{{:x}}}", c as u32);
        }
        _ => out.push(c),
    }
}

/// `text`, at most `columns` wide; what is cut away becomes an ellipsis.
pub fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    let mut width = 0;
    // Where to cut so that the ellipsis still fits.
    let mut end = 0;
    for (at, c) in text.char_indices() {
        if width < columns {
            end = at;
        }
        width += c.width().unwrap_or(0);
        if width > columns {
            return Cow::Owned(if columns == 0 { String::new() } else { text[..end].to_string() + "…" });
        }
    }
    Cow::Borrowed(text)
}

/// `fetch[3]` for a task of `each` or `repeat`, `build` for a job that is one task.
pub fn task(job: &JobInfo, task: &TaskName) -> String {
    let name = escape(job.name.as_bytes());
    if job.many { format!("{name}[{}]", task.seq) } else { name }
}

/// `exit 22`, `killed by SIGKILL`, `timeout`, …
pub fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Ok => "ok".into(),
        Outcome::Failed(code) => format!("exit {code}"),
        Outcome::Killed(signal) => format!("killed by {}", signal_name(*signal)),
        Outcome::Timeout => "timeout".into(),
        Outcome::NotStarted(failure) => format!("not started: {}", escape(failure.why.as_bytes())),
        Outcome::Fault(why) => escape(why.as_bytes()),
        Outcome::Cancelled => "cancelled".into(),
        Outcome::Skipped => "skipped".into(),
    }
}

/// How a task failed, with the attempts that it took and how long the last one ran: `exit 22 after 3 attempts
/// (1.2 s)`; and what it died of, if that is known: `killed by SIGXCPU (2.1 s): used up its cpu limit of 2s`.
pub fn failure(how: &Outcome, detail: &Detail) -> String {
    failure_with(how, detail, None)
}

/// The same with what the last attempt used, if that is known.
pub fn failure_in_full(how: &Outcome, detail: &Detail) -> String {
    failure_with(how, detail, detail.usage)
}

fn failure_with(how: &Outcome, detail: &Detail, usage: Option<Usage>) -> String {
    let mut text = outcome(how);
    if detail.attempts > 1 {
        _ = write!(text, " after {} attempts", detail.attempts);
    }
    if !matches!(how, Outcome::NotStarted(_)) {
        _ = write!(text, " ({})", took(detail.elapsed, usage));
    }
    if let Some(hint) = &detail.hint {
        _ = write!(text, ": {}", escape(hint.as_bytes()));
    }
    text
}

/// `user 0.8 s, system 0.1 s, 34.0 MB`: what it used of the processors, and of memory at most.
pub fn usage(usage: Usage) -> String {
    format!("{}, {}", cpu(usage), size(usage.memory))
}

/// `user 0.8 s, system 0.1 s`.
pub fn cpu(usage: Usage) -> String {
    format!("user {}, system {}", duration(usage.user), duration(usage.system))
}

/// `34.0 MB`.
pub fn size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().si().to_string()
}

/// `1.2 s, user 0.8 s, system 0.1 s, 34.0 MB`.
pub fn took(elapsed: Duration, used: Option<Usage>) -> String {
    let used = used.map_or_else(String::new, |used| format!(", {}", usage(used)));
    format!("{}{used}", duration(elapsed))
}

/// Each stage of a pipeline and how it ended: `a: exit 0 | b: exit 3`.
pub fn stages(stages: &[(String, Option<Exit>)]) -> String {
    let one = |(name, exit): &(String, Option<Exit>)| {
        let how = match exit {
            Some(Exit::Code(code)) => format!("exit {code}"),
            Some(Exit::Signal(signal)) => signal_name(*signal),
            None => "not started".into(),
        };
        format!("{}: {how}", escape(name.as_bytes()))
    };
    stages.iter().map(one).collect::<Vec<_>>().join(" | ")
}

/// `SIGTERM`; numbers that have no name are real-time signals.
pub fn signal_name(signal: i32) -> String {
    Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |known| known.as_str().into())
}

/// `7 ms`, `0.35 s`, `1.2 s`, `45 s`, `3 min 20 s`, `2 h 05 min`: as many digits as people read.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let whole = time.as_secs();
    match whole {
        0 if time.as_millis() < 100 => format!("{} ms", time.as_millis()),
        0 if time.as_millis() < 995 => format!("{seconds:.2} s"),
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// For estimates, which have no tenths.
fn whole_seconds(time: Duration) -> String {
    match time.as_secs_f64().ceil() as u64 {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => duration(Duration::from_secs(seconds)),
    }
}

/// `1 task`, `3 tasks`.
pub fn tasks(count: u64) -> String {
    format!("{count} {}", if count == 1 { "task" } else { "tasks" })
}

/// The last line of a run: `38 ok, 2 failed, 1 skipped (12.3 s)`. Of those that are ok, so many were so `before`.
pub fn counts(summary: &Summary, before: u64) -> String {
    let known = if before > 0 { format!(" ({before} before)") } else { String::new() };
    let mut parts = vec![format!("{} ok{known}", summary.ok)];
    for (count, what) in
        [(summary.failed, "failed"), (summary.cancelled, "cancelled"), (summary.skipped, "skipped")]
    {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    format!("{} ({})", parts.join(", "), duration(summary.elapsed))
}

/// How far a run is, as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    pub done: u64,
    pub failed: u64,
    pub running: usize,
    /// `None` while items are still being read.
    pub total: Option<u64>,
    pub elapsed: Duration,
}

impl Standing {
    fn per_second(&self) -> f64 {
        self.done as f64 / self.elapsed.as_secs_f64().max(0.001)
    }

    /// When it will be over, if it goes on like this.
    fn left(&self) -> Option<Duration> {
        let to_do = self.total?.checked_sub(self.done)?;
        (self.done > 0).then(|| Duration::from_secs_f64((to_do as f64 / self.per_second()).min(1e9)))
    }
}

/// `12/40, 3.2/s, 9 s left, 1 failed`; without a known total `12 done, 3.2/s`.
pub fn standing(standing: &Standing) -> String {
    let mut text = match standing.total {
        Some(total) => format!("{}/{total}", standing.done),
        None => format!("{} done", standing.done),
    };
    if standing.done > 0 {
        let rate = standing.per_second();
        _ = if rate < 10.0 { write!(text, ", {rate:.1}/s") } else { write!(text, ", {rate:.0}/s") };
    }
    if let Some(left) = standing.left() {
        _ = write!(text, ", {} left", whole_seconds(left));
    }
    if standing.failed > 0 {
        _ = write!(text, ", {} failed", standing.failed);
    }
    text
}

/// The same for a log, in which no running tasks are shown: `12/40, 3.2/s, 4 running`.
pub fn standing_and_running(now: &Standing) -> String {
    format!("{}, {} running", standing(now), now.running)
}

/// `exit 22, attempt 2 in 1.0 s`: what follows a failed attempt.
pub fn retrying(how: &Outcome, attempt: u32, delay: Duration) -> String {
    let when = if delay.is_zero() { "now".into() } else { format!("in {}", duration(delay)) };
    format!("{}, attempt {} {when}", outcome(how), attempt + 1)
}

/// `exit 22, starting it again in 1.0 s`: what follows the end of a daemon.
pub fn restarting(how: &Outcome, delay: Duration) -> String {
    let when = if delay.is_zero() { "now".into() } else { format!("in {}", duration(delay)) };
    let how = if *how == Outcome::Ok { "ended".into() } else { outcome(how) };
    format!("{how}, starting it again {when}")
}

/// One running task under the bar: how long it runs, its name, its item.
pub fn running(name: &str, item: &str, time: Duration, columns: usize) -> String {
    // Tenths at all times, so that the column stands still.
    let time = if time.as_secs() < 60 { format!("{:.1} s", time.as_secs_f64()) } else { duration(time) };
    let line = format!("{time:>12}  {name} {}", escape(item.as_bytes()));
    cut(line.trim_end(), columns).into_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::event::StartFailure;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn nothing_acts_on_a_terminal() {
        assert_eq!(escape(b"a\x1b[31mb\x07\x7f\n\t\r"), "a\\x1b[31mb\\x07\\x7f\\n\\t\\r");
        assert_eq!(escape("\u{9b}1m\u{202e}x".as_bytes()), "\\u{9b}1m\\u{202e}x");
        assert_eq!(escape(b"\xff\xfe ok"), "\\xff\\xfe ok");
        assert_eq!(escape("größer 漢字".as_bytes()), "größer 漢字");
    }

    #[test]
    fn cutting_keeps_to_the_width() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdef", 5), "abcd…");
        assert_eq!(cut("漢字漢字", 8), "漢字漢字");
        assert_eq!(cut("漢字漢字", 7), "漢字漢…");
        assert_eq!(cut("漢字漢字", 6), "漢字…");
        assert_eq!(cut("abc", 1), "…");
        assert_eq!(cut("abc", 0), "");
    }

    #[test]
    fn failures_in_words() {
        let mut detail = Detail { attempts: 1, elapsed: seconds(1.23), ..Detail::default() };
        assert_eq!(failure(&Outcome::Failed(22), &detail), "exit 22 (1.2 s)");
        detail.attempts = 3;
        assert_eq!(failure(&Outcome::Killed(9), &detail), "killed by SIGKILL after 3 attempts (1.2 s)");
        assert_eq!(failure(&Outcome::Timeout, &detail), "timeout after 3 attempts (1.2 s)");
        let why = Arc::new(StartFailure { code: 127, why: "`x\x1b`: no such file or directory".into() });
        detail.attempts = 1;
        assert_eq!(
            failure(&Outcome::NotStarted(why), &detail),
            "not started: `x\\x1b`: no such file or directory"
        );
        assert_eq!(signal_name(40), "signal 40");
    }

    #[test]
    fn durations_have_few_digits() {
        let cases = [
            (0.0, "0 ms"),
            (0.0068, "6 ms"),
            (0.349, "0.35 s"),
            (0.999, "1.0 s"),
            (9.84, "9.8 s"),
            (59.9, "59 s"),
            (200.0, "3 min 20 s"),
            (7500.0, "2 h 05 min"),
        ];
        for (time, text) in cases {
            assert_eq!(duration(seconds(time)), text);
        }
    }

    #[test]
    fn standing_without_and_with_a_total() {
        let mut now = Standing { done: 0, elapsed: seconds(1.0), ..Standing::default() };
        assert_eq!(standing(&now), "0 done");
        now = Standing { done: 20, failed: 2, running: 4, total: None, elapsed: seconds(4.0) };
        assert_eq!(standing(&now), "20 done, 5.0/s, 2 failed");
        now.total = Some(40);
        assert_eq!(standing(&now), "20/40, 5.0/s, 4 s left, 2 failed");
        assert_eq!(standing_and_running(&now), "20/40, 5.0/s, 4 s left, 2 failed, 4 running");
    }

    #[test]
    fn running_tasks_stay_in_their_columns() {
        assert_eq!(running("a[1]", "x\x1b", seconds(0.04), 40), "       0.0 s  a[1] x\\x1b");
        assert_eq!(running("a", "", seconds(75.0), 40), "  1 min 15 s  a");
        assert_eq!(running("a[1]", "long item", seconds(2.0), 20), "       2.0 s  a[1] …");
    }

    #[test]
    fn another_attempt_and_when() {
        assert_eq!(retrying(&Outcome::Failed(2), 1, seconds(1.0)), "exit 2, attempt 2 in 1.0 s");
        assert_eq!(retrying(&Outcome::Timeout, 2, Duration::ZERO), "timeout, attempt 3 now");
        assert_eq!(restarting(&Outcome::Failed(2), seconds(1.0)), "exit 2, starting it again in 1.0 s");
        assert_eq!(restarting(&Outcome::Ok, Duration::ZERO), "ended, starting it again now");
    }

    #[test]
    fn pipelines_tell_each_stage() {
        let ends =
            [("a:1".into(), Some(Exit::Signal(13))), ("a:2".into(), Some(Exit::Code(3))), ("b".into(), None)];
        assert_eq!(stages(&ends), "a:1: SIGPIPE | a:2: exit 3 | b: not started");
    }
}
