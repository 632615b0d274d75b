//! Cuts a stream into words, as xargs(1) reads them. Pure.

use super::long::{self, BEGINNING, OutOfMemory, TooLong};

/// Cuts a stream at blanks (spaces and tabs) and newlines. Single and double quotes include them in a word,
/// and so does a backslash before one of them; a quote must be closed on its line. Chunks are pushed as they
/// are read, and words are taken out one at a time. A quoted word may be empty. Of a word that is longer than
/// `most` bytes only the beginning is kept.
#[derive(Debug)]
pub struct Words {
    input: Vec<u8>,
    /// The number of bytes of `input` that were used.
    read: usize,
    /// The beginning of the next word; `None` between two words.
    word: Option<Vec<u8>>,
    /// The most bytes of a word.
    most: usize,
    /// Bytes of the next word that are not kept, because it is too long.
    skipped: u64,
    state: State,
    /// The number of newlines so far.
    lines: u64,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// More may come.
    Open,
    Ended,
    /// The stream broke off: a word that has not ended is dropped.
    BrokeOff,
}

/// A word of the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Word {
    Whole(Vec<u8>),
    TooLong(TooLong),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Plain,
    Quoted(u8),
    /// After a backslash.
    Escaped,
}

/// A quote that is not closed on its line.
#[derive(Debug, PartialEq, Eq)]
pub struct Unmatched {
    pub quote: char,
    /// The number of the line, from 1.
    pub line: u64,
}

impl Words {
    pub fn new(most: usize) -> Words {
        Words {
            input: Vec::new(),
            read: 0,
            word: None,
            most,
            skipped: 0,
            state: State::Plain,
            lines: 0,
            end: End::Open,
        }
    }

    /// Appends bytes that were read. Cheapest when [`Words::next_word`] has no more.
    ///
    /// # Errors
    /// When there is no memory for them.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), OutOfMemory> {
        self.read -= long::append_behind(&mut self.input, self.read, chunk)?;
        Ok(())
    }

    /// Returns the number of bytes that were pushed and not used yet.
    pub fn pending(&self) -> usize {
        self.input.len() - self.read
    }

    /// Ends the input: the rest is the last word.
    pub fn end(&mut self) {
        self.end = End::Ended;
    }

    /// Ends an input that broke off: a word that has not ended is dropped.
    pub fn break_off(&mut self) {
        self.end = End::BrokeOff;
    }

    /// True if a word has begun and not ended.
    pub fn is_within_word(&self) -> bool {
        self.word.is_some()
    }

    /// Returns how many bytes of the next word have come, if it is too long and has not ended.
    pub fn skipped(&self) -> Option<u64> {
        let word = self.word.as_ref().filter(|_| self.skipped > 0)?;
        Some(self.skipped + word.len() as u64)
    }

    /// Returns the quote that is open, and its line.
    pub fn open_quote(&self) -> Option<Unmatched> {
        match self.state {
            State::Quoted(quote) => Some(Unmatched { quote: quote.into(), line: self.lines + 1 }),
            _ => None,
        }
    }

    /// Returns the next word. `None` until more is pushed, and always after the last word or an error.
    pub fn next_word(&mut self) -> Option<Result<Word, Unmatched>> {
        while let Some(&byte) = self.input.get(self.read) {
            self.read += 1;
            match (self.state, byte) {
                (State::Quoted(_), b'\n') => return self.unmatched(),
                (State::Quoted(quote), _) if byte == quote => self.state = State::Plain,
                (State::Plain, b' ' | b'\t' | b'\n') => {
                    self.lines += u64::from(byte == b'\n');
                    if let Some(word) = self.take_word() {
                        return Some(Ok(word));
                    }
                }
                (State::Plain, b'\\') => self.state = State::Escaped,
                (State::Plain, b'"' | b'\'') => {
                    self.state = State::Quoted(byte);
                    self.word.get_or_insert_default();
                }
                _ => {
                    if self.state == State::Escaped {
                        self.state = State::Plain;
                        self.lines += u64::from(byte == b'\n');
                    }
                    self.put(byte);
                }
            }
        }
        if self.end != End::Ended {
            return None;
        }
        if let State::Quoted(_) = self.state { self.unmatched() } else { self.take_word().map(Ok) }
    }

    /// Appends a byte to the word.
    fn put(&mut self, byte: u8) {
        let word = self.word.get_or_insert_default();
        if self.skipped > 0 {
            self.skipped += 1;
        } else if long::append(word, &[byte]).is_err() {
            self.skip();
            self.skipped += 1;
        } else if word.len() > self.most {
            self.skip();
        }
    }

    /// Gives up the word but for its beginning: it is too long, or there is no memory for it.
    fn skip(&mut self) {
        let word = self.word.get_or_insert_default();
        let beginning = word[..word.len().saturating_sub(1).min(BEGINNING)].to_vec();
        self.skipped = (word.len() - beginning.len()) as u64;
        *word = beginning;
    }

    fn take_word(&mut self) -> Option<Word> {
        let word = self.word.take()?;
        match std::mem::take(&mut self.skipped) {
            0 => Some(Word::Whole(word)),
            skipped => {
                let size = skipped + word.len() as u64;
                Some(Word::TooLong(TooLong { beginning: word, size }))
            }
        }
    }

    fn unmatched(&mut self) -> Option<Result<Word, Unmatched>> {
        let State::Quoted(quote) = std::mem::take(&mut self.state) else { return None };
        self.read = self.input.len();
        (self.end, self.word) = (End::Ended, None);
        Some(Err(Unmatched { quote: quote.into(), line: self.lines + 1 }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(chunks: &[&[u8]]) -> Result<Vec<Vec<u8>>, Unmatched> {
        let mut words = Words::new(1 << 20);
        let mut found = Vec::new();
        for chunk in chunks {
            words.push(chunk).unwrap();
            found.extend(std::iter::from_fn(|| words.next_word()));
        }
        words.end();
        found.extend(std::iter::from_fn(|| words.next_word()));
        assert_eq!((words.next_word(), words.pending()), (None, 0));
        let whole = |word| match word {
            Word::Whole(word) => word,
            Word::TooLong(_) => panic!("no word is that long"),
        };
        found.into_iter().map(|word: Result<Word, Unmatched>| word.map(whole)).collect()
    }

    #[test]
    fn quotes_and_backslashes_as_in_xargs() {
        let cases: [(&str, &[&str]); 16] = [
            ("", &[]),
            (" \n\t\n", &[]),
            ("a b\tc\nd", &["a", "b", "c", "d"]),
            ("'a b'c\n", &["a bc"]),
            ("a\"b c\"d'e f'\n", &["ab cde f"]),
            ("a''b\n", &["ab"]),
            ("x \"\" ''\n", &["x", "", ""]),
            ("x ''", &["x", ""]),
            ("'a\"b' \"c'd\"", &["a\"b", "c'd"]),
            ("a\\ b\n", &["a b"]),
            ("a\\\nb\n", &["a\nb"]),
            ("\"a\\\\b\" 'c\\'\n", &["a\\\\b", "c\\"]),
            ("\\\"a \\'b \\\\\n", &["\"a", "'b", "\\"]),
            ("a\\", &["a"]),
            ("\\", &[]),
            ("a\rb\u{b}\u{c}\n", &["a\rb\u{b}\u{c}"]),
        ];
        for (text, expected) in cases {
            let expected: Vec<Vec<u8>> = expected.iter().map(|word| word.as_bytes().to_vec()).collect();
            assert_eq!(words(&[text.as_bytes()]), Ok(expected.clone()), "{text:?}");
            let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            assert_eq!(words(&bytes), Ok(expected), "byte by byte: {text:?}");
        }
    }

    #[test]
    fn quotes_end_on_their_line() {
        for (text, quote, line) in
            [("a'\n", '\'', 1), ("a\n\\\nb \"c d\n", '"', 3), ("a\n'b", '\'', 2), ("\"a\nb\"\n", '"', 1)]
        {
            assert_eq!(words(&[text.as_bytes()]), Err(Unmatched { quote, line }), "{text:?}");
        }
        let mut found = Words::new(1 << 20);
        found.push(b"a b' \nc").unwrap();
        assert_eq!(found.next_word(), Some(Ok(Word::Whole(b"a".to_vec()))));
        assert!(matches!(found.next_word(), Some(Err(_))));
        assert_eq!((found.next_word(), found.pending()), (None, 0), "what follows may be anything");
    }

    #[test]
    fn of_a_word_that_is_too_long_only_the_beginning_is_kept() {
        for quote in ["", "'"] {
            let mut words = Words::new(3000);
            words.push(format!("a {quote}").as_bytes()).unwrap();
            assert_eq!(words.next_word(), Some(Ok(Word::Whole(b"a".to_vec()))));
            for _ in 0..100 {
                words.push(&[b'x'; 1000]).unwrap();
                assert_eq!(words.next_word(), None);
            }
            assert_eq!(words.skipped(), Some(100_000));
            assert_eq!(words.open_quote().is_some(), quote == "'");
            words.push(format!("{quote} b\n").as_bytes()).unwrap();
            let Some(Ok(Word::TooLong(too_long))) = words.next_word() else { panic!("it is short") };
            assert_eq!((too_long.beginning.len(), too_long.size), (1024, 100_000));
            assert_eq!(words.next_word(), Some(Ok(Word::Whole(b"b".to_vec()))));
        }
    }

    #[test]
    fn an_input_that_breaks_off_gives_whole_words_only() {
        let mut words = Words::new(3000);
        words.push(b"a b").unwrap();
        words.break_off();
        assert_eq!(words.next_word(), Some(Ok(Word::Whole(b"a".to_vec()))));
        assert_eq!(words.next_word(), None);
        assert!(words.is_within_word());
    }

    #[test]
    fn a_word_comes_as_soon_as_it_ends() {
        let mut words = Words::new(1 << 20);
        words.push(b"a b").unwrap();
        assert_eq!(words.next_word(), Some(Ok(Word::Whole(b"a".to_vec()))));
        assert_eq!(words.next_word(), None);
        words.push(b"c\n").unwrap();
        assert_eq!(words.next_word(), Some(Ok(Word::Whole(b"bc".to_vec()))));
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(
            text in prop::collection::vec(prop::sample::select(&b"ab '\"\\\n"[..]), 0..40),
            cuts in prop::collection::vec(0_usize..40, 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            prop_assert_eq!(words(&chunks), words(&[&text]));
        }

        #[test]
        fn what_is_quoted_comes_back(
            list in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..8), 0..6),
        ) {
            let mut text = Vec::new();
            for word in &list {
                text.extend(b"''");
                word.iter().for_each(|byte| text.extend([b'\\', *byte]));
                text.push(b'\n');
            }
            prop_assert_eq!(words(&[&text]), Ok(list));
        }
    }
}
