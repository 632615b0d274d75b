//! Two jobs that pipe into each other, and the deadlock of two full pipes.

use crate::space::Space;

fn pair(ping: &str, pong: &str) -> String {
    format!(
        "[jobs.ping]\nstdin.pipe = \"pong\"\nscript = '''{ping}'''\n[jobs.pong]\nstdin.pipe = \"ping\"\nscript = '''{pong}'''\n"
    )
}

#[test]
fn two_that_take_turns_come_to_an_end() {
    let ping = "n=0; while [ $n -lt 100 ]; do echo $n; read -r n; done; echo \"ping saw $n\" >&2";
    let pong = "while read -r n; do echo $((n + 1)); done; echo \"pong is done\" >&2";
    let ended = Space::new().file(&pair(ping, pong)).run();
    ended.code(0).within(30).stderr_has("ping saw 100").stderr_has("pong is done");
}

#[test]
fn both_writing_much_first_is_seen_and_stopped() {
    let ended = Space::new().file(&pair("puppet out=1000000 in", "puppet out=1000000 in")).run();
    ended.code(1).within(20).stderr_has("both ways are full: each waits for the other to read");
}

/// Both pipes are full for longer than a second, but one is being read.
#[test]
fn a_slow_reader_is_no_jam() {
    let ping = "puppet out=300000 in=200000";
    let pong =
        "puppet out=200000 & for i in 1 2 3 4 5 6 7 8; do sleep 0.3; head -c 40000 >/dev/null; done; wait";
    Space::new().file(&pair(ping, pong)).run().ok().within(60);
}

/// One pipe is full, the other is empty: the reader may still come.
#[test]
fn one_full_way_is_no_jam() {
    let ping = "puppet out=1000000";
    let pong = "sleep 2; cat >/dev/null";
    Space::new().file(&pair(ping, pong)).run().ok().within(60);
}

#[test]
fn when_one_ends_the_other_sees_the_end() {
    let ended = Space::new().file(&pair("echo once", "cat >&2")).run();
    ended.code(0).stderr_has("once");
}
