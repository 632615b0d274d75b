//! `each.matrix` and `each.zip`: the items of a job are rows that prun puts together from several columns.

use crate::meeting::Meeting;
use crate::space::Space;

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
        after = ["z"]
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
