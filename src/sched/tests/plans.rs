//! Plans to begin with: each test changes what it is about.

use std::path::PathBuf;

use super::ms;
use crate::event::JobId;
use crate::plan::{self, Command, OutputMode, Plan, Stage};

pub fn stage(name: &str) -> Stage {
    Stage::new(name, Command::Words { words: Vec::new(), append_item: false }, PathBuf::new())
}

pub fn job(name: &str) -> plan::Job {
    let mut job = plan::Job { output: OutputMode::Group, ..plan::Job::new(name, vec![stage(name)]) };
    job.retries.delay.max = ms(60_000);
    job
}

pub fn queue(name: &str, writers: &[JobId], readers: &[JobId]) -> plan::Queue {
    plan::Queue { capacity: 10, ..plan::Queue::new(name, writers.to_vec(), readers.to_vec()) }
}

pub fn plan(jobs: Vec<plan::Job>, pool: usize) -> Plan {
    Plan::new(jobs, pool)
}
