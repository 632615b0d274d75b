//! `batch` in a job file: several items to one task.

use crate::meeting::Meeting;
use crate::space::Space;

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
