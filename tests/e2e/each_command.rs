//! `each.command`: the lines that a command prints are the items of a job.

use nix::sys::signal::Signal;

use crate::meeting::Meeting;
use crate::space::Space;

#[test]
fn the_lines_of_a_command_are_items_as_soon_as_they_are_there() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = r#"
        run.pool = 1
        [jobs.j]
        each.command = "puppet meet=lister hold"
        command = "puppet meet={} hold"
    "#;
    let running = space.file(toml).start();
    let mut lister = meeting.guest();
    lister.tell("line=one");
    let mut task = meeting.guest();
    assert_eq!(task.name, "one");
    task.tell("exit=0");
    lister.tell("line=two");
    let mut task = meeting.guest();
    assert_eq!(task.name, "two");
    lister.tell("exit=0");
    lister.is_gone();
    task.tell("exit=0");
    running.end().ok();
}

#[test]
fn a_command_in_any_form_with_columns_and_nul() {
    let space = Space::new();
    let toml = r#"
        run.keep_order = true
        vars.last = "3"
        [jobs.line]
        each.command = "seq 2 {last}"
        command = "echo line"
        [jobs.words]
        after = ["line"]
        each = { command = ["printf", '%s,%s\n', "a b", "c{}", "d", ""], separator = "," }
        command = ["printf", "%s;", "{2}", "{1}", "{}\n"]
        [jobs.script]
        after = ["words"]
        shell = ["sh", "-ec"]
        each = { command = { script = '''printf 'x\ny\0z' ''' }, nul = true }
        command = ["printf", "<%s>"]
    "#;
    let ended = space.file(toml).run();
    ended
        .ok()
        .stdout_has("line 2\nline 3\n")
        .stdout_has("c{};a b;a b c{}\n;;d;d \n;")
        .stdout_has("<x\ny><z>");
}

#[test]
fn the_command_has_the_environment_of_its_job() {
    let space = Space::new();
    std::fs::create_dir(space.path("sub")).unwrap();
    space.write("sub/file", "").write("v.env", "B=2\n");
    let toml = r#"
        [jobs.j]
        each.command = { script = 'ls; echo $A$B$C; echo oops >&2; cat' }
        command = "echo {}"
        env = { A = "1", C = "{}" }
        env_file = "v.env"
        cwd = "sub"
        timeout = "1h"
        stdin = "item"
    "#;
    let ended = space.file(toml).run();
    ended.code(0).stdout_sorted(&["12", "file"]);
    assert_eq!(ended.stderr, "oops\n");
}

#[test]
fn a_command_that_fails_is_told_once_and_its_lines_are_run() {
    let space = Space::new();
    let toml = r#"
        [jobs.j]
        each.command = { script = 'echo a; echo b; echo lost >&2; exit 3' }
        command = "echo {}"
        retries = 2
        ok = [0, 3]
        [jobs.then]
        after = ["j"]
        command = "echo no"
        [jobs.next]
        each.job = "j"
        command = "echo next {}"
        [jobs.mourn]
        after = { j = "failure" }
        command = "echo yes"
    "#;
    let ended = space.file(toml).run();
    ended.code(3).stdout_sorted(&["a", "b", "next a", "next b", "yes"]);
    ended.stderr_has("failed: j.each: exit 3").stderr_has("echo a; echo b").stderr_has("lost");
    ended.stderr_has("skipped: then: items of `j` are missing").stderr_has("5 ok, 1 failed, 1 skipped");
    // Where it happens, in the report, and each time the command that says it.
    ended.stderr_has("rerun   /bin/sh -c").stderr_lacks("also failed").stderr_lacks("j:");
}

#[test]
fn a_command_that_can_not_be_started() {
    let space = Space::new();
    let toml = r#"
        [jobs.j]
        each.command = "no-such-program"
        command = "echo {}"
    "#;
    let ended = space.file(toml).run();
    ended.code(127).stdout("").stderr_has("failed: j.each: not started").stderr_has("no-such-program");
    ended.stderr_has("skipped: j: `j.each` failed").stderr_has("1 failed, 1 skipped");
}

#[test]
fn a_command_without_lines() {
    let space = Space::new();
    let toml =
        "[jobs.j]\neach.command = 'true'\ncommand = 'false'\n[jobs.k]\nafter = ['j']\ncommand = 'echo k'\n";
    space.file(toml).run().code(0).stdout("k\n");
}

#[test]
fn what_is_listed_ahead_is_bounded() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = r#"
        [jobs.j]
        each.command = "yes 0123456789"
        command = "puppet meet=task hold"
        pool = 1
        halt = "soon,success=1"
    "#;
    space.write("prun.toml", toml);
    let running = space.sh("puppet measure=rss prun -j2").start();
    let mut task = meeting.guest();
    task.tell("line=here");
    task.tell("exit=0");
    let ended = running.end();
    // `yes` never ends by itself: it was stopped, and nobody calls that a failure.
    ended.code(0).stdout("here\n").stderr_lacks("yes").stderr_lacks("fail");
    let rss: u64 = space.read("rss").trim().parse().expect("a number of KiB");
    assert!(rss < 20_000, "{rss} KiB");
}

#[test]
fn a_command_that_writes_no_more_is_stopped_with_its_job() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = r#"
        [jobs.j]
        each.command = "puppet meet=lister line=a line=b hold"
        script = "exit 1"
        halt = "now,fail=1"
        [jobs.last]
        after = { j = "failure" }
        command = "echo last"
    "#;
    let running = space.file(toml).start();
    let mut lister = meeting.guest();
    lister.is_gone();
    running.end().code(1).stdout("last\n").stderr_lacks("j.each");
}

#[test]
fn a_stop_stops_the_command() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = r#"
        [jobs.j]
        each.command = "puppet meet=lister line=task hold"
        command = "puppet meet={} hold"
    "#;
    let running = space.file(toml).start();
    let mut guests = meeting.guests(2);
    running.signal(Signal::SIGTERM);
    guests.iter_mut().for_each(|guest| guest.is_gone());
    running.end().died_of(Signal::SIGTERM).within(60);
}

#[test]
fn the_command_takes_no_slot_and_no_halt_counts_it() {
    let space = Space::new();
    let toml = r#"
        [run]
        pool = 1
        halt = "now,success=4"
        [jobs.j]
        each.command = "seq 3"
        command = "echo {} {%}"
        [jobs.k]
        after = ["j"]
        command = "echo k"
        [jobs.l]
        after = ["k"]
        command = "echo no"
    "#;
    let ended = space.file(toml).run();
    ended.code(0).stdout("1 1\n2 1\n3 1\nk\n");
}

#[test]
fn listed_items_are_known_again_by_what_they_are() {
    let space = Space::new();
    let toml = r#"
        run.journal = "log"
        [jobs.j]
        each.command = "cat list"
        script = 'echo {}; test {} != b || test -e go'
    "#;
    space.write("list", "a\nb\nc\n");
    space.file(toml).run().code(1).stdout_sorted(&["a", "b", "c"]);
    space.write("list", "z\nc\nb\na\n").write("go", "");
    space.prun("--resume").run().code(0).stdout_sorted(&["b", "z"]);
    space.prun("--resume").run().code(0).stdout("");
}

#[test]
fn one_job_of_the_file_brings_its_list() {
    let space = Space::new();
    let toml = r#"
        [jobs.other]
        each.command = "touch other"
        command = "false"
        [jobs.j]
        each.command = "seq 2"
        command = "echo {}"
        tag = true
        [jobs.queue]
        each.queue = "q"
        command = "false"
        [jobs.writer]
        command = "echo"
        stdout.queue = "q"
    "#;
    let ended = space.write("prun.toml", toml).prun("j").run();
    ended.ok().stdout_sorted(&["j 1\t1", "j 2\t2"]);
    assert!(!space.exists("other"));
}

#[test]
fn the_command_of_a_daemon_keeps_no_run_alive() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = r#"
        [locks]
        gpu = ["0"]
        [jobs.served]
        each.command = "puppet meet=lister line=x hold"
        command = "puppet meet={}.{gpu} hold"
        locks = ["gpu"]
        daemon = true
        [jobs.main]
        command = "puppet meet=main hold"
    "#;
    let running = space.file(toml).start();
    let mut guests = meeting.guests(3);
    let names: Vec<&str> = guests.iter().map(|guest| guest.name.as_str()).collect();
    assert_eq!(names, ["lister", "main", "x.0"]);
    guests[1].tell("exit=0");
    guests[0].is_gone();
    guests[2].is_gone();
    running.end().ok();
}

#[test]
fn a_dry_run_tells_the_command_and_a_task() {
    let space = Space::new();
    let toml = r#"
        [jobs.j]
        each.command = { script = "touch no\necho a" }
        command = "wc -l {}"
    "#;
    let ended = space.write("prun.toml", toml).prun("--dry-run").run();
    ended
        .ok()
        .stdout_has("# j: a task for each line of: ")
        .stdout_has("\n# echo a")
        .stdout_has("\nwc -l '{}'\n");
    assert!(ended.lines().iter().filter(|line| !line.starts_with('#')).count() == 1);
    assert!(!space.exists("no"));
}

#[test]
fn a_command_lists_for_workers() {
    let space = Space::new();
    let toml = r#"
        [jobs.j]
        each.command = "seq 5"
        script = 'while read -r n; do echo $((n * n)); done'
        worker = true
        keep_order = true
    "#;
    space.file(toml).run().ok().stdout("1\n4\n9\n16\n25\n");
}
