//! The roll: which starts of this run are live, in memory that prun shares with its guardian.
//!
//! A start is entered before its processes are there, and struck when it is over: what it left then is let go, and
//! neither a later stop nor the guardian touches it. Both are plain writes to memory; no system call is made.

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

/// This run, as the kernel and people know it.
pub struct Run {
    pub mark: RunMark,
    /// `PRUN_RUN_ID` of its tasks.
    pub id: String,
}

/// Never of a start: for processes that lost all that they could be known by. They are always live.
const UNKNOWN: u32 = (1 << 27) - 1;

/// More than there can be processes on most machines; pages that are never used cost nothing.
const PLACES: usize = 1 << 20;
/// Where no memory can be shared, there is no guardian, and prun alone knows what is live.
const PRIVATE_PLACES: usize = 1 << 12;

/// The number of a live start; 0: nobody's.
type Place = AtomicU32;

/// What the guardian sees. Zeroed memory is a valid one.
struct Header {
    /// Places from here on were never used.
    highest: AtomicU32,
    /// The guardian is out of reach of what kills prun.
    ready: AtomicU32,
    /// prun has come to its end by itself.
    well: AtomicU32,
    /// Something may have been let go.
    let_go: AtomicU32,
    /// The length of the path of the run's control group, 0 if there is none.
    cgroup: AtomicU32,
    path: [AtomicU8; LONGEST_PATH],
}

const LONGEST_PATH: usize = 1024;

struct Roll {
    header: &'static Header,
    places: &'static [Place],
    shared: bool,
    /// What only prun itself needs.
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    last: u32,
    places: HashMap<u32, usize>,
    free: Vec<usize>,
}

static RUN: LazyLock<Run> = LazyLock::new(|| {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let id = format!("{:x}-{:x}", since_1970.as_micros(), std::process::id());
    Run { mark: RunMark::new(random().unwrap_or(since_1970.as_nanos() as u64)), id }
});

static ROLL: LazyLock<Roll> = LazyLock::new(Roll::new);

/// Made on first use.
pub fn run() -> &'static Run {
    &RUN
}

/// Enters a start that is about to be made.
pub fn enter() -> Mark {
    ROLL.enter()
}

/// The start is over, and nothing is left of it.
pub fn strike(mark: Mark) {
    ROLL.strike(mark);
}

/// The start is over, and what it left is its own from now on.
pub fn let_go(mark: Mark) {
    ROLL.header.let_go.store(1, Ordering::Release);
    ROLL.strike(mark);
}

/// Whether a process of the run that carries no mark may be one that was let go.
pub fn has_let_go() -> bool {
    ROLL.header.let_go.load(Ordering::Acquire) != 0
}

/// Whether processes with this mark belong to the run: its start is not over.
pub fn is_live(mark: Mark) -> bool {
    mark.run() == RUN.mark && (mark.number() == UNKNOWN || ROLL.has(mark.number()))
}

/// The mark of a process of this run that nothing is known of but that it belongs to the run.
pub(super) fn unknown() -> Mark {
    Mark::new(RUN.mark, UNKNOWN)
}

pub(super) fn is_unknown(mark: Mark) -> bool {
    mark == unknown()
}

/// Makes run and roll, so that a process that is forked now knows them. Says whether it will see changes.
pub(super) fn open() -> bool {
    LazyLock::force(&RUN);
    ROLL.shared
}

/// Tells prun that the guardian is ready.
pub(super) fn set_ready() {
    let ready = &ROLL.header.ready;
    ready.store(1, Ordering::Release);
    // SAFETY: the word lives as long as the program; nothing is read or written but it.
    unsafe { libc::syscall(libc::SYS_futex, ready.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
}

/// Waits for that, but not for ever.
pub(super) fn wait_until_ready(limit: Duration) {
    let ready = &ROLL.header.ready;
    let end = Instant::now() + limit;
    while ready.load(Ordering::Acquire) == 0 && Instant::now() < end {
        let limit =
            libc::timespec { tv_sec: limit.as_secs() as i64, tv_nsec: i64::from(limit.subsec_nanos()) };
        // SAFETY: the word lives as long as the program, and the time is a live struct; both are only read.
        unsafe { libc::syscall(libc::SYS_futex, ready.as_ptr(), libc::FUTEX_WAIT, 0, &raw const limit) };
    }
}

/// Tells the guardian that prun ends by itself, and all is done.
pub(super) fn set_well() {
    ROLL.header.well.store(1, Ordering::Release);
}

pub(super) fn is_well() -> bool {
    ROLL.header.well.load(Ordering::Acquire) != 0
}

/// The folder of the run's control group.
pub(super) fn cgroup() -> Option<PathBuf> {
    ROLL.header.cgroup(ROLL.header.cgroup.load(Ordering::Acquire))
}

/// The same, for whoever removes it.
pub(super) fn take_cgroup() -> Option<PathBuf> {
    ROLL.header.cgroup(ROLL.header.cgroup.swap(0, Ordering::AcqRel))
}

/// Says whether there is room for so long a path.
pub(super) fn set_cgroup(folder: &Path) -> bool {
    let bytes = folder.as_os_str().as_bytes();
    let fits = bytes.len() <= LONGEST_PATH;
    if fits {
        let header = ROLL.header;
        header.path.iter().zip(bytes).for_each(|(place, &byte)| place.store(byte, Ordering::Relaxed));
        header.cgroup.store(bytes.len() as u32, Ordering::Release);
    }
    fits
}

impl Header {
    fn new() -> Header {
        Header {
            highest: AtomicU32::new(0),
            ready: AtomicU32::new(0),
            well: AtomicU32::new(0),
            let_go: AtomicU32::new(0),
            cgroup: AtomicU32::new(0),
            path: [const { AtomicU8::new(0) }; LONGEST_PATH],
        }
    }

    fn cgroup(&self, length: u32) -> Option<PathBuf> {
        let path = &self.path[..length as usize];
        let bytes = path.iter().map(|byte| byte.load(Ordering::Relaxed)).collect();
        (length > 0).then(|| PathBuf::from(OsString::from_vec(bytes)))
    }
}

impl Roll {
    fn new() -> Roll {
        if let Some((header, places)) = shared_memory() {
            return Roll { header, places, shared: true, book: Mutex::default() };
        }
        let header = Box::leak(Box::new(Header::new()));
        let places = (0..PRIVATE_PLACES).map(|_| Place::default()).collect::<Vec<_>>().leak();
        Roll { header, places, shared: false, book: Mutex::default() }
    }

    fn enter(&self) -> Mark {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            book.last = if book.last + 1 < UNKNOWN { book.last + 1 } else { 1 };
            if !book.places.contains_key(&book.last) {
                break;
            }
        }
        let number = book.last;
        let place = book.free.pop().unwrap_or_else(|| {
            // One behind the last place has an entry in the book alone: prun knows it, the guardian does not.
            self.header.highest.fetch_add(1, Ordering::AcqRel) as usize
        });
        book.places.insert(number, place);
        if let Some(place) = self.places.get(place) {
            place.store(number, Ordering::Release);
        }
        Mark::new(RUN.mark, number)
    }

    fn strike(&self, mark: Mark) {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        if mark.run() != RUN.mark {
            return;
        }
        if let Some(place) = book.places.remove(&mark.number()) {
            if let Some(place) = self.places.get(place) {
                place.store(0, Ordering::Release);
            }
            book.free.push(place);
        }
    }

    /// Of the shared part alone, so that prun and the guardian see the same.
    fn used(&self) -> &[Place] {
        let highest = self.header.highest.load(Ordering::Acquire) as usize;
        &self.places[..highest.min(self.places.len())]
    }

    fn has(&self, number: u32) -> bool {
        number != 0 && self.used().iter().any(|place| place.load(Ordering::Acquire) == number)
    }
}

fn shared_memory() -> Option<(&'static Header, &'static [Place])> {
    // The places start behind the header, in the next line of the processor's cache.
    const START: usize = size_of::<Header>().next_multiple_of(64);
    let size = NonZeroUsize::new(START + PLACES * size_of::<Place>())?;
    let flags = MapFlags::MAP_SHARED | MapFlags::MAP_NORESERVE;
    // SAFETY: a new mapping wherever the system likes overlaps nothing.
    let start = unsafe { mmap_anonymous(None, size, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, flags) };
    let start = start.ok()?.cast::<u8>();
    // SAFETY: the mapping is zeroed, big enough for both parts and aligned for them, never unmapped, and only
    // changed through atomics.
    unsafe {
        let places = std::slice::from_raw_parts(start.add(START).cast::<Place>().as_ptr(), PLACES);
        Some((start.cast::<Header>().as_ref(), places))
    }
}

fn random() -> Option<u64> {
    let mut bytes = [0; 8];
    // SAFETY: the buffer is live and writable, and as long as is said.
    let filled = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), libc::GRND_NONBLOCK) };
    (filled == bytes.len() as isize).then(|| u64::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_live_until_it_is_struck() {
        let (first, second) = (enter(), enter());
        assert_ne!(first, second);
        assert!(is_live(first) && is_live(second));
        strike(first);
        assert!(!is_live(first) && is_live(second));
        strike(second);
        assert!(!is_live(Mark::new(RunMark::new(run().mark.number() + 1), first.number())), "of another run");
        assert!(is_live(unknown()));
    }

    #[test]
    fn numbers_begin_again_and_skip_live_ones_and_places_are_used_again() {
        let roll = Roll::new();
        let (first, second) = (roll.enter(), roll.enter());
        roll.strike(second);
        roll.book.lock().unwrap().last = UNKNOWN - 2;
        assert_eq!(roll.enter().number(), UNKNOWN - 1);
        assert_eq!(roll.enter().number(), second.number(), "neither the unknown's nor a live one's");
        assert_eq!(roll.used().len(), 3);
        assert!(roll.has(first.number()));
    }

    #[test]
    fn more_starts_than_places_are_no_harm() {
        let header = Box::leak(Box::new(Header::new()));
        let places = vec![Place::default()].leak();
        let roll = Roll { header, places, shared: false, book: Mutex::default() };
        let marks = [roll.enter(), roll.enter()];
        assert!(roll.has(marks[0].number()) && !roll.has(marks[1].number()));
        marks.into_iter().for_each(|mark| roll.strike(mark));
        assert!(roll.has(roll.enter().number()) != roll.has(roll.enter().number()));
    }
}
