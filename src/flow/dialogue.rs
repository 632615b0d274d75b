//! Answers the prompts of a child that speaks first. Pure.

use regex::bytes::Regex;

/// The most bytes since the last match that are kept. A match that begins before them is not found.
const KEPT: usize = 64 << 10;
/// The number of last bytes that messages show.
const TOLD: usize = 200;

/// One step: the pattern that is waited for, and the bytes that are then sent.
#[derive(Debug, Clone)]
pub struct Step {
    pub expect: Regex,
    pub send: Vec<u8>,
}

/// The state of a dialogue.
#[derive(Debug)]
pub struct Dialogue {
    steps: std::vec::IntoIter<Step>,
    /// Bytes that the child has written since the last match.
    written: Vec<u8>,
}

impl Dialogue {
    pub fn new(steps: Vec<Step>) -> Dialogue {
        Dialogue { steps: steps.into_iter(), written: Vec::new() }
    }

    /// Returns the pattern that is waited for; `None` after the last step.
    pub fn expected(&self) -> Option<&Regex> {
        self.steps.as_slice().first().map(|step| &step.expect)
    }

    /// Takes bytes that the child has written, appends the replies to `say`, and returns how many steps have
    /// matched.
    pub fn push(&mut self, bytes: &[u8], say: &mut Vec<u8>) -> usize {
        let before = self.steps.len();
        if before == 0 {
            return 0;
        }
        self.written.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(found) = self.expected().and_then(|expect| expect.find(&self.written[at..])) {
            at += found.end();
            say.extend(self.steps.next().into_iter().flat_map(|step| step.send));
        }
        // After the last step nothing is kept.
        let keep_from = at.max(self.written.len().saturating_sub(KEPT));
        self.written.drain(..keep_from);
        before - self.steps.len()
    }

    /// Returns the end of what was written since the last match.
    pub fn last_written(&self) -> &[u8] {
        &self.written[self.written.len().saturating_sub(TOLD)..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialogue(steps: &[(&str, &str)]) -> Dialogue {
        let step = |(expect, send): &(&str, &str)| Step {
            expect: Regex::new(expect).unwrap(),
            send: send.as_bytes().to_vec(),
        };
        Dialogue::new(steps.iter().map(step).collect())
    }

    fn push(dialogue: &mut Dialogue, text: &str) -> (usize, String) {
        let mut say = Vec::new();
        let matched = dialogue.push(text.as_bytes(), &mut say);
        (matched, String::from_utf8(say).unwrap())
    }

    #[test]
    fn each_step_waits_for_what_comes_after_the_last() {
        let mut talk = dialogue(&[("> ", "one\n"), ("> ", "two\n")]);
        assert_eq!(push(&mut talk, "hello\n>"), (0, String::new()));
        assert_eq!(push(&mut talk, " "), (1, "one\n".into()), "a match may come in pieces");
        assert_eq!(push(&mut talk, "answer"), (0, String::new()), "what matched is used up");
        assert_eq!(push(&mut talk, "\n> "), (1, "two\n".into()));
        assert!(talk.expected().is_none());
        assert_eq!(push(&mut talk, "> > > "), (0, String::new()));
    }

    #[test]
    fn several_steps_may_match_at_once() {
        let mut talk = dialogue(&[("a", "1"), ("b", "2"), ("c", "3")]);
        assert_eq!(push(&mut talk, "a b"), (2, "12".into()));
        assert_eq!(talk.expected().map(Regex::as_str), Some("c"));
        assert_eq!(push(&mut talk, "c"), (1, "3".into()));
    }

    #[test]
    fn an_empty_match_is_one_step_only() {
        let mut talk = dialogue(&[("", "now"), ("x", "then")]);
        assert_eq!(push(&mut talk, "y"), (1, "now".into()));
        assert_eq!(push(&mut talk, "x"), (1, "then".into()));
    }

    #[test]
    fn the_end_is_the_end_of_what_was_written_so_far() {
        let mut talk = dialogue(&[("login: $", "me\n")]);
        assert_eq!(push(&mut talk, "last login: today\n"), (0, String::new()));
        assert_eq!(push(&mut talk, "login: "), (1, "me\n".into()));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut talk = dialogue(&[("start.*end", "found")]);
        push(&mut talk, "start");
        for _ in 0..1000 {
            push(&mut talk, &"-".repeat(1000));
            assert!(talk.written.len() <= KEPT);
        }
        assert_eq!(push(&mut talk, "end"), (0, String::new()), "its beginning was too long ago");
        let line = format!("start{}end", "-".repeat(2 * KEPT));
        assert_eq!(push(&mut talk, &line).0, 1, "what comes at once is looked at as a whole");
        assert_eq!(talk.last_written(), b"");
    }

    #[test]
    fn the_last_200_bytes_are_told() {
        let mut talk = dialogue(&[("no", "")]);
        push(&mut talk, &format!("{}{}", "a".repeat(300), "b".repeat(199)));
        assert_eq!(talk.last_written(), format!("a{}", "b".repeat(199)).as_bytes());
    }
}
