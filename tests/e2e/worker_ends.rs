//! Workers that end: killed, hung, silent or idle, and the fate of their tasks. Workers together with queues,
//! halts and chains.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::meeting::Meeting;
use crate::space::Space;

#[test]
fn workers_are_killed_all_the_time_and_each_task_is_answered_once() {
    let space = Space::new();
    space.program("echoer", "#!/bin/sh\nwhile read -r n; do echo \"$n\" >>log; echo \"$n\"; done\n");
    let line = "-j3 --retries 50 --worker=ahead=4 -a items -- ./echoer";
    let numbers: Vec<String> = (1..=10_000).map(|n| n.to_string()).collect();
    space.write("items", numbers.join("\n") + "\n");
    let running = space.exec(line).start();
    let mut kills = 0;
    for round in 1..=40 {
        running.shows_lines(round * 200);
        let workers =
            space.survivors().into_iter().filter(|(_, command)| command.starts_with("/bin/sh ./echoer"));
        let workers: Vec<i32> = workers.map(|(pid, _)| pid).collect();
        if let Some(&pid) = workers.get(round * 7 % workers.len().max(1)) {
            // It may have ended since it was seen.
            kills += usize::from(kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok());
        }
    }
    let ended = running.end();
    ended.code(0).check(kills > 5, "workers should have been killed");
    let sorted = |text: &str| {
        let mut numbers: Vec<usize> = text.lines().map(|line| line.parse().expect("a number")).collect();
        numbers.sort_unstable();
        numbers
    };
    ended.check(sorted(&ended.stdout) == (1..=10_000).collect::<Vec<_>>(), "each is answered once");
    let repeats = sorted(&space.read("log")).len() - 10_000;
    assert!(repeats <= kills, "{repeats} tasks were done again after {kills} kills");
}

#[test]
fn half_an_answer_is_dropped() {
    let space = Space::new();
    let toml = r#"
        [jobs.w]
        each = ["a", "b", "c"]
        pool = 1
        script = '''
            while read -r n; do
                if test $n = b && ! test -e died; then touch died; printf half; kill -9 $$; fi
                echo "$n"
            done'''
        worker.ahead = 3
    "#;
    space.file(toml).run().ok().stdout_sorted(&["a", "b", "c"]);
}

#[test]
fn a_worker_that_hangs_is_replaced_and_its_task_given_out_again() {
    let space = Space::new();
    let toml = r#"
        [jobs.w]
        each = ["a", "b", "c"]
        pool = 1
        timeout = "300ms"
        worker.ahead = 2
        script = '''
            while read -r n; do
                if test $n = b && ! test -e hung; then touch hung; sleep 600; fi
                echo "$n"
            done'''
    "#;
    space.file(toml).run().ok().stdout_sorted(&["a", "b", "c"]).within(60);
}

#[test]
fn a_task_that_kills_every_worker_fails_and_the_rest_goes_on() {
    let space = Space::new();
    let toml = r#"
        [jobs.w]
        each.seq = [1, 9]
        pool = 2
        worker.ahead = 2
        script = 'while read -r n; do test $n = 5 && { echo "no 5" >&2; exit 3; }; echo "$n"; done'
    "#;
    let ended = space.file(toml).run();
    ended.code(3).stdout_sorted(&["1", "2", "3", "4", "6", "7", "8", "9"]);
    ended.stderr_has("w[5]").stderr_has("exit 3 after 3 attempts").stderr_has("stderr  no 5");
    ended.stderr_has("rerun   prun prun.toml 'w[5]'\n").stderr_has("8 ok, 1 failed");
}

#[test]
fn a_program_that_ends_after_its_answer_is_a_pool_of_one_task_each() {
    let space = Space::new();
    for (program, ahead) in
        [("read n; echo $n", 1), ("read n; echo $n", 8), ("dd bs=999 count=1 2>&- | sed q", 4)]
    {
        for pool in [1, 3] {
            let toml = format!(
                "[jobs.w]\neach.seq = [1, 40]\npool = {pool}\nkeep_order = true\nretries = 0\n\
                 script = '{program}'\nworker.ahead = {ahead}\n"
            );
            let numbers: String = (1..=40).map(|n| format!("{n}\n")).collect();
            space.file(&toml).run().ok().stdout(&numbers);
        }
    }
    // As with a share that it takes by itself.
    space.exec("-j1 --retries 0 --worker=ahead=5 head -n 1 ::: a b c").run().ok().stdout("a\nb\nc\n");
}

#[test]
fn a_program_that_ends_well_and_never_answers_ends_the_job() {
    let space = Space::new();
    let file =
        "[jobs.w]\neach.seq = [1, 1000000]\npool = 2\nworker.ahead = 4\nretry_delay = 0\nscript = 'read n'\n";
    let ended = space.file(file).run();
    ended.code(1).stdout("").within(60).stderr_has("10 workers in a row ended without any answer");
}

#[test]
fn an_end_without_an_answer_is_a_failure_of_the_task() {
    let space = Space::new();
    let ended = space.exec("--retries 0 --worker -- true ::: a").run();
    ended.code(1).stderr_has("its worker ended without an answer");
}

#[test]
fn if_no_worker_can_be_started_the_job_fails_at_once() {
    let space = Space::new();
    let toml = r#"
        [jobs.w]
        each = { queue = "q" }
        worker = true
        command = "./missing"
        [jobs.writer]
        script = "while :; do echo x; done"
        stdout.queue = "q"
    "#;
    space.file(toml).run().code(127).stdout("").stderr_has("./missing").within(60);
}

#[test]
fn an_answer_that_nobody_asked_for_names_the_worker_and_loses_nothing() {
    let space = Space::new();
    let toml = r#"
        [jobs.w]
        each.seq = [1, 6]
        pool = 1
        script = '''
            while read -r n; do
                if test $n = 3 && ! test -e once; then touch once; printf "3\nfor \033 nobody\n"; else echo "$n"; fi
            done'''
        worker = true
    "#;
    let ended = space.file(toml).run();
    ended.code(1).stdout("1\n2\n3\n4\n5\n6\n").no_escapes();
    ended.stderr_has("worker 1 wrote an answer that nobody asked for: `for \\x1b nobody`");
}

#[test]
fn a_worker_without_tasks_that_does_not_go_is_stopped() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = r#"
        [jobs.w]
        each = ["a"]
        worker = true
        grace = "200ms"
        script = 'read -r n; echo "$n"; exec puppet catch=TERM meet=worker hold'
    "#;
    let running = space.file(toml).start();
    let mut worker = meeting.guest();
    worker.hears("got TERM");
    worker.is_gone();
    running
        .end()
        .code(0)
        .stdout("a\n")
        .stderr_has("worker 1 of w did not end within 0.20 s of SIGTERM: killed");
}

#[test]
fn a_silent_worker_is_pointed_out_once() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = r#"
        [jobs.w]
        each = ["a", "b"]
        pool = 2
        worker = true
        script = 'while read -r n; do puppet meet=$n hold; echo "$n"; done'
    "#;
    let running = space.file(toml).start();
    let guests = meeting.guests(2);
    running.says("of `w` was given a task 5 s ago and has written nothing: does it flush its output? `pty = true` may help");
    drop(guests);
    let ended = running.end();
    ended.code(0).stdout_sorted(&["a", "b"]);
    assert_eq!(ended.stderr.matches("has written nothing").count(), 1, "{}", ended.stderr);
}

// ---- the run ---------------------------------------------------------------------------------------------

#[test]
fn ctrl_c_stops_workers_and_what_they_have() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = r#"
        [jobs.w]
        each.seq = [1, 100]
        pool = 2
        worker.ahead = 4
        script = 'while read -r n; do test $n -gt 2 && exec puppet catch=INT meet=$n hold; echo "$n"; done'
        grace = "200ms"
    "#;
    let running = space.file(toml).start();
    let mut guests = meeting.guests(2);
    running.shows_lines(2);
    running.signal(Signal::SIGINT);
    guests.iter_mut().for_each(|guest| guest.is_gone());
    let ended = running.end();
    ended.died_of(Signal::SIGINT).stdout_sorted(&["1", "2"]).stderr_has("2 ok");
}

#[test]
fn records_of_a_queue_are_tasks_and_answers_are_records() {
    let space = Space::new();
    let toml = r#"
        [queues.numbers]
        capacity = 10
        [jobs.count]
        command = "seq 1000"
        stdout.queue = "numbers"
        [jobs.square]
        each = { queue = "numbers" }
        pool = 2
        worker.ahead = 4
        script = 'while read -r n; do echo $((n * n)); done'
        stdout.queue = "squares"
        [jobs.sum]
        stdin.queue = "squares"
        script = 'sum=0; while read -r n; do sum=$((sum + n)); done; echo $sum'
    "#;
    space.file(toml).run().ok().stdout("333833500\n");
}

#[test]
fn a_worker_waits_while_the_queue_of_its_answers_is_full() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = r#"
        [queues.slow]
        capacity = 5
        [jobs.w]
        each.seq = [1, 5000]
        pool = 1
        script = 'while read -r n; do echo "$n" >>log; echo "$n"; done'
        stdout.queue = "slow"
        worker = true
        [jobs.reader]
        stdin = { queue = "slow", ahead = 1 }
        script = 'read -r first; puppet meet=reader hold; while read -r n; do :; done; echo "$n last"'
        tag = false
    "#;
    let running = space.file(toml).start();
    let reader = meeting.guest();
    // The reader has one record, perhaps another; the queue a few; the worker's pipe and hands hold no more than
    // it was given ahead.
    let seen = space.read("log").lines().count();
    assert!(seen < 100, "{seen} tasks were done although nobody reads");
    drop(reader);
    running.end().ok();
    assert_eq!(space.read("log").lines().count(), 5000);
}

#[test]
fn items_go_on_to_the_next_job_when_they_are_answered() {
    let space = Space::new();
    let toml = r#"
        [jobs.w]
        each = ["a", "bad", "c"]
        pool = 1
        worker.fail = "bad"
        stdout = "null"
        command = "cat"
        [jobs.next]
        each = { job = "w" }
        command = "echo then"
        keep_order = true
    "#;
    space.file(toml).run().code(1).stdout("then a\nthen c\n").stderr_has("next[2]");
}

#[test]
fn the_run_halts_when_an_answer_says_so() {
    let space = Space::new();
    let toml = r#"
        run.halt = "now,fail=1"
        [jobs.w]
        each.seq = [1, 1000]
        pool = 2
        worker = { fail = "^17$", ahead = 3 }
        command = "cat"
    "#;
    let ended = space.file(toml).run();
    ended.code(1).stderr_has("its worker answered `17`").stderr_has("1 failed");
    ended.check(ended.lines().len() < 1000, "it should not go on");
}

#[test]
fn a_million_tasks_take_no_memory() {
    let space = Space::new();
    let script = "seq 300000 | puppet measure=most prun exec -j2 --worker=ahead=64 -- cat | wc -l";
    space.sh(script).run().ok().stdout("300000\n");
    let most: u64 = space.read("most").trim().parse().expect("a number of KiB");
    assert!(most < 30_000, "{most} KiB");
}

/// A worker without a stdout can't answer any more, although it lives on.
#[test]
fn a_worker_that_closes_its_stdout_is_replaced() {
    let space = Space::new();
    let script = "mkdir once 2>/dev/null && { read -r x; exec >&-; exec sleep 600; }; while read -r x; do echo $x; done";
    let ended = space.exec(&format!("-j1 -k --worker -c \"{script}\" ::: a b")).run();
    ended.code(0).within(30).stdout("a\nb\n");
}
