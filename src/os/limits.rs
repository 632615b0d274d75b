//! Resource limits and other limits of the system: descriptors, room for arguments, CPUs.

use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Returns the soft and the hard limit of open files.
pub(super) fn nofile() -> (u64, u64) {
    getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024))
}

/// Returns the number of files that prun may have open.
pub fn open_files() -> u64 {
    nofile().0
}

/// Raises prun's own soft limit of open files to `wanted`, but not above the hard limit. Returns the soft
/// limit that is then in effect. Children get the limit that prun inherited (see [`super::start::Launcher`],
/// which is made later).
pub fn raise_nofile(wanted: u64) -> u64 {
    let (soft, hard) = nofile();
    let new = wanted.min(hard);
    if new > soft && setrlimit(Resource::RLIMIT_NOFILE, new, hard).is_ok() { new } else { soft }
}

/// Returns the soft and the hard limit of real-time processor time, which carries marks (see
/// [`super::mark`]).
pub(super) fn rttime() -> nix::Result<(u64, u64)> {
    getrlimit(Resource::RLIMIT_RTTIME)
}

pub(super) fn set_rttime(soft: u64, hard: u64) -> nix::Result<()> {
    setrlimit(Resource::RLIMIT_RTTIME, soft, hard)
}

/// Returns the room in bytes that a start has for arguments and environment together. Each string counts with
/// its bytes, a NUL and a pointer (see [`super::cstrings::CStrings::room`]).
///
/// Linux allows a quarter of the stack limit, at least 128 KiB and at most 6 MiB (execve(2)). 4 KiB are
/// reserved for the path and for what the kernel puts there itself; xargs reserves as much.
pub fn argument_room() -> usize {
    argument_room_in(getrlimit(Resource::RLIMIT_STACK).map_or(8 << 20, |(stack, _)| stack))
}

/// Returns the room for arguments and environment of a process with this stack limit, in bytes.
pub fn argument_room_in(stack: u64) -> usize {
    const RESERVE: u64 = 4096;
    ((stack / 4).clamp(128 << 10, 6 << 20) - RESERVE) as usize
}

/// Returns the length of the longest single argument, with its NUL (the kernel's MAX_ARG_STRLEN: 32 pages).
pub fn argument_max() -> usize {
    // SAFETY: the call only reads a value.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    32 * usize::try_from(page).unwrap_or(4096)
}

/// Returns prun's own nice value.
pub fn nice() -> i32 {
    // SAFETY: a plain system call on numbers, which can't fail for the calling process.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

/// Returns the highest limit of open files that even root can set (`/proc/sys/fs/nr_open`, proc(5)), if it is
/// known.
pub fn most_files() -> Option<u64> {
    std::fs::read_to_string("/proc/sys/fs/nr_open").ok()?.trim().parse().ok()
}

/// Returns the number of CPUs that prun may use, by its affinity and its cgroup's quota; at least 1.
pub fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_is_what_the_system_takes() {
        let argument = "x".repeat(argument_max() - 1);
        let room = argument_room();
        let mut command = std::process::Command::new("/bin/true");
        let mut left = room - "/bin/true\0".len() - 8;
        command.env_clear();
        while left > argument_max() + 8 {
            command.arg(&argument);
            left -= argument_max() + 8;
        }
        command.arg("x".repeat(left - 9));
        assert!(command.status().unwrap().success());
        command.arg("x".repeat(5000));
        let error = command.status().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ArgumentListTooLong);
    }
}
