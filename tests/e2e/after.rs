//! `after`: jobs that wait for other jobs, and jobs that are skipped.

use crate::space::Space;

#[test]
fn success_failure_and_exit() {
    let space = Space::new();
    let toml = r#"
        run.pool = 1
        [jobs.good]
        command = "echo good"
        [jobs.bad]
        script = "exit 4"
        [jobs.when-good]
        command = "echo when-good"
        after = ["good"]
        [jobs.when-bad]
        command = "echo when-bad"
        after = { bad = "failure" }
        [jobs.whatever]
        command = "echo whatever"
        after = { bad = "exit", good = "exit" }
        [jobs.never]
        command = "echo never"
        after = { bad = "success", good = "success" }
        [jobs.nor]
        command = "echo nor"
        after = { good = "failure" }
    "#;
    let ended = space.file(toml).run();
    ended.code(4).stdout_sorted(&["good", "when-good", "when-bad", "whatever"]);
    ended.stderr_has("never").stderr_has("skipped");
}

#[test]
fn order_is_kept() {
    let space = Space::new();
    let toml = r#"
        [jobs.last]
        command = "cat log"
        after = ["middle"]
        [jobs.middle]
        each.seq = [1, 3]
        pool = 1
        script = "echo m{} >>log"
        after = ["first"]
        [jobs.first]
        each.seq = [1, 3]
        pool = 1
        script = "echo f{} >>log"
    "#;
    space.file(toml).run().ok().stdout("f1\nf2\nf3\nm1\nm2\nm3\n");
}

#[test]
fn skipping_goes_on_and_is_no_failure() {
    let space = Space::new();
    let toml = r#"
        [jobs.a]
        script = "exit 4"
        [jobs.b]
        command = "echo b"
        after = ["a"]
        [jobs.c]
        command = "echo c"
        after = ["b"]
        [jobs.d]
        command = "echo d"
        after = { b = "exit" }
        [jobs.e]
        command = "echo e"
        after = { b = "failure" }
        [jobs.free]
        command = "echo free"
    "#;
    space.write("prun.toml", toml);
    let ended = space.prun("").run();
    // `failure` also holds where a job was skipped because of a failure.
    ended.code(4).stdout_sorted(&["d", "e", "free"]);
    space.prun("--status count").run().code(1);
}

#[test]
fn one_failed_task_fails_the_job() {
    let space = Space::new();
    let toml = r#"
        [jobs.a]
        each = [0, 5, 0]
        script = "exit {}"
        [jobs.ok]
        command = "echo ok"
        after = ["a"]
        [jobs.failed]
        command = "echo failed"
        after = { a = "failure" }
    "#;
    space.file(toml).run().code(5).stdout("failed\n");
}

#[test]
fn items_of_files_are_read_when_the_time_has_come() {
    let space = Space::new();
    let toml = r#"
        [jobs.make]
        script = "seq 3 >list; touch a.part b.part; printf 'n,v\n1,x\n' >t.csv"
        [jobs.lines]
        each.lines = "list"
        command = "echo line {}"
        after = ["make"]
        [jobs.glob]
        each.glob = "*.part"
        command = "echo part {.}"
        after = ["make"]
        [jobs.csv]
        each.csv = "t.csv"
        command = "echo csv {n} {v}"
        after = ["make"]
    "#;
    let ended = space.file(toml).run();
    ended.ok().stdout_sorted(&["line 1", "line 2", "line 3", "part a", "part b", "csv 1 x"]);
}

#[test]
fn a_job_without_items_is_ok() {
    let space = Space::new();
    let toml = r#"
        [jobs.none]
        each.glob = "*.nothing"
        command = "echo {}"
        [jobs.next]
        command = "echo next"
        after = ["none"]
    "#;
    space.file(toml).run().code(0).stdout("next\n");
}

#[test]
fn after_a_pipe() {
    let space = Space::new();
    let toml = r#"
        [jobs.make]
        script = "echo made; exit 3"
        [jobs.take]
        command = "cat"
        stdin.pipe = "make"
        [jobs.after-make]
        command = "echo failed"
        after = { make = "failure" }
        [jobs.after-take]
        command = "echo took"
        after = { take = "exit" }
    "#;
    space.file(toml).run().code(3).stdout_has("made\n").stdout_has("failed\n").stdout_has("took\n");
}

#[test]
fn a_skip_names_the_job_and_not_its_stage() {
    let space = Space::new();
    let toml =
        "[jobs.count]\npipeline = ['echo x', 'false']\n[jobs.next]\ncommand = 'true'\nafter = ['count']\n";
    space.file(toml).run().code(1).stderr_has("skipped: next: `count` failed\n");
}

#[test]
fn who_comes_after_finds_the_files_complete() {
    let space = Space::new();
    let toml = "[jobs.write]\nrepeat = 40\nstdout.file = 'all'\ncommand = 'head -c 1000000 /dev/zero'\n\
                [jobs.read]\nafter = ['write']\nscript = 'wc -c < all'\n";
    space.file(toml).run().ok().stdout("40000000\n");
}
