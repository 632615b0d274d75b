//! `pty = true`: the task has a pseudo-terminal of its own.

use crate::meeting::Meeting;
use crate::space::Space;

#[test]
fn a_task_with_a_terminal_sees_one() {
    let space = Space::new();
    let script = r#"for fd in 0 1 2; do test -t $fd && echo "$fd yes" || echo "$fd no"; done; tty | cut -c1-9; stty size"#;
    let file =
        format!("[jobs.a]\nenv = {{ TERM = \"vt100\" }}\npty = true\nscript = '''{script}; echo $TERM'''");
    let ended = space.file(&file).open_stdin().run();
    ended.ok().stdout("0 yes\n1 yes\n2 yes\n/dev/pts/\n24 80\nvt100\n").stderr_lacks("yes");
}

#[test]
fn without_a_term_of_prun_s_own_it_is_a_dumb_one() {
    let file = "[jobs.a]\npty = true\nscript = 'echo $TERM'";
    Space::new().file(file).env("TERM", "").run().ok().stdout("dumb\n");
}

#[test]
fn what_comes_from_or_goes_to_somewhere_stays_there() {
    let space = Space::new();
    let script = r#"test -t 0; in=$?; test -t 1; out=$?; test -t 2; echo "$in $out $?"; cat; echo e >&2"#;
    for (keys, stdout, stderr) in [
        ("stdin.text = \"fed\\n\"", "1 0 0\nfed\ne\n", ""),
        ("stderr.file = \"err\"", "0 0 1\n", "e\n"),
        ("stdin.text = \"fed\"\nstderr = \"null\"", "1 0 1\nfed", ""),
    ] {
        let file = format!("[jobs.a]\npty = true\n{keys}\nscript = '''{script}'''");
        space.file(&file).run().ok().stdout(stdout);
        assert!(stderr.is_empty() || space.read("err") == stderr);
    }
}

/// Covers the terminal's input too, which is at its end at once, as stdin is everywhere else.
#[test]
fn bytes_pass_as_they_are() {
    let space = Space::new();
    let file = r"[jobs.a]
pty = true
script = '''cat; printf 'a\nb\tc\r\n\033[1mx\004\000\377end' '''";
    let ended = space.file(file).run();
    ended.ok().check(ended.stdout.as_bytes().starts_with(b"a\nb\tc\r\n\x1b[1mx\x04\0"), "the same bytes");
}

#[test]
fn much_output_arrives_whole_under_each_kind_of_output() {
    let space = Space::new();
    for output in ["group", "line", "raw"] {
        let file =
            format!("[run]\noutput = \"{output}\"\n[jobs.a]\npty = true\ncommand = \"puppet out=3000000\"");
        let ended = space.file(&file).run();
        ended.ok().check(ended.stdout.len() == 3_000_000, "every byte");
    }
}

#[test]
fn its_output_goes_where_it_says() {
    let space = Space::new();
    space
        .file("[jobs.a]\npty = true\nstdout.file = \"out\"\nscript = 'test -t 1 && echo yes'")
        .run()
        .ok()
        .quiet();
    assert_eq!(space.read("out"), "yes\n");
    space.file("[jobs.a]\npty = true\nstdout = \"null\"\nscript = 'test -t 1'").run().ok().quiet();
}

#[test]
fn both_ways_of_starting_give_a_terminal() {
    for start in ["spawn", "fork"] {
        let file = format!("[jobs.a]\npty = true\nstart = \"{start}\"\nscript = 'echo hello >/dev/tty'");
        Space::new().file(&file).run().ok().stdout("hello\n");
    }
}

#[test]
fn a_task_that_closes_its_terminal_runs_on() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let file = "[jobs.a]\npty = true\nscript = 'echo begun; exec puppet meet=a hold >out 2>&1 </dev/null'";
    let running = space.file(file).start();
    let mut guest = meeting.guest();
    running.shows("begun\n");
    guest.tell("line=still here");
    guest.tell("exit=3");
    running.end().code(3);
    assert_eq!(space.read("out"), "still here\n");
}

#[test]
fn a_stop_reaches_a_task_on_a_terminal() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.file("[jobs.a]\npty = true\ncommand = 'puppet catch=INT meet=a hold'").start();
    let mut guest = meeting.guest();
    running.signal(nix::sys::signal::Signal::SIGINT);
    guest.hears("got INT");
    guest.tell("exit=0");
    running.end().died_of(nix::sys::signal::Signal::SIGINT);
}

#[test]
fn a_timeout_ends_a_task_on_a_terminal() {
    let file =
        "[jobs.a]\npty = true\ntimeout = \"300ms\"\ngrace = \"100ms\"\nstdin = \"open\"\ncommand = 'cat'";
    Space::new().file(file).run().code(124).within(30);
}

/// sed keeps its output in a buffer unless it writes to a terminal.
#[test]
fn a_worker_on_a_terminal_writes_each_answer_at_once() {
    let file = "[jobs.a]\neach = [\"x\", \"y\"]\npool = 1\nworker = true\npty = true\ncommand = \"sed 's/^/got /'\"\n";
    Space::new().file(file).run().ok().within(30).stdout("got x\ngot y\n");
}

/// Lines that a worker writes to stderr are no answers, on a terminal too.
#[test]
fn a_worker_answers_on_its_terminal() {
    let space = Space::new();
    let toml = r#"
        [jobs.a]
        script = 'while read -r n; do echo "err $n" >&2; test -t 1 && ! test -t 2 && echo "$n is answered"; done'
        each = ["x", "y"]
        worker = true
        pty = true
        pool = 1
    "#;
    let ended = space.file(toml).run();
    ended.code(0).stdout("x is answered\ny is answered\n").stderr_has("err x").stderr_has("err y");
}
