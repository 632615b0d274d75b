//! A task's output as the quoted value of a table's column.

/// How the value is quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// CSV: quotes are doubled, all other bytes stay.
    Doubled,
    /// JSON: bytes that are not UTF-8 become U+FFFD.
    Json,
}

impl Escape {
    /// Appends the escaped form of `bytes`. An incomplete character at the end is kept in `partial`.
    pub fn put(self, bytes: &[u8], partial: &mut Vec<u8>, out: &mut Vec<u8>) {
        match self {
            Escape::Doubled => put_doubled(bytes, out),
            Escape::Json if partial.is_empty() => put_json(bytes, partial, out),
            Escape::Json => {
                let whole = [std::mem::take(partial).as_slice(), bytes].concat();
                put_json(&whole, partial, out);
            }
        }
    }

    /// Appends the escaped form of a complete value.
    pub fn put_all(self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut partial = Vec::new();
        self.put(bytes, &mut partial, out);
        self.end(&mut partial, out);
    }

    /// Ends the value. An incomplete character becomes U+FFFD.
    pub fn end(self, partial: &mut Vec<u8>, out: &mut Vec<u8>) {
        if !partial.is_empty() {
            put_replacement(out);
            partial.clear();
        }
    }
}

fn put_doubled(bytes: &[u8], out: &mut Vec<u8>) {
    let mut done = 0;
    for quote in memchr::memchr_iter(b'"', bytes) {
        out.extend_from_slice(&bytes[done..=quote]);
        done = quote;
    }
    out.extend_from_slice(&bytes[done..]);
}

fn put_json(bytes: &[u8], partial: &mut Vec<u8>, out: &mut Vec<u8>) {
    let mut rest = bytes;
    loop {
        let error = match std::str::from_utf8(rest) {
            Ok(text) => return put_text(text, out),
            Err(error) => error,
        };
        let (valid, other) = rest.split_at(error.valid_up_to());
        put_text(std::str::from_utf8(valid).unwrap_or_default(), out);
        let Some(length) = error.error_len() else { return partial.extend_from_slice(other) };
        put_replacement(out);
        rest = &other[length..];
    }
}

fn put_replacement(out: &mut Vec<u8>) {
    out.extend_from_slice("\u{fffd}".as_bytes());
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    let mut done = 0;
    for (at, byte) in text.bytes().enumerate().filter(|(_, byte)| matches!(byte, ..0x20 | b'"' | b'\\')) {
        out.extend_from_slice(&text.as_bytes()[done..at]);
        done = at + 1;
        match byte {
            b'\n' => out.extend_from_slice(br"\n"),
            b'\t' => out.extend_from_slice(br"\t"),
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            _ => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
    }
    out.extend_from_slice(&text.as_bytes()[done..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(escape: Escape, pieces: &[&[u8]]) -> Vec<u8> {
        let (mut partial, mut out) = (Vec::new(), Vec::new());
        pieces.iter().for_each(|piece| escape.put(piece, &mut partial, &mut out));
        escape.end(&mut partial, &mut out);
        out
    }

    #[test]
    fn characters_that_are_cut_by_chance_are_whole() {
        let pieces: [&[u8]; 4] = [b"a\xc3", b"\xbc\"\xf0\x9f", b"\x98", b"\x80\xff\n\xe2\x82"];
        let out = String::from_utf8(escaped(Escape::Json, &pieces)).unwrap();
        assert_eq!(out, "aü\\\"😀\u{fffd}\\n\u{fffd}");
    }

    proptest! {
        #[test]
        fn json_is_what_the_bytes_are_as_text(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'"'), Just(0xc3), Just(0xbc)], 0..40),
            at in 0usize..40,
        ) {
            let (front, back) = bytes.split_at(at.min(bytes.len()));
            let json = [b"\"", escaped(Escape::Json, &[front, back]).as_slice(), b"\""].concat();
            let text: String = serde_json::from_slice(&json).unwrap();
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn doubled_quotes_are_read_again(bytes in "[\",\n\r a]{0,20}") {
            let mut reader = csv_core::Reader::new();
            let (mut field, mut ends) = ([0; 64], [0; 2]);
            let row = [b"\"", escaped(Escape::Doubled, &[bytes.as_bytes()]).as_slice(), b"\"\n"].concat();
            let (_, _, length, _) = reader.read_record(&row, &mut field, &mut ends);
            prop_assert_eq!(&field[..length], bytes.as_bytes());
        }
    }
}
