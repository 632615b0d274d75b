//! `--results`: the output of each task in files of its own, or of all tasks in one table.

use crate::meeting::Meeting;
use crate::space::Space;

/// Returns `path: content` of every file below the folder, sorted.
fn tree(space: &Space, folder: &str) -> Vec<String> {
    fn walk(at: &std::path::Path, below: &std::path::Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(at).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, below, found);
            } else {
                let content = std::fs::read(&path).expect("a file");
                let name = path.strip_prefix(below).expect("it is below");
                found.push(format!("{}: {}", name.display(), String::from_utf8_lossy(&content)));
            }
        }
    }
    let mut found = Vec::new();
    walk(&space.path(folder), &space.path(folder), &mut found);
    found.sort();
    found
}

/// Returns the rows of a CSV file as Python's reader sees them.
fn rows(space: &Space, file: &str) -> Vec<Vec<String>> {
    let script = format!(
        "python3 -c 'import csv, json, sys; csv.field_size_limit(1 << 30); \
         print(json.dumps(list(csv.reader(open(sys.argv[1], newline=\"\"), strict=True))))' {file}"
    );
    serde_json::from_str(&space.sh(&script).run().ok().stdout).expect("JSON")
}

#[test]
fn a_folder_for_each_item() {
    let space = Space::new();
    space.exec("--results out -c 'echo o {1}; echo e {2} >&2' ::: a b/c ::: x").run().ok().stdout("");
    let files = [
        "1/a/2/x/seq: 1",
        "1/a/2/x/stderr: e x\n",
        "1/a/2/x/stdout: o a\n",
        r"1/b\_c/2/x/seq: 2",
        "1/b\\_c/2/x/stderr: e x\n",
        "1/b\\_c/2/x/stdout: o b/c\n",
    ];
    assert_eq!(tree(&space, "out"), files);
}

#[test]
fn columns_with_names_name_the_folders() {
    let space = Space::new();
    space.exec("--header --results out echo {f} {g} ::: f A ::: 'g/h' 1 2").run().ok().stdout("");
    let stdouts: Vec<_> = tree(&space, "out").into_iter().filter(|file| file.contains("/stdout")).collect();
    assert_eq!(
        stdouts,
        [r"f/A/g\_h/1/stdout: A {g}", r"f/A/g\_h/2/stdout: A {g}"].map(|line| format!("{line}\n"))
    );
    space
        .write("table", "name;n\nx;1\ny;2;3\n")
        .exec("-k --header --colsep ';' -a table --results t.csv echo")
        .run()
        .ok();
    let rows = rows(&space, "t.csv");
    assert_eq!(rows[0][9..11], ["name", "n"]);
    assert_eq!(rows[2][9..], ["y", "2 3", "y 2 3\n", ""]);
}

#[test]
fn what_holds_below_the_command_line_does_not_disturb() {
    let space = Space::new();
    space.sh("PRUN_TAG=true PRUN_OUTPUT=raw prun exec --results out echo ::: a").run().ok().stdout("");
    assert_eq!(space.read("out/1/a/stdout"), "a\n");
    space.sh("PRUN_OUTPUT=raw prun exec --results out.csv echo ::: a").run().ok().stdout("");
    assert_eq!(rows(&space, "out.csv")[1][10], "a\n");
}

#[test]
fn no_item_leaves_the_folder() {
    let space = Space::new();
    space.exec("--results a/b/out echo ::: .. . '' ../../x").run().ok();
    assert_eq!(tree(&space, "").iter().filter(|file| !file.starts_with("a/b/out/1/")).count(), 0);
    let names = [r"\", r"\.", r"\..", r"..\_..\_x"].map(|name| format!("a/b/out/1/{name}/stdout"));
    assert!(names.iter().all(|name| space.exists(name)), "{:?}", tree(&space, ""));
}

#[test]
fn a_file_for_each_item() {
    let space = Space::new();
    space.exec("--results 'out/{/.}' -c 'echo {}; echo e >&2' ::: p/a.c").run().ok().stdout("");
    assert_eq!(tree(&space, "out"), ["a.err: e\n", "a.seq: 1", "a: p/a.c\n"].map(String::from));
    space.sh("seq 2 | prun exec --pipe -n1 --results 'piped/{#}/' cat").run().ok().stdout("");
    assert_eq!(tree(&space, "piped").len(), 6);
    assert_eq!(space.read("piped/2/stdout"), "2\n");
}

#[test]
fn only_the_last_attempt_is_kept() {
    let space = Space::new();
    let command = "--retries 1 -c 'echo $PRUN_ATTEMPT; exit $((2 - PRUN_ATTEMPT))' ::: a";
    space.exec(&format!("--results out {command}")).run().ok();
    assert_eq!(space.read("out/1/a/stdout"), "2\n");
    space.exec(&format!("--results out.csv {command}")).run().ok();
    let rows = rows(&space, "out.csv");
    assert_eq!((rows.len(), rows[1][10].as_str()), (2, "2\n"));
}

#[test]
fn what_no_file_can_be_named_after_fails_that_task_alone() {
    let space = Space::new();
    let script = "prun exec -k --results out echo ::: a $(printf %300s | tr ' ' x) b";
    space.sh(script).run().code(126).stderr_has("could not open").stderr_has("file name too long");
    assert!(space.exists("out/1/a/stdout") && space.exists("out/1/b/stdout"));
}

#[test]
fn a_dry_run_prints_lines_that_do_the_same() {
    let space = Space::new();
    let command = "--results out -c 'echo {}; echo e >&2' ::: .. \"it's\"";
    space
        .sh(&format!("prun exec --dry-run {command} >lines; test ! -e out && sh lines"))
        .run()
        .ok()
        .stdout("");
    let by_hand = tree(&space, "out");
    assert_eq!(by_hand.len(), 6);
    space.sh(&format!("rm -r out; prun exec {command}")).run().ok();
    assert_eq!(tree(&space, "out"), by_hand);
    space.exec("--dry-run --results out.csv echo ::: a").run().ok().stdout("echo a\n");
    assert!(!space.exists("out.csv"));
}

#[test]
fn a_table_has_a_row_for_each_task() {
    let space = Space::new();
    let script = r#"prun exec -k --results out.csv -c 'printf "%s\n" {1}; echo e >&2; exit {2}' ::: 'x"y,z
' 'a b' ::: 3"#;
    space.sh(script).run().code(3).stdout("");
    let rows = rows(&space, "out.csv");
    assert_eq!(
        rows[0].join(","),
        "Seq,Host,Starttime,JobRuntime,Send,Receive,Exitval,Signal,Command,V1,V2,Stdout,Stderr"
    );
    assert_eq!(rows[1][9..], ["x\"y,z\n", "3", "x\"y,z\n\n", "e\n"]);
    assert_eq!(rows[2][4..8], ["0", "4", "3", "0"]);
    assert_eq!(rows[2][9..], ["a b", "3", "a b\n", "e\n"]);
    assert!(rows.iter().all(|row| row.len() == 13));
    assert!(rows[1][2].parse::<f64>().is_ok_and(|at| at > 1.7e9), "{:?}", rows[1]);
}

#[test]
fn a_table_is_whole_whatever_the_bytes() {
    let space = Space::new();
    let script = r#"printf '%b' '\377\0' '\0' 'a\tb\0' '"\0' ',\0' >items
        prun exec -0 -a items -k --results out.FORM --stdin items -c 'printf "%b" "\0377\0\"\t,\r\n\03031\n\0303"; cat' 
        python3 - <<'END'
import csv, json
if "FORM" == "json":
    rows = [json.loads(line) for line in open("out.json", newline="\n", encoding="utf-8")]
    print(len(rows), {row["Stdout"][:13] for row in rows}, [row["V"] for row in rows])
else:
    rows = list(csv.reader(open("out.FORM", newline="", encoding="latin-1"), strict=True, delimiter="," if "FORM" == "csv" else "\t"))
    print(len(rows), {len(row) for row in rows}, {row[10][:12] for row in rows[1:]}, [row[9] for row in rows[1:]])
END"#;
    let values = "['ÿ', '', 'a\\tb', '\"', ',']";
    let stdout = "{'ÿ\\x00\"\\t,\\r\\nÃ1\\nÃÿ'}";
    for form in ["csv", "tsv"] {
        let expected = format!("6 {{12}} {stdout} {values}\n");
        space.sh(&script.replace("FORM", form)).run().ok().stdout(&expected);
    }
    let stdout = "{'\u{fffd}\\x00\"\\t,\\r\\n\u{fffd}1\\n\u{fffd}\u{fffd}\\x00'}";
    let values = "[['\u{fffd}'], [''], ['a\\tb'], ['\"'], [',']]";
    space.sh(&script.replace("FORM", "json")).run().ok().stdout(&format!("5 {stdout} {values}\n"));
}

#[test]
fn a_table_on_stdout_in_order() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec("-k -j2 --results -.csv --tag -- puppet meet={} hold ::: a b").start();
    let mut guests = meeting.guests(2);
    guests[1].tell("line=two");
    guests[1].tell("exit=0");
    guests[1].is_gone();
    guests[0].tell("line=one");
    guests[0].tell("exit=4");
    let ended = running.end();
    ended.code(4);
    let columns: Vec<&str> = ended.stdout.split('"').collect();
    assert_eq!([columns[1], columns[5]], ["a\tone\n", "b\ttwo\n"], "{}", ended.stdout);
    space.exec("--results -.json echo ::: a").run().ok().stdout_has("\"V\": [ \"a\" ], \"Stdout\": \"a\\n\"");
}

#[test]
fn every_end_of_a_task_has_its_row_but_for_those_that_prun_stopped() {
    let space = Space::new();
    let script = "prun exec --results killed.csv -c 'echo x; kill -9 $$' ::: a
                  prun exec --results late.csv --timeout 500ms -c 'echo x; sleep 1h' ::: a
                  prun exec --results none.csv nothing-of-this-name ::: a
                  prun exec --results empty.csv echo </dev/null; cat empty.csv";
    space.sh(script).run().stdout("");
    let ends = |file: &str| -> Vec<Vec<String>> {
        rows(&space, file)
            .into_iter()
            .skip(1)
            .map(|row| row[6..8].iter().chain(&row[10..]).cloned().collect())
            .collect()
    };
    assert_eq!(ends("killed.csv"), [["0", "9", "x\n", ""]]);
    assert_eq!(ends("late.csv"), [["-1", "15", "x\n", ""]]);
    assert_eq!(ends("none.csv"), [["127", "0", "", ""]]);
    let meeting = Meeting::open(&space);
    let running =
        space.exec("-j2 --results halted.csv --halt now,fail=1 -- puppet meet={} hold ::: a b").start();
    let mut guests = meeting.guests(2);
    guests[0].tell("line=said");
    guests[1].tell("line=failed");
    guests[1].tell("exit=5");
    running.end().code(5);
    assert_eq!(ends("halted.csv"), [["5", "0", "failed\n", ""]]);
}

#[test]
fn rows_of_tasks_that_do_not_run_again_stay() {
    let space = Space::new();
    let run = "prun exec -k --journal j --resume --results out.csv echo ::: a";
    space.sh(&format!("{run}; {run} b\" c\"")).run().ok();
    assert_eq!(
        rows(&space, "out.csv").iter().map(|row| row[10].as_str()).collect::<Vec<_>>(),
        ["Stdout", "a\n", "b c\n"]
    );
    // As a kill leaves it.
    let whole = space.read("out.csv");
    space.write("out.csv", format!("{whole}3,:,1.0,\"torn\n\"\"row"));
    space.sh(&format!("{run} d")).run().code(0).stderr_has("`").stderr_has("ended within a row");
    assert_eq!(rows(&space, "out.csv").len(), 4);
    assert!(space.read("out.csv").starts_with(&whole));
    // Without a journal it begins anew.
    space.exec("--results out.csv echo ::: z").run().ok();
    assert_eq!(rows(&space, "out.csv").len(), 2);
}

#[test]
fn a_batch_has_as_many_values_as_it_may_have_items() {
    let space = Space::new();
    space.exec("-j1 -n2 --results out.csv echo ::: a b c").run().ok();
    let rows = rows(&space, "out.csv");
    assert_eq!(rows[0][9..11], ["V1", "V2"]);
    assert_eq!([&rows[1][9..12], &rows[2][9..12]], [["a", "b", "a b\n"], ["c", "", "c\n"]]);
}

#[test]
fn big_columns_take_little_memory() {
    let space = Space::new();
    let script = "puppet measure=rss prun exec -j2 --results out.json -c \
                  'head -c 40000000 /dev/zero | tr \"\\0\" {}' ::: a b &&
                  python3 -c 'import json; print(*sorted(set(json.loads(l)[\"Stdout\"][0] + str(len(json.loads(l)[\"Stdout\"])) \
                  for l in open(\"out.json\"))))' && cat rss";
    let ended = space.sh(script).run();
    let (said, rss) = ended.ok().stdout.split_once('\n').expect("two lines");
    assert_eq!(said, "a40000000 b40000000");
    ended.check(rss.trim().parse::<u64>().expect("KiB") < 64 << 10, "less than 64 MiB resident");
}

#[test]
fn a_table_that_cannot_be_written_is_an_error() {
    let space = Space::new();
    space.exec("--results /dev/null/x.csv touch ran ::: a").run().code(125).stderr_has("`/dev/null/x.csv`");
    assert!(!space.exists("ran"), "it is told before anything starts");
    space
        .sh("ln -s /dev/full full.csv; prun exec --results full.csv echo ::: a")
        .run()
        .code(125)
        .stderr_has("full.csv");
    let much = "prun exec --results -.csv -c 'head -c 300000 /dev/zero' ::: x | head -c1 >/dev/null; echo ${PIPESTATUS[0]}";
    space.bash(much).run().ok().stdout("141\n");
}

#[test]
fn what_excludes_it() {
    let space = Space::new();
    for (flags, named) in [
        ("--stdout x", "--stdout"),
        ("--stderr x", "--stderr"),
        ("--once", "--once"),
        ("--worker", "--worker"),
        ("-u", "`-u`"),
        ("--output raw", "--output raw"),
        ("--tag", "--tag"),
    ] {
        space
            .exec(&format!("--results out {flags} echo ::: a"))
            .run()
            .code(125)
            .stderr_has("--results")
            .stderr_has(named);
    }
    assert!(!space.exists("out"));
}
