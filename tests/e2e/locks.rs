//! Locks, their values, and tasks that take several slots.

use nix::sys::signal::Signal;

use crate::meeting::Meeting;
use crate::space::Space;

#[test]
fn one_task_at_a_time_holds_a_lock() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = r#"
        run.pool = 4
        [defaults]
        locks = ["db"]
        [jobs.a]
        command = "puppet meet=a hold"
        [jobs.b]
        command = "puppet meet=b hold"
        [jobs.c]
        locks = "none"
        command = "puppet meet=c hold"
    "#;
    let running = space.file(toml).start();
    let mut guests = meeting.guests(2);
    assert_eq!([&guests[0].name, &guests[1].name], ["a", "c"]);
    guests[1].tell("exit=0");
    guests[1].is_gone();
    assert!(!meeting.has_guest(), "b has room in the pool, but not the lock");
    guests[0].tell("exit=0");
    let mut b = meeting.guest();
    assert_eq!(b.name, "b");
    b.tell("exit=0");
    running.end().ok();
}

const SWEEP: &str = r#"
    run.pool = 4
    locks.gpu-card = ["A", "B"]
    [jobs.train]
    each = [1, 2, 3]
    locks = ["gpu-card"]
    command = "puppet meet={}-{gpu-card} hold"
"#;

#[test]
fn values_are_given_to_one_task_at_a_time_lowest_first() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.file(SWEEP).start();
    let mut guests = meeting.guests(2);
    assert_eq!([&guests[0].name, &guests[1].name], ["1-A", "2-B"]);
    guests[1].tell("exit=0");
    let mut third = meeting.guest();
    assert_eq!(third.name, "3-B");
    third.tell("exit=0");
    guests[0].tell("exit=0");
    running.end().ok();
}

#[test]
fn values_are_in_the_environment_in_every_text_and_with_hooks() {
    let space = Space::new();
    let toml = r#"
        [locks]
        gpu-card = ["A", "it's", "C"]
        net = 3
        [jobs.a]
        each = ["x"]
        locks = { gpu-card = 2, net = 3 }
        env.OWN = "own {gpu-card}"
        script = '''echo {gpu-card} "{gpu-card}" $PRUN_LOCK_GPU_CARD; echo "$OWN ${PRUN_LOCK_NET-none}"'''
        on_success = { script = 'echo hook {gpu-card} $PRUN_LOCK_GPU_CARD' }
        tag = "{gpu-card}"
        stderr.file = "err-{gpu-card}"
        [jobs.appended]
        after = ["a"]
        each = ["the item"]
        locks = ["gpu-card"]
        command = "echo {gpu-card}"
        [jobs.pipeline]
        after = ["appended"]
        locks = ["gpu-card"]
        pipeline = ["echo {gpu-card}", { script = "cat; echo $PRUN_LOCK_GPU_CARD" }]
        [jobs.first]
        script = "echo first {gpu-card}"
        after = ["pipeline"]
        [jobs.last]
        stdin.pipe = "first"
        command = "cat"
        locks = ["gpu-card"]
    "#;
    let both = "A,it's";
    let a = format!("{both}\t{both} {both} {both}\n{both}\town {both} none\n{both}\thook {both} {both}\n");
    space.file(toml).run().ok().stdout(&format!("{a}A the item\nA\nA\nfirst A\n"));
    assert!(space.exists("err-A,it's"));
}

#[test]
fn prun_tells_which_value_a_task_has() {
    let space = Space::new();
    let toml = r#"
        locks.gpu = ["A", "B"]
        [jobs.a]
        each = [1]
        locks = { gpu = 2 }
        command = "test {} -eq {gpu}"
    "#;
    let ended = space.file(toml).run();
    ended.code(2).stderr_has("`test 1 -eq 'A,B'`").stderr_has("rerun   prun prun.toml 'a[1]'\n");
    let ended = space.prun("-v").run();
    ended.check(ended.stderr.matches("test 1 -eq 'A,B'").count() >= 2, "also when it starts");
    space.prun("--dry-run").run().ok().stdout("test 1 -eq 'A,B'\n");
    let toml = toml.replace("command", "worker = true\ncommand");
    space.write("prun.toml", toml.replace("test {}", "test 1"));
    space.prun("--dry-run").run().ok().stdout_has("test 1 -eq 'A,B' # 1 task on its stdin\n");
}

#[test]
fn all_or_none() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = r#"
        run.pool = 4
        [jobs.a]
        locks = ["x"]
        command = "puppet meet=a hold"
        [jobs.b]
        locks = ["x", "y"]
        command = "puppet meet=b hold"
        [jobs.c]
        locks = ["y"]
        command = "puppet meet=c hold"
    "#;
    let running = space.file(toml).start();
    let mut a = meeting.guest();
    assert_eq!(a.name, "a");
    a.tell("exit=0");
    let mut b = meeting.guest();
    assert_eq!(b.name, "b", "c came later, and does not overtake it");
    b.tell("exit=0");
    let mut c = meeting.guest();
    assert_eq!(c.name, "c");
    c.tell("exit=0");
    running.end().ok();
}

#[test]
fn a_wide_want_has_its_turn_among_narrow_ones() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = r#"
        run.pool = 9
        locks.net = 2
        [jobs.narrow]
        each = [1, 2, 3, 4, 5, 6]
        locks = ["net"]
        command = "puppet meet=narrow hold"
        [jobs.wide]
        locks = { net = 2 }
        command = "puppet meet=wide hold"
    "#;
    let running = space.file(toml).start();
    let mut order = Vec::new();
    let mut guests = meeting.guests(2);
    while let Some(mut guest) = guests.pop() {
        guest.tell("exit=0");
        order.push(guest.name);
        if guests.is_empty() && order.len() < 7 {
            guests.push(meeting.guest());
        }
    }
    running.end().ok();
    let turn = order.iter().position(|name| name == "wide");
    assert!(turn < Some(5), "{order:?}");
}

#[test]
fn while_a_task_waits_for_its_next_attempt_others_have_its_lock() {
    let space = Space::new();
    let toml = r#"
        run = { pool = 2, output = "line" }
        defaults.locks = ["db"]
        [jobs.a]
        script = "echo a; exit 1"
        retries = 1
        retry_delay = "1h"
        [jobs.b]
        command = "echo b"
    "#;
    let running = space.file(toml).start();
    running.shows("a\nb\n");
    running.signal(Signal::SIGTERM);
    running.end().died_of(Signal::SIGTERM);
}

#[test]
fn a_task_that_is_stopped_or_dies_gives_its_lock_back() {
    let space = Space::new();
    let toml = r#"
        run.pool = 9
        defaults.locks = ["db"]
        [jobs.late]
        command = "puppet hang"
        timeout = "50ms"
        [jobs.dies]
        command = "puppet die=KILL"
        [jobs.missing]
        command = "./missing"
        [jobs.last]
        command = "echo last"
    "#;
    space.file(toml).run().code(124).stdout("last\n");
}

#[test]
fn who_waits_for_a_lock_is_no_obstacle_to_a_stop() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = r#"
        run.pool = 9
        [jobs.a]
        each = [1, 2, 3]
        locks = ["db"]
        command = "puppet meet={} hold"
    "#;
    let running = space.file(toml).start();
    let mut guest = meeting.guest();
    running.signal(Signal::SIGINT);
    guest.is_gone();
    running.end().died_of(Signal::SIGINT);
    assert!(!meeting.has_guest());
}

#[test]
fn a_lock_that_a_daemon_keeps_is_told() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = r#"
        [jobs.d]
        daemon = true
        locks = ["db"]
        command = "puppet meet=d hang"
        [jobs.a]
        locks = ["db"]
        command = "echo a"
    "#;
    let running = space.file(toml).start();
    let mut daemon = meeting.guest();
    let ended = running.end();
    ended.code(1).stdout("").stderr_has("nothing can go on: `a` waits for lock `db`, which daemon `d` holds");
    daemon.is_gone();
}

#[test]
fn a_worker_holds_its_locks_and_its_tasks_know_them() {
    let space = Space::new();
    let toml = r#"
        locks.gpu = ["A"]
        [jobs.command]
        each = [1, 2]
        locks = ["gpu"]
        worker = true
        pool = 2
        script = 'while read -r n; do echo "$n {gpu} $PRUN_LOCK_GPU"; done'
        [jobs.task]
        each = [3, 4]
        locks = ["gpu"]
        worker = true
        keep_order = true
        stdin.text = "{} {gpu}\n"
        tag = "{gpu}"
        command = "cat"
        on_success = { script = "echo hook {gpu}" }
    "#;
    let ended = space.file(toml).run();
    ended.ok().stdout("1 A A\n2 A A\nA\t3 A\nA\thook A\nA\t4 A\nA\thook A\n");
}

#[test]
fn a_task_is_known_whatever_value_it_had() {
    let space = Space::new();
    let toml = r#"
        run.journal = "log"
        locks.gpu = ["A"]
        [jobs.a]
        each = [1, 2]
        locks = ["gpu"]
        command = "echo {} {gpu}"
    "#;
    space.file(toml).run().ok().stdout("1 A\n2 A\n");
    space.write("prun.toml", toml.replace(r#"["A"]"#, r#"["B", "C"]"#));
    space.prun("--resume").run().ok().stdout("");
}

#[test]
fn defaults_and_a_jobs_own_locks_merge_by_key() {
    let space = Space::new();
    let toml = r#"
        [locks]
        a = ["A"]
        b = ["B"]
        c = ["C"]
        [defaults]
        locks = { a = 1, b = 1 }
        env.L = "{a}"
        [jobs.x]
        locks = { b = "none", c = 1 }
        script = "echo $L ${PRUN_LOCK_B-none} {c}"
    "#;
    space.file(toml).run().ok().stdout("A none C\n");
}

#[test]
fn a_task_may_take_several_slots() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = r#"
        run.pool = 3
        [jobs.wide]
        each = [1, 2]
        slots = 2
        command = "puppet meet=wide-{%} hold"
        [jobs.narrow]
        command = "puppet meet=narrow-{%} hold"
    "#;
    let running = space.file(toml).start();
    let mut first = meeting.guest();
    assert_eq!(first.name, "wide-1", "the third slot is kept for the next wide one");
    first.tell("exit=0");
    let mut guests = meeting.guests(2);
    assert_eq!([&guests[0].name, &guests[1].name], ["narrow-2", "wide-1"]);
    guests.iter_mut().for_each(|guest| guest.tell("exit=0"));
    running.end().ok();
}

#[test]
fn more_slots_than_there_are_is_all() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = r#"
        run.pool = 2
        [jobs.all]
        slots = 99
        command = "puppet meet=all hold"
        [jobs.other]
        command = "puppet meet=other hold"
    "#;
    let running = space.file(toml).start();
    for name in ["all", "other"] {
        let mut guest = meeting.guest();
        assert_eq!(guest.name, name);
        guest.tell("exit=0");
    }
    running.end().ok();
}
