//! A journal as trace events for Perfetto and Chrome: a process for each run, a row for each slot of the
//! pool.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};

use super::summary::{how, name};
use super::teller::Teller;
use crate::event::Outcome;
use crate::journal::Entry;

#[derive(Default)]
pub struct Trace {
    runs: Vec<String>,
    bars: Vec<Bar>,
}

/// The bar of one line of the journal.
struct Bar {
    run: usize,
    started: Duration,
    ended: Duration,
    entry: Value,
}

impl Teller for Trace {
    fn entry(&mut self, entry: &Entry, _last: bool, _out: &mut dyn Write) -> io::Result<()> {
        if self.runs.last() != Some(&entry.run) {
            self.runs.push(entry.run.clone());
        }
        let outcome = if entry.outcome == Outcome::Ok { "ok".to_owned() } else { how(entry) };
        self.bars.push(Bar {
            run: self.runs.len(),
            started: entry.started,
            ended: entry.started + entry.elapsed,
            entry: json!({
                "name": name(entry),
                "cat": entry.job,
                "ph": "X",
                "dur": entry.elapsed.as_micros() as u64,
                "args": args(entry, &outcome),
            }),
        });
        Ok(())
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.bars.sort_by_key(|bar| (bar.run, bar.started));
        let began = self.bars.iter().map(|bar| bar.started).min().unwrap_or_default();
        let mut events: Vec<Value> = Vec::new();
        for (at, run) in self.runs.iter().enumerate() {
            let named = json!({ "name": "process_name", "ph": "M", "pid": at + 1, "args": { "name": run } });
            events.push(named);
        }
        for bars in self.bars.chunk_by_mut(|a, b| a.run == b.run) {
            let mut rows = Rows::default();
            for bar in bars {
                let mut event = bar.entry.take();
                event["ts"] = ((bar.started - began).as_micros() as u64).into();
                event["pid"] = bar.run.into();
                event["tid"] = rows.place(bar.started, bar.ended).into();
                events.push(event);
            }
        }
        // A line for each event, so that line-oriented tools can read it, too.
        write!(out, "{{\"displayTimeUnit\":\"ms\",\"traceEvents\":[")?;
        for (at, event) in events.iter().enumerate() {
            write!(out, "{}\n{event}", if at > 0 { "," } else { "" })?;
        }
        writeln!(out, "\n]}}")
    }
}

fn args(entry: &Entry, outcome: &str) -> Value {
    let mut args = json!({ "outcome": outcome, "attempts": entry.attempts, "command": entry.command });
    if let Some(used) = entry.usage {
        args["user"] = used.user.as_secs_f64().into();
        args["system"] = used.system.as_secs_f64().into();
        args["memory"] = used.memory.into();
    }
    args
}

/// The fewest rows in which no two bars overlap.
#[derive(Default)]
struct Rows {
    free: BinaryHeap<Reverse<u64>>,
    busy: BinaryHeap<Reverse<(Duration, u64)>>,
    count: u64,
}

impl Rows {
    /// Returns the row of the next bar. Bars come in the order of their starts.
    fn place(&mut self, started: Duration, ended: Duration) -> u64 {
        while self.busy.peek().is_some_and(|Reverse((end, _))| *end <= started) {
            self.free.extend(self.busy.pop().map(|Reverse((_, row))| Reverse(row)));
        }
        let row = self.free.pop().map(|Reverse(row)| row).unwrap_or_else(|| {
            self.count += 1;
            self.count
        });
        self.busy.push(Reverse((ended, row)));
        row
    }
}
