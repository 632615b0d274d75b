//! How the values of these options are spelt.

use bytesize::ByteSize;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::jobfile::values::{StartMode, parse_start};
use crate::plan::exec::escapes::unescape;

pub fn start_parser() -> impl TypedValueParser<Value = StartMode> {
    PossibleValuesParser::new(["spawn", "fork"]).try_map(|word| parse_start(&word))
}

pub fn parse_count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&count| count > 0).ok_or_else(|| "expected a number from 1".into())
}

/// One byte, as xargs takes it: itself, or an escape as in C.
pub fn parse_delimiter(text: &str) -> Result<u8, String> {
    match unescape(text.as_bytes())?[..] {
        [byte] => Ok(byte),
        _ => Err("expected one byte, or an escape such as `\\n`, `\\t`, `\\0`".into()),
    }
}

/// `10MB`, `64KiB`; a bare number is bytes, a bare letter a power of 1024 (as for GNU parallel).
pub fn parse_size(text: &str) -> Result<usize, String> {
    let bad = || "expected a size such as `64KiB`, `10MB` or a number of bytes".to_owned();
    let binary = text.ends_with(['K', 'M', 'G', 'k', 'm', 'g']).then(|| format!("{text}iB"));
    let size: ByteSize = binary.as_deref().unwrap_or(text).parse().map_err(|_| bad())?;
    usize::try_from(size.as_u64()).ok().filter(|size| *size > 0).ok_or_else(bad)
}
