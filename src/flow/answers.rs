//! Cuts what a worker writes into answers. Pure.

use std::ops::Range;

use memchr::{memchr, memchr_iter, memrchr};
use regex::bytes::Regex;

use super::long::{self, OutOfMemory};

/// The end of an answer.
#[derive(Debug, Clone)]
pub enum Ends {
    /// An answer ends with this byte.
    Byte(u8),
    /// An answer ends before a line that matches, which is dropped.
    Until(Regex),
}

/// Takes bytes as they were read and returns answers. Only what was not taken out is kept. The time for an
/// answer is linear in its length.
#[derive(Debug)]
pub struct Answers {
    ends: Ends,
    buffer: Vec<u8>,
    /// The start of the next answer.
    start: usize,
    /// With [`Ends::Until`]: the start of the first line that was not matched yet.
    line: usize,
    /// No end of an answer, or of a line, stands between the start and this position.
    searched: usize,
}

/// One answer, as ranges of [`Answers::bytes`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The part that is handed on, with the byte that ends it, or all lines before the one that matched.
    pub whole: Range<usize>,
    /// The part that is examined: without the byte that ends it, or without the newline of its last line.
    pub text: Range<usize>,
}

impl Answers {
    pub fn new(ends: Ends) -> Answers {
        Answers { ends, buffer: Vec::new(), start: 0, line: 0, searched: 0 }
    }

    /// Appends bytes that were read. Cheapest when all answers were taken out before.
    ///
    /// # Errors
    /// When there is no memory for them.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), OutOfMemory> {
        let moved = long::append_behind(&mut self.buffer, self.start, bytes)?;
        self.line -= moved;
        self.searched -= moved;
        self.start -= moved;
        Ok(())
    }

    /// Returns the number of bytes that were not taken out: those of an answer that has not ended, if all others were.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.start
    }

    pub fn bytes(&self, range: &Range<usize>) -> &[u8] {
        &self.buffer[range.clone()]
    }

    /// Returns the next answer, if all of it is there.
    pub fn next_answer(&mut self) -> Option<Answer> {
        let whole = match &self.ends {
            Ends::Byte(byte) => {
                let Some(length) = memchr(*byte, &self.buffer[self.searched..]) else {
                    self.searched = self.buffer.len();
                    return None;
                };
                let end = self.searched + length + 1;
                (self.searched, self.line) = (end, end);
                self.start..end
            }
            Ends::Until(last) => loop {
                let Some(length) = memchr(b'\n', &self.buffer[self.searched..]) else {
                    self.searched = self.buffer.len();
                    return None;
                };
                let (line, end) = (self.line, self.searched + length);
                (self.searched, self.line) = (end + 1, end + 1);
                if last.is_match(&self.buffer[line..end]) {
                    break self.start..line;
                }
            },
        };
        self.start = self.line;
        let text = whole.start..whole.end.saturating_sub(1).max(whole.start);
        Some(Answer { whole, text })
    }

    /// Returns the number of complete answers. `None` if each would have to be matched for that.
    pub fn count(&self) -> Option<usize> {
        match self.ends {
            Ends::Byte(byte) => Some(memchr_iter(byte, &self.buffer[self.searched..]).count()),
            Ends::Until(_) => None,
        }
    }

    /// Takes out all answers that [`Answers::count`] counts; they are contiguous.
    pub fn take_all(&mut self) -> Range<usize> {
        let Ends::Byte(byte) = self.ends else { return self.start..self.start };
        let end = memrchr(byte, &self.buffer[self.searched..]).map(|at| self.searched + at + 1);
        // Bytes of a long answer are searched once only.
        self.searched = self.buffer.len();
        let Some(end) = end else { return self.start..self.start };
        let taken = self.start..end;
        (self.start, self.line) = (end, end);
        taken
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn until(regex: &str) -> Ends {
        Ends::Until(Regex::new(regex).unwrap())
    }

    fn cut(ends: &Ends, chunks: &[&[u8]]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut answers = Answers::new(ends.clone());
        let mut cut = Vec::new();
        for chunk in chunks {
            answers.push(chunk).unwrap();
            while let Some(Answer { whole, text }) = answers.next_answer() {
                cut.push((answers.bytes(&whole).to_vec(), answers.bytes(&text).to_vec()));
            }
        }
        cut
    }

    fn texts(ends: &Ends, bytes: &[u8]) -> Vec<String> {
        let text = |(_, text): (Vec<u8>, Vec<u8>)| String::from_utf8(text).unwrap();
        cut(ends, &[bytes]).into_iter().map(text).collect()
    }

    #[test]
    fn lines_keep_their_end_and_a_half_one_waits() {
        let answers = cut(&Ends::Byte(b'\n'), &[b"a\n\nb", b"c\nhalf"]);
        let pairs = [("a\n", "a"), ("\n", ""), ("bc\n", "bc")];
        assert_eq!(answers, pairs.map(|(whole, text)| (whole.into(), text.into())));
    }

    #[test]
    fn answers_that_end_with_nul_may_have_lines() {
        assert_eq!(texts(&Ends::Byte(0), b"a\nb\0\0c"), ["a\nb", ""]);
    }

    #[test]
    fn lines_up_to_one_that_is_dropped() {
        assert_eq!(texts(&until("^ok$"), b"a\nb\nok\nok\nnot ok\nok\nc\n"), ["a\nb", "", "not ok"]);
        let answers = cut(&until("^$"), &[b"x\n", b"y\n", b"\n"]);
        assert_eq!(answers, [(b"x\ny\n".to_vec(), b"x\ny".to_vec())]);
    }

    #[test]
    fn all_at_once() {
        let mut answers = Answers::new(Ends::Byte(b'\n'));
        answers.push(b"a\nb\nhal").unwrap();
        assert_eq!(answers.count(), Some(2));
        let all = answers.take_all();
        assert_eq!(answers.bytes(&all), b"a\nb\n");
        assert_eq!(answers.count(), Some(0));
        assert!(answers.take_all().is_empty());
        answers.push(b"f\n").unwrap();
        let rest = answers.next_answer().unwrap();
        assert_eq!(answers.bytes(&rest.whole), b"half\n");
        answers.push(b"new\n").unwrap();
        assert_eq!(answers.count(), Some(1));
    }

    #[test]
    fn a_long_answer_takes_linear_time() {
        let mut answers = Answers::new(Ends::Byte(b'\n'));
        let chunk = vec![b'x'; 1 << 10];
        for _ in 0..20_000 {
            answers.push(&chunk).unwrap();
            assert_eq!((answers.count(), answers.take_all()), (Some(0), 0..0));
            assert_eq!(answers.searched, answers.buffer.len(), "nothing is looked at twice");
        }
        answers.push(b"\n").unwrap();
        assert_eq!(answers.take_all().len(), (20_000 << 10) + 1);
        answers.push(&chunk).unwrap();
        assert_eq!(answers.next_answer(), None);
        assert_eq!(answers.searched, answers.buffer.len());
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(0), Just(b'a'), Just(b'.')], 0..60),
            cuts in prop::collection::vec(0usize..61, 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|at| at.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            for ends in [Ends::Byte(b'\n'), Ends::Byte(0), until(r"^\.")] {
                prop_assert_eq!(cut(&ends, &chunks), cut(&ends, &[&bytes]));
            }
        }

        #[test]
        fn all_at_once_is_one_after_another(chunks in prop::collection::vec("[ab\n]{0,12}", 0..6)) {
            let (mut one, mut all) = (Answers::new(Ends::Byte(b'\n')), Answers::new(Ends::Byte(b'\n')));
            for chunk in chunks {
                one.push(chunk.as_bytes()).unwrap();
                all.push(chunk.as_bytes()).unwrap();
                let count = all.count();
                let range = all.take_all();
                let mut bytes = Vec::new();
                let mut counted = 0;
                while let Some(answer) = one.next_answer() {
                    bytes.extend_from_slice(one.bytes(&answer.whole));
                    counted += 1;
                }
                prop_assert_eq!((count, all.bytes(&range)), (Some(counted), &bytes[..]));
            }
        }
    }
}
