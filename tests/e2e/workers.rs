//! Workers, processes that take one task after another: their input and their answers.

use std::collections::BTreeMap;

use crate::space::Space;

/// A worker that adds its pid to each answer.
const WHO: &str = r#"script = 'while read -r n; do echo "$n $$"; done'"#;

/// Returns how many tasks each process answered, most first.
fn shares(lines: &[&str]) -> Vec<usize> {
    let mut shares = BTreeMap::<&str, usize>::new();
    for line in lines {
        let (_, process) = line.split_once(' ').expect("a task and a process");
        *shares.entry(process).or_default() += 1;
    }
    let mut shares: Vec<usize> = shares.into_values().collect();
    shares.sort_unstable_by(|a, b| b.cmp(a));
    shares
}

// ---- answers ---------------------------------------------------------------------------------------------

#[test]
fn processes_are_used_again() {
    let space = Space::new();
    let ended = space.file(&format!("[jobs.w]\neach.seq = [1, 50]\npool = 2\nworker = true\n{WHO}")).run();
    ended.ok();
    assert_eq!(ended.lines().len(), 50);
    assert!(shares(&ended.lines()).len() <= 2, "{:?}", ended.lines());
}

#[test]
fn answers_come_in_the_order_of_items_if_that_is_wanted() {
    let space = Space::new();
    let toml = r#"
        [jobs.w]
        each.seq = [1, 200]
        pool = 3
        worker.ahead = 4
        keep_order = true
        tag = "{}:"
        script = 'while read -r n; do echo "$((n * n))"; done'
    "#;
    let wanted: String = (1..=200).map(|n| format!("{n}:\t{}\n", n * n)).collect();
    space.file(toml).run().ok().stdout(&wanted);
}

#[test]
fn an_answer_may_end_with_nul_or_before_a_line_that_is_dropped() {
    let space = Space::new();
    let nul = r#"-j1 --worker=reply=nul -c 'while read -r n; do printf "%s\n%s\0" "$n" "$n"; done' ::: a b"#;
    space.exec(nul).run().ok().stdout("a\na\0b\nb\0");
    let until =
        r#"-j1 --worker='reply=until:^\.$' -c 'while read -r n; do printf "%s\n-\n.\n" "$n"; done' ::: a b"#;
    space.exec(until).run().ok().stdout("a\n-\nb\n-\n");
}

#[test]
fn an_answer_that_is_a_failure_is_final() {
    let space = Space::new();
    let toml = r#"
        [jobs.w]
        each.seq = [1, 4]
        pool = 1
        retries = 5
        worker.fail = "^error"
        script = 'while read -r n; do echo "$n" >>log; test $n = 2 && echo "error: $n" || echo "$n"; done'
    "#;
    let ended = space.file(toml).run();
    ended.code(1).stdout("1\nerror: 2\n3\n4\n");
    ended.stderr_has("w[2] ").stderr_has("its worker answered `error: 2`").stderr_has("3 ok, 1 failed");
    assert_eq!(space.read("log"), "1\n2\n3\n4\n");
}

#[test]
fn answers_go_to_files_and_hooks() {
    let space = Space::new();
    let toml = r#"
        [jobs.w]
        each = ["a", "b", "bad"]
        pool = 1
        worker.fail = "bad"
        stdout = { file = "{}.txt" }
        script = 'while read -r n; do echo "<$n>"; done'
        on_success = { script = "sed 's/^/ok: /'; echo $PRUN_SEQ $PRUN_OUTCOME" }
        on_failure = { script = "sed 's/^/not: /'; echo $PRUN_SEQ $PRUN_OUTCOME" }
    "#;
    let ended = space.file(toml).run();
    ended.code(1).stdout_sorted(&["ok: <a>", "1 ok", "ok: <b>", "2 ok", "not: <bad>", "3 failed"]);
    assert_eq!(["a.txt", "b.txt", "bad.txt"].map(|name| space.read(name)), ["<a>\n", "<b>\n", "<bad>\n"]);
}

#[test]
fn one_file_for_all_answers() {
    let space = Space::new();
    let toml = r#"
        [jobs.w]
        each.seq = [1, 100]
        worker.ahead = 8
        stdout = { file = "all", show = true }
        script = 'while read -r n; do echo "$n"; done'
    "#;
    let ended = space.file(toml).run();
    ended.ok();
    assert_eq!(space.read("all").lines().collect::<Vec<_>>(), ended.lines());
    assert_eq!(ended.lines().len(), 100);
}

#[test]
fn rows_and_texts() {
    let space = Space::new();
    let rows = r#"
        [jobs.w]
        each = [["a b", 1], ["c", 2]]
        pool = 1
        worker = true
        script = 'while read -r row; do echo "[$row]"; done'
    "#;
    space.file(rows).run().ok().stdout("[a b\t1]\n[c\t2]\n");
    let text = r#"
        [jobs.w]
        each = ["a\nb", "c"]
        pool = 1
        worker.reply = "nul"
        stdin.text = "{#}={}\u0000"
        command = "cat"
    "#;
    space.file(text).run().ok().stdout("1=a\nb\x002=c\x00");
}

#[test]
fn an_item_that_would_be_two_lines_is_not_given() {
    let space = Space::new();
    let toml = r#"
        [jobs.w]
        each = ["a", "b\nc", "d"]
        pool = 1
        worker.ahead = 3
        command = "cat"
    "#;
    space
        .file(toml)
        .run()
        .code(126)
        .stdout("a\nd\n")
        .stderr_has("w[2]")
        .stderr_has("its item holds a newline");
}

#[test]
fn what_a_worker_says_to_stderr_is_shown() {
    let space = Space::new();
    let script = "-j1 --worker -c 'echo hello >&2; while read -r n; do echo \"$n\"; done' ::: a";
    space.exec(script).run().code(0).stdout("a\n").stderr_has("hello\n");
}

// ---- processes -------------------------------------------------------------------------------------------

#[test]
fn a_process_is_replaced_after_its_share() {
    let space = Space::new();
    for ahead in [1, 5] {
        let worker = format!("worker = {{ max_tasks = 3, ahead = {ahead} }}");
        let ended = space.file(&format!("[jobs.w]\neach.seq = [1, 8]\npool = 1\n{worker}\n{WHO}")).run();
        ended.ok();
        assert_eq!(shares(&ended.lines()), [3, 3, 2]);
    }
}

#[test]
fn each_process_gets_the_same_first() {
    let space = Space::new();
    let toml = r#"
        [jobs.w]
        each = ["a", "b", "c"]
        pool = 1
        worker = { init = "good day\n", max_tasks = 2 }
        script = 'read -r first; while read -r n; do echo "$first $n"; done'
    "#;
    space.file(toml).run().ok().stdout("good day a\ngood day b\ngood day c\n");
}

#[test]
fn ahead_gives_more_than_one_before_an_answer() {
    let space = Space::new();
    // It answers nothing before it has read three.
    let script = "while read -r a && read -r b && read -r c; do printf '%s\\n' $a $b $c; done";
    space.program("three", format!("#!/bin/sh\n{script}\n"));
    space.exec("-j1 --worker=ahead=3 -- ./three ::: 1 2 3 4 5 6").run().ok().stdout("1\n2\n3\n4\n5\n6\n");
}

#[test]
fn environment_and_slot_are_those_of_the_process() {
    let space = Space::new();
    let script = r#"-j1 --worker -c 'while read -r n; do echo "{%} $PRUN_SLOT ${PRUN_SEQ-none} ${PRUN_ITEM-none} ${PRUN_ATTEMPT-none}"; done' ::: a"#;
    space.exec(script).run().ok().stdout("1 1 none none none\n");
}

#[test]
fn processes_are_told_as_they_start() {
    let space = Space::new();
    let toml = format!("[jobs.w]\neach = [\"a\"]\nworker = true\n{WHO}");
    space.write("w.toml", toml);
    space.prun("-v w.toml").run().code(0).stderr_has("worker 1 of w: while read");
    let ended = space.prun("--dry-run w.toml").run();
    ended.ok().stdout_has("/bin/sh -c").stdout_has("# 1 task on its stdin\n");
    assert_eq!(ended.lines().len(), 1);
}

#[test]
fn no_tasks_no_processes() {
    let space = Space::new();
    space.exec("--worker -- ./missing").run().ok().stdout("");
}
