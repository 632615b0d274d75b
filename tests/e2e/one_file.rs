//! One file that is named more than once in a run: it is emptied once, and nothing that was written to it is lost.

use crate::meeting::Meeting;
use crate::space::Space;

/// Returns the number of lines, after a check that each is one of these.
#[track_caller]
fn whole_lines(text: &str, known: &[&str]) -> usize {
    let torn: Vec<_> = text.lines().filter(|line| !known.contains(line)).collect();
    assert!(torn.is_empty() && text.ends_with('\n'), "torn: {torn:?}");
    text.lines().count()
}

#[test]
fn both_streams_of_a_task_go_to_one_file_as_whole_lines() {
    let space = Space::new();
    space.write("o.log", "of an earlier run\n");
    let script =
        "seq 2 | prun exec -j1 -c --stdout o.log --stderr o.log 'echo a long line {}; echo err {} >&2'";
    space.sh(script).run().ok().stdout("");
    assert_eq!(space.read("o.log"), "a long line 1\nerr 1\na long line 2\nerr 2\n");
    // By a placeholder, processes write to the file themselves.
    let both = "--stdout '{}.log' --stderr '{}.log' -c 'echo a long line; echo err >&2; echo end'";
    space.exec(&format!("{both} ::: a b")).run().ok();
    assert_eq!([space.read("a.log"), space.read("b.log")], ["a long line\nerr\nend\n"; 2]);
}

#[test]
fn lines_of_two_streams_do_not_tear_each_other() {
    let space = Space::new();
    space.program(
        "talk",
        "#!/usr/bin/env python3\nimport sys\n\
         for n in range(3000):\n    print('out' * 20)\n    print('err' * 20, file=sys.stderr)\n",
    );
    let (out, err) = ("out".repeat(20), "err".repeat(20));
    for (toml, lines) in [
        ("[jobs.a]\ncommand = './talk'\nstdout.file = 'log'\nstderr.file = 'log'", 6000),
        ("[jobs.a]\ncommand = './talk'\noutput = 'group'\nstdout.file = 'log'\nstderr.file = './log'", 6000),
        (
            "[jobs.a]\neach.seq = [1, 2]\ncommand = ['./talk']\nstdin = 'item'\noutput = 'line'\nstdout.file = 'log'\nstderr.file = 'log'",
            12000,
        ),
        (
            "[jobs.a]\neach = ['log']\ncommand = ['./talk']\nstdin = 'item'\n\
          stdout = { file = '{}', show = true }\nstderr = { file = '{}', show = true }",
            6000,
        ),
    ] {
        space.file(toml).run().code(0);
        assert_eq!(whole_lines(&space.read("log"), &[&out, &err]), lines, "{toml}");
    }
}

#[test]
fn stages_that_inherit_one_file_all_write_to_it() {
    let space = Space::new();
    let toml = r#"
        [jobs.p]
        pipeline = ["sh -c 'echo one >&2; echo data'", "sh -c 'cat; echo two >&2'", "sh -c 'cat; echo three >&2'"]
        stderr.file = "err.log"
    "#;
    for _ in 0..2 {
        space.file(toml).run().ok().stdout("data\n");
        let mut lines: Vec<_> = space.read("err.log").lines().map(str::to_owned).collect();
        lines.sort();
        assert_eq!(lines, ["one", "three", "two"]);
    }
    // With the item in the path, the stages share the open file.
    let toml = toml.replace("[jobs.p]", "[jobs.p]\neach = ['x']").replace("err.log", "{}.log");
    space.file(&toml).run().ok();
    assert_eq!(space.read("x.log").lines().count(), 3);
}

#[test]
fn a_file_of_one_task_keeps_what_all_its_attempts_wrote() {
    let space = Space::new();
    let command = "echo try $PRUN_ATTEMPT; echo why $PRUN_ATTEMPT >&2; exit $((2 - PRUN_ATTEMPT))";
    let file = |job: &str| format!("[jobs.a]\nretries = 1\nretry_delay = 0\nscript = '{command}'\n{job}");
    for job in [
        "each = ['x']\nstdout.file = '{}.log'\nstderr.file = '{}.err'",
        "each = ['x']\nstdout = { file = '{}.log', show = true }\nstderr.file = '{}.err'",
        "stdout.file = 'x.log'\nstderr.file = 'x.err'",
        "output = 'group'\nstdout = { file = 'x.log', show = true }\nstderr.file = 'x.err'",
        "output = 'raw'\nstdout.file = 'x.log'\nstderr.file = 'x.err'",
    ] {
        space.write("x.log", "old\n").write("x.err", "old\n");
        space.file(&file(job)).run().ok();
        assert_eq!([space.read("x.log"), space.read("x.err")], ["try 1\ntry 2\n", "why 1\nwhy 2\n"], "{job}");
    }
    // A file of several tasks holds their last attempts under `group`.
    space.file(&file("each = ['x', 'y']\npool = 1\nstdout.file = 'all'\nstderr.file = 'all'")).run().ok();
    assert_eq!(space.read("all"), "try 2\nwhy 2\n".repeat(2));
}

#[test]
fn a_restart_keeps_the_reason_of_the_crash() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = r#"
        [jobs.api]
        each = ["api"]
        daemon = true
        restart = "on-failure"
        retry_delay = 0
        script = "echo start $PRUN_ATTEMPT; test -e crashed || { touch crashed; echo panic; exit 1; }; exec puppet meet=api hold"
        stdout.file = "{}-{#}.log"
    "#;
    let run = space.file(toml).start();
    let _guest = meeting.guest();
    assert_eq!(space.read("api-1.log"), "start 1\npanic\nstart 2\n");
    run.signal(nix::sys::signal::Signal::SIGTERM);
    run.end().died_of(nix::sys::signal::Signal::SIGTERM);
}

#[test]
fn jobs_that_name_one_file_add_to_it() {
    let space = Space::new();
    std::os::unix::fs::symlink("all.log", space.path("link.log")).unwrap();
    std::os::unix::fs::symlink("there.log", space.path("soft.log")).unwrap();
    space.write("there.log", "old\n");
    std::fs::hard_link(space.path("there.log"), space.path("hard.log")).unwrap();
    for [one, other, file] in [
        ["all.log", "all.log", "all.log"],
        ["all.log", "./x/../all.log", "all.log"],
        ["link.log", "all.log", "all.log"],
        ["new/dir/log", "new/dir/../dir/log", "new/dir/log"],
        ["soft.log", "hard.log", "there.log"],
        ["{}.log", "x.log", "x.log"],
    ] {
        std::fs::create_dir_all(space.path("x")).unwrap();
        let toml = format!(
            "[jobs.a]\neach = ['x']\ncommand = 'echo of {{}}'\nstdout.file = '{one}'\n\
             [jobs.b]\nafter = ['a']\ncommand = 'echo of b'\nstdout.file = '{other}'\n\
             [jobs.c]\nafter = ['b']\nscript = 'echo of c; echo why >&2'\nstderr.file = '{file}'\nstdout.file = '{other}'"
        );
        space.file(&toml).run().ok();
        assert_eq!(space.read(file), "of x\nof b\nof c\nwhy\n", "{one} and {other}");
    }
    let toml = "defaults.stdout.file = 'd.log'\n[jobs.a]\ncommand = 'echo a'\n[jobs.b]\ncommand = 'echo b'\n\
                [jobs.c]\neach.seq = [1, 50]\ncommand = 'echo c'";
    space.file(toml).run().ok();
    assert_eq!(space.read("d.log").lines().count(), 52);
}

#[test]
fn append_keeps_what_an_earlier_run_wrote() {
    let space = Space::new();
    space.write("log", "old\n");
    let toml = "[jobs.a]\ncommand = 'echo a'\nstdout = { file = 'log', append = true }\n\
                [jobs.b]\nafter = ['a']\ncommand = 'echo b'\nstdout.file = 'log'";
    space.file(toml).run().ok();
    assert_eq!(space.read("log"), "old\na\nb\n");
}

#[test]
fn tasks_whose_placeholders_collide_overwrite_nothing_and_are_told_once() {
    let space = Space::new();
    space.write("o/x", "of an earlier run\n");
    let once = |ended: &crate::running::Ended| ended.stderr.matches("more than one task writes to").count();
    for flags in ["-j1", "-j3", "-j1 --stderr 'o/{/.}'"] {
        let ended =
            space.exec(&format!("{flags} --stdout 'o/{{/.}}' echo ::: a/x.txt b/x.txt c/x.txt")).run();
        assert_eq!(once(ended.code(0)), 1, "{flags}: {}", ended.stderr);
        let mut lines: Vec<_> = space.read("o/x").lines().map(str::to_owned).collect();
        lines.sort();
        assert_eq!(lines, ["a/x.txt", "b/x.txt", "c/x.txt"], "{flags}");
    }
    // A file for each slot is meant to be that of several tasks; and two jobs may have the same paths.
    let ended = space.exec("-j1 --stdout 'slot{%}' echo ::: a b c").run();
    assert_eq!((once(ended.code(0)), space.read("slot1").as_str()), (0, "a\nb\nc\n"));
    let toml = "defaults.stdout.file = '{}.log'\n[jobs.a]\neach = ['x']\ncommand = 'echo a'\n\
                [jobs.b]\neach.job = 'a'\ncommand = 'echo b'";
    let ended = space.file(toml).run();
    assert_eq!((once(ended.code(0)), space.read("x.log").as_str()), (0, "a x\nb x\n"));
}

#[test]
fn the_shells_redirection_is_one_of_the_names() {
    let space = Space::new();
    let script = "prun exec -j1 --stdout o --stderr o -c 'echo out {}; echo err {} >&2' ::: 1 2 >o 2>&1; \
                  prun exec -k --stdout '{}.txt' -c 'echo to a file; echo shown >&2' ::: p >p.txt 2>&1";
    space.sh(script).run().ok();
    assert_eq!(space.read("o"), "out 1\nerr 1\nout 2\nerr 2\n");
    let mut lines: Vec<_> = space.read("p.txt").lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["shown", "to a file"]);
}

#[test]
fn many_files_stay_cheap() {
    let space = Space::new();
    let script = "seq 3000 | puppet measure=rss prun exec --stdout 'o/{}' --stderr 'e/{}' true && ls o | wc -l && cat rss";
    let ended = space.sh(script).run();
    let (count, rss) = ended.ok().stdout.trim().split_once('\n').expect("two lines");
    assert_eq!(count.trim(), "3000");
    let kilobytes: u64 = rss.split_whitespace().last().and_then(|word| word.parse().ok()).expect("a number");
    assert!(kilobytes < 60_000, "{rss}");
}

#[test]
fn an_output_that_is_also_an_input_is_refused_before_anything_runs() {
    let space = Space::new();
    space.write("list", "a\nb\n").write("table.csv", "n\n1\n").write("vars", "A=1\n");
    space.write("pool", "2\n");
    std::os::unix::fs::symlink("list", space.path("soft")).unwrap();
    std::fs::hard_link(space.path("list"), space.path("hard")).unwrap();
    let refused = |ended: crate::running::Ended| {
        ended.code(125).stdout("").stderr_has("would overwrite");
        assert!(!space.exists("ran"));
        assert_eq!(space.read("list"), "a\nb\n");
        assert_eq!(space.read("table.csv"), "n\n1\n");
    };
    for line in [
        "-a list --stdout list touch ran",
        "-a list --stderr ./x/../list touch ran",
        "-a soft --stdout hard touch ran",
        "--stdin list --stdout soft touch ran ::: a",
        "--stdin '{}' --stdout '{}' touch ran ::: list",
        "--pipe -a list --stdout list touch ran",
        "--results list.csv --stdin list.csv touch ran ::: a",
        "--joblog list -a list touch ran",
        "--journal list -a list touch ran",
        "-j pool --stdout pool touch ran ::: a",
    ] {
        std::fs::create_dir_all(space.path("x")).unwrap();
        space.write("list.csv", "");
        refused(space.exec(line).run());
    }
    for script in ["prun exec --stdout list touch ran <list", "prun exec -a list touch ran >>list"] {
        refused(space.sh(script).run());
    }
    for jobs in [
        "[jobs.a]\neach.lines = 'list'\ncommand = 'touch ran'\nstdout.file = 'list'",
        "[jobs.a]\neach.csv = 'table.csv'\ncommand = 'touch ran'\nstderr.file = 'table.csv'",
        "[jobs.a]\ncommand = 'touch ran'\nstdout.file = 'list'\n[jobs.b]\ncommand = 'cat'\nstdin.file = 'list'",
        "[jobs.b]\ncommand = 'cat'\nstdin.file = 'soft'\n[jobs.a]\nafter = ['b']\ncommand = 'touch ran'\nstdout.file = 'list'",
        "[jobs.d]\ndaemon = true\nready.after = 0\ncommand = 'touch ran'\nstdout.file = 'list'\n\
         [jobs.b]\nafter = ['d']\ncommand = 'cat'\nstdin.file = 'list'",
        "[jobs.a]\npipeline = ['touch ran', 'cat']\nstdin.file = 'list'\nstdout.file = 'list'",
        "[jobs.a]\ncommand = 'touch ran'\nenv_file = 'vars'\nstdout.file = 'vars'",
        "[jobs.a]\ncommand = 'touch ran'\nstdout.file = 'prun.toml'",
    ] {
        refused(space.file(jobs).run());
    }
    // A reader that begins when the writer has ended reads what it wrote.
    let toml = "[jobs.a]\ncommand = 'echo fresh'\nstdout.file = 'made'\n[jobs.x]\nafter = ['a']\ncommand = 'true'\n\
                [jobs.b]\nafter = ['x']\ncommand = 'cat'\nstdin.file = 'made'\n\
                [jobs.c]\nafter = { a = 'exit' }\neach.lines = 'made'\ncommand = 'echo c'";
    space.write("made", "stale\n");
    space.file(toml).run().ok().stdout_sorted(&["c fresh", "fresh"]);
}

#[test]
fn a_task_does_not_overwrite_what_it_or_the_run_reads() {
    let space = Space::new();
    space.write("list", "list\nother\n").write("in.txt", "data\n");
    let ended = space.exec("-k -a list --stdout '{}' echo").run();
    ended.code(126).stderr_has("would be overwritten").stderr_has("which this run reads");
    assert_eq!([space.read("list"), space.read("other")], ["list\nother\n", "other\n"]);
    let ended = space.exec("--stdin '{}' --stdout '{.}.txt' cat ::: in.txt").run();
    ended.code(126).stderr_has("would be overwritten while the task reads it");
    assert_eq!(space.read("in.txt"), "data\n");
    space.exec("--journal journal --stdout '{}' echo ::: journal fine").run().code(126);
    assert!(space.read("journal").starts_with('{') && space.read("fine") == "fine\n");
}

#[test]
fn what_prun_writes_for_itself_is_nothing_else() {
    let space = Space::new();
    std::fs::create_dir(space.path("d")).unwrap();
    for script in [
        "prun exec --journal j --stdout j touch ran ::: a",
        "prun exec --journal j --stderr d/../j touch ran ::: a",
        "prun exec --results r.csv --journal r.csv touch ran ::: a",
        "prun exec --results r.csv --joblog r.csv touch ran ::: a",
        "prun exec --journal j --joblog j touch ran ::: a",
        "prun exec --joblog j --stdout j touch ran ::: a",
        "prun exec --journal j touch ran ::: a >j",
        "prun exec --journal j touch ran ::: a 2>j; echo >&2 \"$(cat j)\"; exit 125",
        "prun exec --joblog j touch ran ::: a >j",
        "prun exec --results r.csv touch ran ::: a >r.csv",
        "ln -s r.csv l.csv; prun exec --results l.csv --joblog r.csv touch ran ::: a",
    ] {
        space.sh(script).run().code(125).stderr_has("would overwrite");
        assert!(!space.exists("ran"), "{script}");
        for left in ["j", "r.csv", "l.csv"] {
            let _ = std::fs::remove_file(space.path(left));
        }
    }
    // Devices take anything.
    space.exec("--journal j --joblog /dev/null --stdout /dev/null --stderr /dev/null true ::: a").run().ok();
}
