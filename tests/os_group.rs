//! Exits, reaping, and groups that outlive their leader. It is one test, because it waits for any child of
//! the process.

use std::io::{BufRead, BufReader, PipeReader, Read, pipe};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;
use prun::os::descendants::has_children;
use prun::os::env::Env;
use prun::os::group::GroupHandle;
use prun::os::process::{Change, Changed, Exit, become_subreaper, kill_group, peek, reap};
use prun::os::start::{Launcher, Order, Strategy};

/// Starts a script in a group of its own, its stdout in a pipe.
fn script(text: &str) -> (Pid, BufReader<PipeReader>) {
    let (reader, writer) = pipe().unwrap();
    let mut order = Order {
        strategy: Strategy::Spawn,
        path: c"/bin/sh".into(),
        stdio: [0, writer.as_raw_fd(), 2],
        ..Order::default()
    };
    for word in ["sh", "-c", text] {
        order.argv.push(word.as_bytes()).unwrap();
    }
    order.env.complete(&Env::inherited());
    (Launcher::new().unwrap().start(order.into()).unwrap(), BufReader::new(reader))
}

fn line(reader: &mut BufReader<PipeReader>) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line
}

/// Waits until no process holds the writing end.
fn end(mut reader: BufReader<PipeReader>) {
    assert_eq!(reader.read_to_end(&mut Vec::new()).unwrap(), 0);
}

/// Waits for a child that has ended, and checks that looking at it has not reaped it.
fn ended() -> Changed {
    loop {
        if let Some(exited) = peek() {
            assert_eq!(peek(), Some(exited));
            return exited;
        }
        std::thread::yield_now();
    }
}

#[test]
fn children_from_start_to_reap() {
    assert!(!has_children());
    exits_are_told_as_they_were();
    a_group_is_signalled_after_its_leader_was_reaped();
    a_group_of_zombies_is_not_alive();
    assert!(!has_children());
    orphans_come_to_the_subreaper();
    assert!(!has_children());
}

fn exits_are_told_as_they_were() {
    let (code, _out) = script("exit 200");
    assert_eq!(ended(), Changed { pid: code, change: Change::Exited(Exit::Code(200)) });
    reap(code);
    assert_eq!(peek(), None);

    for signal in [libc::SIGKILL, libc::SIGRTMIN() + 3] {
        let (pid, mut out) = script("echo; sleep 100");
        line(&mut out);
        assert!(has_children());
        assert_eq!(peek(), None);
        kill_group(pid, signal).unwrap();
        assert_eq!(ended(), Changed { pid, change: Change::Exited(Exit::Signal(signal)) });
        reap(pid);
    }
    assert_eq!(kill_group(Pid::from_raw(0), libc::SIGKILL), Err(Errno::EINVAL));
}

fn a_group_is_signalled_after_its_leader_was_reaped() {
    let (pid, mut out) = script(
        "exec 2>/dev/null; (trap 'echo got it; exit' USR1; echo up; while :; do sleep 1; done) & exit 3",
    );
    let group = GroupHandle::open(pid).unwrap();
    assert_eq!(line(&mut out), "up\n");
    assert_eq!(ended(), Changed { pid, change: Change::Exited(Exit::Code(3)) });
    reap(pid);
    assert!(group.alive());
    group.signal(libc::SIGUSR1).unwrap();
    assert_eq!(line(&mut out), "got it\n");
    // Its `sleep` may be left, which was hit by the same signal or is now.
    let _ = group.signal(libc::SIGKILL);
    end(out);
    while group.alive() {
        std::thread::yield_now();
    }
}

fn a_group_of_zombies_is_not_alive() {
    let (pid, out) = script("exit 0");
    let group = GroupHandle::open(pid).unwrap();
    end(out);
    ended();
    assert!(!group.alive());
    // The zombie still takes signals; after it there is nobody.
    group.signal(0).unwrap();
    reap(pid);
    assert_eq!(group.signal(libc::SIGKILL), Err(Errno::ESRCH));
    assert!(!group.alive());
}

fn orphans_come_to_the_subreaper() {
    become_subreaper().unwrap();
    let (leader, mut out) = script("setsid sh -c 'echo $$; exec sleep 100' & wait $!");
    let orphan = Pid::from_raw(line(&mut out).trim().parse().unwrap());
    kill_group(leader, libc::SIGKILL).unwrap();
    assert_eq!(ended().pid, leader);
    reap(leader);
    assert!(has_children());
    assert_eq!(peek(), None);
    kill_group(orphan, libc::SIGKILL).unwrap();
    assert_eq!(ended(), Changed { pid: orphan, change: Change::Exited(Exit::Signal(libc::SIGKILL)) });
    reap(orphan);
}
