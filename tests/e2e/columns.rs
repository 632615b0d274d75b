//! Names that headers give to columns: whatever they are, and wherever they come from.

use crate::space::Space;

/// A table of two columns, one of which has a name of two words.
const TABLE: &str = "First name,host\nann b,h1.org\nbob,h2.org\n";

#[test]
fn a_name_of_several_words_can_be_used_from_every_source() {
    let space = Space::new();
    space.write("t.csv", TABLE).write("t.txt", TABLE).write("one", "First name\nann b\nbob\n");
    let all = "x ann b.ann b";
    for line in [
        "--csv --header -a t.csv echo 'x {First name}.{1}'",
        "--colsep , --header -a t.txt echo 'x {First name}.{1}'",
        "--csv --header -c -a t.csv 'echo x {First name}.\"{1}\"'",
        "--header -a one echo 'x {First name}.{}'",
        "--header echo 'x {First name}.{}' ::: 'First name' 'ann b' bob",
        "--csv --header echo 'x {First name}.{1}' ::: 'First name,host' 'ann b,h1' bob,h2",
        "--header echo 'x {First name}.{1}' :::: one ::: host h1",
        "--header --link echo 'x {First name}.{1}' :::: one t.txt",
    ] {
        let ended = space.exec(&format!("-k {line}")).run();
        ended.ok();
        ended.check(ended.lines() == [all, "x bob.bob"], "the names are put in");
    }
}

#[test]
fn names_are_put_into_paths_variables_tags_and_hooks() {
    let space = Space::new();
    space.write("t.csv", TABLE).write("ann b.in", "1\n").write("bob.in", "2\n");
    let toml = r#"
        run.keep_order = true
        [jobs.a]
        each.csv = "t.csv"
        command = "cat"
        stdin.file = "{First name}.in"
        stdout = { file = "out/{First name}.{host.}", show = true }
        env.WHO = "{First name}"
        tag = "{First name}:"
        on_success = ["sh", "-c", "echo $WHO $1 >>hook", "-", "{host/}"]
        [jobs.b]
        each.job = "a"
        script = "echo {First name} '{First name}' \"$PRUN_ITEM\" {print} '{\"a\": 1}'"
    "#;
    let ended = space.file(toml).run();
    ended.ok();
    for line in ["ann b:\t1", "bob:\t2", "ann b ann b ann b h1.org {print} {\"a\": 1}"] {
        ended.stdout_has(line);
    }
    assert_eq!((space.read("out/ann b.h1"), space.read("out/bob.h2")), ("1\n".into(), "2\n".into()));
    let hook = space.read("hook");
    assert!(hook.contains("ann b h1.org\n") && hook.contains("bob h2.org\n"), "{hook}");
}

#[test]
fn a_name_is_never_taken_for_a_file_of_that_name() {
    let space = Space::new();
    space.write("t.csv", TABLE);
    space
        .exec("--csv --header -a t.csv --stdout 'o/{First name}' --results 'r/{host}/' true")
        .run()
        .code(125);
    space.exec("--csv --header -a t.csv --stdout 'o/{First name}' echo {host}").run().ok();
    space.exec("--csv --header -a t.csv --results 'r/{First name}/' echo {host}").run().ok();
    assert_eq!((space.read("o/ann b"), space.read("r/bob/stdout")), ("h1.org\n".into(), "h2.org\n".into()));
    let wrong = space.exec("--csv --header -a t.csv --results 'q/{nobody knows}/' echo {host}").run();
    wrong.stderr_has("all tasks of `echo` would write to the same files");
    assert!(!space.exists("q"), "nothing has begun");
}

#[test]
fn a_name_that_no_placeholder_can_have_is_an_error_before_the_first_task() {
    let space = Space::new();
    for (header, why) in [
        ("a,b{c", "column 2 can't be called `b{c`: no placeholder can hold a `{`"),
        ("a,a", "two columns are called `a`"),
        ("#,b", "column 1 can't be called `#`: `{#}` is the number of the task"),
        ("a,b/", "column 2 can't be called `b/`"),
        ("2,b", "column 1 can't be called `2`: `{2}` is column 2"),
        ("a,\"b\nc\"", "column 2 can't be called `b\\nc`"),
    ] {
        space.write("t.csv", format!("{header}\n1,2\n"));
        let ended = space.exec("--csv --header -a t.csv touch ran").run();
        ended.stderr_has("the header of").stderr_has(why);
        let toml = "[jobs.j]\neach.csv = \"t.csv\"\ncommand = \"touch ran\"";
        space.file(toml).run().stderr_has(why);
        let line = format!("--csv --header touch ran ::: '{header}' 1,2");
        space.exec(&line).run().code(125).stderr_has(why);
    }
    assert!(!space.exists("ran"), "nothing has run");
}

#[test]
fn a_misspelt_name_is_found_as_soon_as_the_header_is_read() {
    let space = Space::new();
    let mut running = space.exec("--csv --header touch '{hots}'").open_stdin().start();
    running.feed(b"host,b\n");
    // No item has come yet.
    running.exits();
    let ended = running.end();
    ended.stderr_has("unknown placeholder `{hots}`; did you mean `{host}`?");
    space.write("t.csv", TABLE);
    for (word, help) in
        [("{first nam}", "{First name}"), ("{Frist name/.}", "{First name}"), ("{hosst}", "{host}")]
    {
        let line = format!("--csv --header -a t.csv --stdout '{word}' echo");
        space.exec(&line).run().stderr_has(&format!("did you mean `{help}`?"));
        assert!(!space.exists(word), "no file has that name");
        let toml = format!(
            "[jobs.a]\neach.csv = \"t.csv\"\ncommand = \"touch ran\"\n[jobs.b]\neach.job = \"a\"\ncommand = ['echo', '{word}']"
        );
        let ended = space.file(&toml).run();
        ended.stderr_has(&format!("did you mean `{help}`?")).stderr_has("in the command of `b`");
    }
    assert!(!space.exists("ran"), "the job before has not begun, either");
}

#[test]
fn a_column_that_does_not_exist_is_an_error() {
    let space = Space::new();
    space.write("t.csv", TABLE);
    let two = "there is no column 3: a task has 2";
    for each in [
        "each = [[\"a\", 1], [\"b\", 2]]",
        "each = [{ a = 1, b = 2 }]",
        "each.matrix = { a = [1], b = [2] }",
        "each.zip = { a = [1], b = [2] }",
        "each.csv = \"t.csv\"",
    ] {
        let job = |command: &str| format!("[jobs.j]\n{each}\ncommand = ['echo', '{command}']");
        space.file(&job("{3}")).run().stderr_has(two).stdout("");
        space.file(&job("{3/.}")).run().stderr_has(two).stdout("");
        space.file(&job("{2}")).run().ok();
    }
    for line in ["echo {3} ::: a ::: b", "--csv --header -a t.csv echo {3}", "--colsep , echo {3} ::: a,b"] {
        space.exec(line).run().stderr_has(two).stdout("");
    }
    // With one column, it is a part of a regular expression.
    space.exec("echo 'a{3}' {} ::: a").run().ok().stdout("a{3} a\n");
    space.file("[jobs.j]\neach = [\"a\"]\ncommand = ['echo', 'a{3}', '{}']").run().ok().stdout("a{3} a\n");
}

#[test]
fn code_in_braces_stays_as_it_is() {
    let space = Space::new();
    space.write("t.csv", TABLE);
    let line = "-k --csv --header -a t.csv printf '%s/%s/%s.\n' '{\"host\": 1}' '{print $1; n++}' {1}";
    space
        .exec(line)
        .run()
        .ok()
        .stdout("{\"host\": 1}/{print $1; n++}/ann b.\n{\"host\": 1}/{print $1; n++}/bob.\n");
    // The item is added where no word turned out to be a placeholder of it.
    space
        .exec("-k --csv --header -a t.csv printf '%s,' '{print}'")
        .run()
        .ok()
        .stdout("{print},ann b,h1.org,{print},bob,h2.org,");
}

#[test]
fn a_worker_can_not_know_the_item_at_its_start() {
    let space = Space::new();
    space.write("t.csv", TABLE);
    let ended = space.exec("--worker --csv --header -a t.csv sh -c 'cat #{First name}'").run();
    ended.stderr_has("a placeholder of the item, but a worker starts before");
}

#[test]
fn a_variable_and_a_column_of_one_name_are_told() {
    let space = Space::new();
    space.write("t.csv", TABLE);
    let toml = "[vars]\nhost = \"x\"\n[jobs.j]\neach.csv = \"t.csv\"\ncommand = \"echo {host}\"";
    space.file(toml).run().stderr_has("`host` is both a column of the items and a variable").stdout("");
}

#[test]
fn a_mark_of_the_encoding_is_no_part_of_the_first_name() {
    let space = Space::new();
    space.write("t", "\u{feff}host,b\nx,y\n");
    for form in ["--csv", "--colsep ,"] {
        space.exec(&format!("{form} --header -a t echo {{host}}")).run().ok().stdout("x\n");
    }
}
