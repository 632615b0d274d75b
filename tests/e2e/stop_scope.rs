//! Whom the stop signal reaches: by default first the process group of the task, and then all else that it started
//! (docs/robustness.md, "Signals and terminal"). `leftovers` and `survivors` show that SIGKILL reaches everything.

use nix::sys::signal::Signal;

use crate::meeting::{Guest, Meeting};
use crate::running::Prun;
use crate::space::Space;

/// A process that lives on when it hears a signal.
const KID: &str = "puppet catch=TERM,INT meet=kid hold";
const OWN: &str = "puppet catch=TERM,INT meet=own hold";

/// Checks that the guest lives and has heard nothing else.
#[track_caller]
fn is_left_alone(guest: &mut Guest) {
    guest.tell("say=here");
    guest.hears("here");
}

#[track_caller]
fn ends(guest: &mut Guest) {
    guest.tell("exit=0");
    guest.is_gone();
}

fn script(space: &Space, script: &str) -> Prun {
    space.file(&format!("[jobs.a]\ngrace = '10m'\nscript = '''{script}'''\n"))
}

/// Without the signal they would wait for each other until the grace period is over.
#[test]
fn a_process_in_another_group_whose_parent_waits_is_told() {
    let waits = [
        format!("setsid -w {KID}"),
        format!("trap : TERM; setsid -w {KID}; :"),
        format!("exec bash -c 'trap : TERM; set -m; {KID} & wait; wait'"),
        format!("trap : TERM; (setsid sh -c \"trap : TERM; {KID}; :\"); :"),
        format!("trap : TERM; timeout 600 {KID}; :"),
    ];
    for way in waits {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        let running = script(&space, &way).start();
        let mut kid = meeting.guest();
        running.signal(Signal::SIGTERM);
        kid.hears("got TERM");
        kid.tell("exit=0");
        running.end().died_of(Signal::SIGTERM).stderr_lacks("killed");
    }
}

#[test]
fn who_has_left_the_group_is_told_once() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = script(&space, &format!("setsid {KID} & exec {OWN}")).start();
    let mut guests = meeting.guests(2);
    running.signal(Signal::SIGTERM);
    guests[1].hears("got TERM");
    guests[0].hears("got TERM");
    // The end of the first process tells nobody again, nor does that of another process.
    ends(&mut guests[1]);
    is_left_alone(&mut guests[0]);
    guests[0].tell("fork [ meet=late hold ]");
    let mut late = meeting.guest();
    late.tell("exit=0");
    late.is_gone();
    is_left_alone(&mut guests[0]);
    ends(&mut guests[0]);
    running.end().died_of(Signal::SIGTERM);
}

/// `setsid` in a later stage leaves the group without another process.
#[test]
fn each_stage_is_told() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    for keys in ["", "stop = 'group'", "stop = 'process'"] {
        let stages = format!("'{OWN}', 'setsid puppet catch=TERM,INT meet=second hold'");
        let running =
            space.file(&format!("[jobs.p]\ngrace = '10m'\n{keys}\npipeline = [{stages}]\n")).start();
        let mut guests = meeting.guests(2);
        running.signal(Signal::SIGINT);
        for guest in &mut guests {
            guest.hears("got INT");
            is_left_alone(guest);
        }
        guests.iter_mut().for_each(ends);
        running.end().died_of(Signal::SIGINT);
    }
}

#[test]
fn the_group_alone_is_told_where_that_is_wanted() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let way = format!("setsid {KID} & puppet catch=TERM meet=member hold & exec {OWN}");
    let file = format!("[jobs.a]\ngrace = '2s'\nstop = 'group'\nscript = '''{way}'''\n");
    let running = space.file(&file).start();
    let mut guests = meeting.guests(3);
    running.signal(Signal::SIGTERM);
    for guest in &mut guests[1..] {
        guest.hears("got TERM");
        ends(guest);
    }
    // It dies without another word.
    guests[0].is_gone();
    running
        .end()
        .died_of(Signal::SIGTERM)
        .stderr_has("processes that a started did not end within 2.0 s of SIGTERM: killed");
}

#[test]
fn the_first_process_alone_is_told_where_that_is_wanted() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let way = format!("setsid {KID} & puppet catch=TERM meet=member hold & exec {OWN}");
    space.write(
        "prun.toml",
        format!("[defaults]\nstop = 'process'\n[jobs.a]\ngrace = '10m'\nscript = '''{way}'''\n"),
    );
    let exec = space.exec("--stop process --grace 10m -c").arg(&way).arg(":::").arg("x");
    for prun in [space.prun(""), exec] {
        let running = prun.start();
        let mut guests = meeting.guests(3);
        running.signal(Signal::SIGTERM);
        guests[2].hears("got TERM");
        ends(&mut guests[2]);
        is_left_alone(&mut guests[0]);
        is_left_alone(&mut guests[1]);
        ends(&mut guests[0]);
        ends(&mut guests[1]);
        running.end().died_of(Signal::SIGTERM);
    }
}

/// Daemons, workers and hooks are stopped as tasks are.
#[test]
fn whatever_runs_is_told_with_all_that_it_started() {
    let waits = format!("script = '''trap : TERM; setsid -w {KID}; :'''");
    let jobs = [
        format!("daemon = true\n{waits}"),
        format!("worker = true\neach = ['x']\n{waits}"),
        format!("command = 'true'\non_success = {{ {waits} }}"),
        format!("command = 'false'\non_exit = {{ {waits} }}"),
        format!("each.command = {{ {waits} }}\ncommand = 'true'"),
    ];
    for job in jobs {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        let running = space.file(&format!("[jobs.a]\ngrace = '10m'\n{job}\n")).start();
        let mut kid = meeting.guest();
        running.signal(Signal::SIGTERM);
        kid.hears("got TERM");
        kid.tell("exit=0");
        running.end().died_of(Signal::SIGTERM);
    }
}
