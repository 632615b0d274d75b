//! The configuration file of the user: where it is, and reading it.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc;

use super::instead::Instead;
use super::job_file::MOST_BYTES;
use crate::jobfile::{Config, parse_config};
use crate::os::errors::reason;
use crate::ui::phrases::escape;

/// Options for reading the configuration file.
#[derive(Debug, Clone, Copy, Default)]
pub struct Look {
    /// True if it is not read at all (`--no-config`).
    pub left_out: bool,
    /// True if warnings are left out.
    pub quiet: bool,
    /// True if mistakes in it are shown in colour.
    pub color: bool,
}

/// Reads the configuration file; an empty configuration if there is no file. If it can't be known whether there is one,
/// because a folder on the way can't be searched (as with the `HOME` of another user), prun says so and goes on.
pub fn read(look: Look) -> Result<Config, Instead> {
    let path = if look.left_out { None } else { path(|name| std::env::var_os(name)) };
    let Some(path) = path else { return Ok(Config::default()) };
    let name = escape(path.as_os_str().as_bytes());
    // Room for a file of usual size: one read takes it all, and a second one finds the end.
    let mut bytes = Vec::with_capacity(8192);
    let opened = open(&path).and_then(|file| Ok((refusal(&file.metadata()?), file)));
    let read = opened.and_then(|(refusal, file)| match refusal {
        Some(_) => Ok(refusal),
        None => file.take(MOST_BYTES).read_to_end(&mut bytes).map(|_| None),
    });
    match read {
        Ok(None) => parse_config(&name, &bytes).map_err(|mistakes| Instead::mistakes(&mistakes, look.color)),
        Ok(Some(what)) => Err(Instead::fail(format_args!(
            "the configuration file `{name}` is {what}, and no regular file; `--no-config` leaves it out"
        ))),
        Err(why) if is_absence(&why) => Ok(Config::default()),
        Err(why) if is_out_of_reach(&path, &why) => {
            if !look.quiet {
                _ = writeln!(
                    io::stderr(),
                    "prun: whether there is a configuration file `{name}` is not known ({}): prun goes on without it; \
                     set `HOME` or `XDG_CONFIG_HOME` to a folder of yours, or use `--no-config`",
                    reason(&why)
                );
            }
            Ok(Config::default())
        }
        Err(why) => Err(Instead::fail(format_args!(
            "the configuration file `{name}` can't be read: {}; `--no-config` leaves it out",
            reason(&why)
        ))),
    }
}

/// Opens the file without waiting for the other end of a FIFO.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)
}

/// Returns what the file is, if reading it may wait or never end. `/dev/null` is an empty configuration.
fn refusal(data: &Metadata) -> Option<&'static str> {
    let (kind, null) = (data.file_type(), nix::sys::stat::makedev(1, 3));
    match () {
        () if kind.is_fifo() => Some("a FIFO"),
        () if kind.is_char_device() && data.rdev() == null => None,
        () if kind.is_char_device() || kind.is_block_device() => Some("a device"),
        () => None,
    }
}

/// True if a folder of the path can't be searched, so that nothing is known about the file.
fn is_out_of_reach(path: &Path, why: &io::Error) -> bool {
    let is_denied = |why: &io::Error| why.kind() == io::ErrorKind::PermissionDenied;
    is_denied(why) && fs::metadata(path).is_err_and(|why| is_denied(&why))
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
