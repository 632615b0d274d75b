//! Printing to prun's own stdout, and the verdict that follows from it.

use std::io::{self, Write};

use nix::libc::SIGPIPE;

use super::instead::OWN_FAILURE;
use crate::os::stdout::{Stdout, failure};
use crate::run::Verdict;

/// Prints `text` and nothing else.
pub fn print(text: &[u8]) -> Verdict {
    verdict(Stdout.write_all(text))
}

/// Returns the verdict on a write to stdout. If the reader has closed the pipe, prun dies of SIGPIPE like any
/// other filter.
pub fn verdict(written: io::Result<()>) -> Verdict {
    match written {
        Ok(()) => Verdict::Code(0),
        Err(why) if why.kind() == io::ErrorKind::BrokenPipe => Verdict::Signal(SIGPIPE),
        Err(why) => {
            _ = writeln!(io::stderr(), "prun: cannot write to stdout: {}", failure(&why));
            Verdict::Code(OWN_FAILURE)
        }
    }
}
