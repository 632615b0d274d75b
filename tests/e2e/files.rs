//! Job files: commands, items, variables, arguments and defaults; the choice of file and jobs.

use crate::space::Space;

fn prints(toml: &str, lines: &str) {
    let toml = format!("run.keep_order = true\nrun.pool = 1\n{toml}");
    Space::new().file(&toml).run().ok().stdout(lines);
}

#[test]
fn commands() {
    prints("jobs.a.command = \"printf '%s,' a 'b  c' \\\"d e\\\"\"", "a,b  c,d e,");
    prints("[jobs.a]\ncommand = ['printf', '%s,', '$HOME', 'b | c', '*']", "$HOME,b | c,*,");
    prints("[jobs.a]\nscript = 'echo a | tr a b'", "b\n");
    prints(
        "[jobs.a]\nshell = ['bash', '-euo', 'pipefail', '-c']\nscript = 'echo ${BASH_VERSION:+bash}'",
        "bash\n",
    );
    prints("[jobs.a]\nshell = ['python3', '-c']\nscript = 'print(1 + 1)'", "2\n");
}

#[test]
fn items_in_the_file() {
    prints("[jobs.a]\neach = ['x', 'y z', 3.10, 1e-3]\ncommand = 'echo'", "x\ny z\n3.10\n1e-3\n");
    prints("[jobs.a]\neach = [['a', 1], ['b', 2]]\ncommand = 'echo {2}-{1} {}'", "1-a a 1\n2-b b 2\n");
    prints("[jobs.a]\neach = [['a', 1], ['b', 2]]\ncommand = ['printf', '<%s>']", "<a><1><b><2>");
    prints(
        "[jobs.a]\neach = [{ name = 'a', n = 3 }, { n = 4, name = 'b' }]\ncommand = 'echo {name}{n}'",
        "a3\nb4\n",
    );
    prints("[jobs.a]\neach.seq = [1, 3]\ncommand = 'echo'", "1\n2\n3\n");
    prints("[jobs.a]\neach.seq = [3, -1.5, 0]\ncommand = 'echo'", "3.0\n1.5\n0.0\n");
    prints("[jobs.a]\nrepeat = 2\ncommand = 'echo {#}'", "1\n2\n");
}

#[test]
fn items_of_other_files() {
    let space = Space::new();
    space
        .write("list", "a\nb c\n")
        .write("t.csv", "name,n\n\"x, y\",1\nz,\"2\n3\"\n")
        .write("u.csv", "a;b\nc;d\n");
    space.write("photos/b.jpg", "").write("photos/deep/a.jpg", "").write("photos/c.png", "");
    let toml = r#"
        run.keep_order = true
        run.pool = 1
        [jobs.lines]
        each.lines = "list"
        command = "echo"
        [jobs.stdin]
        each.lines = "-"
        command = "echo stdin"
        [jobs.glob]
        each.glob = "photos/**/*.jpg"
        command = "echo {/.} {}"
        [jobs.csv]
        each.csv = "t.csv"
        command = "printf '%s|' {name} {n} {2}"
        [jobs.bare]
        each = { csv = "u.csv", separator = ";", header = false }
        command = "echo {2}{1}"
    "#;
    let ended = space.file(toml).stdin("from stdin\n").run();
    let glob = "b photos/b.jpg\na photos/deep/a.jpg\n";
    ended.ok().stdout(&format!("a\nb c\nstdin from stdin\n{glob}x, y|1|1|z|2\n3|2\n3|ba\ndc\n"));
}

#[test]
fn variables_and_arguments() {
    let space = Space::new();
    let toml = "vars.domain = 'python.org'\n[jobs.a]\ncommand = 'echo {domain} {domain.} {args}'\n";
    space.write("prun.toml", toml);
    space.prun("").run().ok().stdout("python.org python\n");
    space.prun("-D domain=example.net -- 'a b' c").run().ok().stdout("example.net example a b c\n");
    space.prun("-D domian=x").run().code(125).stderr_has("domain");
    let script = "vars.v = \"it's\"\n[jobs.a]\nscript = 'printf \"%s,\" {v} \"{v}\" {args}'\n";
    space.write("prun.toml", script);
    space.prun("-- 'a b'").run().ok().stdout("it's,it's,a b,");
}

#[test]
fn defaults_are_merged() {
    let toml = r#"
        [defaults]
        env = { A = "1", B = "2" }
        timeout = "10m"
        retries = 1
        [jobs.a]
        env = { B = "3" }
        script = "echo $A$B"
        [jobs.b]
        env = "none"
        script = "echo ${A:-none}$PRUN_ATTEMPT"
    "#;
    prints(toml, "13\nnone1\n");
}

#[test]
fn paths_start_at_the_file() {
    let space = Space::new();
    space.write("project/list", "x\n");
    space.write("project/jobs.toml", "[jobs.a]\neach.lines = 'list'\nscript = 'basename $(pwd); cat list'\n");
    space.prun("project/jobs.toml").run().ok().stdout("project\nx\n");
    space.sh("cd /; prun $OLDPWD/project/jobs.toml").run().ok().stdout("project\nx\n");
}

#[test]
fn which_file_and_which_jobs() {
    let space = Space::new();
    let toml = r#"
        # builds it
        [jobs.build]
        command = "echo build"
        [jobs.test]
        command = "echo test"
        after = ["build"]
        # makes something
        # of two lines
        [jobs.other]
        command = "echo other"
        [jobs.source]
        command = "echo source"
        [jobs.sink]
        command = "cat"
        stdin.pipe = "source"
    "#;
    space.write("prun.toml", toml).write("else.toml", "[jobs.e]\ncommand = 'echo else'\n");
    space.prun("test").run().ok().stdout("build\ntest\n");
    space.prun("sink").run().ok().stdout("source\n");
    space.prun("-k build other").run().ok().stdout_sorted(&["build", "other"]);
    space.prun("else.toml").run().ok().stdout("else\n");
    space.prun("run else.toml e").run().ok().stdout("else\n");
    space.prun("-").stdin("[jobs.x]\ncommand = 'echo stdin'\n").run().ok().stdout("stdin\n");
    space.prun("tset").run().code(125).stderr_has("test");
    let list = space.prun("--list").run();
    list.ok().stdout_has("build").stdout_has("builds it").stdout_has("of two lines").stdout_has("sink");
    list.check(!list.stdout.contains("else"), "only the jobs of ./prun.toml");
}

#[test]
fn a_file_can_be_a_program() {
    let space = Space::new();
    space.program("jobs", "#!/usr/bin/env -S prun\n[jobs.a]\ncommand = 'echo ran {args}'\n");
    space.sh("./jobs").run().ok().stdout("ran\n");
}

#[test]
fn keys_of_run_have_flags() {
    let space = Space::new();
    space.write(
        "prun.toml",
        "run = { pool = 1, halt = 'soon,fail=1' }\n[jobs.a]\neach = [3, 0]\nscript = 'echo {}; exit {}'\n",
    );
    space.prun("").run().code(3).stdout("3\n");
    space.prun("--halt never -k").run().code(3).stdout("3\n0\n");
    space.prun("--halt never --tag -k").run().code(3).stdout("a 3\t3\na 0\t0\n");
}

#[test]
fn a_dry_run_of_a_file() {
    let space = Space::new();
    let toml =
        "[jobs.a]\neach = ['x y']\ncommand = 'touch {}'\n[jobs.b]\ncommand = 'echo b'\nafter = ['a']\n";
    let ended = space.write("prun.toml", toml).prun("--dry-run").run();
    ended.ok().stdout_has("touch 'x y'").stdout_has("echo b");
    assert!(!space.exists("x y"));
}

#[test]
fn nothing_runs_of_a_file_with_a_mistake() {
    let space = Space::new();
    let toml = "[jobs.a]\ncommand = 'touch ran'\n[jobs.b]\ncommand = 'a | b'\ntimeot = 3\n";
    let ended = space.file(toml).run();
    ended
        .code(125)
        .stdout("")
        .stderr_has("script")
        .stderr_has("timeout")
        .stderr_has("prun.toml")
        .stderr_has("4");
    assert!(!space.exists("ran"));
}

/// Covers a `cwd` other than the folder of the files, folders that are made, and a file shared by all tasks.
#[test]
fn a_dry_run_prints_all_tasks_of_a_daemon_in_the_order_of_their_starts() {
    let space = Space::new();
    space.write(
        "d.toml",
        "[jobs.a]\ncommand = 'echo a'\n[jobs.b]\ndaemon = true\nrepeat = 6\ncommand = 'echo b {#}'\n",
    );
    let lines: String = (1..=6).map(|n| format!("echo b {n}\n")).collect();
    space.sh("prun --dry-run -j9 d.toml").run().ok().stdout(&format!("echo a\n{lines}"));
    let locks = "[jobs.b]\nlocks = ['l']\nrepeat = 2\ncommand = 'echo b'\n[jobs.c]\ncommand = 'echo c'\n";
    space.write("l.toml", locks);
    space.sh("prun --dry-run -j9 l.toml").run().ok().stdout("echo b\necho c\necho b\n");
}

#[test]
fn a_dry_run_writes_the_files_that_the_run_writes() {
    let space = Space::new();
    let toml = r#"
        [jobs.own]
        each = ["it's", "new\nline"]
        cwd = "/"
        command = "sh -c cat"
        stdin.file = "in"
        stdout.file = "out/{#}"
        [jobs.shared]
        each = [1, 2]
        command = "echo shared"
        keep_order = true
        stdout = { file = "all", show = true }
    "#;
    space.write("in", "what is read\n").write("sub/prun.toml", toml).write("sub/in", "what is read\n");
    let both = "find sub/out sub/all -type f -exec cat {} + && rm -r sub/out sub/all";
    let script = format!(
        "prun -j1 sub/prun.toml >shown && ({both}) >real &&
         prun -j1 --dry-run sub/prun.toml >lines && sh lines >again && ({both}) >copy &&
         cmp shown again && cmp real copy && cat real"
    );
    let ended = space.sh(&script).run();
    ended.code(0).stdout("what is read\nwhat is read\nshared 1\nshared 2\n");
}
