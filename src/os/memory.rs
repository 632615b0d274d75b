//! How the C library hands out memory.

/// Lets all threads take memory from one arena. glibc would map 128 MB of addresses for the first allocation of each
/// thread. prun's threads allocate little, and what they free mostly comes from the loop's arena.
pub fn use_one_arena() {
    #[cfg(target_env = "gnu")]
    // SAFETY: a plain call on numbers, made while prun has a single thread.
    unsafe {
        nix::libc::mallopt(nix::libc::M_ARENA_MAX, 1);
    }
}
