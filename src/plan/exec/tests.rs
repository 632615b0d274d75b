use std::path::PathBuf;

use super::*;
use crate::event::{JobId, QueueId};
use crate::plan::items::{ItemIter, column_names};
use crate::plan::template::Scope;
use crate::plan::words::quote;
use crate::plan::{
    Batch, Block, Command, Cut, Form, Input, Item, Items, Jobserver, Output, OutputMode, StartMode,
    StatusMode, Stdin, StopScope, Table, Throttle, Unit,
};

fn bytes(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

/// Lines of stdin.
const NOTHING: ItemArgs = ItemArgs {
    files: Vec::new(),
    sources: Vec::new(),
    link: false,
    cut: Cut::At(b'\n'),
    columns: None,
    header: false,
    skip_empty: false,
};

fn of_words(words: &[&str]) -> Source {
    Source { from: From::Words(bytes(words)), plus: false }
}

fn args(command: &[&str], sources: &[&[&str]]) -> ExecArgs {
    ExecArgs {
        command: bytes(command),
        function: false,
        items: ItemArgs { sources: sources.iter().map(|words| of_words(words)).collect(), ..NOTHING },
        max_args: None,
        fit: false,
        replace: None,
        once: false,
        interactive: false,
        repeat: None,
        pipe: None,
        worker: None,
        script: false,
        shell: None,
        cwd: None,
        env: Vec::new(),
        stdin: None,
        stdout: None,
        stderr: None,
        results: None,
        start: StartMode::Spawn,
        timeout: None,
        throttle: Throttle::default(),
        logs: Logs::default(),
        retries: None,
        retry_delay: None,
        retry_on: None,
        ok: None,
        stop_signal: None,
        stop: StopScope::Tree,
        pool: 2,
        jobserver: Jobserver::None,
        halt: None,
        output: None,
        keep_order: false,
        tag: None,
        grace: None,
        max_record: None,
        hooks: Default::default(),
        status: StatusMode::First,
        base: PathBuf::from("/base"),
    }
}

/// What all tasks of the only job would run, a line each.
fn lines(args: ExecArgs) -> Vec<String> {
    let job = plan(args).unwrap().jobs.remove(0);
    let names = column_names(&job.items);
    let size = match job.batch {
        Batch::One => 1,
        Batch::UpTo(most) => most,
        Batch::Fit => usize::MAX,
    };
    let items: Vec<Option<Item>> = ItemIter::new(&job.items).unwrap().collect();
    let batches = items.chunks(size.min(items.len().max(1)));
    let line = |(n, batch): (usize, &[Option<Item>])| {
        let items: Vec<Item> = batch.iter().flatten().cloned().collect();
        let scope = Scope { items: &items, names: &names, seq: n as u64 + 1, slot: 1, ..Scope::default() };
        job.stages[0].command.shell_line(&job.name, &scope, quote)
    };
    batches.enumerate().map(line).collect()
}

fn refusal(args: ExecArgs) -> String {
    plan(args).expect_err("it is refused").to_string()
}

mod sources;

#[test]
fn the_item_is_added_where_nothing_mentions_the_task() {
    assert_eq!(lines(args(&["echo"], &[&["a", "b c"]])), ["echo a", "echo 'b c'"]);
    assert_eq!(lines(args(&["echo", "{.}"], &[&["a.c"]])), ["echo a"]);
    assert_eq!(lines(args(&["echo", "{#}"], &[&["a", "b"]])), ["echo 1", "echo 2"]);
    assert_eq!(lines(args(&["echo"], &[&["a"], &["1", "2"]])), ["echo a 1", "echo a 2"]);
    let from_stdin = ExecArgs { stdin: Some(b"{}".to_vec()), ..args(&["wc"], &[&["a"]]) };
    assert_eq!(lines(from_stdin), ["wc"]);
    assert_eq!(lines(args(&["echo", "{args}"], &[&["a"]])), ["echo '{args}' a"]);
}

#[test]
fn tasks_without_items() {
    let once = ExecArgs { once: true, ..args(&["echo", "{}", "{#}"], &[]) };
    let planned = plan(once.clone()).unwrap();
    assert!(matches!(planned.jobs[0].stages[0].stdin, Stdin::Inherit));
    assert_eq!(planned.jobs[0].output, OutputMode::Line);
    assert_eq!(lines(once), ["echo '{}' 1"]);
    let twice = ExecArgs { repeat: Some(2), tag: Some(Tag::Item), ..args(&["date"], &[]) };
    assert_eq!(lines(twice), ["date", "date"]);
}

#[test]
fn several_items_to_a_task() {
    let items: &[&[&str]] = &[&["a", "b", "c"]];
    let two = |command| ExecArgs { max_args: Some(2), ..args(command, items) };
    assert_eq!(lines(two(&["echo"])), ["echo a b", "echo c"]);
    assert_eq!(lines(two(&["diff", "{1}", "{2}"])), ["diff a b", "diff c ''"]);
    assert!(refusal(two(&["diff", "{1}", "{3}"])).contains("there is no column 3: a task has 2"));
    assert_eq!(lines(ExecArgs { fit: true, ..args(&["cc", "-I{}"], items) }), ["cc -Ia -Ib -Ic"]);
}

#[test]
fn replacement_strings_turn_braces_off() {
    let replace = |command| ExecArgs { replace: Some(b"X".to_vec()), ..args(command, &[&["a"]]) };
    assert_eq!(lines(replace(&["echo", "{}", "X-X"])), ["echo '{}' a-a"]);
    assert_eq!(lines(replace(&["echo"])), ["echo"]);
    let script = ExecArgs { script: true, ..replace(&["echo X {}"]) };
    assert_eq!(lines(script), [r#"/bin/sh -c "echo 'a' {}" sh a"#]);
}

#[test]
fn scripts() {
    let script = |command| ExecArgs { script: true, ..args(command, &[&["a b"]]) };
    assert_eq!(lines(script(&["echo", "\"{}\"|cat"])), [r#"/bin/sh -c 'echo "a b"|cat' sh 'a b'"#]);
    assert_eq!(lines(script(&[])), ["/bin/sh -c 'a b'"]);
    let shell = |words: &[&str], command| {
        let shell = words.iter().map(|word| (*word).to_owned()).collect();
        ExecArgs { script: true, shell: Some(shell), ..args(command, &[&["a"]]) }
    };
    let bash = shell(&["bash", "-eu", "-c"], &["echo {}"]);
    assert_eq!(plan(bash.clone()).unwrap().jobs[0].name.as_ref(), "bash");
    assert_eq!(lines(bash), [r#"bash -eu -c "echo 'a'" bash a"#]);
    let python = shell(&["/usr/bin/python3", "-c"], &["print({})"]);
    assert_eq!(lines(python), ["/usr/bin/python3 -c 'print({})' a"]);
}

#[test]
fn functions_are_run_by_bash() {
    let function = ExecArgs { function: true, ..args(&["f", "-x", "{.}"], &[&["a.b c"]]) };
    assert_eq!(plan(function.clone()).unwrap().jobs[0].name.as_ref(), "f");
    assert_eq!(lines(function), [r#"bash -c 'f "$@"' f -x a"#]);
    let odd = ExecArgs { function: true, ..args(&["a;b"], &[&["x"]]) };
    assert_eq!(shlex::split(&lines(odd)[0]).unwrap(), ["bash", "-c", r#"'a;b' "$@""#, "a;b", "x"]);
}

#[test]
fn names_and_files() {
    let mut args = args(&["/usr/bin/gzip", "-d"], &[&["a.gz"]]);
    args.stdout = Some(b"{%.gz}.txt".to_vec());
    args.stderr = Some(b"errors".to_vec());
    args.env = vec![b"A={}=b".to_vec()];
    args.tag = Some(Tag::Item);
    let job = plan(args).unwrap().jobs.remove(0);
    assert_eq!(job.name.as_ref(), "gzip");
    let stage = &job.stages[0];
    assert!(matches!(stage.stdout, Output::File { per_task: true, .. }));
    assert!(matches!(stage.stderr, Output::File { per_task: false, append: false, .. }));
    let item = Item::new(vec![b"a.gz".to_vec()]);
    let scope = Scope { items: &[item], names: &[], seq: 1, slot: 1, ..Scope::default() };
    let mut out = Vec::new();
    stage.env[0].1.render(&scope, &mut out);
    job.tag.unwrap().render(&scope, &mut out);
    assert_eq!((stage.env[0].0.as_str(), out.as_slice()), ("A", &b"a.gz=ba.gz\t"[..]));
}

#[test]
fn mistakes() {
    let items: &[&[&str]] = &[&["a"]];
    for (args, part) in [
        (args(&[], items), "no command"),
        (ExecArgs { once: true, ..args(&["ls"], items) }, "take no items"),
        (ExecArgs { replace: Some(Vec::new()), ..args(&["ls"], items) }, "is empty"),
        (ExecArgs { script: true, max_args: Some(2), ..args(&[], items) }, "each item is a script"),
        (ExecArgs { env: vec![b"X".to_vec()], ..args(&["ls"], items) }, "`--env X` is not NAME=VALUE"),
        (ExecArgs { script: true, ..args(&["cat <<E\n{}\nE"], items) }, "in the script: `{}` stands in a"),
    ] {
        let told = refusal(args);
        assert!(told.contains(part), "{told}");
    }
}

fn piped(command: &[&str], pipe: PipeArgs) -> ExecArgs {
    ExecArgs { pipe: Some(pipe), ..args(command, &[]) }
}

#[test]
fn blocks_are_records_of_a_queue() {
    let planned = plan(piped(&["wc", "{}"], PipeArgs::default())).unwrap();
    let (job, queue) = (&planned.jobs[0], &planned.queues[0]);
    assert!(matches!(job.items, Items::Queue { queue: QueueId(0), separator: None }));
    assert!(matches!(job.stages[0].stdin, Stdin::Item));
    assert_eq!((queue.input.as_ref(), queue.readers.as_slice()), (Some(&Input::Stdin), &[JobId(0)][..]));
    assert_eq!(queue.records.block, Some(Block { bytes: 1 << 20, records: usize::MAX }));
    assert!(matches!(&queue.records.unit, Unit::Ends(end) if end == b"\n"));
    let Command::Words { words, append_item } = &job.stages[0].command else { panic!("a command") };
    assert!(!append_item && words.iter().all(|word| !word.0.uses_task()), "there is no item");

    let robin = plan(piped(&["wc"], PipeArgs { round_robin: true, ..PipeArgs::default() })).unwrap();
    assert!(matches!(robin.jobs[0].items, Items::Repeat(2)));
    assert!(matches!(robin.jobs[0].stages[0].stdin, Stdin::Queue { queue: QueueId(0), ahead: false }));
}

#[test]
fn what_a_block_is() {
    let records = |max_args, pipe| {
        let items = ItemArgs { files: vec!["x".into()], ..NOTHING };
        let args = ExecArgs { max_args, items, ..piped(&["wc"], pipe) };
        let queue = plan(args).unwrap().queues.remove(0);
        assert_eq!(queue.input, Some(Input::File("/base/x".into())));
        queue.records
    };
    let block = |bytes, records| Some(Block { bytes, records });
    let (usual, most) = (PipeArgs::default(), usize::MAX);
    assert_eq!(records(Some(5), usual.clone()).block, block(most, 5));
    assert_eq!(records(Some(5), PipeArgs { block: Some(9), ..usual.clone() }).block, block(9, 5));
    let lines = records(None, PipeArgs { lines: Some(4), ..usual.clone() });
    assert_eq!((lines.per_record, lines.block), (4, block(1 << 20, most)));
    let mark = |text: &str| Some(text.as_bytes().to_vec());
    let unit = |start: Option<Vec<u8>>, end: Option<Vec<u8>>| {
        records(None, PipeArgs { record_start: start, record_end: end, ..PipeArgs::default() }).unit
    };
    assert!(matches!(unit(None, mark(";")), Unit::Ends(end) if end == b";"));
    assert!(matches!(unit(mark(">"), None), Unit::Between { end, start } if end.is_empty() && start == b">"));
    assert!(
        matches!(unit(mark(">"), mark("\n")), Unit::Between { end, start } if end == b"\n" && start == b">")
    );
}

fn with_worker(command: &[&str]) -> ExecArgs {
    ExecArgs { worker: Some(parse_worker("ahead=3").unwrap()), ..args(command, &[&["a", "b"]]) }
}

#[test]
fn workers_take_items_on_their_stdin() {
    let job = plan(with_worker(&["bc", "{%}"])).unwrap().jobs.remove(0);
    assert_eq!((job.worker.map(|worker| worker.ahead), job.retries.count), (Some(3), 2));
    assert!(matches!(job.stages[0].stdin, Stdin::Item));
    assert!(matches!(job.stages[0].command, Command::Words { append_item: false, .. }));
    let job = plan(ExecArgs { retries: Some(0), ..with_worker(&["bc"]) }).unwrap().jobs.remove(0);
    assert_eq!(job.retries.count, 0);
}

#[test]
fn workers_know_no_item() {
    let wrong = |args| plan(args).unwrap_err().message;
    for word in ["{}", "{#}", "{1/.}"] {
        assert!(wrong(with_worker(&["bc", word])).contains("placeholders of the item"), "{word}");
    }
    let script = ExecArgs { script: true, ..with_worker(&["echo", "{}"]) };
    assert!(wrong(script).contains("placeholders of the item"));
    assert!(wrong(ExecArgs { cwd: Some(b"{}".to_vec()), ..with_worker(&["bc"]) }).contains("placeholders"));
    assert!(wrong(ExecArgs { once: true, items: NOTHING, ..with_worker(&["bc"]) }).contains("needs items"));
    assert!(wrong(ExecArgs { max_args: Some(2), ..with_worker(&["bc"]) }).contains("one by one"));
    assert!(wrong(with_worker(&[])).contains("needs a command"));
    let pipe = Some(PipeArgs { record_start: Some(Vec::new()), ..PipeArgs::default() });
    assert!(wrong(ExecArgs { pipe, ..args(&["wc"], &[]) }).contains("empty"));
}

/// Where `--results` puts the output of the first task, and its number.
fn files_of(args: ExecArgs, columns: &[&str]) -> [String; 3] {
    let stage = plan(args).unwrap().jobs.remove(0).stages.remove(0);
    let items = [Item::new(bytes(columns))];
    let scope = Scope { items: &items, names: &[], seq: 7, slot: 1, ..Scope::default() };
    let file = |output| match output {
        Output::File { path, append: false, show: false, per_task: true } => path,
        other => panic!("{other:?}"),
    };
    [file(stage.stdout), file(stage.stderr), stage.seq_file.unwrap()].map(|path| {
        let mut out = Vec::new();
        path.render(&scope, &mut out);
        String::from_utf8(out).unwrap()
    })
}

#[test]
fn results_in_files() {
    let with = |results: &str| ExecArgs { results: Some(results.into()), ..args(&["echo"], &[&["a/b.c"]]) };
    let item = &["a/b.c"];
    assert_eq!(files_of(with("d"), item), [r"d/1/a\_b.c/stdout", r"d/1/a\_b.c/stderr", r"d/1/a\_b.c/seq"]);
    assert_eq!(files_of(with("d/{/.}"), item), ["d/b", "d/b.err", "d/b.seq"]);
    assert_eq!(files_of(with("{#}/"), item), ["7/stdout", "7/stderr", "7/seq"]);
    assert_eq!(files_of(with("{/.}.csv"), item)[0], "b.csv");
    assert_eq!(files_of(with("d"), &["a", "b"])[2], "d/1/a/2/b/seq");
    let replaced = ExecArgs { replace: Some(b"%".into()), ..with("d/%.{#}") };
    assert_eq!(files_of(replaced, &["x"])[0], "d/x.{#}");
}

#[test]
fn results_in_a_table() {
    let table = |results: &str| {
        let args = ExecArgs { results: Some(results.into()), ..args(&["echo"], &[&["a"]]) };
        let plan = plan(args).unwrap();
        assert!(matches!(plan.jobs[0].stages[0].stderr, Output::Table));
        plan.logs.table.unwrap()
    };
    assert_eq!(table("x.csv"), Table { path: Some("/base/x.csv".into()), form: Form::Csv, append: false });
    assert_eq!(table("/d/x.JSON"), Table { path: Some("/d/x.JSON".into()), form: Form::Json, append: false });
    assert_eq!(table("-.tsv"), Table { path: None, form: Form::Tsv, append: false });
    assert_eq!(table("-./x.tsv").path, Some("/base/-./x.tsv".into()));
}

#[test]
fn results_that_are_refused() {
    let with = |results: &str| ExecArgs { results: Some(results.into()), ..args(&["echo"], &[&["a"]]) };
    assert!(refusal(with("")).contains("names no file"));
    let tag = |results| plan(ExecArgs { tag: Some(Tag::Item), ..with(results) }).unwrap().jobs.remove(0).tag;
    assert!(tag("d").is_none() && tag("d.csv").is_some());
    let repeated = |results: &str| ExecArgs { repeat: Some(3), items: NOTHING, ..with(results) };
    assert!(refusal(repeated("d/")).contains("`--results 'd/{#}/'`"));
    assert!(plan(repeated("d/{#}")).is_ok() && plan(repeated("d.csv")).is_ok());
}
