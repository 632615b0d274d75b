//! Parsers for values of options.

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::jobfile::values::{StartMode, StopScope, parse_start, parse_stop};
use crate::plan::exec::escapes::unescape;

/// Returns the parser of `--start`.
pub fn start_parser() -> impl TypedValueParser<Value = StartMode> {
    PossibleValuesParser::new(["spawn", "fork"]).try_map(|word| parse_start(&word))
}

/// Returns the parser of `--stop`.
pub fn stop_parser() -> impl TypedValueParser<Value = StopScope> {
    PossibleValuesParser::new(["tree", "group", "process"]).try_map(|word| parse_stop(&word))
}

/// The shell that runs scripts: its words, with the option that makes it take a script, `-c`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shell(pub Vec<String>);

impl Shell {
    /// Parses a shell as people name it: `bash`, `bash -eu`.
    pub fn parse(text: &str) -> Result<Shell, String> {
        let mut words = shlex::split(text).unwrap_or_default();
        if words.is_empty() {
            return Err("it names no shell; write `bash`, for example".into());
        }
        words.push("-c".into());
        Ok(Shell(words))
    }
}

/// Parses a number from 1.
pub fn parse_count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&count| count > 0).ok_or_else(|| "expected a number from 1".into())
}

/// Parses a byte as xargs does: the byte itself, or an escape as in C.
pub fn parse_delimiter(text: &str) -> Result<u8, String> {
    match unescape(text.as_bytes())?[..] {
        [byte] => Ok(byte),
        _ => Err("expected one byte, or an escape such as `\\n`, `\\t`, `\\0`".into()),
    }
}
