//! The tools of these tests can fail, and fail where they should.

use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::sys::signal::Signal;

use crate::meeting::Meeting;
use crate::space::Space;

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

#[test]
fn what_survives_is_found() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    space.sh("setsid puppet meet=escaped hold >/dev/null 2>&1 </dev/null &").run().ok();
    let mut guest = meeting.guest();
    let survivors = space.survivors();
    assert!(survivors.len() == 1 && survivors[0].0 == guest.pid, "{survivors:?}");
    space.sweep();
    guest.is_gone();
}
