//! A control group of the run's own (cgroups(7), version 2), where one can be made: children begin in it, so that
//! even those that lose their mark and their environment (in a session made by PAM) belong to the run.
//!
//! It is made by the guardian, while prun reads what is to be done, within prun's own group, and removed at the end.
//! What was let go is moved to prun's own group first. Where none can be made (no permission, none mounted), the marks
//! do alone.

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

use super::live_starts;
use super::tree::{self, Found};

/// The run's group, open; or none; nothing yet before the first start.
static CGROUP: OnceLock<Option<File>> = OnceLock::new();
/// Children can't be started in it, for a reason that is known at the first try only.
static GIVEN_UP: AtomicBool = AtomicBool::new(false);

/// Where children of this run begin.
pub(super) fn raw() -> Option<RawFd> {
    let folder = CGROUP.get_or_init(open).as_ref()?;
    (!GIVEN_UP.load(Ordering::Relaxed)).then(|| folder.as_raw_fd())
}

/// What the guardian has made, or, where there is none, what is made now.
fn open() -> Option<File> {
    super::guardian::wait_until_ready();
    let folder = match super::guardian::pid() {
        Some(_) => live_starts::cgroup()?,
        None => make().ok()?,
    };
    File::open(folder).ok()
}

/// Whether there may be one.
pub(super) fn was_wanted() -> bool {
    CGROUP.get().is_some()
}

/// From now on children begin where prun is.
pub(super) fn give_up() {
    GIVEN_UP.store(true, Ordering::Relaxed);
}

/// The group's folder, or why there is none.
pub fn look() -> Result<PathBuf, String> {
    if raw().is_none() && GIVEN_UP.load(Ordering::Relaxed) {
        return Err("processes can't be started in it".into());
    }
    match live_starts::cgroup() {
        Some(folder) => Ok(folder),
        // The guardian has kept the reason to itself; it is the same here.
        None => make(),
    }
}

/// Those in the group that carry no mark at all. Once something may have been let go, they may be that, and are none
/// of ours.
pub(super) fn unmarked() -> Vec<Found> {
    let Some(folder) = live_starts::cgroup().filter(|_| !live_starts::has_let_go()) else {
        return Vec::new();
    };
    let unmarked = members(&folder).into_iter().filter(|&pid| tree::mark_of(pid).is_none());
    let found = unmarked.map(|pid| Found { pid, mark: live_starts::unknown() });
    found.filter(|found| tree::is_alive(found.pid)).collect()
}

/// Whether the process is in the run's group.
pub(super) fn holds(pid: Pid) -> bool {
    let Some(name) = live_starts::cgroup().and_then(|folder| folder.file_name().map(OsStr::to_owned)) else {
        return false;
    };
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    own_path(&text).is_some_and(|path| Path::new(path).iter().any(|part| part == name))
}

/// Kills all in the group at once, so that nothing can be forked meanwhile. Not if somebody is there who must live:
/// what was let go, or the guardian of a run within. Says whether it was done.
pub fn kill_all() -> bool {
    let Some(folder) = live_starts::cgroup() else { return false };
    let may_die = |pid: Pid| match tree::mark_of(pid) {
        Some(mark) if mark.run() == live_starts::run().mark => {
            live_starts::is_live(mark) && !mark.is_guardian()
        }
        // Of a run within: its own guardian is for what it let go.
        Some(_) => false,
        None => !live_starts::has_let_go(),
    };
    // Whatever is forked between the look and the deed descends from those that were seen.
    members(&folder).into_iter().all(may_die) && write(&folder.join("cgroup.kill"), b"1").is_ok()
}

/// Moves what is still there to prun's own group, and removes the run's. By prun or by its guardian, whichever
/// comes to the run's end.
pub(super) fn close() {
    let Some(folder) = live_starts::take_cgroup() else { return };
    let Some(parent) = folder.parent() else { return };
    // A process may fork while it is looked for; zombies keep no group.
    for _ in 0..100 {
        match std::fs::remove_dir(&folder) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            _ => break,
        }
        for pid in pids_of(&folder) {
            let _ = write(&parent.join("cgroup.procs"), pid.to_string().as_bytes());
        }
        // Groups within are of runs that were let go, which remove them, and then this one.
        if std::fs::read_dir(&folder).is_ok_and(|mut inside| inside.any(|entry| is_folder(&entry))) {
            break;
        }
    }
    // A run that was let go outlived the run around it, and is the last that uses its group.
    if parent.file_name().is_some_and(|name| name.as_bytes().starts_with(PREFIX.as_bytes())) {
        let _ = std::fs::remove_dir(parent);
    }
}

const PREFIX: &str = "prun-";

/// Makes the group.
pub(super) fn make() -> Result<PathBuf, String> {
    let folder = where_to_make()?;
    // Told before it is there: whoever comes to the run's end removes it, whenever that is.
    if !live_starts::set_cgroup(&folder) {
        return Err("its path is too long".into());
    }
    std::fs::create_dir(&folder).map_err(|error| {
        live_starts::take_cgroup();
        format!("{}: {}", folder.display(), super::errors::reason(&error))
    })?;
    Ok(folder)
}

fn where_to_make() -> Result<PathBuf, String> {
    let read = |name: &str| std::fs::read_to_string(name).map_err(|error| super::errors::reason(&error));
    let own = read("/proc/self/cgroup")?;
    let own = own_path(&own).ok_or("there is no cgroup of version 2")?;
    let mounts = read("/proc/self/mountinfo")?;
    let own = folder_of(&mounts, own).ok_or("no cgroup of version 2 is mounted")?;
    Ok(own.join(format!("{PREFIX}{:x}", live_starts::run().mark.number())))
}

/// The group of version 2 in the text of `/proc/PID/cgroup`: the line of hierarchy 0.
fn own_path(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::"))
}

/// Where this group is mounted, by the text of `/proc/self/mountinfo` (proc(5)): in each line the fourth field is the
/// part of the tree that is mounted, the fifth is where; the type follows a dash.
fn folder_of(mounts: &str, group: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        if kind.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = place.split(' ').skip(3);
        let (root, mounted) = (fields.next()?, fields.next()?);
        // A namespace that can't see its own group shows it behind `/..`.
        let inside = Path::new(group).strip_prefix(unescape(root)).ok()?;
        let hidden = inside.iter().any(|part| part == "..");
        (!hidden).then(|| unescape(mounted).join(inside))
    })
}

/// Blanks and the like stand there as three octal digits.
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

/// The processes of a group and of those within it.
fn members(folder: &Path) -> Vec<Pid> {
    let mut pids = pids_of(folder);
    for inside in std::fs::read_dir(folder).into_iter().flatten().filter(is_folder).flatten() {
        pids.extend(members(&inside.path()));
    }
    pids
}

fn pids_of(folder: &Path) -> Vec<Pid> {
    let text = std::fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    // 0: of another namespace.
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
