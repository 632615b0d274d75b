//! Plans to begin with: each test changes what it is about.

use super::{TERM, ms};
use crate::event::JobId;
use crate::plan::template::Template;
use crate::plan::{
    self, Batch, Brakes, Items, Jobserver, Leftovers, Logs, Outcomes, Output, OutputMode, Plan, Retries,
    RetryDelay, Setup, Stage, StatusMode, Stdin, UNLIMITED, What,
};

pub fn stage(name: &str) -> Stage {
    Stage {
        name: name.into(),
        what: What::Command { words: Vec::new(), append_item: false },
        stdin: Stdin::Null,
        stdout: Output::Show,
        stderr: Output::Show,
        seq_file: None,
        env: Vec::new(),
        cwd: None::<Template>,
        base: Default::default(),
        start: Default::default(),
        ok: Outcomes { codes: vec![0], ..Outcomes::default() },
        setup: Setup::default(),
        pty: false,
    }
}

pub fn job(name: &str) -> plan::Job {
    plan::Job {
        name: name.into(),
        stages: vec![stage(name)],
        items: Items::None,
        batch: Batch::One,
        pool: UNLIMITED,
        output: OutputMode::Group,
        keep_order: false,
        tag: None,
        halt: None,
        grace: ms(10_000),
        stop_signal: TERM,
        timeout: None,
        rate: None,
        retries: Retries {
            count: 0,
            delay: RetryDelay { first: ms(0), factor: 1.0, max: ms(60_000), jitter: false },
            on: None,
        },
        after: Vec::new(),
        slotless: false,
        daemon: false,
        serves: false,
        ready: None,
        restart: plan::Restart::Never,
        slots: 1,
        locks: Vec::new(),
        worker: None,
        leftovers: Leftovers::default(),
        interactive: false,
        duplex: false,
        on_success: None,
        on_failure: None,
        on_exit: None,
        at_end: None,
        lister: None,
    }
}

pub fn queue(name: &str, writers: &[JobId], readers: &[JobId]) -> plan::Queue {
    plan::Queue {
        name: name.into(),
        capacity: 10,
        exact: false,
        records: plan::Records { unit: plan::Unit::Ends(b"\n".to_vec()), per_record: 1, block: None },
        to_all: false,
        input: None,
        writers: writers.to_vec(),
        readers: readers.to_vec(),
    }
}

pub fn plan(jobs: Vec<plan::Job>, pool: usize) -> Plan {
    Plan {
        jobs,
        queues: Vec::new(),
        locks: Vec::new(),
        pool,
        halt: None,
        status: StatusMode::First,
        rerun: None,
        brakes: Brakes::default(),
        jobserver: Jobserver::None,
        logs: Logs::default(),
    }
}
