//! prun on a terminal of 24 lines of 80 columns: the progress bar, the state of the terminal after it, and
//! keys.

use expectrl::process::unix::WaitStatus;
use expectrl::{ControlCode, Expect};

use crate::meeting::Meeting;
use crate::space::Space;
use crate::tty::Terminal;

#[test]
fn the_bar_appears_and_is_gone_at_the_end() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let mut terminal = Terminal::run(space.exec("-j1 -- puppet meet={} hold ::: one two three"));
    let mut guest = meeting.guest();
    terminal.shows("0/3");
    terminal.shows("one");
    guest.tell("line=hello");
    guest.tell("exit=0");
    let mut guest = meeting.guest();
    terminal.shows("1/3");
    guest.tell("exit=0");
    meeting.guest().tell("exit=0");
    terminal.end().code(0).has("hello\n").lacks("/3").lacks("two").restored();
}

/// The end of the items is read ahead of the tasks, so that the bar has a total.
#[test]
fn the_total_of_items_from_a_file_is_known_early() {
    let space = Space::new();
    space.write("items", "one\ntwo\nthree\nfour\nfive");
    let meeting = Meeting::open(&space);
    let mut terminal = Terminal::run(space.exec("-j1 -n2 -a items -- puppet meet={1} hold"));
    let mut guest = meeting.guest();
    terminal.shows("0/3");
    guest.tell("exit=0");
    meeting.guest().tell("exit=0");
    meeting.guest().tell("exit=0");
    terminal.end().code(0);
}

#[test]
fn the_bar_is_gone_after_an_interrupt() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let mut terminal = Terminal::run(space.exec("-j2 -- puppet meet={} hold ::: one two three"));
    let mut guests = meeting.guests(2);
    terminal.shows("0/3");
    terminal.press(ControlCode::EndOfText);
    guests.iter_mut().for_each(|guest| guest.is_gone());
    let screen = terminal.end();
    screen.lacks("0/3").lacks("one").has("stopping what runs").restored();
    assert!(
        matches!(screen.status, WaitStatus::Signaled(_, signal, _) if signal as i32 == 2),
        "{:?}",
        screen.status
    );
}

#[test]
fn failures_stand_above_the_bar() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let mut terminal = Terminal::run(space.exec("-j1 -- puppet meet={} hold ::: one two"));
    let mut guest = meeting.guest();
    terminal.shows("0/2");
    guest.tell("exit=7");
    let mut guest = meeting.guest();
    terminal.shows("exit 7");
    terminal.shows("1/2");
    guest.tell("exit=0");
    terminal.end().code(7).has("exit 7").lacks("1/2").restored();
}

#[test]
fn no_bar_where_none_is_wanted() {
    let space = Space::new();
    for options in ["--progress=none", "-q"] {
        let screen = Terminal::run(space.exec(&format!("{options} -c 'sleep 0.8; echo done' ::: x"))).end();
        screen.code(0).has("done");
        assert!(!screen.written.contains('\x1b'), "escape bytes: {:?}", screen.written);
    }
    // stdout is a pipe: what reads it may write to the terminal itself.
    let screen = Terminal::run(space.sh("prun exec -c 'sleep 0.8; echo done' ::: x | cat")).end();
    screen.code(0).has("done");
    assert!(!screen.written.contains('\x1b'), "escape bytes: {:?}", screen.written);
}

#[test]
fn plain_progress_has_no_escapes() {
    let space = Space::new();
    let screen =
        Terminal::run(space.exec("--progress=plain --color=never -c 'sleep 0.8; exit 3' ::: x")).end();
    screen.code(3).has("exit 3");
    assert!(!screen.written.contains('\x1b'), "escape bytes: {:?}", screen.written);
}

#[test]
fn no_color_is_kept() {
    let space = Space::new();
    let failing = || space.exec("--progress=none -c 'exit 3' ::: x");
    let screen = Terminal::run(failing().env("NO_COLOR", "1")).end();
    assert!(!screen.code(3).has("exit 3").written.contains('\x1b'), "escape bytes: {:?}", screen.written);
    let off = Terminal::run(space.exec("--progress=none --color=never -c 'exit 3' ::: x")).end();
    assert!(!off.code(3).written.contains('\x1b'), "escape bytes: {:?}", off.written);
}

#[test]
fn the_terminal_is_as_it_was() {
    let space = Space::new();
    let script = "stty -g >before; prun exec --progress=bar -c 'sleep 0.8' ::: x; stty -g >after; cmp before after && echo same";
    Terminal::run(space.sh(script)).end().code(0).has("same").restored();
}

#[test]
fn items_from_the_keyboard_are_asked_for() {
    let space = Space::new();
    let mut terminal = Terminal::run(space.exec("-- echo got"));
    terminal.shows("Ctrl-D");
    terminal.session.send_line("typed").expect("the terminal takes keys");
    terminal.shows("got typed");
    terminal.press(ControlCode::EndOfTransmission);
    terminal.end().code(0);
}

#[test]
fn who_watches_is_told_of_a_script_without_its_item() {
    let space = Space::new();
    Terminal::run(space.exec("-c 'wc -c' ::: a")).end().code(0).has("the script does not use its item");
    Terminal::run(space.exec("-q -c 'wc -c' ::: a")).end().code(0).lacks("script");
    Terminal::run(space.exec("-c 'echo $1' ::: a")).end().code(0).lacks("script");
}

#[test]
fn not_one_escape_byte_off_a_terminal() {
    let space = Space::new();
    let toml = "[jobs.a]\neach = [1, 2]\nscript = 'echo {}; sleep 0.8; exit {}'\n[jobs.b]\ncommand = 'true'\nafter = ['a']\n";
    space.write("prun.toml", toml);
    for options in ["", "-v", "-q", "--progress=auto", "--progress=plain", "--progress=none"] {
        space.prun(options).run().code(1).no_escapes();
    }
    space.prun("--list").run().ok().no_escapes();
    space.prun("--help").run().no_escapes();
    space.prun("--wrong").run().code(125).no_escapes();
}

/// An editor, for example, needs the terminal as its input, its output and its error output.
#[test]
fn a_command_that_runs_once_has_the_whole_terminal() {
    let space = Space::new();
    let script = "test -t 0 && test -t 1 && test -t 2 && echo whole";
    Terminal::run(space.exec(&format!("--once -c '{script}'"))).end().code(0).has("whole");
    Terminal::run(space.exec(&format!("--once --tag=x -c '{script}'"))).end().code(1);
}

/// Ctrl-C reaches a command that shares the terminal, and the command decides what it means: a pager goes on,
/// however often it is pressed.
#[test]
fn ctrl_c_is_left_to_a_command_that_has_the_terminal() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let mut terminal = Terminal::run(space.exec("--grace 1ms --once puppet catch=INT meet=pager hold"));
    let mut guest = meeting.guest();
    for _ in 0..4 {
        terminal.press(ControlCode::ETX);
        guest.hears("got INT");
    }
    guest.tell("exit=7");
    terminal.end().code(7);
}

#[test]
fn a_terminal_of_a_task_has_the_size_of_ours_and_follows_it() {
    let space = Space::new();
    let script = r#"sleep 90 & trap "stty size; kill $!; exit 0" WINCH; stty size; wait"#;
    let file = format!("[jobs.a]\npty = true\noutput = \"line\"\nstdin = \"open\"\nscript = '''{script}'''");
    let mut terminal = Terminal::run(space.file(&file));
    terminal.shows("24 80");
    terminal.session.get_process_mut().set_window_size(100, 30).expect("a terminal has a size");
    terminal.shows("30 100");
    terminal.end().code(0);
}

#[test]
fn ctrl_c_reaches_a_task_on_a_terminal_of_its_own() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let file = "[jobs.a]\npty = true\ncommand = 'puppet catch=INT meet=a hold'";
    let mut terminal = Terminal::run(space.file(file));
    let mut guest = meeting.guest();
    terminal.press(ControlCode::EndOfText);
    guest.hears("got INT");
    guest.tell("exit=0");
    let screen = terminal.end();
    assert!(matches!(screen.status, WaitStatus::Signaled(_, signal, _) if signal as i32 == 2));
}
