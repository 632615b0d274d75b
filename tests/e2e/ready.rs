//! `ready`: signs that a task is up, and tasks that never come up.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::meeting::{Guest, Meeting};
use crate::space::Space;

/// Listens at a port outside of the range from which the kernel takes ports for connections.
fn listener() -> (TcpListener, u16) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id().wrapping_mul(97).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = (10_000 + number % 20_000) as u16;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return (listener, port);
        }
    }
}

/// Returns a port at which nobody listens.
fn free_port() -> u16 {
    listener().1
}

/// Returns a job file: `db`, with these keys, reports at the meeting; `app` waits until `db` is ready.
pub fn db_and_app(keys: &str) -> String {
    format!(
        "[jobs.db]\ncommand = \"puppet meet=db hold\"\n{keys}\n\
         [jobs.app]\ncommand = \"puppet meet=app\"\nafter = {{ db = \"ready\" }}\n[run]\npool = 2\n"
    )
}

#[track_caller]
pub fn comes(meeting: &Meeting, name: &str) -> Guest {
    let guest = meeting.guest();
    assert_eq!(guest.name, name);
    guest
}

/// Checks that the last of these steps makes `db` ready: only then does `app` start, while `db` runs on.
#[track_caller]
fn is_up_after(keys: &str, steps: &[&str]) {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.file(&db_and_app(keys)).start();
    let mut db = comes(&meeting, "db");
    let (last, before) = steps.split_last().expect("at least one step");
    before.iter().for_each(|step| db.tell(step));
    assert!(!meeting.has_guest(), "it is not up yet: {keys}");
    db.tell(last);
    comes(&meeting, "app").is_gone();
    db.tell("exit=0");
    running.end().code(0);
}

#[test]
fn a_line_shows_that_it_is_up() {
    let line = "ready.line = '^listening on \\d+$'";
    let out = &["line=listening", "line=listening on 80"][..];
    let err = &["errline=listening", "errline=listening on 80"][..];
    for steps in [out, err] {
        is_up_after(line, steps);
    }
    // Wherever its output goes.
    is_up_after(&format!("{line}\nstdout = 'null'"), out);
    is_up_after(&format!("{line}\nstderr = 'null'"), err);
    is_up_after(&format!("{line}\nstdout = 'inherit'"), out);
    is_up_after(&format!("{line}\nstdout.file = 'out'"), out);
    is_up_after(&format!("{line}\nstderr.file = '{{#}}'"), err);
    is_up_after(&format!("{line}\nstderr = 'stdout'"), err);
    is_up_after(&format!("{line}\noutput = 'raw'"), out);
    is_up_after(&format!("{line}\noutput = 'raw'"), err);
    is_up_after(&format!("{line}\noutput = 'group'"), out);
    is_up_after(&format!("{line}\npty = true"), out);
    is_up_after(&format!("{line}\non_success = 'cat'"), out);
}

#[test]
fn what_is_looked_at_is_shown_as_before() {
    let space = Space::new();
    let job = "[jobs.a]\nready.line = 'up'\nscript = 'echo up; echo two; echo three >&2'\n";
    for output in ["line", "group", "raw"] {
        let ended = space.file(&format!("{job}output = '{output}'")).run();
        ended.code(0).stdout("up\ntwo\n").check(ended.stderr == "three\n", output);
    }
    space.file(&format!("{job}stdout.file = 'out'")).run().code(0).stdout("");
    assert_eq!(space.read("out"), "up\ntwo\n");
}

#[test]
fn a_line_for_a_queue_counts() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let file = "[jobs.db]\ncommand = 'puppet meet=db hold'\nready.line = 'up'\nstdout.queue = 'q'\n\
                [jobs.reader]\ncommand = 'cat'\nstdin.queue = 'q'\n\
                [jobs.app]\ncommand = 'puppet meet=app'\nafter = { db = 'ready' }\n[run]\npool = 3\n";
    let running = space.file(file).start();
    let mut db = comes(&meeting, "db");
    db.tell("line=up and away");
    comes(&meeting, "app").is_gone();
    db.tell("exit=0");
    running.end().code(0).stdout_has("up and away\n");
}

#[test]
fn every_stage_of_a_pipeline_is_looked_at() {
    let space = Space::new();
    for stages in [r#""puppet errline=up meet=db hold", "cat""#, r#""true", "puppet line=up meet=db hold""#] {
        let meeting = Meeting::open(&space);
        let file = format!(
            "[jobs.db]\npipeline = [{stages}]\nready.line = '^up$'\n\
             [jobs.app]\ncommand = 'puppet meet=app'\nafter = {{ db = 'ready' }}\n[run]\npool = 2\n"
        );
        let running = space.file(&file).start();
        let mut guests = meeting.guests(2);
        guests[1].tell("exit=0");
        running.end().code(0);
        std::fs::remove_file(space.path("socket")).expect("it was there");
    }
}

#[test]
fn the_end_of_the_output_ends_the_last_line() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let file = db_and_app("ready.line = '^up$'").replace(
        "command = \"puppet meet=db hold\"",
        "script = 'printf up; exec puppet meet=db hold >&- 2>&-'",
    );
    let running = space.file(&file).start();
    let mut guests = meeting.guests(2);
    guests[1].tell("exit=0");
    running.end().code(0);
}

#[test]
fn what_is_written_just_before_the_end_counts() {
    let space = Space::new();
    let file = "[jobs.a]\neach.seq = [1, 50]\ncommand = 'echo up'\nready.line = '^up 7?'\nstdout = 'null'\n\
                [jobs.b]\ncommand = 'echo after'\nafter = { a = 'ready' }\n";
    space.file(file).run().ok().stdout("after\n");
}

#[test]
fn a_port_shows_that_it_is_up() {
    let port = free_port();
    is_up_after(&format!("ready.port = {port}"), &["line=x", &format!("listen={port}")]);
    let port = free_port();
    is_up_after(&format!("ready.port = '{{p}}'\neach = [{{ p = {port} }}]"), &[&format!("listen={port}")]);
    // A look that is late does no harm.
    let port = free_port();
    is_up_after(&format!("ready = {{ port = {port}, every = 1.5 }}"), &[&format!("listen={port}")]);
}

#[test]
fn many_services_with_ports() {
    let space = Space::new();
    let ports: Vec<String> = (0..50).map(|_| free_port().to_string()).collect();
    let file = format!(
        "[jobs.s]\neach = [{}]\ndaemon = true\ncommand = 'puppet listen={{}} hang'\nready = {{ port = '{{}}' }}\n\
         [jobs.app]\nafter = ['s']\ncommand = 'echo all are up'\n",
        ports.join(", ")
    );
    space.file(&file).run().code(0).stdout_has("all are up\n");
}

#[test]
fn a_port_that_is_no_number_is_a_failure_to_start() {
    let space = Space::new();
    let file = "[jobs.a]\neach = ['x']\ncommand = 'echo {}'\nready = { port = '{}' }";
    space.file(file).run().code(126).stdout("").stderr_has("its port to be ready at is `x`, and no number");
}

#[test]
fn somebody_else_at_the_port_does_not_count() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let (other, port) = listener();
    let running = space.file(&db_and_app(&format!("ready.port = {port}"))).start();
    let mut db = comes(&meeting, "db");
    let me = std::process::id();
    running.says(&format!(
        "({me}) has listened there since before it was started, and is none of its processes"
    ));
    assert!(!meeting.has_guest());
    drop(other);
    db.tell(&format!("listen={port}"));
    comes(&meeting, "app").is_gone();
    db.tell("exit=0");
    let ended = running.end();
    ended.code(0).check(ended.stderr.matches("listened").count() == 1, "told once");
}

/// The holder is what an earlier attempt has left: the message says so, and what helps.
#[test]
fn what_an_earlier_attempt_left_at_the_port_is_told() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let port = {
        let (free, port) = listener();
        drop(free);
        port
    };
    let script = format!(
        "[ $PRUN_ATTEMPT = 2 ] && exec puppet meet=next hold; \
         setsid puppet listen={port} meet=kid hold & puppet meet=own hold; exit 1"
    );
    let file = format!(
        "[jobs.a]\ndaemon = true\nrestart = 'on-failure'\nretries = 1\nretry_delay = '0s'\nleftovers = 'leave'\n\
         ready.port = {port}\nscript = '''{script}'''\n"
    );
    let running = space.file(&file).start();
    let mut guests = meeting.guests(2);
    guests[1].tell("exit=0");
    let mut next = meeting.guest();
    running.says(&format!(
        "puppet ({}) has listened there since before it was started: an earlier attempt of it has left that process \
         running; `leftovers = \"kill\"` would end it",
        guests[0].pid
    ));
    guests[0].tell("exit=0");
    guests[0].is_gone();
    next.tell("exit=0");
    running.end();
}

#[test]
fn somebody_else_at_the_port_is_named_when_the_time_is_over() {
    let space = Space::new();
    let (_other, port) = listener();
    let file = format!("[jobs.a]\ncommand = 'puppet hang'\nready = {{ port = {port}, timeout = '1s' }}");
    let ended = space.file(&file).run();
    ended.code(124).stderr_has(&format!("waited for port {port}, where ")).stderr_has(" listens");
}

#[test]
fn a_port_that_its_own_process_had_before_counts() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let port = free_port();
    // Both may listen at once; the first is no process of the task.
    let script = format!(
        "import os, socket, sys\n\
         s = socket.socket()\n\
         s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)\n\
         s.bind((\"127.0.0.1\", {port}))\n\
         s.listen()\n\
         s.set_inheritable(True)\n\
         os.execvp(\"puppet\", [\"puppet\", sys.argv[1], \"hold\"])\n"
    );
    space.write("both.py", script);
    let mut first = space.sh("exec python3 both.py meet=first").start();
    let mut other = comes(&meeting, "first");
    let file =
        db_and_app(&format!("ready.port = {port}")).replace("puppet meet=db hold", "python3 both.py meet=db");
    let running = space.file(&file).start();
    let mut guests = meeting.guests(2);
    assert_eq!(guests[0].name, "app");
    guests[1].tell("exit=0");
    running.end().code(0);
    other.tell("exit=0");
    first.close_stdin();
    first.end();
}

#[test]
fn what_was_waited_for_is_told_when_the_time_is_over() {
    let space = Space::new();
    let port = free_port();
    for (sign, told) in [
        ("line = 'up'".to_owned(), "waited for a line that matches `up`".to_owned()),
        (format!("port = {port}"), format!("waited for port {port}")),
        (
            "command = { script = 'echo no route >&2; exit 3' }, every = '10ms'".to_owned(),
            "waited for its `ready` command: exit 3: no route".to_owned(),
        ),
    ] {
        let keys = format!("ready = {{ {sign}, timeout = '1s' }}");
        let file = db_and_app(&keys).replace("puppet meet=db hold", "puppet hang");
        let ended = space.file(&file).run();
        ended
            .code(124)
            .stderr_has(&format!("it was not ready within 1s: {told}"))
            .stderr_has("`db` was not ready in time");
    }
}

#[test]
fn a_service_that_dies_before_it_is_ready_is_not_waited_for() {
    let space = Space::new();
    for sign in ["line = 'up'", "port = 9", "command = 'false'"] {
        for kind in ["", "\ndaemon = true"] {
            let file = db_and_app(&format!("ready = {{ {sign} }}{kind}"));
            let ended = space.file(&file.replace("puppet meet=db hold", "puppet exit=4")).run();
            ended.code(4).within(45).stderr_has("`db` ended before it was ready");
        }
    }
}

#[test]
fn each_attempt_is_looked_at_anew() {
    let space = Space::new();
    let file = "[jobs.a]\nretries = 1\nready = { line = 'up', timeout = '1s' }\n\
                script = 'if [ $PRUN_ATTEMPT = 1 ]; then echo up; exit 1; fi; exec puppet hang'\n";
    space.file(file).run().code(124).stderr_has("it was not ready within 1s");
    let meeting = Meeting::open(&space);
    let file = "[jobs.a]\nretries = 1\nready = { command = 'puppet meet=probe hold', every = '1ms' }\n\
                command = 'puppet meet=task hold'\n";
    space.write("prun.toml", file);
    let running = space.prun("-v").start();
    for (attempt, code) in [(1, "exit=1"), (2, "exit=0")] {
        let mut guests = meeting.guests(2);
        guests[0].tell("exit=0");
        running.says_times("a: ready after", attempt);
        guests[1].tell(code);
    }
    running.end().code(0);
}

#[test]
fn what_forks_and_ends_is_looked_at_while_it_is_waited_for() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let port = free_port();
    let file = db_and_app(&format!("ready.port = {port}\nleftovers = 'wait'"))
        .replace("puppet meet=db hold", "puppet fork [ meet=db hold ] exit=0");
    let running = space.file(&file).start();
    let mut db = comes(&meeting, "db");
    db.tell(&format!("listen={port}"));
    comes(&meeting, "app").is_gone();
    db.tell("exit=0");
    running.end().code(0);
}

#[test]
fn a_dry_run_looks_at_nothing() {
    let space = Space::new();
    space.write("prun.toml", "[jobs.a]\ncommand = 'echo a'\nready.command = 'touch probed'\n[jobs.b]\ncommand = 'echo b'\nafter = { a = 'ready' }");
    space.prun("--dry-run").run().ok().stdout("echo a\necho b\n");
    assert!(!space.exists("probed"));
}

#[test]
fn defaults_say_how_it_is_looked_at() {
    let space = Space::new();
    let file = "[defaults.ready]\ntimeout = '700ms'\nevery = '1ms'\n\
                [jobs.plain]\ncommand = 'true'\n\
                [jobs.a]\nready.line = 'up'\ncommand = 'puppet hang'\nafter = ['plain']\n";
    space.file(file).run().code(124).stderr_has("it was not ready within 700ms");
    let file = "[defaults]\nready = { command = 'false' }\n[jobs.a]\nready = { line = 'up' }\ncommand = 'echo up'\n\
                [jobs.b]\nready = 'none'\ncommand = 'echo b'\nafter = { a = 'ready' }\n";
    space.file(file).run().ok().stdout_has("b\n");
}

#[test]
fn an_end_before_it_was_ready_is_a_failure_also_with_status_0() {
    let space = Space::new();
    for (sign, told) in [
        ("line = '^up$'", "ended before it was ready: no line matched `^up$`"),
        ("port = 9", "ended before it was ready: nobody listened at port 9"),
        ("command = 'false'", "ended before it was ready: its `ready` command did not succeed"),
    ] {
        for kind in ["", "\ndaemon = true"] {
            let file = db_and_app(&format!("ready = {{ {sign} }}{kind}"));
            let ended = space.file(&file.replace("puppet meet=db hold", "puppet line=down exit=0")).run();
            ended.code(1).stderr_has(told).stderr_has("skipped: app: `db` ended before it was ready");
        }
    }
    // Under time alone, ending well is as good.
    let file = "[jobs.a]\nready.after = '1h'\ncommand = 'echo a'\n\
                [jobs.b]\ncommand = 'echo b'\nafter = { a = 'ready' }\n";
    space.file(file).run().ok().stdout("a\nb\n");
}

#[test]
fn who_has_not_started_when_its_service_has_gone_is_skipped() {
    let space = Space::new();
    for (end, said, status, told) in [
        ("exit=0", "app: skipped: `db` has ended", 1, "skipped: app: `db` has ended"),
        ("exit=3", "exit 3", 3, "skipped: app: `db` failed"),
    ] {
        let meeting = Meeting::open(&space);
        let file = "[run]\npool = 1\n[jobs.other]\ncommand = 'puppet meet=other hold'\n\
                    [jobs.db]\ndaemon = true\nready.line = 'up'\ncommand = 'puppet line=up meet=db hold'\n\
                    [jobs.app]\ncommand = 'puppet meet=app'\nafter = ['db']\n\
                    [jobs.last]\ncommand = 'puppet meet=last'\nafter = { app = 'exit' }\n";
        let running = space.file(file).start();
        let mut guests = meeting.guests(2);
        guests[0].tell(end);
        running.says(said);
        guests[1].tell("exit=0");
        comes(&meeting, "last").is_gone();
        running.end().code(status).stderr_has(told).stderr_has("1 skipped");
        std::fs::remove_file(space.path("socket")).expect("it was there");
    }
}

#[test]
fn during_a_restart_who_has_not_started_waits() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let file = "[run]\npool = 1\n[jobs.other]\ncommand = 'puppet meet=other hold'\n\
                [jobs.db]\ndaemon = true\nrestart = 'always'\nretry_delay = 0\nready.line = 'up'\n\
                command = 'puppet meet=db hold'\n\
                [jobs.app]\ncommand = 'puppet meet=app'\nafter = ['db']\n";
    let running = space.file(file).start();
    let mut guests = meeting.guests(2);
    guests[0].tell("line=up");
    guests[0].tell("exit=3");
    let mut db = comes(&meeting, "db");
    guests[1].tell("exit=0");
    guests[1].is_gone();
    assert!(!meeting.has_guest(), "the service is not up");
    db.tell("line=up");
    comes(&meeting, "app").is_gone();
    running.end().code(0);
}

#[test]
fn colours_do_not_hide_a_line() {
    let space = Space::new();
    for line in [r"\033[1;32mlisten\033[0ming\033[K", r"\033]0;title\007listening\r", r"\033[3"] {
        let meeting = Meeting::open(&space);
        // The last one is cut in the middle of a sequence.
        let rest = if line.ends_with('3') { r"2mlistening\033[m" } else { "" };
        let file = db_and_app("ready.line = '^listening$'").replace(
            "command = \"puppet meet=db hold\"",
            &format!("script = 'printf \"{line}\"; puppet meet=first hold; printf \"{rest}\\n\"; exec puppet meet=db hold'"),
        );
        let running = space.file(&file).start();
        comes(&meeting, "first").tell("exit=0");
        let mut guests = meeting.guests(2);
        assert_eq!(guests[0].name, "app");
        guests[1].tell("exit=0");
        running.end().code(0);
        std::fs::remove_file(space.path("socket")).expect("it was there");
    }
}

#[test]
fn a_port_that_was_left_open_is_seen_at_the_end() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let port = free_port();
    let file = db_and_app(&format!("ready = {{ port = {port}, every = '1h' }}")).replace(
        "puppet meet=db hold",
        &format!("puppet fork [ listen={port} meet=server hold ] meet=launcher hold"),
    );
    let running = space.file(&file).start();
    let mut guests = meeting.guests(2);
    guests[0].tell("exit=0");
    comes(&meeting, "app").is_gone();
    running.end().code(0);
    guests[1].tell("exit=0");
    guests[1].is_gone();
}
