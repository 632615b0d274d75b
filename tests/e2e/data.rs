//! Bytes in and out: any size and any content, in bounded memory (docs/robustness.md, "Data").

use nix::sys::signal::Signal;

use crate::meeting::Meeting;
use crate::running::Ended;
use crate::space::Space;

/// Returns the peak resident memory, in KiB, of the largest process of the run.
fn peak(space: &Space) -> u64 {
    space.read("rss").parse().expect("puppet writes a number")
}

#[test]
fn a_huge_feed_to_a_child_that_does_not_read() {
    let space = Space::new();
    let script = "truncate -s 2G big; exec puppet measure=rss prun exec --timeout 500ms --stdin big -- sleep 600 ::: x";
    // `sleep 600 x` would fail at once; the item goes nowhere.
    space.sh(&script.replace("sleep 600", "sh -c 'exec sleep 600' {}")).run().code(124).within(60);
    assert!(peak(&space) < 64 << 10, "{} KiB", peak(&space));
}

#[test]
fn a_child_that_stops_reading_is_no_error() {
    let space = Space::new();
    space.sh("truncate -s 50M big; exec prun exec --stdin big -c true ::: x").run().ok();
    let text = "x".repeat(5_000_000);
    space.file(&format!("[jobs.a]\nstdin.text = '{text}'\ncommand = 'true'\n")).run().ok();
    space.file(&format!("[jobs.a]\nstdin.text = '{text}'\ncommand = 'head -c 3'\n")).run().ok().stdout("xxx");
}

#[test]
fn feeding_and_capturing_do_not_deadlock() {
    let space = Space::new();
    let text = "x".repeat(10_000_000);
    let toml = format!("[jobs.a]\nstdin.text = '{text}'\ncommand = 'puppet err=10000000 in out=10000000'\n");
    let ended = space.file(&toml).run();
    ended.code(0).check(ended.stdout.starts_with("read 10000000\n"), "it read everything");
    ended.check(ended.stdout.len() == 10_000_014 && ended.stderr.len() == 10_000_000, "it wrote everything");
}

#[test]
fn every_kind_of_feed() {
    let space = Space::new();
    space.write("in.txt", "from a file\n");
    let toml = r#"
        run.keep_order = true
        run.pool = 1
        [jobs.nothing]
        command = "cat"
        [jobs.text]
        command = "cat"
        stdin.text = "one\ntwo\n"
        [jobs.file]
        command = "cat"
        stdin.file = "in.txt"
        [jobs.item]
        each = [["a", "b c"], ["d", 3.10]]
        command = "cat"
        stdin = "item"
        [jobs.template]
        each = ["x"]
        command = "cat"
        stdin.text = "<{}>\n"
        [jobs.inherit]
        command = "cat"
        stdin = "inherit"
    "#;
    let ended = space.file(toml).stdin("from prun's own\n").run();
    ended.ok().stdout("one\ntwo\nfrom a file\na\tb c\nd\t3.10\n<x>\nfrom prun's own\n");
}

#[test]
fn an_open_stdin_never_ends() {
    let space = Space::new();
    let toml = "[jobs.a]\ncommand = 'cat'\nstdin = 'open'\ntimeout = '300ms'\n[jobs.b]\ncommand = 'cat'\n";
    space.file(toml).run().code(124);
}

#[test]
fn a_gigabyte_comes_out_as_it_went_in() {
    let space = Space::new();
    let make = "head -c 1000000000 /dev/zero | tr '\\0' '\\n'";
    let script = format!(
        "{make} | cksum; puppet measure=rss prun exec -c \"{}\" ::: x | cksum",
        make.replace('\\', "\\\\")
    );
    let ended = space.sh(&script).run();
    let lines = ended.lines();
    ended.ok().check(lines.len() == 2 && lines[0] == lines[1], "the same bytes");
    assert!(peak(&space) < 64 << 10, "{} KiB", peak(&space));
}

#[test]
fn bytes_of_any_kind_pass_unchanged() {
    let space = Space::new();
    let outputs = ["group", "line", "raw"];
    for output in outputs {
        // Of one at a time the order is that of the items.
        let order = if output == "raw" { "" } else { "-k" };
        let script = format!(
            "head -c 5000000 /dev/urandom >random; printf 'a\\r\\nb\\0c\\377' >odd; \
             prun exec --output {output} -c 'cat random' ::: x | cmp - random; \
             prun exec --output {output} -c 'cat odd' ::: x | cmp - odd; \
             prun exec --output {output} {order} -j1 -- cat {{}} ::: odd odd >twice; cat odd odd | cmp - twice"
        );
        space.sh(&script).run().ok();
    }
}

#[test]
fn a_very_long_line() {
    let space = Space::new();
    let script = "puppet measure=rss prun exec --output line -c 'head -c 100000000 /dev/zero | tr \"\\0\" x; echo' ::: a | wc -lc";
    let ended = space.sh(script).run();
    let words: Vec<&str> = ended.ok().stdout.split_whitespace().collect();
    ended.check(words == ["1", "100000001"], "one line, whole");
}

#[test]
fn output_that_can_not_be_written_is_an_error() {
    let space = Space::new();
    for output in ["group", "line"] {
        let script = format!("prun exec --output {output} echo {{}} ::: a b >/dev/full");
        space.sh(&script).run().code(125).stderr_has("no space left");
    }
    // The guardian is dismissed while prun still waits for its writers, which is no loss.
    for _ in 0..20 {
        let ended = space.sh("prun exec echo {} ::: a >/dev/full").run();
        assert!(!ended.code(125).stderr.contains("guardian"), "{}", ended.stderr);
    }
    space.exec("--stdout /dev/full echo {} ::: a").run().code(125).stderr_has("/dev/full");
    space.sh("prun exec --dry-run echo {} ::: a b >/dev/full").run().code(125);
}

#[test]
fn a_slow_reader_gets_every_byte() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let script =
        "puppet measure=rss prun exec -c 'puppet meet=writer out=200000000' ::: x | puppet meet=reader hold";
    let running = space.sh(script).start();
    let mut guests = meeting.guests(2);
    guests[0].tell("in");
    running.shows("read 200000000\n");
    guests[0].tell("exit=0");
    running.end().ok();
    assert!(peak(&space) < 64 << 10, "{} KiB", peak(&space));
}

#[test]
fn a_reader_that_does_not_read_does_not_block_signals() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let script = "mkfifo pipe; puppet meet=reader hold <pipe & exec prun exec -c 'puppet meet=writer out=50000000' ::: x >pipe";
    let running = space.sh(script).start();
    let mut guests = meeting.guests(2);
    running.signal(Signal::SIGINT);
    guests[1].is_gone();
    guests[0].tell("in");
    guests[0].tell("exit=0");
    running.end().died_of(Signal::SIGINT);
}

#[test]
fn closed_descriptors_are_not_taken_by_pipes() {
    let space = Space::new();
    // prun stops when it can't write: what is to be seen comes first.
    let task = "-c 'cat; echo err >&2; echo out' ::: x";
    space.sh(&format!("prun exec {task} <&-")).run().code(0).stdout("out\n").stderr_has("err\n");
    space.sh(&format!("prun exec {task} 2>&-")).run().stdout("out\n");
    let ended = space.sh(&format!("prun exec {task} >&-")).run();
    ended.stdout("").stderr_has("err\n").stderr_lacks("out\n");
    ended.code(125).stderr_has("could not write to stdout");
    space.sh(&format!("prun exec {task} <&- >&- 2>&-")).run().stdout("").quiet();
    space.sh("prun exec -k -- echo {} <&-").run().stdout("");
}

#[test]
fn lines_may_have_columns() {
    let space = Space::new();
    space.write("users", "ann:1:/home/ann\nbob:2\n");
    let toml = r#"
        [jobs.users]
        each = { lines = "users", separator = ":" }
        command = ["echo", "{2}", "{1/}", "{}"]
        keep_order = true
    "#;
    space.file(toml).run().ok().stdout("1 ann ann 1 /home/ann\n2 bob bob 2\n");
}

/// Runs prun again and again with one of its system calls failing: each of those that pass this text, one after another.
/// Returns nothing where strace(1) can't be used.
fn with_failing_calls(space: &Space, call: &str, text: &str, error: &str) -> Vec<Ended> {
    if !space.sh("strace -o trace true").run().status.success() {
        eprintln!("skipped: needs strace, and leave to trace");
        return Vec::new();
    }
    space.sh(&format!("rm -f log; exec strace -o trace -s 64 -e trace={call} prun")).run().code(0);
    let trace = space.read("trace");
    let calls = trace.lines().filter(|line| line.starts_with(call)).enumerate();
    let wanted: Vec<(usize, &str)> = calls
        .filter(|(_, line)| line.contains(text))
        .filter_map(|(index, line)| Some((index + 1, line.split_inclusive(',').next()?)))
        .collect();
    assert!(!wanted.is_empty(), "prun calls {call} with `{text}`:\n{trace}");
    let run = |(number, call_of_fd): (usize, &str)| {
        // Calls for other descriptors may come before or after; then the wrong one has failed.
        for _ in 0..100 {
            let inject = format!("inject={call}:error={error}:when={number}");
            let ended =
                space.sh(&format!("rm -f log; exec strace -o trace -e trace={call} -e {inject} prun")).run();
            let trace = space.read("trace");
            if trace.lines().any(|line| line.starts_with(call_of_fd) && line.ends_with("(INJECTED)")) {
                return ended;
            }
        }
        panic!("`{call_of_fd}` never was the call with the number {number}")
    };
    wanted.into_iter().map(run).collect()
}

#[test]
fn an_input_that_cannot_be_written_fails_its_task() {
    let space = Space::new();
    let long = format!("FED {}", "x".repeat(500_000));
    for toml in [
        "[jobs.a]\nstdin.text = 'FED'\ncommand = 'cat'\nstdout.file = 'out'\n".to_owned(),
        format!("[jobs.a]\nstdin.text = '{long}'\ncommand = 'cat'\nstdout.file = 'out'\n"),
        "[jobs.a]\neach = ['FED']\nstdin = 'item'\ncommand = 'cat'\nstdout.file = 'out'\n".to_owned(),
    ] {
        space.write("prun.toml", toml);
        for ended in with_failing_calls(&space, "write", "FED", "EIO") {
            ended.code(126).stderr_has("its input could not be written: ");
        }
    }
}

#[test]
fn an_input_that_cannot_be_written_to_its_end_is_not_ended() {
    let space = Space::new();
    let toml = format!(
        "[jobs.a]\nstdin.text = 'FED{}'\nscript = 'rm -f whole; cat >out; : >whole'\n[jobs.w]\nafter = {{ a = 'exit' }}\ncommand = 'true'\n",
        "x".repeat(500_000)
    );
    space.write("prun.toml", toml);
    for ended in with_failing_calls(&space, "write", "\"xxx", "ENOMEM") {
        ended.code(1).stderr_has("its input could not be written: out of memory");
        ended.check(!space.exists("whole"), "half of the input was not taken for the whole");
    }
}

#[test]
fn an_output_that_cannot_be_read_fails_its_task() {
    let space = Space::new();
    for toml in [
        "[jobs.a]\nscript = 'echo TOLD'\n",
        "[jobs.a]\nscript = 'echo TOLD >&2'\n",
        "[jobs.a]\nscript = 'echo TOLD'\nstdout = { file = 'out', show = true }\n",
        "[jobs.a]\npty = true\nscript = 'echo TOLD'\nready.line = 'TOLD'\n",
    ] {
        space.write("prun.toml", format!("[run]\njournal = 'log'\n{toml}"));
        let failed = with_failing_calls(&space, "read", "TOLD\\n", "EINVAL");
        for ended in &failed {
            ended.code(1).stderr_has("its output could not be read: invalid argument");
        }
        let log = space.read("log");
        assert!(failed.is_empty() || !log.lines().last().expect("a line").contains("\"ok\""), "{log}");
    }
}

#[test]
fn half_a_record_behind_a_read_error_is_none() {
    let space = Space::new();
    let toml = "[jobs.w]\nscript = 'mkfifo gate; printf \"whole\\nHALF\"; read -r x <gate; rm gate; echo rest'\nstdout.queue = 'q'\n\
                [jobs.r]\nscript = 'read -r x; echo $x; echo go >gate; cat'\nstdin.queue = 'q'\noutput = 'line'\n";
    space.write("prun.toml", toml);
    for ended in with_failing_calls(&space, "read", "\"rest\\n\"", "EIO") {
        ended.code(1).stdout("whole\n").stderr_has("its output could not be read: ");
    }
}

#[test]
fn what_a_worker_is_given_and_answers_is_not_lost() {
    let space = Space::new();
    let toml = "[jobs.a]\neach = ['TASK1', 'TASK2', 'TASK3']\npool = 1\nworker = true\nkeep_order = true\n\
                script = 'while read -r x; do echo \"got $x\"; done'\n";
    space.write("prun.toml", toml);
    for (call, text, told) in [
        ("write", "\"TASK", "its input could not be written"),
        ("read", "\"got TASK", "its output could not be read"),
    ] {
        for ended in with_failing_calls(&space, call, text, "EIO") {
            // Another process is given the tasks.
            ended.code(1).stdout("got TASK1\ngot TASK2\ngot TASK3\n").stderr_has(told);
        }
    }
}
