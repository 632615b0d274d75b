//! Cuts a stream into records for items. Pure.

use memchr::{memchr, memrchr};

use super::long::{self, OutOfMemory, TooLong};

/// Cuts a stream into records that end with a separator byte. Chunks are pushed as they are read; records are
/// taken out one at a time, without their separator, which the last one may lack.
///
/// The time for a record is linear in its length, however it is chunked, and only what was not taken out yet
/// is kept. Of a record that is longer than `most` bytes only the beginning is kept.
#[derive(Debug)]
pub struct Splitter {
    separator: u8,
    skip_empty: bool,
    /// The most bytes of a record.
    most: usize,
    buffer: Vec<u8>,
    /// The start of the next record.
    start: usize,
    /// No separator stands between `start` and this position.
    searched: usize,
    /// The record whose rest is being skipped.
    skipped: Option<TooLong>,
    ended: bool,
    /// True if the stream broke off within a record.
    cut_off: bool,
}

/// A record, without its separator.
#[derive(Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// Bytes within the buffer.
    Short(&'a [u8]),
    /// The buffer itself, for a record that is too large to be copied.
    Long(Vec<u8>),
    TooLong(TooLong),
}

/// A record of more bytes is handed out in its buffer.
const LONG: usize = 256 << 10;

impl Splitter {
    pub fn new(separator: u8, skip_empty: bool, most: usize) -> Splitter {
        Splitter {
            separator,
            skip_empty,
            most,
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            skipped: None,
            ended: false,
            cut_off: false,
        }
    }

    /// Appends bytes that were read. Cheapest when [`Splitter::next_record`] has no more.
    ///
    /// # Errors
    /// When there is no memory for them.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), OutOfMemory> {
        let moved = long::append_behind(&mut self.buffer, self.start, chunk)?;
        self.start -= moved;
        self.searched -= moved;
        Ok(())
    }

    /// Ends the stream: the rest is the last record. If the separator is not a newline, a final newline is
    /// dropped, because `echo` and editors add one.
    pub fn end(&mut self) {
        if self.separator != b'\n' && !self.ended && self.buffer[self.start..].last() == Some(&b'\n') {
            self.buffer.pop();
            self.searched = self.searched.min(self.buffer.len());
        }
        self.ended = true;
    }

    /// Ends a stream that broke off: a record without its separator is dropped.
    pub fn break_off(&mut self) {
        let whole = memrchr(self.separator, &self.buffer[self.start..]).map(|at| self.start + at + 1);
        let end = whole.unwrap_or(self.start);
        self.cut_off = end < self.buffer.len() || (whole.is_none() && self.skipped.is_some());
        if whole.is_none() {
            self.skipped = None;
        }
        self.buffer.truncate(end);
        self.buffer.shrink_to_fit();
        self.searched = self.searched.min(end);
        self.ended = true;
    }

    /// True if the stream broke off within a record.
    pub fn is_cut_off(&self) -> bool {
        self.cut_off
    }

    /// Returns the next record if all of it is in the buffer and it is not too long. Changes nothing otherwise.
    pub fn next_short(&mut self) -> Option<&[u8]> {
        if self.skipped.is_some() {
            return None;
        }
        let range = self.find()?;
        if range.len() > self.most {
            return None;
        }
        self.pass(range.end);
        Some(&self.buffer[range])
    }

    /// Returns the next record. `None` until more is pushed, and always after the last record.
    pub fn next_record(&mut self) -> Option<Record<'_>> {
        let Some(range) = self.find() else {
            self.searched = self.buffer.len();
            if !self.ended && (self.skipped.is_some() || self.buffer.len() - self.start > self.most) {
                self.skip(self.buffer.len());
            }
            // A record that is too long may end with the stream, and nothing of it is left in the buffer.
            return self.skipped.take_if(|_| self.ended).map(Record::TooLong);
        };
        if self.skipped.is_some() || range.len() > self.most {
            self.skip(range.end);
            self.pass(range.end);
            return self.skipped.take().map(Record::TooLong);
        }
        self.pass(range.end);
        if range.len() > LONG {
            let rest = self.buffer.split_off(self.start);
            let mut record = std::mem::replace(&mut self.buffer, rest);
            (self.start, self.searched) = (0, 0);
            record.truncate(range.end);
            record.drain(..range.start);
            return Some(Record::Long(record));
        }
        Some(Record::Short(&self.buffer[range]))
    }

    /// Returns how many bytes of the next record have come, if it is too long and has not ended.
    pub fn skipped(&self) -> Option<u64> {
        self.skipped.as_ref().map(|skipped| skipped.size)
    }

    /// Finds the range of the next record, or of the rest of one that is being skipped.
    fn find(&mut self) -> Option<std::ops::Range<usize>> {
        loop {
            if self.skip_empty && self.skipped.is_none() && self.searched == self.start {
                let rest = &self.buffer[self.start..];
                let empty = rest.iter().position(|byte| *byte != self.separator).unwrap_or(rest.len());
                self.start += empty;
                self.searched = self.start;
            }
            let end = match memchr(self.separator, &self.buffer[self.searched..]) {
                Some(length) => self.searched + length,
                None => {
                    (self.ended && self.start < self.buffer.len()).then_some(())?;
                    self.buffer.len()
                }
            };
            if self.start < end || !self.skip_empty || self.skipped.is_some() {
                return Some(self.start..end);
            }
            self.pass(end);
        }
    }

    /// Moves behind a record that ends here, and its separator.
    fn pass(&mut self, end: usize) {
        self.start = (end + 1).min(self.buffer.len());
        self.searched = self.start;
    }

    /// Counts the bytes up to `end` as some of a record that is too long.
    fn skip(&mut self, end: usize) {
        let bytes = &self.buffer[self.start..end];
        match &mut self.skipped {
            Some(skipped) => skipped.size += bytes.len() as u64,
            none => *none = Some(TooLong::new(bytes)),
        }
        self.start = end;
    }

    /// Returns the number of records that are left, once the stream has ended.
    pub fn left(&self) -> Option<u64> {
        let rest = &self.buffer[self.start..];
        let whole = rest.strip_suffix(&[self.separator]).unwrap_or(rest);
        (self.ended && self.skipped.is_none()).then(|| match rest {
            [] => 0,
            _ if self.skip_empty => {
                whole.split(|&byte| byte == self.separator).filter(|r| !r.is_empty()).count() as u64
            }
            _ => memchr::memchr_iter(self.separator, whole).count() as u64 + 1,
        })
    }

    /// Returns the number of bytes that were pushed and not taken out yet.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.start
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_left_is_known_at_the_end() {
        for (text, skip_empty, left) in [
            ("", false, 0),
            ("a", false, 1),
            ("a\n", false, 1),
            ("\n", false, 1),
            ("a\n\nb", false, 3),
            ("a\n\nb\n\n", true, 2),
            ("\n\n", true, 0),
        ] {
            let mut splitter = Splitter::new(b'\n', skip_empty, MOST);
            splitter.push(text.as_bytes()).unwrap();
            assert_eq!(splitter.left(), None, "more may come");
            splitter.end();
            assert_eq!(splitter.left(), Some(left), "{text:?}");
            let mut count = 0;
            while splitter.next_record().is_some() {
                count += 1;
            }
            assert_eq!((count, splitter.left()), (left, Some(0)), "{text:?}");
        }
    }

    const MOST: usize = 1 << 20;

    fn bytes(record: Record) -> Vec<u8> {
        match record {
            Record::Short(bytes) => bytes.to_vec(),
            Record::Long(bytes) => bytes,
            Record::TooLong(too_long) => format!("<{}>", too_long.size).into_bytes(),
        }
    }

    fn split(chunks: &[&[u8]], separator: u8, skip_empty: bool) -> Vec<Vec<u8>> {
        let mut splitter = Splitter::new(separator, skip_empty, MOST);
        let mut records = Vec::new();
        for chunk in chunks {
            splitter.push(chunk).unwrap();
            while let Some(record) = splitter.next_record() {
                records.push(bytes(record));
            }
        }
        splitter.end();
        while let Some(record) = splitter.next_record() {
            records.push(bytes(record));
        }
        assert_eq!(splitter.next_record(), None);
        assert_eq!(splitter.pending(), 0);
        records
    }

    #[test]
    fn lines() {
        for (text, expected) in [
            (&b""[..], &[][..]),
            (b"\n", &[&b""[..]]),
            (b"a\nb", &[b"a", b"b"]),
            (b"a\r\n\nb\xff\0\n", &[b"a\r", b"", b"b\xff\0"]),
        ] {
            assert_eq!(split(&[text], b'\n', false), expected, "{text:?}");
        }
        assert_eq!(split(&[b"\na\n\n\nb\n\n"], b'\n', true), [b"a", b"b"]);
    }

    #[test]
    fn other_separators_drop_a_last_newline() {
        assert_eq!(split(&[b"a\n\0b\0"], 0, false), [&b"a\n"[..], b"b"]);
        assert_eq!(split(&[b"a,,b\n"], b',', false), [&b"a"[..], b"", b"b"]);
        assert_eq!(split(&[b"a,b,", b"\n"], b',', false), [b"a", b"b"]);
        assert_eq!(split(&[b"a\n", b"\n"], b',', false), [b"a\n"]);
    }

    #[test]
    fn a_record_comes_as_soon_as_its_separator_is_there() {
        let mut splitter = Splitter::new(b'\n', false, MOST);
        splitter.push(b"a\nb").unwrap();
        assert_eq!(splitter.next_record(), Some(Record::Short(b"a")));
        assert_eq!(splitter.next_record(), None);
        splitter.push(b"\n").unwrap();
        assert_eq!(splitter.next_record(), Some(Record::Short(b"b")));
    }

    #[test]
    fn no_byte_is_searched_or_moved_twice() {
        let mut splitter = Splitter::new(b'\n', false, MOST);
        splitter.push(b"first\n").unwrap();
        assert!(splitter.next_record().is_some());
        for pushed in 1..100 {
            splitter.push(&[b'x'; 100]).unwrap();
            assert_eq!(splitter.next_record(), None);
            assert_eq!((splitter.start, splitter.searched), (0, pushed * 100));
        }
        splitter.push(b"\n").unwrap();
        assert_eq!(splitter.next_record().map(|record| bytes(record).len()), Some(9900));
    }

    #[test]
    fn of_a_record_that_is_too_long_only_the_beginning_is_kept() {
        let mut splitter = Splitter::new(b'\n', false, 2000);
        let mut records = Vec::new();
        let text = [b"a\n".to_vec(), vec![b'x'; 100_000], b"\nb\n".to_vec(), vec![b'y'; 2001]].concat();
        for chunk in text.chunks(1000) {
            splitter.push(chunk).unwrap();
            while let Some(record) = splitter.next_record() {
                records.push(bytes(record));
            }
            assert!(splitter.buffer.len() <= 3000, "{}", splitter.buffer.len());
        }
        assert_eq!(splitter.skipped(), Some(2001));
        splitter.end();
        assert_eq!(splitter.left(), None, "it is not known whether it has ended");
        records.extend(splitter.next_record().map(bytes));
        assert_eq!(records, [&b"a"[..], b"<100000>", b"b", b"<2001>"]);
        assert!(splitter.next_record().is_none());
        splitter = Splitter::new(b'\n', false, 2000);
        splitter.push(&[vec![b'z'; 3000], b"\n".to_vec()].concat()).unwrap();
        assert_eq!(splitter.next_short(), None);
        let Some(Record::TooLong(too_long)) = splitter.next_record() else { panic!("it is short") };
        assert_eq!((too_long.beginning.len(), too_long.size), (1024, 3000));
    }

    #[test]
    fn a_long_record_takes_its_buffer_along() {
        let mut splitter = Splitter::new(b'\n', false, 64 << 20);
        let long = vec![b'x'; 8 << 20];
        for chunk in [b"a\n", &long[..], b"\nb\n"].concat().chunks(64 << 10) {
            splitter.push(chunk).unwrap();
        }
        assert_eq!(splitter.next_record(), Some(Record::Short(b"a")));
        let Some(Record::Long(record)) = splitter.next_record() else { panic!("it is short") };
        assert!(record == long);
        assert_eq!(splitter.next_record(), Some(Record::Short(b"b")));
        assert!(splitter.buffer.capacity() < 1 << 20, "{}", splitter.buffer.capacity());
    }

    #[test]
    fn a_stream_that_breaks_off_gives_whole_records_only() {
        for (text, whole, cut_off) in
            [("x\ny\nhal", &["x", "y"][..], true), ("x\n", &["x"], false), ("x", &[], true), ("", &[], false)]
        {
            let mut splitter = Splitter::new(b'\n', false, MOST);
            splitter.push(text.as_bytes()).unwrap();
            splitter.break_off();
            assert_eq!(splitter.is_cut_off(), cut_off, "{text:?}");
            let mut records = Vec::new();
            while let Some(record) = splitter.next_record() {
                records.push(String::from_utf8(bytes(record)).unwrap());
            }
            assert_eq!(records, whole, "{text:?}");
        }
    }

    #[test]
    fn what_was_taken_out_is_not_kept() {
        let mut splitter = Splitter::new(b'\n', false, MOST);
        for _ in 0..10_000 {
            splitter.push(b"0123456789\n01234").unwrap();
            splitter.push(b"56789\n").unwrap();
            while splitter.next_record().is_some() {}
        }
        assert!(splitter.buffer.capacity() < 1000, "{}", splitter.buffer.capacity());
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(
            text in prop::collection::vec(prop::sample::select(&b"ab,\n\0"[..]), 0..40),
            cuts in prop::collection::vec(0_usize..40, 0..6),
            separator in prop::sample::select(&b",\n\0"[..]),
            skip_empty: bool,
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            let records = split(&chunks, separator, skip_empty);
            prop_assert_eq!(&records, &split(&[&text], separator, skip_empty));

            let whole = text.strip_suffix(b"\n").filter(|_| separator != b'\n').unwrap_or(&text);
            let mut expected: Vec<&[u8]> = whole.split(|byte| *byte == separator).collect();
            if expected.last().is_some_and(|last| last.is_empty()) {
                expected.pop();
            }
            expected.retain(|record| !skip_empty || !record.is_empty());
            prop_assert_eq!(records, expected);
        }
    }
}
