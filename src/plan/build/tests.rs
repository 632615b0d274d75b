use std::time::Duration;

use super::*;
use crate::event::StageId;
use crate::jobfile;
use crate::jobfile::values::{
    HaltLimit, HaltOn, HaltSetting, Outcomes, OutputMode, RetryDelay, StartMode, Timeout,
};
use crate::plan::template::{Scope, Template};
use crate::plan::{
    After, ColumnSeparator, Command, Cut, Input, Item, Job, Output, Reading, Stage, Stdin, UNLIMITED, When,
};
use crate::plan::{Items, StopScope};

mod queues;

fn options() -> BuildOptions {
    BuildOptions { file_name: "jobs.toml".into(), base: "/base".into(), cpus: 2, ..BuildOptions::default() }
}

fn plan_with(text: &str, how: &BuildOptions) -> Plan {
    let file = jobfile::parse("jobs.toml", text.as_bytes()).unwrap_or_else(|told| panic!("{told}"));
    build(&file, how).unwrap_or_else(|told| panic!("{told}"))
}

fn plan(text: &str) -> Plan {
    plan_with(text, &options())
}

/// What `[jobs.a]` comes to.
fn job(text: &str) -> Job {
    plan(&format!("[jobs.a]\n{text}")).jobs.remove(0)
}

fn stage(text: &str) -> Stage {
    job(text).stages.remove(0)
}

/// What a template comes to for the third task, of an item with these columns.
fn filled(template: &Template, columns: &[&str], names: &[&str]) -> String {
    let item = Item::new(columns.iter().map(|column| column.as_bytes().to_vec()).collect());
    let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    let items = if columns.is_empty() { vec![] } else { vec![item] };
    let mut out = Vec::new();
    template.render(&Scope { items: &items, names: &names, seq: 3, slot: 1, ..Scope::default() }, &mut out);
    String::from_utf8(out).unwrap()
}

/// The words of a command for the item "x y", and whether it is added.
fn words(text: &str) -> (Vec<String>, bool) {
    match stage(text).command {
        Command::Words { words, append_item } => {
            (words.iter().map(|word| filled(&word.0, &["x y"], &[])).collect(), append_item)
        }
        Command::Script { .. } => panic!("a script"),
    }
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.jobs.iter().map(|job| &*job.name).collect()
}

#[test]
fn a_command_is_split_or_taken_as_it_is() {
    assert_eq!(words(r#"command = "echo 'a b' c""#).0, ["echo", "a b", "c"]);
    assert_eq!(words(r#"command = ["echo", "a | b"]"#).0, ["echo", "a | b"]);
}

#[test]
fn the_item_is_added_unless_it_is_mentioned_or_read() {
    let added = |text: &str| words(&format!("each = [\"i\"]\n{text}")).1;
    assert!(added("command = \"echo\""));
    assert!(!added("command = \"echo {}\""));
    assert!(!added("command = \"echo {/.}\""));
    assert!(!added("command = \"echo {#}\""));
    assert!(!added("command = \"echo {%}\""));
    assert!(!added("command = \"cat\"\nstdin = \"item\""));
    assert!(!added("command = \"cat\"\nstdin.text = \"<{}>\""));
    assert!(!added("command = \"cat\"\nstdin.file = \"{}\""));
    assert!(added("command = \"cat\"\nstdin.text = \"fixed\""));
    assert!(!added("pipeline = [\"echo\", \"cat\"]"));
    assert!(!words("command = \"echo\"\nrepeat = 3").1);
    assert!(!words("command = \"echo\"").1);
}

#[test]
fn variables_and_arguments_are_put_in() {
    let how = BuildOptions {
        vars: vec![("host".into(), "example.org".into())],
        args: vec![b"one".to_vec(), b"two words".to_vec()],
        ..options()
    };
    let text = "[vars]\nhost = \"localhost\"\nport = 80\n[jobs.a]\ncommand = \"curl {host}:{port} {args}\"";
    let Command::Words { words, .. } = &plan_with(text, &how).jobs[0].stages[0].command else { panic!() };
    let words: Vec<_> = words.iter().map(|word| filled(&word.0, &[], &[])).collect();
    assert_eq!(words, ["curl", "example.org:80", "one", "two words"]);
}

#[test]
fn only_posix_shells_are_quoted_for() {
    let posix = |shell: &str| match stage(&format!("script = \"x\"\nshell = [\"{shell}\", \"-c\"]")).command {
        Command::Script { posix, shell, .. } => (posix, shell.len()),
        Command::Words { .. } => panic!("a command"),
    };
    assert_eq!(posix("/usr/bin/bash"), (true, 2));
    assert_eq!(posix("dash"), (true, 2));
    assert_eq!(posix("python3"), (false, 2));
    let text = "each = [\"it's\"]\nshell = [\"python3\", \"-c\"]\nscript = \"print('{}')\"";
    let Command::Script { text, .. } = stage(text).command else { panic!() };
    assert_eq!(filled(&text.0, &["x"], &[]), "print('{}')");
}

#[test]
fn items_keep_their_spelling() {
    let Items::List(list) = job("command = \"echo\"\neach = [\"a\", 3.10, 1e-3, 0x1F, true]").items else {
        panic!()
    };
    let values: Vec<_> = list.items.iter().map(|item| String::from_utf8_lossy(&item.columns[0])).collect();
    assert_eq!(values, ["a", "3.10", "1e-3", "0x1F", "true"]);
}

#[test]
fn named_columns_keep_the_order_in_which_they_are_written() {
    let made = job("command = \"echo {b} {a}\"\neach = [{ b = 1, a = 2 }, { a = 4, b = 3 }]");
    let Items::List(list) = made.items else { panic!() };
    assert_eq!(list.names, ["b", "a"]);
    assert_eq!(list.items[1].columns, [b"3", b"4"]);
    let Command::Words { words, append_item } = &made.stages[0].command else { panic!() };
    assert_eq!((filled(&words[1].0, &["1", "2"], &["b", "a"]), *append_item), ("1".to_owned(), false));
}

#[test]
fn files_are_relative_to_the_job_file() {
    let from = |text: &str| match job(&format!("command = \"echo\"\n{text}")).items {
        Items::Read(reading) => (reading.from, reading.cut),
        items => panic!("{items:?}"),
    };
    assert_eq!(from("each.lines = \"a.txt\""), (Input::File("/base/a.txt".into()), Cut::At(b'\n')));
    assert_eq!(from("each = { lines = \"/a.txt\", nul = true }"), (Input::File("/a.txt".into()), Cut::At(0)));
    assert_eq!(from("each = { csv = \"-\", separator = \"\\t\" }"), (Input::Stdin, Cut::Csv(b'\t')));
    let lines = job("command = \"echo\"\neach = { lines = \"a\", separator = \":\" }").items;
    assert!(matches!(lines, Items::Read(Reading { columns: Some(ColumnSeparator::Byte(b':')), .. })));
    let Items::Glob { pattern, base } = job("command = \"echo\"\neach.glob = \"*.{jpg}\"").items else {
        panic!()
    };
    assert_eq!((pattern.as_str(), base), ("*.{jpg}", "/base".into()));
    let cwd = |text: &str| filled(&stage(&format!("command = \"pwd\"\n{text}")).cwd.unwrap(), &[], &[]);
    assert_eq!((cwd(""), cwd("cwd = \"sub\"")), ("/base".to_owned(), "sub".to_owned()));
}

#[test]
fn sequences() {
    let seq = |text: &str| match job(&format!("command = \"echo\"\neach.seq = {text}")).items {
        Items::Seq(seq) => (seq.first, seq.step, seq.last, seq.scale),
        items => panic!("{items:?}"),
    };
    assert_eq!(seq("[1, 1_000]"), (1, 1, 1000, 0));
    assert_eq!(seq("[10, -5, 0]"), (10, -5, 0, 0));
    assert_eq!(seq("[0.5, 0.25, 1.0]"), (50, 25, 100, 2));
}

#[test]
fn the_names_of_a_csv_file_are_known_later() {
    let made = stage("command = \"echo {whatever}\"\neach.csv = \"a.csv\"");
    let Command::Words { words, append_item } = &made.command else { panic!() };
    assert_eq!((filled(&words[1].0, &["v"], &["whatever"]), *append_item), ("v".to_owned(), true));
}

#[test]
fn who_gets_the_stop_signal() {
    for (word, scope) in
        [("tree", StopScope::Tree), ("group", StopScope::Group), ("process", StopScope::Process)]
    {
        assert_eq!(job(&format!("command = \"true\"\nstop = \"{word}\"")).stop, scope);
        let plan = plan(&format!("[defaults]\nstop = \"{word}\"\n[jobs.a]\ncommand = \"true\""));
        assert_eq!(plan.jobs[JobId(0)].stop, scope);
    }
    assert_eq!(job("command = \"true\"").stop, StopScope::Tree);
}

#[test]
fn what_a_job_is_without_saying_so() {
    let made = job("command = \"true\"");
    assert_eq!((made.output, made.keep_order, made.tag.is_none()), (OutputMode::Line, false, true));
    assert_eq!((made.grace, made.stop_signal, made.timeout), (Duration::from_secs(10), None, None));
    assert_eq!((made.pool, made.retries.count), (UNLIMITED, 0));
    let stage = &made.stages[0];
    assert_eq!((&stage.ok, stage.start), (&Outcomes::success(), StartMode::Spawn));
    assert!(matches!(
        (&stage.stdin, &stage.stdout, &stage.stderr),
        (Stdin::Null, Output::Show, Output::Show)
    ));
    assert_eq!(job("command = \"true\"\nrepeat = 2").output, OutputMode::Group);
    assert_eq!(job("command = \"true\"\neach = [1]").output, OutputMode::Group);
}

#[test]
fn the_run_s_pool_has_room_for_the_largest() {
    assert_eq!(plan("[jobs.a]\ncommand = \"a\"").pool, 2);
    assert_eq!(plan("[jobs.a]\ncommand = \"a\"\npool = 5\n[jobs.b]\ncommand = \"b\"\npool = 1").pool, 5);
    assert_eq!(plan("[run]\npool = 3\n[jobs.a]\ncommand = \"a\"\npool = 5").pool, 3);
    assert_eq!(plan("[run]\npool = \"+2\"\n[jobs.a]\ncommand = \"a\"\npool = \"50%\"").pool, 4);
    assert_eq!(plan("[run]\npool = 0\n[jobs.a]\ncommand = \"a\"").pool, UNLIMITED);
}

#[test]
fn flag_beats_run_and_job_beats_both() {
    let text = "[run]\noutput = \"group\"\nhalt = \"now,fail=1\"\ngrace = 5\n[jobs.a]\ncommand = \"a\"\n[jobs.b]\ncommand = \"b\"\noutput = \"line\"\ngrace = 2";
    let mut file = jobfile::parse("jobs.toml", text.as_bytes()).unwrap();
    // As `cli::settings` does it.
    file.run.output = Some(OutputMode::Raw);
    file.run.halt = Some(HaltSetting::Never);
    file.run.grace = Some(Duration::from_secs(1));
    let made = build(&file, &options()).unwrap();
    assert_eq!((made.jobs[0].output, made.jobs[1].output), (OutputMode::Raw, OutputMode::Line));
    assert_eq!((made.jobs[0].grace.as_secs(), made.jobs[1].grace.as_secs()), (1, 2));
    assert_eq!(made.halt, None);
    let halt = plan(text).halt.unwrap();
    assert_eq!((halt.now, halt.on, halt.limit), (true, HaltOn::Fail, HaltLimit::Count(1)));
}

#[test]
fn tags() {
    let tag = |text: &str| job(text).tag.map(|tag| filled(&tag, &["x"], &[]));
    assert_eq!(tag("command = \"a\"\ntag = true"), Some("a\t".into()));
    assert_eq!(tag("command = \"a\"\ntag = true\neach = [1]"), Some("a x\t".into()));
    assert_eq!(tag("command = \"a\"\ntag = \"<{}>\"\neach = [1]"), Some("<x>\t".into()));
    let of_run = "[run]\ntag = true\n[jobs.a]\ncommand = \"a\"\n[jobs.b]\ncommand = \"b\"\ntag = false";
    let made = plan(of_run);
    assert!(made.jobs[0].tag.is_some() && made.jobs[1].tag.is_none());
    let mut how = options();
    how.run.tag = Some(TagFlag::Template("{#}".into()));
    assert_eq!(filled(plan_with(of_run, &how).jobs[0].tag.as_ref().unwrap(), &[], &[]), "3\t");
}

#[test]
fn defaults_are_merged_by_key_and_undone_by_none() {
    let text = r#"
[defaults]
timeout = "5s"
env = { A = "1", B = "2", C = "3" }
stdout = { file = "log", append = true }
retry_delay = { first = "2s", max = "8s" }
stdin.text = "default"

[jobs.a]
command = "a"
env = { B = "20", C = "none", D = "none" }
stdout.append = false
retry_delay.factor = 3
stdin.file = "input"

[jobs.b]
command = "b"
timeout = "none"
stdout = "none"
env = "none"
"#;
    let made = plan(text);
    let (a, b) = (&made.jobs[0], &made.jobs[1]);
    let env: Vec<_> =
        a.stages[0].env.iter().map(|(name, value)| format!("{name}={}", filled(value, &[], &[]))).collect();
    assert_eq!(env, ["A=1", "B=20", "D=none"]);
    assert!(matches!(&a.stages[0].stdout, Output::File { append: false, per_task: false, .. }));
    let delay =
        RetryDelay { first: Duration::from_secs(2), factor: 3.0, max: Duration::from_secs(8), jitter: false };
    assert_eq!(a.retries.delay, delay);
    assert!(matches!(a.stages[0].stdin, Stdin::File(_)));
    assert_eq!((a.timeout, b.timeout), (Some(Timeout::After(Duration::from_secs(5))), None));
    assert!(b.stages[0].env.is_empty() && matches!(b.stages[0].stdout, Output::Show));
}

#[test]
fn pipes_join_jobs_where_the_last_one_stands() {
    let text = r#"
[jobs.count]
command = "wc -l"
stdin.pipe = "filter"
timeout = 5
env.A = "count"

[jobs.before]
command = "true"

[jobs.filter]
pipeline = ["sort", { command = "grep x", ok = [0, 1] }]
stdin.pipe = "list"
ok = ["timeout", 3]
after = ["before"]

[jobs.list]
command = "ls"
stdin = "inherit"

[jobs.end]
command = "true"
after = { filter = "exit", count = "success" }
"#;
    let made = plan(text);
    assert_eq!(names(&made), ["count", "before", "end"]);
    let stages = &made.jobs[0].stages;
    let called: Vec<_> = stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(called, ["list", "filter:1", "filter:2", "count"]);
    assert!(matches!(stages[0].stdin, Stdin::Inherit));
    assert!(stages[1..].iter().all(|stage| matches!(stage.stdin, Stdin::Pipe)));
    assert!(stages[..3].iter().all(|stage| matches!(stage.stdout, Output::Pipe)));
    assert!(matches!(stages[3].stdout, Output::Show));
    assert_eq!(stages[1].ok, Outcomes { codes: vec![3], timeout: true, signal: false });
    assert_eq!(stages[2].ok, Outcomes { codes: vec![0, 1], timeout: true, signal: false });
    assert_eq!((stages[2].env.len(), stages[3].env.len()), (0, 1));
    assert_eq!(made.jobs[0].timeout, Some(Timeout::After(Duration::from_secs(5))));
    // What is joined starts together: one waits for all that any of them waits for.
    assert_eq!(made.jobs[0].after, [After { job: JobId(1), stage: StageId(0), when: When::Success }]);
    let ends = [
        After { job: JobId(0), stage: StageId(2), when: When::Exit },
        After { job: JobId(0), stage: StageId(3), when: When::Success },
    ];
    assert_eq!(made.jobs[2].after, ends);
}

#[test]
fn a_selection_takes_what_it_needs() {
    let text = r#"
[jobs.unrelated]
command = "true"
pool = 9
[jobs.base]
command = "true"
[jobs.list]
command = "ls"
[jobs.lint]
command = "true"
[jobs.count]
command = "wc"
stdin.pipe = "list"
after = ["base"]
[jobs.test]
command = "true"
after = ["count"]
"#;
    let select = |jobs: &[&str]| {
        let jobs = jobs.iter().map(|job| job.to_string()).collect();
        plan_with(text, &BuildOptions { jobs, ..options() })
    };
    let made = select(&["test"]);
    assert_eq!(names(&made), ["base", "count", "test"]);
    assert_eq!(made.jobs[1].after, [After { job: JobId(0), stage: StageId(0), when: When::Success }]);
    assert_eq!(made.jobs[2].after, [After { job: JobId(1), stage: StageId(1), when: When::Success }]);
    assert_eq!(made.pool, 2, "a job that isn't run needs no place");
    assert_eq!(names(&select(&["list"])), ["base", "count"]);
    assert_eq!(names(&select(&["lint", "lint"])), ["lint"]);
}

#[test]
fn output_files() {
    let per_task =
        |path: &str| match stage(&format!("command = \"a\"\neach = [1]\nstdout.file = \"{path}\"")).stdout {
            Output::File { per_task, .. } => per_task,
            output => panic!("{output:?}"),
        };
    assert!(per_task("{}.txt") && per_task("{#}.txt"));
    assert!(!per_task("all.txt"));
    assert!(matches!(stage("command = \"a\"\nstderr = \"stdout\"").stderr, Output::Stdout));
}

#[test]
fn how_to_run_it_again() {
    let how = BuildOptions {
        file_name: "my jobs.toml".into(),
        vars: vec![("v".into(), "a b".into())],
        ..options()
    };
    let made = plan_with("[vars]\nv = \"\"\n[jobs.a]\ncommand = \"a\"", &how);
    let rerun = made.rerun.unwrap();
    assert_eq!(rerun.line("'a[3]'"), "prun -D 'v=a b' 'my jobs.toml' 'a[3]'");
    let how = BuildOptions { file_name: "-".into(), ..options() };
    assert_eq!(plan_with("[jobs.a]\ncommand = \"a\"", &how).rerun, None);
}

#[test]
fn a_long_row_of_jobs_is_no_deep_stack() {
    let mut text = "[jobs.j0]\ncommand = \"true\"\n".to_owned();
    for n in 1..20_000 {
        text += &format!("[jobs.j{n}]\ncommand = \"true\"\nafter = [\"j{}\"]\n", n - 1);
    }
    assert_eq!(plan(&text).jobs.len(), 20_000);
    let told =
        jobfile::parse("long", format!("{text}[jobs.x]\ncommand = \"x\"\nafter = [\"x\"]\n").as_bytes());
    assert!(build(&told.unwrap(), &options()).is_err());
}
