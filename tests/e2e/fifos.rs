//! FIFOs as inputs and outputs: opening one waits for its other end, and only for that task.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::sync::mpsc::channel;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::meeting::Meeting;
use crate::space::{LIMIT, Space};

/// Returns a space with these FIFOs.
fn space(fifos: &[&str]) -> Space {
    let space = Space::new();
    for fifo in fifos {
        let path = space.path(fifo);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders can be made");
        mkfifo(&path, Mode::S_IRWXU).expect("a FIFO");
    }
    space
}

/// Does what may block for ever if prun fails.
#[track_caller]
fn within_limit<T: Send + 'static>(what: &str, action: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = channel();
    std::thread::spawn(move || sender.send(action()));
    match receiver.recv_timeout(LIMIT) {
        Ok(done) => done,
        Err(_) => panic!("{what}"),
    }
}

/// Opens a FIFO for reading as soon as somebody writes to it, and returns what comes to its end.
#[track_caller]
fn read(space: &Space, fifo: &str) -> String {
    let path = space.path(fifo);
    within_limit("the FIFO has no writer, or no end", move || {
        let mut text = String::new();
        File::open(path).expect("a FIFO").read_to_string(&mut text).expect("text");
        text
    })
}

#[track_caller]
fn open_for_reading(space: &Space, fifo: &str) -> File {
    let path = space.path(fifo);
    within_limit("the FIFO has no writer", move || File::open(path).expect("a FIFO"))
}

#[track_caller]
fn open_for_writing(space: &Space, fifo: &str) -> File {
    let path = space.path(fifo);
    within_limit("the FIFO has no reader", move || OpenOptions::new().write(true).open(path).expect("a FIFO"))
}

#[test]
fn a_timeout_ends_a_task_whose_fifo_has_no_reader() {
    let space = space(&["f", "x/1/a/stdout"]);
    for option in
        ["--stdout f", "--stderr f", "--stdin f", "--stdout '{}f'", "--results 'x'", "-u --stdout f"]
    {
        let item = if option.contains('{') { "''" } else { "a" };
        let ended = space.exec(&format!("--timeout 0.3 {option} touch ran ::: {item}")).run();
        ended.code(124).stderr_has("nobody has opened `");
        assert!(!space.exists("ran"), "{option}");
    }
    let toml = "[jobs.a]\nscript = 'exit 0'\ntimeout = 0.3\nstdout = { file = 'f', show = true }";
    space.file(toml).run().code(124).stderr_has("for reading");
    let toml = "[jobs.a]\npipeline = ['true', { command = 'true', stderr = { file = 'f' } }]\ntimeout = 0.3\nretries = 1\nretry_delay = 0";
    space.file(toml).run().code(124).stderr_has("for reading");
}

#[test]
fn everything_else_goes_on_and_a_stop_ends_the_wait() {
    let space = space(&["f"]);
    let meeting = Meeting::open(&space);
    let toml = r#"
        run.pool = 2
        [jobs.stuck]
        command = "touch ran"
        stdout.file = "f"
        [jobs.first]
        command = "echo shown"
        [jobs.second]
        after = ["first"]
        command = "puppet meet=second hold"
    "#;
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let run = space.file(toml).start();
        let guest = meeting.guest();
        run.shows("shown");
        run.signal(signal);
        run.end().died_of(signal);
        drop(guest);
    }
    assert!(!space.exists("ran"));
    let toml = "run.halt = 'now,fail=1'\nrun.pool = 2\n[jobs.stuck]\ncommand = 'touch ran'\nstdout.file = 'f'\n[jobs.a]\ncommand = 'false'";
    space.file(toml).run().code(1);
    assert!(!space.exists("ran"));
}

#[test]
fn a_fifo_that_is_read_waits_for_a_writer() {
    let space = space(&["in", "a.in"]);
    for line in ["--stdin in cat ::: ''", "--stdin '{}in' -c cat ::: ''", "--stdin '{}.in' -c cat ::: a"] {
        let line = line.replace("cat ::: ''", "-c cat ::: ''");
        let run = space.exec(&line).start();
        let fifo = if line.contains(".in") { "a.in" } else { "in" };
        // This open returns when prun has opened the FIFO.
        let mut writer = open_for_writing(&space, fifo);
        writer.write_all(b"data\n").expect("a reader");
        drop(writer);
        run.end().ok().stdout("data\n");
    }
    // A writer that writes nothing lets the task begin.
    let meeting = Meeting::open(&space);
    let run = space.exec("--stdin in --repeat 1 puppet meet=reader in").start();
    let writer = open_for_writing(&space, "in");
    let guest = meeting.guest();
    drop(writer);
    run.end().ok().stdout("read 0\n");
    drop(guest);
}

#[test]
fn output_of_the_only_task_flows_although_it_had_to_wait() {
    let space = space(&["in"]);
    let meeting = Meeting::open(&space);
    let run = space.exec("--stdin in -c 'cat; exec puppet meet=late hold' ::: a").start();
    let mut writer = open_for_writing(&space, "in");
    writer.write_all(b"at once\n").expect("a reader");
    drop(writer);
    let guest = meeting.guest();
    run.shows("at once");
    drop(guest);
    run.end().ok();
}

#[test]
fn items_come_from_a_fifo_that_has_no_writer_yet() {
    let space = space(&["in"]);
    let toml = "[jobs.a]\neach.lines = 'in'\nkeep_order = true\ncommand = 'echo'";
    space.write("prun.toml", toml);
    for line in ["exec -k -a in echo", "exec -k --pipe -a in cat", "", "exec -k echo :::: in"] {
        let run = space.prun(line).start();
        let mut writer = open_for_writing(&space, "in");
        writer.write_all(b"x\n").expect("a reader");
        writer.write_all(b"y\n").expect("a reader");
        drop(writer);
        run.end().ok().stdout("x\ny\n");
    }
    // A writer that has come and gone is the end.
    let run = space.prun("exec -a in echo").start();
    drop(open_for_writing(&space, "in"));
    run.end().ok().stdout("");
}

#[test]
fn a_reader_sees_the_end_when_the_last_task_has_ended() {
    let space = space(&["f", "1.f", "out/1/a/stdout"]);
    for (line, text) in [
        ("-k --stdout f -c 'echo {}' ::: a b c", "a\nb\nc\n"),
        ("--repeat 1 --stdout f echo once", "once\n"),
        ("-j1 -u --stdout f echo ::: a b", "a\nb\n"),
        ("-j1 --stdout f --stderr f -c 'echo {}; echo {}2 >&2' ::: a b", "a\na2\nb\nb2\n"),
        ("-k --stdout f -c 'head -c 3000000 /dev/zero | tr \"\\0\" {}; echo' ::: x y", ""),
    ] {
        let run = space.exec(line).start();
        let read = read(&space, "f");
        run.end().ok();
        match text {
            "" => assert_eq!(read.len(), 6_000_002),
            text => assert_eq!(read, text, "{line}"),
        }
    }
    for (line, fifo) in
        [("--stdout '{#}.f' echo ::: a", "1.f"), ("--results out echo ::: a", "out/1/a/stdout")]
    {
        let run = space.exec(line).start();
        assert_eq!(read(&space, fifo), "a\n");
        run.end().ok();
    }
    // A task that is tried again keeps it open.
    let run = space
        .exec("--retries 2 --stdout '{#}.f' -c 'echo $PRUN_ATTEMPT; exit $((3 - PRUN_ATTEMPT))' ::: a")
        .start();
    assert_eq!(read(&space, "1.f"), "1\n2\n3\n");
    run.end().ok();
}

#[test]
fn two_jobs_meet_in_a_fifo() {
    let space = space(&["f"]);
    let meet = "run.pool = 4\n[jobs.w]\ncommand = 'echo through'\nstdout.file = 'f'\n[jobs.r]\ncommand = 'cat'\nstdin.file = 'f'\n";
    let other = "run.pool = 4\n[jobs.r]\ncommand = 'cat'\nstdin.file = 'f'\n[jobs.w]\neach = ['a', 'b']\npool = 1\ncommand = 'echo'\nstdout.file = 'f'";
    let shown = "run.pool = 4\n[jobs.w]\ncommand = 'echo through'\nstdout = { file = 'f', show = true }\n[jobs.r]\nscript = 'cat >got'\nstdin.file = 'f'";
    space.file(meet).run().ok().stdout("through\n");
    space.file(other).run().ok().stdout("a\nb\n");
    space.file(shown).run().ok().stdout("through\n");
    assert_eq!(space.read("got"), "through\n");
    // A shell's process substitutions are pipes under a name.
    let script = "prun exec --stdin <(echo in) --stdout >(cat >sub) -c 'cat; echo {}' ::: a && prun exec -k -a <(echo b) echo";
    space.bash(script).run().ok().stdout("b\n");
    crate::space::wait_until("the substitution has written", || {
        space.exists("sub") && space.read("sub") == "in\na\n"
    });
    // Two writers, one after another, and one reader.
    let two = format!("{meet}[jobs.x]\nafter = ['w']\ncommand = 'echo again'\nstdout.file = './f'");
    space.file(&two).run().ok().stdout("through\nagain\n");
}

#[test]
fn a_table_and_a_joblog_need_a_reader_within_a_second() {
    let space = space(&["t.csv", "log"]);
    for line in ["--results t.csv", "--joblog log"] {
        let ended = space.exec(&format!("{line} touch ran ::: a")).run();
        ended.code(125).stderr_has("nobody has opened the FIFO for reading within a second");
        assert!(!space.exists("ran"));
    }
    // The answers of workers are written by prun, too: no timeout of a task ends the wait.
    let ended = space.exec("--timeout 30 --worker --stdout log cat ::: a").run();
    ended.code(125).stderr_has("nobody has opened the FIFO for reading within a second");
    // prun's own trace of the run is for those who look for a fault, and does not wait.
    let ended = space.exec("touch ran ::: a").env("PRUN_TRACE", "log").run();
    ended.code(125).stderr_has("nobody has opened the FIFO for reading");
    let run = space.exec("--results t.csv echo ::: a").start();
    let table = read(&space, "t.csv");
    run.end().ok();
    assert!(table.starts_with("Seq,Host") && table.ends_with("\"a\n\",\"\"\n"), "{table}");
    let run = space.exec("--joblog log echo ::: a").start();
    assert_eq!(read(&space, "log").lines().count(), 2);
    run.end().ok();
}

#[test]
fn a_reader_that_does_not_read_holds_up_nothing_else() {
    let space = space(&["f"]);
    let meeting = Meeting::open(&space);
    let toml = r#"
        run.pool = 4
        [jobs.much]
        each = ["x"]
        script = "head -c 1000000 /dev/zero"
        stdout.file = "f"
        [jobs.file]
        each = ["y"]
        command = "echo"
        stdout.file = "file.txt"
        [jobs.next]
        after = ["file"]
        script = "cat file.txt; exec puppet meet=next"
    "#;
    let run = space.file(toml).start();
    let mut reader = open_for_reading(&space, "f");
    let guest = meeting.guest();
    run.shows("y");
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).expect("zeros");
    assert_eq!(bytes.len(), 1_000_000);
    run.end().ok();
    drop(guest);
    // A stop does not wait for it either.
    let run = space.file(toml).start();
    let _reader = open_for_reading(&space, "f");
    drop(meeting.guest());
    run.signal(Signal::SIGTERM);
    run.end().died_of(Signal::SIGTERM);
}

#[test]
fn workers_write_to_a_fifo() {
    let space = space(&["f", "err"]);
    let run = space.exec("--worker -k --stdout f cat ::: a b c").start();
    assert_eq!(read(&space, "f"), "a\nb\nc\n");
    run.end().ok();
    let run = space.exec("--worker --stderr err -c 'echo up >&2; cat' ::: a").start();
    assert_eq!(read(&space, "err"), "up\n");
    run.end().ok().stdout("a\n");
}
