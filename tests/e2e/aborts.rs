//! The end of prun by SIGABRT, as after a panic or without memory (docs/robustness.md, "The end of prun itself").

use nix::sys::signal::Signal;

use crate::meeting::Meeting;
use crate::space::Space;

const MESSAGE: &str = "prun: a failure of its own ends prun: its tasks are stopped with SIGTERM";

/// The children's parent-death signal would be SIGKILL, so prun has to outlive them.
#[test]
fn tasks_and_what_they_started_are_told_to_end_before_prun_aborts() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let line = "-j2 --grace 60 -- puppet catch=TERM fork [ daemon catch=TERM meet=far{} hold ] meet={} hold ::: a b c";
    let running = space.exec(line).start();
    let mut guests = meeting.guests(4);
    running.signal(Signal::SIGABRT);
    for guest in &mut guests {
        guest.hears("got TERM");
    }
    for guest in &mut guests {
        guest.tell("say=saved");
        guest.hears("saved");
        guest.tell("exit=0");
        guest.is_gone();
    }
    running.end().died_of(Signal::SIGABRT).stderr_has(MESSAGE);
    assert!(!meeting.has_guest(), "nothing starts any more");
}

#[test]
fn tasks_that_do_not_end_are_killed_after_the_grace() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec("--grace 100ms -- puppet ignore=TERM daemon meet={} hold ::: a").start();
    let mut guest = meeting.guest();
    running.signal(Signal::SIGABRT);
    guest.is_gone();
    running.end().died_of(Signal::SIGABRT).stderr_has(MESSAGE);
}

/// The task takes away prun's own address space.
#[test]
fn without_memory_tasks_are_still_stopped_with_sigterm() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    if !space.sh("command -v prlimit").run().status.success() {
        eprintln!("skipped: needs prlimit");
        return;
    }
    let takes = "prlimit --as=1000000:1000000 --pid $PPID && exec puppet out=8000000";
    let script = format!("case {{}} in a) exec puppet catch=TERM meet=a hold;; b) {takes};; esac");
    let running = space.exec(&format!("-k -j2 --grace 60 -c '{script}' ::: a b")).start();
    let mut guest = meeting.guest();
    guest.hears("got TERM");
    guest.tell("exit=0");
    guest.is_gone();
    running.end().died_of(Signal::SIGABRT).stderr_has("memory allocation of").stderr_has(MESSAGE);
}

/// A second abort of another thread, and signals meanwhile, do not cut the first one short; the third signal ends prun
/// at once, as ever.
#[test]
fn an_abort_can_be_cut_short_by_the_third_signal() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec("--grace 60 -- puppet catch=TERM meet={} hold ::: a").start();
    let mut guest = meeting.guest();
    running.signal(Signal::SIGABRT);
    guest.hears("got TERM");
    running.signal(Signal::SIGABRT);
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        running.signal(signal);
    }
    guest.is_gone();
    running.end();
}
