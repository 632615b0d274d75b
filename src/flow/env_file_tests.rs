//! Tests of [`env_file`](super::env_file), against what prun.toml(5) says of such files.

use proptest::prelude::*;
use regex::Regex;

use super::env_file::{LARGEST, parse};

/// Variables that prun was given.
fn given(name: &str) -> Option<Vec<u8>> {
    match name {
        "GIVEN" => Some(b"from $outside ${A}".to_vec()),
        "LATIN" => Some(b"caf\xe9".to_vec()),
        "EMPTY" => Some(Vec::new()),
        _ => None,
    }
}

fn values(text: &str) -> Vec<String> {
    let shown = |(name, value): (String, Vec<u8>)| format!("{name}={}", String::from_utf8(value).unwrap());
    parse(text.as_bytes(), given).unwrap().into_iter().map(shown).collect()
}

/// Returns the message for a wrong text, which never shows a value.
fn wrong(text: &str) -> String {
    let why = parse(text.as_bytes(), given).unwrap_err().to_string();
    assert!(!why.contains("secret"), "{why}");
    why
}

/// Returns the value of a variable whose text behind the `=` is given.
fn value(text: &[u8]) -> Vec<u8> {
    let line = [b"B=above\nA=", text, b"\nC=below\n"].concat();
    let mut variables = parse(&line, given).unwrap_or_else(|why| panic!("{why} in {text:?}"));
    assert_eq!(variables[2], ("C".to_owned(), b"below".to_vec()), "the next line is a line of its own");
    variables.swap_remove(1).1
}

#[test]
fn lines_are_names_and_values() {
    assert_eq!(
        values("A=1\n\n# no\n  # no\nexport B = two # comment\nC=x#y\nD=\n\tE_.2=e"),
        ["A=1", "B=two", "C=x#y", "D=", "E_.2=e"]
    );
    assert_eq!(values("\u{feff}A=1\r\nB='2' \r\n\r\nC=3\r"), ["A=1", "B=2", "C=3"]);
    assert_eq!(
        values("export=1\nexport\tX=2\nexport =3\nexported=4"),
        ["export=1", "X=2", "export=3", "exported=4"]
    );
    assert_eq!(values("A=1=2==\nB= =\n"), ["A=1=2==", "B=="]);
    assert_eq!(values(""), [""; 0]);
}

#[test]
fn a_comment_stands_behind_a_blank() {
    assert_eq!(
        values("A=#fff\nB= #fff\nC=a#b #c\nD=''#x\nE=\"x\" # y 'z\nF=\t# x"),
        ["A=#fff", "B=", "C=a#b", "D=#x", "E=x", "F="]
    );
}

#[test]
fn dollar_signs_are_text() {
    for text in [
        "abc$def",
        "$2y$05$uGiL",
        "cost$",
        "$",
        "$$",
        "$A",
        "${",
        "${}",
        "${A",
        "${1}",
        "${B:-x}",
        "${-B}",
        "$(id)",
        "${B }",
    ] {
        assert_eq!(value(format!("\"{text}\"").as_bytes()), text.as_bytes());
        if !text.contains(' ') {
            assert_eq!(value(text.as_bytes()), text.as_bytes());
        }
    }
    assert_eq!(value(b"$${B}$"), b"$above$");
    assert_eq!(value(b"${${B}"), b"${above");
}

#[test]
fn variables_are_put_in() {
    assert_eq!(
        values("A=1\nB=${A}-${A}2\nC=\"<${A}>\"\nD='${A}'\nE=<${NO_SUCH}>\nF=\\${A}\"\\${A}\"")[1..],
        ["B=1-12", "C=<1>", "D=${A}", "E=<>", "F=${A}${A}"]
    );
    assert_eq!(values("A=1\nA=${A}2\nA=${A}3\n")[2..], ["A=123"], "the last above counts");
    assert_eq!(
        values("GIVEN=x\nB=${GIVEN}\nEMPTY=x\nC=<${EMPTY}>")[1..],
        ["B=from $outside ${A}", "EMPTY=x", "C=<>"]
    );
    assert_eq!(value(b"<${LATIN}>"), b"<caf\xe9>");
}

#[test]
fn a_lone_name_takes_what_prun_was_given() {
    assert_eq!(
        values("GIVEN\nMISSING\nexport GIVEN # x\nEMPTY\nA=${GIVEN}"),
        ["GIVEN=from $outside ${A}", "GIVEN=from $outside ${A}", "EMPTY=", "A=from $outside ${A}"]
    );
}

#[test]
fn quotes_and_escapes() {
    assert_eq!(values(r#"A='a $B \n "x"'"#), [r#"A=a $B \n "x""#]);
    assert_eq!(
        values("A='a\\'\nB='b'"),
        [r"A=a\", "B=b"],
        "a backslash is text, also before the closing quote"
    );
    assert_eq!(values(r#"A="a\nb \"x\" \$B""#), ["A=a\nb \"x\" $B"]);
    assert_eq!(values(r"A=a\ b\\"), [r"A=a b\"]);
    assert_eq!(values("A=a\\ \nB=1"), ["A=a ", "B=1"]);
    assert_eq!(values("A='two\nlines'\nB=1"), ["A=two\nlines", "B=1"]);
    assert_eq!(values("A=\"x\n# y\n\"z'\n'\nB=1"), ["A=x\n# y\nz\n", "B=1"]);
    assert_eq!(value(b"\xff\"\xfe\"'\xfd'"), b"\xff\xfe\xfd");
}

#[test]
fn what_is_wrong_is_told_by_its_line_and_name_and_without_values() {
    assert_eq!(
        wrong("A=1\n\n# x\n-secret\nB=2\n"),
        "is wrong in line 4: expected NAME=VALUE, or a NAME alone"
    );
    assert!(wrong("secret secret=1").starts_with("is wrong in line 1: expected NAME=VALUE"));
    assert!(wrong("export\n").starts_with("is wrong in line 1: expected NAME=VALUE"));
    assert!(wrong("A#secret\n").starts_with("is wrong in line 1: expected NAME=VALUE"));
    assert!(wrong("1A=secret\n").starts_with("is wrong in line 1: expected NAME=VALUE"));
    assert!(
        wrong("A=1\nB=secret secret\n")
            .starts_with("is wrong in line 2: the value of `B` goes on behind a blank")
    );
    assert!(
        wrong("A=1\nB=\"secret\nC=1\n")
            .starts_with("is wrong in the lines from 2 to 3: the value of `B` begins")
    );
    assert!(wrong("B='secret").starts_with("is wrong in line 1: the value of `B` begins a quote"));
    assert!(wrong("A=1\nB='a\nb'\n=secret\n").starts_with("is wrong in line 4: "));
    for text in [r"A=\xsecret", "A=secret\\", "A=secret\\\nB=1", r#"A="secret\q""#, "A=secret\\\r\n"] {
        assert!(wrong(text).starts_with("is wrong in line 1: the value of `A` has a backslash"), "{text}");
    }
}

#[test]
fn values_that_double_again_and_again_are_bounded() {
    let doubling = (0..60).map(|_| "A=${A}${A}\n").collect::<String>();
    assert_eq!(wrong(&format!("A=x\n{doubling}")), "is too large for an environment");
    let many = format!("A=\"{}\"\n", "${B}".repeat(1 << 20));
    assert_eq!(wrong(&format!("B={}\n{many}", "b".repeat(1 << 20))), "is too large for an environment");
    assert_eq!(value("x".repeat(LARGEST / 2).as_bytes()).len(), LARGEST / 2);
}

/// Bytes of all kinds, those with a meaning more often than others.
fn any_value() -> impl Strategy<Value = Vec<u8>> {
    let special = prop::sample::select(b"$${}\\\\\"'# \tnABGIVEN\n".to_vec());
    prop::collection::vec(prop_oneof![4 => special, 1 => any::<u8>()], 0..24)
}

/// Puts a backslash before each of the bytes that have a meaning.
fn escaped(value: &[u8], special: &[u8]) -> Vec<u8> {
    let escape = |&byte: &u8| match byte {
        b'\n' => b"\\n".to_vec(),
        byte if special.contains(&byte) => vec![b'\\', byte],
        byte => vec![byte],
    };
    value.iter().flat_map(escape).collect()
}

proptest! {
    #[test]
    fn nothing_is_special_in_single_quotes(mut text in any_value()) {
        text.retain(|&byte| byte != b'\'');
        prop_assert_eq!(value(&[b"'", &text[..], b"'"].concat()), text);
    }

    #[test]
    fn any_value_can_be_written_in_double_quotes(text in any_value()) {
        let quoted = [b"\"", &escaped(&text, b"\"\\$")[..], b"\""].concat();
        prop_assert_eq!(value(&quoted), text);
    }

    #[test]
    fn any_value_can_be_written_without_quotes(mut text in any_value()) {
        // A carriage return at the end of a line belongs to the end.
        text.retain(|&byte| byte != b'\r');
        prop_assert_eq!(value(&escaped(&text, b"\"'\\$ \t")), text);
    }

    #[test]
    fn only_names_in_braces_are_variables(text in "[${}ABGIVENx:.1-]{0,20}|([$][{](B|GIVEN|X|A B|1)[}]?|[$]|B){0,6}") {
        let names = Regex::new(r"\$\{([A-Za-z_][A-Za-z0-9_.]*)\}").unwrap();
        let put_in = |found: &regex::Captures| match &found[1] {
            "B" => "above".to_owned(),
            name => given(name).map_or_else(String::new, |value| String::from_utf8(value).unwrap()),
        };
        let expected = names.replace_all(&text, put_in).into_owned();
        prop_assert_eq!(value(format!("\"{text}\"").as_bytes()), expected.as_bytes());
        if !text.contains(' ') {
            prop_assert_eq!(value(text.as_bytes()), expected.as_bytes());
        }
    }

    #[test]
    fn any_text_has_values_or_a_mistake_that_shows_none(text in prop::collection::vec(any_value(), 0..6)) {
        let marked = text.iter().flat_map(|part| [b"A=\x01", &part[..], b"\n"].concat()).collect::<Vec<u8>>();
        if let Err(why) = parse(&marked, given) {
            prop_assert!(!why.to_string().contains('\x01'));
            prop_assert!(why.to_string().starts_with("is wrong in "));
        }
        let _ = parse(&text.concat(), given);
    }
}
