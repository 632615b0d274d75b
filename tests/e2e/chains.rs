//! `each.job`: items that go from job to job.

use crate::space::Space;

#[test]
fn items_keep_their_columns_numbers_and_names() {
    let space = Space::new();
    let toml = r#"
        [jobs.a]
        each = [{ name = "x", n = 3 }, { name = "y", n = 4 }]
        command = "true"
        [jobs.b]
        each.job = "a"
        command = "echo {#} {name} {n}"
    "#;
    space.file(toml).run().ok().stdout_sorted(&["1 x 3", "2 y 4"]);
}

#[test]
fn each_item_goes_on_without_waiting_for_the_others() {
    let space = Space::new();
    // The second task of `a` ends only when the first one's item has come through the whole chain.
    let toml = r#"
        run.pool = 2
        [jobs.a]
        each = ["fast", "slow"]
        script = 'test {} = fast || while ! test -e fast.done; do sleep 0.01; done'
        timeout = "60s"
        [jobs.b]
        each.job = "a"
        command = "true"
        [jobs.c]
        each.job = "b"
        command = "touch {}.done"
    "#;
    space.file(toml).run().ok();
    assert!(space.exists("fast.done") && space.exists("slow.done"));
}

#[test]
fn where_a_task_failed_the_rest_of_the_chain_is_skipped() {
    let space = Space::new();
    let toml = r#"
        run.pool = 1
        [jobs.align]
        each = ["x", "y", "z"]
        script = "test {} != y"
        [jobs.sort]
        each.job = "align"
        command = "echo sort {}"
        [jobs.index]
        each.job = "sort"
        command = "echo index {}"
    "#;
    let ended = space.file(toml).run();
    ended.code(1).stdout_sorted(&["sort x", "index x", "sort z", "index z"]);
    ended.stderr_has("skipped: sort[2]: `align[2]` failed\n");
    ended.stderr_has("skipped: index[2]: `align[2]` failed\n").stderr_has("6 ok, 1 failed, 2 skipped");
}

#[test]
fn order_is_kept_over_what_was_skipped() {
    let space = Space::new();
    let toml = r#"
        run.pool = 4
        [jobs.a]
        each = [3, 2, 0, 1]
        script = "sleep 0.{}; test {} != 0"
        [jobs.b]
        each.job = "a"
        keep_order = true
        command = "echo {}"
    "#;
    space.file(toml).run().code(1).stdout("3\n2\n1\n");
}

#[test]
fn several_jobs_follow_one() {
    let space = Space::new();
    let toml = r#"
        [jobs.a]
        each.seq = [1, 3]
        command = "true"
        [jobs.b]
        each.job = "a"
        command = "echo b{}"
        [jobs.c]
        each.job = "a"
        command = "echo c{}"
    "#;
    space.file(toml).run().ok().stdout_sorted(&["b1", "b2", "b3", "c1", "c2", "c3"]);
}

#[test]
fn a_job_that_is_wanted_brings_the_one_before() {
    let space = Space::new();
    let toml = r#"
        [jobs.a]
        each.seq = [1, 2]
        command = "echo a{}"
        [jobs.b]
        each.job = "a"
        command = "echo b{}"
        [jobs.other]
        command = "echo other"
    "#;
    space.write("prun.toml", toml);
    space.prun("prun.toml b").run().ok().stdout_sorted(&["a1", "a2", "b1", "b2"]);
}

#[test]
fn a_hundred_links() {
    let space = Space::new();
    let mut toml = "[jobs.j0]\neach.seq = [1, 10]\ncommand = \"true\"\n".to_owned();
    for link in 1..100 {
        toml += &format!("[jobs.j{link}]\neach.job = \"j{}\"\ncommand = \"true\"\n", link - 1);
    }
    toml += "[jobs.last]\neach.job = \"j99\"\ncommand = \"echo {}\"\n";
    let numbers: Vec<String> = (1..11).map(|n| n.to_string()).collect();
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    space.file(&toml).run().ok().stdout_sorted(&numbers);
}

#[test]
fn a_skipped_job_has_nothing_to_pass_on() {
    let space = Space::new();
    let toml = r#"
        [jobs.bad]
        script = "exit 3"
        [jobs.a]
        after = ["bad"]
        each.seq = [1, 2]
        command = "echo a"
        [jobs.b]
        each.job = "a"
        command = "echo b"
        [jobs.c]
        after = ["b"]
        command = "echo c"
    "#;
    let ended = space.file(toml).run();
    ended.code(3).stdout("").stderr_has("skipped: b: `a` was skipped\n");
    ended.stderr_has("skipped: c: `b` was skipped\n").stderr_lacks("had no items");
}

#[test]
fn a_retried_task_passes_its_item_on_once() {
    let space = Space::new();
    let toml = r#"
        [jobs.a]
        each = ["x"]
        script = "test $PRUN_ATTEMPT = 2"
        retries = 3
        [jobs.b]
        each.job = "a"
        command = "echo {}"
    "#;
    space.file(toml).run().ok().stdout("x\n");
}

#[test]
fn a_dry_run_shows_the_whole_chain() {
    let space = Space::new();
    let toml = r#"
        [jobs.a]
        each = ["x", "y"]
        command = "echo a {}"
        [jobs.b]
        each.job = "a"
        command = "echo b {}"
    "#;
    space.write("prun.toml", toml);
    let ended = space.prun("--dry-run").run();
    ended.ok().stdout_sorted(&["echo a x", "echo a y", "echo b x", "echo b y"]);
}

#[test]
fn a_sheet_that_cannot_be_read_fails_what_follows_it() {
    let space = Space::new();
    let toml = r#"
        [jobs.a]
        each.csv = "absent.csv"
        command = "echo a"
        [jobs.b]
        each.job = "a"
        command = "echo b"
        [jobs.c]
        after = ["b"]
        command = "echo c"
    "#;
    let ended = space.file(toml).run();
    ended.code(126).stdout("").stderr_has("absent.csv").stderr_has("skipped: b: `a` failed\n");
}

#[test]
fn an_answer_of_a_worker_passes_its_item_on_and_is_what_its_hook_reads() {
    let space = Space::new();
    let toml = r#"
        [jobs.square]
        each.seq = [1, 4]
        pool = 2
        worker.fail = "^bad"
        script = 'while read -r n; do if test $n = 3; then echo bad $n; else echo $((n * n)); fi; done'
        stdout = "null"
        on_success = { script = 'echo "$PRUN_OUTCOME {}: $(cat)"' }
        on_failure = { script = 'echo "$PRUN_OUTCOME [$PRUN_EXIT] {}: $(cat)"' }
        [jobs.next]
        each.job = "square"
        command = "echo next {#} {}"
    "#;
    let ended = space.file(toml).run();
    ended.code(1).stdout_sorted(&[
        "ok 1: 1",
        "ok 2: 4",
        "failed [] 3: bad 3",
        "ok 4: 16",
        "next 1 1",
        "next 2 2",
        "next 4 4",
    ]);
    ended.stderr_has("skipped: next[3]: `square[3]` failed");
}
