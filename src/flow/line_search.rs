//! Finds a line in the output of a task. Pure.

use std::sync::LazyLock;

use memchr::memchr;
use regex::bytes::Regex;

/// The most bytes of a line that are examined. So a line that never ends takes no more memory than this.
pub const MAX_LINE: usize = 64 << 10;

const ESCAPE: u8 = 0x1b;

/// An escape sequence of a terminal (ECMA-48): CSI with its parameters, a string (OSC, DCS, …) up to its terminator, or
/// any other. A crate that strips them takes bytes that are no UTF-8 for controls.
static SEQUENCE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?-u)\x1b(?:\[[0-?]*[ -/]*[@-~]?|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~]?)";
    Regex::new(pattern).unwrap_or_else(|error| unreachable!("{error}"))
});

/// The pattern, and for each stream the line that is not complete yet.
#[derive(Debug)]
pub struct LineSearch {
    pattern: Regex,
    partial: Vec<Vec<u8>>,
    found: bool,
}

impl LineSearch {
    pub fn new(pattern: Regex) -> LineSearch {
        LineSearch { pattern, partial: Vec::new(), found: false }
    }

    pub fn pattern(&self) -> &str {
        self.pattern.as_str()
    }

    /// True once a line has matched.
    pub fn is_found(&self) -> bool {
        self.found
    }

    /// Takes bytes that were written to a stream. Returns true once a line has matched.
    pub fn push(&mut self, stream: usize, mut bytes: &[u8]) -> bool {
        if self.found {
            return true;
        }
        if self.partial.len() <= stream {
            self.partial.resize_with(stream + 1, Vec::new);
        }
        let partial = &mut self.partial[stream];
        while let Some(end) = memchr(b'\n', bytes) {
            let line = &bytes[..end];
            // Most lines come in one piece and are not copied.
            let found = match partial.is_empty() {
                true => is_match(&self.pattern, line),
                false => {
                    keep(partial, line);
                    is_match(&self.pattern, partial)
                }
            };
            if found {
                self.found = true;
                return true;
            }
            partial.clear();
            bytes = &bytes[end + 1..];
        }
        keep(partial, bytes);
        false
    }

    /// Ends a stream, and with it its last line. Returns true once a line has matched.
    pub fn end(&mut self, stream: usize) -> bool {
        let rest = self.partial.get_mut(stream).map(std::mem::take).unwrap_or_default();
        self.found |= !rest.is_empty() && is_match(&self.pattern, &rest);
        self.found
    }
}

fn keep(partial: &mut Vec<u8>, bytes: &[u8]) {
    partial.extend_from_slice(&bytes[..bytes.len().min(MAX_LINE - partial.len())]);
}

/// Ignores colours and other escape sequences, and a carriage return before the newline, as terminals and network
/// protocols write it. A sequence ends with its line at the latest, so that one without an end hides one line only.
fn is_match(pattern: &Regex, line: &[u8]) -> bool {
    let line = &line[..line.len().min(MAX_LINE)];
    let matches = |line: &[u8]| pattern.is_match(line.strip_suffix(b"\r").unwrap_or(line));
    match memchr(ESCAPE, line) {
        Some(_) => matches(&SEQUENCE.replace_all(line, &b""[..])),
        None => matches(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(pattern: &str) -> LineSearch {
        LineSearch::new(Regex::new(pattern).unwrap())
    }

    #[test]
    fn a_line_is_found_wherever_it_is_cut() {
        let text = b"starting\nlistening on 80\nmore";
        for cut in 0..text.len() {
            let mut search = search("^listening on [0-9]+$");
            let found = [search.push(0, &text[..cut]), search.push(0, &text[cut..])];
            assert!(found.contains(&true), "cut at {cut}");
        }
    }

    #[test]
    fn colours_and_other_escape_sequences_are_not_seen_wherever_they_are_cut() {
        for text in [
            &b"\x1b[32mlistening\x1b[0m on \x1b[1;38;5;9m80\x1b[m\x1b[K\n"[..],
            b"\x1b]0;a title\x07listening on 80\n",
            b"\x1b]8;;http://x\x1b\\listening\x1b]8;;\x1b\\ on 80\r\n",
            b"listen\x1b[1ming on 80\x1b[0m\r\n",
            b"\x1b(B\x1b[?25llistening on 80\r\x1b[0m\n",
        ] {
            for cut in 0..text.len() {
                let mut search = search("^listening on 80$");
                let found = [search.push(0, &text[..cut]), search.push(0, &text[cut..])];
                assert!(found[1], "{:?} cut at {cut}", String::from_utf8_lossy(text));
            }
        }
        let mut search = search("31|m");
        assert!(!search.push(0, b"\x1b[31mred\x1b[0m\n"), "the codes are no text");
        assert!(!search.push(0, b"\x1b[31"));
        assert!(!search.end(0));
    }

    #[test]
    fn a_sequence_without_an_end_hides_its_own_line_only() {
        for sequence in [&b"\x1b]0;title\n"[..], b"\x1bP\n", b"\x1b[\n", b"\x1b\n"] {
            let mut search = search("^up$");
            assert!(!search.push(0, sequence));
            assert!(search.push(0, b"up\n"), "{sequence:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_left_alone() {
        let mut search = search(r"(?-u)^\xe9t\xe9 \xff$");
        assert!(!search.push(0, b"\xe9t\xe9\n"));
        assert!(search.push(0, b"\x1b[1m\xe9t\xe9 \xff\x1b[0m\n"));
    }

    #[test]
    fn a_line_that_has_only_begun_does_not_count() {
        let mut search = search("^ready$");
        assert!(!search.push(0, b"ready"));
        assert!(!search.push(0, b" in 5 s\n"));
        assert!(!search.push(0, b"ready"));
        assert!(search.push(0, b"\r\n"));
    }

    #[test]
    fn streams_are_kept_apart() {
        let mut search = search("^ab$");
        assert!(!search.push(0, b"a"));
        assert!(!search.push(1, b"b\n"));
        assert!(search.push(0, b"b\n"));
    }

    #[test]
    fn the_last_line_ends_with_the_stream() {
        let mut search = search("up");
        assert!(!search.end(3), "nothing was written there");
        assert!(!search.push(1, b"up"));
        assert!(search.end(1));
        assert!(search.is_found());
    }

    #[test]
    fn a_line_without_end_is_looked_at_up_to_a_size() {
        let mut search = search("x");
        for _ in 0..100 {
            assert!(!search.push(0, &[b'.'; 10_000]));
        }
        assert!(search.partial[0].len() <= MAX_LINE);
        assert!(!search.push(0, b"x\n"), "too far behind");
        assert!(!search.push(0, &[&[b'.'; MAX_LINE][..], b"x\n"].concat()), "in one piece as in many");
        assert!(search.push(0, b"x\n"), "the next line is another");
    }
}
