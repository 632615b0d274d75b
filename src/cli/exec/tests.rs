use std::os::unix::ffi::OsStringExt;

use super::*;
use crate::cli::variables::Variables;
use crate::jobfile::parse_config;
use crate::jobfile::values::OutputMode;
use crate::plan::exec::{ExecArgs, From, Tag};

fn typed(line: &str) -> ExecArgs {
    let words = line.split_whitespace().map(|word| if word == "EMPTY" { "" } else { word });
    let words: Vec<OsString> = words.map(OsString::from).collect();
    below("", &super::typed(&words).unwrap())
}

/// What was typed, over a configuration.
fn below(config: &str, asked: &Exec) -> ExecArgs {
    let config = parse_config("config.toml", config.as_bytes()).unwrap();
    meaning(asked, &Variables::default(), &config).unwrap()
}

fn command(line: &str) -> String {
    let words = typed(line).command;
    words.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" ")
}

#[test]
fn options_end_at_the_command() {
    let cases = [
        ("-k echo -n {} -k", "echo -n {} -k"),
        ("-k -- echo -n", "echo -n"),
        ("sh -c x -- y", "sh -c x -- y"),
        ("-- -odd -- x", "-odd -- x"),
        ("echo ::: -a -- ::: b", "echo"),
        ("-c ::: a", ""),
    ];
    for (line, expected) in cases {
        assert_eq!(command(line), expected, "{line}");
    }
    let args = typed("echo ::: -a -- ::: b");
    let words = |words: &[&[u8]]| From::Words(words.iter().map(|word| word.to_vec()).collect());
    let given: Vec<From> = args.items.sources.into_iter().map(|source| source.from).collect();
    assert_eq!(given, [words(&[b"-a", b"--"]), words(&[b"b"])]);
}

#[test]
fn hands_know_other_names() {
    let args = typed("-P 3 -t --lb -N 2 --wd /x --tagstring {/} --bar true");
    assert_eq!((args.pool, args.output, args.max_args), (3, Some(OutputMode::Line), Some(2)));
    assert_eq!((args.cwd, args.tag), (Some(b"/x".to_vec()), Some(Tag::Template(b"{/}".to_vec()))));
    assert_eq!(typed("--group true").output, Some(OutputMode::Group));
    assert_eq!(typed("--pool 0 true").pool, usize::MAX);
}

#[test]
fn the_last_of_options_that_exclude_each_other_counts() {
    assert_eq!(typed("-u --output line x").output, Some(OutputMode::Line));
    assert_eq!(typed("--output line -u x").output, Some(OutputMode::Raw));
    assert_eq!(typed("-j2 -j3 x").pool, 3);
    assert_eq!(typed("--fail-fast --halt never x").halt, None);
    assert!(typed("--halt never --fail-fast x").halt.is_some_and(|halt| halt.now));
    assert_eq!(typed("--tagstring x --tag x").tag, Some(Tag::Item));
}

#[test]
fn any_bytes_are_an_argument() {
    let words = [OsString::from_vec(b"\xff".to_vec())];
    let asked = super::typed(&words).unwrap();
    assert_eq!(below("", &asked).command, [b"\xff"]);
}

#[test]
fn the_colon_of_a_header_is_no_command() {
    for line in ["--header : -k x -- :", "--header -k x -- :", "-k --header : -- x -- :"] {
        let args = typed(line);
        assert!(args.items.header && args.keep_order && args.command[0] == b"x", "{line}");
    }
    assert_eq!(command("--header -- : x"), ": x");
    assert_eq!(command("--header -k : x"), ": x");
    assert_eq!(command("x --header : y"), "x --header : y");
    assert_eq!(command("-k : x"), ": x");
}
