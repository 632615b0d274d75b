//! Ranges of chunks: records that are handed on without being copied. Pure.

use std::ops::{Deref, Range};
use std::rc::Rc;

use memchr::{memchr, memchr_iter};

/// A range of a chunk. The chunk lives as long as one of its ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Span {
    chunk: Rc<Vec<u8>>,
    range: Range<usize>,
}

impl Span {
    pub fn new(chunk: &Rc<Vec<u8>>, range: Range<usize>) -> Span {
        Span { chunk: Rc::clone(chunk), range }
    }

    /// Returns the range without its first `count` bytes.
    pub fn after(&self, count: usize) -> Span {
        Span::new(&self.chunk, self.range.start + count..self.range.end)
    }

    /// Splits off the first `count` bytes.
    fn split_front(&mut self, count: usize) -> Span {
        let front = Span::new(&self.chunk, self.range.start..self.range.start + count);
        self.range.start += count;
        front
    }
}

impl Deref for Span {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.chunk[self.range.clone()]
    }
}

/// Consecutive whole records. Empty only after all of them were split off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    pub span: Span,
    pub records: usize,
}

impl Batch {
    pub fn one(record: Vec<u8>) -> Batch {
        let length = record.len();
        Batch { span: Span::new(&Rc::new(record), 0..length), records: 1 }
    }

    /// Splits off the records that hold the first `bytes` bytes, at least one record. Without a `separator`
    /// the batch is one record.
    pub fn split_off_front(&mut self, bytes: usize, separator: Option<u8>) -> Batch {
        let from = bytes.saturating_sub(1);
        let Some(separator) = separator.filter(|_| self.records > 1 && from < self.span.len()) else {
            return std::mem::take(self);
        };
        match memchr(separator, &self.span[from..]).map(|at| from + at + 1) {
            Some(length) if length < self.span.len() => {
                let span = self.span.split_front(length);
                let records = memchr_iter(separator, &span).count();
                self.records -= records;
                Batch { span, records }
            }
            _ => std::mem::take(self),
        }
    }
}
