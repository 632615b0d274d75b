//! Hostile items, names and job files (docs/robustness.md, "Hostile input").

use crate::space::Space;

const ITEMS: [&str; 12] = [
    "$(touch PWN)",
    "`touch PWN`",
    "'; touch PWN; '",
    "\"; touch PWN; \"",
    "$HOME ${HOME} ~",
    "\\",
    "\\'\\\"",
    "-n",
    "--help",
    "",
    "two\nlines\n",
    "# * ? [a] ! & | > PWN",
];

#[test]
fn items_are_never_run() {
    for options in [
        r"-- printf '%s\0' {}",
        r#"-c "printf '%s\0' {}""#,
        r#"-c "printf '%s\0' '{}'""#,
        r#"-c 'printf "%s\0" "{}"'"#,
        r#"-c 'printf "%s\0" "$1"'"#,
        r#"-c 'printf "%s\0" "$(printf "%s." {})" | sed "s/\.\x00/\x00/g"'"#,
        r#"--shell bash 'printf "%s\0" "{}"'"#,
    ] {
        let space = Space::new();
        let bytes: String = ITEMS.iter().map(|item| format!("{item}\0")).collect();
        space.exec(&format!("-k -0 {options}")).stdin(bytes.clone()).run().ok().stdout(&bytes);
        assert!(!space.exists("PWN"), "an item was run by {options}");
    }
}

#[test]
fn items_in_job_files_are_never_run() {
    let space = Space::new();
    let toml = r#"
        run.keep_order = true
        [jobs.bare]
        each = ["$(touch PWN)", "'", '"']
        script = "printf '<%s>' {}"
        [jobs.single]
        each = ["$(touch PWN)", "'", '"']
        script = "printf '<%s>' '{}'"
        [jobs.double]
        each = ["$(touch PWN)", "'", '"']
        script = 'printf "<%s>" "{}"'
    "#;
    let ended = space.file(toml).run();
    ended.code(0);
    for item in ["<$(touch PWN)>", "<'>", "<\">"] {
        assert_eq!(ended.stdout.matches(item).count(), 3, "{item} in {}", ended.stdout);
    }
    assert!(!space.exists("PWN"));
}

#[test]
fn what_was_put_in_is_not_looked_at_again() {
    let space = Space::new();
    space.exec("-k echo {} {1} ::: '{#}' '{}'").run().ok().stdout("{#} {#}\n{} {}\n");
}

#[test]
fn escape_sequences_of_items_reach_no_message() {
    let space = Space::new();
    let item = "\x1b[31mred\x1b]0;title\x07\u{9b}2J\rback\x08";
    for options in ["", "-v", "--progress=plain", "--tag", "--retries 1"] {
        let ended = space.exec(&format!("{options} -0 -c 'exit 3'")).stdin(format!("{item}\0")).run();
        let bad = |letter: char| letter.is_control() && letter != '\n' && letter != '\t';
        ended.code(3).check(!ended.stderr.contains(bad), "no control character in what prun says");
    }
}

#[test]
fn escape_sequences_of_names_reach_no_message() {
    let space = Space::new();
    for toml in
        ["[jobs.\"\\u001b[31m\"]\ncommand = 'true'\n", "[jobs.a]\ncommand = \"\\u001b]0;x\\u0007 | y\"\n"]
    {
        space.file(toml).run().code(125).no_escapes();
    }
    // The escape byte itself, raw in the file, in a place that an error shows.
    space.file("[jobs.a]\ncommand = 'true'\n# \x1b[31m\nfoo\x1b[31m = 1\n").run().code(125).no_escapes();
}

#[test]
fn what_a_child_says_passes_but_is_harmless_in_the_report() {
    let space = Space::new();
    let toml = "[jobs.a]\nscript = 'printf \"\\033[31mred\\n\" >&2; exit 3'\nstderr.file = 'err'\n";
    space.file(toml).run().code(3).no_escapes();
    assert_eq!(space.read("err"), "\x1b[31mred\n");
}

#[test]
fn huge_and_deep_files_are_refused_with_a_message() {
    let space = Space::new();
    let script =
        "head -c 100000000 /dev/zero | tr '\\0' '#' >big.toml; exec puppet measure=rss prun big.toml";
    space.sh(script).run().code(125).stderr_has("big.toml").within(60);
    let kib: u64 = space.read("rss").parse().expect("a number");
    assert!(kib < 200 << 10, "{kib} KiB");
    for deep in ["[", "{ a = "] {
        let toml = format!("[jobs.a]\ncommand = 'true'\nenv = {}", deep.repeat(10_000));
        space.file(&toml).run().code(125).stderr_has("3").within(60);
    }
    let dotted = format!("{}b = 1\n", "a.".repeat(100_000));
    space.file(&dotted).run().code(125).within(60);
}

#[test]
fn circles_are_errors() {
    let space = Space::new();
    let toml = "[jobs.a]\ncommand = 'true'\nafter = ['b']\n[jobs.b]\ncommand = 'true'\nafter = ['a']\n";
    space.file(toml).run().code(125).stdout("").stderr_has("a").stderr_has("b").within(60);
    let toml = "[jobs.a]\ncommand = 'cat'\nstdin.pipe = 'c'\n[jobs.b]\ncommand = 'cat'\nstdin.pipe = 'a'\n\
                [jobs.c]\ncommand = 'cat'\nstdin.pipe = 'b'\n";
    space.file(toml).run().code(125).stderr_has("pipe").within(60);
}

#[test]
fn values_of_the_environment_are_never_told() {
    let space = Space::new();
    let toml = "[jobs.a]\nenv = { KEY = 'hunter2' }\nscript = 'test ${#KEY} = 7 && exit 3'\nretries = 1\n";
    space.write("prun.toml", toml);
    for options in ["", "-v", "-q", "--progress=plain"] {
        space.prun(options).run().code(3).stdout("").stderr_lacks("hunter2");
    }
    space.prun("--dry-run").run().code(0).stderr_lacks("hunter2");
    space
        .exec("--env KEY=hunter2 --env BAD=hunter2 -- ./missing ::: x")
        .run()
        .code(127)
        .stderr_lacks("hunter2");
    let wrong = "[jobs.a]\nenv = { KEY = 'hunter2' }\ncommand = 'true'\ntimeout = 'never ever'\n";
    space.file(wrong).run().code(125).stderr_lacks("hunter2");
}

#[test]
fn a_folder_for_temporary_files_that_is_not_there_is_named() {
    let space = Space::new();
    // The output of the second is held back while the first runs.
    let script = "[ {} = a ] && read -r _ <never; head -c 9000000 /dev/zero";
    space.sh("mkfifo never").run().ok();
    let ended =
        space.exec("-k -j2 -c").arg(script).arg(":::").arg("a").arg("b").env("TMPDIR", "/no/such").run();
    ended
        .code(125)
        .stderr_has("in a temporary file in `/no/such`: no such file or directory; `TMPDIR` names");
}
