//! The registry of this run's live starts, in memory that prun shares with its guardian.
//!
//! A start is registered before its processes exist and unregistered when it is over. A start that leaves
//! processes behind on purpose disowns them: neither a later stop nor the guardian touches them. All of these
//! are plain writes to memory; no system call is made.

use std::collections::HashMap;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};

use super::mark::{Mark, RunMark};

/// The identity of this run, for the kernel and for people.
pub struct Run {
    pub mark: RunMark,
    /// The value of `PRUN_RUN_ID` in the environment of its tasks.
    pub id: String,
}

/// The number in marks of processes whose start is not known, because they lost mark and environment. No
/// start gets it. Such processes always count as live.
const UNKNOWN: u32 = (1 << 27) - 1;

/// The number of slots. It exceeds the number of processes on most machines; pages that are never used cost
/// nothing.
const SLOTS: usize = 1 << 20;
/// The number of slots where no memory can be shared. There is no guardian then, and prun alone knows what is
/// live.
const PRIVATE_SLOTS: usize = 1 << 12;

/// The number of a live start; 0 if the slot is free.
type Slot = AtomicU32;

/// The part that the guardian reads. Zeroed memory is a valid header.
struct Header {
    /// The slots from here on were never used.
    highest: AtomicU32,
    /// 1 once a signal that kills prun can't reach the guardian any more.
    ready: AtomicU32,
    /// 1 once prun has ended its run by itself.
    finished: AtomicU32,
    /// 1 once something may have been disowned.
    disowned: AtomicU32,
    /// 1 once prun aborts, so that nothing may start any more.
    aborting: AtomicU32,
    /// 1 once the guardian has stopped everything, as an aborting prun has asked it to.
    stopped: AtomicU32,
    /// The time from SIGTERM to SIGKILL when prun aborts, in milliseconds.
    grace: AtomicU32,
    /// The length of the path of the run's control group, 0 if there is none.
    cgroup: AtomicU32,
    path: [AtomicU8; MAX_PATH],
}

const MAX_PATH: usize = 1024;

struct Registry {
    header: &'static Header,
    slots: &'static [Slot],
    /// For each slot: the process group of the start, or 0.
    groups: &'static [AtomicU32],
    shared: bool,
    /// The part that only prun needs.
    index: Mutex<Index>,
}

#[derive(Default)]
struct Index {
    last: u32,
    slots: HashMap<u32, usize>,
    free: Vec<usize>,
}

static RUN: LazyLock<Run> = LazyLock::new(|| {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let id = format!("{:x}-{:x}", since_1970.as_micros(), std::process::id());
    Run { mark: RunMark::new(random().unwrap_or(since_1970.as_nanos() as u64)), id }
});

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::new);

/// Returns the identity of this run, which is made on first use.
pub fn run() -> &'static Run {
    &RUN
}

/// Registers a start that is about to be made, and returns its mark.
pub fn register() -> Mark {
    REGISTRY.register()
}

/// Notes the process group of a start, for a guardian that can't look for marks; 0: it has none any more.
pub fn set_group(mark: Mark, group: i32) {
    REGISTRY.set_group(mark, group);
}

/// Returns the process groups of the starts that are live.
pub(super) fn groups() -> Vec<i32> {
    let used = REGISTRY.used().iter().zip(REGISTRY.groups);
    let live = used.filter(|(slot, _)| slot.load(Ordering::Acquire) != 0);
    live.map(|(_, group)| group.load(Ordering::Acquire) as i32).filter(|group| *group > 1).collect()
}

/// Ends a start of which no process is left.
pub fn unregister(mark: Mark) {
    REGISTRY.unregister(mark);
}

/// Ends a start whose remaining processes do not belong to the run any more.
pub fn disown(mark: Mark) {
    REGISTRY.header.disowned.store(1, Ordering::Release);
    REGISTRY.unregister(mark);
}

/// True if a process of the run that carries no mark may be a disowned one.
pub fn has_disowned() -> bool {
    REGISTRY.header.disowned.load(Ordering::Acquire) != 0
}

/// True if processes with this mark belong to the run, because their start is not over.
pub fn is_live(mark: Mark) -> bool {
    mark.run() == RUN.mark && (mark.number() == UNKNOWN || REGISTRY.has(mark.number()))
}

/// Returns the mark for processes that belong to this run, but whose start is not known.
pub(super) fn unknown_mark() -> Mark {
    Mark::new(RUN.mark, UNKNOWN)
}

pub(super) fn is_unknown(mark: Mark) -> bool {
    mark == unknown_mark()
}

/// Creates the run's identity and the registry, so that a process forked now has both. Returns true if that
/// process will see later changes.
pub(super) fn share() -> bool {
    LazyLock::force(&RUN);
    REGISTRY.shared
}

/// Reports to prun that the guardian is ready.
pub(super) fn set_ready() {
    set(&REGISTRY.header.ready);
}

/// Waits until the guardian is ready, at most `limit`.
pub(super) fn wait_until_ready(limit: Duration) {
    wait(&REGISTRY.header.ready, limit);
}

/// Sets the time that tasks have to end when prun aborts.
pub fn set_grace(grace: Duration) {
    let millis = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
    REGISTRY.header.grace.store(millis, Ordering::Release);
}

pub(super) fn grace() -> Duration {
    Duration::from_millis(REGISTRY.header.grace.load(Ordering::Acquire).into())
}

/// Lets nothing start any more.
pub(super) fn set_aborting() {
    REGISTRY.header.aborting.store(1, Ordering::Release);
}

/// Blocks for ever if prun aborts.
pub(super) fn block_if_aborting() {
    while REGISTRY.header.aborting.load(Ordering::Relaxed) != 0 {
        std::thread::park();
    }
}

/// Reports to an aborting prun that all its tasks have gone.
pub(super) fn set_stopped() {
    set(&REGISTRY.header.stopped);
}

/// Waits until the guardian has stopped everything, at most `limit`.
pub(super) fn wait_until_stopped(limit: Duration) {
    wait(&REGISTRY.header.stopped, limit);
}

fn set(word: &AtomicU32) {
    word.store(1, Ordering::Release);
    // SAFETY: the word lives as long as the program; nothing is read or written but it.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
}

fn wait(word: &AtomicU32, limit: Duration) {
    let end = Instant::now() + limit;
    while word.load(Ordering::Acquire) == 0 && Instant::now() < end {
        let limit =
            libc::timespec { tv_sec: limit.as_secs() as i64, tv_nsec: i64::from(limit.subsec_nanos()) };
        // SAFETY: the word lives as long as the program, and the time is a live struct; both are only read.
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, 0, &raw const limit) };
    }
}

/// Reports to the guardian that prun has ended its run by itself.
pub(super) fn set_finished() {
    REGISTRY.header.finished.store(1, Ordering::Release);
}

pub(super) fn is_finished() -> bool {
    REGISTRY.header.finished.load(Ordering::Acquire) != 0
}

/// Returns the folder of the run's control group.
pub(super) fn cgroup() -> Option<PathBuf> {
    REGISTRY.header.cgroup(REGISTRY.header.cgroup.load(Ordering::Acquire))
}

/// Returns the folder of the run's control group to the caller that removes it; to later callers `None`.
pub(super) fn take_cgroup() -> Option<PathBuf> {
    REGISTRY.header.cgroup(REGISTRY.header.cgroup.swap(0, Ordering::AcqRel))
}

/// Records the folder of the run's control group. Returns false if its path is too long.
pub(super) fn set_cgroup(folder: &Path) -> bool {
    let bytes = folder.as_os_str().as_bytes();
    let fits = bytes.len() <= MAX_PATH;
    if fits {
        let header = REGISTRY.header;
        header.path.iter().zip(bytes).for_each(|(slot, &byte)| slot.store(byte, Ordering::Relaxed));
        header.cgroup.store(bytes.len() as u32, Ordering::Release);
    }
    fits
}

impl Header {
    fn new() -> Header {
        Header {
            highest: AtomicU32::new(0),
            ready: AtomicU32::new(0),
            finished: AtomicU32::new(0),
            disowned: AtomicU32::new(0),
            aborting: AtomicU32::new(0),
            stopped: AtomicU32::new(0),
            grace: AtomicU32::new(0),
            cgroup: AtomicU32::new(0),
            path: [const { AtomicU8::new(0) }; MAX_PATH],
        }
    }

    fn cgroup(&self, length: u32) -> Option<PathBuf> {
        let path = &self.path[..length as usize];
        let bytes = path.iter().map(|byte| byte.load(Ordering::Relaxed)).collect();
        (length > 0).then(|| PathBuf::from(OsString::from_vec(bytes)))
    }
}

impl Registry {
    fn new() -> Registry {
        if let Some((header, slots, groups)) = shared_memory() {
            return Registry { header, slots, groups, shared: true, index: Mutex::default() };
        }
        let header = Box::leak(Box::new(Header::new()));
        let zeroes = || (0..PRIVATE_SLOTS).map(|_| Slot::default()).collect::<Vec<_>>().leak();
        Registry { header, slots: zeroes(), groups: zeroes(), shared: false, index: Mutex::default() }
    }

    fn register(&self) -> Mark {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            index.last = if index.last + 1 < UNKNOWN { index.last + 1 } else { 1 };
            if !index.slots.contains_key(&index.last) {
                break;
            }
        }
        let number = index.last;
        let slot = index.free.pop().unwrap_or_else(|| {
            // A start beyond the last slot is only in the index: prun knows it, the guardian does not.
            self.header.highest.fetch_add(1, Ordering::AcqRel) as usize
        });
        index.slots.insert(number, slot);
        if let Some(slot) = self.slots.get(slot) {
            slot.store(number, Ordering::Release);
        }
        Mark::new(RUN.mark, number)
    }

    fn unregister(&self, mark: Mark) {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if mark.run() != RUN.mark {
            return;
        }
        if let Some(slot) = index.slots.remove(&mark.number()) {
            for words in [self.slots, self.groups] {
                if let Some(word) = words.get(slot) {
                    word.store(0, Ordering::Release);
                }
            }
            index.free.push(slot);
        }
    }

    fn set_group(&self, mark: Mark, group: i32) {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(word) = index.slots.get(&mark.number()).and_then(|slot| self.groups.get(*slot)) {
            word.store(group as u32, Ordering::Release);
        }
    }

    /// Returns the slots of the shared part, so that prun and the guardian see the same.
    fn used(&self) -> &[Slot] {
        let highest = self.header.highest.load(Ordering::Acquire) as usize;
        &self.slots[..highest.min(self.slots.len())]
    }

    fn has(&self, number: u32) -> bool {
        number != 0 && self.used().iter().any(|slot| slot.load(Ordering::Acquire) == number)
    }
}

fn shared_memory() -> Option<(&'static Header, &'static [Slot], &'static [AtomicU32])> {
    // The slots start behind the header, at the next cache line, and the groups behind the slots.
    const START: usize = size_of::<Header>().next_multiple_of(64);
    let size = NonZeroUsize::new(START + 2 * SLOTS * size_of::<Slot>())?;
    let flags = MapFlags::MAP_SHARED | MapFlags::MAP_NORESERVE;
    // SAFETY: a new mapping at an address that the kernel chooses overlaps nothing.
    let start = unsafe { mmap_anonymous(None, size, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, flags) };
    let start = start.ok()?.cast::<u8>();
    // SAFETY: the mapping is zeroed, big enough for all parts and aligned for them, never unmapped, and only
    // changed through atomics.
    unsafe {
        let words = std::slice::from_raw_parts(start.add(START).cast::<Slot>().as_ptr(), 2 * SLOTS);
        let (slots, groups) = words.split_at(SLOTS);
        Some((start.cast::<Header>().as_ref(), slots, groups))
    }
}

fn random() -> Option<u64> {
    let mut bytes = [0; 8];
    // SAFETY: the buffer is live and writable, and has the length that is passed.
    let filled = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), libc::GRND_NONBLOCK) };
    (filled == bytes.len() as isize).then(|| u64::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_live_until_it_is_struck() {
        let (first, second) = (register(), register());
        assert_ne!(first, second);
        assert!(is_live(first) && is_live(second));
        unregister(first);
        assert!(!is_live(first) && is_live(second));
        unregister(second);
        assert!(!is_live(Mark::new(RunMark::new(run().mark.number() + 1), first.number())), "of another run");
        assert!(is_live(unknown_mark()));
    }

    #[test]
    fn the_group_of_a_start_is_known_while_that_is_live() {
        let mark = register();
        assert!(!groups().contains(&987_654));
        set_group(mark, 987_654);
        assert!(groups().contains(&987_654));
        unregister(mark);
        assert!(!groups().contains(&987_654));
        set_group(mark, 987_654);
        assert!(!groups().contains(&987_654), "it is over");
    }

    #[test]
    fn numbers_begin_again_and_skip_live_ones_and_places_are_used_again() {
        let registry = Registry::new();
        let (first, second) = (registry.register(), registry.register());
        registry.unregister(second);
        registry.index.lock().unwrap().last = UNKNOWN - 2;
        assert_eq!(registry.register().number(), UNKNOWN - 1);
        assert_eq!(registry.register().number(), second.number(), "neither the unknown's nor a live one's");
        assert_eq!(registry.used().len(), 3);
        assert!(registry.has(first.number()));
    }

    #[test]
    fn more_starts_than_places_are_no_harm() {
        let header = Box::leak(Box::new(Header::new()));
        let [slots, groups]: [&'static [Slot]; 2] =
            [vec![Slot::default()].leak(), vec![Slot::default()].leak()];
        let registry = Registry { header, slots, groups, shared: false, index: Mutex::default() };
        let marks = [registry.register(), registry.register()];
        assert!(registry.has(marks[0].number()) && !registry.has(marks[1].number()));
        marks.into_iter().for_each(|mark| registry.unregister(mark));
        assert!(registry.has(registry.register().number()) != registry.has(registry.register().number()));
    }
}
