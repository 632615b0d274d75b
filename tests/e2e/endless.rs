//! Input without an end, records that are too long, and inputs that break off: prun hears signals and timeouts
//! meanwhile, takes no more memory than one record, and loses no other record.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::space::{Space, wait_until};

/// Writes `head`, and behind it NUL bytes without an end that a test would see.
fn endless(space: &Space, name: &str, head: &str) {
    let mut file = std::fs::File::create(space.path(name)).expect("a file in the space");
    file.write_all(head.as_bytes()).expect("room");
    file.set_len(1 << 40).expect("holes take no room");
}

/// Returns how many bytes a process has read.
fn bytes_read(pid: Pid) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let count = io.lines().find_map(|line| line.strip_prefix("rchar: "));
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}

#[test]
fn timeouts_and_signals_are_handled_while_endless_items_are_read() {
    let space = Space::new();
    endless(&space, "empty", "a\0");
    let running = space.exec("-0 -r -j2 -a empty --timeout 0.2 -c 'sleep 1000'").start();
    running.says("timeout (");
    running.signal(Signal::SIGTERM);
    running.end().died_of(Signal::SIGTERM);
    // The same for a source that is read into memory before the first task.
    space.write("one", "a\n");
    let running = space.exec("-0 -r -a one -a empty echo").start();
    wait_until("it reads", || bytes_read(running.pid()) > 16 << 20);
    running.signal(Signal::SIGTERM);
    running.end().died_of(Signal::SIGTERM);
}

#[test]
fn an_item_that_no_argument_can_hold_fails_its_task_alone() {
    let space = Space::new();
    let long = "x".repeat(200_000);
    space.write("lines", format!("a\n{long}\nb\n{}\n{}\n", &long[..131_071], &long[..131_072]));
    space.write("words", format!("a '{long}' b"));
    for (line, number, size) in [
        ("-a lines echo", 2, 200_000),
        ("-a lines -c 'echo ${#1} {}'", 2, 200_000),
        ("-a lines echo x{}", 2, 200_000),
        ("-a words --words echo", 2, 200_000),
        ("-a lines -n2 echo", 2, 200_000),
        ("-a lines -X echo", 2, 200_000),
    ] {
        let ended = space.sh(&format!("prun exec -k -j1 {line}; exit $?")).run();
        ended.code(126).stderr_has(&format!("item {number} has {size} bytes"));
        ended.stderr_has("an argument can have 131071 at most").stderr_lacks("rerun");
        ended.check(ended.stdout.contains('a') && ended.stdout.contains('b'), "the others ran");
    }
    let ended = space.exec("-k -a lines -c 'echo ${#1}'").run();
    ended.code(126).stdout("1\n1\n131071\n").stderr_has("item 5 has 131072 bytes");
    // The part that is an argument counts, where that is known to be another one.
    space.write("paths", format!("{long}/base\n")).write("rows", format!("{long},b\n"));
    space.exec("-a paths echo {/}").run().ok().stdout("base\n");
    space.exec("--csv -a rows echo {2}").run().ok().stdout("b\n");
    space.exec("--colsep , -a rows echo {2}").run().ok().stdout("b\n");
    let ended = space.exec("--header -a lines echo").run();
    ended.code(126).stderr_has("item 1 has 200000 bytes");
    space.write("head", format!("{long}\na\n"));
    space.exec("--header -a head echo").run().code(125).stderr_has("header of").stderr_has("too long");
}

#[test]
fn the_hook_of_a_task_that_is_too_long_runs_and_the_journal_knows_it() {
    let space = Space::new();
    space.write("lines", format!("a\n{}\n", "x".repeat(200_000)));
    let toml = "[jobs.a]\neach.lines = 'lines'\ncommand = 'echo'\non_failure = { script = 'echo hook $PRUN_OUTCOME' }\n\
                [jobs.b]\neach.job = 'a'\ncommand = 'echo b'\n[run]\njournal = 'log'\npool = 1\n";
    let ended = space.file(toml).run();
    ended.code(126).stdout_has("hook not started").stdout_has("b a\n");
    let again = space.prun("--resume").run();
    again.code(126).stderr_has("item 2 has 200000 bytes").check(!again.stdout.contains("a\n"), "it was ok");
}

#[test]
fn without_a_separator_reading_ends() {
    let space = Space::new();
    let big = "head -c 80000000 /dev/zero | tr '\\0' x";
    for (line, why) in [
        ("prun exec echo", "no newline in the first"),
        ("prun exec -0 echo", "no NUL byte in the first"),
        ("prun exec -d , echo", "no `,` in the first"),
        ("prun exec --words echo", "no end in the first"),
        ("prun exec --colsep , echo {1}", "no newline in the first"),
    ] {
        let ended = space.sh(&format!("{big} | {line}")).run();
        ended.code(125).stdout("").stderr_has(why).stderr_has("`-0`").stderr_has("`-d`");
    }
    let ended = space.sh(&format!("(printf \"a\\n'\"; {big}) | prun exec --words echo")).run();
    ended.code(125).stdout("a\n").stderr_has("the ' in line 2 is not closed");
    let ended = space.sh(&format!("(printf 'a\\nb,\"'; {big}) | prun exec --csv echo")).run();
    ended.code(125).stdout("a\n").stderr_has("the quote that begins in line 2 is never closed");
    space.exec("-a /dev/zero echo").run().code(125).stdout("").stderr_has("NUL").stderr_has("`-0`");
    let toml = "[jobs.a]\neach.lines = '/dev/zero'\ncommand = 'cat'\nworker = true\n[run]\nmax_record = '1MiB'\n\
                [jobs.b]\ncommand = 'echo b'";
    space.file(toml).run().code(125).stdout("b\n").stderr_has("no newline in the first");
}

#[test]
fn a_record_for_a_standard_input_has_a_bound_that_can_be_raised() {
    let space = Space::new();
    space.write("lines", format!("a\n{}\nb\n", "x".repeat(100_000)));
    for options in ["--worker", "--worker=ahead=4"] {
        let ended = space.exec(&format!("-k -j1 --max-record 50KB {options} -a lines cat")).run();
        ended.code(126).stdout("a\nb\n").stderr_has("item 2 has 100000 bytes").stderr_has("`--max-record`");
        let ended = space.exec(&format!("-k -j1 --max-record 100001 {options} -a lines cat")).run();
        ended.ok().check(ended.stdout.len() == 100_005, "all of it");
    }
    let toml = "[jobs.a]\neach.lines = 'lines'\nstdin = 'item'\ncommand = 'wc -c'\nkeep_order = true\n";
    space.file(&format!("[run]\nmax_record = '50KB'\n{toml}")).run().code(126).stdout("2\n2\n");
    space.file(toml).run().ok().stdout("2\n100001\n2\n");
    space.file(toml).env("PRUN_MAX_RECORD", "50KB").run().code(126).stdout("2\n2\n");
}

#[test]
fn a_quote_that_is_never_closed_is_an_error() {
    let space = Space::new();
    space.write("t.csv", "name,n\nx,1\ny,\"2\nz,3\n");
    let ended = space.exec("-k --csv --header -a t.csv echo {name}").run();
    ended.code(125).stdout("x\n").stderr_has("the quote that begins in line 3 is never closed");
    let toml = "[jobs.a]\neach.csv = 't.csv'\ncommand = 'echo {name}'\n[jobs.b]\nafter = ['a']\ncommand = 'echo b'\n";
    space.file(toml).run().code(125).stdout("x\n").stderr_has("line 3 is never closed").stderr_has("skipped");
    space.write("lone.csv", "a\n\"");
    space.exec("--csv -a lone.csv echo").run().code(125).stdout("a\n").stderr_has("line 2");
    space.write("tabs.csv", "a\tb\n\"c\td\n");
    let toml =
        "[jobs.a]\neach = { csv = 'tabs.csv', separator = \"\\t\", header = false }\ncommand = 'echo {1}'\n";
    space.file(toml).run().code(125).stdout("a\n").stderr_has("line 2");
    space.write("well.csv", "a,\"b\"\n\"c\nd\",\"\"\n5\" pipe,x");
    space.exec("-k --csv -a well.csv echo {1}-{2}").run().ok().stdout("a-b\nc\nd-\n5\" pipe-x\n");
}

#[test]
fn nul_bytes_in_the_first_block_of_lines_start_nothing() {
    let space = Space::new();
    space.write("first", "a\0b\nc\n").write("later", format!("{}x\0y\nz\n", "a\n".repeat(50_000)));
    for line in ["-a first touch PWN", "-r -a first --dry-run echo"] {
        let ended = space.exec(line).run();
        ended.code(125).stdout("").stderr_has("holds NUL bytes").stderr_has("`-0`");
    }
    space
        .file("[jobs.a]\neach.lines = 'first'\ncommand = 'touch PWN'\n")
        .run()
        .code(125)
        .stderr_has("`nul = true`");
    assert!(!space.exists("PWN"));
    // Later ones fail their task.
    let ended = space.exec("-X -a later -- true {}").run();
    ended.check(!ended.status.success(), "a task failed").stderr_has("items of").stderr_has("`-0`");
    let hints = ended.stderr.matches("do they separate").count();
    ended.check(hints == 1, "the hint comes once");
    // To a standard input they go as they are, and separators they may be.
    space.exec("-k --worker -a first cat").run().ok().stdout("a\0b\nc\n");
    space.exec("-k -0 -a first echo").run().ok().stdout("a\nb\nc\n");
}

/// A connection that is reset after these bytes were sent: reading from it ends with an error.
fn broken_connection(bytes: &str) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut client = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
    let (server, _) = listener.accept().expect("a client");
    client.write_all(bytes.as_bytes()).expect("room");
    // Unread bytes at the client's side make its end a reset.
    (&server).write_all(b"unread").expect("room");
    let mut peeked = [0; 6];
    while client.peek(&mut peeked).expect("bytes") < 6 {}
    drop(client);
    server
}

#[test]
fn what_stands_behind_a_read_error_is_dropped_and_told() {
    let space = Space::new();
    for (options, sent, shown) in [
        ("echo", "x\ny\nhal", "x\ny\n"),
        ("-0 echo", "x\0hal", "x\n"),
        ("--words echo", "x y hal", "x\ny\n"),
        ("--csv echo", "x,y\nhal,", "x y\n"),
        ("--worker cat", "x\nhal", "x\n"),
        ("-n3 echo", "x\ny\nhal", "x y\n"),
        ("--pipe --block 1 cat", "x\ny\nhal", "x\ny\n"),
        ("--pipe cat", "x\ny\nhal", "x\ny\n"),
        ("--pipe -n1 cat", "x\nhal", "x\n"),
    ] {
        let connection = broken_connection(sent);
        let path = format!("/proc/{}/fd/{}", std::process::id(), connection.as_raw_fd());
        assert!(Path::new(&path).exists());
        let mut command = space.exec(&format!("-k -j1 {options}")).into_command();
        command.stdin(std::os::fd::OwnedFd::from(connection));
        let output = command.output().expect("prun starts");
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(stdout, shown, "{options}: {stderr}");
        assert!(!output.status.success(), "{options}: {stderr}");
        assert!(stderr.contains("connection reset") && stderr.contains("dropped"), "{options}: {stderr}");
    }
}

#[test]
fn timeouts_and_signals_are_handled_while_the_end_of_a_block_is_searched() {
    let space = Space::new();
    endless(&space, "big", "a NEVER");
    let pipe = "--pipe --recend NEVER --block 1 --timeout 0.2";
    let running = space.exec(&format!("{pipe} -j2 -a big -c 'sleep 1000'")).start();
    running.says("timeout (");
    running.signal(Signal::SIGTERM);
    running.end().died_of(Signal::SIGTERM);
    let running = space.sh(&format!("exec prun exec {pipe} -j2 --round-robin -c 'sleep 1000' <big")).start();
    running.says("timeout (");
    running.signal(Signal::SIGTERM);
    running.end().died_of(Signal::SIGTERM);
}

#[test]
fn a_record_of_a_block_has_a_bound_that_can_be_raised() {
    let space = Space::new();
    space.write("text", format!("a\n{}\nb\n", "x".repeat(900_000)));
    for from in ["prun exec -a text", "prun exec <text", "cat text | prun exec"] {
        for count in ["--block 1", "-n1"] {
            let line = format!("{from} --max-record 500KB -k -j1 --pipe {count} wc -c");
            let ended = space.sh(&line).run();
            ended
                .code(126)
                .stdout("2\n2\n")
                .stderr_has("block 2 holds a record of at least 9000")
                .stderr_has("`--max-record`");
            let ended = space.sh(&format!("{from} --max-record 1MB -k -j1 --pipe {count} wc -c")).run();
            ended.ok().stdout("2\n900001\n2\n");
        }
        space
            .sh(&format!("{from} --max-record 500KB -k --pipe --block 1MiB wc -c"))
            .run()
            .ok()
            .stdout("900005\n");
    }
    // Without an end, a file is searched to its end, and a stream to 16 times the bound.
    space.write("long", "x".repeat(3 << 20));
    let ended = space.exec("--max-record 1MiB --pipe --block 1 --recend NEVER -a long cat").run();
    ended.code(126).stdout("").stderr_has("block 1 holds a record of at least 314572");
    let ended = space.exec("--max-record 1MiB --pipe -a /dev/zero cat").run();
    ended.code(125).stdout("").stderr_has("a record has no end within").stderr_has("`--recend`");
    let ended = space.exec("--max-record 1MiB --pipe -j2 --round-robin -a /dev/zero cat").run();
    ended.check(!ended.status.success(), "no end of a record").stdout("").stderr_has("`--recend`");
    let ended = space.exec("--max-record 500KB --pipe --block 1 -j1 --round-robin -a text cat").run();
    ended.check(!ended.status.success(), "its task fails").stderr_has("block 2 holds a record");
}

#[test]
fn an_answer_has_a_bound_and_its_worker_is_replaced() {
    let space = Space::new();
    // The second task is answered at length, by a script that tells its lines apart.
    let worker = r#"while read -r n; do if [ "$n" = 2 ]; then head -c 300000 /dev/zero | tr '\0' x; fi; echo "$n"; done"#;
    for options in ["--worker", "--worker=ahead=3", "--worker=fail=nothing", "--worker --tag"] {
        let ended =
            space.exec(&format!("-k -j1 --max-record 100KB {options} -c")).arg(worker).arg(":::").arg("1");
        let ended = ended.arg("2").arg("3").arg("4").run();
        ended.code(1).stderr_has("its answer has more than 100000 bytes").stderr_has("`--max-record`");
        let texts: Vec<&str> =
            ended.lines().iter().map(|line| line.rsplit('\t').next().unwrap_or("")).collect();
        ended.check(texts == ["1", "3", "4"], "the others were answered");
    }
    let ended = space.exec("--worker --max-record 1MiB cat /dev/zero ::: a").run();
    ended.code(1).stdout("").stderr_has("its answer has more than 1048576 bytes");
    // Without the option the bound is 64 MiB, and no memory beyond it is held.
    let ended = space.sh("exec puppet measure=rss prun exec --worker cat /dev/zero ::: a").run();
    ended.code(1).stderr_has("its answer has more than 67108864 bytes");
    let kib: u64 = space.read("rss").parse().expect("a number");
    assert!(kib < 120 << 10, "{kib} KiB");
}

#[test]
fn a_record_of_a_queue_has_a_bound() {
    let space = Space::new();
    let toml = "[jobs.long]\nscript = 'echo a; head -c 3000000 /dev/zero | tr \"\\\\0\" x; echo; echo lost'\nstdout.queue = 'q'\n\
                [jobs.short]\nscript = 'echo b; echo c'\nstdout.queue = 'q'\n\
                [jobs.read]\nstdin.queue = 'q'\ncommand = 'sort'\n";
    let ended = space.file(&format!("[run]\nmax_record = '1MiB'\n{toml}")).run();
    ended.code(1).stdout("a\nb\nc\n").stderr_has("a record of more than 1048576 bytes into queue `q`");
    let ended = space.file(toml).run();
    ended.ok().check(ended.stdout.len() == 3_000_000 + 12, "all of it");
    // The writer has ended before its record is found to be too long, and what it wrote before is whole.
    space.write("small", format!("s0\n{}\ns1\n", "y".repeat(3000)));
    for reader in ["stdin.queue = 'q'\ncommand = 'cat'", "each.queue = 'q'\ncommand = 'echo {}'"] {
        for records in ["lines", "nul"] {
            space.write("nul", format!("s0\0{}\0s1\0", "y".repeat(3000)));
            let file = if records == "nul" { "nul" } else { "small" };
            let toml = format!(
                "[run]\nmax_record = '1KiB'\n[queues.q]\nrecords = '{records}'\n\
                 [jobs.w]\ncommand = 'cat {file}'\nstdout.queue = 'q'\n[jobs.r]\n{reader}\n"
            );
            let ended = space.file(&toml).run();
            ended.code(1).stdout_has("s0").stderr_has("w: it wrote a record of more than 1024 bytes");
        }
    }
    let toml =
        "[run]\nmax_record = '1MiB'\n[jobs.a]\neach.command = ['cat', '/dev/zero']\ncommand = 'echo'\n";
    let ended = space.file(toml).run();
    ended
        .check(!ended.status.success(), "it has no end")
        .stdout("")
        .stderr_has("a record of more than 1048576 bytes");
}

#[test]
fn a_worker_is_given_a_large_item_in_linear_time() {
    let space = Space::new();
    space.sh("head -c 60000000 /dev/zero | tr '\\0' x >long; echo >>long").run().ok();
    let counter = "exec puppet measure=rss prun exec --worker=reply=nul -a long -c 'head -c 60000001 | wc -c | tr \"\\n\" \"\\0\"'";
    space.sh(counter).run().code(0).stdout("60000001\0");
    let kib: u64 = space.read("rss").parse().expect("a number");
    assert!(kib < 200 << 10, "{kib} KiB");
}
