//! The configuration file: where it is, and reading it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::args::Both;
use super::run::{MOST_BYTES, wrong};
use super::{Instead, reason, show};
use crate::jobfile::{Config, Mistakes, parse_config};
use crate::ui::phrases::escape;

/// What the user's configuration says; nothing if there is none, or none is wanted.
pub fn read(both: &Both) -> Result<Config, Instead> {
    if both.no_config {
        return Ok(Config::default());
    }
    of_the_user(&|mistakes| wrong(mistakes, show::stderr_has_colors(both)))
}

/// The same where it is wanted; `wrong` tells its mistakes.
pub fn of_the_user(wrong: &dyn Fn(&Mistakes) -> Instead) -> Result<Config, Instead> {
    let Some(path) = path(|name| std::env::var_os(name)) else { return Ok(Config::default()) };
    let name = escape(path.as_os_str().as_bytes());
    // Room for the whole of it: one read, and one that finds the end.
    let mut bytes = Vec::with_capacity(8192);
    match File::open(&path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes)) {
        Ok(_) => parse_config(&name, &bytes).map_err(|mistakes| wrong(&mistakes)),
        Err(why) if is_absence(&why) => Ok(Config::default()),
        Err(why) => Err(Instead::fail(format_args!(
            "the configuration file `{name}` can't be read: {}; `--no-config` leaves it out",
            reason(&why)
        ))),
    }
}

/// Also a folder of it that is none.
fn is_absence(why: &io::Error) -> bool {
    matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// `$XDG_CONFIG_HOME/prun/config.toml`, by default in `~/.config`. A folder that is not absolute counts as none, as
/// the XDG Base Directory Specification has it.
fn path(get: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = |name| get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|home| home.join(".config")))?;
    Some(base.join("prun/config.toml"))
}

#[cfg(test)]
mod tests;
