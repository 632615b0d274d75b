//! A terminal of 24 lines of 80 columns, and the screen that a person would see on it.

use std::num::NonZeroU16;
use std::time::Instant;

use expectrl::process::unix::WaitStatus;
use expectrl::session::OsSession;
use expectrl::{ControlCode, Eof, Expect, Session};

use crate::running::Prun;
use crate::space::{LIMIT, Space};

pub struct Terminal {
    pub session: OsSession,
    pub written: Vec<u8>,
}

/// The screen after the end of the session.
pub struct Screen {
    pub status: WaitStatus,
    pub text: String,
    pub cursor_is_visible: bool,
    pub written: String,
}

impl Terminal {
    pub fn run(prun: Prun) -> Terminal {
        let mut session = Session::spawn(prun.into_command()).expect("a terminal");
        session.set_expect_timeout(Some(LIMIT));
        Terminal { session, written: Vec::new() }
    }

    /// Waits until this text has been written.
    #[track_caller]
    pub fn shows(&mut self, text: &str) {
        match self.session.expect(text) {
            Ok(found) => self.written.extend_from_slice(found.as_bytes()),
            Err(error) => {
                panic!("{text:?} never came: {error}; so far {}", String::from_utf8_lossy(&self.written))
            }
        }
    }

    /// Starts an interactive bash, which has job control; `type_line` gives it commands.
    pub fn bash(space: &Space) -> Terminal {
        let shell = space.sh("PS1='$ ' exec bash --noprofile --norc --noediting -i");
        let mut terminal = Terminal::run(shell);
        terminal.shows("$ ");
        terminal
    }

    pub fn type_line(&mut self, line: &str) {
        self.session.send_line(line).expect("the terminal takes keys");
    }

    pub fn press(&mut self, key: ControlCode) {
        self.session.send(key).expect("the terminal takes keys");
    }

    #[track_caller]
    pub fn end(mut self) -> Screen {
        let rest = self.session.expect(Eof).expect("it ends");
        self.written.extend_from_slice(rest.as_bytes());
        let status = self.session.get_process().wait().expect("a child can be waited for");
        let size = |number| NonZeroU16::new(number).expect("more than none");
        let mut parser = vt100::Parser::new(size(24), size(80), 1000);
        parser.process(&self.written);
        Screen {
            status,
            text: parser.screen().contents(),
            cursor_is_visible: !parser.screen().hide_cursor(),
            written: String::from_utf8_lossy(&self.written).into_owned(),
        }
    }
}

impl Screen {
    #[track_caller]
    pub fn code(&self, code: i32) -> &Screen {
        assert!(
            matches!(self.status, WaitStatus::Exited(_, is) if is == code),
            "{:?}\n{}",
            self.status,
            self.text
        );
        self
    }

    #[track_caller]
    pub fn has(&self, text: &str) -> &Screen {
        assert!(self.text.contains(text), "{text:?} should be on the screen:\n{}", self.text);
        self
    }

    #[track_caller]
    pub fn lacks(&self, text: &str) -> &Screen {
        assert!(!self.text.contains(text), "{text:?} should not be on the screen:\n{}", self.text);
        self
    }

    #[track_caller]
    pub fn died_of(&self, signal: i32) -> &Screen {
        let dead = matches!(self.status, WaitStatus::Signaled(_, is, _) if is as i32 == signal);
        assert!(dead, "{:?}\n{}", self.status, self.text);
        self
    }

    #[track_caller]
    pub fn restored(&self) -> &Screen {
        assert!(self.cursor_is_visible, "the cursor is hidden:\n{}", self.text);
        self
    }
}

#[test]
fn the_terminal_of_these_tests_shows_what_a_person_would_see() {
    let space = Space::new();
    let script = r"stty size; printf 'gone\r\033[2Kseen\n'; printf 'above\nbelow\n\033[1A\033[2K'; printf '\033[?25l'; exit 3";
    let screen = Terminal::run(space.sh(script)).end();
    screen.code(3).has("24 80").has("seen").has("above").lacks("gone").lacks("below");
    assert!(!screen.cursor_is_visible && screen.written.contains("gone"));
}

/// Waits until the process is in this state (the letter of proc(5): `T` is stopped).
#[track_caller]
pub fn becomes(pid: i32, state: char) {
    // A process that waits sleeps or runs.
    comes_true(pid, |stat| stat[0].starts_with(state) || state == 'S' && stat[0] == "R");
}

/// Waits until the process's parent is in the foreground of the terminal.
#[track_caller]
pub fn parent_gets_terminal(pid: i32) {
    let parent = parent_of(pid);
    comes_true(parent, |stat| stat[2] == stat[5]);
}

pub fn parent_of(pid: i32) -> i32 {
    fields(pid)[1].parse().expect("the process lives")
}

#[track_caller]
fn comes_true(pid: i32, condition: impl Fn(&[String]) -> bool) {
    let start = Instant::now();
    while !condition(&fields(pid)) {
        assert!(start.elapsed() < LIMIT, "process {pid}: {:?}", fields(pid));
        // The kernel tells only parents; this keeps the look-up from spinning.
        nix::poll::poll(&mut [], 5u8).expect("poll of nothing");
    }
}

/// Returns fields of `/proc/PID/stat`: state, parent, group, session, terminal, foreground group.
fn fields(pid: i32) -> Vec<String> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = memchr::memrchr(b')', &stat).map_or(stat.len(), |at| at + 2);
    let text = String::from_utf8_lossy(&stat[after_name..]).into_owned();
    let some = text.split_ascii_whitespace().map(str::to_owned);
    some.chain(std::iter::repeat("-".to_owned())).take(6).collect()
}
