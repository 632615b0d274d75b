//! `bench/run --smoke`: the measurements run through, whatever they say.

use std::path::Path;
use std::process::{Command, Output};

use crate::space::Space;

/// Runs the script in a space, with prun as built for the tests. Its programs are found in the space first.
fn bench(space: &Space, args: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/run");
    let path = format!("{}:{}", space.path("").display(), std::env::var("PATH").unwrap_or_default());
    Command::new("python3")
        .arg(script)
        .args(args)
        .env("PRUN", env!("CARGO_BIN_EXE_prun"))
        .env("PATH", path)
        .env("TMPDIR", space.path(""))
        .output()
        .expect("python3 is there")
}

fn stdout(run: &Output) -> String {
    String::from_utf8_lossy(&run.stdout).into_owned()
}

/// Returns the names of all sections.
fn sections() -> Vec<&'static str> {
    let table = include_str!("../../bench/sections/__init__.py").split("ALL = {").nth(1).expect("the table");
    table.lines().filter_map(|line| line.trim().strip_prefix('"')?.split('"').next()).collect()
}

#[test]
fn sections_run_one_after_the_other() {
    let space = Space::new();
    let names = ["start", "one", "group", "pipe", "queue", "journal"];
    let run = bench(&space, &[&["--smoke"], &names[..]].concat());
    let told = stdout(&run);
    assert!(run.status.success(), "{told}\n{}", String::from_utf8_lossy(&run.stderr));
    for name in names {
        assert!(told.contains(&format!("\n{name}: ")), "{name}:\n{told}");
    }
    assert!(told.contains("\ngoals missed: ") && told.contains("\nfailed: none\n"), "{told}");
    let left = std::fs::read_dir(space.path("")).expect("the space is there").count();
    assert_eq!(left, 0, "no temporary folder is left");
}

#[test]
fn a_peer_that_fails_does_not_end_the_rest() {
    let space = Space::new();
    space.program("xargs", "#!/bin/sh\necho broken >&2\nexit 3\n");
    let run = bench(&space, &["--smoke", "start", "one"]);
    let told = stdout(&run);
    assert_eq!(run.status.code(), Some(1), "{told}\n{}", String::from_utf8_lossy(&run.stderr));
    let failed = |line: &str| line.starts_with("  xargs -P2 -n1 (no capture) ") && line.contains("failed: ");
    assert!(told.lines().any(failed), "{told}");
    assert!(told.contains("status 3: broken") && told.contains("\none: "), "{told}");
    let measured = |line: &str| line.trim_start().starts_with("C loop that captures") && line.contains('≥');
    assert!(told.lines().any(measured), "{told}");
}

#[test]
fn the_list_names_each_section_and_goals() {
    let space = Space::new();
    let run = bench(&space, &["--list"]);
    let told = stdout(&run);
    assert!(run.status.success(), "{told}\n{}", String::from_utf8_lossy(&run.stderr));
    assert!(sections().len() > 10, "{:?}", sections());
    for name in sections() {
        assert!(told.lines().any(|line| line.starts_with(&format!("{name}: "))), "{name}:\n{told}");
    }
    let xargs = told.lines().find(|line| line.contains("xargs -P2 -n1")).expect("the row is there");
    assert!(xargs.contains("≥ 1.2 "), "{xargs}");
}

#[test]
fn cpus_that_may_not_be_used_are_refused() {
    let run = bench(&Space::new(), &["--pin", "99999", "start"]);
    assert_eq!(run.status.code(), Some(2));
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(told.contains("--pin") && told.contains("99999"), "{told}");
}
