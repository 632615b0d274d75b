//! The child between its creation and `execve`; it does the same with both strategies.
//!
//! With `spawn` the child runs in prun's memory, while prun's thread goes on. So everything is prepared before, and only
//! plain system calls are made here, and not through the C library (see [`syscall`](super::syscall)): no allocation, no
//! lock, no panic, no Rust runtime.

use std::ffi::c_char;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::libc;

use super::order::{Attributes, StartError, Step};
use super::syscall::{Returned, call};

/// The exit status of a child that could not execute its program.
const EXIT: usize = 127;

/// The step that failed and its errno, in memory that both processes share.
#[derive(Debug)]
#[repr(transparent)]
pub struct Failure(AtomicU64);

impl Failure {
    fn set(&self, step: Step, errno: i32) {
        self.0.store((step as u64 + 1) << 32 | errno as u64, Ordering::Release);
    }

    pub fn is_none(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }

    /// Returns the failure that the child has left, and clears it.
    pub fn take(&self) -> Option<StartError> {
        let value = self.0.swap(0, Ordering::Acquire);
        let step = Step::ALL.into_iter().find(|&step| step as u64 + 1 == value >> 32)?;
        Some(StartError { step, errno: Errno::from_raw(value as i32) })
    }
}

/// Everything that a child needs. What the pointers lead to outlives the child's time in prun's memory, and does not
/// change meanwhile. It is one flat struct of plain values, because the child can neither allocate nor compute anything
/// that might panic. It has a field for each thing that a child may differ in.
pub struct Child {
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
    pub dispositions: *const [(i32, bool)],
    pub stop_ignored: bool,
    /// The value for RLIMIT_NOFILE.
    pub files: Option<libc::rlimit>,
    pub attributes: *const Attributes,
    pub mask: *const libc::sigset_t,
    pub failure: *const Failure,
}

/// `Ok`, or the errno of a system call.
type Done = Result<(), i32>;

/// The disposition of a signal as rt_sigaction(2) takes it; all but its first word is zero here, on every architecture.
type KernelDisposition = [usize; 4];

/// The length of the kernel's signal sets, in bytes.
const SIGNAL_SET: usize = 8;

impl Child {
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
                // SAFETY: it is a live word, which is only changed through atomics.
                unsafe { &*self.failure }.set(step, errno);
                break;
            }
        }
        self.exit()
    }

    fn exit(&self) -> ! {
        loop {
            // SAFETY: ends this process only, without running exit handlers that belong to prun.
            let _ = unsafe { call(libc::SYS_exit_group, [EXIT]) };
        }
    }

    /// Sets the mark. If the inherited hard limit is too low for it, the call fails, and only the environment
    /// identifies the process.
    fn put_mark(&self) {
        if let Some(mark) = self.mark {
            let limit = libc::rlimit { rlim_cur: mark, rlim_max: libc::RLIM_INFINITY };
            let _ = set_limit(libc::RLIMIT_RTTIME as usize, &limit);
        }
        // SAFETY: plain system calls on numbers.
        unsafe {
            let _ = call(libc::SYS_prctl, [libc::PR_SET_PDEATHSIG as usize, libc::SIGKILL as usize]);
            // prun may have ended before that call; then no signal comes.
            if call(libc::SYS_getppid, []) != Ok(self.parent as usize) {
                self.exit();
            }
        }
    }

    fn join_group(&self) -> Done {
        match self.group {
            // SAFETY: a plain system call on numbers.
            Some(group) => done(unsafe { call(libc::SYS_setpgid, [0, group as usize]) }),
            None => Ok(()),
        }
    }

    fn take_terminal(&self) -> Done {
        // SAFETY: plain system calls on numbers, and a number that is live and readable.
        unsafe {
            if let Some(terminal) = self.foreground {
                // All signals are blocked, so SIGTTOU does not stop a child in the background.
                let group = call(libc::SYS_getpid, [])? as libc::pid_t;
                let request = libc::TIOCSPGRP as usize;
                return done(call(
                    libc::SYS_ioctl,
                    [terminal as usize, request, (&raw const group).expose_provenance()],
                ));
            }
            let Some(terminal) = self.terminal else { return Ok(()) };
            call(libc::SYS_setsid, [])?;
            done(call(libc::SYS_ioctl, [terminal as usize, libc::TIOCSCTTY as usize, 0]))
        }
    }

    /// Resets the dispositions. prun's handlers must be gone before the mask is restored, or they would run
    /// here, in prun's memory.
    fn set_dispositions(&self) -> Done {
        // SAFETY: the list outlives the child's time here, and does not change.
        for &(signal, ignored) in unsafe { &*self.dispositions } {
            set_disposition(signal, ignored)?;
        }
        // A SIGTSTP that came before the child had its own group is pending now, and would stop it before it executes.
        // Ignoring a signal discards a pending one.
        set_disposition(libc::SIGTSTP, true)?;
        set_disposition(libc::SIGTSTP, self.stop_ignored)
    }

    fn attributes(&self) -> &Attributes {
        // SAFETY: they outlive the child's time here, and do not change.
        unsafe { &*self.attributes }
    }

    fn set_limits(&self) -> Done {
        for (resource, limit) in &self.attributes().limits {
            set_limit(*resource as usize, limit)?;
        }
        Ok(())
    }

    /// Sets the limit of open files. This follows the placement of descriptors, which may have numbers beyond
    /// the limit.
    fn limit_files(&self) -> Done {
        match &self.files {
            Some(files) => set_limit(libc::RLIMIT_NOFILE as usize, files),
            None => Ok(()),
        }
    }

    fn set_priority(&self) -> Done {
        let attributes = self.attributes();
        if let Some(umask) = attributes.umask {
            // SAFETY: a plain system call on a number, which can't fail.
            let _ = unsafe { call(libc::SYS_umask, [umask as usize]) };
        }
        match attributes.priority {
            // SAFETY: a plain system call on numbers.
            Some(priority) => done(unsafe {
                call(libc::SYS_setpriority, [libc::PRIO_PROCESS as usize, 0, priority as usize])
            }),
            None => Ok(()),
        }
    }

    fn change_directory(&self) -> Done {
        if self.cwd.is_null() {
            return Ok(());
        }
        // SAFETY: `cwd` is a live C string.
        done(unsafe { call(libc::SYS_chdir, [self.cwd.expose_provenance()]) })
    }

    fn place_descriptors(&self) -> Done {
        let [a, b, c] = self.stdio;
        let from = [self.kept(0, a)?, self.kept(1, b)?, self.kept(2, c)?];
        for (&source, target) in from.iter().zip(0..) {
            let (source, target) = (source as usize, target as usize);
            // SAFETY: plain system calls on numbers; the child's descriptors are its own.
            unsafe {
                if source == target {
                    // It has the right number already, and only its close-on-exec flag must go.
                    call(libc::SYS_fcntl, [target, libc::F_SETFD as usize, 0])?;
                } else {
                    call(libc::SYS_dup3, [source, target, 0])?;
                }
            }
        }
        Ok(())
    }

    /// Returns the descriptor itself, or a copy above 2 if an earlier placement overwrites it.
    fn kept(&self, target: i32, source: i32) -> Result<i32, i32> {
        let overwritten =
            self.stdio.iter().zip(0..).any(|(&other, number)| number == source && other != source);
        if source == target || !overwritten {
            return Ok(source);
        }
        // SAFETY: a plain system call on numbers.
        let copy = unsafe { call(libc::SYS_fcntl, [source as usize, libc::F_DUPFD_CLOEXEC as usize, 3]) };
        copy.map(|copy| copy as i32)
    }

    fn execute(&self) -> Done {
        let execute = |path: *const c_char, argv: *const *const c_char| {
            let [path, argv, env] =
                [path.expose_provenance(), argv.expose_provenance(), self.env.expose_provenance()];
            // SAFETY: path, argv and env are C strings and NULL-terminated lists of them.
            unsafe { call(libc::SYS_execve, [path, argv, env]) }
        };
        // SAFETY: the mask is a live signal set, of which the kernel reads the first bytes. The list of arguments has a
        // slot in front of the first one and at least one argument, so both slots that are written are within it, and
        // nothing else uses it before it is made anew.
        unsafe {
            let mask = self.mask.expose_provenance();
            call(libc::SYS_rt_sigprocmask, [libc::SIG_SETMASK as usize, mask, 0, SIGNAL_SET])?;
            match execute(self.path, self.argv.add(1)) {
                Err(libc::ENOEXEC) => {
                    let shell = c"/bin/sh".as_ptr();
                    self.argv.write(shell);
                    self.argv.add(1).write(self.path);
                    done(execute(shell, self.argv))
                }
                result => done(result),
            }
        }
    }
}

fn set_disposition(signal: i32, ignored: bool) -> Done {
    // prun's own dispositions stay: they are not shared (no CLONE_SIGHAND).
    let mut new: KernelDisposition = [0; 4];
    new[0] = if ignored { libc::SIG_IGN } else { libc::SIG_DFL };
    let new = (&raw const new).expose_provenance();
    // SAFETY: the disposition is live, and has no handler.
    done(unsafe { call(libc::SYS_rt_sigaction, [signal as usize, new, 0, SIGNAL_SET]) })
}

fn set_limit(resource: usize, limit: &libc::rlimit) -> Done {
    let limit = libc::rlimit64 { rlim_cur: limit.rlim_cur as _, rlim_max: limit.rlim_max as _ };
    let limit = (&raw const limit).expose_provenance();
    // SAFETY: the limit is a live, initialised struct.
    done(unsafe { call(libc::SYS_prlimit64, [0, resource, limit, 0]) })
}

fn done(result: Returned) -> Done {
    result.map(drop)
}
