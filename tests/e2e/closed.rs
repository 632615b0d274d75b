//! Descriptors 0 to 2 that are closed when prun starts, or can't be written to: nothing is lost without an error
//! (docs/robustness.md, "What prun was given").

use crate::space::Space;

/// The children write themselves, and get what prun was given.
#[test]
fn a_closed_stdout_fails_those_who_write_to_it_themselves() {
    let space = Space::new();
    space.write(
        "jobs.toml",
        "[jobs.a]\ncommand = \"echo a\"\nstdout = \"inherit\"\n\
         [jobs.b]\npipeline = [\"echo b\", { command = \"cat\" }]\noutput = \"raw\"\n",
    );
    let lines = [
        "prun exec -u echo {} ::: 1 2",
        "prun exec --output raw /bin/echo ::: 1",
        "prun exec -u --start fork echo ::: 1",
        "prun exec -u --once echo 1",
        "prun jobs.toml a",
        "prun jobs.toml b",
    ];
    for line in lines {
        for closed in [">&-", "1</dev/null"] {
            let ended = space.sh(&format!("{line} {closed}")).run();
            assert_ne!(ended.status.code(), Some(0), "{line} {closed}");
            ended.stdout("").stderr_has("Bad file descriptor");
        }
    }
    for line in ["--stdout /dev/stdout echo", "--stdout /dev/fd/1 echo", "-c 'echo {} >/dev/stdout'"] {
        let ended = space.sh(&format!("prun exec -u {line} ::: 1 >&-")).run();
        ended.stdout("").stderr_has("directory");
        assert_ne!(ended.status.code(), Some(0), "{line}");
    }
    // Who writes nothing misses nothing.
    space.sh("prun exec -u true ::: 1 >&-").run().ok();
    space.sh("prun exec echo ::: 1 >/dev/null").run().ok();
}

#[test]
fn a_closed_stdout_fails_everything_that_prun_prints_there() {
    let space = Space::new();
    space.write("jobs.toml", "# says a\n[jobs.a]\ncommand = \"echo a\"\n");
    space.sh("prun exec --journal journal echo ::: a").run().ok();
    let lines = [
        "prun --help",
        "prun exec -h",
        "prun --version",
        "prun jobs.toml --list",
        "prun graph jobs.toml",
        "prun graph jobs.toml --format dot",
        "prun check jobs.toml",
        "prun completions bash",
        "prun report journal",
        "prun report journal --format joblog",
        "prun jobs.toml --dry-run",
        "prun jobs.toml",
    ];
    for line in lines {
        space.sh(&format!("{line} >&-")).run().code(125).stderr_has("write to stdout: it is closed");
        space.sh(&format!("{line} 1</dev/null")).run().code(125).stderr_has("write to stdout: bad file");
        space.sh(&format!("{line} >/dev/full")).run().code(125).stderr_has("write to stdout: no space left");
    }
}

/// Somebody who shares the other end has made it non-blocking, and it is full.
#[test]
fn a_stdout_that_does_not_block_loses_nothing() {
    let space = Space::new();
    let fill = "import fcntl, os, sys\n\
                fcntl.fcntl(1, fcntl.F_SETFL, fcntl.fcntl(1, fcntl.F_GETFL) | os.O_NONBLOCK)\n\
                os.write(1, b'x' * 65536)\n";
    space.write("fill.py", fill);
    let whole = space.sh("prun completions bash | wc -c").run();
    let len: usize = whole.stdout.trim().parse().expect("a number");
    let line = "{ python3 fill.py; : >filled; prun completions bash; } \
                | { until [ -e filled ]; do :; done; cat; } | wc -c";
    space.sh(line).run().ok().stdout(&format!("{}\n", len + 65536));
}

#[test]
fn a_closed_stdin_or_stderr_reaches_the_children_closed() {
    let space = Space::new();
    space.sh("prun exec --once cat <&-").run().code(1).stderr_has("Bad file descriptor");
    space.sh("prun exec -u -c 'echo x >&2 || exit 3' ::: 1 2>&-").run().code(3).stdout("");
    space.sh("prun exec -u -c 'cat' ::: 1 <&-").run().ok();
    for line in ["prun -", "prun check -", "prun graph -"] {
        for closed in ["<&-", "0>/dev/null"] {
            space.sh(&format!("{line} {closed}")).run().code(125).stderr_has("`-` can't be read: bad file");
        }
    }
    // The files that prun opens get other numbers.
    let list = "ls -l /proc/$PPID/fd | grep -c journal";
    space.sh(&format!("prun exec --journal journal -c '{list}' ::: 1 <&- 2>&-")).run().ok().stdout("1\n");
    space.sh("prun exec nosuchprogram ::: 1 2>&-").run().code(127).stdout("").quiet();
}
