//! Tests of [`typing`](super::typing), with a made-up terminal and made-up times.

use std::cell::Cell;
use std::time::Duration;

use super::typing::{Progress, Settings, Terminal, Text, Typing, Typist};
use crate::event::Time;

const ANSWER: Text = Text { is_last: false, is_empty: false };
const LAST: Text = Text { is_last: true, is_empty: false };
const NOTHING_LAST: Text = Text { is_last: true, is_empty: true };

struct MadeUp {
    settings: Cell<u64>,
    reads_lines: Cell<bool>,
    busy: Cell<bool>,
    unread: Cell<bool>,
}

impl MadeUp {
    fn new() -> MadeUp {
        let (settings, reads_lines) = (Cell::new(1), Cell::new(true));
        MadeUp { settings, reads_lines, busy: Cell::new(false), unread: Cell::new(false) }
    }
}

impl Terminal for MadeUp {
    fn settings(&self) -> Option<Settings> {
        let (fingerprint, reads_lines) = (self.settings.get(), self.reads_lines.get());
        Some(Settings { fingerprint, reads_lines, end_of_input: Some(4) })
    }

    fn is_busy(&self) -> bool {
        self.busy.get()
    }

    fn has_unread(&self) -> bool {
        self.unread.get()
    }
}

const fn ms(time: u64) -> Time {
    Duration::from_millis(time)
}

/// Looks whenever that is due, until something is typed or the time is over. Returns what was typed, and when.
fn typed(typist: &mut Typist, terminal: &MadeUp, until: u64) -> Option<(u64, Typing)> {
    while let Some(due) = typist.due().filter(|&due| due <= ms(until)) {
        match typist.look(due, terminal) {
            Typing::Nothing => {
                assert!(typist.due().is_none_or(|next| next > due), "it would look again and again")
            }
            typing => return Some((due.as_millis() as u64, typing)),
        }
    }
    None
}

fn prepared(text: Text, terminal: &MadeUp) -> Typist {
    let mut typist = Typist::idle();
    assert_eq!(typist.due(), None);
    typist.prepare(text, ms(0), ms(30_000), terminal);
    typist
}

#[test]
fn a_text_waits_until_the_settings_were_quiet() {
    let terminal = MadeUp::new();
    let mut typist = prepared(ANSWER, &terminal);
    assert_eq!(typed(&mut typist, &terminal, 1000), Some((50, Typing::Text)));
    assert_eq!(typist.due(), None, "nothing more is to be typed");
}

#[test]
fn a_change_of_the_settings_is_what_was_waited_for() {
    let terminal = MadeUp::new();
    let mut typist = prepared(ANSWER, &terminal);
    assert_eq!(typed(&mut typist, &terminal, 10), None);
    terminal.settings.set(2);
    assert_eq!(typed(&mut typist, &terminal, 20), None);
    terminal.settings.set(3);
    assert_eq!(typed(&mut typist, &terminal, 30), None, "it may be changed in several steps");
    assert_eq!(typed(&mut typist, &terminal, 49), None);
    assert_eq!(typed(&mut typist, &terminal, 50), Some((50, Typing::Text)));

    let mut typist = prepared(ANSWER, &terminal);
    assert_eq!(typed(&mut typist, &terminal, 40), None);
    terminal.settings.set(4);
    assert_eq!(typed(&mut typist, &terminal, 1000), Some((70, Typing::Text)), "a late change begins anew");
}

#[test]
fn a_process_that_is_about_to_run_may_still_change_the_settings() {
    let terminal = MadeUp::new();
    terminal.busy.set(true);
    let mut typist = prepared(ANSWER, &terminal);
    assert_eq!(typed(&mut typist, &terminal, 300), None);
    terminal.busy.set(false);
    assert_eq!(typed(&mut typist, &terminal, 310), None, "it may sleep for an instant");
    terminal.busy.set(true);
    assert_eq!(typed(&mut typist, &terminal, 400), None);
    terminal.busy.set(false);
    assert_eq!(typed(&mut typist, &terminal, 1000), Some((460, Typing::Text)), "as long as after a prompt");
}

/// A turn of the loop that began long before the prompt was read says nothing of the time since the prompt.
#[test]
fn the_settings_are_quiet_from_the_first_look_on() {
    let terminal = MadeUp::new();
    let mut typist = prepared(ANSWER, &terminal);
    for (now, busy) in [(40, false), (60, false), (80, true), (120, false), (160, false)] {
        terminal.busy.set(busy);
        assert_eq!(typist.look(ms(now), &terminal), Typing::Nothing, "{now}");
    }
    assert_eq!(typist.look(ms(170), &terminal), Typing::Text);
}

#[test]
fn a_text_does_not_wait_for_ever() {
    let terminal = MadeUp::new();
    terminal.busy.set(true);
    let mut typist = prepared(ANSWER, &terminal);
    assert_eq!(typed(&mut typist, &terminal, 4000), Some((3000, Typing::Text)));
    let mut typist = Typist::idle();
    typist.prepare(ANSWER, ms(0), ms(20), &terminal);
    assert_eq!(typed(&mut typist, &terminal, 2000), Some((20, Typing::Text)));
}

#[test]
fn the_end_of_input_waits_until_the_last_text_was_read() {
    let terminal = MadeUp::new();
    let mut typist = prepared(LAST, &terminal);
    assert_eq!(typed(&mut typist, &terminal, 1000), Some((50, Typing::Text)));
    terminal.unread.set(true);
    assert_eq!(typed(&mut typist, &terminal, 500), None);
    assert_eq!(typist.progress(&terminal), Progress::Unread);
    terminal.unread.set(false);
    let (read, due) = (typist.due().unwrap().as_millis() as u64, typist.due().unwrap());
    assert_eq!(typist.look(due, &terminal), Typing::Nothing);
    assert_eq!(typist.progress(&terminal), Progress::Open);
    // A program that asks for a password restores the settings now.
    assert_eq!(typed(&mut typist, &terminal, 5000), Some((read + 60, Typing::End(4))));
    assert_eq!(typist.progress(&terminal), Progress::Done);
}

#[test]
fn an_empty_last_text_is_the_end_of_input_alone() {
    let terminal = MadeUp::new();
    let mut typist = prepared(NOTHING_LAST, &terminal);
    assert_eq!(typed(&mut typist, &terminal, 1000), Some((50, Typing::End(4))));
}

#[test]
fn who_reads_on_finds_the_end_of_input_again() {
    let terminal = MadeUp::new();
    let mut typist = prepared(NOTHING_LAST, &terminal);
    let mut times = Vec::new();
    while times.len() < 9 {
        let (at, typing) = typed(&mut typist, &terminal, 10_000).unwrap();
        assert_eq!(typing, Typing::End(4));
        times.push(at);
    }
    assert_eq!(times, [50, 60, 80, 120, 200, 360, 610, 860, 1110]);
    assert_eq!(typist.progress(&terminal), Progress::ReadsOn);
    terminal.unread.set(true);
    assert_eq!(typist.progress(&terminal), Progress::Done, "it does something else");
    assert_eq!(typed(&mut typist, &terminal, 20_000), None);
    terminal.unread.set(false);
    assert!(typed(&mut typist, &terminal, 22_000).is_some());
    typist.stop();
    assert_eq!((typist.due(), typed(&mut typist, &terminal, 60_000)), (None, None));
}

#[test]
fn in_raw_mode_the_end_of_input_is_typed_a_few_times() {
    let terminal = MadeUp::new();
    terminal.reads_lines.set(false);
    let mut typist = prepared(NOTHING_LAST, &terminal);
    for _ in 0..8 {
        assert!(typed(&mut typist, &terminal, 10_000).is_some());
    }
    assert_eq!(typed(&mut typist, &terminal, 60_000), None);
    assert_eq!(typist.progress(&terminal), Progress::ReadsOn);
    terminal.reads_lines.set(true);
    assert!(typed(&mut typist, &terminal, 70_000).is_some(), "lines are read again");
}

#[test]
fn an_input_that_is_at_its_end_from_the_beginning_stays_there() {
    let terminal = MadeUp::new();
    let mut typist = Typist::at_end(ms(0));
    terminal.unread.set(true);
    assert_eq!(typed(&mut typist, &terminal, 100), None);
    terminal.unread.set(false);
    assert!(typed(&mut typist, &terminal, 1000).is_some());
    terminal.reads_lines.set(false);
    assert_eq!(typed(&mut typist, &terminal, 60_000), None, "nothing is typed in raw mode");
}

#[test]
fn what_matches_before_the_first_text_was_typed_goes_out_with_it() {
    let terminal = MadeUp::new();
    let mut typist = prepared(ANSWER, &terminal);
    assert_eq!(typed(&mut typist, &terminal, 30), None);
    typist.prepare(LAST, ms(35), ms(30_000), &terminal);
    assert_eq!(typed(&mut typist, &terminal, 1000).unwrap().1, Typing::Text);
    let (_, typing) = typed(&mut typist, &terminal, 1000).unwrap();
    assert_eq!(typing, Typing::End(4));
}
