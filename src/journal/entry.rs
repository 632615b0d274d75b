//! One line of a journal: an ended task.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::event::{Key, Known, Outcome, StartFailure, Usage};

/// The version of the format.
const VERSION: u32 = 1;

/// The beginning of every line, in every version.
pub const MAGIC: &[u8] = b"{\"prun\":";

/// The text between the bytes that the checksum covers and its 16 digits. After them the object ends.
const SUM: &[u8] = b",\"sum\":\"";
const DIGITS: usize = 16;
const END: &[u8] = b"\"}";

/// An ended task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The identity of the task; with `batch` one for each item.
    pub tasks: Vec<Known>,
    pub job: String,
    pub seq: u64,
    /// The item as shown to people.
    pub item: String,
    /// The command, without values of the environment.
    pub command: String,
    pub outcome: Outcome,
    /// The number of attempts.
    pub attempts: u32,
    /// Start of the last attempt since 1970, to the microsecond.
    pub started: Duration,
    /// Duration of the last attempt, to the microsecond.
    pub elapsed: Duration,
    /// Resources that it used. Absent if it had no process of its own, and in lines of earlier versions.
    pub usage: Option<Usage>,
    /// Bytes that it wrote.
    pub received: u64,
    /// The id of the run, because several runs can share the file.
    pub run: String,
}

/// The reason why a line is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// The line has no checksum, or the checksum of other bytes.
    Checksum,
    /// The checksum is right, but this version does not understand the content.
    Content,
}

/// The outcome of a task, as far as the next run needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Ok,
    Failure,
    /// The task was cancelled or skipped.
    Neither,
}

impl Entry {
    /// Appends the line, with its newline.
    pub fn line(&self, out: &mut Vec<u8>) {
        let start = out.len();
        serde_json::to_writer(&mut *out, &Line::of(self)).expect("a Vec takes all that is written");
        out.pop();
        let sum = sum(&out[start..]);
        out.extend_from_slice(SUM);
        out.extend_from_slice(&hex(sum));
        out.extend_from_slice(END);
        out.push(b'\n');
    }

    /// Parses a line without its newline. Its checksum must be right. Unknown fields, which later versions
    /// add, are ignored.
    pub fn parse(line: &[u8]) -> Result<Entry, Damage> {
        confirm(line)?;
        let line: Line = serde_json::from_slice(line).map_err(|_| Damage::Content)?;
        line.entry().ok_or(Damage::Content)
    }
}

/// Reads only what the next run needs of a line: the identities of its tasks and their outcome.
pub fn verdict(line: &[u8], mut each: impl FnMut(Known, Verdict)) -> Result<(), Damage> {
    #[derive(Deserialize)]
    struct Brief<'a> {
        #[serde(borrow)]
        outcome: Cow<'a, str>,
        tasks: Vec<Task>,
    }
    confirm(line)?;
    let brief: Brief = serde_json::from_slice(line).map_err(|_| Damage::Content)?;
    let verdict = match &*brief.outcome {
        "ok" => Verdict::Ok,
        "failed" | "killed" | "timeout" | "not started" => Verdict::Failure,
        "cancelled" | "skipped" => Verdict::Neither,
        _ => return Err(Damage::Content),
    };
    brief.tasks.into_iter().for_each(|task| each(task.0, verdict));
    Ok(())
}

/// Checks the checksum. A 64-bit CRC detects every damaged run of up to 64 bits, and misses other damage with
/// a probability of 2^-64.
fn confirm(line: &[u8]) -> Result<(), Damage> {
    let (body, tail) = line
        .split_at_checked(line.len().wrapping_sub(SUM.len() + DIGITS + END.len()))
        .ok_or(Damage::Checksum)?;
    let digits = tail.strip_prefix(SUM).and_then(|rest| rest.strip_suffix(END)).ok_or(Damage::Checksum)?;
    if digits == hex(sum(body)) { Ok(()) } else { Err(Damage::Checksum) }
}

pub(super) fn sum(bytes: &[u8]) -> u64 {
    let mut digest = crc64fast::Digest::new();
    digest.write(bytes);
    digest.sum64()
}

fn hex(number: u64) -> [u8; DIGITS] {
    std::array::from_fn(|at| b"0123456789abcdef"[(number >> (4 * (DIGITS - 1 - at)) & 15) as usize])
}

/// The JSON object, with one field for each key, in their order.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    prun: u32,
    #[serde(borrow)]
    job: Cow<'a, str>,
    seq: u64,
    #[serde(borrow)]
    item: Cow<'a, str>,
    #[serde(borrow)]
    outcome: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exit: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signal: Option<i32>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    why: Option<Cow<'a, str>>,
    attempts: u32,
    #[serde(with = "seconds")]
    started: Duration,
    #[serde(with = "seconds")]
    elapsed: Duration,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<Seconds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    system: Option<Seconds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memory: Option<u64>,
    received: u64,
    #[serde(borrow)]
    command: Cow<'a, str>,
    #[serde(borrow)]
    run: Cow<'a, str>,
    tasks: Cow<'a, [Task]>,
}

impl<'a> Line<'a> {
    fn of(entry: &'a Entry) -> Line<'a> {
        let (outcome, exit, signal, why) = words(&entry.outcome);
        Line {
            prun: VERSION,
            job: (&entry.job).into(),
            seq: entry.seq,
            item: (&entry.item).into(),
            outcome: outcome.into(),
            exit,
            signal,
            why: why.map(Cow::Borrowed),
            attempts: entry.attempts,
            started: entry.started,
            elapsed: entry.elapsed,
            user: entry.usage.map(|usage| Seconds(usage.user)),
            system: entry.usage.map(|usage| Seconds(usage.system)),
            memory: entry.usage.map(|usage| usage.memory),
            received: entry.received,
            command: (&entry.command).into(),
            run: (&entry.run).into(),
            tasks: entry.tasks.iter().map(|known| Task(*known)).collect(),
        }
    }

    fn entry(self) -> Option<Entry> {
        Some(Entry {
            outcome: outcome(&self.outcome, self.exit, self.signal, self.why)?,
            tasks: self.tasks.iter().map(|task| task.0).collect(),
            job: self.job.into_owned(),
            seq: self.seq,
            item: self.item.into_owned(),
            command: self.command.into_owned(),
            attempts: self.attempts,
            started: self.started,
            elapsed: self.elapsed,
            usage: usage(self.user, self.system, self.memory),
            received: self.received,
            run: self.run.into_owned(),
        })
    }
}

/// Returns the outcome's name, exit code, signal and reason.
fn words(outcome: &Outcome) -> (&'static str, Option<u8>, Option<i32>, Option<&str>) {
    match outcome {
        Outcome::Ok => ("ok", None, None, None),
        Outcome::Failed(code) => ("failed", Some(*code), None, None),
        Outcome::Killed(signal) => ("killed", None, Some(*signal), None),
        Outcome::Timeout => ("timeout", None, None, None),
        Outcome::Fault(why) => ("failed", None, None, Some(why)),
        Outcome::NotStarted(failure) => ("not started", Some(failure.code), None, Some(&failure.why)),
        Outcome::Cancelled => ("cancelled", None, None, None),
        Outcome::Skipped => ("skipped", None, None, None),
    }
}

fn outcome(word: &str, exit: Option<u8>, signal: Option<i32>, why: Option<Cow<str>>) -> Option<Outcome> {
    Some(match (word, exit, signal, why) {
        ("ok", ..) => Outcome::Ok,
        ("failed", Some(code), ..) => Outcome::Failed(code),
        ("failed", None, _, Some(why)) => Outcome::Fault(why.into()),
        ("killed", _, Some(signal), _) => Outcome::Killed(signal),
        ("timeout", ..) => Outcome::Timeout,
        ("not started", Some(code), _, Some(why)) => {
            Outcome::NotStarted(Arc::new(StartFailure { code, why: why.into_owned() }))
        }
        ("cancelled", ..) => Outcome::Cancelled,
        ("skipped", ..) => Outcome::Skipped,
        _ => return None,
    })
}

/// `HASH.N`: 32 hexadecimal digits, and the count among equal tasks.
#[derive(Clone, Copy)]
struct Task(Known);

impl Serialize for Task {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Known { key: Key(key), nth } = self.0;
        to.collect_str(&format_args!("{key:032x}.{nth}"))
    }
}

impl<'de> Deserialize<'de> for Task {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Task, D::Error> {
        struct Form;
        impl Visitor<'_> for Form {
            type Value = Task;
            fn expecting(&self, to: &mut fmt::Formatter) -> fmt::Result {
                to.write_str("32 hexadecimal digits, a point and a number")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Task, E> {
                let task = text.split_once('.').and_then(|(key, nth)| {
                    let key = u128::from_str_radix(key, 16).ok()?;
                    Some(Task(Known { key: Key(key), nth: nth.parse().ok()? }))
                });
                task.ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        from.deserialize_str(Form)
    }
}

/// Returns the resources, if all three fields are there.
fn usage(user: Option<Seconds>, system: Option<Seconds>, memory: Option<u64>) -> Option<Usage> {
    Some(Usage { user: user?.0, system: system?.0, memory: memory? })
}

#[derive(Serialize, Deserialize)]
struct Seconds(#[serde(with = "seconds")] Duration);

/// A duration as seconds, to the microsecond.
mod seconds {
    use super::{Deserialize, Deserializer, Duration, Serializer, de};

    pub fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(time.as_micros() as f64 / 1e6)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(from)?;
        // Beyond this range the conversion to an integer would saturate.
        if !(0.0..1e12).contains(&seconds) {
            return Err(de::Error::custom("no duration"));
        }
        Ok(Duration::from_micros((seconds * 1e6).round() as u64))
    }
}
