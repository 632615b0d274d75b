//! The output of all tasks: which of it flows, and which waits for other tasks.

use std::collections::BTreeMap;

use super::lane::{BIG_BUFFER, Framing, Lane, LaneSpec, tag_lines};
use super::op::{Op, SpillId};
use crate::event::{JobId, Place, PlaceMap};

/// When a task's lanes flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Output flows from the start (`line`), or as soon as the task is first in order.
    Flow,
    /// In one piece at the task's end (`group`), unless [`Outputs::let_flow`] is called or the task is first
    /// in order.
    Hold,
    /// In one piece at the task's end in any case: another attempt may follow, and only the last one is
    /// shown.
    HoldStrictly,
}

/// A job whose output is ordered, and the task's number in it.
pub type Order = (JobId, u64);

/// The most bytes that a lane holds in memory. Above [`TOTAL_LIMIT`] for all lanes together it is
/// [`CROWDED_LIMIT`].
const LANE_LIMIT: usize = 1 << 20;
const TOTAL_LIMIT: usize = 32 << 20;
const CROWDED_LIMIT: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct TaskOutput {
    pub(super) lanes: Vec<Lane>,
    policy: Policy,
    order: Option<Order>,
    pub(super) flowing: bool,
}

/// The order of one job's output.
#[derive(Debug, Default)]
struct Gate {
    /// The number of the task whose turn it is.
    next: u64,
    /// Tasks that ended before their turn, and the operations that follow their output.
    ended: BTreeMap<u64, Vec<Op>>,
    /// The output of those tasks, and of earlier attempts of others.
    waiting: BTreeMap<u64, Vec<Lane>>,
    /// The places of tasks that have not ended, by number.
    open: BTreeMap<u64, Place>,
}

/// All output of a run. Tasks are identified by their places.
#[derive(Debug)]
pub struct Outputs {
    pub(super) tasks: PlaceMap<TaskOutput>,
    gates: BTreeMap<JobId, Gate>,
    pub(super) framing: Framing,
    next_spill: SpillId,
    /// Bytes that all lanes keep in memory.
    pub(super) kept: usize,
    pub ops: Vec<Op>,
    /// True once something was written while its task runs, so that somebody may watch it. Whoever hands on resets it.
    pub flowed: bool,
    /// Big buffers that were written and can be reused: fresh memory costs a page fault for each page.
    pub spare: Vec<Vec<u8>>,
}

impl Outputs {
    /// `framing` applies to lanes that were held for a group and now flow.
    pub fn new(framing: Framing) -> Outputs {
        Outputs {
            tasks: PlaceMap::default(),
            gates: BTreeMap::new(),
            framing,
            next_spill: 0,
            kept: 0,
            ops: Vec::new(),
            flowed: false,
            spare: Vec::new(),
        }
    }

    /// Begins an attempt of a task. With `order`, its output waits for its turn.
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
        self.tasks.insert(place, TaskOutput { lanes, policy, order, flowing });
    }

    /// True if an attempt of the task, or its hook, can write.
    pub fn is_open(&self, place: Place) -> bool {
        self.tasks.get(place).is_some()
    }

    /// Takes output of a task.
    pub fn push(&mut self, place: Place, lane: usize, bytes: &[u8]) {
        let Some(task) = self.tasks.get_mut(place) else { return };
        let framing = task.framing(self.framing);
        let flowing = task.flowing;
        let lane = &mut task.lanes[lane];
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
        self.flowed |= flowing || lane.own_framing().is_some();
        if let Some(framing) = lane.own_framing() {
            self.kept -= lane.kept.len();
            lane.flow(bytes, framing, &mut self.spare, &mut self.ops);
            self.kept += lane.kept.len();
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

    /// Takes the first `count` bytes of a buffer as output of a task. If they are many and can be handed on
    /// unchanged, the buffer itself is taken, and replaced by another one of the same length.
    pub fn push_buffer(&mut self, place: Place, lane: usize, buffer: &mut Vec<u8>, count: usize) {
        let takes_all = |task: &TaskOutput| {
            let lane = &task.lanes[lane];
            let framing = task.flowing.then(|| task.framing(self.framing));
            let flows =
                lane.own_framing().or(framing.filter(|_| !lane.is_for_hook())) == Some(Framing::Chunks);
            (flows && lane.spec.tag.is_none() && lane.kept.is_empty()).then_some(lane.spec.dest)
        };
        match self.tasks.get(place).and_then(takes_all) {
            Some(dest) if count >= BIG_BUFFER => {
                let length = buffer.len();
                let mut bytes = std::mem::replace(buffer, self.spare.pop().unwrap_or_default());
                buffer.resize(length, 0);
                bytes.truncate(count);
                self.flowed = true;
                self.ops.push(Op::Write { dest, bytes });
            }
            _ => self.push(place, lane, &buffer[..count]),
        }
    }

    /// Returns the bytes that wait in memory: of running tasks, and of ended ones whose turn has not come.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// Lets a task's output flow because nothing else can write before this task ends. In a dry run there is
    /// nothing to hold.
    pub fn let_flow(&mut self, place: Place) {
        let Some(task) = self.tasks.get_mut(place) else { return };
        let first = task.order.is_none_or(|(job, seq)| self.gates[&job].next == seq);
        if first && !task.flowing && task.policy != Policy::HoldStrictly {
            task.flowing = true;
            let framing = task.framing(self.framing);
            // Those that flow by themselves may hold the beginning of a line.
            let held = |lane: &&mut Lane| !lane.is_for_hook() && lane.own_framing().is_none();
            for lane in task.lanes.iter_mut().filter(held) {
                if let Some((spill, _)) = lane.spill.filter(|_| lane.transferring) {
                    // It flows from the end of the transfer on.
                    self.ops.push(Op::Recall { spill });
                    continue;
                }
                self.kept -= lane.kept.len();
                lane.begin_to_flow(framing, &mut self.ops);
                self.kept += lane.kept.len();
            }
        }
    }

    /// Ends an attempt that another one will follow. Output that was held for a group is not shown; lines
    /// are, when it is their turn.
    pub fn retry(&mut self, place: Place) {
        let Some(mut task) = self.tasks.take(place) else { return };
        if !task.flowing && task.policy != Policy::Flow {
            // A file of one task keeps what all its attempts wrote.
            for lane in task.lanes.iter_mut().filter(|lane| lane.own_framing().is_none()) {
                self.kept -= lane.kept.len();
                lane.discard(&mut self.ops);
            }
        }
        self.hand_on(task.order, task.lanes);
    }

    /// Ends the task: its output is handed on, now or when its turn comes, followed by `then`.
    pub fn close(&mut self, place: Place, then: Vec<Op>) {
        let Some(task) = self.tasks.take(place) else { return };
        self.hand_on(task.order, task.lanes);
        match task.order {
            Some(order) => self.ended(order, then),
            None => self.ops.extend(then),
        }
    }

    /// Ends a task of an ordered job, whether or not an attempt was open.
    pub fn ended(&mut self, (job, seq): Order, then: Vec<Op>) {
        let gate = self.gate(job);
        if gate.next == seq {
            self.ops.extend(then);
            self.advance(job);
        } else {
            gate.ended.insert(seq, then);
        }
    }

    /// Ends an ordered job. All waiting output is handed on, even if tasks before it never existed.
    pub fn job_ended(&mut self, job: JobId) {
        let Some(mut gate) = self.gates.remove(&job) else { return };
        for (seq, mut lanes) in std::mem::take(&mut gate.waiting) {
            self.release(&mut lanes);
            self.ops.extend(gate.ended.remove(&seq).into_iter().flatten());
        }
        self.ops.extend(gate.ended.into_values().flatten());
    }

    /// Hands on the output of an attempt, now or when it is the task's turn.
    fn hand_on(&mut self, order: Option<Order>, lanes: Vec<Lane>) {
        let lanes = self.without_hooks(lanes);
        let (mut now, mut later): (Vec<Lane>, Vec<Lane>) =
            lanes.into_iter().partition(|lane| lane.own_framing().is_some());
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

    /// Drops what was kept for a hook that does not run: another attempt follows, or the outcome has no hook.
    fn without_hooks(&mut self, lanes: Vec<Lane>) -> Vec<Lane> {
        let (for_hook, others): (Vec<_>, Vec<_>) = lanes.into_iter().partition(Lane::is_for_hook);
        for mut lane in for_hook {
            self.kept -= lane.kept.len();
            lane.discard(&mut self.ops);
        }
        others
    }

    fn gate(&mut self, job: JobId) -> &mut Gate {
        self.gates.entry(job).or_insert_with(|| Gate { next: 1, ..Gate::default() })
    }

    /// Moves on to the next task in order, after the first one has ended.
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

    pub(super) fn release(&mut self, lanes: &mut [Lane]) {
        for lane in lanes {
            self.kept -= lane.kept.len();
            lane.finish(&mut self.ops);
        }
    }
}

impl TaskOutput {
    /// Returns how the task's lanes flow; `held` applies if they were held for a group.
    pub(super) fn framing(&self, held: Framing) -> Framing {
        if self.policy == Policy::Flow { Framing::Lines } else { held }
    }
}
