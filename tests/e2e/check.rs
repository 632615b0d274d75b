//! `prun check`: mistakes and doubts are reported, and nothing is run.

use std::path::Path;

use crate::space::Space;

#[test]
fn every_example_is_in_order() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("jobfiles");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("the folder").flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "toml"));
    files.sort();
    let space = Space::new();
    let ended = files.iter().fold(space.prun("check"), |prun, file| prun.arg(file)).run();
    ended.ok();
    ended.check(ended.lines().len() == files.len(), "one line for each file");
    ended.check(ended.lines().iter().all(|line| line.ends_with(": ok")), "nothing but ok");
}

const GOOD: &str = "[jobs.a]\ncommand = \"true\"\n";

#[test]
fn nothing_is_run() {
    let space = Space::new();
    space.write("prun.toml", "[jobs.a]\nscript = \"touch ran\"\n");
    space.prun("check").run().code(0).stdout("prun.toml: ok\n").quiet();
    assert!(!space.exists("ran"));
}

#[test]
fn all_files_are_looked_at() {
    let space = Space::new();
    space.write("good.toml", GOOD);
    space.write(
        "wrong.toml",
        "[jobs.a]\ncomand = \"true\"\n\n[jobs.b]\ncommand = \"true\"\nafter = [\"c\"]\n",
    );
    space.write("doubtful.toml", "[vars]\nx = 1\n\n[jobs.a]\ncommand = \"there-is-no-such-program\"\n");
    let ended = space.prun("check wrong.toml missing.toml doubtful.toml good.toml").run();
    ended
        .code(125)
        .stderr_has("prun: the job file `missing.toml` can't be read: no such file or directory\n");
    ended.stdout(
        "\
error: unknown key `comand` in job `a`
 --> wrong.toml:2:1
  |
2 | comand = \"true\"
  | ^^^^^^
  |
  = help: did you mean `command`?

error: no job is called `c`
 --> wrong.toml:6:10
  |
6 | after = [\"c\"]
  |          ^^^

wrong.toml: 2 mistakes
warning: the variable `x` is never used
 --> doubtful.toml:2:1
  |
2 | x = 1
  | ^
  |
  = help: a string of a job takes it with `{x}`

warning: there is no program `there-is-no-such-program` in PATH now
 --> doubtful.toml:5:12
  |
5 | command = \"there-is-no-such-program\"
  |            ^^^^^^^^^^^^^^^^^^^^^^^^

doubtful.toml: 2 doubts
good.toml: ok
",
    );
    space.prun("check doubtful.toml good.toml").run().code(1);
    space.prun("check -q good.toml").run().code(0).stdout("");
    let quiet = space.prun("check -q doubtful.toml").run();
    quiet.code(1).check(!quiet.stdout.contains("2 doubts"), "no count");
}

#[test]
fn a_file_may_come_through_a_pipe() {
    let space = Space::new();
    space.prun("check -").stdin(GOOD).run().code(0).stdout("-: ok\n");
    space.prun("check -").stdin("[jobs.a]\n").run().code(125).stdout_has(" --> -:1:7\n");
}

#[test]
fn variables_and_arguments_are_put_in() {
    let space = Space::new();
    space.write("x.toml", "[vars]\nprogram = \"there-is-no-such-program\"\n[jobs.a]\ncommand = \"{program}\"\n[jobs.b]\ncommand = \"{args}\"\n");
    space.prun("check x.toml").run().code(1).stdout_has("no program `there-is-no-such-program` in PATH");
    space.prun("check -D program=true x.toml").run().code(0);
    space.prun("check -D porgram=true x.toml").run().code(125).stdout_has("did you mean `program`?");
}

#[test]
fn what_the_disk_has() {
    let space = Space::new();
    space.write("items", "1\n").write("data", "").program("tool", "#!/bin/sh\n").write("sub/x.jpg", "");
    let job = |keys: &str| format!("[jobs.a]\n{keys}\n");
    for (keys, told) in [
        ("command = \"./tool\"", ""),
        ("command = \"./data\"", "`./data` is not executable"),
        ("command = \"./sub\"", "`./sub` is not executable"),
        ("command = \"./other\"", "there is no program `./other` now"),
        ("command = \"../tool\"\ncwd = \"sub\"", ""),
        ("command = \"cat\"\neach.lines = \"items\"", ""),
        ("command = \"cat\"\neach.lines = \"itmes\"", "there is no file `"),
        ("command = \"cat\"\neach.glob = \"sub/*.jpg\"", ""),
        ("command = \"cat\"\neach.glob = \"*.jpg\"", "nothing matches `*.jpg` now"),
        ("command = \"cat\"\ncwd = \"items\"", "/items` is no folder"),
        ("command = \"cd sub\"\nenv.PATH = \"/\"", ""),
    ] {
        let ended = space.prun("check -").stdin(job(keys)).run();
        ended.code(i32::from(!told.is_empty())).stdout_has(told);
    }
    let shell = space.prun("check -").stdin(job("command = \"export A=1\"")).run();
    shell.code(1).stdout_has("help: `export` is a word of the shell: write `script` instead of `command`\n");
    let variable = space.prun("check -").stdin(job("command = \"A=1 make\"")).run();
    variable.code(1).stdout_has("help: a variable is set with `env = { A = \"1\" }`, or by a `script`\n");
}

#[test]
fn the_configuration_is_looked_at_too() {
    let space = Space::new();
    space.write("config/prun/config.toml", "[defaults]\nretries = \"many\"\n").write("x.toml", GOOD);
    space.prun("check x.toml").run().code(125).stderr_has("wrong type of `retries`");
    space.prun("check --no-config x.toml").run().code(0);
}

#[test]
fn colours_where_they_are_wanted() {
    let space = Space::new();
    space.write("x.toml", "[jobs.a]\n");
    let plain = space.prun("check x.toml").run();
    plain.check(!plain.stdout.contains('\u{1b}'), "no colours in a pipe");
    space.prun("check --color=always x.toml").run().stdout_has("\u{1b}[");
}

#[test]
fn a_reader_that_has_seen_enough() {
    let space = Space::new();
    space.write("x.toml", "[jobs.a]\n");
    // The pipe has no reader when prun writes to it.
    space.bash("prun check x.toml | true; echo ${PIPESTATUS[0]}").run().code(0);
    space.sh("prun check x.toml >/dev/full").run().code(125).stderr_has("cannot write to stdout");
}
