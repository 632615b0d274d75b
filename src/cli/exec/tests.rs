use super::*;
use crate::jobfile::parse_config;
use crate::plan::exec::Tag;

fn typed(line: &str) -> ExecArgs {
    let words = line.split_whitespace().map(|word| if word == "EMPTY" { "" } else { word });
    below("", &Exec::try_parse_from(std::iter::once("prun exec").chain(words)).unwrap())
}

/// What was typed, over a configuration.
fn below(config: &str, asked: &Exec) -> ExecArgs {
    meaning(asked, &parse_config("config.toml", config.as_bytes()).unwrap()).unwrap()
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
    assert_eq!(args.sources, [vec![b"-a".to_vec(), b"--".to_vec()], vec![b"b".to_vec()]]);
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
fn delimiters_as_xargs_takes_them() {
    let cases = [
        ("x", b'x'),
        ("\\n", b'\n'),
        ("\\0", 0),
        ("\\012", 10),
        ("\\x2c", b','),
        ("\\\\", b'\\'),
        ("\\t", 9),
    ];
    for (text, byte) in cases {
        assert_eq!(parse_delimiter(text), Ok(byte), "{text}");
    }
    for text in ["", "ab", "\\xzz", "\\400", "\\q", "ä"] {
        assert!(parse_delimiter(text).is_err(), "{text}");
    }
    assert_eq!(typed("-0 x").separator, 0);
    assert_eq!(typed("-d , x").separator, b',');
    assert_eq!(typed("x").separator, b'\n');
}

#[test]
fn a_file_of_items_that_can_not_be_read_is_told_first() {
    let complaint = |file: &str| match check_arg_file(Path::new(file)) {
        Err(Instead::Fail { lines, status: 125 }) => lines,
        other => panic!("{other:?}"),
    };
    assert_eq!(complaint("/"), "prun: `--arg-file /` can't be read: is a directory\n");
    assert_eq!(complaint("/no/x"), "prun: `--arg-file /no/x` can't be read: no such file or directory\n");
    assert_eq!(check_arg_file(Path::new("/dev/null")), Ok(()));
}

#[test]
fn any_bytes_are_an_argument() {
    let words = [OsString::from("exec"), OsString::from_vec(b"\xff".to_vec())];
    let asked = Exec::try_parse_from(words).unwrap();
    assert_eq!(below("", &asked).command, [b"\xff"]);
}
