//! The terminal that prun's progress bar and messages share with the output of tasks.
//!
//! The bar stands on the last line and is drawn on stderr. It is erased before anything else is written to the same
//! terminal, and comes back when a line has ended.

use std::time::Duration;

use crate::event::{Listener, RunEvent, Summary, Time};
use crate::flow::output::{Dest, Op};
use crate::os;
use crate::run::output::sinks::Sinks;
use crate::run::output::writer::StdStream;

/// The shortest time between two returns of the bar while output comes.
const REDRAW: Duration = Duration::from_millis(40);

/// How often prun checks whether it still is in the background of the terminal.
const BACKGROUND_POLL: Duration = Duration::from_millis(500);

/// The state of the terminal that the bar is on.
pub struct Screen {
    listener: Box<dyn Listener>,
    /// True while the bar is shown.
    bar: bool,
    drawn_at: Time,
    /// True if the last byte written to the terminal ended a line.
    at_line_start: bool,
    /// True while a task has the terminal to itself.
    leased: bool,
    /// The earliest time of the next drawing: in the background, the terminal belongs to somebody else.
    not_before: Time,
}

impl Screen {
    pub fn new(listener: Box<dyn Listener>) -> Screen {
        Screen {
            listener,
            bar: false,
            drawn_at: Time::ZERO,
            at_line_start: true,
            leased: false,
            not_before: Time::ZERO,
        }
    }

    /// Sets whether a task has the terminal to itself. Either way, the cursor is taken to be at the start of a line.
    pub fn set_leased(&mut self, leased: bool) {
        self.leased = leased;
        self.at_line_start = true;
    }

    /// True while a task has the terminal to itself.
    pub fn is_leased(&self) -> bool {
        self.leased
    }

    /// Returns when the bar is to be drawn.
    pub fn due(&self) -> Option<Time> {
        let can_draw = self.at_line_start && !self.leased;
        can_draw.then(|| self.listener.due()).flatten().map(|due| due.max(self.not_before))
    }

    /// Hands operations to the sinks. Erases the bar before those that write to its terminal.
    pub fn write_out(&mut self, ops: &mut Vec<Op>, sinks: &mut Sinks) {
        for op in ops.drain(..) {
            let dest = match &op {
                Op::Write { dest, bytes } => Some((*dest, bytes.last() == Some(&b'\n'))),
                Op::Replay { dest, .. } => Some((*dest, true)),
                Op::Spill { .. }
                | Op::Transfer { .. }
                | Op::Recall { .. }
                | Op::Drop { .. }
                | Op::Log { .. }
                | Op::Close { .. } => None,
            };
            if let Some((dest, ends_line)) = dest
                && (dest == Dest::Stderr || (dest == Dest::Stdout && sinks.share_one_file()))
            {
                self.erase(sinks);
                self.at_line_start = ends_line;
            }
            sinks.apply(op);
        }
    }

    /// Tells people what happened, behind everything that was written before it (`ops`).
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
        sinks.write(StdStream::Stderr, text);
    }

    /// Returns how the run went, as text for those who read it after its end.
    pub fn report(&self, summary: &Summary) -> String {
        self.listener.report(summary)
    }

    /// Draws the bar, if it is time.
    pub fn draw(&mut self, now: Time, sinks: &mut Sinks) {
        let Some(due) = self.listener.due() else { return };
        let gone = !self.bar && self.drawn_at > Time::ZERO;
        let due = if gone { due.min(self.drawn_at + REDRAW) } else { due };
        if due.max(self.not_before) > now || !self.at_line_start || self.leased {
            return;
        }
        if os::terminal::in_background(os::std_streams::stderr()) {
            self.not_before = now + BACKGROUND_POLL;
            return;
        }
        let mut bytes = Vec::new();
        self.listener.draw(now, &mut bytes);
        if !bytes.is_empty() {
            self.bar = true;
            self.drawn_at = now;
            sinks.write(StdStream::Stderr, bytes);
        }
    }

    /// Takes the bar off the terminal.
    pub fn erase(&mut self, sinks: &mut Sinks) {
        if self.bar {
            let mut bytes = Vec::new();
            self.listener.erase(&mut bytes);
            sinks.write(StdStream::Stderr, bytes);
            self.bar = false;
        }
    }
}
