//! Whether escape sequences for colours may be written to a stream.

use std::io;

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};

use super::args::When;
use super::variables;

/// True if help, which is shown before the options are known, may have colours.
pub fn of_help() -> bool {
    allowed(variables::color(), &io::stdout())
}

/// True if text for `stream` may have colours. `NO_COLOR`, `CLICOLOR_FORCE` and `TERM` decide only where
/// neither `--color` nor `PRUN_COLOR` does; `wanted` is what these two say.
pub fn allowed(wanted: Option<When>, stream: &impl RawStream) -> bool {
    match wanted.unwrap_or_default() {
        When::Always => true,
        When::Never => false,
        When::Auto => AutoStream::choice(stream) != ColorChoice::Never,
    }
}
