//! A journal as JUnit's XML, which CI services read: a suite for each job, with the last outcome of each
//! task.

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write};
use std::time::Duration;

use super::summary::{how, moment, name};
use super::teller::Teller;
use crate::event::{Outcome, Usage};
use crate::journal::Entry;
use crate::ui::phrases::escape;

/// The suites in the order of the journal.
#[derive(Default)]
pub struct Suites(Vec<Suite>);

struct Suite {
    job: String,
    counts: Counts,
    began: Duration,
    cases: String,
}

#[derive(Default)]
struct Counts {
    tests: u64,
    failures: u64,
    skipped: u64,
    time: Duration,
}

impl Suites {
    fn add(&mut self, entry: &Entry) {
        let known = self.0.iter().position(|suite| suite.job == entry.job);
        let at = known.unwrap_or_else(|| {
            let counts = Counts::default();
            self.0.push(Suite { job: entry.job.clone(), counts, began: entry.started, cases: String::new() });
            self.0.len() - 1
        });
        self.0[at].add(entry);
    }
}

impl Suite {
    fn add(&mut self, entry: &Entry) {
        let skipped = matches!(entry.outcome, Outcome::Cancelled | Outcome::Skipped);
        self.began = self.began.min(entry.started);
        self.counts.add(&Counts {
            tests: 1,
            failures: u64::from(entry.outcome.is_failure()),
            skipped: u64::from(skipped),
            time: entry.elapsed,
        });
        let (job, name) = (Text(&entry.job), name(entry));
        let time = entry.elapsed.as_secs_f64();
        let open = format!("    <testcase name=\"{}\" classname=\"{job}\" time=\"{time:.3}\"", Text(&name));
        let mut parts: Vec<String> = entry.usage.map(properties).into_iter().collect();
        if entry.outcome.is_failure() {
            let (message, command) = (how(entry), Text(&entry.command));
            parts.push(format!("<failure message=\"{}\">{command}</failure>", Text(&message)));
        } else if skipped {
            parts.push("<skipped/>".into());
        }
        let written = if parts.is_empty() {
            writeln!(self.cases, "{open}/>")
        } else {
            writeln!(self.cases, "{open}>\n      {}\n    </testcase>", parts.join("\n      "))
        };
        written.expect("a String takes all that is written");
    }
}

/// Returns the resources that a task used, in seconds and bytes.
fn properties(used: Usage) -> String {
    let property = |name, value: String| format!("<property name=\"{name}\" value=\"{value}\"/>");
    let seconds = |time: Duration| format!("{:.3}", time.as_secs_f64());
    let all = [
        property("user", seconds(used.user)),
        property("system", seconds(used.system)),
        property("memory", used.memory.to_string()),
    ];
    format!("<properties>{}</properties>", all.concat())
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        self.tests += other.tests;
        self.failures += other.failures;
        self.skipped += other.skipped;
        self.time += other.time;
    }
}

impl Display for Counts {
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
        let Counts { tests, failures, skipped, time } = self;
        let time = time.as_secs_f64();
        write!(
            to,
            "tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"{time:.3}\""
        )
    }
}

impl Teller for Suites {
    fn entry(&mut self, entry: &Entry, last: bool, _out: &mut dyn Write) -> io::Result<()> {
        if last {
            self.add(entry);
        }
        Ok(())
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let mut all = Counts::default();
        self.0.iter().for_each(|suite| all.add(&suite.counts));
        writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"prun\" {all}>")?;
        for Suite { job, counts, began, cases } in &self.0 {
            let (job, began) = (Text(job), moment(*began));
            writeln!(
                out,
                "  <testsuite name=\"{job}\" {counts} timestamp=\"{began}\">\n{cases}  </testsuite>"
            )?;
        }
        writeln!(out, "</testsuites>")
    }
}

/// Text of any origin, escaped for XML, also for attributes.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
        for letter in escape(self.0.as_bytes()).chars() {
            match letter {
                '<' => to.write_str("&lt;")?,
                '>' => to.write_str("&gt;")?,
                '&' => to.write_str("&amp;")?,
                '"' => to.write_str("&quot;")?,
                // Not allowed in XML.
                '\u{fffe}' | '\u{ffff}' => to.write_char('\u{fffd}')?,
                other => to.write_char(other)?,
            }
        }
        Ok(())
    }
}
