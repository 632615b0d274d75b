//! Processes that tasks leave behind: a stop reaches them wherever they are, and `leftovers` decides whether
//! a task that ends by itself leaves, kills or awaits them (docs/robustness.md, "Process tree").

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::meeting::Meeting;
use crate::space::{LIMIT, Space};

/// Shell lines that start a grandchild, each harder to find than the one before: in the task's group, in a
/// session of its own, and as a daemon with another parent and none of the task's descriptors.
const HIDEOUTS: [(&str, &str); 3] =
    [("plain", "KID &"), ("session", "setsid KID &"), ("daemon", "setsid sh -c 'KID <&- >&- 2>&- &';")];

/// Returns the script that starts `kid` in this way.
fn hide(way: &str, kid: &str) -> String {
    way.replace("KID", kid)
}

#[track_caller]
fn nothing_lives(space: &Space, what: &str) {
    let left = space.survivors();
    assert!(left.is_empty(), "{what}: {left:?} lived on");
}

// ---- stops -----------------------------------------------------------------------------------------------

#[test]
fn a_signal_leaves_nothing() {
    for (name, way) in HIDEOUTS {
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let space = Space::new();
            let meeting = Meeting::open(&space);
            let script = hide(way, "puppet meet=kid hold") + " exec puppet meet=own hold";
            let running = space.exec("--grace 500ms -c").arg(script).arg(":::").arg("x").start();
            let guests = meeting.guests(2);
            running.signal(signal);
            running.end().died_of(signal);
            nothing_lives(&space, name);
            drop(guests);
        }
    }
}

#[test]
fn a_second_signal_leaves_nothing_though_all_ignore_the_first() {
    for (name, way) in HIDEOUTS {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        let script =
            hide(way, "puppet catch=INT,TERM meet=kid hold") + " exec puppet catch=INT,TERM meet=own hold";
        let running = space.exec("--grace 10m -c").arg(script).arg(":::").arg("x").start();
        let mut guests = meeting.guests(2);
        running.signal(Signal::SIGINT);
        guests[1].hears("got INT");
        running.signal(Signal::SIGTERM);
        running.end().died_of(Signal::SIGINT);
        nothing_lives(&space, name);
    }
}

#[test]
fn a_halt_leaves_nothing() {
    for (name, way) in HIDEOUTS {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        let script = "[ {} = b ] && exec puppet meet=b hold; ".to_owned()
            + &hide(way, "puppet meet=kid hold")
            + " exec puppet meet=own hold";
        let running = space.exec("-j2 --halt now,fail=1 -c").arg(script).arg(":::").arg("a").arg("b").start();
        let mut guests = meeting.guests(3);
        guests[0].tell("exit=1");
        running.end().code(1);
        nothing_lives(&space, name);
    }
}

#[test]
fn a_timeout_leaves_nothing() {
    for (name, way) in HIDEOUTS {
        let space = Space::new();
        let script = hide(way, "sleep 600") + " exec sleep 600";
        space.exec("--timeout 2s -c").arg(script).arg(":::").arg("x").run().code(124);
        nothing_lives(&space, name);
    }
}

#[test]
fn nothing_of_an_attempt_that_was_stopped_lives_when_the_next_begins() {
    let space = Space::new();
    let script = "if [ $PRUN_ATTEMPT = 2 ]; then [ -e kid ] && kill -0 $(cat kid) && exit 3; exit 0; fi; \
                  setsid sh -c 'echo $$ >new; mv new kid; exec sleep 600' & exec sleep 600";
    let ended = space.exec("--timeout 2s --retries 1 -c").arg(script).arg(":::").arg("x").run();
    ended.code(0).stderr_lacks("exit 3");
}

/// Processes outside of the task's group get the signal when the group has gone, and keep the rest of the
/// grace period.
#[test]
fn who_left_the_group_is_told_to_stop_too() {
    for (_, way) in &HIDEOUTS[1..] {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        let script = hide(way, "puppet catch=TERM meet=kid hold") + " exec puppet meet=own hold";
        let running = space.exec("--grace 10m -c").arg(script).arg(":::").arg("x").start();
        let mut guests = meeting.guests(2);
        running.signal(Signal::SIGTERM);
        guests[1].is_gone();
        guests[0].hears("got TERM");
        guests[0].tell("say=alive");
        guests[0].hears("alive");
        guests[0].tell("exit=0");
        running.end().died_of(Signal::SIGTERM);
    }
}

#[test]
fn who_left_the_group_is_killed_after_the_grace() {
    for (name, way) in HIDEOUTS {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        let script = hide(way, "puppet catch=TERM meet=kid hold") + " exec puppet meet=own hold";
        let running = space.exec("--grace 300ms -c").arg(script).arg(":::").arg("x").start();
        let guests = meeting.guests(2);
        running.signal(Signal::SIGTERM);
        running.end().died_of(Signal::SIGTERM);
        nothing_lives(&space, name);
        drop(guests);
    }
}

/// Each process of the chain lives for a moment only, in a session of its own, and leaves the next one
/// behind.
#[test]
fn what_starts_others_faster_than_it_can_be_seen_is_killed() {
    let space = Space::new();
    space.program("hop", "#!/bin/sh\n[ $1 = 0 ] && >end; [ $1 -gt 0 ] && setsid ./hop $(($1 - 1)) &\n");
    let meeting = Meeting::open(&space);
    let script = "./hop 20000; exec puppet meet=own hold";
    let running = space.exec("--grace 10m -c").arg(script).arg(":::").arg("x").start();
    let mut guest = meeting.guest();
    running.signal(Signal::SIGINT);
    guest.is_gone();
    running.signal(Signal::SIGTERM);
    running.end().died_of(Signal::SIGINT);
    nothing_lives(&space, "one of many");
    assert!(!space.exists("end"), "it ended by itself");
}

#[test]
fn what_replaces_those_who_are_killed_is_killed() {
    let space = Space::new();
    space.program(
        "keeper",
        "#!/bin/sh\ntrap '' TERM\nwhile :; do setsid sleep 600; setsid sleep 600 & done\n",
    );
    let meeting = Meeting::open(&space);
    let script = "setsid ./keeper & exec puppet meet=own hold";
    let running = space.exec("--grace 100ms -c").arg(script).arg(":::").arg("x").start();
    let guest = meeting.guest();
    running.signal(Signal::SIGTERM);
    running.end().died_of(Signal::SIGTERM);
    nothing_lives(&space, "a keeper");
    drop(guest);
}

/// A process without mark and environment is still found as a child that prun adopted.
#[test]
fn a_run_that_was_stopped_leaves_no_strangers() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let stranger = "prlimit --rttime=unlimited env -u PRUN_RUN_ID setsid puppet meet=kid hold";
    let script = format!("setsid sh -c '{stranger} <&- >&- 2>&- &'; exec puppet meet=own hold");
    let running = space.exec("-c").arg(script).arg(":::").arg("x").start();
    let guests = meeting.guests(2);
    running.signal(Signal::SIGTERM);
    running.end().died_of(Signal::SIGTERM);
    nothing_lives(&space, "a stranger");
    drop(guests);
}

/// Children of the program that executed prun are not prun's to kill.
#[test]
fn children_that_prun_had_before_are_left_alone() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let script = "puppet meet=before hold <&- >&- 2>&- & exec prun exec -- puppet meet=task hold ::: x";
    let running = space.sh(script).start();
    let mut guests = meeting.guests(2);
    running.signal(Signal::SIGTERM);
    guests[1].is_gone();
    running.end().died_of(Signal::SIGTERM);
    guests[0].tell("say=alive");
    guests[0].hears("alive");
    guests[0].tell("exit=0");
}

#[test]
fn many_that_hide_are_stopped_together() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let script = "setsid puppet meet=kid hold & wait";
    let running = space.exec("-j200 -c").arg(script).stdin("x\n".repeat(200)).start();
    let guests = meeting.guests(200);
    running.signal(Signal::SIGTERM);
    running.end().died_of(Signal::SIGTERM);
    nothing_lives(&space, "one of many");
    drop(guests);
}

// ---- ends --------------------------------------------------------------------------------------------------

#[test]
fn what_holds_the_output_is_named() {
    let space = Space::new();
    let script = "echo hi; sleep 600 & echo $! >kid";
    let ended = space.exec("-c").arg(script).arg(":::").arg("x").run();
    let named = format!("sleep ({}) still holds its output open", space.read("kid").trim());
    ended.code(0).stdout("hi\n").stderr_has(&named).within(60);
    space.sweep();
}

#[test]
fn what_was_left_is_let_go_also_by_a_later_stop() {
    for (_, way) in HIDEOUTS {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        let kid = hide(way, "puppet meet=kid hold <&- >&- 2>&-");
        let script = format!("[ {{}} = b ] && exec puppet meet=own hold; {kid}");
        let running = space.exec("-j1 -c").arg(script).arg(":::").arg("a").arg("b").start();
        let mut guests = meeting.guests(2);
        running.signal(Signal::SIGTERM);
        guests[1].is_gone();
        running.end().died_of(Signal::SIGTERM);
        guests[0].tell("say=alive");
        guests[0].hears("alive");
        guests[0].tell("exit=0");
    }
}

#[test]
fn what_was_left_is_killed_where_that_is_wanted() {
    for (name, way) in HIDEOUTS {
        let space = Space::new();
        let script = "puppet catch=TERM meet=kid hold";
        let running = job(&space, "kill", &(hide(way, script) + " puppet meet=own hold; exit 3"));
        let meeting = Meeting::open(&space);
        let running = running.start();
        let mut guests = meeting.guests(2);
        guests[1].tell("exit=0");
        guests[0].is_gone();
        running.end().code(3).stderr_lacks("still holds");
        nothing_lives(&space, name);
    }
}

#[test]
fn what_was_left_is_waited_for_where_that_is_wanted() {
    for (_, way) in HIDEOUTS {
        let space = Space::new();
        let running =
            job(&space, "wait", &(hide(way, "puppet meet=kid hold") + " puppet meet=own hold; exit 3"));
        let meeting = Meeting::open(&space);
        let running = running.start();
        let mut guests = meeting.guests(2);
        guests[1].tell("exit=0");
        guests[1].is_gone();
        guests[0].tell("line=hello");
        guests[0].tell("exit=0");
        let ended = running.end();
        ended.code(3).stderr_lacks("still holds");
    }
}

#[test]
fn what_is_waited_for_writes_the_tasks_output() {
    let space = Space::new();
    let running = job(&space, "wait", "setsid puppet meet=kid hold & echo own");
    let meeting = Meeting::open(&space);
    let running = running.start();
    let mut guest = meeting.guest();
    running.shows("own\n");
    guest.tell("line=kid");
    guest.tell("exit=0");
    running.end().code(0).stdout("own\nkid\n");
}

#[test]
fn what_is_waited_for_can_be_stopped() {
    for (name, way) in HIDEOUTS {
        let space = Space::new();
        let running = job(&space, "wait", &hide(way, "puppet catch=TERM meet=kid hold"));
        let meeting = Meeting::open(&space);
        let running = running.start();
        let mut guest = meeting.guest();
        running.signal(Signal::SIGTERM);
        guest.hears("got TERM");
        running.signal(Signal::SIGINT);
        running.end().died_of(Signal::SIGTERM);
        nothing_lives(&space, name);
    }
}

#[test]
fn the_timeout_runs_on_while_others_are_waited_for() {
    let space = Space::new();
    let toml = "[jobs.a]\nscript = 'setsid sleep 600 & exit 0'\nleftovers = 'wait'\ntimeout = '2s'\n";
    space.file(toml).run().code(124);
    nothing_lives(&space, "a timeout");
}

/// Prepares a job with this script and this value of `leftovers`.
fn job(space: &Space, leftovers: &str, script: &str) -> crate::running::Prun {
    let script = script.replace('\'', "\"");
    space.file(&format!("[jobs.a]\nscript = '''{script}'''\nleftovers = '{leftovers}'\ngrace = '10m'\n"))
}

// ---- another attempt ---------------------------------------------------------------------------------------

/// A crashed attempt's child would keep its port or its lock from the next one.
#[test]
fn what_an_attempt_left_in_its_group_is_gone_when_the_next_begins() {
    let keys = ["each = ['x']", "worker = true\neach = ['x']", "restart = 'on-failure'\ndaemon = true"];
    for keys in keys {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        let script = "[ -e kid ] && { kill -0 $(cat kid) && exit 3; puppet meet=next hold; echo; exit 0; }; \
                      puppet ignore=HUP meet=kid hold & echo $! >kid; puppet meet=own hold; kill -9 $$";
        let file = format!("[jobs.a]\nretries = 1\nretry_delay = '0s'\n{keys}\nscript = '''{script}'''\n");
        let running = space.file(&file).start();
        let mut guests = meeting.guests(2);
        guests[1].tell("exit=0");
        guests[0].is_gone();
        meeting.guest().tell("exit=0");
        running.end().code(0).stderr_lacks("exit 3");
    }
}

/// It is told to end, and killed after the grace period; the next attempt waits for it.
#[test]
fn what_an_attempt_left_has_its_grace() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let script =
        "[ $PRUN_ATTEMPT = 2 ] && exit 0; puppet catch=TERM meet=kid hold & puppet meet=own hold; exit 1";
    let running = space.exec("--retries 1 --grace 2s -c").arg(script).arg(":::").arg("x").start();
    let mut guests = meeting.guests(2);
    guests[1].tell("exit=0");
    guests[0].hears("got TERM");
    guests[0].is_gone();
    running
        .end()
        .code(0)
        .stderr_has("processes that sh[1] started did not end within 2.0 s of SIGTERM: killed");
}

/// A master connection of ssh or a compiler server stays, and is named, whichever attempt left it.
#[test]
fn what_left_the_group_of_an_attempt_stays_and_is_named() {
    for output in ["", "<&- >&- 2>&-"] {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        let script = format!(
            "[ $PRUN_ATTEMPT = 2 ] && exec puppet meet=next hold; setsid puppet meet=kid hold {output} & \
             puppet meet=own hold; exit 1"
        );
        let running = space.exec("--retries 1 -c").arg(script).arg(":::").arg("x").start();
        let mut guests = meeting.guests(2);
        guests[1].tell("exit=0");
        let mut next = meeting.guest();
        running.says(&format!("attempt 1 of sh[1] ended, but puppet ({}) still", guests[0].pid));
        guests[0].tell("say=alive");
        guests[0].hears("alive");
        next.tell("exit=0");
        running.end().code(0);
        guests[0].tell("exit=0");
        guests[0].is_gone();
    }
}

#[test]
fn what_an_attempt_left_stays_where_that_is_said() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let script = "[ $PRUN_ATTEMPT = 2 ] && exec puppet meet=next hold; puppet meet=kid hold & puppet meet=own hold; exit 1";
    let file = format!("[jobs.a]\nretries = 1\nleftovers = 'leave'\nscript = '''{script}'''\n");
    let running = space.file(&file).start();
    let mut guests = meeting.guests(2);
    guests[1].tell("exit=0");
    let mut next = meeting.guest();
    running.says("attempt 1 of a ended, but puppet");
    guests[0].tell("say=alive");
    guests[0].hears("alive");
    next.tell("exit=0");
    running.end().code(0);
    guests[0].tell("exit=0");
    guests[0].is_gone();
}

/// Leftovers of a service are killed with it, wherever it is, unless `leftovers` says otherwise.
#[test]
fn a_daemon_leaves_nothing() {
    for (name, way) in HIDEOUTS {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        let script = hide(way, "puppet catch=TERM meet=kid hold") + " puppet meet=own hold; exit 3";
        let script = script.replace('\'', "\"");
        let running = space.file(&format!("[jobs.a]\ndaemon = true\nscript = '''{script}'''\n")).start();
        let mut guests = meeting.guests(2);
        guests[1].tell("exit=0");
        guests[0].is_gone();
        running.end().code(3);
        nothing_lives(&space, name);
    }
}

// ---- the pool ----------------------------------------------------------------------------------------------

#[test]
fn a_job_that_is_killed_from_outside_is_reported_and_the_others_go_on() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let script = "[ {} = a ] && exec puppet meet=a hold; echo {}";
    let running = space.exec("-j1 -c").arg(script).arg(":::").arg("a").arg("b").start();
    let guest = meeting.guest();
    kill(Pid::from_raw(guest.pid), Signal::SIGKILL).expect("it is there");
    running.end().code(137).stdout("b\n").stderr_has("SIGKILL");
}

#[test]
fn no_zombie_is_kept() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    // Each leaves a grandchild, which ends when its parent has.
    let script = "[ {} = 1000 ] && exec puppet meet=last hold; (sleep 0.01 >/dev/null 2>&1 &)";
    let items: String = (1..=1000).map(|n| format!("{n}\n")).collect();
    let running = space.exec("-j2 -c").arg(script).stdin(items).start();
    let mut guest = meeting.guest();
    let begun = std::time::Instant::now();
    while !zombies(running.pid()).is_empty() {
        assert!(begun.elapsed() < LIMIT, "zombies: {:?}", zombies(running.pid()));
        nix::poll::poll(&mut [], 20u8).expect("poll of nothing");
    }
    guest.tell("exit=0");
    running.end().code(0);
}

fn zombies(parent: Pid) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").expect("/proc is there").flatten();
    let stats = processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    let is_zombie = |stat: &String| {
        let mut fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
        fields.next() == Some("Z") && fields.next() == Some(&parent.to_string())
    };
    stats.filter(is_zombie).collect()
}
