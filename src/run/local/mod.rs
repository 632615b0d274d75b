//! Tasks as processes of this machine: starts them, reads what they write, feeds them, signals them, and notes
//! how they ended.
//!
//! - `start`: attempts begin
//! - `bytes`: their pipes
//! - `blocks`: tasks that live on and take block after block
//! - `end`: processes exit, attempts are forgotten
//! - `remnants`: what tasks started beside their own processes
//! - `stops`: processes are stopped and go on
//! - [`lent`]: the terminal, while a task has it to itself
//! - `watch`: dialogues, circles of pipes, the size of terminals
//! - `hook`: hooks start in the place of their task
//! - `ready`: whether tasks are up

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use nix::unistd::Pid;

use crate::event::{JobId, PlaceMap, StageId, Time};
use crate::flow::output::Outputs;
use crate::os::jobserver::Server;
use crate::os::poller::{Interest, Poller};
use crate::os::{self, process};
use crate::plan::Plan;
use crate::run::attempt::{Active, PIPE, Work};
use crate::run::descendants::terminal_lease::Lender;
use crate::run::items::Sources;
use crate::run::launch::Launch;
use crate::run::launch::wiring::Wiring;
use crate::run::output::Sinks;
use crate::run::queues::Queues;
use crate::run::token::Token;
use crate::sched::{Event, TaskId};

mod bytes;
mod exit;
mod hook;
mod job_control;
mod probes;
mod round_robin;
mod start;
mod watch;

use crate::run::descendants::Remnants;
pub use exit::Holders;

/// A pipe of a capture holds no more than this.
const BUFFER: usize = PIPE;
/// So many captures may have big pipes at once. A user's pipes may have 16,384 pages in all (pipe(7)); beyond
/// that, new ones are small.
const BIG_PIPES: usize = 32;
/// What a leftover may still have in the pipe when its task has ended: its two pipes, full.
const LAST_LOOK: usize = 1 << 20;

/// What the loop shares with the tasks while it handles them.
pub struct Shared<'a> {
    pub now: Time,
    pub poller: &'a Poller,
    pub outputs: &'a mut Outputs,
    pub sinks: &'a mut Sinks,
    pub events: &'a mut VecDeque<Event>,
    pub sources: &'a mut Sources,
}

impl Shared<'_> {
    /// Waits for a task's pipe. A child whose pipe nobody empties would never end, so that nothing but the end
    /// of the run is left if the system refuses.
    fn watch(&mut self, fd: BorrowedFd, token: Token, interest: Interest) {
        if let Err(errno) = self.poller.add(fd, token.pack(), interest) {
            let why = format!("could not wait for what a task writes or reads: {}", errno.desc());
            self.events.push_back(Event::Broken(why));
        }
    }
}

pub struct Local {
    plan: Arc<Plan>,
    pub launch: Launch,
    pub wiring: Wiring,
    pub queues: Queues,
    actives: PlaceMap<Active>,
    pub(in crate::run) pids: HashMap<Pid, (TaskId, ProcessRole)>,
    pub remnants: Remnants,
    /// Pipes that leftovers of ended tasks hold open: read and discarded.
    strays: HashMap<u32, OwnedFd>,
    next_stray: u32,
    /// How often it was looked for who holds such a pipe.
    searches: u32,
    /// Readers that wait until less is queued.
    paused: Vec<Paused>,
    /// Tasks that ask for another block of their input, of which nothing can be read now.
    hungry: Vec<TaskId>,
    /// Workers that wrote something that was not looked at.
    pub wrote: Vec<TaskId>,
    /// Tasks that have to be looked after while they run.
    watched: Vec<TaskId>,
    /// How many descriptors prun may have.
    files: u64,
    buffer: Vec<u8>,
    /// It ended, and nobody was told yet.
    lost_guardian: bool,
    pub lender: Lender,
}

/// A reader that waits.
#[derive(Debug, Clone, Copy)]
struct Paused {
    task: TaskId,
    at: usize,
    /// For room in the queue that it is read into; the scheduler was told.
    blocked: bool,
}

/// What a process is for its attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessRole {
    /// It runs this stage of the job, or a hook.
    Stage(StageId),
    /// It looks whether the attempt is up.
    Probe,
}

/// What the loop says of a start.
pub struct Start {
    pub task: TaskId,
    pub work: Work,
    pub slot: usize,
    /// 0: it is a worker, and works on no task.
    pub attempt: u32,
    pub last_attempt: bool,
}

impl Local {
    pub fn new(plan: Arc<Plan>, run_id: String) -> io::Result<Local> {
        // As subreaper prun hears of the end of what its tasks left; without it that is polled.
        let told = process::become_subreaper().is_ok();
        Ok(Local {
            launch: Launch::new(run_id)?,
            wiring: Wiring::new()?,
            queues: Queues::new(Arc::clone(&plan)),
            actives: PlaceMap::default(),
            pids: HashMap::new(),
            remnants: Remnants::new(told),
            strays: HashMap::new(),
            next_stray: 0,
            searches: 0,
            paused: Vec::new(),
            hungry: Vec::new(),
            wrote: Vec::new(),
            watched: Vec::new(),
            files: os::limits::open_files(),
            buffer: vec![0; BUFFER],
            lost_guardian: false,
            lender: Lender::new(&plan),
            plan,
        })
    }

    pub fn get(&self, id: TaskId) -> Option<&Active> {
        self.actives.get(id.place).filter(|active| active.id == id)
    }

    pub fn get_mut(&mut self, id: TaskId) -> Option<&mut Active> {
        self.actives.get_mut(id.place).filter(|active| active.id == id)
    }

    /// From now on what is started finds this jobserver.
    pub fn share_slots(&mut self, server: &Server) {
        self.launch.share_slots(server);
    }

    /// Whether prun's guardian has ended since the last call.
    pub fn lost_guardian(&mut self) -> bool {
        std::mem::take(&mut self.lost_guardian)
    }

    pub fn forget_job(&mut self, job: JobId) {
        // Behind the stages stand the hooks, and behind them the probe.
        self.launch.forget(job, self.plan.jobs[job].stages.len() + probes::PLACE + 1);
    }
}
