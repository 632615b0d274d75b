//! The configuration file of the user: where it is, and reading it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::instead::Instead;
use super::job_file::MOST_BYTES;
use crate::jobfile::{Config, parse_config};
use crate::os::errors::reason;
use crate::ui::phrases::escape;

/// Reads the configuration file; an empty configuration if there is no file, or if `left_out`
/// (`--no-config`). `color` is true if mistakes in it are shown in colour.
pub fn read(left_out: bool, color: bool) -> Result<Config, Instead> {
    let path = if left_out { None } else { path(|name| std::env::var_os(name)) };
    let Some(path) = path else { return Ok(Config::default()) };
    let name = escape(path.as_os_str().as_bytes());
    // Room for a file of usual size: one read takes it all, and a second one finds the end.
    let mut bytes = Vec::with_capacity(8192);
    match File::open(&path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes)) {
        Ok(_) => parse_config(&name, &bytes).map_err(|mistakes| Instead::mistakes(&mistakes, color)),
        Err(why) if is_absence(&why) => Ok(Config::default()),
        Err(why) => Err(Instead::fail(format_args!(
            "the configuration file `{name}` can't be read: {}; `--no-config` leaves it out",
            reason(&why)
        ))),
    }
}

/// True if there is no such file, also because a folder of its path is not a folder.
fn is_absence(why: &io::Error) -> bool {
    matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Returns `$XDG_CONFIG_HOME/prun/config.toml`, by default in `~/.config`. A variable that is not an absolute
/// path is ignored, as the XDG Base Directory Specification demands.
fn path(get: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = |name| get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|home| home.join(".config")))?;
    Some(base.join("prun/config.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_is() {
        let with = |xdg: Option<&str>, home: Option<&str>| {
            let value = |name: &str| if name == "HOME" { home } else { xdg };
            path(|name| value(name).map(OsString::from)).map(|path| path.display().to_string())
        };
        assert_eq!(with(Some("/x"), Some("/h")).as_deref(), Some("/x/prun/config.toml"));
        for xdg in [None, Some(""), Some("x")] {
            assert_eq!(with(xdg, Some("/h")).as_deref(), Some("/h/.config/prun/config.toml"));
        }
        assert_eq!(with(None, None), None);
        assert_eq!(with(None, Some("")), None);
    }
}
