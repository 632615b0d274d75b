//! The state in which prun itself was started, recorded before Rust's runtime changes it.
//!
//! Before `main`, the runtime ignores SIGPIPE and opens `/dev/null` on closed descriptors 0 to 2. Children
//! must get the state that prun inherited, and prun must know that its standard output is closed. So the
//! state is recorded in `.init_array`, which the loader runs before the runtime.
//!
//! A closed descriptor is filled there as well, because the next file that is opened would get its number. It is
//! opened the wrong way round (stdin for writing, stdout and stderr for reading). So every use of it fails with EBADF,
//! in prun and in its children alike, as if it were still closed. On the runtime's `/dev/null` output would be lost
//! without an error. stdout and stderr are a folder, because a `/dev/null` could be opened once more, as
//! `/dev/stdout` and for writing; and programs such as tar and grep take it as a wish to write nothing.

use std::sync::OnceLock;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::SigSet;

use super::{disposition, limits, makeflags, process};

/// The state in which prun was started.
#[derive(Debug, Clone, Copy)]
pub struct Inherited {
    /// True for each of the descriptors 0, 1 and 2 that was open.
    pub open: [bool; 3],
    /// The signals that were ignored.
    pub ignored: SignalBits,
    /// The signals that were blocked.
    pub mask: SigSet,
    /// The soft and the hard limit of open files.
    pub nofile: (u64, u64),
    /// True if prun had children already: those of a program that became prun by executing it.
    pub children: bool,
    /// The ends of make's jobserver, if they are named in the environment and are open pipes. Later these
    /// numbers may be those of descriptors that prun has opened.
    pub jobserver: Option<(i32, i32)>,
}

/// A set of signal numbers. nix's `SigSet` does not know real-time signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SignalBits(u64);

impl SignalBits {
    pub fn contains(self, signal: i32) -> bool {
        (1..=64).contains(&signal) && self.0 & 1 << (signal - 1) != 0
    }
}

/// Returns the state in which prun was started.
pub fn inherited() -> &'static Inherited {
    INHERITED.get_or_init(look)
}

static INHERITED: OnceLock<Inherited> = OnceLock::new();

#[used]
// SAFETY: the loader calls the entries of `.init_array` as C functions, on the first thread, after the C
// library is ready; the entry neither needs Rust's runtime nor unwinds.
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = before_main;

extern "C" fn before_main() {
    inherited();
}

fn look() -> Inherited {
    let open = [0, 1, 2].map(is_open);
    fill(open);
    Inherited {
        open,
        ignored: SignalBits((1..=64).filter(|&s| is_ignored(s)).fold(0, |set, s| set | 1 << (s - 1))),
        mask: SigSet::thread_get_mask().unwrap_or_else(|_| SigSet::empty()),
        nofile: limits::nofile(),
        children: process::has_children(),
        jobserver: makeflags::descriptors(),
    }
}

fn is_open(fd: i32) -> bool {
    // SAFETY: F_GETFD only reads a flag; a closed descriptor is an error and does no harm.
    unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 || Errno::last() != Errno::EBADF }
}

/// Opens each of the descriptors 0 to 2 that is closed, for the direction that it is not for.
fn fill(open: [bool; 3]) {
    let folder = (c"/", libc::O_RDONLY);
    // Where there is no /dev/null, stdin is a folder, too: read(2) reads none.
    let files = [(0, (c"/dev/null", libc::O_WRONLY)), (0, folder), (1, folder), (2, folder)];
    for (fd, (path, flags)) in files {
        if !open[fd as usize] && !is_open(fd) {
            // The lowest free number is this one: those below it are open. SAFETY: the path is a C string; a
            // descriptor that is opened here is closed by nobody.
            unsafe { libc::open(path.as_ptr(), flags) };
        }
    }
}

fn is_ignored(signal: i32) -> bool {
    disposition::get(signal).is_ok_and(|now| now.sa_sigaction == libc::SIG_IGN)
}
