//! Events as lines, with or without a bar below them.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use nix::libc::SIGPIPE;

use crate::event::{Detail, JobId, JobInfo, Outcome, RunEvent, Summary, TaskName, Time, Usage};

use super::report::Report;
use super::tally::Tally;
use super::{Voice, phrases};

/// Columns that a command keeps when it is cut to fit, even if the line becomes too long.
const LEAST_COMMAND: usize = 20;

const FAILURE: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const NOTE: Style = Style::new().bold();

/// Puts events into lines.
pub struct Lines {
    voice: Voice,
    color: bool,
    /// True if a person watches: stderr is a terminal.
    watched: bool,
    /// True if the run is one of `prun exec`.
    exec: bool,
    jobs: Vec<JobInfo>,
    /// For each job: true if the failure of one of its tasks was printed.
    failed: Vec<bool>,
    report: Report,
}

impl Lines {
    pub fn new(voice: Voice, color: bool, watched: bool, exec: bool) -> Lines {
        Lines { voice, color, watched, exec, jobs: Vec::new(), failed: Vec::new(), report: Report::default() }
    }

    /// Keeps everything that [`Lines::report`] needs. Without this call it may leave something out.
    pub fn keep_all(mut self) -> Lines {
        self.report.keep_all();
        self
    }

    /// Returns the whole report.
    pub fn report(&self, summary: &Summary) -> String {
        self.report.whole(summary).iter().flat_map(|line| [line, "\n"]).collect()
    }

    /// Appends the lines for an event to `out`. `columns` is the width that a line with a command may have.
    /// `shown` is true if a bar was on the terminal: then the end of the run is told even where it would be
    /// silent otherwise.
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
                let text = format!("{name}: {}", phrases::skipped(why));
                self.say(Voice::Verbose, NOTE, &text, out);
                self.report.skipped(name, why);
            }
            RunEvent::JobFailed { job, outcome } => self.job_failed(*job, outcome, out),
            RunEvent::JobEnded { job, outcome, tasks } => self.job_ended(*job, outcome, *tasks, out),
            RunEvent::JobSkipped { job, why, fails } => {
                let name = self.job(*job);
                if *fails {
                    self.say(Voice::Quiet, FAILURE, &format!("{name}: {}", phrases::skipped(why)), out);
                    self.report.failed_by_skip();
                }
                self.report.skipped(name, why);
            }
            RunEvent::TaskStarted { task, command: Some(command), pid, .. } => {
                self.started(&self.task(task), *pid, command, out);
            }
            RunEvent::WorkerStarted { job, slot, pid, command: Some(command) } => {
                self.started(&phrases::worker(*slot, &self.job(*job)), *pid, command, out);
            }
            RunEvent::Ready { task, elapsed } => {
                let text = format!("{}: {}", self.task(task), phrases::ready(*elapsed));
                self.say(Voice::Verbose, NOTE, &text, out);
            }
            RunEvent::Retrying { task, attempt, outcome, delay, restart: false } => {
                let text = format!("{}: {}", self.task(task), phrases::retrying(outcome, *attempt, *delay));
                self.say(Voice::Verbose, NOTE, &text, out);
            }
            RunEvent::Retrying { task, outcome, delay, .. } => {
                // Nothing else shows that a service was away for a while.
                let least = if outcome.is_failure() { Voice::Normal } else { Voice::Verbose };
                let text = format!("{}: {}", self.task(task), phrases::restarting(outcome, *delay));
                self.say(least, WARNING, &text, out);
            }
            RunEvent::PutBack { task } => {
                let text = format!("{}: {}", self.task(task), phrases::PUT_BACK);
                self.say(Voice::Verbose, NOTE, &text, out);
            }
            RunEvent::Pool(size) => {
                self.say(Voice::Verbose, NOTE, &phrases::pool(*size), out);
            }
            RunEvent::Warning(text) => {
                self.say(Voice::Normal, WARNING, &phrases::escape(text.as_bytes()), out);
            }
            RunEvent::Broken(text) => self.say(Voice::Quiet, FAILURE, &phrases::escape(text.as_bytes()), out),
            RunEvent::Stopping { why, kill } => self.stopping(why, *kill, out),
            RunEvent::Killed { who, signal, grace } => {
                let text = phrases::killed(who, *signal, *grace);
                self.say(Voice::Normal, WARNING, &text, out);
                self.report.killed(text);
            }
            RunEvent::TasksBefore { count, .. } => self.report.before(*count),
            RunEvent::RunEnded(summary) => self.run_ended(summary, shown, out),
            RunEvent::LastStarted { name, pid, command: Some(command) } => {
                self.started(name, *pid, command, out);
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

    /// Prints a command as it starts.
    fn started(&self, name: &str, pid: Option<i32>, command: &str, out: &mut Vec<u8>) {
        let pid = pid.filter(|_| self.voice >= Voice::Debug);
        self.say(Voice::Verbose, NOTE, &phrases::started(name, pid, command), out);
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
            return; // The usual case: formatting the line would cost time for nothing.
        }
        let name = self.task(task);
        if outcome.is_failure() {
            let text = failure_line(&name, outcome, detail, self.voice, columns);
            self.say(Voice::Quiet, FAILURE, &text, out);
            self.failed[task.job] = true;
        } else {
            let mut text = format!("{name}: {}", phrases::outcome(outcome));
            // A task that never ran used nothing.
            if usage.is_some() {
                text += &format!(", {}", phrases::took(elapsed, usage));
            }
            self.say(Voice::Verbose, NOTE, &text, out);
        }
        self.report.ended(|| name, outcome, detail);
    }

    /// Prints the failure of a job that has no failed task to show.
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

    /// Prints why the run stops. Off a terminal a success that ends the run (`--halt now,success=1`) is
    /// silent like any success, and so is a first signal: its sender knows, and the end of the run names it.
    fn stopping(&self, why: &str, kill: bool, out: &mut Vec<u8>) {
        let told = self.watched || (self.report.has_failure() && !why.is_empty());
        let least = if told || kill { Voice::Normal } else { Voice::Verbose };
        let why = match (why, kill) {
            ("", true) => phrases::KILLING,
            ("", false) => phrases::STOPPING,
            (why, _) => why,
        };
        self.say(least, NOTE, &phrases::escape(why.as_bytes()), out);
    }

    fn run_ended(&self, summary: &Summary, shown: bool, out: &mut Vec<u8>) {
        // The reader of prun's stdout has closed the pipe, as `head` does; that is no failure to report.
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

    /// Prints a line if the voice is at least `least`. A `text` that begins with a blank continues the line
    /// above and is indented below it.
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

    /// Returns the name that people know the task by.
    pub fn task(&self, task: &TaskName) -> String {
        phrases::task(&self.jobs[task.job], task)
    }

    /// Prints how far the run is.
    pub fn progress(&self, tally: &Tally, now: Time, out: &mut Vec<u8>) {
        self.say(Voice::Normal, NOTE, &phrases::standing_and_running(&tally.standing(now)), out);
    }
}

/// True if the run had one task at most. The line about its failure has then said everything.
fn is_about_one_task(summary: &Summary) -> bool {
    summary.ok + summary.failed + summary.cancelled + summary.skipped <= 1
}

/// Returns ``fetch[3] `curl -f …`: exit 22 after 3 attempts (1.2 s)``, with the command cut so that the line
/// fits into `columns`.
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
