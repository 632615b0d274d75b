//! System calls, and the only place for `unsafe`. It knows nothing of jobs and tasks.
//!
//! | module | what |
//! |---|---|
//! | [`inherited`] | how prun itself was started: open descriptors, ignored signals, mask, limits |
//! | [`cstrings`], [`mod@env`] | arguments and environment, ready for `execve`, reused from start to start |
//! | [`start`] | starting a child; the call itself is in `clone`, what the child does until it executes in `child` |
//! | [`find`] | the search in `PATH`, and words for a start that failed |
//! | [`signals`] | what tells prun to stop or to be suspended, and that a child ended |
//! | [`process`], [`group`] | exits, and process groups, also those that outlive their leader |
//! | [`mark`], [`live_starts`] | what everything that a task started is known by, and which starts are live |
//! | [`tree`] | processes, looked at in `/proc`: children, and all that carry a mark |
//! | [`guardian`] | a process beside prun that kills what tasks started when prun is gone |
//! | [`cgroup`] | a control group of the run's own |
//! | [`contain`] | which of these there are |
//! | [`pipe_holders`] | who has the other end of a pipe |
//! | [`port`] | whether somebody listens at a port of this machine, and who |
//! | [`pty`] | terminals of children's own |
//! | [`terminal`] | prun's own: who is in its foreground, its settings |
//! | [`deadlock`] | pipes that nobody empties |
//! | [`jobserver`] | slots that are shared with make and others |
//! | [`poller`], [`waker`] | waiting for descriptors, and ending that wait from another thread |
//! | [`input`], [`io`], [`files`] | reading a shared stdin, writing, copying, temporary files |
//! | [`limits`] | how much there is of descriptors, arguments and CPUs |
//!
//! Every descriptor that is opened here is close-on-exec, but for the two that children find a jobserver by.
#![allow(unsafe_code)]

pub mod cgroup;
mod child;
mod clone;
pub mod contain;
pub mod cstrings;
pub mod deadlock;
pub mod env;
pub mod errors;
pub mod files;
pub mod find;
pub mod group;
pub mod guardian;
pub mod inherited;
pub mod input;
pub mod io;
pub mod jobserver;
pub mod limits;
pub mod live_starts;
pub mod mark;
pub mod pipe_holders;
pub mod poller;
pub mod port;
pub mod process;
pub mod pty;
pub mod signals;
pub mod start;
pub mod std_streams;
pub mod terminal;
pub mod tree;
pub mod waker;
