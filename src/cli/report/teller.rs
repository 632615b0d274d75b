//! The formats of a report, as the one who reads the journal knows them.

use std::io::{self, Write};

use crate::journal::Entry;

/// Writes a journal in some format.
pub trait Teller {
    fn begin(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    /// Takes the lines of the journal in order. `last` is true if no later line is about the same task.
    fn entry(&mut self, entry: &Entry, last: bool, out: &mut dyn Write) -> io::Result<()>;

    fn end(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}
