//! System calls of a child that shares prun's memory. The C library's functions store errno where prun's own thread,
//! which runs meanwhile, has its errno too; so they are made in assembly here.

use nix::libc;

/// True if the calls leave errno alone, so that prun's thread may run while a child makes them.
pub const LEAVES_ERRNO: bool = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));

/// `Ok` with the result of a system call, or its errno.
pub type Returned = Result<usize, i32>;

/// Makes a system call.
///
/// # Safety
/// As that of the system call.
pub unsafe fn call<const N: usize>(number: libc::c_long, arguments: [usize; N]) -> Returned {
    const { assert!(N <= 5) };
    let mut all = [0; 5];
    all[..N].copy_from_slice(&arguments);
    // SAFETY: by the caller's promise.
    let result = unsafe { raw(number, all) };
    // The kernel has no other negative results (syscall(2)).
    if (-4095..0).contains(&result) { Err(-result as i32) } else { Ok(result as usize) }
}

/// # Safety
/// As that of the system call.
#[cfg(target_arch = "x86_64")]
unsafe fn raw(number: libc::c_long, [a, b, c, d, e]: [usize; 5]) -> isize {
    let result: isize;
    // SAFETY: a system call changes rax, rcx, r11 and what its arguments point to.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// # Safety
/// As that of the system call.
#[cfg(target_arch = "aarch64")]
unsafe fn raw(number: libc::c_long, [a, b, c, d, e]: [usize; 5]) -> isize {
    let result: isize;
    // SAFETY: a system call changes x0 and what its arguments point to.
    unsafe {
        std::arch::asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a as isize => result,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e,
            options(nostack),
        );
    }
    result
}

/// # Safety
/// As that of the system call.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn raw(number: libc::c_long, [a, b, c, d, e]: [usize; 5]) -> isize {
    // SAFETY: by the caller's promise.
    match unsafe { libc::syscall(number, a, b, c, d, e) } {
        -1 => -(nix::errno::Errno::last_raw() as isize),
        result => result as isize,
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;

    #[test]
    fn results_and_errors_come_back_and_errno_stays() {
        Errno::set_raw(Errno::ERANGE as i32);
        // SAFETY: plain system calls on numbers.
        unsafe {
            assert_eq!(call(libc::SYS_getpid, []), Ok(std::process::id() as usize));
            assert_eq!(call(libc::SYS_fcntl, [usize::MAX, libc::F_GETFD as usize]), Err(libc::EBADF));
        }
        assert!(!LEAVES_ERRNO || Errno::last() == Errno::ERANGE);
    }
}
