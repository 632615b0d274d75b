//! Events as lines, without a bar.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use nix::libc::SIGPIPE;

use crate::event::{Detail, JobId, JobInfo, Listener, Outcome, RunEvent, Summary, TaskName, Time, Usage};

use super::report::Report;
use super::tally::Tally;
use super::{Size, Voice, phrases};

/// Between two lines of `--progress=plain`.
pub const EVERY: Duration = Duration::from_secs(5);

/// A command that is cut to fit keeps at least this much, even if the line becomes too long.
const LEAST_COMMAND: usize = 20;

const FAILURE: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const NOTE: Style = Style::new().bold();

/// Puts events into lines; the same with and without a bar.
pub struct Lines {
    voice: Voice,
    color: bool,
    /// A person watches.
    watched: bool,
    exec: bool,
    jobs: Vec<JobInfo>,
    /// For each job: the failure of a task was told.
    failed: Vec<bool>,
    report: Report,
}

impl Lines {
    pub fn new(voice: Voice, color: bool, watched: bool, exec: bool) -> Lines {
        Lines { voice, color, watched, exec, jobs: Vec::new(), failed: Vec::new(), report: Report::default() }
    }

    /// [`Lines::report`] will be asked for.
    pub fn keep_all(mut self) -> Lines {
        self.report.keep_all();
        self
    }

    /// All that there is to say of how the run went.
    pub fn report(&self, summary: &Summary) -> String {
        self.report.whole(summary).iter().flat_map(|line| [line, "\n"]).collect()
    }

    /// `shown`: a bar was seen, so its end deserves a word.
    pub fn tell(&mut self, event: &RunEvent, columns: u16, shown: bool, out: &mut Vec<u8>) {
        match event {
            RunEvent::RunStarted { jobs } => {
                self.jobs = jobs.clone();
                self.failed = vec![false; jobs.len()];
            }
            RunEvent::TaskEnded { task, outcome, elapsed, usage, detail } => {
                let took = (*elapsed, *usage);
                self.task_ended(task, outcome, took, detail.as_deref(), columns, out);
            }
            RunEvent::TaskSkipped { task, why } => {
                let name = self.task(task);
                let text = format!("{name}: skipped: {}", phrases::escape(why.as_bytes()));
                self.say(Voice::Verbose, NOTE, &text, out);
                self.report.skipped(name, why);
            }
            RunEvent::JobFailed { job, outcome } => self.job_failed(*job, outcome, out),
            RunEvent::JobEnded { job, outcome, tasks } => self.job_ended(*job, outcome, *tasks, out),
            RunEvent::JobSkipped { job, why } => self.report.skipped(self.job(*job), why),
            RunEvent::TaskStarted { task, command: Some(command), pid, .. } => {
                let process = if self.voice < Voice::Debug { String::new() } else { format!(" (pid {pid})") };
                let command = phrases::escape(command.as_bytes());
                let text = format!("{}{process}: {command}", self.task(task));
                self.say(Voice::Verbose, NOTE, &text, out);
            }
            RunEvent::WorkerStarted { job, slot, pid, command: Some(command) } => {
                let process = if self.voice < Voice::Debug { String::new() } else { format!(" (pid {pid})") };
                let command = phrases::escape(command.as_bytes());
                let text = format!("worker {slot} of {}{process}: {command}", self.job(*job));
                self.say(Voice::Verbose, NOTE, &text, out);
            }
            RunEvent::Ready { task, elapsed } => {
                let text = format!("{}: ready after {}", self.task(task), phrases::duration(*elapsed));
                self.say(Voice::Verbose, NOTE, &text, out);
            }
            RunEvent::Retrying { task, attempt, outcome, delay, restart: false } => {
                let text = format!("{}: {}", self.task(task), phrases::retrying(outcome, *attempt, *delay));
                self.say(Voice::Verbose, NOTE, &text, out);
            }
            RunEvent::Retrying { task, outcome, delay, .. } => {
                // Nobody sees else that a service was away for a while.
                let least = if outcome.is_failure() { Voice::Normal } else { Voice::Verbose };
                let text = format!("{}: {}", self.task(task), phrases::restarting(outcome, *delay));
                self.say(least, WARNING, &text, out);
            }
            RunEvent::PutBack { task } => {
                let text = format!("{}: stopped because memory is short, and put back", self.task(task));
                self.say(Voice::Verbose, NOTE, &text, out);
            }
            RunEvent::Pool(size) => {
                let most = if *size == usize::MAX { "any number of".into() } else { format!("up to {size}") };
                let tasks = if *size == 1 { "task" } else { "tasks" };
                self.say(Voice::Verbose, NOTE, &format!("{most} {tasks} at once from now on"), out);
            }
            RunEvent::Warning(text) => {
                self.say(Voice::Normal, WARNING, &phrases::escape(text.as_bytes()), out);
            }
            RunEvent::Broken(text) => self.say(Voice::Quiet, FAILURE, &phrases::escape(text.as_bytes()), out),
            RunEvent::Stopping { why, kill } => self.stopping(why, *kill, out),
            RunEvent::TasksBefore { count, .. } => self.report.before(*count),
            RunEvent::RunEnded(summary) => self.run_ended(summary, shown, out),
            RunEvent::LastStarted { name, pid, command: Some(command) } => {
                let process = if self.voice < Voice::Debug { String::new() } else { format!(" (pid {pid})") };
                let text = format!("{name}{process}: {}", phrases::escape(command.as_bytes()));
                self.say(Voice::Verbose, NOTE, &text, out);
            }
            RunEvent::LastFailed(text) => {
                self.say(Voice::Quiet, FAILURE, &phrases::escape(text.as_bytes()), out);
            }
            RunEvent::JobTotal { .. }
            | RunEvent::TaskStarted { .. }
            | RunEvent::LastStarted { .. }
            | RunEvent::TasksOk { .. }
            | RunEvent::WorkerStarted { .. } => {}
        }
    }

    fn task_ended(
        &mut self,
        task: &TaskName,
        outcome: &Outcome,
        (elapsed, usage): (Duration, Option<Usage>),
        detail: Option<&Detail>,
        columns: u16,
        out: &mut Vec<u8>,
    ) {
        if *outcome == Outcome::Ok && self.voice < Voice::Verbose {
            return; // The usual case, and not worth making words for.
        }
        let name = self.task(task);
        if outcome.is_failure() {
            let text = failure_line(&name, outcome, detail, self.voice, columns);
            self.say(Voice::Quiet, FAILURE, &text, out);
            self.failed[task.job] = true;
        } else {
            let mut text = format!("{name}: {}", phrases::outcome(outcome));
            // Of what never ran there is nothing to tell.
            if usage.is_some() {
                text += &format!(", {}", phrases::took(elapsed, usage));
            }
            self.say(Voice::Verbose, NOTE, &text, out);
        }
        self.report.ended(|| name, outcome, detail);
    }

    /// A failure without a task.
    fn job_failed(&mut self, job: JobId, outcome: &Outcome, out: &mut Vec<u8>) {
        let name = self.job(job);
        self.failed[job] = true;
        self.say(Voice::Quiet, FAILURE, &format!("{name}: {}", phrases::outcome(outcome)), out);
        self.report.ended(|| name, outcome, None);
    }

    fn job_ended(&mut self, job: JobId, outcome: &Outcome, tasks: u64, out: &mut Vec<u8>) {
        if outcome.is_failure() && !self.failed[job] {
            // Its items could not be read.
            return self.job_failed(job, outcome, out);
        }
        let name = self.job(job);
        if !self.exec {
            let text = format!("{name}: {}, {}", phrases::outcome(outcome), phrases::tasks(tasks));
            self.say(Voice::Verbose, NOTE, &text, out);
        }
        if tasks == 0 && *outcome == Outcome::Ok {
            self.report.without_items(name);
        }
    }

    /// A success that ends a run (`--halt now,success=1`) is silent off a terminal, as any success. So is a
    /// first signal: whoever sent it knows, and the end of the run tells it.
    fn stopping(&self, why: &str, kill: bool, out: &mut Vec<u8>) {
        let told = self.watched || (self.report.has_failure() && !why.is_empty());
        let least = if told || kill { Voice::Normal } else { Voice::Verbose };
        let why = match (why, kill) {
            ("", true) => "killing what still runs",
            ("", false) => "stopping what runs; a second signal kills it",
            (why, _) => why,
        };
        self.say(least, NOTE, &phrases::escape(why.as_bytes()), out);
    }

    fn run_ended(&self, summary: &Summary, shown: bool, out: &mut Vec<u8>) {
        // Whoever closed prun's stdout has seen enough.
        if summary.signal == Some(SIGPIPE) {
            return;
        }
        let failed = self.report.has_failure();
        let lines = if summary.signal.is_none() && !failed {
            let told = self.watched && (shown || !self.exec);
            if told { self.report.success(summary) } else { Vec::new() }
        } else if self.exec && failed && is_about_one_task(summary) {
            Vec::new()
        } else {
            self.report.lines(summary)
        };
        let style = if failed { FAILURE } else { NOTE };
        for line in lines {
            self.say(Voice::Normal, style, &line, out);
        }
    }

    /// A line for those who want to hear that much. What belongs to the line above is set below it.
    fn say(&self, least: Voice, style: Style, text: &str, out: &mut Vec<u8>) {
        if self.voice < least {
            return;
        }
        let prefix = match (text.starts_with(' '), self.color) {
            (true, _) => "     ".into(),
            (false, false) => "prun:".into(),
            (false, true) => format!("{style}prun:{style:#}"),
        };
        out.extend_from_slice(prefix.as_bytes());
        out.push(b' ');
        out.extend_from_slice(text.as_bytes());
        out.push(b'\n');
    }

    fn job(&self, job: JobId) -> String {
        phrases::escape(self.jobs[job].name.as_bytes())
    }

    /// What people call this task.
    pub fn task(&self, task: &TaskName) -> String {
        phrases::task(&self.jobs[task.job], task)
    }

    /// A line about how far the run is.
    fn progress(&self, tally: &Tally, now: Time, out: &mut Vec<u8>) {
        self.say(Voice::Normal, NOTE, &phrases::standing_and_running(&tally.standing(now)), out);
    }
}

/// Then the line about its failure has said everything.
fn is_about_one_task(summary: &Summary) -> bool {
    summary.ok + summary.failed + summary.cancelled + summary.skipped <= 1
}

/// ``fetch[3] `curl -f …`: exit 22 after 3 attempts (1.2 s)``, the command cut so that all of it fits.
fn failure_line(
    name: &str,
    outcome: &Outcome,
    detail: Option<&Detail>,
    voice: Voice,
    columns: u16,
) -> String {
    let Some(detail) = detail else {
        return format!("{name}: {}", phrases::outcome(outcome));
    };
    let how = match voice {
        Voice::Quiet | Voice::Normal => phrases::failure(outcome, detail),
        Voice::Verbose | Voice::Debug => phrases::failure_in_full(outcome, detail),
    };
    let command = phrases::escape(detail.command.as_bytes());
    let around = "prun:  ``: ".len() + name.chars().count() + how.chars().count();
    let room = usize::from(columns).saturating_sub(around).max(LEAST_COMMAND);
    format!("{name} `{}`: {how}", phrases::cut(&command, room))
}

/// Lines only, and for `--progress=plain` one every few seconds about how far the run is.
pub struct Plain {
    lines: Lines,
    size: Size,
    ticks: Option<Ticks>,
}

struct Ticks {
    tally: Tally,
    every: Duration,
    /// `None` before the run begins and after it ended.
    next: Option<Time>,
}

impl Plain {
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
        // The size is asked for only where it matters, because asking is a system call.
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

    use super::*;
    use crate::event::StartFailure;

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
            pid: 7,
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
