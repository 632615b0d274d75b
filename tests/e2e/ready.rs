//! `ready`: what shows that a task is up, and what becomes of those that never are.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::meeting::{Guest, Meeting};
use crate::running::Running;
use crate::space::Space;

/// A port that nobody listens at, out of the range from which the system takes those of connections.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id().wrapping_mul(97).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = (10_000 + number % 20_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A job that comes to the meeting, with more keys, and one that waits until it is ready.
fn db_and_app(keys: &str) -> String {
    format!(
        "[jobs.db]\ncommand = \"puppet meet=db hold\"\n{keys}\n\
         [jobs.app]\ncommand = \"puppet meet=app\"\nafter = {{ db = \"ready\" }}\n[run]\npool = 2\n"
    )
}

#[track_caller]
fn comes(meeting: &Meeting, name: &str) -> Guest {
    let guest = meeting.guest();
    assert_eq!(guest.name, name);
    guest
}

/// The step is what shows that `db` is up; then `app` comes while `db` runs on.
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
    let other = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    let port = other.local_addr().expect("it has one").port();
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

#[test]
fn somebody_else_at_the_port_is_named_when_the_time_is_over() {
    let space = Space::new();
    let other = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    let port = other.local_addr().expect("it has one").port();
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
fn a_command_shows_that_it_is_up() {
    for command in ["'test -e {dir}/up'", "{ script = 'test -e {dir}/up' }", "['test', '-e', '{dir}/up']"] {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        let command = command.replace("{dir}", &space.path("").display().to_string());
        let running =
            space.file(&db_and_app(&format!("ready = {{ command = {command}, every = '5ms' }}"))).start();
        let mut db = comes(&meeting, "db");
        assert!(!meeting.has_guest());
        space.write("up", "");
        comes(&meeting, "app").is_gone();
        db.tell("exit=0");
        running.end().ok();
    }
}

#[test]
fn one_probe_runs_at_a_time_and_knows_the_task() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let probe = "ready = { every = '1ms', command = { script = 'echo $PRUN_TASK_PID $PRUN_JOB $PWD >known; ls /proc/self/fd >fds; \
                 echo out; exec puppet meet=probe hold' } }\nenv.WHO = '{%}'";
    let running = space.file(&db_and_app(probe)).start();
    let mut guests = meeting.guests(2);
    let db = guests[0].pid;
    let mut probe = guests.remove(1);
    let mut counts = Vec::new();
    for _ in 0..20 {
        assert!(!meeting.has_guest(), "one at a time");
        let open = std::fs::read_dir(format!("/proc/{}/fd", running.pid())).expect("prun runs");
        counts.push(open.count());
        probe.tell("exit=1");
        probe.is_gone();
        probe = comes(&meeting, "probe");
    }
    assert_eq!(counts[2], counts[19], "no descriptor is left open: {counts:?}");
    let folder = space.path("").canonicalize().expect("it is there");
    let known = format!("{db} db {}", folder.display());
    assert_eq!(space.read("known").trim_end(), known.trim_end_matches('/'));
    let before = space.sh("ls /proc/self/fd").run();
    let count = |text: &str| text.split_whitespace().count();
    assert_eq!(count(&space.read("fds")), count(&before.stdout), "it is given nothing of prun's");
    probe.tell("exit=0");
    comes(&meeting, "app").is_gone();
    guests[0].tell("exit=0");
    running.end().ok();
}

/// A probe that does not end by itself, and has a child that got away from it.
const HANGING: &str =
    "ready.command = 'puppet ignore=TERM,INT fork [ setsid meet=away hold ] meet=probe hold'";

#[track_caller]
fn hanging() -> (Space, Running, Vec<Guest>) {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.file(&format!("{}grace = '200ms'\n", db_and_app(HANGING))).start();
    let guests = meeting.guests(3);
    (space, running, guests)
}

#[test]
fn probes_are_gone_after_a_stop() {
    let (_space, running, mut guests) = hanging();
    running.signal(Signal::SIGTERM);
    running.end().died_of(Signal::SIGTERM);
    guests.iter_mut().for_each(Guest::is_gone);
}

#[test]
fn probes_are_gone_when_prun_is_killed() {
    let (_space, running, mut guests) = hanging();
    running.signal(Signal::SIGKILL);
    guests.iter_mut().for_each(Guest::is_gone);
    running.end().died_of(Signal::SIGKILL);
}

#[test]
fn probes_are_gone_when_the_task_was_not_ready_in_time() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let probe = HANGING.replace("ready.command =", "ready.timeout = '1s'\nready.command =");
    let running = space.file(&format!("{}grace = '200ms'\n", db_and_app(&probe))).start();
    let mut db = comes(&meeting, "db");
    running
        .end()
        .code(124)
        .stderr_has("it was not ready within 1s: waited for its `ready` command, which had not ended");
    db.is_gone();
}

#[test]
fn a_probe_ends_with_its_task() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.file(&db_and_app("ready.command = 'puppet ignore=TERM meet=probe hold'")).start();
    let mut guests = meeting.guests(2);
    guests[0].tell("exit=3");
    guests[1].is_gone();
    running.end().code(3).within(45).stderr_has("`db` ended before it was ready");
}

#[test]
fn what_a_probe_leaves_in_its_group_is_killed() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let probe = "ready = { every = '1ms', command = 'puppet fork [ meet=left hold ] meet=probe hold' }";
    let running = space.file(&db_and_app(probe)).start();
    let mut guests = meeting.guests(3);
    let mut probe = guests.pop().expect("it has come");
    probe.tell("exit=1");
    guests[1].is_gone();
    // The next pair.
    let mut next = meeting.guests(2);
    next[1].tell("exit=0");
    comes(&meeting, "app").is_gone();
    guests[0].tell("exit=0");
    running.end().code(0);
}

#[test]
fn a_probe_that_takes_too_long_is_killed_and_followed_by_another() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running =
        space.file(&db_and_app("ready = { every = '1ms', command = 'puppet meet=probe hold' }")).start();
    let mut guests = meeting.guests(2);
    guests[1].is_gone();
    comes(&meeting, "probe").tell("exit=0");
    comes(&meeting, "app").is_gone();
    guests[0].tell("exit=0");
    running.end().ok();
}

#[test]
fn a_probe_that_can_not_be_executed_fails_the_task_at_once() {
    let space = Space::new();
    for (probe, why) in [("no-such-program -x", "not found"), ("./text", "not executable")] {
        space.write("text", "");
        let file =
            db_and_app(&format!("ready.command = '{probe}'")).replace("puppet meet=db hold", "puppet hang");
        let ended = space.file(&file).run();
        ended.code(1).within(45).stderr_has("its `ready` command could not be executed: ").stderr_has(why);
    }
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
    let running = space.file(file).start();
    for code in ["exit=1", "exit=0"] {
        let mut guests = meeting.guests(2);
        guests[0].tell("exit=0");
        guests[0].is_gone();
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
fn probes_stand_still_while_prun_is_suspended() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.file(&db_and_app("ready.command = 'puppet meet=probe hold'")).start();
    let mut guests = meeting.guests(2);
    running.signal(Signal::SIGTSTP);
    for pid in guests.iter().map(|guest| guest.pid).chain([running.pid().as_raw()]) {
        crate::space::wait_until("everything is stopped", || state_of(pid) == Some('T'));
    }
    kill(running.pid(), Signal::SIGCONT).expect("it is there");
    guests[1].tell("exit=0");
    comes(&meeting, "app").is_gone();
    guests[0].tell("exit=0");
    running.end().code(0);
    assert!(kill(Pid::from_raw(guests[1].pid), None).is_err(), "the probe was reaped");
}

fn state_of(pid: i32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
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
