//! `--results FILE.csv`: one file with a row for each ended task, its output included.
//!
//! The output of a task is held like any group, but escaped already; a row is this output with the other columns around
//! it. So a row takes no more memory than a group, has its turn in the order of the items, and stands before the lines
//! of logs.

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::flow::output::{Dest, Escape, Op, Outputs, Row};
use crate::journal::joblog::{milliseconds, status};
use crate::plan::{Batch, Form, Plan, Table};
use crate::run::output::sinks::Sinks;
use crate::run::record::EndedTask;
use crate::run::task::{in_table, policy};
use crate::run::words::command;
use crate::sched::TaskId;

mod file;

/// Columns before those of the item.
const COLUMNS: [&str; 9] =
    ["Seq", "Host", "Starttime", "JobRuntime", "Send", "Receive", "Exitval", "Signal", "Command"];

/// The table of results.
pub struct ResultsTable {
    form: Form,
    dest: Dest,
    /// When the run began, since 1970.
    began: Duration,
    /// The number of item values in a row; known from the first row on.
    width: Option<usize>,
    /// True if no row with the names of the columns is needed, or it was written.
    has_names: bool,
}

impl ResultsTable {
    /// Opens the table, and makes its folders. Also returns a warning for people.
    ///
    /// # Errors
    /// When the file can't be opened or read. For people.
    pub fn open(table: &Table, sinks: &mut Sinks) -> Result<(ResultsTable, Option<String>), String> {
        let (mut has_names, mut warning) = (table.form == Form::Json, None);
        let dest = match &table.path {
            None => Dest::Stdout,
            Some(path) => {
                let opened = file::open(path, table)?;
                has_names |= opened.has_rows;
                warning = opened.warning;
                sinks.add_file(path, Some(opened.file), None)
            }
        };
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok((ResultsTable { form: table.form, dest, began, width: None, has_names }, warning))
    }

    /// Returns the destination of the columns that tasks write, and how they are escaped.
    pub fn columns(&self) -> (Dest, Escape) {
        (self.dest, escape(self.form))
    }

    /// Makes the output of an ended task its row. Tasks that prun stopped or skipped have none.
    pub fn add_row(&mut self, plan: &Plan, task: TaskId, ended: &EndedTask, outputs: &mut Outputs) {
        let job = &plan.jobs[ended.work.job];
        if !in_table(job) {
            return;
        }
        let Some((exit, signal)) = status(ended.outcome) else { return outputs.discard(task.place) };
        if !outputs.is_open(task.place) {
            // The task never had a process, or waited for its next attempt.
            let order = job.keep_order.then_some((ended.work.job, ended.work.seq));
            outputs.open(task.place, Vec::new(), policy(job, true), order);
        }
        if let Some(names) = self.begin(plan, ended) {
            outputs.ops.push(Op::Write { dest: self.dest, bytes: names });
        }
        let command = command(job, ended.work, ended.slot);
        let row = self.row(ended, exit, signal, &command);
        outputs.make_row(task.place, row);
    }

    /// Fixes the number of columns by the first row, and returns the line that names them, if it is needed.
    fn begin(&mut self, plan: &Plan, ended: &EndedTask) -> Option<Vec<u8>> {
        if self.width.is_some() {
            return None;
        }
        let EndedTask { work, .. } = ended;
        // Where columns have names, the names count, however long the row is that happens to come first.
        let has_names = !work.names.is_empty();
        let columns = if has_names {
            work.names.len()
        } else {
            work.items.first().map_or(0, |item| item.columns.len())
        };
        // The last task of a batch may have fewer than the others.
        let (width, named) = match plan.jobs[work.job].batch {
            Batch::One => (columns, has_names),
            Batch::UpTo(most) => (columns * most, false),
            Batch::Fit => (columns.min(1), false),
        };
        self.width = Some(width);
        if std::mem::replace(&mut self.has_names, true) {
            return None;
        }
        let numbered = |at: usize| format!("V{}", at + 1).into_bytes();
        let names = (0..width).map(|at| match named {
            true => work.names[at].clone().into_bytes(),
            false => numbered(at),
        });
        let mut out = Vec::new();
        let names: Vec<Vec<u8>> = COLUMNS.map(|name| name.into()).into_iter().chain(names).collect();
        self.put_fields(&names, &mut out);
        let comma = self.delimiter();
        out.extend_from_slice(&[b"Stdout", [comma].as_slice(), b"Stderr\n"].concat());
        Some(out)
    }

    /// Returns all of a row but the output.
    fn row(&self, ended: &EndedTask, exit: i32, signal: i32, command: &str) -> Row {
        let work = ended.work;
        let (started, elapsed) = (milliseconds(self.began + ended.started), milliseconds(ended.elapsed));
        let values: Vec<Vec<u8>> = work.items.iter().flat_map(|item| item.columns.iter().cloned()).collect();
        let dest = self.dest;
        let mut before = Vec::new();
        if self.form == Form::Json {
            write!(
                before,
                "{{ \"Seq\": {}, \"Host\": \":\", \"Starttime\": {started}, \"JobRuntime\": {elapsed}, \"Send\": 0, \
                 \"Receive\": {}, \"Exitval\": {exit}, \"Signal\": {signal}, \"Command\": \"",
                work.seq, ended.received
            )
            .expect("a Vec takes all that is written");
            Escape::Json.put_all(command.as_bytes(), &mut before);
            before.extend_from_slice(b"\", \"V\": [ ");
            for (at, value) in values.iter().enumerate() {
                before.extend_from_slice(if at == 0 { b"\"" } else { b",\"" });
                Escape::Json.put_all(value, &mut before);
                before.push(b'"');
            }
            before.extend_from_slice(b" ], \"Stdout\": \"");
            return Row { dest, before, between: b"\", \"Stderr\": \"".into(), behind: b"\" }\n".into() };
        }
        let numbers = [
            work.seq.to_string(),
            ":".into(),
            started,
            elapsed,
            "0".into(),
            ended.received.to_string(),
            exit.to_string(),
            signal.to_string(),
            command.to_owned(),
        ];
        let numbers = numbers.map(String::into_bytes);
        let fields: Vec<Vec<u8>> = numbers.into_iter().chain(self.fitted(values)).collect();
        self.put_fields(&fields, &mut before);
        before.push(b'"');
        Row { dest, before, between: vec![b'"', self.delimiter(), b'"'], behind: b"\"\n".into() }
    }

    /// Makes the values as many as a row has: empty ones are added, and those beyond the last column are joined to it.
    fn fitted(&self, mut values: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let width = self.width.unwrap_or_default();
        if let Some(last) = width.checked_sub(1)
            && values.len() > width
        {
            let joined = values.split_off(last).join(&b' ');
            values.push(joined);
        }
        values.resize(width, Vec::new());
        values
    }

    /// Appends fields, each with the delimiter behind it.
    fn put_fields(&self, fields: &[Vec<u8>], out: &mut Vec<u8>) {
        let mut writer = csv_core::WriterBuilder::new().delimiter(self.delimiter()).build();
        for field in fields {
            let start = out.len();
            // Each byte may be a quote, which is doubled, and quotes may stand around the field.
            out.resize(start + 2 * field.len() + 2, 0);
            let (_, _, mut end) = writer.field(field, &mut out[start..]);
            out.resize(start + end + 2, 0);
            end += writer.delimiter(&mut out[start + end..]).1;
            out.truncate(start + end);
        }
    }

    fn delimiter(&self) -> u8 {
        if self.form == Form::Tsv { b'\t' } else { b',' }
    }
}

fn escape(form: Form) -> Escape {
    match form {
        Form::Csv | Form::Tsv => Escape::Doubled,
        Form::Json => Escape::Json,
    }
}
