//! Looks for a line in what a task writes. Pure.

use memchr::memchr;
use regex::bytes::Regex;

/// So much of a line is looked at: one that never ends costs no more memory than this.
pub const LONGEST: usize = 64 << 10;

/// What is looked for, and lines that have only begun, for each stream.
#[derive(Debug)]
pub struct Lookout {
    wanted: Regex,
    begun: Vec<Vec<u8>>,
    found: bool,
}

impl Lookout {
    pub fn new(wanted: Regex) -> Lookout {
        Lookout { wanted, begun: Vec::new(), found: false }
    }

    pub fn wanted(&self) -> &str {
        self.wanted.as_str()
    }

    /// The line has come.
    pub fn is_found(&self) -> bool {
        self.found
    }

    /// This was written to a stream, the one of this number. Says whether the line has come.
    pub fn hear(&mut self, stream: usize, mut bytes: &[u8]) -> bool {
        if self.found {
            return true;
        }
        if self.begun.len() <= stream {
            self.begun.resize_with(stream + 1, Vec::new);
        }
        let begun = &mut self.begun[stream];
        while let Some(end) = memchr(b'\n', bytes) {
            let line = &bytes[..end];
            // Most lines come in one piece, and need not be copied.
            let found = match begun.is_empty() {
                true => is_match(&self.wanted, line),
                false => {
                    keep(begun, line);
                    is_match(&self.wanted, begun)
                }
            };
            if found {
                self.found = true;
                return true;
            }
            begun.clear();
            bytes = &bytes[end + 1..];
        }
        keep(begun, bytes);
        false
    }

    /// The end of a stream, and so of its last line.
    pub fn end(&mut self, stream: usize) -> bool {
        let rest = self.begun.get_mut(stream).map(std::mem::take).unwrap_or_default();
        self.found |= !rest.is_empty() && is_match(&self.wanted, &rest);
        self.found
    }
}

fn keep(begun: &mut Vec<u8>, bytes: &[u8]) {
    begun.extend_from_slice(&bytes[..bytes.len().min(LONGEST - begun.len())]);
}

/// Some end their lines as terminals and networks do.
fn is_match(wanted: &Regex, line: &[u8]) -> bool {
    let line = &line[..line.len().min(LONGEST)];
    wanted.is_match(line.strip_suffix(b"\r").unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookout(wanted: &str) -> Lookout {
        Lookout::new(Regex::new(wanted).unwrap())
    }

    #[test]
    fn a_line_is_found_wherever_it_is_cut() {
        let text = b"starting\nlistening on 80\nmore";
        for cut in 0..text.len() {
            let mut lookout = lookout("^listening on [0-9]+$");
            let found = [lookout.hear(0, &text[..cut]), lookout.hear(0, &text[cut..])];
            assert!(found.contains(&true), "cut at {cut}");
        }
    }

    #[test]
    fn a_line_that_has_only_begun_does_not_count() {
        let mut lookout = lookout("^ready$");
        assert!(!lookout.hear(0, b"ready"));
        assert!(!lookout.hear(0, b" in 5 s\n"));
        assert!(!lookout.hear(0, b"ready"));
        assert!(lookout.hear(0, b"\r\n"));
    }

    #[test]
    fn streams_are_kept_apart() {
        let mut lookout = lookout("^ab$");
        assert!(!lookout.hear(0, b"a"));
        assert!(!lookout.hear(1, b"b\n"));
        assert!(lookout.hear(0, b"b\n"));
    }

    #[test]
    fn the_last_line_ends_with_the_stream() {
        let mut lookout = lookout("up");
        assert!(!lookout.end(3), "nothing was written there");
        assert!(!lookout.hear(1, b"up"));
        assert!(lookout.end(1));
        assert!(lookout.is_found());
    }

    #[test]
    fn a_line_without_end_is_looked_at_up_to_a_size() {
        let mut lookout = lookout("x");
        for _ in 0..100 {
            assert!(!lookout.hear(0, &[b'.'; 10_000]));
        }
        assert!(lookout.begun[0].len() <= LONGEST);
        assert!(!lookout.hear(0, b"x\n"), "too far behind");
        assert!(!lookout.hear(0, &[&[b'.'; LONGEST][..], b"x\n"].concat()), "in one piece as in many");
        assert!(lookout.hear(0, b"x\n"), "the next line is another");
    }
}
