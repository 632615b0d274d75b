//! The place of prun's own threads in the kernel's schedule.

use nix::libc;

/// The time for which a thread runs before others have their turn, in nanoseconds: the shortest that the kernel takes.
const SLICE: u64 = 100_000;

/// linux/sched.h: children get the default values.
const RESET_ON_FORK: u64 = 1;

/// Asks for short turns of the calling thread, so that it soon runs for a signal, an exit or a line while tasks use all
/// processors: it gets as much time as before, in smaller pieces and with earlier deadlines. Children, and threads that it
/// makes from now on, are scheduled as if nothing had been asked.
///
/// Linux takes the wish since 6.12 (sched(7), `sched_setattr(2)`) and ignores it before. It is left out where children
/// would lose something by it: a negative nice value, or a policy of its own.
pub fn shorten_turns() {
    // SAFETY: sched_attr is a plain C struct, for which zeroes are valid.
    let mut attributes: libc::sched_attr = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::sched_attr>() as u32;
    // SAFETY: the struct is live and writable, and has the size that is passed.
    let got = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0) };
    let is_usual = attributes.sched_policy == libc::SCHED_OTHER as u32 && attributes.sched_nice >= 0;
    if got == 0 && is_usual {
        (attributes.size, attributes.sched_runtime) = (size, SLICE);
        attributes.sched_flags |= RESET_ON_FORK;
        // SAFETY: the struct is live and initialised. A kernel that refuses changes nothing.
        unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_scheduled_as_before() {
        let policy = || std::fs::read_to_string("/proc/thread-self/sched").unwrap_or_default();
        let slice = |text: &str| text.lines().find(|line| line.starts_with("se.slice")).map(str::to_owned);
        let before = slice(&policy());
        std::thread::spawn(move || {
            shorten_turns();
            let of_child = std::process::Command::new("cat").arg("/proc/self/sched").output().unwrap().stdout;
            assert_eq!(slice(&String::from_utf8_lossy(&of_child)), before);
        })
        .join()
        .unwrap();
    }
}
