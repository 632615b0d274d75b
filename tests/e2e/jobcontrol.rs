//! Job control: prun is suspended and continued, in the foreground and in the background; tasks that want the
//! terminal; prun as PID 1 (docs/robustness.md, "Signals and terminal").

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::time::Duration;

use expectrl::ControlCode;
use nix::fcntl::OFlag;
use nix::libc;
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::meeting::Meeting;
use crate::running::Prun;
use crate::space::Space;
use crate::tty::{Terminal, becomes};

const CTRL_Z: ControlCode = ControlCode::Substitute;

/// Sleeps. Only for tests about the passing of time itself.
fn pass(time: Duration) {
    std::thread::sleep(time);
}

#[test]
fn no_clock_runs_while_prun_is_suspended() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec("--timeout 8s -- puppet meet=x hold ::: x").start();
    let mut guest = meeting.guest();
    running.signal(Signal::SIGTSTP);
    becomes(running.pid().as_raw(), 'T');
    becomes(guest.pid, 'T');
    pass(Duration::from_secs(9));
    running.signal(Signal::SIGCONT);
    guest.tell("say=alive");
    guest.hears("alive");
    guest.tell("exit=0");
    running.end().ok();
}

#[test]
fn a_signal_that_comes_while_prun_is_suspended_acts_when_it_goes_on() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec("--grace 10m -- puppet catch=TERM meet=x hold ::: x").start();
    let mut guest = meeting.guest();
    running.signal(Signal::SIGTSTP);
    becomes(running.pid().as_raw(), 'T');
    running.signal(Signal::SIGTERM);
    running.signal(Signal::SIGCONT);
    guest.hears("got TERM");
    guest.tell("exit=0");
    running.end().died_of(Signal::SIGTERM);
}

#[test]
fn prun_that_is_suspended_fifty_times_while_it_starts_tasks_never_hangs() {
    let space = Space::new();
    let running = space.exec("-j2 --repeat 5000 -- true").start();
    let pid = running.pid();
    for _ in 0..50 {
        // As a terminal does it. prun may have ended.
        let _ = killpg(pid, Signal::SIGTSTP);
        let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        while !state().contains(") T ") && !state().contains(") Z ") && !state().is_empty() {
            nix::poll::poll(&mut [], 1u8).expect("poll of nothing");
        }
        let _ = killpg(pid, Signal::SIGCONT);
    }
    running.end().ok();
}

/// A SIGCONT that arrives while prun is still suspending itself is not lost.
#[test]
fn going_on_at_once_is_not_missed() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec("-- puppet catch=CONT meet=x hold ::: x").start();
    let mut guest = meeting.guest();
    for _ in 0..20 {
        running.signal(Signal::SIGTSTP);
        running.signal(Signal::SIGCONT);
    }
    guest.tell("exit=0");
    running.end().ok();
}

#[test]
fn an_ignored_suspension_is_not_taken() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let script = "exec env --ignore-signal=TSTP prun exec -- puppet catch=CONT meet=x hold ::: x";
    let running = space.sh(script).start();
    let mut guest = meeting.guest();
    running.signal(Signal::SIGTSTP);
    // Told after that, and passed on by prun.
    kill(Pid::from_raw(guest.pid), Signal::SIGCONT).expect("the task is there");
    guest.hears("got CONT");
    guest.tell("exit=0");
    running.end().ok();
}

/// A task that somebody stopped with SIGSTOP is theirs to continue.
#[test]
fn a_task_that_is_stopped_by_hand_is_left_alone() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec("-j2 -- puppet meet={} hold ::: a b c").start();
    let mut guests = meeting.guests(2);
    kill(Pid::from_raw(guests[0].pid), Signal::SIGSTOP).expect("the task is there");
    becomes(guests[0].pid, 'T');
    guests[1].tell("exit=0");
    // Its end was seen after the other's stop.
    let mut third = meeting.guest();
    third.tell("exit=0");
    kill(Pid::from_raw(guests[0].pid), Signal::SIGCONT).expect("the task is there");
    guests[0].tell("say=alive");
    guests[0].hears("alive");
    guests[0].tell("exit=0");
    running.end().ok();
}

#[test]
fn ctrl_z_and_fg_in_a_shell() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let mut shell = Terminal::bash(&space);
    shell.type_line("prun exec --progress=bar -- puppet meet=x hold ::: x; echo status $?");
    let mut guest = meeting.guest();
    shell.shows("0/1");
    shell.press(CTRL_Z);
    shell.shows("Stopped");
    becomes(guest.pid, 'T');
    shell.type_line("fg");
    becomes(guest.pid, 'S');
    shell.shows("0/1");
    guest.tell("exit=0");
    // The rest of its line went on when it was stopped.
    shell.type_line("echo ended=$?");
    shell.shows("ended=0");
    shell.type_line("exit");
    shell.end().code(0).restored();
}

#[test]
fn a_suspended_job_can_be_killed_from_its_shell() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let mut shell = Terminal::bash(&space);
    shell.type_line("prun exec -- puppet catch=TERM meet=x hold ::: x");
    let mut guest = meeting.guest();
    shell.press(CTRL_Z);
    shell.shows("Stopped");
    shell.type_line("jobs -p >pid; kill %1");
    guest.hears("got TERM");
    guest.tell("exit=0");
    guest.is_gone();
    let prun = space.read("pid").trim().to_owned();
    while std::fs::read_to_string(format!("/proc/{prun}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        nix::poll::poll(&mut [], 5u8).expect("poll of nothing");
    }
    // Told before the next prompt.
    shell.type_line("true");
    shell.shows("Terminated");
    shell.type_line("exit");
    shell.end().restored();
}

/// The shell reports a job as stopped only when every process of it is stopped.
#[test]
fn ctrl_z_suspends_all_of_a_pipeline() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let mut shell = Terminal::bash(&space);
    shell.type_line("prun exec -- puppet meet=task hold ::: x | puppet meet=reader hold");
    let mut guests = meeting.guests(2);
    shell.press(CTRL_Z);
    shell.shows("Stopped");
    guests.iter().for_each(|guest| becomes(guest.pid, 'T'));
    shell.type_line("fg");
    guests.iter().for_each(|guest| becomes(guest.pid, 'S'));
    guests[1].tell("exit=0");
    guests[0].tell("exit=0");
    shell.type_line("echo ended=$?");
    shell.shows("ended=0");
    shell.type_line("exit");
    shell.end().restored();
}

/// The kernel does not stop a session leader, because no shell could continue it; prun must not wait for the
/// stop.
#[test]
fn ctrl_z_in_a_session_leader_does_not_wedge() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let mut terminal = Terminal::run(space.exec("-- puppet catch=CONT meet=x hold ::: x"));
    let mut guest = meeting.guest();
    for _ in 0..3 {
        terminal.press(CTRL_Z);
        guest.hears("got CONT");
    }
    guest.tell("exit=0");
    terminal.end().code(0).restored();
}

/// Prepares prun as PID 1 of a PID namespace, as in a container.
fn as_pid_1(space: &Space, prun: &str) -> Option<Prun> {
    let possible = Command::new("unshare").args(["--pid", "--fork", "--mount-proc", "true"]).output();
    if !possible.is_ok_and(|output| output.status.success()) {
        println!("skipped: only root may make a namespace of processes");
        return None;
    }
    Some(space.sh(&format!("exec unshare --pid --fork --mount-proc {prun}")))
}

#[test]
fn pid_1_is_not_wedged_by_ctrl_z_and_obeys_term() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let Some(prun) = as_pid_1(&space, "prun exec -- puppet catch=CONT,TERM meet=x hold ::: x") else {
        return;
    };
    let running = prun.start();
    let mut guest = meeting.guest();
    let unshare = running.pid();
    let children = std::fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children"));
    let pid_1 = children.expect("children are known").trim().parse().expect("one child");
    kill(Pid::from_raw(pid_1), Signal::SIGTSTP).expect("it lives");
    guest.hears("got CONT");
    kill(Pid::from_raw(pid_1), Signal::SIGTERM).expect("it lives");
    // A SIGCONT follows the signal, and either may be told first.
    guest.tell("exit=0");
    running.end().code(128 + 15);
}

#[test]
fn pid_1_reaps_what_it_is_handed() {
    let space = Space::new();
    let zombies =
        "until ! cat /proc/[0-9]*/stat 2>/dev/null | grep -q '^[0-9]* (.*) Z 1 '; do :; done; echo clean";
    let orphans = "for i in 1 2 3 4 5; do (setsid true &); done";
    let line = format!("prun exec -j1 -- sh -c {{}} ::: {:?} {zombies:?}", orphans);
    let Some(prun) = as_pid_1(&space, &line.replace("$", "\\$")) else { return };
    prun.run().ok().stdout("clean\n");
}

#[test]
fn in_the_background_there_is_no_bar_and_nothing_is_stopped() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let mut shell = Terminal::bash(&space);
    shell.type_line("prun exec --progress=bar -j1 -- puppet meet={} hold ::: first second &");
    let mut guest = meeting.guest();
    // A bar would have been drawn meanwhile.
    pass(Duration::from_secs(1));
    guest.tell("line=hello");
    guest.tell("exit=0");
    shell.shows("hello");
    meeting.guest().tell("exit=0");
    shell.type_line("wait %1; echo ended=$?");
    shell.shows("ended=0");
    shell.type_line("exit");
    let screen = shell.end();
    assert!(!screen.written.contains("/2"), "there was a bar: {:?}", screen.written);
}

#[test]
fn a_task_that_wants_to_read_from_the_terminal_fails_with_that_reason() {
    let space = Space::new();
    for command in ["cat /dev/tty", "bash -ic true", "sh -c 'cat /dev/tty | cat'"] {
        let prun = space
            .exec(&format!("--progress=none --grace 300ms -j2 -- sh -c {{}} ::: {command:?} 'echo other'"));
        Terminal::run(prun).end().code(1).has("wants to read from the terminal").has("other").restored();
    }
}

#[test]
fn a_task_that_wants_to_change_the_terminal_fails_with_that_reason() {
    let space = Space::new();
    let wants = "wants to write to the terminal or to change it";
    Terminal::run(space.exec("--progress=none -- sh -c 'stty -echo </dev/tty' ::: x"))
        .end()
        .code(1)
        .has(wants);
    // What children write to the terminal themselves.
    let script = "stty tostop; prun exec --progress=none -u -- echo hello ::: x; echo status $?";
    let screen = Terminal::run(space.sh(script)).end();
    screen.has(wants).has("status 1");
    assert!(!screen.text.lines().any(|line| line.trim_end() == "hello x"), "{}", screen.text);
}

#[test]
fn a_worker_that_wants_the_terminal_fails_with_that_reason() {
    let space = Space::new();
    let prun = space.exec("--progress=none --retries 0 --worker -- sh -c 'cat /dev/tty' ::: x");
    Terminal::run(prun).end().has("wants to read from the terminal").lacks("panicked");
}

/// Opens both ends of a pseudo-terminal, close-on-exec.
fn terminal() -> (PtyMaster, OwnedFd) {
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).expect("a terminal");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("a terminal of our own");
    let name = ptsname_r(&master).expect("it has a name");
    let slave = File::options().read(true).write(true).custom_flags(libc::O_NOCTTY).open(name);
    (master, slave.expect("it can be opened").into())
}

/// Makes the terminal the command's stdin, stdout and stderr.
fn on(mut command: Command, terminal: &OwnedFd) -> Command {
    let end = || terminal.try_clone().expect("descriptors can be copied");
    command.stdin(end()).stdout(end()).stderr(end());
    command
}

#[test]
fn a_terminal_that_is_hung_up_ends_it() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let (master, slave) = terminal();
    let command =
        space.sh("exec setsid --ctty --wait prun exec --progress=bar -- puppet catch=HUP meet=x hold ::: x");
    let mut child = on(command.into_command(), &slave).spawn().expect("it starts");
    let mut guest = meeting.guest();
    drop((master, slave));
    guest.hears("got HUP");
    guest.tell("exit=0");
    guest.is_gone();
    child.wait().expect("a child can be waited for");
}
