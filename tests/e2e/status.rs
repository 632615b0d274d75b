//! prun's own exit status (prun(1), EXIT STATUS).

use crate::meeting::Meeting;
use crate::space::Space;

fn status(options: &str, codes: &str) -> Option<i32> {
    let line = format!("{options} -c 'test {{}} -lt 300 || kill -9 $$; exit {{}}' ::: {codes}");
    Space::new().exec(&line).run().status.code()
}

#[test]
fn the_first_failure_in_the_order_of_items() {
    assert_eq!(status("", "0 0"), Some(0));
    assert_eq!(status("-j1", "0 4 5"), Some(4));
    assert_eq!(status("", "300"), Some(137));
    assert_eq!(status("", "200"), Some(200));
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec("-j2 -- puppet meet={} hold ::: a b").start();
    let mut guests = meeting.guests(2);
    guests[1].tell("exit=5");
    running.says("exit 5");
    guests[0].tell("exit=4");
    running.end().code(4);
}

#[test]
fn the_first_failure_in_the_order_of_the_file() {
    let space = Space::new();
    let toml = "run.pool = 3\n[jobs.a]\nscript = 'while ! test -e go; do sleep 0.02; done; exit 4'\n[jobs.b]\nscript = 'exit 5'\n\
                [jobs.c]\nscript = 'touch go'\nafter = { b = 'exit' }\n";
    space.file(toml).run().code(4);
}

#[test]
fn any_and_count() {
    assert_eq!(status("--status any", "0 4 5"), Some(1));
    assert_eq!(status("--status any", "0 0"), Some(0));
    assert_eq!(status("--status count", "0 4 5 300"), Some(3));
    Space::new().exec("--status count --repeat 150 -- false").run().code(101);
}

#[test]
fn as_xargs_does() {
    assert_eq!(status("-j1 --status xargs", "0 4 5"), Some(123));
    assert_eq!(status("-j1 --status xargs", "0 255 0"), Some(124));
    assert_eq!(status("-j1 --status xargs", "0 300 0"), Some(125));
    let space = Space::new();
    space.exec("--status xargs ./missing ::: x").run().code(127);
    space.exec("--status xargs / ::: x").run().code(126);
    space.exec("-j1 --status xargs -c 'echo {}; exit {}' ::: 1 255 2").run().code(124).stdout("1\n255\n");
}

#[test]
fn pruns_own_errors() {
    let space = Space::new();
    space.prun("missing.toml").run().code(125).stderr_has("missing.toml");
    space.prun("").run().code(125).stderr_has("prun.toml");
    space.prun("--no-such-flag").run().code(125).stderr_has("--no-such-flag");
    space.write("folder/x", "").prun("folder/").run().code(125).stderr_has("folder");
    space.file("").run().code(125);
    space.file("[jobs.a]\ncomand = 'true'\n").run().code(125).stderr_has("command");
}
