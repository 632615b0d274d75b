//! `env_file` and `clear_env`.

use crate::space::Space;

const STRATEGIES: [&str; 2] = ["spawn", "fork"];

#[test]
fn later_files_beat_earlier_ones_and_env_beats_them() {
    for start in STRATEGIES {
        let space = Space::new();
        space
            .write("sub/a.env", "# one\nA=a\nB=a\nC=a\n")
            .write("sub/b.env", "export B=b\nC='b b'\nD=${A}${OWN}\n");
        let toml = format!(
            "[vars]\nfirst = 'a'\n[jobs.x]\nstart = '{start}'\nenv_file = ['{{first}}.env', 'b.env']\nenv.C = '{{first}}c'\n\
             script = 'echo $A-$B-$C-$D'\n"
        );
        // Files are looked for at the job file, wherever prun was started.
        space.write("sub/jobs.toml", toml);
        space
            .prun("sub/jobs.toml")
            .env("OWN", "own")
            .env("A", "beaten")
            .run()
            .ok()
            .stdout("a-b-ac-beatenown\n");
    }
}

#[test]
fn nothing_is_inherited_with_clear_env() {
    for start in STRATEGIES {
        let space = Space::new();
        space.write("a.env", "FILE=${HOME}/x\n");
        let toml = format!(
            "[jobs.x]\nstart = '{start}'\nclear_env = true\nenv_file = 'a.env'\nenv.OWN = '1'\ncommand = 'env'\n"
        );
        let ended = space.file(&toml).env("HOME", "/home/me").env("SECRET", "x").run();
        let mut others = ended.ok().lines();
        others.retain(|line| !line.starts_with("PRUN_"));
        others.sort_unstable();
        assert_eq!(others, ["FILE=/home/me/x", "OWN=1"]);
        ended.stdout_has("PRUN_RUN_ID=").stdout_has("PRUN_JOB=x\n");
        ended.check(
            !ended.stdout.contains("PRUN_TEST_SPACE"),
            "what the names begin with makes them not prun's",
        );
    }
}

#[test]
fn programs_are_then_looked_for_as_env_i_does() {
    let space = Space::new();
    space.program("bin/tool", "#!/bin/sh\necho own\n");
    let jobs = "[jobs.x]\nclear_env = true\ncommand = 'tool'\n[jobs.y]\nclear_env = true\nenv.PATH = '{here}/bin'\ncommand = 'tool'\n";
    let toml = format!("[vars]\nhere = '{}'\n{jobs}", space.path("").display());
    let ended = space.write("prun.toml", toml).sh("PATH=$PWD/bin:$PATH prun").run();
    ended.code(127).stdout("own\n").stderr_has("x: not started: `tool`: not found");
}

#[test]
fn a_missing_file_is_no_start_and_the_others_go_on() {
    let space = Space::new();
    let toml = "[jobs.a]\nenv_file = 'no.env'\ncommand = 'echo {}'\neach = ['1', '2']\n[jobs.b]\ncommand = 'echo b'\n\
                [jobs.c]\nenv_file = '.'\ncommand = 'true'\n[jobs.d]\nenv_file = 'fifo'\ncommand = 'true'\n";
    let ended = space.write("prun.toml", toml).sh("mkfifo fifo; prun").run();
    ended.code(126).stdout("b\n").stderr_has("env_file `no.env` can't be read: no such file").within(60);
    ended.stderr_has("env_file `.` is no plain file").stderr_has("env_file `fifo` is no plain file");
    ended.stderr_has("1 ok, 4 failed");
}

#[test]
fn what_is_wrong_with_a_file_is_told_without_values() {
    let space = Space::new();
    let toml = "[jobs.a]\nenv_file = 'a.env'\ncommand = 'true'\n";
    space.write("prun.toml", toml);
    for (text, told) in [
        ("A=1\n\nhunter2 hunter2\n", "env_file `a.env` is wrong in line 3: expected NAME=VALUE"),
        ("A=1\nhunter2+/==\n", "env_file `a.env` is wrong in line 2: expected NAME=VALUE"),
        ("A=\"hunter2\nB=1\n", "is wrong in the lines from 1 to 2: the value of `A` begins a quote"),
        ("A=hunter2 hunter2\n", "is wrong in line 1: the value of `A` goes on behind a blank"),
        ("A=hunter2\\\n", "is wrong in line 1: the value of `A` has a backslash"),
        ("A=hunter2\0\n", "the value of the variable `A` holds a NUL byte"),
    ] {
        space.write("a.env", text);
        for options in ["", "-v", "--journal log", "--dry-run"] {
            let ended = space.prun(options).run();
            let all = format!("{}{}", ended.stdout, ended.stderr);
            ended.check(!all.contains("hunter2") || text.contains('\0'), "no value is told");
            ended.check(options == "--dry-run" || all.contains(told), told);
        }
        assert!(!space.read("log").contains("hunter2"));
    }
}

#[test]
fn only_names_in_braces_are_variables() {
    let space = Space::new();
    space.write(
        "a.env",
        "A=abc$def\nB=$2y$05$uGiL\nC=cost$\nD=\"$A ${B}\"\nE='${B}'\nF=#fff\nG='end\\'\nH=${OUT}\nI=${A:-x}\n",
    );
    let toml =
        "[jobs.x]\nenv_file = 'a.env'\ncommand = ['printenv', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I']\n";
    let told = b"abc$def\n$2y$05$uGiL\ncost$\n$A $2y$05$uGiL\n${B}\n#fff\nend\\\ncaf\xe9$\n${A:-x}\n";
    space.write("prun.toml", toml);
    space.sh(r"export OUT=$(printf 'caf\351$'); prun >real; prun --dry-run | sh >pasted").run().ok().quiet();
    let read = |name| std::fs::read(space.path(name)).expect("it was written");
    assert_eq!((&*read("real"), &*read("pasted")), (&told[..], &told[..]));
}

#[test]
fn a_lone_name_takes_the_variable_from_outside() {
    for clear in [false, true] {
        let space = Space::new();
        space
            .write("a.env", "TOKEN=old\nTOKEN\nexport NOT_GIVEN # none\nLOCAL=${TOKEN}\n")
            .write("b.env", "LOCAL\n");
        let toml = format!(
            "[jobs.x]\nclear_env = {clear}\nenv_file = ['a.env', 'b.env']\n\
             script = 'echo \"$TOKEN ${{NOT_GIVEN-unset}} $LOCAL\"'\n"
        );
        space.file(&toml).env("TOKEN", "a b$c").run().ok().stdout("a b$c unset a b$c\n");
        space.prun("").env("TOKEN", "t").env("LOCAL", "outside").run().ok().stdout("t unset outside\n");
        space.prun("").run().ok().stdout("old unset old\n");
    }
}

#[test]
fn a_file_with_control_characters_in_its_name_is_harmless() {
    let space = Space::new();
    let toml = "[jobs.a]\nenv_file = \"x\\u001b[31m.env\"\ncommand = 'true'\n";
    space.file(toml).run().code(126).no_escapes();
    space.prun("--dry-run").run().code(126).stdout("").no_escapes();
}

#[test]
fn a_task_is_known_by_the_names_of_its_files() {
    let space = Space::new();
    let toml = |file: &str, more: &str| {
        format!(
            "[run]\njournal = 'log'\nresume = true\n[jobs.a]\nenv_file = '{file}'\nscript = 'echo $A'\n{more}\n"
        )
    };
    space.write("a.env", "A=1\n").write("b.env", "A=2\n");
    space.file(&toml("a.env", "")).run().ok().stdout("1\n");
    space.write("a.env", "A=3\n");
    space.file(&toml("a.env", "limits.core = 0\nnice = 1\numask = '077'")).run().ok().stdout("");
    space.file(&toml("b.env", "")).run().ok().stdout("2\n");
}
