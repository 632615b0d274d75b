//! Cuts a stream into the records of a queue. Pure.
//!
//! Bytes are read directly into a chunk, and records are ranges of it. Only the beginning of a record whose
//! end was not read yet is copied. Where a single byte ends each record, consecutive records of a chunk stay
//! together as one [`Batch`], so that lines cost no more than counting them.

use std::rc::Rc;

use memchr::{memchr, memchr_iter, memmem, memrchr};
use regex::bytes::Regex;

use super::long::{self, OutOfMemory};
use super::span::{Batch, Span};

/// The definition of a record.
#[derive(Debug, Clone)]
pub struct Rule {
    pub unit: Unit,
    /// Units per record; at least 1.
    pub per_record: usize,
    /// If set, several records are handed on as one.
    pub block: Option<Block>,
}

#[derive(Debug, Clone)]
pub enum Unit {
    /// It ends with these bytes. They are appended to the last unit of a stream if it lacks them.
    Ends(Vec<u8>),
    /// It begins where this matches. A match may extend beyond the end of its line.
    Starts(Regex),
    /// It ends with `end`, where `start` follows.
    Between {
        end: Vec<u8>,
        start: Vec<u8>,
    },
    Bytes(usize),
}

/// A block has as many whole records as are there when one of the limits is reached, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    pub bytes: usize,
    pub records: usize,
}

impl Rule {
    /// Returns the byte that separates the records of a batch. `None` if each batch is one record.
    pub fn separator(&self) -> Option<u8> {
        match (&self.unit, self.per_record, self.block) {
            (Unit::Ends(end), 1, None) if end.len() == 1 => Some(end[0]),
            _ => None,
        }
    }

    /// Returns the separator and the size of blocks that are limited by their bytes alone.
    fn jumps(&self) -> Option<(u8, usize)> {
        match (&self.unit, self.per_record, self.block) {
            (Unit::Ends(end), 1, Some(Block { bytes, records: usize::MAX })) if end.len() == 1 => {
                Some((end[0], bytes))
            }
            _ => None,
        }
    }

    /// Returns the bytes at the end of a record that do not belong to an item.
    pub fn ending(&self) -> &[u8] {
        match (&self.unit, self.block) {
            (Unit::Ends(end), None) => end,
            _ => &[],
        }
    }
}

/// Used chunks for reuse: fresh memory costs a page fault for each page.
#[derive(Debug)]
struct Chunks {
    kept: Vec<Rc<Vec<u8>>>,
    /// The size of a new chunk.
    size: usize,
}

/// The most chunks that are kept for reuse.
const REMEMBERED: usize = 8;

impl Chunks {
    fn take(&mut self) -> Vec<u8> {
        let free = self.kept.iter().position(|chunk| Rc::strong_count(chunk) == 1);
        let old = free.and_then(|at| Rc::try_unwrap(self.kept.swap_remove(at)).ok());
        old.unwrap_or_else(|| vec![0; self.size])
    }

    /// Keeps a chunk that is handed out, in case it becomes free.
    fn remember(&mut self, chunk: &Rc<Vec<u8>>) {
        if self.kept.len() < REMEMBERED && chunk.len() == self.size {
            self.kept.push(Rc::clone(chunk));
        }
    }
}

/// The sizes within which a stream is cut.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// The most bytes that are read at once.
    pub read: usize,
    /// The most bytes of a record.
    pub record: usize,
    /// True if each read brings one packet, whose rest would be lost if there were less room than `read`.
    pub packets: bool,
}

/// The reason why a stream is not cut any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// A record is longer than it may be.
    TooLong,
    OutOfMemory(OutOfMemory),
}

/// Cuts one stream.
///
/// It has many fields because offsets into one chunk move together whenever a record is handed out: parts of their own
/// would have to be told of each other.
#[derive(Debug)]
pub struct Cutter {
    rule: Rc<Rule>,
    /// The most bytes that are read at once, and that are held without the end of a record.
    sizes: Sizes,
    chunks: Chunks,
    /// The current record begins at offset 0. The bytes up to `filled` were read.
    chunk: Vec<u8>,
    filled: usize,
    /// No unit that was not counted yet ends before this offset.
    searched: usize,
    /// The end of the last whole line, for units that are found by a pattern.
    lines: usize,
    /// Units of the current record, the end of the last of them, records of the current block, and the end of
    /// the last of these.
    units: usize,
    unit_end: usize,
    records: usize,
    record_end: usize,
    /// Set once the rest of the stream is dropped.
    broken: Option<Broken>,
}

/// The end of bytes that are handed out together.
#[derive(Debug, Clone, Copy)]
struct End {
    /// The offset in the chunk.
    at: usize,
    /// Records since the end before.
    records: usize,
}

/// A chunk for a long record grows by as much, at most.
const STEP: usize = 4 << 20;

/// Blocks of more bytes than this do not enlarge the chunks.
const BIGGEST_CHUNK: usize = 64 << 20;

impl Cutter {
    pub fn new(rule: Rc<Rule>, Sizes { read: most, record, packets }: Sizes) -> Cutter {
        let block = rule.block.map_or(0, |block| block.bytes);
        // Sizes that were asked for do not count.
        let asked = match rule.unit {
            Unit::Bytes(count) => count.saturating_mul(rule.per_record),
            _ if block == usize::MAX => 0,
            _ => block,
        };
        let size = most + if block <= BIGGEST_CHUNK { block } else { 0 };
        Cutter {
            sizes: Sizes {
                read: most,
                record: record.saturating_add(asked).saturating_add(rule.ending().len()),
                packets,
            },
            rule,
            chunks: Chunks { kept: Vec::new(), size },
            chunk: Vec::new(),
            filled: 0,
            searched: 0,
            lines: 0,
            units: 0,
            unit_end: 0,
            records: 0,
            record_end: 0,
            broken: None,
        }
    }

    /// Returns why the stream is not cut any further: what comes is dropped.
    pub fn broken(&self) -> Option<Broken> {
        self.broken
    }

    fn break_off(&mut self, why: Broken) {
        self.broken = Some(why);
        self.chunk = Vec::new();
        self.filled = 0;
    }

    /// Returns the buffer for the next read.
    pub fn space(&mut self) -> &mut [u8] {
        if self.chunk.is_empty() {
            self.chunk = self.chunks.take();
        }
        let least = if self.sizes.packets { self.sizes.read } else { self.sizes.read.div_ceil(2) };
        if self.chunk.len() - self.filled < least {
            let more = self.chunk.len().clamp(self.sizes.read, STEP);
            match long::reserve(&mut self.chunk, more) {
                Ok(()) => self.chunk.resize(self.chunk.len() + more, 0),
                Err(why) => {
                    self.break_off(Broken::OutOfMemory(why));
                    self.chunk = vec![0; self.sizes.read];
                }
            }
        }
        let end = self.chunk.len().min(self.filled + self.sizes.read);
        &mut self.chunk[self.filled..end]
    }

    /// Takes the first `count` bytes of [`Cutter::space`] as read, and hands out the records that end there.
    pub fn filled(&mut self, count: usize, out: &mut impl Extend<Batch>) {
        if self.broken.is_some() {
            return;
        }
        self.cut_filled(count, out);
        let rest = self.filled - self.unit_end.max(self.record_end).min(self.filled);
        if rest > self.sizes.record - self.rule.ending().len().min(1) {
            self.break_off(Broken::TooLong);
        }
    }

    fn cut_filled(&mut self, count: usize, out: &mut impl Extend<Batch>) {
        let from = self.filled;
        self.filled += count;
        if let Some(separator) = self.rule.separator() {
            if let Some(last) = memrchr(separator, &self.chunk[from..self.filled]) {
                let end = from + last + 1;
                let records = memchr_iter(separator, &self.chunk[from..end]).count();
                self.hand_out(&[End { at: end, records }], out);
            }
            return;
        }
        if matches!(self.rule.unit, Unit::Starts(_)) {
            // While more may come, only whole lines are examined, so that the result does not depend on the
            // sizes of the reads.
            match memrchr(b'\n', &self.chunk[from..self.filled]) {
                Some(at) => self.lines = from + at + 1,
                None => return,
            }
        }
        let mut ends = Vec::new();
        self.cut(&mut ends, false);
        self.hand_out(&ends, out);
    }

    /// Ends the stream. With `whole` the rest is the last record, although it has no ending. Its whole units
    /// count in any case.
    pub fn end(mut self, whole: bool, out: &mut impl Extend<Batch>) {
        if self.broken.is_some() {
            return;
        }
        // The rest is short enough, whatever ending it gets.
        self.sizes.record = usize::MAX;
        let mut ends = Vec::new();
        if self.rule.separator().is_none() {
            self.lines = self.filled;
            self.cut(&mut ends, true);
        }
        let last = ends.last().map_or(0, |end| end.at);
        let rest = if whole { self.filled } else { self.unit_end };
        if rest > last {
            let ending = self.rule.ending();
            let lacks = !self.chunk[last..rest].ends_with(ending);
            if lacks && self.chunk.len() < rest + ending.len() {
                self.chunk.resize(rest + ending.len(), 0);
            }
            let mut end = rest;
            if lacks {
                let ending = ending.to_vec();
                end += ending.len();
                self.chunk[rest..end].copy_from_slice(&ending);
            }
            self.filled = end;
            ends.push(End { at: end, records: 1 });
        }
        self.hand_out(&ends, out);
    }

    /// Hands out the bytes before each of these ends.
    fn hand_out(&mut self, ends: &[End], out: &mut impl Extend<Batch>) {
        let too_long = ends.last().is_some_and(|end| end.at > self.sizes.record);
        match too_long.then(|| self.ends_before_too_long(ends)).flatten() {
            None => self.hand_out_whole(ends, out),
            Some(whole) => {
                self.hand_out_whole(&whole, out);
                self.break_off(Broken::TooLong);
            }
        }
    }

    fn hand_out_whole(&mut self, ends: &[End], out: &mut impl Extend<Batch>) {
        let Some(&End { at: all, .. }) = ends.last() else { return };
        let rest = all..self.filled;
        // Records that fill less than half of a chunk are copied, so that the chunk can be used again.
        let small = all < self.chunk.len() / 2;
        let chunk = if small && (self.chunk.len() <= self.chunks.size || rest.len() > self.chunks.size) {
            let copy = self.chunk[..all].to_vec();
            self.chunk.copy_within(rest, 0);
            Rc::new(copy)
        } else {
            let mut next = self.chunks.take();
            if next.len() < rest.len() {
                next.resize(rest.len(), 0);
            }
            next[..rest.len()].copy_from_slice(&self.chunk[rest]);
            let mut full = std::mem::replace(&mut self.chunk, next);
            if small {
                full = full[..all].to_vec();
            }
            let full = Rc::new(full);
            self.chunks.remember(&full);
            full
        };
        for place in
            [&mut self.filled, &mut self.searched, &mut self.lines, &mut self.unit_end, &mut self.record_end]
        {
            *place = place.saturating_sub(all);
        }
        let mut start = 0;
        out.extend(ends.iter().map(|&End { at, records }| {
            let range = std::mem::replace(&mut start, at)..at;
            Batch { span: Span::new(&chunk, range), records }
        }));
    }

    /// Returns the ends of the records that stand before the first one that is too long. `None` if none is.
    fn ends_before_too_long(&self, ends: &[End]) -> Option<Vec<End>> {
        let mut start = 0;
        for (at, end) in ends.iter().enumerate() {
            let bytes = &self.chunk[std::mem::replace(&mut start, end.at)..end.at];
            if bytes.len() <= self.sizes.record {
                continue;
            }
            let mut whole = ends[..at].to_vec();
            let Some(separator) = self.rule.separator().filter(|_| end.records > 1) else {
                return Some(whole);
            };
            let mut before = End { at: end.at - bytes.len(), records: 0 };
            for record in bytes.split_inclusive(|byte| *byte == separator) {
                if record.len() > self.sizes.record {
                    whole.extend((before.records > 0).then_some(before));
                    return Some(whole);
                }
                before = End { at: before.at + record.len(), records: before.records + 1 };
            }
        }
        None
    }

    /// Finds the ends of the records, or blocks, that are complete. `last` is true at the end of the stream.
    fn cut(&mut self, ends: &mut Vec<End>, last: bool) {
        let mut start = 0;
        loop {
            if let Some(end) = self.jump(start) {
                self.searched = end;
                self.unit_end = end;
                start = end;
                ends.push(End { at: end, records: 1 });
                continue;
            }
            let Some(end) = self.next_unit(start, last) else { return };
            self.unit_end = end;
            self.units += 1;
            if self.units < self.rule.per_record {
                continue;
            }
            self.units = 0;
            let Some(block) = self.rule.block else {
                start = end;
                ends.push(End { at: end, records: 1 });
                continue;
            };
            // A record that would make the block too big begins the next one.
            if end - start > block.bytes && self.records > 0 {
                start = self.record_end;
                self.records = 0;
                ends.push(End { at: start, records: 1 });
            }
            self.records += 1;
            self.record_end = end;
            if self.records >= block.records || end - start >= block.bytes {
                start = end;
                self.records = 0;
                ends.push(End { at: end, records: 1 });
            }
        }
    }

    /// Finds the end of a block that is limited by its bytes alone, without examining each of its records.
    fn jump(&mut self, start: usize) -> Option<usize> {
        let (separator, bytes) = self.rule.jumps()?;
        if self.records > 0 || self.filled - start < bytes {
            return None;
        }
        let full = &self.chunk[start..start + bytes];
        if self.searched < start + bytes
            && let Some(at) = memrchr(separator, full)
        {
            return Some(start + at + 1);
        }
        let from = self.searched.max(start + bytes);
        let found = memchr(separator, &self.chunk[from..self.filled]).map(|at| from + at + 1);
        self.searched = self.filled;
        found
    }

    /// Finds the end of the next unit of the record that begins at `start`.
    fn next_unit(&mut self, start: usize, last: bool) -> Option<usize> {
        let there = &self.chunk[..self.filled];
        let from = self.searched.max(start).min(there.len());
        let unit = self.unit_end.max(start);
        let (found, searched) = match &self.rule.unit {
            // Blocks without a limit of records are found by `jump`, and need not examine each line.
            Unit::Ends(_) if !last && self.rule.jumps().is_some() => (None, from),
            Unit::Ends(end) if end.len() == 1 => {
                (memchr(end[0], &there[from..]).map(|at| from + at + 1), there.len())
            }
            Unit::Ends(end) => {
                let found = memmem::find(&there[from..], end).map(|at| from + at + end.len());
                (found, (there.len() + 1).saturating_sub(end.len()).max(from))
            }
            Unit::Between { end, start: next } => {
                let both = [end.as_slice(), next].concat();
                let from = if end.is_empty() { from.max(unit + 1).min(there.len()) } else { from };
                let found = memmem::find(&there[from..], &both).map(|at| from + at + end.len());
                // The `start` that follows belongs to the next unit.
                (found, (there.len() + 1).saturating_sub(both.len()).max(from))
            }
            Unit::Bytes(count) => {
                let end = unit + count;
                ((end <= there.len()).then_some(end), from)
            }
            Unit::Starts(regex) => next_start(regex, &there[..self.lines], unit, from),
        };
        self.searched = found.unwrap_or(searched);
        found
    }
}

/// Finds the start of the record after the one at `start`. Also returns the offset before which it can't be.
fn next_start(regex: &Regex, lines: &[u8], start: usize, searched: usize) -> (Option<usize>, usize) {
    let from = searched.max(start + 1);
    if from >= lines.len() {
        return (None, searched);
    }
    let found = regex.find_at(&lines[start..], from - start).map(|found| start + found.start());
    // The last line, and the newline before it, may belong to a match that is not complete.
    let line = memrchr(b'\n', &lines[start..lines.len() - 1]).map_or(start, |at| start + at);
    (found.filter(|&at| at < lines.len()), searched.max(line))
}
