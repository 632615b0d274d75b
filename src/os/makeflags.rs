//! The jobserver that the environment names (see [`super::jobserver`]).

use std::ffi::OsStr;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use nix::libc;

/// The variables that name a jobserver. cargo names its own in the second one, for build scripts.
const VARIABLES: [&str; 2] = ["MAKEFLAGS", "CARGO_MAKEFLAGS"];
/// The options that name a jobserver. The second one is from make before 4.2.
const OPTIONS: [&[u8]; 2] = [b"--jobserver-auth=", b"--jobserver-fds="];

/// The location of a jobserver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Auth {
    /// The two ends of a pipe. They are negative where make says that this program must not use them.
    Descriptors(RawFd, RawFd),
    Fifo(PathBuf),
}

/// Returns the jobservers that are named, in the order of the variables.
pub(super) fn named() -> impl Iterator<Item = Auth> {
    VARIABLES.iter().filter_map(|name| auth(name))
}

/// Returns the first pair of named descriptors that are the two ends of one pipe. Call it before prun opens
/// anything.
pub(super) fn descriptors() -> Option<(RawFd, RawFd)> {
    named().find_map(|auth| match auth {
        Auth::Descriptors(read, write) => {
            // Two different pipes may be prun's standard input and output.
            let both = pipe_id(read, false).zip(pipe_id(write, true));
            both.is_some_and(|(one, other)| one == other).then_some((read, write))
        }
        Auth::Fifo(_) => None,
    })
}

fn auth(variable: &str) -> Option<Auth> {
    auth_in(std::env::var_os(variable)?.as_bytes())
}

/// Returns the last jobserver that is named. After `--` only variables follow.
pub(super) fn auth_in(flags: &[u8]) -> Option<Auth> {
    let words = flags.split(|&byte| byte == b' ').take_while(|word| word != b"--");
    let value = |word| OPTIONS.iter().find_map(|option| <[u8]>::strip_prefix(word, *option));
    let value = words.filter_map(value).last()?;
    if let Some(path) = value.strip_prefix(b"fifo:") {
        return Some(Auth::Fifo(PathBuf::from(OsStr::from_bytes(path))));
    }
    let (read, write) = std::str::from_utf8(value).ok()?.split_once(',')?;
    Some(Auth::Descriptors(read.parse().ok()?, write.parse().ok()?))
}

/// Returns the device and inode number of a pipe that can be read, or written if `writes`.
pub(super) fn pipe_id(fd: RawFd, writes: bool) -> Option<(u64, u64)> {
    // SAFETY: stat is a plain C struct, for which zeroes are valid, and live; a descriptor that is not open
    // is an error and does no harm.
    let (stat, flags) = unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        if libc::fstat(fd, &mut stat) == -1 {
            return None;
        }
        (stat, libc::fcntl(fd, libc::F_GETFL))
    };
    let wanted = if writes { libc::O_WRONLY } else { libc::O_RDONLY };
    let fits = stat.st_mode & libc::S_IFMT == libc::S_IFIFO
        && [wanted, libc::O_RDWR].contains(&(flags & libc::O_ACCMODE));
    fits.then_some((stat.st_dev, stat.st_ino))
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn the_last_one_that_is_named_counts() {
        let fds = |read, write| Some(Auth::Descriptors(read, write));
        let cases: [(&str, Option<Auth>); 10] = [
            ("", None),
            ("ks --no-print-directory", None),
            (" -j3 --jobserver-auth=3,4", fds(3, 4)),
            ("k -j --jobserver-fds=5,6", fds(5, 6)),
            (" -j --jobserver-fds=5,6 --jobserver-auth=7,8 -l2", fds(7, 8)),
            (" -j --jobserver-auth=7,8 --jobserver-auth=fifo:/tmp/x", Some(Auth::Fifo("/tmp/x".into()))),
            (" -j --jobserver-auth=-2,-2", fds(-2, -2)),
            (" -j --jobserver-auth=x,y", None),
            (" -j --jobserver-auth=3", None),
            (" -- A=1 --jobserver-auth=3,4", None),
        ];
        for (flags, expected) in cases {
            assert_eq!(auth_in(flags.as_bytes()), expected, "{flags}");
        }
    }

    #[test]
    fn descriptors_are_looked_at() {
        let (read, write) = io::pipe().unwrap();
        let file = OpenOptions::new().read(true).write(true).open("/dev/null").unwrap();
        let (r, w) = (read.as_raw_fd(), write.as_raw_fd());
        assert!(pipe_id(r, false).is_some());
        assert_eq!(pipe_id(r, false), pipe_id(w, true));
        let (_other, another) = io::pipe().unwrap();
        assert_ne!(pipe_id(r, false), pipe_id(another.as_raw_fd(), true));
        assert_eq!((pipe_id(w, false), pipe_id(r, true)), (None, None), "the wrong ends");
        for fd in [file.as_raw_fd(), -2, 1_000_000] {
            assert_eq!((pipe_id(fd, false), pipe_id(fd, true)), (None, None));
        }
    }
}
