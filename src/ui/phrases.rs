//! The wording of messages about a run, in one place. Pure.
//!
//! Messages begin with `prun: `, are in lower case and have no full stop: what happened, to what, why. Names,
//! items, commands and children's output are of unknown origin, so everything in them that could act on a
//! terminal is escaped here.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use nix::sys::signal::Signal;
use unicode_width::UnicodeWidthChar;

use crate::event::{Detail, Exit, JobInfo, Outcome, Summary, TaskName, Usage};

/// Makes text of unknown origin harmless on a terminal: control characters, and those that change the
/// direction of writing, are spelt out; bytes that are not UTF-8 become `\xNN`.
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

/// Returns `text`, cut to at most `columns`, with an ellipsis in place of the rest.
pub fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    let mut width = 0;
    // The place to cut so that the ellipsis still fits.
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

/// Returns `fetch[3]` for a task of `each` or `repeat`, `build` for a job that is one task.
pub fn task(job: &JobInfo, task: &TaskName) -> String {
    let name = escape(job.name.as_bytes());
    if job.many { format!("{name}[{}]", task.seq) } else { name }
}

/// Returns `exit 22`, `killed by SIGKILL`, `timeout`, …
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

/// Returns how a task failed, the number of attempts, and how long the last one ran: `exit 22 after 3
/// attempts (1.2 s)`. The cause of death follows if it is known: `killed by SIGXCPU (2.1 s): used up its cpu
/// limit of 2s`.
pub fn failure(how: &Outcome, detail: &Detail) -> String {
    failure_with(how, detail, None)
}

/// Returns the same with the resources that the last attempt used, if they are known.
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

/// Returns `user 0.8 s, system 0.1 s, 34.0 MB`: CPU time and peak memory.
pub fn usage(usage: Usage) -> String {
    format!("{}, {}", cpu(usage), size(usage.memory))
}

/// Returns `user 0.8 s, system 0.1 s`.
pub fn cpu(usage: Usage) -> String {
    format!("user {}, system {}", duration(usage.user), duration(usage.system))
}

/// Returns `34.0 MB`.
pub fn size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().si().to_string()
}

/// Returns `1.2 s, user 0.8 s, system 0.1 s, 34.0 MB`.
pub fn took(elapsed: Duration, used: Option<Usage>) -> String {
    let used = used.map_or_else(String::new, |used| format!(", {}", usage(used)));
    format!("{}{used}", duration(elapsed))
}

/// Returns each stage of a pipeline and how it ended: `a: exit 0 | b: exit 3`.
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

/// Returns `SIGTERM`. Numbers without a name are real-time signals.
pub fn signal_name(signal: i32) -> String {
    Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |known| known.as_str().into())
}

/// Returns `7 ms`, `0.35 s`, `1.2 s`, `45 s`, `3 min 20 s` or `2 h 05 min`: two or three significant digits.
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

/// Returns an estimate, which has no tenths of seconds.
fn whole_seconds(time: Duration) -> String {
    match time.as_secs_f64().ceil() as u64 {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => duration(Duration::from_secs(seconds)),
    }
}

/// Returns `1 task`, `3 tasks`.
pub fn tasks(count: u64) -> String {
    format!("{count} {}", if count == 1 { "task" } else { "tasks" })
}

/// Returns the last line of a run: `38 ok, 2 failed, 1 skipped (12.3 s)`. `before` of the tasks that are ok
/// ended in an earlier run.
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

/// The progress of a run in numbers.
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

    /// Estimates the time that is left from the rate so far.
    fn left(&self) -> Option<Duration> {
        let to_do = self.total?.checked_sub(self.done)?;
        (self.done > 0).then(|| Duration::from_secs_f64((to_do as f64 / self.per_second()).min(1e9)))
    }
}

/// Returns `12/40, 3.2/s, 9 s left, 1 failed`; without a known total `12 done, 3.2/s`.
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

/// Returns the same for a log, which does not list the running tasks: `12/40, 3.2/s, 4 running`.
pub fn standing_and_running(now: &Standing) -> String {
    format!("{}, {} running", standing(now), now.running)
}

/// Returns `exit 22, attempt 2 in 1.0 s`: a failed attempt and the next one.
pub fn retrying(how: &Outcome, attempt: u32, delay: Duration) -> String {
    let when = if delay.is_zero() { "now".into() } else { format!("in {}", duration(delay)) };
    format!("{}, attempt {} {when}", outcome(how), attempt + 1)
}

/// Returns `exit 22, starting it again in 1.0 s`: the end of a daemon and its restart.
pub fn restarting(how: &Outcome, delay: Duration) -> String {
    let when = if delay.is_zero() { "now".into() } else { format!("in {}", duration(delay)) };
    let how = if *how == Outcome::Ok { "ended".into() } else { outcome(how) };
    format!("{how}, starting it again {when}")
}

/// Returns `fetch[3] (pid 7): curl -f …`: a command as it starts.
pub fn started(name: &str, pid: Option<i32>, command: &str) -> String {
    let process = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
    format!("{name}{process}: {}", escape(command.as_bytes()))
}

/// Returns `api did not end within 10 s of SIGTERM: killed`.
pub fn killed(who: &str, signal: i32, grace: Duration) -> String {
    let who = escape(who.as_bytes());
    format!("{who} did not end within {} of {}: killed", duration(grace), signal_name(signal))
}

/// Returns `worker 2 of resize`.
pub fn worker(slot: usize, job: &str) -> String {
    format!("worker {slot} of {job}")
}

/// Returns `skipped: WHY`.
pub fn skipped(why: &str) -> String {
    format!("skipped: {}", escape(why.as_bytes()))
}

/// Returns `ready after 1.2 s`.
pub fn ready(elapsed: Duration) -> String {
    format!("ready after {}", duration(elapsed))
}

/// Returns `up to 3 tasks at once from now on`; [`usize::MAX`] is no limit.
pub fn pool(size: usize) -> String {
    let most = if size == usize::MAX { "any number of".into() } else { format!("up to {size}") };
    let tasks = if size == 1 { "task" } else { "tasks" };
    format!("{most} {tasks} at once from now on")
}

/// The attempt of a task was stopped because memory is short.
pub const PUT_BACK: &str = "stopped because memory is short; it starts again later";

/// A first signal stops the run.
pub const STOPPING: &str = "stopping what runs; a second signal kills it";

/// A second signal ends the grace period.
pub const KILLING: &str = "killing what still runs";

/// Returns the line of a running task below the bar: how long it has run, its name, its item.
pub fn running(name: &str, item: &str, time: Duration, columns: usize) -> String {
    // Always with tenths, so that the column does not move.
    let time = if time.as_secs() < 60 { format!("{:.1} s", time.as_secs_f64()) } else { duration(time) };
    let line = format!("{time:>12}  {name} {}", escape(item.as_bytes()));
    cut(line.trim_end(), columns).into_owned()
}

#[cfg(test)]
mod tests;
