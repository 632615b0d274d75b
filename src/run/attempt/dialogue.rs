//! A task that prun talks to: what it has written is looked at, and what is to be said then is written to it.

use std::sync::Arc;
use std::time::Duration;

use crate::event::Time;
use crate::flow::dialogue::{Dialogue, Step};
use crate::os::pty::END_OF_INPUT;
use crate::plan;
use crate::plan::template::Scope;

/// The dialogue of one attempt.
#[derive(Debug)]
pub struct Talk {
    dialogue: Dialogue,
    /// For each step.
    timeout: Duration,
    /// When the step that is waited for must have come; `None`: nothing is waited for any more.
    pub due: Option<Time>,
    /// Which of the task's readers brings what it writes.
    pub reader: usize,
    /// The end of input is typed, for a terminal is not closed.
    on_terminal: bool,
    /// What is to be said, if a step has matched.
    say: Option<Vec<u8>>,
}

impl Talk {
    pub fn new(plan: &plan::Dialogue, scope: &Scope, now: Time, reader: usize, on_terminal: bool) -> Talk {
        let step = |step: &plan::Step| Step { expect: step.expect.clone(), send: step.send.rendered(scope) };
        Talk {
            dialogue: Dialogue::new(plan.steps.iter().map(step).collect()),
            timeout: plan.timeout,
            due: Some(now + plan.timeout),
            reader,
            on_terminal,
            say: None,
        }
    }

    /// The task has written this.
    pub fn hear(&mut self, bytes: &[u8]) {
        let mut say = Vec::new();
        if self.dialogue.push(bytes, &mut say) > 0 {
            self.say.get_or_insert_default().append(&mut say);
        }
    }

    /// What is to be said now, if a step has matched since the last call; and whether that is all.
    pub fn answer(&mut self, now: Time) -> Option<(Vec<u8>, bool)> {
        let mut say = self.say.take()?;
        let over = self.dialogue.expected().is_none();
        if over && self.on_terminal {
            // In the middle of a line, the first one only ends that.
            let in_line = say.last().is_some_and(|&last| last != b'\n');
            say.extend(std::iter::repeat_n(END_OF_INPUT, 1 + usize::from(in_line)));
        }
        self.wait(now);
        Some((say, over))
    }

    /// The time for the next step begins.
    pub fn wait(&mut self, now: Time) {
        self.due = self.dialogue.expected().is_some().then(|| now + self.timeout);
    }

    /// The time is over. Says why the task fails; nothing is waited for any more.
    pub fn timed_out(&mut self) -> Option<Arc<str>> {
        self.due = None;
        let expected = self.dialogue.expected()?;
        let waited = humantime::format_duration(self.timeout);
        Some(format!("waited {waited} for `{expected}`; {}", self.written()).into())
    }

    /// The task has ended. Says why it fails, if it was to write more.
    pub fn ended(&mut self) -> Option<Arc<str>> {
        self.due.take()?;
        let expected = self.dialogue.expected()?;
        Some(format!("ended while `{expected}` was waited for; {}", self.written()).into())
    }

    fn written(&self) -> String {
        match self.dialogue.last_written() {
            [] => "it had written nothing more".into(),
            bytes => format!("it had written: `{}`", String::from_utf8_lossy(bytes).trim()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::template::{Piece, Template};

    fn talk(on_terminal: bool, steps: &[(&str, &str)]) -> Talk {
        let step = |(expect, send): &(&str, &str)| plan::Step {
            expect: regex::bytes::Regex::new(expect).unwrap(),
            send: Template { pieces: vec![Piece::Text(send.as_bytes().to_vec())] },
        };
        let plan =
            plan::Dialogue { steps: steps.iter().map(step).collect(), timeout: Duration::from_secs(5) };
        let scope = Scope { items: &[], names: &[], seq: 1, slot: 1, ..Scope::default() };
        Talk::new(&plan, &scope, Time::ZERO, 0, on_terminal)
    }

    #[test]
    fn each_step_has_its_time() {
        let mut talk = talk(false, &[("> ", "a\n"), ("> ", "")]);
        assert_eq!((talk.due, talk.answer(Time::ZERO)), (Some(Time::from_secs(5)), None));
        talk.hear(b"> ");
        assert_eq!(talk.answer(Time::from_secs(3)), Some((b"a\n".to_vec(), false)));
        assert_eq!(talk.due, Some(Time::from_secs(8)));
        talk.hear(b"\x1bno");
        let why = talk.timed_out().unwrap();
        assert_eq!((&*why, talk.due), ("waited 5s for `> `; it had written: `\x1bno`", None));
        assert_eq!(talk.ended(), None, "it is told once");
    }

    #[test]
    fn a_last_step_that_says_nothing_ends_the_input_all_the_same() {
        let mut talk = talk(false, &[("> ", "")]);
        talk.hear(b"> ");
        assert_eq!(talk.answer(Time::ZERO), Some((Vec::new(), true)));
        assert_eq!((talk.due, talk.ended(), talk.timed_out()), (None, None, None));
    }

    #[test]
    fn on_a_terminal_the_end_of_input_is_typed() {
        for (send, typed) in [("x\n", "x\n\x04"), ("x", "x\x04\x04"), ("", "\x04")] {
            let mut talk = talk(true, &[(":", send)]);
            talk.hear(b":");
            assert_eq!(talk.answer(Time::ZERO), Some((typed.into(), true)));
        }
    }

    #[test]
    fn an_early_end_is_told() {
        let mut talk = talk(false, &[("> ", "")]);
        assert_eq!(
            talk.ended().as_deref(),
            Some("ended while `> ` was waited for; it had written nothing more")
        );
    }
}
