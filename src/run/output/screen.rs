//! The terminal that prun's bar and what it says share with what tasks write.

use std::time::Duration;

use crate::event::{Listener, RunEvent, Summary, Time};
use crate::flow::output::{Dest, Op};
use crate::os;
use crate::run::output::sinks::Sinks;
use crate::run::output::writer::Own;

/// The bar comes back at most this often between pieces of output.
const REDRAW: Duration = Duration::from_millis(40);

/// While prun is in the background of the terminal, it is looked at so often whether it still is.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What prun knows of the terminal that its bar is on.
pub struct Screen {
    listener: Box<dyn Listener>,
    bar: bool,
    drawn_at: Time,
    /// Whether the last byte that went there ended a line.
    at_line_start: bool,
    /// A task has the terminal to itself.
    left: bool,
    /// The terminal is another's, who is not to find a bar there.
    not_before: Time,
}

impl Screen {
    pub fn new(listener: Box<dyn Listener>) -> Screen {
        Screen {
            listener,
            bar: false,
            drawn_at: Time::ZERO,
            at_line_start: true,
            left: false,
            not_before: Time::ZERO,
        }
    }

    /// A task has the terminal to itself from now on, or has no longer.
    pub fn leave(&mut self, left: bool) {
        self.left = left;
        self.at_line_start = true;
    }

    pub fn is_left(&self) -> bool {
        self.left
    }

    /// When the bar is to be drawn.
    pub fn due(&self) -> Option<Time> {
        let can_draw = self.at_line_start && !self.left;
        can_draw.then(|| self.listener.due()).flatten().map(|due| due.max(self.not_before))
    }

    /// Hands on what is to be written. The bar makes way where it is on the same terminal.
    pub fn write_out(&mut self, ops: &mut Vec<Op>, sinks: &mut Sinks) {
        for op in ops.drain(..) {
            let dest = match &op {
                Op::Write { dest, bytes } => Some((*dest, bytes.last() == Some(&b'\n'))),
                Op::Replay { dest, .. } => Some((*dest, true)),
                Op::Spill { .. } | Op::Drop { .. } | Op::Log { .. } | Op::Close { .. } => None,
            };
            if let Some((dest, ends_line)) = dest
                && (dest == Dest::Stderr || (dest == Dest::Stdout && sinks.are_one()))
            {
                self.erase(sinks);
                self.at_line_start = ends_line;
            }
            sinks.apply(op);
        }
    }

    /// Says what happened, after what was written before it (`ops`).
    pub fn tell(&mut self, now: Time, event: &RunEvent, ops: &mut Vec<Op>, sinks: &mut Sinks) {
        let mut text = Vec::new();
        self.listener.tell(now, event, &mut text);
        if text.is_empty() {
            return;
        }
        self.write_out(ops, sinks);
        self.erase(sinks);
        if !self.at_line_start {
            text.insert(0, b'\n');
            self.at_line_start = true;
        }
        sinks.write(Own::Stderr, text);
    }

    /// How the run went, for those who read it after its end.
    pub fn report(&self, summary: &Summary) -> String {
        self.listener.report(summary)
    }

    /// Draws the bar, if it is time.
    pub fn draw(&mut self, now: Time, sinks: &mut Sinks) {
        let Some(due) = self.listener.due() else { return };
        let gone = !self.bar && self.drawn_at > Time::ZERO;
        let due = if gone { due.min(self.drawn_at + REDRAW) } else { due };
        if due.max(self.not_before) > now || !self.at_line_start || self.left {
            return;
        }
        if os::terminal::in_background(os::std_streams::stderr()) {
            self.not_before = now + LOOK_AGAIN;
            return;
        }
        let mut bytes = Vec::new();
        self.listener.draw(now, &mut bytes);
        if !bytes.is_empty() {
            self.bar = true;
            self.drawn_at = now;
            sinks.write(Own::Stderr, bytes);
        }
    }

    /// Takes the bar off the terminal.
    pub fn erase(&mut self, sinks: &mut Sinks) {
        if self.bar {
            let mut bytes = Vec::new();
            self.listener.erase(&mut bytes);
            sinks.write(Own::Stderr, bytes);
            self.bar = false;
        }
    }
}
