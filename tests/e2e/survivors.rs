//! Nothing survives a stop: every way in which prun can end, over every way in which a process can escape
//! from its task, with a control group and without (docs/robustness.md, "Process tree").
//!
//! One run holds all escapes side by side. Each process reports at the meeting, so it has really escaped
//! before prun is ended, and only its death closes that connection. `scripts/survivors` repeats the same with
//! the release build and measures the time.

use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, geteuid};

use crate::meeting::{Guest, Meeting};
use crate::running::{Ended, Running};
use crate::space::{LIMIT, Space, name_of};

/// The variable, set by `scripts/survivors`, with the milliseconds after prun's end within which everything
/// must be gone. Tests have no such limit, because the machine may be busy.
const WITHIN: &str = "PRUN_TEST_WITHIN";

/// Name and steps of each escape. The task's first process stays alive, because a task that ends well may
/// leave processes behind.
const ESCAPES: [(&str, &str); 11] = [
    ("plain", "fork [ meet=plain hold ] meet=task hold"),
    ("setsid", "fork [ setsid meet=setsid hold ] meet=task hold"),
    ("daemon", "fork [ daemon meet=daemon hold ] meet=task hold"),
    ("env-i", "fork [ daemon wipe meet=wiped hold ] meet=task hold"),
    ("title", "fork [ daemon title=idle meet=titled hold ] meet=task hold"),
    ("all", "fork [ wipe daemon title=idle meet=hidden hold ] wipe title=init meet=task hold"),
    ("stubborn", "ignore=INT,TERM,HUP fork [ daemon meet=stubborn hold ] meet=task hold"),
    ("stopped", "fork [ setsid meet=stopped stop hold ] meet=task stop hold"),
    ("kept", "fork [ daemon meet=keeper keep=99 [ meet=kept hold ] ] meet=task hold"),
    ("subreaper", "subreaper fork [ daemon wipe meet=adopted hold ] meet=task hold"),
    ("parentless", "outlive wipe meet=outliving hang"),
];

/// A run within the run, whose own task escapes from it.
const NESTED: &str =
    "prun exec --repeat 1 puppet fork [ daemon wipe meet=nested hold ] meet=nested-task hold";

/// A real daemon, which closes its descriptors and overwrites its environment.
const REDIS: &str = "redis-server --port 0 --unixsocket $PWD/redis --daemonize yes --save '' >redis.log; \
                     exec puppet meet=redis-task hold";

/// A way in which prun ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Term,
    Int,
    Timeout,
    Halt,
    /// `kill -9` of prun.
    Kill,
    /// `kill -9` of its process group.
    KillGroup,
    /// `kill -9` of everything that is named prun.
    KillName,
}

#[test]
fn nothing_survives_term() {
    everywhere(Way::Term);
}

#[test]
fn nothing_survives_int() {
    everywhere(Way::Int);
}

#[test]
fn nothing_survives_a_timeout() {
    everywhere(Way::Timeout);
}

#[test]
fn nothing_survives_a_halt() {
    everywhere(Way::Halt);
}

#[test]
fn nothing_survives_kill_9_of_prun() {
    everywhere(Way::Kill);
}

#[test]
fn nothing_survives_kill_9_of_its_group() {
    everywhere(Way::KillGroup);
}

#[test]
fn nothing_survives_kill_9_by_name() {
    everywhere(Way::KillName);
}

/// Tries the way with a control group, where prun can make one, and without.
fn everywhere(way: Way) {
    escape(way, true);
    match geteuid().is_root() {
        true => escape(way, false),
        false => println!("only root can hide the cgroups from prun"),
    }
}

fn escape(way: Way, cgroups: bool) {
    // It must be long enough for all to get away, however busy the machine is; then it is just waited for.
    let limits: &[u64] = if way == Way::Timeout { &[1, 8, 64] } else { &[0] };
    for limit in limits {
        let hunt = Hunt::start(way, cgroups, *limit);
        if hunt.guests.len() == hunt.wanted {
            return hunt.end(way, cgroups);
        }
        let ended = hunt.running.end();
        ended.check(way == Way::Timeout, "it should wait until it is struck").code(124);
    }
    panic!("not all have got away after {limits:?} seconds");
}

/// A run whose processes have all escaped.
struct Hunt {
    guests: Vec<Guest>,
    wanted: usize,
    /// A connection to redis, which closes when redis dies.
    redis: Option<UnixStream>,
    running: Running,
    // The last, as it looks for what is left.
    space: Space,
}

impl Hunt {
    fn start(way: Way, cgroups: bool, limit: u64) -> Hunt {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        let redis = space.sh("command -v redis-server").run().status.success();
        let items = items(way, redis);
        let wanted = items.iter().map(|item| item.matches("meet=").count()).sum();
        space.write("items", items.join("\n"));

        let option = match way {
            Way::Timeout => format!("--timeout {limit}"),
            Way::Halt => "--halt now,fail=1".to_owned(),
            _ => String::new(),
        };
        let command = format!("exec prun exec -j0 -q --grace 200ms {option} -a items -c 'eval \"$1\"'");
        let running = space.sh(&if cgroups { command } else { without_cgroups(&command) }).start();
        let mut guests = Vec::new();
        while guests.len() < wanted {
            match meeting.guest_unless(|| running.has_exited()) {
                Some(guest) => guests.push(guest),
                None => break,
            }
        }
        let redis = if redis { connect(&space, &running) } else { None };
        Hunt { guests, wanted, redis, running, space }
    }

    fn end(mut self, way: Way, cgroups: bool) {
        strike(way, &mut self);
        self.running.exits();
        let end = Instant::now();
        assert!(
            self.space.becomes_empty(within().unwrap_or(LIMIT)),
            "{way:?}: left alive: {:?}",
            self.left()
        );
        let elapsed = end.elapsed();
        self.guests.iter_mut().for_each(|guest| guest.is_gone());
        if let Some(redis) = &mut self.redis {
            // Reset if it was killed before it took the connection.
            let read = redis.read(&mut [0]).or_else(|error| match error.kind() {
                ErrorKind::ConnectionReset => Ok(0),
                _ => Err(error),
            });
            assert!(matches!(read, Ok(0)), "redis: {read:?}");
        }
        told(way, &self.running.end());
        look_at_the_clock(way, cgroups, elapsed);
    }

    /// Returns the processes that still live: pid, and the name that it reported, or else its command line.
    fn left(&self) -> Vec<(i32, String)> {
        let named = |pid| self.guests.iter().find(|guest| guest.pid == pid).map(|guest| guest.name.clone());
        self.space.survivors().into_iter().map(|(pid, line)| (pid, named(pid).unwrap_or(line))).collect()
    }
}

fn items(way: Way, redis: bool) -> Vec<String> {
    let mut items: Vec<String> = ESCAPES
        .iter()
        .map(|(name, steps)| format!("exec puppet {steps}").replace("task", &format!("{name}-task")))
        .collect();
    items.push(NESTED.to_owned());
    items.extend(redis.then(|| REDIS.to_owned()));
    items.extend((way == Way::Halt).then(|| "puppet meet=trigger hold".to_owned()));
    items
}

/// Wraps the command in a mount namespace in which nothing can be made below /sys/fs/cgroup.
fn without_cgroups(command: &str) -> String {
    let script = format!("mount -t tmpfs -o ro none /sys/fs/cgroup && {command}");
    format!("exec unshare -m sh -c {}", shlex::try_quote(&script).expect("no NUL"))
}

/// Connects to redis once it is there; `None` if the run ends before.
fn connect(space: &Space, running: &Running) -> Option<UnixStream> {
    loop {
        if let Ok(stream) = UnixStream::connect(space.path("redis")) {
            stream.set_read_timeout(Some(LIMIT)).expect("a limit for reading");
            return Some(stream);
        }
        if running.has_exited() {
            return None;
        }
        // The server tells nobody that it is ready.
        nix::poll::poll(&mut [], 20u8).expect("poll of nothing");
    }
}

fn strike(way: Way, hunt: &mut Hunt) {
    let prun = hunt.running.pid();
    match way {
        Way::Term => hunt.running.signal(Signal::SIGTERM),
        Way::Int => hunt.running.signal(Signal::SIGINT),
        Way::Timeout => {}
        Way::Halt => {
            let trigger = hunt.guests.iter_mut().find(|guest| guest.name == "trigger");
            trigger.expect("it has come").tell("exit=3");
        }
        Way::Kill => hunt.running.signal(Signal::SIGKILL),
        Way::KillGroup => killpg(prun, Signal::SIGKILL).expect("its group is there"),
        Way::KillName => {
            // As `pkill` finds them, and `pkill -f`.
            let named = |(pid, line): &(i32, String)| name_of(*pid) == "prun" || line.contains("prun exec");
            let named: Vec<i32> =
                hunt.space.survivors().iter().filter(|it| named(it)).map(|it| it.0).collect();
            assert!(named.len() >= 2 && named.contains(&prun.as_raw()), "prun and the nested one: {named:?}");
            for pid in named {
                // The nested one may have been faster.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }
}

/// Checks prun's own exit status.
fn told(way: Way, ended: &Ended) {
    match way {
        Way::Term => ended.died_of(Signal::SIGTERM),
        Way::Int => ended.died_of(Signal::SIGINT),
        Way::Timeout => ended.code(124),
        Way::Halt => ended.code(3),
        Way::Kill | Way::KillGroup | Way::KillName => ended.died_of(Signal::SIGKILL),
    };
}

fn within() -> Option<Duration> {
    let within = std::env::var(WITHIN).ok()?;
    Some(Duration::from_millis(within.parse().expect("milliseconds")))
}

fn look_at_the_clock(way: Way, cgroups: bool, elapsed: Duration) {
    let Some(most) = within() else { return };
    let place = if cgroups { "where it may be" } else { "no cgroup" };
    println!("zero after {} ms: {way:?}, {place}", elapsed.as_millis());
    assert!(elapsed <= most, "{way:?}, {place}: something was alive for {elapsed:?} after prun's end");
}
