//! `prun exec --worker`: worker processes answer the items.

use nix::sys::signal::Signal;

use crate::space::Space;

#[test]
fn each_item_is_answered() {
    let space = Space::new();
    let echo = r#"-c 'while read -r x; do echo "<$x>"; done'"#;
    space.exec(&format!("-k -j2 --worker {echo} ::: a 'b c' d")).run().ok().stdout("<a>\n<b c>\n<d>\n");
    space
        .exec(&format!("-k --worker=ahead=3 {echo}"))
        .stdin("1\n2\n3\n4\n")
        .run()
        .ok()
        .stdout("<1>\n<2>\n<3>\n<4>\n");
    space.exec(&format!("--worker {echo}")).stdin("").run().ok().stdout("");
    space.exec("-k --worker -- sed -u 's/$/!/' ::: a b").run().ok().stdout("a!\nb!\n");
}

#[test]
fn keys_of_a_worker() {
    let space = Space::new();
    let counted = space.exec("-j1 --worker=max_tasks=1 -c 'while read x; do echo $$; done' ::: a b c").run();
    let mut pids = counted.ok().lines();
    pids.dedup();
    counted.check(pids.len() == 3, "three processes, an answer each");
    let greeted = r#"-k '--worker=init=hi,you\n,ahead=2' -c 'read -r hi; while read x; do echo "$hi $x"; done' ::: a b"#;
    space.exec(greeted).run().ok().stdout("hi,you a\nhi,you b\n");
    let lines = r#"-k --worker=reply=until:^end$ -c 'while read x; do echo "$x 1"; echo "$x 2"; echo end; done' ::: a b"#;
    space.exec(lines).run().ok().stdout("a 1\na 2\nb 1\nb 2\n");
    let failing = r#"-k --worker=fail=^no -c 'while read x; do case $x in b) echo no;; *) echo "$x";; esac; done' ::: a b c"#;
    space.exec(failing).run().code(1).stdout_has("a\n").stdout_has("c\n");
}

#[test]
fn a_silent_worker_is_told_what_may_help() {
    let space = Space::new();
    let running = space.exec("--worker sleep 1000 ::: a").start();
    // There is no terminal for workers here.
    running.says("does it flush its output? `stdbuf -oL COMMAND` may help");
    running.signal(Signal::SIGTERM);
    running.end().died_of(Signal::SIGTERM);
}

#[test]
fn a_worker_that_ends_is_replaced() {
    let space = Space::new();
    // Each lives for one answer and takes the next item with it; a task is tried three times.
    let script = "-j1 -k --worker -c 'read x; echo \"$x\"; read y; exit 1' ::: a b c";
    space.exec(script).run().ok().stdout("a\nb\nc\n");
    let ended = space.exec("-j1 --worker -c 'read x; echo \"$x\" >>tries; exit 1' ::: a").run();
    ended.code(1).stdout("");
    assert_eq!(space.read("tries"), "a\na\na\n");
    space.exec("-j1 --retries 0 --worker -c 'read x; echo \"$x\" >>once; exit 1' ::: a").run().code(1);
    assert_eq!(space.read("once"), "a\n");
}

#[test]
fn what_a_worker_can_not_be() {
    let space = Space::new();
    let cases = [
        ("--worker -- echo {} ::: a", "placeholders of the item"),
        ("--worker --once -- bc", "exclude each other"),
        ("--worker -n2 -- bc ::: a", "exclude each other"),
        ("--worker -c ::: a", "needs a command"),
        ("--worker=ahed=3 bc ::: a", "did you mean `ahead`"),
        ("--worker=ahead=0 bc ::: a", "a number from 1"),
        ("--worker=reply=word bc ::: a", "until:REGEX"),
    ];
    for (line, part) in cases {
        space.exec(line).run().code(125).stdout("").stderr_has(part);
    }
}
