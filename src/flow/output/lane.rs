//! One destination of a task's output: what it holds, and how it hands that on.

use std::sync::Arc;

use super::escape::Escape;
use super::op::{Dest, Op, SpillId};

/// Buffers of at least this many bytes are kept for reuse.
pub const BIG_BUFFER: usize = 16 << 10;
/// A line of more bytes is handed on in pieces.
pub const LONGEST_LINE: usize = 1 << 20;
/// The pieces in which a flowing lane's output is handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Output passes as it comes, because no other task writes to the same place.
    Chunks,
    /// As whole lines, so that lines of several tasks do not mix.
    Lines,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneSpec {
    pub dest: Dest,
    /// Text before each line.
    pub tag: Option<Arc<[u8]>>,
    /// If set, the lane is held and becomes a column of a table
    /// ([`Outputs::make_row`](super::Outputs::make_row)).
    pub escape: Option<Escape>,
    pub own: Own,
}

/// The extent of the output that shares a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// The output of several tasks: it is held, or flows, as the policy says.
    Shared,
    /// The output of one task, whose attempts all stay there: it flows at once, as whole lines.
    Task,
    /// The output of one attempt: it flows at once, and the destination is closed at the lane's end.
    Attempt(Framing),
}

#[derive(Debug)]
pub(super) struct Lane {
    pub spec: LaneSpec,
    /// True if the next byte continues a line whose tag was written already.
    pub mid_line: bool,
    /// Held output, or the beginning of a line that is not complete.
    pub kept: Vec<u8>,
    pub spill: Option<(SpillId, u64)>,
    /// True while the caller moves the task's bytes into the temporary file by itself.
    pub transferring: bool,
    /// The incomplete character at the end of what was escaped.
    pub partial_char: Vec<u8>,
}

impl Lane {
    pub fn new(spec: LaneSpec) -> Lane {
        Lane {
            spec,
            mid_line: false,
            kept: Vec::new(),
            spill: None,
            transferring: false,
            partial_char: Vec::new(),
        }
    }

    /// Returns how the lane flows, if it does whatever the policy says.
    pub fn own_framing(&self) -> Option<Framing> {
        match self.spec.own {
            Own::Shared => None,
            Own::Task => Some(Framing::Lines),
            Own::Attempt(framing) => Some(framing),
        }
    }

    /// True if bytes may be appended to the temporary file as they are: there is one, and nothing is put around them.
    pub fn takes_bytes_unchanged(&self) -> bool {
        let LaneSpec { tag, escape, own, .. } = &self.spec;
        self.spill.is_some() && tag.is_none() && escape.is_none() && *own == Own::Shared
    }

    /// True if the output is kept for the task's hook. Such a lane never flows.
    pub fn is_for_hook(&self) -> bool {
        self.spec.dest == Dest::Hook
    }

    pub fn escape(&mut self, escape: Escape, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 8);
        escape.put(bytes, &mut self.partial_char, &mut out);
        out
    }

    /// Ends the escaped value. Returns by how many bytes `kept` has grown.
    pub fn end_escape(&mut self) -> usize {
        let before = self.kept.len();
        if let Some(escape) = self.spec.escape {
            escape.end(&mut self.partial_char, &mut self.kept);
        }
        self.kept.len() - before
    }

    /// Hands on what was held so far, except an incomplete line if lines stay whole.
    pub fn begin_to_flow(&mut self, framing: Framing, ops: &mut Vec<Op>) {
        let kept = std::mem::take(&mut self.kept);
        self.release(ops);
        self.flow(&kept, framing, &mut Vec::new(), ops);
    }

    /// Ends the lane: hands on what was held.
    pub fn finish(&mut self, ops: &mut Vec<Op>) {
        self.release(ops);
        if matches!(self.spec.own, Own::Attempt(_)) {
            ops.push(Op::Close { dest: self.spec.dest });
        }
    }

    pub fn holds(&self) -> bool {
        self.spill.is_some() || !self.kept.is_empty()
    }

    pub fn discard(&mut self, ops: &mut Vec<Op>) {
        self.kept.clear();
        if let Some((spill, _)) = self.spill.take() {
            ops.push(Op::Drop { spill });
        }
    }

    /// Hands on what was held, first the spilled part.
    pub fn release(&mut self, ops: &mut Vec<Op>) {
        let dest = self.spec.dest;
        if let Some((spill, len)) = self.spill.take() {
            ops.push(Op::Replay { dest, spill, len });
        }
        if !self.kept.is_empty() {
            ops.push(Op::Write { dest, bytes: std::mem::take(&mut self.kept) });
        }
    }

    pub fn spill(&mut self, next: &mut SpillId, ops: &mut Vec<Op>) {
        let (spill, len) = self.spill.get_or_insert_with(|| {
            *next += 1;
            (*next, 0)
        });
        // Spills whole lines if there are any: the lane may begin to flow while the last line is incomplete.
        let whole = memchr::memrchr(b'\n', &self.kept).map_or(self.kept.len(), |at| at + 1);
        let rest = self.kept.split_off(whole);
        *len += whole as u64;
        ops.push(Op::Spill { spill: *spill, bytes: std::mem::replace(&mut self.kept, rest) });
    }

    pub fn flow(&mut self, bytes: &[u8], framing: Framing, spare: &mut Vec<Vec<u8>>, ops: &mut Vec<Op>) {
        let dest = self.spec.dest;
        let whole = match framing {
            Framing::Chunks => bytes.len(),
            Framing::Lines => memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1),
        };
        let too_long = self.kept.len() + bytes.len() - whole > LONGEST_LINE;
        let (now, later) = bytes.split_at(if too_long { bytes.len() } else { whole });
        if !now.is_empty() {
            let mut out = std::mem::take(&mut self.kept);
            if out.capacity() == 0 && now.len() >= BIG_BUFFER {
                out = spare.pop().unwrap_or_default();
                out.clear();
            }
            out.extend_from_slice(now);
            ops.push(Op::Write { dest, bytes: out });
        }
        self.kept.extend_from_slice(later);
    }
}

/// Puts the tag before each line. `mid_line` is true while a line continues whose tag was written already.
pub(super) fn tag_lines(tag: &[u8], bytes: &[u8], mid_line: &mut bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 8 + tag.len());
    let mut from = 0;
    while from < bytes.len() {
        if !*mid_line {
            out.extend_from_slice(tag);
        }
        let end = memchr::memchr(b'\n', &bytes[from..]).map(|at| from + at + 1);
        *mid_line = end.is_none();
        let end = end.unwrap_or(bytes.len());
        out.extend_from_slice(&bytes[from..end]);
        from = end;
    }
    out
}
