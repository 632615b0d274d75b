//! make's jobserver: prun as a client of the one that it was given, and as the server for its tasks.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::libc;
use nix::sys::signal::Signal;

use crate::meeting::{Guest, Meeting};
use crate::running::{Prun, Running};
use crate::space::{Space, wait_until};

/// The two forms of `--jobserver-auth`: a pair of descriptors, or the path of a FIFO.
const STYLES: [&str; 2] = ["8,9", "fifo:jobserver"];

/// A FIFO with tokens that plays make's side.
struct Jobserver {
    fifo: File,
}

impl Jobserver {
    fn open(space: &Space, tokens: &str) -> Jobserver {
        let path = space.path("jobserver");
        if !path.exists() {
            nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO in the space");
        }
        Jobserver::at(&path, tokens)
    }

    fn at(path: &Path, tokens: &str) -> Jobserver {
        let fifo = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path);
        let mut server = Jobserver { fifo: fifo.expect("the FIFO is there") };
        server.give(tokens);
        server
    }

    fn give(&mut self, tokens: &str) {
        self.fifo.write_all(tokens.as_bytes()).expect("a FIFO takes some bytes");
    }

    /// Takes all tokens that are there, sorted.
    fn take(&mut self) -> String {
        let mut buffer = [0; 100];
        let count = self.fifo.read(&mut buffer).unwrap_or(0);
        buffer[..count].sort_unstable();
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    }

    /// Counts the tokens by taking them and putting them back. Not while others take some.
    fn count(&mut self) -> usize {
        let tokens = self.take();
        self.give(&tokens);
        tokens.len()
    }
}

/// Prepares prun as a client of that FIFO; `auth` says in which form it is told of it.
fn client(space: &Space, auth: &str, line: &str) -> Prun {
    let script = format!("exec 7<>jobserver 8<jobserver 9>jobserver 7>&-; exec prun {line}");
    space.sh(&script).env("MAKEFLAGS", &format!("k -j4 --jobserver-auth={auth} -- A=b"))
}

/// Ends these guests and waits until they are gone.
fn dismiss(guests: Vec<Guest>) {
    for mut guest in guests {
        guest.tell("exit=0");
        guest.is_gone();
    }
}

/// Returns how many tasks `-v` reports as started.
fn starts(stderr: &str) -> usize {
    stderr.matches(" hold\n").count()
}

#[test]
fn each_task_but_the_first_takes_a_token() {
    for auth in STYLES {
        for (tokens, options, expected) in
            [("", "", 1), ("a", "", 2), ("abcdefg", "", 8), ("abcdefg", "-j3", 3), ("ab", "-j0", 3)]
        {
            let space = Space::new();
            let meeting = Meeting::open(&space);
            let mut server = Jobserver::open(&space, tokens);
            let line = format!("exec -v {options} -- puppet meet={{}} hold ::: 1 2 3 4 5 6 7 8 9");
            let running = client(&space, auth, &line).start();
            let guests = meeting.guests(expected);
            assert_eq!(server.take().len(), tokens.len() + 1 - expected);
            running.signal(Signal::SIGTERM);
            let ended = running.end();
            ended.died_of(Signal::SIGTERM);
            assert_eq!(starts(&ended.stderr), expected, "{}", ended.stderr);
            drop(guests);
        }
    }
}

#[test]
fn what_others_give_back_is_taken_as_it_comes() {
    for auth in STYLES {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        let mut server = Jobserver::open(&space, "");
        let running = client(&space, auth, "exec -- puppet meet={} hold ::: 1 2 3").start();
        let first = meeting.guest();
        server.give("x");
        let second = meeting.guest();
        server.give("y");
        let third = meeting.guest();
        dismiss(vec![first, second, third]);
        running.end().ok();
        assert_eq!(server.take(), "xy");
    }
}

/// Tokens are distinct bytes; exactly those that were taken come back. There are always more tasks than
/// tokens.
#[test]
fn the_very_tokens_come_back_however_it_ends() {
    let space = Space::new();
    let mut server = Jobserver::open(&space, "abc");
    let mut all_are_back = |what: &str| assert_eq!(server.take(), "abc", "{what}");
    let mut refill = Jobserver::open(&space, "");
    for auth in STYLES {
        client(&space, auth, "exec true ::: 1 2 3 4 5 6 7 8 9").run().ok();
        all_are_back("success");
        refill.give("abc");
        client(&space, auth, "exec -q -c 'exit $1' ::: 1 0 3 0 5 0").run().code(1);
        all_are_back("failure");
        refill.give("abc");
        client(&space, auth, "exec -q /no/such/program ::: 1 2 3 4 5 6").run().code(127);
        all_are_back("no start");
        refill.give("abc");
        let halted = "exec -q --fail-fast -c 'test $1 != 2 || exit 7; exec puppet hang' ::: 1 2 3 4 5 6";
        client(&space, auth, halted).run().code(7);
        all_are_back("halt");
        refill.give("abc");
        client(&space, auth, "exec -q --worker cat ::: 1 2 3 4 5 6").run().code(0);
        all_are_back("workers");
        refill.give("abc");
        client(&space, auth, "exec -q --joblog /no/such/folder/log true ::: 1 2 3").run().code(125);
        all_are_back("prun could not begin");
        refill.give("abc");
    }
}

/// Each could hold the tokens that the other waits for.
#[test]
fn two_pruns_that_compete_come_to_their_end() {
    let space = Space::new();
    let mut server = Jobserver::open(&space, "ab");
    space.write(
        "prun.toml",
        r#"
        [jobs.narrow]
        repeat = 20
        command = "true"
        [jobs.wide]
        repeat = 20
        slots = 3
        command = "true"
        "#,
    );
    let pruns = STYLES.map(|auth| client(&space, auth, "").start());
    for prun in pruns {
        prun.end().ok();
    }
    assert_eq!(server.take(), "ab");
}

#[test]
fn tokens_come_back_when_prun_is_stopped() {
    for auth in STYLES {
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            let space = Space::new();
            let meeting = Meeting::open(&space);
            let mut server = Jobserver::open(&space, "abc");
            let running = client(&space, auth, "exec -- puppet meet={} hold ::: 1 2 3 4 5 6").start();
            let _guests = meeting.guests(4);
            assert_eq!(server.take(), "");
            running.signal(signal);
            running.end().died_of(signal);
            assert_eq!(server.take(), "abc", "{signal}");
        }
    }
}

#[test]
fn tokens_come_back_when_prun_ends_at_once() {
    for auth in STYLES {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        let mut server = Jobserver::open(&space, "abc");
        let line = "exec -- puppet catch=INT,TERM,HUP meet={} hold ::: 1 2 3 4 5 6";
        let running = client(&space, auth, line).start();
        let _guests = meeting.guests(4);
        // All three are there when it goes on.
        for signal in [Signal::SIGSTOP, Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCONT] {
            running.signal(signal);
        }
        running.end();
        assert_eq!(server.take(), "abc");
    }
}

#[test]
fn what_takes_no_slot_takes_no_token() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let mut server = Jobserver::open(&space, "");
    space.write(
        "prun.toml",
        r#"
        [jobs.write]
        command = "puppet meet=write hold"
        stdout.queue = "q"
        [jobs.read]
        command = "puppet meet=read hold"
        stdin.queue = "q"
        "#,
    );
    let running = client(&space, "8,9", "").start();
    let guests = meeting.guests(2);
    assert_eq!(server.take(), "");
    dismiss(guests);
    running.end().ok();
}

/// A recipe without `+` is told the descriptors' numbers, but does not inherit them: the numbers may be those
/// of anything else.
#[test]
fn a_jobserver_that_is_not_there_is_none() {
    let space = Space::new();
    let line = "exec -j2 true ::: 1 2 3";
    for auth in ["8,9", "8", "-2,-2", "fifo:nothing", "fifo:.", "0,1", "x,y", "9,8"] {
        space.prun(line).env("MAKEFLAGS", &format!(" -j --jobserver-auth={auth}")).run().ok();
    }
    // Whatever prun opens first itself.
    for auth in ["3,4", "4,5", "5,6", "6,7"] {
        space.prun(line).env("MAKEFLAGS", &format!(" -j --jobserver-auth={auth}")).run().ok();
    }
    let files = "exec 8</dev/null 9>file; exec prun exec -v true ::: 1";
    let told = space.sh(files).env("MAKEFLAGS", " -j --jobserver-auth=8,9").run();
    told.code(0).stderr_has("make's jobserver is out of reach").stderr_has("`+`");
    assert_eq!(space.read("file"), "");
}

/// cargo names its jobserver to build scripts in CARGO_MAKEFLAGS.
#[test]
fn cargos_variable_is_looked_at_too() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let mut server = Jobserver::open(&space, "a");
    let running = client(&space, "8,9", "exec -- puppet meet={} hold ::: 1 2 3")
        .env("MAKEFLAGS", "k")
        .env("CARGO_MAKEFLAGS", "-j --jobserver-fds=8,9 --jobserver-auth=8,9")
        .start();
    let guests = meeting.guests(2);
    server.give("b");
    dismiss(guests.into_iter().chain([meeting.guest()]).collect());
    running.end().ok();
    assert_eq!(server.take(), "ab");
}

/// Runs under the real make, which complains at its end if a token is missing.
#[test]
fn prun_under_make() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    space.write("Makefile", "all:\n\t+@exec prun exec -v -- puppet meet={} hold ::: 1 2 3 4 5\n");
    let running = space.sh("exec make -s -j3").start();
    let mut guests = meeting.guests(3);
    for _ in 0..2 {
        dismiss(guests.split_off(2));
        guests.push(meeting.guest());
    }
    dismiss(guests);
    let ended = running.end();
    ended.code(0).stderr_lacks("jobserver").stderr_lacks("INTERNAL");
    assert_eq!(starts(&ended.stderr), 5);
    let stopped = space.sh("exec make -s -j3").start();
    let _guests = meeting.guests(3);
    stopped.signal(Signal::SIGTERM);
    stopped.end().stderr_lacks("jobserver").stderr_lacks("INTERNAL");
}

/// A make within a task shares the outer make's tokens.
#[test]
fn make_under_prun_under_make() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let inner = "all: a b c\na b c:\n\t@puppet meet=$@ hold\n";
    space.write("Makefile", "all:\n\t+@prun exec make -s -f {} ::: inner\n").write("inner", inner);
    let running = space.sh("exec make -s -j2").start();
    let mut guests = meeting.guests(2);
    assert!(!meeting.has_guest());
    dismiss(guests.split_off(1));
    guests.push(meeting.guest());
    dismiss(guests);
    running.end().ok();
}

/// Ends the recipes one after another, and checks that never more than two run at once.
fn never_more_than_two(meeting: &Meeting, running: Running, recipes: usize) {
    let mut guests = meeting.guests(2);
    for _ in 2..recipes {
        assert!(!meeting.has_guest(), "a third runs");
        dismiss(guests.split_off(1));
        guests.push(meeting.guest());
    }
    dismiss(guests);
    running.end().ok();
}

#[test]
fn makes_under_prun_keep_within_its_pool() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let recipes = "all: a b c\na b c:\n\t@puppet meet=$(MAKE_NAME)-$@ hold\n";
    space.write("Makefile", recipes);
    let line = "exec --jobserver -j2 -- make -s MAKE_NAME={} ::: 1 2 3";
    never_more_than_two(&meeting, space.prun(line).start(), 9);
    let toml = r#"
        run = { jobserver = true, pool = 2 }
        [jobs.build]
        each = ["1", "2", "3"]
        command = "make -s MAKE_NAME={}"
    "#;
    never_more_than_two(&meeting, space.file(toml).start(), 9);
    // One make alone has the slot that prun uses, and the other one.
    let line = "exec -j2 -- make -s MAKE_NAME={} ::: 1";
    never_more_than_two(&meeting, space.prun(line).env("PRUN_JOBSERVER", "pipe").start(), 3);
}

/// A prun within a task is a client of the outer prun.
#[test]
fn pruns_under_prun_keep_within_its_pool() {
    for style in ["pipe", "fifo"] {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        space.program("inner", "#!/bin/sh\nexec prun exec puppet meet={} hold ::: $1.1 $1.2 $1.3\n");
        let line = format!("exec --jobserver={style} -j2 ./inner {{}} ::: 1 2 3");
        never_more_than_two(&meeting, space.prun(&line).start(), 9);
    }
}

#[test]
fn children_are_told_where_it_is() {
    let space = Space::new();
    let show = "printf '%s|%s\\n' \"$MAKEFLAGS\" \"$CARGO_MAKEFLAGS\"";
    space.write("show", show);
    let told = space.exec("--jobserver -j3 sh {} ::: show").env("MAKEFLAGS", "k -- A=b").run();
    told.ok();
    let (of_make, of_cargo) = told.stdout.trim_end().split_once('|').expect("two variables");
    assert_eq!(of_make, format!("k {of_cargo} -- A=b"));
    assert!(
        of_cargo.starts_with("-j --jobserver-fds=") && of_cargo.contains(" --jobserver-auth="),
        "{of_cargo}"
    );
    let without = space.exec("-j3 sh {} ::: show").run();
    without.ok().stdout("|\n");
    let off = space.exec("-j3 --jobserver=false sh {} ::: show").env("PRUN_JOBSERVER", "1").run();
    off.ok().stdout("|\n");
    // What a job says itself counts; what it does not want of prun's own environment is left out.
    let toml = r#"
        run = { jobserver = "pipe", pool = 2 }
        [jobs.a]
        command = "sh show"
        env.MAKEFLAGS = "own"
        clear_env = true
    "#;
    let own = space.file(toml).run();
    own.ok().check(own.stdout.starts_with("own|-j --jobserver-fds="), "its own MAKEFLAGS");
}

/// `--jobserver` passes on the jobserver that prun was given.
#[test]
fn the_jobserver_that_prun_was_given_is_passed_on() {
    let space = Space::new();
    let mut server = Jobserver::open(&space, "+");
    let told = client(&space, "8,9", "exec --jobserver printenv ::: MAKEFLAGS").run();
    told.ok().stdout("k -j4 --jobserver-auth=8,9 -- A=b\n");
    let seen = client(&space, "8,9", "exec -c 'test /dev/fd/8 -ef jobserver && echo x >&9' ::: 1").run();
    seen.ok();
    assert_eq!(server.take(), "\n+x");
}

#[test]
fn a_pool_without_limit_has_no_jobserver() {
    let space = Space::new();
    let ended = space.exec("--jobserver -j0 -c 'echo \"$MAKEFLAGS\"' ::: 1").run();
    ended.code(0).stdout("\n").stderr_has("there is no jobserver, because nothing limits");
    let nowhere = space.exec("--jobserver=fifo -j2 true ::: 1").env("TMPDIR", "/no/such").run();
    nowhere.code(125).stderr_has("no jobserver can be made in `/no/such`: no such file or directory");
    space.exec("--jobserver --dry-run echo ::: 1").run().ok().stdout("echo 1\n");
    space.exec("--jobserver=pip true ::: 1").run().code(125).stderr_has("expected `pipe`, `fifo`");
    let wrong = space.file("run = { jobserver = \"pip\" }\n[jobs.a]\ncommand = 'true'").run();
    wrong.code(125).stderr_has("wrong value of `jobserver`");
}

/// Returns the path of the FIFO in a task's MAKEFLAGS.
fn path_in(flags: &str) -> &Path {
    let path = flags.trim_end().rsplit("fifo:").next().expect("the path is last");
    Path::new(path)
}

#[test]
fn a_fifo_is_private_and_does_not_stay() {
    for signals in [&[][..], &[Signal::SIGTERM], &[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]] {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        std::fs::create_dir(space.path("tmp")).expect("a folder in the space");
        let line = "exec --lb --jobserver=fifo -j3 -c 'echo $MAKEFLAGS; exec puppet meet=a hold' ::: 1";
        let running = space.prun(line).env("TMPDIR", &space.path("tmp").display().to_string()).start();
        let guest = meeting.guest();
        running.shows_lines(1);
        let shown = running.stdout_so_far();
        let path = path_in(&shown);
        assert!(path.starts_with(space.path("tmp")), "{path:?}");
        let mode = |path: &Path| path.metadata().expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(path), mode(path.parent().expect("a folder"))), (0o600, 0o700));
        assert_eq!(Jobserver::at(path, "").count(), 2);
        if signals.is_empty() {
            dismiss(vec![guest]);
        } else {
            running.signal(Signal::SIGSTOP);
            signals.iter().for_each(|signal| running.signal(*signal));
            running.signal(Signal::SIGCONT);
        }
        running.exits();
        assert_eq!(std::fs::read_dir(space.path("tmp")).expect("the folder is there").count(), 0);
        space.sweep();
    }
}

#[test]
fn the_tokens_follow_the_file_of_the_pool() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    space.write("size", "2");
    let line = "exec --lb --jobserver=fifo -j size -c 'echo $MAKEFLAGS; exec puppet meet=$1 hold' ::: 1 2 3";
    let running = space.prun(line).start();
    let mut guests = meeting.guests(2);
    running.shows_lines(1);
    let shown = running.stdout_so_far();
    let path = path_in(shown.lines().next().expect("a line"));
    let mut server = Jobserver::at(path, "");
    assert_eq!(server.take(), "", "prun has the only one");
    space.write("size", "9");
    guests.push(meeting.guest());
    let mut seen = String::new();
    while seen.len() < 6 {
        seen += &server.take();
        nix::poll::poll(&mut [], 10u8).expect("poll of nothing");
    }
    assert_eq!(seen, "++++++", "8 in all, and prun has two");
    space.write("size", "3");
    server.give(&seen);
    wait_until("prun takes those that are too many", || Jobserver::at(path, "").count() == 0);
    dismiss(guests);
    running.end().code(0);
}
