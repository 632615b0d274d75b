//! Messages about wrong job files, compared in whole with those in `tests/messages/`.
//!
//! `NAME.toml` is a wrong file and `NAME.txt` the message about it. After a wanted change run the tests with
//! `SNAPSHOTS=overwrite`, and read the difference as a user would.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use prun::jobfile;
use prun::plan::build::{BuildOptions, TagFlag, build};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages")
}

fn options(file_name: &str) -> BuildOptions {
    BuildOptions {
        file_name: file_name.to_owned(),
        base: "/home/user".into(),
        cpus: 4,
        ..BuildOptions::default()
    }
}

/// Returns the message about a file, which must be wrong.
fn complaint(bytes: &[u8], how: &BuildOptions) -> String {
    let told = jobfile::parse(&how.file_name, bytes).and_then(|file| build(&file, how));
    told.expect_err("the file should be wrong").render(false)
}

fn same(name: &str, told: String) {
    assert!(!told.contains(|c: char| c.is_control() && c != '\n'), "control characters: {told:?}");
    let expected = snapbox::Data::read_from(&folder().join(format!("{name}.txt")), None).raw();
    snapbox::assert_data_eq!(told, expected);
}

macro_rules! files {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                let name = stringify!($name);
                let bytes = std::fs::read(folder().join(format!("{name}.toml"))).unwrap();
                same(name, complaint(&bytes, &options(&format!("{name}.toml"))));
            }
        )*

        #[test]
        fn no_file_is_forgotten() {
            let tested = BTreeSet::from([$(concat!(stringify!($name), ".toml").to_owned()),*]);
            let names = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            assert_eq!(tested, names.filter(|name| name.ends_with(".toml")).collect());
        }
    };
}

files! {
    after_circle
    lock_places
    lock_values
    circle_mixed
    each_job_own
    after_circle_through_pipe
    after_itself
    after_pipe_partner
    after_ready
    after_string
    after_unknown
    bad_brakes
    bad_duration
    bad_halt
    bad_job_name
    bad_ok
    bad_pool
    bad_vars
    batches
    command_and_script
    dialogues
    duplicate
    each_command
    each_kinds
    each_matrix
    each_seq
    each_sources
    escapes_in_source
    hook_values
    interactive_places
    interactive_words
    near_placeholder
    none_undoes_nothing
    not_in_defaults
    other_tools
    not_toml
    nothing_to_run
    nul_in_command
    outputs
    patterns
    pipe_circle
    queue_ends
    queue_circle
    queue_after
    ready
    ready_places
    run_hooks
    worker_places
    daemon_places
    each_job
    pipe_each
    pipe_feeder_keys
    pipe_to_nowhere
    pipe_two_readers
    placeholder_in_quotes
    queue_places
    queue_values
    raw_output
    restart_places
    script_places
    setup_places
    setup_values
    several
    shell_text
    shell_without_script
    stdin_item_without_items
    stdin_twice
    stdin_word
    syntax_hides_consequences
    top_level
    two_sources_of_stdin
    unclosed_quote
    unknown_key
    unsupported
    worker_values
    wrong_type
}

const GOOD: &str = "[vars]\nhost = \"localhost\"\n\n[jobs.build]\ncommand = \"make\"\n\n[jobs.test]\ncommand = \"make test\"\n";

#[test]
fn empty() {
    same("empty", complaint(b"", &options("empty.toml")));
}

#[test]
fn only_comments() {
    same(
        "only_comments",
        complaint(b"#!/usr/bin/env -S prun\n# nothing yet\n[jobs]\n", &options("only_comments.toml")),
    );
}

#[test]
fn not_utf8() {
    same("not_utf8", complaint(b"[jobs.a]\ncommand = \"echo caf\xe9\"\n", &options("latin1.toml")));
}

#[test]
fn nul_byte() {
    same("nul_byte", complaint(b"[jobs.a]\ncommand = \"echo a\0b\"\n", &options("nul.toml")));
}

#[test]
fn too_large() {
    let spaces = vec![b' '; 33 * 1024 * 1024];
    same("too_large", complaint(&spaces, &options("large.toml")));
}

#[test]
fn deep_array() {
    let text = format!("[jobs.a]\ncommand = \"true\"\neach = {}{}\n", "[".repeat(10_000), "]".repeat(10_000));
    same("deep_array", complaint(text.as_bytes(), &options("deep.toml")));
}

#[test]
fn deep_table() {
    let text =
        format!("[jobs.a]\ncommand = \"true\"\nenv = {}{}\n", "{a=".repeat(10_000), "}".repeat(10_000));
    same("deep_table", complaint(text.as_bytes(), &options("deep.toml")));
}

#[test]
fn deep_key() {
    let text = format!("[jobs.a]\ncommand = \"true\"\nenv.a{} = 1\n", ".a".repeat(10_000));
    same("deep_key", complaint(text.as_bytes(), &options("deep.toml")));
}

#[test]
fn many_mistakes() {
    let text: String =
        (0..2000).map(|n| format!("[jobs.j{n}]\ncommand = \"true\"\nafter = [\"k{n}\"]\n")).collect();
    let told = complaint(text.as_bytes(), &options("many.toml"));
    assert_eq!(told.matches("error: no job is called").count(), 50);
    assert!(told.ends_with("\n… and 1950 more errors\n"), "{}", &told[told.len() - 200..]);
}

#[test]
fn long_circles() {
    let waiting = |n: usize| format!("[jobs.a{n}]\ncommand = \"true\"\nafter = [\"a{}\"]\n", (n + 1) % 30);
    let piped = |n: usize| format!("[jobs.p{n}]\ncommand = \"cat\"\nstdin.pipe = \"p{}\"\n", (n + 29) % 30);
    let text: String = (0..30).map(waiting).chain((0..30).map(piped)).collect();
    same("long_circles", complaint(text.as_bytes(), &options("long.toml")));
}

#[test]
fn a_value_of_many_lines_is_cut() {
    let lines: String = (0..40).map(|n| format!("  [\"{n}\"],\n")).collect();
    let text = format!("[jobs.a]\ncommand = \"echo\"\ntimeout = [\n{lines}]\n");
    same("value_of_many_lines", complaint(text.as_bytes(), &options("long.toml")));
}

#[test]
fn far_apart_places_are_shown_one_by_one() {
    let filler = "# nothing\n".repeat(10_000);
    let text = format!(
        "[jobs.a]\ncommand = \"ls\"\ntimeout = 5\n{filler}[jobs.b]\ncommand = \"wc\"\nstdin.pipe = \"a\"\n"
    );
    same("far_apart", complaint(text.as_bytes(), &options("far.toml")));
}

#[test]
fn colours_are_ours_alone() {
    let text = "[jobs.a]\ncommand = \"true\"\n\"k\\u001by\" = \"\u{9b}31m\"\n";
    let file = jobfile::parse("colour.toml", text.as_bytes()).unwrap();
    let told = build(&file, &options("colour.toml")).unwrap_err();
    assert!(told.render(true).contains("\u{1b}["), "no colours");
    assert!(!told.render(true).contains("\u{1b}y"));
    assert!(!told.render(true).contains('\u{9b}'));
    assert!(!told.render(false).contains('\u{1b}'));
}

#[test]
fn unknown_job() {
    let how =
        BuildOptions { jobs: vec!["tset".into(), "build".into(), "deploy".into()], ..options("good.toml") };
    same("unknown_job", complaint(GOOD.as_bytes(), &how));
}

#[test]
fn unknown_variable() {
    let vars = vec![("hsot".into(), "x".into()), ("domain".into(), "x".into())];
    same("unknown_variable", complaint(GOOD.as_bytes(), &BuildOptions { vars, ..options("good.toml") }));
}

#[test]
fn bad_tag_flag() {
    let mut how = options("good.toml");
    how.run.tag = Some(TagFlag::Template("{hsot}".into()));
    same("bad_tag_flag", complaint(GOOD.as_bytes(), &how));
}

#[test]
fn no_arguments() {
    same("no_arguments", complaint(b"[jobs.a]\ncommand = \"{args}\"\n", &options("args.toml")));
}

#[test]
fn items_from_the_stdin_that_the_file_came_from() {
    same("items_from_stdin", complaint(b"[jobs.a]\ncommand = \"echo\"\neach.lines = \"-\"\n", &options("-")));
}

#[test]
fn the_configuration_file() {
    let config = b"[run]\npool = \"lots\"\nhalts = 3\n\n[jobs.a]\ncommand = \"true\"\n\n[defaults]\nenv = { A = \"none\", B = [] }\n";
    same(
        "config",
        jobfile::parse_config("/home/user/.config/prun/config.toml", config).unwrap_err().render(false),
    );
    let config = b"\n[jobs\n";
    same(
        "config_syntax",
        jobfile::parse_config("/home/user/.config/prun/config.toml", config).unwrap_err().render(false),
    );
}

#[test]
fn mistakes_that_two_files_make_together() {
    let config = b"\xef\xbb\xbf[defaults]\nretries = 1\nstdin = \"item\"\nenv.HOST = \"{hsot}\"\n";
    let config = jobfile::parse_config("/home/user/.config/prun/config.toml", config).unwrap();
    let text = "[vars]\nhost = \"localhost\"\n[jobs.a]\ncommand = \"true\"\ntimeout = \"soon\"\n[jobs.b]\ncommand = \"true\"";
    let file = jobfile::parse_over(&config, "jobs.toml", text.as_bytes()).unwrap();
    same("two_files", build(&file, &options("jobs.toml")).unwrap_err().render(false));
    let broken = jobfile::parse_over(&config, "jobs.toml", b"[jobs.a]\ncommand = \"true").unwrap_err();
    same("broken_over_config", broken.render(false));
}
