//! When to type on a terminal. Pure.
//!
//! Many programs print a prompt first and change the terminal's settings after it, with a flush that discards all that
//! was typed before; others restore them with such a flush when they have their answer. A text that is typed at once may
//! get lost there. [`Typist`] waits until the terminal is calm: its settings have been the same for [`QUIET`] while no
//! process that uses it was about to run, or have changed since the prompt.
//!
//! The end of input is one byte that one read takes, and not a state as of a pipe. It is typed again whenever it was
//! taken, or lost, so that whoever reads on finds it again.

use std::time::Duration;

use crate::event::Time;

/// The time for which the settings stay the same before something is typed.
pub const QUIET: Duration = Duration::from_millis(50);
/// The interval of looks while a text waits.
const EVERY: Duration = Duration::from_millis(10);
/// Looks in a row that find the terminal calm, at least. A process may sleep for an instant between its prompt and its
/// change of the settings.
const CALM_LOOKS: u32 = 2;
/// A text waits for this long at most, whatever the processes do. On a crowded machine a process may wait for a
/// processor for more than a second.
const LATEST: Duration = Duration::from_secs(3);
/// The longest intervals of looks whether a text or an end of input was read: of a process that reads on, and of one that
/// leaves it unread.
const LONGEST: Duration = Duration::from_millis(250);
const LONGEST_UNREAD: Duration = Duration::from_secs(1);
/// In raw mode the end of input is a byte like any other, which may do something. It is typed this often at most.
const IN_RAW_MODE: u32 = 8;

/// The settings of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// A number that differs if any of them differs.
    pub fingerprint: u64,
    /// True if lines are read; false in raw mode, in which each byte is read as it comes.
    pub reads_lines: bool,
    /// The byte that ends the input at the beginning of a line.
    pub end_of_input: Option<u8>,
}

/// A terminal that processes use, as it is at the moment.
pub trait Terminal {
    /// Returns the settings. `None` if the terminal was hung up.
    fn settings(&self) -> Option<Settings>;
    /// True if a process that uses it runs, waits for a processor, or waits for a disk.
    fn is_busy(&self) -> bool;
    /// True if a line or an end of input was typed and not read yet.
    fn has_unread(&self) -> bool;
}

/// The next thing to type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Typing {
    Nothing,
    /// The text that waits.
    Text,
    /// The end of input: this byte.
    End(u8),
}

/// The fate of the last text and of the end of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It is not decided yet.
    Open,
    /// The last text was not read.
    Unread,
    /// Ends of input were read again and again.
    ReadsOn,
    /// The processes do something else than to read.
    Done,
}

/// The state of what is typed on one terminal.
#[derive(Debug)]
pub struct Typist {
    phase: Phase,
    /// The time of the next look.
    due: Option<Time>,
    /// The number of times that the end of input may still be typed in raw mode.
    raw_ends: u32,
}

#[derive(Debug)]
enum Phase {
    /// There is nothing to type.
    Idle,
    /// A text waits for the terminal to be calm. `None`: it is no text, but the end of input alone.
    Waiting { calm: Calm, text: Option<Text> },
    /// The last text was typed. It is looked at whether it was read.
    Typed { interval: Duration },
    /// The end of input was typed `ends` times.
    Ended { ends: u32, interval: Duration },
}

/// A text that waits to be typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    /// True if the end of input follows it.
    pub is_last: bool,
    pub is_empty: bool,
}

impl Typist {
    /// Returns one that has nothing to type.
    pub fn idle() -> Typist {
        Typist { phase: Phase::Idle, due: None, raw_ends: IN_RAW_MODE }
    }

    /// Returns one for a terminal whose input is at its end from the beginning: the first end was typed already.
    pub fn at_end(now: Time) -> Typist {
        Typist { phase: Phase::Ended { ends: 1, interval: EVERY }, due: Some(now + EVERY), raw_ends: 0 }
    }

    /// Returns when [`Typist::look`] is to be called.
    pub fn due(&self) -> Option<Time> {
        self.due
    }

    /// Takes a text that is to be typed as soon as the terminal is calm, after `most` at the latest.
    pub fn prepare(&mut self, text: Text, now: Time, most: Duration, terminal: &dyn Terminal) {
        self.phase = match &self.phase {
            // Another step has matched before the first text was typed: both go out together.
            Phase::Waiting { calm, text: Some(_) } => Phase::Waiting { calm: *calm, text: Some(text) },
            _ => Phase::Waiting { calm: Calm::new(now, most, terminal), text: Some(text) },
        };
        self.due = Some(now);
    }

    /// Looks at the terminal, and returns what is to be typed now.
    pub fn look(&mut self, now: Time, terminal: &dyn Terminal) -> Typing {
        if self.due.is_none_or(|due| due > now) {
            return Typing::Nothing;
        }
        match &mut self.phase {
            Phase::Idle => {
                self.due = None;
                Typing::Nothing
            }
            Phase::Waiting { calm, text } => {
                let text = *text;
                if !calm.look(now, terminal) {
                    self.due = Some(now + EVERY);
                    return Typing::Nothing;
                }
                match text {
                    Some(Text { is_last: false, .. }) => {
                        self.stop();
                        Typing::Text
                    }
                    Some(Text { is_empty: false, .. }) => {
                        self.phase = Phase::Typed { interval: EVERY };
                        self.due = Some(now + EVERY);
                        Typing::Text
                    }
                    _ => {
                        self.phase = Phase::Ended { ends: 0, interval: EVERY };
                        self.end(now, terminal)
                    }
                }
            }
            Phase::Typed { interval } => {
                if terminal.has_unread() {
                    *interval = (2 * *interval).min(LONGEST);
                    self.due = Some(now + *interval);
                } else {
                    self.phase = Phase::Waiting { calm: Calm::new(now, LATEST, terminal), text: None };
                    self.due = Some(now + EVERY);
                }
                Typing::Nothing
            }
            Phase::Ended { interval, .. } => {
                if terminal.has_unread() {
                    *interval = (2 * *interval).min(LONGEST_UNREAD);
                    self.due = Some(now + *interval);
                    return Typing::Nothing;
                }
                self.end(now, terminal)
            }
        }
    }

    /// Types the end of input, if the terminal has one in its mode.
    fn end(&mut self, now: Time, terminal: &dyn Terminal) -> Typing {
        let Phase::Ended { ends, interval } = &mut self.phase else { return Typing::Nothing };
        if *ends > 0 {
            *interval = (2 * *interval).min(LONGEST);
        }
        self.due = Some(now + *interval);
        let Some(settings) = terminal.settings() else { return Typing::Nothing };
        if !settings.reads_lines {
            if self.raw_ends == 0 {
                self.due = Some(now + LONGEST_UNREAD);
                return Typing::Nothing;
            }
            self.raw_ends -= 1;
        }
        *ends += 1;
        settings.end_of_input.map_or(Typing::Nothing, Typing::End)
    }

    /// Returns what has come of the last text.
    pub fn progress(&self, terminal: &dyn Terminal) -> Progress {
        match &self.phase {
            Phase::Waiting { .. } => Progress::Open,
            Phase::Typed { .. } if terminal.has_unread() => Progress::Unread,
            Phase::Typed { .. } => Progress::Open,
            Phase::Ended { ends, .. } if *ends > 1 && !terminal.has_unread() => Progress::ReadsOn,
            Phase::Ended { .. } | Phase::Idle => Progress::Done,
        }
    }

    /// Types nothing any more.
    pub fn stop(&mut self) {
        self.phase = Phase::Idle;
        self.due = None;
    }
}

/// The recent past of a terminal: it shows whether the terminal has been calm for long enough.
#[derive(Debug, Clone, Copy)]
struct Calm {
    /// The time of the first look since the prompt, or since a process was busy, that found none busy. `now` is the time
    /// at which a turn of the loop began: within one turn it may be older than the prompt.
    since: Option<Time>,
    /// The time at which it counts as calm, whatever is seen.
    latest: Time,
    settings: Option<Settings>,
    /// True if the settings have changed meanwhile: the change that was waited for.
    changed: bool,
    /// Looks in a row that found it calm.
    looks: u32,
}

impl Calm {
    fn new(now: Time, most: Duration, terminal: &dyn Terminal) -> Calm {
        let (settings, latest) = (terminal.settings(), now + most.min(LATEST));
        Calm { since: None, latest, settings, changed: false, looks: 0 }
    }

    fn look(&mut self, now: Time, terminal: &dyn Terminal) -> bool {
        let settings = terminal.settings();
        if settings != self.settings {
            (self.settings, self.changed, self.looks) = (settings, true, 0);
        } else if terminal.is_busy() {
            // A process that waits for a processor has not come to its change of the settings yet.
            (self.since, self.looks) = (None, 0);
        } else {
            self.since.get_or_insert(now);
            self.looks += 1;
        }
        let was_quiet = self.changed || self.since.is_some_and(|since| now >= since + QUIET);
        was_quiet && self.looks >= CALM_LOOKS || now >= self.latest
    }
}
