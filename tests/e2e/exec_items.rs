//! `prun exec`: every source of items, and how items are split into words, columns and tables.

use std::fs::File;
use std::io::Write;
use std::sync::mpsc::channel;

use nix::sys::signal::Signal;

use crate::space::Space;

/// A space with files of items: `n` (1 to 3), `l` (a, b) and the empty `none`.
fn with_lists() -> Space {
    let space = Space::new();
    space.write("n", "1\n2\n3\n").write("l", "a\nb\n").write("none", "");
    space
}

#[test]
fn several_sources() {
    let space = with_lists();
    for (line, printed) in [
        ("echo ::: a b c :::+ 1 2", "a 1\nb 2\n"),
        ("echo ::: a b ::: x y :::+ 1 2", "a x 1\na y 2\nb x 1\nb y 2\n"),
        ("echo ::: a b :::+ 1 2 ::: x y", "a 1 x\na 1 y\nb 2 x\nb 2 y\n"),
        ("echo ::: a b :::+ 1 2 :::+ x y z", "a 1 x\nb 2 y\n"),
        ("echo {2}{1} :::: n l", "a1\nb1\na2\nb2\na3\nb3\n"),
        ("echo :::: n ::::+ l l", "1 a a\n2 b b\n"),
        ("-a n -a l echo", "1 a\n1 b\n2 a\n2 b\n3 a\n3 b\n"),
        ("-a l echo ::: x :::: l", "a x a\na x b\nb x a\nb x b\n"),
        ("-a n echo ::::+ l", "1 a\n2 b\n"),
        ("--link echo :::: n l", "1 a\n2 b\n3 a\n"),
        ("--link echo ::: a b ::: 1 2 3 4 5 ::: x", "a 1 x\nb 2 x\na 3 x\nb 4 x\na 5 x\n"),
        ("--xapply echo ::: a b :::+ 1 2 :::: n", "a 1 1\nb 2 2\na 1 3\n"),
        ("echo :::: n none", ""),
        ("echo :::: none n", ""),
        ("--link echo :::: n ::: ", ""),
        ("-n2 echo ::: a b ::: 1 2", "a 1 a 2\nb 1 b 2\n"),
    ] {
        space.exec(&format!("-k {line}")).run().ok().stdout(printed);
    }
}

#[test]
fn stdin_among_sources() {
    let space = with_lists();
    for (line, printed) in [
        ("echo :::: - l", "q a\nq b\nr a\nr b\n"),
        ("echo :::: l -", "a q\na r\nb q\nb r\n"),
        ("echo ::: x y ::::+ -", "x q\ny r\n"),
        ("--link echo ::: x y z :::: -", "x q\ny r\nz q\n"),
        ("-a - echo ::: x", "q x\nr x\n"),
    ] {
        space.exec(&format!("-k {line}")).stdin("q\nr\n").run().ok().stdout(printed);
    }
    space.exec("echo :::: - -").run().code(125).stderr_has("stdin is named twice");
    space.exec("-a - echo :::: l -").run().code(125).stderr_has("stdin is named twice");
}

#[test]
fn the_first_of_several_sources_is_a_stream() {
    let space = with_lists();
    for options in ["", "--words", "--csv", "--colsep ,", "--link"] {
        let mut running =
            space.exec(&format!("-j1 {options} -- echo got :::: - n ::: x")).open_stdin().start();
        running.feed(b"first\n");
        running.shows("got first 1 x\n");
        running.feed(b"second\n");
        running.shows("got second ");
        running.close_stdin();
        running.end().ok();
    }
}

#[test]
fn a_source_that_has_ended_is_the_end_of_what_is_in_step_with_it() {
    let space = with_lists();
    let mut running = space.exec("-k -- echo :::: - ::::+ l").open_stdin().start();
    running.feed(b"1\n2\n");
    running.end().ok().stdout("1 a\n2 b\n");
}

#[test]
fn a_header_alone_starts_nothing_and_the_first_row_is_not_waited_for() {
    let space = Space::new();
    let mut running = space.exec("-k --csv --header -- echo {b}-{a}").open_stdin().start();
    running.feed(b"a,b\n1,2\n");
    running.shows("2-1\n");
    running.feed(b"3,4");
    running.close_stdin();
    running.end().ok().stdout("2-1\n4-3\n");
}

#[test]
fn waiting_for_one_source_prun_listens() {
    let space = with_lists();
    space.sh("mkfifo pipe").run().ok();
    let mut running = space.exec("-k -v -- echo :::: - pipe").open_stdin().start();
    running.feed(b"a\n");
    // Whoever opens a pipe for writing waits until prun has opened it for reading.
    std::fs::write(space.path("pipe"), "x\n").expect("prun reads the pipe");
    running.shows("a x\n");
    running.feed(b"b\n");
    running.shows("b x\n");
    running.signal(Signal::SIGTERM);
    running.end().died_of(Signal::SIGTERM);
}

#[test]
fn a_source_that_never_ends_can_be_interrupted() {
    let space = Space::new();
    space.sh("mkfifo pipe").run().ok();
    let running = space.exec("-- echo ::: a :::: pipe").start();
    let (tell, told) = channel();
    let path = space.path("pipe");
    let writer = std::thread::spawn(move || {
        let mut pipe = File::options().write(true).open(path).expect("prun reads the pipe");
        let lines = b"line\n".repeat(20_000);
        while pipe.write_all(&lines).is_ok() {
            // The test may have heard enough.
            let _ = tell.send(());
        }
    });
    for _ in 0..5 {
        told.recv().expect("prun reads on");
    }
    running.signal(Signal::SIGTERM);
    running.end().died_of(Signal::SIGTERM).stdout("");
    writer.join().expect("prun has closed the pipe");
}

#[test]
fn words_as_xargs_reads_them() {
    let space = Space::new();
    let text = "'a b'c  \"d'e\"\\ f\t''\n\n x\\\ny \\\\\n";
    let ours = space.exec(r"-k --words -- printf '<%s>' {}").stdin(text).run();
    ours.ok().stdout("<a bc><d'e f><><x\ny><\\>");
    space.write("text", text);
    let theirs = space.sh(r"xargs printf '<%s>' <text").run();
    theirs.ok().stdout(&ours.stdout);
    space.exec("-k --words -n2 echo").stdin("a b\nc\n").run().ok().stdout("a b\nc\n");
    space.exec("-k --words -r echo").stdin("a '' b").run().ok().stdout("a\nb\n");
    let open = space.exec("-k --words echo").stdin("a\nb 'c\nd\n").run();
    open.check(!open.status.success(), "half of the items can't be right").stdout("a\nb\n");
    open.stderr_has("could not read items from stdin: the ' in line 2 is not closed");
}

#[test]
fn columns() {
    let space = Space::new();
    space.write("table", "x y\n\nz  w\n");
    for (line, printed) in [
        (r"--colsep '\s+' echo {2}-{1} :::: table", "y-x\n-\nw-z\n"),
        (r"-r --colsep '\s+' echo :::: table", "x y\nz w\n"),
        ("--colsep , echo [{2}{-1}] ::: a,b c", "[bb]\n[c]\n"),
        ("--colsep , echo {} {2/.} ::: a,b/c.d", "a b/c.d c\n"),
        ("--colsep '[,;]' echo {3}{2}{1} ::: 'a,b;c'", "cba\n"),
        (r"-d\; --colsep = echo {2} ::: a=1", "1\n"),
        ("--words --colsep = echo {2} ::: a=1", "1\n"),
        ("-n2 --colsep , echo {2} {1} ::: a,1 b,2 c,3", "1 2 a b\n3 c\n"),
        ("-X -j1 --colsep , echo {2} ::: a,1 b,2 c,3", "1 2 3\n"),
        ("-n2 --colsep , echo {1} ::: a b,2", "a b\n"),
        ("--colsep , echo {1}+{2}+{3} ::: a,b ::: x y", "a+b+x\na+b+y\n"),
        ("-I@ --colsep , echo @ {1} ::: a,b", "a b {1}\n"),
    ] {
        space.exec(&format!("-k {line}")).run().ok().stdout(printed);
    }
    space.exec(r"-k -d '\x1f' --colsep = -- echo {2}").stdin("a=1\x1fb=2\n").run().ok().stdout("1\n2\n");
    space.exec(r"-k -0 --colsep '\n' -- echo {2}").stdin("a\nb\0c\nd\0").run().ok().stdout("b\nd\n");
    for (regex, part) in [("(", "is not a regular expression"), ("'|'", "matches the empty string")] {
        space.exec(&format!("--colsep {regex} echo ::: a")).run().code(125).stdout("").stderr_has(part);
    }
}

#[test]
fn tables_of_comma_separated_values() {
    let space = Space::new();
    let table = "name,what\r\n\"a, b\",\"say \"\"hi\"\"\"\r\n\"two\nlines\",\n";
    space.write("table", table);
    let printed = "<say \"hi\"><a, b>\n<><two\nlines>\n";
    space.exec(r"-k --csv --header -a table printf '<%s><%s>\n' {what} {name}").run().ok().stdout(printed);
    space.exec("-k --csv echo {2} ::: 'a,\"b,c\"' d").run().ok().stdout("b,c\n\n");
    space.exec("-k --csv --colsep ';' echo {2} ::: 'a;\"b;c\"'").run().ok().stdout("b;c\n");
    space.exec(r"-k --csv --colsep '\t' -- echo {2}").stdin("a\tb,c\n").run().ok().stdout("b,c\n");
    space.exec("--csv --colsep ab echo ::: x").run().code(125).stderr_has("one character");
    space.exec("--csv -0 echo ::: x").run().code(125).stderr_has("exclude each other");
}

#[test]
fn headers() {
    let space = Space::new();
    space.write("os", "os\nlinux\nbsd\n").write("t", "id name\n1 a/x.c\n2 b\n").write("none", "");
    for (line, printed) in [
        ("--header echo {v}-{os} :::: os ::: v 1 2", "1-linux\n2-linux\n1-bsd\n2-bsd\n"),
        ("--header : --link echo {v}-{os} :::: os ::: v 1 2", "1-linux\n2-bsd\n"),
        ("--header : --colsep ' ' echo {name/.}:{id}:{2} :::: t", "x:1:a/x.c\nb:2:b\n"),
        ("--colsep ' ' --header echo {n}{name}{id} ::: n 9 :::: t", "9a/x.c1\n9b2\n"),
        ("--colsep , --header echo {c}{b}{a} ::: a,b 1,2 3 ::: c 9", "921\n93\n"),
        ("--header --words echo '{a b}' ::: 'a b' 1", "1\n"),
        ("--header echo {os} ::: os", ""),
        ("--header echo {print} {os} :::: os", "{print} linux\n{print} bsd\n"),
    ] {
        space.exec(&format!("-k {line}")).run().ok().stdout(printed);
    }
    let list = space.exec("-k --header : echo {line/}").stdin("line\na/b\nc\n").run();
    list.ok().stdout("b\nc\n");
    for (line, part) in [
        ("echo ::: a 1 ::: a 2", "two columns are called `a`"),
        ("--colsep ' ' echo :::: t ::: id 5", "two columns are called `id`"),
        ("--csv echo :::: none", "is empty, but `--header` takes names"),
        ("echo ::: a 1 :::: none", "is empty, but `--header` takes names"),
        ("echo ::: a 1 ::: ", "one has no words"),
        ("--colsep , echo ::: a 1,2 ::: b 3", "has more columns than the header"),
        ("--colsep ' ' echo ::: b 3 :::: os t t", "two columns are called"),
        ("echo {linx} ::: linux 1", "did you mean `{linux}`?"),
    ] {
        let ended = space.exec(&format!("--header {line}")).run();
        ended.check(!ended.status.success(), "it is a mistake").stdout("").stderr_has(part);
    }
    space.exec("--header --pipe wc").run().code(125).stderr_has("exclude each other");
}

/// Items that mean something to a shell, to a terminal or to a careless program.
const HOSTILE: [&str; 9] = [
    "$(touch PWN)",
    "`touch PWN`",
    "'; touch PWN; '",
    "\"; touch PWN; \"",
    "-n",
    "two\nlines; touch PWN",
    "\\",
    "",
    "{} {1} {#}",
];

#[test]
fn hostile_items_stay_items() {
    let space = Space::new();
    let contexts = [
        ("printf '%s|' {}", ""),
        (r#"-c 'printf "%s|" {}'"#, "bare"),
        (r#"-c 'printf "%s|" "{}"'"#, "double"),
        (r#"-c "printf '%s|' '{}'""#, "single"),
        (r#"-c 'printf "%s|" "$1"'"#, "parameter"),
    ];
    let records: String = HOSTILE.iter().map(|item| format!("{item}\0")).collect();
    let quoted = |item: &&str| format!("\"{}\"\n", item.replace('"', "\"\""));
    let table: String = HOSTILE.iter().map(quoted).collect();
    space.write("records", records).write("table", format!("name\n{table}")).write("table2", "n\n1\n");
    let expected: String = HOSTILE.iter().map(|item| format!("{item}|")).collect();
    for (command, context) in contexts {
        let named = command.replace("{}", "{name}");
        for line in [
            format!("-0 -a records {command}"),
            format!("-0 --colsep , {command} :::: records"),
            format!("--csv --header -a table {named}"),
            format!("--csv --header --link {named} :::: table table2"),
        ] {
            space.exec(&format!("-k {line}")).run().ok().stdout(&expected);
            assert!(!space.exists("PWN"), "{context}: {line}");
        }
        let mut given = space.exec(&format!("-k {command} :::"));
        for item in HOSTILE {
            given = given.arg(item);
        }
        given.run().ok().stdout(&expected);
        assert!(!space.exists("PWN"), "{context}");
    }
}

#[test]
fn a_nul_in_a_column_is_an_error_of_that_task() {
    let space = Space::new();
    space.write("table", "a,b\0\nc,d\n");
    for options in ["--csv", "--colsep ,", "--words"] {
        let ended = space.exec(&format!("-k {options} -a table echo {{-1}}")).run();
        ended.check(!ended.status.success(), "it fails").stderr_has("NUL").stdout_has("d\n");
    }
}

#[test]
fn functions_of_bash_are_commands() {
    let space = Space::new();
    let functions =
        "f() { printf '<%s>' \"$@\"; echo; }; g-h() { cat; }; true() { echo no; }; export -f f g-h true\n";
    let bash = |script: &str| space.bash(&format!("{functions}{script}")).run();
    bash(r#"prun exec -k f {} x{.} ::: 'a b' '$(touch PWN).c'"#)
        .ok()
        .stdout("<a b><xa b>\n<$(touch PWN).c><x$(touch PWN)>\n");
    assert!(!space.exists("PWN"));
    bash("prun exec -k -n2 f ::: a '' c").ok().stdout("<a><>\n<c>\n");
    bash("prun exec -k --pipe -n1 g-h <<<'a\nb'").ok();
    bash("prun exec true ::: a").ok().stdout("");
    bash("prun exec --dry-run -j1 f ::: \"it's\" 'b c' | bash").ok().stdout("<it's>\n<b c>\n");
    bash("prun exec ./f ::: a").code(127).stderr_has("./f");
    bash("prun exec -v f ::: a").code(0).stderr_has("f[1]");
    space.exec("f ::: a").run().code(127).stderr_has("`f`: not found in PATH");
}

#[test]
fn files_that_are_not_there_are_told_first() {
    let space = with_lists();
    space.exec("touch PWN ::: a :::: missing").run().code(125).stderr_has("`:::: missing` can't be read");
    space.exec("-a n -a missing touch PWN").run().code(125).stderr_has("`--arg-file missing` can't be read");
    space.exec("touch PWN :::: n ::::").run().code(125).stderr_has("names no file");
    space.exec("touch PWN ::::+ n").run().code(125).stderr_has("there is none");
    space.exec("-L2 echo").run().code(125).stderr_has("`-n N`").stderr_has("--colsep");
    space.exec("--max-lines 2 echo").run().code(125).stderr_has("`-n N`");
    assert!(!space.exists("PWN"));
}

#[test]
fn many_rows() {
    let space = Space::new();
    let script = "seq 300 >n; prun exec -k -n1000 echo :::: n n | tr ' ' '\\n' | paste - - | md5sum; \
                  for i in $(seq 300); do seq -f \"$i\t%g\" 300; done | md5sum";
    let ended = space.sh(script).run();
    let lines: Vec<&str> = ended.ok().stdout.lines().collect();
    ended.check(lines.len() == 2 && lines[0] == lines[1], "many rows, each as it should be");
}
