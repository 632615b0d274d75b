//! Limits on starts beside the pool (`rate`, `load`, `memory_free`, a pool size read from a file), and
//! timeouts in percent of the median.

use nix::sys::signal::Signal;

use crate::meeting::Meeting;
use crate::running::{Ended, Running};
use crate::space::Space;

/// Stops the run with SIGTERM and checks that it died of it.
fn stop(running: Running) -> Ended {
    running.signal(Signal::SIGTERM);
    let ended = running.end();
    ended.died_of(Signal::SIGTERM);
    ended
}

/// Returns how many of four tasks start under these options. The pool is unlimited; the run is stopped as
/// soon as the first task has started.
fn started(options: &str) -> usize {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec(&format!("-v -j0 {options} -- puppet meet={{}} hold ::: a b c d")).start();
    let _guest = meeting.guest();
    stop(running).stderr.matches(" hold\n").count()
}

#[test]
fn a_rate_spreads_starts() {
    assert_eq!(started("--rate 1/h"), 1);
    assert_eq!(started("--delay 1h"), 1);
    assert_eq!(started("--delay 0"), 4);
    assert_eq!(started("--rate 1/h --delay 0"), 4, "the last one counts");
    let space = Space::new();
    space.exec("--rate 50/s -k echo ::: 1 2 3 4 5").run().ok().stdout("1\n2\n3\n4\n5\n");
    space.exec("--rate 1/h --dry-run echo ::: 1 2").run().ok().stdout("echo 1\necho 2\n");
}

#[test]
fn another_attempt_is_another_start() {
    let space = Space::new();
    let running = space.exec("-v --rate 1/h --retries 3 -c false ::: a").start();
    running.says("attempt 2 now");
    let ended = stop(running);
    ended.check(ended.stderr.matches(": false\n").count() == 1, "the second attempt waits");
}

#[test]
fn workers_are_given_tasks_at_the_rate() {
    let space = Space::new();
    let running = space.exec("--rate 1/h --worker cat ::: a b c").start();
    running.shows("a\n");
    stop(running).stdout("a\n");
}

#[test]
fn a_job_has_a_rate_within_the_runs() {
    let space = Space::new();
    let toml = r#"
        run = { pool = 9, output = "line" }
        [jobs.slow]
        each = ["a", "b"]
        rate = "1/h"
        command = "echo slow"
        [jobs.fast]
        each = ["1", "2", "3"]
        command = "echo fast"
    "#;
    let running = space.file(toml).start();
    running.shows_lines(4);
    stop(running).stdout_sorted(&["fast 1", "fast 2", "fast 3", "slow a"]);
    let running = space.file(&toml.replace("pool = 9", "rate = '1/h'")).start();
    running.shows("slow a\n");
    stop(running).stdout("slow a\n");
}

#[test]
fn a_load_that_is_never_low_enough() {
    let space = Space::new();
    let running = space.exec("--load 0 echo ::: a b").start();
    running.says("no load average is below 0, so nothing ever starts");
    stop(running).stdout("");
    space.exec("--load 1000000% echo ::: a").run().ok().stdout("a\n");
}

#[test]
fn memory_that_is_never_there() {
    let space = Space::new();
    let running = space.exec("--memory-free 999TB echo ::: a b").start();
    running.says("starts wait: ");
    stop(running).stdout("").stderr_has("999.0 TB are wanted");
    space.exec("--memfree 1 echo ::: a").run().ok().stdout("a\n");
    let toml = "run = { memory_free = '999TB' }\n[jobs.a]\ncommand = 'echo a'";
    let running = space.file(toml).start();
    running.says("starts wait: ");
    stop(running).stdout("");
}

/// A file that stands in for `/proc/meminfo` in a mount namespace, so that a test can change the free memory.
struct Memory<'a>(&'a Space);

impl Memory<'_> {
    /// Writes the file in place. Its length never changes and it is never empty, because prun may read it at
    /// any time.
    fn set(&self, kib: u32) {
        let text = format!("MemTotal: 1000 kB\nMemAvailable: {kib:8} kB\n");
        let path = self.0.path("meminfo");
        if !path.exists() {
            self.0.write("meminfo", &text);
        }
        let file = std::fs::File::options().write(true).open(path).expect("a file in the space");
        std::os::unix::fs::FileExt::write_all_at(&file, text.as_bytes(), 0).expect("files can be written");
    }

    /// Returns `None` where a mount namespace can't be made.
    fn exec(&self, line: &str) -> Option<crate::running::Prun> {
        let mount = "mount --bind meminfo /proc/meminfo";
        let may = self.0.sh(&format!("unshare -rm {mount}")).run().status.success();
        may.then(|| self.0.sh(&format!("exec unshare -rm sh -c '{mount} && exec prun exec {line}'")))
    }
}

#[test]
fn when_memory_gets_short_the_youngest_is_put_back() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let memory = Memory(&space);
    memory.set(1000);
    let line = "-v -j2 -k --memory-free 900k -- puppet meet={} line={} hold ::: a b";
    let Some(prun) = memory.exec(line) else {
        return eprintln!("not tested: no mounts in a namespace of its own are allowed here");
    };
    let running = prun.start();
    let mut guests = meeting.guests(2);
    memory.set(400);
    guests[1].is_gone();
    running.says("stopped because memory is short; it starts again later");
    running.says("starts wait: ");
    memory.set(1000);
    guests[1] = meeting.guest();
    guests.iter_mut().for_each(|guest| guest.tell("exit=0"));
    let ended = running.end();
    // What it had written is forgotten with it, and it was no attempt.
    ended.code(0).stdout("a\nb\n").stderr_lacks("attempt");
}

#[test]
fn the_pools_size_is_read_from_a_file_and_read_again() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    space.write("at once", "1\n");
    let running = space.exec("-vv -j 'at once' -- puppet meet={} hold ::: 1 2 3 4 5").start();
    let mut first = meeting.guest();
    assert!(!meeting.has_guest());
    space.write("at once", "3 now\n");
    let mut three = meeting.guests(2);
    // Wrong contents change nothing, and are told.
    space.write("at once", "many\n");
    running.says("says `many`");
    first.tell("exit=0");
    three.push(meeting.guest());
    space.write("at once", "1\n");
    running.says("up to 1 task at once from now on");
    three.iter_mut().for_each(|guest| guest.tell("exit=0"));
    meeting.guest().tell("exit=0");
    let ended = running.end();
    let fifth = ended.stderr.find("meet=5").unwrap_or_default();
    let before = ended.stderr[..fifth].matches(": ok").count();
    ended.code(0).check(before == 4, "the last one starts when there is room for it again");
}

#[test]
fn what_is_no_size_and_no_file_is_refused() {
    let space = Space::new();
    space.write("empty", "").write("wrong", "x 1");
    space.exec("-j 3x echo ::: a").run().code(125).stderr_has("a file that says one of these");
    space.exec("-j empty echo ::: a").run().code(125).stderr_has("`--jobs empty`: the file is empty");
    space.exec("-j wrong echo ::: a").run().code(125).stderr_has("the file says `x`");
    space.write("right", "+1").exec("--max-procs right echo ::: a").run().ok().stdout("a\n");
    space.write("prun.toml", "[jobs.a]\ncommand = 'echo a'").prun("-j right").run().ok().stdout("a\n");
}

#[test]
fn a_limit_of_the_median() {
    let script = "-c 'test {} != slow || exec sleep 1000' ::: ";
    let slow = |options: &str, items: &str| {
        let ended = Space::new().exec(&format!("{options} {script} {items}")).run();
        ended.code(124).stderr_has("timeout");
    };
    slow("-j1 --timeout 1000%", "a b c slow");
    slow("-j2 --timeout 1000%", "slow a b c");
    let toml = r#"
        run.pool = 2
        [jobs.a]
        each = ["slow", "a", "b", "c"]
        timeout = "1000%"
        script = "test {} != slow || exec sleep 1000"
    "#;
    Space::new().file(toml).run().code(124).stderr_has("timeout");
}
