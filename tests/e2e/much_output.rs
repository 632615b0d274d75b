//! Output of which there is much, and which waits on disk: it reaches any kind of stdout whole and in order, whatever
//! happens meanwhile.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::meeting::{Guest, Meeting};
use crate::space::{Space, wait_until};
use crate::tty::parent_of;

/// Writes numbered lines of about so many bytes, the last one without its end, and returns them.
fn numbered(space: &Space, name: &str, bytes: usize) -> Vec<u8> {
    let mut text = String::new();
    for number in 0.. {
        if text.len() >= bytes {
            break;
        }
        text.push_str(&format!("{name} {number} the quick brown fox jumps over the lazy dog\n"));
    }
    text.pop();
    space.write(name, &text);
    text.into_bytes()
}

/// The files of three tasks, which differ in length.
fn three(space: &Space) -> [Vec<u8>; 3] {
    [("a", 5_000_001), ("b", 7_100_000), ("c", 3_000_000)].map(|(name, len)| numbered(space, name, len))
}

/// True if these are the bytes of all parts, each in one piece, in any order.
fn is_in_pieces(bytes: &[u8], parts: &[Vec<u8>]) -> bool {
    if parts.is_empty() {
        return bytes.is_empty();
    }
    (0..parts.len()).any(|first| {
        let rest: Vec<_> = (0..parts.len()).filter(|&at| at != first).map(|at| parts[at].clone()).collect();
        bytes.strip_prefix(&parts[first][..]).is_some_and(|bytes| is_in_pieces(bytes, &rest))
    })
}

#[test]
fn much_output_reaches_every_kind_of_stdout() {
    let space = Space::new();
    let parts = three(&space);
    let run = "prun exec -j3 cat {} ::: a b c";
    let cases = [
        ("a file", format!("{run} >out"), 0),
        ("a file in append mode", format!("printf before >out; {run} >>out"), 6),
        ("a file of which something stands already", format!("{{ printf before; {run}; }} >out"), 6),
        ("a pipe", format!("{run} | cat >out"), 0),
        ("a file on another file system", format!("f=/dev/shm/$$; {run} >$f; cat $f >out; rm $f"), 0),
        ("a file that is stderr too", format!("{run} >out 2>&1"), 0),
        ("stderr", format!("{run} 2>&1 >&2 | cat >out"), 0),
    ];
    for (kind, script, before) in cases {
        space.sh(&script).run().ok().quiet();
        let out = std::fs::read(space.path("out")).unwrap();
        assert!(is_in_pieces(&out[before..], &parts), "{kind}: {} bytes", out.len());
        std::fs::remove_file(space.path("out")).unwrap();
    }
    space.sh(&format!("{run} >/dev/null")).run().ok().quiet();
}

#[test]
fn much_output_goes_through_a_socket() {
    let space = Space::new();
    let parts = three(&space);
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut command = space.exec("-j3 cat {} ::: a b c").into_command();
    let mut child = command.stdin(Stdio::null()).stdout(OwnedFd::from(theirs)).spawn().unwrap();
    drop(command);
    let mut out = Vec::new();
    ours.read_to_end(&mut out).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(is_in_pieces(&out, &parts), "{} bytes", out.len());
}

#[test]
fn tags_lines_order_and_results_hold_for_much_output() {
    let space = Space::new();
    let [a, b, c] = three(&space);
    space.sh("prun exec -j3 -k --joblog log cat {} ::: a b c >out").run().ok();
    let in_order = [&a[..], &b, &c].concat();
    assert!(std::fs::read(space.path("out")).unwrap() == in_order, "in order");
    space.sh("prun exec -j3 -k --tag=T cat {} ::: a b c >out").run().ok();
    let tagged = |part: &[u8]| {
        let lines = part.split_inclusive(|&byte| byte == b'\n');
        lines.flat_map(|line| [b"T\t", line].concat()).collect::<Vec<u8>>()
    };
    let expected = [tagged(&a), tagged(&b), tagged(&c)].concat();
    assert!(std::fs::read(space.path("out")).unwrap() == expected, "tagged");
    space.sh("prun exec -j3 --results res/ cat {} ::: a b c").run().ok();
    space.sh("cat res/1/a/stdout res/1/b/stdout res/1/c/stdout >out").run().ok();
    assert!(std::fs::read(space.path("out")).unwrap() == in_order, "as results");
    let log = space.read("log");
    let received = log.lines().skip(1).map(|line| line.split('\t').nth(5).unwrap().to_owned());
    let mut received: Vec<_> = received.collect();
    received.sort();
    let mut lengths = [a.len(), b.len(), c.len()].map(|len| len.to_string());
    lengths.sort();
    assert_eq!(received, lengths);
}

/// Returns how many bytes a process has read or written by itself so far.
fn count_of(pid: i32, name: &str) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    io.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap()
}

#[test]
fn what_waits_on_disk_does_not_pass_through_pruns_memory() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let part = numbered(&space, "b", 60_000_000);
    let script = "[ {} = a ] || cat b; exec puppet meet={} hold";
    let running = space.sh(&format!("exec prun exec -k -j2 --joblog log -c '{script}' ::: a b >out")).start();
    let mut guests = meeting.guests(2);
    // All that is not in the pipe any more was taken.
    let read = count_of(running.pid().as_raw(), "rchar: ");
    assert!(read < 20_000_000, "{read} bytes of {}", part.len());
    guests[1].tell("line=!");
    guests[1].tell("exit=0");
    guests[1].is_gone();
    guests[0].tell("line=first");
    guests[0].tell("exit=0");
    running.end().ok().quiet();
    assert!(std::fs::read(space.path("out")).unwrap() == [b"first\n", &part[..], b"!\n"].concat());
    let received = format!("\t{}\t0\t0\t", part.len() + 2);
    assert!(space.read("log").contains(&received), "{}", space.read("log"));
}

#[test]
fn a_task_whose_turn_comes_flows_on_where_its_output_on_disk_ends() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let part = numbered(&space, "b", 9_000_000);
    let script = "[ {} = a ] || cat b; exec puppet meet={} hold";
    let running = space.sh(&format!("exec prun exec -k -j2 -c '{script}' ::: a b >out")).start();
    let mut guests = meeting.guests(2);
    guests[0].tell("exit=0");
    let out = || std::fs::read(space.path("out")).unwrap();
    wait_until("all of the second task is shown while it runs", || out().len() == part.len());
    guests[1].tell("line=live");
    wait_until("it flows", || out().ends_with(b"live\n"));
    guests[1].tell("exit=0");
    running.end().ok().quiet();
    assert!(out() == [&part[..], b"live\n"].concat());
}

#[test]
fn a_stop_loses_nothing_that_waits_on_disk() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        let parts = three(&space);
        let script = "cat {}; exec puppet meet={} hold";
        let running = space.sh(&format!("exec prun exec -j3 -c '{script}' ::: a b c >out")).start();
        let guests = meeting.guests(3);
        running.signal(signal);
        running.end().died_of(signal);
        drop(guests);
        let out = std::fs::read(space.path("out")).unwrap();
        assert!(is_in_pieces(&out, &parts), "{} bytes", out.len());
    }
}

#[test]
fn endless_output_on_its_way_to_the_disk_is_stopped_at_once() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let script = "puppet meet={} hold & exec yes {}";
    let running =
        space.sh(&format!("exec prun exec -j2 --grace 30s -c '{script}' ::: a b >/dev/null")).start();
    let guests = meeting.guests(2);
    let written = |guest: &Guest| count_of(parent_of(guest.pid), "wchar: ");
    wait_until("much is on its way", || guests.iter().all(|guest| written(guest) > 8_000_000));
    running.signal(Signal::SIGTERM);
    running.end().died_of(Signal::SIGTERM).within(25);
}

#[test]
fn a_leftover_does_not_delay_a_task_with_much_output() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let parts = three(&space);
    // The last task keeps prun there.
    let script = "case {} in d) exec puppet meet=d hold;; esac; cat {}; puppet meet={} hold & :";
    let line = format!("exec prun exec -j4 --joblog log -c '{script}' ::: a b c d >out");
    let running = space.sh(&line).start();
    let mut kids = meeting.guests(4);
    let mut last = kids.pop().expect("the last task has come");
    running.says_times("still hold", 3);
    let whole: usize = parts.iter().map(Vec::len).sum();
    let shown = || std::fs::metadata(space.path("out")).map_or(0, |out| out.len());
    wait_until("the tasks' output is shown", || shown() >= whole as u64);
    // Nobody waits for them, and nobody hears them.
    for kid in &mut kids {
        kid.tell("line=late");
        kid.tell("exit=0");
        kid.is_gone();
    }
    last.tell("exit=0");
    running.end().code(0);
    let out = std::fs::read(space.path("out")).unwrap();
    assert!(is_in_pieces(&out, &parts), "{} bytes", out.len());
    for part in parts {
        assert!(space.read("log").contains(&format!("\t{}\t0\t0\t", part.len())), "{}", space.read("log"));
    }
}

#[test]
fn a_retry_shows_the_last_attempt_alone() {
    let space = Space::new();
    let parts = three(&space);
    let script = "cat {}; [ -e {}.again ] || { : >{}.again; exit 1; }";
    space.sh(&format!("prun exec -j3 --retries 1 -c '{script}' ::: a b c >out")).run().ok();
    assert!(is_in_pieces(&std::fs::read(space.path("out")).unwrap(), &parts));
}

#[test]
fn hooks_read_much_output() {
    let space = Space::new();
    let parts = three(&space);
    let toml =
        "[jobs.a]\neach = ['a', 'b', 'c']\npool = 3\ncommand = 'cat {}'\non_exit.script = 'cat >hooked.$1'\n";
    space.write("prun.toml", toml);
    space.sh("prun >out").run().ok();
    assert!(is_in_pieces(&std::fs::read(space.path("out")).unwrap(), &parts));
    for (name, part) in ["a", "b", "c"].iter().zip(parts) {
        assert!(std::fs::read(space.path(&format!("hooked.{name}"))).unwrap() == part, "{name}");
    }
}

#[test]
fn a_full_disk_for_what_waits_fails_the_run_and_is_told_once() {
    let space = Space::new();
    let mount = "mkdir -p small && mount -t tmpfs -o size=4m none small";
    if !space.sh(&format!("unshare -rm sh -c '{mount}'")).run().status.success() {
        return eprintln!("not run: no mounts in a namespace of its own are allowed here");
    }
    space.write("tasks", "[ $1 = a ] && exec puppet meet=a hold\ncat b\nexec puppet meet=b hold\n");
    let meeting = Meeting::open(&space);
    let part = numbered(&space, "b", 12_000_000);
    let run = "TMPDIR=$PWD/small exec prun exec -k -j2 sh tasks {} ::: a b >out";
    let running = space.sh(&format!("exec unshare -rm sh -c '{mount} && {run}'")).start();
    let guest = meeting.guest();
    let ended = running.end();
    drop(guest);
    ended
        .code(125)
        .stderr_has("in a temporary file in `")
        .stderr_has("no space left on device; `TMPDIR` names");
    ended.check(ended.stderr.matches("temporary file").count() == 1, "told once");
    let out = std::fs::read(space.path("out")).unwrap();
    assert!(part.starts_with(&out), "no gap in what is shown: {} bytes", out.len());
}

#[test]
fn a_reader_of_stdout_that_goes_ends_much_output() {
    let space = Space::new();
    three(&space);
    let script = "prun exec -j3 cat {} ::: a b c | head -c 100 >out";
    space.sh(script).run().within(60);
    assert_eq!(space.read("out").len(), 100);
}
