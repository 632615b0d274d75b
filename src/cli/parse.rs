//! The words of a command line → the options of one command.

use std::ffi::OsString;

use clap::Parser;

use super::instead::Instead;
use super::{colors, usage};

/// Parses `words` as the arguments of `command`, such as `prun exec`. Help and versions are [`Instead::Say`].
pub fn parse<T: Parser>(command: &str, words: &[OsString]) -> Result<T, Instead> {
    let line = std::iter::once(OsString::from(command)).chain(words.iter().cloned());
    T::try_parse_from(line).map_err(|asked| {
        if asked.use_stderr() {
            return Instead::fail(usage::explain(&asked, command));
        }
        let text = asked.render();
        let text = if colors::of_help() { text.ansi().to_string() } else { text.to_string() };
        Instead::Say(text.into_bytes())
    })
}
