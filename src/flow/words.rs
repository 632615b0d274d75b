//! Cuts a stream into words, as xargs(1) reads them. Pure.

/// Cuts a stream at blanks (spaces and tabs) and newlines. Single and double quotes include them in a word,
/// and so does a backslash before one of them; a quote must be closed on its line. Chunks are pushed as they
/// are read, and words are taken out one at a time. A quoted word may be empty.
#[derive(Debug, Default)]
pub struct Words {
    input: Vec<u8>,
    /// The number of bytes of `input` that were used.
    read: usize,
    /// The beginning of the next word; `None` between two words.
    word: Option<Vec<u8>>,
    state: State,
    /// The number of newlines so far.
    lines: u64,
    ended: bool,
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
    /// Appends bytes that were read. Cheapest when [`Words::next_word`] has no more.
    pub fn push(&mut self, chunk: &[u8]) {
        // At least as many bytes were used as are moved here, so the total cost of moving stays linear.
        if self.read >= self.input.len() - self.read {
            self.input.drain(..self.read);
            self.read = 0;
        }
        self.input.extend_from_slice(chunk);
    }

    /// Returns the number of bytes that were pushed and not used yet.
    pub fn pending(&self) -> usize {
        self.input.len() - self.read
    }

    /// Ends the input: the rest is the last word.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Returns the next word. `None` until more is pushed, and always after the last word or an error.
    pub fn next_word(&mut self) -> Option<Result<Vec<u8>, Unmatched>> {
        while let Some(&byte) = self.input.get(self.read) {
            self.read += 1;
            match (self.state, byte) {
                (State::Quoted(_), b'\n') => return self.unmatched(),
                (State::Quoted(quote), _) if byte == quote => self.state = State::Plain,
                (State::Plain, b' ' | b'\t' | b'\n') => {
                    self.lines += u64::from(byte == b'\n');
                    if let Some(word) = self.word.take() {
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
                    self.word.get_or_insert_default().push(byte);
                }
            }
        }
        if !self.ended {
            return None;
        }
        if let State::Quoted(_) = self.state { self.unmatched() } else { self.word.take().map(Ok) }
    }

    fn unmatched(&mut self) -> Option<Result<Vec<u8>, Unmatched>> {
        let State::Quoted(quote) = std::mem::take(&mut self.state) else { return None };
        self.read = self.input.len();
        (self.ended, self.word) = (true, None);
        Some(Err(Unmatched { quote: quote.into(), line: self.lines + 1 }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(chunks: &[&[u8]]) -> Result<Vec<Vec<u8>>, Unmatched> {
        let mut words = Words::default();
        let mut found = Vec::new();
        for chunk in chunks {
            words.push(chunk);
            found.extend(std::iter::from_fn(|| words.next_word()));
        }
        words.end();
        found.extend(std::iter::from_fn(|| words.next_word()));
        assert_eq!((words.next_word(), words.pending()), (None, 0));
        found.into_iter().collect()
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
        let mut found = Words::default();
        found.push(b"a b' \nc");
        assert_eq!(found.next_word(), Some(Ok(b"a".to_vec())));
        assert!(matches!(found.next_word(), Some(Err(_))));
        assert_eq!((found.next_word(), found.pending()), (None, 0), "what follows may be anything");
    }

    #[test]
    fn a_word_comes_as_soon_as_it_ends() {
        let mut words = Words::default();
        words.push(b"a b");
        assert_eq!(words.next_word(), Some(Ok(b"a".to_vec())));
        assert_eq!(words.next_word(), None);
        words.push(b"c\n");
        assert_eq!(words.next_word(), Some(Ok(b"bc".to_vec())));
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
