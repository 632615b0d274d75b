//! Tests of the test tools themselves: their checks fail where they should.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use nix::sys::signal::Signal;

use crate::meeting::Meeting;
use crate::space::{Space, wait_until};

fn fails<T>(check: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(check)).is_err()
}

#[test]
fn checks_fail_where_they_should() {
    let space = Space::new();
    let ended = space.sh("echo out; echo err >&2; exit 3").run();
    ended.code(3).stdout("out\n").stderr_has("err").stdout_sorted(&["out"]);
    assert!(fails(|| ended.code(0)) && fails(|| ended.stdout("out")) && fails(|| ended.ok()));
    assert!(fails(|| ended.stderr_lacks("err")) && fails(|| ended.died_of(Signal::SIGINT)));
    space.sh("kill -INT $$").run().died_of(Signal::SIGINT);
}

#[test]
fn puppets_do_as_they_are_told() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.sh("puppet catch=USR1 meet=a hold; echo $?").start();
    let mut guest = meeting.guest();
    assert_eq!(guest.name, "a");
    assert!(!meeting.has_guest());
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(guest.pid), Signal::SIGUSR1).expect("the puppet lives");
    guest.hears("got USR1");
    guest.tell("line=hello");
    running.shows("hello\n");
    guest.tell("exit=7");
    guest.is_gone();
    running.end().ok().stdout("hello\n7\n");
    space.sh("puppet out=100 | puppet in; puppet err=3 2>&1").run().ok().stdout("read 100\nabc");
    space.sh("puppet measure=rss sh -c 'exit 4'").run().code(4);
    assert!(space.read("rss").parse::<u64>().is_ok_and(|kib| kib > 100));
}

/// Covers processes that have changed their name and lost their environment.
#[test]
fn what_survives_is_found() {
    let escapes = [
        "setsid puppet meet=escaped hold >/dev/null 2>&1 </dev/null &",
        "puppet fork [ daemon meet=escaped hold ]",
        "puppet fork [ wipe daemon title=init meet=escaped hold ]",
        "puppet ignore=INT,TERM fork [ daemon meet=escaped stop hold ]",
    ];
    for escape in escapes {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        space.sh(escape).run().ok();
        let mut guest = meeting.guest();
        let survivors = || space.survivors().iter().map(|(pid, _)| *pid).collect::<Vec<_>>();
        wait_until("only the one that escaped lives", || survivors() == [guest.pid]);
        space.sweep();
        guest.is_gone();
    }
}

#[test]
fn puppets_escape() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    space.sh("puppet fork [ wipe daemon title=idle meet=hidden hold ]").run().ok();
    let mut guest = meeting.guest();
    let proc = |name: &str| std::fs::read(format!("/proc/{}/{name}", guest.pid)).expect("it lives");
    let wiped = proc("environ").iter().all(|&byte| byte == 0);
    assert!(wiped && proc("cmdline").starts_with(b"idle") && proc("comm") == b"idle\n");
    assert_eq!(std::fs::read_link(format!("/proc/{}/cwd", guest.pid)).expect("it lives"), Path::new("/"));

    guest.tell("fork [ die=KILL ]");
    guest.tell("keep=1 [ meet=kept hold ]");
    for _ in 0..2 {
        let mut kept = meeting.guest();
        kept.tell("die=KILL");
        kept.is_gone();
    }
    guest.tell("say=alone");
    guest.hears("alone");
    guest.tell("tty");
    guest.hears("tty No such device or address (os error 6)");
    guest.tell("exit=0");
    guest.is_gone();
}
