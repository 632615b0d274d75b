//! The system call that makes a child: clone3(2), which can put it into a control group at once. The C
//! library has no wrapper for it, so the call is made in assembly. Where the kernel or a seccomp filter
//! refuses it, clone(2) is used.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, clone};
use nix::unistd::Pid;

use super::child::Child;
use super::memory::Memory;
use super::order::{Order, Strategy};
use super::syscall;
use crate::os::cgroup;

/// linux/sched.h.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// True once the kernel does not know clone3, or a filter has refused it.
static REFUSED: AtomicBool = AtomicBool::new(false);

/// A child that was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Made {
    pub pid: Pid,
    /// True if the calling thread was blocked until the child had executed, or ended.
    pub waited: bool,
}

/// Makes a child that runs `child` in `memory`. One with a mark is started in the run's control group; a process without
/// a mark belongs to no run.
pub(super) fn make(order: &Order, child: *const Child, memory: &Memory) -> nix::Result<Made> {
    let shared = match order.strategy {
        Strategy::Spawn => CloneFlags::CLONE_VM,
        Strategy::Fork => CloneFlags::empty(),
    };
    if !REFUSED.load(Ordering::Relaxed) {
        let waited = order.waits || !syscall::LEAVES_ERRNO;
        let flags = shared.bits() | if waited { libc::CLONE_VFORK } else { libc::CLONE_CHILD_CLEARTID };
        let made = |pid| Made { pid, waited };
        let group = order.mark.and_then(|_| cgroup::descriptor());
        match by_clone3(flags, child, memory, group) {
            Err(error) if group.is_some() => {
                // The group may be the cause (its limits, its kind, or that somebody removed it), or not.
                let again = by_clone3(flags, child, memory, None);
                if again.is_ok() && !matches!(error, Errno::EAGAIN | Errno::ENOMEM) {
                    cgroup::stop_using();
                }
                if !is_refusal(again) {
                    return again.map(made);
                }
                REFUSED.store(true, Ordering::Relaxed);
            }
            result if is_refusal(result) => REFUSED.store(true, Ordering::Relaxed),
            result => return result.map(made),
        }
    }
    // The C library's call, whose child is a copy of its thread: it is waited for.
    let (lowest, length) = memory.stack();
    // SAFETY: the stack is ours, readable and writable, and no child is on it.
    let stack = unsafe { std::slice::from_raw_parts_mut(lowest, length) };
    let flags = shared | CloneFlags::CLONE_VFORK;
    // SAFETY: the child's function makes only system calls on what was prepared, and never returns. This
    // thread is blocked (CLONE_VFORK) meanwhile, so everything that it points to stays alive.
    let pid = unsafe { clone(Box::new(|| (*child).run()), stack, flags, Some(libc::SIGCHLD)) };
    pid.map(|pid| Made { pid, waited: true })
}

/// True if clone3 is not known, has another argument size, or is filtered.
fn is_refusal(result: nix::Result<Pid>) -> bool {
    matches!(result, Err(Errno::ENOSYS | Errno::EPERM | Errno::EINVAL | Errno::E2BIG | Errno::EOPNOTSUPP))
}

fn by_clone3(
    flags: libc::c_int,
    child: *const Child,
    memory: &Memory,
    group: Option<i32>,
) -> nix::Result<Pid> {
    let (lowest, length) = memory.stack();
    let clone = libc::clone_args {
        flags: flags as u64 | if group.is_some() { CLONE_INTO_CGROUP } else { 0 },
        pidfd: 0,
        child_tid: memory.present().as_ptr().expose_provenance() as u64,
        parent_tid: 0,
        exit_signal: libc::SIGCHLD as u64,
        stack: lowest.expose_provenance() as u64,
        stack_size: length as u64,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: group.unwrap_or(0) as u64,
    };
    // SAFETY: the child's function makes only system calls on what was prepared, without errno, and never returns. The
    // launcher keeps everything that it points to until the child is out of this memory. The stack is ours, readable and
    // writable, no child is on it, and its upper end is a multiple of 16.
    let result = unsafe { clone3(&clone, run, child.cast()) };
    match result {
        pid @ 1.. => Ok(Pid::from_raw(pid as i32)),
        error => Err(Errno::from_raw(-error as i32)),
    }
}

extern "C" fn run(child: *const c_void) -> ! {
    // SAFETY: the pointer is the child that `by_clone3` was given.
    unsafe { &*child.cast::<Child>() }.run()
}

/// Calls clone3. Returns in the parent only: the child calls `run` on its own stack.
///
/// # Safety
/// The stack that `args` names must be unused and end at a multiple of 16; `run` may only do what a child may
/// do that shares the memory of its parent.
#[cfg(target_arch = "x86_64")]
unsafe fn clone3(
    args: &libc::clone_args,
    run: extern "C" fn(*const c_void) -> !,
    child: *const c_void,
) -> isize {
    let result: isize;
    // SAFETY: a system call, which changes rax, rcx and r11 alone. The child continues on a stack of its own
    // and never reaches the end of this block.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 as isize => result,
            in("rdi") args,
            in("rsi") size_of::<libc::clone_args>(),
            in("r12") run,
            in("r13") child,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// Calls clone3, as above.
///
/// # Safety
/// As above.
#[cfg(target_arch = "aarch64")]
unsafe fn clone3(
    args: &libc::clone_args,
    run: extern "C" fn(*const c_void) -> !,
    child: *const c_void,
) -> isize {
    let result: isize;
    // SAFETY: a system call, which changes x0 alone. The child continues on a stack of its own and never
    // reaches the end of this block.
    unsafe {
        std::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x30, xzr",
            "mov x0, x10",
            "blr x9",
            "brk 1",
            "2:",
            inlateout("x0") args => result,
            in("x1") size_of::<libc::clone_args>(),
            in("x8") libc::SYS_clone3,
            in("x9") run,
            in("x10") child,
        );
    }
    result
}

/// Refuses, so that clone(2) is used on other architectures.
///
/// # Safety
/// Always safe.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn clone3(_: &libc::clone_args, _: extern "C" fn(*const c_void) -> !, _: *const c_void) -> isize {
    -(libc::ENOSYS as isize)
}
