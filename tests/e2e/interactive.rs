//! Tasks that have prun's terminal to themselves: `prun exec --once` and `interactive` in a job file.

use expectrl::ControlCode;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::meeting::Meeting;
use crate::space::Space;
use crate::tty::{Terminal, becomes, parent_gets_terminal, parent_of};

const CTRL_Z: ControlCode = ControlCode::Substitute;
const CTRL_C: ControlCode = ControlCode::EndOfText;

#[test]
fn it_reads_the_terminal_and_its_group_is_in_the_foreground() {
    let space = Space::new();
    // Fields 5 and 8 of proc(5): its group, and that in the foreground of its terminal.
    let script =
        "read line; echo got $line; set -- $(cut -d' ' -f5,8 /proc/self/stat); test $1 = $2 && echo same";
    let mut terminal = Terminal::run(space.exec("--once -c").arg(script));
    terminal.type_line("typed");
    terminal.end().code(0).has("got typed").has("same");
}

/// A key that kills the task kills prun by the same signal, so that a shell's loop around prun ends.
#[test]
fn a_key_that_ends_it_ends_prun_as_well() {
    for (key, signal) in [(CTRL_C, 2), (ControlCode::FileSeparator, 3)] {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        let mut terminal = Terminal::run(space.exec("--once puppet meet=x hold"));
        let mut guest = meeting.guest();
        terminal.press(key);
        guest.is_gone();
        terminal.end().died_of(signal);
    }
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let script = "for i in 1 2; do prun exec --once -- puppet meet=$i hold; done; echo after";
    let mut terminal = Terminal::run(space.bash(script));
    let mut guest = meeting.guest();
    terminal.press(CTRL_C);
    guest.is_gone();
    terminal.end().died_of(2).lacks("after");
    assert!(!meeting.has_guest(), "the loop went on");
}

#[test]
fn ctrl_z_suspends_it_and_fg_gives_it_the_terminal_again() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let mut shell = Terminal::bash(&space);
    shell.type_line("prun exec --once -- puppet meet=x hold");
    let mut guest = meeting.guest();
    for _ in 0..2 {
        shell.press(CTRL_Z);
        shell.shows("Stopped");
        becomes(guest.pid, 'T');
        shell.type_line("fg");
        becomes(guest.pid, 'S');
    }
    guest.tell("in=3");
    shell.type_line("ab");
    shell.shows("read 3");
    guest.tell("exit=7");
    shell.type_line("echo ended=$?");
    shell.shows("ended=7");
    shell.type_line("exit");
    shell.end();
}

#[test]
fn in_the_background_it_does_not_take_the_terminal() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let mut shell = Terminal::bash(&space);
    shell.type_line("prun exec --once -- puppet meet=x hold");
    let mut guest = meeting.guest();
    shell.press(CTRL_Z);
    shell.shows("Stopped");
    shell.type_line("bg");
    becomes(guest.pid, 'S');
    guest.tell("say=alive");
    guest.hears("alive");
    // The shell still has it.
    shell.type_line("echo the-$((1+1))-shell");
    shell.shows("the-2-shell");
    // Now it wants to read, and waits for `fg` with all of its job.
    guest.tell("in=3");
    becomes(parent_of(guest.pid), 'T');
    shell.type_line("fg");
    becomes(guest.pid, 'S');
    shell.type_line("ab");
    shell.shows("read 3");
    guest.tell("exit=0");
    shell.type_line("echo ended=$?");
    shell.shows("ended=0");
    shell.type_line("exit");
    shell.end();
}

#[test]
fn started_in_the_background_it_waits_for_the_foreground() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let mut shell = Terminal::bash(&space);
    shell.type_line("prun exec --once -- puppet meet=x hold &");
    let mut guest = meeting.guest();
    shell.type_line("echo the-$((1+1))-shell");
    shell.shows("the-2-shell");
    // Brought to the foreground while it runs, nobody tells prun.
    shell.type_line("fg");
    parent_gets_terminal(guest.pid);
    guest.tell("in=3");
    shell.type_line("ab");
    shell.shows("read 3");
    guest.tell("exit=0");
    shell.type_line("echo ended=$?");
    shell.shows("ended=0");
    shell.type_line("exit");
    shell.end();
}

#[test]
fn the_settings_come_back_when_a_signal_ends_it() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let script = "stty -g >before; prun exec --once -c 'stty raw -echo; exec puppet meet=x hold'; echo status $?; \
                  stty -g >after; cmp before after && echo same";
    let terminal = Terminal::run(space.sh(script));
    let mut guest = meeting.guest();
    kill(Pid::from_raw(guest.pid), Signal::SIGTERM).expect("it lives");
    guest.is_gone();
    terminal.end().code(0).has("status 143").has("same");
}

#[test]
fn the_settings_come_back_when_prun_is_ended_at_once() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let script = "stty -g >before; trap '' INT; (prun exec --grace 10m --once -c 'stty raw -echo; echo $PPID >pid; exec \
                  puppet catch=TERM,HUP,QUIT meet=x hold'); echo ended; stty -g >after; cmp before after && echo same";
    let terminal = Terminal::run(space.sh(script));
    let mut guest = meeting.guest();
    let prun = Pid::from_raw(space.read("pid").trim().parse().expect("a pid"));
    kill(prun, Signal::SIGTERM).expect("it lives");
    guest.hears("got TERM");
    // The second kills the task; the third may find prun gone.
    kill(prun, Signal::SIGHUP).expect("it lives");
    let _ = kill(prun, Signal::SIGQUIT);
    guest.is_gone();
    terminal.end().code(0).has("ended").has("same");
}

/// A command such as stty(1) is started for the settings that it makes.
#[test]
fn settings_that_it_made_stay() {
    let space = Space::new();
    let script = "prun exec --once stty -echo; stty -a | grep -q -e '-echo ' && echo kept; stty echo";
    Terminal::run(space.sh(script)).end().code(0).has("kept");
}

#[test]
fn the_foreground_comes_back_when_it_can_not_be_started() {
    let space = Space::new();
    let script = "echo no >program; chmod +x program; printf '#!/no/such\\n' >program; prun exec --once ./program; \
                  echo status $?; read line; echo got $line";
    let mut terminal = Terminal::run(space.sh(script));
    terminal.shows("status 127");
    terminal.type_line("typed");
    terminal.end().code(0).has("got typed");
}

/// `--once` without a terminal starts an ordinary task.
#[test]
fn without_a_terminal_it_runs_as_any_other() {
    let space = Space::new();
    space.exec("--once cat").stdin("fed").run().ok().stdout("fed");
}

fn holds(name: &str) -> String {
    format!("[jobs.{name}]\ninteractive = true\ncommand = 'puppet meet={name} hold'\n")
}

/// Other jobs run on meanwhile; their output is held back until the interactive job ends.
#[test]
fn a_job_has_the_terminal_to_itself() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let others = "[jobs.b]\ncommand = 'puppet line=other meet=b exit=0'\n\
                  [jobs.c]\nafter = ['b']\ncommand = 'puppet meet=c exit=0'";
    let file = format!("[run]\npool = 2\n{}{others}", holds("a"));
    let mut terminal = Terminal::run(space.file(&file));
    // `c` starts when `b` has ended, and with it what that wrote was handed on.
    let mut guests = meeting.guests(3);
    guests[1].is_gone();
    guests[2].is_gone();
    guests[0].tell("line=itself");
    guests[0].tell("in=3");
    terminal.shows("itself");
    terminal.type_line("ab");
    terminal.shows("read 3");
    guests[0].tell("exit=0");
    let screen = terminal.end();
    screen.code(0).has("other").restored();
    let place = |text| screen.written.find(text).unwrap_or_else(|| panic!("no {text:?}: {}", screen.written));
    assert!(place("read 3") < place("other"), "{}", screen.written);
    assert!(!screen.written.contains("/3"), "there was a bar: {:?}", screen.written);
}

#[test]
fn one_at_a_time_has_the_terminal() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let other = "[jobs.c]\ncommand = 'puppet meet=c hold'";
    let file = format!("[run]\npool = 3\n{}{}{other}", holds("a"), holds("b"));
    let terminal = Terminal::run(space.file(&file));
    let mut guests = meeting.guests(2);
    assert_eq!((guests[0].name.as_str(), guests[1].name.as_str()), ("a", "c"), "`b` waits, and `c` does not");
    guests[1].tell("exit=0");
    guests[1].is_gone();
    assert!(!meeting.has_guest(), "`b` has begun");
    guests[0].tell("exit=0");
    meeting.guest().tell("exit=0");
    terminal.end().code(0);
}

#[test]
fn a_key_that_ends_it_stops_the_others() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let others = "[jobs.b]\ncommand = 'puppet catch=INT meet=b hold'\n\
                  [jobs.c]\nafter = ['a']\ncommand = 'puppet meet=c'";
    let file = format!("[run]\npool = 2\n{}{others}", holds("a"));
    let mut terminal = Terminal::run(space.file(&file));
    let mut guests = meeting.guests(2);
    terminal.press(CTRL_C);
    guests[0].is_gone();
    guests[1].hears("got INT");
    guests[1].tell("exit=0");
    terminal.end().died_of(2).lacks("failed");
    assert!(!meeting.has_guest(), "`c` has begun");
}

#[test]
fn ctrl_z_of_it_suspends_the_others() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let other = "[jobs.b]\ncommand = 'puppet meet=b hold'";
    space.write("prun.toml", format!("[run]\npool = 2\n{}{other}", holds("a")));
    let mut shell = Terminal::bash(&space);
    shell.type_line("prun");
    let mut guests = meeting.guests(2);
    shell.press(CTRL_Z);
    shell.shows("Stopped");
    guests.iter().for_each(|guest| becomes(guest.pid, 'T'));
    shell.type_line("fg");
    guests.iter().for_each(|guest| becomes(guest.pid, 'S'));
    guests[0].tell("in=3");
    shell.type_line("ab");
    shell.shows("read 3");
    guests.iter_mut().for_each(|guest| guest.tell("exit=0"));
    shell.type_line("echo ended=$?");
    shell.shows("ended=0");
    shell.type_line("exit");
    shell.end();
}

#[test]
fn a_job_says_otherwise() {
    let space = Space::new();
    let file = "[jobs.a]\ninteractive = true\nstdin = 'null'\noutput = 'line'\ntag = 'x'\nscript = 'cat; test -t 1 || echo piped'";
    Terminal::run(space.file(file)).end().code(0).has("x       piped");
}

#[test]
fn stdin_from_a_terminal_needs_interactive() {
    let space = Space::new();
    let file = "[jobs.a]\nstdin = 'inherit'\ncommand = 'cat'";
    Terminal::run(space.file(file)).end().code(125).has("give it `interactive = true`");
    space.prun("").stdin("fed\n").run().ok().stdout("fed\n");
}

/// Hangs up the terminal while a task has it: prun dies of SIGHUP and waits for nothing.
const HANG_UP: &str = "
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp('prun', ['prun'] + sys.argv[1:])
while b'ready' not in os.read(terminal, 1000):
    pass
os.close(terminal)
status = os.waitpid(pid, 0)[1]
print('by signal', os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0)
";

#[test]
fn it_ends_with_its_terminal() {
    let space = Space::new();
    space.write("hang-up.py", HANG_UP);
    for options in ["--once", "--once -v", "--progress=bar --once"] {
        let script = format!("python3 hang-up.py exec {options} -c 'echo ready; exec cat'");
        space.sh(&script).run().ok().stdout("by signal 1\n");
    }
}
