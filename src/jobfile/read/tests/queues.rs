//! Queues, workers, dialogues and hooks.

use std::time::Duration;

use super::{EVERY_KEY, read};
use crate::jobfile::model::{
    CommandSpec, EachSpec, JobFile, JobSpec, OutputSpec, RecordsSpec, ReplySpec, StdinSpec,
};
use crate::jobfile::parse;

fn job<'a>(file: &'a JobFile, name: &str) -> &'a JobSpec {
    file.jobs.iter().find(|job| job.name.value == name).unwrap()
}

/// A job, and what is to be said of it.
fn one(text: &str) -> JobSpec {
    read(&format!("[jobs.a]\ncommand = \"true\"\n{text}\n")).jobs.remove(0)
}

/// How much is wrong with such a job.
fn wrong(text: &str) -> usize {
    parse("a", format!("[jobs.a]\ncommand = \"true\"\n{text}\n").as_bytes()).unwrap().mistakes.len()
}

fn records(text: &str) -> RecordsSpec {
    read(&format!("[queues.q]\nrecords = {text}\n[jobs.a]\ncommand = \"true\"\n")).queues.remove(0).records
}

#[test]
fn queues_come_in_the_order_of_the_file() {
    let file = read(EVERY_KEY);
    let queues: Vec<_> =
        file.queues.iter().map(|queue| (queue.name.value.as_str(), queue.capacity, queue.to_all)).collect();
    assert_eq!(queues[..2], [("lines", Some(10), false), ("nul", None, true)]);
    assert_eq!(
        queues[2..].iter().map(|queue| queue.0).collect::<Vec<_>>(),
        ["parts", "genes", "pieces", "blocks"]
    );
}

#[test]
fn records_are_what_they_are_said_to_be() {
    let ends = |text| match records(text) {
        RecordsSpec::Ends(bytes) => bytes,
        other => panic!("{other:?}"),
    };
    assert_eq!(ends("\"lines\""), b"\n");
    assert_eq!(ends("\"nul\""), b"\0");
    assert_eq!(ends("{ separator = \"\\u0000--\" }"), b"\0--");
    assert!(matches!(records("{ bytes = \"1MiB\" }"), RecordsSpec::Bytes(1_048_576)));
    assert!(matches!(records("{ bytes = 7 }"), RecordsSpec::Bytes(7)));
    assert!(matches!(records("{ block = \"10MB\" }"), RecordsSpec::Block(10_000_000)));
}

#[test]
fn patterns_match_at_lines_and_on_any_bytes() {
    let RecordsSpec::Starts(start) = records("{ start = '^>(?-u:.)' }") else { panic!() };
    assert_eq!(start.regex.find(b"x>\n>\xff").unwrap().range(), 3..5);
    assert_eq!(start.text.value, "^>(?-u:.)");
}

#[test]
fn a_record_can_begin_at_any_line_but_not_at_any_byte() {
    for good in ["^", "^>", "^$", "\\\\x00", "\\\\b", "x+"] {
        records(&format!("{{ start = \"{good}\" }}"));
    }
    for bad in ["x*", ">?", "(^>)?", "a|"] {
        let text = format!("[queues.q]\nrecords.start = \"{bad}\"\n[jobs.a]\ncommand = \"true\"\n");
        assert_eq!(parse("a", text.as_bytes()).unwrap().mistakes.len(), 1, "{bad}");
    }
}

#[test]
fn queues_and_jobs_give_items() {
    let file = read(EVERY_KEY);
    let Some(EachSpec::Queue { name, separator }) = &job(&file, "records").each else { panic!() };
    assert_eq!((name.value.as_str(), *separator), ("nul", Some(b'\t')));
    assert!(matches!(&job(&file, "chained").each, Some(EachSpec::Job(name)) if name.value == "records"));
    let each = one("each.queue = \"q\"").each;
    assert!(matches!(each, Some(EachSpec::Queue { separator: None, .. })));
}

#[test]
fn stdin_is_a_queue_or_a_dialogue() {
    let file = read(EVERY_KEY);
    let stdin = |name| &job(&file, name).stdin.value;
    assert!(matches!(stdin("stream"), StdinSpec::Queue { name, ahead: true } if name.value == "lines"));
    assert!(matches!(one("stdin.queue = \"q\"").stdin.value, StdinSpec::Queue { ahead: false, .. }));
    let StdinSpec::Dialogue { steps, timeout } = stdin("dialogue") else { panic!() };
    assert_eq!(*timeout, Some(Duration::from_secs(5)));
    assert_eq!((steps.len(), steps[0].send.value.as_str()), (2, "set q=mx\n"));
    assert!(steps[0].expect.regex.is_match(b"x> \ny> ") && job(&file, "dialogue").pty);
}

#[test]
fn options_of_stdin_belong_to_one_source() {
    for bad in [
        "stdin = { queue = \"q\", timeout = 1 }",
        "stdin = { queue = \"q\", ahead = 2 }",
        "stdin = { queue = \"q\", ahead = \"1\" }",
        "stdin = { pipe = \"q\", ahead = 1 }",
        "stdin = { text = \"q\", timeout = 1 }",
        "stdin = { queue = \"q\", dialogue = [] }",
        "stdin = { ahead = 1 }",
        "stdin.dialogue = []",
        "stdin.dialogue = [{ expect = \"x\" }]",
        "stdin.dialogue = [{ send = \"x\" }]",
        "stdin.dialogue = [\"x\"]",
        "stdin.queue = \"a b\"",
    ] {
        assert_eq!(wrong(bad), 1, "{bad}");
    }
}

#[test]
fn a_queue_takes_the_place_of_a_default_file_and_back() {
    let output = |defaults: &str, own: &str| {
        let text = format!("[defaults]\n{defaults}\n[jobs.a]\ncommand = \"true\"\n{own}\n");
        read(&text).jobs.remove(0).stdout
    };
    let file = "stdout = { file = \"f\", append = true, show = true }";
    let queue = "stdout = { queue = \"q\", show = true }";
    assert!(matches!(output(file, "stdout.queue = \"q\""), OutputSpec::Queue { show: true, .. }));
    assert!(matches!(
        output(queue, "stdout.file = \"f\""),
        OutputSpec::File { show: true, append: false, .. }
    ));
    assert!(matches!(output(queue, "stdout.show = false"), OutputSpec::Queue { show: false, .. }));
    assert!(matches!(output(queue, "stdout = \"none\""), OutputSpec::Show));
}

#[test]
fn a_file_and_a_queue_exclude_each_other() {
    for bad in [
        "stdout = { file = \"f\", queue = \"q\" }",
        "stdout = { queue = \"q\", append = true }",
        "stdout = { show = true }",
        "stderr.queue = \"\"",
    ] {
        assert_eq!(wrong(bad), 1, "{bad}");
    }
}

#[test]
fn workers() {
    let file = read(EVERY_KEY);
    let worker = |name| job(&file, name).worker.as_ref();
    assert!(worker("chained").is_none() && worker("all").is_none());
    let simple = worker("worker").unwrap();
    assert!(matches!(simple.reply, ReplySpec::Line) && simple.fail.is_none() && simple.init.is_none());
    assert_eq!((simple.ahead, simple.max_tasks), (1, None));
    assert_eq!(&EVERY_KEY[simple.span.clone()], "worker");
    assert!(matches!(worker("nuls").unwrap().reply, ReplySpec::Nul));
    let full = worker("workers").unwrap();
    let ReplySpec::Until(until) = &full.reply else { panic!() };
    assert!(until.regex.is_match(b"1\nok\n") && full.fail.is_some());
    assert_eq!((full.ahead, full.max_tasks), (8, Some(100)));
    assert_eq!(full.init.as_ref().unwrap().value, "x\n");
    for bad in [
        "worker = 1",
        "worker.ahead = 0",
        "worker.max_tasks = -1",
        "worker.reply = \"l\"",
        "worker.reply = {}",
    ] {
        assert_eq!(wrong(bad), 1, "{bad}");
    }
}

#[test]
fn hooks_daemons_and_terminals_may_be_defaults() {
    let text = "[defaults]\non_success = \"cat\"\non_failure = { script = \"cat\" }\ndaemon = true\npty = true\n\
        [jobs.a]\ncommand = \"true\"\n[jobs.b]\ncommand = \"true\"\non_success = \"none\"\non_failure = [\"tee\", \"x\"]\n\
        daemon = false\npty = \"none\"\n";
    let file = read(text);
    let [a, b] = &file.jobs[..] else { panic!() };
    assert!(matches!(&a.on_success, Some(CommandSpec::Line(text)) if text.value == "cat"));
    assert!(matches!(a.on_failure, Some(CommandSpec::Script(_))) && a.daemon && a.pty);
    assert!(matches!(&b.on_failure, Some(CommandSpec::Words(words)) if words.len() == 2));
    assert!(b.on_success.is_none() && !b.daemon && !b.pty);
}

#[test]
fn a_shell_may_be_there_for_a_hook() {
    assert!(one("shell = [\"bash\", \"-c\"]\non_failure.script = \"cat\"").on_failure.is_some());
    assert_eq!(wrong("shell = [\"bash\", \"-c\"]\non_failure = \"cat\""), 1);
}
