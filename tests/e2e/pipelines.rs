//! Kernel pipes between stages and between jobs, and the status rule of pipelines (docs/robustness.md,
//! "Pipelines").

use nix::sys::signal::Signal;

use crate::meeting::Meeting;
use crate::running::Ended;
use crate::space::Space;

fn pipeline(stages: &[&str]) -> Ended {
    let stages: Vec<String> =
        stages.iter().map(|stage| format!("{{ command = ['sh', '-c', {stage:?}] }}")).collect();
    Space::new().file(&format!("[jobs.p]\npipeline = [{}]\n", stages.join(", "))).run()
}

#[test]
fn a_writer_whose_reader_had_enough_is_excused() {
    pipeline(&["exec yes", "head -1"]).ok().stdout("y\n");
    pipeline(&["exec yes", "exec cat", "head -1"]).ok().stdout("y\n");
}

#[test]
fn an_exit_of_141_is_not_excused() {
    pipeline(&["exit 141", "cat"]).code(141);
    let space = Space::new();
    let toml = "[jobs.p]\npipeline = [{ command = ['sh', '-c', 'exit 141'], ok = [0, 141] }, 'cat']\n";
    space.file(toml).run().ok();
}

/// First, middle and last stage, each of which exits with 3, is killed, or closes its stdout. Writers in
/// front of a stage that ends early are endless, so that they die of SIGPIPE; they are not excused, because
/// their reader failed.
#[test]
fn nine_status_vectors() {
    pipeline(&["exit 3", "exec cat", "exec cat"]).code(3);
    pipeline(&["kill -9 $$", "exec cat", "exec cat"]).code(137);
    pipeline(&["exec >&-; exit 0", "exec cat", "exec cat"]).ok();
    pipeline(&["exec yes", "exit 3", "exec cat"]).code(3);
    pipeline(&["exec yes", "kill -9 $$", "exec cat"]).code(137);
    pipeline(&["seq 3", "exec >&-; cat >/dev/null", "exec cat"]).ok().stdout("");
    pipeline(&["exec yes", "exec cat", "exit 3"]).code(3);
    pipeline(&["exec yes", "exec cat", "kill -9 $$"]).code(137);
    pipeline(&["seq 3", "exec cat", "exec >&-; cat >/dev/null"]).ok().stdout("");
}

#[test]
fn the_last_failing_stage_counts() {
    pipeline(&["cat; exit 3", "cat; exit 4", "cat"]).code(4);
    pipeline(&["cat; exit 3", "cat; exit 4", "cat; exit 5"]).code(5);
    pipeline(&["exit 3", "cat", "cat"]).code(3).stderr_has("p:1");
}

#[test]
fn stages_without_a_shell() {
    let space = Space::new();
    let toml = r#"
        [jobs.p]
        each = ["b a", "d c"]
        keep_order = true
        pipeline = ["printf '%s\n' {}", ["tr", " ", "\n"], { command = "sort" }]
    "#;
    space.file(toml).run().ok().stdout("a\nb\nc\nd\n");
}

#[test]
fn a_stage_has_its_own_ok_and_stderr() {
    let space = Space::new();
    let toml = r#"
        [jobs.p]
        pipeline = ["echo a", { command = "grep b", ok = [0, 1] }, { command = ["sh", "-c", "cat; echo said >&2"], stderr = "null" }]
    "#;
    space.file(toml).run().ok().stdout("");
}

#[test]
fn stdin_and_stdout_are_those_of_the_ends() {
    let space = Space::new();
    let toml = "[jobs.p]\nstdin.text = 'c\\nb\\n'\nstdout.file = 'out'\npipeline = ['sort', 'cat -n']\n";
    space.file(&toml.replace("'c\\nb\\n'", "\"c\\nb\\n\"")).run().ok().stdout("");
    assert_eq!(space.read("out"), "     1\tb\n     2\tc\n");
}

#[test]
fn jobs_joined_by_a_pipe() {
    let space = Space::new();
    let toml = r#"
        [jobs.count]
        command = "wc -c"
        stdin.pipe = "copy"
        [jobs.make]
        command = "head -c 100000000 /dev/zero"
        [jobs.copy]
        command = "cat"
        stdin.pipe = "make"
    "#;
    space.file(toml).run().ok().stdout("100000000\n");
    let fails = toml.replace("head -c 100000000 /dev/zero", "sh -c 'exit 6'");
    space.file(&fails).run().code(6).stderr_has("make");
}

#[test]
fn prun_stands_in_no_pipe() {
    let space = Space::new();
    // The second stage looks where its stdin and the first one's stdout lead: to one pipe, child to child.
    let toml = "[jobs.p]\npipeline = [['sh', '-c', 'readlink /proc/$$/fd/1; exec 1>&-'], \
                ['sh', '-c', 'read there; test \"$there\" = \"$(readlink /proc/$$/fd/0)\" && echo same; \
                ls -l /proc/$PRUN_PID/fd | grep -cF \"$there\"']]\n";
    space.file(toml).run().stdout("same\n0\n");
}

#[test]
fn a_stage_that_never_reads() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = "run.grace = '300ms'\n[jobs.p]\npipeline = ['yes', 'puppet catch=TERM meet=x hold', 'cat']\n";
    let running = space.file(toml).start();
    let mut guest = meeting.guest();
    running.signal(Signal::SIGTERM);
    guest.hears("got TERM");
    guest.is_gone();
    running.end().died_of(Signal::SIGTERM).within(60);
}

#[test]
fn a_pipeline_is_one_group_that_ends_together() {
    let space = Space::new();
    let toml = "[jobs.p]\ntimeout = '300ms'\npipeline = ['sleep 600', 'sleep 600', 'sleep 600']\n";
    space.file(toml).run().code(124).within(60);
    let look = "ps -o pgid= -p $$ | tr -d ' '";
    let toml = format!(
        "[jobs.p]\npipeline = [['sh', '-c', {look:?}], ['sh', '-c', {:?}]]\n",
        format!("cat; {look}")
    );
    let ended = space.file(&toml).run();
    let lines = ended.lines();
    ended.ok().check(lines.len() == 2 && lines[0] == lines[1], "one process group");
}

#[test]
fn a_pipeline_is_retried_as_a_whole() {
    let space = Space::new();
    let toml = r#"
        [jobs.p]
        retries = 2
        output = "line"
        pipeline = [["sh", "-c", "echo $PRUN_ATTEMPT"], ["sh", "-c", "read n; echo $n; test $n = 3"]]
    "#;
    space.file(toml).run().code(0).stdout("1\n2\n3\n");
}
