//! The journal: tasks that ended ok are not run again, however the run ended, and all others are. The joblog
//! beside it.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::meeting::Meeting;
use crate::space::{LIMIT, Space};

impl Space {
    /// Prepares `prun exec` with a journal. Each task appends its item to the file `ran`.
    fn journaled(&self, flags: &str, items: &str) -> crate::running::Prun {
        self.exec(&format!("-j1 --journal journal {flags} -c 'echo {{}} >>ran' ::: {items}"))
    }

    /// Returns the items that ran since the last call, in order.
    fn ran(&self) -> String {
        let text = if self.exists("ran") { self.read("ran") } else { String::new() };
        self.write("ran", "");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Waits until a file has this many lines.
    #[track_caller]
    pub fn has_lines(&self, name: &str, count: usize) {
        let begin = Instant::now();
        while !self.exists(name) || self.read(name).lines().count() < count {
            assert!(begin.elapsed() < LIMIT, "`{name}` has not {count} lines");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

#[test]
fn without_resume_everything_runs_and_lines_are_added() {
    let space = Space::new();
    for lines in [2, 4] {
        space.journaled("", "a b").run().ok().quiet();
        assert_eq!(space.ran(), "a b");
        assert_eq!(space.read("journal").lines().count(), lines);
    }
}

#[test]
fn items_may_come_go_and_change_places() {
    let space = Space::new();
    space.journaled("--resume", "a b c").run().ok();
    assert_eq!(space.ran(), "a b c", "there is no journal yet: a fresh start");
    for (items, runs) in
        [("a b c", ""), ("c x a b", "x"), ("b a", ""), ("y b z c", "y z"), ("z y x c b a", "")]
    {
        space.journaled("--resume", items).run().ok();
        assert_eq!(space.ran(), runs, "{items}");
    }
}

#[test]
fn equal_tasks_are_told_apart_by_their_count() {
    let space = Space::new();
    space.journaled("", "a a").run().ok();
    assert_eq!(space.ran(), "a a");
    space.journaled("--resume", "a b a a a").run().ok();
    assert_eq!(space.ran(), "b a a");
}

#[test]
fn another_command_directory_environment_or_input_is_another_task() {
    let space = Space::new();
    space.write("d/in", "").write("in", "").write("in2", "");
    let run = |flags: &str, command: &str| {
        let line = format!("--journal journal --resume -v {flags} -- {command} ::: a");
        space.exec(&line).run().code(0).stderr.contains("echo")
    };
    for (flags, command) in [
        ("", "echo {}"),
        ("", "echo x{}"),
        ("-C d", "echo {}"),
        ("--env A=1", "echo {}"),
        ("--env A=2", "echo {}"),
        ("--stdin in", "echo {}"),
        ("--stdin in2", "echo {}"),
        ("-c", "echo {}"),
        ("", "echo {#} {}"),
        ("", "echo {%} {}"),
    ] {
        assert!(run(flags, command), "{flags} {command}: runs");
        assert!(!run(flags, command), "{flags} {command}: ran before");
    }
    assert!(!run("-j7 -k --tag --output line", "echo {}"), "how it is printed is not what it does");
}

#[test]
fn numbers_of_tasks_and_slots_are_not_what_a_task_is() {
    let space = Space::new();
    let run = |items: &str| {
        let line = format!("-j2 --journal journal --resume -k echo {{#}}:{{}}:{{%}} ::: {items}");
        let ended = space.exec(&line).run();
        ended.ok().lines().iter().map(|line| line[..3].to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(run("a b"), "1:a 2:b");
    assert_eq!(run("x b a y"), "1:x 4:y", "others keep their numbers");
}

#[test]
fn what_failed_runs_again_and_the_last_line_counts() {
    let space = Space::new();
    let run = |flags: &str, good: &str| {
        let line = format!("-j1 --journal journal {flags} -c 'echo {{}} >>ran; test -e {good}' ::: a b");
        space.exec(&line).run()
    };
    run("", "{}").code(1);
    space.write("a", "");
    space.ran();
    run("--resume", "{}").code(1);
    assert_eq!(space.ran(), "a b", "neither was ok");
    space.write("b", "");
    run("--resume", "{}").code(0);
    assert_eq!(space.ran(), "b");
    run("--resume", "{}").ok().quiet();
    assert_eq!(space.ran(), "");
    // ok, then a failure: it is to be run again.
    std::fs::remove_file(space.path("a")).unwrap();
    run("", "{}").code(1);
    space.ran();
    run("--retry-failed", "{}").code(1);
    assert_eq!(space.ran(), "a");
}

#[test]
fn retry_failed_runs_nothing_that_never_failed() {
    let space = Space::new();
    let run = |flags: &str, items: &str| {
        let line =
            format!("-j1 --journal journal {flags} -c 'echo {{}} >>ran; test {{}} != bad' ::: {items}");
        space.exec(&line).run()
    };
    run("", "a bad b").code(1);
    space.ran();
    let ended = run("--retry-failed", "new bad a");
    ended.code(1).stderr_has("2 ok (2 before), 1 failed");
    ended.stderr_has("1 task is not in the journal and had no turn");
    assert_eq!(space.ran(), "bad");
    space.exec("--journal batches -n2 true ::: a b").run().ok();
    let batches = space.exec("--journal batches --retry-failed -n2 true ::: a c d").run();
    batches.code(0).stderr_has("2 tasks are not in the journal and had no turn");
    // The last flag counts.
    run("--retry-failed --resume", "new bad a").code(1);
    assert_eq!(space.ran(), "new bad");
}

#[test]
fn all_that_is_not_ok_is_a_failure() {
    let space = Space::new();
    let toml = r#"
        run = { journal = "journal", grace = "100ms" }
        [jobs.killed]
        script = "kill -9 $$"
        [jobs.late]
        command = "sleep 60"
        timeout = "100ms"
        [jobs.missing]
        command = "/no/such/program"
        [jobs.hooked]
        command = "true"
        on_success = "false"
    "#;
    space.file(toml).run().code(137);
    let journal = space.read("journal");
    let outcome = |job: &str| {
        let line = journal.lines().find(|line| line.contains(&format!("\"job\":\"{job}\"")));
        line.unwrap_or_else(|| panic!("{job} in {journal}")).to_owned()
    };
    assert!(outcome("killed").contains(r#""outcome":"killed","signal":9"#), "{journal}");
    assert!(outcome("late").contains(r#""outcome":"timeout""#), "{journal}");
    assert!(outcome("missing").contains(r#""outcome":"not started","exit":127"#), "{journal}");
    assert!(outcome("hooked").contains(r#""outcome":"failed""#), "{journal}");
    space.prun("--resume -v").run().code(137).stderr_has("hooked: true\n");
}

#[test]
fn a_killed_run_goes_on_where_it_was() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let script =
        "prun exec -j2 --journal journal --resume -c 'test {} = a && exec puppet meet=a hold; echo {} >>ran'";
    let running = space.sh(&format!("exec {script} ::: a b c d")).start();
    let a = meeting.guest();
    space.has_lines("journal", 3);
    running.signal(Signal::SIGKILL);
    running.end().died_of(Signal::SIGKILL);
    drop(a);
    assert_eq!(space.ran(), "b c d");
    let again = space.sh(&format!("exec {script} ::: a b c d e")).start();
    drop(meeting.guest());
    again.end().ok();
    assert_eq!(space.ran().replace("a ", ""), "e", "a was at the meeting");
}

#[test]
fn cancelled_tasks_are_not_finished() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let script = "prun exec -j2 --journal journal --resume puppet meet={} hold ::: a b";
    let running = space.sh(&format!("exec {script}")).start();
    let mut guests = meeting.guests(2);
    guests[0].tell("exit=0");
    space.has_lines("journal", 1);
    running.signal(Signal::SIGTERM);
    running.end().died_of(Signal::SIGTERM);
    assert_eq!(space.read("journal").lines().count(), 1);
    let again = space.sh(&format!("exec {script}")).start();
    let mut b = meeting.guest();
    assert_eq!(b.name, "b");
    b.tell("exit=0");
    again.end().ok();
}

#[test]
fn output_that_waits_for_its_turn_was_not_handed_on() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let script =
        "exec prun exec -j2 -k --journal journal --resume -c 'echo {}; exec puppet meet={} hold' ::: a b";
    let running = space.sh(script).start();
    let mut guests = meeting.guests(2);
    guests[1].tell("exit=0");
    guests[1].is_gone();
    running.shows("a\n");
    running.signal(Signal::SIGKILL);
    running.end().died_of(Signal::SIGKILL).stdout("a\n");
    drop(guests);
    assert_eq!(space.read("journal"), "", "b ended, but nobody has seen what it wrote");
    let again = space.sh(script).start();
    for mut guest in meeting.guests(2) {
        guest.tell("exit=0");
    }
    again.end().ok().stdout("a\nb\n");
    assert_eq!(space.read("journal").lines().count(), 2);
}

#[test]
fn what_could_not_be_written_is_not_finished() {
    let space = Space::new();
    space.sh("prun exec --journal journal echo ::: a >/dev/full").run().code(125);
    assert_eq!(space.read("journal"), "");
    space.sh("prun exec --journal journal echo ::: a 2>/dev/null >&-").run().code(125);
    assert_eq!(space.read("journal"), "");
    space.exec("--journal journal --stdout /dev/full --output line -c 'echo {}' ::: a b").run();
    assert_eq!(space.read("journal").matches(r#""outcome":"ok""#).count(), 0);
    space.exec("--journal journal --resume echo ::: a").run().ok().stdout("a\n");
}

#[test]
fn a_journal_that_can_not_be_written_ends_the_run() {
    let space = Space::new();
    // 512 bytes, and a signal that says so is ignored: writing more fails.
    let script = "trap '' XFSZ; ulimit -f 1; prun exec -j1 --journal journal true ::: $(seq 1000)";
    space
        .sh(script)
        .run()
        .code(125)
        .stderr_has("could not write the journal `")
        .stderr_has("journal`: file too large");
    let lines = space.read("journal").lines().count();
    assert!((1..20).contains(&lines), "whole lines: {lines}");
    assert!(space.read("journal").ends_with('\n'));
    space
        .exec("-j1 --journal journal --resume -v true ::: 1 1000")
        .run()
        .code(0)
        .stderr_lacks("true 1\n")
        .stderr_has("true 1000\n");
}

#[test]
fn two_runs_on_one_journal_are_one_too_many() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec("--journal journal puppet meet={} hold ::: a").start();
    let guest = meeting.guest();
    let second = space.exec("--journal journal echo ::: b").run();
    second.code(125).stdout("").stderr_has("/journal` is in use by another run");
    drop(guest);
    running.end().ok();
}

#[test]
fn batches_know_their_items() {
    let space = Space::new();
    let run = |flags: &str, items: &str| {
        let line = format!("--journal journal --resume -k {flags} echo ::: {items}");
        space.exec(&line).run()
    };
    run("-n2", "a b c").ok().stdout("a b\nc\n");
    run("-n2", "x a b y c z").ok().stdout("x y\nz\n");
    run("-n5", "a b w c").ok().stdout("w\n");
    run("-X", "a b c w x y z v").ok().stdout("v\n");
    run("-n3", "a b").ok().stdout("");
    run("-n3", "a a b b").ok().stdout("a b\n");
    run("-n1", "a a b b c new").ok().stdout("new\n");
}

#[test]
fn workers_are_given_only_what_is_left() {
    let space = Space::new();
    let run = |items: &str| {
        let script = "while read -r item; do echo got $item; done";
        let line = format!("-j1 --journal journal --resume --worker sh -c '{script}' ::: {items}");
        space.exec(&line).run()
    };
    run("a b").ok().stdout("got a\ngot b\n");
    run("b c a").ok().stdout("got c\n");
    run("b c a").ok().stdout("");
}

#[test]
fn a_job_file_names_its_journal() {
    let space = Space::new();
    let toml = r#"
        [run]
        journal = "state/{name}"
        resume = true
        pool = 1
        [vars]
        name = "journal"
        [jobs.a]
        each = ["x", "y"]
        command = "test {} != {bad}"
        [jobs.b]
        each.job = "a"
        script = "echo b {}"
        [jobs.c]
        after = { b = "exit" }
        command = "echo c"
    "#;
    std::fs::create_dir(space.path("state")).unwrap();
    let with = |bad: &str| toml.replace("{bad}", bad);
    space.file(&with("y")).run().code(1).stdout("b x\nc\n");
    assert_eq!(space.read("state/journal").lines().count(), 4);
    // The command of `a` is another now.
    space.file(&with("z")).run().ok().stdout("b y\n");
    space.file(&with("z")).run().ok().stdout("").quiet();
    // Nothing that is skipped for its failure is left out once it is ok.
    space.prun("--retry-failed").run().ok().quiet();
    space
        .file(&toml.replace("{bad}", "z").replace("resume = true", ""))
        .run()
        .ok()
        .stdout_sorted(&["b x", "b y", "c"]);
    space.prun("--journal other --resume").run().ok().stdout_sorted(&["b x", "b y", "c"]);
    assert!(space.exists("other"));
}

#[test]
fn writers_run_again_unless_their_readers_had_finished() {
    let space = Space::new();
    let toml = r#"
        run = { journal = "journal", resume = true }
        [jobs.write]
        script = "echo write >>ran; printf '1\n2\n3\n'"
        stdout.queue = "q"
        [jobs.read]
        script = "echo read >>ran; cat >in; test -e good; cat in"
        stdin.queue = "q"
        [jobs.each]
        each.queue = "r"
        script = "echo each {} >>ran"
        [jobs.write_r]
        script = "echo write_r >>ran; printf '1\n2\n'"
        stdout.queue = "r"
    "#;
    let read_fails = toml.replace("test -e good;", "test -e good || exit 3;");
    space.file(&read_fails).run().code(3);
    let first = space.ran();
    let has = |ran: &str, word: &str| ran.split(' ').any(|ran| ran == word);
    assert!(has(&first, "write") && has(&first, "read"), "{first}");
    space.write("good", "");
    space.file(&read_fails).run().ok().stdout_sorted(&["1", "2", "3"]);
    let second = space.ran();
    assert!(has(&second, "write") && has(&second, "read") && has(&second, "write_r"), "{second}");
    assert!(!second.contains("each"), "its records are known: {second}");
    space.file(&read_fails).run().ok().stdout("");
    assert_eq!(space.ran(), "write_r", "whether all its records were read can't be known before");
}

#[test]
fn a_dry_run_shows_what_is_left_and_writes_nothing() {
    let space = Space::new();
    space.exec("--dry-run --journal journal --resume echo ::: a").run().ok().stdout("echo a\n");
    assert!(!space.exists("journal"));
    space.exec("--journal journal echo ::: a").run().ok();
    let before = space.read("journal");
    space.exec("--dry-run --journal journal --resume echo ::: a b").run().ok().stdout("echo b\n");
    assert_eq!(space.read("journal"), before);
}

#[test]
fn environment_values_stay_out_of_it() {
    let space = Space::new();
    space.exec("--journal journal --joblog joblog --env SECRET=hush-hush true ::: a").run().ok();
    assert!(!space.read("journal").contains("hush") && !space.read("joblog").contains("hush"));
}

#[test]
fn what_makes_no_sense_is_said() {
    let space = Space::new();
    for flag in ["--resume", "--retry-failed", "--sync"] {
        let ended = space.exec(&format!("{flag} true ::: a")).run();
        ended
            .code(125)
            .stderr_has(&format!("`{flag}` needs a journal, and none is named; add `--journal FILE`"));
    }
    space.exec("--joblog log --retry-failed").run().code(125).stderr_has("`--retry-failed` needs a journal");
    space.exec("--journal '' true ::: a").run().code(125).stderr_has("`--journal` needs a value");
    space.exec("--joblog '' true ::: a").run().code(125).stderr_has("`--joblog` names no file");
    space
        .exec("--pipe --journal j cat")
        .run()
        .code(125)
        .stderr_has("`--journal` can't tell the blocks of `--pipe`");
    space
        .file("run.resume = true\n[jobs.a]\ncommand = 'true'")
        .run()
        .code(125)
        .stderr_has("`resume` without a journal");
    space
        .exec("--journal no/such/folder/j true ::: a")
        .run()
        .code(125)
        .stderr_has("could not open the journal");
    assert!(!space.exists("j"));
}

#[test]
fn the_joblog_has_a_line_for_each_task() {
    let space = Space::new();
    let run = |file: &str, items: &str| {
        space.exec(&format!("-j1 --joblog {file} -c 'echo {{}}; exit {{}}' ::: {items}")).run()
    };
    run("log", "0 3").code(3);
    let log = space.read("log");
    let fields: Vec<Vec<&str>> = log.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(
        fields[0],
        "Seq Host Starttime JobRuntime Send Receive Exitval Signal Command".split(' ').collect::<Vec<_>>()
    );
    assert_eq!((fields[1][0], &fields[1][5..]), ("1", &["2", "0", "0", "echo '0'; exit '0'"][..]));
    assert_eq!((fields[2][0], &fields[2][5..]), ("2", &["2", "3", "0", "echo '3'; exit '3'"][..]));
    run("+log", "0").ok();
    assert_eq!(space.read("log").lines().count(), 4);
    run("log", "0").ok();
    assert_eq!(space.read("log").lines().count(), 2);
}

#[test]
fn the_joblog_overwrites_nothing_that_the_run_uses() {
    let space = Space::new();
    space.write("items", "a\n").journaled("", "a").run().ok();
    let journal = space.read("journal");
    let refused = space.exec("--journal journal --joblog ./journal --resume true ::: a").run();
    refused.code(125).stderr_has("would overwrite");
    assert_eq!(space.read("journal"), journal);
    space.exec("--joblog items -a items echo").run().code(125).stdout("").stderr_has("would overwrite");
    assert_eq!(space.read("items"), "a\n");
    space
        .sh("mkfifo fifo && prun exec --joblog fifo true ::: a")
        .run()
        .code(125)
        .stderr_has("could not open `");
    space.sh("prun exec --joblog /dev/stdout true ::: a | cat").run().ok().stdout_has("Seq\tHost");
}

#[test]
fn a_journal_that_others_can_write_is_not_believed() {
    let space = Space::new();
    space.journaled("", "a").run().ok();
    space.ran();
    for change in ["chmod o+w journal", "chmod 600 journal; test $(id -u) != 0 || chown 65534 journal"] {
        space.sh(change).run().ok();
        if change.contains("chown") && !nix::unistd::geteuid().is_root() {
            continue;
        }
        for flags in ["", "--resume", "--resume --dry-run"] {
            let ended = space.journaled(flags, "a b").run();
            ended.code(125).stdout("").stderr_has("keep tasks from running");
            assert_eq!(space.ran(), "");
        }
    }
    // Reading what happened needs no trust, and a group may share a journal.
    space.sh("test $(id -u) != 0 || chown 0 journal; chmod 664 journal").run().ok();
    space.journaled("--resume", "a b").run().ok();
    assert_eq!(space.ran(), "b");
}

#[test]
fn sync_is_a_journal_as_well() {
    let space = Space::new();
    space.journaled("--sync", "a b").run().ok();
    space.ran();
    space.journaled("--resume", "a b c").run().ok();
    assert_eq!(space.ran(), "c");
}
