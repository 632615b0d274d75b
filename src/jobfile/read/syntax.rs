//! The checks before a file is walked: size, encoding and TOML syntax.

use std::ops::Range;

use crate::jobfile::mistakes::{Mistake, Mistakes};

/// The largest job file, in bytes.
const LARGEST: usize = 32 * 1024 * 1024;

/// Returns the bytes as text, or the mistake that they are none.
pub(super) fn as_text<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str, Mistakes> {
    let fail = |source: &str, mistake: Mistake| {
        let mut mistakes = Mistakes::new(name, source.into());
        mistakes.push(mistake);
        Err(mistakes)
    };
    if bytes.len() > LARGEST {
        return fail(
            "",
            Mistake::new(format!("`{name}` is too large for a job file: more than 32 MiB"))
                .help("items can be read from a file of their own: `each.lines = \"FILE\"`"),
        );
    }
    if let Some(at) = memchr::memchr(0, bytes) {
        let mistake = Mistake::at(at..at + 1, format!("`{name}` is no text file")).label("a NUL byte");
        return fail(&String::from_utf8_lossy(bytes), mistake);
    }
    std::str::from_utf8(bytes).or_else(|error| {
        // The shown text has U+FFFD, which is three bytes long, in place of the wrong byte; before it both are the same.
        let at = error.valid_up_to();
        let mistake = Mistake::at(at..at + 3, format!("`{name}` is not UTF-8"))
            .label(format!("the byte 0x{:02x}", bytes[at]))
            .help("save the file as UTF-8");
        fail(&String::from_utf8_lossy(bytes), mistake)
    })
}

/// Returns one mistake for each line with a syntax error, reworded where the parser speaks about itself.
pub(super) fn syntax_errors(source: &str, errors: &[toml::de::Error]) -> Vec<Mistake> {
    let deep = |error: &toml::de::Error| error.message().contains("recurs");
    let place =
        |error: &toml::de::Error| error.span().or_else(|| deep(error).then(|| deepest_key(source)).flatten());
    let mut placed: Vec<_> = errors.iter().map(|error| (place(error), error)).collect();
    placed.sort_by_key(|(span, _)| span.as_ref().map(|span| span.start));
    let mut line_end = 0;
    let mut mistakes = Vec::new();
    for (span, error) in placed {
        if let Some(span) = &span {
            if span.start < line_end {
                continue;
            }
            line_end = source.as_bytes()[span.start..]
                .iter()
                .position(|&byte| byte == b'\n')
                .map_or(source.len(), |length| span.start + length)
                + 1;
        }
        let message = match &span {
            _ if deep(error) => "nested too deeply".to_owned(),
            Some(span) if error.message() == "duplicate key" => {
                format!("duplicate key `{}`", source.get(span.clone()).unwrap_or_default())
            }
            _ => error.message().to_owned(),
        };
        let label = if deep(error) { "more than 80 levels" } else { "" };
        mistakes.push(match span {
            Some(span) => Mistake::at(span, message).label(label),
            None => Mistake::new(message),
        });
    }
    mistakes
}

/// Finds the key with too many parts, whose place the parser does not tell.
fn deepest_key(source: &str) -> Option<Range<usize>> {
    let line = source.lines().find(|line| line.matches('.').count() >= 80)?;
    let start = line.as_ptr() as usize - source.as_ptr() as usize;
    Some(start..start + line.len().min(80))
}

/// Returns the start of the line that `at` is in.
pub(super) fn line_start(source: &str, at: usize) -> usize {
    source.as_bytes()[..at.min(source.len())]
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |newline| newline + 1)
}
