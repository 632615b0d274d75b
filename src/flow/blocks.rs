//! Cuts a stream into blocks of whole records. Pure: it is given bytes of a block and returns the block's
//! length.
//!
//! A block ends with the first record that gives it enough bytes or enough records. Where only bytes count,
//! only the bytes behind the minimum size are examined; so the end of a block of a file is found by reading a
//! few bytes.

use memchr::memmem::Finder;

/// The definition of a block.
#[derive(Debug, Clone)]
pub struct Shape {
    /// The bytes that separate units. A unit ends `after` bytes behind the beginning of each occurrence.
    separator: Finder<'static>,
    after: usize,
    /// Units per record.
    per_record: usize,
    /// A block is complete with this many bytes, or with this many records.
    bytes: usize,
    records: usize,
}

impl Shape {
    /// Units end with `end`, followed by `start`. One of the two may be empty.
    pub fn new(end: &[u8], start: &[u8], per_record: usize, bytes: usize, records: usize) -> Shape {
        let separator = Finder::new(&[end, start].concat()).into_owned();
        Shape { separator, after: end.len(), per_record, bytes, records }
    }

    /// True if every unit has to be found because units are counted.
    pub fn counts(&self) -> bool {
        self.per_record > 1 || self.records < usize::MAX
    }

    /// Returns the number of bytes at the beginning of a block that need not be examined.
    pub fn skipped(&self) -> usize {
        if self.counts() { 0 } else { self.bytes.saturating_sub(self.after) }
    }
}

/// The end of a record is searched within this many times the most bytes that it may have.
const TIMES: u64 = 16;

/// Finds the end of one block after another.
#[derive(Debug)]
pub struct Cutter {
    shape: Shape,
    /// The most bytes of a record.
    most: usize,
    /// Bytes of the block that need not be examined again.
    seen: usize,
    /// Units of the block that end within them.
    units: usize,
    /// The record that has not ended begins here, or before bytes that were not examined.
    record: usize,
}

/// A block of which the end was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub length: usize,
    /// The length of its last record, if that is too long.
    pub too_long: Option<u64>,
}

impl Cutter {
    pub fn new(shape: Shape, most: usize) -> Cutter {
        let seen = shape.skipped();
        Cutter { seen, shape, most, units: 0, record: seen }
    }

    /// Returns the offset in the block from which it needs to see bytes.
    pub fn seen(&self) -> usize {
        self.seen
    }

    /// Returns the number of bytes, at the beginning of a usual block, that are not examined.
    pub fn skipped(&self) -> usize {
        self.shape.skipped()
    }

    /// Returns how many bytes of a record were examined without finding its end, if they are too many.
    pub fn too_long(&self) -> Option<u64> {
        self.is_too_long(self.seen)
    }

    /// Returns the length of a record from which on its end is not searched any more.
    pub fn endless(&self) -> u64 {
        (self.most as u64).saturating_mul(TIMES)
    }

    fn is_too_long(&self, end: usize) -> Option<u64> {
        let size = end.saturating_sub(self.record);
        (size > self.most).then_some(size as u64)
    }

    /// Examines bytes of the block that begin `at` bytes behind its start, at or before [`Cutter::seen`].
    /// Returns the block if its end is among them; the next call is then about the next block.
    pub fn find_end(&mut self, at: usize, bytes: &[u8]) -> Option<Found> {
        debug_assert!(at <= self.seen);
        while self.seen < at + bytes.len() {
            let Some(found) = self.shape.separator.find(&bytes[self.seen - at..]) else { break };
            let end = self.seen + found + self.shape.after;
            // A separator at the very beginning of a block ends nothing.
            if end > 0 && self.ends_with_unit(end) {
                return Some(self.end(end));
            }
            self.seen = (self.seen + found + 1).max(end);
        }
        // The last bytes may be the beginning of a separator.
        let partial = self.shape.separator.needle().len() - 1;
        self.seen = self.seen.max((at + bytes.len()).saturating_sub(partial));
        None
    }

    /// Ends the block, because its stream has ended with it.
    pub fn end(&mut self, length: usize) -> Found {
        let too_long = self.is_too_long(length);
        *self = Cutter::new(self.shape.clone(), self.most);
        Found { length, too_long }
    }

    /// Returns the end of the last whole record among these bytes of the block, which begin `at` bytes behind its start
    /// and reach as far as any. The next call of another function is about a new block.
    pub fn break_off(&mut self, at: usize, bytes: &[u8]) -> Option<usize> {
        let end = match self.shape.counts() {
            true => Some(self.record),
            false => {
                let needle = self.shape.separator.needle();
                memchr::memmem::rfind(bytes, needle).map(|found| at + found + self.shape.after)
            }
        };
        *self = Cutter::new(self.shape.clone(), self.most);
        end.filter(|end| *end > at)
    }

    /// Counts a unit, and returns true if it completes the block.
    fn ends_with_unit(&mut self, end: usize) -> bool {
        self.units += 1;
        if !self.units.is_multiple_of(self.shape.per_record) {
            return false;
        }
        let is_last = end >= self.shape.bytes
            || self.units / self.shape.per_record >= self.shape.records
            || self.is_too_long(end).is_some();
        if !is_last {
            self.record = end;
        }
        is_last
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = usize::MAX;

    /// Returns the blocks of a text that is read in pieces of this size.
    fn blocks(shape: &Shape, text: &[u8], piece: usize) -> Vec<Vec<u8>> {
        let (mut blocks, mut start, mut cutter) = (Vec::new(), 0, Cutter::new(shape.clone(), MAX));
        let mut there = 0;
        while start < text.len() {
            let from = cutter.seen().min(there - start);
            match cutter.find_end(from, &text[start + from..there]) {
                Some(Found { length, too_long }) => {
                    assert_eq!(too_long, None);
                    blocks.push(text[start..start + length].to_vec());
                    start += length;
                }
                None if there >= text.len() => {
                    blocks.push(text[start..].to_vec());
                    start = text.len();
                }
                None => there = (there + piece).min(text.len()),
            }
        }
        blocks
    }

    fn cut(end: &str, start: &str, [per_record, bytes, records]: [usize; 3], text: &str) -> String {
        let shape = Shape::new(end.as_bytes(), start.as_bytes(), per_record, bytes, records);
        let all = blocks(&shape, text.as_bytes(), MAX / 2);
        for piece in 1..=text.len() {
            assert_eq!(blocks(&shape, text.as_bytes(), piece), all, "in pieces of {piece}");
        }
        all.iter().map(|block| String::from_utf8_lossy(block)).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn enough_bytes_end_a_block_with_their_record() {
        assert_eq!(cut("\n", "", [1, 4, MAX], "a\nb\nccc\nd\n"), "a\nb\n|ccc\n|d\n");
        assert_eq!(cut("\n", "", [1, 3, MAX], "aaaaaaaaaa\nb\nc"), "aaaaaaaaaa\n|b\nc");
        assert_eq!(cut("\n", "", [1, 1, MAX], "\n\n\n"), "\n|\n|\n");
        assert_eq!(cut("\n", "", [1, 100, MAX], "a\nb"), "a\nb");
        assert_eq!(cut("\n", "", [1, 1, MAX], ""), "");
    }

    #[test]
    fn records_and_their_units_are_counted() {
        assert_eq!(cut("\n", "", [1, MAX, 2], "a\nb\nc\nd\ne"), "a\nb\n|c\nd\n|e");
        assert_eq!(cut("\n", "", [2, 1, MAX], "a\nb\nc\nd\ne\n"), "a\nb\n|c\nd\n|e\n");
        assert_eq!(cut("\n", "", [2, 5, MAX], "a\nb\nc\nd\ne\n"), "a\nb\nc\nd\n|e\n");
        assert_eq!(cut("\n", "", [2, MAX, 2], "a\nb\nc\nd\ne\nf\n"), "a\nb\nc\nd\n|e\nf\n");
        assert_eq!(cut("\n", "", [1, 4, 1], "aaaaa\nb\n"), "aaaaa\n|b\n", "what comes first counts");
    }

    #[test]
    fn a_record_that_is_too_long_is_found_in_constant_memory() {
        for (bytes, records) in [(1, MAX), (MAX, 2)] {
            let mut cutter = Cutter::new(Shape::new(b"\n", b"", 1, bytes, records), 10);
            assert_eq!(cutter.find_end(0, b"0123456789"), None);
            assert_eq!(cutter.too_long(), None);
            let mut at = 10;
            for _ in 0..10 {
                assert_eq!(cutter.find_end(at, b"xxxxx"), None);
                at += 5;
                assert_eq!(cutter.too_long(), Some(at as u64));
            }
            assert_eq!(cutter.find_end(at, b"\nb\n"), Some(Found { length: 61, too_long: Some(61) }));
            assert_eq!(cutter.too_long(), None);
        }
        // Bytes that a block has in any case do not count.
        let mut cutter = Cutter::new(Shape::new(b"\n", b"", 1, 100, MAX), 10);
        assert_eq!(cutter.find_end(0, &[b'x'; 109]), None);
        assert_eq!(cutter.end(109), Found { length: 109, too_long: None });
        assert_eq!(cutter.end(120), Found { length: 120, too_long: Some(21) });
    }

    #[test]
    fn of_a_stream_that_breaks_off_whole_records_are_left() {
        let broken = |bytes, records, text: &[u8]| {
            let mut cutter = Cutter::new(Shape::new(b"\n", b"", 1, bytes, records), 100);
            assert_eq!(cutter.find_end(0, text), None);
            cutter.break_off(0, text)
        };
        assert_eq!(broken(100, MAX, b"x\ny\nhal"), Some(4));
        assert_eq!(broken(100, MAX, b"hal"), None);
        assert_eq!(broken(MAX, 3, b"x\ny\nhal"), Some(4));
        assert_eq!(broken(MAX, 3, b"hal"), None);
    }

    #[test]
    fn marks_of_several_bytes() {
        assert_eq!(cut("ab", "", [1, 1, MAX], "xabaab"), "xab|aab");
        assert_eq!(cut("ab", "", [1, MAX, 1], "xabaab"), "xab|aab");
        assert_eq!(cut("aa", "", [1, MAX, 1], "aaaaa"), "aa|aa|a");
        assert_eq!(cut("", ">", [1, 1, MAX], ">a\n>b>c"), ">a\n|>b|>c");
        assert_eq!(cut("", ">", [1, MAX, 2], ">a>b>c"), ">a>b|>c");
        assert_eq!(cut("", "ab", [1, MAX, 1], "ababxab"), "ab|abx|ab");
        assert_eq!(cut("\n", ">", [1, 1, MAX], ">a\nb>\n>c\n"), ">a\nb>\n|>c\n");
        assert_eq!(cut("\n", ">", [1, MAX, 1], "x\n>\n>y"), "x\n|>\n|>y");
    }

    proptest! {
        #[test]
        fn every_byte_once_and_as_the_simple_way(
            text in "[ab\n]{0,60}", bytes in 1usize..12, records in 1usize..5, per_record in 1usize..4,
            piece in 1usize..20, counted in any::<bool>(),
        ) {
            let records = if counted { records } else { MAX };
            let shape = Shape::new(b"\n", b"", per_record, bytes, records);
            let found = blocks(&shape, text.as_bytes(), piece);
            prop_assert_eq!(found.concat(), text.as_bytes());
            let mut simple: Vec<Vec<u8>> = Vec::new();
            let (mut block, mut lines) = (Vec::new(), 0);
            for line in text.as_bytes().split_inclusive(|byte| *byte == b'\n') {
                block.extend_from_slice(line);
                lines += 1;
                let enough = block.len() >= bytes || lines / per_record >= records;
                if line.ends_with(b"\n") && lines % per_record == 0 && enough {
                    simple.push(std::mem::take(&mut block));
                    lines = 0;
                }
            }
            simple.extend((!block.is_empty()).then_some(block));
            prop_assert_eq!(found, simple);
        }
    }
}
