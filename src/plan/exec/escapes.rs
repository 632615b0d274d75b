//! Text with escapes as in C: `\n`, `\t`, `\0`, `\x2c`. Pure.

/// Replaces escapes by the bytes that they stand for. A backslash at the very end stands for itself.
///
/// # Errors
/// An unknown escape, or one that is no byte.
pub fn unescape(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        let (byte, used) = match (*first, after.first()) {
            (b'\\', Some(b'x')) => number(&after[1..], 16, 2).map(|(byte, used)| (byte, used + 1)),
            (b'\\', Some(b'0'..=b'7')) => number(after, 8, 3),
            (b'\\', Some(escape)) => simple(*escape).map(|byte| (byte, 1)),
            (byte, _) => Some((byte, 0)),
        }
        .ok_or("expected `\\n`, `\\t`, `\\r`, `\\0`, `\\012`, `\\x0a` or `\\\\` after a backslash")?;
        bytes.push(byte);
        rest = &rest[used..];
    }
    Ok(bytes)
}

/// Parses a number of up to `most` digits. Returns it and the number of its digits.
fn number(text: &[u8], radix: u32, most: usize) -> Option<(u8, usize)> {
    let digits = text.iter().take(most).take_while(|byte| char::from(**byte).is_digit(radix)).count();
    let digits_text = std::str::from_utf8(&text[..digits]).ok()?;
    Some((u8::from_str_radix(digits_text, radix).ok()?, digits))
}

fn simple(escape: u8) -> Option<u8> {
    Some(match escape {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'v' => 0x0b,
        b'\\' => b'\\',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_the_bytes_that_they_mean() {
        let cases: [(&str, &[u8]); 9] = [
            ("", b""),
            ("plain ä", "plain ä".as_bytes()),
            (r"a\nb\t", b"a\nb\t"),
            (r"\0", b"\0"),
            (r"\0123", b"\n3"),
            (r"\x2c,\xa", b",,\n"),
            (r"\\n", b"\\n"),
            ("\\", b"\\"),
            (r"\a\b\f\v\r", b"\x07\x08\x0c\x0b\r"),
        ];
        for (text, bytes) in cases {
            assert_eq!(unescape(text.as_bytes()).as_deref(), Ok(bytes), "{text}");
        }
        for text in [r"\q", r"\400", r"\x", r"\xzz"] {
            assert!(unescape(text.as_bytes()).is_err(), "{text}");
        }
    }
}
