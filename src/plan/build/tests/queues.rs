//! Queues, workers, chains of items and duplex pairs, planned.

use super::*;
use crate::plan::{Block, QueueId, Reply, Unit};

const PAIR: &str = r#"
    [jobs.write]
    command = "seq 3"
    stdout.queue = "q"
    [jobs.read]
    command = "cat"
    stdin.queue = "q"
"#;

#[test]
fn a_queue_joins_its_writers_and_readers() {
    let plan = plan(PAIR);
    let queue = &plan.queues[0];
    assert_eq!((&*queue.name, queue.capacity, queue.exact, queue.to_all), ("q", 1000, false, false));
    assert_eq!((&queue.writers[..], &queue.readers[..]), (&[JobId(0)][..], &[JobId(1)][..]));
    assert!(matches!(&queue.records.unit, Unit::Ends(bytes) if bytes == b"\n"));
    assert!(matches!(plan.jobs[0].stages[0].stdout, Output::Queue { queue: QueueId(0), show: false }));
    assert!(matches!(plan.jobs[1].stages[0].stdin, Stdin::Queue { queue: QueueId(0), ahead: false }));
    // What reads a queue takes no slot; what writes one does.
    assert_eq!((plan.jobs[0].takes_slots(), plan.jobs[1].takes_slots()), (true, false));
}

#[test]
fn a_daemon_is_printed_by_lines() {
    let output = |text: &str| plan(&format!("{PAIR}\nrepeat = 2\n{text}")).jobs[1].output;
    assert_eq!(output(""), crate::plan::OutputMode::Group);
    assert_eq!(output("daemon = true"), crate::plan::OutputMode::Line);
}

#[test]
fn what_a_queue_says_for_itself() {
    let text = |queue: &str| plan(&format!("[queues.q]\n{queue}\n{PAIR}")).queues.remove(0);
    let queue = text("capacity = 3\ndeliver = \"all\"");
    assert_eq!((queue.capacity, queue.exact, queue.to_all), (3, true, true));
    let block = text("records = { block = \"2KiB\" }").records.block;
    assert_eq!(block, Some(Block { bytes: 2048, records: usize::MAX }));
    assert!(matches!(text("records = \"nul\"").records.unit, Unit::Ends(bytes) if bytes == b"\0"));
    assert!(matches!(text("records = { bytes = 7 }").records.unit, Unit::Bytes(7)));
    assert!(matches!(text("records = { start = \"^>\" }").records.unit, Unit::Starts(_)));
    let ahead = PAIR.replace("stdin.queue = \"q\"", "stdin = { queue = \"q\", ahead = 1 }");
    assert!(super::plan(&ahead).queues[0].exact);
}

#[test]
fn what_queues_join_waits_together_and_is_chosen_together() {
    let text = format!(
        "[jobs.first]\ncommand = \"true\"\n{PAIR}after = [\"first\"]\n[jobs.other]\ncommand = \"true\""
    );
    let all = plan(&text);
    let after = |job: usize| all.jobs[job].after.iter().map(|after| after.job).collect::<Vec<_>>();
    assert_eq!((after(1), after(2), after(3)), (vec![JobId(0)], vec![JobId(0)], vec![]));
    let chosen = plan_with(&text, &BuildOptions { jobs: vec!["write".into()], ..options() });
    assert_eq!(names(&chosen), ["first", "write", "read"]);
    assert_eq!(
        (&chosen.queues[JobId(0)].writers[..], &chosen.queues[JobId(0)].readers[..]),
        (&[JobId(1)][..], &[JobId(2)][..])
    );
    let none = plan_with(&text, &BuildOptions { jobs: vec!["other".into()], ..options() });
    assert_eq!((names(&none), none.queues.len()), (vec!["other"], 0));
}

#[test]
fn items_of_a_queue_are_bounded_by_the_runs_pool() {
    let each = PAIR.replace("stdin.queue", "each.queue");
    let plan = plan(&format!("run.pool = 3\n{each}"));
    assert!(matches!(plan.jobs[1].items, Items::Queue { queue: QueueId(0), separator: None }));
    assert_eq!((plan.jobs[1].pool, plan.jobs[1].takes_slots()), (3, false));
    let Command::Words { append_item, .. } = plan.jobs[1].stages[0].command else { panic!("a script") };
    assert!(append_item);
    let own = super::plan(&format!("run.pool = 3\n{each}pool = 5"));
    assert_eq!(own.jobs[1].pool, 5);
}

#[test]
fn workers() {
    let job = job(r#"
        command = "./square"
        each.seq = [1, 3]
        worker = { ahead = 8, max_tasks = 100, fail = "^no", init = "hello\n", reply = "nul" }
    "#);
    assert_eq!((job.retries.count, job.takes_slots()), (2, true));
    let worker = job.worker.unwrap();
    assert_eq!((worker.ahead, worker.max_tasks, &worker.init[..]), (8, Some(100), &b"hello\n"[..]));
    assert!(matches!(worker.reply, Reply::Nul) && worker.fail.is_some());
    assert!(matches!(job.stages[0].stdin, Stdin::Item));
    assert!(matches!(job.stages[0].command, Command::Words { append_item: false, .. }));
    let init = |more: &str| {
        let text = format!("command = \"x\"\neach.seq = [1, 3]\nworker.init = \"hi\"\n{more}");
        super::job(&text).worker.unwrap().init
    };
    assert_eq!((&init("")[..], &init("stdin.text = \"{}\"")[..]), (&b"hi\n"[..], &b"hi"[..]));
    let text = super::job("command = \"x\"\neach.seq = [1, 3]\nworker = true\nstdin.text = \"go\\n\"");
    assert!(matches!(text.stages[0].command, Command::Words { append_item: false, .. }));
    let other = super::job("command = \"x\"\neach.seq = [1, 3]\nworker = true\nretries = 0");
    assert_eq!(other.retries.count, 0);
    assert!(super::job("command = \"x\"\neach.seq = [1, 3]\nworker = false").worker.is_none());
}

#[test]
fn items_go_from_job_to_job_with_their_names() {
    let plan = plan(
        r#"
        [jobs.align]
        command = "echo {name}"
        each = [{ name = "a" }, { name = "b" }]
        [jobs.sort]
        command = "echo {name}"
        each.job = "align"
        [jobs.index]
        command = "echo"
        each.job = "sort"
        [jobs.other]
        command = "true"
    "#,
    );
    assert!(matches!(plan.jobs[1].items, Items::Of(JobId(0))));
    assert!(matches!(plan.jobs[2].items, Items::Of(JobId(1))));
    let Command::Words { words, append_item } = &plan.jobs[1].stages[0].command else { panic!("a script") };
    assert_eq!((filled(&words[1].0, &["b"], &["name"]), *append_item), ("b".to_owned(), false));
    let chosen = plan_with(
        "[jobs.x]\ncommand = \"true\"\n[jobs.a]\ncommand = \"a\"\neach.seq = [1, 2]\n[jobs.b]\ncommand = \"b\"\neach.job = \"a\"",
        &BuildOptions { jobs: vec!["b".into()], ..options() },
    );
    assert_eq!(names(&chosen), ["a", "b"]);
    assert!(matches!(chosen.jobs[1].items, Items::Of(JobId(0))));
}

#[test]
fn two_jobs_may_pipe_into_each_other() {
    let plan = plan(
        r#"
        [jobs.ping]
        command = "ping"
        stdin.pipe = "pong"
        [jobs.pong]
        command = "pong"
        stdin.pipe = "ping"
        timeout = "5s"
    "#,
    );
    let job = &plan.jobs[0];
    assert_eq!((plan.jobs.len(), &*job.name, job.duplex), (1, "pong", true));
    assert_eq!(job.timeout, Some(crate::plan::Timeout::After(Duration::from_secs(5))));
    for stage in &job.stages {
        assert!(matches!((&stage.stdin, &stage.stdout), (Stdin::Pipe, Output::Pipe)));
    }
}

#[test]
fn hooks_are_commands_of_their_job() {
    let job = job(r#"
        command = "false"
        each = ["x"]
        env.A = "b"
        stdout = "null"
        on_success = "echo done {}"
        on_failure.script = "cat; exit $PRUN_EXIT"
    "#);
    let hook = job.hooks.on_success.unwrap().stage;
    let Command::Words { words, append_item: false } = &hook.command else { panic!("not as it was written") };
    assert_eq!(filled(&words[2].0, &["x"], &[]), "x");
    assert!(matches!((&hook.stdout, hook.env.len()), (Output::Show, 1)));
    assert!(matches!(job.hooks.on_failure.unwrap().stage.command, Command::Script { .. }));
}

#[test]
fn a_long_row_of_queues_is_no_deep_stack() {
    let mut text = "[jobs.a0]\ncommand = \"a\"\nstdout.queue = \"q0\"\n".to_owned();
    for n in 1..20_000 {
        let before = n - 1;
        text +=
            &format!("[jobs.a{n}]\ncommand = \"a\"\nstdin.queue = \"q{before}\"\nstdout.queue = \"q{n}\"\n");
    }
    text += "[jobs.end]\ncommand = \"a\"\nstdin.queue = \"q19999\"\n";
    let plan = plan(&text);
    assert_eq!((plan.jobs.len(), plan.queues.len()), (20_001, 20_000));
}
