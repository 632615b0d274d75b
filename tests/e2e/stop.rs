//! Signals and the stop ladder (docs/robustness.md, "Signals and terminal").

use std::fs::DirEntry;
use std::time::Instant;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::meeting::{Guest, Meeting};
use crate::running::Running;
use crate::space::{LIMIT, Space};

#[test]
fn the_first_signal_is_passed_on_and_nothing_new_starts() {
    for (signal, name) in [
        (Signal::SIGINT, "INT"),
        (Signal::SIGTERM, "TERM"),
        (Signal::SIGHUP, "HUP"),
        (Signal::SIGQUIT, "QUIT"),
    ] {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        let running = space.exec(&format!("-j2 -- puppet catch={name} meet={{}} hold ::: a b c d")).start();
        let mut guests = meeting.guests(2);
        running.signal(signal);
        for guest in &mut guests {
            guest.hears(&format!("got {name}"));
            guest.tell("exit=0");
            guest.is_gone();
        }
        running.end().died_of(signal);
        assert!(!meeting.has_guest(), "nothing starts after {name}");
    }
}

/// Waits until prun has the thread that waits for SIGINT.
fn wait_for_ctrlc(prun: Pid) {
    let start = Instant::now();
    let tasks = || std::fs::read_dir(format!("/proc/{prun}/task")).expect("prun runs").flatten();
    let name = |task: DirEntry| std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
    while !tasks().any(|task| name(task) == "ctrl-c\n") {
        assert!(start.elapsed() < LIMIT, "there never was such a thread");
        // Nothing tells of a new thread; this only keeps the look-up from spinning.
        nix::poll::poll(&mut [], 5u8).expect("poll of nothing");
    }
}

#[test]
fn an_interrupt_stops_a_run_that_has_just_begun_and_one_that_lasts() {
    for lasts in [false, true] {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        let running = space.exec("-j1 -- puppet catch=INT meet={} hold ::: a b").start();
        let mut guest = meeting.guest();
        if lasts {
            wait_for_ctrlc(running.pid());
        }
        running.signal(Signal::SIGINT);
        guest.hears("got INT");
        guest.tell("exit=0");
        running.end().died_of(Signal::SIGINT);
        assert!(!meeting.has_guest(), "nothing starts after it");
    }
}

#[test]
fn a_shell_loop_ends_too() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running =
        space.bash("for i in 1 2; do prun exec -- puppet meet=$i hold ::: x; done; echo after").start();
    let mut guest = meeting.guest();
    // As a terminal does it: to everything in the foreground, which the tasks are not.
    killpg(running.pid(), Signal::SIGINT).expect("the group is there");
    guest.is_gone();
    running.end().died_of(Signal::SIGINT).stdout("");
    assert!(!meeting.has_guest(), "the loop went on");
}

fn stubborn(space: &Space, options: &str) -> (Running, Guest) {
    let meeting = Meeting::open(space);
    let running = space.exec(&format!("{options} -- puppet catch=INT,TERM,QUIT meet=x hold ::: x")).start();
    let guest = meeting.guest();
    (running, guest)
}

#[test]
fn a_second_signal_kills() {
    let space = Space::new();
    let (running, mut guest) = stubborn(&space, "--grace 10m");
    running.signal(Signal::SIGINT);
    guest.hears("got INT");
    running.signal(Signal::SIGTERM);
    guest.is_gone();
    let ended = running.end();
    ended.check(ended.status.code().is_none(), "it dies of a signal").within(60);
}

#[test]
fn the_same_signal_twice_at_once_counts_once() {
    let space = Space::new();
    let (running, mut guest) = stubborn(&space, "--grace 10m");
    running.signal(Signal::SIGINT);
    running.signal(Signal::SIGINT);
    guest.hears("got INT");
    guest.tell("say=alive");
    guest.hears("alive");
    guest.tell("exit=0");
    running.end().died_of(Signal::SIGINT);
}

/// timeout(1) sends its signal to prun and then to prun's process group.
#[test]
fn a_signal_to_prun_and_to_its_group_leaves_tasks_their_grace() {
    let space = Space::new();
    let (running, mut guest) = stubborn(&space, "--grace 10m");
    running.signal(Signal::SIGTERM);
    killpg(running.pid(), Signal::SIGTERM).expect("the group is there");
    guest.hears("got TERM");
    guest.tell("say=alive");
    guest.hears("alive");
    guest.tell("exit=0");
    running.end().died_of(Signal::SIGTERM);
}

#[test]
fn after_the_grace_everything_is_killed() {
    let space = Space::new();
    let (running, mut guest) = stubborn(&space, "--grace 300ms");
    running.signal(Signal::SIGTERM);
    guest.hears("got TERM");
    guest.is_gone();
    running.end().died_of(Signal::SIGTERM);
}

#[test]
fn the_third_signal_ends_prun_though_its_output_is_stuck() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let script = "mkfifo pipe; puppet meet=reader hold <pipe & exec prun exec --grace 10m -c \
                  'puppet meet=writer out=50000000' ::: x >pipe";
    let running = space.sh(script).start();
    let mut guests = meeting.guests(2);
    running.signal(Signal::SIGINT);
    guests[1].is_gone();
    running.signal(Signal::SIGTERM);
    running.signal(Signal::SIGQUIT);
    // The reader has our stdout; it lives until it is told, and prun must not have waited for it.
    let space_sees_prun =
        || space.survivors().iter().any(|(pid, line)| *pid == running.pid().as_raw() && !line.is_empty());
    while space_sees_prun() {
        nix::poll::poll(&mut [], 20u8).expect("poll of nothing");
    }
    guests[0].tell("exit=0");
    let ended = running.end();
    ended.check(ended.status.code().is_none(), "it dies of a signal").within(60);
}

#[test]
fn a_task_that_is_suspended_still_ends() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec("--grace 10m -- puppet meet=x hold ::: x").start();
    let mut guest = meeting.guest();
    kill(Pid::from_raw(guest.pid), Signal::SIGSTOP).expect("the task is there");
    running.signal(Signal::SIGTERM);
    guest.is_gone();
    running.end().died_of(Signal::SIGTERM).within(60);
}

#[test]
fn grandchildren_keep_the_rest_of_the_grace() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let script = "puppet catch=TERM meet=grandchild hold & exec puppet catch=TERM meet=child hold";
    let running = space.exec("--grace 10m -c").arg(script).arg(":::").arg("x").start();
    let mut guests = meeting.guests(2);
    running.signal(Signal::SIGTERM);
    guests[0].hears("got TERM");
    guests[0].tell("exit=0");
    guests[0].is_gone();
    guests[1].hears("got TERM");
    guests[1].tell("say=alive");
    guests[1].hears("alive");
    guests[1].tell("exit=0");
    running.end().died_of(Signal::SIGTERM).within(60);
}

#[test]
fn grandchildren_are_killed_after_the_grace() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let script = "puppet catch=TERM meet=grandchild hold & exec puppet meet=child hold";
    let running = space.exec("--grace 300ms -c").arg(script).arg(":::").arg("x").start();
    let mut guests = meeting.guests(2);
    running.signal(Signal::SIGTERM);
    guests[0].is_gone();
    guests[1].is_gone();
    running.end().died_of(Signal::SIGTERM);
}

/// A dry run has no processes whose exit could wake the loop.
#[test]
fn a_closed_stdout_ends_a_dry_run() {
    let space = Space::new();
    let jobs: String = (0..6000).map(|job| format!("[jobs.j{job}]\ncommand = 'echo {job}'\n")).collect();
    space.write("prun.toml", jobs);
    let script = "{ prun --dry-run; echo $? >&2; } | head -1";
    space.sh(script).run().code(0).stdout("echo 0\n").stderr_has("141\n");
}

#[test]
fn a_closed_stdout_ends_it_silently() {
    let space = Space::new();
    let script = "seq 100000 | prun exec -j2 -- echo {} | head -1; echo ${PIPESTATUS[1]}";
    let ended = space.bash(script).run();
    ended.ok().within(60);
    let lines = ended.lines();
    ended.check(lines.len() == 2 && lines[1] == "141", "one line of output, and death by SIGPIPE");
}

#[test]
fn signals_stay_ignored_and_blocked_as_they_were_given() {
    let space = Space::new();
    for start in ["spawn", "fork"] {
        let given = "env --ignore-signal=INT,USR1 --block-signal=USR2,CHLD";
        let look = "grep -E 'Sig(Ign|Blk)' /proc/self/status";
        // Signals 32 and 33 are the C library's own; no program can pass them on.
        let script = format!(
            "own() {{ sed -E 's/..(.{{7}})$/__\\1/'; }}; {given} {look} | own >want; \
             {given} prun exec --start {start} --repeat 1 -- {look} | own | cmp - want && cat want"
        );
        space.sh(&script).run().ok().stdout_has("SigIgn");
    }
}

#[test]
fn children_start_with_default_dispositions() {
    let space = Space::new();
    for start in ["spawn", "fork"] {
        let script = format!(
            "own() {{ sed -E 's/..(.{{7}})$/__\\1/'; }}; grep -E 'Sig(Ign|Blk|Cgt)' /proc/self/status | own >want; \
             prun exec --start {start} -c 'exec grep -E \"Sig(Ign|Blk|Cgt)\" /proc/self/status' ::: x | own | cmp - want"
        );
        space.sh(&script).run().ok();
    }
}

#[test]
fn an_ignored_interrupt_is_not_taken() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.sh("exec env --ignore-signal=INT prun exec -- puppet meet=x hold ::: x").start();
    let mut guest = meeting.guest();
    running.signal(Signal::SIGINT);
    guest.tell("say=alive");
    guest.hears("alive");
    guest.tell("exit=0");
    running.end().ok();
}

/// The signals that end a process by default and do not tell prun to stop. A fault of prun's own still ends it.
#[test]
fn no_other_signal_ends_it() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec("-- puppet meet=x hold ::: x").start();
    let mut guest = meeting.guest();
    let stops = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];
    let suspends = [Signal::SIGSTOP, Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU];
    let not_sent = |signal: i32| {
        let known = Signal::try_from(signal).ok();
        // Two belong to the C library.
        known == Some(Signal::SIGKILL)
            || known.is_some_and(|known| stops.contains(&known) || suspends.contains(&known))
            || (32..34).contains(&signal)
    };
    let pid = running.pid();
    for signal in (1..=64).filter(|signal| !not_sent(*signal)) {
        for _ in 0..2 {
            space.sh(&format!("kill -{signal} {pid}")).run().ok();
        }
        guest.tell(&format!("say=after {signal}"));
        guest.hears(&format!("after {signal}"));
    }
    guest.tell("line=all");
    guest.tell("exit=0");
    running.end().ok().stdout("all\n");
}

/// systemd, Python and Node start what they start with SIGPIPE ignored; other programs block it.
#[test]
fn a_task_dies_of_sigpipe_whatever_prun_was_given() {
    for given in ["--ignore-signal=PIPE", "--block-signal=PIPE"] {
        for start in ["spawn", "fork"] {
            let space = Space::new();
            let file = format!(
                "[defaults]\nstart = '{start}'\n[jobs.p]\npipeline = ['yes', 'head -1']\n\
                 [jobs.s]\nscript = 'yes 2>err | head -1; cat err >&2'\nafter = ['p']\n\
                 on_success = {{ script = 'yes 2>err | head -2 | tail -1; cat err >&2' }}\n\
                 [jobs.r]\nafter = ['s']\ncommand = 'sleep 600'\ndaemon = true\n\
                 ready.command = {{ script = 'yes 2>err | head -1; [ ! -s err ]' }}\n\
                 [jobs.e]\nafter = ['r']\neach.command = {{ script = 'yes 2>err | head -1; cat err' }}\ncommand = 'echo'\n"
            );
            space.write("jobs.toml", file);
            let ended = space.sh(&format!("exec env {given} prun ./jobs.toml")).run();
            ended.ok().stdout("y\ny\ny\ny\n");
        }
    }
}

#[test]
fn exit_codes_are_right_though_sigchld_was_ignored() {
    let space = Space::new();
    let script = "exec env --ignore-signal=CHLD prun exec -c 'exit {}' ::: 0 3";
    space.sh(script).run().code(3);
}

#[test]
fn cancelled_tasks_are_told_apart_from_failures() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec("-j1 -- puppet meet={} hold ::: a b c").start();
    let mut guest = meeting.guest();
    running.signal(Signal::SIGTERM);
    guest.is_gone();
    running.end().died_of(Signal::SIGTERM).stderr_has("cancelled").no_escapes();
}

#[test]
fn a_wait_for_items_can_be_interrupted() {
    let space = Space::new();
    let mut running = space.exec("-- echo {}").open_stdin().start();
    running.feed(b"a\n");
    running.shows("a\n");
    running.signal(Signal::SIGINT);
    running.end().died_of(Signal::SIGINT);
}
