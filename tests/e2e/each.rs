//! `each`: matrix, zip, and the lines of a command; and `batch`.

use nix::sys::signal::Signal;

use crate::meeting::Meeting;
use crate::space::Space;

// ---- matrix and zip ------------------------------------------------------------------------------------------

#[test]
fn a_matrix_is_all_combinations_in_the_order_of_the_file() {
    let space = Space::new();
    let toml = r#"
        run.keep_order = true
        [jobs.m]
        each = { matrix = { z = ["a", "b"], v = [3.10, 1e-3, "x y"] } }
        command = ["printf", "%s/", "{#}", "{z}", "{v}", "{1}", "{2}", "{}\n"]
    "#;
    let lines = ["1/a/3.10/a/3.10/a 3.10", "2/a/1e-3/a/1e-3/a 1e-3", "3/a/x y/a/x y/a x y"];
    let more = ["4/b/3.10/b/3.10/b 3.10", "5/b/1e-3/b/1e-3/b 1e-3", "6/b/x y/b/x y/b x y"];
    let expected: String = lines.iter().chain(&more).map(|line| format!("{line}\n/")).collect();
    space.file(toml).run().ok().stdout(&expected);
}

#[test]
fn columns_of_a_matrix_come_from_several_kinds_of_sources() {
    let space = Space::new();
    space.write("l", "x\0y\nz").write("a.c", "").write("b.c", "");
    let toml = r#"
        run.keep_order = true
        [jobs.m]
        each.matrix = { n = { seq = [1, 2] }, l = { lines = "l", nul = true }, f = { glob = "*.c" } }
        script = 'printf "%s " {n} {l} {f/.} "$#" "$PRUN_ITEM"; echo'
    "#;
    let expected = "1 x a 3 1 x a.c \n1 x b 3 1 x b.c \n1 y\nz a 3 1 y\nz a.c \n1 y\nz b 3 1 y\nz b.c \n";
    let second = expected.replace("1 x", "2 x").replace("1 y", "2 y");
    space.file(toml).run().ok().stdout(&format!("{expected}{second}"));
}

#[test]
fn the_first_column_of_a_matrix_is_read_as_it_comes() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = r#"
        run.pool = 1
        [jobs.m]
        each.matrix = { l = { lines = "-" }, n = [1, 2] }
        command = "puppet meet={l}{n}"
    "#;
    let mut running = space.file(toml).open_stdin().start();
    running.feed(b"a\n");
    assert_eq!(meeting.guest().name, "a1");
    assert_eq!(meeting.guest().name, "a2");
    running.feed(b"b\n");
    assert_eq!(meeting.guest().name, "b1");
    running.close_stdin();
    running.end().code(0);
}

#[test]
fn a_matrix_of_ten_million_takes_no_memory() {
    let space = Space::new();
    let toml = r#"
        [jobs.m]
        each.matrix = { a = { seq = [1, 1000] }, b = { seq = [1, 1000] }, c = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] }
        command = "test {a}.{b}.{c} != 1.3.7"
        halt = "soon,fail=1"
    "#;
    space.write("prun.toml", toml);
    space.sh("puppet measure=rss prun -j2").run().code(1).stderr_has("m[28]");
    let rss: u64 = space.read("rss").trim().parse().expect("a number of KiB");
    assert!(rss < 20_000, "{rss} KiB");
}

#[test]
fn an_empty_column_makes_no_task() {
    let space = Space::new();
    let ended =
        space.file("[jobs.m]\neach.matrix = { a = [1, 2], b = [] }\ncommand = 'false {a} {b}'\n").run();
    ended.code(0).stdout("").stderr_lacks("fail");
}

#[test]
fn a_zip_goes_in_step() {
    let space = Space::new();
    space.write("l", "x\ny\n");
    let toml = r#"
        run.keep_order = true
        [jobs.z]
        each.zip = { n = { seq = [10, 20] }, w = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"] }
        command = "echo {w}{n}"
        [jobs.y]
        each.zip = { a = { lines = "l" }, b = ["1", "2"] }
        command = "echo {b}{a} {1} {2}"
    "#;
    let ended = space.file(toml).run();
    ended.ok().stdout_has("a10\nb11\n").stdout_has("k20\n").stdout_has("1x x 1\n2y y 2\n");
}

#[test]
fn columns_that_are_read_and_end_apart_fail_the_job() {
    let space = Space::new();
    space.write("two", "x\ny\n").write("three", "1\n2\n3\n");
    for (first, second, said) in [
        ("two", "three", "`a` ended after 2 values, `b` has more"),
        ("three", "two", "`b` ended after 2 values, `a` has more"),
    ] {
        let toml = format!(
            "[jobs.z]\neach.zip = {{ a = {{ lines = '{first}' }}, b = {{ lines = '{second}' }} }}\n\
             command = 'echo {{a}}{{b}}'\n[jobs.then]\nafter = ['z']\ncommand = 'echo no'\n"
        );
        let ended = space.file(&toml).run();
        ended.code(126).stderr_has(said).stderr_has("skipped: then: `z` failed");
        assert_eq!(ended.lines().len(), 2, "what was there was run");
    }
}

#[test]
fn the_tasks_of_a_matrix_go_on_to_another_job_and_are_known_again() {
    let space = Space::new();
    let toml = r#"
        [run]
        journal = "log"
        keep_order = true
        [jobs.m]
        each.matrix = { a = [1, 2], b = ["x", "y"] }
        script = "test {a}{b} != 2x || test -e go"
        [jobs.then]
        each.job = "m"
        command = "echo {b} {a}"
    "#;
    space.file(toml).run().code(1).stdout("x 1\ny 1\ny 2\n");
    space.write("go", "");
    space.prun("--resume").run().code(0).stdout("x 2\n");
}

// ---- command -------------------------------------------------------------------------------------------------

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

// ---- batch ---------------------------------------------------------------------------------------------------

#[test]
fn a_batch_is_one_task() {
    let space = Space::new();
    for (what, printed) in [
        (r#"command = ["printf", "%s;"]"#, "a b;c;d;"),
        (r#"command = ["printf", "%s;", "<{}>", "{1}", "{2}"]"#, "<a b>;<c>;a b;c;<d>;d;{2};"),
        (r#"script = 'printf "%s;" $# "$@"'"#, "2;a b;c;1;d;"),
        ("command = \"cat\"\nstdin = \"item\"", "a b\nc\nd\n"),
        (r#"command = ["printf", "%s;", "{#}", "{}"]"#, "1;a b;c;2;d;"),
    ] {
        let toml = format!("run.keep_order = true\n[jobs.j]\neach = ['a b', 'c', 'd']\nbatch = 2\n{what}\n");
        space.file(&toml).run().ok().stdout(printed);
    }
}

#[test]
fn a_batch_of_rows_and_of_a_matrix() {
    let space = Space::new();
    let toml = r#"
        [jobs.j]
        each.matrix = { a = [1, 2], b = ["x", "y"] }
        batch = 3
        command = ["printf", "%s,", "{b}{a}", "-"]
        keep_order = true
    "#;
    space.file(toml).run().ok().stdout("x1,y1,x2,-,y2,-,");
}

#[test]
fn as_many_as_fit() {
    let space = Space::new();
    // Each task gets what a command line takes: some 2 MB are a handful of tasks, not one and not thousands.
    let word = "x".repeat(1000);
    let toml = r#"
        [jobs.j]
        each.command = "seq 8000"
        command = ["sh", "-c", "echo $#", "sh", "WORD{}"]
        env.LONG = "LONG"
        batch = "fit"
    "#;
    let toml = toml.replace("WORD", &word).replace("LONG\"", &format!("{}\"", "y".repeat(100_000)));
    let ended = space.file(&toml).run();
    let counts: Vec<u64> = ended.code(0).lines().iter().map(|line| line.parse().unwrap()).collect();
    assert_eq!(counts.iter().sum::<u64>(), 8000);
    assert!((2..200).contains(&counts.len()), "{counts:?}");
}

#[test]
fn batches_of_a_queue_wait_until_they_are_full_or_it_is_dry() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = r#"
        [jobs.w]
        command = "puppet meet=writer hold"
        stdout.queue = "q"
        [jobs.j]
        each.queue = "q"
        batch = 2
        command = "echo"
        output = "line"
        pool = 1
    "#;
    let running = space.file(toml).start();
    let mut writer = meeting.guest();
    for line in ["a", "b", "c"] {
        writer.tell(&format!("line={line}"));
    }
    running.shows("a b\n");
    writer.tell("line=d");
    running.shows("a b\nc d\n");
    writer.tell("line=e");
    writer.tell("exit=0");
    running.end().ok().stdout("a b\nc d\ne\n");
}

#[test]
fn a_journal_knows_the_items_of_batches() {
    let space = Space::new();
    let toml = r#"
        run.journal = "log"
        [jobs.j]
        each.lines = "list"
        batch = BATCH
        script = 'echo "$@"; test -e go || test "$1" != c'
    "#;
    space.write("list", "a\nb\nc\nd\ne\n");
    space.file(&toml.replace("BATCH", "2")).run().code(1).stdout_sorted(&["a b", "c d", "e"]);
    space.write("go", "").write("list", "e\nd\nx\nc\nb\na\n");
    space
        .write("prun.toml", toml.replace("BATCH", "\"fit\""))
        .prun("--resume")
        .run()
        .code(0)
        .stdout("d x c\n");
}
