//! `prun exec`: sources of items, their place in the command, and options of one start.

use crate::meeting::Meeting;
use crate::space::{Space, word};

#[test]
fn lines_of_stdin_are_items() {
    let space = Space::new();
    space.exec("-k -- echo {}").stdin("a b\nc\n").run().ok().stdout("a b\nc\n");
    space
        .exec("-k -- echo {}")
        .stdin("a\nno newline at the end")
        .run()
        .ok()
        .stdout("a\nno newline at the end\n");
    space.exec("-- echo {}").stdin("").run().ok().stdout("");
}

#[test]
fn an_item_is_one_argument_whatever_it_holds() {
    let space = Space::new();
    let items = "  two  blanks \n-n\n*\n$HOME `id` \"q\" 'q' \\\n";
    space.exec(r"-k -- printf '%s\n' {}").stdin(items).run().ok().stdout(items);
    let bytes = space.sh(r"printf '\377\376\n' | prun exec -- printf '%s\n' {} | od -An -tx1").run();
    bytes.ok().stdout(" ff fe 0a\n");
}

#[test]
fn words_after_three_colons_are_items() {
    let space = Space::new();
    space.exec("-k echo {} ::: a 'b c' ''").run().ok().stdout("a\nb c\n\n");
    space.exec("-k echo {1}{2} ::: a b ::: c d").run().ok().stdout("ac\nad\nbc\nbd\n");
    space.exec("-k echo {2}-{1}-{} ::: a ::: c d").run().ok().stdout("c-a-a c\nd-a-a d\n");
}

#[test]
fn the_item_is_added_where_no_word_takes_it() {
    let space = Space::new();
    space.exec("-k echo x ::: a b").run().ok().stdout("x a\nx b\n");
    space.exec("-k echo x ::: a ::: b").run().ok().stdout("x a b\n");
    space.exec("-k echo {#} ::: a b").run().ok().stdout("1\n2\n");
    space.exec("-k -- echo -k -- ::: x").run().ok().stdout("-k -- x\n");
}

#[test]
fn items_from_a_file() {
    let space = Space::new();
    space.write("items", "a\nb\n");
    space.exec("-k -a items echo {}").stdin("not these\n").run().ok().stdout("a\nb\n");
    space.exec("-a missing echo").run().code(125).stdout("").stderr_has("missing");
}

#[test]
fn items_with_other_separators() {
    let space = Space::new();
    space.exec("-k -0 -- echo '<{}>'").stdin("a\nb\0c\0").run().ok().stdout("<a\nb>\n<c>\n");
    space.exec("-k -d, -- echo '<{}>'").stdin("a,b c,d\n").run().ok().stdout("<a>\n<b c>\n<d>\n");
}

#[test]
fn several_items_to_one_task() {
    let space = Space::new();
    let items = "a\nb\nc\nd\ne\n";
    space.exec("-k -n2 -- echo").stdin(items).run().ok().stdout("a b\nc d\ne\n");
    space.exec("-k -n2 -- echo {2}{1}").stdin("a\nb\nc\nd\n").run().ok().stdout("ba\ndc\n");
    space.exec("-X -j1 -- echo").stdin(items).run().ok().stdout("a b c d e\n");
    space.exec("-X -j1 -- echo x{}y").stdin(items).run().ok().stdout("xay xby xcy xdy xey\n");
}

#[test]
fn as_many_items_as_fit() {
    let space = Space::new();
    // 300,000 × 8 bytes and their pointers are more than one command line takes, so there are several tasks.
    let script = "seq -w 0000001 0300000 | prun exec -k -X -- echo | tr ' ' '\\n' >all; \
                  seq -w 0000001 0300000 | cmp - all && prun exec -k -X -- sh -c 'echo $#' sh <all | wc -l";
    let ended = space.sh(script).run();
    let tasks: usize = ended.ok().stdout.trim().parse().expect("a number of tasks");
    ended.check((2..100).contains(&tasks), "a handful of tasks");
}

#[test]
fn another_placeholder() {
    let space = Space::new();
    space.exec("-k -I@ echo x@y@ {} {#} ::: a b").run().ok().stdout("xaya {} {#}\nxbyb {} {#}\n");
    space.exec("-I@ echo x ::: a").run().ok().stdout("x\n");
}

#[test]
fn empty_items() {
    let space = Space::new();
    space.exec("-k -- echo '<{}>'").stdin("a\n\nb\n").run().ok().stdout("<a>\n<>\n<b>\n");
    space.exec("-k -r -- echo '<{}>'").stdin("a\n\nb\n").run().ok().stdout("<a>\n<b>\n");
    space.exec("-r -- echo x").stdin("").run().ok().stdout("");
}

#[test]
fn modifiers() {
    let space = Space::new();
    let line = "echo {.} {..} {/} {//} {/.} {%.tar.gz} {#} {%} ::: d/a.tar.gz";
    space.exec(line).run().ok().stdout("d/a.tar d/a a.tar.gz d a.tar d/a 1 1\n");
    space.exec("-k echo {2/.}:{1//} ::: d/a.x ::: e/b.y").run().ok().stdout("b:d\n");
    space.exec("-k echo '${x}' '{{}}' '%{x}' '{\"a\": 1}' '{ print $1 }' ::: i").run().ok();
    let json = space.exec(r#"printf '%s\n' '{"a": {}}' '{ print $1 }' ::: i"#).run();
    json.ok().stdout("{\"a\": i}\n{ print $1 }\n");
}

#[test]
fn scripts() {
    let space = Space::new();
    space.exec("-k -c 'echo {} | tr a-z A-Z' ::: ab 'c d'").run().ok().stdout("AB\nC D\n");
    space.exec("-k -c 'printf \"%s,\" \"$@\"' ::: 'x  y' ::: z").run().ok().stdout("x  y,z,");
    space.exec("-k -c").stdin("echo 1\necho 2 | cat; exit 0\n").run().ok().stdout("1\n2\n");
    space.exec("--shell bash 'echo ${BASH_VERSION:+bash} {}' ::: x").run().ok().stdout("bash x\n");
    let python = space.exec("--shell python3 'import sys; print(sys.argv[1:], {})' ::: x").run();
    python.ok().stdout("['x'] {}\n");
}

#[test]
fn without_items() {
    let space = Space::new();
    space.exec("--once -- cat").stdin("all of\nstdin").run().ok().stdout("all of\nstdin");
    space.exec("--once -- echo {} x").run().ok().stdout("{} x\n");
    space.exec("-k --repeat 3 -- echo {#}").run().ok().stdout("1\n2\n3\n");
    space.exec("--once -- false").run().code(1);
}

#[test]
fn folder_and_environment() {
    let space = Space::new();
    space.write("sub/file", "");
    space.exec("-C sub -- ls {} ::: file").run().ok().stdout("file\n");
    space.exec("--env A=b --env I={} -c 'echo $A $I' ::: x").run().ok().stdout("b x\n");
    let told = "-j1 -k -c 'echo $PRUN_SEQ $PRUN_SLOT $PRUN_ATTEMPT $PRUN_ITEM ${PRUN_RUN_ID:+run}' ::: a b";
    space.exec(told).run().ok().stdout("1 1 1 a run\n2 1 1 b run\n");
    let pid = space.sh("exec prun exec -c 'test $PRUN_PID = $PPID && echo {}' ::: same").run();
    pid.ok().stdout("same\n");
}

#[test]
fn streams_to_and_from_files() {
    let space = Space::new();
    space.write("a.in", "from a\n").write("b.in", "from b\n");
    let ended = space
        .exec("-k --stdin {}.in --stdout out/{}.txt --stderr err/{} -c 'cat; echo e{} >&2' ::: a b")
        .run();
    ended.ok().stdout("");
    assert_eq!((space.read("out/a.txt"), space.read("out/b.txt")), ("from a\n".into(), "from b\n".into()));
    assert_eq!((space.read("err/a"), space.read("err/b")), ("ea\n".into(), "eb\n".into()));
    space.exec("-k --stdout all echo {} ::: 1 2 3").run().ok().stdout("");
    assert_eq!(space.read("all"), "1\n2\n3\n");
    let ended = space.exec("--stdin nowhere -c cat ::: a").run();
    ended.check(!ended.status.success(), "a stdin that is not there is a failure").stderr_has("nowhere");
}

#[test]
fn tasks_read_nothing_by_default() {
    let space = Space::new();
    let ended = space.exec("-k -c 'cat; readlink -f /proc/$$/fd/0'").stdin("a\nb\n").run();
    // Without COMMAND each item would be a script; with it, the items are arguments and stdin is empty.
    ended.ok().stdout("/dev/null\n/dev/null\n");
}

#[test]
fn a_dry_run_prints_what_a_shell_can_run() {
    let space = Space::new();
    space.exec("--dry-run -- touch {} ::: no").run().ok();
    space.exec("--dry-run -j1 -- touch {} ::: one two").run().ok().stdout("touch one\ntouch two\n");
    assert!(!space.exists("no"));
    let items = "a b\0$(touch PWN)\0'q' \"q\"\0back\\slash\0two\nlines\0-n\0\0tab\there\0~\0*\0#x\0";
    space.write("items", items);
    let script = "prun exec -k -0 -a items -- printf '<%s>' {} >real && \
                  prun exec -k -0 -a items --dry-run -- printf '<%s>' {} >lines && sh lines >again && cmp real again && cat real";
    let ended = space.sh(script).run();
    ended.ok().stdout_has("<$(touch PWN)>").stdout_has("<two\nlines>");
    assert!(!space.exists("PWN"));
    let script = "prun exec -k -c 'echo {} | cat' ::: 'a b' \"it's\" >real; \
                  prun exec -k -c --dry-run 'echo {} | cat' ::: 'a b' \"it's\" | sh | cmp - real";
    space.sh(script).run().ok();
}

#[test]
fn verbose_and_quiet() {
    let space = Space::new();
    space.exec("-v -k -- echo {} ::: 'a b'").run().code(0).stdout("a b\n").stderr_has("echo 'a b'");
    space.exec("-q -- echo {} ::: a").run().ok().stdout("a\n");
    space.exec("-q -- sh -c 'exit 3' sh {} ::: a").run().code(3).stderr_has("exit 3");
}

#[test]
fn the_first_task_starts_with_the_first_line() {
    let space = Space::new();
    let mut running = space.exec("-- echo got").open_stdin().start();
    running.feed(b"a\n");
    running.shows("got a\n");
    running.feed(b"b");
    running.close_stdin();
    running.end().ok().stdout("got a\ngot b\n");
}

#[test]
fn at_most_so_many_at_once_and_the_lowest_free_slot() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec("-j2 -- puppet meet={}{%} hold ::: a b c d").start();
    let mut guests = meeting.guests(2);
    assert_eq!((guests[0].name.as_str(), guests[1].name.as_str()), ("a1", "b2"));
    assert!(!meeting.has_guest(), "a third while two are running");
    guests[1].tell("exit=0");
    guests.push(meeting.guest());
    assert_eq!(guests[2].name, "c2");
    guests[0].tell("exit=0");
    guests.push(meeting.guest());
    assert_eq!(guests[3].name, "d1");
    drop(guests);
    running.end().ok();
}

#[test]
fn all_at_once() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec("-j0 --repeat 30 -- puppet meet={#} hold").start();
    drop(meeting.guests(30));
    running.end().ok();
}

#[test]
fn names_that_hands_know() {
    let space = Space::new();
    space.exec("-P2 -k echo {} ::: a").run().ok().stdout("a\n");
    space.exec("-k -N2 echo ::: a b c").run().ok().stdout("a b\nc\n");
    space.exec("-t echo {} ::: a").run().code(0).stderr_has("echo a");
    space.exec("-k --tagstring {#} --lb echo {} ::: a").run().ok().stdout("1\ta\n");
    space.exec("--wd / -c pwd ::: x").run().ok().stdout("/\n");
}

#[test]
fn wrong_flags_say_what_to_do() {
    let space = Space::new();
    space.exec("-i echo {} ::: a").run().code(125).stdout("").stderr_has("-I");
    space.exec("--keep-ordre echo {} ::: a").run().code(125).stderr_has("--keep-order");
    space.exec("-j x echo {} ::: a").run().code(125).stderr_has("x");
    space.exec("").run().code(125).stdout("");
    space.exec("--timeout soon echo ::: a").run().code(125).stderr_has("soon");
    space.exec("--shuf echo ::: a").run().code(125).stderr_has("--shuf");
}

#[test]
fn perl_is_refused_before_anything_runs() {
    let space = Space::new();
    space.exec("echo {} '{= s/a/b/ =}' ::: a").run().code(125).stdout("").stderr_has("Perl");
    space.exec("-c 'echo x{=$_++=}' ::: a").run().code(125).stdout("").stderr_has("`-I STR`");
    space.exec("-I@ echo '{= @ =}' ::: a").run().ok().stdout("{= a =}\n");
    space.exec("echo '{{= x =}}' '{=' '{a==}' ::: a").run().ok().stdout("{{= x =}} {= {a==} a\n");
}

#[test]
fn a_nul_in_an_argument_is_an_error_of_that_task() {
    let space = Space::new();
    let ended = space.exec("-k -d, -- echo {}").stdin(b"a,b\0c,d\n".to_vec()).run();
    ended
        .check(ended.status.code().is_some_and(|code| code != 0), "it fails")
        .stdout("a\nd\n")
        .stderr_has("NUL");
}

#[test]
fn bytes_that_are_no_text_in_arguments() {
    let space = Space::new();
    let ended = space.exec("-k printf '%s|' {} :::").arg(word(b"\xff\xfe")).arg("ok").run();
    ended.ok().stdout("\u{fffd}\u{fffd}|ok|");
}

#[test]
fn a_line_in_one_word_is_told_once() {
    let space = Space::new();
    for line in ["'cat {} | wc -l' ::: a b c", "'ls /' ::: a b c", "--dry-run 'ls {}' ::: a b"] {
        let ended = space.exec(line).run();
        ended
            .code(127)
            .stdout("")
            .stderr_has("is one word, and there is no program of that name; for a shell: `prun exec -c '");
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
    space.program("a b", "#!/bin/sh\necho \"ran $1\"\n").exec("'./a b' ::: x").run().ok().stdout("ran x\n");
}

#[test]
fn a_script_that_begins_with_a_dash_is_no_option() {
    let space = Space::new();
    space.program("--loud", "#!/bin/sh\necho loud \"$@\"\n").program("-x", "#!/bin/sh\necho x\n");
    let with = |line: &str| space.sh(&format!("PATH=$PWD:$PATH; prun exec {line}")).run();
    with("--once -c -- '--loud a'").ok().stdout("loud a\n");
    with("-c -- '--loud {}' ::: b").ok().stdout("loud b\n");
    with("-c ::: --loud -x").ok().stdout_sorted(&["loud", "x"]);
    for shell in ["bash", "bash -eu", "zsh", "dash -e"] {
        with(&format!("--shell '{shell}' -- '--loud {{}}' ::: c")).ok().stdout("loud c\n");
    }
    with("--dry-run -c -- '--loud {}' ::: b").ok().stdout("/bin/sh -c -- \"--loud 'b'\" sh b\n");
}

#[test]
fn scripts_of_job_files_hooks_and_probes_may_begin_with_a_dash() {
    let space = Space::new();
    space.program("--mark", "#!/bin/sh\necho \"$@\" >>marks\n");
    let toml = r#"
        [run]
        on_exit = { script = "--mark exit" }
        [defaults]
        env.PATH = ".:/usr/bin:/bin"
        shell = ["bash", "-o", "pipefail", "-c"]
        [jobs.a]
        script = "--mark script"
        on_success = { script = "--mark hook" }
        [jobs.s]
        daemon = true
        command = "sleep 100"
        ready = { command = { script = "--mark ready" } }
        [jobs.z]
        after = ["a", "s"]
        each.command = { script = "--mark list; echo 1" }
        script = "--mark z"
    "#;
    space.file(toml).run().ok();
    let mut marks: Vec<String> = space.read("marks").lines().map(str::to_owned).collect();
    marks.sort_unstable();
    marks.dedup();
    assert_eq!(marks, ["exit", "hook", "list", "ready", "script", "z"]);
}
