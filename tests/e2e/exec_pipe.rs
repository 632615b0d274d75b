//! `prun exec --pipe`: a stream or a file is cut into blocks of whole records.

use nix::sys::signal::Signal;

use crate::meeting::Meeting;
use crate::space::Space;

/// A command that writes 1.3 MB of lines of many lengths to the file `lines`.
const LINES: &str = "seq 1 100000 | awk '{ printf \"%s%*s\\n\", $1, $1 % 13, \"\" }' >lines; ";

#[test]
fn every_byte_comes_once_and_in_order() {
    let space = Space::new();
    space.sh(LINES).run().ok();
    let shapes =
        ["", "--block 10k", "--block 3MB", "-n 999", "-L 7 --block 20k", "-L 2 -n 500", "--recend '7\\n'"];
    for shape in shapes {
        let exec = format!("prun exec -k -j3 --pipe {shape}");
        let script = format!(
            "{exec} -a lines cat | cmp - lines; {exec} cat <lines | cmp - lines; cat lines | {exec} cat | cmp - lines; \
             {exec} -a lines cksum >whole; cat lines | {exec} cksum | cmp - whole; test -s whole"
        );
        space.sh(&script).run().ok();
    }
}

#[test]
fn records_are_never_cut() {
    let space = Space::new();
    space.sh(LINES).run().ok();
    let scripts = [
        "prun exec --pipe --block 1k -c 'tail -c1 | od -An -c' <lines | sort -u",
        "cat lines | prun exec --pipe --block 1k -c 'tail -c1 | od -An -c' | sort -u",
        "prun exec --pipe --round-robin -j3 --block 1k -c 'tail -c1 | od -An -c' <lines | sort -u",
        "cat lines | prun exec --pipe --round-robin -j3 --block 1k -c 'tail -c1 | od -An -c' | sort -u",
    ];
    for script in scripts {
        space.sh(script).run().ok().stdout("  \\n\n");
    }
    let remainders =
        space.sh("head -9000 lines | prun exec --pipe -L4 --block 100 -c 'expr $(wc -l) % 4 || :' | sort -u");
    remainders.run().ok().stdout("0\n");
}

/// Checks how a text is cut, read from a pipe and from a file. In `blocks` a bar follows each block.
#[track_caller]
fn cut(space: &Space, options: &str, text: &str, blocks: &str) {
    let task = "-c 'cat; printf \"|\"'";
    space.write("text", text);
    space.exec(&format!("-k --pipe {options} {task}")).stdin(text).run().ok().stdout(blocks);
    space.exec(&format!("-k --pipe {options} -a text {task}")).run().ok().stdout(blocks);
}

#[test]
fn what_a_record_is() {
    let space = Space::new();
    cut(&space, "-n1", "a\nb\n\nc", "a\n|b\n|\n|c|");
    cut(&space, "-n2", "a\nb\nc\n", "a\nb\n|c\n|");
    cut(&space, "-L2 -n1", "a\nb\nc\n", "a\nb\n|c\n|");
    cut(&space, "--block 3", "a\nb\nccccc\nd", "a\nb\n|ccccc\n|d|");
    cut(&space, "--block 100 -n1", "a\nb\n", "a\n|b\n|");
    cut(&space, "--recend ';' -n1", "a;b\n;c", "a;|b\n;|c|");
    cut(&space, "--recend ';' --block 1", "a;b\n;c", "a;|b\n;|c|");
    cut(&space, r"--recend '\0' -n1", "a\0b\0", "a\0|b\0|");
    cut(&space, r"--recend '\x41\t' -n1", "1A\t2A3A\t", "1A\t|2A3A\t|");
    cut(&space, "--recend END -n1", "aENDbENENDcEN", "aEND|bENEND|cEN|");
    cut(&space, "--recstart '>' -n1", ">a\n>b>c", ">a\n|>b|>c|");
    cut(&space, "--recstart '>' -n1", "x\n>b", "x\n|>b|");
    cut(&space, r"--recend '\n' --recstart '>' -n1", ">a>\nb\n>c\n", ">a>\nb\n|>c\n|");
    cut(&space, "--recstart '>' --recend '' --block 4", ">a>b>c>d", ">a>b|>c>d|");
}

#[test]
fn an_input_without_a_byte_has_no_task() {
    let space = Space::new();
    space.write("empty", "");
    for input in ["</dev/null", "<empty", "-a empty", "-a /dev/null", "<&-"] {
        for mode in ["", "--round-robin -j4", "-n 5"] {
            let ended = space.sh(&format!("prun exec --pipe {mode} {input} -c 'touch ran'")).run();
            if input == "<&-" {
                ended.code(126)
            } else {
                ended.ok()
            };
            assert!(!space.exists("ran"), "{input} {mode}");
        }
    }
}

#[test]
fn a_record_may_be_longer_than_a_block() {
    let space = Space::new();
    let script = "(echo a; head -c 3000000 /dev/zero | tr '\\0' x; echo; echo b) >long; \
                  prun exec -k --pipe --block 2 wc -c <long; cat long | prun exec -k --pipe --block 2 wc -c";
    space.sh(script).run().ok().stdout("2\n3000001\n2\n2\n3000001\n2\n");
}

#[test]
fn a_regular_file_is_read_from_where_it_stands() {
    let space = Space::new();
    space.write("lines", "a\nb\nc\nd\n");
    space.sh("(read x; prun exec --pipe cat; cat) <lines").run().ok().stdout("b\nc\nd\n");
    // What is left after an early stop is left to others.
    let ended = space
        .sh("(prun exec -j1 --pipe -n1 --halt soon,fail=1 -c 'cat; false'; echo rest; cat) <lines")
        .run();
    ended.stdout("a\nrest\nc\nd\n");
}

#[test]
fn tasks_have_numbers_slots_and_tags_but_no_item() {
    let space = Space::new();
    space
        .exec("-j1 --pipe -n1 -c 'echo {#} {%} {} {.}; cat'")
        .stdin("a\nb\n")
        .run()
        .ok()
        .stdout("1 1 {} {.}\na\n2 1 {} {.}\nb\n");
    space.exec("-k --pipe -n1 --tag cat").stdin("a\nb\n").run().ok().stdout("1\ta\n2\tb\n");
    space
        .exec("-k --pipe -n1 --tag={#}- -- sh -c 'echo \"${PRUN_ITEM-none}\" $PRUN_SEQ'")
        .stdin("a\nb\n")
        .run()
        .ok()
        .stdout("1-\tnone 1\n2-\tnone 2\n");
}

#[test]
fn an_attempt_gets_what_the_last_one_got() {
    let space = Space::new();
    let task = "-c 'cat >seen{#}.$PRUN_ATTEMPT; test $PRUN_ATTEMPT = 3'";
    for input in ["<lines", "-a lines", "<pipe"] {
        let exec = "prun exec --pipe --block 100k --retries 2 -k";
        let run = match input {
            "-a lines" => format!("{exec} -a lines {task}"),
            "<pipe" => format!("cat lines | {exec} {task}"),
            _ => format!("{exec} {task} <lines"),
        };
        let check = "for n in 1 2 3; do for a in 2 3; do cmp seen$n.1 seen$n.$a; done; done; \
                     cat $(ls seen*.3 | sort -t n -k2n) | cmp - lines; rm seen*";
        space.sh(&format!("{LINES} {run}; {check}")).run().ok();
    }
}

#[test]
fn a_failed_block_can_be_run_again() {
    let space = Space::new();
    space.write("lines", "a\nb\nc\n");
    let ended = space.exec("--pipe -a lines -n1 -c 'grep -qv b'").run();
    ended.code(1).stderr_has("tail -c +3 ").stderr_has("head -c 2 | ");
    space.exec("--pipe -n1 -c 'grep -qv b'").stdin("a\nb\n").run().code(1).stderr_lacks("head -c");
}

#[test]
fn a_task_that_reads_a_part_is_no_failure() {
    let space = Space::new();
    space
        .sh(&format!("{LINES} prun exec -k --pipe --block 400k head -1 <lines | wc -l"))
        .run()
        .ok()
        .stdout("3\n");
    space.sh("cat lines | prun exec -k --pipe --block 400k head -1 | wc -l").run().ok().stdout("3\n");
    space.sh("prun exec --pipe --block 400k true <lines").run().ok().stdout("");
    let ended = space.sh("seq 2000000 | prun exec -j2 --pipe --round-robin --block 10k head -1").run();
    ended.code(0).stderr_has("rest of the input").check(ended.lines().len() == 2, "two tasks");
}

#[test]
fn the_first_failure_stops_an_endless_input() {
    let space = Space::new();
    space.sh("yes | prun exec --pipe --fail-fast --block 100k -c 'exit 3'").run().code(3).within(60);
    space
        .sh("yes | prun exec -j2 --pipe --round-robin --fail-fast -c 'head -1; exit 3'")
        .run()
        .code(3)
        .within(60);
}

#[test]
fn a_signal_is_seen_while_much_flows() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    for options in ["--block 1G", "--round-robin", "-n 1000000000"] {
        let writer = "(head -c 100000000 /dev/zero | tr '\\0' '\\n'; puppet meet=writer; exec yes) >pipe";
        let run = format!("exec prun exec -j2 --pipe {options} -c 'cat >/dev/null' <pipe");
        let running = space.sh(&format!("mkfifo pipe; {writer} & {run}")).start();
        drop(meeting.guests(1));
        running.signal(Signal::SIGINT);
        running.end().died_of(Signal::SIGINT).within(60);
        space.sh("rm pipe").run().ok();
    }
}

#[test]
fn round_robin_keeps_few_tasks_that_read_all() {
    let space = Space::new();
    space.sh(LINES).run().ok();
    for input in ["prun exec -a lines", "cat lines | prun exec"] {
        let script =
            format!("{input} -j3 --pipe --round-robin --block 10k -c 'cat >part{{#}}; echo' | wc -l");
        space.sh(&script).run().ok().stdout("3\n");
        space
            .sh("cat part1 part2 part3 | sort | cksum >parts; sort lines | cksum | cmp - parts; rm part*")
            .run()
            .ok();
    }
    space.exec("-j4 --pipe --round-robin cat").stdin("one block\n").run().ok().stdout("one block\n");
}

#[test]
fn a_busy_task_is_given_less() {
    let space = Space::new();
    // The first one reads nothing before the second has read all that it is given.
    let task = "case {#} in 1) read x <turn; wc -c >first;; *) wc -c >second; echo >turn;; esac";
    space.sh("mkfifo turn; seq 3000000 >lines").run().ok();
    for input in ["prun exec -a lines", "cat lines | prun exec"] {
        for (block, most) in [("10k", 300_000), ("1M", 2_200_000)] {
            space.sh(&format!("{input} -j2 --pipe --round-robin --block {block} -c '{task}'")).run().ok();
            let number = |name: &str| space.read(name).trim().parse::<usize>().expect("wc prints a number");
            assert_eq!(number("first") + number("second"), 22_888_896, "{input} {block}");
            assert!(number("first") < most, "a pipe and a block of {block}: {}", number("first"));
        }
    }
}

#[test]
fn what_goes_from_pipe_to_pipe_is_whole() {
    let space = Space::new();
    let script = "seq 5000000 >lines; cat lines | prun exec -j3 --pipe --round-robin -c 'cat >part{#}'; \
                  cat part* | wc -c; sort -n part* | cmp - lines; \
                  cat lines | prun exec -j2 --pipe --round-robin --block 3M -c 'cat >part{#}'; \
                  sort -n part1 part2 | cmp - lines; rm part* lines";
    space.sh(script).run().ok().stdout("38888896\n");
    // Two take what they are given early, the others all the rest; nobody gets half a line.
    let script = "seq 3000000 | prun exec -j4 --pipe --round-robin -c '[ {#} -lt 3 ] && exec head -c 5; grep -vE \"^[0-9]+$\"; true'";
    let ended = space.sh(script).run();
    ended.ok().check(ended.stdout.len() == 10, "the first bytes of two blocks, and no broken line");
}

#[test]
fn blocks_that_are_passed_on_while_they_come_are_those_of_a_file() {
    let space = Space::new();
    // Lines of many lengths, one longer than a block, and a last one without an end.
    let make = "seq 1000000 >lines; head -c 3000000 /dev/zero | tr '\\0' x >>lines; echo >>lines; \
                seq 800000 >>lines; printf end >>lines";
    space.sh(make).run().ok();
    for shape in ["", "--block 300k", "--block 5M", "--block 1G", "--recend '7\\n'", "-L3", "--recstart 5"] {
        for tasks in ["-j1", "-j2", "-j8"] {
            let exec = format!("prun exec -k {tasks} --pipe {shape}");
            let script = format!(
                "{exec} cksum <lines >of-file; test -s of-file; cat lines | {exec} cksum | cmp - of-file; \
                 cat lines | {exec} cat | cmp - lines; \
                 cat lines | {exec} -c 'sleep 0.0{{#}}; cksum' | cmp - of-file"
            );
            space.sh(&script).run().ok();
        }
    }
    // A block that ends with the input has none behind it.
    let script = "head -c 1048576 /dev/zero | tr '\\0' '\\n' >lines; \
                  cat lines | prun exec --pipe --block 512KiB wc -c; mkfifo fifo; \
                  cat lines >fifo & prun exec --pipe --block 1MiB -a fifo wc -c";
    space.sh(script).run().ok().stdout("524288\n524288\n1048576\n");
}

#[test]
fn a_task_that_takes_nothing_keeps_no_other_from_its_block() {
    let space = Space::new();
    // The first one reads when the second has read all of its block.
    let task = "case {#} in 1) read x <turn; cksum >got1;; 2) cksum >got2; echo >turn;; esac";
    let script = "mkfifo turn; seq 2000000 >lines; cat lines | prun exec -j2 --pipe --block 9M -c";
    space
        .sh(&format!(
            "{script} '{task}'; prun exec -k --pipe --block 9M cksum <lines >of-file; \
                       cat got1 got2 | cmp - of-file"
        ))
        .run()
        .ok();
}

#[test]
fn tasks_that_end_early_leave_the_blocks_of_others_whole() {
    let space = Space::new();
    let script = "seq 3000000 >lines; cat lines | prun exec -k -j2 --pipe --block 4M -c \
                  'case {#} in 1) true;; 2) head -c1 >/dev/null; exit 3;; 4) exec <&-; echo closed;; *) cksum;; esac' >got; \
                  echo $?; prun exec -k --pipe --block 4M cksum <lines >of-file; sed '1,2d;4cclosed' of-file | cmp - got";
    space.sh(script).run().code(0).stdout("3\n");
    // Whoever can't be started leaves its block as well.
    let ended = space.sh("seq 3000000 | prun exec -j2 --pipe --block 4M /no/such/command").run();
    ended.code(127).stdout("");
    let ended =
        space.sh("seq 3000000 | prun exec -j2 --halt soon,fail=1 --pipe --block 4M -c 'wc -c; exit 4'").run();
    let is_whole = |line: &&str| line.parse::<u64>().is_ok_and(|count| count > 4_000_000);
    ended.code(4).check(ended.lines().iter().all(is_whole), "tasks that run get all of their block");
}

#[test]
fn where_a_block_may_be_wanted_again_it_is_whole() {
    let space = Space::new();
    space.sh("seq 2000000 >lines; prun exec -k --pipe --block 4M cksum <lines >of-file").run().ok();
    let task = "-c 'cksum; test $PRUN_ATTEMPT = 2'";
    for options in ["--retries 1", "--retries 1 -j1", "--timeout 100 --retries 1"] {
        let script = format!("cat lines | prun exec -k {options} --pipe --block 4M {task} | cmp - of-file");
        space.sh(&script).run().ok();
    }
    // The time of a task does not pass while its block comes.
    let slow = "{ head -c 200000 lines; read x <turn; tail -c +200001 lines; }";
    let script = format!(
        "mkfifo turn; (sleep 1; echo >turn) & {slow} | prun exec -k --timeout 0.9 --pipe --block 4M cksum | cmp - of-file"
    );
    space.sh(&script).run().ok();
    let ended = space.sh("cat lines | prun exec --dry-run --pipe --block 4M wc -c").run();
    ended.ok().check(ended.lines().len() == 4 && !ended.stdout.contains("head -c 0"), "whole blocks");
}

#[test]
fn memory_is_that_of_a_few_blocks() {
    let space = Space::new();
    let make = "head -c 400000000 /dev/zero | tr '\\0' '\\n'";
    for mode in ["--block 1M", "--round-robin", "--block 10M"] {
        let script =
            format!("{make} | puppet measure=rss prun exec -j2 --pipe {mode} wc -l | paste -sd+ | bc");
        space.sh(&script).run().ok().stdout("400000000\n");
        let peak: u64 = space.read("rss").parse().expect("puppet writes a number");
        assert!(peak < 64 << 10, "{mode}: {peak} KiB");
    }
}

#[test]
fn a_dry_run_tells_how_to_get_each_block() {
    let space = Space::new();
    space.write("a file", "a\nb\nc\n");
    let ended = space.exec("--dry-run --pipe -n2 -a 'a file' -- wc -l").run();
    ended.ok().check(ended.lines().len() == 2, "a line for each block");
    space.sh("prun exec --dry-run --pipe -n2 -a 'a file' -- cat | sh").run().ok().stdout("a\nb\nc\n");
    space
        .exec("--dry-run --pipe -n2 wc")
        .stdin("a\nb\nc\n")
        .run()
        .ok()
        .stdout("head -c 4 | wc\nhead -c 2 | wc\n");
}

#[test]
fn files_that_are_no_plain_files() {
    let space = Space::new();
    space.sh("prun exec --pipe -a /proc/self/status grep -c State:").run().ok().stdout("1\n");
    space.sh("mkfifo fifo; seq 3 >fifo & prun exec --pipe -a fifo cat").run().ok().stdout("1\n2\n3\n");
    space.sh("prun exec --pipe wc </").run().code(126).stderr_has("is a directory");
}

#[test]
fn what_does_not_go_together() {
    let space = Space::new();
    let cases = [
        ("--pipe wc ::: a", "takes no items"),
        ("--pipe -I% wc", "exclude each other"),
        ("--pipe -0 wc", "exclude each other"),
        ("--pipe --once wc", "exclude each other"),
        ("--pipe --stdin x wc", "exclude each other"),
        ("--pipe --worker wc", "exclude each other"),
        ("--pipe -c", "needs a command"),
        ("--block 1M wc", "goes with `--pipe`"),
        ("-L2 wc", "use `-n N`"),
        ("--round-robin wc", "goes with `--pipe`"),
        ("--pipe -L2 --recend x wc", "`-L`"),
        ("--pipe --recend '' wc", "empty"),
        ("--pipe --recend '\\q' wc", "--recend"),
        ("--pipe --block 0 wc", "expected a size"),
        ("--pipe --block many wc", "expected a size"),
        ("--pipe --round-robin -j0 wc", "-j4"),
        ("--pipe --round-robin --retries 1 wc", "--retries"),
    ];
    for (line, part) in cases {
        space.exec(line).stdin("a\n").run().code(125).stdout("").stderr_has(part);
    }
    space.exec("--pipepart -a /dev/null wc").run().ok();
}
