//! The dialogue that prun has with an attempt: its output is searched for each step's expression, and the step's text is
//! written to it then; on a terminal as soon as that is calm.

use std::sync::Arc;
use std::time::Duration;

use crate::event::Time;
use crate::flow::dialogue::{Dialogue, Step};
use crate::flow::typing::{Progress, Terminal, Text, Typing, Typist};
use crate::plan;
use crate::plan::template::Scope;

/// The dialogue of one attempt.
#[derive(Debug)]
pub struct Talk {
    dialogue: Dialogue,
    /// The time that each step has.
    timeout: Duration,
    /// The deadline of the current step; of the last text once that is sent. `None` if nothing is awaited, or while a
    /// text waits to be typed.
    deadline: Option<Time>,
    /// The index of the reader that brings the attempt's output.
    pub reader: usize,
    /// Decides when to type, if the attempt reads a terminal.
    typist: Option<Typist>,
    /// The text to be written, if a step has matched.
    reply: Option<Vec<u8>>,
    /// True if a step has matched that [`Talk::reply`] was not asked for yet.
    matched: bool,
    /// The expression of the last step.
    last: String,
    /// The state after the last text was sent.
    after: After,
}

/// The state of an attempt after the last text was sent to it.
#[derive(Debug, Default)]
struct After {
    sent: bool,
    /// True if the text has begun a line: the first end-of-file character then only ends the line.
    in_line: bool,
    /// True if the attempt has written something since.
    heard: bool,
    /// True if a failure was reported.
    failed: bool,
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
            deadline: Some(now + plan.timeout),
            reader,
            typist: on_terminal.then(Typist::idle),
            reply: None,
            matched: false,
            last: plan.steps.last().map(|step| step.expect.to_string()).unwrap_or_default(),
            after: After::default(),
        }
    }

    /// Returns one without steps: a terminal whose input is at its end from the beginning. The end was typed once.
    pub fn at_end(now: Time, reader: usize) -> Talk {
        Talk {
            dialogue: Dialogue::new(Vec::new()),
            timeout: Duration::ZERO,
            deadline: None,
            reader,
            typist: Some(Typist::at_end(now)),
            reply: None,
            matched: false,
            last: String::new(),
            after: After { sent: true, ..After::default() },
        }
    }

    /// Returns when it has to be looked after.
    pub fn due(&self) -> Option<Time> {
        let typing = self.typist.as_ref().and_then(Typist::due);
        [self.deadline, typing].into_iter().flatten().min()
    }

    /// Takes output of the attempt.
    pub fn hear(&mut self, bytes: &[u8]) {
        self.after.heard |= self.after.sent;
        let mut text = Vec::new();
        if self.dialogue.push(bytes, &mut text) > 0 {
            self.reply.get_or_insert_default().append(&mut text);
            self.matched = true;
        }
    }

    /// Returns the text to be written now, if a step has matched since the last call. The time of the next step begins.
    /// On a terminal, the text waits until [`Talk::type_now`] returns it.
    pub fn reply(&mut self, now: Time, terminal: &dyn Terminal) -> Option<Reply> {
        if !std::mem::take(&mut self.matched) {
            return None;
        }
        let is_empty = self.reply.as_ref()?.is_empty();
        let is_last = self.dialogue.expected().is_none();
        if let Some(typist) = &mut self.typist {
            self.deadline = None;
            typist.prepare(Text { is_last, is_empty }, now, self.timeout / 2, terminal);
            return None;
        }
        self.sent(now, is_last);
        Some(Reply { text: self.reply.take()?, is_last })
    }

    /// Returns what is to be typed now on the attempt's terminal.
    pub fn type_now(&mut self, now: Time, terminal: &dyn Terminal) -> Option<Reply> {
        let text = match self.typist.as_mut()?.look(now, terminal) {
            Typing::Nothing => return None,
            Typing::Text => {
                let text = self.reply.take()?;
                let is_last = self.dialogue.expected().is_none();
                self.after.in_line = is_last && text.last().is_some_and(|&last| last != b'\n');
                self.sent(now, is_last);
                text
            }
            Typing::End(end) => {
                if !self.after.sent {
                    self.reply = None;
                    self.sent(now, true);
                }
                vec![end; 1 + usize::from(std::mem::take(&mut self.after.in_line))]
            }
        };
        // A terminal is not closed: its end of input is typed.
        Some(Reply { text, is_last: false })
    }

    fn sent(&mut self, now: Time, is_last: bool) {
        self.after.sent |= is_last;
        self.restart_timeout(now);
    }

    /// True if the time of the current step, or of the last text, is over.
    pub fn is_overdue(&self, now: Time) -> bool {
        self.deadline.is_some_and(|due| due <= now)
    }

    /// Lets the time of the current step begin now.
    pub fn restart_timeout(&mut self, now: Time) {
        self.deadline = Some(now + self.timeout);
    }

    /// Types nothing any more: the terminal was hung up.
    pub fn stop_typing(&mut self) {
        self.typist.iter_mut().for_each(Typist::stop);
    }

    /// Returns why the task fails whose step did not come in time, or whose last text was not read. `unsent`: a part of
    /// what was sent is not in the pipe or terminal yet.
    pub fn timed_out(&mut self, now: Time, unsent: bool, terminal: &dyn Terminal) -> Option<Arc<str>> {
        self.deadline = None;
        let waited = humantime::format_duration(self.timeout);
        let why = if let Some(expected) = self.dialogue.expected() {
            format!("waited {waited} for `{expected}`; {}", self.last_output())
        } else {
            match self.typist.as_ref().map_or(Progress::Done, |typist| typist.progress(terminal)) {
                Progress::Open => {
                    self.restart_timeout(now);
                    return None;
                }
                Progress::ReadsOn if !self.after.heard => {
                    format!("still waits for input {waited} after the answer to `{}`", self.last)
                }
                Progress::Unread => self.unread(),
                Progress::Done | Progress::ReadsOn if unsent => self.unread(),
                Progress::Done | Progress::ReadsOn => return None,
            }
        };
        self.after.failed = true;
        Some(why.into())
    }

    fn unread(&self) -> String {
        let waited = humantime::format_duration(self.timeout);
        format!("did not read the answer to `{}` within {waited}", self.last)
    }

    /// Returns why the task fails that has ended, if a step had still to come.
    pub fn ended(&mut self) -> Option<Arc<str>> {
        self.deadline = None;
        self.stop_typing();
        let expected = self.dialogue.expected().filter(|_| !self.after.failed)?;
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
    use crate::flow::typing::Settings;
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

    /// A terminal that nobody changes. What is typed was read at once, or is never read.
    struct Still {
        unread: bool,
    }

    impl Terminal for Still {
        fn settings(&self) -> Option<Settings> {
            Some(Settings { fingerprint: 0, reads_lines: true, end_of_input: Some(4) })
        }

        fn is_busy(&self) -> bool {
            false
        }

        fn has_unread(&self) -> bool {
            self.unread
        }
    }

    const READ: Still = Still { unread: false };
    const UNREAD: Still = Still { unread: true };

    /// Types whatever is due until then.
    fn typed(talk: &mut Talk, terminal: &Still, until: Time) -> String {
        let mut typed = Vec::new();
        while let Some(due) = talk.typist.as_ref().and_then(Typist::due).filter(|&due| due <= until) {
            let reply = talk.type_now(due, terminal);
            assert!(reply.as_ref().is_none_or(|reply| !reply.is_last));
            typed.extend(reply.into_iter().flat_map(|reply| reply.text));
        }
        String::from_utf8(typed).unwrap()
    }

    #[test]
    fn each_step_has_its_time() {
        let mut talk = talk(false, &[("> ", "a\n"), ("> ", "")]);
        assert_eq!((talk.due(), talk.reply(Time::ZERO, &READ)), (Some(Time::from_secs(5)), None));
        talk.hear(b"> ");
        assert_eq!(talk.reply(Time::from_secs(3), &READ), reply("a\n", false));
        assert_eq!(talk.due(), Some(Time::from_secs(8)));
        talk.hear(b"\x1bno");
        assert!(!talk.is_overdue(Time::from_secs(7)) && talk.is_overdue(Time::from_secs(8)));
        let why = talk.timed_out(Time::from_secs(8), false, &READ).unwrap();
        assert_eq!((&*why, talk.due()), ("waited 5s for `> `; it had written: `\x1bno`", None));
        assert_eq!(talk.ended(), None, "it is told once");
    }

    #[test]
    fn a_last_step_that_says_nothing_ends_the_input_all_the_same() {
        let mut talk = talk(false, &[("> ", "")]);
        talk.hear(b"> ");
        assert_eq!(talk.reply(Time::ZERO, &READ), reply("", true));
        assert_eq!(talk.timed_out(Time::from_secs(5), false, &READ), None);
        assert_eq!((talk.due(), talk.ended()), (None, None));
    }

    #[test]
    fn a_last_text_that_nobody_reads_fails_the_task() {
        let mut talk = talk(false, &[("a.c", "text")]);
        talk.hear(b"abc");
        assert_eq!(talk.reply(Time::ZERO, &READ), reply("text", true));
        assert!(talk.is_overdue(Time::from_secs(5)));
        let why = talk.timed_out(Time::from_secs(5), true, &READ).unwrap();
        assert_eq!(&*why, "did not read the answer to `a.c` within 5s");
        assert_eq!((talk.due(), talk.ended()), (None, None));
    }

    #[test]
    fn on_a_terminal_a_text_waits_and_its_time_begins_when_it_is_typed() {
        let mut talk = talk(true, &[("> ", "a\n"), ("> ", "b\n")]);
        talk.hear(b"> ");
        assert_eq!(talk.reply(Time::from_secs(4), &READ), None);
        assert!(!talk.is_overdue(Time::from_secs(100)));
        assert_eq!(typed(&mut talk, &READ, Time::from_secs(4)), "");
        assert_eq!(typed(&mut talk, &READ, Time::from_secs(5)), "a\n");
        assert_eq!(talk.due(), Some(Time::from_millis(9050)));
    }

    #[test]
    fn on_a_terminal_the_end_of_input_is_typed() {
        for (send, expected, until) in [("x\n", "x\n\x04", 125), ("x", "x\x04\x04", 125), ("", "\x04", 55)] {
            let mut talk = talk(true, &[(":", send)]);
            talk.hear(b":");
            assert_eq!(talk.reply(Time::ZERO, &READ), None);
            assert_eq!(typed(&mut talk, &READ, Time::from_millis(until)), expected);
            assert_eq!(typed(&mut talk, &UNREAD, Time::from_secs(4)), "");
            assert_eq!(talk.timed_out(Time::from_secs(6), false, &UNREAD), None, "it does something else");
            assert!(!talk.is_overdue(Time::from_secs(100)));
            assert_eq!(typed(&mut talk, &READ, Time::from_secs(6)).chars().next(), Some('\x04'));
            assert_eq!(talk.ended(), None);
            assert_eq!(talk.due(), None);
        }
    }

    #[test]
    fn the_time_of_the_last_step_is_limited_on_a_terminal() {
        let last = |terminal: &Still, heard: &[u8]| {
            let mut talk = talk(true, &[("word: ", "x\n")]);
            talk.hear(b"word: ");
            assert_eq!(talk.reply(Time::ZERO, terminal), None);
            assert!(typed(&mut talk, terminal, Time::from_secs(5)).starts_with("x\n"));
            if !heard.is_empty() {
                talk.hear(heard);
            }
            let why = talk.timed_out(Time::from_secs(6), false, terminal);
            assert_eq!(talk.ended(), None);
            why
        };
        assert_eq!(last(&UNREAD, b"").as_deref(), Some("did not read the answer to `word: ` within 5s"));
        assert_eq!(last(&UNREAD, b"words").as_deref(), Some("did not read the answer to `word: ` within 5s"));
        assert_eq!(
            last(&READ, b"").as_deref(),
            Some("still waits for input 5s after the answer to `word: `")
        );
        assert_eq!(last(&READ, b"words"), None, "it goes on");
    }

    #[test]
    fn an_early_end_is_told() {
        for on_terminal in [false, true] {
            let mut talk = talk(on_terminal, &[("> ", "")]);
            let told = "ended while `> ` was waited for; it had written nothing more";
            assert_eq!(talk.ended().as_deref(), Some(told));
            let mut answered = self::talk(on_terminal, &[("> ", "a"), ("next", "b")]);
            answered.hear(b"> ");
            answered.reply(Time::ZERO, &READ);
            assert!(answered.ended().is_some_and(|why| why.starts_with("ended while `next` was waited for")));
        }
    }
}
