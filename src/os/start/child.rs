//! The child between its creation and `execve`; it does the same with both strategies.
//!
//! With `spawn` the child runs in prun's memory while prun's thread is blocked. So everything is prepared
//! before, and only plain system calls are made here: no allocation, no lock, no panic, no Rust runtime.

use std::ffi::c_char;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::libc;

use super::order::{Attributes, StartError, Step};
use crate::os::disposition::{self, Disposition};

/// The step that failed and its errno, in memory that both processes share.
#[repr(transparent)]
pub struct Failure(AtomicU64);

impl Failure {
    fn set(&self, step: Step, errno: i32) {
        self.0.store((step as u64 + 1) << 32 | errno as u64, Ordering::Release);
    }

    /// Returns the failure that the child has left, and clears it.
    pub fn take(&self) -> Option<StartError> {
        let value = self.0.swap(0, Ordering::Acquire);
        let step = Step::ALL.into_iter().find(|&step| step as u64 + 1 == value >> 32)?;
        Some(StartError { step, errno: Errno::from_raw(value as i32) })
    }
}

/// Everything that a child needs. All pointers outlive the child's time in prun's memory. It is one flat struct of
/// plain values, because the child can neither allocate nor compute anything that might panic.
pub struct Child<'a> {
    pub path: *const c_char,
    /// A spare slot, the arguments, NULL.
    pub argv: *mut *const c_char,
    pub env: *const *const c_char,
    /// Null to stay in prun's working directory.
    pub cwd: *const c_char,
    pub stdio: [i32; 3],
    /// prun's own pid.
    pub parent: libc::pid_t,
    /// See [`crate::os::mark`].
    pub mark: Option<u64>,
    /// The group to join; 0 makes a new one.
    pub group: Option<libc::pid_t>,
    /// The terminal of a new session, which is a new group as well.
    pub terminal: Option<i32>,
    /// The terminal whose foreground the new group becomes.
    pub foreground: Option<i32>,
    /// Signals whose disposition prun has changed, and whether each was ignored before.
    pub dispositions: &'a [(i32, bool)],
    pub stop_ignored: bool,
    /// The value for RLIMIT_NOFILE.
    pub files: Option<libc::rlimit>,
    pub attributes: &'a Attributes,
    pub mask: &'a libc::sigset_t,
    pub failure: &'a Failure,
}

/// `Ok`, or the errno of a system call.
type Done = Result<(), i32>;

impl Child<'_> {
    /// Executes the program, or stores the failure and ends the process. Never returns.
    pub fn run(&self) -> ! {
        self.put_mark();
        let steps = [
            (Step::Group, Self::join_group as fn(&Self) -> Done),
            (Step::Terminal, Self::take_terminal),
            (Step::Dispositions, Self::set_dispositions),
            (Step::Limits, Self::set_limits),
            (Step::Priority, Self::set_priority),
            (Step::Directory, Self::change_directory),
            (Step::Descriptors, Self::place_descriptors),
            (Step::Limits, Self::limit_files),
            (Step::Execute, Self::execute),
        ];
        for (step, function) in steps {
            if let Err(errno) = function(self) {
                self.failure.set(step, errno);
                break;
            }
        }
        // SAFETY: ends this process only, without running exit handlers that belong to prun.
        unsafe { libc::_exit(127) }
    }

    /// Sets the mark. If the inherited hard limit is too low for it, the call fails, and only the environment
    /// identifies the process.
    fn put_mark(&self) {
        // SAFETY: plain system calls on numbers, and a limit that is a live, initialised struct.
        unsafe {
            if let Some(mark) = self.mark {
                let limit = libc::rlimit { rlim_cur: mark, rlim_max: libc::RLIM_INFINITY };
                libc::setrlimit(libc::RLIMIT_RTTIME, &limit);
            }
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            // prun may have ended before that call; then no signal comes.
            if libc::getppid() != self.parent {
                libc::_exit(127);
            }
        }
    }

    fn join_group(&self) -> Done {
        match self.group {
            // SAFETY: a plain system call on numbers.
            Some(group) => check(unsafe { libc::setpgid(0, group) }),
            None => Ok(()),
        }
    }

    fn take_terminal(&self) -> Done {
        if let Some(terminal) = self.foreground {
            // All signals are blocked, so SIGTTOU does not stop a child in the background. SAFETY: plain
            // system calls on numbers.
            return check(unsafe { libc::tcsetpgrp(terminal, libc::getpid()) });
        }
        let Some(terminal) = self.terminal else { return Ok(()) };
        // SAFETY: plain system calls on numbers.
        unsafe {
            check(libc::setsid())?;
            check(libc::ioctl(terminal, libc::TIOCSCTTY, 0))
        }
    }

    /// Resets the dispositions. prun's handlers must be gone before the mask is restored, or they would run
    /// here, in prun's memory.
    fn set_dispositions(&self) -> Done {
        for &(signal, ignored) in self.dispositions {
            set_disposition(signal, ignored)?;
        }
        // A SIGTSTP that came before the child had its own group is pending now. It would stop the child, and
        // with it prun, which waits for it. Ignoring a signal discards a pending one.
        set_disposition(libc::SIGTSTP, true)?;
        set_disposition(libc::SIGTSTP, self.stop_ignored)
    }

    fn set_limits(&self) -> Done {
        for (resource, limit) in &self.attributes.limits {
            // SAFETY: the limit is a live, initialised struct.
            check(unsafe { libc::setrlimit(*resource as _, limit) })?;
        }
        Ok(())
    }

    /// Sets the limit of open files. This follows the placement of descriptors, which may have numbers beyond
    /// the limit.
    fn limit_files(&self) -> Done {
        match &self.files {
            // SAFETY: the limit is a live, initialised struct.
            Some(files) => check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, files) }),
            None => Ok(()),
        }
    }

    fn set_priority(&self) -> Done {
        if let Some(umask) = self.attributes.umask {
            // SAFETY: a plain system call on a number, which can't fail.
            unsafe { libc::umask(umask) };
        }
        match self.attributes.priority {
            // SAFETY: a plain system call on numbers.
            Some(priority) => check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, priority) }),
            None => Ok(()),
        }
    }

    fn change_directory(&self) -> Done {
        if self.cwd.is_null() {
            return Ok(());
        }
        // SAFETY: `cwd` is a live C string.
        check(unsafe { libc::chdir(self.cwd) })
    }

    fn place_descriptors(&self) -> Done {
        let [a, b, c] = self.stdio;
        let from = [self.kept(0, a)?, self.kept(1, b)?, self.kept(2, c)?];
        for (&source, target) in from.iter().zip(0..) {
            if source == target {
                // It has the right number already, and only its close-on-exec flag must go. SAFETY: a plain
                // system call on numbers.
                check(unsafe { libc::fcntl(target, libc::F_SETFD, 0) })?;
            } else {
                // SAFETY: a plain system call on numbers; the child's descriptors are its own.
                check(unsafe { libc::dup2(source, target) })?;
            }
        }
        Ok(())
    }

    /// Returns the descriptor itself, or a copy above 2 if an earlier placement overwrites it.
    fn kept(&self, target: i32, source: i32) -> Result<i32, i32> {
        let overwritten = (0..=2).any(|i| i == source && self.stdio[i as usize] != source);
        if source == target || !overwritten {
            return Ok(source);
        }
        // SAFETY: a plain system call on numbers.
        let copy = unsafe { libc::fcntl(source, libc::F_DUPFD_CLOEXEC, 3) };
        check(copy).map(|()| copy)
    }

    fn execute(&self) -> Done {
        // SAFETY: the mask is a live signal set; path, argv and env are C strings and NULL-terminated lists
        // of them. The list has a slot in front of the first argument and at least one argument, so both
        // slots that are written are within it, and nothing else uses it before it is made anew.
        unsafe {
            check(libc::sigprocmask(libc::SIG_SETMASK, self.mask, std::ptr::null_mut()))?;
            libc::execve(self.path, self.argv.add(1), self.env);
            if errno() == libc::ENOEXEC {
                let shell = c"/bin/sh".as_ptr();
                self.argv.write(shell);
                self.argv.add(1).write(self.path);
                libc::execve(shell, self.argv, self.env);
            }
        }
        Err(errno())
    }
}

fn set_disposition(signal: i32, ignored: bool) -> Done {
    // prun's own dispositions stay: they are not shared (no CLONE_SIGHAND).
    let new = if ignored { Disposition::Ignore } else { Disposition::Default };
    disposition::set(signal, new).map(drop).map_err(|errno| errno as i32)
}

fn check(result: i32) -> Done {
    if result == -1 { Err(errno()) } else { Ok(()) }
}

fn errno() -> i32 {
    Errno::last_raw()
}
