//! Operations that the caller carries out: write, spill, copy.

/// The destination of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dest {
    Stdout,
    Stderr,
    /// A file of a job or of a task. The caller numbers them.
    File(u32),
    /// The task's hook, for which they are kept ([`Outputs::begin_hook`](super::Outputs::begin_hook)).
    Hook,
}

/// Files that get a task's line only after the task's output was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Log {
    Journal,
    /// GNU parallel's `--joblog`.
    Joblog,
}

/// A temporary file for held output beyond the limit.
pub type SpillId = u64;

/// One operation. They are carried out in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    Write {
        dest: Dest,
        bytes: Vec<u8>,
    },
    /// Append to the temporary file.
    Spill {
        spill: SpillId,
        bytes: Vec<u8>,
    },
    /// Copy the whole temporary file (`len` bytes, or more if the caller has appended some that it did not report) to
    /// `dest` and remove it.
    Replay {
        dest: Dest,
        spill: SpillId,
        len: u64,
    },
    /// Begin, or end, the transfer into the temporary file that the caller has prepared.
    Transfer {
        spill: SpillId,
    },
    /// Stop moving bytes into the temporary file, and report their number to
    /// [`Outputs::transferred`](super::Outputs::transferred): the task's output is to flow.
    Recall {
        spill: SpillId,
    },
    /// Remove the temporary file.
    Drop {
        spill: SpillId,
    },
    /// Append to a log of ended tasks, once everything before this operation was written.
    Log {
        log: Log,
        bytes: Vec<u8>,
    },
    /// Close the destination: nothing more will go there.
    Close {
        dest: Dest,
    },
}
