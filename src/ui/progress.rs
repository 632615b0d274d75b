//! The bar: one line for the whole run and, below it, the tasks that run.
//!
//! indicatif draws it, into a buffer: `run` owns the descriptor and the clock. Rates and estimates are made
//! from the run's own time, which stands still while prun is suspended, so they don't come from indicatif.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::event::{Listener, RunEvent, Summary, Time};

use super::canvas::Canvas;
use super::lines::Lines;
use super::tally::{Running, Tally};
use super::{Size, phrases};

/// The time between two drawings.
const EVERY: Duration = Duration::from_millis(100);

/// The time after which the bar is drawn again when it was erased for other bytes. Short enough that it does
/// not vanish while tasks write much, long enough that it does not cost more than what they write.
const SOON: Duration = Duration::from_millis(30);

/// The most running tasks that are shown below the bar.
const MOST_TASKS: usize = 8;

/// The length of the bar as indicatif counts it; the share of tasks that have ended is scaled to it.
const FULL: u64 = 1000;

const WITH_TOTAL: &str = "{bar:24} {prefix}\n{msg}";
const WITHOUT_TOTAL: &str = "{prefix}\n{msg}";
/// A template without lines: drawing it takes the bar off the terminal.
const NOTHING: &str = "";

/// Lines, with a bar below them.
pub struct Bar {
    lines: Lines,
    tally: Tally,
    canvas: Canvas,
    bar: ProgressBar,
    phase: Phase,
}

/// The state of the bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing is drawn before `from`, so that short runs stay quiet.
    Waiting { from: Time },
    /// The bar is on the terminal.
    Drawn { at: Time },
    /// The bar was erased for other bytes.
    Erased { at: Time },
    /// The run has ended. `drawn` is true if the bar has still to be erased.
    Over { drawn: bool },
}

impl Bar {
    /// Makes a bar that is not drawn in the first `after` of the run.
    pub fn new(lines: Lines, size: Size, after: Duration) -> Bar {
        let canvas = Canvas::new(size);
        let target = ProgressDrawTarget::term_like(Box::new(canvas.clone()));
        let bar = ProgressBar::with_draw_target(Some(FULL), target).with_style(style(NOTHING));
        let phase = Phase::Waiting { from: after };
        Bar { lines, tally: Tally::default(), canvas, bar, phase }
    }

    /// Returns the tasks that run, a line each, as many as the terminal has room for.
    fn running(&self, now: Time, (columns, lines): (u16, u16)) -> String {
        let most = usize::from(lines).saturating_sub(2).min(MOST_TASKS);
        let line = |running: &Running| {
            let time = now.saturating_sub(running.since);
            phrases::running(&self.lines.task(&running.task), &running.item, time, usize::from(columns))
        };
        self.tally.oldest(most).into_iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Draws the bar with this template and these texts. The builder-like functions of indicatif change a bar
    /// without drawing it, so there is one drawing.
    fn paint(&self, template: &str, position: u64, prefix: String, message: String, out: &mut Vec<u8>) {
        let bar = self.bar.clone();
        let bar = bar.with_style(style(template)).with_position(position);
        bar.with_prefix(prefix).with_message(message).force_draw();
        self.canvas.take(out);
    }
}

impl Listener for Bar {
    fn tell(&mut self, now: Time, event: &RunEvent, out: &mut Vec<u8>) {
        self.tally.note(now, event);
        let drawn = matches!(self.phase, Phase::Drawn { .. });
        let shown = drawn || matches!(self.phase, Phase::Erased { .. });
        if matches!(event, RunEvent::RunEnded(_)) {
            self.phase = Phase::Over { drawn };
        }
        self.lines.tell(event, self.canvas.size().0, shown, out);
    }

    fn due(&self) -> Option<Time> {
        match self.phase {
            Phase::Waiting { from } => Some(from),
            Phase::Drawn { at } => Some(at + EVERY),
            Phase::Erased { at } => Some(at + SOON),
            Phase::Over { .. } => None,
        }
    }

    fn draw(&mut self, now: Time, out: &mut Vec<u8>) {
        if self.due().is_none_or(|due| now < due) {
            return;
        }
        let size = self.canvas.size();
        let standing = self.tally.standing(now);
        let (template, position, used) = match standing.total {
            Some(total) => (WITH_TOTAL, (standing.done * FULL).checked_div(total).unwrap_or(FULL), 25),
            None => (WITHOUT_TOTAL, 0, 0),
        };
        let text = phrases::standing(&standing);
        let text = phrases::cut(&text, usize::from(size.0).saturating_sub(used)).into_owned();
        self.paint(template, position, text, self.running(now, size), out);
        // indicatif fills the last line with blanks, so the cursor is at its end. Text that the terminal
        // itself echoes there, such as `^C`, would begin a new line, and the bar would be a line higher than
        // indicatif assumes.
        out.push(b'\r');
        self.phase = Phase::Drawn { at: now };
    }

    fn erase(&mut self, out: &mut Vec<u8>) {
        self.phase = match self.phase {
            Phase::Drawn { at } => Phase::Erased { at },
            Phase::Over { drawn: true } => Phase::Over { drawn: false },
            Phase::Waiting { .. } | Phase::Erased { .. } | Phase::Over { drawn: false } => return,
        };
        self.paint(NOTHING, 0, String::new(), String::new(), out);
    }

    fn report(&self, summary: &Summary) -> String {
        self.lines.report(summary)
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).expect("the templates above are well-formed");
    style.progress_chars("━╸─")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{JobId, JobInfo, Outcome, Summary, TaskName};
    use crate::ui::Voice;

    const WIDTH: usize = 80;

    /// As much of a terminal as the bar uses.
    #[derive(Default)]
    struct Screen {
        rows: Vec<Vec<char>>,
        row: usize,
        column: usize,
    }

    impl Screen {
        fn show(&mut self, bytes: &[u8]) {
            let mut chars = std::str::from_utf8(bytes).unwrap().chars();
            while let Some(c) = chars.next() {
                match c {
                    '\r' => self.column = 0,
                    '\n' => (self.row, self.column) = (self.row + 1, 0),
                    '\x1b' => {
                        assert_eq!(chars.next(), Some('['));
                        let mut number = 0;
                        let letter = loop {
                            match chars.next().unwrap() {
                                digit @ '0'..='9' => number = number * 10 + digit as usize - '0' as usize,
                                letter => break letter,
                            }
                        };
                        self.control(number, letter);
                    }
                    c => self.put(c),
                }
            }
        }

        fn control(&mut self, number: usize, letter: char) {
            match (number, letter) {
                (2, 'K') => self.line().clear(),
                (up, 'A') => self.row -= up,
                (down, 'B') => self.row += down,
                other => panic!("the bar should not need {other:?}"),
            }
        }

        fn put(&mut self, c: char) {
            if self.column == WIDTH {
                (self.row, self.column) = (self.row + 1, 0);
            }
            let column = self.column;
            let line = self.line();
            line.resize(line.len().max(column + 1), ' ');
            line[column] = c;
            self.column += 1;
        }

        fn line(&mut self) -> &mut Vec<char> {
            if self.rows.len() <= self.row {
                self.rows.resize(self.row + 1, Vec::new());
            }
            &mut self.rows[self.row]
        }

        /// What can be seen, without blanks at the ends of lines and empty lines at the bottom.
        fn text(&self) -> String {
            let lines = self.rows.iter().map(|row| row.iter().collect::<String>().trim_end().to_string());
            lines.collect::<Vec<_>>().join("\n").trim_end().to_string()
        }
    }

    fn bar(columns: u16, lines: u16) -> Bar {
        let words = Lines::new(Voice::Normal, false, true, true);
        Bar::new(words, Box::new(move || (columns, lines)), Duration::from_millis(500))
    }

    fn begin(bar: &mut Bar, total: Option<u64>, running: u64) {
        let mut out = Vec::new();
        let jobs = vec![JobInfo { name: "fetch".into(), many: true, total, background: false }];
        bar.tell(Time::ZERO, &RunEvent::RunStarted { jobs }, &mut out);
        for seq in 1..=running {
            let task = TaskName { job: JobId(0), seq };
            let item = format!("item {seq}{}", ".".repeat(100)).into();
            let event = RunEvent::TaskStarted { task, attempt: 1, pid: Some(1), item, command: None };
            bar.tell(Time::ZERO, &event, &mut out);
        }
        assert!(out.is_empty());
    }

    fn ended(task: TaskName, outcome: Outcome) -> RunEvent {
        RunEvent::TaskEnded { task, outcome, elapsed: Time::ZERO, usage: None, detail: None }
    }

    fn end_one(bar: &mut Bar, outcome: Outcome) -> String {
        let mut out = Vec::new();
        let task = TaskName { job: JobId(0), seq: 1 };
        bar.tell(Time::from_secs(1), &ended(task, outcome), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn drawn(bar: &mut Bar, now: Time) -> Vec<u8> {
        let mut out = Vec::new();
        bar.draw(now, &mut out);
        out
    }

    #[test]
    fn it_is_drawn_over_itself_and_leaves_nothing_behind() {
        let mut bar = bar(80, 24);
        let mut screen = Screen::default();
        begin(&mut bar, Some(4), 3);
        assert_eq!(bar.due(), Some(Duration::from_millis(500)));
        assert!(drawn(&mut bar, Duration::from_millis(499)).is_empty());
        screen.show(&drawn(&mut bar, Duration::from_millis(500)));
        assert!(screen.text().starts_with("────────────────────────"), "{}", screen.text());
        assert_eq!(screen.text().lines().count(), 4);
        screen.show(b"^C"); // the terminal's echo stays in the last line

        assert_eq!(end_one(&mut bar, Outcome::Failed(2)), "prun: fetch[1]: exit 2\n");
        assert_eq!(bar.due(), Some(Duration::from_millis(600)));
        screen.show(&drawn(&mut bar, Duration::from_secs(1)));
        let text = screen.text();
        assert!(text.starts_with("━━━━━━╸───────────────── 1/4, 1.0/s, 3 s left, 1 failed"), "{text}");
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.contains("1.0 s  fetch[2] item 2..."), "{text}");

        let mut out = Vec::new();
        bar.erase(&mut out);
        screen.show(&out);
        assert_eq!((screen.text().as_str(), screen.row, screen.column), ("", 0, 0));
        assert_eq!(bar.due(), Some(Duration::from_millis(1030)));
    }

    #[test]
    fn it_goes_when_the_run_ends_whichever_is_told_first() {
        for erase_first in [true, false] {
            let mut bar = bar(80, 24);
            let mut screen = Screen::default();
            begin(&mut bar, None, 2);
            screen.show(&drawn(&mut bar, Duration::from_secs(1)));
            assert!(screen.text().starts_with("0 done\n"), "{}", screen.text());
            let (mut words, mut out) = (Vec::new(), Vec::new());
            if erase_first {
                bar.erase(&mut out);
            }
            bar.tell(
                Time::from_secs(2),
                &RunEvent::RunEnded(Summary { ok: 2, ..Summary::default() }),
                &mut words,
            );
            bar.erase(&mut out);
            bar.erase(&mut out);
            screen.show(&out);
            assert_eq!((screen.text().as_str(), bar.due()), ("", None));
            assert_eq!(words, b"prun: 2 ok (0 ms)\n", "a bar that was seen ends with a word");
        }
    }

    #[test]
    fn a_run_too_short_for_a_bar_ends_silently() {
        let mut bar = bar(80, 24);
        begin(&mut bar, None, 2);
        let mut words = Vec::new();
        bar.tell(Time::ZERO, &RunEvent::RunEnded(Summary::default()), &mut words);
        bar.erase(&mut words);
        assert!(words.is_empty());
        assert!(drawn(&mut bar, Duration::from_secs(9)).is_empty());
    }

    #[test]
    fn it_never_needs_more_room_than_there_is() {
        for (columns, lines, expected) in [(80, 24, 9), (80, 6, 5), (80, 2, 1)] {
            let mut bar = bar(columns, lines);
            let mut screen = Screen::default();
            begin(&mut bar, Some(100), 50);
            screen.show(&drawn(&mut bar, Duration::from_secs(100)));
            assert_eq!(screen.rows.len(), expected);
            assert!(screen.rows.iter().all(|row| row.len() <= usize::from(columns)));
        }
        // Too narrow for anything: no panic.
        let mut bar = bar(1, 1);
        begin(&mut bar, Some(100), 5);
        drawn(&mut bar, Duration::from_secs(100));
    }
}
