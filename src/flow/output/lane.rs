//! One destination of a task's output: what it holds, and how it lets go of it.

use super::{BIG, Dest, Escape, Framing, LONGEST_LINE, LaneSpec, Op, SpillId};

#[derive(Debug)]
pub(super) struct Lane {
    pub spec: LaneSpec,
    /// Whether the next byte belongs to a line whose tag was written already.
    pub mid_line: bool,
    /// Held, or the beginning of a line that is not complete.
    pub kept: Vec<u8>,
    pub spill: Option<(SpillId, u64)>,
    /// The beginning of a character, where what comes is escaped.
    pub cut: Vec<u8>,
}

impl Lane {
    pub fn new(spec: LaneSpec) -> Lane {
        Lane { spec, mid_line: false, kept: Vec::new(), spill: None, cut: Vec::new() }
    }

    /// It is kept for the task's hook, and never flows.
    pub fn is_for_hook(&self) -> bool {
        self.spec.dest == Dest::Hook
    }

    pub fn escape(&mut self, escape: Escape, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 8);
        escape.put(bytes, &mut self.cut, &mut out);
        out
    }

    /// Nothing more will come; returns how many more bytes it holds.
    pub fn end_escape(&mut self) -> usize {
        let before = self.kept.len();
        if let Some(escape) = self.spec.escape {
            escape.end(&mut self.cut, &mut self.kept);
        }
        self.kept.len() - before
    }

    /// Hands on what was held so far, but not the beginning of a line where lines stay whole.
    pub fn begin_to_flow(&mut self, framing: Framing, ops: &mut Vec<Op>) {
        let kept = std::mem::take(&mut self.kept);
        self.release(ops);
        self.flow(&kept, framing, &mut Vec::new(), ops);
    }

    /// Hands on what was held, at the lane's end.
    pub fn finish(&mut self, ops: &mut Vec<Op>) {
        self.release(ops);
        if self.spec.own {
            ops.push(Op::Close { dest: self.spec.dest });
        }
    }

    pub fn holds(&self) -> bool {
        self.spill.is_some() || !self.kept.is_empty()
    }

    pub fn forget(&mut self, ops: &mut Vec<Op>) {
        self.kept.clear();
        if let Some((spill, _)) = self.spill.take() {
            ops.push(Op::Drop { spill });
        }
    }

    /// Hands on what was held, spilled first.
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
        // Whole lines, if there are any: the lane may begin to flow while the last one is not complete.
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
            if out.capacity() == 0 && now.len() >= BIG {
                out = spare.pop().unwrap_or_default();
                out.clear();
            }
            out.extend_from_slice(now);
            ops.push(Op::Write { dest, bytes: out });
        }
        self.kept.extend_from_slice(later);
    }
}

/// Puts the tag before each line; `mid_line` says whether the line that goes on has its tag already.
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
