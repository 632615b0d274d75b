//! A control group of the run's own (cgroups(7), version 2). Children are started in it, so that even
//! processes that lose their mark and their environment (in a session made by PAM) belong to the run.
//!
//! The guardian makes it within prun's own group, while prun still reads its job file. It is removed at the
//! end, after disowned processes were moved to prun's own group. Where no control group can be made (no
//! permission, none mounted), the run relies on the marks alone.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::libc;
use nix::unistd::Pid;

use super::marked::{Marked, mark_of};
use super::{errors, guardian_pid, live_starts, proc};

/// The run's group, opened at the first start. `None` inside: there is no group.
static CGROUP: OnceLock<Option<File>> = OnceLock::new();
/// True if children can't be started in the group. The first attempt shows it.
static UNUSABLE: AtomicBool = AtomicBool::new(false);

/// Returns the descriptor of the group that children are started in.
pub(super) fn descriptor() -> Option<RawFd> {
    let folder = CGROUP.get_or_init(open).as_ref()?;
    (!UNUSABLE.load(Ordering::Relaxed)).then(|| folder.as_raw_fd())
}

/// Opens the group that the guardian has made. Without a guardian it is made here.
fn open() -> Option<File> {
    guardian_pid::wait_until_ready();
    let folder = match guardian_pid::get() {
        Some(_) => live_starts::cgroup()?,
        None => make().ok()?,
    };
    File::open(folder).ok()
}

/// True if the group was asked for, so that it may exist.
pub(super) fn was_opened() -> bool {
    CGROUP.get().is_some()
}

/// Starts all further children in prun's own group.
pub(super) fn stop_using() {
    UNUSABLE.store(true, Ordering::Relaxed);
}

/// Returns the group's folder, or the reason why there is no group.
pub fn folder() -> Result<PathBuf, String> {
    if descriptor().is_none() && UNUSABLE.load(Ordering::Relaxed) {
        return Err("processes can't be started in it".into());
    }
    match live_starts::cgroup() {
        Some(folder) => Ok(folder),
        // The guardian does not report its reason; a second attempt fails with the same one.
        None => make(),
    }
}

/// Returns the processes in the group that carry no mark. Once something was disowned there are none to
/// return: an unmarked process may then be a disowned one.
pub(super) fn unmarked() -> Vec<Marked> {
    let Some(folder) = live_starts::cgroup().filter(|_| !live_starts::has_disowned()) else {
        return Vec::new();
    };
    let unmarked = members(&folder).into_iter().filter(|&pid| mark_of(pid).is_none());
    let found = unmarked.map(|pid| Marked { pid, mark: live_starts::unknown_mark() });
    found.filter(|found| proc::is_alive(found.pid)).collect()
}

/// True if the process is in the run's group.
pub(super) fn contains(pid: Pid) -> bool {
    let Some(name) = live_starts::cgroup().and_then(|folder| folder.file_name().map(OsStr::to_owned)) else {
        return false;
    };
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    own_path(&text).is_some_and(|path| Path::new(path).iter().any(|part| part == name))
}

/// Kills the whole group at once, so that no process can fork meanwhile. Does nothing if a process in the
/// group must survive: a disowned one, or the guardian of an inner run. Returns whether the group was killed.
pub fn kill_all() -> bool {
    let Some(folder) = live_starts::cgroup() else { return false };
    let may_die = |pid: Pid| match mark_of(pid) {
        Some(mark) if mark.run() == live_starts::run().mark => {
            live_starts::is_live(mark) && !mark.is_guardian()
        }
        // Processes of an inner run: its own guardian looks after those that it disowned.
        Some(_) => false,
        None => !live_starts::has_disowned(),
    };
    // Whatever is forked between the check and the kill descends from a process that was checked.
    members(&folder).into_iter().all(may_die) && write(&folder.join("cgroup.kill"), b"1").is_ok()
}

/// Moves the remaining processes to prun's own group and removes the run's. Called by prun or by its
/// guardian, whichever sees the end of the run.
pub(super) fn remove() {
    let Some(folder) = live_starts::take_cgroup() else { return };
    let Some(parent) = folder.parent() else { return };
    // A process may fork between two passes; zombies do not keep a group busy.
    for _ in 0..100 {
        match std::fs::remove_dir(&folder) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            _ => break,
        }
        for pid in pids_of(&folder) {
            let _ = write(&parent.join("cgroup.procs"), pid.to_string().as_bytes());
        }
        // The groups within belong to inner runs that were disowned. They remove their own groups, and then
        // this one.
        if std::fs::read_dir(&folder).is_ok_and(|mut inside| inside.any(|entry| is_folder(&entry))) {
            break;
        }
    }
    // An inner run that was disowned has outlived the outer run, and is the last one to use the outer group.
    if parent.file_name().is_some_and(|name| name.as_bytes().starts_with(PREFIX.as_bytes())) {
        let _ = std::fs::remove_dir(parent);
    }
}

const PREFIX: &str = "prun-";

/// Makes the group.
pub(super) fn make() -> Result<PathBuf, String> {
    let folder = where_to_make()?;
    // Recorded before it exists: whoever sees the end of the run removes it, whenever that is.
    if !live_starts::set_cgroup(&folder) {
        return Err("its path is too long".into());
    }
    std::fs::create_dir(&folder).map_err(|error| {
        live_starts::take_cgroup();
        format!("{}: {}", folder.display(), errors::reason(&error))
    })?;
    Ok(folder)
}

fn where_to_make() -> Result<PathBuf, String> {
    let read = |name: &str| proc::read(name).map_err(|error| errors::reason(&error));
    let own = read("/proc/self/cgroup")?;
    let own = own_path(&own).ok_or("there is no cgroup of version 2")?;
    let mounts = read("/proc/self/mountinfo")?;
    let own = folder_of(&mounts, own).ok_or("no cgroup of version 2 is mounted")?;
    Ok(own.join(format!("{PREFIX}{:x}", live_starts::run().mark.number())))
}

/// Returns the version 2 group named in the text of `/proc/PID/cgroup`: the line of hierarchy 0.
fn own_path(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::"))
}

/// Returns the folder where `group` is mounted, from the text of `/proc/self/mountinfo` (proc(5)). In each
/// line the fourth field is the part of the tree that is mounted and the fifth is the mount point; the type
/// follows a dash.
fn folder_of(mounts: &str, group: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        if kind.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = place.split(' ').skip(3);
        let (root, mounted) = (fields.next()?, fields.next()?);
        // A namespace that can't see its own group shows it below `/..`.
        let inside = Path::new(group).strip_prefix(unescape(root)).ok()?;
        let hidden = inside.iter().any(|part| part == "..");
        (!hidden).then(|| unescape(mounted).join(inside))
    })
}

/// Replaces the octal escapes that mountinfo uses for blanks, tabs, newlines and backslashes.
fn unescape(field: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = field.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let digits = behind.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if first == b'\\' => {
                bytes.push(byte);
                rest = &behind[3..];
            }
            _ => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    PathBuf::from(OsStr::from_bytes(&bytes))
}

/// Returns the processes of a group and of the groups within it.
fn members(folder: &Path) -> Vec<Pid> {
    let mut pids = pids_of(folder);
    for inside in std::fs::read_dir(folder).into_iter().flatten().filter(is_folder).flatten() {
        pids.extend(members(&inside.path()));
    }
    pids
}

fn pids_of(folder: &Path) -> Vec<Pid> {
    let text = std::fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    // A process of another PID namespace is listed as 0.
    text.lines().filter_map(|pid| pid.parse().ok()).filter(|&pid| pid != 0).map(Pid::from_raw).collect()
}

fn is_folder(entry: &io::Result<std::fs::DirEntry>) -> bool {
    entry.as_ref().is_ok_and(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
}

fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    std::fs::OpenOptions::new().write(true).open(file)?.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw
";

    #[test]
    fn the_own_group_is_found() {
        let unified = |group| folder_of(HYBRID, group);
        assert_eq!(unified("/"), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(unified("/a/b.scope"), Some("/sys/fs/cgroup/unified/a/b.scope".into()));
        let part = "41 31 0:38 /a\\040b /sys/fs/c\\134g rw - cgroup2 cgroup2 rw\n";
        assert_eq!(folder_of(part, "/a b/c"), Some("/sys/fs/c\\g/c".into()));
        assert_eq!(folder_of(part, "/other"), None, "out of sight");
        assert_eq!(folder_of(HYBRID, "/../other"), None, "out of sight");
        assert_eq!(folder_of("32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu", "/"), None);
        assert_eq!(own_path("3:cpuset:/x\n0::/y\n"), Some("/y"));
        assert_eq!(own_path("3:cpuset:/x\n"), None);
    }
}
