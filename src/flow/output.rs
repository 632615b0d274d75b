//! What tasks write: grouping, order, tags, whole lines. Pure.
//!
//! A task's stdout and stderr run through *lanes*, one for each destination. A lane *holds* what comes
//! (`group`, or another task is first in order), or lets it *flow*. What is held beyond a limit is spilled to a
//! temporary file. Nothing is written here: the [`Op`]s say what to write, in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::{JobId, Place, PlaceMap};

/// Where bytes end up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dest {
    Stdout,
    Stderr,
    /// A file of a job, or of a task; numbered by the caller.
    File(u32),
    /// Nowhere: kept for the task's hook ([`Outputs::begin_hook`]).
    Hook,
}

/// Files that get their lines only when what they tell of was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Log {
    Journal,
    /// GNU parallel's `--joblog`.
    Joblog,
}

/// A temporary file for what is held beyond the limit.
pub type SpillId = u64;

mod escape;
mod hook;
mod lane;
mod row;
pub use escape::Escape;
pub use hook::Kept;
pub use row::Row;

use lane::{Lane, tag_lines};

/// What to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    Write {
        dest: Dest,
        bytes: Vec<u8>,
    },
    /// Append to the temporary file.
    Spill {
        spill: SpillId,
        bytes: Vec<u8>,
    },
    /// Copy all of the temporary file (`len` bytes) to `dest` and remove it.
    Replay {
        dest: Dest,
        spill: SpillId,
        len: u64,
    },
    /// Remove the temporary file.
    Drop {
        spill: SpillId,
    },
    /// Append to a log of ended tasks, once everything that stands before this was written.
    Log {
        log: Log,
        bytes: Vec<u8>,
    },
    /// Nothing more will go there.
    Close {
        dest: Dest,
    },
}

/// How much of a flowing lane's output goes on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// As it comes: nobody else writes to the same place.
    Chunks,
    /// Whole lines, so that lines of several tasks do not mix.
    Lines,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneSpec {
    pub dest: Dest,
    /// Put before each line.
    pub tag: Option<Arc<[u8]>>,
    /// It is held, and becomes a column of a table ([`Outputs::frame`]).
    pub escape: Option<Escape>,
    /// Nobody else writes there: what comes flows at once, and it is closed at the lane's end.
    pub own: bool,
}

/// When a task's lanes flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// From the start (`line`), or as soon as it is first in order.
    Flow,
    /// In one piece at its end (`group`), unless it is let flow or first in order.
    Hold,
    /// In one piece at its end, whatever happens: another attempt may follow, and only the last one is shown.
    HoldFast,
}

/// A task's place in the order of its job.
pub type Order = (JobId, u64);

/// Buffers from this size on are worth keeping.
pub const BIG: usize = 16 << 10;
/// A line longer than this is handed on in pieces.
pub const LONGEST_LINE: usize = 1 << 20;
/// A lane holds this much in memory; less when all lanes together hold more than [`TOTAL_LIMIT`].
const LANE_LIMIT: usize = 1 << 20;
const TOTAL_LIMIT: usize = 32 << 20;
const CROWDED_LIMIT: usize = 64 << 10;

#[derive(Debug)]
struct Sheaf {
    lanes: Vec<Lane>,
    policy: Policy,
    order: Option<Order>,
    flowing: bool,
}

/// The order of one job's output.
#[derive(Debug, Default)]
struct Gate {
    /// Number of the task whose turn it is.
    next: u64,
    /// Tasks that ended before their turn, and what follows their output.
    ended: BTreeMap<u64, Vec<Op>>,
    /// What those left, and what earlier attempts of others left.
    waiting: BTreeMap<u64, Vec<Lane>>,
    /// Tasks that have not ended: number to place.
    open: BTreeMap<u64, Place>,
}

/// All output of a run. Tasks are named by their places.
#[derive(Debug)]
pub struct Outputs {
    sheaves: PlaceMap<Sheaf>,
    gates: BTreeMap<JobId, Gate>,
    framing: Framing,
    next_spill: SpillId,
    /// Bytes kept in memory by all lanes.
    kept: usize,
    pub ops: Vec<Op>,
    /// Big buffers that were written and can be used again: fresh memory costs a page fault for each page.
    pub spare: Vec<Vec<u8>>,
}

impl Outputs {
    /// `framing`: how lanes flow that were held for a group.
    pub fn new(framing: Framing) -> Outputs {
        Outputs {
            sheaves: PlaceMap::default(),
            gates: BTreeMap::new(),
            framing,
            next_spill: 0,
            kept: 0,
            ops: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// An attempt of a task begins. With `order`, its output waits for its turn.
    pub fn open(&mut self, place: Place, lanes: Vec<LaneSpec>, policy: Policy, order: Option<Order>) {
        let lanes: Vec<Lane> = lanes.into_iter().map(Lane::new).collect();
        let mut first = order.is_none();
        if let Some((job, seq)) = order {
            let gate = self.gate(job);
            gate.open.insert(seq, place);
            first = gate.next == seq;
        }
        // In order, the first unfinished task flows.
        let flowing = first && (policy == Policy::Flow || (policy == Policy::Hold && order.is_some()));
        self.sheaves.insert(place, Sheaf { lanes, policy, order, flowing });
    }

    /// Whether an attempt of the task, or its hook, can write.
    pub fn is_open(&self, place: Place) -> bool {
        self.sheaves.get(place).is_some()
    }

    /// The task wrote something.
    pub fn push(&mut self, place: Place, lane: usize, bytes: &[u8]) {
        let Some(sheaf) = self.sheaves.get_mut(place) else { return };
        let framing = sheaf.framing(self.framing);
        let flowing = sheaf.flowing;
        let lane = &mut sheaf.lanes[lane];
        let tagged;
        let bytes = match &lane.spec.tag {
            Some(tag) => {
                tagged = tag_lines(tag, bytes, &mut lane.mid_line);
                &tagged[..]
            }
            None => bytes,
        };
        let escaped;
        let bytes = match lane.spec.escape {
            Some(escape) => {
                escaped = lane.escape(escape, bytes);
                &escaped[..]
            }
            None => bytes,
        };
        if lane.spec.own {
            lane.flow(bytes, Framing::Chunks, &mut self.spare, &mut self.ops);
        } else if flowing && !lane.is_for_hook() {
            self.kept -= lane.kept.len();
            lane.flow(bytes, framing, &mut self.spare, &mut self.ops);
            self.kept += lane.kept.len();
        } else {
            lane.kept.extend_from_slice(bytes);
            self.kept += bytes.len();
            let limit = if self.kept > TOTAL_LIMIT { CROWDED_LIMIT } else { LANE_LIMIT };
            if lane.kept.len() >= limit {
                self.kept -= lane.kept.len();
                lane.spill(&mut self.next_spill, &mut self.ops);
                self.kept += lane.kept.len();
            }
        }
    }

    /// The same for the first `count` bytes of a buffer. Where much can be handed on as it is, the buffer goes, and
    /// the caller gets another one of the same length.
    pub fn push_buffer(&mut self, place: Place, lane: usize, buffer: &mut Vec<u8>, count: usize) {
        let takes_all = |sheaf: &Sheaf| {
            let lane = &sheaf.lanes[lane];
            let flows = lane.spec.own
                || (sheaf.flowing && !lane.is_for_hook() && sheaf.framing(self.framing) == Framing::Chunks);
            (flows && lane.spec.tag.is_none() && lane.kept.is_empty()).then_some(lane.spec.dest)
        };
        match self.sheaves.get(place).and_then(takes_all) {
            Some(dest) if count >= BIG => {
                let length = buffer.len();
                let mut bytes = std::mem::replace(buffer, self.spare.pop().unwrap_or_default());
                buffer.resize(length, 0);
                bytes.truncate(count);
                self.ops.push(Op::Write { dest, bytes });
            }
            _ => self.push(place, lane, &buffer[..count]),
        }
    }

    /// Bytes that wait in memory: of running tasks, and of ended ones whose turn has not come.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// Nothing else can write before this task ends: it need not be held. In a dry run there is nothing to hold.
    pub fn let_flow(&mut self, place: Place) {
        let Some(sheaf) = self.sheaves.get_mut(place) else { return };
        let first = sheaf.order.is_none_or(|(job, seq)| self.gates[&job].next == seq);
        if first && !sheaf.flowing && sheaf.policy != Policy::HoldFast {
            sheaf.flowing = true;
            let framing = sheaf.framing(self.framing);
            for lane in sheaf.lanes.iter_mut().filter(|lane| !lane.is_for_hook()) {
                self.kept -= lane.kept.len();
                lane.begin_to_flow(framing, &mut self.ops);
                self.kept += lane.kept.len();
            }
        }
    }

    /// An attempt failed and another will follow. What a group held of it is not shown; lines are, when it is
    /// their turn.
    pub fn retry(&mut self, place: Place) {
        let Some(mut sheaf) = self.sheaves.take(place) else { return };
        if !sheaf.flowing && sheaf.policy != Policy::Flow {
            for lane in &mut sheaf.lanes {
                self.kept -= lane.kept.len();
                lane.forget(&mut self.ops);
            }
        }
        self.hand_on(sheaf.order, sheaf.lanes);
    }

    /// The task has ended: its output goes on, now or when its turn comes, and `then` what is to follow it.
    pub fn close(&mut self, place: Place, then: Vec<Op>) {
        let Some(sheaf) = self.sheaves.take(place) else { return };
        self.hand_on(sheaf.order, sheaf.lanes);
        match sheaf.order {
            Some(order) => self.ended(order, then),
            None => self.ops.extend(then),
        }
    }

    /// A task of an ordered job has ended, with or without an attempt being open.
    pub fn ended(&mut self, (job, seq): Order, then: Vec<Op>) {
        let gate = self.gate(job);
        if gate.next == seq {
            self.ops.extend(then);
            self.advance(job);
        } else {
            gate.ended.insert(seq, then);
        }
    }

    /// The job has ended: nothing is left whose turn could come first, also if tasks before never were.
    pub fn job_ended(&mut self, job: JobId) {
        let Some(mut gate) = self.gates.remove(&job) else { return };
        for (seq, mut lanes) in std::mem::take(&mut gate.waiting) {
            self.release(&mut lanes);
            self.ops.extend(gate.ended.remove(&seq).into_iter().flatten());
        }
        self.ops.extend(gate.ended.into_values().flatten());
    }

    /// What an attempt left goes on, now or when it is the task's turn.
    fn hand_on(&mut self, order: Option<Order>, lanes: Vec<Lane>) {
        let lanes = self.without_hooks(lanes);
        let (mut now, mut later): (Vec<Lane>, Vec<Lane>) = lanes.into_iter().partition(|lane| lane.spec.own);
        self.release(&mut now);
        if let Some((job, seq)) = order {
            let gate = self.gate(job);
            gate.open.remove(&seq);
            if gate.next != seq {
                later.retain(Lane::holds);
                if !later.is_empty() {
                    gate.waiting.entry(seq).or_default().append(&mut later);
                }
            }
        }
        self.release(&mut later);
    }

    fn gate(&mut self, job: JobId) -> &mut Gate {
        self.gates.entry(job).or_insert_with(|| Gate { next: 1, ..Gate::default() })
    }

    /// The first task has ended: the next one's turn.
    fn advance(&mut self, job: JobId) {
        loop {
            let Some(gate) = self.gates.get_mut(&job) else { return };
            gate.next += 1;
            let next = gate.next;
            let (place, ended) = (gate.open.get(&next).copied(), gate.ended.remove(&next));
            if let Some(mut lanes) = gate.waiting.remove(&next) {
                self.release(&mut lanes);
            }
            if let Some(place) = place {
                self.let_flow(place);
            }
            let Some(then) = ended else { return };
            self.ops.extend(then);
        }
    }

    fn release(&mut self, lanes: &mut [Lane]) {
        for lane in lanes {
            self.kept -= lane.kept.len();
            lane.finish(&mut self.ops);
        }
    }
}

impl Sheaf {
    /// How its lanes flow; `held`: if they were held for a group.
    fn framing(&self, held: Framing) -> Framing {
        if self.policy == Policy::Flow { Framing::Lines } else { held }
    }
}
