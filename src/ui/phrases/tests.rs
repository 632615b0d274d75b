use std::sync::Arc;

use super::*;
use crate::event::StartFailure;

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

#[test]
fn nothing_acts_on_a_terminal() {
    assert_eq!(escape(b"a\x1b[31mb\x07\x7f\n\t\r"), "a\\x1b[31mb\\x07\\x7f\\n\\t\\r");
    assert_eq!(escape("\u{9b}1m\u{202e}x".as_bytes()), "\\u{9b}1m\\u{202e}x");
    assert_eq!(escape(b"\xff\xfe ok"), "\\xff\\xfe ok");
    assert_eq!(escape("größer 漢字".as_bytes()), "größer 漢字");
}

#[test]
fn cutting_keeps_to_the_width() {
    assert_eq!(cut("abcdef", 6), "abcdef");
    assert_eq!(cut("abcdef", 5), "abcd…");
    assert_eq!(cut("漢字漢字", 8), "漢字漢字");
    assert_eq!(cut("漢字漢字", 7), "漢字漢…");
    assert_eq!(cut("漢字漢字", 6), "漢字…");
    assert_eq!(cut("abc", 1), "…");
    assert_eq!(cut("abc", 0), "");
}

#[test]
fn failures_in_words() {
    let mut detail = Detail { attempts: 1, elapsed: seconds(1.23), ..Detail::default() };
    assert_eq!(failure(&Outcome::Failed(22), &detail), "exit 22 (1.2 s)");
    detail.attempts = 3;
    assert_eq!(failure(&Outcome::Killed(9), &detail), "killed by SIGKILL after 3 attempts (1.2 s)");
    assert_eq!(failure(&Outcome::Timeout, &detail), "timeout after 3 attempts (1.2 s)");
    let why = Arc::new(StartFailure { code: 127, why: "`x\x1b`: no such file or directory".into() });
    detail.attempts = 1;
    assert_eq!(
        failure(&Outcome::NotStarted(why), &detail),
        "not started: `x\\x1b`: no such file or directory"
    );
    assert_eq!(signal_name(40), "signal 40");
}

#[test]
fn durations_have_few_digits() {
    let cases = [
        (0.0, "0 ms"),
        (0.0068, "6 ms"),
        (0.349, "0.35 s"),
        (0.999, "1.0 s"),
        (9.84, "9.8 s"),
        (59.9, "59 s"),
        (200.0, "3 min 20 s"),
        (7500.0, "2 h 05 min"),
    ];
    for (time, text) in cases {
        assert_eq!(duration(seconds(time)), text);
    }
}

#[test]
fn standing_without_and_with_a_total() {
    let mut now = Standing { done: 0, elapsed: seconds(1.0), ..Standing::default() };
    assert_eq!(standing(&now), "0 done");
    now = Standing { done: 20, failed: 2, running: 4, total: None, elapsed: seconds(4.0) };
    assert_eq!(standing(&now), "20 done, 5.0/s, 2 failed");
    now.total = Some(40);
    assert_eq!(standing(&now), "20/40, 5.0/s, 4 s left, 2 failed");
    assert_eq!(standing_and_running(&now), "20/40, 5.0/s, 4 s left, 2 failed, 4 running");
}

#[test]
fn running_tasks_stay_in_their_columns() {
    assert_eq!(running("a[1]", "x\x1b", seconds(0.04), 40), "       0.0 s  a[1] x\\x1b");
    assert_eq!(running("a", "", seconds(75.0), 40), "  1 min 15 s  a");
    assert_eq!(running("a[1]", "long item", seconds(2.0), 20), "       2.0 s  a[1] …");
}

#[test]
fn another_attempt_and_when() {
    assert_eq!(retrying(&Outcome::Failed(2), 1, seconds(1.0)), "exit 2, attempt 2 in 1.0 s");
    assert_eq!(retrying(&Outcome::Timeout, 2, Duration::ZERO), "timeout, attempt 3 now");
    assert_eq!(restarting(&Outcome::Failed(2), seconds(1.0)), "exit 2, starting it again in 1.0 s");
    assert_eq!(restarting(&Outcome::Ok, Duration::ZERO), "ended, starting it again now");
}

#[test]
fn pipelines_tell_each_stage() {
    let ends =
        [("a:1".into(), Some(Exit::Signal(13))), ("a:2".into(), Some(Exit::Code(3))), ("b".into(), None)];
    assert_eq!(stages(&ends), "a:1: SIGPIPE | a:2: exit 3 | b: not started");
}
