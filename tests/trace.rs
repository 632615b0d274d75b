//! `PRUN_TRACE`: the sample in CONTRIBUTING.md is what prun writes.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Returns the lines of the sample, as CONTRIBUTING.md has it.
fn sample() -> Vec<String> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("CONTRIBUTING.md")).unwrap();
    let section = page.split("## Follow one task").nth(1).expect("the section that has the sample");
    let block = section.split("```text\n").nth(1).and_then(|rest| rest.split("```").next());
    block.expect("a block with the sample").lines().map(str::to_owned).collect()
}

/// Runs prun with a trace in a folder of its own, and returns the lines of the trace.
fn traced(folder: &Path, args: &[&str]) -> Vec<String> {
    let trace = folder.join("trace");
    let status = Command::new(env!("CARGO_BIN_EXE_prun"))
        .args(args)
        .env("PRUN_TRACE", &trace)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
    fs::read_to_string(trace).unwrap().lines().map(str::to_owned).collect()
}

/// Splits a line into its time and the rest. Durations within the rest are taken out.
fn parts(line: &str) -> (f64, String) {
    let (time, rest) = line.split_once(' ').expect("a time, a blank, and what happened");
    let rest = match rest.split_once("elapsed: ") {
        Some((before, after)) => format!("{before}elapsed{}", &after[after.find(',').unwrap_or(0)..]),
        None => rest.to_owned(),
    };
    (time.parse().expect("seconds"), rest)
}

#[test]
fn the_sample_of_contributing_is_what_prun_writes() {
    let folder = tempfile::tempdir().unwrap();
    let lines = traced(folder.path(), &["exec", "echo", "{}", ":::", "a"]);
    let written: Vec<_> = lines.iter().map(|line| parts(line)).collect();
    assert!(written.is_sorted_by(|a, b| a.0 <= b.0), "times only grow: {lines:#?}");
    // An exit and the end of the output come in either order.
    let sorted = |lines: Vec<(f64, String)>| {
        let mut rest: Vec<String> = lines.into_iter().map(|(_, rest)| rest).collect();
        rest.sort();
        rest
    };
    let expected = sample().iter().map(|line| parts(line)).collect();
    assert_eq!(sorted(written), sorted(expected), "the trace is:\n{}", lines.join("\n"));
    assert!(lines[0].ends_with("event  Begin") && lines.last().unwrap().ends_with("action Finish"));
}

#[test]
fn a_trace_that_can_not_be_written_is_told_before_anything_runs() {
    let output = Command::new(env!("CARGO_BIN_EXE_prun"))
        .args(["exec", "echo", "{}", ":::", "a"])
        .env("PRUN_TRACE", "/no/such/folder/trace")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(output.stdout.is_empty());
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "prun: `/no/such/folder/trace`, which PRUN_TRACE names, can't be written: no such file or directory\n"
    );
}

#[test]
fn tasks_do_not_inherit_the_trace() {
    let folder = tempfile::tempdir().unwrap();
    let check = "test -z \"${PRUN_TRACE+set}\"";
    traced(folder.path(), &["exec", "sh", "-c", check, ":::", "a"]);
}
