//! The dialogue that prun has with an attempt: its output is searched for each step's expression, and the step's text is
//! written to it then.

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
    /// The time that each step has.
    timeout: Duration,
    /// The deadline of the current step; `None` if no step is awaited any more.
    pub due: Option<Time>,
    /// The index of the reader that brings the attempt's output.
    pub reader: usize,
    /// True if the end of input is typed, because a terminal is not closed.
    on_terminal: bool,
    /// The text to be written, if a step has matched.
    reply: Option<Vec<u8>>,
}

/// Text for the attempt.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    pub text: Vec<u8>,
    /// True if no further text follows.
    pub is_last: bool,
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
            reply: None,
        }
    }

    /// Takes output of the attempt.
    pub fn hear(&mut self, bytes: &[u8]) {
        let mut text = Vec::new();
        if self.dialogue.push(bytes, &mut text) > 0 {
            self.reply.get_or_insert_default().append(&mut text);
        }
    }

    /// Returns the text to be written now, if a step has matched since the last call. The time of the next step begins.
    pub fn reply(&mut self, now: Time) -> Option<Reply> {
        let mut text = self.reply.take()?;
        let is_last = self.dialogue.expected().is_none();
        if is_last && self.on_terminal {
            // In the middle of a line, the first end-of-file character only ends the line.
            let in_line = text.last().is_some_and(|&last| last != b'\n');
            text.extend(std::iter::repeat_n(END_OF_INPUT, 1 + usize::from(in_line)));
        }
        self.restart_timeout(now);
        Some(Reply { text, is_last })
    }

    /// Lets the time of the current step begin now.
    pub fn restart_timeout(&mut self, now: Time) {
        self.due = self.dialogue.expected().is_some().then(|| now + self.timeout);
    }

    /// Returns why the task fails whose step did not come in time. No step is awaited any more.
    pub fn timed_out(&mut self) -> Option<Arc<str>> {
        self.due = None;
        let expected = self.dialogue.expected()?;
        let waited = humantime::format_duration(self.timeout);
        Some(format!("waited {waited} for `{expected}`; {}", self.last_output()).into())
    }

    /// Returns why the task fails that has ended, if a step had still to come.
    pub fn ended(&mut self) -> Option<Arc<str>> {
        self.due.take()?;
        let expected = self.dialogue.expected()?;
        Some(format!("ended while `{expected}` was waited for; {}", self.last_output()).into())
    }

    fn last_output(&self) -> String {
        match self.dialogue.last_written() {
            [] => "it had written nothing more".into(),
            bytes => format!("it had written: `{}`", String::from_utf8_lossy(bytes).trim()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::template::Template;

    fn talk(on_terminal: bool, steps: &[(&str, &str)]) -> Talk {
        let step = |(expect, send): &(&str, &str)| plan::Step {
            expect: regex::bytes::Regex::new(expect).unwrap(),
            send: Template::literal(send.as_bytes()),
        };
        let plan =
            plan::Dialogue { steps: steps.iter().map(step).collect(), timeout: Duration::from_secs(5) };
        let scope = Scope { items: &[], names: &[], seq: 1, slot: 1, ..Scope::default() };
        Talk::new(&plan, &scope, Time::ZERO, 0, on_terminal)
    }

    fn reply(text: &str, is_last: bool) -> Option<Reply> {
        Some(Reply { text: text.into(), is_last })
    }

    #[test]
    fn each_step_has_its_time() {
        let mut talk = talk(false, &[("> ", "a\n"), ("> ", "")]);
        assert_eq!((talk.due, talk.reply(Time::ZERO)), (Some(Time::from_secs(5)), None));
        talk.hear(b"> ");
        assert_eq!(talk.reply(Time::from_secs(3)), reply("a\n", false));
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
        assert_eq!(talk.reply(Time::ZERO), reply("", true));
        assert_eq!((talk.due, talk.ended(), talk.timed_out()), (None, None, None));
    }

    #[test]
    fn on_a_terminal_the_end_of_input_is_typed() {
        for (send, typed) in [("x\n", "x\n\x04"), ("x", "x\x04\x04"), ("", "\x04")] {
            let mut talk = talk(true, &[(":", send)]);
            talk.hear(b":");
            assert_eq!(talk.reply(Time::ZERO), reply(typed, true));
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
