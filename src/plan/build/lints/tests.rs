use std::path::Path;

use super::*;
use crate::jobfile;
use crate::plan::build::build;

/// A disk with these programs, files and folders; `!x` is there and not executable, `d/` is a folder.
struct FakeDisk(&'static [&'static str]);

impl Disk for FakeDisk {
    fn program(&self, name: &[u8], folder: &Path) -> Program {
        let name = std::str::from_utf8(name).unwrap();
        let path = || folder.join(name).display().to_string().replace("/./", "/").replace("/dir/../", "/");
        let name = if name.contains('/') { path() } else { name.to_owned() };
        match () {
            _ if self.0.contains(&name.as_str()) => Program::Found,
            _ if self.0.contains(&format!("!{name}").as_str()) => Program::NotExecutable,
            _ => Program::Missing,
        }
    }

    fn kind(&self, path: &Path) -> Option<FileKind> {
        let path = path.to_str().unwrap();
        let folder = self.0.contains(&format!("{path}/").as_str());
        let file = self.0.contains(&path);
        folder.then_some(FileKind::Directory).or(file.then_some(FileKind::Other))
    }

    fn matches(&self, pattern: &str, folder: &Path) -> bool {
        let pattern = glob::Pattern::new(folder.join(pattern).to_str().unwrap()).unwrap();
        self.0.iter().any(|path| pattern.matches(path))
    }
}

const DISK: FakeDisk = FakeDisk(&[
    "true",
    "cat",
    "echo",
    "!old",
    "/home/tool",
    "!/home/data",
    "/home/in",
    "/home/dir/",
    "/home/dir/x",
]);

/// The first line of each doubt, without `warning: `.
fn found(text: &str) -> Vec<String> {
    let how =
        BuildOptions { file_name: "x.toml".into(), base: "/home".into(), cpus: 4, ..Default::default() };
    let file = jobfile::parse("x.toml", text.as_bytes()).unwrap();
    if let Err(mistakes) = build(&file, &how) {
        panic!("wrong:\n{}", mistakes.render(false));
    }
    let text = doubts(&file, &how, &DISK).render(false);
    text.lines().filter_map(|line| line.strip_prefix("warning: ")).map(String::from).collect()
}

/// What is said about a job `a` with these keys.
fn of_job(keys: &str) -> Vec<String> {
    found(&format!("[jobs.a]\n{keys}\n"))
}

#[track_caller]
fn doubtful(keys: &str, told: &str) {
    assert_eq!(of_job(keys), [told], "{keys}");
}

#[track_caller]
fn fine(keys: &str) {
    assert_eq!(of_job(keys), Vec::<String>::new(), "{keys}");
}

#[test]
fn programs_are_looked_for() {
    doubtful("command = \"make all\"", "there is no program `make` in PATH now");
    doubtful("command = [\"make\"]", "there is no program `make` in PATH now");
    doubtful("pipeline = [\"cat x\", \"sort\"]", "there is no program `sort` in PATH now");
    doubtful("script = 'x'\nshell = [\"fish\", \"-c\"]", "there is no program `fish` in PATH now");
    doubtful("command = \"true\"\non_failure = \"mail\"", "there is no program `mail` in PATH now");
    doubtful("command = \"old\"", "`old` is in PATH, but not executable");
    doubtful("command = \"./data\"", "`./data` is not executable");
    doubtful("command = \"./none\"", "there is no program `./none` now");
    doubtful("command = \"./tool\"\ncwd = \"dir\"", "there is no program `./tool` now");
    for keys in [
        "command = \"true\"",
        "command = \"./tool\"",
        "command = \"../tool\"\ncwd = \"dir\"",
        "command = \"make\"\nenv.PATH = \"/opt\"",
        "command = \"make\"\nenv_file = \"in\"",
        "command = \"{}\"\neach = [\"make\"]",
        "script = \"make\"",
    ] {
        fine(keys);
    }
    // It may be made before.
    let text = "[jobs.a]\ncommand = \"true\"\n[jobs.b]\nafter = [\"a\"]\ncommand = \"./none\"";
    assert_eq!(found(text), Vec::<String>::new());
}

#[test]
fn what_only_a_shell_knows() {
    let told = "`~/x` is not in the home folder: without a shell `~` is any other character";
    doubtful("command = \"cat ~/x\"", told);
    doubtful("command = [\"cat\", \"~/x\"]", told);
    doubtful("command = \"true\"\nstdout.file = \"~/x\"", told);
    fine("command = \"cat '~/x' a~/x\"");
    fine("script = \"cat ~/x\"");
    doubtful(
        "script = \"#!/usr/bin/env -S python3 -u\\nprint(1)\"",
        "this script is run by `/bin/sh`, not by `python3`",
    );
    doubtful("script = \"#!/bin/bash\\nx\"", "this script is run by `/bin/sh`, not by `bash`");
    fine("script = \"#!/bin/sh -e\\nx\"");
}

#[test]
fn items_that_nobody_looks_at() {
    let of_table = of_job("each.csv = \"a.csv\"\nscript = \"echo {First name}\"");
    assert!(!of_table.iter().any(|told| told.contains("does not look at its items")), "{of_table:?}");
    doubtful("each = [1, 2]\nscript = \"date\"", "the script of job `a` does not look at its items");
    doubtful(
        "each = [1, 2]\npipeline = [\"cat in\", \"cat\"]",
        "the pipeline of job `a` does not look at its items",
    );
    for keys in [
        "command = \"cat\"",
        "script = \"echo {}\"",
        "script = \"echo {#}\"",
        "script = 'echo \"$1\"'",
        "script = 'echo ${1%.c}'",
        "script = 'echo \"$@\"'",
        "script = 'echo $PRUN_ITEM'",
        "script = 'date'\nenv.X = \"{}\"",
        "script = 'date'\nstdout.file = \"{}.txt\"",
        "script = 'cat'\nstdin = \"item\"",
        "script = 'import sys'\nshell = [\"cat\", \"-c\"]",
        "pipeline = [\"cat {}\", \"cat\"]",
    ] {
        fine(&format!("each = [1, 2]\n{keys}"));
    }
}

#[test]
fn files_are_looked_for() {
    doubtful("command = \"cat\"\nstdin.file = \"none\"", "there is no file `/home/none` for stdin now");
    doubtful("command = \"cat\"\nstdin.file = \"dir\"", "`/home/dir` is a folder, not a file for stdin");
    doubtful("command = \"cat\"\neach.lines = \"none\"", "there is no file `/home/none` for items now");
    doubtful("command = \"cat\"\neach.csv = \"none\"", "there is no file `/home/none` for items now");
    doubtful("command = \"cat\"\nenv_file = \"vars\"", "there is no file `/home/vars` of variables now");
    doubtful("command = \"cat\"\neach.glob = \"*.jpg\"", "nothing matches `*.jpg` now");
    doubtful("command = \"cat\"\ncwd = \"nothing\"", "there is no folder `/home/nothing` now");
    doubtful("command = \"cat\"\ncwd = \"in\"", "`/home/in` is no folder");
    for keys in [
        "stdin.file = \"in\"",
        "each.lines = \"in\"",
        "each.lines = \"-\"",
        "each.glob = \"dir/*\"",
        "cwd = \"dir\"",
        "each = [\"none\"]\nstdin.file = \"{}\"",
    ] {
        fine(&format!("command = \"cat\"\n{keys}"));
    }
    let both = |other: &str| {
        found(&format!(
            "[jobs.a]\ncommand = \"cat\"\nstdin.file = \"new/x\"\n[jobs.b]\ncommand = \"true\"\n{other}"
        ))
    };
    assert_eq!(both("").len(), 1);
    assert_eq!(both("stdout.file = \"new/x\"").len(), 0);
}

#[test]
fn braces_that_stay() {
    doubtful(
        "command = \"cat\"\nstdout.file = \"{date}.txt\"",
        "`{date}` is no placeholder, and stays as it is",
    );
    doubtful("command = \"cat\"\ntag = \"{date}\"", "`{date}` is no placeholder, and stays as it is");
    fine("command = \"echo {date}\"");
    fine("each.csv = \"in\"\ncommand = \"cat\"\nstdout.file = \"{date}.txt\"");
    fine("each = [{ date = 1 }]\ncommand = \"cat\"\nstdout.file = \"{date}.txt\"");
    fine("command = \"cat\"\nstdout.file = \"${date}.txt\"");
}

#[test]
fn files_that_are_read_and_written() {
    let two = |first: &str, second: &str| {
        found(&format!("[jobs.a]\ncommand = \"cat\"\n{first}\n[jobs.b]\ncommand = \"cat\"\n{second}"))
    };
    let file = "stdout.file = \"out\"";
    assert_eq!(two(file, file).len(), 0, "the second adds to it");
    assert_eq!(two(file, "stdout.file = \"other\"").len(), 0);
    fine("command = \"cat\"\nstdout.file = \"out\"\nstderr.file = \"out\"");
    doubtful(
        "command = \"cat\"\nstdin.file = \"in\"\nstdout.file = \"in\"",
        "job `a` reads `in`, and writes to it",
    );
    doubtful(
        "each.lines = \"in\"\ncommand = \"cat\"\nstderr = { file = \"./in\", append = true }",
        "job `a` reads `in`, and writes to it",
    );
}

#[test]
fn variables_that_nobody_uses() {
    let with = |command: &str| found(&format!("[vars]\nhost = \"x\"\n[jobs.a]\ncommand = \"cat {command}\""));
    assert_eq!(with("{ host }"), ["the variable `host` is never used"]);
    for used in ["{host}", "{host.}", "{host//}", "{host%.org}"] {
        assert_eq!(with(used), Vec::<String>::new(), "{used}");
    }
}

#[test]
fn keys_without_effect() {
    let each = "command = \"cat\"\neach = [1, 2]\n";
    doubtful(
        "command = \"cat\"\nretry_delay = 1",
        "`retry_delay` of job `a` has no effect: there are no `retries`",
    );
    doubtful(
        "command = \"cat\"\nretry_on = [1]",
        "`retry_on` of job `a` has no effect: there are no `retries`",
    );
    fine("command = \"cat\"\nretry_on = [1]\nretries = 1");
    fine(&format!("{each}worker = true\nretry_delay = 1"));
    doubtful("command = \"cat\"\npool = 2", "`pool` of job `a` has no effect: it has one task");
    doubtful(
        "command = \"cat\"\nkeep_order = true",
        "`keep_order` of job `a` has no effect: it has one task",
    );
    fine(&format!("{each}pool = 2\nkeep_order = true"));
    fine("command = \"cat\"\nrepeat = 2\npool = 2");
    let pools =
        |whole: &str, own: &str| found(&format!("[run]\npool = {whole}\n[jobs.a]\n{each}pool = {own}"));
    assert_eq!(pools("2", "4"), ["job `a` may run 4 tasks at once, but the whole run 2"]);
    assert_eq!((pools("4", "4").len(), pools("0", "4").len(), pools("2", "0").len()), (0, 0, 0));
}

#[test]
fn a_daemon_that_fails_by_its_timeout() {
    let text = "[jobs.w]\ncommand = \"cat\"\nstdout.queue = \"q\"\n[jobs.a]\ncommand = \"cat\"\nstdin.queue = \"q\"\ndaemon = true\n";
    assert_eq!(found(text), Vec::<String>::new());
    let told = found(&format!("{text}timeout = 5\n"));
    assert_eq!(told, ["the daemon `a` is stopped after its `timeout`, which is a failure"]);
}

#[test]
fn a_daemon_whose_end_is_waited_for() {
    let after = |when: &str| {
        let daemon = "[jobs.db]\ncommand = \"cat\"\ndaemon = true";
        let daemon = format!("{daemon}\nrestart = \"always\"");
        found(&format!("{daemon}\n[jobs.a]\ncommand = \"cat\"\nafter = {when}"))
    };
    assert_eq!(
        after("{ db = \"success\" }"),
        ["job `a` waits for the end of `db`, which is always restarted"]
    );
    assert_eq!(after("{ db = \"exit\" }").len(), 1);
    for fine in ["[\"db\"]", "{ db = \"ready\" }", "{ db = \"failure\" }"] {
        assert_eq!(after(fine).len(), 0, "{fine}");
    }
}

#[test]
fn locks_that_nobody_takes_or_that_are_misspelt() {
    let with =
        |locks: &str| found(&format!("[locks]\nnetwork = 2\n[jobs.a]\ncommand = \"cat\"\nlocks = {locks}"));
    assert_eq!(with("[\"network\"]").len(), 0);
    assert_eq!(with("[\"network\", \"db\"]").len(), 0);
    assert_eq!(with("[\"db\"]"), ["no job takes the lock `network`"]);
    assert_eq!(with("[\"netwrok\"]").len(), 2);
    assert!(with("[\"netwrok\"]").contains(&"`[locks]` lists no `netwrok`, but `network`".to_owned()));
}

#[test]
fn other_commands_of_a_job_and_of_the_run() {
    let told = "there is no program `make` in PATH now";
    doubtful("command = \"cat\"\non_exit = \"make\"", told);
    doubtful("command = \"cat\"\neach.command = \"make\"", told);
    doubtful("command = \"cat\"\nready.command = \"make\"", told);
    doubtful(
        "command = \"cat\"\neach.matrix = { a = [1], b.lines = \"nothing\" }",
        "there is no file `/home/nothing` for items now",
    );
    assert_eq!(found("[run]\non_failure = \"make\"\n[jobs.a]\ncommand = \"cat\""), [told]);
    fine("command = \"cat\"\nlocks = [\"gpu\"]\nstdout.file = \"{gpu}\"\n[locks]\ngpu = [\"0\", \"1\"]");
}

#[test]
fn a_job_that_waits_twice() {
    let after = |after: &str| {
        found(&format!("[jobs.a]\ncommand = \"cat\"\n[jobs.b]\ncommand = \"cat\"\nafter = {after}"))
    };
    assert_eq!(after("[\"a\", \"a\"]"), ["job `b` waits for `a` twice"]);
    assert_eq!(after("[\"a\"]").len(), 0);
}

#[test]
fn a_stdin_for_many() {
    let told = "the tasks of job `a` read prun's stdin side by side";
    doubtful("command = \"cat\"\nrepeat = 2\nstdin = \"inherit\"", told);
    fine("command = \"cat\"\nstdin = \"inherit\"");
    fine("command = \"cat\"\nrepeat = 2\npool = 1\nstdin = \"inherit\"");
}

#[test]
fn many_jobs_are_no_trouble() {
    let job = |n: usize| format!("[jobs.j{n}]\ncommand = \"cat {{v{n}}}\"\nstdout.file = \"f{n}\"\n");
    let vars: String = (0..20_000).map(|n| format!("v{n} = 1\n")).collect();
    let jobs: String = (0..20_000).map(job).collect();
    assert_eq!(found(&format!("[vars]\n{vars}{jobs}")), Vec::<String>::new());
}
