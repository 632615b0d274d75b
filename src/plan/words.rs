//! The words of a command: splitting a string as a POSIX shell does, and quoting for such a shell. Pure.
//!
//! The shlex crate removes the quotes and backslashes of a word. It does not tell the place of a word, and does not
//! know what else a shell would do with the text, so the words are found here.

use std::ops::Range;

use super::template::grammar::{Fill, Hole, holes};
use super::template::{Names, Template, TextError, Word};

/// One word of a command that was written as a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitWord {
    /// The bytes of the string that it takes, with its quotes.
    pub range: Range<usize>,
    /// The word without its quotes.
    pub text: String,
}

/// Splits a command as a POSIX shell does.
///
/// # Errors
/// Text that only a shell could run, and quotes that are not closed.
pub fn split(text: &str) -> Result<Vec<SplitWord>, TextError> {
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        at = skip_blanks(text, at);
        if at == text.len() {
            return Ok(words);
        }
        let range = at..word_end(text, at)?;
        at = range.end;
        let unquoted = shlex::split(&text[range.clone()]).unwrap_or_default();
        words.push(SplitWord { range, text: unquoted.concat() });
    }
}

/// Passes over blanks, and over line ends with a backslash before them.
fn skip_blanks(text: &str, mut at: usize) -> usize {
    loop {
        let rest = &text[at..];
        at += match rest.as_bytes() {
            [b' ' | b'\t' | b'\n', ..] => 1,
            [b'\\', b'\n', ..] => 2,
            _ => return at,
        };
    }
}

fn word_end(text: &str, start: usize) -> Result<usize, TextError> {
    let bytes = text.as_bytes();
    if bytes[start] == b'#' {
        return Err(shell_text(start, '#'));
    }
    let mut at = start;
    while let Some(&byte) = bytes.get(at) {
        at = match byte {
            b' ' | b'\t' | b'\n' => break,
            b'|' | b'&' | b';' | b'<' | b'>' | b'$' | b'*' | b'`' => {
                return Err(shell_text(at, byte as char));
            }
            b'\\' if at + 1 == bytes.len() => return Err(unclosed(at, "a backslash with nothing after it")),
            b'\\' => at + 2,
            b'\'' => match bytes[at + 1..].iter().position(|b| *b == b'\'') {
                Some(length) => at + length + 2,
                None => return Err(unclosed(at, "a single quote that is not closed")),
            },
            b'"' => double_end(bytes, at).ok_or_else(|| unclosed(at, "a double quote that is not closed"))?,
            _ => at + 1,
        };
    }
    Ok(at)
}

/// Returns the place behind the double quotes that open at `start`.
fn double_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => 2,
            _ => 1,
        };
    }
}

fn shell_text(at: usize, what: char) -> TextError {
    TextError {
        range: at..at + 1,
        message: format!("`{what}` means something to a shell, but a command is run without one"),
        help: Some(format!(
            "for the shell write `script = \"…\"`; for the character itself, quote it: `'{what}'`"
        )),
    }
}

fn unclosed(at: usize, what: &str) -> TextError {
    TextError { range: at..at + 1, message: format!("the command has {what}"), help: None }
}

/// Parses the words of a command. A word that is `{args}` becomes as many words as there are arguments.
///
/// # Errors
/// The first mistake, and the index of its word.
pub fn words<B: AsRef<[u8]>>(words: &[B], names: &Names) -> Result<Vec<Word>, (usize, TextError)> {
    let mut made = Vec::with_capacity(words.len());
    for (i, word) in words.iter().enumerate() {
        let text = word.as_ref();
        let found = holes(text, names).map_err(|error| (i, error))?;
        match found.as_slice() {
            [Hole { range, fill: Fill::Args(args) }] if range.len() == text.len() => {
                made.extend(args.iter().map(|arg| Word(Template::literal(arg))));
            }
            _ => made.push(Word(Template::parse(text, names).map_err(|error| (i, error))?)),
        }
    }
    Ok(made)
}

/// Splits a command and parses its words. The range of an error is within its word.
pub fn line(text: &str, names: &Names) -> Result<Vec<Word>, TextError> {
    let plain: Vec<String> = split(text)?.into_iter().map(|word| word.text).collect();
    words(&plain, names).map_err(|(_, error)| error)
}

/// Quotes a word, so that a POSIX shell reads it as it is. The result is valid UTF-8 without control characters
/// but tabs and newlines: other bytes are written as `"$(printf '\033')"`. A newline is kept, because a shell
/// removes newlines at the end of the output of `$(…)`.
pub fn quote(word: &[u8]) -> String {
    if word.is_empty() {
        return "''".to_owned();
    }
    let mut out = String::with_capacity(word.len() + 2);
    let (mut shown, mut hidden) = (String::new(), Vec::new());
    for chunk in word.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() && c != '\n' && c != '\t' {
                put_shown(&mut shown, &mut out);
                hidden.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                put_hidden(&mut hidden, &mut out);
                shown.push(c);
            }
        }
        if !chunk.invalid().is_empty() {
            put_shown(&mut shown, &mut out);
            hidden.extend_from_slice(chunk.invalid());
        }
    }
    put_shown(&mut shown, &mut out);
    put_hidden(&mut hidden, &mut out);
    out
}

/// Quotes a word as [`quote`] does, for one line, and without characters that act on a terminal or are not seen. Only
/// newlines at the end of a word stay: nothing that all shells read the same way could stand for them.
pub fn quote_in_line(word: &[u8]) -> String {
    let visible = |c: char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
    };
    if std::str::from_utf8(word).is_ok_and(|text| text.chars().all(visible)) {
        return quote(word);
    }
    let body = &word[..word.iter().rposition(|byte| *byte != b'\n').map_or(0, |last| last + 1)];
    let mut out = String::with_capacity(word.len() + 16);
    let (mut shown, mut hidden) = (String::new(), Vec::new());
    for chunk in body.utf8_chunks() {
        for c in chunk.valid().chars() {
            // A shell removes newlines at the end of `$(…)`, so that another character has to follow there.
            if visible(c) && hidden.last() != Some(&b'\n') {
                put_hidden(&mut hidden, &mut out);
                shown.push(c);
            } else {
                put_shown(&mut shown, &mut out);
                hidden.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        if !chunk.invalid().is_empty() {
            put_shown(&mut shown, &mut out);
            hidden.extend_from_slice(chunk.invalid());
        }
    }
    put_shown(&mut shown, &mut out);
    put_hidden(&mut hidden, &mut out);
    if body.len() < word.len() {
        out += &format!("'{}'", "\n".repeat(word.len() - body.len()));
    }
    out
}

/// Quotes bytes as the format of printf(1), for bytes that no argument can hold.
pub fn quote_format(bytes: &[u8]) -> String {
    let mut out = String::from("'");
    for &byte in bytes {
        match byte {
            b'\\' => out.push_str(r"\\"),
            b'%' => out.push_str("%%"),
            b' '..=b'~' if byte != b'\'' => out.push(byte as char),
            _ => put_octal(&[byte], &mut out),
        }
    }
    out.push('\'');
    out
}

fn put_octal(bytes: &[u8], out: &mut String) {
    out.extend(bytes.iter().map(|byte| format!("\\{byte:03o}")));
}

fn put_shown(text: &mut String, out: &mut String) {
    if !text.is_empty() {
        // Only a NUL could fail, and it is hidden.
        out.push_str(&shlex::try_quote(text).unwrap_or_default());
        text.clear();
    }
}

fn put_hidden(bytes: &mut Vec<u8>, out: &mut String) {
    if !bytes.is_empty() {
        out.push_str("\"$(printf '");
        put_octal(bytes, out);
        out.push_str("')\"");
        bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(command: &str) -> Vec<String> {
        split(command).unwrap().into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn splits_as_a_shell_does() {
        for (command, words) in [
            ("", &[][..]),
            (" \t\n", &[]),
            ("echo a  b\tc\n", &["echo", "a", "b", "c"]),
            (r#"echo 'a b'"c d"e\ f "" ''"#, &["echo", "a bc de f", "", ""]),
            (r#"'a\b' "a\b\"\\\$" \\"#, &[r"a\b", r#"a\b"\$"#, r"\"]),
            ("a \\\n b\\\nc \\\n", &["a", "bc"]),
            ("a#b '#' \\# {#}", &["a#b", "#", "#", "{#}"]),
            (r#"'|&;<>$*`' "|&;<>*" \| {} [a] ~ k=v"#, &["|&;<>$*`", "|&;<>*", "|", "{}", "[a]", "~", "k=v"]),
            ("grüße \\ü 'é'", &["grüße", "ü", "é"]),
        ] {
            assert_eq!(texts(command), words, "{command:?}");
        }
    }

    #[test]
    fn ranges_cover_words_as_written() {
        let command = "ls  'a b'c \\\n x";
        let written: Vec<&str> =
            split(command).unwrap().into_iter().map(|word| &command[word.range]).collect();
        assert_eq!(written, ["ls", "'a b'c", "x"]);
    }

    #[test]
    fn shell_text_is_an_error_that_names_script() {
        for what in ["|", "&", ";", "<", ">", "$", "*", "`", "#"] {
            let command = format!("echo a {what}b");
            let error = split(&command).expect_err(what);
            assert_eq!(&command[error.range], what);
            assert!(error.message.contains(&format!("`{what}`")), "{}", error.message);
            assert!(error.help.unwrap().contains("script = "), "{what}");
        }
    }

    #[test]
    fn unclosed_quotes_are_errors() {
        for (command, at) in [("echo 'a", 5), ("echo a\"b\\\"", 6), ("a \\", 2)] {
            assert_eq!(split(command).expect_err(command).range.start, at, "{command}");
        }
    }

    #[test]
    fn arguments_become_words() {
        let args = [b"a b".to_vec(), b"{}".to_vec()];
        let names = Names { items: true, args: Some(&args), ..Names::default() };
        let made = words(&["cp", "{args}", "x{args}y"], &names).unwrap();
        let literal: Vec<_> =
            ["cp", "a b", "{}", "xa b {}y"].map(|w| Word(Template::literal(w.as_bytes()))).into();
        assert_eq!(made, literal);
        let none = Names { args: Some(&[]), ..names };
        assert_eq!(words(&["cp", "{args}"], &none).unwrap().len(), 1);
        let exec = Names { args: None, ..names };
        assert_eq!(words(&["{args}"], &exec).unwrap(), [Word(Template::literal(b"{args}"))]);
        assert_eq!(words(&["a", "{arsg}"], &names).unwrap_err().0, 1);
    }

    #[test]
    fn quotes_what_a_shell_would_change() {
        for (word, quoted) in [
            (&b"plain-1.txt"[..], "plain-1.txt"),
            (b"", "''"),
            (b"a b", "'a b'"),
            (b"a\nb", "'a\nb'"),
            (b"\x1b[31mred", r#""$(printf '\033')"'[31mred'"#),
            (b"\xff\xfe", r#""$(printf '\377\376')""#),
            ("\u{9b}x".as_bytes(), r#""$(printf '\302\233')"x"#),
        ] {
            assert_eq!(quote(word), quoted);
        }
    }

    #[test]
    fn lines_for_people_are_lines_for_every_shell() {
        for (word, quoted) in [
            (&b"plain"[..], "plain"),
            (b"a b", "'a b'"),
            (b"a\nb c", r#"a"$(printf '\012\142')"' c'"#),
            (b"\n\n\nx", r#""$(printf '\012\012\012\170')""#),
            (b"a\tb", r#"a"$(printf '\011')"b"#),
            (b"a\xff\n", "a\"$(printf '\\377')\"'\n'"),
            (b"\n", "'\n'"),
            ("\u{202e}x".as_bytes(), r#""$(printf '\342\200\256')"x"#),
        ] {
            assert_eq!(quote_in_line(word), quoted, "{word:?}");
        }
        assert_eq!(quote_format(b"a\0%\\'\n\xff b"), r"'a\000%%\\\047\012\377 b'");
    }
}
