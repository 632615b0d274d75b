//! `retries`, `retry_delay`, `retry_on` and `ok`.

use std::time::Duration;

use crate::space::Space;

#[test]
fn until_it_succeeds() {
    let space = Space::new();
    space.exec("--retries 5 -c 'echo x >>log; test $(wc -l <log) = 3' ::: a").run().code(0);
    assert_eq!(space.read("log"), "x\nx\nx\n");
}

#[test]
fn until_they_are_used_up() {
    let space = Space::new();
    space
        .exec("--retries 2 -c 'echo $PRUN_ATTEMPT >>log; exit 7' ::: a")
        .run()
        .code(7)
        .stderr_has("3 attempts");
    assert_eq!(space.read("log"), "1\n2\n3\n");
}

#[test]
fn a_program_that_is_not_there_is_not_tried_again() {
    let space = Space::new();
    space.exec("--retries 3 --retry-delay 10m -- ./missing ::: a").run().code(127).within(60);
}

#[test]
fn only_on_what_is_named() {
    let space = Space::new();
    let log = |on: &str, code: i32| {
        space.write("log", "");
        space
            .exec(&format!("--retries 2 --retry-on {on} -c 'echo x >>log; exit {code}' ::: a"))
            .run()
            .code(code);
        space.read("log").lines().count()
    };
    assert_eq!(
        (log("9", 8), log("9", 9), log("8,9", 8), log("signal", 8), log("timeout", 8)),
        (1, 3, 3, 1, 1)
    );
    space.write("log", "");
    space.exec("--retries 1 --retry-on signal -c 'echo x >>log; kill -9 $$' ::: a").run().code(137);
    assert_eq!(space.read("log"), "x\nx\n");
}

#[test]
fn only_the_last_attempt_is_shown_in_a_group() {
    let space = Space::new();
    let script = "-c 'echo $PRUN_ATTEMPT; test $PRUN_ATTEMPT = 3' ::: a";
    space.exec(&format!("--retries 5 {script}")).run().code(0).stdout("3\n");
    space.exec(&format!("--retries 5 -k {script}")).run().code(0).stdout("3\n");
    space.exec(&format!("--retries 5 --output line {script}")).run().code(0).stdout("1\n2\n3\n");
}

#[test]
fn delays_grow() {
    let space = Space::new();
    let toml = r#"
        [jobs.a]
        command = "false"
        retries = 4
        retry_delay = { first = "100ms", factor = 2.0, max = "300ms" }
    "#;
    let ended = space.file(toml).run();
    // 100 + 200 + 300 + 300
    ended.code(1).check(ended.elapsed >= Duration::from_millis(900), "the delays are kept");
    let jitter = toml.replace("max = \"300ms\"", "max = \"300ms\", jitter = true").replace("100ms", "50ms");
    space.file(&jitter).run().code(1);
}

#[test]
fn delays_grow_by_flags() {
    let ended = Space::new().exec("-v --retries 3 --retry-delay 10ms,factor=3,max=50ms -c false ::: a").run();
    ended.code(1).stderr_has("attempt 2 in 10 ms").stderr_has("attempt 3 in 30 ms");
    ended.stderr_has("attempt 4 in 50 ms");
}

#[test]
fn the_slot_is_free_during_a_delay() {
    let space = Space::new();
    let toml = r#"
        run.pool = 1
        [jobs.a]
        script = "test -e done"
        retries = 100
        retry_delay = "50ms"
        [jobs.b]
        script = "touch done"
    "#;
    space.file(toml).run().code(0);
}

#[test]
fn what_counts_as_success() {
    let space = Space::new();
    space.exec("--ok 0,3 -c 'exit 3' ::: a").run().ok();
    space.exec("--ok 3 -c 'exit 0' ::: a").run().code(1).stderr_has("exit 0");
    space.exec("--ok timeout --timeout 200ms -c 'exec sleep 600' ::: a").run().ok();
    space.exec("--ok signal -c 'kill -9 $$' ::: a").run().ok();
    let toml = "[jobs.a]\nok = [0, 1, 'timeout']\ntimeout = '200ms'\nscript = 'exec sleep 600'\n[jobs.b]\ncommand = 'false'\nok = [1]\n";
    space.file(toml).run().ok();
}
