//! Deadlines, many tasks, many items (docs/robustness.md, "Time and limits").

use nix::sys::signal::Signal;

use crate::meeting::Meeting;
use crate::space::Space;

#[test]
fn a_timeout_is_an_outcome() {
    let space = Space::new();
    space.exec("--timeout 300ms -c 'exec sleep 600' ::: x").run().code(124).within(60).stderr_has("timeout");
    space.exec("--timeout 10m echo {} ::: x").run().ok().stdout("x\n");
}

#[test]
fn a_timeout_walks_the_ladder() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec("--timeout 300ms --grace 300ms -- puppet catch=TERM meet=x hold ::: x").start();
    let mut guest = meeting.guest();
    guest.hears("got TERM");
    guest.is_gone();
    running.end().code(124).stderr_has("timeout");
}

#[test]
fn a_timeout_stops_what_the_task_started() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let script = "puppet catch=TERM meet=grandchild hold & exec puppet meet=child hold";
    let running = space.exec("--timeout 500ms --grace 300ms -c").arg(script).arg(":::").arg("x").start();
    for guest in &mut meeting.guests(2) {
        guest.is_gone();
    }
    running.end().code(124);
}

#[test]
fn another_stop_signal() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running =
        space.exec("--timeout 300ms --stop-signal USR1 -- puppet catch=USR1 meet=x hold ::: x").start();
    let mut guest = meeting.guest();
    guest.hears("got USR1");
    guest.tell("exit=0");
    running.end().code(124);
}

#[test]
fn an_end_exactly_at_the_deadline() {
    let space = Space::new();
    let ended = space.exec("-j8 --repeat 200 --status count --timeout 100ms -c 'exec sleep 0.1'").run();
    ended.check(
        (0..=101).contains(&ended.status.code().unwrap_or(-1)),
        "each task ended in one way or the other",
    );
}

#[test]
fn a_retry_delay_ends_at_once() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec("--retries 3 --retry-delay 10m -- puppet meet=x hold ::: x").start();
    let mut guest = meeting.guest();
    guest.tell("exit=3");
    guest.is_gone();
    running.signal(Signal::SIGINT);
    running.end().died_of(Signal::SIGINT).within(60);
}

#[test]
fn the_clock_runs_for_each_attempt() {
    let space = Space::new();
    let script = "-c 'echo $PRUN_ATTEMPT >>log; test $PRUN_ATTEMPT = 3 || exec sleep 600' ::: x";
    space.exec(&format!("--timeout 2s --retries 2 {script}")).run().ok();
    assert_eq!(space.read("log"), "1\n2\n3\n");
}

#[test]
fn ten_thousand_tasks() {
    let space = Space::new();
    space.sh("puppet measure=few prun exec -j4 --repeat 1000 -- true").run().ok();
    space.sh("puppet measure=many prun exec -j4 --repeat 10000 -- true").run().ok();
    let kib = |name: &str| space.read(name).parse::<u64>().expect("a number");
    assert!(
        kib("many") < kib("few") + 2048,
        "memory grows with tasks: {} and {} KiB",
        kib("few"),
        kib("many")
    );
}

#[test]
fn a_thousand_children_at_once() {
    let space = Space::new();
    let running = space.exec("-j0 --output line --repeat 1000 -c 'echo up; exec sleep 600'").start();
    running.shows_lines(1000);
    running.signal(Signal::SIGINT);
    running.end().died_of(Signal::SIGINT);
}

#[test]
fn a_million_items() {
    let space = Space::new();
    let script = "seq 1000000 | puppet measure=rss prun exec -n1000 -- true";
    space.sh(script).run().ok();
    let kib: u64 = space.read("rss").parse().expect("a number");
    assert!(kib < 20 << 10, "{kib} KiB");
}

#[test]
fn durations_are_spelt_in_many_ways() {
    let space = Space::new();
    for timeout in ["0.2", "200ms", "1s"] {
        space.exec(&format!("--timeout {timeout} -c 'exec sleep 600' ::: x")).run().code(124).within(60);
    }
    for timeout in ["1h30m", "1000"] {
        space.exec(&format!("--timeout {timeout} echo {{}} ::: x")).run().ok();
    }
}
