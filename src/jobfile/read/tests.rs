use std::collections::HashSet;

use super::*;
use crate::jobfile::keys;
use crate::jobfile::model::{BodySpec, EachSpec};
use proptest::prelude::*;

mod queues;

const EVERY_KEY: &str = include_str!("every_key.toml");

fn read(text: &str) -> JobFile {
    let file = parse("jobs.toml", text.as_bytes()).unwrap_or_else(|told| panic!("{told}"));
    assert!(file.mistakes.is_empty(), "{}", file.mistakes);
    file
}

#[test]
fn every_key_is_understood() {
    read(EVERY_KEY);
    let (tree, _) = DeTable::parse_recoverable(EVERY_KEY);
    let mut used = HashSet::new();
    collect(tree.get_ref(), &mut used);
    let tables = [
        keys::TOP,
        keys::RUN,
        keys::JOB,
        keys::EACH,
        keys::LIMITS,
        keys::STDIN,
        keys::OUTPUT,
        keys::STAGE,
        keys::RETRY_DELAY,
        keys::READY,
        keys::QUEUE,
        keys::RECORDS,
        keys::WORKER,
        keys::REPLY,
        keys::STEP,
    ];
    for key in tables.into_iter().flatten() {
        assert!(used.contains(key.name), "`{}` is missing in every_key.toml", key.name);
        assert!(key.doc.ends_with('.') && key.doc.matches('`').count() % 2 == 0, "doc of `{}`", key.name);
    }
}

/// A key that nothing reads would be accepted and ignored: its field in the model has a default.
#[test]
fn every_key_of_a_job_is_named_where_it_is_read() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/jobfile/read");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files =
        files.filter(|path| path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs"));
    let code: String = files.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let unread = keys::JOB.iter().filter(|key| !code.contains(&format!("\"{}\"", key.name)));
    assert_eq!(unread.map(|key| key.name).collect::<Vec<_>>(), Vec::<&str>::new());
}

fn collect(table: &DeTable, into: &mut HashSet<String>) {
    for (name, node) in table.iter() {
        into.insert(name.get_ref().to_string());
        collect_values(node.get_ref(), into);
    }
}

fn collect_values(value: &DeValue, into: &mut HashSet<String>) {
    match value {
        DeValue::Table(table) => collect(table, into),
        DeValue::Array(values) => values.iter().for_each(|value| collect_values(value.get_ref(), into)),
        _ => {}
    }
}

#[test]
fn jobs_come_in_the_order_of_the_file_with_the_comment_above() {
    let file = read(EVERY_KEY);
    let jobs: Vec<_> = file.jobs.iter().map(|job| job.name.value.as_str()).take(8).collect();
    assert_eq!(jobs, ["build", "all", "piped", "reader", "seq", "lines", "glob", "csv"]);
    assert_eq!(file.jobs[0].comment, "Builds.\n\n  Twice.");
    assert_eq!(file.jobs[1].comment, "");
    let first = "#!/usr/bin/env -S prun\n# Says hello.\njobs.hello.command = \"echo\"\n";
    assert_eq!(read(first).jobs[0].comment, "Says hello.");
}

#[test]
fn strings_know_where_they_stand() {
    let source = "[jobs.a]\ncommand = '''\necho x'''\n[jobs.b]\ncommand = \"a\\tb\"";
    let file = read(source);
    let text = |job: usize| match file.jobs[job].body.clone() {
        Some(BodySpec::Command(crate::jobfile::model::CommandSpec::Line(text))) => text,
        body => panic!("{body:?}"),
    };
    assert_eq!(&source[text(0).place(5..6)], "x");
    assert_eq!(&source[text(1).place(0..1)], "\"a\\tb\"");
}

#[test]
fn wrong_values_are_left_out_and_kept_as_mistakes() {
    let file = parse("jobs.toml", b"[jobs.a]\ncommand = \"true\"\neach = 3\ntimeout = \"x\"\n").unwrap();
    assert_eq!(file.mistakes.len(), 2);
    assert!(file.jobs[0].has_mistakes && file.jobs[0].each.is_none() && file.jobs[0].timeout.is_none());
}

#[test]
fn rows_may_differ_in_length() {
    let file = read("[jobs.a]\ncommand = \"echo\"\neach = [[\"a\"], [\"b\", 2]]");
    let Some(EachSpec::Rows { rows, names, .. }) = &file.jobs[0].each else { panic!() };
    assert_eq!((rows[1].len(), names.len()), (2, 0));
}

/// Reads and plans what may be a damaged job file; this must not panic, nor show control characters.
fn survives(bytes: &[u8]) {
    let told = match parse("jobs.toml", bytes) {
        Ok(file) => file.mistakes.render(false),
        Err(told) => {
            assert!(!told.is_empty());
            told.render(false)
        }
    };
    assert!(!told.contains(|c: char| c.is_control() && c != '\n'), "{told:?}");
}

#[test]
fn a_file_cut_anywhere_is_no_reason_to_panic() {
    for length in 0..EVERY_KEY.len() {
        survives(&EVERY_KEY.as_bytes()[..length]);
    }
}

proptest! {
    #[test]
    fn damage_is_no_reason_to_panic(places in prop::collection::vec((0..EVERY_KEY.len(), any::<u8>()), 1..4)) {
        let mut bytes = EVERY_KEY.as_bytes().to_vec();
        for (at, byte) in places {
            bytes[at] = byte;
        }
        survives(&bytes);
    }

    #[test]
    fn lines_in_any_order_are_no_reason_to_panic(order in prop::collection::vec(0..EVERY_KEY.lines().count(), 0..40)) {
        let lines: Vec<&str> = EVERY_KEY.lines().collect();
        let text: Vec<&str> = order.into_iter().map(|line| lines[line]).collect();
        survives(text.join("\n").as_bytes());
    }

    #[test]
    fn garbage_is_no_reason_to_panic(text in r#"([a-z\[\]{}=."',#\n\r\t \\0-9\x1b\u{9b}é-]|jobs|run|each|"""|''')*"#) {
        survives(text.as_bytes());
    }
}
