use std::sync::Arc;
use std::time::Duration;

use super::{Entry, Past};
use crate::event::{Key, Known, Outcome, StartFailure};

mod damage;
mod files;
mod lines;

fn known(key: u128) -> Known {
    Known { key: Key(key << 64 | key), nth: 1 }
}

fn entry(key: u128, outcome: Outcome) -> Entry {
    Entry {
        tasks: vec![known(key)],
        job: "fetch".into(),
        seq: key as u64,
        item: "a b".into(),
        command: "curl 'a b'".into(),
        outcome,
        attempts: 1,
        started: Duration::from_micros(1_795_270_289_180_123),
        elapsed: Duration::from_micros(4_212),
        usage: None,
        received: 18,
        run: "64b-1f2".into(),
    }
}

fn line(entry: &Entry) -> Vec<u8> {
    let mut out = Vec::new();
    entry.line(&mut out);
    out
}

fn not_started() -> Outcome {
    Outcome::NotStarted(Arc::new(StartFailure { code: 127, why: "`x`: not contents".into() }))
}

/// Returns for the tasks 0 to 29 whether each has finished and whether it has failed.
fn outcomes_of(past: &Past) -> Vec<(bool, bool)> {
    (0..30).map(|key| (past.finished(known(key)), past.failed(known(key)))).collect()
}
