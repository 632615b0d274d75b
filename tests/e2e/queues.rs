//! Queues: records between jobs, none lost and none delivered twice.

use std::collections::BTreeSet;

use nix::sys::signal::Signal;

use crate::meeting::Meeting;
use crate::space::Space;

/// Parses lines as numbers, each of which must occur once.
fn numbers<'a>(lines: impl IntoIterator<Item = &'a str>) -> BTreeSet<u64> {
    let mut seen = BTreeSet::new();
    for line in lines {
        let number = line.parse().unwrap_or_else(|_| panic!("`{line}` is no whole record"));
        assert!(seen.insert(number), "{number} is there twice");
    }
    seen
}

#[test]
fn one_writer_and_two_readers() {
    let space = Space::new();
    let toml = r#"
        run.pool = 1
        [jobs.write]
        command = "seq 200000"
        stdout.queue = "q"
        [jobs.read]
        repeat = 2
        stdin.queue = "q"
        command = "cat"
        stdout.file = "out{#}"
    "#;
    space.file(toml).run().ok().quiet();
    let (one, two) = (space.read("out1"), space.read("out2"));
    assert!(!one.is_empty() && !two.is_empty(), "both had something to read");
    assert_eq!(numbers(one.lines().chain(two.lines())), (1..=200_000).collect());
}

#[test]
fn two_writers_and_one_reader() {
    let space = Space::new();
    let toml = r#"
        [jobs.odd]
        command = "seq 1 2 9999"
        stdout.queue = "q"
        [jobs.even]
        command = "seq 2 2 10000"
        stdout = { queue = "q", show = true }
        [jobs.read]
        command = "sort -n"
        stdin.queue = "q"
        stdout.file = "out"
    "#;
    let ended = space.file(toml).run();
    assert_eq!(ended.ok().lines().len(), 5000, "what is shown too");
    assert_eq!(numbers(space.read("out").lines()), (1..=10_000).collect());
}

#[test]
fn all_of_it_to_all() {
    let space = Space::new();
    let toml = r#"
        queues.q.deliver = "all"
        [jobs.write]
        command = "puppet out=10000000"
        stdout.queue = "q"
        [jobs.a]
        command = "puppet in"
        stdin.queue = "q"
        [jobs.b]
        command = "puppet in"
        stdin.queue = "q"
        [jobs.c]
        script = "head -c 10"
        stdin.queue = "q"
        stdout = "null"
    "#;
    space.file(toml).run().ok().stdout_sorted(&["read 10000000", "read 10000000"]);
}

#[test]
fn an_endless_reader_ends_when_the_queue_is_dry() {
    let space = Space::new();
    let toml = r#"
        [jobs.write]
        command = "seq 3"
        stdout.queue = "q"
        [jobs.read]
        stdin.queue = "q"
        daemon = true
        grace = "200ms"
        script = "while :; do read -r v && echo got $v; done"
    "#;
    space.file(toml).run().ok().stdout("got 1\ngot 2\ngot 3\n").within(60);
    let ends = toml.replace("while :; do read -r v && echo got $v; done", "cat; echo end");
    space.file(&ends.replace("200ms", "1h")).run().ok().stdout("1\n2\n3\nend\n");
}

#[test]
fn a_reader_that_runs_on_behind_the_end_is_pointed_out_when_prun_is_stopped() {
    let space = Space::new();
    let file = space.file(
        r#"
        [jobs.write]
        command = "seq 3"
        stdout.queue = "q"
        [jobs.read]
        stdin.queue = "q"
        output = "line"
        script = "cat; echo end; exec sleep 1000"
    "#,
    );
    let running = file.start();
    running.shows_lines(4);
    running.signal(Signal::SIGINT);
    let ended = running.end();
    ended.died_of(Signal::SIGINT).stderr_has(
        "`read` was given all of its queue and still runs; if it never ends by itself, it needs `daemon = true`",
    );
}

#[test]
fn writers_end_when_the_last_reader_has_gone() {
    let space = Space::new();
    let toml = r#"
        [jobs.write]
        command = "yes"
        stdout.queue = "q"
        [jobs.read]
        command = "head -1"
        stdin.queue = "q"
    "#;
    space.file(toml).run().ok().stdout("y\n");
    space
        .file(&toml.replace("head -1", "sh -c 'exit 4'"))
        .run()
        .code(141)
        .stderr_has("read `sh -c 'exit 4'`: exit 4");
}

#[test]
fn half_a_record_of_a_killed_writer_is_none() {
    let space = Space::new();
    let toml = r#"
        [jobs.killed]
        script = "echo whole; printf half; kill -9 $$"
        stdout.queue = "q"
        [jobs.failed]
        script = "printf last; exit 3"
        stdout.queue = "q"
        [jobs.read]
        command = "sort"
        stdin.queue = "q"
    "#;
    space.file(toml).run().code(137).stdout("last\nwhole\n");
}

#[test]
fn what_a_dead_reader_did_not_read_is_for_others() {
    let space = Space::new();
    let toml = r#"
        [jobs.write]
        command = "seq 1000"
        stdout.queue = "q"
        [jobs.read]
        stdin.queue = "q"
        retries = 1
        output = "line"
        script = 'read -r v; echo $v; test $PRUN_ATTEMPT = 2 || exit 1; exec cat'
    "#;
    let ended = space.file(toml).run();
    assert_eq!(numbers(ended.ok().lines()), (1..=1000).collect());
}

#[test]
fn a_task_for_each_record() {
    let space = Space::new();
    let toml = r#"
        [jobs.write]
        script = 'printf "a 1\nb 2\nc 3"'
        stdout.queue = "q"
        [jobs.each]
        each = { queue = "q", separator = " " }
        command = "echo {1}={2}"
        keep_order = true
    "#;
    space.file(toml).run().ok().stdout("a=1\nb=2\nc=3\n");
    let toml = r#"
        [queues.q]
        records = { start = "^>" }
        [jobs.write]
        script = 'printf ">a\nx\n>b"'
        stdout.queue = "q"
        [jobs.each]
        each.queue = "q"
        stdin = "item"
        command = "od -An -c"
        keep_order = true
    "#;
    let ended = space.file(toml).run();
    let words = |line: &str| line.split_whitespace().collect::<String>();
    assert_eq!(ended.ok().lines().into_iter().map(words).collect::<Vec<_>>(), [r">a\nx\n", ">b"]);
}

#[test]
fn records_of_every_kind() {
    for (records, text, expected) in [
        ("'nul'", r"a\0b\n\0c", "a\\0b\\n\\0c\\0"),
        ("{ separator = '--' }", "a--b--c", "a--b--c--"),
        ("{ bytes = 2 }", "abcde", "abcde"),
        ("{ block = 4 }", r"a\nb\nc\nd", r"a\nb\nc\nd"),
        ("{ start = '^>' }", r">a\n>b", r">a\n>b"),
    ] {
        let space = Space::new();
        let toml = format!(
            "queues.q.records = {records}\n[jobs.w]\ncommand = ['printf', '{text}']\nstdout.queue = 'q'\n\
             [jobs.r]\ncommand = 'cat'\nstdin.queue = 'q'\n"
        );
        let expected = expected.replace(r"\0", "\0").replace(r"\n", "\n");
        space.file(&toml).run().ok().stdout(&expected);
    }
}

#[test]
fn a_full_queue_holds_its_writer_and_memory_stays_flat() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = r#"
        [queues.q]
        capacity = 10
        [jobs.write]
        command = "yes 0123456789"
        stdout.queue = "q"
        [jobs.read]
        command = "puppet meet=reader in=50000000 hold"
        stdin.queue = "q"
    "#;
    space.write("prun.toml", toml);
    let running = space.sh("puppet measure=rss prun").start();
    let mut reader = meeting.guest();
    running.shows("read 50000000\n");
    reader.tell("exit=0");
    running.end().ok();
    let rss: u64 = space.read("rss").trim().parse().expect("a number of KiB");
    assert!(rss < 20_000, "{rss} KiB");
}

#[test]
fn a_long_record_is_whole() {
    let space = Space::new();
    let toml = r#"
        [run]
        max_record = "100MB"
        [jobs.write]
        script = "head -c 100000000 /dev/zero | tr '\\0' x; echo; echo end"
        stdout.queue = "q"
        [jobs.read]
        script = "wc -lc"
        stdin.queue = "q"
    "#;
    let ended = space.file(toml).run();
    let counts: Vec<u64> = ended.ok().stdout.split_whitespace().map(|word| word.parse().unwrap()).collect();
    assert_eq!(counts, [2, 100_000_005]);
    ended.within(60);
}

#[test]
fn a_stop_in_the_middle() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = r#"
        [jobs.write]
        command = "yes"
        stdout.queue = "q"
        [jobs.read]
        command = "puppet meet=reader hold"
        stdin.queue = "q"
    "#;
    let running = space.file(toml).start();
    let mut reader = meeting.guest();
    running.signal(Signal::SIGTERM);
    reader.is_gone();
    running.end().died_of(Signal::SIGTERM).within(60);
}

#[test]
fn a_dry_run_tells_of_the_records() {
    let space = Space::new();
    let toml =
        "[jobs.w]\ncommand = 'seq 3'\nstdout.queue = 'q'\n[jobs.r]\neach.queue = 'q'\ncommand = 'wc {}'\n";
    let ended = space.write("prun.toml", toml).prun("--dry-run").run();
    ended.ok().stdout_has("seq 3\n").stdout_has("# r: a task for each record of queue `q`\nwc '{}'\n");
}

/// The writer tells of each record that it has written, the reader of each before it asks for the next. The reader begins
/// when the writer stands still.
#[test]
fn a_capacity_is_felt_however_short_the_records_are() {
    let space = Space::new();
    let toml = r#"
        queues.q.capacity = CAPACITY
        [jobs.write]
        script = 'for i in $(seq 200); do echo $i; echo w >>log; done'
        stdout.queue = "q"
        [jobs.read]
        stdin = { queue = "q"AHEAD }
        output = "line"
        script = '''
        until [ -s log ] && c=$(wc -l <log) && sleep 0.2 && [ "$c" = "$(wc -l <log)" ]; do :; done
        while read -r line; do echo "$line"; echo r >>log; done
        '''
    "#;
    for (capacity, ahead) in [(10, ", ahead = 1"), (10, ""), (1, ", ahead = 1"), (64, "")] {
        let toml = toml.replace("CAPACITY", &capacity.to_string()).replace("AHEAD", ahead);
        space.write("log", "");
        let ended = space.file(&toml).run();
        assert_eq!(
            ended.ok().lines().join(" "),
            (1..=200).map(|n| n.to_string()).collect::<Vec<_>>().join(" ")
        );
        let (mut lead, mut most) = (0_i64, 0_i64);
        for line in space.read("log").lines() {
            lead += if line == "w" { 1 } else { -1 };
            most = most.max(lead);
        }
        assert!(
            (1..=capacity + 3).contains(&most),
            "{most} records ahead with a capacity of {capacity}{ahead}"
        );
    }
}

/// A pipe in packet mode loses the rest of a packet that is not read at once.
#[test]
fn nothing_is_lost_in_packets() {
    let space = Space::new();
    for (records, text) in [
        // One write a record, of every length around a page, and pieces that are no whole records.
        ("'lines'", "for n in range(1, 700): w(b'x' * (n * 13 % 9000) + b'\\n')"),
        ("'lines'", "for n in range(700): w(b'ab\\nc' * (n % 50))"),
        ("'nul'", "for n in range(3000): w(b'%d\\0' % n)"),
        ("{ bytes = 1000 }", "for n in range(300): w(b'y' * (n * 7))"),
        ("{ start = '^>' }", "for n in range(300): w(b'>%d\\nmore\\n' % n)"),
        ("'lines'", "w(b'z' * 3000000 + b'\\n'); w(b'end')"),
        // A buffer of stdio.
        ("'lines'", "print('\\n'.join(map(str, range(30000))))"),
    ] {
        let program = format!("import os, sys\ndef w(b): os.write(1, b); os.write(2, b)\n{text}\n");
        space.write("write.py", program);
        let toml = format!(
            "[queues.q]\ncapacity = 5\nrecords = {records}\n\
             [jobs.w]\ncommand = 'python3 write.py'\nstdout.queue = 'q'\nstderr.file = 'copy'\n\
             [jobs.r]\ncommand = 'cat'\nstdin.queue = 'q'\nstdout.file = 'out'\n"
        );
        space.file(&toml).run().ok();
        let (out, mut copy) =
            (std::fs::read(space.path("out")).unwrap(), std::fs::read(space.path("copy")).unwrap());
        if text.starts_with("print") {
            copy = (0..30000).map(|n| format!("{n}\n")).collect::<String>().into_bytes();
        }
        // A last record without its end gets one.
        assert!(
            out == copy || out == [&copy[..], b"\n"].concat(),
            "{records} {text}: {} of {}",
            out.len(),
            copy.len()
        );
    }
}
