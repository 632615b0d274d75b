//! Attempts that end within a moment: their pipes are read once, when they have ended, and nothing is lost by it.

use crate::space::Space;

#[test]
fn tasks_that_write_more_than_a_pipe_holds_at_once_are_whole() {
    let space = Space::new();
    let size = 200_000;
    let command =
        format!("head -c {size} /dev/zero | tr '\\0' {{}}; head -c {size} /dev/zero | tr '\\0' {{}} >&2");
    let ended = space.exec(&format!("-j3 -k -c \"{command}\" ::: a b c d e f g h")).run();
    let all: String = "abcdefgh".chars().map(|letter| letter.to_string().repeat(size)).collect();
    ended.code(0).check(ended.stdout == all, "stdout is whole and in order");
    let mut said: Vec<char> = ended.stderr.chars().collect();
    said.sort_unstable();
    ended.check(said.into_iter().collect::<String>() == all, "stderr is whole");
}

#[test]
fn short_tasks_are_whole_whatever_they_write_and_however_many() {
    let space = Space::new();
    let line = "seq 300 | prun exec -j8 -k -c 'echo out {}; echo err {} >&2; test {} -ne 150'";
    let ended = space.sh(line).run();
    let lines: String = (1..=300).map(|number| format!("out {number}\n")).collect();
    ended.code(1).stdout(&lines);
    ended.check(ended.stderr.matches("err ").count() >= 300, "stderr is whole");
}

#[test]
fn a_leftover_of_a_short_task_holds_up_nobody() {
    let space = Space::new();
    let running = space.exec("-j2 -c '(sleep 1000; echo late) & echo {}' ::: a b c").start();
    let ended = running.end();
    ended.code(0).stdout_sorted(&["a", "b", "c"]).within(30);
    space.sweep();
}
