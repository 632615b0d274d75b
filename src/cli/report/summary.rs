//! A summary of a journal for people.

use std::fmt::Write as _;
use std::io;
use std::time::{Duration, UNIX_EPOCH};

use anstyle::{AnsiColor, Style};

use super::teller::Teller;
use crate::event::{Detail, JobId, JobInfo, Outcome, TaskName, Usage};
use crate::journal::Entry;
use crate::ui::phrases::{self, escape};

/// The number of tasks that are listed as the slowest, by CPU time, and by memory.
const MOST: usize = 5;

/// Columns after which a command is cut. Nobody copies a longer one from a terminal.
const LONGEST_COMMAND: usize = 2000;

const LABEL: Style = Style::new().bold();
const FAILURE: Style = AnsiColor::Red.on_default().bold();

/// The outcomes in the order in which they are listed.
const OUTCOMES: [&str; 7] = ["ok", "failed", "killed", "timeout", "not started", "cancelled", "skipped"];

pub struct Summary {
    color: bool,
    repaired: u64,
    /// For each of [`OUTCOMES`]: the number of tasks.
    counts: [u64; OUTCOMES.len()],
    runs: Vec<Run>,
    /// The time that each task took.
    times: Vec<Duration>,
    slowest: Most<Duration>,
    /// The tasks that used the most CPU time.
    busiest: Most<Duration>,
    /// The tasks with the largest peak memory.
    biggest: Most<u64>,
    /// The resources of all tasks for which they are known.
    usage: Option<Usage>,
    /// In the order of the journal.
    jobs: Vec<Job>,
    /// The lines about failures.
    failures: Vec<String>,
}

/// A run. All of its lines stand together, because only one run can hold the journal.
struct Run {
    id: String,
    first: Duration,
    last: Duration,
}

struct Job {
    name: String,
    tasks: u64,
    time: Duration,
    usage: Option<Usage>,
}

impl Job {
    fn line(&self, width: usize) -> String {
        let Job { name, tasks, time, usage } = self;
        let took = phrases::took(*time, *usage);
        format!("{name:width$}  {}, {took}", phrases::tasks(*tasks))
    }
}

/// The tasks with the largest values, largest first.
struct Most<T>(Vec<(T, String)>);

impl<T: Ord + Copy> Most<T> {
    fn add(&mut self, much: T, entry: &Entry) {
        let at = self.0.partition_point(|(more, _)| *more >= much);
        if at < MOST {
            self.0.insert(at, (much, name(entry)));
            self.0.truncate(MOST);
        }
    }

    fn lines(&self, text: impl Fn(T) -> String) -> impl Iterator<Item = String> {
        self.0.iter().map(move |(much, name)| format!("{:>9}  {name}", text(*much)))
    }
}

impl Summary {
    pub fn new(repaired: u64, color: bool) -> Summary {
        Summary {
            color,
            repaired,
            counts: [0; OUTCOMES.len()],
            runs: Vec::new(),
            times: Vec::new(),
            slowest: Most(Vec::new()),
            busiest: Most(Vec::new()),
            biggest: Most(Vec::new()),
            usage: None,
            jobs: Vec::new(),
            failures: Vec::new(),
        }
    }

    fn add(&mut self, entry: &Entry, last: bool) {
        self.add_to_run(entry);
        if !last {
            return;
        }
        self.counts[kind(&entry.outcome)] += 1;
        self.times.push(entry.elapsed);
        self.slowest.add(entry.elapsed, entry);
        if let Some(usage) = entry.usage {
            self.busiest.add(usage.time(), entry);
            self.biggest.add(usage.memory, entry);
        }
        self.usage = both(self.usage, entry.usage);
        self.add_to_job(entry);
        if entry.outcome.is_failure() {
            self.failures.push(failure(entry));
        }
    }

    fn add_to_job(&mut self, entry: &Entry) {
        let at = self.jobs.iter().position(|job| job.name == entry.job).unwrap_or_else(|| {
            let name = entry.job.clone();
            self.jobs.push(Job { name, tasks: 0, time: Duration::ZERO, usage: None });
            self.jobs.len() - 1
        });
        let job = &mut self.jobs[at];
        job.tasks += 1;
        job.time += entry.elapsed;
        job.usage = both(job.usage, entry.usage);
    }

    fn add_to_run(&mut self, entry: &Entry) {
        let (first, last) = (entry.started, entry.started + entry.elapsed);
        match self.runs.last_mut().filter(|run| run.id == entry.run) {
            Some(run) => {
                run.first = run.first.min(first);
                run.last = run.last.max(last);
            }
            None => self.runs.push(Run { id: entry.run.clone(), first, last }),
        }
    }

    fn text(&mut self) -> String {
        let mut out = String::new();
        if self.times.is_empty() {
            return "no task has finished\n".into();
        }
        self.times.sort_unstable();
        let counts = OUTCOMES.iter().zip(self.counts).filter(|(word, count)| *count > 0 || **word == "ok");
        let counts: Vec<String> = counts.map(|(word, count)| format!("{count} {word}")).collect();
        self.row(&mut out, "tasks", LABEL, [format!("{}: {}", self.times.len(), counts.join(", "))]);
        if self.repaired > 0 {
            let text = format!("{}: failed at first, ended ok later", self.repaired);
            self.row(&mut out, "repaired", LABEL, [text]);
        }
        self.row(&mut out, "runs", LABEL, [self.runs()]);
        let sum = phrases::duration(self.times.iter().sum());
        let (median, most) = (phrases::duration(self.quantile(50)), phrases::duration(self.quantile(95)));
        self.row(
            &mut out,
            "time",
            LABEL,
            [format!("{sum} of all tasks; median {median}, 95 % within {most}")],
        );
        if let Some(usage) = self.usage {
            let (cpu, memory) = (phrases::cpu(usage), phrases::size(usage.memory));
            self.row(&mut out, "used", LABEL, [format!("{cpu}; at most {memory} by one process")]);
        }
        self.row(&mut out, "jobs", LABEL, self.job_lines());
        self.row(&mut out, "slowest", LABEL, self.slowest.lines(phrases::duration));
        self.row(&mut out, "busiest", LABEL, self.busiest.lines(phrases::duration));
        self.row(&mut out, "biggest", LABEL, self.biggest.lines(phrases::size));
        self.row(&mut out, "failures", FAILURE, self.failures.iter().cloned());
        out
    }

    /// Returns the lines about jobs, if there are several.
    fn job_lines(&self) -> Vec<String> {
        let shown: Vec<Job> =
            self.jobs.iter().map(|job| Job { name: escape(job.name.as_bytes()), ..*job }).collect();
        let width = shown.iter().map(|job| job.name.chars().count()).max().unwrap_or(0);
        if shown.len() > 1 { shown.iter().map(|job| job.line(width)).collect() } else { Vec::new() }
    }

    fn runs(&self) -> String {
        let first = self.runs.iter().map(|run| run.first).min().unwrap_or_default();
        let last = self.runs.iter().map(|run| run.last).max().unwrap_or_default();
        let took = phrases::duration(self.runs.iter().map(|run| run.last - run.first).sum());
        let together = if self.runs.len() > 1 { "together " } else { "" };
        format!("{}, from {} to {}, {together}{took}", self.runs.len(), moment(first), moment(last))
    }

    /// Returns a percentile of the times: that many of 100 tasks took no longer.
    fn quantile(&self, percent: usize) -> Duration {
        self.times[(self.times.len() * percent).div_ceil(100) - 1]
    }

    /// Appends lines with a label before the first one.
    fn row(&self, out: &mut String, label: &str, style: Style, lines: impl IntoIterator<Item = String>) {
        let style = if self.color { style } else { Style::new() };
        for (at, line) in lines.into_iter().enumerate() {
            let label = if at == 0 { label } else { "" };
            _ = writeln!(out, "{style}{label:<10}{style:#}{line}");
        }
    }
}

impl Teller for Summary {
    fn entry(&mut self, entry: &Entry, last: bool, _out: &mut dyn io::Write) -> io::Result<()> {
        self.add(entry, last);
        Ok(())
    }

    fn end(&mut self, out: &mut dyn io::Write) -> io::Result<()> {
        out.write_all(self.text().as_bytes())
    }
}

fn both(one: Option<Usage>, other: Option<Usage>) -> Option<Usage> {
    [one, other].into_iter().flatten().reduce(Usage::and)
}

/// Returns the index of an outcome in [`OUTCOMES`].
fn kind(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Ok => 0,
        Outcome::Failed(_) | Outcome::Fault(_) => 1,
        Outcome::Killed(_) => 2,
        Outcome::Timeout => 3,
        Outcome::NotStarted(_) => 4,
        Outcome::Cancelled => 5,
        Outcome::Skipped => 6,
    }
}

/// Returns `fetch[3] the item`, or `build` for a job that is one task.
pub fn name(entry: &Entry) -> String {
    let many = entry.seq > 1 || !entry.item.is_empty();
    let job = JobInfo { name: entry.job.as_str().into(), many, total: None, background: false };
    let task = phrases::task(&job, &TaskName { job: JobId(0), seq: entry.seq });
    if entry.item.is_empty() { task } else { format!("{task} {}", escape(entry.item.as_bytes())) }
}

/// Returns how a task failed: `exit 22 after 3 attempts (1.2 s)`.
pub fn how(entry: &Entry) -> String {
    let detail = Detail { attempts: entry.attempts, elapsed: entry.elapsed, ..Detail::default() };
    phrases::failure(&entry.outcome, &detail)
}

/// Returns two lines: the failure, and the command.
fn failure(entry: &Entry) -> String {
    let command = escape(entry.command.as_bytes());
    let command = phrases::cut(&command, LONGEST_COMMAND);
    format!("{}: {}, {}\n{:12}{command}", name(entry), how(entry), moment(entry.started), "")
}

/// Returns `2026-11-21T14:34:29Z`.
pub fn moment(since_1970: Duration) -> String {
    match UNIX_EPOCH.checked_add(since_1970) {
        Some(time) if since_1970.as_secs() < FAR_FUTURE => {
            humantime::format_rfc3339_seconds(time).to_string()
        }
        _ => "?".into(),
    }
}

/// The end of the year 9999, after which RFC 3339 has no dates.
const FAR_FUTURE: u64 = 253_402_300_800;
