//! Starting a child.
//!
//! Both strategies are one call of `clone` and one function in the child (see `child`). prun's thread
//! stands still until the child has executed or failed, so a failed start is known, with its step and its
//! errno, when [`Launcher::start`] returns, and leaves no zombie.

use std::ffi::{CStr, c_void};
use std::num::NonZeroUsize;
use std::os::fd::RawFd;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use nix::sys::resource::Resource;
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::unistd::Pid;

use super::child::{Child, Failure};
use super::cstrings::CStrings;
use super::env::Env;
use super::inherited::inherited;
use super::mark::Mark;
use super::{clone, guardian, limits, process, signals};

/// How the child comes to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// In prun's memory until it executes, as with posix_spawn and vfork: costs the same however big prun is.
    #[default]
    Spawn,
    /// In a copy-on-write copy of prun's memory.
    Fork,
}

/// The child's process group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// A new one, which it leads.
    New,
    /// That of another child, which must not have been reaped.
    Join(Pid),
    /// A new one, which it leads, in a session of its own that has this terminal.
    Terminal(RawFd),
    /// A new one, which it leads, and which becomes the foreground of this terminal, prun's own.
    Foreground(RawFd),
}

/// What a process starts with that is not as prun has it.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Of setrlimit(2), soft and hard; all but the one of open files.
    pub limits: Vec<(i32, libc::rlimit)>,
    /// Of open files, in place of the one that prun was given.
    pub files: Option<libc::rlimit>,
    /// Its nice value, absolute (setpriority(2)).
    pub priority: Option<i32>,
    pub umask: Option<libc::mode_t>,
}

impl Setup {
    /// Adds a limit.
    pub fn limit(&mut self, resource: Resource, soft: u64, hard: u64) {
        let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
        match resource {
            Resource::RLIMIT_NOFILE => self.files = Some(limit),
            _ => self.limits.push((resource as i32, limit)),
        }
    }
}

/// The parts of a start, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Clone,
    Group,
    Terminal,
    Dispositions,
    Limits,
    Priority,
    Directory,
    Descriptors,
    Execute,
}

impl Step {
    pub(super) const ALL: [Step; 9] = [
        Step::Clone,
        Step::Group,
        Step::Terminal,
        Step::Dispositions,
        Step::Limits,
        Step::Priority,
        Step::Directory,
        Step::Descriptors,
        Step::Execute,
    ];
}

/// Why a child did not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartError {
    pub step: Step,
    pub errno: Errno,
}

/// What to start.
pub struct Order<'a> {
    pub strategy: Strategy,
    /// Taken as it is, seen from `cwd`. A text file that the system can't execute is run by `/bin/sh`.
    pub path: &'a CStr,
    /// At least one: the program's name.
    pub argv: &'a mut CStrings,
    pub env: &'a mut Env,
    pub cwd: Option<&'a CStr>,
    /// What becomes the child's descriptors 0, 1 and 2; one may be given more than once.
    pub stdio: [RawFd; 3],
    pub group: Group,
    /// What it is known by, whatever it does (see [`super::mark`]).
    pub mark: Option<Mark>,
    pub setup: &'a Setup,
}

/// Starts children, one at a time. Make it after limits were raised: what was changed is put back in
/// children.
pub struct Launcher {
    stack: Mapping,
    failure: Mapping,
    dispositions: Vec<(i32, bool)>,
    files: Option<libc::rlimit>,
}

/// Ample for a few nested functions that only make system calls.
const STACK: usize = 64 << 10;
/// At least a page on every architecture that Linux runs on.
const GUARD: usize = 64 << 10;

impl Launcher {
    pub fn new() -> nix::Result<Launcher> {
        let stack = Mapping::new(GUARD + STACK, MapFlags::MAP_PRIVATE)?;
        // SAFETY: the lower part of a mapping of our own, which nothing uses yet, is made inaccessible.
        unsafe { mprotect(stack.start, GUARD, ProtFlags::PROT_NONE)? };
        let (soft, hard) = inherited().nofile;
        Ok(Launcher {
            stack,
            failure: Mapping::new(size_of::<Failure>(), MapFlags::MAP_SHARED)?,
            dispositions: signals::CHANGED.iter().map(|&s| (s, inherited().ignored.contains(s))).collect(),
            files: (limits::nofile().0 != soft).then_some(libc::rlimit { rlim_cur: soft, rlim_max: hard }),
        })
    }

    /// Starts a child and returns when it executes.
    pub fn start(&mut self, order: &mut Order) -> Result<Pid, StartError> {
        if order.argv.is_empty() {
            return Err(StartError { step: Step::Execute, errno: Errno::EINVAL });
        }
        if order.mark.is_some() {
            guardian::wait_until_ready();
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
            files: order.setup.files.or(self.files),
            setup: order.setup,
            mask: inherited().mask.as_ref(),
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

/// A signal that came while the child uses prun's memory would run prun's handler there.
fn with_signals_blocked<T>(run: impl FnOnce() -> nix::Result<T>) -> nix::Result<T> {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let result = run();
    before.thread_set_mask()?;
    result
}

/// Memory of our own from the system, zeroed.
struct Mapping {
    start: NonNull<c_void>,
    length: usize,
}

impl Mapping {
    fn new(length: usize, flags: MapFlags) -> nix::Result<Mapping> {
        let size = NonZeroUsize::new(length).ok_or(Errno::EINVAL)?;
        // SAFETY: a new mapping wherever the system likes overlaps nothing.
        let start =
            unsafe { mmap_anonymous(None, size, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, flags)? };
        Ok(Mapping { start, length })
    }

    fn clone_child(&mut self, strategy: Strategy, child: &Child) -> nix::Result<Pid> {
        // SAFETY: the part above the guard is ours, readable and writable, and used by nothing else.
        let stack =
            unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr().cast::<u8>().add(GUARD), STACK) };
        // What has no mark belongs to no run.
        clone::make(strategy, child, stack, child.mark.is_some())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing points into it once its owner is gone.
        let _ = unsafe { munmap(self.start, self.length) };
    }
}
