//! Ownership of processes: leftovers of a task that ended well survive prun, adopted processes are reaped,
//! and children do not depend on the parent-death signal alone. `survivors` has the processes that must not
//! survive.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use crate::meeting::Meeting;
use crate::space::{Space, name_of, wait_until};

/// A task that ended well may leave a daemon, as ssh's ControlPersist does; no later stop ends it.
#[test]
fn what_an_ended_task_has_left_survives_prun() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGKILL] {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        let tasks = "'puppet fork [ bare meet=1 hold ]' 'puppet fork [ daemon meet=2 hold ]' \
                     'puppet fork [ daemon wipe meet=3 hold ]' 'puppet meet=running hold'";
        let running = space.exec(&format!("-j1 -c 'eval \"$1\"' ::: {tasks}")).start();
        let mut guests = meeting.guests(4);
        running.signal(signal);
        // It started last, when the others had ended.
        guests.pop().expect("the last by name").is_gone();
        running.end().died_of(signal);
        wait_until("only what was left lives", || space.survivors().len() == 3);
        for mut guest in guests {
            guest.tell("say=alive");
            guest.hears("alive");
            guest.tell("exit=0");
            guest.is_gone();
        }
    }
}

/// The kernel forgets the parent-death signal when a set-uid program is executed.
#[test]
fn a_set_uid_program_ends_with_prun() {
    if !geteuid().is_root() {
        return println!("only root can make a program that is another user's");
    }
    let space = Space::new();
    let meeting = Meeting::open(&space);
    space.sh("cp \"$(command -v puppet)\" other && chown 65534 other && chmod 4755 other").run().ok();
    for (path, mode) in [("", 0o755), ("socket", 0o777)] {
        std::fs::set_permissions(space.path(path), Permissions::from_mode(mode)).expect("modes can be set");
    }
    let running = space.exec("--repeat 1 ./other meet=other hold").start();
    let mut guest = meeting.guest();
    let status = std::fs::read_to_string(format!("/proc/{}/status", guest.pid)).expect("it lives");
    let other = status.lines().any(|line| line.starts_with("Uid:\t0\t65534\t"));
    if !other {
        println!("set-uid programs are like any other in {}", space.path("").display());
    }
    running.signal(Signal::SIGKILL);
    guest.is_gone();
    running.end().died_of(Signal::SIGKILL);
}

/// The kernel sends the parent-death signal when the *thread* that started the child ends (prctl(2)).
#[test]
fn a_task_outlives_whatever_else_prun_does() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    space.write("items", (0..100).map(|item| format!("{item}\n")).collect::<String>());
    let script = "test {#} != 1 || exec puppet meet=long hold; echo {}";
    let running = space.exec(&format!("-j3 -a items --journal journal --sync -c '{script}'")).start();
    let mut guest = meeting.guest();
    running.shows_lines(99);
    guest.tell("say=alive");
    guest.hears("alive");
    guest.tell("exit=0");
    running.end().ok();
}

/// In a container prun may be PID 1, to which every process without a parent falls.
#[test]
fn as_process_1_it_reaps_what_it_is_handed_and_obeys() {
    if !geteuid().is_root() {
        return println!("only root can make a namespace of processes");
    }
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let task =
        "puppet fork [ setsid fork [ meet=orphan hold ] fork [ daemon meet=daemon hold ] ] meet=task hold";
    let running =
        space.sh(&format!("exec unshare --pid --fork --mount-proc prun exec --repeat 1 {task}")).start();
    let mut guests = meeting.guests(3);
    let (prun, _) =
        space.survivors().into_iter().find(|(pid, _)| name_of(*pid) == "prun").expect("prun runs");

    guests[1].tell("exit=0");
    guests[1].is_gone();
    wait_until("what has ended is reaped", || zombies_of(prun).is_empty());
    guests[2].tell("say=alive");
    guests[2].hears("alive");

    kill(Pid::from_raw(prun), Signal::SIGTERM).expect("prun runs");
    guests[2].is_gone();
    guests[0].is_gone();
    // It can't die of the signal: the kernel protects this process from it.
    running.end().code(143);
}

/// Covers every kind of child, while prun has a journal, queues and terminals open; `starting` covers many
/// children at once.
#[test]
fn no_descriptor_reaches_any_kind_of_child() {
    let space = Space::new();
    space.program("look", "#!/bin/sh\nls /proc/self/fd >\"fds.$1\"\n");
    space.sh("./look alone </dev/null").run().ok();
    let toml = r#"
        [run]
        journal = "journal"
        [jobs.single]
        command = "./look single"
        [jobs.forked]
        start = "fork"
        command = "./look forked"
        [jobs.fed]
        stdin.text = "fed"
        command = "./look fed"
        on_success = "./look hook"
        [jobs.filed]
        stdout.file = "file"
        stderr = "stdout"
        command = "./look filed"
        [jobs.stages]
        pipeline = ["./look first", "./look second"]
        [jobs.terminal]
        pty = true
        command = "./look terminal"
        [jobs.writer]
        stdout.queue = "queue"
        script = "./look writer; echo record"
        [jobs.reader]
        stdin.queue = "queue"
        script = "./look reader; cat"
        [jobs.worker]
        each = ["a", "b"]
        worker = true
        script = "./look worker; cat"
    "#;
    space.file(toml).run().code(0);
    let files = "single forked fed hook filed first second terminal writer reader worker";
    for file in files.split(' ') {
        let fds = space.read(&format!("fds.{file}"));
        assert_eq!(fds, space.read("fds.alone"), "descriptors of `{file}`");
    }
}

fn zombies_of(parent: i32) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").expect("/proc is there").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let of_parent = |pid: &i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.contains("\nState:\tZ") && status.contains(&format!("\nPPid:\t{parent}\n"))
    };
    pids.filter(of_parent).collect()
}
