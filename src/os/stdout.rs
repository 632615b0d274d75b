//! Writing to prun's own stdout.

use std::io::{self, IoSlice, Write};

use super::errors::reason;
use super::inherited::inherited;
use super::io::write_all;
use super::std_streams;

/// prun's stdout without a buffer. Unlike [`std::io::Stdout`] it reports EBADF, which is the error of a descriptor that
/// was closed or is open for reading only, and it waits if somebody has made the descriptor non-blocking.
pub struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write_all(std_streams::stdout(), &mut [IoSlice::new(bytes)])?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the text of a failure to write to stdout.
pub fn failure(error: &io::Error) -> String {
    if inherited().open[1] { reason(error) } else { "it is closed".to_owned() }
}
