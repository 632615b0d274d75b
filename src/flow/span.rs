//! Ranges of chunks and files: records that are handed on without being copied. Pure.

use std::ops::Range;
use std::rc::Rc;

use memchr::{memchr, memchr_iter};

/// Bytes that somebody keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    Bytes {
        chunk: Rc<Vec<u8>>,
        range: Range<usize>,
    },
    /// Of the file that is read into the queue.
    File {
        offset: u64,
        len: usize,
    },
}

impl Span {
    pub fn len(&self) -> usize {
        match self {
            Span::Bytes { range, .. } => range.len(),
            Span::File { len, .. } => *len,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same without its first bytes.
    pub fn after(&self, count: usize) -> Span {
        match self {
            Span::Bytes { chunk, range } => {
                Span::Bytes { chunk: Rc::clone(chunk), range: range.start + count..range.end }
            }
            Span::File { offset, len } => Span::File { offset: offset + count as u64, len: len - count },
        }
    }

    /// The bytes, unless they are in a file.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Span::Bytes { chunk, range } => Some(&chunk[range.clone()]),
            Span::File { .. } => None,
        }
    }
}

/// Whole records that follow one another; never none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub span: Span,
    pub records: usize,
}

impl Batch {
    pub fn one(record: Vec<u8>) -> Batch {
        let range = 0..record.len();
        Batch { span: Span::Bytes { chunk: Rc::new(record), range }, records: 1 }
    }

    /// Takes whole records off its front: those in which its first `bytes` bytes are, at least one.
    pub fn split_off_front(&mut self, bytes: usize, separator: Option<u8>) -> Batch {
        let length = match (&self.span, separator) {
            (Span::Bytes { chunk, range }, Some(separator)) if self.records > 1 && bytes < range.len() => {
                let from = range.start + bytes.max(1) - 1;
                memchr(separator, &chunk[from..range.end])
                    .map_or(range.len(), |at| from + at + 1 - range.start)
            }
            _ => self.span.len(),
        };
        if length == self.span.len() {
            let nothing = Span::File { offset: 0, len: 0 };
            let span = std::mem::replace(&mut self.span, nothing);
            return Batch { span, records: std::mem::take(&mut self.records) };
        }
        let Span::Bytes { chunk, range } = &mut self.span else { unreachable!("only bytes are split") };
        let front = range.start..range.start + length;
        range.start += length;
        let records = match separator {
            Some(separator) => memchr_iter(separator, &chunk[front.clone()]).count(),
            None => 1,
        };
        self.records -= records;
        Batch { span: Span::Bytes { chunk: Rc::clone(chunk), range: front }, records }
    }
}
