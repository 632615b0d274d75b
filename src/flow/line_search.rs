//! Finds a line in the output of a task. Pure.

use memchr::memchr;
use regex::bytes::Regex;

/// The most bytes of a line that are examined. So a line that never ends takes no more memory than this.
pub const MAX_LINE: usize = 64 << 10;

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

/// Ignores a carriage return before the newline, as terminals and network protocols write it.
fn is_match(pattern: &Regex, line: &[u8]) -> bool {
    let line = &line[..line.len().min(MAX_LINE)];
    pattern.is_match(line.strip_suffix(b"\r").unwrap_or(line))
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
