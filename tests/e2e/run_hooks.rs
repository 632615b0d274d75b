//! `on_success`, `on_failure` and `on_exit` of `[run]`: when they run, their input and environment, and the
//! effect of their own outcome.

use nix::sys::signal::Signal;

use crate::meeting::Meeting;
use crate::space::Space;

/// All three hooks; each prints its name, its environment and its input.
const ALL: &str = r#"
    [run]
    on_success.script = 'echo "success: $PRUN_OUTCOME [$PRUN_EXIT] [$PRUN_SIGNAL]"; cat'
    on_failure.script = 'echo "failure: $PRUN_OUTCOME [$PRUN_EXIT] [$PRUN_SIGNAL]"; cat'
    on_exit.script = 'echo "exit: $PRUN_OUTCOME [$PRUN_EXIT] [$PRUN_SIGNAL]"; cat'
"#;

/// Removes the run's duration, which differs from run to run.
fn timeless(text: &str) -> String {
    let lines = text.lines().map(|line| match line.rsplit_once(" (") {
        Some((head, time)) if time.ends_with("s)") => head,
        _ => line,
    });
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_report_of_a_success_is_complete_although_prun_says_nothing() {
    let space = Space::new();
    let ended = space.file(&format!("{ALL}[jobs.a]\neach = [1, 2, 3]\ncommand = 'true'\n")).run();
    ended.ok();
    let expected = "success: ok [0] []\n3 ok\nexit: ok [0] []\n3 ok\n";
    ended.check(timeless(&ended.stdout) == expected, expected);
}

#[test]
fn the_report_of_a_failure_is_what_prun_says() {
    let space = Space::new();
    let toml = format!(
        "{ALL}[jobs.a]\nscript = 'echo the cause >&2; exit 3'\n[jobs.b]\nafter = ['a']\ncommand = 'true'\n\
         [jobs.c]\ncommand = 'false'\nafter = {{ a = 'exit' }}\n"
    );
    let ended = space.file(&toml).run();
    ended
        .code(3)
        .stdout_has("failure: failed [3] []\nfirst failure: a: exit 3")
        .stdout_has("exit: failed [3] []\n");
    let report = ended.stdout.split("exit: failed").next().and_then(|text| text.split_once('\n'));
    let report = report.expect("a first line").1;
    for line in report.lines() {
        ended.stderr_has(line);
    }
    ended.check(report.contains("\nalso failed: c: exit 1"), "other failures");
    ended.check(report.contains("\nskipped: b: `a` failed\n"), "and what was skipped");
    let last = report.lines().last().unwrap_or_default();
    ended.check(last.starts_with("0 ok, 2 failed, 1 skipped ("), "the counts, without the hooks, at the end");
    ended.check(ended.stderr.trim_end().ends_with(last), "as prun's own last line has them");
}

#[test]
fn they_come_after_all_jobs_and_are_none() {
    let space = Space::new();
    let toml = r#"
        run.journal = "journal"
        run.on_exit = ["sh", "-c", "echo end of $PRUN_JOB; cat order"]
        [jobs.a]
        script = "echo a >>order"
        on_exit.script = "echo hook of a >>order"
        [jobs.b]
        after = ["a"]
        script = "echo b >>order"
    "#;
    space.file(toml).run().ok().stdout("end of run.on_exit\na\nhook of a\nb\n");
    assert_eq!(space.read("journal").lines().count(), 2, "a line for each task");
    space.prun("--list").run().ok().stdout("a\nb\n");
    // They belong to every run of the file.
    space.write("order", "").prun("a").run().ok().stdout("end of run.on_exit\na\nhook of a\n");
    space.prun("run.on_exit").run().code(125);
}

#[test]
fn a_dry_run_prints_them() {
    let space = Space::new();
    let toml = "run.on_success = 'mail me'\nrun.on_failure = ['a b']\nrun.on_exit.script = 'rm -f x'\n\
                [jobs.a]\ncommand = 'echo task'\n";
    let expected = "echo task\n\
        # on_success: at the end of the run, if all went well, with the report on stdin\nmail me\n\
        # on_failure: at the end of the run, if something failed, with the report on stdin\n'a b'\n\
        # on_exit: at the end of the run, with the report on stdin\n/bin/sh -c 'rm -f x' run.on_exit\n";
    space.file(toml);
    space.prun("--dry-run").run().ok().stdout(expected);
}

#[test]
fn defaults_variables_and_arguments_hold_for_them() {
    let space = Space::new();
    let toml = r#"
        vars.name = "x"
        [defaults]
        shell = ["bash", "-euo", "pipefail", "-c"]
        env.GREETING = "good day"
        cwd = "sub"
        output = "group"
        stdout = "null"
        retries = 9
        [run]
        on_success = ["echo", "{name}", "{args}", "{}", "{1}"]
        on_exit.script = 'echo "$GREETING from ${PWD##*/}"; false | true'
        [jobs.a]
        command = "echo never seen"
    "#;
    space.write("sub/here", "").write("prun.toml", toml);
    let ended = space.prun("-D name=y -- 1 '2 3'").run();
    ended.code(1).stdout("y 1 2 3 {} {1}\ngood day from sub\n");
    ended.stderr_has("prun: the run's `on_exit` command exited with 1\n");
}

#[test]
fn a_failure_of_theirs_makes_a_success_a_failure_and_leaves_a_failure() {
    let space = Space::new();
    let well = "[jobs.a]\ncommand = 'true'\n";
    let ended = space.file(&format!("run.on_success = 'false'\nrun.on_exit = 'echo also'\n{well}")).run();
    ended.code(1).stdout("also\n");
    ended.check(ended.stderr == "prun: the run's `on_success` command exited with 1\n", "one line");
    let ended = space.file(&format!("run.on_exit = './no-such-program'\n{well}")).run();
    ended
        .code(1)
        .stderr_has("the run's `on_exit` command could not be started: ")
        .stderr_has("no-such-program");
    let ended = space.file(&format!("run.on_exit.script = 'kill -9 $$'\n{well}")).run();
    ended.code(1).stderr_has("the run's `on_exit` command was killed by signal 9");
    let ended = space.file("run.on_failure = 'false'\n[jobs.a]\nscript = 'exit 7'\n").run();
    ended.code(7).stderr_has("the run's `on_failure` command exited with 1");
    // Also where failures alone are told.
    let ended = space.file(&format!("run.on_success = 'false'\n{well}"));
    drop(ended);
    space.prun("-q").run().code(1).stderr_has("`on_success`");
}

#[test]
fn a_hook_that_reads_nothing_harms_nobody() {
    let space = Space::new();
    let toml = "run.on_exit = 'true'\n[jobs.a]\neach.seq = [1, 300]\ncommand = ['false', '{}']\n";
    space.file(toml).run().code(1).stderr_lacks("on_exit");
}

#[test]
fn a_report_of_megabytes_is_read_whole() {
    let space = Space::new();
    // The name of the job stands in each line of the report.
    let name = "n".repeat(4000);
    let toml = format!(
        "run.on_failure.script = 'cat >whole; grep -c ^also <whole; tail -n1 whole'\n[jobs.{name}]\n\
         repeat = 2500\nscript = 'exit 1'\n"
    );
    let ended = space.file(&toml).run();
    ended.code(1).stdout_has("2499\n0 ok, 2500 failed (");
    let size = std::fs::metadata(space.path("whole")).expect("it was written").len();
    ended.check(size > 10_000_000, "more than a pipe holds, or prun itself says").stderr_has("2479 more");
}

#[test]
fn after_a_signal_on_exit_still_runs_and_prun_dies_of_it() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.file(&format!("{ALL}[jobs.a]\ncommand = 'puppet meet=a hang'\n")).start();
    let mut a = meeting.guest();
    running.signal(Signal::SIGTERM);
    a.is_gone();
    let ended = running.end();
    ended
        .died_of(Signal::SIGTERM)
        .stdout_has("exit: cancelled [] [15]\nstopped by SIGTERM: 0 ok, 1 cancelled");
    ended.check(!ended.stdout.contains("failure:"), "a signal is no failure");
}

#[test]
fn after_a_signal_on_failure_runs_if_something_had_failed() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = format!(
        "{ALL}[jobs.a]\ncommand = 'false'\n[jobs.b]\nafter.a = 'exit'\ncommand = 'puppet meet=b hang'\n"
    );
    let running = space.file(&toml).start();
    let _b = meeting.guest();
    running.signal(Signal::SIGINT);
    let ended = running.end();
    ended.died_of(Signal::SIGINT).stdout_has("failure: failed [] [2]\nfailed: a: exit 1");
    ended.stdout_has("exit: failed [] [2]\n");
}

#[test]
fn a_signal_reaches_the_hook_that_runs_and_the_other_one_follows() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = "run.on_success = 'puppet catch=TERM meet=hook hold'\nrun.on_exit = 'echo behind it'\n\
                [jobs.a]\ncommand = 'true'\n";
    let running = space.file(toml).start();
    let mut hook = meeting.guest();
    running.signal(Signal::SIGTERM);
    hook.hears("got TERM");
    hook.tell("exit=0");
    running.end().died_of(Signal::SIGTERM).stdout("behind it\n");
}

#[test]
fn a_second_signal_kills_them_and_nothing_follows() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = "run.grace = '10m'\nrun.on_success = 'puppet ignore=TERM meet=hook hang'\n\
                run.on_exit = 'echo never'\n[jobs.a]\ncommand = 'true'\n";
    let running = space.file(toml).start();
    let mut hook = meeting.guest();
    running.signal(Signal::SIGTERM);
    // Another signal at once is another one.
    running.signal(Signal::SIGHUP);
    hook.is_gone();
    running.end().died_of(Signal::SIGTERM).stdout("").within(60);
}

#[test]
fn after_a_signal_the_grace_is_all_the_time_that_they_have() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = "run.grace = '200ms'\nrun.on_exit = 'puppet meet=hook hang'\n\
                [jobs.a]\ncommand = 'puppet meet=a hang'\n";
    let running = space.file(toml).start();
    let _a = meeting.guest();
    running.signal(Signal::SIGTERM);
    let mut hook = meeting.guest();
    hook.is_gone();
    let ended = running.end();
    ended.died_of(Signal::SIGTERM).within(60);
    ended.stderr_has("the run's `on_exit` command is killed: prun was told to stop, and `grace` is over");
}

#[test]
fn nobody_reads_prun_any_more_and_on_exit_runs_all_the_same() {
    let space = Space::new();
    let toml = "run.on_exit.script = 'echo $PRUN_SIGNAL >told; cat >>told'\n\
                [jobs.a]\ncommand = 'yes'\noutput = 'line'\n";
    space.file(toml);
    let ended = space.bash("prun | head -n1; echo ${PIPESTATUS[0]}").run();
    ended.code(0).stdout("y\n141\n").quiet();
    assert_eq!(timeless(&space.read("told")), "13\nstopped by SIGPIPE: 0 ok, 1 cancelled\n");
}

#[test]
fn what_could_not_be_written_is_known_before() {
    let space = Space::new();
    let toml = "run.on_success = 'touch success'\nrun.on_failure.script = 'echo $PRUN_OUTCOME $PRUN_EXIT >told'\n\
                [jobs.a]\ncommand = 'echo much'\n";
    space.write("prun.toml", toml);
    let ended = space.sh("prun >/dev/full").run();
    ended.code(125).stderr_has("could not write to stdout");
    assert_eq!((space.read("told").as_str(), space.exists("success")), ("failed 125\n", false));
}

#[test]
fn they_find_all_that_was_written() {
    let space = Space::new();
    let toml = "run.journal = 'journal'\nrun.on_success.script = 'wc -c <big; wc -l <journal'\n\
                [jobs.a]\nrepeat = 30\ncommand = 'head -c 1000000 /dev/zero'\nstdout.file = 'big'\n";
    let ended = space.file(toml).run();
    ended.ok().stdout("30000000\n30\n");
}

#[test]
fn timeouts_and_halts_are_told() {
    let space = Space::new();
    let toml = format!("{ALL}[jobs.a]\ncommand = 'puppet hang'\ntimeout = '50ms'\n");
    let ended = space.file(&toml).run();
    ended
        .code(124)
        .stdout_has("failure: failed [124] []\nfailed: a: timeout")
        .stdout_has("exit: failed [124]");
    let toml = format!("{ALL}[jobs.a]\ncommand = 'true'\n[jobs.b]\ncommand = 'puppet hang'\n");
    space.file(&toml);
    let ended = space.prun("-j2 --halt now,success=1").run();
    ended.code(0).stdout_has("success: ok [0] []\n").stdout_has("exit: ok [0] []\n");
}

#[test]
fn flags_and_variables_replace_what_the_file_says() {
    let space = Space::new();
    let toml =
        "run.on_success = 'echo of the file'\nrun.on_exit = 'echo at the end'\n[jobs.a]\ncommand = 'true'\n";
    space.write("prun.toml", toml);
    space.prun("--on-success 'echo \"of a flag\"'").run().ok().stdout("of a flag\nat the end\n");
    let of_variable = || space.prun("--on-exit none").env("PRUN_ON_SUCCESS", "echo of a variable");
    of_variable().run().ok().stdout("of a variable\n");
    of_variable().arg("--on-success=none").run().ok().stdout("");
    let ended = space.prun("--on-failure 'mail | cat'").run();
    ended.code(125).stdout("").stderr_has("`--on-failure=mail | cat`: `|` means something to a shell");
    ended.stderr_has("for the shell write `sh -c '…'`");
    let ended = space.prun("").env("PRUN_ON_EXIT", " ").run();
    ended.code(125).stderr_has("`PRUN_ON_EXIT= `: it names no program");
}

#[test]
fn the_configuration_says_it_for_all_runs() {
    let space = Space::new();
    let config = "[run]\non_exit = 'echo of the config'\non_failure.script = 'echo failed: $(head -n1)'\n";
    space.write("config/prun/config.toml", config);
    space
        .file("[jobs.a]\ncommand = 'false'\n")
        .run()
        .code(1)
        .stdout_has("failed: failed: a")
        .stdout_has("of the config\n");
    space.file("run.on_exit = 'none'\n[jobs.a]\ncommand = 'true'\n").run().ok().stdout("");
    space.exec("echo ::: x").run().ok().stdout("x\nof the config\n");
    space.exec("--on-exit none false ::: x").run().code(1).stdout_has("failed: failed: false[1]");
    space.exec("--no-config echo ::: x").run().ok().stdout("x\n");
    space.write("config/prun/config.toml", "[run]\non_exit = 'a | b'\n");
    let ended = space.exec("echo ::: x").run();
    ended.code(125).stderr_has("`on_exit` of the configuration file: `|` means something to a shell");
}

#[test]
fn exec_has_them_too_and_stays_what_it_is() {
    let space = Space::new();
    space.exec("-k --on-success wc echo {} ::: a b").run().code(0).stdout_has("a\nb\n      1");
    // Not a word more of a single task, and its name is no job's.
    let ended = space.exec("--once --on-failure cat sh -c 'exit 3'").run();
    ended.code(3).stdout_has("failed: sh: exit 3");
    let without = space.exec("--once sh -c 'exit 3'").run();
    ended.check(timeless(&ended.stderr) == timeless(&without.stderr), "the same without");
    let ended = space.exec("--tag -k --on-exit 'echo end' echo {} ::: a b").run();
    ended.ok().stdout("a\ta\nb\tb\nend\n");
    space.exec("--on-exit 'x > y' true ::: a").run().code(125).stderr_has("`--on-exit=x > y`: `>` means");
    let ended = space.exec("-v --on-exit 'echo {}' true ::: a").run();
    ended.code(0).stdout("{}\n").stderr_has("prun: run.on_exit: echo '{}'\n");
}

#[test]
fn a_task_flows_live_as_without_them() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec("-j1 --on-exit true puppet line={} meet={} hold ::: a b").start();
    for name in ["a", "b"] {
        let mut guest = meeting.guest();
        running.shows(&format!("{name}\n"));
        guest.tell("exit=0");
    }
    running.end().ok();
}

#[test]
fn the_variables_are_for_one_run() {
    let space = Space::new();
    space.write("prun.toml", "[jobs.outer]\ncommand = 'prun exec echo {} ::: inner'\n");
    space.prun("").env("PRUN_ON_EXIT", "echo once").run().ok().stdout("inner\nonce\n");
}

#[test]
fn they_run_also_where_no_task_ever_started() {
    let space = Space::new();
    space
        .exec("--on-success 'echo done' --on-exit 'echo over' true")
        .stdin("")
        .run()
        .ok()
        .stdout("done\nover\n");
    let toml = format!("{ALL}[jobs.a]\neach = []\ncommand = 'echo'\n");
    space.file(&toml).run().ok().stdout_has("exit: ok [0] []");
}

#[test]
fn each_hears_how_the_run_stands_when_it_begins() {
    let space = Space::new();
    let toml = "run.on_success = 'false'\nrun.on_exit.script = 'echo $PRUN_OUTCOME $PRUN_EXIT'\n\
                [jobs.a]\ncommand = 'true'\n";
    space.file(toml).run().code(1).stdout("failed 1\n");
}
