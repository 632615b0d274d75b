//! `halt`: every form of GNU parallel's grammar.

use crate::meeting::Meeting;
use crate::space::Space;

/// Runs `exit N` for each of these codes, one after another. Returns prun's exit status and the codes that
/// ran.
fn halted(options: &str, codes: &str) -> (Option<i32>, String) {
    let ended = Space::new().exec(&format!("-j1 -k {options} -c 'echo {{}}; exit {{}}' ::: {codes}")).run();
    (ended.status.code(), ended.lines().join(" "))
}

fn ran(code: i32, codes: &str) -> (Option<i32>, String) {
    (Some(code), codes.to_owned())
}

#[test]
fn never_is_the_default() {
    assert_eq!(halted("", "0 3 0 4"), ran(3, "0 3 0 4"));
    assert_eq!(halted("--halt never", "0 3 0 4"), ran(3, "0 3 0 4"));
}

#[test]
fn after_failures() {
    assert_eq!(halted("--halt soon,fail=1", "0 3 0 4"), ran(3, "0 3"));
    assert_eq!(halted("--halt soon,fail=2", "0 3 0 4 0"), ran(4, "0 3 0 4"));
    assert_eq!(halted("--halt now,fail=1", "0 3 0 4"), ran(3, "0 3"));
    assert_eq!(halted("--fail-fast", "0 3 0 4"), ran(3, "0 3"));
}

#[test]
fn after_successes_the_run_is_ok() {
    assert_eq!(halted("--halt soon,success=1", "1 0 2"), ran(0, "1 0"));
    assert_eq!(halted("--halt now,success=2", "0 1 0 2"), ran(0, "0 1 0"));
}

#[test]
fn after_so_many_ended() {
    assert_eq!(halted("--halt soon,done=2", "0 0 0 0"), ran(0, "0 0"));
    assert_eq!(halted("--halt now,done=3", "0 0 0 0"), ran(0, "0 0 0"));
}

#[test]
fn after_a_share_of_those_that_ended_from_three_on() {
    assert_eq!(halted("--halt soon,fail=50%", "1 0 2 0 0"), ran(2, "1 0 2"));
    assert_eq!(halted("--halt soon,fail=50%", "0 0 0 1 1 1 0"), ran(1, "0 0 0 1 1 1"));
    assert_eq!(
        halted("--halt soon,fail=20%", "0 0 0 0 0 0 0 0 0 0 0 1 0"),
        ran(1, "0 0 0 0 0 0 0 0 0 0 0 1 0")
    );
}

#[test]
fn after_a_share_of_all_tasks() {
    assert_eq!(halted("--halt soon,done=50%", "0 0 0 0 0 0 0 0"), ran(0, "0 0 0 0"));
    assert_eq!(halted("--halt now,success=60%", "0 1 0 0 0"), ran(0, "0 1 0"));
}

#[test]
fn older_forms() {
    assert_eq!(halted("--halt 0", "0 3 0"), ran(3, "0 3 0"));
    assert_eq!(halted("--halt 1", "0 3 0"), ran(3, "0 3"));
    assert_eq!(halted("--halt 2", "0 3 0"), ran(3, "0 3"));
    assert_eq!(halted("--halt -1", "3 0 4"), ran(0, "3 0"));
    assert_eq!(halted("--halt -2", "3 0 4"), ran(0, "3 0"));
    assert_eq!(halted("--halt 60%", "1 0 2 0 0"), ran(2, "1 0 2"));
}

#[test]
fn what_is_tried_again_has_not_failed_yet() {
    let space = Space::new();
    let script = "echo {}$PRUN_ATTEMPT; test $PRUN_ATTEMPT = {}";
    let ended = space.exec("-j1 -k --retries 1 --fail-fast --output line -c").arg(script);
    let ended = ["2", "1", "3"].iter().fold(ended.arg(":::"), |line, item| line.arg(item)).run();
    ended.code(1).stdout_sorted(&["11", "21", "22", "31", "32"]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    for halt in ["perhaps", "now,fail=x", "later,fail=1", "now,fail=200%", "now,win=1"] {
        Space::new()
            .exec(&format!("--halt {halt} echo ::: x"))
            .run()
            .code(125)
            .stdout("")
            .stderr_has("--halt");
    }
}

#[test]
fn now_stops_what_runs() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space
        .exec("-j2 --halt now,fail=1 --status count -- puppet catch=TERM meet={} hold ::: a b c")
        .start();
    let mut guests = meeting.guests(2);
    guests[1].tell("exit=3");
    guests[0].hears("got TERM");
    guests[0].tell("exit=7");
    // What prun stopped is cancelled, whatever it exited with: one failure.
    running.end().code(1);
    assert!(!meeting.has_guest(), "nothing starts after the halt");
}

#[test]
fn soon_lets_them_end() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec("-j2 --halt soon,fail=1 -- puppet meet={} hold ::: a b c").start();
    let mut guests = meeting.guests(2);
    guests[1].tell("exit=3");
    running.says("exit 3");
    guests[0].tell("say=alive");
    guests[0].hears("alive");
    guests[0].tell("line=done");
    guests[0].tell("exit=0");
    running.end().code(3).stdout("done\n");
    assert!(!meeting.has_guest(), "nothing starts after the halt");
}

#[test]
fn the_status_is_that_of_the_trigger() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec("-j2 --halt soon,fail=1 -- puppet meet={} hold ::: a b").start();
    let mut guests = meeting.guests(2);
    guests[1].tell("exit=5");
    running.says("exit 5");
    guests[0].tell("exit=4");
    running.end().code(5);
}

#[test]
fn a_job_halts_alone() {
    let space = Space::new();
    let toml = r#"
        run.pool = 1
        [jobs.a]
        each = [0, 3, 0]
        halt = "soon,fail=1"
        script = "echo a{}; exit {}"
        [jobs.b]
        each = [0, 0]
        script = "echo b{}"
    "#;
    space.file(toml).run().code(3).stdout_sorted(&["a0", "a3", "b0", "b0"]);
    let whole = toml
        .replace("halt = \"soon,fail=1\"\n", "")
        .replace("run.pool", "run.halt = 'soon,fail=1'\nrun.pool");
    space.file(&whole).run().code(3).stdout_sorted(&["a0", "a3"]);
}
