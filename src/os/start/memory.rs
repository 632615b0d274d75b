//! The memory of a child until it executes: its stack, and the words in which it tells prun how far it came.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

use super::child::{Child, Failure};

/// Ample for a few nested functions that only make system calls.
const STACK: usize = 64 << 10;
/// At least a page on every architecture that Linux runs on.
const GUARD: usize = 64 << 10;

/// A stack below which nothing is accessible, and above which the words are. Parent and child share it, also where the
/// child has a copy of everything else.
#[derive(Debug)]
pub struct Memory {
    start: NonNull<c_void>,
}

/// The part above the stack. Zeroes are a valid value.
#[repr(C, align(16))]
struct Top {
    /// 1 from the start on, and 0 when the child is out of this memory: the kernel clears it when the child executes or
    /// ends (CLONE_CHILD_CLEARTID, clone(2)).
    present: AtomicU32,
    failure: Failure,
    child: MaybeUninit<Child>,
}

impl Memory {
    pub fn new() -> nix::Result<Memory> {
        let size = NonZeroUsize::new(GUARD + STACK).ok_or(Errno::EINVAL)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses overlaps nothing.
        let start = unsafe { mmap_anonymous(None, size, access, MapFlags::MAP_SHARED)? };
        let memory = Memory { start };
        // SAFETY: the lower part of our own mapping, which nothing uses yet, is made inaccessible.
        unsafe { mprotect(start, GUARD, ProtFlags::PROT_NONE)? };
        Ok(memory)
    }

    fn top(&self) -> *mut Top {
        // SAFETY: the offset is within the mapping, whose end is a multiple of a page.
        unsafe { self.start.as_ptr().cast::<u8>().add(GUARD + STACK - size_of::<Top>()).cast() }
    }

    /// Returns the lowest address of the stack, and its length.
    pub fn stack(&self) -> (*mut u8, usize) {
        // SAFETY: the offset is within the mapping.
        let lowest = unsafe { self.start.as_ptr().cast::<u8>().add(GUARD) };
        (lowest, STACK - size_of::<Top>())
    }

    /// Puts the child there, which is about to be made.
    pub fn occupy(&mut self, child: Child) -> *const Child {
        let top = self.top();
        // SAFETY: the top is ours, aligned, and no child is in this memory. Plain values need no drop.
        unsafe {
            (*top).present.store(1, Ordering::Release);
            (*top).child.write(child)
        }
    }

    /// Notes that no child is in the memory, because it was waited for or could not be made.
    pub fn vacate(&mut self) {
        self.present().store(0, Ordering::Release);
    }

    /// True while the child may use this memory, and everything that it was given pointers to.
    pub fn is_occupied(&self) -> bool {
        self.present().load(Ordering::Acquire) != 0
    }

    pub fn present(&self) -> &AtomicU32 {
        // SAFETY: it is initialised, as zeroes are, lives as long as the mapping, and is only changed through atomics.
        unsafe { &(*self.top()).present }
    }

    /// The failure that the child has left.
    pub fn failure(&self) -> &Failure {
        // SAFETY: as in `present`.
        unsafe { &(*self.top()).failure }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and its owner drops it only when no child is in it.
        let _ = unsafe { munmap(self.start, GUARD + STACK) };
    }
}
