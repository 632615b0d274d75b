//! The end of prun by abort(3), as after a panic or without memory (docs/robustness.md, "The end of prun itself").

use nix::sys::signal::Signal;

use crate::meeting::Meeting;
use crate::running::Running;
use crate::space::Space;

const MESSAGE: &str = "prun: a failure of its own ends prun: its tasks are stopped with SIGTERM";

/// Starts prun with a task for each of `items`, which does `task`, and another one that takes away prun's own address
/// space as soon as something is written to the FIFO `go`. Returns `None` where that can't be done.
fn start(space: &Space, grace: &str, task: &str, items: &str) -> Option<Running> {
    if !space.sh("command -v prlimit && mkfifo go").run().status.success() {
        eprintln!("skipped: needs prlimit");
        return None;
    }
    let take = "read x <go; prlimit --as=1000000:1000000 --pid $PPID && exec puppet out=8000000";
    let script = format!("case {{}} in last) {take};; *) exec puppet {task};; esac");
    Some(space.exec(&format!("-j9 --grace {grace} -c '{script}' ::: {items} last")).start())
}

/// The children's parent-death signal would be SIGKILL, so prun has to outlive them.
#[test]
fn without_memory_tasks_and_what_they_started_are_told_to_end() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let task = "catch=TERM fork [ daemon catch=TERM meet=far{} hold ] meet={} hold";
    let Some(running) = start(&space, "60", task, "a b") else { return };
    let mut guests = meeting.guests(4);
    space.write("go", "x\n");
    for guest in &mut guests {
        guest.hears("got TERM");
    }
    for guest in &mut guests {
        guest.tell("say=saved");
        guest.hears("saved");
        guest.tell("exit=0");
        guest.is_gone();
    }
    running.end().died_of(Signal::SIGABRT).stderr_has("memory allocation of").stderr_has(MESSAGE);
}

#[test]
fn tasks_that_do_not_end_are_killed_after_the_grace() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let Some(running) = start(&space, "100ms", "ignore=TERM meet={} hold", "a") else { return };
    let mut guest = meeting.guest();
    space.write("go", "x\n");
    guest.is_gone();
    running.end().died_of(Signal::SIGABRT).stderr_has(MESSAGE);
}

#[test]
fn the_third_signal_ends_prun_also_while_it_aborts() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let Some(running) = start(&space, "60", "catch=TERM meet={} hold", "a") else { return };
    let mut guest = meeting.guest();
    space.write("go", "x\n");
    guest.hears("got TERM");
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        running.signal(signal);
    }
    guest.is_gone();
    running.end();
}
