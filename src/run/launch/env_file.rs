//! `env_file`: files of `NAME=VALUE` lines, which [`flow::env_file`](crate::flow::env_file) understands.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc;

use crate::flow::env_file::{LARGEST, Variable, parse};
use crate::os;

/// Returns the variables of a file, in its order.
///
/// # Errors
/// When the file can't be read or is wrong. The text continues "env_file `x.env` …".
pub fn read(path: &Path) -> Result<Vec<Variable>, String> {
    let text = text(path)?;
    let outside = |name: &str| std::env::var_os(name).map(OsStringExt::into_vec);
    parse(&text, outside).map_err(|mistake| mistake.to_string())
}

fn text(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |why: io::Error| format!("can't be read: {}", os::errors::reason(&why));
    // Without O_NONBLOCK, opening a named pipe would wait for a writer.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err("is no plain file".to_owned());
    }
    let mut text = Vec::new();
    file.take(LARGEST as u64 + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() > LARGEST { Err("is too large for an environment".to_owned()) } else { Ok(text) }
}
