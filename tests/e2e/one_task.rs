//! `prun FILE 'deploy[3]'`: single tasks of jobs, named by number or by item.

use crate::space::Space;

/// A job that each task of which has one before it in another job, behind a job for all.
const CHAIN: &str = r#"
    [vars]
    to = "here"
    [jobs.build]
    command = "echo build"
    [jobs.test]
    after = ["build"]
    each = ["a", "b c", "it's", "prod", "x[1]"]
    command = "echo test {#} {}"
    [jobs.deploy]
    each.job = "test"
    command = "echo deploy {#} {} {to} {args}"
"#;

fn runs(space: &Space, operands: &str, printed: &[&str]) {
    let ended = space.prun(&format!("jobs.toml {operands}")).run();
    ended.ok().stdout_sorted(printed);
}

#[test]
fn a_task_is_named_by_number_or_by_item() {
    let space = Space::new();
    space.write("jobs.toml", CHAIN);
    for (operand, item, number) in [
        ("'test[2]'", "b c", 2),
        ("'test[b c]'", "b c", 2),
        ("\"test[it's]\"", "it's", 3),
        ("'test[x[1]]'", "x[1]", 5),
    ] {
        let line = format!("test {number} {item}");
        runs(&space, operand, &["build", &line]);
        runs(&space, &format!("--no-deps {operand}"), &[&line]);
    }
    runs(&space, "'test[1]' 'test[prod]' build", &["build", "test 1 a", "test 4 prod"]);
    runs(&space, "'build[1]'", &["build"]);
}

#[test]
fn over_each_job_only_the_items_own_predecessors_run() {
    let space = Space::new();
    space.write("jobs.toml", CHAIN);
    let all = ["build", "test 2 b c", "deploy 2 b c here"];
    runs(&space, "'deploy[2]'", &all);
    runs(&space, "'deploy[b c]'", &all);
    runs(&space, "--no-deps 'deploy[2]'", &["deploy 2 b c here"]);
    runs(&space, "--no-deps 'deploy[2]' 'test[1]'", &["test 1 a", "test 2 b c", "deploy 2 b c here"]);
    let tests = ["test 1 a", "test 2 b c", "test 3 it's", "test 4 prod", "test 5 x[1]"];
    let more = [&["build", "deploy 4 prod here"][..], &tests].concat();
    runs(&space, "'deploy[prod]' test", &more);
    // With all jobs named, nothing is left out.
    space.prun("--no-deps jobs.toml deploy").run().ok();
}

#[test]
fn a_task_behind_one_that_fails_is_skipped() {
    let space = Space::new();
    let toml = r#"
        [jobs.test]
        each = ["a", "b", "c"]
        script = "test {} != b"
        [jobs.deploy]
        each.job = "test"
        command = "echo deploy {}"
    "#;
    space.write("jobs.toml", toml);
    for operands in ["'deploy[b]'", "'deploy[2]'", "'deploy[b]' test"] {
        let ended = space.prun(&format!("jobs.toml {operands}")).run();
        ended.code(1).stdout("").stderr_has("skipped: deploy[2]: `test[2]` failed");
    }
    runs(&space, "'deploy[c]'", &["deploy c"]);
    runs(&space, "--no-deps 'deploy[b]'", &["deploy b"]);
}

#[test]
fn numbers_are_those_of_the_whole_job() {
    let space = Space::new();
    space.write("l", "p\nq\nr\n").write("t.csv", "n,m\n1,x\n2,y\n");
    let toml = r#"
        run.keep_order = true
        [jobs.lines]
        each.lines = "l"
        command = "echo {#} {}"
        [jobs.table]
        each.csv = "t.csv"
        command = "echo {#} {n} {m}"
        [jobs.listed]
        each.command = "seq 10 30"
        command = "echo {#} {}"
        [jobs.again]
        repeat = 4
        script = "echo again {#}"
        [jobs.some]
        each.seq = [1, 10]
        batch = 3
        command = "echo {#}: {}"
        [jobs.matrix]
        each.matrix = { a = ["x", "y"], b = [1, 2] }
        command = "echo {#} {a}{b}"
        [jobs.worker]
        each = ["k", "l", "m"]
        worker = true
        script = 'while read -r x; do echo "did $x"; done'
        [jobs.glob]
        each.glob = "*.c?v"
        command = "echo {#} {}"
    "#;
    space.write("jobs.toml", toml);
    for (operands, printed) in [
        ("'lines[2]'", &["2 q"][..]),
        ("'lines[r]' 'lines[1]'", &["1 p", "3 r"]),
        ("'table[2]'", &["2 2 y"]),
        ("'table[1 x]'", &["1 1 x"]),
        ("'listed[3]'", &["3 12"]),
        ("'again[2]' 'again[4]'", &["again 2", "again 4"]),
        ("'some[2]'", &["2: 4 5 6"]),
        ("'some[4]'", &["4: 10"]),
        ("'matrix[3]'", &["3 y1"]),
        ("'matrix[x 2]'", &["2 x2"]),
        ("'worker[2]'", &["did l"]),
        ("'glob[t.csv]'", &["1 t.csv"]),
    ] {
        runs(&space, operands, printed);
    }
}

#[test]
fn a_stream_is_read_up_to_the_named_task() {
    let space = Space::new();
    space.write("jobs.toml", "[jobs.s]\neach.lines = \"-\"\ncommand = \"echo {#} {}\"");
    let mut running = space.prun("jobs.toml 's[2]'").open_stdin().start();
    running.feed(b"a\nb\n");
    // There is no end of the input.
    running.exits();
    running.end().ok().stdout("2 b\n");
}

#[test]
fn a_task_that_does_not_exist_is_an_error() {
    let space = Space::new();
    space.write("l", "p\nq\n");
    let toml = r#"
        [jobs.list]
        each = ["test", "prod", "8080"]
        command = "touch ran"
        [jobs.next]
        each.job = "list"
        command = "touch ran"
        [jobs.lines]
        each.lines = "l"
        command = "touch ran"
        [jobs.again]
        repeat = 2
        command = "touch ran"
        [jobs.one]
        command = "touch ran"
    "#;
    space.write("jobs.toml", toml);
    for (operand, told) in [
        ("'list[4]'", "there is no task 4 of `list`: it has 3 tasks"),
        ("'list[0]'", "there is no task 0 of `list`: tasks are counted from 1"),
        ("'list[prodd]'", "`list` has no task with the item `prodd`; did you mean 'list[prod]'?"),
        ("'list[8080]'", "it has 3 tasks, counted from 1; the item `8080` is 'list[3]'"),
        ("'next[7]'", "there is no task 7 of `next`: it has 3 tasks"),
        ("'again[3]'", "there is no task 3 of `again`: it has 2 tasks"),
        ("'again[x]'", "`again` has no items, and so no task `x`"),
        ("'one[2]'", "there is no task 2 of `one`: it has one task"),
        ("'lisst[1]'", "did you mean `list`?"),
        ("--no-deps", "`--no-deps` needs a JOB"),
    ] {
        space.prun(&format!("jobs.toml {operand}")).run().code(125).stderr_has(told);
    }
    for (operand, told) in [
        ("'lines[3]'", "there is no task 3 of `lines`: it has 2 tasks"),
        ("'lines[x]'", "`lines` has no task with the item `x`; it has 2 tasks"),
    ] {
        let ended = space.prun(&format!("jobs.toml {operand}")).run();
        ended.stderr_has(told).check(!ended.status.success(), "it is an error");
    }
    assert!(!space.exists("ran"), "nothing has run");
}

#[test]
fn an_item_with_a_slash_is_no_file() {
    let space = Space::new();
    let toml = "[jobs.lint]\neach = [\"src/a.c\", \"src/b.toml\"]\ncommand = \"echo {}\"";
    space.file(toml).run().ok();
    space.prun("'lint[src/a.c]'").run().ok().stdout("src/a.c\n");
    space.prun("'lint[src/b.toml]'").run().ok().stdout("src/b.toml\n");
}

#[test]
fn the_report_offers_the_line_that_runs_the_task_again() {
    let space = Space::new();
    let toml = r#"
        [vars]
        to = "here"
        [jobs.test]
        each = ["a", "b"]
        command = "true"
        [jobs.deploy]
        each.job = "test"
        env.SECRET = "hush"
        command = ["sh", "-c", 'echo "$SECRET" "$@"; test -e fixed', "-", "{}", "{to}", "{args}"]
        [jobs.one]
        command = "false"
    "#;
    space.write("my jobs.toml", toml);
    let ended = space.prun("-D 'to=a b' './my jobs.toml' 'deploy[2]' -- x 'y z'").run();
    let line = "prun -D 'to=a b' './my jobs.toml' 'deploy[2]' -- x 'y z'";
    ended.code(1).stdout("hush b a b x y z\n").stderr_has(&format!("rerun   {line}\n")).stderr_lacks("hush");
    for shell in ["dash", "bash", "zsh", "fish"] {
        let again = space.sh(&format!("{shell} -c \"$LINE\"")).env("LINE", line).run();
        again.code(1).stdout("hush b a b x y z\n");
    }
    space.prun("'./my jobs.toml' one").run().code(1).stderr_has("rerun   prun './my jobs.toml' one\n");
    let ended = space.prun("--no-deps './my jobs.toml' 'deploy[a]'").run();
    ended.stderr_has("rerun   prun --no-deps './my jobs.toml' 'deploy[1]'\n");
    space.write("fixed", "");
    space.sh(line).run().ok();
}

#[test]
fn a_task_that_no_command_line_names_is_offered_as_a_shell_line() {
    let space = Space::new();
    space.write("jobs.toml", "[jobs.s]\neach.lines = \"-\"\nenv.PW = \"hush\"\ncommand = \"false {}\"");
    let ended = space.prun("jobs.toml").stdin("a b\n").run();
    ended.code(1).stderr_has("rerun   false 'a b'\n").stderr_lacks("hush").stderr_has("without PW");
}

#[test]
fn a_named_task_is_in_the_journal_of_all() {
    let space = Space::new();
    let toml = r#"
        [jobs.j]
        each = ["a", "b", "b", "c"]
        command = "echo {}"
    "#;
    space.write("jobs.toml", toml);
    space.prun("--journal j jobs.toml 'j[3]'").run().ok().stdout("b\n");
    let ended = space.prun("--journal j --resume jobs.toml").run();
    ended.code(0).stdout_sorted(&["a", "b", "c"]);
    space.prun("--journal j --resume jobs.toml 'j[3]'").run().code(0).stdout("");
}

#[test]
fn hooks_halt_and_order_hold_for_named_tasks() {
    let space = Space::new();
    let toml = r#"
        run.halt = "now,fail=1"
        run.keep_order = true
        run.on_exit = "touch end"
        [jobs.j]
        each.seq = [1, 5000]
        pool = 2
        on_success = ["sh", "-c", "echo $PRUN_OUTCOME {#} >>hooks"]
        stdout = { file = "log", show = true }
        command = "echo {}"
    "#;
    space.write("jobs.toml", toml).write("log", "before\n");
    space.prun("jobs.toml 'j[4000]' 'j[7]' 'j[3]'").run().ok().stdout("3\n7\n4000\n");
    assert_eq!(space.read("hooks").lines().count(), 3);
    assert!(space.exists("end"), "hooks of the run belong to every selection");
    // The lines of the other tasks are kept.
    assert_eq!(space.read("log"), "before\n3\n7\n4000\n");
}

#[test]
fn partners_stay_and_needs_do_not() {
    let space = Space::new();
    let toml = r#"
        [jobs.up]
        daemon = true
        command = "sleep 100"
        ready.after = "10ms"
        [jobs.write]
        after = ["up"]
        script = "touch up-ran; echo a; echo b"
        stdout.queue = "q"
        [jobs.read]
        each.queue = "q"
        command = "echo got {}"
        [jobs.next]
        each.job = "read"
        command = "echo next {}"
    "#;
    space.write("jobs.toml", toml);
    runs(&space, "--no-deps 'read[2]'", &["got b"]);
    space.prun("--no-deps jobs.toml next").run().code(125).stderr_has("the items of `next` would never come");
    runs(&space, "'next[2]'", &["got b", "next b"]);
    let list = space.prun("--list jobs.toml 'read[2]'").run();
    list.ok().stdout("read\n");
}
