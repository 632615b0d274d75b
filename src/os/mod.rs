//! System calls, and the only place for `unsafe`. It knows nothing of jobs and tasks.
//!
//! The table lists the modules from the bottom up: each of them uses only modules of the rows above it, and
//! `tests/layers.rs` checks that. Modules without a link are private.
//!
//! | module | what it does |
//! |---|---|
//! | [`errors`] | the text of system errors |
//! | [`limits`], [`schedule`], [`memory`] | resource limits, CPUs, room for arguments; prun's turns; allocation |
//! | [`std_streams`] | prun's own standard input, output and error |
//! | `disposition`, `on_panic` | dispositions of signals; what is undone on a panic |
//! | [`poller`], [`waker`] | waiting for descriptors, and ending that wait from another thread |
//! | [`io`], [`input`] | writing, splicing and copying; reading shared descriptors without blocking |
//! | [`files`], [`pty`], [`deadlock`] | temporary files; pseudoterminals; full pipes that nobody reads |
//! | [`cstrings`] | lists of C strings, reused from start to start |
//! | [`mod@env`] | the environment of a child |
//! | [`proc`], `pidfd`, [`pipe_holders`] | other processes: their state, signals to them, their open files |
//! | [`group`] | process groups that outlive their leader |
//! | [`process`] | children: exits, reaping, signals |
//! | `makeflags` | the jobserver that the environment names |
//! | [`inherited`] | the state in which prun was started: descriptors, signals, mask, limits |
//! | [`stdout`] | writing to prun's own stdout |
//! | [`jobserver`], [`terminal`] | make's jobserver; the controlling terminal |
//! | [`signals`] | signals to prun |
//! | [`mark`] | the mark by which the processes of a task are recognised |
//! | [`live_starts`] | the starts that are not over, in memory shared with the guardian |
//! | `guardian_pid`, [`marked`] | the guardian's pid; reading the mark of a process |
//! | [`cgroup`] | the run's control group |
//! | [`descendants`] | prun's children, and all processes of the run |
//! | [`start`] | starting a child |
//! | [`find`] | the search in PATH, and messages for failed starts |
//! | `abort` | tasks are stopped when prun aborts |
//! | [`port`] | which process listens at a TCP port |
//! | [`guardian`] | the process that kills what tasks have started when prun is killed |
//! | [`containment`] | the means of containment that are in effect |
//!
//! Every descriptor that is opened here is close-on-exec, except the two by which children find a jobserver.
#![allow(unsafe_code)]

mod abort;
pub mod cgroup;
pub mod containment;
pub mod cstrings;
pub mod deadlock;
pub mod descendants;
mod disposition;
pub mod env;
pub mod errors;
pub mod files;
pub mod find;
pub mod group;
pub mod guardian;
mod guardian_pid;
pub mod inherited;
pub mod input;
pub mod io;
#[cfg(test)]
mod io_tests;
pub mod jobserver;
pub mod limits;
pub mod live_starts;
mod makeflags;
pub mod mark;
pub mod marked;
pub mod memory;
mod on_panic;
mod pidfd;
pub mod pipe_holders;
pub mod poller;
pub mod port;
pub mod proc;
pub mod process;
pub mod pty;
pub mod schedule;
pub mod signals;
pub mod start;
pub mod std_streams;
pub mod stdout;
pub mod terminal;
pub mod waker;
