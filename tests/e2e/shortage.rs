//! Starts that fail for want of processes, memory or descriptors: no task is lost (docs/robustness.md,
//! "Starting").

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Instant;

use nix::sys::signal::Signal;
use nix::unistd::geteuid;

use crate::meeting::Meeting;
use crate::running::{Ended, Prun, Running};
use crate::space::{LIMIT, Space};

/// Another user, whose only processes are those of one test, under a limit of processes.
struct Nobody {
    uid: u32,
    /// The prefix that runs a command as that user.
    become_it: String,
}

impl Nobody {
    /// Returns `None` where that is not permitted.
    fn new(space: &Space, which: u32, processes: usize) -> Option<Nobody> {
        let uid = 20_000 + (4 * std::process::id() + which) % 40_000;
        let become_it =
            format!("setpriv --reuid={uid} --regid={uid} --clear-groups prlimit --nproc={processes}");
        let look = "sh -c 'command -v prun && command -v puppet'";
        let may = geteuid().is_root()
            && space.sh(&format!("chmod 777 . && {become_it} {look}")).run().status.success();
        if !may {
            eprintln!("skipped: needs root, setpriv and prlimit");
        }
        may.then_some(Nobody { uid, become_it })
    }

    /// Waits until the user has this many processes and threads.
    fn has(&self, count: usize) {
        let own = |path: PathBuf| {
            let is_own = std::fs::metadata(&path).is_ok_and(|data| data.uid() == self.uid);
            if is_own { std::fs::read_dir(path.join("task")).map_or(0, Iterator::count) } else { 0 }
        };
        let processes = || std::fs::read_dir("/proc").expect("/proc is there").flatten();
        let start = Instant::now();
        while processes().map(|entry| own(entry.path())).sum::<usize>() < count {
            assert!(start.elapsed() < LIMIT, "there never were {count} processes");
            // Nothing tells of processes that are no children; this only keeps the look-up from spinning.
            nix::poll::poll(&mut [], 20u8).expect("poll of nothing");
        }
    }
}

/// Prepares a prun whose clone3(2) calls with these numbers fail, by strace(1). Calls are counted for tasks
/// and threads, and once more where the first try was for a control group. Returns `None` where strace can't be used.
fn strained(space: &Space, error: &str, when: &str, line: &str) -> Option<Prun> {
    let may = space.sh("strace -o trace true").run().status.success();
    if !may {
        eprintln!("skipped: needs strace, and leave to trace");
        return None;
    }
    let inject = format!("inject=clone3:error={error}:when={when}");
    Some(space.sh(&format!("exec strace -o trace -e {inject} prun {line}")))
}

fn numbers(count: usize) -> Vec<String> {
    (1..=count).map(|number| number.to_string()).collect()
}

/// Runs `count` tasks that wait until they are told to end: as many as can run at once, then one after
/// another. `is_short` returns when the shortage has been seen.
fn all_finish(space: &Space, script: &str, is_short: impl Fn(&Running), count: usize) -> Ended {
    let meeting = Meeting::open(space);
    let script =
        format!("chmod 777 socket && {script} -- puppet meet={{}} line={{}} hold ::: $(seq {count})");
    let running = space.sh(&script).start();
    is_short(&running);
    for _ in 0..count {
        let mut guest = meeting.guest();
        guest.tell("exit=0");
        guest.is_gone();
    }
    let ended = running.end();
    let lines = numbers(count).join("\n") + "\n";
    ended.code(0).stdout(&lines);
    ended.check(ended.stderr.lines().count() == 1, "it is said once");
    ended
}

#[test]
fn the_limit_of_processes() {
    for start in ["spawn", "fork"] {
        let space = Space::new();
        let Some(nobody) = Nobody::new(&space, 0, 30) else { return };
        let script = format!("exec {} prun exec -k -j100 --start {start}", nobody.become_it);
        // The thread that would say so needs room itself.
        let ended = all_finish(&space, &script, |_| nobody.has(30), 60);
        ended.stderr_has("starts wait: no more processes may run (`ulimit -u`");
    }
}

#[test]
fn short_tasks_at_the_limit_of_processes() {
    let space = Space::new();
    let Some(nobody) = Nobody::new(&space, 1, 30) else { return };
    let ended = space.sh(&format!("seq 1000 | {} prun exec -k -j100 echo {{}}", nobody.become_it)).run();
    ended.code(0).stdout(&(numbers(1000).join("\n") + "\n"));
    ended.check(ended.stderr.lines().count() <= 1, "it is said once, if at all");
}

#[test]
fn the_limit_of_open_files() {
    let space = Space::new();
    let script = "exec prlimit --nofile=64 prun exec -k -j200";
    let is_short =
        |running: &Running| running.says("starts wait: prun may not open more files (`ulimit -n`)");
    all_finish(&space, script, is_short, 80);
}

#[test]
fn too_little_memory_to_start() {
    for (error, warning) in
        [("ENOMEM", "there is too little memory to start a process"), ("EAGAIN", "no more processes may run")]
    {
        for start in ["spawn", "fork"] {
            let space = Space::new();
            let line = format!("exec -k -j3 --start {start} echo ::: 1 2 3 4 5 6 7 8 9");
            let Some(prun) = strained(&space, error, "3..6", &line) else { return };
            let ended = prun.run();
            ended.code(0).stdout("1\n2\n3\n4\n5\n6\n7\n8\n9\n").stderr_has(warning);
            ended.check(ended.stderr.lines().count() == 1, "it is said once");
        }
    }
}

#[test]
fn the_first_start_of_all() {
    let space = Space::new();
    let Some(prun) = strained(&space, "EAGAIN", "1..3", "exec -v echo ::: a") else { return };
    let ended = prun.run();
    ended.code(0).stdout("a\n");
    ended.check(ended.stderr.matches("echo a").count() == 1, "what was not begun is not told");
}

#[test]
fn the_second_half_of_a_pipeline() {
    let space = Space::new();
    space.write("p.toml", "[jobs.p]\npipeline = ['echo a', 'cat', 'cat']\nretries = 0\n");
    for when in ["2..4", "3..5"] {
        let Some(prun) = strained(&space, "EAGAIN", when, "p.toml") else { return };
        prun.run().code(0).stdout("a\n").stderr_has("starts wait");
    }
}

#[test]
fn a_hook_and_its_input() {
    let space = Space::new();
    space.write("h.toml", "[jobs.h]\noutput = 'group'\nscript = 'seq 3'\non_success = 'cat'\n");
    let Some(prun) = strained(&space, "EAGAIN", "2..6", "h.toml") else { return };
    let ended = prun.run();
    ended.code(0).stderr_has("starts wait");
    ended.check(ended.stdout.matches("1\n2\n3\n").count() == 2, "of the task, and of its hook");
}

#[test]
fn a_worker_and_its_tasks() {
    let space = Space::new();
    let Some(prun) = strained(&space, "EAGAIN", "1..3", "exec -j2 --worker cat ::: a b c") else { return };
    prun.run().code(0).stdout_sorted(&["a", "b", "c"]).stderr_has("starts wait");
}

#[test]
fn what_is_wired_together() {
    let space = Space::new();
    let toml = "queues.q.capacity = 1\n\
                [jobs.write]\ncommand = 'seq 100'\nstdout.queue = 'q'\n\
                [jobs.read]\ncommand = 'wc -l'\nstdin.queue = 'q'\n";
    space.write("q.toml", toml);
    for when in ["1..3", "2..4"] {
        let Some(prun) = strained(&space, "EAGAIN", when, "q.toml") else { return };
        prun.run().code(0).stdout("100\n").stderr_has("starts wait");
    }
}

#[test]
fn a_limit_of_processes_that_leaves_none_for_prun_is_named() {
    let space = Space::new();
    let Some(nobody) = Nobody::new(&space, 3, 1) else { return };
    let running = space.sh(&format!("exec {} prun exec --no-config true ::: a", nobody.become_it)).start();
    running.says("no guardian could be started: the limit of processes is reached");
    running.says("starts wait: no more processes may run (`ulimit -u`");
    running.signal(Signal::SIGTERM);
    running.end().died_of(Signal::SIGTERM);
}

#[test]
fn a_missing_dev_null_is_named() {
    let space = Space::new();
    let script = "unshare -m sh -c 'mount -t tmpfs none /dev && exec prun exec true ::: a'";
    if !space.sh("unshare -m sh -c 'mount -t tmpfs none /dev'").run().status.success() {
        eprintln!("skipped: needs a mount namespace of its own");
        return;
    }
    space.sh(script).run().code(125).stderr_has("could not open `/dev/null`: no such file or directory");
}
