//! The report: the facts that it must contain, not its wording.

use crate::space::Space;

#[test]
fn success_is_silent_off_a_terminal() {
    let space = Space::new();
    space
        .file("[jobs.a]\ncommand = 'echo a'\n[jobs.b]\ncommand = 'echo b'\nafter = ['a']\n")
        .run()
        .ok()
        .stdout("a\nb\n");
}

#[test]
fn the_root_cause_comes_first() {
    let space = Space::new();
    let toml = r#"
        run.pool = 1
        [jobs.late]
        script = "echo second >&2; exit 5"
        after = { root = "exit" }
        [jobs.root]
        script = "echo the reason >&2; exit 4"
        [jobs.waits]
        command = "echo never"
        after = ["root"]
        [jobs.fine]
        command = "true"
    "#;
    // `late` stands first in the file, so its code is prun's; `root` failed first, so it is told first.
    let ended = space.file(toml).run();
    ended.code(5).stdout("").no_escapes();
    let place = |text: &str| ended.stderr.find(text).unwrap_or(usize::MAX);
    ended.check(place("exit 4") < place("exit 5"), "the first failure in time is told first");
    ended.stderr_has("the reason").stderr_has("waits").stderr_has("skipped");
    ended.stderr_has("2 failed").stderr_has("1 ok").stderr_has("1 skipped");
}

#[test]
fn a_failure_names_task_command_and_outcome() {
    let space = Space::new();
    let toml = "[jobs.fetch]\neach = ['a', 'b c']\ncommand = ['sh', '-c', 'test \"$0\" = a', '{}']\n";
    let ended = space.file(toml).run();
    ended.code(1).stderr_has("fetch[2]").stderr_has("'b c'").stderr_has("exit 1");
}

#[test]
fn every_outcome_has_its_word() {
    let space = Space::new();
    space.exec("-c 'kill -SEGV $$' ::: x").run().code(139).stderr_has("SEGV");
    space.exec("--timeout 200ms -c 'exec sleep 600' ::: x").run().code(124).stderr_has("timeout");
    space.exec("-c 'exit 124' ::: x").run().code(124).stderr_has("exit 124").stderr_lacks("timeout");
    space.exec("-c 'exit 137' ::: x").run().code(137).stderr_has("exit 137").stderr_lacks("KILL");
    space.exec("./missing ::: x").run().code(127).stderr_has("./missing");
}

#[test]
fn a_failure_is_told_as_it_happens() {
    let space = Space::new();
    let meeting = crate::meeting::Meeting::open(&space);
    let running = space.exec("-j2 -- puppet meet={} hold ::: a b").start();
    let mut guests = meeting.guests(2);
    guests[0].tell("exit=9");
    running.says("exit 9");
    guests[1].tell("exit=0");
    running.end().code(9);
}

#[test]
fn the_stages_of_a_pipeline_are_told() {
    let space = Space::new();
    let ended = space.file("[jobs.p]\npipeline = ['echo a', ['sh', '-c', 'cat; exit 3'], 'cat']\n").run();
    ended.code(3).stdout("a\n").stderr_has("p:2").stderr_has("exit 3");
}

#[test]
fn many_failures_are_cut_short() {
    let space = Space::new();
    let ended = space.exec("--repeat 500 --progress=none -c 'exit 3'").run();
    ended.code(3).stderr_has("500 failed");
}

#[test]
fn rerun_runs_just_that_task() {
    let space = Space::new();
    let ended = space.exec("-j1 -c 'echo ran {}; exit 3' ::: 'a b' c").run();
    let rerun = ended.code(3).stderr.lines().find_map(|line| line.trim().strip_prefix("rerun"));
    let rerun = rerun.unwrap_or_else(|| panic!("no rerun in {}", ended.stderr)).trim();
    space.sh(rerun).run().code(3).stdout("ran a b\n");
}

#[test]
fn what_is_to_be_run_again_can_be_pasted() {
    let space = Space::new();
    let ended = space
        .exec("-j1 -- sh -c 'printf %s \"$1\" >&2; exit 3' sh")
        .arg(":::")
        .arg("it's\nok\t\u{1b}\\")
        .arg("x")
        .run();
    let rerun =
        ended.code(3).stderr.lines().find_map(|line| line.trim().strip_prefix("rerun")).map(str::to_owned);
    space.bash(&rerun.expect("a rerun is told")).run().code(3).stderr_has("it's\nok\t\u{1b}\\");
}

#[test]
fn scripts_are_told_by_their_text() {
    let space = Space::new();
    let ended = space.exec("-v -c 'echo {} >&2; exit 3' ::: 'a b'").run();
    ended
        .code(3)
        .stderr_has("sh[1]: echo 'a b' >&2; exit 3\n")
        .stderr_has("sh[1] `echo 'a b' >&2; exit 3`: exit 3");
}
