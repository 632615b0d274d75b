//! The parameters of a start, and the reasons why it can fail.

use std::ffi::CString;
use std::os::fd::RawFd;
use std::rc::Rc;

use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::Resource;
use nix::unistd::Pid;

use crate::os::cstrings::CStrings;
use crate::os::env::Variables;
use crate::os::mark::Mark;

/// How the child is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// Shares prun's memory until it executes, as with posix_spawn and vfork. The cost does not depend on
    /// prun's size.
    #[default]
    Spawn,
    /// Gets a copy-on-write copy of prun's memory.
    Fork,
}

/// The child's process group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Group {
    /// A new group, which it leads.
    #[default]
    New,
    /// The group of another child, which must not have been reaped.
    Join(Pid),
    /// A new group, which it leads, in a session of its own whose terminal this is.
    Terminal(RawFd),
    /// A new group, which it leads and which becomes the foreground of prun's own terminal.
    Foreground(RawFd),
}

/// Process attributes that differ from prun's own.
#[derive(Debug, Clone, Default)]
pub struct Attributes {
    /// Soft and hard limits for setrlimit(2), without the one of open files.
    pub limits: Vec<(i32, libc::rlimit)>,
    /// The limit of open files, instead of the inherited one.
    pub files: Option<libc::rlimit>,
    /// The absolute nice value (setpriority(2)).
    pub priority: Option<i32>,
    pub umask: Option<libc::mode_t>,
}

impl Attributes {
    /// Adds a resource limit.
    pub fn limit(&mut self, resource: Resource, soft: u64, hard: u64) {
        let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
        match resource {
            Resource::RLIMIT_NOFILE => self.files = Some(limit),
            _ => self.limits.push((resource as i32, limit)),
        }
    }
}

/// The steps of a start, in their order.
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

/// The step that failed, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartError {
    pub step: Step,
    pub errno: Errno,
}

/// Everything that a start needs. The launcher keeps it until the child has executed its program, and hands it out again
/// for another start ([`Launcher::spare_order`](super::Launcher::spare_order)), because of the memory that it has.
#[derive(Debug, Default)]
pub struct Order {
    pub strategy: Strategy,
    /// True if the start is to be waited for: whoever asked has to know at once whether the program was executed.
    pub waits: bool,
    /// Not searched for in PATH; relative to `cwd`. A text file that the kernel can't execute is run by
    /// `/bin/sh`.
    pub path: CString,
    /// At least one string: the program's name.
    pub argv: CStrings,
    pub env: Variables,
    pub cwd: Option<CString>,
    /// The descriptors that become the child's 0, 1 and 2. One may be given more than once.
    pub stdio: [RawFd; 3],
    pub group: Group,
    /// The mark by which the child's processes are recognised (see [`crate::os::mark`]).
    pub mark: Option<Mark>,
    pub attributes: Rc<Attributes>,
}

/// A start that failed, and what it was to be.
#[derive(Debug)]
pub struct Failed {
    pub error: StartError,
    pub order: Box<Order>,
}
