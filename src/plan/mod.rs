//! A job file, or the arguments of `prun exec`, resolved into a [`Plan`]: all that the scheduler and `run` know of
//! the work. Pure.
//!
//! `build` makes a plan of a job file, `exec` of a command line. Both fill in [`Job::new`] and [`Stage::new`]. Texts
//! that differ from task to task are kept as [`template::Template`]s, and items as a description of their source
//! ([`Items`]), so that a million items take no memory. `Limit`, `Halt` and other values that the text of a job file
//! and a plan share are those of `jobfile::values`.

pub use crate::event::{JobId, LockId, QueueId, StageId};
pub use crate::jobfile::When;
pub use crate::jobfile::values::{
    Halt, HaltLimit, HaltOn, JobserverStyle, Leftovers, Limit, Outcomes, OutputMode, PoolSize, Rate, Restart,
    Resume, RetryDelay, StartMode, StatusMode, StopScope, Timeout, parse_pool,
};

pub mod argv;
pub mod bounds;
pub mod build;
pub mod exec;
pub mod header;
pub mod hooks;
pub mod identity;
pub mod items;
mod job;
mod locks;
mod logs;
mod queue;
pub mod script;
pub mod selection;
mod sources;
mod stage;
pub mod status;
pub mod template;
mod throttle;
pub mod words;

pub use bounds::{Bounds, MAX_RECORD};
pub use hooks::{Hook, HookOn, Hooks};
pub use job::{After, Batch, DEFAULT_GRACE, Daemon, Job, Kind, Ready, ReadyCheck, Reply, Retries, Worker};
pub use locks::{Lock, LockRequest, first_lock_values, lock_variable, room_for_lock_values};
pub use logs::{Form, Joblog, Journal, Logs, Table};
pub use queue::{Block, Queue, Records, Unit};
pub use sources::{
    Bound, ColumnSeparator, Cut, Header, Input, Item, ItemList, Items, Join, Oversize, Reading, Seq,
};
pub use stage::{Attributes, Command, Dialogue, Output, Stage, Stdin, Step};
pub use throttle::{Jobserver, Throttle};

/// The size of a pool without a limit.
pub const UNLIMITED: usize = usize::MAX;

/// All that a run is to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// In the order of the file. Jobs joined by `stdin = { pipe = … }` are one job with several stages here.
    pub jobs: Vec<Job>,
    pub queues: Vec<Queue>,
    /// The locks that jobs take.
    pub locks: Vec<Lock>,
    /// Tasks at once, over all jobs.
    pub pool: usize,
    pub throttle: Throttle,
    pub jobserver: Jobserver,
    pub halt: Option<Halt>,
    pub status: StatusMode,
    /// The most bytes of a record that goes to a standard input or into a queue, and of a worker's answer.
    pub max_record: usize,
    pub logs: Logs,
    /// The command line that runs jobs of the file again; `None` for `prun exec`.
    pub rerun: Option<Rerun>,
}

/// The command line that runs jobs of a job file again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rerun {
    /// The job file.
    pub file: std::path::PathBuf,
    /// `prun FILE`, with the variables of this run.
    pub before: String,
    /// The arguments of this run, with `--` before them and a blank before that; or nothing.
    pub after: String,
}

impl Rerun {
    /// Returns the line for a job, or a task of it, which is quoted.
    pub fn line(&self, operand: &str) -> String {
        format!("{} {operand}{}", self.before, self.after)
    }
}

impl Plan {
    /// Returns a plan of these jobs with the defaults of a job file.
    pub fn new(jobs: Vec<Job>, pool: usize) -> Plan {
        Plan {
            jobs,
            queues: Vec::new(),
            locks: Vec::new(),
            pool,
            throttle: Throttle::default(),
            jobserver: Jobserver::None,
            halt: None,
            status: StatusMode::default(),
            max_record: MAX_RECORD,
            logs: Logs::default(),
            rerun: None,
        }
    }

    /// Returns the ids of all jobs, in the order of [`Plan::jobs`].
    pub fn job_ids(&self) -> impl DoubleEndedIterator<Item = JobId> + ExactSizeIterator + Clone + use<> {
        JobId::all(self.jobs.len())
    }

    /// Returns all jobs with their ids, in the order of [`Plan::jobs`].
    pub fn numbered_jobs(&self) -> impl Iterator<Item = (JobId, &Job)> + Clone {
        self.job_ids().zip(&self.jobs)
    }
}
