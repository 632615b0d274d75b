//! `limits`, `nice` and `umask`, and the report on a task that died of its limit.

use crate::space::Space;

const STRATEGIES: [&str; 2] = ["spawn", "fork"];

/// A script that runs prun without root's capabilities to raise limits and to lower nice values.
const PLAIN: &str = "test $(id -u) = 0 && set -- setpriv --bounding-set=-sys_nice,-sys_resource \
                     --inh-caps=-sys_nice,-sys_resource; \"$@\" prun";

#[test]
fn every_limit_is_set() {
    for start in STRATEGIES {
        let space = Space::new();
        let toml = format!(
            "[jobs.a]\nstart = '{start}'\ncommand = 'cat /proc/self/limits'\n\
             limits = {{ cpu = '1500ms', memory = '1GiB', files = 32, processes = 4000, file_size = '1MB', core = 0, stack = '4MiB' }}\n"
        );
        let ended = space.file(&toml).run();
        let line = |name: &str| {
            let line = ended.ok().lines().into_iter().find(|line| line.starts_with(name)).unwrap_or_default();
            line[name.len().min(line.len())..].split_ascii_whitespace().take(2).collect::<Vec<_>>().join(" ")
        };
        for (name, wanted) in [
            ("Max cpu time", "2 7"),
            ("Max address space", "1073741824 1073741824"),
            ("Max open files", "32 32"),
            ("Max processes", "4000 4000"),
            ("Max file size", "1000000 1000000"),
            ("Max core file size", "0 0"),
            ("Max stack size", "4194304 4194304"),
        ] {
            assert_eq!(line(name), wanted, "{name} under {start}");
        }
    }
}

#[test]
fn a_limit_of_the_defaults_can_be_undone() {
    let space = Space::new();
    let toml = "[defaults]\nlimits = { core = 0, files = 40 }\n\
                [jobs.a]\nscript = 'ulimit -n'\n[jobs.b]\nscript = 'ulimit -n'\nlimits.files = 'none'\nafter = ['a']\n";
    space.write("prun.toml", toml);
    space.sh("ulimit -n 100; prun").run().ok().stdout("40\n100\n");
}

#[test]
fn few_files_are_enough_for_a_start() {
    for start in STRATEGIES {
        let space = Space::new();
        let toml = format!(
            "[jobs.a]\nstart = '{start}'\nlimits.files = 4\nstdin.text = 'x'\nstdout.file = 'out'\nscript = 'cat; ulimit -n'\n"
        );
        space.write("prun.toml", &toml);
        // A descriptor that the test itself was given would be one of the four.
        space.sh("exec 3>&- 4>&- 5>&-; prun").run().ok();
        assert_eq!(space.read("out"), "x4\n");
    }
}

#[test]
fn more_than_the_hard_limit_is_not_started_and_the_others_go_on() {
    for start in STRATEGIES {
        let space = Space::new();
        let toml = format!(
            "[defaults]\nstart = '{start}'\n[jobs.a]\ncommand = 'true'\nlimits.files = 200\n\
             [jobs.b]\ncommand = 'echo b'\nlimits.files = 100\n"
        );
        space.write("prun.toml", toml);
        let ended = space.sh(&format!("ulimit -n 100; {PLAIN}")).run();
        ended.code(126).stdout("b\n");
        ended.stderr_has("limits.files = 200 is above the hard limit of 100, which only root can raise");
    }
}

#[test]
fn used_up_processor_time_is_told() {
    for start in STRATEGIES {
        let space = Space::new();
        let toml = format!(
            "[jobs.a]\nstart = '{start}'\nlimits = {{ cpu = 1, core = 0 }}\nscript = 'while :; do :; done'\n"
        );
        let ended = space.file(&toml).run();
        ended.code(128 + 24).stderr_has("killed by SIGXCPU").stderr_has(": used up its cpu limit of 1s");
    }
}

#[test]
fn a_shell_that_tells_of_it_by_its_exit_code_is_understood() {
    let space = Space::new();
    let toml =
        "[jobs.a]\nlimits = { cpu = 1, core = 0 }\nscript = 'sh -c \"while :; do :; done\"; exit $?'\n";
    let ended = space.file(toml).run();
    ended.code(128 + 24).stderr_has("exit 152").stderr_has(": perhaps it used up its cpu limit of 1s");
}

#[test]
fn who_ignores_the_end_of_its_processor_time_is_killed_and_told() {
    let space = Space::new();
    let toml = "[jobs.a]\nlimits.cpu = 1\nscript = 'trap \"\" XCPU; while :; do :; done'\n";
    // The hard limit is not raised for it.
    let ended = space.write("prun.toml", toml).sh("ulimit -t 2; prun").run();
    ended.code(128 + 9).stderr_has("killed by SIGKILL").stderr_has(": used up its cpu limit of 1s");
}

#[test]
fn a_file_beyond_its_size_is_told() {
    for start in STRATEGIES {
        let space = Space::new();
        let toml = format!(
            "[jobs.a]\nstart = '{start}'\nlimits = {{ file_size = '1MB', core = 0 }}\n\
             command = 'dd if=/dev/zero of=big bs=64k count=100'\n"
        );
        let ended = space.file(&toml).run();
        ended.code(128 + 25).stderr_has("killed by SIGXFSZ");
        ended.stderr_has(": wrote a file beyond its file_size limit of 1 MB");
        assert_eq!(space.read("big").len(), 1_000_000);
    }
}

#[test]
fn memory_that_is_not_to_be_had_is_told_as_likely() {
    for start in STRATEGIES {
        let space = Space::new();
        let toml = format!(
            "[jobs.a]\nstart = '{start}'\nlimits = {{ memory = '256MiB', core = 0 }}\ncommand = 'puppet alloc=1000000000'\n"
        );
        let ended = space.file(&toml).run();
        ended.code(128 + 6).stderr_has("SIGABRT").stderr_has(": perhaps at its memory limit of 256 MiB");
    }
}

#[test]
fn what_prun_stops_died_of_no_limit() {
    let space = Space::new();
    let toml =
        "[jobs.a]\nlimits.memory = '256MiB'\ntimeout = 0.1\nstop_signal = 'KILL'\ncommand = 'sleep 600'\n";
    let ended = space.file(toml).run();
    ended.code(124).check(!ended.stderr.contains("perhaps"), "the timeout is reason enough");
}

#[test]
fn a_small_stack_has_less_room_for_arguments() {
    for start in STRATEGIES {
        let space = Space::new();
        let words = format!("['true', {}]", format!("'{}', ", "x".repeat(100_000)).repeat(5));
        let toml = format!(
            "[defaults]\nstart = '{start}'\n[jobs.a]\ncommand = {words}\nlimits.stack = '512KiB'\n[jobs.b]\ncommand = {words}\n"
        );
        let ended = space.file(&toml).run();
        ended
            .code(126)
            .stderr_has("arguments too long: with limits.stack = 512 KiB")
            .stderr_has("1 ok, 1 failed");
    }
}

#[test]
fn niceness_is_added_to_pruns_own() {
    for start in STRATEGIES {
        let space = Space::new();
        let toml = format!(
            "[defaults]\nstart = '{start}'\nkeep_order = true\n[jobs.a]\ncommand = 'nice'\nnice = 1\n\
             [jobs.b]\nafter = ['a']\ncommand = 'nice'\nnice = 39\n[jobs.c]\nafter = ['b']\ncommand = 'nice'\n"
        );
        space.write("prun.toml", toml);
        let own: i32 = space.sh("nice").run().stdout.trim().parse().expect("a number");
        let nicer = (own + 2).min(19);
        let wanted = format!("{}\n19\n{nicer}\n", (nicer + 1).min(19));
        space.sh("nice -n 2 prun").run().ok().stdout(&wanted);
    }
}

#[test]
fn precedence_takes_rights() {
    for start in STRATEGIES {
        let space = Space::new();
        let toml = format!(
            "[defaults]\nstart = '{start}'\n[jobs.a]\ncommand = 'true'\nnice = -19\n[jobs.b]\ncommand = 'echo b'\n"
        );
        let ended = space.write("prun.toml", toml).sh(PLAIN).run();
        ended.code(126).stdout("b\n").stderr_has("nice = -19: only root can take precedence");
    }
}

#[test]
fn the_umask_is_the_tasks_alone() {
    for start in STRATEGIES {
        for (mask, told, mode) in [("'077'", "0077", "600"), ("0o27", "0027", "640")] {
            let space = Space::new();
            let toml = format!(
                "[jobs.a]\nstart = '{start}'\numask = {mask}\nstdout.file = 'out'\nscript = 'umask; : >made; stat -c %a made'\n"
            );
            space.write("prun.toml", toml);
            space.sh("umask 022; prun; stat -c %a out").run().ok().stdout("644\n");
            assert_eq!(space.read("out"), format!("{told}\n{mode}\n"));
        }
    }
}

#[test]
fn a_dry_run_shows_lines_with_the_same_effect() {
    let space = Space::new();
    let toml = r#"
        run.keep_order = true
        [jobs.a]
        limits = { cpu = 3, files = 50, core = 0, stack = "4MiB" }
        nice = 3
        umask = "027"
        clear_env = true
        env_file = "a.env"
        env = { B = "$(touch PWN) '", "odd.name" = "x" }
        each = ["it's", "$(touch PWN)"]
        script = 'echo "$1"; umask; nice; env | grep -v -e PRUN -e PWD -e "^_=" -e SHLVL | sort; ulimit -t; ulimit -n; ulimit -s'
    "#;
    space.write("prun.toml", toml).write("a.env", "A='two\nlines'\nB=beaten\nC=\"`touch PWN`\"\n");
    let ended = space.prun("").run();
    ended.ok().stdout_has("A=two\nB=$(touch PWN) '\nC=`touch PWN`\nlines\n3\n50\n4096\n");
    for shell in ["sh", "bash"] {
        space.sh(&format!("prun --dry-run | {shell}")).run().ok().stdout(&ended.stdout);
    }
    assert!(!space.exists("PWN"));
}

#[test]
fn a_full_file_is_an_error_of_pruns_own() {
    let space = Space::new();
    let ended = space.sh("ulimit -f 8; prun exec -c 'head -c 100000 /dev/zero' ::: 1 2 >out").run();
    ended.code(125).stderr_has("ile too large");
    // Its handler is no child's: there the signal means what it meant before.
    space.exec("-c 'kill -XFSZ $$' ::: x").run().code(128 + 25);
    space.sh("trap '' XFSZ; prun exec -c 'kill -XFSZ $$; echo alive' ::: x").run().ok().stdout("alive\n");
}

#[test]
fn a_thread_of_pruns_maps_no_memory_of_its_own_to_allocate() {
    let space = Space::new();
    // The writer's thread, which a file needs, would take 64 MB or more of addresses.
    let script = "test $1 = 2 || exec seq 100000
        until cat /proc/$PPID/task/*/comm | grep -q prun-writer; do sleep 0.01; done
        grep VmPeak /proc/$PPID/status";
    space.write("script", script);
    space.sh("prun exec -j1 --stderr /dev/null sh script ::: 1 2 >out").run().ok();
    let out = space.read("out");
    let peak = out.lines().find_map(|line| line.strip_prefix("VmPeak:")).expect("the kernel tells it");
    let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(kilobytes < 64 << 10, "{peak}");
}
