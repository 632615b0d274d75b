//! Starting a child, under both strategies (docs/robustness.md, "Starting").

use crate::space::Space;

const STRATEGIES: [&str; 2] = ["spawn", "fork"];

#[test]
fn both_strategies_do_the_same() {
    for start in STRATEGIES {
        let space = Space::new();
        space.write("sub/in.txt", "fed\n");
        let toml = format!(
            "[jobs.a]\nstart = '{start}'\ncwd = 'sub'\nenv = {{ X = 'y' }}\nstdin.file = 'sub/in.txt'\n\
             script = 'cat; echo $X; basename $(pwd); test $$ = $(cut -d\" \" -f5 /proc/$$/stat) && echo leads; exit 3'\n"
        );
        space.file(&toml).run().code(3).stdout("fed\ny\nsub\nleads\n");
    }
}

#[test]
fn not_found() {
    for start in STRATEGIES {
        let space = Space::new();
        let run = |line: &str| space.exec(&format!("--start {start} {line} ::: x")).run();
        run("no-such-program").code(127).stdout("").stderr_has("no-such-program");
        run("./no/such").code(127).stderr_has("./no/such");
    }
}

#[test]
fn not_executable() {
    for start in STRATEGIES {
        let space = Space::new();
        space.write("plain", "echo no\n").write("folder/file", "");
        let run = |line: &str| space.exec(&format!("--start {start} {line} ::: x")).run();
        run("./plain").code(126).stderr_has("./plain").stderr_has("executable");
        run("./folder").code(126).stderr_has("./folder");
    }
}

#[test]
fn a_missing_interpreter_is_told_apart() {
    for start in STRATEGIES {
        let space = Space::new();
        space.program("tool", "#!/no/such/interpreter\n");
        let ended = space.exec(&format!("--start {start} ./tool ::: x")).run();
        ended.code(127).stderr_has("./tool").stderr_has("/no/such/interpreter");
    }
}

#[test]
fn a_text_file_is_run_by_the_shell() {
    for start in STRATEGIES {
        let space = Space::new();
        space.program("tool", "echo ran $1\n");
        space.exec(&format!("--start {start} ./tool ::: x")).run().ok().stdout("ran x\n");
    }
}

#[test]
fn the_path_is_searched_as_execvp_does() {
    let space = Space::new();
    space.write("first/tool", "not executable\n").program("second/tool", "#!/bin/sh\necho second\n");
    space.sh("PATH=$PWD/first:$PWD/second:$PATH prun exec tool ::: x").run().ok().stdout("second\n");
}

#[test]
fn an_argument_that_is_too_long_fails_alone() {
    for start in STRATEGIES {
        let space = Space::new();
        let items = format!("a\n{}\nb\n", "x".repeat(131_072));
        let ended = space.exec(&format!("-k --start {start} -- echo {{}}")).stdin(items).run();
        ended
            .code(126)
            .stdout("a\nb\n")
            .stderr_has("item 2 has 131072 bytes, and an argument can have 131071");
        ended.check(ended.stderr.lines().next().is_some_and(|line| line.len() < 400), "the argument is cut");
    }
}

#[test]
fn no_descriptor_reaches_a_child() {
    for start in STRATEGIES {
        let space = Space::new();
        // What prun was given is passed on, as any program does it; so the first line is what a shell has alone.
        let look = "ls /proc/self/fd | tr \"\\n\" \" \"; echo";
        let ended =
            space.sh(&format!("{look}; prun exec --start {start} -j50 --repeat 300 -c '{look}'")).run();
        let lines = ended.ok().lines();
        let same = lines.iter().all(|line| *line == lines[0]);
        ended.check(same && lines.len() == 301, "no descriptor more than without prun, 300 times");
    }
}

#[test]
fn limits_of_children_stay_as_they_were() {
    let space = Space::new();
    let look = "ulimit -Sn; ulimit -Hn";
    let ended =
        space.sh(&format!("ulimit -Sn 200; prun exec -j100 --repeat 300 -c '{look}' | sort | uniq -c")).run();
    let hard = space.sh("ulimit -Hn").run().stdout.trim().to_owned();
    let lines: Vec<String> = ended.ok().lines().iter().map(|line| line.trim().to_owned()).collect();
    let mut wanted = vec!["300 200".to_owned(), format!("300 {hard}")];
    wanted.sort();
    let mut seen = lines;
    seen.sort();
    ended.check(seen == wanted, "the soft limit that prun was given, and the hard one");
}

#[test]
fn a_missing_working_directory() {
    let space = Space::new();
    space.exec("-C missing echo {} ::: x").run().code(126).stdout("").stderr_has("missing");
    let toml = "[jobs.a]\ncommand = 'echo a'\ncwd = 'missing'\n[jobs.b]\ncommand = 'echo b'\n";
    space.file(toml).run().code(126).stdout("b\n").stderr_has("missing");
}

#[test]
fn a_deleted_working_directory() {
    let space = Space::new();
    let ended = space.sh("mkdir gone; cd gone; rmdir ../gone; prun exec echo {} ::: x").run();
    let worked = ended.status.success() && ended.stdout == "x\n";
    ended.check(
        worked || (ended.status.code() >= Some(125) && !ended.stderr.is_empty()),
        "it works or says why not",
    );
}

#[test]
fn a_missing_program_in_a_pipeline_ends_its_neighbours() {
    for (stages, name) in [
        ("'/no/such', 'cat', 'cat'", "/no/such"),
        ("'yes', '/no/such', 'cat'", "/no/such"),
        ("'yes', 'cat', '/no/such'", "/no/such"),
        ("'sleep 600', './tool', 'sleep 600'", "./tool"),
    ] {
        for start in STRATEGIES {
            let space = Space::new();
            space.program("tool", "#!/no/such\n");
            let toml = format!("[jobs.p]\nstart = '{start}'\npipeline = [{stages}]\n");
            space.file(&toml).run().code(127).stderr_has(name).within(60);
        }
    }
}

#[test]
fn a_leftover_does_not_hold_prun() {
    let space = Space::new();
    let ended = space.exec("-c 'echo hi; sleep 600 &' ::: x").run();
    ended.code(0).stdout("hi\n").within(60);
    space.sweep();
}

#[test]
fn what_is_killed_from_outside_is_reported_and_the_pool_goes_on() {
    let space = Space::new();
    let ended = space.exec("-k -j1 -c 'echo {}; test {} != 2 || kill -9 $$' ::: 1 2 3").run();
    ended.code(137).stdout("1\n2\n3\n").stderr_has("KILL");
}
