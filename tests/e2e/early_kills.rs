//! prun is killed with SIGKILL in the first moments of a run, while it starts many tasks that get out of its sight.
//!
//! Whatever has come into being by then is gone soon after: children that have not executed yet, tasks that have just
//! left their group and session, and what these have started. `scripts/early-kills` does the same with more kills.

use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::journal_kills::Random;
use crate::space::{LIMIT, Space};

/// The variable with the number of kills, set by `scripts/early-kills`.
const KILLS: &str = "PRUN_TEST_EARLY_KILLS";
const USUAL_KILLS: u64 = 24;

/// Longest time from the start of prun to its kill, in microseconds.
const LATEST: u64 = 20_000;

/// Each task leaves a process in a session of its own, one without an environment and an orphan, and goes on.
const TASK: &str =
    "setsid sleep 1000 & env -i setsid sleep 1000 & (setsid sh -c \"sleep 1000 & sleep 1000\" &); sleep 1000";

#[test]
fn nothing_survives_a_kill_while_tasks_start() {
    let kills = std::env::var(KILLS).map_or(USUAL_KILLS, |number| number.parse().expect("a number of kills"));
    let mut random = Random::new();
    let mut met = 0;
    for kill in 0..kills {
        let space = Space::new();
        let strategy = ["spawn", "fork"][(kill / 2 % 2) as usize];
        let prun = space.exec(&format!("-j0 --start {strategy} --repeat 200 -c '{TASK}'"));
        let mut command = prun.into_command();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let mut child = command.spawn().expect("prun starts");
        std::thread::sleep(Duration::from_micros(random.below(LATEST)));
        met += u64::from(space.survivors().len() > 1);
        if kill % 2 == 0 {
            child.kill().expect("it was not reaped yet");
        } else {
            // The guardian has left the group, or has not been needed yet.
            killpg(Pid::from_raw(child.id() as i32), Signal::SIGKILL).expect("it was not reaped yet");
        }
        child.wait().expect("a child can be waited for");
        assert!(space.becomes_empty(LIMIT), "survived kill {kill} ({strategy}): {:?}", space.survivors());
    }
    assert!(met > 0, "something ran at one of the kills");
    println!("{kills} kills, {met} of them while something ran: nothing survived");
}
