//! A program that takes long to be executed (a dead network file system, a slow loader) holds up nobody: prun does not
//! wait for execve(2). strace(1) delays the call here; where it can't be used, nothing is tested.

use nix::sys::signal::Signal;

use crate::running::Prun;
use crate::space::Space;

/// Seconds by which the execution of `./slow` is delayed.
const DELAY: u64 = 8;

/// Prepares a prun with this job file, in which `SLOW` is executed late. Everything else goes on at once.
fn delayed(space: &Space, toml: &str) -> Option<Prun> {
    if !space.sh("strace -o trace true").run().status.success() {
        eprintln!("skipped: needs strace, and leave to trace");
        return None;
    }
    let slow = space.path("slow").display().to_string();
    space.program("slow", "#!/bin/sh\necho slow\n").write("jobs.toml", toml.replace("SLOW", &slow));
    let inject = format!("inject=execve:delay_enter={}", DELAY * 1_000_000);
    Some(space.sh(&format!("exec strace -f -o trace -P {slow} -e trace=execve -e {inject} prun jobs.toml")))
}

#[test]
fn the_others_run_meanwhile() {
    for start in ["spawn", "fork"] {
        let space = Space::new();
        let toml = format!(
            "run.output = 'line'\n[jobs]\nslow = {{ command = 'SLOW', start = '{start}' }}\n\
             fast = {{ command = 'echo fast' }}\nlater = {{ command = 'echo later', after = ['fast'] }}\n"
        );
        let Some(prun) = delayed(&space, &toml) else { return };
        let running = prun.start();
        running.shows("fast\nlater\n");
        running.end().ok().stdout("fast\nlater\nslow\n");
    }
}

#[test]
fn a_time_limit_counts_meanwhile() {
    let space = Space::new();
    let toml = "run.output = 'line'\n[jobs]\nslow = { command = 'SLOW', timeout = '100ms', grace = '100ms' }\n\
                never = { command = 'echo never', after = ['slow'] }\n";
    let Some(prun) = delayed(&space, toml) else { return };
    // What is delayed by a debugger dies only when that lets it go.
    prun.run().code(124).stdout("").stderr_has("slow: timeout");
}

#[test]
fn a_stop_in_the_middle_of_a_start_is_a_stop() {
    let space = Space::new();
    let toml = "run.output = 'line'\n[jobs]\nfast = { command = 'echo fast' }\npipeline = { pipeline = ['SLOW', 'cat'] }\n";
    let Some(prun) = delayed(&space, toml) else { return };
    let running = prun.start();
    running.shows("fast\n");
    let prun = space.survivors().into_iter().find(|(_, line)| line.trim_end() == "prun jobs.toml");
    let (pid, _) = prun.expect("prun runs below strace");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGTERM).expect("it runs");
    let ended = running.end();
    ended.died_of(Signal::SIGTERM).stdout("fast\n").stderr_has("stopped by SIGTERM: 1 ok, 1 cancelled");
}

#[test]
fn a_stage_that_cannot_be_executed_stops_the_others() {
    for start in ["spawn", "fork"] {
        let space = Space::new();
        // Its interpreter is missing, which only execve finds out.
        space.program("broken", "#!/no/such/interpreter\n");
        for stages in [
            "'./broken', 'sleep 1000', 'cat'",
            "'sleep 1000', './broken', 'cat'",
            "'true', 'sleep 1000', './broken'",
        ] {
            let toml = format!("[jobs.p]\nstart = '{start}'\npipeline = [{stages}]\n");
            let ended = space.file(&toml).run();
            ended.code(127).stderr_has("p: not started: `./broken`").stderr_has("/no/such/interpreter");
            ended.no_escapes();
        }
    }
}

#[test]
fn what_cannot_be_executed_frees_its_slot_and_is_told_once_each() {
    for start in ["spawn", "fork"] {
        let space = Space::new();
        space.program("broken", "#!/no/such/interpreter\n").program("whole", "#!/bin/sh\necho $1\n");
        let items: Vec<_> = (0..60).map(|n| if n % 3 == 0 { "./whole" } else { "./broken" }).collect();
        let ended = space.exec(&format!("-j4 -k --start {start} {{}} {{#}} ::: {}", items.join(" "))).run();
        let lines: String = (0..60).filter(|n| n % 3 == 0).map(|n| format!("{}\n", n + 1)).collect();
        ended.code(127).stdout(&lines);
        ended.check(ended.stderr.matches("not started: `./broken`").count() >= 40, "each is told");
    }
}

#[test]
fn a_probe_that_cannot_be_executed_fails_its_service() {
    let space = Space::new();
    space.program("broken", "#!/no/such/interpreter\n");
    let toml = "[jobs.db]\ncommand = 'sleep 1000'\ndaemon = true\nready.command = './broken'\n\
                [jobs.app]\nafter = ['db']\ncommand = 'echo app'\n";
    let ended = space.file(toml).run();
    ended
        .stdout("")
        .stderr_has("its `ready` command could not be executed")
        .stderr_has("/no/such/interpreter");
    ended.no_escapes();
}

#[test]
fn a_service_that_cannot_be_executed_is_never_up() {
    let space = Space::new();
    space.program("broken", "#!/no/such/interpreter\n");
    let toml =
        "[jobs.db]\ncommand = './broken'\ndaemon = true\n[jobs.app]\nafter = ['db']\ncommand = 'echo app'\n";
    space.file(toml).run().stdout("").stderr_has("/no/such/interpreter");
}

#[test]
fn a_hook_that_cannot_be_executed_is_told() {
    let space = Space::new();
    space.program("broken", "#!/no/such/interpreter\n");
    let toml = "[jobs.a]\ncommand = 'echo out'\non_success = './broken'\n";
    space.file(toml).run().stdout("out\n").stderr_has("/no/such/interpreter");
}

#[test]
fn children_keep_the_nice_value_of_prun() {
    let space = Space::new();
    let may = space.sh("nice -n -3 true 2>&1").run().stdout.is_empty();
    for value in if may { vec![-3, 0, 4] } else { vec![0, 4] } {
        let line = format!("nice -n {value} prun exec --once -c nice");
        space.sh(&line).run().stdout(&format!("{value}\n"));
    }
}
