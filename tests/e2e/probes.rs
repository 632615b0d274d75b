//! `ready.command`: probes are run one at a time, and end with their task.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::meeting::{Guest, Meeting};
use crate::ready::{comes, db_and_app};
use crate::running::Running;
use crate::space::Space;

#[test]
fn a_command_shows_that_it_is_up() {
    for command in ["'test -e {dir}/up'", "{ script = 'test -e {dir}/up' }", "['test', '-e', '{dir}/up']"] {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        let command = command.replace("{dir}", &space.path("").display().to_string());
        let running =
            space.file(&db_and_app(&format!("ready = {{ command = {command}, every = '5ms' }}"))).start();
        let mut db = comes(&meeting, "db");
        assert!(!meeting.has_guest());
        space.write("up", "");
        comes(&meeting, "app").is_gone();
        db.tell("exit=0");
        running.end().ok();
    }
}

#[test]
fn one_probe_runs_at_a_time_and_knows_the_task() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let probe = "ready = { every = '1ms', command = { script = 'echo $PRUN_TASK_PID $PRUN_JOB $PWD >known; ls /proc/self/fd >fds; \
                 echo out; exec puppet meet=probe hold' } }\nenv.WHO = '{%}'";
    let running = space.file(&db_and_app(probe)).start();
    let mut guests = meeting.guests(2);
    let db = guests[0].pid;
    let mut probe = guests.remove(1);
    let mut counts = Vec::new();
    for _ in 0..20 {
        assert!(!meeting.has_guest(), "one at a time");
        let open = std::fs::read_dir(format!("/proc/{}/fd", running.pid())).expect("prun runs");
        counts.push(open.count());
        probe.tell("exit=1");
        probe.is_gone();
        probe = comes(&meeting, "probe");
    }
    assert_eq!(counts[2], counts[19], "no descriptor is left open: {counts:?}");
    let folder = space.path("").canonicalize().expect("it is there");
    let known = format!("{db} db {}", folder.display());
    assert_eq!(space.read("known").trim_end(), known.trim_end_matches('/'));
    let before = space.sh("ls /proc/self/fd").run();
    let count = |text: &str| text.split_whitespace().count();
    assert_eq!(count(&space.read("fds")), count(&before.stdout), "it is given nothing of prun's");
    probe.tell("exit=0");
    comes(&meeting, "app").is_gone();
    guests[0].tell("exit=0");
    running.end().ok();
}

/// A probe that ignores signals and has a child in another session.
const HANGING: &str =
    "ready.command = 'puppet ignore=TERM,INT fork [ setsid meet=away hold ] meet=probe hold'";

#[track_caller]
fn hanging() -> (Space, Running, Vec<Guest>) {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.file(&format!("{}grace = '200ms'\n", db_and_app(HANGING))).start();
    let guests = meeting.guests(3);
    (space, running, guests)
}

#[test]
fn probes_are_gone_after_a_stop() {
    let (_space, running, mut guests) = hanging();
    running.signal(Signal::SIGTERM);
    running.end().died_of(Signal::SIGTERM);
    guests.iter_mut().for_each(Guest::is_gone);
}

#[test]
fn probes_are_gone_when_prun_is_killed() {
    let (_space, running, mut guests) = hanging();
    running.signal(Signal::SIGKILL);
    guests.iter_mut().for_each(Guest::is_gone);
    running.end().died_of(Signal::SIGKILL);
}

#[test]
fn probes_are_gone_when_the_task_was_not_ready_in_time() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let probe = HANGING.replace("ready.command =", "ready.timeout = '1s'\nready.command =");
    let running = space.file(&format!("{}grace = '200ms'\n", db_and_app(&probe))).start();
    let mut guests = meeting.guests(3);
    running
        .end()
        .code(124)
        .stderr_has("it was not ready within 1s: waited for its `ready` command, which had not ended");
    guests.iter_mut().for_each(Guest::is_gone);
}

#[test]
fn a_probe_ends_with_its_task() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.file(&db_and_app("ready.command = 'puppet ignore=TERM meet=probe hold'")).start();
    let mut guests = meeting.guests(2);
    guests[0].tell("exit=3");
    guests[1].is_gone();
    running.end().code(3).within(45).stderr_has("`db` ended before it was ready");
}

#[test]
fn what_a_probe_leaves_in_its_group_is_killed() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let probe = "ready = { every = '1ms', command = 'puppet fork [ meet=left hold ] meet=probe hold' }";
    let running = space.file(&db_and_app(probe)).start();
    let mut guests = meeting.guests(3);
    let mut probe = guests.pop().expect("it has come");
    probe.tell("exit=1");
    guests[1].is_gone();
    // The next pair.
    let mut next = meeting.guests(2);
    next[1].tell("exit=0");
    comes(&meeting, "app").is_gone();
    guests[0].tell("exit=0");
    running.end().code(0);
}

#[test]
fn a_probe_that_takes_too_long_is_killed_and_followed_by_another() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running =
        space.file(&db_and_app("ready = { every = '1ms', command = 'puppet meet=probe hold' }")).start();
    let mut guests = meeting.guests(2);
    guests[1].is_gone();
    comes(&meeting, "probe").tell("exit=0");
    comes(&meeting, "app").is_gone();
    guests[0].tell("exit=0");
    running.end().ok();
}

#[test]
fn a_probe_that_can_not_be_executed_fails_the_task_at_once() {
    let space = Space::new();
    for (probe, why) in [("no-such-program -x", "not found"), ("./text", "not executable")] {
        space.write("text", "");
        let file =
            db_and_app(&format!("ready.command = '{probe}'")).replace("puppet meet=db hold", "puppet hang");
        let ended = space.file(&file).run();
        ended.code(1).within(45).stderr_has("its `ready` command could not be executed: ").stderr_has(why);
    }
}

#[test]
fn probes_stand_still_while_prun_is_suspended() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.file(&db_and_app("ready.command = 'puppet meet=probe hold'")).start();
    let mut guests = meeting.guests(2);
    running.signal(Signal::SIGTSTP);
    for pid in guests.iter().map(|guest| guest.pid).chain([running.pid().as_raw()]) {
        crate::space::wait_until("everything is stopped", || state_of(pid) == Some('T'));
    }
    kill(running.pid(), Signal::SIGCONT).expect("it is there");
    guests[1].tell("exit=0");
    comes(&meeting, "app").is_gone();
    guests[0].tell("exit=0");
    running.end().code(0);
    assert!(kill(Pid::from_raw(guests[1].pid), None).is_err(), "the probe was reaped");
}

fn state_of(pid: i32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}
