//! The account of each task: elapsed time, processor time and memory.

use prun::event::Usage;
use prun::journal::Entry;

use crate::space::Space;

/// Returns the journal's entries, in the order of the file.
fn journal(space: &Space) -> Vec<Entry> {
    space.read("journal").lines().map(|line| Entry::parse(line.as_bytes()).expect("a whole line")).collect()
}

fn usage(space: &Space) -> Vec<Option<Usage>> {
    journal(space).iter().map(|entry| entry.usage).collect()
}

/// Bytes that prun itself never has resident, so that a reading above this is the task's own.
const MUCH: u64 = 48 << 20;

#[test]
fn a_task_and_what_it_waited_for() {
    for start in ["spawn", "fork"] {
        let space = Space::new();
        let script = format!("puppet hog={MUCH} work=200; true");
        let run = format!("--journal journal --start {start} -c '{script}' ::: x");
        space.exec(&run).run().ok();
        let used = usage(&space)[0].expect("it is known");
        assert!(used.memory >= MUCH && used.memory < 20 * MUCH, "{used:?}");
        assert!(used.user.as_millis() >= 150, "{used:?}");
        assert!(journal(&space)[0].elapsed.as_millis() >= 150);
    }
}

#[test]
fn the_stages_of_a_pipeline_together() {
    let space = Space::new();
    let toml = format!(
        "run.journal = 'journal'\n[jobs.p]\npipeline = ['puppet work=200', 'puppet hog={MUCH} work=200', 'cat']\n"
    );
    space.file(&toml).run().ok();
    let used = usage(&space)[0].expect("it is known");
    assert!(used.user.as_millis() >= 300 && used.memory >= MUCH, "{used:?}");
}

#[test]
fn only_the_last_attempt_counts() {
    let space = Space::new();
    let script = format!("if test $PRUN_ATTEMPT = 1; then puppet hog={MUCH}; exit 1; fi");
    space.exec(&format!("--journal journal --retries 1 -c '{script}' ::: x")).run().ok();
    let used = usage(&space)[0].expect("it is known");
    assert!(used.memory > 0 && used.memory < MUCH, "{used:?}");
}

#[test]
fn the_hook_of_a_task_is_not_the_task() {
    let space = Space::new();
    let toml = format!(
        "run.journal = 'journal'\n[jobs.a]\ncommand = 'true'\non_success = 'puppet hog={MUCH} work=300'\n"
    );
    space.file(&toml).run().ok();
    let used = usage(&space)[0].expect("it is known");
    assert!(used.memory < MUCH && used.user.as_millis() < 300, "{used:?}");
}

#[test]
fn what_had_no_process_of_its_own_has_no_account() {
    let space = Space::new();
    space.exec("--journal journal /no/such ::: x").run().code(127);
    space.exec("--journal journal --worker cat ::: y").run().ok();
    let entries = journal(&space);
    assert_eq!(entries.len(), 2);
    assert!(entries.iter().all(|entry| entry.usage.is_none()));
    assert!(!space.read("journal").contains("\"memory\""));
}

#[test]
fn it_is_told() {
    let space = Space::new();
    let ended = space.exec("-v --journal journal -k -c 'exit {}' ::: 0 3").run();
    let told = |name: &str| {
        let line = ended.stderr.lines().find(|line| line.contains(name)).unwrap_or_default();
        line.contains("user ") && line.contains("system ") && line.contains("B")
    };
    ended.code(3).check(told("[1]: ok, "), "of what is ok").check(told(": exit 3 ("), "and of what failed");
    ended.stderr_has("\n        used    user ");
    let report = space.prun("report journal").run();
    report.code(1).stdout_has("\nused      user ").stdout_has("\nbusiest ").stdout_has("\nbiggest ");
    space.prun("report --format junit journal").run().stdout_has("<property name=\"memory\" value=\"");
    space.prun("report --format trace journal").run().stdout_has("\"memory\":");
    // As GNU parallel has it: nothing more.
    let joblog = space.prun("report --format joblog journal").run();
    joblog.check(joblog.lines().iter().all(|line| line.split('\t').count() == 9), "nine columns");
    space.exec("-c 'exit {}' ::: 0").run().ok();
}
