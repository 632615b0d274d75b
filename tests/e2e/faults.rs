//! System calls of prun that fail: the short form of `scripts/faults` (docs/robustness.md, "System calls that fail").

use std::path::Path;
use std::process::Command;

/// The status of the script where it can't trace.
const SKIPPED: i32 = 77;

/// Lets ten calls of one of the script's scenarios fail, one in each run.
#[track_caller]
fn nothing_goes_wrong_in(scenario: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/faults");
    let run = Command::new("python3")
        .arg(script)
        .args(["--short", "-j", "1", "--only", scenario, "--prun", env!("CARGO_BIN_EXE_prun")])
        .output()
        .expect("python3 is there");
    let [told, errors] = [&run.stdout, &run.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    if run.status.code() == Some(SKIPPED) {
        return eprintln!("{errors}");
    }
    assert!(run.status.success(), "{told}\n{errors}");
}

/// A test for each scenario.
macro_rules! scenarios {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                nothing_goes_wrong_in(stringify!($name));
            }
        )*

        /// No scenario of the script is left out here.
        #[test]
        fn all_scenarios_are_tried() {
            let script = include_str!("../../scripts/faults");
            let table = script.split("\nSCENARIOS = {\n").nth(1).and_then(|rest| rest.split("\n}\n").next());
            let is_name = |line: &&str| line.starts_with("    \"");
            let names = table.unwrap_or_default().lines().filter(is_name);
            let names: Vec<_> = names.filter_map(|line| line.split('"').nth(1)).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

scenarios! {
    files spill journal pipe_file pipe_stdin queue worker pipeline service results folders terminal globs
}
