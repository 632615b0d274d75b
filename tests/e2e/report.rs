//! The report: the facts that it must contain, not its wording.

use crate::running::Ended;
use crate::space::Space;

#[test]
fn success_is_silent_off_a_terminal() {
    let space = Space::new();
    space
        .file("[jobs.a]\ncommand = 'echo a'\n[jobs.b]\ncommand = 'echo b'\nafter = ['a']\n")
        .run()
        .ok()
        .stdout("a\nb\n");
}

#[test]
fn the_root_cause_comes_first() {
    let space = Space::new();
    let toml = r#"
        run.pool = 1
        [jobs.late]
        script = "echo second >&2; exit 5"
        after = { root = "exit" }
        [jobs.root]
        script = "echo the reason >&2; exit 4"
        [jobs.waits]
        command = "echo never"
        after = ["root"]
        [jobs.fine]
        command = "true"
    "#;
    // `late` stands first in the file, so its code is prun's; `root` failed first, so it is told first.
    let ended = space.file(toml).run();
    ended.code(5).stdout("").no_escapes();
    let place = |text: &str| ended.stderr.find(text).unwrap_or(usize::MAX);
    ended.check(place("exit 4") < place("exit 5"), "the first failure in time is told first");
    ended.stderr_has("the reason").stderr_has("waits").stderr_has("skipped");
    ended.stderr_has("2 failed").stderr_has("1 ok").stderr_has("1 skipped");
}

#[test]
fn a_failure_names_task_command_and_outcome() {
    let space = Space::new();
    let toml = "[jobs.fetch]\neach = ['a', 'b c']\ncommand = ['sh', '-c', 'test \"$0\" = a', '{}']\n";
    let ended = space.file(toml).run();
    ended.code(1).stderr_has("fetch[2]").stderr_has("'b c'").stderr_has("exit 1");
}

#[test]
fn every_outcome_has_its_word() {
    let space = Space::new();
    space.exec("-c 'kill -SEGV $$' ::: x").run().code(139).stderr_has("SEGV");
    space.exec("--timeout 200ms -c 'exec sleep 600' ::: x").run().code(124).stderr_has("timeout");
    space.exec("-c 'exit 124' ::: x").run().code(124).stderr_has("exit 124").stderr_lacks("timeout");
    space.exec("-c 'exit 137' ::: x").run().code(137).stderr_has("exit 137").stderr_lacks("KILL");
    space.exec("./missing ::: x").run().code(127).stderr_has("./missing");
}

#[test]
fn a_failure_is_told_as_it_happens() {
    let space = Space::new();
    let meeting = crate::meeting::Meeting::open(&space);
    let running = space.exec("-j2 -- puppet meet={} hold ::: a b").start();
    let mut guests = meeting.guests(2);
    guests[0].tell("exit=9");
    running.says("exit 9");
    guests[1].tell("exit=0");
    running.end().code(9);
}

#[test]
fn the_stages_of_a_pipeline_are_told() {
    let space = Space::new();
    let ended = space.file("[jobs.p]\npipeline = ['echo a', ['sh', '-c', 'cat; exit 3'], 'cat']\n").run();
    ended.code(3).stdout("a\n").stderr_has("p:2").stderr_has("exit 3");
}

#[test]
fn many_failures_are_cut_short() {
    let space = Space::new();
    let ended = space.exec("--repeat 500 --progress=none -c 'exit 3'").run();
    ended.code(3).stderr_has("500 failed");
}

#[test]
fn rerun_runs_just_that_task() {
    let space = Space::new();
    let ended = space.exec("-j1 -c 'echo ran {}; exit 3' ::: 'a b' c").run();
    let rerun = ended.code(3).stderr.lines().find_map(|line| line.trim().strip_prefix("rerun"));
    let rerun = rerun.unwrap_or_else(|| panic!("no rerun in {}", ended.stderr)).trim();
    space.sh(rerun).run().code(3).stdout("ran a b\n");
}

#[test]
fn what_is_to_be_run_again_can_be_pasted() {
    let space = Space::new();
    let ended = space
        .exec("-j1 -- sh -c 'printf %s \"$1\" >&2; exit 3' sh")
        .arg(":::")
        .arg("it's\nok\t\u{1b}\\")
        .arg("x")
        .run();
    ended.code(3);
    for shell in ["dash", "bash", "zsh"] {
        let script = format!("exec {shell} -c \"$LINE\"");
        space.sh(&script).env("LINE", &rerun(&ended)).run().code(3).stderr_has("it's\nok\t\u{1b}\\");
    }
}

/// Returns the line that the report offers to run the task again.
fn rerun(ended: &Ended) -> String {
    let (_, rest) = ended.stderr.split_once("rerun   ").expect("a rerun is told");
    let end = rest.find("\nprun: ").or(rest.find("\n          without")).expect("something follows");
    rest[..end].to_owned()
}

#[test]
fn any_item_can_be_pasted_into_any_shell() {
    let space = Space::new();
    let items =
        ["\n", "a\n\n", "\nb", "\n'\n\"$x`\\", "\u{202e}\u{200b}", "%s\\n\t", "caf\u{e9}\u{9b}", "-n"];
    for item in items {
        let line = "-j1 -c 'test -z \"$1\" || printf \"<%s>\" \"$1\" >out; false' ::: ";
        let ended = space.exec(line).arg(item).arg("").run();
        ended.code(1).stderr_lacks("$'");
        let wanted = space.read("out");
        assert_eq!(wanted, format!("<{item}>"));
        for shell in ["dash", "bash", "zsh"] {
            space.write("out", "");
            space.sh(&format!("exec {shell} -c \"$LINE\"")).env("LINE", &rerun(&ended)).run().code(1);
            assert_eq!(space.read("out"), wanted, "{shell}: {}", rerun(&ended));
        }
    }
}

#[test]
fn what_a_rerun_leaves_out_is_named() {
    let space = Space::new();
    let ended = space.exec("-j1 --env PW=hush --env 'A={}' false ::: x y").run();
    ended.code(1).stderr_has("rerun   false x\n").stderr_lacks("hush");
    ended.stderr_has("          without A, PW, which the task had in its environment\n");
    space.exec("false ::: x y").run().code(1).stderr_lacks("without");
    space.write("e.env", "TOKEN=hush\n");
    let toml = "[jobs.j]\neach.lines = \"-\"\nenv_file = \"e.env\"\ncommand = \"false {}\"";
    let ended = space.file(toml).stdin("x\ny\n").run();
    ended.code(1).stderr_has("without TOKEN, which").stderr_lacks("hush");
}

#[test]
fn a_task_that_can_not_be_started_has_no_line() {
    let space = Space::new();
    // The first block of lines holds none.
    let ended = space.exec("--csv --dry-run rm -v").stdin("x,\"a\0b\"\nc\n").run();
    ended.stderr_has("rm[1]").stderr_has("an argument holds a NUL byte").stdout("rm -v c\n").code(126);
    let real = space.exec("--csv -k echo").stdin("x,\"a\0b\"\nc\n").run();
    real.code(126).stdout("c\n").stderr_lacks("rerun").stderr_has("an argument holds a NUL byte");
    for (line, told) in [
        ("--env 'X={}' true {#}", "the value of the variable `X` holds a NUL byte"),
        ("--stdout '{}' true {#}", "its name holds a NUL byte"),
        ("--cwd '{}' true {#}", "its name holds a NUL byte"),
    ] {
        let ended = space.exec(&format!("--csv --dry-run {line}")).stdin("\"a\0b\"\n").run();
        ended.code(126).stdout("").stderr_has(told);
    }
}

#[test]
fn a_dry_run_prints_only_what_would_start() {
    let space = Space::new();
    space.write("t.csv", "x,\"a\0%\\'b\"\n");
    let toml = r#"
        [jobs.file]
        env_file = "no-such.env"
        command = "rm"
        [jobs.feed]
        each = { csv = "t.csv", header = false }
        stdin = "item"
        command = "od -An -c"
    "#;
    let ended = space.write("prun.toml", toml).prun("--dry-run").run();
    ended.code(126).stderr_has("no-such.env").stdout("printf 'x\\011a\\000%%\\\\\\047b\\012' | od -An -c\n");
    let printed = space.sh(&ended.stdout).run();
    printed.ok().stdout_has("a  \\0   %   \\   '   b  \\n");
}

#[test]
fn an_argument_that_is_too_long_has_no_line() {
    let space = Space::new();
    let script = "head -c 140000 /dev/zero | tr '\\0' x >long; echo >>long; echo short >>long; \
                  prun exec -k --dry-run -a long echo; echo \"= $?\"; prun exec -k -a long echo";
    let ended = space.sh(script).run();
    ended.stdout("echo short\n= 126\nshort\n");
}

#[test]
fn scripts_are_told_by_their_text() {
    let space = Space::new();
    let ended = space.exec("-v -c 'echo {} >&2; exit 3' ::: 'a b'").run();
    ended
        .code(3)
        .stderr_has("sh[1]: echo 'a b' >&2; exit 3\n")
        .stderr_has("sh[1] `echo 'a b' >&2; exit 3`: exit 3");
}
