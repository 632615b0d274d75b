//! Manual pages and completions: the files that are checked in are those that the code generates, and other
//! programs can read them.
//!
//! `PRUN_WRITE_DOCS=1 cargo test --test docs` writes them anew.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use prun::cli::exec;
use prun::jobfile;
use prun::plan::build::{BuildOptions, build};

const PAGES: [&str; 7] = [
    "man/prun.1",
    "man/prun-exec.1",
    "man/prun-check.1",
    "man/prun-graph.1",
    "man/prun-report.1",
    "man/prun-migrating.7",
    "man/prun.toml.5",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a tool of the system on a file. Panics if the tool is missing, because skipping would hide mistakes.
fn tool(program: &str, args: &[&str], file: &Path) -> Output {
    let result = Command::new(program).args(args).arg(file).output();
    result.unwrap_or_else(|why| panic!("this test needs `{program}`, which scripts/test installs: {why}"))
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn what_is_checked_in_is_up_to_date() {
    let write = std::env::var_os("PRUN_WRITE_DOCS").is_some();
    for (path, text) in prun::cli::docs::files() {
        let file = root().join(path);
        if write {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, &text).unwrap();
        }
        let found = fs::read_to_string(&file).unwrap_or_default();
        let line = found.lines().zip(text.lines()).take_while(|(found, made)| found == made).count() + 1;
        assert!(
            found == text,
            "{path} is out of date from line {line} on: run PRUN_WRITE_DOCS=1 cargo test --test docs"
        );
    }
}

#[test]
fn mandoc_has_nothing_to_say_about_the_manual() {
    for page in PAGES {
        let output = tool("mandoc", &["-T", "lint", "-W", "style"], &root().join(page));
        assert!(output.status.success() && said(&output).is_empty(), "{page}:\n{}", said(&output));
    }
}

#[test]
fn the_manual_can_be_read_in_80_columns() {
    for page in PAGES {
        let output = tool("mandoc", &["-T", "ascii", "-O", "width=78"], &root().join(page));
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("D\u{8}DE\u{8}ES\u{8}SC\u{8}CR"), "no description in {page}:\n{text}");
        assert!(!text.contains('`'), "a backquote of {page} was not turned into bold:\n{text}");
    }
}

#[test]
fn shells_can_read_the_completions() {
    for (shell, file) in [("bash", "prun.bash"), ("zsh", "_prun"), ("fish", "prun.fish")] {
        let output = tool(shell, &["-n"], &root().join("completions").join(file));
        assert!(output.status.success() && said(&output).is_empty(), "{file}:\n{}", said(&output));
    }
}

/// Returns every text between a line `from` and the next line `to`.
fn between<'a>(text: &'a str, from: &str, to: &str) -> Vec<&'a str> {
    let (from, to) = (format!("\n{from}\n"), format!("\n{to}\n"));
    text.split(&from).skip(1).map(|rest| &rest[..rest.find(&to).unwrap()]).collect()
}

#[test]
fn the_files_that_are_shown_are_right() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let (readme, manual) = (read("README.md"), read("man/prun.toml.5"));
    let mut examples: Vec<String> =
        between(&readme, "```toml", "```").into_iter().map(String::from).collect();
    let unescaped = |text: &str| text.replace("\\-", "-").replace("\\e", "\\");
    examples.extend(between(&manual, ".EX", ".EE").into_iter().map(unescaped));
    let page = read("man/prun.1");
    examples.extend(
        between(&page, ".EX", ".EE").into_iter().filter(|text| text.contains("[run]")).map(unescaped),
    );
    let (jobs, configs): (Vec<_>, Vec<_>) = examples.iter().partition(|text| text.contains("[jobs."));
    assert!(jobs.len() >= 7 && configs.len() == 2, "{} and {}", jobs.len(), configs.len());
    for text in configs {
        assert!(jobfile::parse_config("config.toml", text.as_bytes()).is_ok(), "{text}");
    }
    for text in jobs {
        let options =
            BuildOptions { file_name: "example.toml".into(), base: root(), cpus: 2, ..Default::default() };
        let plan = jobfile::parse("example.toml", text.as_bytes()).and_then(|file| build(&file, &options));
        assert!(plan.is_ok_and(|plan| !plan.jobs.is_empty()), "{text}");
    }
}

#[test]
fn what_the_readme_points_at_exists() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for path in
        ["man/", "completions/", "jobfiles/", "src/lib.rs", "bench/", "scripts/test", "jobfiles/tour.toml"]
    {
        assert!(readme.contains(path) && root().join(path).exists(), "{path}");
    }
}

/// Returns the `prun exec` lines of the examples: shell blocks of the README, `.EX` of the manuals.
fn example_lines() -> Vec<String> {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let readme = read("README.md");
    let mut blocks: Vec<String> = between(&readme, "```sh", "```").into_iter().map(String::from).collect();
    for page in ["man/prun-exec.1", "man/prun-migrating.7"] {
        let text = read(page);
        let plain = |block: &str| {
            let block = block.replace("\\-", "-").replace("\\(aq", "'").replace("\\(dq", "\"");
            block.replace("\\e\n", "").replace("\\e", "\\")
        };
        blocks.extend(between(&text, ".EX", ".EE").into_iter().map(plain));
    }
    let lines = blocks.iter().flat_map(|block| block.lines());
    lines.filter_map(|line| Some(line[line.find("prun exec ")?..].to_owned())).collect()
}

#[test]
fn the_lines_that_are_shown_can_be_typed() {
    let lines = example_lines();
    assert!(lines.len() > 30, "{lines:#?}");
    for line in lines {
        let words = shlex::split(&line).expect("quotes are closed").into_iter().skip(1);
        // Up to where the shell goes on; a sign of its own was quoted.
        let shell =
            |word: &String| word.starts_with(['<', '>']) && word.len() > 1 || word.starts_with(['|', '#']);
        let ours = words.take_while(|word| !shell(word));
        let ours: Vec<OsString> = ours.skip(1).map(OsString::from).collect();
        assert!(exec::typed(&ours).is_ok(), "{line}: {:?}", exec::typed(&ours).err());
    }
}
