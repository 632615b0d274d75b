//! Starts children.
//!
//! Both strategies are one call of `clone` and one function in the child (see `child`). prun's thread is
//! blocked until the child has executed its program or failed. So a failed start, with its step and its
//! errno, is known when [`Launcher::start`] returns, and leaves no zombie.

use std::ffi::{CStr, c_void};
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::unistd::Pid;

use super::inherited::inherited;
use super::mark::Mark;
use super::{guardian_pid, limits, live_starts, process, signals};
use child::{Child, Failure};

pub use order::{Attributes, Group, Order, StartError, Step, Strategy};

mod child;
mod clone;
mod order;

/// Starts children, one at a time. Create it after prun has raised its limits: children get the inherited
/// values of what was changed.
pub struct Launcher {
    stack: Mapping,
    failure: Mapping,
    dispositions: Vec<(i32, bool)>,
    /// The signals that are blocked in children.
    mask: SigSet,
    files: Option<libc::rlimit>,
}

/// Ample for a few nested functions that only make system calls.
const STACK: usize = 64 << 10;
/// At least a page on every architecture that Linux runs on.
const GUARD: usize = 64 << 10;

impl Launcher {
    pub fn new() -> nix::Result<Launcher> {
        let stack = Mapping::new(GUARD + STACK, MapFlags::MAP_PRIVATE)?;
        // SAFETY: the lower part of our own mapping, which nothing uses yet, is made inaccessible.
        unsafe { mprotect(stack.start, GUARD, ProtFlags::PROT_NONE)? };
        let (soft, hard) = inherited().nofile;
        Ok(Launcher {
            stack,
            failure: Mapping::new(size_of::<Failure>(), MapFlags::MAP_SHARED)?,
            dispositions: dispositions(),
            mask: mask(),
            files: (limits::nofile().0 != soft).then_some(libc::rlimit { rlim_cur: soft, rlim_max: hard }),
        })
    }

    /// Starts a child and returns its pid when the child executes its program.
    pub fn start(&mut self, order: &mut Order) -> Result<Pid, StartError> {
        if order.argv.is_empty() {
            return Err(StartError { step: Step::Execute, errno: Errno::EINVAL });
        }
        if order.mark.is_some() {
            live_starts::block_if_aborting();
            guardian_pid::wait_until_ready();
        }
        // SAFETY: the mapping is zeroed memory that is big enough and aligned for it, and lives as long as
        // the launcher; it is only changed through atomics.
        let failure = unsafe { self.failure.start.cast::<Failure>().as_ref() };
        let child = Child {
            path: order.path.as_ptr(),
            argv: order.argv.pointers().as_mut_ptr(),
            env: order.env.pointers().as_ptr(),
            cwd: order.cwd.map_or(std::ptr::null(), CStr::as_ptr),
            stdio: order.stdio,
            parent: nix::unistd::getpid().as_raw(),
            mark: order.mark.map(Mark::limit),
            group: match order.group {
                Group::New | Group::Foreground(_) => Some(0),
                Group::Join(leader) => Some(leader.as_raw()),
                Group::Terminal(_) => None,
            },
            terminal: match order.group {
                Group::Terminal(terminal) => Some(terminal),
                Group::New | Group::Join(_) | Group::Foreground(_) => None,
            },
            foreground: match order.group {
                Group::Foreground(terminal) => Some(terminal),
                Group::New | Group::Join(_) | Group::Terminal(_) => None,
            },
            dispositions: &self.dispositions,
            stop_ignored: inherited().ignored.contains(libc::SIGTSTP),
            files: order.attributes.files.or(self.files),
            attributes: order.attributes,
            mask: self.mask.as_ref(),
            failure,
        };
        let pid = with_signals_blocked(|| self.stack.clone_child(order.strategy, &child))
            .map_err(|errno| StartError { step: Step::Clone, errno })?;
        match failure.take() {
            None => Ok(pid),
            Some(error) => {
                process::reap(pid);
                Err(error)
            }
        }
    }
}

/// Returns the signals whose disposition is set in children, and whether they are ignored there: as prun found them, but
/// for SIGPIPE. systemd, Python and Node ignore it in what they start, and with it ignored `yes | head -1` fails.
fn dispositions() -> Vec<(i32, bool)> {
    let ignored = |signal: i32| signal != libc::SIGPIPE && inherited().ignored.contains(signal);
    signals::CHANGED.iter().map(|&signal| (signal, ignored(signal))).collect()
}

/// Returns the signal mask of children: the one that prun was given, without SIGPIPE.
fn mask() -> SigSet {
    let mut mask = inherited().mask;
    mask.remove(Signal::SIGPIPE);
    mask
}

/// Runs a function with all signals blocked. A handler that runs in the child would use prun's memory.
fn with_signals_blocked<T>(run: impl FnOnce() -> nix::Result<T>) -> nix::Result<T> {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let result = run();
    before.thread_set_mask()?;
    result
}

/// Zeroed memory from the system.
struct Mapping {
    start: NonNull<c_void>,
    length: usize,
}

impl Mapping {
    fn new(length: usize, flags: MapFlags) -> nix::Result<Mapping> {
        let size = NonZeroUsize::new(length).ok_or(Errno::EINVAL)?;
        // SAFETY: a new mapping at an address that the kernel chooses overlaps nothing.
        let start =
            unsafe { mmap_anonymous(None, size, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, flags)? };
        Ok(Mapping { start, length })
    }

    fn clone_child(&mut self, strategy: Strategy, child: &Child) -> nix::Result<Pid> {
        // SAFETY: the part above the guard is ours, readable and writable, and used by nothing else.
        let stack =
            unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr().cast::<u8>().add(GUARD), STACK) };
        // A process without a mark belongs to no run.
        clone::make(strategy, child, stack, child.mark.is_some())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing points into it once its owner is gone.
        let _ = unsafe { munmap(self.start, self.length) };
    }
}
