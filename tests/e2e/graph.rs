//! `prun graph`: the drawing for people, and the formats for other programs.

use crate::space::Space;

const BUILD: &str = r#"
[jobs.build]
command = "make"

[jobs.test]
command = "make test"
each = ["a", "b", "c"]
after = ["build"]

[jobs.lint]
command = "make lint"
after = ["build"]

[jobs.format]
command = "make format"
after = ["build"]

[jobs.package]
command = "make package"
after = ["build", "test", "lint", "format"]

[jobs.tell]
command = "mail"
after = { package = "failure" }

[jobs.alone]
command = "date"
"#;

#[test]
fn a_build() {
    let space = Space::new();
    space.write("prun.toml", BUILD);
    space.prun("graph").run().code(0).quiet().stdout(
        "\
○ build
● test ×3, lint, format
● package
● tell (on failure)
○ alone
",
    );
    space.prun("graph test").run().code(0).stdout("○ build\n● test ×3\n");
    space.prun("graph ./prun.toml tset").run().code(125).stderr_has("did you mean `test`?");
    space.prun("graph").env("LC_ALL", "C").run().code(0).stdout(
        "\
o build
* test x3, lint, format
* package
* tell (on failure)
o alone
",
    );
}

#[test]
fn what_joins_jobs() {
    let space = Space::new();
    let file = r#"
[jobs.fetch]
command = "x"
each.lines = "urls"
stdout.queue = "pages"

[jobs.split]
command = "x"
each.queue = "pages"
stdout.queue = "words"

[jobs.sort]
command = "x"
stdin.queue = "words"

[jobs.count]
command = "x"
stdin.pipe = "sort"

[jobs.keep]
command = "x"
stdin.queue = "words"
daemon = true

[jobs.one]
command = "x"
repeat = 10

[jobs.left]
command = "x"
stdin.pipe = "right"

[jobs.right]
command = "x"
stdin.pipe = "left"

[jobs.align]
command = "x"
each.seq = [1, 5]

[jobs.view]
command = "x {}"
each.job = "align"
"#;
    space.prun("graph -").stdin(file).run().code(0).stdout(
        "\
○ fetch ×? ─▶ pages
● pages ─▶ split ×? ─▶ words
├─● words ─▶ sort | count
╰─● words ─▶ keep (daemon)
○ one ×10, left ⇄ right
○ align ×5
● view ×5 (item by item)
",
    );
}

/// A job file of fifty jobs, shaped like the continuous integration of a real project.
fn large() -> String {
    let mut file = "[jobs.checkout]\ncommand = \"x\"\n".to_owned();
    let mut job = |name: &str, after: &[&str]| {
        let after: Vec<String> = after.iter().map(|name| format!("{name:?}")).collect();
        file += &format!("[jobs.{name}]\ncommand = \"x\"\nafter = [{}]\n", after.join(", "));
    };
    for system in ["linux", "macos", "windows", "freebsd", "android", "wasm"] {
        let name = |step: &str| format!("{step}-{system}");
        job(&name("toolchain"), &["checkout"]);
        job(&name("build"), &[&name("toolchain")]);
        job(&name("unit"), &[&name("build")]);
        job(&name("integration"), &[&name("build")]);
        job(&name("bench"), &[&name("build"), &name("unit")]);
        job(&name("package"), &[&name("unit"), &name("integration"), "license"]);
        job(&name("upload"), &[&name("package"), "approve"]);
    }
    for name in ["lint", "format", "docs", "license", "audit"] {
        job(name, &["checkout"]);
    }
    job("approve", &["lint", "format", "audit", "docs"]);
    job("announce", &["upload-linux", "upload-macos", "upload-windows"]);
    file
}

#[test]
fn fifty_jobs_fit_a_screen() {
    let file = large();
    assert_eq!(file.matches("[jobs.").count(), 50);
    let ended = Space::new().prun("graph -").stdin(file.clone()).run();
    ended.code(0);
    let widest = ended.lines().iter().map(|line| line.chars().count()).max();
    ended.check(ended.lines().len() <= 50 && widest <= Some(80), "50 lines of 80 columns");
    // Every job is there, once.
    for name in file.lines().filter_map(|line| line.strip_prefix("[jobs.")?.strip_suffix(']')) {
        let words = ended.stdout.split([' ', '\n', ',']).filter(|word| *word == name).count();
        ended.check(words == 1, name);
    }
    let again = Space::new().prun("graph -").stdin(file).run();
    assert_eq!(again.stdout, ended.stdout);
}

#[test]
fn a_row_that_is_too_long_goes_on_below() {
    let mut file = "[jobs.first]\ncommand = \"x\"\n[jobs.last]\ncommand = \"x\"\nafter = [\"first\"]\n[jobs.end]\ncommand = \"x\"\nafter = [\"last\"]\n".to_owned();
    for n in 0..500 {
        file +=
            &format!("[jobs.job-with-a-long-name-{n}]\ncommand = \"x\"\nafter = {{ first = \"exit\" }}\n");
    }
    let ended = Space::new().prun("graph -").stdin(file).run();
    ended.code(0).stdout_has(" more (on exit)\n").stdout_has("\n│ ");
    ended.check(ended.lines().len() < 10, "only the first of them are named");
}

#[test]
fn other_programs_can_read_it() {
    let space = Space::new();
    space.write("prun.toml", BUILD);
    let dot = space.prun("graph --format dot").run();
    dot.code(0).stdout_has("n0 [label=\"build\"];\n").stdout_has("  n0 -> n4;\n");
    dot.stdout_has("  n4 -> n5 [label=\"failure\"];\n");
    let mermaid = space.prun("graph --format=mermaid").run();
    mermaid.code(0).stdout_has("  n1[\"test ×3\"]\n").stdout_has("  n4 -->|failure| n5\n");
    space.prun("graph --format svg").run().code(125).stderr_has("expected `text`, `dot` or `mermaid`");
    // Where Graphviz is, it says what it thinks of it.
    let drawn =
        space.sh("command -v dot || exit 0; prun graph --format dot | dot -Tsvg | grep -q '<svg'").run();
    drawn.code(0).quiet();
}

#[test]
fn nothing_is_run_and_mistakes_are_told() {
    let space = Space::new();
    space.prun("graph").run().code(125).stderr_has("there is no job file ./prun.toml");
    let wrong = space.prun("graph -").stdin("[jobs.a]\ncommand = \"x\"\nafter = [\"a\"]\n").run();
    wrong.code(125).stdout("").stderr_has("error: job `a` waits for itself\n");
    space.prun("graph -").stdin("[jobs.a]\nscript = \"touch ran\"\n").run().code(0).stdout("○ a\n");
    assert!(!space.exists("ran"));
}

#[test]
fn colours_only_on_a_terminal() {
    let space = Space::new();
    space.write("prun.toml", BUILD);
    let plain = space.prun("graph").run();
    plain.check(!plain.stdout.contains('\u{1b}'), "no colours in a pipe");
    let coloured = space.prun("graph --color always").run();
    coloured.stdout_has("\u{1b}[");
    let without =
        regex::Regex::new("\u{1b}\\[[0-9;]*m").unwrap().replace_all(&coloured.stdout, "").into_owned();
    assert_eq!(without, plain.stdout);
}
