//! `on_success`, `on_failure` and `on_exit` of a job: their input, their environment, and the effect of their
//! own outcome.

use nix::sys::signal::Signal;

use crate::meeting::Meeting;
use crate::space::Space;

#[test]
fn a_hook_reads_what_its_task_wrote() {
    let space = Space::new();
    let toml = r#"
        [jobs.a]
        each = ["x", "y"]
        pool = 1
        script = "echo out of {}; echo err >&2"
        on_success = { script = "sed 's/^/{#}: /'" }
    "#;
    let ended = space.file(toml).run();
    ended.code(0).stdout("out of x\n1: out of x\nout of y\n2: out of y\n").stderr_has("err\nerr\n");
}

#[test]
fn how_the_task_ended_is_in_the_environment() {
    let space = Space::new();
    let toml = r#"
        [defaults]
        on_success = { script = 'echo "$PRUN_JOB: $PRUN_OUTCOME [$PRUN_EXIT] [$PRUN_SIGNAL] $PRUN_ATTEMPT"' }
        on_failure = { script = 'echo "$PRUN_JOB: $PRUN_OUTCOME [$PRUN_EXIT] [$PRUN_SIGNAL] $PRUN_ATTEMPT"' }
        [jobs.well]
        script = "exit 0"
        [jobs.also-well]
        script = "exit 7"
        ok = [0, 7]
        [jobs.fails]
        script = "exit 4"
        retries = 2
        [jobs.dies]
        script = "kill -9 $$"
        [jobs.late]
        command = "sleep 600"
        timeout = "100ms"
        [jobs.absent]
        command = "./no-such-program"
    "#;
    let ended = space.file(toml).run();
    ended.code(4).stdout_sorted(&[
        "well: ok [0] [] 1",
        "also-well: ok [7] [] 1",
        "fails: failed [4] [] 3",
        "dies: killed [] [9] 1",
        "late: timeout [] [15] 1",
        "absent: not started [] [] 1",
    ]);
}

#[test]
fn pid_and_duration_are_those_of_the_task() {
    let space = Space::new();
    let toml = r#"
        [jobs.a]
        script = "echo $$; sleep 0.3"
        on_success = { script = 'read -r pid; echo "$((pid == PRUN_TASK_PID)) $PRUN_DURATION"; exec sleep 0.1' }
    "#;
    let ended = space.file(toml).run();
    let line = ended.ok().lines().pop().expect("a line");
    let seconds = line.strip_prefix("1 ").and_then(|text| text.parse::<f64>().ok());
    ended.check(seconds.is_some_and(|seconds| (0.3..60.0).contains(&seconds)), "its own pid and time");
    ended.check(line.split('.').next_back().is_some_and(|digits| digits.len() == 3), "milliseconds");
}

#[test]
fn only_the_last_attempt_is_read() {
    let space = Space::new();
    let toml = r#"
        [jobs.a]
        script = 'echo attempt $PRUN_ATTEMPT; test $PRUN_ATTEMPT = 3'
        retries = 5
        stdout = "null"
        on_success = { script = "echo got; cat" }
        on_failure = "echo never"
    "#;
    space.file(toml).run().ok().stdout("got\nattempt 3\n");
}

#[test]
fn output_that_goes_elsewhere_is_read_all_the_same() {
    let space = Space::new();
    let toml = r#"
        run.pool = 1
        [defaults]
        on_success = { script = "echo $PRUN_JOB $(cat)" }
        [jobs.one]
        command = "echo to one file"
        stdout.file = "one"
        [jobs.each]
        each = ["x", "y"]
        command = "echo to file {}"
        stdout.file = "each.{}"
        [jobs.shared]
        each = ["v", "w"]
        command = "echo shared {}"
        stdout.file = "shared"
        [jobs.piped]
        pipeline = ["echo through a pipe", "tr a-z A-Z"]
        stdout = "null"
    "#;
    let ended = space.file(toml).run();
    ended.ok().stdout_sorted(&[
        "one to one file",
        "each to file x",
        "each to file y",
        "shared shared v",
        "shared shared w",
        "piped THROUGH A PIPE",
    ]);
    assert_eq!(space.read("one"), "to one file\n");
    assert_eq!(space.read("each.x") + &space.read("each.y"), "to file x\nto file y\n");
    assert_eq!(space.read("shared"), "shared v\nshared w\n");
}

#[test]
fn a_hundred_megabytes_reach_a_hook() {
    let space = Space::new();
    let toml = r#"
        [jobs.a]
        command = "head -c 100000000 /dev/zero"
        stdout = "null"
        on_success = "wc -c"
    "#;
    space.file(toml).run().ok().stdout("100000000\n");
}

#[test]
fn a_hook_that_reads_nothing_harms_nobody() {
    let space = Space::new();
    let toml = r#"
        [jobs.a]
        command = "head -c 1000000 /dev/zero"
        stdout = "null"
        on_success = "true"
    "#;
    space.file(toml).run().ok().stdout("");
}

#[test]
fn a_hook_that_fails_makes_its_task_fail() {
    let space = Space::new();
    let toml = r#"
        [jobs.a]
        command = "echo fine"
        on_success = { script = "echo not fine at all >&2; exit 3" }
        [jobs.b]
        after = ["a"]
        command = "echo never"
    "#;
    let ended = space.file(toml).run();
    ended.code(1).stdout("fine\n").stderr_has("a `echo fine`: its `on_success` command exited with 3");
    ended.stderr_has("stderr  not fine at all").stderr_has("skipped: b: `a` failed");
}

#[test]
fn a_failed_task_stays_what_it_was() {
    let space = Space::new();
    let toml = r#"
        [jobs.a]
        script = "echo the cause >&2; exit 5"
        on_failure = { script = "echo of the hook >&2; exit 3" }
    "#;
    let ended = space.file(toml).run();
    ended.code(5).stderr_has("failed: a: exit 5").stderr_has("stderr  the cause\n");
    ended.stderr_has("`on_failure`").stderr_lacks("stderr  of the hook");
}

#[test]
fn a_hook_that_cannot_be_started() {
    let space = Space::new();
    let toml = r#"
        [jobs.a]
        command = "echo fine"
        on_success = "./no-such-program"
    "#;
    space.file(toml).run().code(1).stdout("fine\n").stderr_has("no-such-program");
}

#[test]
fn what_comes_after_waits_for_the_hook() {
    let space = Space::new();
    let toml = r#"
        [jobs.a]
        command = "true"
        on_success = { script = "mkfifo gate; read -r line <gate; echo $line >>log" }
        [jobs.b]
        after = ["a"]
        command = "cat log"
    "#;
    let running = space.file(toml).start();
    space.sh("while ! test -p gate; do sleep 0.01; done; echo opened >gate").run().code(0);
    running.end().ok().stdout("opened\n");
}

#[test]
fn a_group_stays_together() {
    let space = Space::new();
    let toml = r#"
        [jobs.a]
        each.seq = [1, 40]
        pool = 8
        command = "echo task {}"
        on_success = "echo hook {}"
    "#;
    let ended = space.file(toml).run();
    let number = |line: &str| line.rsplit(' ').next().map(str::to_owned);
    let lines = ended.ok().lines();
    let together = |pair: &[&str]| pair[0].starts_with("task") && number(pair[0]) == number(pair[1]);
    ended.check(lines.len() == 80 && lines.chunks(2).all(together), "task and hook side by side");
}

#[test]
fn order_and_tags_hold_for_hooks() {
    let space = Space::new();
    let toml = r#"
        [jobs.a]
        each = [3, 2, 1]
        pool = 3
        keep_order = true
        tag = "{}"
        script = "sleep 0.{}; echo task"
        on_success = "echo hook"
    "#;
    space.file(toml).run().ok().stdout("3\ttask\n3\thook\n2\ttask\n2\thook\n1\ttask\n1\thook\n");
}

#[test]
fn a_signal_stops_a_hook_too() {
    let space = Space::new();
    let toml = r#"
        [jobs.a]
        command = "true"
        on_success = { script = "echo hooked; exec sleep 600" }
    "#;
    let running = space.file(toml).start();
    running.shows("hooked\n");
    running.signal(Signal::SIGTERM);
    running.end().died_of(Signal::SIGTERM).within(60);
}

#[test]
fn nothing_runs_for_what_was_cancelled_or_in_a_dry_run() {
    let space = Space::new();
    let toml = r#"
        run.halt = "now,fail=1"
        run.pool = 2
        [jobs.long]
        script = "echo begun >>began; exec sleep 600"
        on_failure = "touch hooked"
        [jobs.fails]
        script = "while ! test -e began; do sleep 0.01; done; exit 2"
    "#;
    space.file(toml).run().code(2);
    assert!(!space.exists("hooked"));
    let dry = space.write("dry.toml", "[jobs.a]\ncommand = \"echo task\"\non_success = \"touch hooked\"\n");
    dry.prun("dry.toml --dry-run").run().ok().stdout("echo task\n");
    assert!(!space.exists("hooked"));
}

/// Returns a hook that prints its name, its environment and its input.
fn tell(name: &str) -> String {
    format!("{{ script = 'echo \"{name}: $PRUN_OUTCOME [$PRUN_EXIT] [$PRUN_SIGNAL] $(cat)\"' }}")
}

#[test]
fn on_exit_comes_behind_the_other_and_reads_the_same() {
    let space = Space::new();
    let (on_success, on_failure, on_exit) = (tell("success"), tell("failure"), tell("exit"));
    let toml = format!(
        "[defaults]\non_success = {on_success}\non_failure = {on_failure}\non_exit = {on_exit}\nstdout = 'null'\n\
         [jobs.well]\ncommand = 'echo one'\n\
         [jobs.fails]\nafter = ['well']\nscript = 'echo two $PRUN_ATTEMPT; exit 4'\nretries = 1\n\
         [jobs.skipped]\nafter = ['fails']\ncommand = 'true'\n"
    );
    let ended = space.file(&toml).run();
    ended.code(4).stdout(
        "success: ok [0] [] one\nexit: ok [0] [] one\n\
         failure: failed [4] [] two 2\nexit: failed [4] [] two 2\n",
    );
}

#[test]
fn on_exit_reads_a_hundred_megabytes_again() {
    let space = Space::new();
    let toml = r#"
        [jobs.a]
        command = "head -c 100000000 /dev/zero"
        stdout = "null"
        on_success = "wc -c"
        on_exit = "wc -c"
    "#;
    space.file(toml).run().ok().stdout("100000000\n100000000\n");
}

#[test]
fn on_exit_hears_how_the_task_itself_ended() {
    let space = Space::new();
    let toml = format!(
        "[jobs.a]\ncommand = 'echo fine'\non_success.script = 'echo why >&2; exit 3'\non_exit = {}\n",
        tell("exit")
    );
    let ended = space.file(&toml).run();
    ended.code(1).stdout("fine\nexit: ok [0] [] fine\n");
    ended.stderr_has("a `echo fine`: its `on_success` command exited with 3").stderr_has("stderr  why\n");
    let ended = space
        .file("[jobs.a]\ncommand = 'true'\non_success = './no-such'\non_exit = 'echo all the same'\n")
        .run();
    ended.code(1).stdout("all the same\n").stderr_has("no-such");
    let ended = space.file("[jobs.a]\nscript = 'exit 5'\non_exit = 'false'\n").run();
    ended.code(5).stderr_has("the `on_exit` command of `a` exited with 1");
    space
        .file("[jobs.a]\ncommand = 'true'\non_exit = 'false'\n")
        .run()
        .code(1)
        .stderr_has("its `on_exit` command");
}

#[test]
fn on_exit_runs_after_a_task_that_its_job_stopped() {
    let space = Space::new();
    let toml = format!(
        "run.pool = 2\n[jobs.a]\neach = ['long', 'short', 'never']\nhalt = 'now,fail=1'\n\
         script = '''case {{}} in long) echo begun >>began; exec sleep 600;; esac\n\
         while ! test -e began; do sleep 0.01; done; exit 2'''\n\
         on_exit = {}\n",
        tell("exit {}")
    );
    let ended = space.file(&toml).run();
    ended.code(2).stdout_sorted(&["exit short: failed [2] [] ", "exit long: cancelled [] [15] "]);
}

#[test]
fn on_exit_of_pipelines_timeouts_and_workers() {
    let space = Space::new();
    let on_exit = tell("exit");
    let toml = format!(
        "[defaults]\non_exit = {on_exit}\n[jobs.piped]\npipeline = ['echo through', 'tr a-z A-Z']\nstdout = 'null'\n\
         [jobs.late]\nafter = ['piped']\ncommand = 'sleep 600'\ntimeout = '50ms'\n\
         [jobs.worked]\nafter.late = 'exit'\neach = ['x']\nworker = true\npool = 1\nstdout = 'null'\n\
         script = 'while read -r a; do echo answer $a; done'\n"
    );
    let ended = space.file(&toml).run();
    ended.code(124).stdout("exit: ok [0] [] THROUGH\nexit: timeout [] [15] \nexit: ok [] [] answer x\n");
}

#[test]
fn a_stop_of_the_run_begins_no_on_exit() {
    let space = Space::new();
    let toml = "[jobs.a]\nscript = 'echo begun; exec sleep 600'\non_exit = 'touch hooked'\n";
    let running = space.file(toml).start();
    running.shows("begun\n");
    running.signal(Signal::SIGTERM);
    running.end().died_of(Signal::SIGTERM);
    assert!(!space.exists("hooked"));
}

#[test]
fn a_task_whose_hook_was_cut_off_is_not_done() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = "run.journal = 'j'\n[jobs.a]\ncommand = 'true'\non_success = 'puppet meet=hook hold'\n";
    let running = space.file(toml).start();
    let _hook = meeting.guest();
    running.signal(Signal::SIGTERM);
    running.end().died_of(Signal::SIGTERM).stderr_has("1 cancelled");
    let running = space.file(toml).arg("--resume").start();
    let mut hook = meeting.guest();
    hook.tell("exit=0");
    running.end().ok();
}
