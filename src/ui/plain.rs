//! The listener that prints lines without a bar.

use std::time::Duration;

use crate::event::{Listener, RunEvent, Summary, Time};

use super::Size;
use super::lines::Lines;
use super::tally::Tally;

/// The time between two lines of `--progress=plain`.
pub const EVERY: Duration = Duration::from_secs(5);

/// Lines without a bar. With `--progress=plain`, every few seconds a line tells how far the run is.
pub struct Plain {
    lines: Lines,
    size: Size,
    ticks: Option<Ticks>,
}

/// The lines of `--progress=plain`.
struct Ticks {
    tally: Tally,
    every: Duration,
    /// When the next line is due; `None` before the run begins and after it ended.
    next: Option<Time>,
}

impl Plain {
    /// `every` is the time between two lines of progress; `None`: no such lines.
    pub fn new(lines: Lines, size: Size, every: Option<Duration>) -> Plain {
        let ticks = every.map(|every| Ticks { tally: Tally::default(), every, next: None });
        Plain { lines, size, ticks }
    }
}

impl Listener for Plain {
    fn tell(&mut self, now: Time, event: &RunEvent, out: &mut Vec<u8>) {
        let shown = self.ticks.is_some();
        if let Some(ticks) = &mut self.ticks {
            ticks.tally.note(now, event);
            match event {
                RunEvent::RunStarted { .. } => ticks.next = Some(now + ticks.every),
                RunEvent::RunEnded(_) => ticks.next = None,
                _ => {}
            }
        }
        // The size is asked for only where it is needed, because asking is a system call.
        let columns =
            if matches!(event, RunEvent::TaskEnded { detail: Some(_), .. }) { (self.size)().0 } else { 0 };
        self.lines.tell(event, columns, shown, out);
    }

    fn due(&self) -> Option<Time> {
        self.ticks.as_ref()?.next
    }

    fn draw(&mut self, now: Time, out: &mut Vec<u8>) {
        if let Some(ticks) = &mut self.ticks
            && ticks.next.is_some_and(|next| next <= now)
        {
            ticks.next = Some(now + ticks.every);
            self.lines.progress(&ticks.tally, now, out);
        }
    }

    fn erase(&mut self, _out: &mut Vec<u8>) {}

    fn report(&self, summary: &Summary) -> String {
        self.lines.report(summary)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nix::libc::SIGPIPE;

    use super::*;
    use crate::event::{Detail, JobId, JobInfo, Outcome, StartFailure, TaskName, Usage};
    use crate::ui::Voice;

    fn plain(voice: Voice, watched: bool, exec: bool, every: Option<Duration>) -> Plain {
        Plain::new(Lines::new(voice, false, watched, exec), Box::new(|| (60, 24)), every)
    }

    const USED: Usage =
        Usage { user: Duration::from_millis(800), system: Duration::from_millis(50), memory: 34_000_000 };

    fn events(outcome: Outcome) -> Vec<RunEvent> {
        let failed = u64::from(outcome.is_failure());
        let task = TaskName { job: JobId(0), seq: 1 };
        let detail = outcome.is_failure().then(|| {
            let (command, elapsed) = (format!("curl {}", "x".repeat(99)), Duration::from_secs(1));
            Box::new(Detail {
                rerun: Some(command.clone()),
                command,
                attempts: 1,
                elapsed,
                usage: Some(USED),
                ..Detail::default()
            })
        });
        let jobs = vec![JobInfo { name: "get\x1b".into(), many: true, total: None, background: false }];
        let start = RunEvent::TaskStarted {
            task: task.clone(),
            attempt: 1,
            pid: Some(7),
            item: "i".into(),
            command: Some("curl x".into()),
        };
        vec![
            RunEvent::RunStarted { jobs },
            start,
            RunEvent::TaskEnded {
                task,
                outcome: outcome.clone(),
                elapsed: Duration::from_secs(1),
                usage: Some(USED),
                detail,
            },
            RunEvent::JobEnded { job: JobId(0), outcome, tasks: 1 },
            RunEvent::RunEnded(Summary { ok: 1 - failed, failed, ..Summary::default() }),
        ]
    }

    fn told(mut listener: Plain, events: &[RunEvent]) -> String {
        let mut out = Vec::new();
        events.iter().for_each(|event| listener.tell(Time::ZERO, event, &mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_single_failure_of_exec_is_one_line_that_fits() {
        let text = told(plain(Voice::Normal, true, true, None), &events(Outcome::Failed(3)));
        assert_eq!(text, "prun: get\\x1b[1] `curl xxxxxxxxxxxxxxxxxxx…`: exit 3 (1.0 s)\n");
        assert_eq!(text.trim_end().chars().count(), 60);
    }

    #[test]
    fn a_job_file_gets_a_report_but_not_under_quiet() {
        let text = told(plain(Voice::Normal, false, false, None), &events(Outcome::Failed(3)));
        assert!(text.contains("\nprun: failed: get\\x1b[1]: exit 3 (1.0 s)\n        used    user 0.80 s, system 50 ms, 34.0 MB\n        rerun   curl"), "{text}");
        assert!(text.ends_with("prun: 0 ok, 1 failed (0 ms)\n"), "{text}");
        let quiet = told(plain(Voice::Quiet, false, false, None), &events(Outcome::Failed(3)));
        assert_eq!(quiet.lines().count(), 1);
    }

    #[test]
    fn success_is_silent_off_a_terminal_and_in_exec() {
        for (watched, exec) in [(false, false), (false, true), (true, true)] {
            assert_eq!(told(plain(Voice::Normal, watched, exec, None), &events(Outcome::Ok)), "");
        }
        let text = told(plain(Voice::Normal, true, false, None), &events(Outcome::Ok));
        assert_eq!(text, "prun: 1 ok (0 ms)\n");
    }

    #[test]
    fn verbose_tells_what_starts_and_what_that_used() {
        let text = told(plain(Voice::Verbose, false, false, None), &events(Outcome::Ok));
        let used = "1.0 s, user 0.80 s, system 50 ms, 34.0 MB";
        let ended = format!("prun: get\\x1b[1]: ok, {used}\n");
        assert_eq!(text, format!("prun: get\\x1b[1]: curl x\n{ended}prun: get\\x1b: ok, 1 task\n"));
        let text = told(plain(Voice::Verbose, false, true, None), &events(Outcome::Failed(3)));
        assert!(text.ends_with(&format!("`: exit 3 ({used})\n")), "{text}");
    }

    #[test]
    fn debugging_tells_processes_and_ends() {
        let text = told(plain(Voice::Debug, false, true, None), &events(Outcome::Ok));
        assert_eq!(
            text,
            "prun: get\\x1b[1] (pid 7): curl x\nprun: get\\x1b[1]: ok, 1.0 s, user 0.80 s, system 50 ms, 34.0 MB\n"
        );
    }

    #[test]
    fn who_closed_stdout_hears_nothing() {
        let mut events = events(Outcome::Cancelled);
        *events.last_mut().unwrap() =
            RunEvent::RunEnded(Summary { cancelled: 1, signal: Some(SIGPIPE), ..Summary::default() });
        assert_eq!(told(plain(Voice::Normal, true, false, None), &events), "");
    }

    #[test]
    fn a_halt_on_success_is_silent_off_a_terminal() {
        let stopping = RunEvent::Stopping { why: "1 task is ok".into(), kill: false };
        assert_eq!(told(plain(Voice::Normal, false, true, None), std::slice::from_ref(&stopping)), "");
        let text = told(plain(Voice::Normal, true, true, None), &[stopping]);
        assert_eq!(text, "prun: 1 task is ok\n");
    }

    #[test]
    fn items_that_could_not_be_read_are_a_failure_even_under_quiet() {
        let why = Arc::new(StartFailure { code: 126, why: "`list`: no such file or directory".into() });
        let mut events = events(Outcome::Ok);
        events.splice(
            1..4,
            [RunEvent::JobEnded { job: JobId(0), outcome: Outcome::NotStarted(why), tasks: 0 }],
        );
        let text = told(plain(Voice::Quiet, false, true, None), &events);
        assert_eq!(text, "prun: get\\x1b: not started: `list`: no such file or directory\n");
    }

    #[test]
    fn the_second_signal_kills() {
        let first = RunEvent::Stopping { why: String::new(), kill: false };
        let text = told(plain(Voice::Normal, true, true, None), std::slice::from_ref(&first));
        assert_eq!(text, "prun: stopping what runs; a second signal kills it\n");
        assert_eq!(told(plain(Voice::Normal, false, true, None), &[first]), "");
        let kill = RunEvent::Stopping { why: String::new(), kill: true };
        assert_eq!(told(plain(Voice::Normal, false, true, None), &[kill]), "prun: killing what still runs\n");
    }

    #[test]
    fn plain_progress_is_a_line_every_few_seconds() {
        let mut plain = plain(Voice::Normal, false, false, Some(EVERY));
        assert_eq!(plain.due(), None);
        let mut out = Vec::new();
        for event in &events(Outcome::Ok)[..3] {
            plain.tell(Time::ZERO, event, &mut out);
        }
        assert_eq!(plain.due(), Some(EVERY));
        plain.draw(EVERY - Duration::from_millis(1), &mut out);
        assert!(out.is_empty());
        plain.draw(EVERY, &mut out);
        assert_eq!(out, b"prun: 1 done, 0.2/s, 0 running\n");
        assert_eq!(plain.due(), Some(EVERY * 2));
        plain.tell(EVERY, &RunEvent::RunEnded(Summary::default()), &mut out);
        assert_eq!(plain.due(), None);
    }

    #[test]
    fn colours_only_where_allowed() {
        let colored = Plain::new(Lines::new(Voice::Normal, true, true, true), Box::new(|| (80, 24)), None);
        assert!(told(colored, &events(Outcome::Failed(3))).starts_with("\x1b[1m\x1b[31mprun:\x1b[0m get"));
        assert!(!told(plain(Voice::Normal, true, true, None), &events(Outcome::Failed(3))).contains('\x1b'));
    }
}
