//! The output of tasks: grouped, by lines or raw; in order; tagged; into files.

use crate::meeting::Meeting;
use crate::space::Space;

#[test]
fn a_group_is_in_one_piece() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec("-j2 -- puppet meet={} hold ::: a b").start();
    let mut guests = meeting.guests(2);
    for (guest, step) in [(0, "line=a1"), (1, "line=b1"), (0, "line=a2"), (1, "line=b2")] {
        guests[guest].tell(step);
        guests[guest].tell("say=done");
        guests[guest].hears("done");
    }
    guests[1].tell("exit=0");
    running.shows("b2");
    guests[0].tell("exit=0");
    running.end().ok().stdout("b1\nb2\na1\na2\n");
}

#[test]
fn lines_come_as_they_are_written() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec("-j2 --output line -- puppet meet={} hold ::: a b").start();
    let mut guests = meeting.guests(2);
    for (guest, line) in [(0, "a1"), (1, "b1"), (0, "a2")] {
        guests[guest].tell(&format!("line={line}"));
        running.shows(line);
    }
    drop(guests);
    running.end().ok().stdout("a1\nb1\na2\n");
}

#[test]
fn lines_are_never_mixed() {
    let space = Space::new();
    let script = r#"prun exec -j6 --output line -- awk -v c={} 'BEGIN {
                        while (length(s) < 8191) s = s c; for (i = 0; i < 200; i++) { print s; fflush() } }' \
                        ::: a b c d e f |
                    awk '{ c = substr($0, 1, 1); n[c]++; if (length($0) != 8191) bad++; gsub(c, ""); if (length($0)) bad++ }
                        END { for (c in n) print c, n[c]; print "bad", bad + 0 }' | sort"#;
    space.sh(script).run().ok().stdout("a 200\nb 200\nbad 0\nc 200\nd 200\ne 200\nf 200\n");
}

#[test]
fn raw_output_is_pruns_own() {
    let space = Space::new();
    space.sh("prun exec -u -c 'readlink /proc/$$/fd/1' ::: x >own; cat own").run().stdout_has("/own");
    space.sh("prun exec -c 'readlink /proc/$$/fd/1' ::: x >own; cat own").run().ok().stdout_has("pipe:");
}

#[test]
fn in_order_the_first_unfinished_task_is_live() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec("-k -j3 -- puppet meet={} hold ::: a b c").start();
    let mut guests = meeting.guests(3);
    guests[1].tell("line=b1");
    guests[1].tell("exit=0");
    guests[1].is_gone();
    guests[2].tell("line=c1");
    guests[0].tell("line=a1");
    running.shows("a1\n");
    assert_eq!(running.stdout_so_far(), "a1\n", "nothing of the others while the first is running");
    guests[0].tell("line=a2");
    guests[0].tell("exit=0");
    running.shows("a2\nb1\nc1\n");
    guests[2].tell("exit=0");
    running.end().ok().stdout("a1\na2\nb1\nc1\n");
}

#[test]
fn the_only_task_left_is_live() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec("-- puppet meet={} hold ::: a").start();
    let mut guest = meeting.guest();
    guest.tell("line=early");
    running.shows("early\n");
    guest.tell("exit=0");
    running.end().ok();
}

#[test]
fn a_live_prompt_needs_no_newline() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec("-k -c 'printf \"name? \"; puppet meet=x hold' ::: a").start();
    let mut guest = meeting.guest();
    running.shows("name? ");
    guest.tell("exit=0");
    running.end().ok().stdout("name? ");
}

#[test]
fn tags() {
    let space = Space::new();
    space.exec("-k --tag -c 'echo 1; echo 2' ::: a 'b c'").run().ok().stdout("a\t1\na\t2\nb c\t1\nb c\t2\n");
    space.exec("-k --tag={#}/{} echo {} ::: a b").run().ok().stdout("1/a\ta\n2/b\tb\n");
    space.exec("--tag --output line echo {} ::: a").run().ok().stdout("a\ta\n");
    space.exec("--tag -c 'echo e >&2' ::: a").run().code(0).stdout("").stderr_has("a\te\n");
    let tagged = space
        .file("run.tag = true\njobs.one.command = 'echo 1'\njobs.two = { command = 'echo 2', each = ['x'] }")
        .run();
    tagged.ok().stdout_sorted(&["one\t1", "two x\t2 x"]);
}

#[test]
fn lines_have_one_tag_each_whatever_is_in_them() {
    let space = Space::new();
    let tagged = |flags: &str, printed: &str| {
        let script = format!("prun exec -k -j1 {flags} -c 'printf \"{printed}\"' ::: a b ::: y");
        space.sh(&script).run().ok().stdout.clone()
    };
    for flags in ["--tag", "--tag --output line", "--tagstring '{1} {2}'"] {
        let lines = "T\t\nT\t\nT\tx\nT\t\n";
        let expected = lines.replace('T', "a y") + &lines.replace('T', "b y");
        assert_eq!(tagged(flags, r"\n\nx\n\n"), expected, "{flags}");
        assert_eq!(
            tagged(flags, r"1\0002\r\n3\n"),
            "a y\t1\x002\r\na y\t3\nb y\t1\x002\r\nb y\t3\n",
            "{flags}"
        );
        assert_eq!(tagged(flags, ""), "", "{flags}");
    }
    // A task's last line without end is not ended by prun; the next one begins behind it.
    space.exec("-k --tag -c 'printf \"1\n2\"' ::: a b").run().ok().stdout("a\t1\na\t2b\t1\nb\t2");
    space.exec("-k --output line -c 'printf \"1\n2\"' ::: a b").run().ok().stdout("1\n21\n2");
}

#[test]
fn within_a_group_stderr_stands_behind_stdout() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let script = "prun exec -j2 --tag -c 'echo o1; echo e1 >&2; echo o2; test {} = a || exec puppet meet=b hold' \
                  ::: a b 2>&1";
    let running = space.sh(script).start();
    let mut guest = meeting.guest();
    running.shows("a\to1\na\to2\na\te1\n");
    guest.tell("exit=0");
    running.end().code(0);
}

#[test]
fn what_prun_does_not_see_it_can_neither_tag_nor_put_in_order() {
    let space = Space::new();
    space.write("prun.toml", "jobs.a.command = 'touch ran'");
    for command in ["", "exec touch ran ::: a"] {
        let (verb, rest) = command.split_at(command.find(' ').unwrap_or(0));
        for (flags, named) in
            [("-u --tag", "`--tag`"), ("--output raw --tag=x", "`--tag`"), ("-k -u", "`--keep-order`")]
        {
            space
                .prun(&format!("{verb} {flags} {rest}"))
                .run()
                .code(125)
                .stderr_has(named)
                .stderr_has("--output line");
        }
    }
    assert!(!space.exists("ran"));
    space.exec("-u --lb --tag echo ::: a").run().ok().stdout("a\ta\n");
}

#[test]
fn stdout_and_stderr_stay_apart() {
    let space = Space::new();
    let ended = space.exec("-k -c 'echo o{}; echo e{} >&2' ::: 1 2").run();
    ended.code(0).stdout("o1\no2\n");
    ended.check(ended.stderr == "e1\ne2\n", "stderr of the tasks, unchanged");
    let joined = space.file("[jobs.a]\nscript = 'echo 1; echo 2 >&2; echo 3'\nstderr = 'stdout'").run();
    joined.ok().stdout("1\n2\n3\n");
}

#[test]
fn much_output_is_kept_for_grouping_in_little_memory() {
    let space = Space::new();
    let script = "exec 3>sum; { puppet measure=rss prun exec -k -j3 -c \
                  'head -c 40000000 /dev/zero | tr \"\\0\" {}; echo' ::: a b c; } | cksum >&3; \
                  for c in a b c; do head -c 40000000 /dev/zero | tr '\\0' $c; echo; done | cksum | cmp - sum && cat rss";
    let ended = space.sh(script).run();
    let rss: u64 = ended.ok().stdout.parse().expect("KiB");
    ended.check(rss < 64 << 10, "less than 64 MiB resident");
}

#[test]
fn output_to_files() {
    let space = Space::new();
    let toml = r#"
        [jobs.each]
        each = ["a", "b"]
        command = "echo {}"
        stdout.file = "made/{#}-{}.txt"

        [jobs.whole]
        each = [1, 2, 3]
        command = "echo {}"
        keep_order = true
        stdout = { file = "whole.txt", append = true }

        [jobs.both]
        command = "echo both"
        stdout = { file = "both.txt", show = true }
    "#;
    space.write("whole.txt", "old\n");
    space.file(toml).run().ok().stdout("both\n");
    assert_eq!(space.read("made/1-a.txt") + &space.read("made/2-b.txt"), "a\nb\n");
    assert_eq!(space.read("whole.txt"), "old\n1\n2\n3\n");
    assert_eq!(space.read("both.txt"), "both\n");
}

#[test]
fn output_to_nowhere_and_to_pruns_own() {
    let space = Space::new();
    let toml = "[jobs.a]\nscript = 'echo no; echo no >&2'\nstdout = 'null'\nstderr = 'null'\n";
    space.file(toml).run().ok().stdout("");
    let toml = "[jobs.a]\nscript = 'readlink /proc/$$/fd/1'\nstdout = 'inherit'\n";
    space.write("prun.toml", toml).sh("prun >own; cat own").run().ok().stdout_has("/own");
}

#[test]
fn little_output_needs_no_thread_to_write_it() {
    let space = Space::new();
    let script = "if test $1 -lt 4; then echo $1; else cat /proc/$PPID/task/*/comm; fi";
    let ended = space.exec("-j1 -c").arg(script).arg(":::").arg("1").arg("2").arg("3").arg("4").run();
    ended.ok().stdout_has("1\n2\n3\nprun\n");
    ended.check(!ended.stdout.contains("prun-writer"), "a pipe took all of it at once");
}

#[test]
fn output_waits_for_a_slow_reader_without_a_loss() {
    let space = Space::new();
    // More than a pipe holds, in many pieces, and nobody reads until all of it was written by the tasks.
    let script = "seq 500 | prun exec -j4 -k sh -c 'seq -w 1000000 $1 2000000 | head -c 200' sh >expected
        seq 500 | { prun exec -j4 -k sh -c 'seq -w 1000000 $1 2000000 | head -c 200; test $1 != 500 || echo >go' sh; } |
        { read -r _ <go; cmp - expected && echo same; }";
    let script = format!("mkfifo go; exec 3<>go; {script}");
    space.sh(&script).run().ok().stdout("same\n");
}
