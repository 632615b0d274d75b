//! Numbers of signals that the pure layers speak of. Pure.
//!
//! They are the same on every architecture of Linux (signal(7)).

/// Ends a process that can't do anything about it.
pub const SIGKILL: i32 = 9;
/// Ends a process that writes to a pipe that nobody reads.
pub const SIGPIPE: i32 = 13;
/// Asks a process to end.
pub const SIGTERM: i32 = 15;
