//! Cuts a stream into records for items. Pure.

use memchr::memchr;

/// Cuts a stream into records that end with a separator byte. Chunks are pushed as they are read; records are
/// taken out one at a time, without their separator, which the last one may lack.
///
/// The time for a record is linear in its length, however it is chunked, and only what was not taken out yet
/// is kept.
#[derive(Debug)]
pub struct Splitter {
    separator: u8,
    skip_empty: bool,
    buffer: Vec<u8>,
    /// The start of the next record.
    start: usize,
    /// No separator stands between `start` and this position.
    searched: usize,
    ended: bool,
}

impl Splitter {
    pub fn new(separator: u8, skip_empty: bool) -> Splitter {
        Splitter { separator, skip_empty, buffer: Vec::new(), start: 0, searched: 0, ended: false }
    }

    /// Appends bytes that were read. Cheapest when [`Splitter::next_record`] has no more.
    pub fn push(&mut self, chunk: &[u8]) {
        // At least as many bytes were taken out as are moved here, so the total cost of moving stays linear.
        if self.start >= self.buffer.len() - self.start {
            self.buffer.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
        }
        self.buffer.extend_from_slice(chunk);
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

    /// Returns the next record. `None` until more is pushed, and always after the last record.
    pub fn next_record(&mut self) -> Option<&[u8]> {
        loop {
            let record = match memchr(self.separator, &self.buffer[self.searched..]) {
                Some(length) => self.start..self.searched + length,
                None => {
                    self.searched = self.buffer.len();
                    (self.ended && self.start < self.buffer.len()).then_some(())?;
                    self.start..self.buffer.len()
                }
            };
            self.start = (record.end + 1).min(self.buffer.len());
            self.searched = self.start;
            if !(self.skip_empty && record.is_empty()) {
                return Some(&self.buffer[record]);
            }
        }
    }

    /// Returns the number of records that are left, once the stream has ended.
    pub fn left(&self) -> Option<u64> {
        let rest = &self.buffer[self.start..];
        let whole = rest.strip_suffix(&[self.separator]).unwrap_or(rest);
        self.ended.then(|| match rest {
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
            let mut splitter = Splitter::new(b'\n', skip_empty);
            splitter.push(text.as_bytes());
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

    fn split(chunks: &[&[u8]], separator: u8, skip_empty: bool) -> Vec<Vec<u8>> {
        let mut splitter = Splitter::new(separator, skip_empty);
        let mut records = Vec::new();
        for chunk in chunks {
            splitter.push(chunk);
            while let Some(record) = splitter.next_record() {
                records.push(record.to_vec());
            }
        }
        splitter.end();
        while let Some(record) = splitter.next_record() {
            records.push(record.to_vec());
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
        let mut splitter = Splitter::new(b'\n', false);
        splitter.push(b"a\nb");
        assert_eq!(splitter.next_record(), Some(&b"a"[..]));
        assert_eq!(splitter.next_record(), None);
        splitter.push(b"\n");
        assert_eq!(splitter.next_record(), Some(&b"b"[..]));
    }

    #[test]
    fn no_byte_is_searched_or_moved_twice() {
        let mut splitter = Splitter::new(b'\n', false);
        splitter.push(b"first\n");
        assert!(splitter.next_record().is_some());
        for pushed in 1..100 {
            splitter.push(&[b'x'; 100]);
            assert_eq!(splitter.next_record(), None);
            assert_eq!((splitter.start, splitter.searched), (0, pushed * 100));
        }
        splitter.push(b"\n");
        assert_eq!(splitter.next_record().map(<[u8]>::len), Some(9900));
    }

    #[test]
    fn what_was_taken_out_is_not_kept() {
        let mut splitter = Splitter::new(b'\n', false);
        for _ in 0..10_000 {
            splitter.push(b"0123456789\n01234");
            splitter.push(b"56789\n");
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
